"""Documents that give away a test: they hold a run of its words, or the whole of a short one.

GPT-3 looked for runs of 13 words (arXiv 2005.14165, appendix C), StarCoder for the docstrings and
solutions themselves (arXiv 2305.06161). Both are done here, ignoring case, and punctuation or
white space.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from minilm.data.clean.fast_minhash import run_hashes
from minilm.data.clean.near_duplicates import shingles
from minilm.errors import InputError

RUN = 13  # words
LEAST = 30  # characters of a test that is looked for as a whole; shorter ones occur by chance
_PROBE = 3  # words by whose runs a document is chosen for the search of whole tests


class TestSet:
    """Tests, made ready to look for them in many documents.

    Args:
        tests: texts: a prompt, a solution, a question.
        run: words in a row that give a test away.
    """

    __test__ = False  # pytest collects classes of this name

    def __init__(self, tests: Iterable[str], run: int = RUN) -> None:
        self.run = run
        self._runs: dict[str, int] = {}
        self._whole: list[tuple[int, str, int]] = []  # place, text, hash of its first inner words
        hashes, probes = [np.zeros(0, np.uint32)], []
        for place, test in enumerate(tests):
            words = [w for w in re.split(r"\W+", test.lower()) if w]
            if len(words) >= run:
                for one in shingles(test, run):
                    self._runs.setdefault(one, place)
                hashes.append(run_hashes(test, run))
            flat = _flat(test)
            if len(flat) >= LEAST and len(words) >= _PROBE + 2:
                # the first and last word may be part of a longer one in a document
                probe = int(run_hashes(" ".join(words[1 : 1 + _PROBE]), _PROBE)[0])
                self._whole.append((place, flat, probe))
                probes.append(probe)
        self.count = len(self._whole)
        self._hashes = np.unique(np.concatenate(hashes))
        self._probes = np.unique(np.array(probes, np.uint32))

    def find(self, text: str) -> tuple[int, str] | None:
        """The place of a test that a document gives away, and by what; None: of none."""
        if self._hashes.size:
            hits = np.isin(run_hashes(text, self.run), self._hashes, assume_unique=True)
            if hits.any():  # two runs may have one hash
                shared = [one for one in shingles(text, self.run) if one in self._runs]
                if shared:
                    first = min(shared)
                    return self._runs[first], first
        if self._probes.size:
            mine = run_hashes(text, _PROBE)
            mine = mine[np.isin(mine, self._probes, assume_unique=True)]
            if mine.size:
                present, flat = set(mine.tolist()), _flat(text)
                for place, test, probe in self._whole:
                    if probe in present and test in flat:
                        return place, test[:200]
        return None


def _flat(text: str) -> str:
    return " ".join(text.lower().split())


def read_tests(paths: Iterable[str | os.PathLike]) -> list[str]:
    """The tests in some files: every string of 5 words in `.jsonl` and `.json`, else all text.

    Raises:
        InputError: a file that cannot be read, or holds nothing to look for.
    """
    tests: list[str] = []
    for path in paths:
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is not UTF-8"
            raise InputError(f"tests is {str(path)!r}, which cannot be read: {why}") from None
        before = len(tests)
        if Path(path).suffix in (".json", ".jsonl"):
            try:
                parts = text.splitlines() if Path(path).suffix == ".jsonl" else [text]
                for part in parts:
                    if part.strip():
                        tests += [s for s in _strings(json.loads(part)) if len(s.split()) >= 5]
            except ValueError:
                raise InputError(f"tests is {str(path)!r}, which is not JSON") from None
        elif text.strip():
            tests.append(text)
        if len(tests) == before:
            raise InputError(f"tests is {str(path)!r}, which holds no text of five words")
    return tests


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part)
