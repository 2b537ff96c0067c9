"""Planted bugs: each change to a kernel must be caught, which shows that the checks bite.

A caught bug is an error of the emulator or a result outside the tolerance that the right kernel
keeps. `watched` says whether watching every access must find it on its own; the other bugs are
wrong arithmetic, which only the comparison with the formula can see.
"""

import ml_dtypes
import numpy as np
import pytest

from minilm.emulator import SCHEDULES, EmulatorError
from minilm.emulator import launch as emulator_launch
from minilm.emulator.source import read
from minilm.kernels.attention import cuda as attention_cuda
from minilm.kernels.attention import reference as attention_reference
from minilm.kernels.cuda_tools import launch as cuda_launch
from minilm.kernels.cuda_tools.launch import emulation
from minilm.kernels.layer_norm import cuda as layer_norm_cuda
from minilm.kernels.layer_norm import reference as layer_norm_reference
from minilm.kernels.moe import cuda as moe_cuda
from minilm.kernels.moe import reference as moe_reference
from minilm.kernels.softmax import cuda as softmax_cuda
from minilm.kernels.softmax import reference as softmax_reference

from .helpers import TOLERANCE, arrays, error, wide


def forward():
    """Error of the attention forward: odd lengths, grouped heads, a window, two causal shapes."""
    worst = 0.0
    for t, s, window in ((130, 130, None), (70, 150, 40), (150, 20, None)):
        q, k, v = arrays(0, "bfloat16", (1, 2, t, 64), (1, 1, s, 64), (1, 1, s, 64))
        settings = (None, None, True, window, 0.125)
        out, lse = attention_cuda.attention(q, k, v, *settings)
        right, right_lse = attention_reference.attention(*wide(q, k, v), *settings)
        worst = np.maximum(worst, error(out, right))
        worst = np.maximum(worst, error(lse, right_lse))
    return worst / TOLERANCE["bfloat16"]


def backward():
    """Error of the three attention gradients."""
    t, settings = 100, (None, None, True, None, 0.125)
    q, k, v, g = arrays(1, "bfloat16", (1, 2, t, 64), *[(1, 1, t, 64)] * 2, (1, 2, t, 64))
    right, lse = attention_reference.attention(*wide(q, k, v), *settings)
    out = right.astype(ml_dtypes.bfloat16)
    ours = attention_cuda.attention_backward(g, q, k, v, out, lse, *settings)
    wanted = attention_reference.attention_backward(*wide(g, q, k, v), right, lse, *settings)
    return np.max([error(a, b) for a, b in zip(ours[:3], wanted)]) / TOLERANCE["bfloat16"]


def softmax():
    (x,) = arrays(2, "float32", (3, 1032))
    x *= 20
    right = softmax_reference.softmax(wide(x))
    return error(softmax_cuda.softmax(x), right) / TOLERANCE["float32"]


def layer_norm():
    x, w, b, g = arrays(3, "float32", (70, 77), (77,), (77,), (70, 77))
    x += 50
    y, mean, rstd = layer_norm_cuda.layer_norm(x, w, b, 1e-5)
    right = layer_norm_reference.layer_norm(*wide(x, w, b), 1e-5)
    ours = layer_norm_cuda.layer_norm_backward(g, x, w, mean, rstd)
    wanted = layer_norm_reference.layer_norm_backward(*wide(g, x, w), *right[1:])
    # A mean of 50 costs the float32 input itself six bits.
    return np.max([error(a, e) for a, e in zip((y, *ours), (right[0], *wanted))]) / 2e-4


def grouped():
    offsets = np.array([0, 70, 70, 75])
    x, w, g = arrays(4, "float16", (75, 128), (3, 64, 128), (75, 64))
    y = moe_cuda.grouped_matmul(x, w, offsets)
    ours = (y, *moe_cuda.grouped_matmul_backward(g, x, w, offsets))
    exact = wide(x, w, g)
    right = moe_reference.grouped_matmul(*exact[:2], offsets)
    wanted = (right, *moe_reference.grouped_matmul_backward(exact[2], *exact[:2], offsets))
    return np.max([error(a, e) for a, e in zip(ours, wanted)]) / TOLERANCE["float16"]


def token():
    """Error of a gated product after a norm, and of which of equal logits is chosen."""
    depth, width = 200, 5
    x, scale, w, gate, before = arrays(
        5, "float32", (1, depth), (depth,), (width, depth), (width, depth), (1, width)
    )
    y = before.copy()
    cuda_launch.launch(
        TOKEN, "decode_linear", (2,), (128,), x, scale, None, w, None, None, gate, None, None, y, y,
        1, depth, width, 1, 3, 1e-5, 2.0, shared=4 * depth, DTYPE="float", ROWS=1,
    )  # fmt: skip
    xs, ws, gs = wide(x, w, gate)
    normal = (xs - xs.mean()) / np.sqrt(xs.var() + 1e-5) * wide(scale) * 2
    right = wide(before) + np.maximum(normal @ gs.T, 0) * (normal @ ws.T)
    logits = np.zeros((2, 700), np.float32)
    logits[0, [5, 400, 699]], logits[1, 600] = 3, 1
    ids, lengths = np.zeros(2, np.int32), np.array([4, 9], np.int32)
    history = np.zeros((16, 2), np.int32)
    cuda_launch.launch(
        TOKEN, "decode_choose", (2,), (512,), logits, ids, lengths, history, 700, 16,
        DTYPE="float", ROWS=1,
    )  # fmt: skip
    told = [*ids, *lengths, history[3, 0], history[8, 1]] == [5, 600, 5, 10, 5, 600]
    return error(y, right) / 1e-5 if told else np.inf


