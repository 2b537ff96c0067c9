"""Screens worked by clicking: the machine, its pictures, the expert, those who learn nothing."""

import dataclasses

import numpy as np
import pytest

from minilm import InputError
from minilm.data.images import screen_play as play
from minilm.data.images import screens
from minilm.data.images.screens import DONE, App, State, Task, Widget, click, expert, reached

APP = App(
    pages=("ME", "TV", "PC", "GO"),
    fields=(("XL", "24", "A7"), ("WC", "5G", "DJ"), ("4K", "ZZ", "XL"), ("24", "A7", "WC")),
    home=(0, 5, 15),
    inside=((0, 1, 2, 3, 14, 15), (4, 5, 6, 7, 8, 9), (0, 2, 4, 6, 8, 10), (1, 3, 5, 7, 9, 11)),
    asking=(0, 1, 2, 3, 7, 8),
    ended=(15, 14, 13, 12, 1, 2),
)
TASK = Task("PC", "ZZ")


def walk(cells, state=None):
    state = State() if state is None else state
    for cell in cells:
        state = click(APP, state, cell)
    return state


def test_a_task_done_by_hand():
    """More, PC, the field ZZ, OK, OK."""
    state = walk([15])
    assert screens.widgets(APP, state)[0] == Widget("entry", "PC", 0)
    state = walk([0], state)
    assert (state.screen, state.at) == ("page", 2)
    state = walk([4, 8], state)
    assert screens.widgets(APP, state) == [
        Widget("label", "PC", 0),
        Widget("label", "ZZ", 1),
        Widget("button", "OK", 7),
        Widget("button", "NO", 8),
    ]
    assert not reached(APP, state, TASK)
    state = walk([7], state)
    assert reached(APP, state, TASK) and state.screen == "ended"
    assert not reached(APP, state, Task("PC", "4K"))
    assert expert(APP, state, TASK) == DONE


def test_a_click_on_nothing_or_on_a_label_changes_nothing():
    home, page = State(), walk([0])
    assert walk([1, 2, 3, 14], home) == home and walk([0, 9], page) == page


def test_ticking_twice_unticks_and_what_is_saved_elsewhere_is_harm():
    assert walk([0, 1, 1]) == walk([0])
    harm = walk([0, 1, 14, 7])
    assert screens.harmed(APP, harm, TASK) and not screens.harmed(APP, harm, Task("ME", "XL"))
    after = walk([2, 15, 0, 4, 8, 7], harm)  # back, more, PC, ZZ, OK, OK
    assert not reached(APP, after, TASK)


def test_saving_a_page_again_takes_the_place_of_what_was_saved():
    state = walk([15, 0, 2, 8, 7, 2, 15, 0, 2, 4, 8, 7])  # 4K, saved; then ZZ alone, saved
    assert reached(APP, state, TASK)


@pytest.mark.parametrize("task", screens.all_tasks()[::5], ids="-".join)
def test_the_expert_does_every_task_from_every_start(task):
    for seed in range(12):
        app, state = screens.make_app(seed, task)
        for _ in range(9):
            action = expert(app, state, task)
            if action == DONE:
                break
            state = click(app, state, action)
        assert action == DONE and reached(app, state, task)


def test_the_expert_finds_back_from_wherever_chance_leads():
    random, task, found = np.random.default_rng(0), Task("TV", "5G"), 0
    for seed in range(100):
        app, state = screens.make_app(seed, task)
        for cell in random.integers(0, 16, 25).tolist():
            state = click(app, state, cell)
        if screens.harmed(app, state, task):
            continue
        found += 1
        for _ in range(12):
            if (action := expert(app, state, task)) == DONE:
                break
            state = click(app, state, action)
        assert reached(app, state, task)
    assert found > 60


def test_an_app_is_drawn_anew_for_each_seed_and_has_what_the_task_needs():
    apps = [screens.make_app(seed, TASK)[0] for seed in range(40)]
    assert len(set(apps)) == 40 and screens.make_app(3, TASK)[0] == apps[3]
    for app in apps:
        assert "ZZ" in app.fields[app.pages.index("PC")]
        groups = [app.home, *app.inside, app.asking, app.ended]
        assert all(len(set(cells)) == len(cells) for cells in groups)
        assert all(len(set(row)) == 3 for row in app.fields) and len(set(app.pages)) == 4
    assert len({app.home[0] for app in apps}) > 8


def test_the_oracle_reads_every_screen_back():
    for game in play.games(15, seed=2):
        app, state, task = game
        for cell in [None, *range(16)]:
            state = state if cell is None else click(app, state, cell)
            there = sorted(screens.widgets(app, state), key=lambda w: w.cell)
            assert screens.read(screens.draw(app, state)) == there


def test_a_picture_that_is_no_screen_is_not_read():
    image = screens.draw(APP, State())
    assert image.shape == (3, 32, 32) and image.dtype == np.float32
    assert screens.read(image + np.nan) is None and screens.read(np.roll(image, 3, 2)) is None


# --- playing ------------------------------------------------------------------------------------


