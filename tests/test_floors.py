"""The floors of the house: no import points up, and no two parts of a floor import each other.

Every import counts, also one inside a function; only those under `if TYPE_CHECKING:` do not.
`minilm/__init__.py` is the front door, which shows every floor, so only the top floors may use it.
"""

import ast
from pathlib import Path

import pytest

import minilm

PACKAGE = Path(minilm.__file__).parent

# From the ground up. A part may import from lower floors and, one way, from its own.
FLOORS = (
    ("errors", "interrupt"),
    ("backend", "files"),
    ("emulator",),  # runs CUDA source given to it, so that kernels can be launched without a GPU
    ("sandbox",),  # runs code that nobody trusts, for the grader and for pass@k
    ("kernels",),
    ("tape",),
    ("tensor", "tokenizers"),
    ("functional", "data"),
    ("swap",),
    ("nn", "optim"),
    ("models",),
    ("analysis",),
    ("parallel", "vision", "inference", "interop", "explicit", "lamp"),
    ("train", "diffusion"),
    ("align",),
    ("studies",),
    ("course",),
    ("bench",),
    ("cli", "commands", "__main__"),
)
HEIGHT = {part: height for height, floor in enumerate(FLOORS) for part in floor}
FRONT_DOOR = "__init__"
MAY_USE_IT = {"course", "bench", "cli", "commands", "__main__"}
MAY_USE_IT |= {"swap"}  # minilm.use looks through the whole house for the name it replaces


def part_of(path: Path) -> str:
    """The part of the house that a file belongs to: minilm/nn/linear.py -> nn."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def is_part(name: str) -> bool:
    return (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()


def imported_parts(source: str, module: str) -> set[str]:
    """The parts of minilm that a module imports; `module` is its dotted name, with __init__."""
    found = set()
    for node in walk_run_time(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:  # relative: counted from the package that holds this module
                above = module.split(".")[: -node.level]
                base = ".".join([*above, base]).rstrip(".")
            names = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            head, *rest = name.split(".")
            if head == "minilm":
                found.add(rest[0] if rest and is_part(rest[0]) else FRONT_DOOR)
    return found


def walk_run_time(node: ast.AST):
    """Every node below, except in the bodies of `if TYPE_CHECKING:`."""
    for child in ast.iter_child_nodes(node):
        yield child
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield other
                yield from walk_run_time(other)
        else:
            yield from walk_run_time(child)


def imports() -> dict[str, dict[str, list[str]]]:
    """part -> part that it imports -> the files that do."""
    table: dict[str, dict[str, list[str]]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        part = part_of(path)
        if part == FRONT_DOOR:
            continue
        module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for other in imported_parts(path.read_text(encoding="utf-8"), module):
            if other != part:
                file = path.relative_to(PACKAGE.parent).as_posix()
                table.setdefault(part, {}).setdefault(other, []).append(file)
    return table


def test_every_part_has_a_floor() -> None:
    parts = {part_of(path) for path in PACKAGE.rglob("*.py")} - {FRONT_DOOR}
    assert parts <= HEIGHT.keys(), f"give it a floor here: {sorted(parts - HEIGHT.keys())}"


def test_no_import_points_up() -> None:
    wrong = [
        f"{file} imports minilm{'' if other == FRONT_DOOR else '.' + other}"
        for part, others in imports().items()
        for other, files in others.items()
        for file in files
        if (part not in MAY_USE_IT if other == FRONT_DOOR else HEIGHT[part] < HEIGHT[other])
    ]
    assert not wrong, "\n".join(wrong)


def test_no_two_parts_import_each_other() -> None:
    table = imports()
    pairs = [
        f"{part} <-> {other}: {files + table[other][part]}"
        for part, others in table.items()
        for other, files in others.items()
        if part < other and part in table.get(other, {})
    ]
    assert not pairs, "\n".join(pairs)


# Files that may import each other: a device and the arrays that report to it.
ALLOWED_CIRCLES = {("minilm.emulator.device", "minilm.emulator.traced")}


def imported_files(path: Path) -> set[str]:
    """The modules of minilm that a file imports anywhere, also under `if TYPE_CHECKING:`."""
    module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".")[: -node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return found


def test_no_two_files_import_each_other() -> None:
    files = {
        ".".join(p.relative_to(PACKAGE.parent).with_suffix("").parts): imported_files(p)
        for p in sorted(PACKAGE.rglob("*.py"))
        if p.name != "__init__.py"
    }
    circles = {(a, b) for a in files for b in files[a] & files.keys() if a < b and a in files[b]}
    assert circles <= ALLOWED_CIRCLES, sorted(circles - ALLOWED_CIRCLES)


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("import minilm.nn.linear as l", {"nn"}),
        ("from minilm import functional as F, tensor", {"functional", "tensor"}),
        ("from minilm import use", {FRONT_DOOR}),
        ("import minilm", {FRONT_DOOR}),
        ("from ..nn import Linear", {"nn"}),
        ("from .. import nn", {"nn"}),
        ("from . import cpu", {"kernels"}),
        ("def f():\n    from minilm.cli import main", {"cli"}),
        ("if TYPE_CHECKING:\n    from minilm.cli import main\nelse:\n    import minilm.nn", {"nn"}),
        ("import numpy, minilm_other", set()),
    ],
)
def test_every_way_to_import_is_seen(source: str, parts: set[str]) -> None:
    assert imported_parts(source, "minilm.kernels.dispatch") == parts
