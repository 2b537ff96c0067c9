r"""Reading tokenizer files: `tokenizer.json`, `vocab.json` with `merges.txt`, tiktoken ranks.

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
from minilm.tokenizers.base import Tokenizer, vocabulary_size
from minilm.tokenizers.bpe import BPE
from minilm.tokenizers.bytes import ByteTokenizer
from minilm.tokenizers.chars import CharTokenizer
from minilm.tokenizers.saving import BYTE, REGEX


def load(
    path: str | os.PathLike,
    pattern: str | None = None,
    special: dict[str, int] | None = None,
) -> Tokenizer:
    """Read a tokenizer.

    Args:
        path: a file written by `save`, a `tokenizer.json`, a tiktoken rank file, or a folder
            that holds `tokenizer.json` or `vocab.json` with `merges.txt`.
        pattern: how words are cut, for the files that do not say so: rank files ("gpt4" if not
            given) and `vocab.json` with `merges.txt` ("gpt2").
        special: special tokens and their ids, for rank files.

    Raises:
        InputError: no such file, incomplete or foreign content, or a kind of tokenizer other
            than byte-level BPE.
    """
    path = Path(path)
    if path.is_dir():
        if (path / "tokenizer.json").is_file():
            return load(path / "tokenizer.json")
        if (path / "vocab.json").is_file() and (path / "merges.txt").is_file():
            return _load_vocab_and_merges(path, pattern or "gpt2")
        raise InputError(
            f"path {str(path)!r} is a folder without tokenizer.json, and without vocab.json and "
            "merges.txt"
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
        raise InputError(
            f"path {str(path)!r} is not a complete tokenizer file: {error!r}"
        ) from None
    raise InputError(
        f"path {str(path)!r} is of a kind that this package does not read; allowed are byte, "
        "character and byte-level BPE tokenizers"
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"path {str(path)!r} cannot be read: {error.strerror}") from None
    except ValueError:
        raise InputError(f"path {str(path)!r} is not JSON, or only the first part of it") from None
    if not isinstance(content, dict):
        raise InputError(f"path {str(path)!r} is JSON but not a tokenizer")
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
            f"path {str(path)!r} is not a tiktoken rank file: each line must be base64, blank, rank"
        ) from None
    return ranks


def _bytes(name: str, path: Path) -> bytes:
    try:
        return bytes([BYTE[c] for c in name])
    except KeyError:
        raise InputError(
            f"path {str(path)!r} holds the token {name!r}, which does not spell bytes; "
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
        for name, regex in REGEX.items():
            if written == regex and steps[0]["behavior"] == "Isolated":
                return name
    raise InputError(
        f"path {str(path)!r} cuts words in an unknown way ({json.dumps(before)[:200]}); "
        f"known are the patterns {', '.join(REGEX)}"
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
    # What no merge makes, and is not a byte, can only be a special token.
    special = {n: i for n, i in vocabulary.items() if n not in made and n not in BYTE}
    return _build(vocabulary, merges, special, path, pattern=pattern)
