// Windows of pictures as columns (unfold) and the sum of columns over the windows that hold a pixel
// (fold), for convolutions as matrix products: y = w unfold(x), dx = fold(w^T g), dw = g unfold(x)^T.
//
// The ladder.
//   1 one thread per output      reads each picture O A B times through the cache, and uses a number it
//                                has loaded once: bound by loads, not by arithmetic. See cuda.py.
//   2 unfold, then cuBLAS        the products run on tensor cores; the columns are A B times the
//                                picture, written once and read once. What runs here.
//   3 the product makes its own  a tile of columns is built in shared memory and never leaves it
//     columns (implicit)         (cuDNN, arXiv 1410.0759)
// Both kernels: one thread per number written, neighbours write neighbours, no atomics. Sizes: x
// (N, I, H, W), columns (N, I A B, H' W').
#include "common.cuh"

extern "C" __global__ void unfold(const T *__restrict__ x, T *__restrict__ columns, size_t total, int high, int wide,
                                  int a, int b, int s, int t, int p, int q, int rows, int width) {
    size_t at = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= total) return;
    size_t rest = at;
    int j = rest % width;
    rest /= width;
    int i = rest % rows;
    rest /= rows;
    int db = rest % b;
    rest /= b;
    int da = rest % a;
    rest /= a;  // picture and channel together: planes follow each other in x too
    int y = i * s + da - p, z = j * t + db - q;
    bool inside = y >= 0 && y < high && z >= 0 && z < wide;
    set(columns[at], inside ? to_float(x[(rest * high + y) * wide + z]) : 0.0f);
}

extern "C" __global__ void fold(const T *__restrict__ columns, T *__restrict__ x, size_t total, int high, int wide,
                                int a, int b, int s, int t, int p, int q, int rows, int width) {
    size_t at = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= total) return;
    int z = at % wide, y = at / wide % high;
    size_t plane = at / wide / high;
    float sum = 0.0f;
    for (int da = 0; da < a; da++) {
        int i = y + p - da;
        if (i < 0 || i % s || i / s >= rows) continue;
        for (int db = 0; db < b; db++) {
            int j = z + q - db;
            if (j < 0 || j % t || j / t >= width) continue;
            sum += to_float(columns[(((plane * a + da) * b + db) * rows + i / s) * width + j / t]);
        }
    }
    set(x[at], sum);
}
