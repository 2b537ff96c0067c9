"""ZeRO: data parallel training whose optimizer, gradients and weights are shared out over ranks.

    stage 0   every rank keeps everything; gradients are summed over ranks
    stage 1   each rank keeps the optimizer of its piece only
    stage 2   and the gradients of its piece only, as soon as a unit's backward is done
    stage 3   and the weights of its piece only; a unit's are gathered when it runs, and let go

(Rajbhandari et al. 2019, arXiv 1910.02054; stage 3 is what PyTorch calls FSDP.) The code of a rank
is the same for all stages:

    zero = Zero(comm, model, model.stack.blocks, lambda params: AdamW(params, lr=1e-3), stage=3)
    loss = model.loss(*batch_of(comm.rank))
    loss.backward()
    zero.step()
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from minilm.errors import InputError
from minilm.nn import Module, ModuleList
from minilm.optim import Optimizer
from minilm.parallel.collectives import chunks_of
from minilm.parallel.communicator import Communicator
from minilm.tensor import Tensor, checkpoint


class _Unit:
    """Parameters that are gathered, reduced and let go together, as one flat array."""

    def __init__(self, comm: Communicator, params: Sequence[Tensor], stage: int) -> None:
        self.comm, self.params, self.stage = comm, list(params), stage
        self.shapes = [p.shape for p in self.params]
        self.sizes = [p.data.size for p in self.params]
        flat = self._flat([p.data for p in self.params])
        mine = flat if stage == 0 else chunks_of(flat, comm.size)[comm.rank]
        self.own = Tensor(
            mine.copy(), requires_grad=True
        )  # what the optimizer of this rank changes
        self.bytes = flat.nbytes
        self.gathered = True
        self.total: np.ndarray | None = None  # gradients of the own piece, summed over ranks
        comm.ledger.hold("weights", self.bytes)
        if stage == 3:
            self.let_go()

    @staticmethod
    def _flat(arrays: Sequence[np.ndarray]) -> np.ndarray:
        return np.concatenate([a.reshape(-1) for a in arrays])

    def _spread(self, flat: np.ndarray) -> None:
        """Write one flat array into the parameters."""
        parts = np.split(flat, np.cumsum(self.sizes)[:-1])
        for p, part, shape in zip(self.params, parts, self.shapes, strict=True):
            p.data = part.reshape(shape)

    def gather(self) -> None:
        """Every rank's piece of the weights, where they are not here."""
        if not self.gathered:
            self._spread(np.concatenate(self.comm.all_gather(self.own.data)))
            self.gathered = True
            self.comm.ledger.hold("weights", self.bytes - self.own.data.nbytes)

    def let_go(self) -> None:
        """Only the own piece stays; what a parameter then holds takes no memory and is not read."""
        if self.gathered:
            for p in self.params:
                p.data = np.broadcast_to(p.data.dtype.type(np.nan), p.shape)
            self.gathered = False
            self.comm.ledger.hold("weights", self.own.data.nbytes - self.bytes)

    def reduce(self) -> None:
        """Sum the gradients over ranks, where there are any, and keep what this rank needs."""
        if all(p.grad is None for p in self.params):
            return
        grads = [
            np.zeros(shape, self.own.data.dtype) if p.grad is None else p.grad
            for p, shape in zip(self.params, self.shapes, strict=True)
        ]
        hold = self.comm.ledger.hold
        hold("gradients", self.bytes)
        flat = self._flat(grads)
        shared = self.stage > 0
        total = self.comm.reduce_scatter(flat) if shared else self.comm.all_reduce(flat)
        self.total = total if self.total is None else self.total + total
        for p in self.params:
            p.grad = None
        if self.stage >= 2:
            hold("gradients", total.nbytes - self.bytes)

    def update(self, optimizer: Optimizer, ranks: int) -> None:
        """One step of the own piece, with the mean over ranks; then all weights where they stay."""
        self.reduce()
        if self.total is None:
            return
        self.own.grad = self.total / ranks
        optimizer.step()
        self.comm.ledger.hold("gradients", -(self.total.nbytes if self.stage >= 2 else self.bytes))
        self.own.grad = self.total = None
        if self.stage == 0:
            self._spread(self.own.data.copy())
        elif self.stage < 3:
            self._spread(np.concatenate(self.comm.all_gather(self.own.data)))


class _Sharded(Module):
    """A module whose weights are here only while it runs, in forward and again in backward."""

    def __init__(self, inside: Module, unit: _Unit, others: list[_Unit]) -> None:
        self.inside, self._unit, self._others = inside, unit, others

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        def run(x: Tensor) -> Tensor:
            for other in self._others:  # in backward: whose gradients are complete by now
                if other is not self._unit:
                    other.reduce()
            self._unit.gather()
            out = self.inside(x, *args, **kwargs)
            self._unit.let_go()
            return out

        return checkpoint(run, x)


class Zero:
    """What a rank keeps of a model, and the step that all ranks take together.

    The gradient is the mean over ranks, so every rank's loss must be a mean over as many targets.

    Args:
        comm: the ranks among which the batch is split.
        model: the whole model; the same weights on every rank.
        units: modules of it that are gathered one at a time; what is in none of them is gathered
            for the whole step. Parameters of two units are not shared between them.
        optimizer: parameters -> optimizer that treats every number alike (AdamW, SGD).
        stage: 0 to 3, as above.

    Raises:
        InputError: the stage is none, or two units share a parameter.
    """

    def __init__(
        self,
        comm: Communicator,
        model: Module,
        units: ModuleList,
        optimizer: Callable[[list[Tensor]], Optimizer],
        stage: int,
    ) -> None:
        if stage not in (0, 1, 2, 3):
            raise InputError(f"stage is {stage}; it must be 0, 1, 2 or 3")
        self.comm, self.stage = comm, stage
        inside = [p for unit in units for p in unit.parameters()]
        if len({id(p) for p in inside}) < len(inside):
            raise InputError("units share a parameter; each must be in one unit only")
        own = {id(p) for p in inside}
        rest = [p for p in model.parameters() if id(p) not in own]
        self.rest = _Unit(comm, rest, stage)
        self.units = [_Unit(comm, unit.parameters(), stage) for unit in units]
        if stage == 3:
            for i, unit in enumerate(self.units):
                units[i] = _Sharded(units[i], unit, self.units)
            self.rest.gather()
        self.all = [self.rest, *self.units]
        self.optimizers = [optimizer([unit.own]) for unit in self.all]
        for one in self.optimizers:
            comm.ledger.hold(
                "optimizer", sum(a.nbytes for state in one.state for a in state.values())
            )

    def step(self) -> None:
        """Reduce what is left, update, and leave the weights as the next forward needs them."""
        for unit, optimizer in zip(self.all, self.optimizers, strict=True):
            unit.update(optimizer, self.comm.size)
        if self.stage == 3:
            self.rest.let_go()
            self.rest.gather()

    @contextmanager
    def whole(self) -> Iterator[None]:
        """All weights are here inside: to save, to compare, to generate."""
        for unit in self.all:
            unit.gather()
        yield
        if self.stage == 3:
            for unit in self.units:
                unit.let_go()
