"""A minilm without answers: every name is there, and using one says "write your own".

So a notebook may import what it likes for its payoffs, and an answer is made of the student's code.
"""

import importlib.abc
import importlib.machinery
import sys
import types
from typing import Any

from .fakes import Nothing

NAME = "minilm"
USES = (
    "call getitem setitem delitem len iter next contains enter exit bool int float complex index "
    "array array_ufunc array_function add radd sub rsub mul rmul truediv rtruediv floordiv "
    "rfloordiv mod rmod pow rpow matmul rmatmul and rand xor rxor lt le gt ge neg pos abs invert"
).split()


class WriteYourOwnError(Exception):
    """Something of the package was used where the student's own code was asked for."""


class InputError(ValueError):
    """The package's error, which an answer may raise."""


class Absent:
    """Something of minilm that is not here. It can be named, imported and inherited from."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return Absent(f"{self._path}.{name}")

    def __mro_entries__(self, bases: tuple) -> tuple:
        return ()

    def __instancecheck__(self, instance: Any) -> bool:
        return False

    def __subclasscheck__(self, kind: Any) -> bool:
        return False

    def __or__(self, other: Any) -> Any:  # of an annotation
        return self

    __ror__ = __or__

    def __repr__(self) -> str:
        return f"<minilm's {self._path} is not here>"


def _refuse(self: Absent, *args: Any, **named: Any) -> Any:
    raise WriteYourOwnError(self._path)


for _use in USES:
    setattr(Absent, f"__{_use}__", _refuse)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name.split(".")[0] != NAME:
            return None
        if name.startswith(f"{NAME}.course."):
            raise ModuleNotFoundError(f"`{name}` is not here while grading", name=name)
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return types.ModuleType(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        inner = module.__name__.split(".")[1:]
        module.__path__ = []

        def attribute(name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            whole = [*inner, name]
            if whole[0] == "course":  # checks, payoffs and figures do nothing while grading
                return Nothing()
            return InputError if name == "InputError" else Absent(".".join(whole))

        module.__getattr__ = attribute


def install() -> None:
    """Make `import minilm` succeed."""
    sys.meta_path.insert(0, _Finder())
