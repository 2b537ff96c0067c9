"""What every optimizer shares: groups of parameters, the walk over them, saving and loading."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from minilm.backend import Array, is_half, to_numpy, xp_of
from minilm.errors import InputError
from minilm.tensor import Tensor


class Optimizer:
    """Walks over parameters and lets the subclass's ``_update`` change each in place.

    Args:
        params: Tensors that require grad, or groups as in PyTorch: dicts with ``"params"`` and any
            setting that differs, such as ``{"params": biases, "weight_decay": 0.0}``.
        settings: the optimizer's numbers; ``lr`` is the learning rate at its peak, and a schedule
            gives each step its share of it.

    A parameter of 16 bits gets a float32 twin, the ``master``, in its state: steps are added to
    the twin, and the parameter is its rounding (arXiv 1710.03740, section 3.1).

    Raises:
        InputError: no parameter, the same parameter twice, an unknown or out-of-range setting.
    """

    def __init__(self, params: Iterable[Any], **settings: Any) -> None:
        self.settings = settings
        self.groups: list[dict[str, Any]] = []
        self.state: list[dict[str, Array]] = []
        self.steps = 0
        params = list(params)
        if params and not isinstance(params[0], dict):
            params = [{"params": params}]
        for group in params:
            unknown = group.keys() - settings.keys() - {"params"}
            if unknown:
                raise InputError(
                    f"a parameter group has {sorted(unknown)[0]!r}; {type(self).__name__} knows "
                    f"params, {', '.join(settings)}"
                )
            group = settings | group | {"params": list(group["params"])}
            _check_settings(type(self).__name__, group)
            self.groups.append(group)
        self.params: list[Tensor] = [p for group in self.groups for p in group["params"]]
        if not self.params:
            raise InputError(f"{type(self).__name__} was given no parameters")
        if len({id(p) for p in self.params}) < len(self.params):
            raise InputError(f"{type(self).__name__} was given the same parameter twice")
        for p in self.params:
            if not (isinstance(p, Tensor) and p.requires_grad and p.is_leaf):
                raise InputError(
                    f"{type(self).__name__} takes parameters: Tensors with requires_grad that no "
                    f"operation made, not {p!r}"
                )
            if isinstance(p.data, np.ndarray) and not p.data.flags.writeable:
                raise InputError(
                    f"{type(self).__name__} changes parameters in place; one of shape {p.shape} "
                    "is read-only"
                )
        self._shapes = [p.shape for p in self.params]
        masters = [p.data.astype(np.float32) if is_half(p.data) else None for p in self.params]
        self.state = [
            self._start(p.data) if master is None else {**self._start(master), "master": master}
            for p, master in zip(self.params, masters)
        ]

    def step(self, scale: float = 1.0, factor: float = 1.0) -> None:
        """Change every parameter that has a gradient.

        Args:
            scale: share of the learning rate to use, what a schedule returns for this step.
            factor: what every gradient is multiplied by first: 1 / loss scale, or less to clip.
        """
        for p, shape in zip(self.params, self._shapes):
            if p.data.shape != shape:
                raise InputError(
                    f"a parameter of shape {shape} is now of shape {p.shape}: make another "
                    f"{type(self).__name__} for it"
                )
        self.steps += 1
        states = iter(self.state)
        for group in self.groups:
            lr = float(group["lr"]) * float(scale)  # a NumPy float64 would promote float32
            held = [(p, next(states)) for p in group["params"]]
            held = [(p, state) for p, state in held if p.grad is not None]
            for p, _ in held:
                if p.grad.shape != p.shape:
                    raise InputError(
                        f"a parameter of shape {p.shape} has a grad of shape {p.grad.shape}"
                    )
            if held:
                self._update_all(held, lr, group, factor)
                for p, _ in held:
                    p.touch()

    def zero_grad(self) -> None:
        """Forget every gradient."""
        for p in self.params:
            p.grad = None

    def _start(self, p: Array) -> dict[str, Array]:
        """The arrays kept for one parameter, before the first step."""
        return {}

    def _update_all(
        self,
        held: list[tuple[Tensor, dict[str, Array]]],
        lr: float,
        group: dict[str, Any],
        factor: float = 1.0,
    ) -> None:
        """Change the parameters of a group that have gradients, each with its state."""
        for p, state in held:
            master = state.get("master")
            whole = p.data if master is None else master
            g = p.grad if p.grad.dtype == whole.dtype else p.grad.astype(whole.dtype)
            self._update(whole, g if factor == 1.0 else g * factor, state, lr, group)
            if master is not None:
                p.data[...] = master.astype(p.dtype)

    def _update(
        self, p: Array, g: Array, state: dict[str, Array], lr: float, group: dict[str, Any]
    ) -> None:
        """Change ``p`` and ``state`` in place, given the gradient ``g``, which stays as it is."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, np.ndarray]:
        """Everything a resumed run needs, as flat names and host arrays: ``steps``, ``3.m`` ..."""
        arrays = {
            f"{index}.{name}": to_numpy(array)
            for index, state in enumerate(self.state)
            for name, array in state.items()
        }
        return {"steps": np.array(self.steps, np.int64), **arrays}

    def load_state_dict(self, arrays: dict[str, np.ndarray]) -> None:
        """Take over what ``state_dict`` of an optimizer over the same parameters returned.

        Raises:
            InputError: an array is missing, unknown, or of another shape; nothing is changed then.
        """
        own = self.state_dict()
        if own.keys() != arrays.keys():
            odd = sorted(own.keys() ^ arrays.keys())[0]
            raise InputError(
                f"the saved optimizer state is not that of this {type(self).__name__}: "
                f"{odd!r} is {'missing' if odd in own else 'unknown'}"
            )
        for name, array in arrays.items():
            if array.shape != own[name].shape:
                raise InputError(
                    f"the saved optimizer state {name!r} has shape {array.shape}; "
                    f"here it must be {own[name].shape}"
                )
        self.steps = int(arrays["steps"])
        for index, state in enumerate(self.state):
            for name, array in state.items():
                array[...] = xp_of(array).asarray(arrays[f"{index}.{name}"])
            if "master" in state:
                self.params[index].data[...] = state["master"].astype(self.params[index].dtype)


_RANGES = {  # setting: (what holds for a good value, the same in words)
    "lr": (lambda x: x >= 0, "0 or more"),
    "weight_decay": (lambda x: x >= 0, "0 or more"),
    "momentum": (lambda x: 0 <= x < 1, "in [0, 1)"),
    "betas": (lambda x: len(x) == 2 and all(0 <= b < 1 for b in x), "two numbers in [0, 1)"),
    "eps": (lambda x: x >= 0 if np.isscalar(x) else all(e >= 0 for e in x), "0 or more"),
    "beta2_decay": (lambda x: x <= 0, "0 or less"),
    "d": (lambda x: x > 0, "more than 0"),
    "iterations": (lambda x: x >= 1, "1 or more"),
}


def _check_settings(optimizer: str, group: dict[str, Any]) -> None:
    for name, (good, words) in _RANGES.items():
        if name in group and not good(group[name]):
            raise InputError(f"{name} of {optimizer} is {group[name]}; it must be {words}")
