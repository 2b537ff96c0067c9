"""What every tokenizer shares: special tokens, ranges, decoding. A subclass adds ordinary text."""

import os
import re
from collections.abc import Collection, Iterable, Sequence
from functools import cached_property
from typing import Literal

import numpy as np

from minilm.errors import InputError

Specials = Collection[str] | Literal["all"]
MOST_IDS = (1 << 21) - 1  # the encoder packs a pair and its rank into 63 bits


class Tokenizer:
    """Text to ids and back.

    Args:
        tokens: the bytes that each id stands for; None where an id is not used. A special token
            stands for the bytes of its own text.
        special: special token texts and their ids, for example ``{"<|endoftext|>": 8191}``.

    A subclass gives ``_encode_segment`` (text without special tokens to ids) and ``save``.
    """

    def __init__(self, tokens: Sequence[bytes | None], special: dict[str, int]) -> None:
        self.tokens: list[bytes | None] = list(tokens)
        self.special: dict[str, int] = dict(special)
        for text, number in self.special.items():
            if not text:
                raise InputError("special holds an empty text; every special token needs one")
            if not 0 <= number < len(self.tokens):
                raise InputError(
                    f"special gives {text!r} the id {number}; "
                    f"ids of this vocabulary are 0 to {len(self.tokens) - 1}"
                )
            self.tokens[number] = text.encode()

    @property
    def vocab_size(self) -> int:
        """One more than the largest id: the number of rows an embedding needs."""
        return len(self.tokens)

    def encode(
        self,
        text: str,
        allowed_special: Specials = (),
        disallowed_special: Specials = "all",
    ) -> list[int]:
        """The ids of a text.

        Args:
            text: any string. A lone surrogate, which UTF-8 cannot hold, becomes U+FFFD.
            allowed_special: the special tokens that become one id where they stand in the text,
                or "all".
            disallowed_special: those that are refused, or "all" (every one not allowed). Special
                tokens in neither set are ordinary text. The defaults refuse them all, so that a
                user's text cannot forge one unnoticed; the rule is tiktoken's.

        Raises:
            InputError: the text is no string or holds a disallowed special token.
        """
        return self.encode_array(text, allowed_special, disallowed_special).tolist()

    def encode_array(
        self,
        text: str,
        allowed_special: Specials = (),
        disallowed_special: Specials = "all",
    ) -> np.ndarray:
        """As ``encode``, as an int32 array (T,): many times faster for long texts."""
        text = a_string(text)
        if not self.special:
            return self._encode_segment(text)
        allowed = self._chosen(allowed_special, "allowed_special")
        if isinstance(disallowed_special, str) and disallowed_special == "all":
            refused = set(self.special) - allowed
        else:
            refused = self._chosen(disallowed_special, "disallowed_special") - allowed
        for name in refused:
            if name in text:
                raise InputError(
                    f"text holds the special token {name!r} at character {text.index(name)}; "
                    "name it in allowed_special to encode it as one id, or pass "
                    "disallowed_special=() to treat it as ordinary text"
                )
        if not any(name in text for name in allowed):
            return self._encode_segment(text)
        parts = special_pattern(allowed).split(text)  # segment, special, segment, ...
        arrays = [
            np.array([self.special[part]], np.int32) if i % 2 else self._encode_segment(part)
            for i, part in enumerate(parts)
        ]
        return np.concatenate(arrays)

    def encode_ordinary(self, text: str) -> list[int]:
        """The ids of a text in which special tokens mean nothing."""
        return self._encode_segment(a_string(text)).tolist()

    def decode(self, ids: Iterable[int] | np.ndarray, errors: str = "replace") -> str:
        """The text of some ids; bytes that are no UTF-8 become U+FFFD unless ``errors`` says other.

        Raises:
            InputError: an id out of range or not used.
        """
        return self.decode_bytes(ids).decode("utf-8", errors)

    def decode_bytes(self, ids: Iterable[int] | np.ndarray) -> bytes:
        """The bytes of some ids, exactly.

        Raises:
            InputError: an id out of range or not used.
        """
        ids = self.checked_ids(ids).tolist()
        try:
            return b"".join(map(self.tokens.__getitem__, ids))
        except TypeError:
            bad = next(i for i in ids if self.tokens[i] is None)
            raise InputError(f"ids holds {bad}, which this vocabulary leaves unused") from None

    def token_bytes(self, number: int) -> bytes:
        """The bytes that one id stands for."""
        return self.decode_bytes([number])

    @cached_property
    def byte_lengths(self) -> np.ndarray:
        """Bytes that each id stands for, int32 (V,): what turns nats per token into bits per byte.

        Special tokens and unused ids count 0, for they stand for no text.
        """
        lengths = np.array([len(t or b"") for t in self.tokens], np.int32)
        lengths[list(self.special.values())] = 0
        return lengths

    def special_id(self, name: str) -> int:
        """The id of a special token.

        Raises:
            InputError: the tokenizer has no such token.
        """
        if name not in self.special:
            known = ", ".join(map(repr, self.special)) or "none"
            raise InputError(f"special token {name!r} is not in this vocabulary; it has {known}")
        return self.special[name]

    def checked_ids(self, ids: Iterable[int] | np.ndarray) -> np.ndarray:
        """The ids as an integer array (T,).

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
        if array.min() < 0 or array.max() >= self.vocab_size:
            where = int(np.argmax((array < 0) | (array >= self.vocab_size)))
            raise InputError(
                f"ids holds {array[where]} at position {where}; "
                f"ids of this vocabulary are 0 to {self.vocab_size - 1}"
            )
        return array

    def save(self, path: str | os.PathLike) -> None:
        """Write the tokenizer to a file that ``minilm.tokenizers.load`` reads."""
        raise NotImplementedError

    def _encode_segment(self, text: str) -> np.ndarray:
        raise NotImplementedError

    def _chosen(self, names: Specials, argument: str) -> set[str]:
        if isinstance(names, str) and names == "all":
            return set(self.special)
        chosen = {names} if isinstance(names, str) else set(names)
        for name in chosen:
            if name not in self.special:
                known = ", ".join(map(repr, self.special)) or "none"
                raise InputError(
                    f"{argument} names {name!r}; special tokens of this vocabulary: {known}"
                )
        return chosen


def special_pattern(names: Iterable[str]) -> re.Pattern[str]:
    """A pattern that finds special tokens; where two begin alike the longer one wins."""
    ordered = sorted(names, key=lambda name: (-len(name), name))
    return re.compile("(" + "|".join(map(re.escape, ordered)) + ")")


def a_string(text: object, argument: str = "text") -> str:
    """The text.

    Raises:
        InputError: not a string.
    """
    if not isinstance(text, str):
        raise InputError(f"{argument} is of type {type(text).__name__}; it must be a string")
    return text


def utf8(text: str) -> bytes:
    """The text's UTF-8, with what that cannot hold replaced by U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def checked_text(text: object, argument: str = "text") -> str:
    """The text, with what UTF-8 cannot hold replaced by U+FFFD.

    Raises:
        InputError: not a string.
    """
    text = a_string(text, argument)
    try:
        text.encode()
    except UnicodeEncodeError:
        return utf8(text).decode()
    return text


