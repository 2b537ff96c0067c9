"""CUDA kernels as answers: what is a kernel, what the emulator says, and that counts are earned."""

from pathlib import Path

import numpy as np
import pytest

from course.grading import points
from minilm.course.build import notebook as nb
from minilm.course.checking import kernel_answers
from minilm.course.checking.expect import Wrong
from minilm.course.checking.kernel_answers import Run, launch
from minilm.course.checking.kernel_rules import RuleError, read
from minilm.course.checking.student import LocalChannel, Student, StudentError
from minilm.course.grade.results import Grade
from minilm.course.grade.run import grade_paths
from minilm.course.places import Course
from minilm.sandbox.inside.cells import FULL, Notebook

HEAD = "import math\nimport numpy as np\nfrom numba import cuda, float32\n"


def student_of(text: str, head: str = HEAD) -> Student:
    """A student whose notebook holds these two cells."""
    notebook = Notebook()
    for number, cell in enumerate((head, text)):
        notebook.run(number, cell, FULL)
    assert not notebook.errors
    return Student(LocalChannel(notebook.names))


def kernel(body: str, before: str = "") -> str:
    lines = "\n".join("    " + line for line in body.split("\n"))
    return f"{before}\n@cuda.jit\ndef twice(x, y):\n    i = cuda.grid(1)\n{lines}\n"


def run_of(body: str, before: str = "", threads: int = 64, **how: object) -> Run:
    x = np.arange(threads, dtype=np.float32)
    student = student_of(kernel(body, before))
    return launch(student, "twice", 1, threads, x, np.full_like(x, np.nan), **how)


def fault_of(body: str, before: str = "", threads: int = 64) -> Wrong:
    with pytest.raises(Wrong) as caught:
        run_of(body, before, threads)
    return caught.value


@pytest.mark.parametrize(
    ("body", "before"),
    [
        ("y[i] = 2 * x[i]", ""),
        ("y[i] = x[i] * TWO", "TWO = 2"),
        (
            "y[i] = doubled(x, i)",
            "@cuda.jit(device=True)\ndef doubled(x, i):\n    return x[i] + x[i]",
        ),
        ("for k in STEPS:\n    y[i] = float32(0)\ny[i] = x[i] * np.float32(2)", "STEPS = (1, 2)"),
        ("y[i] = root(4.0) * x[i] if i < x.size else 0.0", "from math import sqrt as root"),
        ("t, n = cuda.threadIdx, x.shape[0]\ny[t.x] = 2 * x[min(t.x, n - 1)]", ""),
        ("s = cuda.shared.array(64, dtype=float32)\ns[i] = x[i]\ny[i] = 2 * s[i]", ""),
        ("v = cuda.local.array(2, float32)\nv[:] = x[i]\ny[i] = v[0] + v[1]", ""),
        ("v = cuda.local.array((N, N + 1), float32)\nv[1, 2] = x[i]\ny[i] = 2 * v[1][2]", "N = 2"),
        ("steps = (1, 2)\nfor k in steps:\n    y[i] = 2 * x[i]", ""),
        ("for n in x.shape:\n    y[i] = 2 * x[i]", ""),
        ("y[i] = 2 * cuda.shfl_xor_sync(0xFFFFFFFF, x[i ^ 1], 1)", ""),
    ],
)
def test_what_numba_compiles_is_a_kernel(body: str, before: str) -> None:
    run = run_of(body, before)
    np.testing.assert_array_equal(run.arrays[1], 2 * run.arrays[0])
    assert run.counts["sectors"] >= 16 and run.counts["barriers"] == 0


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("import os", "cannot use an import"),
        ("y[i] = sum([x[i], x[i]])", "`sum` is nothing that a CUDA kernel can use"),
        ("y[i] = [x[i]][0]", "cannot use a list"),
        ("y[i] = np.exp(x[i])", "cannot use `np.exp`: write math.exp"),
        ("y[i] = math.factorial(99999)", "cannot use `math.factorial`"),
        ("y[i] = cuda.costs", "cannot use `cuda.costs`"),
        ("c = cuda\ny[i] = 0", "cannot use `cuda`"),
        ("y.device.costs = 0", "cannot use `.costs`"),
        ("y[i] = x.array[i]", "cannot use `.array`"),
        ("y[i] = __step__", "`__step__` is nothing"),
        ("__step__ = 1", "leave such names to Python"),
        ("y[i] = len('text')", "works with numbers only"),
        ("f = lambda v: v", "cannot use a lambda"),
        ("for v in x:\n    pass\nfor v in y[0]:\n    y[i] = v", "runs over range"),
        ("print(x[i])", "`print` is nothing"),
        ("y[i] = x @ x", "cannot use @"),
        ("cuda.warpsize = 1", "cannot set `cuda.warpsize`"),
        ("for cuda.warpsize in (1, 2):\n    pass", "cannot set `cuda.warpsize`"),
        ("cuda.blockDim.x += 1", "cannot set `cuda.blockDim.x`"),
        ("f = cuda.local.array", "`cuda.local.array` is a function: call it"),
        ("f = math.exp", "`math.exp` is a function: call it"),
        ("y[i] = (x[i], y)[1](3)", "by their names only"),
        ("v = cuda.local.array(i, float32)", "has a constant size"),
        ("v = cuda.shared.array(shape=(4, x.size), dtype=float32)", "has a constant size"),
        ("for v in x:\n    y[i] = v", "runs over range"),
        ("n = (1, 2)\nn = x\nfor v in n:\n    y[i] = v", "runs over range"),
        ("v = cuda.local.array(3, float32)\nfor w in v:\n    y[i] = w", "runs over range"),
        ("for v in cuda.threadIdx:\n    y[i] = v", "runs over range"),
    ],
)
def test_what_is_no_kernel_is_said_with_its_line(body: str, said: str) -> None:
    fault = fault_of(body)
    assert fault.kind == "kernel" and said in str(fault)
    assert "in the line `" in str(fault) or "leave such names" in said


