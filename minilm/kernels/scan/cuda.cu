// h_t = exp(delta_t A) h_(t-1) + delta_t B_t x_t, y_t = C_t h_t, for one channel and N states; and all
// gradients.
//
// A token is a map h -> a h + b, and two maps one after the other are such a map again. So tokens need
// not wait for each other: a block composes the maps of 512 tokens (1,024 of 16 bits) in log steps (arXiv 2312.00752,
// algorithm 2 and appendix D).
//
// The ladder.
//   1 one thread per channel     reads and writes each number once, but B E threads are all there are,
//                                and each walks T tokens one by one. See cuda.py.
//   2 scan, scan_backward        one block per channel and row, a thread per 16 bytes of tokens, log2 of 128
//                                threads in shuffles instead of 512 steps. States live in registers:
//                                nothing of size T N is written, and backward computes it again.
// Cost: x, delta and g are read once and y, dx and ddelta written once; B and C are read by every channel
// of a row, from L2. Their gradients are sums over channels, by atomicAdd: the order of float32 sums, so
// the last bit of dB and dC, may differ from run to run.
// Arrays lie with time last, (B, E, T) and (B, N, T): neighbours in time are neighbours in memory.
// Launch: grid (E, B), 128 threads, 2 N floats of shared memory; da, db and dc must be zero.
#include "common.cuh"

static const int ITEMS = WIDE, THREADS = 128, WARPS = THREADS / 32, SWEEP = ITEMS * THREADS;

struct Step { float a, b; };  // h -> a h + b
__device__ __forceinline__ Step then(Step first, Step next) { return {first.a * next.a, next.a * first.b + next.b}; }

// The steps of all threads that come before this one, composed; `total` gets those of all threads. With
// BACK the last thread comes first.
template <bool BACK> __device__ __forceinline__ Step before_me(Step own, Step &total, Step *parts) {
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    Step sum = own;
#pragma unroll
    for (int o = 1; o < 32; o <<= 1) {
        float a = BACK ? __shfl_down_sync(0xffffffffu, sum.a, o) : __shfl_up_sync(0xffffffffu, sum.a, o);
        float b = BACK ? __shfl_down_sync(0xffffffffu, sum.b, o) : __shfl_up_sync(0xffffffffu, sum.b, o);
        if (BACK ? lane + o < 32 : lane >= o) sum = then({a, b}, sum);
    }
    if (lane == (BACK ? 0 : 31)) parts[warp] = sum;
    __syncthreads();
    Step before = {1.0f, 0.0f};
    total = {1.0f, 0.0f};
#pragma unroll
    for (int i = 0; i < WARPS; i++) {
        int w = BACK ? WARPS - 1 - i : i;
        if (w == warp) before = total;
        total = then(total, parts[w]);
    }
    __syncthreads();
    float a = BACK ? __shfl_down_sync(0xffffffffu, sum.a, 1) : __shfl_up_sync(0xffffffffu, sum.a, 1);
    float b = BACK ? __shfl_down_sync(0xffffffffu, sum.b, 1) : __shfl_up_sync(0xffffffffu, sum.b, 1);
    return lane == (BACK ? 31 : 0) ? before : then(before, {a, b});
}

// The tokens of this thread, 16 bytes at once where rows allow it; 0 behind the end.
__device__ __forceinline__ void take(float *into, const T *row, int first, int time, bool wide) {
    int t = first + threadIdx.x * ITEMS;
    if (wide) {
        Pack p;
        if (t < time) p = load(row + t);
#pragma unroll
        for (int i = 0; i < ITEMS; i++) into[i] = t < time ? to_float(p.v[i]) : 0.0f;
    } else {
#pragma unroll
        for (int i = 0; i < ITEMS; i++) into[i] = t + i < time ? to_float(row[t + i]) : 0.0f;
    }
}
__device__ __forceinline__ void give(T *row, const float *from, int first, int time, bool wide) {
    int t = first + threadIdx.x * ITEMS;
    if (wide) {
        Pack p;
#pragma unroll
        for (int i = 0; i < ITEMS; i++) set(p.v[i], from[i]);
        if (t < time) store(row + t, p);
    } else {
#pragma unroll
        for (int i = 0; i < ITEMS; i++)
            if (t + i < time) set(row[t + i], from[i]);
    }
}

extern "C" __global__ void scan(const T *__restrict__ x, const T *__restrict__ delta, const float *__restrict__ a,
                                const T *__restrict__ b, const T *__restrict__ c, const float *__restrict__ h0,
                                T *__restrict__ y, float *last, float *marks, int channels, int states, int time) {
    extern __shared__ float h[];
    __shared__ Step parts[WARPS];
    int e = blockIdx.x, row = blockIdx.y, sweeps = (time + SWEEP - 1) / SWEEP;
    size_t at = ((size_t)row * channels + e) * time;
    bool wide = wide_rows(time, x, delta, b, c, y);
    x += at, delta += at, y += at;
    b += (size_t)row * states * time, c += (size_t)row * states * time;
    for (int n = threadIdx.x; n < states; n += THREADS) h[n] = h0[((size_t)row * states + n) * channels + e];
    __syncthreads();
    for (int sweep = 0; sweep < sweeps; sweep++) {
        int first = sweep * SWEEP;
        float d[ITEMS], u[ITEMS], out[ITEMS], bs[ITEMS], cs[ITEMS], decay[ITEMS];
        take(d, delta, first, time, wide);
        take(u, x, first, time, wide);
#pragma unroll
        for (int i = 0; i < ITEMS; i++) u[i] *= d[i], out[i] = 0.0f;
        for (int n = 0; n < states; n++) {
            float start = h[n], rate = a[(size_t)e * states + n];
            take(bs, b + (size_t)n * time, first, time, wide);
            take(cs, c + (size_t)n * time, first, time, wide);
            Step own = {1.0f, 0.0f}, total;
#pragma unroll
            for (int i = 0; i < ITEMS; i++) {
                decay[i] = __expf(d[i] * rate);
                own = then(own, {decay[i], bs[i] * u[i]});
            }
            Step before = before_me<false>(own, total, parts);
            float state = before.a * start + before.b;
#pragma unroll
            for (int i = 0; i < ITEMS; i++) {
                state = decay[i] * state + bs[i] * u[i];
                out[i] += cs[i] * state;
            }
            if (threadIdx.x == 0) {
                marks[(((size_t)row * sweeps + sweep) * states + n) * channels + e] = start;
                h[n] = total.a * start + total.b;
            }
        }
        give(y, out, first, time, wide);
        __syncthreads();
    }
    for (int n = threadIdx.x; n < states; n += THREADS) last[((size_t)row * states + n) * channels + e] = h[n];
}

