"""The one Numba decorator of the package; importing this module loads Numba (about 0.3 s).

Only ``cpu.py`` files and other modules that are themselves loaded on first use import it.
"""

import sys
from collections.abc import Callable
from typing import Any

import numba
from numba.core import event

_OPTIONS = {"cache": True, "nogil": True, "fastmath": True, "error_model": "numpy"}


class _SayOnce(event.Listener):
    """Says, the first time anything really compiles, why nothing happens for some seconds."""

    def __init__(self) -> None:
        self.said = False

    def on_start(self, event: event.Event) -> None:
        if not self.said:
            self.said = True
            print(
                "minilm: compiling kernels for this machine, once; later starts use the cache",
                file=sys.stderr,
                flush=True,
            )

    def on_end(self, event: event.Event) -> None:
        """Nothing to say: the kernels follow one another and the last is not known."""


event.register("numba:compile", _SayOnce())


def jit(function: Callable | None = None, **options: Any) -> Any:
    """Compile a kernel: cached on disk, without the GIL, with fast maths and no division checks.

    Args:
        function: the kernel; ``@jit`` and ``@jit(inline="always")`` both work.
        options: changes to the defaults, as for ``numba.njit``.
    """
    settings = _OPTIONS | options
    if function is None:
        return numba.njit(**settings)
    return numba.njit(**settings)(function)