def test_what_has_no_source_is_no_kernel() -> None:
    for text in ("twice = abs", "twice = 3", "class twice: pass", "twice = lambda x, y: None"):
        student = student_of(text)
        with pytest.raises((Wrong, StudentError), match="source|def|kernel is a function"):
            launch(student, "twice", 1, 1, np.zeros(1, np.float32), np.zeros(1, np.float32))


def test_a_stub_is_not_written_yet() -> None:
    student = student_of(kernel("").replace("i = cuda.grid(1)", "raise NotImplementedError"))
    with pytest.raises(StudentError) as caught:
        launch(student, "twice", 1, 1, np.zeros(1, np.float32), np.zeros(1, np.float32))
    assert caught.value.kind == "todo"


@pytest.mark.parametrize(
    ("body", "line", "said"),
    [
        ("y[i + 1] = x[i]", "y[i + 1] = x[i]", "out of bounds: index 64 of argument 1 (y)"),
        ("y[0] = x[i]", "y[0] = x[i]", "race: this thread writes element 0"),
        ("if i < 3:\n    cuda.syncthreads()", "cuda.syncthreads()", "had left the kernel"),
        (
            "s = cuda.shared.array(64, float32)\ns[i] = x[i]\ny[i] = s[63 - i]",
            "y[i] = s[63 - i]",
            "which no thread has written yet",
        ),
        ("s = cuda.shared.array((200, 200), float32)", "s = cuda", "a block has 49152"),
    ],
)
def test_the_emulator_names_kernel_thread_and_line(body: str, line: str, said: str) -> None:
    fault = fault_of(body)
    assert fault.kind == "kernel" and said in str(fault)
    assert str(fault).startswith("twice, block (0, 0, 0), thread (")
    assert f"in the line `{line}" in str(fault)
    lines = kernel(body).splitlines()
    number = next(n for n, text in enumerate(lines, 1) if text.strip().startswith(line))
    assert f"line {number}:" in str(fault)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("y[i] = x[True]", "index of argument 0 (x) is a bool"),
        ("y[i] = x[i > 3]", "index of argument 0 (x) is a bool"),
        ("y[i] = x[1.0]", "index of argument 0 (x) is a float"),
        ("y[i] = x[:][i]", "index of argument 0 (x) is a slice"),
        ("y[i] = x[None]", "index of argument 0 (x) is a NoneType"),
        ("cuda.atomic.add(y, True, x[i])", "index of argument 1 (y) is a bool"),
        ("s = cuda.shared.array((2, 32), float32)\ncuda.atomic.add(s, 0, x[i])", "one element"),
        (
            "v = cuda.local.array(4, float32)\nw = cuda.shfl_sync(-1, v, 0)\ny[i] = w[0]",
            "a shuffle got a LocalArray; it takes one number",
        ),
        ("y[i] = cuda.shfl_sync(-1, (x[i], x[i]), 0)[1]", "a shuffle got a tuple"),
        ("y[i] = cuda.shfl_down_sync(-1, x, 1)[i]", "a shuffle got a TracedArray"),
        ("v = cuda.local.array(4, float32)\nv[True] = x[i]", "of a local array of shape (4,)"),
        ("v = cuda.local.array(4, float32)\nw = v[1:3]", "of a local array of shape (4,)"),
        ("v = cuda.local.array(4, float32)\nv[4] = 0", "of a local array of shape (4,)"),
        ("v = cuda.local.array((4, 4), float32)\nv[1] = 0", "one element at a time"),
        ("v = cuda.local.array(4, float32)\nv[:] = v", "a local array got a LocalArray"),
        ("v = cuda.local.array(4, float32)\nv = v + v", "unsupported operand"),
        ("v = cuda.local.array(10**6, float32)", "a thread has 524288"),
    ],
)
def test_no_access_goes_uncounted(body: str, said: str) -> None:
    fault = fault_of(body, threads=64)
    assert fault.kind == "kernel" and said in str(fault)


