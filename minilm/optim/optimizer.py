"""What every optimizer shares: groups of parameters, the walk over them, saving and loading."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from minilm.backend import Array, is_half, to_numpy, xp_of
from minilm.errors import InputError
from minilm.tensor import Tensor


class Optimizer:
    """Walks over parameters and lets the subclass's `_update` change each in place.

    Args:
        params: Tensors that require grad, or groups as in PyTorch: dicts with `"params"` and any
            setting that differs, such as `{"params": biases, "weight_decay": 0.0}`.
        settings: the optimizer's numbers; `lr` is the learning rate at its peak, and a schedule
            gives each step its share of it.

    Every setting is read from the group at every step, so `optimizer.groups[0]["lr"] = 0.1`
    holds from the next one on.

    A parameter of 16 bits gets a float32 twin, the `master`, in its state: steps are added to
    the twin, and the parameter is its rounding (arXiv 1710.03740, section 3.1).

    Raises:
        InputError: no parameter, the same parameter twice, an unknown or out-of-range setting.
    """

    ranges: dict[str, tuple[Callable[[Any], bool], str]] = {  # setting: (what is allowed, in words)
        "lr": (lambda x: 0 <= x < math.inf, "0 or more, and finite"),
        "weight_decay": (lambda x: 0 <= x < math.inf, "0 or more, and finite"),
        "momentum": (lambda x: 0 <= x < 1, "in [0, 1)"),
        "betas": (lambda x: len(x) == 2 and all(0 <= b < 1 for b in x), "two numbers in [0, 1)"),
        "eps": (lambda x: 0 <= x < math.inf, "0 or more, and finite"),
    }

    def __init__(self, params: Iterable[Any], **settings: Any) -> None:
        self.groups: list[dict[str, Any]] = []
        self.steps = 0
        params = list(params)
        if params and not isinstance(params[0], dict):
            params = [{"params": params}]
        for group in params:
            if "params" not in group:
                raise InputError(f"a parameter group has {', '.join(group)}; it must have params")
            unknown = group.keys() - settings.keys() - {"params"}
            if unknown:
                raise InputError(
                    f"a parameter group has {sorted(unknown)[0]!r}; {type(self).__name__} knows "
                    f"params, {', '.join(settings)}"
                )
            own = group["params"]
            group = settings | group | {"params": [own] if isinstance(own, Tensor) else list(own)}
            self._check(group)
            self.groups.append(group)
        self.params: list[Tensor] = [p for group in self.groups for p in group["params"]]
        if not self.params:
            raise InputError(f"{type(self).__name__} was given no parameters")
        if len({id(p) for p in self.params}) < len(self.params):
            raise InputError(f"{type(self).__name__} was given the same parameter twice")
        for p in self.params:
            self._check_parameter(p)
        self._shapes = [p.shape for p in self.params]
        self.taken = [0] * len(self.params)  # steps of each parameter: those that had a gradient
        self.state: list[dict[str, Array]] = []
        for group in self.groups:
            for p in group["params"]:
                master = {"master": p.data.astype(np.float32)} if is_half(p.data) else {}
                self.state.append({**self._start(master.get("master", p.data), group), **master})

    def step(self, scale: float = 1.0, factor: float = 1.0) -> None:
        """Change every parameter that has a gradient.

        Args:
            scale: share of the learning rate to use, what a schedule returns for this step.
            factor: what every gradient is multiplied by first: 1 / loss scale, or less to clip.

        Raises:
            InputError: a setting that was changed to one out of range; a parameter or a gradient
                of another shape. Nothing is changed then.
        """
        for group in self.groups:
            self._check(group)
        for p, shape in zip(self.params, self._shapes):
            if p.data.shape != shape:
                raise InputError(
                    f"a parameter of shape {shape} is now of shape {p.shape}; make another "
                    f"{type(self).__name__} for it"
                )
            if p.grad is not None and p.grad.shape != shape:
                raise InputError(f"a parameter of shape {shape} has a grad of shape {p.grad.shape}")
        self.steps += 1
        numbers = iter(range(len(self.params)))
        for group in self.groups:
            lr = float(group["lr"]) * float(scale)  # a NumPy float64 would promote float32
            # Those of one age are updated together: a fused kernel corrects all for the same step.
            ages: dict[int, list[tuple[Tensor, dict[str, Array]]]] = {}
            for p, number in zip(group["params"], numbers):
                if p.grad is not None:
                    self.taken[number] += 1
                    ages.setdefault(self.taken[number], []).append((p, self.state[number]))
            for age, held in ages.items():
                self._update_all(held, lr, group, age, factor)
                for p, _ in held:
                    p.touch()

    def zero_grad(self) -> None:
        """Forget every gradient."""
        for p in self.params:
            p.grad = None

    def _start(self, p: Array, group: dict[str, Any]) -> dict[str, Array]:
        """The arrays kept for one parameter, before the first step."""
        return {}

    def _update_all(
        self,
        held: list[tuple[Tensor, dict[str, Array]]],
        lr: float,
        group: dict[str, Any],
        age: int,
        factor: float = 1.0,
    ) -> None:
        """Change parameters of a group that have gradients and one age, each with its state."""
        for p, state in held:
            master = state.get("master")
            whole = p.data if master is None else master
            g = p.grad if p.grad.dtype == whole.dtype else p.grad.astype(whole.dtype)
            self._update(whole, g if factor == 1.0 else g * factor, state, lr, group, age)
            if master is not None:
                p.data[...] = master.astype(p.dtype)

    def _update(
        self,
        p: Array,
        g: Array,
        state: dict[str, Array],
        lr: float,
        group: dict[str, Any],
        age: int,
    ) -> None:
        """Change `p` and `state` in place, given the gradient `g`, which stays as it is.

        `age` counts the steps of this parameter, this one included. Bias correction goes by it: a
        parameter thawed late has running means that begin late.
        """
        raise NotImplementedError

    def _check(self, group: dict[str, Any]) -> None:
        """Refuse a group with a setting out of range."""
        for name, (allowed, words) in self.ranges.items():
            if name in group:
                try:
                    fits = allowed(group[name])
                except (TypeError, ValueError):  # a text, None, an array
                    fits = False
                if not fits:
                    given = f"{name} of {type(self).__name__} is {group[name]!r}"
                    raise InputError(f"{given}; it must be {words}")

    def _check_parameter(self, p: Any) -> None:
        if not (isinstance(p, Tensor) and p.requires_grad and p.is_leaf):
            raise InputError(
                f"a parameter is {p!r}; {type(self).__name__} takes Tensors with requires_grad "
                "that no operation made"
            )
        if isinstance(p.data, np.ndarray) and not p.data.flags.writeable:
            raise InputError(
                f"a parameter of shape {p.shape} is read-only; {type(self).__name__} changes "
                "parameters in place"
            )

    def state_dict(self) -> dict[str, np.ndarray]:
        """Everything a resumed run needs, as flat names and host arrays.

        `steps` counts all steps, `taken` (P,) those of each parameter; `3.m` is parameter 3's `m`.
        """
        arrays = {
            f"{index}.{name}": to_numpy(array)
            for index, state in enumerate(self.state)
            for name, array in state.items()
        }
        counts = {"steps": np.array(self.steps, np.int64), "taken": np.array(self.taken, np.int64)}
        return {**counts, **arrays}

    def load_state_dict(self, arrays: dict[str, np.ndarray]) -> None:
        """Take over what `state_dict` of an optimizer over the same parameters returned.

        States saved before parameters had counts of their own lack `taken`: there, those whose
        running means are still 0 have taken no step, the others all steps.

        Raises:
            InputError: an array is missing, unknown, or of another shape; nothing is changed then.
        """
        own = self.state_dict()
        if "taken" not in arrays:
            del own["taken"]
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
        if "taken" in arrays:
            self.taken = arrays["taken"].tolist()
        else:
            self.taken = [self.steps if _has_moved(state) else 0 for state in self.state]


def _has_moved(state: dict[str, Array]) -> bool:
    """Whether a parameter's running means say that it has had a gradient."""
    return any(bool(array.any()) for name, array in state.items() if name != "master")
