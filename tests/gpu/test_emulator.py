"""The emulator itself: what it computes, what it counts, and what it says of a wrong kernel."""

import math

import numpy as np
import pytest
from numba import cuda, float32

from minilm.emulator import SCHEDULES, EmulatorError, emulate

ROWS = """
__device__ __forceinline__ float total(float v) {
  for (int o = 16; o; o >>= 1) v += __shfl_xor_sync(0xffffffffu, v, o);
  return v;
}
extern "C" __global__ void normalise(const float* x, float* y, int n) {
  __shared__ float part[4];
  int t = threadIdx.x;
  float s = 0;
  for (int j = t; j < n; j += blockDim.x) s += x[blockIdx.x * n + j];
  s = total(s);
  if (t % 32 == 0) part[t / 32] = s;
  __syncthreads();
  s = part[0] + part[1] + part[2] + part[3];
  for (int j = t; j < n; j += blockDim.x) y[blockIdx.x * n + j] = x[blockIdx.x * n + j] / s;
}
"""
TRANSPOSE = """
extern "C" __global__ void transpose(const float* x, float* y) {
  __shared__ float tile[32 * PITCH];
  int c = threadIdx.x, r = threadIdx.y;
  tile[r * PITCH + c] = x[r * 32 + c];
  __syncthreads();
  y[r * 32 + c] = tile[c * PITCH + r];
}
"""


def line_of(source, piece):
    """Line number of the first line that holds a piece of text."""
    return next(i for i, line in enumerate(source.splitlines(), 1) if piece in line)


def rows(seed=0, shape=(3, 333)):
    x = np.random.default_rng(seed).random(shape, np.float32)
    return x, np.full_like(x, np.nan)


# --- CUDA C++ -------------------------------------------------------------------------------------


def test_a_right_kernel_gives_the_right_answer_under_every_schedule():
    x, y = rows()
    report = emulate((ROWS, "normalise"), 3, 128, x, y, 333)
    np.testing.assert_allclose(y, x / x.sum(1, keepdims=True), rtol=1e-5)
    assert report.schedules == SCHEDULES
    assert report.barriers == 3
    assert report.warp_barriers == 3 * 4 * 5  # blocks, warps, shuffles
    assert report.uncoalesced == report.bank_conflicts == 0


@pytest.mark.parametrize("pitch, conflicts", [(32, 32 * 31), (33, 0)])
def test_padding_a_transpose_removes_its_bank_conflicts(pitch, conflicts):
    x, y = rows(shape=(32, 32))
    report = emulate((TRANSPOSE, "transpose"), 1, (32, 32), x, y, defines={"PITCH": pitch})
    assert (y == x.T).all()
    assert report.bank_conflicts == conflicts
    assert report.shared_requests == 64
    assert report.sectors == report.ideal_sectors == 2 * 32 * 4
    if conflicts:
        place = f"kernel.cu:{line_of(TRANSPOSE, 'y[r')}"
        assert (report.hot_lines[0].place, report.hot_lines[0].excess) == (place, conflicts)


def test_strided_reads_are_counted_as_uncoalesced():
    source = """
    extern "C" __global__ void copy(const float* x, float* y, int step) {
      y[threadIdx.x] = x[threadIdx.x * step];
    }"""
    found = []
    for step in (1, 2, 8):
        x, y = np.arange(256, dtype=np.float32), np.zeros(32, np.float32)
        report = emulate((source, "copy"), 1, 32, x, y, step)
        assert (y == x[::step][:32]).all()
        found.append((report.sectors, report.ideal_sectors, report.uncoalesced))
    assert found == [(8, 8, 0), (12, 8, 1), (36, 8, 1)]


def test_divergence_counts_the_stretches_a_warp_ran_in_part():
    source = """
    extern "C" __global__ void mark(int* y, int limit) {
      if (threadIdx.x < limit) y[threadIdx.x] += 1;
      else y[threadIdx.x] -= y[threadIdx.x] / 2;
    }"""
    y = np.arange(64, dtype=np.int32)
    whole = emulate((source, "mark"), 1, 64, y, 32)
    half = emulate((source, "mark"), 1, 64, y, 16)
    assert whole.divergence == 0 and whole.lane_efficiency == 1
    assert half.divergence >= 2 and half.lane_efficiency < 1


