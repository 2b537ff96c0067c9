"""The backend on the stand-in for CuPy: devices, 16-bit products, prefetched batches, memory."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilm import backend
from minilm.errors import InputError

from . import fake_cuda, fake_cupy
from .helpers import DTYPES, TOLERANCE, error


@pytest.fixture
def cupy():
    with fake_cupy.installed() as module:
        yield module


def test_devices_by_name_and_number(cupy):
    assert backend.array_module("cpu") is np
    assert backend.array_module("cuda") is cupy and cupy.cuda.used is None
    cupy.cuda.runtime.getDeviceCount = lambda: 2
    assert backend.array_module("cuda:1") is cupy and cupy.cuda.used == 1
    with pytest.raises(InputError, match="device is 'cuda:2'; this machine's GPUs are cuda:0 to"):
        backend.array_module("cuda:2")
    cupy.cuda.runtime.getDeviceCount = lambda: 1
    with pytest.raises(InputError, match="this machine's only GPU is cuda:0"):
        backend.array_module("cuda:1")
    for wrong in ("gpu", "cuda:", "cuda:x", "cuda:-1", "cpu:0", ""):
        with pytest.raises(InputError, match="allowed are 'cpu', 'cuda' and 'cuda:1'"):
            backend.on_gpu(wrong)


def test_no_cupy_and_no_device_are_two_sentences(cupy, monkeypatch):
    cupy.cuda.runtime.getDeviceCount = lambda: 0
    with pytest.raises(InputError, match="needs an NVIDIA GPU and its driver"):
        backend.array_module("cuda")
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(InputError, match="CuPy, which is not installed: pip install"):
        backend.array_module("cuda")


def test_the_backend_loads_no_gpu_library():
    code = "import sys, minilm.backend; print({'cupy', 'ml_dtypes', 'numba'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_memory_limit(cupy):
    backend.memory_limit(1 << 30)
    assert cupy.get_default_memory_pool().limit == 1 << 30
    backend.memory_limit(None)
    assert cupy.get_default_memory_pool().limit == 0
    assert backend.memory_in_use() == (0, 0)
    with pytest.raises(InputError, match="memory_limit is 0"):
        backend.memory_limit(0)


# --- products -----------------------------------------------------------------------------------


@st.composite
def operands(draw):
    """Two operands of every layout: transposed, cut out of larger ones, repeated, reversed."""
    size = st.integers(1, 5)
    n, k, m = draw(size), draw(size), draw(size)
    lead = draw(st.lists(st.integers(1, 3), max_size=3))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    dtype = DTYPES[draw(st.sampled_from(["float16", "bfloat16"]))]

    def one(rows, columns):
        axes = [draw(st.sampled_from([x, 1])) for x in lead[draw(st.integers(0, len(lead))) :]]
        gaps = [draw(st.sampled_from([0, 0, 2])) for _ in range(len(axes) + 2)]
        shape = [x + gap for x, gap in zip([*axes, rows, columns], gaps)]
        order = draw(st.permutations(range(len(shape))))
        whole = rng.standard_normal([shape[i] for i in order]).astype(dtype)
        part = whole.transpose(np.argsort(order))[tuple(slice(x) for x in [*axes, rows, columns])]
        return part[..., ::-1, :] if draw(st.integers(0, 9)) == 0 else part

    return one(n, k), one(k, m), draw(st.sampled_from(["new", "same", "float32", "strided", "add"]))


@given(case=operands())
@settings(max_examples=300, deadline=None)
def test_16_bit_products_of_any_layout(case):
    a, b, how = case
    exact = a.astype(np.float64) @ b.astype(np.float64)
    with fake_cupy.installed() as cupy:
        left, right = fake_cupy.ndarray(a), fake_cupy.ndarray(b)
        out, kind = None, a.dtype
        if how == "strided":
            out = cupy.zeros((*exact.shape[:-1], 2 * exact.shape[-1]), a.dtype)[..., ::2]
        elif how != "new":
            kind = a.dtype if how == "same" else np.dtype(np.float32)
            out = cupy.full(exact.shape, 1.0, dtype=kind)
        found = backend.matmul(left, right, out, add=how == "add")
        assert out is None or found is out
        host = found.get()
    assert host.dtype == kind and host.shape == exact.shape
    right = exact + (how == "add")
    step = 2.0**-23 if kind == np.float32 else {"float16": 2.0**-11, "bfloat16": 2.0**-8}[str(kind)]
    size = np.abs(a.astype(np.float64)) @ np.abs(b.astype(np.float64)) + 1
    assert (np.abs(host - right) <= size * (step + 2.0**-20)).all()


def test_products_go_to_the_tensor_cores_without_copies(cupy):
    cublas = sys.modules["cupy_backends.cuda.libs.cublas"]
    rng = np.random.default_rng(0)
    x, w, heads = (
        cupy.asarray(rng.standard_normal(s).astype(DTYPES["bfloat16"]))
        for s in ((6, 16), (8, 16), (2, 3, 4, 16))
    )
    fake_cupy.counts.reset()
    backend.matmul(x, w.T)
    backend.matmul(x.T, x, cupy.zeros((16, 16), np.float32), add=True)
    backend.matmul(heads, heads.swapaxes(-1, -2))
    backend.matmul(heads[:, :1], heads[0, 0].T)
    assert cublas.calls == [
        ("bfloat16", "bfloat16", 1, 8, 6, 16),
        ("bfloat16", "float32", 1, 16, 16, 6),
        ("bfloat16", "bfloat16", 6, 4, 4, 16),
        ("bfloat16", "bfloat16", 2, 4, 4, 16),
    ]
    with pytest.raises(InputError, match="inner sizes must be equal"):
        backend.matmul(x, w)
    with pytest.raises(InputError, match="out is float32"):
        backend.matmul(x, w.T, cupy.zeros((6, 9), np.float32))
    with pytest.raises(InputError, match="out is None; out must be"):
        backend.matmul(x, w.T, add=True)


def test_vectors_empty_products_and_other_types(cupy):
    (a,) = [cupy.asarray(np.arange(6, dtype=np.float16).reshape(2, 3))]
    assert backend.matmul(a, a[0]).get().tolist() == [5.0, 14.0]
    assert backend.matmul(a[:, 0], a).get().tolist() == [9.0, 12.0, 15.0]
    assert backend.matmul(a[0], a[1]).get() == 14.0
    assert backend.matmul(a[:, :0], a[:0]).get().tolist() == [[0.0] * 3] * 2
    assert backend.matmul(a[:0], a.T).shape == (0, 2)
    exact = cupy.asarray(np.eye(3))
    assert backend.matmul(exact, exact).dtype == np.float64
    host = np.ones((2, 2), np.float32)
    total = np.ones((2, 2), np.float32)
    assert backend.matmul(host, host, total, add=True) is total and (total == 3).all()
    assert (backend.matmul(host, host, total) == 2).all() and (total == 2).all()


# --- batches ------------------------------------------------------------------------------------


def numbered(count, shape=(2, 3)):
    for i in range(count):
        yield np.full(shape, i, np.int32), np.full(shape, -i, np.int64)


@pytest.mark.parametrize("when", ["late", "at once"])
@pytest.mark.parametrize("ahead", [True, False])
def test_prefetched_batches_arrive_whole_and_in_order(cupy, when, ahead):
    with fake_cuda.streams_run(when):
        seen = []
        for x, y in backend.Prefetch(numbered(7), ahead):
            assert isinstance(x, fake_cupy.ndarray) and x.dtype == np.int32
            seen.append((x.get().copy(), y.get().copy()))
    assert len(seen) == 7
    for i, (x, y) in enumerate(seen):
        assert (x == i).all() and (y == -i).all(), i


def test_a_copy_waits_for_the_work_on_what_it_overwrites(cupy):
    batches = backend.Prefetch(numbered(6))
    for i in range(6):
        before = fake_cuda.Event.clock
        next(batches)
        if 0 < i < 5:
            # Asked for batch i, it started the copy of i + 1 over batch i - 1: after all that was
            # queued on the main stream up to now.
            last = batches._stream.waited_for[-1]
            assert last.stream is fake_cuda.Stream.main and last.time > before


def test_prefetch_takes_one_batch_ahead_or_none(cupy):
    taken = []

    def source():
        for arrays in numbered(5):
            taken.append(1)
            yield arrays

    next(backend.Prefetch(source()))
    assert len(taken) == 2
    taken.clear()
    next(backend.Prefetch(source(), ahead=False))
    assert len(taken) == 1


def test_prefetch_of_changing_shapes(cupy):
    source = [*numbered(2), *numbered(2, (1, 3)), *numbered(1)]
    shapes = [x.shape for x, _ in backend.Prefetch(iter(source))]
    assert shapes == [(2, 3), (2, 3), (1, 3), (1, 3), (2, 3)]


def test_half_matmul_of_large_sums_is_float32_inside(cupy):
    """65536 ones: summed in float16 they would stop at 2048, in bfloat16 at 256."""
    for dtype in ("float16", "bfloat16"):
        ones = cupy.ones((1, 4096), DTYPES[dtype])
        total = backend.matmul(ones, ones.T, cupy.zeros((1, 1), np.float32), add=True)
        assert total.get() == 4096
        assert error(backend.matmul(ones, ones.T).get(), np.array([[4096.0]])) < TOLERANCE[dtype]
