// dw[id] = sum of the rows g[i] that looked id up.
//
// The ladder.
//   1 atomicAdd of every element   one pass, but the frequent words queue at the same addresses, and
//                                  the sum depends on who comes first. See cuda.py.
//   2 embedding_backward           the lookups are sorted by id first (a radix sort of N integers);
//                                  the block at the head of a run of equal ids adds the run up and
//                                  writes once. No atomics, so the result is always the same.
// Cost of rung 2: each row of g read once, each touched row of dw written once; a run is added by one
// block, so a word that makes up a tenth of the batch takes as long as a tenth of the batch's rows.
// Launch: one block per lookup; dw must be zero.
#include "common.cuh"

extern "C" __global__ void embedding_backward(const T *__restrict__ g, const int *__restrict__ order,
                                              const int *__restrict__ ids, T *dw, int count, int n) {
    int first = blockIdx.x, id = ids[first];
    if (first > 0 && ids[first - 1] == id) return;
    int last = first + 1;
    while (last < count && ids[last] == id) last++;
    for (int j = threadIdx.x; j < n; j += blockDim.x) {
        float sum = 0.0f;
#pragma unroll 4
        for (int i = first; i < last; i++) sum += to_float(g[(size_t)order[i] * n + j]);
        set(dw[(size_t)id * n + j], sum);
    }
}
