"""One voice: how errors and docstrings are written, and shapes beside what reshapes.

The whole package is read with `ast`; nothing is imported.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "minilm"

# Tests of answers read as sentences: `expect.less(x, 3)`, `expect.true(...)`.
SENTENCES = {"less", "true"}
SHAPED = ("functional", "nn", "models", "inference")  # where reshaping lines show their shapes
RESHAPING = {"reshape", "transpose", "permute", "swapaxes"}
SECTIONS = ("Args", "Attributes", "Returns", "Yields", "Raises", "Example")  # in this order
ODD_SECTION = re.compile(
    r"(Arg|Arguments?|Param(eter)?s?|Return|Yield|Raise|Attribute|Examples|Exceptions?|Notes?):"
)
ENTRY = re.compile(r"[A-Z]\w+(, [A-Z]\w+)*: \S")  # of Raises: "InputError: when."


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0]


@cache
def sources() -> dict[Path, ast.Module]:
    """The files of the package."""
    files = sorted(PACKAGE.rglob("*.py"))
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in files}


def where(path: Path, line: int) -> str:
    return f"{path.relative_to(PACKAGE.parent).as_posix()}:{line}"


# --- errors -------------------------------------------------------------------------------------


def text_of(node: ast.expr) -> str | None:
    """A string as it is written, {} for what an f-string fills in; None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = (v.value if isinstance(v, ast.Constant) else "{}" for v in node.values)
        return "".join(map(str, parts))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = text_of(node.left), text_of(node.right)
        return None if left is None and right is None else f"{left or '{}'}{right or '{}'}"
    return None


def errors_in(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, text) of every error with a text: SomeError("...") and device.error("...")."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name == "error" or name.endswith("Error"):
            text = text_of(node.args[0])
            if text is not None:
                yield node.lineno, text


def faults_of_error(text: str) -> list[str]:
    """What is wrong with the text of an error.

    The rule comes after what was given, behind a semicolon or a colon: "dtype is int32; it must be
    float32 or float64".
    """
    faults = []
    if text.endswith(".") and not text.endswith("..."):
        faults.append("ends with a dot")
    first = re.split(r"[;:] ", text)[0]
    if re.search(r"\b(must|has to|have to|should)\b", first):
        faults.append("says what must be before what was given")
    if re.search(r"\b(must|allowed)\b.*, (but )?not \{\}", text):
        faults.append("says last what was given")
    if "\n" in text:
        faults.append("is more than one line")
    return faults


def test_errors_say_what_was_given_then_what_is_allowed() -> None:
    wrong = [
        f"{where(path, line)}: {text!r} {' and '.join(faults_of_error(text))}"
        for path, tree in sources().items()
        for line, text in errors_in(tree)
        if faults_of_error(text)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("dtype is {}; it must be float32 or float64", 0),
        ("device is {}; allowed are 'cpu', 'cuda:1', ...", 0),
        ("path {} is not a rank file: each line must be base64", 0),
        ("dtype must be float32 or float64, not {}", 2),
        ("length must be from 0 to {}, not {}.", 3),
        ("the cache holds {} positions; {} are needed.", 1),
        ("size must hold at least 3 different values", 1),
    ],
)
def test_faults_of_errors_are_found(text: str, faults: int) -> None:
    assert len(faults_of_error(text)) == faults


def test_every_way_to_write_an_error_is_read() -> None:
    source = (
        "raise InputError('a.')\nraise errors.InputError(f'b {x}.')\n"
        "raise device.error('c' + y + '.')\nerror = EmulatorError('d'\n 'e.', line=3)\n"
    )
    texts = [text for _, text in errors_in(ast.parse(source))]
    assert texts == ["a.", "b {}.", "c{}.", "de."]


# --- docstrings ---------------------------------------------------------------------------------


def docstrings_in(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, docstring) of a module, its classes and functions."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, kinds):
            text = ast.get_docstring(node)
            if text is not None:
                yield node.body[0].lineno, text


def faults_of_docstring(text: str) -> list[str]:
    """What is wrong with a docstring."""
    faults = []
    if "``" in text:
        faults.append("has double backticks")
    if re.search(r":\w+:`", text):
        faults.append("has a Sphinx role")
    found = []
    lines = text.splitlines()
    for number, line in enumerate(lines):
        name = line.strip().partition(":")[0].rstrip()
        if name in SECTIONS and line.strip().startswith(f"{name}:"):
            found.append(name)
            if line.strip() != f"{name}:":
                faults.append(f"has text beside {name}:")
            elif line != line.lstrip():
                faults.append(f"indents {name}:")
            elif name == "Raises":
                faults += faults_of_raises(lines[number + 1 :])
        elif ODD_SECTION.fullmatch(line.strip()):
            faults.append(f"has a section {line.strip()}")
    if found != [name for name in SECTIONS if name in found]:
        faults.append(f"has the sections {', '.join(found)} in this order")
    return faults


def faults_of_raises(lines: list[str]) -> list[str]:
    """What is wrong with the lines below `Raises:`: each entry is `    Error: when.`"""
    block: list[str] = []
    for line in lines:
        if line and not line.startswith("    "):
            break
        block.append(line)
    entries = [line[4:] for line in block if line.strip() and not line.startswith("     ")]
    if not entries:
        return ["has an empty Raises:"]
    faults = [f"does not name the error in {e!r}" for e in entries if not ENTRY.match(e)]
    last = "\n".join(block).rstrip()
    return faults if last.endswith(".") else [*faults, "does not end Raises: with a dot"]