FORWARD, BACKWARD, SOFTMAX = "attention/cuda", "attention/backward", "softmax/cuda"
NORM, GROUPED, TOKEN = "layer_norm/cuda", "moe/grouped", "decode_step/cuda"
TRIALS = {
    FORWARD: forward, BACKWARD: backward, SOFTMAX: softmax, NORM: layer_norm, GROUPED: grouped,
    TOKEN: token,
}  # fmt: skip

# (file, what is wrong, old text, new text, found by watching alone)
BUGS = [
    (
        FORWARD,
        "no barrier after the wait",
        "        __syncthreads();\n        const T *kt",
        "        const T *kt",
        True,
    ),
    (
        FORWARD,
        "no barrier before the next copy",
        "        __syncthreads();  // the next copies",
        "        // the next copies",
        True,
    ),
    (FORWARD, "waits for one group too few", "cp_wait<1>()", "cp_wait<2>()", True),
    (
        FORWARD,
        "no wait for the last group",
        "        } else {\n            cp_wait<0>();\n        }",
        "        }",
        True,
    ),
    (
        FORWARD,
        "values not transposed",
        "right<HEAD>(b, vt, n * 16, d)",
        "right_t<HEAD>(b, vt, n * 16, d)",
        False,
    ),
    (
        FORWARD,
        "swizzle broken on one side",
        "right_t<HEAD>(b, kt, n * 16, d)",
        "right_t<HEAD>(b, kt, n * 16, d ^ 1)",
        False,
    ),
    (
        FORWARD,
        "output not faded",
        "o[m][i][2 * h] *= fade, o[m][i][2 * h + 1] *= fade;",
        ";",
        False,
    ),
    (
        FORWARD,
        "sum not shared by four lanes",
        "            total += __shfl_xor_sync(0xffffffffu, total, 2);\n",
        "",
        False,
    ),
    (FORWARD, "logsumexp past the end", " && row < length_q) lse", ") lse", True),
    (
        FORWARD,
        "copies still landing where the output is staged",
        "    cp_wait<0>();\n    __syncthreads();",
        "",
        True,
    ),
    (FORWARD, "one tile of keys too few", "+ KEYS - 1) / KEYS;", ") / KEYS;", False),
    (FORWARD, "wrong key head of a group", "head / (heads / groups)", "head", True),
    (
        BACKWARD,
        "no barrier after the wait",
        "        __syncthreads();\n        const T *qt",
        "        const T *qt",
        True,
    ),
    (
        BACKWARD,
        "no barrier before the next copy",
        "        product(sum_k, s, qt);\n        __syncthreads();",
        "        product(sum_k, s, qt);",
        True,
    ),
    (BACKWARD, "queries of a group counted once", "steps = tiles * share", "steps = tiles", False),
    (BACKWARD, "delta forgotten", "* (s[i][j] - row_delta[h])", "* s[i][j]", False),
    (BACKWARD, "scale forgotten", "sum_k, scale, scale)", "sum_k, 1.0f, 1.0f)", False),
    (
        BACKWARD,
        "lse and delta of one buffer",
        "rows[buffer][threadIdx.x >> 6]",
        "rows[0][threadIdx.x >> 6]",
        True,
    ),
    (SOFTMAX, "maximum not taken off", "o.sum > 0.0f ? o.max : 0.0f", "0.0f", False),
    (NORM, "variance without the mean", "square += (v - m) * (v - m)", "square += v * v", False),
    (
        NORM,
        "no barrier before the strips meet",
        "    __syncthreads();\n    if (threadIdx.y == 0",
        "    if (threadIdx.y == 0",
        True,
    ),
    (NORM, "columns past the end", "if (column >= n) return;", "", True),
    (
        GROUPED,
        "the second tile of an expert is the first",
        "offsets[e] + number * 64",
        "offsets[e]",
        True,
    ),
    (
        TOKEN,
        "products before the rows are there",
        "    __syncthreads();\n    bool wide",
        "    bool wide",
        True,
    ),
    (
        TOKEN,
        "tree without barriers",
        "        __syncthreads();\n        if (me < step)",
        "        if (me < step)",
        True,
    ),
    (TOKEN, "of equal logits the highest", "there < at", "there > at", False),
    (
        TOKEN,
        "norm without the mean",
        "float v = (to[j] - mean) * scale;",
        "float v = to[j] * scale;",
        False,
    ),
    (TOKEN, "residual forgotten", "residual ? residual[at] + v : v", "v", False),
    (TOKEN, "the place is not advanced", "lengths[b] = place + 2", "lengths[b] = place + 1", False),
    (GROUPED, "left operand not transposed", "ldmatrix_t(a, a_tiles", "ldmatrix(a, a_tiles", False),
]
# The same in headers: (file, header it includes, what is wrong, old text, new text)
SPAN, CORE = "attention/span.cuh", "cuda_tools/tensor_core.cuh"
HEADER_BUGS = [
    (FORWARD, SPAN, "mask off by one", "return ahead <= 0 &&", "return ahead < 0 &&"),
    (
        FORWARD,
        SPAN,
        "window off by one",
        "(window == 0 || ahead > -window)",
        "(window == 0 || ahead >= -window)",
    ),
    (
        FORWARD,
        SPAN,
        "whole tiles judged by the wrong corner",
        "j1 - i0 - shift() <= 0",
        "j1 - i1 - shift() <= 0",
    ),
    (
        FORWARD,
        SPAN,
        "window starts a tile late",
        "i + shift() - window + 1;",
        "i + shift() - window + 65;",
    ),
    (
        FORWARD,
        SPAN,
        "last query not aligned with the last key",
        "return length_k - length_q;",
        "return 0;",
    ),
    (GROUPED, CORE, "rows of the next expert overwritten", "if (row0 + r < rows) store", "store"),
    (GROUPED, CORE, "no __syncwarp before the staged rows are read", "    __syncwarp();\n", ""),
    (GROUPED, CORE, "swizzle forgets the row", "(piece ^ (row & 7)) << 3", "(piece ^ 1) << 3"),
    (GROUPED, CORE, "rows beyond the end are fetched", "ok ? from : matrix, ok", "from, true"),
]


