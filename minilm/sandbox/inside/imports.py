"""What a notebook may import: modules that it wrote itself, and the libraries of its set."""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import linecache
import sys
import types
from collections.abc import Sequence
from typing import Any


class Written(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Modules that cells wrote with `%%writefile name.py`; they are kept here and not on a disk."""

    def __init__(self) -> None:
        self.texts: dict[str, tuple[int, str]] = {}  # dotted name -> (cell, text)

    def write(self, cell: int, path: str, text: str, append: bool) -> bool:
        """Keep a module's text; False where the path is no module's."""
        parts = path.removeprefix("./").removesuffix(".py").split("/")
        if not path.endswith(".py") or not all(part.isidentifier() for part in parts):
            return False
        name = ".".join(parts).removesuffix(".__init__")
        before = self.texts.get(name, (cell, ""))[1] if append else ""
        self.texts[name] = (cell, before + text.rstrip("\n") + "\n")
        sys.modules.pop(name, None)  # written anew: imported anew
        return True

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        package = any(other.startswith(f"{name}.") for other in self.texts)
        if name not in self.texts and not package:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=package)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        cell, text = self.texts.get(module.__name__, (0, ""))
        file = f"<cell {cell}: {module.__name__}>"
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        exec(compile(text, file, "exec"), vars(module))


class Policy(importlib.abc.MetaPathFinder):
    """Refuses, in a sentence, what may not answer; stands before the finder of files.

    Args:
        tops: packages that are mounted.
        parts: dotted names of which only these parts are let in: ("scipy.optimize",).
    """

    def __init__(self, tops: Sequence[str], parts: Sequence[str]) -> None:
        self.tops = {*tops, "inside"}
        self.listed = [name for name in tops if not name.startswith("_")]
        self.parts = [tuple(part.split(".")[:2]) for part in parts if "." in part]
        self.within = {part[0] for part in self.parts}

    def preload(self) -> None:
        """Import the parts; what they need themselves comes with them, and nothing after it."""
        for part in self.parts:
            try:
                importlib.import_module(".".join(part))
            except ImportError:
                continue
        self.loaded = {name for name in sys.modules if name.split(".")[0] in self.within}

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        top, *rest = name.split(".")
        if top in sys.stdlib_module_names:
            return
        if top not in self.tops:
            raise ModuleNotFoundError(
                f"`{top}` is no library of this set and no module that a cell wrote (%%writefile "
                f"{top}.py); answers use {', '.join(self.listed)} and the standard library",
                name=name,
            )
        if top in self.within and rest and hasattr(self, "loaded"):
            if f"{top}.{rest[0]}" not in self.loaded:
                allowed = ", ".join(".".join(part) for part in self.parts)
                raise ModuleNotFoundError(
                    f"`{top}.{rest[0]}` is no library of this set; it lets in {allowed}", name=name
                )


def install(written: Written, tops: Sequence[str], parts: Sequence[str]) -> None:
    """Close the list of what can be imported."""
    policy = Policy(tops, parts)
    policy.preload()
    sys.meta_path[:0] = [written, policy]
