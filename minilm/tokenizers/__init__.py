"""Tokenizers: bytes, characters and byte-pair encoding, told as a ladder; WordPiece and Unigram.

Read in this order; each file says what it does not do yet: `bytes` -> `chars` -> `bpe_basic`
(twenty lines) -> `pretokenize` and `bpe_regex` (words and special tokens) -> `fast_words`,
`fast_scan`, `fast_train`, `fast_merge`, `fast_encode` (the same, compiled) -> `bpe` and `bpe_train`
(what to use). `wordpiece` (BERT) and `unigram` (T5) cut words into texts; `normalizers`, `words`
and `pieces_out` are what Hugging Face's files put around them. `added` finds added tokens,
`frames` surrounds a text. `formats` and `saving` read and write other libraries' files,
`streaming` encodes and decodes piece by piece, `chat`, `chat_template`, `infill` and `repository`
lay out conversations, fill-in-the-middle examples and the files of one project.
"""

import importlib
from typing import Any

_WHERE = {
    "Tokenizer": "base",
    "AddedToken": "added",
    "ByteTokenizer": "bytes",
    "CharTokenizer": "chars",
    "BPE": "bpe",
    "train_bpe": "bpe_train",
    "WordPiece": "wordpiece",
    "Unigram": "unigram",
    "load": "formats",
    "save_tiktoken": "saving",
    "save_vocab_and_merges": "saving",
    "StreamEncoder": "streaming",
    "StreamDecoder": "streaming",
    "ChatFormat": "chat",
    "CHATML": "chat",
    "FORMATS": "chat",
    "LLAMA2": "chat",
    "LLAMA3": "chat",
    "PLAIN": "chat",
    "TULU": "chat",
    "ZEPHYR": "chat",
    "ChatTemplate": "chat_template",
    "read_template": "chat_template",
    "encode_chat": "chat",
    "render_chat": "chat",
    "fim_permute": "infill",
    "fim_encode": "infill",
    "fim_restore": "infill",
    "fim_prompt": "infill",
    "Repository": "repository",
    "repository_text": "repository",
    "repository_files": "repository",
}

__all__ = list(_WHERE)


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(f"minilm.tokenizers.{_WHERE[name]}"), name)
    raise AttributeError(f"module 'minilm.tokenizers' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(_WHERE)
