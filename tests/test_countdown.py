"""Programs of three numbers, and a round in which a model teaches itself."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilm import InputError, sandbox
from minilm.align.self_training import sandboxed, self_train_round
from minilm.data.worlds import countdown as C


@settings(max_examples=200, deadline=None)
@given(st.text("123456+-*", max_size=9))
def test_what_runs_gives_what_python_gives(text):
    value = C.value_of(text)
    if value is not None:
        assert value == eval(text)  # of digits and + - * alone


@pytest.mark.parametrize(
    "text", ["", "3+", "+3", "3**5", "34", "3 + 4", "3-", "f()", "(3+4)", "3//2", "--3", "3+²"]
)
def test_what_does_not_run(text):
    assert C.value_of(text) is None


def test_every_program_of_three_numbers():
    found = dict(C.programs((5, 2, 7)))
    assert found["5+2*7"] == 19 and found["5*2*7"] == 70 and found["5-2-7"] == -4
    assert all(value == eval(text) for text, value in found.items())
    assert len(found) == 9
    assert C.solutions(C.Task((2, 2, 1), 4)) == ["2+2*1", "2*2*1"]
    assert C.solutions(C.Task((2, 2, 1), 3)) == ["2+2-1", "2*2-1"]


def test_a_program_has_the_numbers_in_order():
    task = C.Task((5, 2, 7), 19)
    assert C.execute(task, "5+2*7")
    assert not C.execute(task, "2*7+5")  # another order
    assert not C.execute(task, "5+2+7")  # another value
    assert not C.execute(task, "5+7+7")  # other numbers
    assert not C.execute(task, "19")
    assert not C.execute(task, "5+2*7+0")


def test_tasks_are_new_and_can_be_solved():
    first = C.tasks(200, 1)
    more = C.tasks(200, 1, first)
    assert len(set(first) | set(more)) == 400
    assert all(C.solutions(task) and 1 <= task.target <= C.MOST for task in first)


def test_ids_and_back():
    task = C.Task((5, 2, 7), 9)
    assert task.prompt == "527=09>"
    ids = C.encode(task, "5+2-7")
    assert ids.shape == (13,) and C.decode(ids) == "527=09>5+2-7"
    assert C.encode(task).tolist() == ids[:7].tolist()
    assert ids.max() < C.VOCABULARY


def test_only_what_passes_is_kept():
    tasks = [C.Task((1, 2, 3), 6), C.Task((1, 2, 3), 9), C.Task((1, 1, 1), 3)]
    written = [["1+2+3", "1*2*3", "1+2+3", "1+2"], ["1+2*3", "x", "9", ""], ["1+1+1"] * 4]
    ran = []

    def execute(task, program):
        ran.append((task, program))
        return C.execute(task, program)

    found = self_train_round(lambda tasks, tries: written, tasks, execute, tries=4)
    assert found.kept == [
        (tasks[0], "1+2+3"), (tasks[0], "1*2*3"), (tasks[2], "1+1+1"),
    ]  # fmt: skip
    assert found.solved == [tasks[0], tasks[2]]
    assert (found.tried, found.passed) == (12, 7)
    assert len(ran) == len(set(ran)) == 8  # none twice


def test_programs_behind_the_wall_are_judged_alike():
    task = C.Task((5, 2, 7), 19)
    with sandbox.Programs(places=1, unsafe=True) as programs:
        execute = sandboxed(
            programs,
            lambda task: [("f", (), task.target)],
            lambda task, program: f"def f():\n    return {program}\n",
        )
        found = self_train_round(
            lambda tasks, tries: [["5+2*7", "5+2+7", "import os", "1/0"]], [task], execute, 4
        )
    assert found.kept == [(task, "5+2*7")]


REFUSED = {
    "no task": (lambda: self_train_round(lambda *_: [], [], C.execute), "tasks is empty"),
    "no try": (lambda: self_train_round(lambda *_: [[]], [1], C.execute, 0), "tries is 0"),
    "another number": (lambda: self_train_round(lambda *_: [], [1], C.execute), "for 0 tasks"),
    "no tasks": (lambda: C.tasks(0), "count is 0"),
    "numbers": (lambda: C.programs((0, 1, 2)), "three from 1 to 9"),
    "a target": (lambda: C.encode(C.Task((1, 2, 3), 100)), "target is 100"),
    "a program": (lambda: C.encode(C.Task((1, 2, 3), 6), "1+2+x"), "program is '1+2+x'"),
    "too long": (lambda: C.encode(C.Task((1, 2, 3), 6), "1+2+3+"), "at most 5"),
}


@pytest.mark.parametrize("call, words", REFUSED.values(), ids=REFUSED)
def test_refusals(call, words):
    with pytest.raises(InputError) as error:
        call()
    assert words in str(error.value)


def test_random_programs_cover_all():
    random = np.random.default_rng(0)
    drawn = {C.random_program((5, 2, 7), random) for _ in range(200)}
    assert len(drawn) == 9
