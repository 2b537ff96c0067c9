"""Screens on which a task is done by clicking: lists, fields, buttons and labels, and an expert.

An app is a state machine. Its home is a list of pages in two halves; a page has fields to tick; OK
leads to a screen that asks again, and the second OK saves. Names and places are drawn anew for each
app, so nothing about where to click can be learnt by heart. The task: tick one field of one page,
only that one, and save. What was saved on a wrong page cannot be taken back.

A screen is 32 by 32 pixels, 4 by 4 cells of 8; a click hits a cell. `expert` solves every task and
knows the way back from every mistake but one.
"""

from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import numpy as np

from minilm.backend import rng
from minilm.data.images.font import write
from minilm.errors import InputError

CELLS, CELL = 4, 8  # cells along a side, pixels along a cell
SIDE = CELLS * CELL
CLICKS = CELLS**2
DONE = CLICKS  # the action that says: it is done
PAGES = ("ME", "TV", "PC", "GO", "UP", "HQ")
FIELDS = ("XL", "24", "A7", "WC", "5G", "DJ", "4K", "ZZ")
LISTED, TICKS = 4, 3  # pages of an app, fields of a page
LOOKS = {  # kind of widget: paper, ink, line below
    "label": ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0), None),
    "entry": ((0.8, 0.8, 0.7), (0.0, 0.0, 0.0), None),
    "field": ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (0.5, 0.5, 0.5)),
    "ticked": ((0.5, 0.9, 0.5), (0.0, 0.0, 0.0), (0.1, 0.5, 0.1)),
    "button": ((0.1, 0.3, 0.8), (1.0, 1.0, 1.0), None),
}
DESK = (0.9, 0.92, 0.95)  # where there is no widget
OK, NO, BACK, MORE, SAVED = "OK", "NO", "<<", ">>", "!!"


class Task(NamedTuple):
    """Tick this field of this page, only this one, and save."""

    page: str
    field: str


class Widget(NamedTuple):
    """Something on a screen: its kind, one of `LOOKS`, what is written on it, and its cell."""

    kind: str
    text: str
    cell: int


@dataclass(frozen=True)
class App:
    """What is drawn anew for every app.

    Attributes:
        pages: names, in the order of the list; the first half is shown first.
        fields: of each page.
        home: cells of a half of the list, then of the button that shows the other half.
        inside: per page the cells of its label, its fields, OK and back.
        asking: cells of the screen that asks again: label, up to three fields, OK, no.
        ended: cells of the screen after saving: label, up to three fields, the mark, back.
    """

    pages: tuple[str, ...]
    fields: tuple[tuple[str, ...], ...]
    home: tuple[int, ...]
    inside: tuple[tuple[int, ...], ...]
    asking: tuple[int, ...]
    ended: tuple[int, ...]


@dataclass(frozen=True)
class State:
    """Where a user is, and what is ticked and saved.

    Attributes:
        screen: "home", "page", "asking" or "ended".
        at: the half of the list (0 or 1) at home, else the index of the page.
        ticked: pairs of page index and field.
        saved: page index -> what was ticked there, as pairs.
    """

    screen: str = "home"
    at: int = 0
    ticked: frozenset[tuple[int, str]] = frozenset()
    saved: frozenset[tuple[int, frozenset[str]]] = frozenset()

    def on(self, page: int) -> frozenset[str]:
        """The fields that are ticked on a page."""
        return frozenset(field for where, field in self.ticked if where == page)


def all_tasks() -> list[Task]:
    """Every page with every field, 48."""
    return [Task(page, field) for page in PAGES for field in FIELDS]


