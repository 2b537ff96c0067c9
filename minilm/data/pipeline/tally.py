"""What a stage counts: documents and bytes by reason, samples, histograms. Tallies can be added."""

import bisect
import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

SAMPLES = 5  # of each reason
EXCERPT = 400  # characters of a sample


class Tally:
    """Counts of one part, or of several added up; the order of adding does not matter.

    Attributes:
        counts: reason -> [documents, bytes].
        samples: reason -> [[number, path, excerpt], ...], the ones with the smallest numbers, which
            are hashes of the path: a fair draw that is the same however the work was divided.
        histograms: name -> number of documents in each bar.
        numbers: name -> sum.
    """

    def __init__(self) -> None:
        self.counts: dict[str, list[int]] = {}
        self.samples: dict[str, list[list[str]]] = {}
        self.histograms: dict[str, list[int]] = {}
        self.numbers: dict[str, int] = {}

    def count(self, reason: str, size: int) -> None:
        """Count a document of so many bytes."""
        both = self.counts.setdefault(reason, [0, 0])
        both[0] += 1
        both[1] += size

    def sample(self, reason: str, path: str, excerpt: str) -> None:
        """Offer a sample; see `samples`."""
        number = hashlib.sha256(path.encode("utf-8", "replace")).hexdigest()[:16]
        kept = self.samples.setdefault(reason, [])
        if len(kept) < SAMPLES or number < kept[-1][0]:
            bisect.insort(kept, [number, path, excerpt[:EXCERPT]])
            del kept[SAMPLES:]

    def bar(self, name: str, value: float, edges: Sequence[float]) -> None:
        """Put a value into the histogram with these edges; one beyond them into the outermost."""
        bars = self.histograms.setdefault(name, [0] * (len(edges) - 1))
        place = bisect.bisect_right(edges, value) - 1
        bars[min(max(place, 0), len(bars) - 1)] += 1

    def add(self, name: str, value: int) -> None:
        """Add to a sum."""
        self.numbers[name] = self.numbers.get(name, 0) + value

    def merge(self, other: "Tally") -> None:
        """Add another tally to this one."""
        for reason, (documents, size) in other.counts.items():
            both = self.counts.setdefault(reason, [0, 0])
            both[0] += documents
            both[1] += size
        for reason, kept in other.samples.items():
            together = sorted([*self.samples.get(reason, []), *kept])
            self.samples[reason] = together[:SAMPLES]
        for name, bars in other.histograms.items():
            mine = self.histograms.setdefault(name, [0] * len(bars))
            self.histograms[name] = [a + b for a, b in zip(mine, bars, strict=True)]
        for name, value in other.numbers.items():
            self.add(name, value)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return dict(vars(self))

    @staticmethod
    def from_dict(facts: dict[str, Any]) -> "Tally":
        """From JSON."""
        tally = Tally()
        vars(tally).update(facts)
        return tally

    @staticmethod
    def total(parts: Iterable["Tally"]) -> "Tally":
        """All of them added up."""
        tally = Tally()
        for part in parts:
            tally.merge(part)
        return tally
