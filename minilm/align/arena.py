"""Ratings from wins: Bradley and Terry's model with its uncertainty, and Elo's running sum."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from minilm.backend import rng
from minilm.errors import InputError

Array = np.ndarray
SCALE = 400 / np.log(10)  # Elo's points in one nat


class Ratings(NamedTuple):
    """Ratings in Elo's points, their mean 0, and the standard error of each."""

    points: Array
    errors: Array


def fit_ratings(wins: Array, rounds: int = 100) -> Ratings:
    """The most likely ratings, where i beats j with 1 / (1 + 10^((R_j - R_i) / 400)).

    Newton's method on the likelihood, which has one maximum (Bradley and Terry 1952; Hunter 2004).

    Args:
        wins: (K, K), how often i beat j; a draw counts half for both.
        rounds: the most steps that are taken.

    Raises:
        InputError: no square table of counts, or players who cannot be compared: some group never
            lost, or never won, against the rest, so that its rating has no finite best value.
    """
    wins = np.asarray(wins, np.float64)
    count = len(wins)
    if wins.shape != (count, count) or not np.isfinite(wins).all() or (wins < 0).any():
        raise InputError(f"wins have shape {wins.shape}; they must be a square table of counts")
    _check_connected(wins > 0)
    games = wins + wins.T
    np.fill_diagonal(games, 0)
    won, rating = wins.sum(1) - np.diag(wins), np.zeros(count)
    centre = np.full((count, count), 1.0 / count)  # ratings are known up to a shift: mean 0
    for _ in range(rounds):
        p = 1 / (1 + np.exp(rating[None] - rating[:, None]))  # i beats j
        slope = won - (games * p).sum(1)
        curve = np.diag((games * p * (1 - p)).sum(1)) - games * p * (1 - p)
        step = np.linalg.solve(curve + centre, slope)
        step *= min(1.0, 2.0 / max(np.abs(step).max(), 1e-12))
        rating = rating + step - (rating + step).mean()
        if np.abs(step).max() < 1e-12:
            break
    errors = np.sqrt(np.diag(np.linalg.inv(curve + centre) - centre))
    return Ratings(SCALE * rating, SCALE * errors)


def _check_connected(beat: Array) -> None:
    """Refuse players of whom some group has only wins, or only defeats, against the rest."""
    reach = beat | np.eye(len(beat), dtype=bool)
    for _ in range(len(beat)):
        reach = (reach.astype(int) @ reach.astype(int)) > 0
    if not reach.all():
        i, j = (int(place) for place in np.argwhere(~reach)[0])
        raise InputError(
            f"player {i} never beat player {j}, not even through others; ratings then have no "
            "finite best value, and more games are needed"
        )


class Board(NamedTuple):
    """Ratings with what other games of the same kind would have given.

    Attributes:
        points: (K,) in Elo's points, mean 0.
        low, high: (K,) ends of the interval.
        left_out: resampled boards without finite ratings.
    """

    points: Array
    low: Array
    high: Array
    left_out: int

    def overlapping(self) -> list[tuple[int, int]]:
        """Neighbours on the board whose intervals overlap: their order is not settled."""
        order = np.argsort(-self.points)
        return [(int(a), int(b)) for a, b in zip(order, order[1:]) if self.low[a] <= self.high[b]]


def wins_of(games: Sequence[tuple[int, int, float]], players: int) -> Array:
    """(K, K) how often i beat j, of games as `elo` takes them.

    Raises:
        InputError: as `elo`.
    """
    first, second, scores = _columns(games, players)
    return _wins(first, second, scores, players)


def _columns(games: Sequence[tuple[int, int, float]], players: int) -> tuple[Array, Array, Array]:
    """Who, against whom, and the first one's score, (N,) each."""
    for game in games:
        _check_game(*game, players)
    table = np.array(games, np.float64).reshape(-1, 3)
    return table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2]


def _wins(first: Array, second: Array, scores: Array, players: int) -> Array:
    wins = np.zeros((players, players))
    np.add.at(wins, (first, second), scores)
    np.add.at(wins, (second, first), 1 - scores)
    return wins


def leaderboard(
    games: Sequence[tuple[int, int, float]],
    players: int,
    resamples: int = 200,
    level: float = 0.95,
    seed: int = 0,
) -> Board:
    """Bradley-Terry ratings with bootstrap intervals: the games are drawn anew with replacement.

    (Chiang et al. 2024, arXiv 2403.04132, rate chatbots so.)

    Args:
        games: as `elo` takes them.
        players: how many there are.
        resamples: boards that are made; those in which players cannot be compared are left out.
        level: share of them inside the interval.
        seed: of the draws.

    Raises:
        InputError: as `fit_ratings` and `elo`; too few boards with finite ratings.
    """
    columns = _columns(games, players)
    points = fit_ratings(_wins(*columns, players)).points
    r, made = rng(seed, "bootstrap"), []
    for _ in range(resamples):
        drawn = r.integers(len(games), size=len(games))
        try:
            made.append(fit_ratings(_wins(*(c[drawn] for c in columns), players)).points)
        except InputError:
            continue
    if len(made) < resamples / 2:
        raise InputError(
            f"of {resamples} resampled boards {len(made)} have finite ratings; more games are "
            "needed"
        )
    edge = 50 * (1 - level)
    low, high = np.percentile(made, [edge, 100 - edge], axis=0)
    return Board(points, low, high, resamples - len(made))


def _check_game(i: int, j: int, score: float, players: int) -> None:
    if not (0 <= i < players and 0 <= j < players and i != j and 0 <= score <= 1):
        raise InputError(
            f"game is ({i}, {j}, {score}); it must be two of {players} players and a score "
            "from 0 to 1"
        )


def elo(games: Sequence[tuple[int, int, float]], players: int, step: float = 32.0) -> Array:
    """Ratings after a list of games, each moving two players by step (score - expected).

    The order of the games changes the result; `fit_ratings` has none.

    Args:
        games: (i, j, score of i): 1 won, 0.5 drawn, 0 lost.
        players: how many there are.
        step: K.

    Raises:
        InputError: a player that is not there, or a score out of [0, 1].
    """
    points = np.zeros(players)
    for i, j, score in games:
        _check_game(i, j, score, players)
        expected = 1 / (1 + 10 ** ((points[j] - points[i]) / 400))
        points[i] += step * (score - expected)
        points[j] -= step * (score - expected)
    return points
