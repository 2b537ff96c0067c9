"""Lesson 05: its studies on a very small scale; its measures where the answer is known."""

from pathlib import Path

import numpy as np
import pytest

from minilm.backend import rng
from minilm.course.places import LessonFolder
from minilm.errors import InputError
from minilm.studies import record

LESSON = LessonFolder(Path(__file__).parents[1], "05_mixtral")
knowledge, study = LESSON.study("knowledge"), LESSON.study("routing")
mixture, routing, windows = (LESSON.module(n) for n in ("mixture", "routing", "windows"))
costs, domains, verdicts = (LESSON.module(n) for n in ("costs", "domains", "verdicts"))


def quiet(line):
    """Say nothing."""


@pytest.mark.parametrize("window", [2, 3, 6])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_a_window_reaches_one_less_than_itself_in_each_layer(window, layers):
    assert windows.shadow(layers, window, 24) == layers * (window - 1)


def test_needles_stand_first_and_are_asked_for_everywhere():
    ids, targets = windows.rows(5, rng(0))
    assert (ids[:, 0] < windows.NEEDLES).all() and (ids[:, 1:] >= windows.NEEDLES).all()
    assert (targets == ids[:, :1]).all() and targets.shape == ids.shape


def test_what_is_told_is_what_was_put_in():
    r = rng(1)
    token = r.integers(0, 40, 6000)
    domain = token % 4 // 2  # a function of the token: it adds nothing to it
    expert = np.where(r.random(6000) < 0.7, token % 8, r.integers(0, 8, 6000))
    by_token, by_domain = (routing.depends(expert, label, 0) for label in (token, domain))
    assert by_token.found - by_token.null > by_domain.found - by_domain.null > 0.1
    added = routing.depends(expert, domain, 0, within=token)
    assert added.found == pytest.approx(0, abs=1e-9) and added.null == pytest.approx(0, abs=1e-9)
    nothing = routing.depends(expert, r.integers(0, 40, 6000), 0)
    assert nothing.found == pytest.approx(nothing.null, rel=0.2)
    switch = r.integers(0, 2, 6000)  # tells what the token does not
    told = routing.depends((token + 4 * switch) % 8, switch, 0, within=token)
    assert told.found == pytest.approx(np.log(2), abs=0.02) and told.null < 0.02


def test_a_random_router_repeats_itself_as_chance_says():
    chosen = rng(2).random((30, 400, 8)).argsort(-1)[..., :2]
    for name, chance in (("same", routing.SAME), ("shared", routing.SHARED)):
        found = routing.repeats(chosen, 0)[name]
        assert found.found == pytest.approx(chance, abs=0.015)  # 3 standard errors
        assert found.null == pytest.approx(chance, abs=0.015)


def test_a_batch_hits_as_many_experts_as_chance_says():
    exact = [costs.by_chance(b) for b in (1, 2, 4, 8, 16)]
    np.testing.assert_allclose(exact, [2, 3.5, 5.46875, 7.199, 7.920], atol=1e-3)
    chosen = rng(3).random((5000, 8)).argsort(-1)[:, :2]
    for batch in (1, 4, 16):
        assert costs.experts_hit(chosen, batch, 0) == pytest.approx(costs.by_chance(batch), abs=0.2)


def test_the_two_models_do_the_same_products():
    dense, mixed = knowledge.build("dense", 0), knowledge.build("mixture", 0)
    assert dense.config.F == mixture.CHOSEN * mixed.config.F
    extra = sum(p.data.size for p in mixed.parameters()) - sum(
        p.data.size for p in dense.parameters()
    )
    idle = (mixture.EXPERTS - mixture.CHOSEN) * 3 * mixed.config.F * mixed.config.channels
    router = mixture.EXPERTS * mixed.config.channels
    assert extra == knowledge.LAYERS * (idle + router)


def test_the_balance_loss_and_the_bias_work_towards_even_loads():
    rows = [rng(0, str(i)).zipf(1.3, (8, 33)) % 64 for i in range(40)]  # one word is very frequent

    def trained(coefficient, router):
        batches = ((row[:, :-1], row[:, 1:]) for row in rows)
        config = mixture.config_of(64, 32, 1, 32, 16)
        made = mixture.mixture(config, 0, router)
        return mixture.learn(made, batches, 40, 1e-2, coefficient)

    def shares(model):
        said = mixture.routings(model, rows[0][:, :-1])[0].experts
        return np.bincount(said.ravel(), minlength=8) / said.size

    alone, held = shares(trained(0.0, "top_k")), shares(trained(1.0, "top_k"))
    assert held.max() < 0.8 * alone.max()
    biased = trained(0.0, "balanced")
    bias = mixture.experts_of(biased)[0].router.bias.data
    assert bias.min() < 0 < bias.max()


def test_questions_of_maths_have_right_answers():
    lines = domains.questions(3000, 0).splitlines()
    for asked, answer in zip(lines[::2], lines[1::2]):
        if asked.startswith("What is"):
            a, b = asked.removeprefix("What is ").rstrip("?").split(" + ")
            assert int(a) + int(b) == int(answer)
        if asked.startswith("Solve"):
            left, right = asked.removeprefix("Solve ").removesuffix(" for x.").split(" = ")
            assert eval(left, {"x": int(answer)}) == int(right)


def test_ranks_that_agree_are_told_from_ranks_that_do_not():
    same = np.tile(np.arange(8.0), (4, 1))
    assert verdicts.concordance(same, 300) == (1.0, 0.0)
    w, p = verdicts.concordance(rng(5).random((4, 8)), 300)
    assert 0 <= w < 0.6 and p > 0.05


def test_knowledge_is_recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(knowledge, "TUNE_STEPS", 2)
    monkeypatch.setattr(knowledge, "WINDOWS", 4)
    monkeypatch.setattr(knowledge, "PROMPTS", 8)
    monkeypatch.setattr(knowledge, "CHANNELS", 32)
    out = tmp_path / "knowledge.json"
    data = knowledge.study(str(out), seeds=(0,), steps=8, say=quiet)
    assert record.load(out) == data and len(data["runs"]) == 2
    assert [point["step"] for point in data["runs"][0]["points"]] == [2, 4, 8]
    assert set(data["tuning"]) == {"dense", "mixture"}
    with pytest.raises(InputError, match="models names 'wide'"):
        knowledge.study(str(out), models=("wide",), seeds=(0,), say=quiet)


def test_deletions_are_undone(monkeypatch):
    monkeypatch.setattr(study, "by_domain", lambda model: [float(len(seen(model)))])

    def seen(model):
        ids = np.arange(40).reshape(2, 20)
        return set(np.concatenate([each.experts.ravel() for each in mixture.routings(model, ids)]))

    config = mixture.config_of(64, 32, study.LAYERS, 32, 16)
    model = mixture.mixture(config, 0)
    before = mixture.losses(model, np.zeros((1, 8), int), np.zeros((1, 8), int))
    found = study.deletions(model)
    assert np.shape(found["banned"]["single"]) == (study.LAYERS, mixture.EXPERTS)
    assert min(found["banned"]["index"]) == -1  # a forbidden expert is chosen nowhere
    after = mixture.losses(model, np.zeros((1, 8), int), np.zeros((1, 8), int))
    np.testing.assert_array_equal(before, after)
