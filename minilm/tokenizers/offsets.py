"""Where tokens lie in a text, counted in characters; a token may hold part of one only."""

from collections.abc import Callable, Sequence

import numpy as np

from minilm.errors import InputError


def spans(parts: Sequence[bytes]) -> np.ndarray:
    """First character of each part, and the one after its last, int64 (T, 2).

    Args:
        parts: the bytes of each token; joined they are UTF-8.
    """
    content = np.frombuffer(b"".join(parts), np.uint8)
    begins_one = (content & 0xC0) != 0x80
    begun = np.concatenate([[0], np.cumsum(begins_one)])  # characters begun before each byte
    within = np.append(~begins_one, False)  # a byte that goes on with one
    ends = np.cumsum([len(part) for part in parts], dtype=np.int64)
    begins = ends - np.array([len(part) for part in parts], np.int64)
    return np.stack([begun[begins] - within[begins], begun[ends]], axis=1)


def character_sources(text: str, normalize: Callable[[str], str]) -> tuple[str, np.ndarray]:
    """The normalized text, and which character of the text each of its characters comes from.

    Raises:
        InputError: a normalizer that does not change this text character by character.
    """
    parts = [normalize(character) for character in text]
    changed = normalize(text)
    if "".join(parts) != changed:
        raise InputError(
            "text is normalized across its characters; for offsets each must be changed by itself"
        )
    return changed, np.repeat(np.arange(len(text)), [len(part) for part in parts])
