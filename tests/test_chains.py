"""Hidden chains: their joint probability, their posterior by listing, and EM that finds them."""

import numpy as np
import pytest

from minilm.align import Drawn, TextPolicy
from minilm.align.chains import Chains, exact_chains, fit_by_em
from minilm.analysis.enumerate import Texts, normalise
from minilm.errors import InputError
from minilm.models import Config, Transformer
from minilm.optim import AdamW

# Ids: chain letters 0 to 2, the stop, the start, two labels, then four things.
STOP, START, LABELS, FIRST_THING = 3, 4, (5, 6), 7
TEXTS = Texts(3, 2)
X = np.stack([np.full(4, START), FIRST_THING + np.arange(4)], 1)


def policy(seed: int = 0) -> TextPolicy:
    config = Config(vocab_size=11, context=6, layers=1, heads=2, channels=16, tie=False)
    return TextPolicy(Transformer(config, seed=seed), STOP, 2, range(3))


def chains(seed: int = 0, alone: bool = False) -> Chains:
    return Chains(policy(seed), LABELS, first=START, alone=alone)


def softmax(row: np.ndarray) -> np.ndarray:
    e = np.exp(row.astype(np.float64) - row.max())
    return e / e.sum()


def by_hand(one: Chains, x: np.ndarray, z: tuple[int, ...], y: int) -> float:
    """p(z, y | x), token by token."""
    model, p, text = one.policy.model, 1.0, list(x)
    for place, token in enumerate((*z, STOP)):
        row = softmax(model(np.array([text])).data[0, -1, :4])  # letters and the stop
        p *= 1.0 if place == 2 else row[token]  # after two letters it stops by itself
        text.append(token)
    seen = [x[0], *z, STOP] if one.alone else text
    return p * softmax(model(np.array([seen])).data[0, -1, list(LABELS)])[y]


@pytest.mark.parametrize("alone", [False, True])
def test_joint_and_sum_are_those_of_the_model(alone: bool) -> None:
    one, x = chains(alone=alone), X[2]
    table = np.array(
        [[by_hand(one, x, TEXTS.text(i), y) for y in (0, 1)] for i in range(len(TEXTS))]
    )
    many = Drawn(TEXTS.ids, TEXTS.lengths)
    for y in (0, 1):
        rows = np.repeat(x[None], len(TEXTS), 0)
        found = one.log_joint(rows, many, np.full(len(TEXTS), y)).data
        np.testing.assert_allclose(found, np.log(table[:, y]), atol=1e-4)
    np.testing.assert_allclose(one.predict(x[None], TEXTS)[0], table.sum(0), atol=1e-5)
    assert table.sum() == pytest.approx(1, abs=1e-5)


def test_the_label_stands_in_the_first_place() -> None:
    one = chains()
    prompts = X[[1, 3]].copy()
    prompts[:, 0] = [LABELS[1], LABELS[0]]
    drawn = Drawn(np.array([[2, 0], [1, 0]]), np.array([2, 1]))
    wanted = one.log_joint(X[[1, 3]], drawn, np.array([1, 0])).data
    np.testing.assert_allclose(one.reward(prompts, *drawn), wanted, atol=1e-6)


def test_exact_chains_come_from_the_posterior() -> None:
    one, count = chains(), 20_000
    prompt = np.array([LABELS[1], X[0, 1]])
    drawn = exact_chains(one, TEXTS)(np.tile(prompt, (count, 1)), np.random.default_rng(0))
    share = np.bincount(TEXTS.index(*drawn), minlength=len(TEXTS)) / count
    log = [np.log(by_hand(one, X[0], TEXTS.text(i), 1)) for i in range(len(TEXTS))]
    p, _ = normalise(log)
    assert (np.abs(share - p) < 5 * np.sqrt(p * (1 - p) / count) + 1e-4).all()


@pytest.mark.parametrize("trained", [False, True])
def test_em_makes_the_labels_likelier(trained: bool) -> None:
    one, y = chains(), np.array([0, 1, 1, 0])
    sampler = policy(1) if trained else exact_chains(one, TEXTS)
    adam = AdamW(sampler.model.parameters(), lr=3e-3) if trained else None
    before = one.predict(X, TEXTS)[np.arange(4), y]
    rounds: list[int] = []
    fit_by_em(
        one, sampler, X, y, (AdamW(one.policy.model.parameters(), lr=3e-3), adam),
        rounds=4, e_steps=20, m_steps=40, batch=16, seed=0, after_round=rounds.append,
    )  # fmt: skip
    after = one.predict(X, TEXTS)[np.arange(4), y]
    assert rounds == [0, 1, 2, 3]
    assert np.log(after).mean() > np.log(before).mean() + 0.1


def test_refused_in_a_sentence() -> None:
    with pytest.raises(InputError, match="labels are"):
        Chains(policy(), [5, 99], first=START)
    with pytest.raises(InputError, match="x begins with 7"):
        fit_by_em(chains(), policy(), X[:, ::-1], np.zeros(4, int), (None, None), 1, 1, 1, 1, 0)
