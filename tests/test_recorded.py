"""A record read as if its study had trained for a share of the steps."""

import json

import pytest

from minilm.errors import InputError
from minilm.studies.recorded import Recorded

STEPS = (100, 200, 300, 400)


def run(seed: int, **more) -> dict:
    points = {"step": list(STEPS), "right": [0.1, 0.5, 0.9, 1.0], "validation": [3, 1, 2, 0.5]}
    return {"model": "small", "seed": seed, "parameters": 8, "points": points, **more}


@pytest.fixture
def written(tmp_path):
    def write(runs: list[dict], **settings):
        path = tmp_path / "study.json"
        data = {"study": "s", "settings": settings, "runs": runs, "date": "2026-01-01"}
        path.write_text(json.dumps(data), encoding="utf-8")
        return path

    return write


def test_a_share_leaves_out_what_came_later(written) -> None:
    path = written([run(0, reached=300), run(1, reached=200), run(2, reached=None)], steps=400)
    whole, half = Recorded(path), Recorded(path, share=0.5)
    assert whole.settings["steps"] == 400 and half.settings["steps"] == 200
    assert whole.final(lambda p: p["right"]).ravel().tolist() == [1.0] * 3
    assert half.final(lambda p: p["right"]).ravel().tolist() == [0.5] * 3
    assert [whole.run("small", s)["reached"] for s in range(3)] == [300, 200, None]
    assert [half.run("small", s)["reached"] for s in range(3)] == [None, 200, None]


def test_the_share_is_of_the_longest_a_run_may_take(written) -> None:
    """A run that ended early, its task learnt, keeps what came within the share."""
    early = run(0, reached=100)
    early["points"] = {"step": [100, 200], "right": [1.0, 1.0], "validation": [1, 1]}
    half = Recorded(written([early], steps=400), share=0.5)
    assert [point["step"] for point in half.run("small", 0)["points"]] == [100, 200]


def test_the_best_test_is_sought_again(written) -> None:
    last = {"step": 400, "right": 1.0, "validation": 0.5}
    half = Recorded(written([run(0, best=last)], steps=400), share=0.5)
    assert half.run("small", 0)["best"]["step"] == 200


def test_larger_amounts_are_left_out_whole(written) -> None:
    runs = [run(seed, amount=amount, steps=400) for amount in (100, 400) for seed in range(3)]
    quarter = Recorded(written(runs), share=0.25)
    assert list(quarter.runs) == [(100, seed) for seed in range(3)]  # cases keep their names
    assert quarter.final(lambda p: p["right"]).ravel().tolist() == [1.0] * 3


@pytest.mark.parametrize("share", [0.2, 0.01])
def test_a_share_before_the_first_test_is_refused(written, share: float) -> None:
    with pytest.raises(InputError, match="the first test of a run came later than that"):
        Recorded(written([run(0)], steps=400), share=share)
