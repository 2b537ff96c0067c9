"""Plain data parallelism: gradients are summed over ranks in buckets, while backward goes on.

Backward finds the last layers' gradients first. Once all of a bucket are there, their sum over
ranks begins, and the earlier layers' gradients are computed meanwhile (Li et al. 2020, arXiv
2006.15704). One large message costs less than many small ones, so a bucket holds many parameters.

    ddp = DataParallel(comm, model)
    loss = model.loss(*batch_of(comm.rank))
    loss.backward()
    ddp.finish()             # p.grad is now the mean over ranks
    optimizer.step()
"""

from collections.abc import Callable

import numpy as np

from minilm.backend import xp_of
from minilm.errors import InputError
from minilm.nn import Module
from minilm.parallel.communicator import Communicator, Pending
from minilm.tensor import Tensor

BUCKET = 25_000_000  # bytes, PyTorch's


class DataParallel:
    """Keeps the gradients of a model's copies equal.

    Args:
        comm: the ranks, each with the same weights and its share of the batch.
        model: this rank's copy.
        bucket: bytes of gradients that are summed together, about.
        overlap: begin during backward; without it `finish` does all.

    Attributes:
        buckets: the parameters that are summed together, in the order in which they start.

    Raises:
        InputError: a bucket of less than a byte.
    """

    def __init__(
        self, comm: Communicator, model: Module, bucket: int = BUCKET, overlap: bool = True
    ) -> None:
        if bucket < 1:
            raise InputError(f"bucket is {bucket}; it must be at least 1 byte")
        self.comm, self.buckets = comm, _buckets(model.parameters(), bucket)
        self._started: dict[int, Pending] = {}
        self._remove: list[Callable[[], None]] = []
        if overlap:
            for number, params in enumerate(self.buckets):
                for p in params:
                    hook = self._hook(number)
                    self._remove.append(p.register_post_accumulate_grad_hook(hook))

    def _hook(self, number: int) -> Callable[[Tensor], None]:
        def hook(_: Tensor) -> None:
            if number not in self._started and all(
                p.grad is not None for p in self.buckets[number]
            ):
                self._start(number)
            for pending in self._started.values():
                pending.done()  # lets a library without threads of its own get on

        return hook

    def _start(self, number: int) -> None:
        params = self.buckets[number]
        for p in params:
            if p.grad is None:
                p.grad = xp_of(p.data).zeros_like(p.data)
        flat = xp_of(params[0].grad).concatenate([p.grad.reshape(-1) for p in params])
        self._started[number] = self.comm.start_all_reduce(flat)

    def finish(self) -> None:
        """Sum what is left, wait for all sums, and put the means into the parameters' `grad`."""
        for number in range(len(self.buckets)):
            if number not in self._started:
                self._start(number)
        for number, params in enumerate(self.buckets):
            mean = self._started[number].wait()
            mean *= mean.dtype.type(1 / self.comm.size)
            cuts = np.cumsum([p.numel() for p in params])[:-1]
            for p, part in zip(params, xp_of(mean).split(mean, cuts.tolist())):
                p.grad = part.reshape(p.shape)
        self._started.clear()


def _buckets(params: list[Tensor], size: int) -> list[list[Tensor]]:
    """Parameters from the last to the first, in groups of about so many bytes."""
    groups: list[list[Tensor]] = []
    held = size
    for p in reversed(params):
        if held >= size or p.dtype != groups[-1][0].dtype:
            groups.append([])
            held = 0
        groups[-1].append(p)
        held += p.data.nbytes
    return groups
