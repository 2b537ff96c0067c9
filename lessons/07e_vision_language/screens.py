"""What the sections on small text and on screens of lesson 07e run beside their page."""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from minilm.data.images import documents
from minilm.data.images import screen_play as play
from minilm.data.images.resize import resize
from minilm.data.images.screens import (
    CELLS,
    DONE,
    State,
    Task,
    click,
    draw,
    reached,
    widgets,
)
from minilm.studies.recorded import Recorded
from minilm.vision.narrow import ScoreCount, count_scores

SIDES = (8, 12, 16, 24)
NOISE = 0.25  # of the recorded study
WAYS = ("12 px", "24 px", "beside", "zoom")


@cache
def page(seed: int = 7) -> tuple[np.ndarray, documents.Forms]:
    """One scanned page (3, 24, 24), and what is on it."""
    world = documents.forms(1, seed)
    return documents.scan(world.images, NOISE, seed)[0], world


def in_the_pixels(seeds: Sequence[int], count: int = 300) -> np.ndarray:
    """Share of numbers that a reader reads who knows every look: (seeds, sides)."""
    found = []
    for seed in seeds:
        world = documents.forms(count, 2_000_000 + seed)
        scans = documents.scan(world.images, NOISE, seed)
        said = [documents.best_numbers(resize(scans, side), world.asked) for side in SIDES]
        found.append([float((numbers == world.numbers).mean()) for numbers in said])
    return np.array(found)


def cogagent_scores() -> ScoreCount:
    """Attention scores of CogAgent's layer, all tokens in one sequence and with the branch."""
    return count_scores(low=256, fine=6400, text=100, channels=4096, width=1024)


def right(record: Recorded, case: str, key: str = "right") -> list[float]:
    """A share at the end of the recorded runs of a case, per seed."""
    return [record.run(case, seed)["points"][-1][key] for seed in record.seeds_of(case)]


def reading_table(record: Recorded, macs: Any) -> None:
    """What each way of seeing small text finds and reads, and what it costs."""
    print(f"{'':8}{'boxes found':>12}{'numbers':>9}{'digits':>8}{'million multiply-adds':>24}")
    for way in WAYS:
        keys = ("named", "right", "digits")
        found, whole, digits = (float(np.mean(right(record, way, key))) for key in keys)
        print(f"{way:8}{found:>12.0%}{whole:>9.0%}{digits:>8.0%}{macs(way) / 1e6:>24.2f}")


# ---------------------------------------------------------------------------------- the agent


class Frame(NamedTuple):
    """A screen, what was done on it, and how it stands."""

    image: np.ndarray  # (3, 32, 32)
    action: int | None
    state: State


def replay(game: play.Game, actions: Sequence[int]) -> list[Frame]:
    """The screens that a recorded agent saw, with what it did on each."""
    state, frames = game.state, []
    for action in actions:
        frames.append(Frame(draw(game.app, state), action, state))
        if action != DONE:
            state = click(game.app, state, action)
    return frames


def recorded_games(record: Recorded, tasks: Sequence[Task], case: str, seed: int) -> list:
    """(game, actions) of the games that a study has kept."""
    shown = record.run(case, seed)["shown"]
    games = play.games(len(shown), record.settings["exam_seed"], tasks)
    return list(zip(games, shown, strict=True))


def said(game: play.Game, actions: Sequence[int], step: int) -> str:
    """One action in words: the task, what is clicked, and whether that was it."""
    frame = replay(game, actions)[step]
    task = f"task: on page {game.task.page} tick {game.task.field} alone, and save"
    if frame.action == DONE:
        right = reached(game.app, frame.state, game.task)
        return f"{task}; step {step + 1}: done, it says, and {'it is' if right else 'it is not'}"
    hit = [w for w in widgets(game.app, frame.state) if w.cell == frame.action]
    what = f"the {hit[0].kind} {hit[0].text}" if hit else "nothing"
    row, column = divmod(frame.action, CELLS)
    return f"{task}; step {step + 1}: cell {frame.action} (row {row}, column {column}), {what}"


def kinds_of_screens(seed: int = 3) -> list[tuple[str, np.ndarray]]:
    """One screen of each kind, with its name."""
    (game,) = play.games(1, seed)
    app, state, _ = game
    home = draw(app, state)
    state = click(app, state, app.home[0])
    inside = draw(app, state)
    fields = [w for w in widgets(app, state) if w.kind == "field"]
    for widget in fields[:1]:
        state = click(app, state, widget.cell)
    ticked = draw(app, state)
    for label in ("OK", "OK"):
        cells = {w.text: w.cell for w in widgets(app, state)}
        if label == "OK" and state.screen == "page":
            state = click(app, state, cells["OK"])
            asking = draw(app, state)
        else:
            state = click(app, state, cells["OK"])
    return [
        ("home: a list", home), ("a page", inside), ("a field ticked", ticked),
        ("are you sure?", asking), ("saved", draw(app, state)),
    ]  # fmt: skip
