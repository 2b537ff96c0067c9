"""A training step, computed on CPU threads or on a GPU: which, is chosen once.

    loss = engine.gradients(source, step)
    norm = engine.clip(clip)
    if engine.good(loss, norm):
        engine.update(share)

A step may be split: into batches whose gradients are accumulated, and on the CPU into pieces, one a
thread. Each part's loss is a mean over what it holds, so each weighs by how much that is: however a
step is split, its gradient is that of the whole.
"""

import itertools
import math
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minilm import backend
from minilm.backend import Array, Precision, Prefetch, is_half, xp_of
from minilm.errors import InputError
from minilm.nn.dropout import dropout_seed
from minilm.optim import Optimizer, clip_grad_norm, grad_norm
from minilm.tensor import Tensor
from minilm.train.batch import arrays_of, cut, examples, language_model_loss, map_arrays, scored
from minilm.train.ema import EMA

# Operations of a step (6 per weight and token) from which splitting it over threads pays: below,
# two threads wait for each other's Python longer than they save.
_SPLIT_FROM = 1e9

Loss = Callable[[Any, Any], Tensor]
Weigh = Callable[[Any], float]
Source = Iterator[tuple[Any, float]]  # batches, and the share of its step that each has


class Diverged(InputError):
    """The loss or a gradient is no longer a finite number."""


class EndOfBatches(Exception):
    """A step was to be taken and no batch was left for it."""


def choose_engine(
    model: Any,
    optimizer: Optimizer | Sequence[Optimizer],
    loss: Loss | None = None,
    weigh: Weigh | None = None,
    accumulate: int = 1,
    seed: int = 0,
    ema: float | None = None,
) -> "Engine":
    """What computes the steps of a model, by where its parameters are: CPU threads or a GPU.

    Args:
        model: has `parameters()` and `named_parameters()`.
        optimizer: one or several, each over its share of the parameters.
        loss: (model, batch) -> a Tensor of one number; None: `model.loss(*batch)`, a language
            model's.
        weigh: batch -> how many things its loss is a mean over, `train.examples` for rows. By it
            batches of one step are weighed, and a batch may be split over threads. None: a language
            model's scored targets; for a `loss` of your own all batches weigh the same, and none
            is split.
        accumulate: batches of one step.
        seed: of dropout.
        ema: decay of averaged weights, see `EMA`; None: no averages.

    Raises:
        InputError: an optimizer with a parameter that the model does not have.
    """
    optimizers = [optimizer] if isinstance(optimizer, Optimizer) else list(optimizer)
    gpu = xp_of(model.parameters()[0].data) is not np
    kind = GpuEngine if gpu else CpuEngine
    return kind(model, optimizers, loss, weigh, accumulate, seed, ema)


