"""A Transformer on many ranks, under any layout: `ParallelModel` is what a training loop needs.

layout = Layout(dp=2, tp=2, pp=2, cp=2)

def worker(comm):
    model = ParallelModel(layout.on(comm), Transformer(config, seed=0), optimizer, zero=1)
    for ids, targets in batches:                 # the whole batch, on every rank
        loss = model.gradients(ids, targets)
        norm = model.norm()
        model.step(factor=min(1, clip / norm))

simulate(worker, ranks=16)
"""

import json
import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np

from minilm.backend import IGNORE
from minilm.errors import InputError
from minilm.models import Transformer
from minilm.nn import ModuleList
from minilm.optim import Optimizer
from minilm.parallel.layout import Here
from minilm.parallel.pipeline import pipeline_orders
from minilm.parallel.schedule import Micro, run_pipeline
from minilm.parallel.share import Share
from minilm.parallel.tensor import join_parts
from minilm.parallel.units import Settings
from minilm.parallel.zero import Zero


class ParallelModel:
    """One rank's share of a model, its optimizer, and the steps that all ranks take together.

    Args:
        here: the rank's place in a layout.
        model: the whole model, the same on every rank; it is taken apart.
        optimizer: groups of parameters -> an optimizer that treats every number alike.
        zero: stage of ZeRO, 0 to 3, among the ranks that have the same part of the model.
        schedule: of the pipeline, one of `SCHEDULES`.
        micro: batches that a step is cut into.
        recompute: "none", "selective" or "full", see `Share`.
        settings: parameter -> settings in which it differs, such as {"weight_decay": 0.0}.
        measure: note in the ledger what is kept for backward.
        options: `ahead`, `overlap` and `offload` of `Zero`.

    Raises:
        InputError: the layout does not fit the model; an unknown schedule.
    """

    def __init__(
        self,
        here: Here,
        model: Transformer,
        optimizer: Callable[[Any], Optimizer],
        zero: int = 0,
        *,
        schedule: str = "1f1b",
        micro: int = 1,
        recompute: str = "none",
        settings: Settings = lambda p: {},
        measure: bool = False,
        **options: Any,
    ) -> None:
        layout = here.layout
        layout.check_fit(here.comm.size, model.config)
        if layout.pieces > 1 and schedule != "interleaved":
            raise InputError(f"pieces is {layout.pieces}; the schedule must be 'interleaved'")
        self.orders = pipeline_orders(layout.pp, micro, schedule, layout.pieces)
        self.here, self.micro, self.measure = here, micro, measure
        self.share = Share(here, model, recompute)
        names = self.share.whole_names()
        whole = {id(p): names[name] for name, p in self.share.named_parameters()}
        twins = []
        if here.ends is not None and model.config.tie:
            twins = [(self.share.tokens.weight, here.ends)]
        tied_elsewhere = {id(p) for p, _ in twins if here.ends.rank > 0}

        def counted(p: Any) -> bool:
            once = here.at.tp == 0 or self.share.is_cut(whole[id(p)])
            return once and id(p) not in tied_elsewhere

        common = {"settings": settings, "counted": counted, "average": False}
        experts = self.share.experts()
        self.zero = Zero(
            here.data,
            self.share,
            self.share.blocks,
            optimizer,
            zero,
            twins=twins,
            others=experts,
            **common,
            **options,
        )
        self.experts = None  # whose gradients meet among fewer ranks
        if experts:
            rest = [p for p in self.share.parameters() if id(p) not in set(map(id, experts))]
            nothing = ModuleList()
            self.experts = Zero(
                here.same_experts, self.share, nothing, optimizer, zero, others=rest, **common
            )

    def gradients(self, ids: np.ndarray, targets: np.ndarray, scale: float = 1.0) -> float:
        """Forward and backward of a step; returns the mean loss in nats per scored target.

        Args:
            ids, targets: (B, T) the whole batch, the same on every rank.
            scale: what the loss is multiplied by before backward.

        Raises:
            InputError: a batch or a length that the layout does not divide.
        """
        layout, at = self.here.layout, self.here.at
        batch, time = ids.shape
        layout.check_fit(self.here.comm.size, self.share.config, batch, time, self.micro)
        where = self.here.own_places(time)
        scored = int((targets != IGNORE).sum())
        own = np.array_split(np.arange(batch), layout.dp)[at.dp]
        batches = []
        for rows in np.array_split(own, self.micro):
            part = np.ix_(rows, where)
            mine = targets[part]
            count = int((mine != IGNORE).sum())
            batches.append(Micro(ids[part], mine, count / max(1, scored)))
        loss = run_pipeline(self.share, self.orders, batches, where, scale, self.measure)
        known = loss if at.tp == 0 and self.share.last else 0.0
        return float(self.here.comm.all_reduce(np.array(known)))

    def norm(self) -> float:
        """The norm of all gradients of the model together, the same on every rank."""
        self.zero.reduce()
        squares = np.array(self.zero.squares())
        if self.experts is not None:
            self.experts.reduce()
            squares = squares + self.here.ep.all_reduce(np.array(self.experts.squares()))
        return math.sqrt(float(self.here.model.all_reduce(squares)))

    def step(self, share: float = 1.0, factor: float = 1.0) -> None:
        """Change the weights; arguments as for `Zero.step`."""
        self.zero.step(share, factor)
        if self.experts is not None:
            self.experts.step(share, factor)

    def kept(self) -> dict[str, Zero]:
        """Name of a part of the model -> what this rank keeps of it, for `save_shards`."""
        layout, at = self.here.layout, self.here.at
        part = f"pp {at.pp} of {layout.pp}, tp {at.tp} of {layout.tp}"
        kept = {part: self.zero}
        if self.experts is not None:
            kept[f"{part}, experts {self.here.ep.rank} of {layout.ep}"] = self.experts
        return kept

    def state(self) -> dict[str, np.ndarray]:
        """The whole model's weights on every rank, under its usual names: to save, to compare."""
        names = self.share.whole_names()
        with self.zero.whole() if self.zero.stage == 3 else nullcontext():
            own = {names[name]: np.array(p.data) for name, p in self.share.named_parameters()}
        attention = next(m for m in self.share.modules() if hasattr(m, "kv_heads"))
        heads = (attention.heads, attention.kv_heads, attention.kv_heads)
        groups = [count * attention.head_size for count in heads]
        mine = {id(p) for p in self.share.experts()}
        cut = {names[name] for name, p in self.share.named_parameters() if id(p) in mine}
        state = {}
        for name, x in own.items():
            if name in cut:
                x = np.concatenate(self.here.ep.all_gather(x))
            if self.share.is_cut(name):
                x = join_parts(name, self.here.tp.all_gather(x), groups)
            state[name] = x
        for stage in range(self.here.layout.pp):
            said = json.dumps({name: x.shape for name, x in state.items()}).encode()
            mine = stage == self.here.at.pp
            given = np.frombuffer(said, np.uint8).copy() if mine else None
            shapes = json.loads(bytes(self.here.pp.broadcast(given, stage)))
            for name, shape in shapes.items():
                x = self.here.pp.broadcast(state[name] if mine else None, stage)
                state.setdefault(name, x.reshape(shape))
        return state
