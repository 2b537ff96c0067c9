"""What a run of the pipeline was asked for; a run that goes on must be asked for the same."""

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minilm.errors import InputError

LICENCES = ("open", "permissive", "any")
NEAREST = 0.5  # similarity from which two documents never lie on both sides of the split


@dataclass(frozen=True)
class Settings:
    """Everything that decides what comes out; who does the work, and how many, does not.

    Attributes:
        roots: folders to read, absolute.
        licences: "open" keeps permissive licences and files without one (as The Stack v2 does),
            "permissive" only the first, "any" everything.
        languages: the only ones to keep, as `clean.origin` names them; empty: all.
        largest: bytes of the largest file to read.
        threshold: similarity of near duplicates (Jaccard, runs of five words).
        filters: other bounds than the published ones; see `clean.limits.limits`.
        tests: files whose texts must not occur; see `clean.contamination.read_tests`.
        held_out: share of the characters to test on.
        vocabulary: number of tokens.
        seed: of the permutations, the split and the order.
        part: bytes of source files in a part of the work, about.
        tests_sha256: of the tests' texts; filled in by `run.prepare`.
    """

    roots: tuple[str, ...]
    licences: str = "open"
    languages: tuple[str, ...] = ()
    largest: int = 1_000_000
    threshold: float = 0.7
    filters: dict[str, float] = field(default_factory=dict)
    tests: tuple[str, ...] = ()
    held_out: float = 0.05
    vocabulary: int = 8192
    seed: int = 0
    part: int = 4_000_000
    tests_sha256: str = ""

    def check_values(self) -> None:
        """Refuse what makes no sense.

        Raises:
            InputError: it names the setting.
        """
        if not self.roots:
            raise InputError("roots is empty; it must name at least one folder")
        for root in self.roots:
            if not Path(root).is_dir():
                raise InputError(f"path is {root!r}; it must be a folder that exists")
        if self.licences not in LICENCES:
            raise InputError(f"licences is {self.licences!r}; it must be {', '.join(LICENCES)}")
        from minilm.data.clean.origin import LANGUAGES, NAMED

        known = {*LANGUAGES.values(), *NAMED.values()}
        if not known.issuperset(self.languages):
            raise InputError(
                f"languages is {', '.join(self.languages)}; allowed are {', '.join(sorted(known))}"
            )
        for name, least in (("largest", 1), ("part", 1), ("seed", 0), ("vocabulary", 257)):
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)}; it must be {least} or more")
        for name in ("threshold", "held_out"):
            if not 0 < getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must be above 0 and below 1")
        for name, value in self.filters.items():
            if not (math.isfinite(value) and value >= 0):
                raise InputError(f"{name} is {value}; it must be 0 or more, and finite")

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return dataclasses.asdict(self)

    @staticmethod
    def from_json(text: str) -> "Settings":
        """The settings that a run wrote down.

        Raises:
            ValueError: they are not, or of another version.
        """
        facts = json.loads(text)
        if not isinstance(facts, dict):
            raise ValueError("not settings")
        try:
            for name in ("roots", "languages", "tests"):
                facts[name] = tuple(facts[name])
            return Settings(**facts)
        except (KeyError, TypeError) as error:
            raise ValueError(str(error)) from None
