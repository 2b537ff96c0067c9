"""How many ranks share what: one object for all kinds of parallelism, and this rank's place in it.

    layout = Layout(dp=2, tp=2, pp=2, cp=2)          # 16 ranks
    here = layout.on(comm)                           # here.tp, here.pp, ... are communicators

Ranks are numbered so that those that talk most are neighbours: tensor parallel ranks first, then
context, data and pipeline.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np

from minilm.errors import InputError
from minilm.models import Config
from minilm.parallel.communicator import Communicator
from minilm.parallel.context import zigzag_split

ABSOLUTE = ("learned", "sinusoidal", "rope", "none")  # positions that a cut text keeps


class Coordinates(NamedTuple):
    """A rank's place: which stage, which share of the batch, of the text, of the matrices."""

    pp: int
    dp: int
    cp: int
    tp: int


@dataclass(frozen=True)
class Layout:
    """A product of ways to share the work of a step.

    Attributes:
        dp: ranks that share the batch.
        tp: ranks that share each matrix.
        pp: ranks that share the layers.
        cp: ranks that share each text.
        ulysses: of `cp`, ranks that exchange heads; blocks go around between the others.
        ep: of `dp`, ranks that share the experts of a layer.
        sequence: what lies between a layer's matrices is cut by tokens among the `tp` ranks.
        pieces: stretches of layers on each pipeline stage.
        zigzag: cut texts so that all ranks have the same work under a causal mask.

    Raises:
        InputError: a number is below 1, or one does not divide another.
    """

    dp: int = 1
    tp: int = 1
    pp: int = 1
    cp: int = 1
    ulysses: int = 1
    ep: int = 1
    sequence: bool = False
    pieces: int = 1
    zigzag: bool = True

    def __post_init__(self) -> None:
        for name in ("dp", "tp", "pp", "cp", "ulysses", "ep", "pieces"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for part, whole in (("ulysses", "cp"), ("ep", "dp")):
            a, b = getattr(self, part), getattr(self, whole)
            if b % a:
                raise InputError(f"{part} is {a}; it must divide {whole}, which is {b}")

    @property
    def ranks(self) -> int:
        """How many ranks it takes."""
        return self.dp * self.tp * self.pp * self.cp

    def __str__(self) -> str:
        experts = f" (ep {self.ep})" if self.ep > 1 else ""
        return f"dp {self.dp}{experts} x tp {self.tp} x pp {self.pp} x cp {self.cp}"

    def coordinates(self, rank: int) -> Coordinates:
        """Where a rank stands."""
        sizes = (self.pp, self.dp, self.cp, self.tp)
        return Coordinates(*map(int, np.unravel_index(rank, sizes)))

    def rank_at(self, at: Coordinates) -> int:
        """Who stands there."""
        return int(np.ravel_multi_index(at, (self.pp, self.dp, self.cp, self.tp)))

    def check_fit(
        self,
        ranks: int,
        config: Config | None = None,
        batch: int = 0,
        context: int = 0,
        micro: int = 1,
    ) -> None:
        """Refuse what does not fit, before any work.

        Args:
            ranks: how many there are.
            config: of the model; None: not looked at.
            batch: sequences of a step; 0: not looked at.
            context: tokens of a sequence; 0: the config's.
            micro: batches that a step is cut into for the pipeline.

        Raises:
            InputError: the product is not the number of ranks; a number of the model that its share
                of the ranks does not divide.
        """
        if self.ranks != ranks:
            raise InputError(f"the layout {self} takes {self.ranks} ranks; there are {ranks}")
        if batch and batch < self.dp * micro:
            raise InputError(
                f"batch is {batch}; it must have a sequence for each of dp x micro-batches, "
                f"{self.dp} x {micro}"
            )
        if config is not None:
            for sentence in self._misfits(config, context or config.context):
                raise InputError(sentence)

    def _misfits(self, config: Config, context: int) -> Iterator[str]:
        if config.kind != "decoder" or config.head != "lm":
            yield (
                f"the model is a {config.kind!r} with the head {config.head!r}; over ranks it must "
                "be a 'decoder' with 'lm'"
            )
        if config.positions not in ABSOLUTE:
            yield f"positions is {config.positions!r}; over ranks it must be {', '.join(ABSOLUTE)}"
        if config.dropout:
            yield (
                f"dropout is {config.dropout}; over ranks it must be 0, or what is dropped would "
                "depend on the layout"
            )
        if config.window is not None and self.cp > 1:
            yield f"window is {config.window}; a text that is cut (cp {self.cp}) has none"
        cap = config.attention_cap
        if cap is not None and self.cp > 1:
            yield f"attention_cap is {cap}; a text that is cut (cp {self.cp}) has none"
        if config.qk_norm == "all" and self.tp > 1:
            yield f"qk_norm is 'all'; heads that are shared (tp {self.tp}) have no norm together"
        heads = self.tp * self.ulysses
        what = f"tp x ulysses, {self.tp} x {self.ulysses}" if self.ulysses > 1 else f"tp, {self.tp}"
        for name, count, by, words in (
            ("heads", config.heads, heads, what),
            ("kv_heads", config.G, heads, what),
            ("the feed-forward's width", config.F, self.tp, f"tp, {self.tp}"),
            ("vocab_size", config.vocab_size, self.tp, f"tp, {self.tp}"),
            ("context", context, self._cuts(), f"{self._cuts()} pieces of a text"),
        ):
            if count % by:
                yield f"{name} is {count}; it must be a multiple of {words}"
        if config.layers < self.pp * self.pieces:
            yield (
                f"layers is {config.layers}; there must be one for each of {self.pp} stages x "
                f"{self.pieces} pieces"
            )

    def _cuts(self) -> int:
        """Into how many equal parts a text must fall."""
        text = self.cp * (2 if self.zigzag and self.cp > 1 else 1)
        return int(np.lcm(text, self.cp * (self.tp if self.sequence else 1)))

    def places(self, context: int) -> list[np.ndarray]:
        """Which tokens of a text each context parallel rank has."""
        if self.zigzag and self.cp > 1:
            return zigzag_split(context, self.cp)
        return np.split(np.arange(context), self.cp)

    def on(self, comm: Communicator) -> "Here":
        """This rank's place.

        Raises:
            InputError: the product is not the number of ranks.
        """
        self.check_fit(comm.size)
        return Here(self, comm)


class Here:
    """One rank's place in a layout, and those it shares something with.

    Attributes:
        at: its coordinates.
        tp, pp, cp, dp: communicators of those that differ in that coordinate only.
        data: of those with the same part of the model: `dp` and `cp` together.
        model: of those with the same share of the batch and the text: `tp` and `pp` together.
        ends: of the first and the last stage, on these; None on others.
        ring, ulysses: the two halves of `cp`.
        ep: of those that share the experts of a layer, neighbours in `dp`.
        same_experts: of `data`, those with the same experts.
    """

    def __init__(self, layout: Layout, comm: Communicator) -> None:
        self.layout, self.comm = layout, comm
        self.at = at = layout.coordinates(comm.rank)

        def those(**free: object) -> Communicator:
            """The ranks that differ from this one in the coordinates named, to these values."""
            axes = [free.get(name, [getattr(at, name)]) for name in Coordinates._fields]
            ranks = [layout.rank_at(Coordinates(*c)) for c in product(*axes)]  # type: ignore
            return comm.group(ranks)

        every = {name: range(getattr(layout, name)) for name in Coordinates._fields}
        self.tp, self.pp, self.cp, self.dp = (
            those(**{name: every[name]}) for name in ("tp", "pp", "cp", "dp")
        )
        self.data = those(dp=every["dp"], cp=every["cp"])
        self.model = those(pp=every["pp"], tp=every["tp"])
        outer = layout.pp > 1 and at.pp in (0, layout.pp - 1)
        self.ends = those(pp=[0, layout.pp - 1]) if outer else None
        first = at.cp - at.cp % layout.ulysses
        self.ulysses = those(cp=range(first, first + layout.ulysses))
        self.ring = those(cp=range(at.cp % layout.ulysses, layout.cp, layout.ulysses))
        first = at.dp - at.dp % layout.ep
        self.ep = those(dp=range(first, first + layout.ep))
        others = range(at.dp % layout.ep, layout.dp, layout.ep)
        self.same_experts = those(dp=others, cp=every["cp"])

    def own_places(self, context: int) -> np.ndarray:
        """Which tokens of a text this rank has."""
        return self.layout.places(context)[self.at.cp]

    def ring_places(self, size: int) -> list[np.ndarray]:
        """The tokens of each rank of the ring, after the exchange of heads; `size` for one rank."""
        parts, width = self.layout.places(size * self.layout.cp), self.layout.ulysses
        return [
            np.concatenate(parts[first : first + width]) for first in range(0, len(parts), width)
        ]