def verdict(trial, **options):
    """None if all is well, else what was noticed."""
    try:
        with emulation(**options):
            found = trial()
    except EmulatorError as fault:
        return str(fault)
    return None if found <= 1 else f"error {found:.1f} times the tolerance"


def conflicts(trial):
    """Bank conflicts of all launches of a trial."""
    reports = []
    with emulation(trace=True, schedules=SCHEDULES[:1], reports=reports):
        trial()
    return sum(report.bank_conflicts for report in reports)


@pytest.fixture
def planted(monkeypatch):
    """Makes every launch of one file run a changed text instead."""

    def plant(file, old, new, header=None):
        whole = read(cuda_launch.HERE / f"{file}.cu")
        text = whole.text
        if header is not None:
            inner = (cuda_launch.HERE / header).read_text(encoding="utf-8")
            assert old in inner, old
            include = f'#include "{header.rsplit("/", 1)[-1]}"'
            text = text.replace(include, inner.replace(old, new))
        else:
            assert old in text, old
            text = text.replace(old, new)
        real = emulator_launch.run

        def run(source, *rest, **options):
            if source.path == whole.path and source.folder == whole.folder:
                source = type(source)(source.path, text, source.kernels, source.folder)
            return real(source, *rest, **options)

        monkeypatch.setattr(emulator_launch, "run", run)

    return plant


@pytest.mark.parametrize("file", TRIALS)
def test_the_right_kernel_passes_both_ways(file):
    assert verdict(TRIALS[file], trace=True, schedules=SCHEDULES[:1]) is None
    assert verdict(TRIALS[file], trace=False, schedules=SCHEDULES) is None
    assert file != GROUPED or conflicts(TRIALS[file]) == 0


@pytest.mark.parametrize(
    "file, name, old, new, watched", BUGS, ids=[f"{b[0]}: {b[1]}" for b in BUGS]
)
def test_planted_bug_is_caught(planted, file, name, old, new, watched):
    planted(file, old, new)
    found = verdict(TRIALS[file], trace=True, schedules=SCHEDULES[:1])
    assert found, f"{name} went unnoticed"
    if watched:
        assert "tolerance" not in found, found


@pytest.mark.parametrize(
    "file, header, name, old, new", HEADER_BUGS, ids=[b[2] for b in HEADER_BUGS]
)
def test_planted_bug_in_a_header_is_caught(planted, file, header, name, old, new):
    planted(file, old, new, header)
    found = verdict(TRIALS[file], trace=True, schedules=SCHEDULES[:1])
    if name == "swizzle forgets the row":  # right, but slow: the counts show it
        assert found is None and conflicts(TRIALS[file]) > 0
    else:
        assert found, f"{name} went unnoticed"


@pytest.mark.parametrize("number", range(4))
def test_a_race_is_caught_by_the_schedules_alone(planted, number):
    """The five schedules do not need the watching: the first four bugs also change the result."""
    file, name, old, new, _ = BUGS[number]
    planted(file, old, new)
    assert verdict(TRIALS[file], trace=False, schedules=SCHEDULES), f"{name} went unnoticed"
