"""A unit of ZeRO: parameters that are gathered, reduced and let go together, as one flat array."""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from minilm.backend import Array, is_half, to_numpy, xp_of
from minilm.optim import Optimizer
from minilm.parallel.communicator import Communicator, Pending
from minilm.parallel.offload import Shelf
from minilm.tensor import Tensor

Settings = Callable[[Tensor], dict[str, Any]]


class Unit:
    """Some parameters, and this rank's piece of them.

    The parameters look into one flat array, in the order in which their settings lie together. The
    pieces of the ranks are those of `chunks_of`.

    Args:
        comm: the ranks that share the parameters.
        named: (name, parameter), those of the unit.
        stage: of ZeRO, 0 to 3.
        optimizer: groups of parameters -> optimizer.
        settings: parameter -> settings in which its group differs, such as no weight decay.
        counted: whether a parameter counts in the norm of all gradients.
        shelf: where the optimizer keeps its arrays.
        also: ranks of which each has the same parameters, besides; their gradients are added, too.

    Attributes:
        own: this rank's piece, which its optimizer changes; on stage 0 all of it.
        low: where the piece begins.
        total: gradients of the piece, summed over ranks.
    """

    def __init__(
        self,
        comm: Communicator,
        named: Sequence[tuple[str, Tensor]],
        stage: int,
        optimizer: Callable[[Any], Optimizer],
        settings: Settings,
        counted: Callable[[Tensor], bool],
        shelf: Shelf,
        also: Communicator | None = None,
    ) -> None:
        keyed = sorted(
            ((repr(settings(p)), counted(p)), i, name, p) for i, (name, p) in enumerate(named)
        )
        self.comm, self.stage, self.shelf, self.also = comm, stage, shelf, also
        self.names, self.params = [row[2] for row in keyed], [row[3] for row in keyed]
        self.shapes, self.sizes = [p.shape for p in self.params], [p.data.size for p in self.params]
        self._flat: Array | None = self._joined([p.data for p in self.params])
        self.count, self.bytes, self.dtype = self._flat.size, self._flat.nbytes, self._flat.dtype
        self.pieces = [part.size for part in np.array_split(np.empty(self.count, bool), comm.size)]
        self.low = 0 if stage == 0 else sum(self.pieces[: comm.rank])
        self.high = self.count if stage == 0 else self.low + self.pieces[comm.rank]
        self.total: Array | None = None
        self._coming: Pending | None = None  # the weights of others
        self._leaving: list[Pending] = []  # gradients on their way to the others
        self._met = False  # whether `also` have been asked in this step
        self._look()
        self.own = self._flat[self.low : self.high]
        self._runs = [  # (from, to, settings, counted), inside the piece
            (max(low, self.low) - self.low, min(high, self.high) - self.low, apart, counts)
            for low, high, apart, counts in self._spans(keyed, settings)
            if max(low, self.low) < min(high, self.high)
        ] or [(0, 0, {}, True)]
        comm.ledger.hold("weights", self.bytes)
        if stage == 3 or shelf.away:
            self.own = shelf.put(self.own.copy())
        self._rest = 0 if shelf.away else self.own.nbytes  # bytes of the piece on the device
        if shelf.away:  # a copy of the piece, where the step is computed
            comm.ledger.hold(shelf.kind, self.own.nbytes)
        self._parts = [Tensor(self.own[a:b], requires_grad=True) for a, b, _, _ in self._runs]
        self.optimizer = optimizer(
            [{"params": [p], **run[2]} for p, run in zip(self._parts, self._runs)]
        )
        self._shelve()
        if stage == 3:
            self.let_go()

    def _spans(self, keyed: list, settings: Settings) -> list[tuple[int, int, dict, bool]]:
        """Stretches of the flat array whose parameters have the same settings."""
        spans, at = [], 0
        for (_, counts), rows in groupby(keyed, key=lambda row: row[0]):
            params = [row[3] for row in rows]
            end = at + sum(p.data.size for p in params)
            spans.append((at, end, settings(params[0]), counts))
            at = end
        return spans

    def _shelve(self) -> None:
        """Put the optimizer's arrays where they belong, and note what they take."""
        kind = self.shelf.kind if self.shelf.away else "optimizer"
        for state in self.optimizer.state:
            for name, array in state.items():
                state[name] = self.shelf.put(array)
                self.comm.ledger.hold(kind, array.nbytes)

    @staticmethod
    def _joined(arrays: Sequence[Array]) -> Array:
        return xp_of(arrays[0]).concatenate([a.reshape(-1) for a in arrays])  # (...) -> (N,)

    def _look(self) -> None:
        """Let the parameters look into the flat array."""
        at = 0
        for p, size, shape in zip(self.params, self.sizes, self.shapes):
            p.data = self._flat[at : at + size].reshape(shape)
            at += size

    # ------------------------------------------------------------------------------ weights

    @property
    def here(self) -> bool:
        """Whether all weights are here."""
        return self._flat is not None

    def start_gather(self) -> None:
        """Ask for every rank's piece of the weights, where they are not here or on their way."""
        if not self.here and self._coming is None:
            self.comm.ledger.hold("weights", self.bytes - self._rest)
            self._coming = self.comm.start_all_gather(self._sent(), self.pieces)

    def gather(self) -> None:
        """Have all weights here."""
        self.start_gather()
        if self._coming is not None:
            pieces = self._coming.wait()
            self._flat, self._coming = xp_of(pieces[0]).concatenate(pieces), None
            self._look()

    def let_go(self) -> None:
        """Only the own piece stays; what a parameter then holds takes no memory, nobody reads."""
        if self._coming is not None:  # asked for, and not needed after all
            self.gather()
        if self.here:
            for p in self.params:
                p.data = xp_of(p.data).broadcast_to(p.data.dtype.type(np.nan), p.shape)
            self._flat = None
            self.comm.ledger.hold("weights", self._rest - self.bytes)

    def _sent(self) -> Array:
        """The own piece, on the device of the parameters."""
        xp = xp_of(self.params[0].data)
        return self.own if xp is np else xp.asarray(self.own)

    # ------------------------------------------------------------------------------ gradients

    @property
    def _kept(self) -> int:
        """Bytes of gradients between backward and the step."""
        return self.own.nbytes if self.stage >= 2 else self.bytes

    def start_reduce(self) -> None:
        """Begin to sum the gradients over ranks, where there are any."""
        if all(p.grad is None for p in self.params):
            return
        xp = xp_of(next(p.grad for p in self.params if p.grad is not None))
        grads = [
            xp.zeros(shape, self.dtype) if p.grad is None else p.grad
            for p, shape in zip(self.params, self.shapes)
        ]
        self.comm.ledger.hold("gradients", self.bytes)
        flat = self._joined(grads)
        for p in self.params:
            p.grad = None
        start = self.comm.start_reduce_scatter if self.stage else self.comm.start_all_reduce
        self._leaving.append(start(flat))

    def nudge(self) -> None:
        """Let sums get on whose library has no thread of its own."""
        for pending in self._leaving:
            pending.done()

    def finish_reduce(self) -> None:
        """Wait for the sums, and keep those that this rank needs."""
        for pending in self._leaving:
            total = pending.wait()
            kept = 0 if self.total is not None else self._kept
            self.total = total if self.total is None else self.total + total
            self.comm.ledger.hold("gradients", kept - self.bytes)
        self._leaving.clear()

    def reduce(self) -> None:
        """Sum the gradients that there are, now."""
        self.start_reduce()
        self.finish_reduce()

    def meet_twins(self) -> None:
        """Add the gradients of those that have the same parameters besides, once a step."""
        if self.also is not None and not self._met:
            self._met = True
            if self.total is None:
                self.total = np.zeros(self.high - self.low, self.dtype)
                self.comm.ledger.hold("gradients", self._kept)
            self.total = self.also.all_reduce(self.total)

    def squares(self) -> float:
        """The sum of the squares of this piece's gradients that count."""
        if self.total is None:
            return 0.0
        parts = [self.total[a:b] for a, b, _, counts in self._runs if counts]
        wide = [part.astype(np.float64).reshape(-1) for part in parts]
        return float(sum(part @ part for part in wide))

    # ------------------------------------------------------------------------------ the step

    def update(self, share: float, factor: float) -> None:
        """Change the own piece by its gradients times `factor`; then have all weights again."""
        if self.total is None:
            return
        wide = np.dtype(np.float32) if is_half(self.total) else self.total.dtype
        g = self.total.astype(wide) * wide.type(factor) if factor != 1 else self.total
        g = to_numpy(g) if self.shelf.away else g
        for part, (a, b, _, _) in zip(self._parts, self._runs):
            part.grad = g[a:b]
        self.optimizer.step(share)
        self.optimizer.zero_grad()
        self.drop()
        if self.stage < 3:
            self._share_out()

    def drop(self) -> None:
        """Forget the gradients."""
        self._met = False
        if self.total is not None:
            self.comm.ledger.hold("gradients", -self._kept)
            self.total = None

    def _share_out(self) -> None:
        """Bring the changed weights to the parameters of this rank and of the others."""
        if self.stage == 0:
            if self.shelf.away:
                self._flat[...] = self._sent()
        else:
            at = 0
            for piece in self.comm.start_all_gather(self._sent(), self.pieces).wait():
                self._flat[at : at + piece.size] = piece
                at += piece.size
        for p in self.params:
            p.touch()

    # ------------------------------------------------------------------------------ saving

    def state(self) -> dict[str, Array]:
        """The own piece and the optimizer's arrays of it, all of one length; wide weights."""
        arrays: dict[str, list[Array]] = {}
        for part, state in zip(self._parts, self.optimizer.state):
            for name, array in {"weights": state.get("master", part.data), **state}.items():
                if name != "master":
                    arrays.setdefault(name, []).append(array)
        return {name: self._joined(parts) for name, parts in arrays.items()}

    def load(self, arrays: dict[str, Array], taken: int) -> None:
        """Take over what `state` of the same piece returned, after so many steps."""
        for part, state, (a, b, _, _) in zip(self._parts, self.optimizer.state, self._runs):
            for name, array in state.items():
                array[...] = arrays["weights" if name == "master" else name][a:b]
            part.data[...] = arrays["weights"][a:b].astype(part.dtype)
        self.optimizer.steps, self.optimizer.taken = taken, [taken] * len(self._parts)
        if self.stage < 3:
            self._share_out()