def checked_training_text(text: object) -> str:
    """The text, if a vocabulary can be learnt from it.

    Raises:
        InputError: not a string, empty, or binary (it holds NUL characters).
    """
    text = checked_text(text)
    if not text:
        raise InputError("text is empty; a vocabulary is learnt from at least one character")
    if "\0" in text:
        raise InputError(
            f"text is binary (a NUL at character {text.index(chr(0))}); it must be plain text"
        )
    return text


def vocabulary_size(ids: Iterable[object], source: str) -> int:
    """One more than the largest id: how long the list of tokens must be.

    Args:
        ids: of all tokens, at least one.
        source: what gives them, for the sentence.

    Raises:
        InputError: no ids, or one that is no whole number in range (a list of 10**12 tokens would
            take all memory).
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
        raise InputError(f"{source} holds no tokens; a vocabulary has at least one")
    return largest + 1


def numbered_specials(names: Iterable[str] | dict[str, int], first: int) -> dict[str, int]:
    """Special tokens with consecutive ids from ``first``, in the order given."""
    if isinstance(names, dict):
        return dict(names)
    names = [names] if isinstance(names, str) else list(names)
    if len(set(names)) != len(names):
        raise InputError("special names a token twice; each must be there once")
    return {name: first + i for i, name in enumerate(names)}
