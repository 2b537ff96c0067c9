"""The kernels of exercise set 0b, as its solution has them, compile for a real card."""

from pathlib import Path

import pytest

from minilm.course.build.notebook import source_of
from minilm.course.build.percent import read_percent
from minilm.course.build.sources import drop_marks
from minilm.course.places import Course
from minilm.sandbox.inside.cells import LEAN, Notebook

pytestmark = pytest.mark.nvrtc

SOLUTION = Course.here(Path(__file__)).named(["00b"])[0].questions
F1, F2, F3 = "float32[::1]", "float32[:,::1]", "float32[:,:,::1]"
SIGNATURES = {
    "transpose_tiles": f"void({F2}, {F2})",
    "row_sums": f"void({F2}, {F1})",
    "racy_sums": f"void({F2}, {F2})",
    "running_sums": f"void({F2}, {F2})",
    "online_softmax": f"void({F2}, {F2})",
    "tiled_matmul": f"void({F2}, {F2}, {F2})",
    "flash_forward": f"void({F3}, {F3}, {F3}, {F3}, float32, boolean)",
}


@pytest.fixture(scope="module")
def solved() -> Notebook:
    """The cells of the solution that import something or hold a kernel."""
    notebook = Notebook()
    for number, cell in enumerate(read_percent(SOLUTION)[0]):
        text = drop_marks(source_of(cell))
        if cell["cell_type"] == "code" and text.startswith(("import ", "@cuda.jit")):
            notebook.run(number, text, LEAN)
    return notebook


@pytest.mark.parametrize("name", SIGNATURES)
def test_it_compiles(solved: Notebook, name: str) -> None:
    from numba import cuda

    kernel = solved.find(name)
    ptx, _ = cuda.compile_ptx(kernel.py_func, SIGNATURES[name], cc=(9, 0))
    assert name in ptx and ".target sm_90" in ptx
    assert ".f64" not in ptx  # nothing slipped into double precision
