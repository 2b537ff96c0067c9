r"""Reading tokenizer files: `tokenizer.json`, `vocab.json` with `merges.txt`, tiktoken ranks.

The two Hugging Face forms write bytes as printable characters: GPT-2's table, in which a space is
"Ġ". A rank file has a line for each token: its bytes in base64 and its rank, which is also its id.
"""

import base64
import binascii
import codecs
import os
from pathlib import Path
from typing import Any

from minilm.errors import InputError
from minilm.files import parse_json
from minilm.tokenizers.added import AddedToken
from minilm.tokenizers.base import Tokenizer
from minilm.tokenizers.bpe import BPE
from minilm.tokenizers.bytes import ByteTokenizer
from minilm.tokenizers.chars import CharTokenizer
from minilm.tokenizers.hugging_face import bpe_from, bpe_of
from minilm.tokenizers.hugging_face_pieces import unigram_of, word_piece_of
from minilm.tokenizers.saving import BYTE

_MODELS = {"BPE": bpe_of, "WordPiece": word_piece_of, "Unigram": unigram_of}


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
            than byte-level BPE, WordPiece and Unigram.
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
        model = _model_of(content.get("model", {}))
        if model in _MODELS:
            return _MODELS[model](content, f"path {str(path)!r}")
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"path {str(path)!r} is not a complete tokenizer file: {error!r}"
        ) from None
    raise InputError(
        f"path {str(path)!r} is of a kind that this package does not read; allowed are byte, "
        "character, byte-level BPE, WordPiece and Unigram tokenizers"
    )


def _model_of(model: dict[str, Any]) -> str | None:
    """What kind of model a `tokenizer.json` describes; the oldest files do not name it."""
    if "type" in model or "vocab" not in model:
        return model.get("type")
    if "merges" in model:
        return "BPE"
    if "max_input_chars_per_word" in model:
        return "WordPiece"
    return "Unigram" if isinstance(model["vocab"], list) else "WordLevel"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"path {str(path)!r} cannot be read: {error.strerror}") from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = parse_json(_read(path))
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"path {str(path)!r} {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"path {str(path)!r} is JSON but not a tokenizer")
    return content


def _read_lines(path: Path) -> bytes:
    """A text file.

    Raises:
        InputError: it cannot be read, or begins with a byte-order mark.
    """
    content = _read(path)
    if content.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InputError(f"path {str(path)!r} begins with a byte-order mark; it must have none")
    return content


def _read_ranks(path: Path) -> dict[bytes, int]:
    ranks: dict[bytes, int] = {}
    try:
        for line in _read_lines(path).splitlines():
            if line:
                name, rank = line.split()
                token = base64.b64decode(name, validate=True)
                if token in ranks:
                    raise InputError(f"path {str(path)!r} holds the token {token!r} twice")
                ranks[token] = int(rank)
    except (ValueError, binascii.Error) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"path {str(path)!r} is not a tiktoken rank file: each line must be base64, blank, rank"
        ) from None
    return ranks


def _load_vocab_and_merges(folder: Path, pattern: str) -> BPE:
    path = folder / "vocab.json"
    vocabulary = _read_json(path)
    try:
        lines = _read_lines(folder / "merges.txt").decode().split("\n")
    except UnicodeDecodeError:
        raise InputError(
            f"path {str(folder / 'merges.txt')!r} cannot be read as UTF-8 text"
        ) from None
    # Only the first line can be a comment: the first merge joins two bytes, so it is not
    # "#version ...", while a later one may be.
    merges = [line for line in lines[lines[0].startswith("#version") :] if line]
    made = {"".join(line.split(" ")) for line in merges}
    # What no merge makes, and is not a byte, can only be a special token.
    special = [
        AddedToken(name, number)
        for name, number in vocabulary.items()
        if name not in made and name not in BYTE
    ]
    return bpe_from(vocabulary, merges, special, f"path {str(path)!r}", pattern=pattern)
