"""The folder that the sandbox sees: the worker, and a minilm without the answers.

An exercise that asks for `softmax` would be no exercise if `minilm.functional.softmax` could be
called, or its source read. So the copy of the package that submissions import has every function
asked for emptied: calling one says "write your own", and there is nothing left to read.
"""

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from minilm.sandbox.inside.magics import copy_parser

PACKAGE = Path(__file__).resolve().parents[1]
LEFT_OUT = {"commands", "course", "bench", "sandbox", "__pycache__"}
POISON = '''\
"""What is left of the functions that an exercise asks for."""


class WriteYourOwnError(Exception):
    """The package's own function was called where the student's was asked for."""


def empty(name):
    def write_your_own(*args, **named):
        raise WriteYourOwnError(name)

    return write_your_own
'''
COURSE = '''\
"""Checks, payoffs and figures do nothing while a submission is graded."""

from inside.fakes import Nothing

_nothing = Nothing()


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return _nothing
'''
SWAP = '''\
"""Running the model on a student's functions is for the notebook, not for the grader."""


class NotWhileGradingError(Exception):
    pass


class use:
    def __init__(self, **functions):
        pass

    def __enter__(self):
        raise NotWhileGradingError

    def __exit__(self, *error):
        pass


def used():
    return set()
'''
# compiling a kernel would cost every submission seconds, so the sandbox runs the plain formulas
REFERENCE = '\n_tier = use("reference")\n_tier.__enter__()\n'


def make_kit(folder: Path, poisoned: Iterable[str], package: Path = PACKAGE) -> Path:
    """Fill a folder with everything the sandbox may read beside Python and NumPy.

    Args:
        folder: where to write; made if missing.
        poisoned: public names to empty wherever the package defines them, `Class.method` too.
        package: the source of minilm.
    """
    names = set(poisoned)
    shutil.copytree(
        PACKAGE / "sandbox" / "inside", folder / "inside", ignore=lambda *_: {"__pycache__"}
    )
    shutil.move(folder / "inside" / "start.py", folder / "start.py")
    copy_parser(folder / "inside")
    target = folder / "minilm"
    for source in sorted(package.rglob("*.py")):
        path = source.relative_to(package)
        if path.parts[0] in LEFT_OUT:
            continue
        text = empty_functions(source.read_text(encoding="utf-8"), names, path)
        if path.as_posix() == "kernels/__init__.py":
            text += REFERENCE
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_text(text, encoding="utf-8")
    (target / "poisoned.py").write_text(POISON)
    (target / "swap.py").write_text(SWAP)
    (target / "course").mkdir(exist_ok=True)
    (target / "course" / "__init__.py").write_text(COURSE)
    _warm(folder)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


def _warm(folder: Path) -> None:
    """Import the kit once, so that its byte code is there for every worker; it may also fail."""
    line = "import sys; sys.path[:0] = sys.argv[1:]; import inside.worker, minilm, minilm.nn"
    command = [sys.executable, "-I", "-S", "-c", line, str(folder), *site_folders()]
    subprocess.run(command, capture_output=True, check=False, timeout=60)


def site_folders() -> list[str]:
    """The folders that NumPy and its like are imported from."""
    found = [p for p in sys.path if p and Path(p).name in ("site-packages", "dist-packages")]
    numpy = str(Path(np.__file__).parents[1])
    return list(dict.fromkeys(p for p in [numpy, *found] if Path(p).is_dir()))


def empty_functions(text: str, names: set[str], path: Path) -> str:
    """A module's source with the functions and classes of these names emptied.

    In a module or folder that carries one of the names (kernels/softmax/cpu.py), everything is.
    """
    whole = next((part for part in (*path.parts[:-1], path.stem) if part in names), None)
    dotted = {name for name in names if "." in name}
    if not whole and not any(name.split(".")[-1] in text for name in names):
        return text
    tree = ast.parse(text)
    changed = False
    for index, node in enumerate(tree.body):
        if isinstance(node, ast.ClassDef):
            methods = {name.split(".")[1] for name in dotted if name.split(".")[0] == node.name}
            if whole or node.name in names or methods:
                _empty_class(node, None if whole or node.name in names else methods)
                changed = True
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if whole or node.name in names:
                node.body = _raise(whole or node.name)
                changed = True
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            named = [t.id for t in targets if isinstance(t, ast.Name) and t.id in names]
            if named and node.value is not None:
                made = f"{named[0]} = __import__('minilm.poisoned', fromlist=['empty'])"
                tree.body[index] = ast.parse(f"{made}.empty({named[0]!r})").body[0]
                changed = True
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n" if changed else text


def _raise(name: str) -> list[ast.stmt]:
    return ast.parse(
        f"from minilm.poisoned import WriteYourOwnError\nraise WriteYourOwnError({name!r})"
    ).body


def _empty_class(node: ast.ClassDef, methods: set[str] | None) -> None:
    """Empty some methods of a class, or all; a class without any gets one that refuses."""
    found = False
    for inner in node.body:
        if isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if methods is None or inner.name in methods:
                inner.body, found = _raise(node.name), True
    if not found and methods is None:
        init = ast.parse("def __init__(self, *args, **named): pass").body[0]
        init.body = _raise(node.name)
        node.body.append(init)