def test_record_tells_what_each_thread_touches():
    x, y = rows(shape=(32, 32))
    report = emulate(
        (TRANSPOSE, "transpose"), 1, (32, 32), x, y, defines={"PITCH": 32}, record=True
    )
    reads = [t for t in report.touches if t.argument == 0]
    assert [(t.thread, t.element) for t in reads] == [(i, i) for i in range(1024)]
    assert {t.kind for t in reads} == {"read"}
    assert {t.line for t in reads} == {line_of(TRANSPOSE, "tile[r")}
    assert sum(t.argument == -1 for t in report.touches) == 2048


def broken(change, source=ROWS, kernel="normalise", **options):
    """The error of a kernel after `change` (old text, new text)."""
    assert change[0] in source
    x, y = rows()
    with pytest.raises(EmulatorError) as caught:
        emulate((source.replace(*change), kernel), 3, 128, x, y, 333, **options)
    return caught.value


def test_a_missing_barrier_is_named_with_its_line():
    fault = broken(("  __syncthreads();\n", "\n"))
    assert fault.kernel == "normalise" and fault.block == (0, 0, 0)
    assert fault.line == line_of(ROWS, "s = part[0]")
    assert "no thread has written yet" in str(fault)


def test_a_race_names_both_threads_and_both_lines():
    source = """
    extern "C" __global__ void shift(float* x) {
      __shared__ float s[64];
      int t = threadIdx.x;
      s[t] = x[t];
      __syncthreads();
      float left = s[t ? t - 1 : 63];
      s[t] = left;
    }"""
    with pytest.raises(
        EmulatorError, match=r"race: .* thread \(\d+, 0, 0\) .* with no barrier"
    ) as e:
        emulate((source, "shift"), 1, 64, np.zeros(64, np.float32))
    lines = {line_of(source, "s[t] = left"), line_of(source, "float left")}
    assert e.value.line in lines
    assert f"kernel.cu:{(lines - {e.value.line}).pop()}" in str(e.value)


def test_a_race_between_lanes_of_a_warp_needs_syncwarp():
    source = """
    extern "C" __global__ void swap(float* x) {
      __shared__ float s[32];
      s[threadIdx.x] = x[threadIdx.x];
      MEET;
      x[threadIdx.x] = s[31 - threadIdx.x];
    }"""
    x = np.arange(32, dtype=np.float32)
    emulate((source, "swap"), 1, 32, x, defines={"MEET": "__syncwarp()"})
    assert (x == np.arange(31, -1, -1)).all()
    with pytest.raises(EmulatorError, match="race|no thread has written"):
        emulate((source, "swap"), 1, 32, x, defines={"MEET": ""})


def test_a_race_between_blocks():
    fault = broken(("y[blockIdx.x * n + j]", "y[j]"))
    assert "another block" in str(fault) and fault.block == (1, 0, 0)


@pytest.mark.parametrize("trace", [True, False])
def test_one_element_too_far(trace):
    fault = broken(("j < n; j += blockDim.x) y", "j <= n; j += blockDim.x) y"), trace=trace)
    assert "argument" in str(fault)
    if trace:
        assert fault.line == line_of(ROWS, "y[blockIdx")


def test_far_outside_is_caught_without_watching():
    fault = broken(("x[blockIdx.x * n + j];", "x[blockIdx.x * n + j + 100000];"), trace=False)
    assert "out of bounds" in str(fault) and fault.line == line_of(ROWS, "s += x[")


def test_a_barrier_that_not_all_reach():
    fault = broken(("  __syncthreads();", "  if (t < 40) __syncthreads();"))
    assert "race" in str(fault) or "__syncthreads" in str(fault)
    source = """
    extern "C" __global__ void stuck(float* x) {
      if (threadIdx.x < 3) __syncthreads();
      x[threadIdx.x] = 1;
    }"""
    with pytest.raises(EmulatorError, match="after 29 threads of the block had left") as e:
        emulate((source, "stuck"), 1, 32, np.zeros(32, np.float32))
    assert e.value.line == line_of(source, "__syncthreads")


def test_a_shuffle_in_divergent_code():
    fault = broken(("  s = total(s);", "  if (t & 1) s = total(s);"))
    assert "__syncthreads" in str(fault) or "warp" in str(fault)


