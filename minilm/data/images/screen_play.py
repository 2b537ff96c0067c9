"""Playing `screens`: episodes, what an imitator learns from, and actors that learn nothing."""

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np

from minilm.backend import rng
from minilm.data.images.screens import (
    CLICKS,
    DONE,
    FIELDS,
    LISTED,
    OK,
    PAGES,
    SAVED,
    TICKS,
    App,
    State,
    Task,
    all_tasks,
    click,
    draw,
    expert,
    harmed,
    make_app,
    reached,
    read,
    widgets,
)
from minilm.errors import InputError

LIMIT = 20  # actions after which a task has failed
MOST = 1_000_000  # games of one seed

# (N, 3, 32, 32), N tasks and the number of the step -> N actions, cells or `DONE`
Actor = Callable[[np.ndarray, Sequence[Task], int], Sequence[int]]


class Game(NamedTuple):
    """A task and where it is to be done."""

    app: App
    state: State
    task: Task


class Episode(NamedTuple):
    """What happened on the way."""

    actions: list[int]
    states: list[State]  # before each action, and after the last click
    done: bool  # the task was done when the actor said so
    harm: bool  # something was saved on a wrong page


def games(count: int, seed: int = 0, tasks: Collection[Task] = ()) -> list[Game]:
    """Random tasks, each in an app of its own.

    Args:
        count: how many.
        seed: of tasks and apps; the games of two seeds have no app in common.
        tasks: those to draw from; all by default.

    Raises:
        InputError: a count that is not from 1 to 1,000,000, a seed below 0.
    """
    if not 1 <= count <= MOST:
        raise InputError(f"count is {count}; it must be from 1 to {MOST:,}")
    return list(islice(_deal(seed, tasks), count))


def _deal(seed: int, tasks: Collection[Task]) -> Iterator[Game]:
    tasks, random = list(tasks) or all_tasks(), rng(seed, "games")
    for number in range(MOST * seed, MOST * (seed + 1)):
        task = tasks[random.integers(len(tasks))]
        yield Game(*make_app(number, task), task)


def play(
    given: Sequence[Game], actor: Actor, limit: int = LIMIT, generous: bool = False
) -> list[Episode]:
    """Let an actor that sees pixels act in all games at once.

    Args:
        given: the games.
        actor: asked once a step, for the games that go on.
        limit: actions after which a game has failed.
        generous: a game ends as soon as its task is done, for actors that cannot say so.

    Raises:
        InputError: an action that is neither a cell nor `DONE`; a limit below 1.
    """
    if limit < 1:
        raise InputError(f"limit is {limit}; it must be 1 or more")
    states = [game.state for game in given]
    paths = [([], [state]) for state in states]
    going, done = list(range(len(given))), [False] * len(given)
    for step in range(limit):
        if not going:
            break
        images = np.stack([draw(given[i].app, states[i]) for i in going])
        said = actor(images, [given[i].task for i in going], step)
        for i, action in zip(list(going), said, strict=True):
            app, _, task = given[i]
            paths[i][0].append(int(action))
            if action == DONE:
                done[i] = reached(app, states[i], task)
                going.remove(i)
                continue
            states[i] = click(app, states[i], int(action))
            paths[i][1].append(states[i])
            if generous and reached(app, states[i], task):
                done[i] = True
                going.remove(i)
    ended = zip(given, paths, states, done, strict=True)
    return [Episode(*p, d, harmed(game.app, s, game.task)) for game, p, s, d in ended]


class Shown(NamedTuple):
    """What an imitator learns from: screens, and what the expert does on each for k tasks."""

    images: np.ndarray  # (N, 3, 32, 32) float32
    pages: np.ndarray  # (N, k) int64, the tasks' pages as indices into `PAGES`
    fields: np.ndarray  # (N, k) int64, and their fields into `FIELDS`
    actions: np.ndarray  # (N, k) int64, what the expert does for each


