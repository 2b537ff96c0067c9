"""Answers to set 0b that are wrong in the ways people are: (question, points earned, code)."""

HEAD = "import math\nfrom numba import cuda, float32\nALL = 0xFFFFFFFF\n"

TRANSPOSE = """
@cuda.jit
def transpose_tiles(x, y):
    tile = cuda.shared.array((32, PITCH), float32)
    left, top = cuda.blockIdx.x * 32, cuda.blockIdx.y * 32
    lane, first = cuda.threadIdx.x, cuda.threadIdx.y
    for r in range(first, 32, 8):
        if top + r < x.shape[0] and left + lane < x.shape[1]:
            tile[r, lane] = x[top + r, left + lane]
    BARRIER
    for r in range(first, 32, 8):
        if left + r < y.shape[0] and top + lane < y.shape[1]:
            y[left + r, top + lane] = tile[lane, r]
"""
SUMS = """
@cuda.jit
def row_sums(x, out):
    part = cuda.shared.array(SIZE, float32)
    row, t = cuda.blockIdx.x, cuda.threadIdx.x
    total = float32(0)
    for j in COLUMNS:
        total += x[row, j]
    REDUCE
"""
TREE = """part[t] = total
    cuda.syncthreads()
    half = 64
    while half > 0:
        if t < half:
            part[t] += part[t + half]
        cuda.syncthreads()
        half //= 2
    if t == 0:
        out[row] = part[0]"""
SCAN = """
@cuda.jit
def running_sums(x, y):
    s = cuda.shared.array(64, float32)
    row, t = cuda.blockIdx.x, cuda.threadIdx.x
    carry = float32(0)
    for first in range(0, x.shape[1], 64):
        s[t] = x[row, first + t] if first + t < x.shape[1] else float32(0)
        cuda.syncthreads()
        SCAN
        if first + t < x.shape[1]:
            y[row, first + t] = carry + s[t]
        carry += s[63]
        END
"""
STEPS = """step = 1
        while step < 64:
            left = s[t - step] if t >= step else float32(0)
            cuda.syncthreads()
            s[t] += left
            cuda.syncthreads()
            step *= 2"""
SOFTMAX = """
@cuda.jit
def online_softmax(x, y):
    row, lane = cuda.blockIdx.x, cuda.threadIdx.x
    top, total = float32(-math.inf), float32(0)
    for j in range(lane, x.shape[1], 32):
        v = x[row, j]
        highest = max(top, v)
        total = total * math.exp(top - highest) + math.exp(v - highest)
        top = highest
    for step in (16, 8, 4, 2, 1):
        other = cuda.shfl_xor_sync(ALL, top, step)
        more = cuda.shfl_xor_sync(ALL, total, step)
        highest = max(top, other)
        total = total * math.exp(top - highest) + more * math.exp(other - highest)
        top = highest
    for j in range(lane, x.shape[1], 32):
        y[row, j] = math.exp(x[row, j] - top) / total
"""
MATMUL = """
@cuda.jit
def tiled_matmul(a, b, c):
    of_a = cuda.shared.array((8, 8), float32)
    of_b = cuda.shared.array((8, 8), float32)
    column, row = cuda.grid(2)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    total = float32(0)
    for first in range(0, a.shape[1], 8):
        inside = row < a.shape[0] and first + tx < a.shape[1]
        of_a[ty, tx] = a[row, first + tx] if inside else float32(0)
        inside = first + ty < b.shape[0] and column < b.shape[1]
        of_b[ty, tx] = b[first + ty, column] if inside else float32(0)
        cuda.syncthreads()
        for k in range(8):
            total += of_a[ty, k] * of_b[k, tx]
        cuda.syncthreads()
    if row < c.shape[0] and column < c.shape[1]:
        c[row, column] = total
"""
FLASH = """
@cuda.jit
def flash_forward(q, k, v, out, scale, causal):
    keys = cuda.shared.array((32, 4), float32)
    values = cuda.shared.array((32, 4), float32)
    query = cuda.local.array(4, float32)
    sums = cuda.local.array(4, float32)
    n, t, length = cuda.blockIdx.y, cuda.threadIdx.x, q.shape[1]
    i = cuda.blockIdx.x * 32 + t
    for d in range(4):
        query[d] = q[n, i, d] if i < length else float32(0)
        sums[d] = float32(0)
    top, total = float32(-math.inf), float32(0)
    for first in range(0, length, 32):
        LOAD
        cuda.syncthreads()
        for j in range(min(32, length - first)):
            if i < length and (not causal or first + j <= i):
                score = float32(0)
                for d in range(4):
                    score += query[d] * KEY
                score *= scale
                highest = max(top, score)
                fade, weight = math.exp(top - highest), math.exp(score - highest)
                total = total * fade + weight
                for d in range(4):
                    sums[d] = FADE + weight * VALUE
                top = highest
        cuda.syncthreads()
    if i < length:
        for d in range(4):
            out[n, i, d] = sums[d] / total
"""
BY_ELEMENT = """for e in range(t, 128, 32):
            if first + e // 4 < length:
                keys[e // 4, e % 4] = k[n, first + e // 4, e % 4]
                values[e // 4, e % 4] = v[n, first + e // 4, e % 4]"""