class Engine:
    """What both engines share; see `choose_engine` for the arguments.

    Attributes:
        count: what the last step read: tokens for a language model's loss, examples for others.
        unit: "tokens" or "examples".
        ema: the averaged weights, or None.
        loss_scale: of 16-bit training.
    """

    def __init__(
        self,
        model: Any,
        optimizers: list[Optimizer],
        loss: Loss | None,
        weigh: Weigh | None,
        accumulate: int,
        seed: int,
        ema: float | None,
    ) -> None:
        self.model, self.optimizers = model, optimizers
        self.params = model.parameters()  # once: the walk costs as much as a small layer
        self.unit, self._size = ("examples", examples) if loss else ("tokens", _tokens)
        self._loss = loss or language_model_loss
        self._weigh = weigh or (None if loss else scored)
        self.accumulate, self.seed, self.count = accumulate, seed, 0
        self.loss_scale = Precision(str(self.params[0].dtype)).loss_scale()
        self._scale = self.loss_scale.value  # of the step that is being taken
        known = {id(p) for p in self.params}
        masters: dict[int, Array] = {}
        for optimizer in optimizers:
            for p, state in zip(optimizer.params, optimizer.state):
                if id(p) not in known:
                    raise InputError(
                        f"optimizer holds a parameter of shape {p.shape}; it must be one of the "
                        "model's, or it would get no gradient"
                    )
                if "master" in state:
                    masters[id(p)] = state["master"]
        self.ema = None if ema is None else EMA(model, ema, masters)

    def feed(self, batches: Iterator[Any], ahead: bool = True) -> Source:
        """The batches with the share of its step that each has.

        Args:
            batches: of any kind.
            ahead: whether it may be asked for more batches than the steps so far have used.
        """
        while group := list(itertools.islice(batches, self.accumulate)):
            yield from zip(group, self._shares(group))

    def _shares(self, parts: list[Any]) -> list[float]:
        """What each part's loss counts for in the mean over all of them."""
        weights = [1.0] * len(parts)
        if self._weigh is not None and len(parts) > 1:
            weights = [float(self._weigh(part)) for part in parts]
        total = sum(weights)
        return [w / total for w in weights] if total else [1 / len(parts)] * len(parts)

    def gradients(self, source: Source, step: int) -> float:
        """Set every parameter's `grad` for one step; returns the loss.

        Raises:
            EndOfBatches: no batch is left.
        """
        raise NotImplementedError

    def clip(self, most: float) -> float:
        """Shorten all gradients together to a norm of at most `most`; returns the norm before."""
        raise NotImplementedError

    def good(self, loss: float, norm: float) -> bool:
        """Whether the step can be taken; False where only the loss scale was too large.

        Raises:
            Diverged: a number is not finite and the loss scale is not the reason.
        """
        finite = math.isfinite(norm)
        if not (math.isfinite(loss) and self.loss_scale.update(finite)):
            raise Diverged(_diagnosis(self.model, loss))
        return finite

    def update(self, share: float) -> None:
        """Step with every optimizer at this share of its rate, forget the gradients, average."""
        for optimizer in self.optimizers:
            self._step(optimizer, share)
            optimizer.zero_grad()
        if self.ema is not None:
            self.ema.update()

    def _step(self, optimizer: Optimizer, share: float) -> None:
        optimizer.step(share)

    def notes(self) -> dict[str, float]:
        """What the log says of the last step besides."""
        return {} if self.loss_scale.patience is None else {"loss_scale": self._scale}

    def _loss_of(self, batch: Any, step: int, number: int) -> Tensor:
        with dropout_seed(self.seed, step, number):
            loss = self._loss(self.model, batch)
        if not hasattr(loss, "backward"):
            raise InputError(f"loss gave a {type(loss).__name__}; it must give a Tensor")
        if loss.data.size != 1:
            raise InputError(f"loss gave shape {loss.data.shape}; it must give one number")
        return loss


class CpuEngine(Engine):
    """Steps on the CPU: large ones are split over `backend.threads()`, each with its own tape."""

    def gradients(self, source: Source, step: int) -> float:
        batches = list(itertools.islice(source, self.accumulate))
        if not batches:
            raise EndOfBatches
        self.count = sum(self._size(batch) for batch, _ in batches)
        pieces = [piece for batch, share in batches for piece in self._pieces(batch, share)]
        jobs = [(number, piece, share) for number, (piece, share) in enumerate(pieces) if share]

        def work(job: tuple[int, Any, float]) -> tuple[float, dict[Tensor, Array]]:
            number, piece, share = job
            into: dict[Tensor, Array] = {}
            loss = self._loss_of(piece, step, number)
            loss.backward(np.full_like(loss.data, share), into=into)
            return loss.item() * share, into

        loss, total, owned = 0.0, {}, set()
        for first in range(0, len(jobs), backend.threads()):  # no more gradients held than threads
            for value, into in backend.parallel(work, jobs[first : first + backend.threads()]):
                loss += value
                _add(into, total, owned)
        for p in self.params:
            p.grad = total.get(p)
        return loss

    def _pieces(self, batch: Any, share: float) -> list[tuple[Any, float]]:
        """A batch as it is, or cut for the threads, with shares that add up to its own."""
        arrays = arrays_of(batch)
        if self._weigh is None or not arrays:
            return [(batch, share)]
        operations = 6 * sum(p.numel() for p in self.params) * max(a.size for a in arrays)
        ways = min(backend.threads(), examples(batch)) if operations >= _SPLIT_FROM else 1
        if ways == 1:
            return [(batch, share)]
        parts = cut(batch, ways)
        return [(part, share * own) for part, own in zip(parts, self._shares(parts))]

    def clip(self, most: float) -> float:
        return clip_grad_norm(self.params, most)


