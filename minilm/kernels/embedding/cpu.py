"""The look-up's gradient in Numba: rows added in the order of the ids."""

import numpy as np

from minilm.kernels.numba_tools.jit import jit


def embedding_backward(g: np.ndarray, ids: np.ndarray, rows: int) -> np.ndarray:
    """See `reference.embedding_backward`."""
    dw = np.zeros((rows, g.shape[1]), g.dtype)
    _add(np.ascontiguousarray(g), np.ascontiguousarray(ids, dtype=np.int64), dw)
    return dw


@jit
def _add(g, ids, dw):
    for i in range(ids.size):
        row, to = g[i], dw[ids[i]]
        for j in range(row.size):
            to[j] += row[j]
