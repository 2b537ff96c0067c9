"""Answers to set 0b that are right and have another shape than the solution's: (question, code)."""

START = "import math\nimport numpy as np\nfrom numba import cuda, float32\nALL = 0xFFFFFFFF\n"

RIGHT = [
    # the number worked out by hand, and an early end
    (
        "scaled",
        """
@cuda.jit
def scaled(x, y, factor):
    i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if i >= y.shape[0]:
        return
    y[i] = x[i] * factor
""",
    ),
    # the tile is written turned
    (
        "transpose_tiles",
        """
@cuda.jit
def transpose_tiles(x, y):
    tile = cuda.shared.array((32, 33), float32)
    lane, first = cuda.threadIdx.x, cuda.threadIdx.y
    column, row = 32 * cuda.blockIdx.x + lane, 32 * cuda.blockIdx.y
    k = first
    while k < 32:
        if column < x.shape[1] and row + k < x.shape[0]:
            tile[lane, k] = x[row + k, column]
        k += 8
    cuda.syncthreads()
    column = 32 * cuda.blockIdx.x
    k = first
    while k < 32:
        if column + k < x.shape[1] and row + lane < x.shape[0]:
            y[column + k, row + lane] = tile[k, lane]
        k += 8
""",
    ),
    # butterflies, and the first warp adds the four sums
    (
        "row_sums",
        """
@cuda.jit
def row_sums(x, out):
    part = cuda.shared.array(4, float32)
    t = cuda.threadIdx.x
    s, j = float32(0), t
    while j < x.shape[1]:
        s += x[cuda.blockIdx.x, j]
        j += 128
    step = 1
    while step < 32:
        s += cuda.shfl_xor_sync(ALL, s, step)
        step *= 2
    if t % 32 == 0:
        part[t // 32] = s
    cuda.syncthreads()
    if t == 0:
        total = float32(0)
        for w in range(4):
            total += part[w]
        out[cuda.blockIdx.x] = total
""",
    ),
    # two tables: read from one, write into the other
    (
        "running_sums",
        """
@cuda.jit
def running_sums(x, y):
    s = cuda.shared.array((2, 64), float32)
    row, t = cuda.blockIdx.x, cuda.threadIdx.x
    carry, first = float32(0), 0
    while first < x.shape[1]:
        here = 0
        s[0, t] = x[row, first + t] if first + t < x.shape[1] else float32(0)
        cuda.syncthreads()
        step = 1
        while step < 64:
            s[1 - here, t] = s[here, t] + (s[here, t - step] if t >= step else float32(0))
            here = 1 - here
            step *= 2
            cuda.syncthreads()
        if first + t < x.shape[1]:
            y[row, first + t] = s[here, t] + carry
        carry += s[here, 63]
        first += 64
        cuda.syncthreads()
""",
    ),
    # a pass for the maximum and the sum, lanes joined by falling shuffles
    (
        "online_softmax",
        """
@cuda.jit
def online_softmax(x, y):
    row, lane = cuda.blockIdx.x, cuda.threadIdx.x
    m, s = float32(-math.inf), float32(0)
    j = lane
    while j < x.shape[1]:
        v = x[row, j]
        if v > -math.inf:
            bigger = max(m, v)
            if m > -math.inf:
                s *= math.exp(m - bigger)
            s += math.exp(v - bigger)
            m = bigger
        j += 32
    step = 1
    while step < 32:
        m2 = cuda.shfl_xor_sync(ALL, m, step)
        s2 = cuda.shfl_xor_sync(ALL, s, step)
        bigger = max(m, m2)
        mine = s * math.exp(m - bigger) if m > -math.inf else float32(0)
        theirs = s2 * math.exp(m2 - bigger) if m2 > -math.inf else float32(0)
        m, s = bigger, mine + theirs
        step *= 2
    j = lane
    while j < x.shape[1]:
        y[row, j] = math.exp(x[row, j] - m) / s
        j += 32
""",
    ),
    # zeros first, then what lies inside
    (
        "tiled_matmul",
        """
@cuda.jit
def tiled_matmul(a, b, c):
    left = cuda.shared.array((8, 8), float32)
    right = cuda.shared.array((8, 8), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    row, column = 8 * cuda.blockIdx.y + ty, 8 * cuda.blockIdx.x + tx
    total, k = float32(0), 0
    while k < a.shape[1]:
        left[ty, tx] = float32(0)
        right[ty, tx] = float32(0)
        if row < a.shape[0] and k + tx < a.shape[1]:
            left[ty, tx] = a[row, k + tx]
        if k + ty < b.shape[0] and column < b.shape[1]:
            right[ty, tx] = b[k + ty, column]
        cuda.syncthreads()
        for i in range(8):
            total = total + left[ty, i] * right[i, tx]
        cuda.syncthreads()
        k += 8
    if row < c.shape[0] and column < c.shape[1]:
        c[row, column] = total
""",
    ),
    # four names in place of local arrays
    (
        "flash_forward",
        """
@cuda.jit
def flash_forward(q, k, v, out, scale, causal):
    ks = cuda.shared.array((32, 4), float32)
    vs = cuda.shared.array((32, 4), float32)
    head, t, T = cuda.blockIdx.y, cuda.threadIdx.x, k.shape[1]
    i = 32 * cuda.blockIdx.x + t
    q0, q1, q2, q3 = float32(0), float32(0), float32(0), float32(0)
    a0, a1, a2, a3 = float32(0), float32(0), float32(0), float32(0)
    if i < T:
        q0, q1, q2, q3 = q[head, i, 0], q[head, i, 1], q[head, i, 2], q[head, i, 3]
    m, s = float32(-math.inf), float32(0)
    first = 0
    while first < T and not (causal and first > 32 * cuda.blockIdx.x + 31):
        e = t
        while e < 128:
            if first + e // 4 < T:
                ks[e // 4, e % 4] = k[head, first + e // 4, e % 4]
                vs[e // 4, e % 4] = v[head, first + e // 4, e % 4]
            e += 32
        cuda.syncthreads()
        for j in range(32):
            seen = i < T and first + j < T
            if causal and first + j > i:
                seen = False
            if seen:
                score = scale * (q0 * ks[j, 0] + q1 * ks[j, 1] + q2 * ks[j, 2] + q3 * ks[j, 3])
                if score > m:
                    fade = math.exp(m - score)
                    s, a0, a1, a2, a3 = s * fade, a0 * fade, a1 * fade, a2 * fade, a3 * fade
                    m = score
                w = math.exp(score - m)
                s += w
                a0 += w * vs[j, 0]
                a1 += w * vs[j, 1]
                a2 += w * vs[j, 2]
                a3 += w * vs[j, 3]
        cuda.syncthreads()
        first += 32
    if i < T:
        out[head, i, 0] = a0 / s
        out[head, i, 1] = a1 / s
        out[head, i, 2] = a2 / s
        out[head, i, 3] = a3 / s
""",
    ),
]
RIGHT = [(question, START + code) for question, code in RIGHT]
