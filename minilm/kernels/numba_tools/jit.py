"""The one Numba decorator of the package; importing this module loads Numba (about 0.3 s).

Only `cpu.py` files and other modules that are themselves loaded on first use import it.
"""

import functools
import re
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.core import event

from minilm.errors import InputError

# Of LLVM's fast-math flags all but nnan and ninf: sums may be reordered, so loops vectorise, and
# NaN and infinity still mean what they mean.
_FAST = {"reassoc", "nsz", "arcp", "contract", "afn"}
_OPTIONS = {"cache": True, "nogil": True, "fastmath": _FAST, "error_model": "numpy"}


class _SayOnce(event.Listener):
    """Says, the first time something is compiled, why nothing happens for some seconds."""

    def __init__(self) -> None:
        self.said = False
        self.then = "later starts use the cache"

    def on_start(self, event: event.Event) -> None:
        if not self.said:
            self.said = True
            once = f"minilm: compiling kernels for this machine, once; {self.then}"
            print(once, file=sys.stderr, flush=True)

    def on_end(self, event: event.Event) -> None:
        """Says nothing: one kernel follows another, and which is the last is not known."""


_say = _SayOnce()
event.register("numba:compile", _say)

if numba.config.DISABLE_JIT:
    raise InputError(
        "NUMBA_DISABLE_JIT is set; minilm's kernels must be compiled: unset it, or run the plain "
        "formulas inside `with minilm.kernels.use('reference'):`"
    )


@functools.cache
def folders_used(folder: Path) -> list[Path]:
    """A folder of kernels, and those whose compiled functions it calls, theirs included."""
    above = Path(__file__).parents[3]
    found, waiting = [], [folder]
    while waiting:
        one = waiting.pop()
        found.append(one)
        for path in one.glob("*.py"):
            text = path.read_bytes()
            names = (
                re.findall(rb"^from (minilm[.\w]+) import", text, re.M) if b"numba" in text else ()
            )
            for name in names:
                source = above.joinpath(*name.decode().split(".")).with_suffix(".py")
                known = source.parent in (*found, *waiting)
                if not known and source.is_file() and b"@jit" in source.read_bytes():
                    waiting.append(source.parent)
    return sorted(found)


@functools.cache  # every kernel of a folder asks when it is loaded
def _stamp(folder: Path) -> int:
    """A number that changes with the text of any module it uses that uses Numba."""
    places = folders_used(folder)
    texts = [path.read_bytes() for place in places for path in sorted(place.glob("*.py"))]
    return zlib.crc32(b"".join(t for t in texts if b"numba" in t or b"numba_tools" in t))


def _compile(function: Callable, **settings: Any) -> Any:
    """Numba's cache notices an edit of a kernel's own file, but not of functions that it calls
    elsewhere: these are in this folder (`simd`, `tiles`) or in `folders_used` of its own."""
    try:
        dispatcher = numba.njit(**settings)(function)
    except RuntimeError as error:
        if not settings["cache"] or "cannot cache" not in str(error):
            raise
        # the package and the home folder are read-only: every start compiles anew
        _say.then = "set NUMBA_CACHE_DIR to a folder that can be written, and later starts need not"
        return numba.njit(**{**settings, "cache": False})(function)
    file = getattr(dispatcher._cache, "_cache_file", None)
    if file is not None:
        beside = Path(function.__code__.co_filename).parent
        file._source_stamp = (*file._source_stamp, _stamp(Path(__file__).parent), _stamp(beside))
    return dispatcher


def jit(function: Callable | None = None, **options: Any) -> Any:
    """Compile a kernel: cached on disk, without the GIL, with fast maths and no division checks.

    Args:
        function: the kernel; `@jit` and `@jit(inline="always")` both work.
        options: changes to the defaults, as for `numba.njit`.
    """
    settings = _OPTIONS | options
    if function is None:
        return lambda function: _compile(function, **settings)
    return _compile(function, **settings)


class per_dtype:
    """Compile a kernel once per float type, for array arguments of any strides.

    A simple `@jit` compiles again for every combination of contiguous and strided arguments; a
    signature that says "any strides" takes them all.

    Args:
        signature: from a Numba float type to the tuple of argument types.

    Example:
        After `kernel = per_dtype(lambda f: (f[:, :], f))(function)`, call `kernel[x.dtype](x, y)`.
    """

    def __init__(self, signature: Callable[[numba.types.Float], tuple]) -> None:
        self._signature = signature
        self._compiled: dict[np.dtype, Callable] = {}

    def __call__(self, function: Callable) -> "per_dtype":
        self._function = function
        return self

    def __getitem__(self, dtype: np.dtype) -> Callable:
        compiled = self._compiled.get(dtype)
        if compiled is None:
            compiled = _compile(self._function, **_OPTIONS)
            compiled.compile(self._signature(numba.from_dtype(dtype)))
            compiled.disable_compile()  # other strides convert to this signature
            self._compiled[dtype] = compiled
        return compiled
