"""A blind vote between models on a notebook's page: two answers, three buttons, and the board."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minilm.course.show.style import in_notebook
from minilm.errors import InputError

VOTES = {"a is better": "a", "b is better": "b", "neither": "="}


class Contest:
    """One question, two answers whose authors are hidden, and what was said of them.

    Args:
        speakers: have `answer(prompt)`, in the order of the ballots' names.
        ballots: an `align.voting.Ballots`.

    Attributes:
        pair: places of the two whose answers are shown; None before the first question.
        told: who they were, once there is a vote.
    """

    def __init__(self, speakers: Sequence[Any], ballots: Any) -> None:
        self.speakers, self.ballots = speakers, ballots
        self.pair: tuple[int, int] | None = None
        self.prompt, self.answers, self.told = "", ("", ""), ""

    def ask(self, prompt: str) -> None:
        """Two models that have met least often answer; what was not voted on is forgotten."""
        self.pair, self.prompt, self.told = self.ballots.pair(), prompt, ""
        first, second = (self.speakers[one].answer(prompt) for one in self.pair)
        self.answers = first, second

    def vote(self, said: str) -> None:
        """Count a vote and say who was who.

        Args:
            said: "a", "b" or "=".

        Raises:
            InputError: nothing was asked since the last vote; as `Ballots.vote`.
        """
        if self.pair is None:
            raise InputError("no answers wait for a vote; ask something first")
        self.ballots.vote(*self.pair, said, self.prompt)
        a, b = (self.ballots.names[one] for one in self.pair)
        self.pair, self.told = None, f"a was {a}, b was {b}"

    def __repr__(self) -> str:
        lines = [f"> {self.prompt}", f"[a] {self.answers[0]}", f"[b] {self.answers[1]}"]
        return "\n".join([*lines, *filter(None, [self.told]), *self.ballots.board()])

    def _repr_html_(self) -> str:
        sides = "".join(
            '<div style="flex:1;padding:6px 12px;border-radius:10px;background:#F3F4F7;'
            f'color:#1A1A1A;white-space:pre-wrap"><small><b>{letter}</b></small><br>{html.escape(text)}</div>'
            for letter, text in zip("ab", self.answers, strict=True)
        )
        board = html.escape("\n".join(self.ballots.board()))
        return (
            f'<div class="minilm-talk"><b>{html.escape(self.prompt)}</b>'
            f'<div style="display:flex;gap:12px;margin:6px 0">{sides}</div>'
            f"<i>{html.escape(self.told)}</i><pre>{board}</pre></div>"
        )


def vote_box(
    folders: Sequence[str | Path],
    say: str,
    votes: Path | None = None,
    tokens: int = 128,
    temperature: float = 0.7,
    seed: int = 0,
) -> None:
    """Vote blind between saved models on the page; the first two answers stay in the notebook.

    Args:
        folders: of the models, two or more.
        say: the first question; a reader types others in its place.
        votes: a file that keeps the votes, which `minilm arena` reads and writes too.
        tokens: of an answer, at most.
        temperature: of the sampling; 0: greedy.
        seed: of the sampling and of who meets whom.

    Raises:
        InputError: as `Ballots`; a folder holds no model.
    """
    from minilm.align.talking import Speaker
    from minilm.align.voting import Ballots
    from minilm.inference import Rules

    ballots = Ballots([str(folder) for folder in folders], votes, seed)
    rules = Rules(temperature)
    contest = Contest([Speaker(folder, tokens, rules, seed) for folder in folders], ballots)
    contest.ask(say)
    if in_notebook():
        _show(contest)
    else:
        print(repr(contest))


def _show(contest: Contest) -> None:
    """The answers with a line to type in and buttons; a page that cannot run keeps the answers."""
    from IPython.display import display

    shown = display(contest, display_id=True)
    try:
        import ipywidgets as w
    except ImportError:
        print("The buttons are missing here: install ipywidgets and run the cell again.")
        return
    line = w.Text(description="say", layout=w.Layout(width="640px"), continuous_update=False)
    buttons = [w.Button(description=text) for text in VOTES]

    def ready() -> None:
        for button in buttons:
            button.disabled = contest.pair is None
        shown.update(contest)

    def asked(_: Any) -> None:
        if line.value.strip():
            contest.ask(line.value.strip())
            ready()

    def voted(button: Any) -> None:
        contest.vote(VOTES[button.description])
        ready()

    line.observe(asked, names="value")
    for button in buttons:
        button.on_click(voted)
    display(w.VBox([line, w.HBox(buttons)]))
