"""Small tasks with one clear difficulty each: copying, chains, translation, lengths, far tokens."""

from minilm.data.toys.facts import FactTable, SharedFacts
from minilm.data.toys.sequences import (
    LocalGrammar,
    Translation,
    chat,
    copy,
    expand,
    lengths,
    modular_chain,
)
from minilm.data.toys.topics import topic_words

__all__ = [
    "FactTable",
    "LocalGrammar",
    "SharedFacts",
    "Translation",
    "chat",
    "copy",
    "expand",
    "lengths",
    "modular_chain",
    "topic_words",
]
