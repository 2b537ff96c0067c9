"""Redaction and decontamination of what is left once duplicates are gone."""

import functools
import json

import numpy as np

from minilm.data.clean.contamination import TestSet, read_tests
from minilm.data.clean.redaction import Finding, find_secrets, redact, replace
from minilm.data.pipeline.duplicates import alive_rows
from minilm.data.pipeline.settings import Settings
from minilm.data.pipeline.store import Store
from minilm.data.pipeline.tally import Tally
from minilm.files import atomic_file

# A document: its number among all, and where its text is.
PLACE = np.dtype([("number", "<i8"), ("part", "<i8"), ("line", "<i8")])
_AROUND = 40  # characters shown on either side of what was replaced


def redact_part(root: str, settings: Settings, part: int) -> None:
    """Write a part's documents without personal data and secrets, and where each line begins."""
    store, tally = Store(root), Tally()
    starts, place = [], 0
    with atomic_file(store.path("redact", part, ".jsonl")) as file:
        for row in alive_rows(store, part):
            before, found = row["text"], find_secrets(row["text"])
            row["text"] = replace(before, found)
            tally.count("redacted" if found else "kept", len(row["text"].encode()))
            shown = set()
            for one in found:
                tally.add(one.kind, 1)
                if one.kind not in shown:
                    shown.add(one.kind)
                    tally.sample(one.kind, row["path"], _around(before, one))
            starts.append(place)
            content = json.dumps(row, ensure_ascii=False).encode() + b"\n"
            file.write(content)
            place += len(content)
    store.write_array("redact", part, np.array([*starts, place], np.int64))
    store.write_json("redact", part, tally.to_dict())


def _around(text: str, one: Finding) -> str:
    """What stands around a finding, without what was found: a report must not tell it either."""
    line = text[max(0, one.start - _AROUND) : one.start], text[one.end : one.end + _AROUND]
    return " \u2026 ".join(redact(part)[0].strip() for part in line)


def _tests(paths: tuple[str, ...]) -> TestSet:
    """The tests, made ready once for each process and content of the files."""
    return _ready(tuple(read_tests(paths)))


@functools.lru_cache(maxsize=1)
def _ready(tests: tuple[str, ...]) -> TestSet:
    return TestSet(tests)


def decontaminate_part(root: str, settings: Settings, part: int) -> None:
    """Write the places of a part's documents that give no test away."""
    store, tally = Store(root), Tally()
    tests = _tests(settings.tests) if settings.tests else None
    places = []
    for line, row in enumerate(store.read_lines("redact", part)):
        size = len(row["text"].encode())
        found = None if tests is None else tests.find(row["text"])
        if found is None:
            places.append((row["number"], part, line))
            tally.count("kept", size)
        else:
            tally.count("holds a test", size)
            tally.sample("holds a test", f"{row['path']}, test {found[0] + 1}", found[1])
    store.write_array("decontaminate", part, np.array(places, PLACE))
    store.write_json("decontaminate", part, tally.to_dict())
