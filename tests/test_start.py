"""`import minilm` and `minilm` start at once: what is slow to import is not imported.

Facts of the import graph are asserted instead of seconds, which depend on the machine.
"""

import pkgutil
import subprocess
import sys

import pytest

import minilm

SLOW = ("numba", "llvmlite", "cupy", "torch", "matplotlib", "scipy", "nbconvert", "nbclient")
SLOW += ("jupytext", "nbformat", "sklearn", "IPython", "ipywidgets", "tqdm.notebook", "mpi4py")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a fresh Python and return what it printed."""
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=True, timeout=60
    )


def imported_by(code: str) -> set[str]:
    """Top-level and dotted names of the modules that a piece of code leaves imported."""
    return set(
        run("-c", f"{code}\nimport sys\nprint(*sys.modules, file=sys.stderr)").stderr.split()
    )


@pytest.mark.parametrize(
    "code",
    [
        "import minilm",
        "import minilm.cli",
        "import minilm.cli\nminilm.cli.main([])",
    ],
)
def test_slow_libraries_wait_until_they_are_used(code: str) -> None:
    assert not imported_by(code) & set(SLOW)


def test_import_time_lists_no_slow_library() -> None:
    listing = run("-X", "importtime", "-c", "import minilm").stderr
    names = {line.rsplit("|", 1)[1].strip().split(".")[0] for line in listing.splitlines()}
    assert "minilm" in names
    assert not names & set(SLOW)


def test_the_list_of_commands_imports_none_of_them() -> None:
    names = imported_by("import minilm.cli\nminilm.cli.main([])")
    assert not {name for name in names if name.startswith("minilm.commands.")}


def test_every_part_that_is_there_can_be_named_and_no_other() -> None:
    folders = {info.name for info in pkgutil.iter_modules(minilm.__path__) if info.ispkg}
    assert folders - {"commands"} <= set(dir(minilm))
    for name in dir(minilm):
        assert getattr(minilm, name) is not None
