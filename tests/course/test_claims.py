"""Verdicts follow from the measured values and from nothing else."""

import json
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilm.course import claim
from minilm.course.build import notebook as nb
from minilm.course.build.lessons import Lesson
from minilm.course.build.run import Kernel, LessonError, claims_in
from minilm.course.places import Course
from minilm.course.publish import board
from minilm.course.show import cards
from minilm.course.show.cards import NOT, PARTLY, REPRODUCED, measured_text, number_text
from minilm.errors import InputError

SAID = {"source": "Chung 64:14", "measure": "ratio", "expected": "10.5 ± 1 %", "seconds": 1.0}
numbers = st.floats(-1e6, 1e6, allow_nan=False)


@given(st.lists(numbers, min_size=3, max_size=8), numbers)
def test_the_verdict_counts_the_seeds_that_hold(values: list[float], limit: float) -> None:
    made = claim("x", measured=values, holds=lambda v: v > limit, **SAID)
    kept = [float(f"{v:.6g}") > limit for v in values]
    assert made.held == kept
    wanted = REPRODUCED if all(kept) else PARTLY if any(kept) else NOT
    assert made.verdict == wanted


def test_a_weaker_criterion_decides_partly() -> None:
    def judge(values: list[float]) -> str:
        made = claim("x", measured=values, holds=lambda v: v > 2, partly=lambda v: v > 1, **SAID)
        return made.verdict

    assert judge([3, 3, 3]) == REPRODUCED
    assert judge([3, 1.5, 1.5]) == PARTLY
    assert judge([1.5, 1.5, 1.5]) == PARTLY
    assert judge([3, 3, 0.5]) == NOT


def test_several_quantities_are_compared_seed_by_seed() -> None:
    seen = []
    made = claim(
        "deep beats shallow",
        measured={"deep": [3, 4, 5], "shallow": [2, 5, 1]},
        holds=lambda v: seen.append(v) or v["deep"] > v["shallow"],
        **SAID,
    )
    assert seen[1] == {"deep": 4, "shallow": 5}
    assert made.held == [True, False, True] and made.verdict == PARTLY


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"measured": [1, 2]}, "at least 3 seeds"),
        ({"measured": 1.0}, "at least 3 seeds"),
        ({"measured": [1, 2, float("nan")]}, "finite"),
        ({"measured": []}, "one per seed"),
        ({"measured": {"a": [1, 2, 3], "b": [1, 2]}}, "one per seed"),
        ({"measured": ["a", "b", "c"]}, "one number per seed"),
        ({"seeds": [0, 1]}, "one seed per value"),
        ({"seeds": [0, 1, 1]}, "one seed per value"),
        ({"source": " "}, "source is"),
        ({"expected": ""}, "expected is"),
    ],
)
def test_what_cannot_be_judged_is_refused(change: dict, said: str) -> None:
    given_ = {"measured": [1, 2, 3], "holds": lambda v: True, **SAID, **change}
    with pytest.raises(InputError, match=said):
        claim("x", **given_)


def test_an_exact_measure_needs_one_value() -> None:
    made = claim("x", measured=124_439_808, holds=lambda n: n == 124_439_808, exact=True, **SAID)
    assert made.verdict == REPRODUCED
    assert made.measured == "124,439,808"


def test_a_record_is_plain_json_and_complete() -> None:
    import numpy as np

    made = claim("x", measured=np.float32([1, 2, 3]), holds=lambda v: v < 9, talk="T", **SAID)
    record = json.loads(json.dumps(made.record()))
    assert record["values"] == {"value": [1, 2, 3]}
    for name in ("lesson", "talk", "claim", "source", "measure", "expected", "seeds", "verdict"):
        assert name in record
    assert record["seconds"] == 1.0


def test_the_card_escapes_what_authors_write() -> None:
    made = claim("p < 0.05 & q", measured=[1, 2, 3], holds=lambda v: True, **SAID)
    html = made._repr_mimebundle_()[0]["text/html"]
    assert "p &lt; 0.05 &amp; q" in html and "✓ reproduced" in html


@pytest.mark.parametrize(
    ("number", "text"),
    [(3, "3"), (124439808, "124,439,808"), (0.0123456, "0.0123"), (2.0, "2"), (1e-9, "1e-09")],
)
def test_numbers_read_well(number: float, text: str) -> None:
    assert number_text(number) == text


def test_mean_and_range_are_those_of_the_values() -> None:
    assert measured_text({"value": [1.0, 2.0, 6.0]}, "s") == "3 (1 to 6) s"
    assert measured_text({"a": [1, 1, 1], "b": [2, 3, 4]}) == "a 1, b 3 (2 to 4)"


@given(st.lists(numbers, min_size=3, max_size=8))
def test_spread_is_the_sample_deviation(values: list[float]) -> None:
    wanted = statistics.stdev(values)
    assert cards.spread({"value": values})["value"] == pytest.approx(wanted, rel=1e-5)


