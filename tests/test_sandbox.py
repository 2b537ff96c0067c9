"""What a worker behind the wall can import, see and write."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from minilm.errors import InputError
from minilm.sandbox import libraries
from minilm.sandbox.choice import choose
from minilm.sandbox.kit import make_kit
from minilm.sandbox.places import Place
from minilm.sandbox.session import Session
from minilm.sandbox.walls import Isolation, Limits, opened, site_folders

SECONDS = 20.0


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sandbox")
    folder.chmod(0o755)
    return make_kit(folder / "kit")


@pytest.fixture(scope="module")
def wall(kit: Path) -> Isolation:
    return choose(kit)


def run(kit: Path, wall: Isolation, cells: list[str], allowed: tuple[str, ...] = ()) -> list[str]:
    """What a worker reports about these cells."""
    worker = Session(wall, kit, Limits(seconds=SECONDS), allowed)
    worker.start()
    try:
        worker.allow(SECONDS)
        texts = [[number, text, "full"] for number, text in enumerate(cells)]
        worker.send({"given": [], "cells": texts})
        while True:
            message, _ = worker.receive()
            if "ready" in message:
                return [text for _, text in message["ready"]]
    finally:
        worker.close()


# --- what may answer ---


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("import scipy", "`scipy` is no library of this set"),
        ("from scipy.special import softmax", "answers use numpy and the standard library"),
        ("import numba", "`numba` is no library of this set"),
        ("import helpers", "%%writefile helpers.py"),
        ("import torch", "`torch` is no library of this set"),
    ],
)
def test_other_libraries_are_refused_by_name(
    kit: Path, wall: Isolation, line: str, said: str
) -> None:
    (text,) = run(kit, wall, [line])
    assert said in text


def test_a_set_may_let_libraries_in(kit: Path, wall: Isolation) -> None:
    cells = [
        "from scipy.optimize import least_squares\nimport scipy.optimize",
        "import scipy.stats",
    ]
    (text,) = run(kit, wall, cells, ("scipy.optimize",))
    assert "`scipy.stats` is no library of this set; it lets in scipy.optimize" in text
    assert (
        run(kit, wall, ["from numba import cuda, njit\n@njit\ndef f(x): return x"], ("numba",))
        == []
    )


def test_what_a_set_names_is_looked_through() -> None:
    assert libraries.refuse_unknown(("numba", "scipy.optimize")) == ("numba", "scipy.optimize")
    for names in (("torch",), ("minilm",), (3,)):
        with pytest.raises(InputError, match="LIBRARIES has"):
            libraries.refuse_unknown(names)


@pytest.mark.parametrize(
    "cell",
    [
        "import minilm\nfrom minilm.course import check, payoff, bars\ncheck('softmax')",
        "from minilm.models import Config, Transformer, gpt2\nimport minilm.nn as nn",
        "@payoff('x')\ndef shown():\n    raise SystemExit",
        "model = gpt2('tiny')\nloss = model(3).mean()\nfor x in loss: print(x)",
        "with minilm.use(softmax=3):\n    1 / 0",
        "class Mine(minilm.nn.Module):\n    def __init__(self): super().__init__()\nMine()",
        "def f(x: minilm.Tensor | None, y: 'list[minilm.Tensor]') -> minilm.Tensor: return x",
        "assert not isinstance(3, minilm.Tensor)",
        "try:\n    raise minilm.InputError('no')\nexcept ValueError: pass",
    ],
)
def test_what_honest_cells_do_with_minilm_needs_no_remark(
    kit: Path, wall: Isolation, cell: str
) -> None:
    head = (
        "import minilm\nfrom minilm.course import payoff\nfrom minilm.models import gpt2\nids = [1]"
    )
    assert run(kit, wall, [head, cell]) == []


def test_nothing_of_minilm_can_be_used(kit: Path, wall: Isolation) -> None:
    uses = [
        "minilm.functional.softmax(1)",
        "minilm.tensor(1) + 1",
        "minilm.nn.x[0]",
        "len(minilm.x)",
    ]
    uses += ["np.exp(minilm.x)", "np.asarray(minilm.x)", "float(minilm.x)", "list(minilm.x)"]
    uses += ["1 @ minilm.x", "bool(minilm.x)", "minilm.functional.softmax.arrays(1)"]
    body = "".join(
        f"try:\n    {use}\n    raise SystemExit({use!r})\n"
        "except Exception as error: assert type(error).__name__ == 'WriteYourOwnError', error\n"
        for use in uses
    )
    assert run(kit, wall, ["import minilm, numpy as np", body]) == []
    look = (
        "import os, sys\nfound = [f for p in sys.path if os.path.isdir(p) for f in os.listdir(p)]"
    )
    assert run(kit, wall, [look, "assert 'minilm' not in found, found"]) == []


# --- what is mounted ---


def test_only_listed_packages_are_there(kit: Path, wall: Isolation) -> None:
    look = (
        "import glob, os, sys\n"
        "places = ['/usr', '/usr/local', sys.base_prefix]\n"
        "places = [f'{p}/lib/python3*' for p in places]\n"
        "places = [f'{p}/{kind}-packages' for p in places for kind in ('site', 'dist')]\n"
        "places = [p for place in places for p in glob.glob(place)] + sys.path\n"
        "seen = {n for p in places if p.endswith('-packages') and os.path.isdir(p)\n"
        "        for n in os.listdir(p)}\n"
        "assert seen <= {'numpy', 'numpy.libs'}, seen"
    )
    assert run(kit, wall, [look]) == []


def make_tree(root: Path) -> list[str]:
    for name in ("lib/python3.11/site-packages/minilm", "lib/python3/dist-packages/torch"):
        (root / name).mkdir(parents=True)
        (root / name / "__init__.py").touch()
    (root / "lib" / "python3.11" / "os.py").touch()
    (root / "lib" / "libc.so").touch()
    return site_folders([str(root / "lib")])


def test_the_folders_of_packages_are_found_and_left_out(tmp_path: Path) -> None:
    sites = make_tree(tmp_path)
    assert {Path(p).name for p in sites} == {"site-packages", "dist-packages"}
    read, listed = opened(str(tmp_path / "lib"), sites)
    readable = {str(p) for one in read for p in (Path(one), *Path(one).rglob("*"))}
    assert str(tmp_path / "lib/python3.11/os.py") in readable
    assert str(tmp_path / "lib/libc.so") in readable
    assert not any("-packages" in path for path in [*readable, *listed])


def test_a_worker_has_few_files_and_no_locks(kit: Path, wall: Isolation) -> None:
    fill = (
        "import os, fcntl\nmade = 0\ntry:\n    for made in range(10**6):\n"
        "        os.close(os.open(f'/tmp/{made}', os.O_CREAT | os.O_WRONLY))\n"
        "except OSError: pass\nassert made <= 1000, made"
    )
    lock = (
        "import numpy\nwith open(numpy.__file__) as file:\n"
        "    for lock in (fcntl.flock, fcntl.lockf):\n        try:\n"
        "            lock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)\n        except OSError: continue\n"
        "        raise SystemExit(lock.__name__)"
    )
    assert run(kit, wall, [fill, lock]) == []


# --- the same everywhere ---


def test_the_order_of_sets_is_the_same_in_every_run(kit: Path, wall: Isolation) -> None:
    text = "print(list({'rope', 'rms', 'swiglu', 'adamw', 'softmax'}))"
    plain = {"PYTHONHASHSEED": "0", "PATH": os.environ["PATH"]}
    order = subprocess.run([sys.executable, "-c", text], env=plain, capture_output=True, text=True)
    found = text.removeprefix("print(").removesuffix(")")
    assert run(kit, wall, [f"found = {found}\nassert found == {order.stdout.strip()}, found"]) == []


def test_no_two_workers_are_the_same_user(kit: Path, wall: Isolation) -> None:
    code = "import sys; from minilm.sandbox.places import Place\n"
    code += "places = [Place() for _ in range(3)]; print(*[p.number for p in places], flush=True)\n"
    code += "sys.stdin.read()"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    other = subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, env=env, text=True)
    try:
        theirs = [int(number) for number in other.stdout.readline().split()]
        places = [Place() for _ in range(200)]
        ours = [place.number for place in places]
        assert len({*theirs, *ours}) == 203
    finally:
        other.stdin.close()
        other.wait()
    for place in places:
        place.close()


def test_modules_that_cells_write_can_be_imported(kit: Path, wall: Isolation) -> None:
    cells = [
        "from norms import scale\nassert scale(3) == 6",  # run once more when all cells have run
        "%%writefile norms.py\nFACTOR = 2\ndef scale(x):\n    return FACTOR * x",
        "%%writefile -a norms.py\nSHIFT = 1",
        "import norms\nassert norms.SHIFT == 1",
        "%%file tools/pairs.py\ndef pair(): return 7",
        "from tools.pairs import pair\nassert pair() == 7",
    ]
    assert run(kit, wall, cells) == []
    (text,) = run(kit, wall, ["%%writefile ../secrets.txt\nx"])
    assert "no file can be written here: ../secrets.txt" in text