def test_a_loop_without_end_is_stopped_at_its_line():
    fault = broken(("j += blockDim.x) y", "j += 0) y"), timeout=1)
    assert "still running" in str(fault) and fault.line == line_of(ROWS, "y[blockIdx")


def test_a_compile_error_names_the_line_of_the_cuda_file():
    fault = broken(("s = total(s)", "s = totel(s)"))
    assert fault.line == line_of(ROWS, "s = total") and "totel" in str(fault)


def test_misaligned_wide_loads():
    source = """
    extern "C" __global__ void wide(float* x, float4* y) {
      y[threadIdx.x] = *(float4*)(x + threadIdx.x);
    }"""
    with pytest.raises(EmulatorError, match="misaligned.*multiple of 16"):
        emulate((source, "wide"), 1, 2, np.zeros(8, np.float32), np.zeros(8, np.float32))


def test_integer_division_by_zero():
    source = 'extern "C" __global__ void f(int* x, int n) {\n x[0] = 7 / n; }\n'
    with pytest.raises(EmulatorError, match="division of an integer by zero"):
        emulate((source, "f"), 1, 1, np.zeros(1, np.int32), 0)


def test_atomics_are_no_race():
    source = """
    extern "C" __global__ void count(int* x, float* y) {
      atomicAdd(x, 1);
      atomicMax(y, (float)threadIdx.x);
    }"""
    x, y = np.zeros(1, np.int32), np.zeros(1, np.float32)
    emulate((source, "count"), 5, 64, x, y)
    assert x[0] == 320 and y[0] == 63


def test_strided_arrays_are_written_in_place_and_only_there():
    source = """
    extern "C" __global__ void fill(float* x, int step) {
      x[blockIdx.x * step + threadIdx.x] = 1;
    }"""
    base = np.zeros((4, 10), np.float32)
    emulate((source, "fill"), 4, 3, base[:, 2:5], 10)
    assert (base[:, 2:5] == 1).all() and base.sum() == 12
    with pytest.raises(EmulatorError, match="written to between its rows"):
        emulate((source, "fill"), 4, 4, base[:, 2:5], 10 - 1)


def test_one_array_given_twice_is_one_memory():
    source = (
        'extern "C" __global__ void f(const float* x, float* y) {\n y[1] = x[0]; y[2] = x[1]; }\n'
    )
    x = np.array([3, 0, 0], np.float32)
    emulate((source, "f"), 1, 1, x, x)
    assert x.tolist() == [3, 3, 3]


@pytest.mark.parametrize(
    "arguments, text",
    [
        ((np.zeros(4, np.float64), np.zeros(4, np.float32), 4), "is float64; it must be float32"),
        ((np.zeros(4, np.float32), 4), "got 2 arguments; it takes 3"),
        ((np.zeros(4, np.float32), [1.0], 4), "is of type list; it must be an array"),
        ((np.zeros(4, np.float32), np.zeros(4, np.float32), np.zeros(2)), "must be a number"),
    ],
)
def test_wrong_arguments_are_named(arguments, text):
    with pytest.raises(EmulatorError, match=text):
        emulate((ROWS, "normalise"), 1, 32, *arguments)


def test_wrong_launches_are_named():
    x, y = rows()
    for grid, block, text in ((1, 2000, "2000 threads"), ((1, 2, 3, 4), 32, "1 to 3 numbers")):
        with pytest.raises(EmulatorError, match=text):
            emulate((ROWS, "normalise"), grid, block, x, y, 3)
    with pytest.raises(EmulatorError, match="no kernel 'other'; its kernels: normalise"):
        emulate((ROWS, "other"), 1, 32, x, y, 3)


def test_no_compiler_is_one_clear_sentence(monkeypatch):
    from minilm.emulator import build

    monkeypatch.setattr(build.shutil, "which", lambda name: None)
    build.compiler.cache_clear()
    with pytest.raises(EmulatorError, match=r"no C\+\+ compiler was found.*apt install g\+\+"):
        build.compiler()
    monkeypatch.undo()
    build.compiler.cache_clear()
    assert build.compiler()


# --- Python kernels -------------------------------------------------------------------------------


def mirror(x):
    s = cuda.shared.array(64, float32)
    t = cuda.threadIdx.x
    s[t] = x[t]
    cuda.syncthreads()
    x[t] = s[63 - t]


