"""Where tokens lie in a text, counted in characters; a token may hold part of one only."""

from collections.abc import Sequence

import numpy as np


def spans(parts: Sequence[bytes]) -> np.ndarray:
    """First character of each part, and the one after its last, int64 (T, 2).

    Args:
        parts: the bytes of each token, none empty; joined they are UTF-8.
    """
    if not parts:
        return np.zeros((0, 2), np.int64)
    content = np.frombuffer(b"".join(parts), np.uint8)
    begun = np.cumsum((content & 0xC0) != 0x80)  # characters that begin up to each byte
    ends = np.cumsum([len(part) for part in parts])
    begins = ends - [len(part) for part in parts]
    return np.stack([begun[begins] - 1, begun[ends - 1]], axis=1)