def make_app(seed: int, task: Task) -> tuple[App, State]:
    """An app in which a task can be done, and how it starts: the same for the same seed and task.

    Args:
        seed: of names, places and of what is ticked at first.
        task: its page is among the app's pages, and its field among that page's.

    Raises:
        InputError: a task that is not of this world, a seed below 0.
    """
    if task.page not in PAGES or task.field not in FIELDS:
        raise InputError(
            f"task is {tuple(task)}; it must be a page of {PAGES} and a field of {FIELDS}"
        )
    random = rng(seed, "app", *task)

    def some(names: tuple[str, ...], count: int, must: str) -> tuple[str, ...]:
        others = [name for name in names if name != must]
        taken = [others[i] for i in random.permutation(len(others))[: count - 1]] + [must]
        return tuple(taken[i] for i in random.permutation(count))

    def cells(count: int) -> tuple[int, ...]:
        return tuple(random.permutation(CLICKS)[:count].tolist())

    pages = some(PAGES, LISTED, task.page)
    fields = tuple(
        some(FIELDS, TICKS, task.field if page == task.page else FIELDS[random.integers(8)])
        for page in pages
    )
    app = App(
        pages, fields, cells(LISTED // 2 + 1), tuple(cells(TICKS + 3) for _ in pages),
        cells(TICKS + 3), cells(TICKS + 3),
    )  # fmt: skip
    ticked = frozenset(
        (p, field) for p, row in enumerate(fields) for field in row if random.random() < 0.25
    )
    return app, State(ticked=ticked)


def widgets(app: App, state: State) -> list[Widget]:
    """What is on the screen."""
    if state.screen == "home":
        shown = _half(state.at)
        entries = [Widget("entry", app.pages[p], c) for p, c in zip(shown, app.home, strict=False)]
        return [*entries, Widget("button", MORE, app.home[-1])]
    name, on = app.pages[state.at], state.on(state.at)
    if state.screen == "page":
        label, *ticks, ok, back = app.inside[state.at]
        rows = zip(app.fields[state.at], ticks, strict=True)
        return [
            Widget("label", name, label),
            *(Widget("ticked" if field in on else "field", field, cell) for field, cell in rows),
            Widget("button", OK, ok),
            Widget("button", BACK, back),
        ]
    cells = app.asking if state.screen == "asking" else app.ended
    label, *ticks, mark, last = cells
    listed = [field for field in app.fields[state.at] if field in on]
    rows = zip(listed, ticks, strict=False)
    ends = (
        [Widget("button", OK, mark), Widget("button", NO, last)]
        if state.screen == "asking"
        else [Widget("label", SAVED, mark), Widget("button", BACK, last)]
    )
    return [
        Widget("label", name, label), *(Widget("label", f, c) for f, c in rows), *ends
    ]  # fmt: skip


def _half(which: int) -> range:
    """Indices of the pages that one half of the list shows."""
    size = LISTED // 2
    return range(size * which, size * (which + 1))


def click(app: App, state: State, cell: int) -> State:
    """The state after a click on a cell; a click on nothing changes nothing.

    Raises:
        InputError: a cell outside the screen.
    """
    if not 0 <= cell < CLICKS:
        raise InputError(f"cell is {cell}; it must be from 0 to {CLICKS - 1}")
    hit = [widget for widget in widgets(app, state) if widget.cell == cell]
    if not hit:
        return state
    kind, text, _ = hit[0]
    if kind == "entry":
        return replace(state, screen="page", at=app.pages.index(text))
    if kind in ("field", "ticked"):
        return replace(state, ticked=state.ticked ^ {(state.at, text)})
    if kind == "label":
        return state
    if text == MORE:
        return replace(state, at=1 - state.at)
    if text == NO:
        return replace(state, screen="page")
    if text == BACK:
        return replace(state, screen="home", at=0)
    if state.screen == "page":  # OK
        return replace(state, screen="asking")
    others = frozenset(pair for pair in state.saved if pair[0] != state.at)
    return replace(state, screen="ended", saved=others | {(state.at, state.on(state.at))})


def reached(app: App, state: State, task: Task) -> bool:
    """Whether a task is done: its field alone is saved on its page, and nothing elsewhere."""
    return state.saved == {(app.pages.index(task.page), frozenset({task.field}))}


def harmed(app: App, state: State, task: Task) -> bool:
    """Whether something was saved on a page that the task does not name."""
    return any(app.pages[page] != task.page for page, _ in state.saved)


def expert(app: App, state: State, task: Task) -> int:
    """What someone who can read does next: a cell, or `DONE`."""
    on_screen = {widget.text: widget for widget in widgets(app, state)}
    if state.screen == "home":
        return on_screen.get(task.page, on_screen[MORE]).cell
    right = app.pages[state.at] == task.page and state.on(state.at) == {task.field}
    if state.screen == "ended":
        return DONE if right else on_screen[BACK].cell
    if state.screen == "asking":
        return on_screen[OK if right else NO].cell
    if app.pages[state.at] != task.page:
        return on_screen[BACK].cell
    wrong = [w.cell for w in on_screen.values() if w.kind == "ticked" and w.text != task.field]
    if wrong:
        return min(wrong)
    return on_screen[OK if right else task.field].cell


# ---------------------------------------------------------------------------------- pictures


def draw(app: App, state: State) -> np.ndarray:
    """The screen in pixels: (3, 32, 32) float32, 0 to 1."""
    image = np.empty((3, SIDE, SIDE), np.float32)
    image[:] = np.array(DESK, np.float32)[:, None, None]
    for widget in widgets(app, state):
        top, left = (CELL * part for part in divmod(widget.cell, CELLS))
        image[:, top : top + CELL, left : left + CELL] = draw_widget(widget.kind, widget.text)
    return image


@cache
def draw_widget(kind: str, text: str) -> np.ndarray:
    """A widget's cell: (3, 8, 8) float32.

    Raises:
        InputError: a kind that is not in `LOOKS`, or a text that is not of two signs.
    """
    if kind not in LOOKS or len(text) != 2:
        raise InputError(
            f"widget is {kind!r} {text!r}; it must be one of {', '.join(LOOKS)} with two signs"
        )
    paper, ink, line = (None if c is None else np.array(c, np.float32) for c in LOOKS[kind])
    image = np.tile(paper[:, None, None], (1, CELL, CELL))
    drawn = write(text)  # (5, 7)
    part = image[:, 1 : 1 + drawn.shape[0], : drawn.shape[1]]
    part += drawn * (ink - paper)[:, None, None]
    if line is not None:
        image[:, CELL - 1] = line[:, None]
    image.setflags(write=False)
    return image


def read(image: np.ndarray) -> list[Widget] | None:
    """The widgets of a screen, in the order of their cells, or None where a cell is none.

    Raises:
        InputError: an image of another shape.
    """
    if image.shape != (3, SIDE, SIDE):
        raise InputError(f"image is {image.shape}; it must be (3, {SIDE}, {SIDE})")
    names, known = _every_look()
    found = []
    for cell in range(CLICKS):
        top, left = (CELL * part for part in divmod(cell, CELLS))
        part = image[:, top : top + CELL, left : left + CELL].reshape(-1)
        error = ((known - part) ** 2).mean(1)
        best = int(error.argmin())
        if not error[best] <= 0.005:
            return None
        if best:
            found.append(Widget(*names[best], cell))
    return found


@cache
def _every_look() -> tuple[list[tuple[str, str]], np.ndarray]:
    texts = {
        "label": (*PAGES, *FIELDS, SAVED),
        "entry": PAGES,
        "field": FIELDS,
        "ticked": FIELDS,
        "button": (OK, NO, BACK, MORE),
    }
    names = [("", ""), *((kind, text) for kind, row in texts.items() for text in row)]
    desk = np.tile(np.array(DESK, np.float32)[:, None, None], (1, CELL, CELL))
    looks = [desk, *(draw_widget(*name) for name in names[1:])]
    return names, np.stack(looks).reshape(len(looks), -1)