def mirror_without_barrier(x):
    s = cuda.shared.array(64, float32)
    t = cuda.threadIdx.x
    s[t] = x[t]
    x[t] = s[63 - t]


def two_arrays_on_one_line(x):
    a, b = cuda.shared.array(1, float32), cuda.shared.array(1, float32)
    a[0], b[0] = 1, 2
    x[0] = a[0] + 10 * b[0]


def uneven(x):
    if cuda.threadIdx.x < 3:
        cuda.syncthreads()
    x[cuda.threadIdx.x] = 1


def too_far(x):
    x[cuda.grid(1)] = 1


def endless(x):
    while x[0] == 0:
        x[1] = 1


def all_write_one(x):
    x[0] = cuda.blockIdx.x


def warp_sum(x, y):
    v = x[cuda.grid(1)]
    for step in (16, 8, 4, 2, 1):
        v += cuda.shfl_down_sync(0xFFFFFFFF, v, step)
    if cuda.laneid == 0:
        y[cuda.grid(1) // 32] = v


def count_large(x, y):
    cuda.atomic.add(y, 0, 1 if x[cuda.grid(1)] > 0.5 else 0)
    y[1 + cuda.threadIdx.x] = cuda.syncthreads_count(x[cuda.threadIdx.x] > 0.5)


def no_name(x):
    x[0] = nowhere  # noqa: F821


@pytest.mark.parametrize(
    "kernel, block, text",
    [
        (mirror_without_barrier, 64, "no thread has written yet"),
        (uneven, 32, "29 threads of the block had left"),
        (too_far, 65, r"out of bounds: index 64 of argument 0 \(x\)"),
        (all_write_one, 1, "another block"),
        (no_name, 1, "NameError"),
    ],
)
def test_wrong_python_kernels(kernel, block, text):
    with pytest.raises(EmulatorError, match=text) as caught:
        emulate(kernel, 2, block, np.zeros(64, np.float32))
    first = kernel.__code__.co_firstlineno
    assert first < caught.value.line <= first + 6
    assert caught.value.kernel == kernel.__name__


def test_an_endless_python_kernel_is_stopped():
    with pytest.raises(EmulatorError, match="still running"):
        emulate(endless, 1, 1, np.zeros(2, np.float32), timeout=1)


def test_right_python_kernels():
    x = np.arange(64, dtype=np.float32)
    report = emulate(mirror, 1, 64, x)
    assert (x == np.arange(63, -1, -1)).all()
    assert (report.barriers, report.shared_requests, report.bank_conflicts) == (1, 4, 0)
    y = np.zeros(2, np.float32)
    emulate(warp_sum, 1, 64, x, y)
    assert y.tolist() == [x[:32].sum(), x[32:].sum()]
    emulate(two_arrays_on_one_line, 1, 1, y)
    assert y[0] == 21


def test_votes_and_atomics_in_python():
    x = np.array([0.1, 0.9, 0.8, 0.2], np.float32)
    y = np.zeros(5, np.int64)
    emulate(count_large, 1, 4, x, y)
    assert y.tolist() == [2, 2, 2, 2, 2]


def test_python_and_cpp_kernels_have_the_same_costs():
    def transpose(x, y):
        tile = cuda.shared.array((32, 32), float32)
        c, r = cuda.threadIdx.x, cuda.threadIdx.y
        tile[r, c] = x[r, c]
        cuda.syncthreads()
        y[r, c] = tile[c, r]

    x, y = rows(shape=(32, 32))
    python = emulate(transpose, 1, (32, 32), x, y)
    assert (y == x.T).all()
    cpp = emulate((TRANSPOSE, "transpose"), 1, (32, 32), x, y, defines={"PITCH": 32})
    for name in ("barriers", "sectors", "ideal_sectors", "bank_conflicts", "shared_requests",
                 "global_reads", "global_writes", "uncoalesced", "divergence"):  # fmt: skip
        assert getattr(python, name) == getattr(cpp, name), name


def test_a_jitted_kernel_and_its_device_functions_are_run_as_python():
    @cuda.jit(device=True)
    def square(v):
        return v * v + cuda.threadIdx.x * 0

    @cuda.jit
    def kernel(x):
        i = cuda.grid(1)
        x[i] = math.sqrt(square(x[i]))

    x = -np.arange(8, dtype=np.float32)
    emulate(kernel, 1, 8, x)
    assert (x == np.arange(8)).all()
