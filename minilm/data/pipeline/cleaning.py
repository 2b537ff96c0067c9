"""Redaction and decontamination of what is left once duplicates are gone."""

import functools
import json

import numpy as np

from minilm.data.clean.contamination import TestSet, read_tests
from minilm.data.clean.redaction import find_secrets, redact
from minilm.data.pipeline.duplicates import alive_rows
from minilm.data.pipeline.settings import Settings
from minilm.data.pipeline.store import Store
from minilm.data.pipeline.tally import Tally
from minilm.files import atomic_file

_AROUND = 40  # characters shown on either side of what was replaced


def redact_part(root: str, settings: Settings, part: int) -> None:
    """Write a part's documents without personal data and secrets, and where each line begins."""
    store, tally = Store(root), Tally()
    starts, place = [], 0
    with atomic_file(store.path("redact", part, ".jsonl")) as file:
        for row in alive_rows(store, part):
            found = find_secrets(row["text"])
            before, (row["text"], counts) = row["text"], redact(row["text"])
            size = len(row["text"].encode())
            tally.count("redacted" if counts else "kept", size)
            for kind, number in sorted(counts.items()):
                tally.add(kind, number)
                one = next(f for f in found if f.kind == kind)
                around = (
                    before[max(0, one.start - _AROUND) : one.start],
                    before[one.end : one.end + _AROUND],
                )
                # the report must not tell what the corpus no longer does
                shown = " ... ".join(redact(part)[0].strip() for part in around)
                tally.sample(kind, row["path"], shown)
            starts.append(place)
            content = json.dumps(row, ensure_ascii=False).encode() + b"\n"
            file.write(content)
            place += len(content)
    store.write_array("redact", part, np.array([*starts, place], np.int64))
    store.write_json("redact", part, tally.to_dict())


@functools.lru_cache(maxsize=1)
def _tests(paths: tuple[str, ...]) -> TestSet:
    """The tests, once for each process."""
    return TestSet(read_tests(paths))


def decontaminate_part(root: str, settings: Settings, part: int) -> None:
    """Write the numbers of a part's documents that give no test away."""
    store, tally = Store(root), Tally()
    tests = _tests(settings.tests) if settings.tests else None
    numbers = []
    for row in store.read_lines("redact", part):
        size = len(row["text"].encode())
        found = None if tests is None else tests.find(row["text"])
        if found is None:
            numbers.append(row["number"])
            tally.count("kept", size)
        else:
            tally.count("holds a test", size)
            tally.sample("holds a test", f"{row['path']}, test {found[0] + 1}", found[1])
    store.write_array("decontaminate", part, np.array(numbers, np.int64))
    store.write_json("decontaminate", part, tally.to_dict())
