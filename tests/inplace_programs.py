"""Random programs of views and changes in place, and ways to run them.

A program is a list of steps over numbered values. It is drawn once, on NumPy arrays, whose views
and changes have the meaning that all others must have; a runner says how a library does each step.
"""

from typing import Any

import numpy as np

from minilm import Tensor
from minilm import functional as F

LEAVES = ((2, 3, 4), (4,))
Step = tuple[str, tuple]


class Numpy:
    """The meaning of a program: NumPy's own views and operators."""

    def start(self, x: Any, w: Any) -> list[Any]:
        return [x * 1.5, w * 0.5 + 1.0]

    def view(self, x: Any, kind: str, how: Any) -> Any:
        if kind == "index":
            return x[how]
        return x.swapaxes(*how) if kind == "transpose" else x.reshape(how)

    def make(self, kind: str, a: Any, b: Any) -> Any:
        return a + b if kind == "add" else a * b if kind == "mul" else a * 0.7

    def change(self, kind: str, target: Any, value: Any, key: Any) -> None:
        if kind == "add":
            target += value
        elif kind == "sub":
            target -= value
        elif kind == "mul":
            target *= value
        elif kind == "div":
            target /= value
        else:
            target[key] = value

    def end(self, values: list[Any], weights: list[np.ndarray]) -> Any:
        return sum((v * w).sum() for v, w in zip(values, weights, strict=True))


class OnTape(Numpy):
    """The same with Tensors: what is tested."""

    def view(self, x: Tensor, kind: str, how: Any) -> Tensor:
        return x.transpose(*how) if kind == "transpose" else super().view(x, kind, how)


class OutOfPlace:
    """The same with no change in place: a value is a root's number and its places in the root.

    A change makes a new root: `where` of the old one and the new part, spread over the places.
    """

    def start(self, x: Tensor, w: Tensor) -> list[Any]:
        self.roots: list[Tensor] = []
        return [self._root(x * 1.5), self._root(w * 0.5 + 1.0)]

    def _root(self, value: Tensor) -> tuple[int, np.ndarray]:
        self.roots.append(value.reshape(-1))
        return len(self.roots) - 1, np.arange(value.numel()).reshape(value.shape)

    def read(self, value: Any) -> Any:
        return F.index(self.roots[value[0]], value[1]) if isinstance(value, tuple) else value

    def view(self, x: Any, kind: str, how: Any) -> Any:
        root, places = x
        if kind == "copy":  # a reshape that NumPy can't answer with a view
            return self._root(self.read(x).reshape(how))
        return root, Numpy().view(places, kind, how)

    def make(self, kind: str, a: Any, b: Any) -> Any:
        return self._root(Numpy().make(kind, self.read(a), self.read(b)))

    def change(self, kind: str, target: Any, value: Any, key: Any) -> None:
        root, places = target
        value = self.read(value)
        part = places if key is None else places[key]
        old = F.index(self.roots[root], part)
        if kind == "set":
            new = (
                F.broadcast_to(value, part.shape) if isinstance(value, Tensor) else old * 0 + value
            )
        else:
            new = {"add": F.add, "sub": F.sub, "mul": F.mul, "div": F.div}[kind](old, value)
        size = self.roots[root].numel()
        source, hit = np.zeros(size, int), np.zeros(size, bool)
        source[part.reshape(-1)] = np.arange(part.size)  # of a place named twice, the last
        hit[part.reshape(-1)] = True
        spread = F.index(new.reshape(-1), source) if part.size else self.roots[root]
        self.roots[root] = F.where(hit, spread, self.roots[root])

    def end(self, values: list[Any], weights: list[np.ndarray]) -> Any:
        return Numpy().end([self.read(v) for v in values], weights)


