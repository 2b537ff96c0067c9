"""Filters that rank: the best share of all texts is kept, by what a model says of each.

CCNet (Wenzek et al. 2019, arXiv 1911.00359) ranks crawled pages by their perplexity under a model
of Wikipedia, and keeps the third that surprises it least.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from minilm.errors import InputError


def keep_best(texts: Sequence[str], scores: Sequence[float], share: float) -> list[str]:
    """The ceil(share N) texts with the highest scores, in their own order.

    Args:
        texts: N of them.
        scores: one each; of equal ones the earlier text is kept.
        share: from 0 to 1.

    Raises:
        InputError: another number of scores, one that is no number, or a share out of range.
    """
    values = np.asarray(scores, np.float64)
    if values.shape != (len(texts),):
        raise InputError(f"scores has shape {values.shape} for {len(texts)} texts; give one each")
    if np.isnan(values).any():
        raise InputError(
            f"scores hold nan at place {int(np.isnan(values).argmax())}; it has no rank"
        )
    if not 0 <= share <= 1:
        raise InputError(f"share is {share}; it must be from 0 to 1")
    count = math.ceil(round(share * len(texts), 9))  # 0.1 * 30 is a little more than 3
    kept = np.sort(np.argsort(-values, kind="stable")[:count])
    return [texts[i] for i in kept]


def perplexity_filter(
    texts: Sequence[str], loss: Callable[[str], float], share: float
) -> list[str]:
    """The ceil(share N) texts that surprise a model least, in their own order.

    Args:
        texts: N of them.
        loss: of a text, per token or byte, such as its bits per byte under an n-gram model.
        share: from 0 to 1.

    Raises:
        InputError: as `keep_best`.
    """
    return keep_best(texts, [-loss(text) for text in texts], share)
