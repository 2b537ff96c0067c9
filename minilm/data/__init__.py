"""Corpora, token files and labelled synthetic worlds."""

import importlib
from typing import Any

_WHERE = {
    "corpus": "corpora",
    "documents": "corpora",
    "split": "corpora",
    "encode_documents": "corpora",
    "load_text": "text",
    "load_documents": "text",
    "TokenFile": "tokens",
    "Batches": "batching",
    "batches": "batching",
    "windows": "batching",
    "chat_batch": "chats",
    "encode_chats": "chats",
    "read_chats": "chats",
    "python_questions": "questions",
    "InfillBatches": "infill",
    "split_documents": "infill",
    "PackedBatches": "packing",
    "best_fit": "packing",
    "digits": "images.photos",
    "photographs": "images.photos",
    "split_digits": "images.photos",
    "glyphs": "images.glyphs",
}

__all__ = list(_WHERE)


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(importlib.import_module(f"minilm.data.{_WHERE[name]}"), name)
    raise AttributeError(f"module 'minilm.data' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*_WHERE, "clean", "images", "toys", "worlds"])
