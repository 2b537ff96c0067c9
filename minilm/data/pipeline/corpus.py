"""A corpus that `minilm data` made, for who trains on it."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from minilm.data.pipeline.settings import Settings
from minilm.data.pipeline.shuffling import HELD_OUT, TRAIN, buckets
from minilm.data.pipeline.store import Store, read_lines
from minilm.data.pipeline.tokens import TOKENIZER
from minilm.data.tokens import TokenFile
from minilm.errors import InputError

ABOUT = "corpus.json"
FORMAT = 1


class Corpus:
    """A prepared corpus: documents, a tokenizer and ids, each divided into train and held out.

    Args:
        folder: what `minilm data --out` named.

    Attributes:
        facts: what `corpus.json` says.

    Raises:
        InputError: no such folder, or one whose run has not ended.
    """

    def __init__(self, folder: str | os.PathLike) -> None:
        self.folder = Path(folder)
        path = self.folder / ABOUT
        if not path.is_file():
            begun = (self.folder / "settings.json").is_file()
            why = "whose run has not ended: repeat it" if begun else "not made by minilm data"
            raise InputError(f"corpus is {str(folder)!r}, {why}")
        try:
            self.facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if self.facts["format"] != FORMAT:
                raise ValueError
        except (ValueError, KeyError, TypeError):
            raise InputError(f"corpus is {str(folder)!r}, whose {ABOUT} is damaged") from None

    @staticmethod
    def is_one(folder: str | os.PathLike) -> bool:
        """Whether a folder is one that `minilm data` made or began to make."""
        return any((Path(folder) / name).is_file() for name in (ABOUT, "settings.json"))

    def rows(self, side: str) -> Iterator[dict[str, Any]]:
        """The documents of a side, one by one, as {path, language, licence, text}.

        Args:
            side: "train" or "held_out".

        Raises:
            InputError: another side, or a file that is gone.
        """
        if side not in (TRAIN, HELD_OUT):
            raise InputError(f"side is {side!r}; it must be {TRAIN!r} or {HELD_OUT!r}")
        for bucket in range(self.facts[side]["files"]):
            yield from read_lines(self.folder / f"{side}-{bucket:05}.jsonl")

    def texts(self, side: str) -> Iterator[str]:
        """The texts of a side, one by one."""
        return (row["text"] for row in self.rows(side))

    def tokenizer(self) -> Any:
        """The tokenizer learnt from the training side."""
        from minilm import tokenizers

        return tokenizers.load(self.folder / TOKENIZER)

    def tokens(self, side: str) -> TokenFile:
        """The ids of a side."""
        return TokenFile(self.folder / f"{side}.tokens")


def about(store: Store, settings: Settings) -> dict[str, Any]:
    """What `corpus.json` says of a run whose stages are all done."""
    split = store.read_json("split", "done")
    facts: dict[str, Any] = {"format": FORMAT, "seed": settings.seed}
    facts["vocabulary"] = store.read_json("vocabulary", "done")["tokens"]
    for side in (TRAIN, HELD_OUT):
        own = [store.read_json("gather", name) for name in buckets(store) if name.startswith(side)]
        facts[side] = {
            "files": split[side]["buckets"],
            "documents": split[side]["documents"],
            "bytes": sum(tally["counts"][side][1] for tally in own),
            "characters": sum(tally["numbers"]["characters"] for tally in own),
            "tokens": len(TokenFile(store.root / f"{side}.tokens")),
        }
    return facts
