"""Alignment's formulas: published cases, closed forms, and optima that can be listed."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilm import InputError, align
from minilm import functional as F
from minilm.align.flows import log_probabilities
from minilm.tensor import Tensor


def leaf(*values: float) -> Tensor:
    return Tensor(np.array(values, np.float64), requires_grad=True)


# ------------------------------------------------------------------------------------ pairs


def test_reward_model_sees_differences_only() -> None:
    better, worse = leaf(1.0, 0.3), leaf(1.0, -0.2)
    loss = align.bradley_terry_loss(better, worse)
    assert loss.item() == pytest.approx((math.log(2) + math.log1p(math.exp(-0.5))) / 2)
    shifted = align.bradley_terry_loss(better + 7.0, worse + 7.0)
    assert shifted.item() == pytest.approx(loss.item())
    loss.backward()
    np.testing.assert_allclose(better.grad, [-0.25, -0.5 / (1 + math.exp(0.5))])


def test_dpo_at_the_reference() -> None:
    better, worse = leaf(-3.0), leaf(-5.0)
    loss = align.dpo_loss(better, worse, np.array([-3.0]), np.array([-5.0]), beta=0.3)
    assert loss.item() == pytest.approx(0.6931471805599453, abs=1e-15)
    loss.backward()
    assert better.grad[0] == pytest.approx(-0.15)


def test_dpo_swapped_with_certain_error_is_dpo() -> None:
    given_ = leaf(-3.0), leaf(-4.0), np.array([-3.5]), np.array([-3.6])
    turned = given_[1], given_[0], given_[3], given_[2]
    assert align.dpo_loss(*given_).item() == pytest.approx(
        align.dpo_loss(*turned, smoothing=1.0).item()
    )


def test_dpo_of_a_whole_population_finds_the_tilted_reference() -> None:
    """With true preferences of 8 answers, ref e^{r / beta} / Z has no gradient left."""
    rng, beta = np.random.default_rng(0), 0.5
    rewards, ref = rng.normal(size=8), rng.dirichlet(np.ones(8))
    best = align.optimal_policy(ref, rewards, beta)
    logits = Tensor(np.log(best), requires_grad=True)
    logp = F.log_softmax(logits)
    loss = Tensor(np.zeros(1))
    for i, j in itertools.permutations(range(8), 2):
        right = 1 / (1 + math.exp(rewards[j] - rewards[i]))
        pair = logp[[i]], logp[[j]], np.log(ref[[i]]), np.log(ref[[j]])
        loss = loss + ref[i] * ref[j] * right * align.dpo_loss(*pair, beta=beta)
    loss.sum().backward()
    assert np.abs(logits.grad).max() < 1e-14
    implied = beta * np.log(best / ref) - rewards
    assert np.ptp(implied) < 1e-13
    gained = best @ rewards - beta * best @ np.log(best / ref)
    assert gained == pytest.approx(align.value_of(ref, rewards, beta), abs=1e-12)


def descend_by_hand(steps: int, rate: float, beta: float) -> float:
    """The gap of two logits from 0 under DPO: each moves by rate beta sigmoid(-beta gap)."""
    gap = 0.0
    for _ in range(steps):
        gap += 2 * rate * beta / (1 + math.exp(beta * gap))
    return gap


@pytest.mark.parametrize(
    ("loss", "steps", "rate", "gap", "near"),
    [
        ("dpo", 1000, 10.0, descend_by_hand(1000, 10.0, 0.1), 1e-9),
        ("dpo", 10000, 10.0, 75.979, 1e-3),
        ("ipo", 2000, 0.01, 5.0, 1e-6),
        ("cdpo", 20000, 10.0, math.log(9) / 0.1, 1e-6),
    ],
)
def test_where_one_certain_pair_leads(
    loss: str, steps: int, rate: float, gap: float, near: float
) -> None:
    """Two logits from 0, plain descent: DPO runs away, IPO and smoothed DPO stop."""
    logits = np.zeros(2)
    ref = np.log([0.5, 0.5])
    for _ in range(steps):
        both = Tensor(logits, requires_grad=True)
        logp = F.log_softmax(both)
        pair = logp[[0]], logp[[1]], ref[[0]], ref[[1]]
        {
            "dpo": lambda pair=pair: align.dpo_loss(*pair),
            "cdpo": lambda pair=pair: align.dpo_loss(*pair, smoothing=0.1),
            "ipo": lambda pair=pair: align.ipo_loss(*pair),
        }[loss]().backward()
        logits = logits - rate * both.grad
    assert logits[0] - logits[1] == pytest.approx(gap, abs=near)


def test_smoothed_dpo_at_its_end() -> None:
    loss = align.dpo_loss(leaf(math.log(9) / 0.1), leaf(0.0), 0 * np.ones(1), np.zeros(1), 0.1, 0.1)
    assert loss.item() == pytest.approx(0.32508, abs=5e-6)


def test_kto_pulls_good_up_and_bad_down() -> None:
    policy, ref = leaf(-2.0, -2.0), np.array([-2.5, -2.5])
    loss = align.kto_loss(policy, ref, [True, False], 0.1, beta=0.5, weights=(2.0, 1.0))
    ratio = 0.5 * 0.4
    good, bad = 1 - 1 / (1 + math.exp(-ratio)), 1 - 1 / (1 + math.exp(ratio))
    assert loss.item() == pytest.approx((2 * good + bad) / 2)
    loss.backward()
    assert policy.grad[0] < 0 < policy.grad[1]


def test_orpo_by_its_formula() -> None:
    better, worse = leaf(-0.5), leaf(-1.5)
    odds = [math.log(math.exp(p) / (1 - math.exp(p))) for p in (-0.5, -1.5)]
    wanted = 0.5 + 0.2 * math.log1p(math.exp(-(odds[0] - odds[1])))
    assert align.orpo_loss(better, worse, 0.2).item() == pytest.approx(wanted)


# ------------------------------------------------------------------------------------ rollouts


@pytest.mark.parametrize(
    ("ratio", "advantage", "value", "slope"),
    [(1.5, 1, 1.2, 0), (1.5, -1, -1.5, -1.5), (0.5, 1, 0.5, 0.5), (0.5, -1, -0.8, 0), (1, 2, 2, 2)],
)
def test_ppo_clips_the_side_that_pays(
    ratio: float, advantage: float, value: float, slope: float
) -> None:
    logp = leaf(math.log(ratio))
    loss = align.ppo_loss(logp, np.zeros(1), np.array([float(advantage)]))
    assert -loss.item() == pytest.approx(value)
    loss.backward()
    assert -logp.grad[0] == pytest.approx(slope)


@pytest.mark.parametrize(
    ("smoothing", "wanted"),
    [(0.8, [1.64768, 1.094, 1.7]), (1.0, [2.12, 1.4, 1.7]), (0.0, [0.86, -0.13, 1.7])],
)
def test_gae_by_hand(smoothing: float, wanted: list[float]) -> None:
    found = align.gae([1, 0, 2], [0.5, 0.4, 0.3, 0], 0.9, smoothing)
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_gae_starts_again_where_an_episode_ends() -> None:
    rng = np.random.default_rng(0)
    rewards, values = rng.normal(size=5), rng.normal(size=6)
    whole = align.gae(rewards, values, 0.9, 0.8, [False, True, False, False, False])
    first = align.gae(rewards[:2], [*values[:2], 0.0], 0.9, 0.8)
    np.testing.assert_allclose(whole, [*first, *align.gae(rewards[2:], values[2:], 0.9, 0.8)])


def test_whitening_looks_at_what_is_kept() -> None:
    x, mask = np.array([1.0, 2.0, 3.0, 1e9]), np.array([True, True, True, False])
    found = align.whiten(x, mask)
    assert found[:3].mean() == pytest.approx(0, abs=1e-12)
    assert found[:3].std() == pytest.approx(1, abs=1e-6)
    assert align.whiten(x, mask, shift=False)[:3].mean() == pytest.approx(2)


# ------------------------------------------------------------------------------------ optima


def test_ends_of_beta() -> None:
    ref, rewards = np.array([0.5, 0.3, 0.2]), np.array([0.0, 1.0, 2.0])
    np.testing.assert_allclose(align.optimal_policy(ref, rewards, 1e9), ref, atol=1e-8)
    np.testing.assert_allclose(align.optimal_policy(ref, rewards, 1e-3), [0, 0, 1], atol=1e-12)


@given(st.integers(0, 9999), st.floats(0.05, 5))
def test_no_policy_is_better_than_the_optimum(seed: int, beta: float) -> None:
    rng = np.random.default_rng(seed)
    ref, rewards = rng.dirichlet(np.ones(5)), rng.normal(size=5)
    other = rng.dirichlet(np.ones(5))
    gained = other @ rewards - beta * other @ np.log(other / ref)
    assert gained <= align.value_of(ref, rewards, beta) + 1e-9


@pytest.mark.parametrize(
    ("n", "bound", "exact"), [(2, 0.19315, 0.19150), (4, 0.63629, 0.63337), (16, 1.83509, 1.79404)]
)
def test_best_of_n(n: int, bound: float, exact: float) -> None:
    ref = np.full(16, 1 / 16)
    p = align.best_of_n(ref, np.arange(16.0), n)
    assert p.sum() == pytest.approx(1)
    assert align.best_of_n_kl(n) == pytest.approx(bound, abs=5e-6)
    assert p @ np.log(p / ref) == pytest.approx(exact, abs=5e-6)
    assert align.best_of_n_kl(64) == pytest.approx(3.17451, abs=5e-6)


@given(st.integers(0, 999), st.integers(1, 3))
def test_best_of_n_by_listing(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    ref, rewards = rng.dirichlet(np.ones(4)), rng.integers(0, 3, 4).astype(float)
    wanted = np.zeros(4)
    for drawn in itertools.product(range(4), repeat=n):
        best = [i for i in drawn if rewards[i] == max(rewards[list(drawn)])]
        for i in best:  # ties: each of the best draws alike
            wanted[i] += np.prod(ref[list(drawn)]) / len(best)
    np.testing.assert_allclose(align.best_of_n(ref, rewards, n), wanted, atol=1e-12)


@given(st.integers(0, 999), st.floats(0.02, 0.98))
def test_the_best_policy_of_a_divergence_has_it_and_none_is_better(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    ref, rewards = rng.dirichlet(np.ones(5)), rng.normal(size=5)
    kl = -share * np.log(ref[rewards.argmax()])
    best = align.optimal_at(ref, rewards, kl)
    assert align.divergence_of(best, ref) == pytest.approx(kl, abs=1e-8)
    for other in rng.dirichlet(np.ones(5), 40):
        if align.divergence_of(other, ref) <= kl:
            assert other @ rewards <= best @ rewards + 1e-8


# ------------------------------------------------------------------------------------ flows


def pilot_tree() -> dict[tuple, float]:
    """121 texts over three tokens, up to four long, with four planted modes."""
    texts = [t for n in range(5) for t in itertools.product(range(3), repeat=n)]
    log_reward = dict(zip(texts, np.random.default_rng(0).normal(-4, 0.5, 121), strict=True))
    planted = {(0, 0, 0, 0): 1, (1, 2, 1): 0.7, (2, 2): 0.5, (2, 1, 0, 1): 0.9, (): -3}
    return {text: float(r) for text, r in (log_reward | planted).items()}


def test_flow_of_the_pilot_tree() -> None:
    log_reward = pilot_tree()
    flow = align.flow_of(log_reward)
    assert flow.log_z == pytest.approx(2.432868, abs=5e-7)
    assert flow.log_z == pytest.approx(np.logaddexp.reduce(list(log_reward.values())), abs=1e-13)
    texts = list(log_reward)
    drawn = np.exp(log_probabilities(flow, texts))
    wanted = np.exp(np.array([log_reward[t] for t in texts]) - flow.log_z)
    assert np.abs(drawn - wanted).sum() / 2 < 1e-14


@pytest.mark.parametrize("decay", [1.0, 0.7])
def test_subtb_is_zero_at_the_flow_and_the_double_sum_elsewhere(decay: float) -> None:
    log_reward, text = pilot_tree(), (2, 1, 0, 1)
    flow = align.flow_of(log_reward)
    prefixes = [text[:i] for i in range(5)]
    rewards = np.array([log_reward[p] for p in prefixes])
    steps = leaf(*(flow.log_step[p] for p in prefixes[1:]))
    ends = leaf(*(flow.log_end[p] for p in prefixes))
    assert align.subtb_loss(rewards, steps, ends, decay).item() < 1e-26

    rng = np.random.default_rng(1)
    r, q, e = rng.normal(size=5), rng.normal(size=4), rng.normal(size=5)
    wanted = weights = 0.0
    for i in range(5):
        for j in range(i + 1, 5):
            gap = r[i] + q[i:j].sum() + e[j] - r[j] - e[i]
            wanted += decay ** (j - i - 1) * gap**2
            weights += decay ** (j - i - 1)
    assert align.subtb_loss(r, leaf(*q), leaf(*e), decay).item() == pytest.approx(wanted)
    assert align.subtb_loss(r, leaf(*q), leaf(*e), decay, normed=True).item() == pytest.approx(
        wanted / weights
    )


def test_trajectory_balance_is_zero_at_the_flow() -> None:
    log_reward = pilot_tree()
    flow = align.flow_of(log_reward)
    texts = list(log_reward)
    loss = align.tb_loss(
        flow.log_z, Tensor(log_probabilities(flow, texts)), np.array(list(log_reward.values()))
    )
    assert loss.item() < 1e-26


# ------------------------------------------------------------------------------------ arena


def test_ratings_are_recovered_within_their_errors() -> None:
    rng, truth = np.random.default_rng(0), np.array([150.0, 50.0, -20.0, -180.0])
    wins = np.zeros((4, 4))
    for i, j in itertools.combinations(range(4), 2):
        p = 1 / (1 + 10 ** ((truth[j] - truth[i]) / 400))
        wins[i, j] = rng.binomial(400, p)
        wins[j, i] = 400 - wins[i, j]
    found = align.fit_ratings(wins)
    assert found.points.sum() == pytest.approx(0, abs=1e-9)
    assert (np.abs(found.points - truth) < 3 * found.errors).all()
    assert (found.errors < 20).all()


def test_two_players_have_a_closed_form() -> None:
    found = align.fit_ratings(np.array([[0, 30], [10, 0]]))
    assert found.points[0] - found.points[1] == pytest.approx(400 * math.log10(3))
    # the variance of a log-odds is 1 / wins + 1 / losses; each rating is half the difference
    assert found.errors[0] == pytest.approx(400 / math.log(10) * math.sqrt(1 / 30 + 1 / 10) / 2)


def test_elo_depends_on_the_order_of_games() -> None:
    games = [(0, 1, 1.0), (1, 2, 1.0), (2, 0, 1.0)]
    first, last = align.elo(games, 3), align.elo(games[::-1], 3)
    assert first.sum() == pytest.approx(0)
    assert np.abs(first - last).max() > 1
    np.testing.assert_allclose(align.elo(games[:1], 2), [16, -16])


# ------------------------------------------------------------------------------------ refusals

ONE, TWO = np.ones(1), np.ones(2)
REFUSED = {
    "unequal pairs": (
        lambda: align.bradley_terry_loss(leaf(1.0), leaf(1.0, 2.0)),
        "worse has shape",
    ),
    "beta of 0": (lambda: align.dpo_loss(leaf(1.0), leaf(1.0), ONE, ONE, beta=0), "beta is 0"),
    "smoothing of 2": (
        lambda: align.dpo_loss(leaf(1.0), leaf(1.0), ONE, ONE, smoothing=2),
        "smoothing is 2",
    ),
    "a probability of 1": (lambda: align.orpo_loss(leaf(0.0), leaf(-1.0)), "better holds"),
    "clip of 1": (lambda: align.ppo_loss(leaf(0.0), ONE, ONE, clip=1), "clip is 1"),
    "values too short": (lambda: align.gae(TWO, TWO), "values have shape"),
    "nan rewards": (lambda: align.gae([np.nan], TWO), "nan"),
    "no distribution": (lambda: align.optimal_policy(TWO, TWO, 1.0), "adds up to 2"),
    "too far to go": (lambda: align.optimal_at([0.5, 0.5], [0.0, 1.0], 0.7), "kl is 0.7; it must"),
    "n of 0": (lambda: align.best_of_n(ONE, ONE, 0), "n is 0"),
    "a missing prefix": (lambda: align.flow_of({(): 0.0, (1, 2): 0.0}), "prefix"),
    "a negative baseline": (lambda: align.kto_loss(leaf(0.0), ONE, [True], -1.0), "baseline is"),
    "one that never lost": (lambda: align.fit_ratings(np.array([[0, 3], [0, 0]])), "never beat"),
    "an unknown player": (lambda: align.elo([(0, 5, 1.0)], 2), "game is"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_a_sentence(name: str) -> None:
    call, words = REFUSED[name]
    with pytest.raises(InputError, match=words):
        call()
