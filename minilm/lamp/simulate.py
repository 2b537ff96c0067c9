"""A simulated household talks to the lamp; a table says how it went, minute by minute."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minilm.lamp.bayes import NaiveBayes
from minilm.lamp.household import Utterance, household
from minilm.lamp.listener import SYMBOLS, Listener
from minilm.lamp.turns import WINDOW, prequential


@dataclass(frozen=True)
class Heard:
    """A stream and what one model anticipated, before it learnt each sentence."""

    stream: Sequence[Utterance]
    guesses: Sequence[str]

    @property
    def right(self) -> np.ndarray:
        """(N,) bool."""
        return np.array([g == u.meant for g, u in zip(self.guesses, self.stream, strict=True)])

    @property
    def minutes(self) -> np.ndarray:
        """(N,) the minute in which each was said, from 0."""
        return np.array([int(u.at // 60) for u in self.stream])

    @property
    def chatter(self) -> np.ndarray:
        """(N,) bool: meant for nobody's lamp."""
        return np.array([u.meant == "nothing" for u in self.stream])

    @property
    def false_triggers(self) -> np.ndarray:
        """(N,) bool: chatter that switched it."""
        return self.chatter & ~self.right

    def accuracy(self, first: int = 0, last: int | None = None) -> float:
        """Share right from one utterance up to another, nan for none."""
        part = self.right[first:last]
        return float(part.mean()) if len(part) else float("nan")


def listen(model: object, stream: Sequence[Utterance], window: float = WINDOW) -> Heard:
    """Let a model hear a stream from its first sentence to its last."""
    return Heard(stream, prequential(model, stream, window))


def table(seed: int, minutes: float, noise: float = 0.1, window: float = WINDOW) -> str:
    """What `minilm lamp --simulate` prints: the lamp, naive Bayes, and the commonest symbol."""
    stream = list(household(seed, minutes, noise))
    if not stream:
        return "nobody said anything"
    lamp, bayes = listen(Listener(seed), stream, window), listen(NaiveBayes(), stream, window)
    lines = ["minute  said  lamp right  naive Bayes right  chatter  false triggers (naive Bayes)"]
    for minute in range(int(lamp.minutes[-1]) + 1):
        here = lamp.minutes == minute
        if here.any():
            lines.append(_row(str(minute + 1), here, lamp, bayes))
    lines.append(_row("all", np.ones(len(stream), bool), lamp, bayes))
    commonest = max(sum(u.meant == symbol for u in stream) for symbol in SYMBOLS)
    lines.append(f"the commonest symbol alone: {commonest / len(stream):.0%} right")
    return "\n".join(lines)


def _row(name: str, here: np.ndarray, lamp: Heard, bayes: Heard) -> str:
    chatter = int(lamp.chatter[here].sum())
    false = [int(model.false_triggers[here].sum()) for model in (lamp, bayes)]
    return (
        f"{name:>6}  {here.sum():4}  {lamp.right[here].mean():10.0%}  "
        f"{bayes.right[here].mean():17.0%}  {chatter:7}  {false[0]:14} ({false[1]})"
    )
