"""Turns of talk: predict first, learn next, and let a correction in time change what is learnt.

Nobody labels anything. What the lamp did counts as right unless somebody reaches for the switch
within a window of seconds; then what they set counts. A correction that comes later may mean
something else and changes nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from minilm.errors import InputError
from minilm.lamp.household import Utterance
from minilm.lamp.listener import check_symbol

WINDOW = 10.0  # seconds
KEPT = 8  # turns that can still be corrected


@dataclass
class Turn:
    """What was said at what second, what it counts as now, and whether that was learnt."""

    text: str
    at: float
    symbol: str
    learnt: bool = False
    corrected: bool = False


class Lamp:
    """Hears sentences and corrections in the order of time.

    Args:
        model: has `guess`, `learn` and `relabel`, as `listener.Listener`.
        window: seconds in which a correction counts.

    Attributes:
        lit: whether it is on.
        turns: the last `KEPT`.
        heard: how many turns there were in all.

    Raises:
        InputError: a window below 0.
    """

    def __init__(self, model: Any, window: float = WINDOW) -> None:
        if not window >= 0:
            raise InputError(f"window is {window}; it must be 0 seconds or more")
        self.model, self.window = model, window
        self.lit = False
        self.turns: list[Turn] = []
        self.heard = 0

    def hear(self, text: str, at: float) -> str:
        """Say what follows from a sentence, before anything is learnt from it.

        What was said before counts as it stands now, and is learnt first.
        """
        self.settle()
        symbol = self.model.guess(text)
        self.turns = [*self.turns, Turn(text, at, symbol)][-KEPT:]
        self.heard += 1
        self._operate(symbol)
        return symbol

    def correct(self, symbol: str, at: float, turn: int = -1) -> bool:
        """Somebody sets the switch: a turn meant something else.

        Args:
            symbol: what it meant.
            at: when, in seconds.
            turn: which of `turns`; the last by default.

        Returns:
            Whether it came in time. If not, nothing changed.

        Raises:
            InputError: another symbol; no such turn.
        """
        check_symbol(symbol)
        if not -len(self.turns) <= turn < len(self.turns):
            raise InputError(f"turn is {turn}; {len(self.turns)} turns can be corrected")
        one = self.turns[turn]
        if not 0 <= at - one.at <= self.window:
            return False
        if one.learnt and symbol != one.symbol:
            self.model.relabel(one.text, one.symbol, symbol)
        elif not one.learnt:
            self.model.learn(one.text, symbol, corrected=symbol != one.symbol)
        one.corrected |= symbol != one.symbol
        one.symbol, one.learnt = symbol, True
        self._operate(symbol)
        return True

    def settle(self) -> None:
        """Learn every turn that was not learnt yet, as it stands."""
        for turn in self.turns:
            if not turn.learnt:
                self.model.learn(turn.text, turn.symbol)
                turn.learnt = True

    def _operate(self, symbol: str) -> None:
        if symbol != "nothing":
            self.lit = symbol == "lit"


def prequential(model: Any, stream: Iterable[Utterance], window: float = WINDOW) -> list[str]:
    """Every guess in a stream, each made before its sentence is learnt.

    Where a guess is wrong, somebody corrects it after the utterance's `delay`.

    Args:
        model: learns as it goes.
        stream: utterances in the order of time.
        window: seconds in which a correction counts.

    Returns:
        A symbol for each utterance.
    """
    lamp, guesses = Lamp(model, window), []
    for said in stream:
        guesses.append(lamp.hear(said.text, said.at))
        if guesses[-1] != said.meant:
            lamp.correct(said.meant, said.at + said.delay)
    return guesses
