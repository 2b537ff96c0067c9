"""A batch is whatever a loss reads: arrays, alone or in tuples, lists and dicts; rows are examples.

What stands beside the arrays (numbers, texts, None) goes along as it is.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from minilm.backend import IGNORE, Array
from minilm.errors import InputError
from minilm.tensor import Tensor


def language_model_loss(model: Any, batch: Any) -> Tensor:
    """`model.loss(ids, targets)`, or whatever the batch holds: its parts in their order."""
    return model.loss(*batch)


def scored(batch: Any) -> int:
    """Targets that a language model's loss is a mean over: the last part's, less the ignored."""
    targets = batch[-1] if hasattr(batch[-1], "ndim") else np.asarray(batch[-1])
    return int((targets != IGNORE).sum())


def examples(batch: Any) -> int:
    """Rows of a batch."""
    return next((len(a) for a in arrays_of(batch) if a.ndim), 1)


def arrays_of(batch: Any) -> list[Array]:
    """The arrays of a batch, depth first."""
    found: list[Array] = []
    map_arrays(found.append, batch)
    return found


def map_arrays(function: Callable[[Array], Any], batch: Any) -> Any:
    """The batch with `function` of each array in its place."""
    if isinstance(batch, dict):
        return {name: map_arrays(function, part) for name, part in batch.items()}
    if isinstance(batch, tuple | list):
        parts = [map_arrays(function, part) for part in batch]
        return type(batch)(*parts) if hasattr(batch, "_fields") else type(batch)(parts)
    is_array = hasattr(batch, "ndim") and not isinstance(batch, Tensor | np.generic)
    return function(batch) if is_array else batch


def cut(batch: Any, ways: int) -> list[Any]:
    """The batch in pieces of about as many rows each, in order.

    Args:
        batch: arrays of one number of rows; those without an axis go to every piece.
        ways: how many pieces; at most the number of rows.

    Raises:
        InputError: arrays of different numbers of rows.
    """
    rows = sorted({len(a) for a in arrays_of(batch) if a.ndim})
    if len(rows) != 1:
        raise InputError(
            f"the arrays of a batch have {' and '.join(map(str, rows)) or 'no'} rows; to be split "
            "over threads, all must have the same number"
        )
    each, more = divmod(rows[0], ways)
    ends = np.cumsum([each + (i < more) for i in range(ways)]).tolist()
    return [
        map_arrays(lambda a, rows=slice(first, end): a[rows] if a.ndim else a, batch)
        for first, end in zip([0, *ends], ends)
    ]
