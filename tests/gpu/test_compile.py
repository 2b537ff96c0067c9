"""Every kernel compiles for real GPUs, with no GPU here, and takes no more than its ceiling."""

import importlib

import pytest

from minilm.kernels.cuda_tools import compile as cuda_compile

pytestmark = pytest.mark.nvrtc

# One readable kernel per line: module, name, Numba signature, compute capability 9.0.
F1, F2, F3, F4 = "float32[::1]", "float32[:,::1]", "float32[:,:,::1]", "float32[:,:,:,::1]"
I1 = "int32[::1]"
READABLE = [
    ("softmax.cuda", "softmax_rows", f"void({F2}, {F2})"),
    ("layer_norm.cuda", "layer_norm_rows", f"void({F2}, {F1}, {F1}, {F2}, {F1}, {F1}, float32)"),
    ("layer_norm.cuda", "layer_norm_backward_rows", f"void({F2}, {F2}, {F1}, {F1}, {F1}, {F2})"),
    ("layer_norm.cuda", "weight_gradient_columns", f"void({F2}, {F2}, {F1}, {F1}, {F1}, {F1})"),
    ("rms_norm.cuda", "rms_norm_rows", f"void({F2}, {F1}, {F2}, {F1}, float32)"),
    ("rms_norm.cuda", "rms_norm_backward_rows", f"void({F2}, {F2}, {F1}, {F1}, {F2})"),
    ("cross_entropy.cuda", "cross_entropy_rows", f"void({F2}, {I1}, {F1}, float32)"),
    ("gelu.cuda", "gelu_elements", f"void({F1}, {F1})"),
    ("gelu.cuda", "gelu_backward_elements", f"void({F1}, {F1}, {F1})"),
    ("bias_activation.cuda", "bias_silu_elements", f"void({F2}, {F1}, {F2})"),
    ("swiglu.cuda", "swiglu_elements", f"void({F1}, {F1}, {F1})"),
    ("swiglu.cuda", "swiglu_backward_elements", f"void({F1}, {F1}, {F1}, {F1}, {F1})"),
    ("rope.cuda", "rope_pairs", f"void({F3}, {F2}, {F2}, {F3})"),
    ("embedding.cuda", "embedding_backward_atomic", f"void({F2}, {I1}, {F2})"),
    ("adamw.cuda", "adamw_elements", f"void({F1}, {F1}, {F1}, {F1}, {', '.join(['float32'] * 7)})"),
    (
        "attention.cuda_readable",
        "attention_rows",
        f"void({', '.join([F3] * 4)}, {F2}, float32, boolean)",
    ),
    (
        "attention.cuda_readable",
        "attention_query_gradient",
        f"void({', '.join([F3] * 5)}, {F2}, {F3}, float32, boolean)",
    ),
    (
        "attention.cuda_readable",
        "attention_key_gradient",
        f"void({', '.join([F3] * 5)}, {F2}, {F3}, {F3}, float32, boolean)",
    ),
    ("decode_attention.cuda", "decode_rows", f"void({F3}, {F4}, {F4}, {I1}, {F3}, float32)"),
    ("quantized_matmul.cuda", "quantized_matmul_int8", f"void({F2}, int8[:,::1], {F2}, {F2})"),
    ("conv2d.cuda", "conv2d_elements", f"void({F4}, {F4}, {F4}, int32, int32)"),
    ("scan.cuda", "scan_channels", f"void({F3}, {F3}, {F2}, {F3}, {F3}, {F3})"),
    ("linear_attention.cuda", "linear_attention_columns", f"void({', '.join([F3] * 4)})"),
    ("moe.cuda", "permute_elements", f"void({F2}, {I1}, int32, {F2})"),
    ("moe.cuda", "grouped_matmul_elements", f"void({F2}, {F3}, {I1}, {F2})"),
]


@pytest.mark.timeout(600)
def test_every_cuda_cpp_kernel_compiles_within_its_ceiling():
    allowed = cuda_compile.ceilings()
    found = cuda_compile.measure()
    assert set(found) == set(allowed), (
        "python -m minilm.kernels.cuda_tools.compile renews ceilings.json"
    )
    over = {
        name: (usage, allowed[name])
        for name, usage in found.items()
        if usage.registers > allowed[name].registers
        or usage.spills > allowed[name].spills
        or usage.shared > allowed[name].shared
    }
    assert not over


def test_no_kernel_may_spill():
    """Registers that go to memory and back: what attention at head size 128 did at first."""
    assert {name for name, usage in cuda_compile.ceilings().items() if usage.spills} == set()


def test_every_cuda_file_is_compiled():
    files = {
        str(p.relative_to(cuda_compile.CEILINGS.parents[1]).with_suffix(""))
        for p in cuda_compile.CEILINGS.parents[1].glob("*/*.cu")
    }
    assert files == {file for file, _, _ in cuda_compile.jobs()}


def test_a_mistake_is_reported_with_its_line(tmp_path, monkeypatch):
    from minilm.emulator.source import parse
    from minilm.errors import InputError

    broken = parse('extern "C" __global__ void f(float *x) {\n  x[0] = y;\n}\n', "f.cu", None)
    monkeypatch.setattr(cuda_compile, "source", lambda file: broken)
    with pytest.raises(InputError, match=r"f\.cu.*\(2\).*\"y\" is undefined"):
        cuda_compile.compile_file("f", {})


@pytest.mark.parametrize("module, name, signature", READABLE, ids=[r[1] for r in READABLE])
def test_every_numba_kernel_compiles_to_ptx(module, name, signature):
    from numba import cuda

    kernel = getattr(importlib.import_module(f"minilm.kernels.{module}"), name)
    ptx, _ = cuda.compile_ptx(kernel.py_func, signature, cc=(9, 0))
    assert name in ptx and ".target sm_90" in ptx