// What token t hands back is k_t = a_t (c_t g_t + k_(t+1)), a step again, with the last token first. Then
// dh_t = c_t g_t + k_(t+1) is the gradient of the state after token t.
extern "C" __global__ void scan_backward(const T *__restrict__ g, const T *__restrict__ x, const T *__restrict__ delta,
                                         const float *__restrict__ a, const T *__restrict__ b, const T *__restrict__ c,
                                         const float *__restrict__ marks, T *__restrict__ dx, T *__restrict__ ddelta,
                                         float *da, float *db, float *dc, float *dh0, int channels, int states,
                                         int time) {
    extern __shared__ float held[];
    float *back = held, *faded = held + states;
    __shared__ Step parts[WARPS];
    __shared__ float scratch[32];
    int e = blockIdx.x, row = blockIdx.y, sweeps = (time + SWEEP - 1) / SWEEP;
    size_t at = ((size_t)row * channels + e) * time, of_row = (size_t)row * states * time;
    bool wide = wide_rows(time, g, x, delta, b, c, dx, ddelta);
    g += at, x += at, delta += at, dx += at, ddelta += at;
    b += of_row, c += of_row, db += of_row, dc += of_row;
    for (int n = threadIdx.x; n < states; n += THREADS) back[n] = faded[n] = 0.0f;
    __syncthreads();
    for (int sweep = sweeps - 1; sweep >= 0; sweep--) {
        int first = sweep * SWEEP;
        float d[ITEMS], xs[ITEMS], gs[ITEMS], bs[ITEMS], cs[ITEMS], decay[ITEMS];
        float before[ITEMS + 1], entered[ITEMS], slopes[ITEMS];
        take(d, delta, first, time, wide);
        take(xs, x, first, time, wide);
        take(gs, g, first, time, wide);
#pragma unroll
        for (int i = 0; i < ITEMS; i++) entered[i] = slopes[i] = 0.0f;
        for (int n = 0; n < states; n++) {
            float rate = a[(size_t)e * states + n], later = back[n];
            float start = marks[(((size_t)row * sweeps + sweep) * states + n) * channels + e];
            take(bs, b + (size_t)n * time, first, time, wide);
            take(cs, c + (size_t)n * time, first, time, wide);
            Step own = {1.0f, 0.0f}, total;
#pragma unroll
            for (int i = 0; i < ITEMS; i++) {
                decay[i] = __expf(d[i] * rate);
                own = then(own, {decay[i], bs[i] * d[i] * xs[i]});
            }
            Step past = before_me<false>(own, total, parts);
            before[0] = past.a * start + past.b;
#pragma unroll
            for (int i = 0; i < ITEMS; i++) before[i + 1] = decay[i] * before[i] + bs[i] * d[i] * xs[i];
            own = {1.0f, 0.0f};
#pragma unroll
            for (int i = ITEMS - 1; i >= 0; i--) own = then(own, {decay[i], decay[i] * cs[i] * gs[i]});
            Step future = before_me<true>(own, total, parts);
            float k = future.a * later + future.b, slower = 0.0f;
#pragma unroll
            for (int i = ITEMS - 1; i >= 0; i--) {
                int t = first + threadIdx.x * ITEMS + i;
                float dh = cs[i] * gs[i] + k;
                if (t < time) {
                    atomicAdd(dc + (size_t)n * time + t, gs[i] * before[i + 1]);
                    atomicAdd(db + (size_t)n * time + t, dh * d[i] * xs[i]);
                }
                entered[i] += dh * bs[i];
                k = decay[i] * dh;
                slopes[i] += k * before[i] * rate;
                slower += k * before[i] * d[i];
            }
            slower = block_sum(slower, scratch);
            if (threadIdx.x == 0) {
                faded[n] += slower;
                back[n] = total.a * later + total.b;
            }
        }
#pragma unroll
        for (int i = 0; i < ITEMS; i++) {
            slopes[i] += entered[i] * xs[i];
            entered[i] *= d[i];
        }
        give(dx, entered, first, time, wide);
        give(ddelta, slopes, first, time, wide);
        __syncthreads();
    }
    for (int n = threadIdx.x; n < states; n += THREADS) {
        dh0[((size_t)row * states + n) * channels + e] = back[n];
        da[((size_t)row * channels + e) * states + n] = faded[n];
    }
}
