"""Writing tokenizer files, and how such files spell bytes and patterns."""

import base64
import json
import os
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from minilm.errors import InputError
from minilm.files import write_atomically
from minilm.tokenizers.bpe_regex import byte_order

# Oniguruma, which Hugging Face uses, ends a line at $ and a text at \z.
_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_SIGNS = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|"
_BLANK = r"\s*[\r\n]+|\s+(?!\S)|\s+"
REGEX = {
    "gpt4": _WORDS + r"\p{N}{1,3}" + _SIGNS + r"\s+\z|" + _BLANK,
    "llama3": _WORDS + r"\p{N}{1,3}" + _SIGNS + _BLANK,
    "qwen2": _WORDS + r"\p{N}" + _SIGNS + _BLANK,
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
    pattern: str
    normalize: str | None
    whole_words: bool


def spelled(token: bytes) -> str:
    """A token's bytes as GPT-2's printable characters."""
    return "".join(_CHARACTER[b] for b in token)


def save_hugging_face(bpe: ByteMerges, path: str | os.PathLike) -> None:
    """Write a `tokenizer.json` that the tokenizers library and `load` read."""
    names = {i: spelled(token) for i, token in enumerate(bpe.ordinary) if token is not None}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    before: dict[str, Any] = byte_level | {"use_regex": True}
    if bpe.pattern != "gpt2":
        cut = {"type": "Split", "pattern": {"Regex": REGEX[bpe.pattern]}}
        cut |= {"behavior": "Isolated", "invert": False}
        before = {"type": "Sequence", "pretokenizers": [cut, byte_level | {"use_regex": False}]}
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": number, "content": text, **plain, "special": True}
            for text, number in sorted(bpe.special.items(), key=lambda item: item[1])
        ],
        "normalizer": {"type": bpe.normalize} if bpe.normalize else None,
        "pre_tokenizer": before,
        "post_processor": None,
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
            "vocab": {name: i for i, name in names.items()},
            "merges": [[names[a], names[b]] for a, b, _ in bpe.merges.tolist()],
        },
    }
    write_atomically(path, json.dumps(content, ensure_ascii=False).encode())


def save_vocab_and_merges(bpe: ByteMerges, folder: str | os.PathLike) -> None:
    """Write `vocab.json` and `merges.txt`, as GPT-2 was published, into an existing folder."""
    names = {i: spelled(token) for i, token in enumerate(bpe.ordinary) if token is not None}
    vocabulary = {name: i for i, name in names.items()} | bpe.special
    lines = ["#version: 0.2", *(f"{names[a]} {names[b]}" for a, b, _ in bpe.merges.tolist())]
    folder = Path(folder)
    write_atomically(folder / "vocab.json", json.dumps(vocabulary, ensure_ascii=False).encode())
    write_atomically(folder / "merges.txt", ("\n".join(lines) + "\n").encode())


def save_tiktoken(bpe: ByteMerges, path: str | os.PathLike) -> None:
    """Write a tiktoken rank file, without special tokens and pattern, which `load` is to be given.

    Raises:
        InputError: ids that do not grow with rank, which the format cannot represent.
    """
    made = bpe.merges[:, 2]
    if (made[1:] < made[:-1]).any():
        raise InputError("bpe has ids that do not grow with rank; for a tiktoken file they must")
    lines = [
        base64.b64encode(token) + b" %d\n" % number
        for number, token in enumerate(bpe.ordinary)
        if token is not None
    ]
    write_atomically(path, b"".join(lines))