def test_docstrings_are_of_one_dialect() -> None:
    wrong = [
        f"{where(path, line)}: {', '.join(faults_of_docstring(text))}"
        for path, tree in sources().items()
        for line, text in docstrings_in(tree)
        if faults_of_docstring(text)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("One.\n\nArgs:\n    x: it.\n\nReturns:\n    y.\n\nRaises:\n    InputError: when.", []),
        ("Two ``x``.", ["double backticks"]),
        ("Three :func:`x`.", ["Sphinx role"]),
        ("Four.\n\nRaises: InputError if so.", ["text beside Raises:"]),
        ("Five.\n\nRaises:\n    if so.", ["does not name the error"]),
        ("Six.\n\nRaises:\n    InputError: when\n        it is", ["does not end Raises:"]),
        ("Seven.\n\nReturns: y.", ["text beside Returns:"]),
        ("Eight.\n\nParameters:\n    x: it.", ["section Parameters:"]),
        ("Nine.\n\nReturns:\n    y.\n\nArgs:\n    x: it.", ["in this order"]),
        ("Ten.\n\nRaises:\n", ["empty Raises:"]),
    ],
)
def test_faults_of_docstrings_are_found(text: str, faults: list[str]) -> None:
    found = faults_of_docstring(text)
    assert len(found) == len(faults) and all(a in b for a, b in zip(faults, found)), found


def test_comments_have_single_backticks() -> None:
    wrong = [
        where(path, number)
        for path in sources()
        for number, text in comments(path.read_text(encoding="utf-8")).items()
        if "``" in text
    ]
    assert not wrong, "\n".join(wrong)


# --- names --------------------------------------------------------------------------------------


def checkers_in(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, name) of functions that do nothing but raise: they return, change and call nothing."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("__"):
            inside = [n for statement in node.body for n in ast.walk(statement)]
            changed = (ast.Return, ast.Yield, ast.YieldFrom, ast.Attribute, ast.Subscript)
            acts = [
                n
                for n in inside
                if isinstance(n, (ast.Return, ast.Yield, ast.YieldFrom, ast.With, ast.Try))
                or (isinstance(n, changed) and isinstance(getattr(n, "ctx", None), ast.Store))
                or (isinstance(n, ast.Expr) and isinstance(n.value, ast.Call))
                or (isinstance(n, ast.Call) and ast.unparse(n.func) == "subprocess.run")
            ]
            conditional = any(isinstance(n, (ast.If, ast.For, ast.While)) for n in node.body)
            if conditional and any(isinstance(n, ast.Raise) for n in inside) and not acts:
                yield node.lineno, node.name


def test_checkers_say_so() -> None:
    wrong = [
        f"{where(path, line)}: {name}"
        for path, tree in sources().items()
        for line, name in checkers_in(tree)
        if not re.match(r"_?(check|refuse)_", name) and name not in SENTENCES
    ]
    assert not wrong, "\n".join(wrong)


def test_a_checker_is_told_from_a_function_that_does_something() -> None:
    source = (
        "def known(x):\n    if x:\n        raise E('a')\n"
        "def both(x):\n    for y in x:\n        if y:\n            raise E('a')\n"
        "def value(x):\n    if x:\n        raise E('a')\n    return x\n"
        "def change(x):\n    if x:\n        raise E('a')\n    x.y = 1\n"
        "def missing(x):\n    raise NotImplementedError\n"
    )
    assert [name for _, name in checkers_in(ast.parse(source))] == ["known", "both"]


# --- shapes -------------------------------------------------------------------------------------


def comments(source: str) -> dict[int, str]:
    """Line -> its comment."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {t.start[0]: t.string for t in tokens if t.type == tokenize.COMMENT}


def unshaped_in(source: str) -> Iterator[tuple[int, str]]:
    """(line, method) of calls that reshape where no comment shows a shape.

    A shape is "->" or something in parentheses, in a comment on a line of the statement or on the
    line above it.
    """
    shape = re.compile(r"->|\(.+\)")
    shown = {line for line, text in comments(source).items() if shape.search(text)}
    statements = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.stmt)]
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or getattr(node.func, "attr", "") not in RESHAPING:
            continue
        line = node.func.end_lineno
        # The innermost statement around it; of one with a body, its head alone.
        spans = []
        for statement in statements:
            last = statement.end_lineno
            if hasattr(statement, "body"):
                last = statement.body[0].lineno - 1
            if statement.lineno <= line <= last:
                spans.append((last - statement.lineno, statement.lineno, last))
        _, first, last = min(spans)
        if not shown & set(range(first - 1, last + 1)):
            yield line, node.func.attr


def test_lines_that_reshape_show_the_shape() -> None:
    wrong = [
        f"{where(path, line)}: {method}"
        for path in sources()
        if part_of(path) in SHAPED
        for line, method in unshaped_in(path.read_text(encoding="utf-8"))
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("y = x.reshape(2, 3)  # (6,) -> (2, 3)", 0),
        ("# (6,) -> (2, 3)\ny = x.reshape(2, 3)", 0),
        ("y = x.reshape(2, 3)", 1),
        ("y = x.reshape(2, 3)  # two rows", 1),
        ("y = f(\n    x.transpose(0, 1),  # (T, B)\n)", 0),
        ("# (a)\nfor y in x:\n    z = y.swapaxes(0, 1)", 1),
        ("y = x.reshape(2, 3).transpose(1, 0)", 2),
    ],
)
def test_shapes_are_looked_for_beside_what_reshapes(source: str, found: int) -> None:
    assert len(list(unshaped_in(source))) == found
