r"""Tokenizer files: ``tokenizer.json``, ``vocab.json`` with ``merges.txt``, tiktoken ranks.

The two Hugging Face forms write bytes as printable characters: GPT-2's table, in which a space is
"Ġ". A rank file has a line for each token: its bytes in base64 and its rank, which is also its id.
"""

import base64
import binascii
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from minilm.errors import InputError
from minilm.files import write_atomically
from minilm.tokenizers.base import Tokenizer, vocabulary_size
from minilm.tokenizers.bpe import BPE
from minilm.tokenizers.bpe_regex import byte_order
from minilm.tokenizers.bytes import ByteTokenizer
from minilm.tokenizers.chars import CharTokenizer

# Oniguruma, which Hugging Face uses, ends a line at $ and a text at \z.
_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_SIGNS = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|"
_BLANK = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_REGEX = {
    "gpt4": _WORDS + r"\p{N}{1,3}" + _SIGNS + r"\s+\z|" + _BLANK,
    "llama3": _WORDS + r"\p{N}{1,3}" + _SIGNS + _BLANK,
    "qwen2": _WORDS + r"\p{N}" + _SIGNS + _BLANK,
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
}

_CHARACTER = {
    byte: chr(byte) if i < 188 else chr(256 + i - 188) for i, byte in enumerate(byte_order())
}
_BYTE = {character: byte for byte, character in _CHARACTER.items()}


def load(
    path: str | os.PathLike,
    pattern: str | None = None,
    special: dict[str, int] | None = None,
) -> Tokenizer:
    """Read a tokenizer.

    Args:
        path: a file written by ``save``, a ``tokenizer.json``, a tiktoken rank file, or a folder
            that holds ``tokenizer.json`` or ``vocab.json`` with ``merges.txt``.
        pattern: how words are cut, for the files that do not say it: rank files ("gpt4" if not
            given) and ``vocab.json`` with ``merges.txt`` ("gpt2").
        special: special tokens and their ids, for rank files.

    Raises:
        InputError: no such file, half-written or foreign content, or a kind of tokenizer other
            than byte-level BPE.
    """
    path = Path(path)
    if path.is_dir():
        if (path / "tokenizer.json").is_file():
            return load(path / "tokenizer.json")
        if (path / "vocab.json").is_file() and (path / "merges.txt").is_file():
            return _load_vocab_and_merges(path, pattern or "gpt2")
        raise InputError(
            f"path {str(path)!r} holds neither tokenizer.json nor vocab.json with merges.txt"
        )
    if path.suffix != ".json":
        return BPE.from_ranks(_read_ranks(path), pattern or "gpt4", special)
    content = _read_json(path)
    kind = content.get("minilm_tokenizer")
    try:
        if kind == "bytes":
            return ByteTokenizer(content["special"])
        if kind == "chars":
            return CharTokenizer(content["characters"], content["special"])
        if content.get("model", {}).get("type") == "BPE":
            return _from_hugging_face(content, path)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise InputError(f"path {str(path)!r} is no complete tokenizer file: {error!r}") from None
    raise InputError(
        f"path {str(path)!r} is no tokenizer this package reads; allowed are byte, character and "
        "byte-level BPE tokenizers"
    )


def save_hugging_face(bpe: BPE, path: str | os.PathLike) -> None:
    """Write a ``tokenizer.json`` that the tokenizers library and ``load`` read."""
    names = {i: spelled(token) for i, token in enumerate(bpe.ordinary) if token is not None}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    before: dict[str, Any] = byte_level | {"use_regex": True}
    if bpe.pattern != "gpt2":
        cut = {"type": "Split", "pattern": {"Regex": _REGEX[bpe.pattern]}}
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


def save_vocab_and_merges(bpe: BPE, folder: str | os.PathLike) -> None:
    """Write ``vocab.json`` and ``merges.txt`` into a folder that exists, as GPT-2 was published."""
    names = {i: spelled(token) for i, token in enumerate(bpe.ordinary) if token is not None}
    vocabulary = {name: i for i, name in names.items()} | bpe.special
    lines = ["#version: 0.2", *(f"{names[a]} {names[b]}" for a, b, _ in bpe.merges.tolist())]
    folder = Path(folder)
    write_atomically(folder / "vocab.json", json.dumps(vocabulary, ensure_ascii=False).encode())
    write_atomically(folder / "merges.txt", ("\n".join(lines) + "\n").encode())