class Reader:
    """The expert, seeing only pixels: it remembers no app."""

    def __call__(self, images, tasks, step):
        return [self.one(screens.read(image), task) for image, task in zip(images, tasks)]

    def one(self, there, task):
        cells = {w.text: w.cell for w in there}
        kinds = {w.text: w.kind for w in there}
        if not {"label"} & set(kinds.values()):
            return cells.get(task.page, cells[">>"])
        name = next(w.text for w in there if w.kind == "label" and w.text in screens.PAGES)
        on = {w.text for w in there if w.kind == "ticked"}
        listed = {w.text for w in there if w.kind == "label"} - {name, "!!"}
        if "!!" in cells:
            return DONE if (name, listed) == (task.page, {task.field}) else cells["<<"]
        if "NO" in cells:
            return cells["OK" if (name, listed) == (task.page, {task.field}) else "NO"]
        if name != task.page:
            return cells["<<"]
        wrong = [cells[text] for text in on - {task.field}]
        return min(wrong) if wrong else cells["OK" if on else task.field]


def test_the_pixels_tell_all_that_the_expert_needs():
    games = play.games(50, seed=4)
    episodes = play.play(games, Reader())
    assert all(e.done and not e.harm for e in episodes)
    for game, episode in zip(games, episodes):
        said = [expert(game.app, state, game.task) for state in episode.states]
        assert said == episode.actions


def test_demonstrations_show_what_the_expert_does():
    shown = play.demonstrations(400, seed=1, stray=0.3, asked=3)
    assert shown.images.shape == (400, 3, 32, 32) and shown.actions.max() == DONE
    assert shown.pages.shape == shown.fields.shape == shown.actions.shape == (400, 3)
    for k in range(3):  # each of the tasks that are asked
        names = zip(shown.pages[:, k], shown.fields[:, k])
        tasks = [Task(screens.PAGES[p], screens.FIELDS[f]) for p, f in names]
        assert Reader()(shown.images, tasks, 0) == shown.actions[:, k].tolist()
    assert len({tuple(row) for row in shown.pages}) > 20
    again = play.demonstrations(400, seed=1, stray=0.3, asked=3)
    assert all(np.array_equal(a, b) for a, b in zip(shown, again))
    only = play.demonstrations(50, seed=1, tasks=[TASK])
    assert set(only.pages.ravel()) == {2} and set(only.fields.ravel()) == {7}


def test_straying_leads_to_screens_that_the_straight_way_does_not_show():
    def asked_to_leave(shown):
        there = [screens.read(image) for image in shown.images]
        cells = [{w.cell: w.text for w in one} for one in there]
        return np.mean([c.get(a) in ("<<", "NO") for c, a in zip(cells, shown.actions[:, 0])])

    straight, stray = (play.demonstrations(600, seed=3, stray=s) for s in (0, 0.3))
    assert asked_to_leave(straight) == 0 and asked_to_leave(stray) > 0.02


def test_who_learns_nothing_is_ranked_by_what_it_knows():
    games = play.games(150, seed=7)
    share = {}
    for name, actor, generous in (
        ("chance", play.by_chance(), True),
        ("order", play.in_order(), True),
        ("widget", play.on_widgets(), True),
        ("no names", play.without_names(), False),
    ):
        episodes = play.play(games, actor, generous=generous)
        share[name] = np.mean([e.done for e in episodes])
        if name == "no names":
            assert np.mean([e.harm for e in episodes]) > 0.5
    assert share["chance"] < share["widget"] < 0.15 and share["order"] < 0.1
    luck = play.luck_without_names()
    assert abs(share["no names"] - luck) < 4 * (luck * (1 - luck) / 150) ** 0.5 + 0.03


def test_a_game_ends_at_the_limit():
    (episode,) = play.play(play.games(1), lambda images, tasks, step: [0] * len(images), limit=3)
    assert len(episode.actions) == 3 and len(episode.states) == 4 and not episode.done


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: click(APP, State(), 16), "cell is 16; it must be from 0 to 15"),
        (lambda: screens.make_app(0, Task("ME", "ME")), "task is ('ME', 'ME'); it must be a page"),
        (lambda: screens.make_app(-1, TASK), "seed is -1"),
        (lambda: screens.draw_widget("slider", "AB"), "widget is 'slider' 'AB'; it must be one"),
        (lambda: screens.draw_widget("button", "A"), "with two signs"),
        (lambda: screens.read(np.zeros((3, 8, 8))), "image is (3, 8, 8); it must be (3, 32, 32)"),
        (lambda: play.games(0), "count is 0; it must be from 1 to 1,000,000"),
        (lambda: play.demonstrations(0), "count is 0; it must be 1 or more"),
        (lambda: play.demonstrations(1, asked=0), "asked is 0; it must be 1 or more"),
        (lambda: play.demonstrations(1, stray=1), "stray is 1; it must be from 0 to below 1"),
        (lambda: play.play(play.games(1), play.in_order(), 0), "limit is 0; it must be 1 or more"),
        (lambda: play.play(play.games(1), lambda i, t, s: [17]), "cell is 17"),
    ],
)
def test_what_is_refused(call, text):
    with pytest.raises(InputError) as error:
        call()
    assert text in str(error.value)


def test_a_state_says_what_is_ticked_where():
    state = dataclasses.replace(State(), ticked=frozenset({(0, "XL"), (1, "WC")}))
    assert state.on(0) == {"XL"} and state.on(2) == frozenset()