def test_the_board_says_all_that_was_measured(specimen) -> None:
    records = board.read_board(Course(specimen.root))
    assert [record["verdict"] for record in records] == [REPRODUCED, PARTLY]
    assert records[1]["mean"]["value"] == pytest.approx((0.02 + 0.06 - 0.01) / 3, rel=1e-4)
    text = board.as_text(records)
    for part in ("Chung 64:14", "10.5, exact", "over 3 seeds", "one seed turns it round"):
        assert part in text
    assert "2 claims: 1 reproduced, 1 partly, 0 not reproduced" in text


def test_the_page_and_records_are_kept_in_step(specimen, tmp_path) -> None:
    import shutil

    root = tmp_path / "course"
    shutil.copytree(specimen.root, root)
    assert any("CLAIMS.md is out of date" in said for said in board.stale(Course(root)))
    assert board.write_page(Course(root)) and not board.write_page(Course(root))
    assert board.stale(Course(root)) == []
    page = (root / "CLAIMS.md").read_text(encoding="utf-8")
    assert page.startswith("# A course") and "[90](lessons/90_specimen.ipynb)" in page

    stored = root / "lessons" / "90_specimen" / "claims.json"
    records = json.loads(stored.read_text(encoding="utf-8"))
    records[1]["verdict"] = REPRODUCED  # somebody improves on the run
    stored.write_text(json.dumps(records), encoding="utf-8")
    wrong = board.stale(Course(root))
    assert any("is not what 90_specimen.ipynb shows" in said for said in wrong)


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(InputError, match="claims:begin"):
        board.page_with("# Nothing here\n", [])


def test_a_bar_in_a_claim_does_not_break_the_table() -> None:
    record = claim(
        "a | b", measured=[1, 2, 3], holds=lambda v: True, lesson="01_x", **SAID
    ).record()
    (row,) = [
        line
        for line in board.as_markdown([board._completed(record)]).splitlines()
        if "a \\| b" in line
    ]
    assert row.replace("\\|", "").count("|") == 9


def test_the_board_counts_by_whose_claim_it_is() -> None:
    made = [
        claim(kind, measured=[1, 2, 3], holds=lambda v, most=most: v <= most, kind=kind, **SAID)
        for kind, most in (("talk", 3), ("talk", 0), ("identity", 3))
    ]
    said = board.by_kind([one.record() for one in made])
    assert said == "said in the talk: 1 of 2; an identity: 1 of 1"


# --- interrupted trainings ------------------------------------------------------------------------

TRAINING = """\
import signal
import minilm
from minilm.course import claim
from minilm.course.build import notebook as nb
from minilm.course.build.lessons import Lesson
from minilm.course.build.run import Kernel, LessonError, claims_in
from minilm.models import Transformer, gpt2
from minilm.train import train
stop = True
---
model = Transformer(gpt2(vocab_size=16, context=8, layers=1, heads=1, channels=8))
def press(run):
    if stop and run.step == 2:
        signal.raise_signal(signal.SIGINT)
run = train(model, [n % 16 for n in range(500)], 3, batch=1, after_step=press)
---
value = 3 if run.interrupted else 4
told = dict(source="s", measure="m", expected="e", measured=value, exact=True)
got = claim("measured", holds=lambda v: v == 4, **told)
kept = claim("recorded", holds=lambda v: True, recorded=True, **told)
print(got.verdict, kept.verdict)
---
if stop:
    run.half = True
    raise KeyboardInterrupt
---
alone = claim("other", measured=4, exact=True, holds=lambda v: v == 4, source="s", measure="m",
              expected="e")
"""


def test_no_verdict_rests_on_an_interrupted_training(tmp_path) -> None:
    """... until the cell that trains has run to its end."""
    cells = [nb.make_cell("code", text.strip()) for text in TRAINING.split("---\n")]
    path = tmp_path / "course" / "lessons" / "90_x.ipynb"
    nb.write(path, nb.make_notebook(cells))
    cells_of = Kernel(Lesson(path))

    def run(index: int) -> str:
        cells_of.execute(index)
        return str(cells_of.notebook["cells"][index]["outputs"])

    with cells_of.started():
        run(0), run(1)
        said = run(2)
        assert "no verdict reproduced" in said
        assert "no verdict" not in run(4)  # it does not rest on the training
        assert "No verdict: a training was interrupted after step 2 (cell [2]); run it" in said
        assert [record["claim"] for record in claims_in(cells_of.notebook, Lesson(path))] == [
            "recorded",  # nothing collects a claim without a verdict
            "other",
        ]
        cells_of._node["cells"][0]["source"] = "stop = False"
        run(0)
        assert "no verdict" in run(2)  # another cell changes nothing
        run(1)
        assert "reproduced reproduced" in run(2)
        cells_of._node["cells"][0]["source"] = "stop = True"
        run(0)
        with pytest.raises(LessonError):
            run(3)
        assert "a cell was interrupted" in run(2)
