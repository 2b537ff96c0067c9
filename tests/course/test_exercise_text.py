"""What every question tells before it asks: stars, minutes, an example by hand, three hints."""

import re

import pytest

from course.test_wrong_answers import SETS, exercise_set
from minilm.course.build.percent import read_percent

HEADING = re.compile(r"## (\d+)\. .+ \((★{1,3}), (\d+) minutes\)")


def questions_of(name: str) -> list[tuple[re.Match, str, list[str]]]:
    """(heading, text, names of the functions) of each question, in order."""
    found = []
    for cell in read_percent(SETS[name].questions)[0]:
        source = "".join(cell["source"])
        heading = HEADING.match(source)
        if cell["cell_type"] == "markdown" and heading:
            found.append((heading, source, []))
        elif cell["cell_type"] == "code" and found:
            found[-1][2].extend(re.findall(r"^def (\w+)\(", source, re.MULTILINE))
    return found


@pytest.mark.parametrize("name", SETS)
def test_every_question_is_told_in_full(name: str) -> None:
    told = questions_of(name)
    asked = exercise_set(name).questions
    assert [int(heading[1]) for heading, _, _ in told] == list(range(1, len(asked) + 1))
    for question, (_, text, functions) in zip(sorted(asked, key=place_in(told)), told):
        assert set(question.asks) <= set(functions)
        assert re.search(r"\bBy hand\b|\bBy hand[.,:]", text), f"{question.name}: no example"
        for step in (1, 2, 3):
            assert f"<summary>Hint {step}</summary>" in text, f"{question.name}: hint {step}"
        assert text.count("<summary>Hint") == 3


def place_in(told: list) -> object:
    """The place of a question among those that are told."""
    order = {name: number for number, (_, _, names) in enumerate(told) for name in names}
    return lambda question: order[question.asks[0]]


@pytest.mark.parametrize("name", SETS)
def test_sets_begin_easily(name: str) -> None:
    told = [(len(heading[2]), int(heading[3])) for heading, _, _ in questions_of(name)]
    assert 6 <= len(told) <= 10
    assert told[0] == (1, 2)  # one that everybody solves in two minutes
    assert max(stars for stars, _ in told) == 3


@pytest.mark.parametrize("name", SETS)
def test_a_set_points_to_its_lesson(name: str) -> None:
    first = "".join(read_percent(SETS[name].questions)[0][0]["source"])
    assert f"../lessons/{name}.ipynb" in first.replace("\n", "")
