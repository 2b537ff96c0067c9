"""What every tokenizer shares: special tokens, ranges, decoding. A subclass adds ordinary text."""

import os
from collections.abc import Collection, Iterable, Sequence
from functools import cached_property
from typing import Literal

import numpy as np

from minilm import backend
from minilm.errors import InputError
from minilm.tokenizers.added import AddedToken, Cutter, Finder, check_added
from minilm.tokenizers.checks import check_bytes, check_ids, check_string, utf8
from minilm.tokenizers.offsets import spans

Specials = Collection[str] | Literal["all"]
Frame = tuple[tuple[int, ...], tuple[int, ...]]


class Tokenizer:
    """Text to ids and back.

    A subclass defines `_encode_segment` (text without added tokens to ids) and `save`; one that
    changes the text first defines `_normalize`.

    Args:
        tokens: the bytes that each id stands for; None where an id is not used or is an added
            token's, which stands for the bytes of its own text.
        special: special token texts and their ids, for example `{"<|endoftext|>": 8191}`.
        added: added tokens with options, see `AddedToken`; those of `special` have none.
        frame: the ids that `encode` puts before and after a text, such as [CLS] and [SEP].

    Raises:
        InputError: an added token with an empty text, or with an id out of range or taken.
    """

    def __init__(
        self,
        tokens: Sequence[bytes | None],
        special: dict[str, int],
        added: Sequence[AddedToken] = (),
        frame: Frame = ((), ()),
    ) -> None:
        self.tokens: list[bytes | None] = list(tokens)
        self.added = (*(AddedToken(text, int(number)) for text, number in special.items()), *added)
        check_added(self.tokens, self.added)
        self.special: dict[str, int] = {t.text: t.number for t in self.added if t.special}
        for token in self.added:
            self.tokens[token.number] = token.text.encode()
        self.frame = tuple(map(tuple, frame))
        for side in self.frame:
            self.check_ids(side)
        self._plain = frozenset(t.text for t in self.added if not t.special)
        self._all_special = frozenset(self.special)
        self._finders: dict[frozenset[str], Finder] = {}
        self._cutters: dict[frozenset[str], Cutter] = {}

    @property
    def vocab_size(self) -> int:
        """One more than the largest id: the number of rows an embedding needs."""
        return len(self.tokens)

    def encode(
        self,
        text: str,
        allowed_special: Specials = (),
        disallowed_special: Specials = "all",
        add_special_tokens: bool = True,
    ) -> list[int]:
        """The ids of a text.

        Args:
            text: any string. A lone surrogate, which UTF-8 cannot represent, becomes U+FFFD.
            allowed_special: the special tokens that become one id where they occur in the text,
                or "all".
            disallowed_special: those that are refused, or "all" (every one not allowed). Special
                tokens in neither set are ordinary text. The defaults refuse them all, so that a
                user's text cannot forge one unnoticed; this is tiktoken's rule.
            add_special_tokens: put the ids of `frame` around the text; most tokenizers have none.

        Raises:
            InputError: the text is not a string or holds a disallowed special token.
        """
        ids = self.encode_array(text, allowed_special, disallowed_special, add_special_tokens)
        return ids.tolist()

    def encode_array(
        self,
        text: str,
        allowed_special: Specials = (),
        disallowed_special: Specials = "all",
        add_special_tokens: bool = True,
    ) -> np.ndarray:
        """The same as an int32 array (T,), many times faster for long texts; see `encode`."""
        text = check_string(text)
        ids = self._encode_with(text, self._allowed(text, allowed_special, disallowed_special))
        return self._framed(ids) if add_special_tokens and self.frame != ((), ()) else ids

    def encode_ordinary(self, text: str) -> list[int]:
        """The ids of a text in which special tokens mean nothing, with no `frame` around it."""
        return self._encode_with(check_string(text), frozenset()).tolist()

    def encode_with_offsets(
        self, text: str, allowed_special: Specials = (), disallowed_special: Specials = "all"
    ) -> tuple[list[int], list[tuple[int, int]]]:
        """The ids of a text and where each token lies in it; see `encode`.

        Returns:
            The ids, without `frame`, and for each the first character that it holds any of and the
            one after the last.

        Raises:
            InputError: as for `encode`; a tokenizer that changes this text.
        """
        ids = self.encode(text, allowed_special, disallowed_special, add_special_tokens=False)
        parts = self._spelled(ids)
        if b"".join(parts) != utf8(text):
            raise InputError(
                "text is changed by this tokenizer before it is cut; for offsets it must be what "
                "its tokens spell"
            )
        return ids, [(int(first), int(last)) for first, last in spans(parts)]

    def decode_with_offsets(self, ids: Iterable[int] | np.ndarray) -> tuple[str, list[int]]:
        """The text of some ids, and the character at which each token begins; see `decode`."""
        parts = self._spelled(self.check_ids(ids).tolist())
        return b"".join(parts).decode("utf-8", "replace"), spans(parts)[:, 0].tolist()

    def encode_bytes(self, content: bytes) -> list[int]:
        """The ids of the text that some bytes are; special tokens mean nothing in it.

        Raises:
            InputError: not bytes, or not UTF-8: this vocabulary is one of texts.
        """
        content = check_bytes(content)
        try:
            return self.encode_ordinary(content.decode())
        except UnicodeDecodeError as error:
            raise InputError(
                f"content is not UTF-8 at byte {error.start}; for this vocabulary it must be"
            ) from None

    def encode_batch(
        self,
        texts: Iterable[str],
        allowed_special: Specials = (),
        disallowed_special: Specials = "all",
        add_special_tokens: bool = True,
    ) -> list[list[int]]:
        """The ids of several texts, on all of `backend.threads()`; see `encode`."""
        options = (allowed_special, disallowed_special, add_special_tokens)
        return backend.parallel(lambda text: self.encode(text, *options), texts)

    def decode_batch(
        self,
        rows: Iterable[Iterable[int] | np.ndarray],
        errors: str = "replace",
        skip_special_tokens: bool = False,
    ) -> list[str]:
        """The texts of several rows of ids; see `decode`."""
        return [self.decode(ids, errors, skip_special_tokens) for ids in rows]

    def decode(
        self,
        ids: Iterable[int] | np.ndarray,
        errors: str = "replace",
        skip_special_tokens: bool = False,
    ) -> str:
        """The text of some ids.

        Args:
            ids: whole numbers.
            errors: what to do with bytes that are not UTF-8, as for `bytes.decode`; "replace" makes
                them U+FFFD.
            skip_special_tokens: leave special tokens out.

        Raises:
            InputError: an id out of range or not used.
        """
        if skip_special_tokens and self.special:
            ids = self.check_ids(ids)
            ids = ids[~np.isin(ids, list(self.special.values()))]
        return self.decode_bytes(ids).decode("utf-8", errors)

    def decode_bytes(self, ids: Iterable[int] | np.ndarray, begins: bool = True) -> bytes:
        """The exact bytes of some ids.

        Args:
            ids: whole numbers.
            begins: they begin a text. Where a token means "blank, then a word", the blank before
                the first word is no part of the text.

        Raises:
            InputError: an id out of range or not used.
        """
        ids = self.check_ids(ids).tolist()
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
        """Bytes that each id stands for, int32 (V,), to turn nats per token into bits per byte.

        Special tokens and unused ids count 0, because they stand for no text.
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
            raise InputError(f"special token {name!r} is not in this vocabulary, which has {known}")
        return self.special[name]

    def check_ids(self, ids: Iterable[int] | np.ndarray) -> np.ndarray:
        """The ids as an integer array (T,).

        Raises:
            InputError: not whole numbers, or one out of range.
        """
        return check_ids(ids, self.vocab_size)

    def save(self, path: str | os.PathLike) -> None:
        """Write the tokenizer to a file that `minilm.tokenizers.load` reads."""
        raise NotImplementedError

    def with_special(self, names: Iterable[str]) -> "Tokenizer":
        """This tokenizer with more special tokens; those that it has already stay as they are.

        Args:
            names: their texts; the new ones get the ids that follow the largest.

        Raises:
            InputError: a kind of vocabulary that cannot grow: WordPiece and Unigram.
        """
        new = [name for name in dict.fromkeys(names) if name not in self.special]
        return self._grown({t: self.vocab_size + i for i, t in enumerate(new)}) if new else self

    def _grown(self, special: dict[str, int]) -> "Tokenizer":
        """This tokenizer with more special tokens."""
        raise InputError(
            f"special tokens {', '.join(map(repr, special))} are not in this {type(self).__name__} "
            "vocabulary; new ones need one of bytes, characters or byte-level BPE"
        )

    def _encode_segment(self, text: str, begins: bool) -> np.ndarray:
        """The ids of normalized text; `begins` says whether it begins the text as it came."""
        raise NotImplementedError

    def _normalize(self, text: str) -> str:
        return text

    def _spelled(self, ids: list[int]) -> list[bytes]:
        """What each id of a text adds to it."""
        return [self.token_bytes(number) for number in ids]

    def _encode_with(self, text: str, allowed: frozenset[str]) -> np.ndarray:
        """The ids of a text in which the special tokens `allowed` count, and all others added."""
        wanted = allowed | self._plain if self._plain else allowed
        if not wanted or not self._finder(wanted).holds(text):
            return self._encode_segment(self._normalize(text), True)
        arrays = [np.zeros(0, np.int32)]
        for part in self._cutter(wanted)(text):
            if isinstance(part, int):
                arrays.append(np.array([part], np.int32))
            else:
                arrays.append(self._encode_segment(part, len(arrays) == 1))
        return np.concatenate(arrays)

    def _allowed(self, text: str, allowed: Specials, disallowed: Specials) -> frozenset[str]:
        """The special tokens that count in a text, if it holds none that is refused."""
        if not self.special:
            return frozenset()
        chosen = self._chosen(allowed, "allowed_special")
        refused = self._chosen(disallowed, "disallowed_special") - chosen
        self._finder(refused).refuse(text)
        return chosen

    def _cutter(self, wanted: frozenset[str]) -> Cutter:
        if wanted not in self._cutters:
            chosen = [token for token in self.added if token.text in wanted]
            self._cutters[wanted] = Cutter(chosen, self._normalize)
        return self._cutters[wanted]

    def _finder(self, names: frozenset[str]) -> Finder:
        if names not in self._finders:
            chosen = [token for token in self.added if token.text in names]
            self._finders[names] = Finder(chosen, self._normalize)
        return self._finders[names]

    def _framed(self, ids: np.ndarray) -> np.ndarray:
        before, after = self.frame
        return np.concatenate([np.array(before, np.int32), ids, np.array(after, np.int32)])

    def _chosen(self, names: Specials, argument: str) -> frozenset[str]:
        if isinstance(names, str) and names == "all":
            return self._all_special
        chosen = frozenset([names] if isinstance(names, str) else names)
        for name in chosen:
            if name not in self.special:
                known = ", ".join(map(repr, self.special)) or "none"
                raise InputError(
                    f"{argument} names {name!r}; the special tokens of this vocabulary are {known}"
                )
        return chosen
