"""Averaged weights: what a model was over its last steps, which is often better than what it is."""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from minilm.backend import Array, is_half, to_numpy, xp_of
from minilm.errors import InputError


class EMA:
    """The exponential moving average of a model's weights (Polyak & Juditsky 1992).

        average <- d average + (1 - d) weight,    d = min(decay, (1 + t) / (10 + t))

    at the t-th update. The second term lets the first weights be forgotten quickly, as TensorFlow's
    `ExponentialMovingAverage` and the diffusion codes do.

    Args:
        model: has `named_parameters()`.
        decay: share of the average that is kept, in [0, 1); 0.999 looks back about 1000 steps.
        masters: float32 twins of 16-bit parameters, by the parameter's id; they are averaged.

    Raises:
        InputError: a decay out of range.
    """

    def __init__(self, model: Any, decay: float = 0.999, masters: dict[int, Array] | None = None):
        if not 0 <= decay < 1:
            raise InputError(f"ema is {decay}; it must be in [0, 1)")
        self.decay, self.steps = decay, 0
        self._params = dict(model.named_parameters())
        self._masters = masters or {}
        self.averages: dict[str, Array] = {
            name: array.astype(np.float32) if is_half(array) else array.copy()
            for name, array in ((name, self._weight(p)) for name, p in self._params.items())
        }

    def _weight(self, p: Any) -> Array:
        return self._masters.get(id(p), p.data)

    def update(self) -> None:
        """Move every average towards its weight."""
        self.steps += 1
        kept = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, p in self._params.items():
            average = self.averages[name]
            average += (1 - kept) * (self._weight(p).astype(average.dtype, copy=False) - average)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Inside, the model has the averages as its weights; afterwards its own again."""
        own = {name: p.data.copy() for name, p in self._params.items()}
        try:
            self._put(self.averages)
            yield
        finally:
            self._put(own)

    def _put(self, arrays: dict[str, Array]) -> None:
        for name, p in self._params.items():
            p.data[...] = arrays[name].astype(p.data.dtype, copy=False)
            p.touch()

    def state_dict(self) -> dict[str, np.ndarray]:
        """The averages by the parameters' names, and `steps`, as host arrays."""
        arrays = {f"average.{name}": to_numpy(array) for name, array in self.averages.items()}
        return {"steps": np.array(self.steps, np.int64), **arrays}

    def load_state_dict(self, arrays: dict[str, np.ndarray]) -> None:
        """Take over what `state_dict` returned.

        Raises:
            InputError: an array is missing, unknown, or of another shape; nothing is changed then.
        """
        own = self.state_dict()
        for name in sorted(own.keys() | arrays.keys()):
            a, b = (side[name].shape if name in side else None for side in (arrays, own))
            if a != b:
                raise InputError(
                    f"the saved average {name!r} has shape {a}; here it must be {b}"
                    if a is not None and b is not None
                    else f"the saved averages {'lack' if a is None else 'have'} {name!r}"
                )
        self.steps = int(arrays["steps"])
        for name, average in self.averages.items():
            average[...] = xp_of(average).asarray(arrays[f"average.{name}"])
