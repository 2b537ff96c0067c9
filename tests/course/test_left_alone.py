"""Whether arguments were left alone is for the judge to see, whatever the worker says of them."""

import pytest

from course.grading import points
from minilm.course.build import notebook as nb
from minilm.course.grade.run import grade_paths
from minilm.course.places import Course

SET = """
import numpy as np
from minilm.course.checking.expect import close, same, true
from minilm.course.checking.probes import leaves_arguments
from minilm.course.checking.questions import Question

scale, longest, merge, count, choose, follow = (
    Question(name) for name in ("scale", "longest", "merge", "count", "choose", "follow"))

@scale.test(points=1)
def divides(student, rng):
    x = rng.standard_normal(5)
    close(student.scale(x), x / 2)

@longest.test(points=1)
def in_order(student, rng):
    words = ["a" * int(n) for n in rng.permutation(9)[:5]]
    same(student.longest(words), sorted(words, key=len)[-2:])

@merge.test(points=1)
def joins(student, rng):
    pairs = [[1, int(rng.integers(9))], [2, 3]]
    same(student.merge(pairs), [sum(p) for p in pairs])

@count.test(points=1)
def counts(student, rng):
    table = {"a": int(rng.integers(9)), "b": 1}
    same(student.count(table, "a"), table | {"a": table["a"] + 1})

@choose.test(points=1)
def any_of_them(student, rng):
    given = [int(n) for n in rng.integers(100, size=5)]
    true(student.choose(given) in given, "it is one of them")

@follow.test(points=1)
def calls_once_for_each(student, rng):
    calls = []
    def model(x):
        calls.append(x)
        return x + len(calls)
    start = int(rng.integers(9))
    same(student.follow(model, [start]), [start, start + 1])
    same(len(calls), 1)

for one in (scale, longest, merge, count, choose, follow):
    leaves_arguments(one)
"""
RIGHT = {
    "scale": "def scale(x): return x / 2",
    "longest": "def longest(words): return sorted(words, key=len)[-2:]",
    "merge": "def merge(pairs): return [sum(p) for p in pairs]",
    "count": "def count(table, name): return {**table, name: table[name] + 1}",
    "choose": "import random\ndef choose(given): return random.choice(given)",
    "follow": "def follow(model, ids): return [*ids, model(ids[-1])]",
}
CHANGES = {
    "scale": "def scale(x):\n    x /= 2\n    return x",
    "longest": "def longest(words):\n    out = [max(words, key=len)]\n    words.remove(out[0])\n"
    "    return [max(words, key=len), *out]",
    "merge": "def merge(pairs):\n    for p in pairs: p[:] = [sum(p), 7]\n"
    "    return [p[0] for p in pairs]",
    "count": "def count(table, name):\n    table[name] += 1\n    return dict(table)",
}
# the worker hands back what it was sent, as if nothing had touched it
LIES = """
import sys
kind = sys.modules['inside.worker'].Worker
before = kind.perform
def perform(self, message, blobs):
    if message['op'] != 'inplace': return before(self, message, blobs)
    kept = [v.copy() if hasattr(v, 'copy') else v for v in self.unpack(blobs, message['args'])]
    value, _ = before(self, message, blobs)
    return value.copy() if hasattr(value, 'copy') else value, kept
kind.perform = perform
"""


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float]]:
    root = tmp_path_factory.mktemp("alone")
    (root / "lessons" / "00_alone").mkdir(parents=True)
    (root / "lessons" / "00_alone" / "tests.py").write_text(SET, encoding="utf-8")
    (root / "secret.txt").write_text("a secret\n", encoding="utf-8")
    folder = root / "in"
    folder.mkdir()
    cells = {
        "honest": list(RIGHT.values()),
        "changes": list((RIGHT | CHANGES).values()),
        "lies": [LIES, *(RIGHT | CHANGES).values()],
    }
    for name, texts in cells.items():
        made = [nb.make_cell("code", text) for text in texts]
        nb.write(folder / f"{name}.ipynb", nb.make_notebook(made, {}))
    grades, _, _ = grade_paths([folder], course=Course(root), hidden=root, out=root / "out")
    return {grade.submission.student: points(grade) for grade in grades}


def test_what_leaves_its_arguments_alone_is_whole(graded: dict[str, dict[str, float]]) -> None:
    assert graded["honest"] == dict.fromkeys(RIGHT, 2)  # also one that draws, and one that calls


@pytest.mark.parametrize("who", ["changes", "lies"])
def test_who_changes_them_is_found_out(graded: dict[str, dict[str, float]], who: str) -> None:
    assert graded[who] == {name: 1 if name in CHANGES else 2 for name in RIGHT}
