"""An agent that sees a screen and clicks, trained by imitation; and what learning nothing achieves.

    minilm study run 07e/clicking --out clicking.json

After Ming Ding (CS25 V4, 40:20). The apps of `minilm.data.images.screens`: names and places are drawn
anew for each, so a test is always on unseen screens; eight of the 48 tasks are never shown.

    "stray"     the expert is watched while the user sometimes clicks on something else, so the
                demonstrations show the way back
    "straight"  the same number of steps in which everything goes right; the control

Both learn from as many steps, at one rate, tuned on "stray". A game ends when the agent says that it is done, or after 20 actions.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm.data.images import screen_play as play
from minilm.data.images.screens import DONE, FIELDS, PAGES, Task, all_tasks, click, expert
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.until import run_until, shown, tuned
from minilm.vision.agent import Agent, imitation_batch, make_agent, success
from minilm.vision.language import VisionLanguage

MODELS = ("stray", "straight")
STRAY, BATCH, GAMES = 0.2, 64, 200
EXAM_SEED = 500  # of games, far from those of training
SHOWN = 4  # games that are kept, click by click
UNSEEN = tuple(Task(PAGES[i % 6], FIELDS[i]) for i in range(8))  # each name is seen in other tasks


def seen_tasks() -> list[Task]:
    """The 40 tasks that are shown."""
    return [task for task in all_tasks() if task not in UNSEEN]


def yardsticks(seed: int, games: Sequence[play.Game]) -> dict[str, dict[str, float]]:
    """What those achieve who learn nothing, and the expert: success, harm, actions.

    The first three cannot say that they are done; their games end when the task is done.
    """
    actors = {
        "chance": (play.by_chance(seed), True),
        "in order": (play.in_order(), True),
        "any widget": (play.on_widgets(seed), True),
        "no names": (play.without_names(seed), False),
    }
    found = {
        name: _plain(play.play(games, actor, generous=generous))
        for name, (actor, generous) in actors.items()
    }
    return {**found, "expert": _plain([_expertly(game) for game in games])}


def _plain(episodes: Sequence[play.Episode]) -> dict[str, float]:
    """Success as a JSON object; those who never did a task took all actions there are."""
    found = success(episodes)
    return {**found._asdict(), "actions": found.actions if found.done else float(play.LIMIT)}


def _expertly(game: play.Game) -> play.Episode:
    """A game played by the expert."""
    app, state, task = game
    actions, states = [], [state]
    while len(actions) < play.LIMIT:
        actions.append(expert(app, state, task))
        if actions[-1] == DONE:
            return play.Episode(actions, states, True, False)
        state = click(app, state, actions[-1])
        states.append(state)
    return play.Episode(actions, states, False, False)


class Course:
    """Training and test of one agent: what `run_until` asks for."""

    def __init__(self, model: str, count: int) -> None:
        self.model, self.count = model, count
        self.shown: dict[int, play.Shown] = {}
        self.exams = {
            name: play.games(GAMES, EXAM_SEED + i, tasks)
            for i, (name, tasks) in enumerate((("unseen", UNSEEN), ("seen", seen_tasks())))
        }

    def draw(self, seed: int, step: int) -> tuple[np.ndarray, ...]:
        """A batch for `loss`."""
        if seed not in self.shown:
            stray = 0.0 if self.model == "straight" else STRAY
            self.shown = {seed: play.demonstrations(self.count, seed, seen_tasks(), stray)}
        return imitation_batch(self.shown[seed], BATCH, seed, step)

    def exam(self, made: VisionLanguage) -> dict[str, float]:
        """Success and harm on unseen tasks and on seen ones, always on unseen screens."""
        found: dict[str, float] = {}
        for name, games in self.exams.items():
            done = _plain(play.play(games, Agent(made)))
            found |= {name: done["done"], f"harm {name}": done["harm"]}
            found[f"actions {name}"] = done["actions"]
        return {"right": found["unseen"], **found}


def study(
    out: str,
    models: Sequence[str] = MODELS,
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = 1000,
    tune_steps: int = 150,
    count: int = 20_000,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Train agents by imitation and let them work; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        models: "stray", "straight" or one of them.
        seeds: of weights and demonstrations.
        steps: of training, batch 64.
        tune_steps: of each tuning run.
        count: steps of the demonstrations.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("models", models, MODELS)
    settings = {"steps": steps, "tune_steps": tune_steps, "count": count, "batch": BATCH}
    settings |= {"stray": STRAY, "games": GAMES, "limit": play.LIMIT, "exam_seed": EXAM_SEED}

    def run(model: str, seed: int, lr: float) -> dict[str, Any]:
        course, last = Course(model, count), {}

        def exam(made: VisionLanguage) -> dict[str, float]:
            last["model"] = made
            return course.exam(made)

        made = run_until(make_agent, course.draw, exam, seed, lr, steps, steps // 4, True, steps)
        games = course.exams["unseen"]
        first = play.play(games[:SHOWN], Agent(last["model"]))
        kept = [episode.actions for episode in first]
        return {**made, "yardsticks": yardsticks(seed, games), "shown": kept}

    def tune(model: str) -> dict[str, Any]:
        course = Course("stray", count)
        return tuned(make_agent, course.draw, 4e-3, tune_steps, slack=0.0)

    return carry_out(
        Record(out, "clicking", settings, command),
        [{"model": model} for model in models],
        seeds,
        tune,
        run,
        shown,
        say,
        tuned_as=lambda case: "both",
    )