def test_a_forged_program_is_small() -> None:
    text = ["def f():\n    pass\n", 1]
    forged = {"kernel": "f0", "functions": {f"f{n}": text for n in range(250)}, "names": {}}
    with pytest.raises(RuleError, match="at most 20 functions"):
        read(forged)


def test_an_endless_kernel_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_answers, "SECONDS", 0.3)
    assert fault_of("while x[0] == 0:\n    y[i] = 1", threads=1).kind == "time"


def test_costs_name_the_costly_line() -> None:
    run = run_of("y[i] = x[i * 8 % 64]")
    run.check_costs(barriers=0, bank_conflicts=0)
    with pytest.raises(
        Wrong, match=r"sectors of device memory, and 16 would do.*most of it in"
    ) as e:
        run.check_costs(sectors=16)
    assert e.value.kind == "cost"


# --- behind the wall ------------------------------------------------------------------------------

SET = """
import numpy as np
from minilm.course.checking.expect import close
from minilm.course.checking.kernel_answers import launch
from minilm.course.checking.questions import Question

LIBRARIES = ("numba",)
twice = Question("twice")
def run(student, rng):
    x = rng.standard_normal(64, dtype=np.float32)
    run = launch(student, "twice", 1, 64, x, np.full_like(x, np.nan))
    close(run.arrays[1], 2 * x)
    return run

@twice.test(points=1, cases=[{}])
def right(student, rng):
    run(student, rng)

@twice.test(points=2, cases=[{}])
def cheap(student, rng):
    run(student, rng).check_costs(sectors=16, barriers=0)
"""
GOOD = kernel("y[i] = 2 * x[i]")
DEAR = kernel("cuda.syncthreads()\ny[i] = 2 * x[i]")
EVIL = """
def forged(found):
    text = "def twice(x, y):\\n    i = cuda.grid(1)\\n    EVIL\\n"
    return {"kernel": "twice", "functions": {"twice": [text, 1]}, "names": {
        "cuda": ["module", "numba.cuda"], "math": ["module", "math"], "evil": ["type", "EVIL"]}}
import sys
sys.modules["inside.kernels"].gather = forged
"""
SUBMISSIONS = {
    "good": (3, [GOOD]),
    "dear": (1, [DEAR]),
    "patched counts": (
        1,
        [
            DEAR,
            "import minilm.emulator.costs as c, minilm.emulator.report as r\n"
            "c.Costs.fill = lambda *a: None\nr.Report.barriers = 0\n"
            "from minilm.emulator.device import Device\nDevice.syncthreads = lambda self: None",
        ],
    ),
    "patched launch": (
        1,
        [
            DEAR,
            "import sys\nk = sys.modules['inside.kernels']\n"
            "k.launch = lambda p, g, b, a, h: {'arrays': [a[0], 2 * a[0]], 'hot': [],"
            " 'counts': {'sectors': 0, 'barriers': 0}}",
        ],
    ),
    "forged source": (0, [EVIL.replace("EVIL", "y.device.costs = None")]),
    "forged import": (0, [EVIL.replace("EVIL", "__import__('os')._exit(0)")]),
    "source of another kind": (
        0,
        ["import sys\nsys.modules['inside.kernels'].gather = lambda f: [f, f]", GOOD],
    ),
    "endless": (0, [kernel("while True:\n    pass")]),
    "ever larger numbers": (0, [kernel("n = 3\nwhile n > 0:\n    n *= n\ny[i] = n")]),
    "much memory": (0, [kernel("v = cuda.local.array(10**11, float32)\ny[i] = 2 * x[i]")]),
}


@pytest.fixture(scope="module")
def grades(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Grade]:
    """All of these submissions, graded at once."""
    root = tmp_path_factory.mktemp("kernels")
    (root / "lessons" / "00_kernels").mkdir(parents=True)
    (root / "lessons" / "00_kernels" / "tests.py").write_text(SET, encoding="utf-8")
    (root / "secret.txt").write_text("a secret\n", encoding="utf-8")
    folder: Path = root / "in"
    folder.mkdir()
    for name, (_, cells) in SUBMISSIONS.items():
        made = [nb.make_cell("code", text) for text in (HEAD, *cells)]
        nb.write(folder / f"{name}.ipynb", nb.make_notebook(made, {}))
    found, _, _ = grade_paths(
        [folder],
        course=Course(root),
        hidden=root,
        out=root / "out",
        seconds=6.0,
        memory=1.0,
        jobs=3,
    )
    return {grade.submission.student: grade for grade in found}


@pytest.mark.parametrize("name", SUBMISSIONS)
def test_a_submission_earns_what_its_kernel_does(grades: dict[str, Grade], name: str) -> None:
    said = [str(test.public) for q in grades[name].questions for test in q.tests]
    assert points(grades[name])["twice"] == SUBMISSIONS[name][0], (said, grades[name].notes)
