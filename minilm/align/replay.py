"""The best texts so far, kept apart from each other (Hu et al. 2023, arXiv 2310.04363)."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import numpy as np

from minilm.analysis.metrics import edit_distance
from minilm.errors import InputError

Text = tuple[int, ...]


class Replay:
    """For each prompt the texts with the highest rewards, no two of them nearly alike.

    A text that is there already changes nothing. One that is nearer than `apart` times both lengths
    together, in edits, to texts that are there stands in their place if its reward is higher than
    each of theirs, and is dropped otherwise. When there are more than `most`, the one with the
    lowest reward goes.

    Args:
        most: texts per prompt.
        apart: share of the summed lengths; 0 keeps all that differ.

    Raises:
        InputError: a number out of range.
    """

    def __init__(self, most: int = 50, apart: float = 0.25) -> None:
        if most < 1:
            raise InputError(f"most is {most}; it must be 1 or more")
        if not 0 <= apart <= 1:
            raise InputError(f"apart is {apart}; it must lie between 0 and 1")
        self.most, self.apart = most, apart
        self._kept: dict[Hashable, dict[Text, float]] = {}

    def add(self, prompt: Hashable, text: Sequence[int], log_reward: float) -> bool:
        """Offer a text; whether it was taken.

        Raises:
            InputError: the reward is nan or infinite.
        """
        if not np.isfinite(log_reward):
            raise InputError(f"log_reward is {log_reward}; it must be finite")
        text, kept = tuple(map(int, text)), self._kept.setdefault(prompt, {})
        if text in kept:
            return False
        if len(kept) >= self.most and log_reward <= min(kept.values()):
            return False
        near = [other for other in kept if self._is_near(text, other)]
        if any(kept[other] >= log_reward for other in near):
            return False
        for other in near:
            del kept[other]
        kept[text] = float(log_reward)
        if len(kept) > self.most:
            del kept[min(kept, key=kept.__getitem__)]
        return True

    def seed(self, prompt: Hashable, texts: Iterable[tuple[Sequence[int], float]]) -> None:
        """Offer texts that are known before the first draw, with their log-rewards."""
        for text, log_reward in texts:
            self.add(prompt, text, log_reward)

    def texts(self, prompt: Hashable) -> dict[Text, float]:
        """The texts kept for a prompt and their log-rewards."""
        return dict(self._kept.get(prompt, {}))

    def draw(self, prompt: Hashable, count: int, rng: np.random.Generator) -> list[Text]:
        """So many of a prompt's texts, each as likely as the others; none where none is kept."""
        kept = list(self._kept.get(prompt, {}))
        return [kept[i] for i in rng.integers(len(kept), size=count)] if kept else []

    def _is_near(self, text: Text, other: Text) -> bool:
        reach = self.apart * (len(text) + len(other))
        # Lengths alone settle most pairs: as many edits are needed at least.
        return abs(len(text) - len(other)) < reach and edit_distance(text, other) < reach
