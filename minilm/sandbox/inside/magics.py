"""A cell as IPython would run it, and the names that a notebook has without importing them.

IPython's own parser decides what is a magic: a `%`, `!` or `?` inside a text or an expression is
none. The sandbox does not see IPython, so its kit holds the two files of the parser
(`copy_parser`), and they are read before the first line of a student's.
"""

import importlib
import importlib.util
import re
import shutil
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

PARSER = Path(__file__).parent / "parser"  # in a kit only
FILES = ("core/inputtransformer2.py", "utils/tokenutil.py")
RUNS_ITS_BODY = ("time", "timeit", "capture", "prun")  # cell magics around ordinary code
_BLANK = re.compile(r"(?:[ \t]*\n)*")
_CELL_MAGIC = re.compile(r"\s*%%(\w+)[^\n]*")


def copy_parser(folder: Path) -> None:
    """Put IPython's parser into a kit, where there is one."""
    found = importlib.util.find_spec("IPython")
    if found is None or found.origin is None:
        return
    for name in FILES:
        source = Path(found.origin).parent / name
        if source.is_file():
            (folder / "parser" / "IPython" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder / "parser" / "IPython" / name)
    for package in (folder / "parser" / "IPython", *(folder / "parser" / "IPython").glob("*/")):
        if package.is_dir():
            (package / "__init__.py").touch()


@cache
def _parser() -> Any:
    """IPython's `TransformerManager`, or None where there is no IPython."""
    own = PARSER.is_dir()
    if own:
        sys.path.insert(0, str(PARSER))
    try:
        return importlib.import_module("IPython.core.inputtransformer2").TransformerManager()
    except (ImportError, AttributeError):
        return None
    finally:
        if own:
            sys.path.remove(str(PARSER))
            for name in [name for name in sys.modules if name.split(".")[0] == "IPython"]:
                del sys.modules[name]  # `import IPython` is the fake's business again


if PARSER.is_dir():
    _parser()


def plain_python(source: str) -> str:
    """A cell's text in Python: a magic becomes a call of `get_ipython()`.

    A cell magic that runs ordinary code, such as %%time, gives way to this code; any other takes
    its cell with it.
    """
    above = 0  # lines that go; blank ones take their place, so that an error names the right line
    while magic := _CELL_MAGIC.match(source):
        if magic[1] not in RUNS_ITS_BODY:
            return ""
        above += magic[0].count("\n")
        source = source[magic.end() :]
    blank = _BLANK.match(source).end()
    above, source = above + source.count("\n", 0, blank), source[blank:]
    parser = _parser()
    with suppress(SyntaxError, RuntimeError, ValueError):  # what IPython could not run either
        source = parser.transform_cell(source) if parser is not None else source
    return "\n" * above + source


class Shell:
    """What `get_ipython()` gives while grading: magics and commands do nothing, %time runs."""

    def __init__(self, names: dict[str, Any]) -> None:
        self.user_ns = names

    def run_line_magic(self, name: str, line: str, *rest: Any) -> Any:
        if name != "time" or not line.strip():
            return None
        try:
            code = compile(line.strip(), "<cell time>", "eval")
        except SyntaxError:
            exec(compile(plain_python(line), "<cell time>", "exec"), self.user_ns)
            return None
        return eval(code, self.user_ns)

    def getoutput(self, *args: Any, **named: Any) -> list[str]:
        return []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **named: None


def notebook_names(names: dict[str, Any]) -> dict[str, Any]:
    """What every notebook defines before its first cell."""
    shell = Shell(names)
    return {
        "get_ipython": lambda: shell,
        "display": lambda *args, **named: None,
        "In": [""],
        "Out": {},
        **dict.fromkeys(("_", "__", "___", "_i", "_ii", "_iii"), ""),
        **dict.fromkeys(("exit", "quit"), lambda *args: None),
    }
