"""Judges that love length, and boards that know how sure they are."""

import numpy as np
import pytest

from minilm import InputError
from minilm.align.arena import elo, fit_ratings, leaderboard, wins_of
from minilm.align.judging import length_controlled, preference


def judged(bias, seed=0, n=4000, better=0.3, longer=4.0):
    """Scores of a system that is a little better and writes more, under a judge with a bias."""
    r = np.random.default_rng(seed)
    length = r.normal(longer, 6.0, n)
    gap = r.normal(better, 0.1, n)
    return r.random(n) < preference(gap, length, per_token=bias), length


def test_a_fair_judge_sees_the_gap_only():
    np.testing.assert_allclose(preference([0, 1], [5, 5]), [0.5, 1 / (1 + np.exp(-2))])
    np.testing.assert_allclose(preference([0], [5], per_token=0.2), 1 / (1 + np.exp(-1)))


@pytest.mark.parametrize("seed", range(3))
def test_length_inflates_a_win_rate_and_the_correction_takes_it_back(seed):
    fair = length_controlled(*judged(0.0, seed))
    biased = length_controlled(*judged(0.15, seed))
    truth = 1 / (1 + np.exp(-0.6))
    assert abs(fair.raw - truth) < 0.03 and abs(fair.controlled - truth) < 0.04
    assert biased.raw > truth + 0.05
    assert abs(biased.controlled - truth) < 0.05
    assert biased.pull > 0.8 > abs(fair.pull)


def test_the_fit_is_the_likeliest():
    """No other pair of weights makes the scores likelier."""
    won, longer = judged(0.1, n=300)
    made = length_controlled(won, longer)
    x = np.tanh(longer / longer.std())

    def likelihood(a, b):
        z = a + b * x
        return (won * z - np.log1p(np.exp(z))).sum()

    a, b = np.log(made.controlled / (1 - made.controlled)), made.pull
    best = likelihood(a, b)
    r = np.random.default_rng(0)
    assert all(likelihood(a + da, b + db) < best for da, db in r.normal(0, 0.05, (200, 2)))


def test_what_cannot_be_controlled_is_refused():
    with pytest.raises(InputError, match="all differences of length are the same"):
        length_controlled(np.array([1.0, 0]), np.array([3, 3]))
    with pytest.raises(InputError, match="decides all scores"):
        length_controlled(np.array([1.0, 1, 0, 0]), np.array([3, 4, -3, -4]))
    with pytest.raises(InputError, match="not from 0 to 1"):
        length_controlled(np.array([2.0, 0]), np.array([3, 4]))


def games(ratings, each, seed):
    r = np.random.default_rng(seed)
    made = []
    for i in range(len(ratings)):
        for j in range(i):
            p = 1 / (1 + 10 ** ((ratings[j] - ratings[i]) / 400))
            made += [(i, j, float(r.random() < p)) for _ in range(each)]
    return made


def test_wins_are_counted_for_both_and_draws_are_halves():
    wins = wins_of([(0, 1, 1.0), (0, 1, 0.5), (2, 1, 0.0)], 3)
    assert wins.tolist() == [[0, 1.5, 0], [0.5, 0, 1], [0, 0, 0]]
    with pytest.raises(InputError, match=r"game is \(0, 3, 1\)"):
        wins_of([(0, 3, 1)], 3)


def test_intervals_hold_the_truth_and_shrink_with_games():
    ratings = np.array([-120.0, -40, 0, 10, 150])
    inside, widths = [], []
    for each in (50, 800):
        for seed in range(4):
            board = leaderboard(games(ratings, each, seed), 5, resamples=100)
            truth = ratings - ratings.mean()
            inside.append(((board.low <= truth) & (truth <= board.high)).mean())
            widths.append((each, (board.high - board.low).mean()))
    assert np.mean(inside) > 0.8
    few, many = (np.mean([w for e, w in widths if e == each]) for each in (50, 800))
    assert 3 < few / many < 5  # the square root of 16
    assert leaderboard(games(ratings, 50, 0), 5, resamples=100).overlapping()


def test_the_board_does_not_depend_on_the_order_and_elo_does():
    played = games(np.array([-50.0, 0, 50]), 60, 1)
    turned = played[::-1]
    np.testing.assert_allclose(
        fit_ratings(wins_of(played, 3)).points, fit_ratings(wins_of(turned, 3)).points
    )
    assert np.abs(elo(played, 3) - elo(turned, 3)).max() > 10


def test_too_few_games_for_intervals_are_said_to_be_too_few():
    one_each = [(0, 1, 1.0), (1, 2, 1.0), (2, 0, 1.0)]
    with pytest.raises(InputError, match="resampled boards .* more games are needed"):
        leaderboard(one_each, 3, resamples=50)
