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

A model of 16-bit weights has 16-bit gradients; the optimizer keeps 12 bytes for each: the weight in
float32 and Adam's two means. That is the paper's 2 + 2 + 12.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from minilm.errors import InputError
from minilm.nn import Module, ModuleList
from minilm.optim import Optimizer
from minilm.parallel.communicator import Communicator
from minilm.parallel.offload import Shelf
from minilm.parallel.units import Settings, Unit
from minilm.tensor import Tensor, checkpoint, is_grad_enabled


class _Sharded(Module):
    """A module whose weights are here only while it runs, in forward and again in backward."""

    def __init__(self, inside: Module, units: Sequence[Unit], number: int, ahead: int) -> None:
        self.inside, self._units, self._number, self._ahead = inside, units, number, ahead

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        def run(x: Tensor) -> Tensor:
            unit, way = self._units[self._number], -1 if is_grad_enabled() else 1
            unit.gather()
            for step in range(1, self._ahead + 1):  # those whose turn is next
                if 0 <= self._number + way * step < len(self._units):
                    self._units[self._number + way * step].start_gather()
            out = self.inside(x, *args, **kwargs)
            unit.let_go()
            return out

        return checkpoint(run, x)


class Zero:
    """What a rank keeps of a model, and the step that all ranks take together.

    The gradient is the mean over ranks, so every rank's loss must be a mean over as many targets;
    with `average=False` it is the sum.

    Args:
        comm: the ranks among which the batch is split.
        model: the whole model; the same weights on every rank.
        units: modules of it that are gathered and reduced one at a time; what is in none of them is
            gathered for the whole step. Parameters of two units are not shared between them.
        optimizer: parameters -> optimizer that treats every number alike (AdamW, SGD); it gets
            groups, as in PyTorch.
        stage: 0 to 3, as above.
        ahead: units that stage 3 asks for before their turn.
        overlap: begin to sum a unit's gradients when backward has found them, and go on; without
            it stages 2 and 3 wait, stages 0 and 1 begin with the step.
        offload: where the optimizer's arrays are, and its step is computed: None for the device of
            the weights, "host", or a folder for files mapped into memory.
        settings: parameter -> settings in which it differs, such as {"weight_decay": 0.0}.
        counted: which parameters count in the norm; others know those of another rank.
        twins: (parameter, ranks that have it, too), such as a tied embedding on the first and the
            last stage of a pipeline.
        average: divide by the ranks.
        others: parameters of the model that are not this object's matter.

    Raises:
        InputError: the stage is none, or two units share a parameter.
    """

    def __init__(
        self,
        comm: Communicator,
        model: Module,
        units: ModuleList,
        optimizer: Callable[[Any], Optimizer],
        stage: int,
        *,
        ahead: int = 1,
        overlap: bool = False,
        offload: str | Path | None = None,
        settings: Settings = lambda p: {},
        counted: Callable[[Tensor], bool] = lambda p: True,
        twins: Sequence[tuple[Tensor, Communicator]] = (),
        average: bool = True,
        others: Sequence[Tensor] = (),
    ) -> None:
        if stage not in (0, 1, 2, 3):
            raise InputError(f"stage is {stage}; it must be 0, 1, 2 or 3")
        if ahead < 0:
            raise InputError(f"ahead is {ahead}; it must be 0 or more")
        self.comm, self.stage, self.overlap, self.average = comm, stage, overlap, average
        names = {id(p): name for name, p in model.named_parameters()}
        left = {id(p) for p in others}
        inside = [[p for p in unit.parameters() if id(p) not in left] for unit in units]
        apart = [id(p) for part in inside for p in part] + [id(p) for p, _ in twins]
        if len(set(apart)) < len(apart):
            raise InputError("units share a parameter; each must be in one unit only")
        rest = [p for p in model.parameters() if id(p) not in left.union(apart)]
        shelf = Shelf(offload, comm.rank)

        def unit(params: Sequence[Tensor], also: Communicator | None = None) -> Unit:
            named = [(names[id(p)], p) for p in params]
            return Unit(comm, named, stage, optimizer, settings, counted, shelf, also)

        self.rest = [unit(rest)] if rest else []
        self.rest += [unit([p], also) for p, also in twins]
        self.units = [unit(part) for part in inside]
        self.all = [*self.rest, *self.units]
        if stage == 3:
            for i in range(len(units)):
                units[i] = _Sharded(units[i], self.units, i, ahead)
            for one in self.rest:
                one.gather()
        self._remove = [
            p.register_post_accumulate_grad_hook(self._when_complete(one))
            for one in self.all
            for p in one.params
            if stage >= 2 or overlap
        ]

    def _when_complete(self, unit: Unit) -> Callable[[Tensor], None]:
        """Reduces a unit once each of its parameters has a gradient."""

        def hook(_: Tensor) -> None:
            if all(p.grad is not None for p in unit.params):
                unit.start_reduce()
                if not self.overlap:
                    unit.finish_reduce()
            for one in self.all:
                one.nudge()

        return hook

    def reduce(self) -> None:
        """Sum what gradients are left over ranks, and wait for all sums."""
        for unit in self.all:
            unit.start_reduce()
        for unit in self.all:
            unit.finish_reduce()
        for unit in self.rest:
            unit.meet_twins()

    def squares(self) -> float:
        """The sum of the squares of all gradients that count, as the step will use them.

        After `reduce`. A communicator's ranks know the same number.
        """
        own = np.array(sum(unit.squares() for unit in self.all))
        total = float(self.comm.all_reduce(own) if self.stage else own)
        return total / (self.comm.size**2 if self.average else 1)

    def step(self, share: float = 1.0, factor: float = 1.0) -> None:
        """Reduce what is left, update, and leave the weights as the next forward needs them.

        Args:
            share: of the learning rate.
            factor: what every gradient is multiplied by first.
        """
        self.reduce()
        for unit in self.all:
            unit.update(share, factor / self.comm.size if self.average else factor)
        if self.stage == 3:
            for unit in self.units:
                unit.let_go()
            for unit in self.rest:
                unit.let_go()
                unit.gather()

    def forget(self) -> None:
        """Drop the gradients of a step that is left out."""
        self.reduce()
        for unit in self.all:
            unit.drop()

    @contextmanager
    def whole(self) -> Iterator[None]:
        """All weights are here inside: to save, to compare, to generate."""
        for unit in self.all:
            unit.gather()
        yield
        if self.stage == 3:
            for unit in self.units:
                unit.let_go()