class GpuEngine(Engine):
    """Steps on a GPU, batch after batch, each copied while the one before is worked on."""

    def feed(self, batches: Iterator[Any], ahead: bool = True) -> Source:
        paired, waiting = super().feed(batches, ahead), deque()

        def arrays() -> Iterator[list[np.ndarray]]:
            for batch, share in paired:
                waiting.append((batch, share))
                yield [a for a in arrays_of(batch) if isinstance(a, np.ndarray)]

        for copies in Prefetch(arrays(), ahead):
            batch, share = waiting.popleft()
            yield _with_copies(batch, iter(copies)), share

    def gradients(self, source: Source, step: int) -> float:
        """As in `Engine`. The GPU is waited for once; 16-bit gradients are added in float32."""
        self._scale, self.count = self.loss_scale.value, 0
        loss, total, seen = 0.0, {}, 0
        for batch, share in itertools.islice(source, self.accumulate):
            seen, self.count = seen + 1, self.count + self._size(batch)
            if not share:
                continue
            into: dict[Tensor, Array] = {}
            one = self._loss_of(batch, step, seen - 1)
            one.backward(xp_of(one.data).full_like(one.data, self._scale * share), into=into)
            loss = loss + one.data * share
            if self.accumulate > 1:
                for p, g in into.items():
                    wide = g.astype(np.float32) if is_half(g) else g
                    total[p] = wide if p not in total else total[p] + wide
            else:
                total = into
        if not seen:
            raise EndOfBatches
        for p in self.params:
            p.grad = total.get(p)
        return float(loss)

    def clip(self, most: float) -> float:
        """As in `Engine`, at the cost of no pass: the optimizer multiplies as it reads."""
        norm = grad_norm(self.params) / self._scale
        self._factor = (most / norm if norm > most else 1.0) / self._scale
        return norm

    def _step(self, optimizer: Optimizer, share: float) -> None:
        optimizer.step(share, self._factor)


def _tokens(batch: Any) -> int:
    return math.prod(np.shape(batch[-1]))


def _with_copies(batch: Any, copies: Iterator[Array]) -> Any:
    """The batch with the copies of its host arrays, in their order, in the place of these."""
    return map_arrays(lambda a: next(copies) if isinstance(a, np.ndarray) else a, batch)


def _add(into: dict[Tensor, Array], total: dict[Tensor, Array], owned: set[Tensor]) -> None:
    """Add gradients to a total, in place where its array is `owned`: no other leaf has it."""
    shared = Counter(id(g) for g in into.values())
    for p, g in into.items():
        if p in owned:
            total[p] += g
        elif p in total:
            total[p] = total[p] + g
            owned.add(p)
        else:
            total[p] = g
            if g.base is None and shared[id(g)] == 1:
                owned.add(p)


def _diagnosis(model: Any, loss: float) -> str:
    """What is wrong and in which parameter it was found."""
    where = "in no gradient, only the loss"
    for what, pick in (("", lambda p: p.data), ("the gradient of ", lambda p: p.grad)):
        bad = [
            name
            for name, p in model.named_parameters()
            if pick(p) is not None and not bool(xp_of(p.data).isfinite(pick(p)).all())
        ]
        if bad:
            where = f"in {what}{bad[0]!r}"
            where += f" and {len(bad) - 1} more" if len(bad) > 1 else ""
            break
    return f"the loss is {loss:.4g}, and a value that is not finite was found {where}"
