"""What of a notebook rests on a cell that was stopped: claims about it give no verdict."""

import pytest

from minilm.course.show import cells
from minilm.course.show.names import names_of


@pytest.mark.parametrize(
    ("text", "needed", "made"),
    [
        ("a = b", "b", "a"),
        ("a = 1\nb = a", "", "a b"),
        ("b = a\na = 1", "a", "a b"),
        ("a += 1", "a", "a"),
        ("a.b[c] = d", "a c d", ""),
        ("for a in b:\n    c = a", "b", "a c"),
        ("c = [a for a in b if a < d]", "b d", "c"),
        ("c = {a: b for a, b in d}", "d", "c"),
        ("import a.b, c as d\nfrom e import f", "", "a d f"),
        ("def f(a, b=c):\n    return a + d", "c", "f"),
        ("def f(a):\n    return a + d\ng = f(1)", "d", "f g"),
        ("f = lambda a: a + b", "b", "f"),
        ("class A(B):\n    def c(self):\n        return d\ne = A()", "B d", "A e"),
        ("with a as b:\n    b.c()", "a", "b"),
        ("(a := b)", "b", "a"),
        ("async for a in b:\n    await a", "b", "a"),
        ("a: int\nb: int = c", "c", "b"),
        ("print(a", "", ""),
    ],
)
def test_what_a_cell_needs_and_makes(text: str, needed: str, made: str) -> None:
    used, bound, _ = names_of(text, {})
    builtins = {"print", "int"}
    assert (used - builtins, bound) == (set(needed.split()), set(made.split()))


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("a[0] = b", "a"),
        ("a.b.c[0] += 1", "a"),
        ("del a[0]", "a"),
        ("a += b", "a"),
        ("a.append(b)", "a b"),
        ("f(a, *b, c=d.e)", "f a b d"),
        ("await f(a)", "f a"),
        ("claim(a, measured=b)\nprint(c)", ""),
        ("b = f(a)", ""),
        ("a, a[0], a.b", ""),
    ],
)
def test_what_a_cell_is_seen_to_change(text: str, changed: str) -> None:
    assert names_of(text, {})[2] == set(changed.split())


def test_a_function_of_the_notebook_brings_its_names() -> None:
    space: dict = {"__name__": "__main__", "model": [], "rows": [], "other": []}
    text = "def f():\n    return g()\ndef g():\n    return [model for _ in 'ab']\n"
    exec(text + "class C:\n    def m(self):\n        return rows\nc = C()", space)
    assert names_of("f()", space)[0] == {"f", "g", "model"}
    assert names_of("c.m()", space)[0] == {"c", "rows"}


class Runs:
    """A notebook without a kernel: cells run one by one, and some of them are stopped."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.trained: list[str] = []
        monkeypatch.setattr(cells, "stopped_runs", self.trained)
        self.stopped, self.space, self.count = cells.Stopped(), {"__name__": "__main__"}, 0
        self.space["train"] = lambda model: self.train(model)
        self.interrupt = False

    def train(self, model: list) -> list:
        model.append(1)
        if self.interrupt:
            self.trained.append("a training was interrupted")
        return model

    def __call__(self, text: str, interrupt: bool = False) -> str:
        """What a claim in the cell would hear."""
        self.interrupt, self.count, broken = interrupt, self.count + 1, False
        self.stopped.start({text}, text, self.space)
        try:
            exec(text, self.space)
        except KeyboardInterrupt:
            broken = True
        said = self.stopped.why()
        self.stopped.stop({text}, broken, self.count, self.space)
        return said


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Runs:
    return Runs(monkeypatch)


TRAIN = "model = []\nrun = train(model)"


def test_what_does_not_rest_on_it_is_judged(run: Runs) -> None:
    run("other = [1]\ndef measure():\n    return model")
    assert run(TRAIN, interrupt=True) == "a training was interrupted"
    assert run("len(other)") == ""
    assert run("len(run)") == "a training was interrupted (cell [2])"
    assert run("measure()") == "a training was interrupted (cell [2])"
    run(TRAIN)
    assert run("measure(), len(run), len(other)") == ""


def test_what_was_made_of_it_is_in_doubt_until_it_is_made_anew(run: Runs) -> None:
    """Running the training again is not enough: `score` is still the half-trained model's."""
    score = "score = sum(run)"
    run(TRAIN, interrupt=True)
    run(score)
    run("twice = [score] * 2")
    run(TRAIN)
    assert run("len(run)") == ""
    assert run("score + 1") == "a cell ran on what was interrupted (cell [2])"
    assert run("len(twice)") == "a cell ran on what was interrupted (cell [3])"
    run(score)
    assert run("score + 1") == ""
    assert run("len(twice)") == "a cell ran on what was interrupted (cell [3])"
    run("twice = 2")  # another cell may make it too
    assert run("twice + 1") == ""


def test_what_a_stopped_cell_was_given_is_in_doubt(run: Runs) -> None:
    run("model, rows, text, n = [], {}, 'abc', 3\nimport math")
    run("rows[0] = train(model), text, n, math.pi", interrupt=True)
    assert "training" in run("model") and "training" in run("rows")
    assert run("text, n, math.e, train, str(len(text))") == ""
    run("rows[0] = train(model), text, n, math.pi")
    assert run("rows, model") == ""


def test_cells_that_fill_one_table_can_all_be_run_again(run: Runs) -> None:
    run("rows, model = {}, []")
    run("rows['a'] = train(model)", interrupt=True)
    run("rows['b'] = len(model)")
    run("claim = str\nclaim(rows)")
    run("rows['a'] = train(model)")
    assert run("rows") == "a cell ran on what was interrupted (cell [3])"
    run("rows['b'] = len(model)")
    assert run("rows") == run("claim = str\nclaim(rows)") == ""


def test_a_cell_that_was_stopped_itself(run: Runs) -> None:
    stop = "rows = [1]\nraise KeyboardInterrupt"
    run(stop)
    assert run("rows") == "a cell was interrupted (cell [1])"
    assert run("1 + 1") == ""
    run("rows = [2]")
    assert run("rows") == ""


def test_stopped_again_the_training_is_named_first(run: Runs) -> None:
    run(TRAIN, interrupt=True)
    run("score = sum(run)")
    run(TRAIN, interrupt=True)
    assert run("score, run") == "a training was interrupted (cell [3])"


def test_of_trainings_before_the_first_claim_the_cell_is_not_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cells, "stopped_runs", ["a training was interrupted"])
    stopped = cells.Stopped()
    stopped.start({"1"}, "1 + 1", {})
    assert stopped.why() == "a training was interrupted"


def test_a_cell_that_cannot_be_read_names_nothing(run: Runs) -> None:
    run.stopped.start({"x ="}, "x =", run.space)
    run.stopped.stop({"x ="}, False, None, run.space)
    assert run("1") == ""
