"""minilm: transformers from scratch in NumPy, built to be read, measured and taught from.

The floors of the house, each importing only from those before it:
backend -> kernels -> tensor -> functional -> nn -> models -> analysis
-> (parallel, vision, inference, interop, explicit, lamp) -> (train, diffusion) -> align -> studies
-> course -> bench -> cli.

`import minilm` loads NumPy and nothing heavier; every other part loads when it is first named.
"""

import importlib
from typing import Any

from minilm import functional
from minilm.errors import InputError
from minilm.swap import use
from minilm.tensor import Tensor, checkpoint, is_grad_enabled, no_grad, primitive, tensor

__version__ = "0.1.0"

_PARTS = (
    "align analysis backend bench course data diffusion emulator explicit inference interop "
    "kernels lamp models nn optim parallel sandbox studies tape tokenizers train vision"
).split()

__all__ = [
    "InputError",
    "Tensor",
    "checkpoint",
    "functional",
    "is_grad_enabled",
    "no_grad",
    "primitive",
    "tensor",
    "use",
]


def __getattr__(name: str) -> Any:
    if name in _PARTS:
        return importlib.import_module(f"minilm.{name}")
    raise AttributeError(f"module 'minilm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_PARTS])