def demonstrations(
    count: int,
    seed: int = 0,
    tasks: Collection[Task] = (),
    stray: float = 0.2,
    asked: int = 1,
) -> Shown:
    """Screens with what the expert does: the steps of as many episodes as it takes.

    Args:
        count: how many steps, N; the last episode is cut.
        seed: of tasks, apps and straying; the apps are those of `games` with this seed.
        tasks: those to show; all by default.
        stray: how often the user clicks on any widget instead, so that the expert shows the way
            back. What it says is kept; what the user did is not.
        asked: k, tasks for which the expert is asked on each screen: the one that is being done,
            and others that this app has.

    Raises:
        InputError: a count or `asked` below 1, a share that is not from 0 to below 1, a seed
            below 0.
    """
    for name, value in (("count", count), ("asked", asked)):
        if value < 1:
            raise InputError(f"{name} is {value}; it must be 1 or more")
    if not 0 <= stray < 1:
        raise InputError(f"stray is {stray:g}; it must be from 0 to below 1")
    tasks, random, steps = list(tasks) or all_tasks(), rng(seed, "straying"), []
    for app, state, task in _deal(seed, tasks):
        here = [t for t in tasks if t.page in app.pages and t.field in _fields_of(app, t.page)]
        for _ in range(LIMIT):
            others = [here[i] for i in random.integers(0, len(here), asked - 1)]
            steps.append((draw(app, state), *_asked(app, state, [task, *others])))
            action = expert(app, state, task)
            if random.random() < stray:
                there = widgets(app, state)
                action = there[random.integers(len(there))].cell
            if action == DONE:
                break
            state = click(app, state, action)
            if harmed(app, state, task):
                break
        if len(steps) >= count:
            break
    images, *numbers = zip(*steps[:count], strict=True)
    return Shown(np.stack(images), *(np.array(column) for column in numbers))


def _fields_of(app: App, page: str) -> tuple[str, ...]:
    return app.fields[app.pages.index(page)]


def _asked(app: App, state: State, tasks: Sequence[Task]) -> tuple[list[int], ...]:
    """Pages, fields and the expert's actions of several tasks on one screen."""
    pages, fields = zip(*tasks, strict=True)
    actions = [expert(app, state, task) for task in tasks]
    return [PAGES.index(p) for p in pages], [FIELDS.index(f) for f in fields], actions


# ------------------------------------------------------------------- actors that learn nothing


def by_chance(seed: int = 0) -> Actor:
    """Clicks on any of the 16 cells."""
    random = rng(seed, "chance")
    return lambda images, tasks, step: random.integers(0, CLICKS, len(images)).tolist()


def in_order() -> Actor:
    """Clicks on one cell after the other, in reading order."""
    return lambda images, tasks, step: [step % CLICKS] * len(images)


def on_widgets(seed: int = 0) -> Actor:
    """Clicks on any widget that is there."""
    random = rng(seed, "widgets")

    def act(images: np.ndarray, tasks: Sequence[Task], step: int) -> list[int]:
        found = [read(image) for image in images]
        return [there[random.integers(len(there))].cell for there in found]

    return act


def without_names(seed: int = 0) -> Actor:
    """Knows what lists, fields and buttons are for, and does not look at the names: the shortcut.

    It opens any page, unticks what is ticked but one, ticks one field, saves and stops. Right by
    luck in one task of 12: one of 4 pages, one of 3 fields.
    """
    random = rng(seed, "without names")

    def one(image: np.ndarray) -> int:
        there = read(image)
        kinds: dict[str, list[int]] = {}
        for kind, text, cell in there:
            kinds.setdefault(text if kind == "button" else kind, []).append(cell)
        if "entry" in kinds:  # half of the pages are in the other half of the list
            return int(random.choice([*kinds["entry"], *[kinds[">>"][0]] * len(kinds["entry"])]))
        if any(widget.text == SAVED for widget in there):
            return DONE
        ticked, fields = kinds.get("ticked", []), kinds.get("field", [])
        if len(ticked) > 1:
            return int(random.choice(ticked))
        if len(ticked) == 1 and len(fields) == TICKS - 1 or not (ticked or fields):
            return kinds[OK][0]
        return int(random.choice(fields))

    return lambda images, tasks, step: [one(image) for image in images]


def luck_without_names() -> float:
    """How often `without_names` is right if what is ticked at first tells nothing: 1 / 12."""
    return 1 / (LISTED * TICKS)