BY_ROW = """if first + t < length:
            for d in range(4):
                keys[t, d] = k[n, first + t, d]
                values[t, d] = v[n, first + t, d]"""


def changed(text, **parts):
    """A kernel with its capital words replaced."""
    for word, part in parts.items():
        assert word in text
        text = text.replace(word, part)
    return HEAD + text


def flash(load=BY_ELEMENT, key="keys[j, d]", value="values[j, d]", fade="sums[d] * fade"):
    return changed(FLASH, LOAD=load, KEY=key, VALUE=value, FADE=fade)


SCALED = """
@cuda.jit
def scaled(x, y, factor):
    BODY
"""


WRONG = [
    # no guard
    (
        "scaled",
        1,
        changed(SCALED, BODY="i = cuda.grid(1)\n    y[i] = factor * x[i]"),
    ),
    # the first thread of each block does all the work of its block
    (
        "scaled",
        2,
        changed(
            SCALED,
            BODY="""if cuda.threadIdx.x == 0:
        first = 64 * cuda.blockIdx.x
        for i in range(first, min(first + 64, x.size)):
            y[i] = factor * x[i]""",
        ),
    ),
    # the caller's x is overwritten
    (
        "scaled",
        0,
        changed(
            SCALED,
            BODY="""i = cuda.grid(1)
    if i < x.size:
        x[i] *= factor
        y[i] = x[i]""",
        ),
    ),
    # the number in the block, not in the grid
    (
        "scaled",
        0,
        changed(
            SCALED,
            BODY="""i = cuda.threadIdx.x
    if i < x.size:
        y[i] = factor * x[i]""",
        ),
    ),
    # straight from row to column, no shared memory
    (
        "transpose_tiles",
        2,
        HEAD
        + """
@cuda.jit
def transpose_tiles(x, y):
    column = cuda.blockIdx.x * 32 + cuda.threadIdx.x
    for r in range(cuda.threadIdx.y, 32, 8):
        row = cuda.blockIdx.y * 32 + r
        if row < x.shape[0] and column < x.shape[1]:
            y[column, row] = x[row, column]
""",
    ),
    # a tile of 32 columns: every lane in the same bank
    ("transpose_tiles", 3, changed(TRANSPOSE, PITCH="32", BARRIER="cuda.syncthreads()")),
    # no barrier
    ("transpose_tiles", 0, changed(TRANSPOSE, PITCH="33", BARRIER="pass")),
    # no guards: right only where tiles fit
    (
        "transpose_tiles",
        3,
        changed(
            TRANSPOSE,
            PITCH="33",
            BARRIER="cuda.syncthreads()",
            **{
                "if top + r < x.shape[0] and left + lane < x.shape[1]:\n            ": "",
                "if left + r < y.shape[0] and top + lane < y.shape[1]:\n            ": "",
            },
        ),
    ),
    # neighbours go to one thread: right, but 32 sectors a request, and a barrier for every level
    (
        "row_sums",
        2,
        changed(
            SUMS,
            SIZE="128",
            REDUCE=TREE,
            COLUMNS="range(t * x.shape[1] // 128, (t + 1) * x.shape[1] // 128)",
        ),
    ),  # fmt: skip
    # a tree in shared memory
    (
        "row_sums",
        3,
        changed(SUMS, SIZE="128", REDUCE=TREE, COLUMNS="range(t, x.shape[1], 128)"),
    ),
    # shuffles, but only the first warp is asked
    (
        "row_sums",
        0,
        changed(
            SUMS,
            SIZE="4",
            COLUMNS="range(t, x.shape[1], 128)",
            REDUCE="""for step in (16, 8, 4, 2, 1):
        total += cuda.shfl_down_sync(ALL, total, step)
    if t == 0:
        out[row] = total""",
        ),
    ),  # fmt: skip
    # nobody waits for the sums of the other warps
    (
        "row_sums",
        0,
        changed(
            SUMS,
            SIZE="4",
            COLUMNS="range(t, x.shape[1], 128)",
            REDUCE="""for step in (16, 8, 4, 2, 1):
        total += cuda.shfl_down_sync(ALL, total, step)
    if t % 32 == 0:
        part[t // 32] = total
    if t == 0:
        out[row] = part[0] + part[1] + part[2] + part[3]""",
        ),
    ),  # fmt: skip
    # the loud race is cured, the quiet one is not
    ("running_sums", 2, changed(SCAN, SCAN=STEPS, END="pass")),
    # a barrier where only some threads pass
    (
        "running_sums",
        0,
        changed(
            SCAN,
            END="cuda.syncthreads()",
            SCAN="""step = 1
        while step < 64:
            if t >= step:
                left = s[t - step]
                cuda.syncthreads()
                s[t] += left
            cuda.syncthreads()
            step *= 2""",
        ),
    ),  # fmt: skip
    # one thread does it all
    (
        "running_sums",
        4,
        changed(
            SCAN,
            END="cuda.syncthreads()",
            SCAN="""if t == 0:
            for j in range(1, 64):
                s[j] += s[j - 1]
        cuda.syncthreads()""",
        ),
    ),  # fmt: skip
    # the sums before each element, without it
    (
        "running_sums",
        0,
        changed(SCAN, SCAN=STEPS, END="cuda.syncthreads()").replace(
            "carry + s[t]", "carry + s[t] - x[row, first + t]"
        ),
    ),
    # three passes and a shared tree in place of pairs and shuffles
    (
        "online_softmax",
        4,
        HEAD
        + """
@cuda.jit
def online_softmax(x, y):
    part = cuda.shared.array(32, float32)
    row, lane = cuda.blockIdx.x, cuda.threadIdx.x
    top = float32(-math.inf)
    for j in range(lane, x.shape[1], 32):
        top = max(top, x[row, j])
    part[lane] = top
    cuda.syncthreads()
    for other in range(32):
        top = max(top, part[other])
    cuda.syncthreads()
    total = float32(0)
    for j in range(lane, x.shape[1], 32):
        total += math.exp(x[row, j] - top)
    part[lane] = total
    cuda.syncthreads()
    total = float32(0)
    for other in range(32):
        total += part[other]
    for j in range(lane, x.shape[1], 32):
        y[row, j] = math.exp(x[row, j] - top) / total
""",
    ),
    # lanes that saw nothing spoil the row: -inf - -inf
    ("online_softmax", 5, changed(SOFTMAX)),
    # no maximum at all
    (
        "online_softmax",
        5,
        HEAD
        + """
@cuda.jit
def online_softmax(x, y):
    row, lane = cuda.blockIdx.x, cuda.threadIdx.x
    total = float32(0)
    for j in range(lane, x.shape[1], 32):
        total += math.exp(x[row, j])
    for step in (16, 8, 4, 2, 1):
        total += cuda.shfl_xor_sync(ALL, total, step)
    for j in range(lane, x.shape[1], 32):
        y[row, j] = math.exp(x[row, j]) / total
""",
    ),
    # -1e9 in place of -inf: right until all numbers are lower
    (
        "online_softmax",
        5,
        changed(SOFTMAX, **{"float32(-math.inf)": "float32(-1e9)"}),
    ),
    # no tiles: right, and every number is read by every thread
    (
        "tiled_matmul",
        3,
        HEAD
        + """
@cuda.jit
def tiled_matmul(a, b, c):
    column, row = cuda.grid(2)
    if row < c.shape[0] and column < c.shape[1]:
        total = float32(0)
        for k in range(a.shape[1]):
            total += a[row, k] * b[k, column]
        c[row, column] = total
""",
    ),
    # nobody waits before the next pair of tiles overwrites this one
    (
        "tiled_matmul",
        0,
        changed(
            MATMUL,
            **{
                "total += of_a[ty, k] * of_b[k, tx]\n        cuda.syncthreads()": (
                    "total += of_a[ty, k] * of_b[k, tx]"
                )
            },
        ),
    ),
    # the tile of b stands on its side: the lanes of a row meet in the same banks
    (
        "tiled_matmul",
        5,
        changed(MATMUL, **{"of_b[ty, tx] =": "of_b[tx, ty] =", "of_b[k, tx]": "of_b[tx, k]"}),
    ),
    # past the edge a tile keeps what was there before
    (
        "tiled_matmul",
        4,
        changed(
            MATMUL,
            **{
                "of_a[ty, tx] = a[row, first + tx] if inside else float32(0)": (
                    "if inside:\n            of_a[ty, tx] = a[row, first + tx]"
                ),
            },
        ),
    ),
    # keys and values straight from device memory, and the future read for nothing
    ("flash_forward", 6, flash(load="pass", key="k[n, first + j, d]", value="v[n, first + j, d]")),
    # each lane loads a row of its own: whole sectors are read for 4 bytes each
    ("flash_forward", 6, flash(load=BY_ROW)),
    # -1e9 in place of -inf
    ("flash_forward", 7, flash().replace("float32(-math.inf)", "float32(-1e9)")),
    # what was summed does not shrink when the maximum rises
    ("flash_forward", 0, flash(fade="sums[d]")),
    # one number past the end
    (
        "scaled",
        1,
        changed(SCALED, BODY="i = cuda.grid(1)\n    if i <= x.size:\n        y[i] = factor * x[i]"),
    ),
    # added to what stands there
    (
        "scaled",
        0,
        changed(SCALED, BODY="i = cuda.grid(1)\n    if i < x.size:\n        y[i] += factor * x[i]"),
    ),
    # the tile is copied, not turned
    (
        "transpose_tiles",
        0,
        changed(
            TRANSPOSE,
            PITCH="33",
            BARRIER="cuda.syncthreads()",
            **{"tile[lane, r]\n": "tile[r, lane]\n"},
        ),
    ),
    # the sums of the warps are added into out, which holds something
    (
        "row_sums",
        0,
        changed(
            SUMS,
            SIZE="4",
            COLUMNS="range(t, x.shape[1], 128)",
            REDUCE="""for step in (16, 8, 4, 2, 1):
        total += cuda.shfl_down_sync(ALL, total, step)
    if t % 32 == 0:
        cuda.atomic.add(out, row, total)""",
        ),
    ),
    # four steps of five
    (
        "row_sums",
        0,
        changed(
            SUMS,
            SIZE="4",
            COLUMNS="range(t, x.shape[1], 128)",
            REDUCE="""for step in (8, 4, 2, 1):
        total += cuda.shfl_down_sync(ALL, total, step)
    if t % 32 == 0:
        part[t // 32] = total
    cuda.syncthreads()
    if t == 0:
        out[row] = part[0] + part[1] + part[2] + part[3]""",
        ),
    ),
    # every tile begins at 0
    (
        "running_sums",
        2,
        changed(SCAN, SCAN=STEPS, END="cuda.syncthreads()").replace(
            "carry += s[63]", "carry = float32(0)"
        ),
    ),
    # the last step is missing
    (
        "running_sums",
        0,
        changed(SCAN, SCAN=STEPS.replace("step < 64", "step < 32"), END="cuda.syncthreads()"),
    ),
    # the maximum is moved on before the sum shrinks
    (
        "online_softmax",
        0,
        changed(
            SOFTMAX,
            **{
                "        total = total * math.exp(top - highest) + math.exp(v - highest)\n        top = highest": (
                    "        top = highest\n"
                    "        total = total * math.exp(top - highest) + math.exp(v - highest)"
                )
            },
        ),
    ),
    # past the edge of b a tile keeps what was there before
    (
        "tiled_matmul",
        4,
        changed(
            MATMUL,
            **{
                "of_b[ty, tx] = b[first + ty, column] if inside else float32(0)": (
                    "if inside:\n            of_b[ty, tx] = b[first + ty, column]"
                ),
            },
        ),
    ),
    # the first pair of tiles only
    ("tiled_matmul", 0, changed(MATMUL, **{"range(0, a.shape[1], 8)": "range(0, 8, 8)"})),
    # nobody sees itself
    ("flash_forward", 5, flash().replace("first + j <= i", "first + j < i")),
    # the scale is forgotten
    ("flash_forward", 0, flash().replace("score *= scale", "score *= float32(0.5)")),
    # the sums are not set to 0 before they are added to
    ("flash_forward", 0, flash().replace("        sums[d] = float32(0)\n", "")),
]
