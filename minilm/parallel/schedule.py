"""A pipeline's schedule carried out: forwards and backwards of micro-batches over the stages.

What each stage does, and in which order, is what `pipeline_orders` says; here it is done with a
real model. Activations go to the next stage, their gradients to the one before. Under "zb-h1" a
backward computes only what the stage before waits for; the gradients of the weights follow later.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from minilm import tape
from minilm.parallel.pipeline import Task
from minilm.parallel.share import Share
from minilm.tensor import Tensor


class Micro(NamedTuple):
    """A micro-batch: ids and targets (B, T), and the share of the step's loss that it has."""

    ids: np.ndarray
    targets: np.ndarray
    share: float


def run_pipeline(
    share: Share,
    orders: Sequence[Sequence[Task]],
    batches: Sequence[Micro],
    where: np.ndarray,
    scale: float = 1.0,
    measure: bool = False,
) -> float:
    """Forward and backward of all micro-batches; gradients are added to the parameters' `grad`.

    Args:
        share: this rank's part of the model.
        orders: of every stage.
        batches: the micro-batches; every stage has them all.
        where: (T,) places of the tokens.
        scale: what the loss is multiplied by before backward.
        measure: note in the ledger what is kept for backward ("activations").

    Returns:
        What this rank knows of the step's loss: all of it where the model ends, else 0.
    """
    here = share.here
    stages = here.layout.pp
    split = any(task.kind == "W" for task in orders[here.at.pp])
    inputs, outputs, owed, kept = {}, {}, {}, {}
    width = here.layout.pieces * 2
    loss = 0.0

    def tag(backwards: bool, batch: int, piece: int) -> int:
        return batch * width + piece * 2 + backwards

    for kind, _, number, piece in orders[here.at.pp]:
        key, place = (number, piece), piece * stages + here.at.pp
        micro = batches[number]
        if kind == "F":
            given = micro.ids
            if not share.is_first(piece):
                x = here.pp.recv((here.at.pp - 1) % stages, tag(False, number, piece))
                given = inputs[key] = Tensor(x, requires_grad=True)
            out = share(given, where, piece)
            if share.is_last(piece):
                out = share.loss(out, micro.targets)
                loss += out.item() * micro.share
            else:
                after = place // stages + (here.at.pp == stages - 1)
                here.pp.send(out.data, (here.at.pp + 1) % stages, tag(False, number, after))
            outputs[key] = out
            if measure:
                kept[key] = kept_bytes(out, share)
                here.comm.ledger.hold("activations", kept[key])
        elif kind == "B":
            out = outputs.pop(key)
            if share.is_last(piece):
                g = np.full_like(out.data, micro.share * scale)
            else:
                g = here.pp.recv((here.at.pp + 1) % stages, tag(True, number, piece))
            later = owed.setdefault(key, []) if split else None
            tape.backward(out, g, None, later=later)
            if not share.is_first(piece):
                before = piece - (here.at.pp == 0)
                g = inputs.pop(key).grad
                here.pp.send(g, (here.at.pp - 1) % stages, tag(True, number, before))
        else:
            tape.finish_later(owed.pop(key))
        if kind == ("W" if split else "B") and measure:
            here.comm.ledger.hold("activations", -kept.pop(key))
    return loss


def kept_bytes(out: Tensor, share: Share) -> int:
    """Bytes of the arrays that the steps behind a tensor keep for backward, without weights."""
    weights = {id(_owner(p.data)) for p in share.parameters()}
    kept = {}
    for node in tape.steps_behind(out):
        arrays = tape.saved_arrays(node.pullback)
        if node.recomputes:
            arrays = [arg.data for arg in node.inputs if isinstance(arg, Tensor)]
        for array in arrays:
            whole = _owner(array)
            if id(whole) not in weights:
                kept[id(whole)] = whole.nbytes
    return sum(kept.values())


def _owner(array: np.ndarray) -> np.ndarray:
    """The array whose memory a view looks into."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array
