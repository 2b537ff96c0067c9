"""What a machine may refuse: folders, caches, processors. A sentence each, and no traceback."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import minilm
from minilm import cli, errors
from minilm.backend.machine import cores, quota
from minilm.errors import InputError
from minilm.files import make_folder, try_folder

ROOT = Path(minilm.__file__).parent
LONG = "x" * 300


# --- folders --------------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "afile").touch()
    (tmp_path / "text.txt").write_text("hello world, hello there. " * 400)
    return tmp_path


BAD = ["afile", "afile/sub", "/proc/nowhere", LONG]
COMMANDS = [
    "train --text text.txt --steps 1 --config nano --out {}",
    "train --resume {}",
    "train --text {}",
    "train --config {}",
    "slides 00 --out {}",
    "site --out {}",
    "run 00 --keep {}",
    "grade . --out {}",
    "grade . --hidden {}",
    "generate {}",
    "info {}",
    "lab --lessons {}",
    "progress --root {}",
    "build --root {}",
    "bench --json {}/rows.json",
]


@pytest.mark.parametrize("path", BAD, ids=lambda path: path[:12])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_path_that_cannot_be_used_is_a_sentence(
    command: str, path: str, here: Path, capsys: pytest.CaptureFixture
) -> None:
    """The course is found from the package; nothing of it is run or written."""
    assert cli.main(command.format(path).split()) == cli.MISTAKE
    said = capsys.readouterr().err
    assert all(line.startswith("minilm: ") for line in said.splitlines())
    assert sorted(p.name for p in here.iterdir()) == ["afile", "text.txt"]


def test_a_folder_is_made_or_refused(here: Path) -> None:
    assert make_folder("new/deep").is_dir()
    assert list((here / "new" / "deep").iterdir()) == []
    with pytest.raises(InputError, match=r"--out is 'afile'; .* \(it is a file\)"):
        make_folder("afile", "--out")


@pytest.mark.parametrize("path", BAD, ids=lambda path: path[:12])
def test_out_is_tried_before_kernels_are_compiled(
    path: str, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    from minilm.train import warm

    monkeypatch.setattr(warm, "compiling", lambda *_: pytest.fail("kernels were compiled"))
    assert cli.main(["train", "--text", "text.txt", "--out", path]) == cli.MISTAKE
    assert capsys.readouterr().err.startswith(f"minilm: --out is {path!r}; it must be a folder")
    assert sorted(p.name for p in here.iterdir()) == ["afile", "text.txt"]


def test_a_folder_that_was_tried_is_gone(here: Path) -> None:
    (here / "old").mkdir()
    try_folder("new/deep"), try_folder("old")
    assert sorted(p.name for p in here.iterdir()) == ["afile", "old", "text.txt"]
    with pytest.raises(InputError, match="--out is 'new/"):
        try_folder(f"new/{LONG}", "--out")
    assert not (here / "new").exists()


# --- Numba ----------------------------------------------------------------------------------------


def run(code: str, **environment: str) -> subprocess.CompletedProcess:
    import os

    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT.parent), **environment},
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_without_a_folder_for_its_cache_a_kernel_is_compiled_anew() -> None:
    """A read-only package and no home: Numba finds no place, and says so with an exception."""
    done = run(
        "from numba.core import caching\n"
        "caching.CacheImpl._locator_classes = []\n"
        "from minilm.kernels.numba_tools.jit import jit\n"
        "@jit\ndef twice(x):\n    return 2 * x\nprint(twice(4))"
    )
    assert done.stdout == "8\n", done.stderr
    assert "set NUMBA_CACHE_DIR to a folder that can be written" in done.stderr


def test_without_the_compiler_the_formulas_still_run() -> None:
    code = (
        "import numpy as np, minilm.kernels\nfrom minilm import Tensor\n"
        "from minilm.functional import softmax\n"
        "x = Tensor(np.zeros((2, 4), np.float32))\n"
        "with minilm.kernels.use('reference'):\n    print(softmax(x).data[0, 0])\n"
        "try:\n    softmax(x)\nexcept minilm.InputError as error:\n    print(error)\n"
    )
    done = run(code, NUMBA_DISABLE_JIT="1")
    first, second = done.stdout.splitlines()
    assert first == "0.25" and second.startswith("NUMBA_DISABLE_JIT is set; "), done.stderr


# --- processors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "own", "limit"),
    [
        ({}, "/", None),
        ({"cpu.max": "max 100000"}, "/", None),
        ({"cpu.max": "150000 100000"}, "/", 1.5),
        ({"a/cpu.max": "400000 100000", "a/b/cpu.max": "max 100000"}, "/a/b", 4),
        ({"a/cpu.max": "200000 100000", "a/b/cpu.max": "300000 100000"}, "/a/b", 2),
        ({"cpu.max": "100000 100000"}, "/not/seen/from/here", 1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, "/", None),
        ({"cpu/x/cpu.cfs_quota_us": "50000", "cpu/x/cpu.cfs_period_us": "100000"}, "/x", 0.5),
        ({"cpu.max": "nonsense"}, "/", None),
        ({"cpu.max": "1 0"}, "/", None),
    ],
)
def test_the_quota_of_a_control_group(files: dict, own: str, limit, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert quota(tmp_path, own) == limit


def test_threads_default_to_what_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    from minilm.backend import machine

    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    for limit, count in ((None, 8), (1.5, 1), (0.2, 1), (3, 3), (64, 8)):
        monkeypatch.setattr(machine, "quota", lambda *_, limit=limit: limit)
        assert cores() == count
    one = (
        "import os\nos.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from minilm import backend\nprint(backend.threads())"
    )
    if hasattr(machine.os, "sched_setaffinity"):
        assert run(one).stdout == "1\n"


# --- missing parts --------------------------------------------------------------------------------


def test_a_clone_is_installed_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT.parent)
    assert errors.install("cuda12") == "pip install -e '.[cuda12]'"
    monkeypatch.chdir(tmp_path)
    assert errors.install("cuda12") == f"pip install -e '.[cuda12]' in {ROOT.parent}"
    monkeypatch.setattr(
        errors, "__file__", str(tmp_path / "site-packages" / "minilm" / "errors.py")
    )
    assert errors.install("cuda12") == "pip install 'minilm[cuda12]'"


def test_no_error_names_a_command_of_its_own() -> None:
    """`errors.install` knows what works; of other packages the plain name does."""
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            text = node.value if isinstance(node, ast.Constant) else None
            if isinstance(text, str) and path.name != "errors.py":
                assert "minilm[" not in text and "pip install -e" not in text, path


# --- numbers that NumPy lacks ---------------------------------------------------------------------


@pytest.mark.parametrize("loaded", ["", "import ml_dtypes\n"])
@pytest.mark.parametrize("kind", ["F8_E4M3", "F8_E5M2"])
def test_float8_weights_are_refused_by_name(kind: str, loaded: str, tmp_path: Path) -> None:
    head = f'{{"w":{{"dtype":"{kind}","shape":[4],"data_offsets":[0,4]}}}}'.encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(head).to_bytes(8, "little") + head + bytes(4))
    done = run(
        loaded + "from pathlib import Path\nfrom minilm.errors import InputError\n"
        "from minilm.interop.safetensors import read_safetensors\n"
        "from minilm.train.checkpoints import load_arrays\n"
        "for read in (read_safetensors, load_arrays):\n"
        f"    try:\n        read(Path({str(path)!r}))\n"
        "    except InputError as error:\n        print(error)\n"
    )
    said = done.stdout.splitlines()
    assert len(said) == 2 and all(str(path) in line for line in said), done.stderr
    assert f"holds 'w' as {kind}; it must be one of F64, F32" in said[0]
