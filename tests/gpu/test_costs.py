"""What the kernels cost, in the emulator's counts: the claims in the headers of the .cu files."""

import numpy as np
import pytest

from minilm.emulator import SCHEDULES, emulate
from minilm.kernels.attention import cuda as attention
from minilm.kernels.cuda_tools.launch import HERE, emulation
from minilm.kernels.decode_attention import cuda as decode
from minilm.kernels.gelu import cuda as gelu
from minilm.kernels.layer_norm import cuda as layer_norm
from minilm.kernels.moe import cuda as moe

from .helpers import arrays

WATCHED = {"trace": True, "schedules": SCHEDULES[:1]}


def reports_of(function, *arguments, **options):
    """The emulator's report of each launch that a call makes."""
    found = []
    with emulation(**WATCHED, reports=found):
        function(*arguments, **options)
    return {report.kernel: report for report in found}


@pytest.mark.parametrize("size", [64, 128])
def test_attention_has_no_bank_conflicts_and_moves_each_sector_once(size):
    q, k, v, g = arrays(0, "bfloat16", *[(1, 1, 128, size)] * 4)
    settings = (None, None, False, None, 0.1)
    with emulation(schedules=SCHEDULES[:1]):
        out, lse = attention.attention(q, k, v, *settings)
    found = reports_of(attention.attention, q, k, v, *settings)
    found |= reports_of(attention.attention_backward, g, q, k, v, out, lse, *settings)
    for name in ("attention_forward", "attention_backward_kv", "attention_backward_q"):
        assert found[name].bank_conflicts == 0, name
        assert found[name].sectors == found[name].ideal_sectors, name
    # One block: q, k and v are read once and out is written once, 32 bytes a sector, plus lse.
    assert found["attention_forward"].sectors == 4 * 128 * size * 2 // 32 + 128 * 4 // 32


def test_grouped_product_has_no_bank_conflicts():
    x, w = arrays(1, "float16", (128, 128), (2, 64, 128))
    report = reports_of(moe.grouped_matmul, x, w, np.array([0, 64, 128]))["grouped_matmul"]
    assert report.bank_conflicts == 0 and report.coalescing == 1


def test_decoding_reads_the_cache_once():
    q, k, v = arrays(2, "float16", (1, 8, 64), (1, 2, 256, 64), (1, 2, 256, 64))
    report = reports_of(decode.decode_attention, q, k, v, np.array([256]), None, 0.125, splits=2)
    cache = 2 * 2 * 256 * 64 * 2 // 32  # k and v, two key heads: no more for four queries each
    assert cache <= report["decode_attention"].sectors < 1.2 * cache


def test_rungs_of_the_softmax_ladder():
    (x,) = arrays(3, "float32", (32, 512))
    y, names = np.empty_like(x), {"DTYPE": "float"}
    file = HERE / "softmax" / "cuda.cu"
    naive = emulate((file, "softmax_naive"), 1, 32, x, y, 32, 512, defines=names)
    tree = emulate((file, "softmax_shared"), 32, 128, x, y, 512, shared=512, defines=names)
    online = emulate((file, "softmax"), 32, 128, x, y, 512, defines=names)
    assert naive.coalescing < 0.15 < 1 == tree.coalescing == online.coalescing
    assert (naive.sectors, tree.sectors, online.sectors) == (
        4 * 512 * 32, 4 * 32 * 512 // 8, 3 * 32 * 512 // 8
    )  # fmt: skip
    assert tree.barriers > 3 * online.barriers
    requests = [r.global_reads + r.global_writes for r in (tree, online)]
    assert requests[0] > 4 * requests[1]


def test_memory_bound_kernels_move_only_what_they_need():
    x, w, b = arrays(4, "bfloat16", (4, 256), (256,), (256,))
    norm = reports_of(layer_norm.layer_norm, x, w, b, 1e-5)["layer_norm"]
    assert norm.uncoalesced == norm.bank_conflicts == 0
    row = 256 * 2 // 32
    # Three looks at x, w and b per row, y; and 4 bytes each of mean and rstd.
    assert norm.sectors == 4 * ((3 + 2 + 1) * row + 2)
    report = reports_of(gelu.gelu, x, True)["activation"]
    assert report.sectors == report.ideal_sectors == 2 * 4 * row
    assert report.divergence == 0
