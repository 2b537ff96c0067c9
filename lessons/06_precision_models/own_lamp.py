"""The reader's own lamp: a line to type in, a lamp that lights up, the curve of their corrections."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm.course import interact
from minilm.course.show.frames import kept_here
from minilm.course.show.style import BLUE, GREEN, MUTED, ORANGE, figure, in_notebook
from minilm.lamp import SYMBOLS


class OwnLamp:
    """The reader's lamp: shows what follows from a sentence, and learns what it should have been.

    Args:
        model: a `Listener`.
        right: whether each guess so far was right.
        draw_lamp: `pictures.draw_lamp`.
    """

    def __init__(self, model: Any, right: Sequence[bool], draw_lamp: Callable[..., None]) -> None:
        self.model, self.right, self.draw_lamp = model, list(right), draw_lamp
        self.said, self.lit, self.open = "", False, False

    def show(self) -> None:
        """A line to type in and three buttons; where outputs are stored, a choice in their place."""
        if kept_here() or not in_notebook():
            interact(self.__call__, say="it is so dark", it_should_be=["as it is", *SYMBOLS])
            return
        import ipywidgets as w
        from IPython.display import display

        line = w.Text(placeholder="say something, then Enter", layout=w.Layout(width="640px"))
        line.continuous_update = False
        picture = w.Output()

        def happen(do: Callable[[], None]) -> None:
            with picture:
                picture.clear_output(wait=True)
                do()
                self.draw()

        def heard(change: dict[str, Any]) -> None:
            if change["new"].strip():
                happen(lambda: self.hear(change["new"]))

        def button(symbol: str) -> Any:
            made = w.Button(description=f"should be {symbol}")
            made.on_click(lambda _: happen(lambda: self.correct(symbol)))
            return made

        line.observe(heard, "value")
        display(w.VBox([line, w.HBox([button(symbol) for symbol in SYMBOLS]), picture]))
        happen(lambda: None)

    def __call__(self, say: str, it_should_be: str) -> None:
        """What two controls say: a new sentence is heard, a symbol corrects the last."""
        if say != self.said:
            self.hear(say)
        elif it_should_be in SYMBOLS:
            self.correct(it_should_be)
        self.draw()

    def hear(self, text: str) -> None:
        """Anticipate; what was said before counts as it stands."""
        if self.open:
            self._learn(self.model.guess(self.said))
        self.said, self.open = text, True
        self._operate()

    def correct(self, symbol: str) -> None:
        """Learn the last sentence as this symbol."""
        if self.open:
            self._learn(symbol)
        elif self.said and symbol != self.model.guess(self.said):
            self.model.learn(self.said, symbol, corrected=True)
        self._operate()

    def _learn(self, symbol: str) -> None:
        guess = self.model.guess(self.said)
        self.right.append(symbol == guess)
        self.model.learn(self.said, symbol, corrected=symbol != guess)
        self.open = False

    def _operate(self) -> None:
        symbol = self.model.guess(self.said)
        if symbol != "nothing":
            self.lit = symbol == "lit"

    def draw(self) -> None:
        """The lamp, its shares, and the curve of the last ten."""
        shares = self.model.shares(self.said) if self.said else np.full(len(SYMBOLS), 1 / 3)
        with figure(
            1, 3, size=(12.2, 4.2),
            alt="The lamp, how likely it takes each symbol to be, and the reader's curve so far.",
        ) as (ax, middle, curve):  # fmt: skip
            ax.set_axis_off()
            self.draw_lamp(ax, 0, 0, self.lit)
            ax.set_xlim(-1.4, 1.4)
            ax.set_ylim(-0.4, 3.1)
            ax.set_aspect("equal")
            ax.set_title("lit" if self.lit else "dark")
            middle.barh(SYMBOLS, shares, color=[MUTED, ORANGE, BLUE])
            middle.set_xlim(0, 1)
            middle.invert_yaxis()
            middle.set_title(f"“{self.said[:22]}”")
            last = [np.mean(self.right[max(0, i - 9) : i + 1]) for i in range(len(self.right))]
            curve.plot(range(1, 1 + len(last)), 100 * np.array(last), color=GREEN, marker="o",
                       markersize=5)  # fmt: skip
            curve.set_ylim(0, 103)
            curve.set_title("right, last 10, %")
            curve.set_xlabel("sentences")
