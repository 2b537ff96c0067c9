"""Module and Parameter: a tree of named arrays that train, save and load together."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from minilm import backend
from minilm.errors import InputError
from minilm.tensor import Tensor

_shapes_only = False
_generator: np.random.Generator | None = None


class Parameter(Tensor):
    """A Tensor that a module owns and an optimizer changes."""

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        super().__init__(data, requires_grad=requires_grad)


class Buffer(Tensor):
    """An array that belongs to a module and is not trained: saved, loaded and moved with it.

    Statistics of a norm, a codebook that follows averages, a table. Change it in place
    (`self.mean.data[...] = mean`); a training step that is split over threads runs `forward` on
    each of them, so the place to do that is between steps.
    """


@contextlib.contextmanager
def shapes_only() -> Iterator[None]:
    """Inside, `draw` and `constant` give arrays that have a shape and take no memory.

    Models of any size can be built and counted; their values are read-only zeros.
    """
    global _shapes_only
    before, _shapes_only = _shapes_only, True
    try:
        yield
    finally:
        _shapes_only = before


def manual_seed(seed: int) -> None:
    """Start the stream from which layers made one by one draw their first weights."""
    global _generator
    _generator = backend.rng(seed, "nn")


def draw(shape: tuple[int, ...], std: float, dtype: Any = np.float32) -> np.ndarray:
    """Normal numbers of mean 0 from the stream of `manual_seed` (0 if it was never called)."""
    if _shapes_only:
        return np.broadcast_to(np.zeros((), dtype), shape)
    if _generator is None:
        manual_seed(0)
    return normal(_generator, shape, std, dtype)


def normal(
    generator: np.random.Generator, shape: tuple[int, ...], std: float, dtype: Any = np.float32
) -> np.ndarray:
    """Normal numbers of mean 0; the same in float32 and float64, so that both give one model."""
    values = generator.standard_normal(shape, dtype=np.float32)
    values *= np.float32(std)
    return values.astype(dtype, copy=False)


def constant(shape: tuple[int, ...], value: float, dtype: Any = np.float32) -> np.ndarray:
    """An array of one value."""
    if _shapes_only:
        return np.broadcast_to(np.asarray(value, dtype), shape)
    return np.full(shape, value, dtype)


class Module:
    """A part of a model. Parameters, buffers and modules set as attributes are found by name.

    Names are PyTorch's: attributes joined by dots, list items by their index. A parameter that
    two modules share is listed once, under the name found first.
    """

    training: bool = True

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; calling the module calls this."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs)

    def children(self) -> Iterator[tuple[str, Module]]:
        """(name, module) for each module directly below this one."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value

    def modules(self) -> Iterator[Module]:
        """This module and every one below it, each once."""
        seen: set[int] = set()
        waiting: list[Module] = [self]
        while waiting:
            module = waiting.pop()
            if id(module) in seen:
                continue
            seen.add(id(module))
            yield module
            waiting.extend(reversed([child for _, child in module.children()]))

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """(dotted name, module) for every module below this one; a shared one at each place."""
        for name, child in self.children():
            yield prefix + name, child
            yield from child.named_modules(f"{prefix}{name}.")

    def replace_modules(self, new: dict[str, Module]) -> None:
        """Put other modules in the places of those that have these dotted names.

        Raises:
            InputError: a name that no module has; nothing is changed then.
        """
        here = dict(self.named_modules())
        for name in new:
            if name not in here:
                raise InputError(f"new names {name!r}; this {type(self).__name__} has no such part")
        for name, module in new.items():
            above, _, last = name.rpartition(".")
            parent = here[above] if above else self
            if isinstance(parent, ModuleList):
                parent[int(last)] = module
            else:
                setattr(parent, last, module)

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """(name, parameter), each parameter once."""
        return self._named(prefix, Parameter)

    def named_buffers(self, prefix: str = "") -> Iterator[tuple[str, Buffer]]:
        """(name, buffer), each buffer once."""
        return self._named(prefix, Buffer)

    def _named(self, prefix: str, kind: type[Tensor]) -> Iterator[tuple[str, Any]]:
        found: dict[int, tuple[str, Any]] = {}
        self._collect(prefix, kind, found)
        return iter(found.values())

    def _collect(self, prefix: str, kind: type, found: dict[int, tuple[str, Any]]) -> None:
        for name, value in vars(self).items():
            if isinstance(value, kind):
                found.setdefault(id(value), (prefix + name, value))
        for name, child in self.children():
            child._collect(f"{prefix}{name}.", kind, found)

    def parameters(self) -> list[Parameter]:
        """Every parameter once, in the order of `named_parameters`."""
        return [parameter for _, parameter in self.named_parameters()]

    def num_parameters(self, trainable: bool = False) -> int:
        """How many numbers the parameters hold; with `trainable`, those that require grad."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad or not trainable)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Name -> array of every parameter and buffer; the arrays themselves, not copies."""
        return {name: held.data for name, held in self._held()}

    def _held(self) -> Iterator[tuple[str, Tensor]]:
        """All that is saved, loaded and moved."""
        yield from self.named_parameters()
        yield from self.named_buffers()

    def load_state_dict(self, state: dict[str, Any], strict: bool = True) -> None:
        """Copy arrays into the parameters and buffers, keeping the dtype and device of each.

        Args:
            state: name -> array of that shape. Checked whole before anything changes.
            strict: every parameter and buffer must be there, and nothing else.

        Raises:
            InputError: a name is missing, unknown, or has another shape.
        """
        own = dict(self._held())
        if strict:
            for name in own:
                if name not in state:
                    raise InputError(
                        f"state lacks {name!r}, which this {type(self).__name__} needs"
                    )
            for name in state:
                if name not in own:
                    raise InputError(f"state has {name!r}, which this {type(self).__name__} lacks")
        for name, value in state.items():
            if name in own and tuple(value.shape) != own[name].shape:
                raise InputError(
                    f"state has {name!r} of shape {tuple(value.shape)}; "
                    f"this {type(self).__name__} needs {own[name].shape}"
                )
        for name, value in state.items():
            if name in own:
                _copy_into(own[name], value.data if isinstance(value, Tensor) else value)

    def to(self, dtype: Any = None, device: str | None = None) -> Module:
        """Change the dtype or device of every parameter and buffer, in place.

        Buffers of integers and bools keep their dtype.

        Args:
            dtype: float32 or float64; on a GPU also float16 and bfloat16
                (`backend.precision("bfloat16").dtype`).
            device: "cpu", "cuda", "cuda:1" ...

        Returns:
            the module itself.
        """
        for _, held in self._held():
            array = held.data
            if device is not None:
                xp = backend.array_module(device)
                array = backend.to_numpy(array) if xp is np else xp.asarray(array)
            if dtype is not None and array.dtype.kind not in "iub":
                array = array.astype(dtype, copy=False)
            if array is not held.data:
                held.data, held.grad = array, None
        return self

    def train(self, mode: bool = True) -> Module:
        """Switch dropout on (or off) in this module and all below."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self) -> Module:
        """Switch dropout off."""
        return self.train(False)

    def zero_grad(self) -> None:
        """Forget every gradient."""
        for parameter in self.parameters():
            parameter.grad = None

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        """Freeze (False) or thaw every parameter."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={type(child).__name__}" for name, child in self.children())
        return f"{type(self).__name__}({inside}) with {self.num_parameters():,} parameters"


def _copy_into(held: Tensor, value: Any) -> None:
    xp = backend.xp_of(held.data)
    value = backend.to_numpy(value) if xp is np else xp.asarray(value)
    if xp is np and not held.data.flags.writeable:
        held.data = np.array(value, dtype=held.dtype)
    else:
        held.data[...] = value
    held.touch()


class ModuleList(Module):
    """Modules in order, named 0, 1, 2 ..."""

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        self._items = list(modules)

    def children(self) -> Iterator[tuple[str, Module]]:
        for i, module in enumerate(self._items):
            yield str(i), module

    def append(self, module: Module) -> None:
        """Add a module at the end."""
        self._items.append(module)

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._items)

    def __getitem__(self, i: int) -> Module:
        return self._items[i]

    def __setitem__(self, i: int, module: Module) -> None:
        self._items[i] = module


class Sequential(ModuleList):
    """Modules applied one after the other."""

    def __init__(self, *modules: Module) -> None:
        super().__init__(modules)

    def forward(self, x: Any) -> Any:
        for module in self._items:
            x = module(x)
        return x