def save_tiktoken(bpe: BPE, path: str | os.PathLike) -> None:
    """Write a tiktoken rank file. It holds no special tokens and no pattern: give them at loading.

    Raises:
        InputError: ids that do not grow with rank, which the format cannot say.
    """
    made = bpe.merges[:, 2]
    if (made[1:] < made[:-1]).any():
        raise InputError("bpe has ids that do not grow with rank; a tiktoken file needs that")
    lines = [
        base64.b64encode(token) + b" %d\n" % number
        for number, token in enumerate(bpe.ordinary)
        if token is not None
    ]
    write_atomically(path, b"".join(lines))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"path {str(path)!r} cannot be read: {error.strerror}") from None
    except ValueError:
        raise InputError(f"path {str(path)!r} is no JSON, or only the first part of it") from None
    if not isinstance(content, dict):
        raise InputError(f"path {str(path)!r} is JSON but no tokenizer")
    return content


def _read_ranks(path: Path) -> dict[bytes, int]:
    ranks = {}
    try:
        for line in path.read_bytes().splitlines():
            if line:
                token, rank = line.split()
                ranks[base64.b64decode(token, validate=True)] = int(rank)
    except OSError as error:
        raise InputError(f"path {str(path)!r} cannot be read: {error.strerror}") from None
    except (ValueError, binascii.Error):
        raise InputError(
            f"path {str(path)!r} is no tiktoken rank file: each line must be base64, blank, rank"
        ) from None
    return ranks


def spelled(token: bytes) -> str:
    """A token's bytes as GPT-2's printable characters."""
    return "".join(_CHARACTER[b] for b in token)


def _bytes(name: str, path: Path) -> bytes:
    try:
        return bytes([_BYTE[c] for c in name])
    except KeyError:
        raise InputError(
            f"path {str(path)!r} holds the token {name!r}, which no bytes spell; "
            "only byte-level BPE can be read"
        ) from None


def _build(
    vocabulary: dict[str, int],
    merges: Iterable[Any],
    special: dict[str, int],
    path: Path,
    **options: Any,
) -> BPE:
    size = vocabulary_size([*vocabulary.values(), *special.values()], f"path {str(path)!r}")
    tokens: list[bytes | None] = [None] * size
    for name, number in vocabulary.items():
        if special.get(name) != number:
            tokens[number] = _bytes(name, path)
    pairs = [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in merges]
    try:
        triples = [(vocabulary[a], vocabulary[b], vocabulary[a + b]) for a, b in pairs]
    except (KeyError, ValueError) as error:
        raise InputError(
            f"path {str(path)!r} has a merge that its vocabulary lacks: {error}"
        ) from None
    return BPE(tokens, triples, special=special, **options)


def _from_hugging_face(content: dict[str, Any], path: Path) -> BPE:
    model = content["model"]
    for field in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"):
        if model.get(field):
            raise InputError(f"path {str(path)!r} sets model.{field}, which is not supported")
    normalizer = content.get("normalizer")
    if normalizer is not None and normalizer["type"] not in ("NFC", "NFKC", "NFD", "NFKD"):
        raise InputError(
            f"path {str(path)!r} has the normalizer {normalizer['type']!r}; "
            "allowed are none, NFC, NFKC, NFD and NFKD"
        )
    special = {token["content"]: token["id"] for token in content.get("added_tokens") or []}
    return _build(
        model["vocab"],
        model["merges"],
        special,
        path,
        pattern=_pattern_of(content.get("pre_tokenizer"), path),
        whole_words=bool(model.get("ignore_merges")),
        normalize=normalizer and normalizer["type"],
    )


def _pattern_of(before: dict[str, Any] | None, path: Path) -> str:
    steps = [before] if before and before["type"] != "Sequence" else []
    steps = steps or (before or {}).get("pretokenizers", [])
    kinds = [step["type"] for step in steps]
    if kinds == ["ByteLevel"] and steps[0].get("use_regex", True):
        if not steps[0]["add_prefix_space"]:
            return "gpt2"
    elif kinds == ["Split", "ByteLevel"] and not steps[1]["use_regex"]:
        written = steps[0]["pattern"].get("Regex")
        for name, regex in _REGEX.items():
            if written == regex and steps[0]["behavior"] == "Isolated":
                return name
    raise InputError(
        f"path {str(path)!r} cuts words in a way this package does not know "
        f"({json.dumps(before)[:200]}); it knows the patterns {', '.join(_REGEX)}"
    )


def _load_vocab_and_merges(folder: Path, pattern: str) -> BPE:
    path = folder / "vocab.json"
    vocabulary = _read_json(path)
    try:
        lines = (folder / "merges.txt").read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError):
        raise InputError(
            f"path {str(folder / 'merges.txt')!r} cannot be read as UTF-8 text"
        ) from None
    merges = [line for line in lines if line and not line.startswith("#version")]
    made = {"".join(line.split(" ")) for line in merges}
    # What no merge makes and is no byte can only be a special token.
    special = {n: i for n, i in vocabulary.items() if n not in made and n not in _BYTE}
    return _build(vocabulary, merges, special, path, pattern=pattern)
