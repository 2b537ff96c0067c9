"""dw[id] += g for every looked-up id; order of addition fixed, so the result is deterministic."""

from minilm.backend import Array, xp_of


def embedding_backward(g: Array, ids: Array, rows: int) -> Array:
    """g (N, C), ids (N,) integers -> dw (rows, C)."""
    xp = xp_of(g)
    dw = xp.zeros((rows, g.shape[1]), dtype=g.dtype)
    xp.add.at(dw, ids, g)
    return dw