def run(program: list[Step], runner: Any, leaves: list[Any], weights: list[np.ndarray]) -> Any:
    """The program's result: a weighted sum of all its values as they are in the end."""
    values = runner.start(*leaves)
    for name, (*given, at) in program:
        if name == "view":
            source, kind, how, shared = given
            own = kind if shared or not hasattr(runner, "roots") else "copy"
            values.append(runner.view(values[source], own, how))
        elif name == "make":
            kind, a, b = given
            values.append(runner.make(kind, values[a], values[b]))
        else:
            kind, target, value, key = given
            other = values[value] if isinstance(value, int) else value
            runner.change(kind, values[target], other, key)
        assert at == len(values)
    return runner.end(values, weights)


def draw(seed: int, steps: int = 9, products: bool = False, copies: bool = True):
    """(program, leaves as float64 arrays, weights of the values in the result).

    Args:
        products: also products of two values, whose gradients keep what may then be changed.
        copies: also reshapes that need a copy, and places that are named twice.
    """
    rng = np.random.default_rng(seed)
    leaves = [rng.uniform(0.5, 1.5, shape) for shape in LEAVES]
    runner = Numpy()
    values = runner.start(*leaves)
    program: list[Step] = []
    while len(program) < steps:
        kind = rng.choice(["view", "view", "change", "change", "change", "make"])
        source = int(rng.integers(len(values)))
        x = values[source]
        if kind == "view":
            step = _view(rng, x, copies)
            if step is None:
                continue
            new = runner.view(x, *step)
            if not new.size or not new.ndim:
                continue
            values.append(new)
            program.append(("view", (source, *step, np.shares_memory(new, x), len(values))))
        elif kind == "make":
            fits = [i for i, v in enumerate(values) if v.shape == x.shape]
            other = int(rng.choice(fits))
            way = str(rng.choice(["add", "scale", *(["mul"] if products else [])]))
            values.append(runner.make(way, x, values[other]))
            program.append(("make", (way, source, other, len(values))))
        else:
            way = str(rng.choice(["add", "sub", "mul", "div", "set"]))
            key = _key(rng, x.shape, copies) if way == "set" else None
            part = x if key is None else x[key]
            fits = [i for i, v in enumerate(values) if _spreads(v.shape, part.shape)]
            value: Any = float(rng.uniform(0.5, 1.5))
            if fits and rng.random() < 0.7:
                value = int(rng.choice(fits))
            operand = values[value] if isinstance(value, int) else value
            if way == "div" and np.abs(operand).min() < 0.2:
                continue
            runner.change(way, x, operand, key)
            if max(np.abs(v).max() for v in values) > 1e3:
                return draw(seed + 100_000, steps, products, copies)
            program.append(("change", (way, source, value, key, len(values))))
    weights = [rng.uniform(-1, 1, v.shape) for v in values]
    return program, leaves, weights


def _view(rng: np.random.Generator, x: np.ndarray, copies: bool) -> tuple[str, Any] | None:
    kind = rng.choice(["index", "transpose", "reshape"])
    if kind == "index":
        return "index", _basic(rng, x.shape)
    if kind == "transpose":
        return ("transpose", tuple(int(a) for a in rng.choice(x.ndim, 2))) if x.ndim > 1 else None
    if not (copies or x.flags.c_contiguous):
        return None
    shapes = [(-1,), (1, *x.shape)] + [(n, -1) for n in (2, 3) if x.size % n == 0]
    return "reshape", shapes[rng.integers(len(shapes))]


def _basic(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple:
    choices = [lambda n: slice(None), lambda n: int(rng.integers(n)), lambda n: slice(n // 2, None)]
    choices += [lambda n: slice(None, None, 2)]
    return tuple(choices[rng.integers(4)](n) for n in shape)


def _key(rng: np.random.Generator, shape: tuple[int, ...], copies: bool) -> Any:
    kind = rng.integers(4 if copies else 3)
    if kind == 0:
        return _basic(rng, shape)
    if kind == 1:
        return rng.random(shape) < 0.5
    many = rng.permutation(shape[0]) if kind == 2 else rng.integers(0, shape[0], shape[0] + 1)
    return many


def _spreads(shape: tuple[int, ...], wide: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, wide) == wide
    except ValueError:
        return False
