"""What may be a text, a vocabulary's size, the name of a special token: the checks all share."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from minilm.backend import MOST_IDS
from minilm.errors import InputError


def check_string(text: object, argument: str = "text") -> str:
    """The text.

    Raises:
        InputError: not a string.
    """
    if not isinstance(text, str):
        raise InputError(f"{argument} is of type {type(text).__name__}; it must be a string")
    return text


def check_bytes(content: object) -> bytes:
    """The bytes.

    Raises:
        InputError: not `bytes`.
    """
    if not isinstance(content, (bytes, bytearray, memoryview)):
        raise InputError(f"content is of type {type(content).__name__}; it must be bytes")
    return bytes(content)


def utf8(text: str) -> bytes:
    """The text as UTF-8, with what UTF-8 cannot represent replaced by U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def check_text(text: object, argument: str = "text") -> str:
    """The text, with what UTF-8 cannot represent replaced by U+FFFD.

    Raises:
        InputError: not a string.
    """
    text = check_string(text, argument)
    try:
        text.encode()
    except UnicodeEncodeError:
        return utf8(text).decode()
    return text


def check_training_text(text: object) -> str:
    """The text, if a vocabulary can be learnt from it.

    Raises:
        InputError: not a string, empty, or binary (it holds NUL characters).
    """
    text = check_text(text)
    if not text:
        raise InputError("text is empty; it takes at least one character to learn a vocabulary")
    if "\0" in text:
        raise InputError(
            f"text is binary (a NUL at character {text.index(chr(0))}); it must be plain text"
        )
    return text


def check_ids(ids: Iterable[int] | np.ndarray, size: int) -> np.ndarray:
    """The ids as an integer array (T,).

    Args:
        ids: whole numbers.
        size: of the vocabulary.

    Raises:
        InputError: not whole numbers, or one out of range.
    """
    array = np.asarray(ids if isinstance(ids, (np.ndarray, Sequence)) else list(ids))
    if array.size == 0:
        return np.zeros(0, np.int32)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise InputError(
            f"ids has shape {array.shape} and type {array.dtype}; "
            "it must be one row of whole numbers"
        )
    if array.min() < 0 or array.max() >= size:
        where = int(np.argmax((array < 0) | (array >= size)))
        raise InputError(
            f"ids holds {array[where]} at position {where}; "
            f"ids of this vocabulary are 0 to {size - 1}"
        )
    return array


def vocabulary_size(ids: Iterable[object], source: str) -> int:
    """One more than the largest id: the length of the list of tokens.

    Args:
        ids: of all tokens, at least one.
        source: where they come from, for the error message.

    Raises:
        InputError: no ids, or one that is not a whole number in range (a list of 10**12 tokens
            would take all memory).
    """
    largest = -1
    for number in ids:
        whole = isinstance(number, (int, np.integer)) and not isinstance(number, bool)
        if not whole or not 0 <= number < MOST_IDS:
            raise InputError(
                f"{source} holds the id {number!r}; ids are whole numbers from 0 to {MOST_IDS - 1}"
            )
        largest = max(largest, int(number))
    if largest < 0:
        raise InputError(f"{source} holds no tokens; a vocabulary must have at least one")
    return largest + 1


def refuse_shared_ids(tokens: Mapping[Any, int], source: str) -> None:
    """Refuse a vocabulary in which two tokens have one id.

    Raises:
        InputError: it names both.
    """
    if len(set(tokens.values())) == len(tokens):
        return
    seen: dict[int, Any] = {}
    for token, number in tokens.items():
        if number in seen:
            raise InputError(
                f"{source} gives the id {number} to {seen[number]!r} and to {token!r}; each must "
                "have one of its own"
            )
        seen[number] = token


def numbered_specials(names: Iterable[str] | dict[str, int], first: int) -> dict[str, int]:
    """Special tokens with consecutive ids from `first`, in the order given.

    Raises:
        InputError: a name that occurs twice.
    """
    if isinstance(names, dict):
        return dict(names)
    names = [names] if isinstance(names, str) else list(names)
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"special names {twice!r} twice; it must name each token once")
    return {name: first + i for i, name in enumerate(names)}
