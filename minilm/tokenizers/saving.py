"""Writing tokenizer files, and how such files spell bytes and patterns."""

import base64
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from minilm.errors import InputError
from minilm.files import write_atomically
from minilm.tokenizers.added import AddedToken
from minilm.tokenizers.base import Frame
from minilm.tokenizers.bpe_regex import byte_order
from minilm.tokenizers.frames import post_processor
from minilm.tokenizers.unicode_classes import class_table

# Oniguruma, which Hugging Face uses, ends a line at $ and a text at \z.
_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_SIGNS = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|"
_BLANK = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_CAPITALS, _SMALL = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_LEAD, _TAIL = r"[^\r\n\p{L}\p{N}]?", r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
REGEX = {
    "gpt4": _WORDS + r"\p{N}{1,3}" + _SIGNS + r"\s+\z|" + _BLANK,
    "llama3": _WORDS + r"\p{N}{1,3}" + _SIGNS + _BLANK,
    "qwen2": _WORDS + r"\p{N}" + _SIGNS + _BLANK,
    "o200k": f"{_LEAD}{_CAPITALS}*{_SMALL}+{_TAIL}{_LEAD}{_CAPITALS}+{_SMALL}*{_TAIL}"
    + r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
}

_CHARACTER = {
    byte: chr(byte) if i < 188 else chr(256 + i - 188) for i, byte in enumerate(byte_order())
}
BYTE = {character: byte for byte, character in _CHARACTER.items()}


class ByteMerges(Protocol):
    """What a file needs to know about a byte-level BPE; see `minilm.tokenizers.BPE`."""

    ordinary: list[bytes | None]
    merges: np.ndarray  # (n, 3): two ids and the id they become
    special: dict[str, int]
    added: tuple[AddedToken, ...]
    frame: Frame
    prefix_space: bool
    pattern: str
    normalize: str | None
    whole_words: bool


def spelled(token: bytes) -> str:
    """A token's bytes as GPT-2's printable characters."""
    return "".join(_CHARACTER[b] for b in token)


def save_hugging_face(bpe: ByteMerges, path: str | os.PathLike) -> None:
    """Write a `tokenizer.json` that the tokenizers library and `load` read.

    Added tokens stand in the vocabulary too: the library numbers those that do not anew, one after
    the other from the vocabulary's size on, whatever the file says.

    Raises:
        InputError: an added token whose text is also the spelling of an ordinary one.
    """
    names = _names(bpe)
    byte_level = {"type": "ByteLevel", "add_prefix_space": bpe.prefix_space, "trim_offsets": True}
    before: dict[str, Any] = byte_level | {"use_regex": True}
    if bpe.pattern == "starcoder":
        digits = {"type": "Digits", "individual_digits": True}
        before = {"type": "Sequence", "pretokenizers": [digits, before]}
    elif bpe.pattern != "gpt2":
        cut = {"type": "Split", "pattern": {"Regex": REGEX[bpe.pattern]}}
        cut |= {"behavior": "Isolated", "invert": False}
        before = {"type": "Sequence", "pretokenizers": [cut, byte_level | {"use_regex": False}]}
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added_entries(bpe.added),
        "normalizer": {"type": bpe.normalize} if bpe.normalize else None,
        "pre_tokenizer": before,
        "post_processor": post_processor(bpe.frame, names | {t.number: t.text for t in bpe.added}),
        "decoder": byte_level | {"use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": bpe.whole_words,
            "vocab": _vocabulary(bpe, names),
            "merges": [[names[a], names[b]] for a, b, _ in bpe.merges.tolist()],
        },
    }
    write_atomically(path, json.dumps(content, ensure_ascii=False).encode())


def added_entries(added: Iterable[AddedToken]) -> list[dict[str, Any]]:
    """Added tokens as `tokenizer.json` has them, by id."""
    return [
        {
            "id": token.number,
            "content": token.text,
            "single_word": token.single_word,
            "lstrip": token.lstrip,
            "rstrip": token.rstrip,
            "normalized": token.normalized,
            "special": token.special,
        }
        for token in sorted(added, key=lambda token: token.number)
    ]


def _names(bpe: ByteMerges) -> dict[int, str]:
    return {i: spelled(token) for i, token in enumerate(bpe.ordinary) if token is not None}


def _vocabulary(bpe: ByteMerges, names: dict[int, str]) -> dict[str, int]:
    """Every name and its id, added tokens among them.

    Raises:
        InputError: an added token whose text is also the spelling of an ordinary one.
    """
    vocabulary = {name: number for number, name in names.items()}
    for token in bpe.added:
        if token.text in vocabulary:
            raise InputError(
                f"added token {token.text!r} is spelled like the ordinary token "
                f"{vocabulary[token.text]}; in this file the two must differ"
            )
        vocabulary[token.text] = token.number
    return dict(sorted(vocabulary.items(), key=lambda item: item[1]))


def _refuse_unsaid(bpe: ByteMerges, file: str) -> None:
    """Refuse what only a `tokenizer.json` can say.

    Raises:
        InputError: it names the setting.
    """
    plain = all(token == AddedToken(token.text, token.number) for token in bpe.added)
    for name, is_unsaid, value in (
        ("normalize", bpe.normalize is not None, bpe.normalize),
        ("prefix_space", bpe.prefix_space, bpe.prefix_space),
        ("frame", bpe.frame != ((), ()), bpe.frame),
        ("added", not plain, "with options"),
    ):
        if is_unsaid:
            raise InputError(f"{name} is {value}, which {file} cannot say; save() writes it")


def _refuse_unmade(bpe: ByteMerges) -> None:
    """Refuse tokens that a word becomes although no merges lead to them: `whole_words` is not said.

    Raises:
        InputError: it names one.
    """
    if not bpe.whole_words:
        return
    from minilm.tokenizers.fast_encode import Encoder  # loads Numba

    merging = Encoder(bpe.ordinary, bpe.merges, 0, class_table(), cache=False)
    for number, token in enumerate(bpe.ordinary):
        if token is not None and merging.encode_word(token).tolist() != [number]:
            raise InputError(
                f"whole_words is True and no merges make {token!r}, which merges.txt cannot say; "
                "save() writes it"
            )


def save_vocab_and_merges(bpe: ByteMerges, folder: str | os.PathLike) -> None:
    """Write `vocab.json` and `merges.txt`, as GPT-2 was published, into an existing folder.

    Raises:
        InputError: a setting that these files cannot say.
    """
    _refuse_unsaid(bpe, "merges.txt")
    _refuse_unmade(bpe)
    names = _names(bpe)
    vocabulary = _vocabulary(bpe, names)
    lines = ["#version: 0.2", *(f"{names[a]} {names[b]}" for a, b, _ in bpe.merges.tolist())]
    folder = Path(folder)
    write_atomically(folder / "vocab.json", json.dumps(vocabulary, ensure_ascii=False).encode())
    write_atomically(folder / "merges.txt", ("\n".join(lines) + "\n").encode())


def save_tiktoken(bpe: ByteMerges, path: str | os.PathLike) -> None:
    """Write a tiktoken rank file, without special tokens and pattern, which `load` is to be given.

    Raises:
        InputError: ids that do not grow with rank, or a setting that the format cannot say.
    """
    _refuse_unsaid(bpe, "a rank file")
    made = bpe.merges[:, 2]
    if (made[1:] < made[:-1]).any():
        raise InputError("bpe has ids that do not grow with rank; for a tiktoken file they must")
    lines = [
        base64.b64encode(token) + b" %d\n" % number
        for number, token in enumerate(bpe.ordinary)
        if token is not None
    ]
    write_atomically(path, b"".join(lines))
