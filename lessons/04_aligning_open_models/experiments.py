"""What lesson 04 runs beside its page: best of n elsewhere, judges that love length, a board."""

from collections.abc import Sequence

import numpy as np

from minilm import align
from minilm.align.arena import Board, elo, leaderboard
from minilm.align.judging import length_controlled, preference
from minilm.backend import rng
from minilm.data.worlds.animals import PROMPT, AnimalWorld
from minilm.data.worlds.listed import ListedWorld

WORLD, LISTED = AnimalWorld(), ListedWorld()
SHORT, LONG = (0.8, 0.1), (0.73, 0.3)  # about the same gold reward on average
PULL = 0.2  # of the judge that loves length: log-odds for each token
SYSTEMS = {  # name -> how often a fact is looked up, how often a sentence says nothing
    "ada": (0.90, 0.10),
    "bo": (0.85, 0.10),
    "cy": (0.83, 0.10),
    "dee": (0.80, 0.15),
    "eve": (0.70, 0.20),
    "fay": (0.50, 0.20),
}


def shortfalls(draws: Sequence[int], count: int = 100) -> np.ndarray:
    """How far the best of n stays below the best policy of its divergence, at worst; a world each.

    Nothing is trained or drawn: the reference of a world is what its model would have read, and both
    policies are listed. So what comes out has no error of estimation, and no setting changes it.
    """
    found = []
    for seed in range(100, 100 + count):  # none that a run uses
        ref = LISTED.spoken(seed)
        gold = LISTED.gold(seed, ref)
        ways = [align.best_of_n(ref, gold, n) for n in draws]
        tops = [align.optimal_at(ref, gold, align.divergence_of(way, ref)) for way in ways]
        found.append(max(float((top - way) @ gold) for way, top in zip(ways, tops, strict=True)))
    return np.array(found)


def answers(seed: int, n: int, true: float, filler: float, sentences: range) -> np.ndarray:
    """n answers to the animals in turn, with a number of sentences in a range; (n, 25) ids."""
    wanted, kept, part = np.arange(n) % 16, [], 0
    while sum(map(len, kept)) < n:
        animals = wanted[sum(map(len, kept)) :]
        ids, said = WORLD.demonstrations(len(animals), seed + 1000 * part, true, filler, animals)
        fits = np.isin((said.sum(1) - 1) // 4, sentences)
        kept.append(ids[: len(fits) if fits.all() else int(np.argmin(fits))])
        part += 1
    return np.concatenate(kept)


def lengths(ids: np.ndarray) -> np.ndarray:
    """Tokens of each answer."""
    return WORLD.counts(ids).length


def judged(seed: int, n: int = 3000) -> dict[str, float]:
    """How often a long-winded system beats a short one of the same quality, by two judges, in %.

    Both say equally many true things; the long one adds what is worth nothing and costs little.
    """
    short = answers(seed, n, *SHORT, range(1, 3))
    long = answers(seed + 500, n, *LONG, range(2, 5))
    gap = WORLD.gold(long) - WORLD.gold(short)
    longer = lengths(long) - lengths(short)
    found = {}
    for judge, pull in (("fair judge", 0.0), ("judge that loves length", PULL)):
        won = rng(seed, "judge", judge).random(n) < preference(gap, longer, pull)
        rates = length_controlled(won, longer)
        found[judge] = 100 * rates.raw
        found[f"{judge}, controlled"] = 100 * rates.controlled
    return found


def battles(seed: int, each: int) -> list[tuple[int, int, float]]:
    """Games of the six systems, `each` for every two, by a fair judge, in random order."""
    r, games = rng(seed, "battles"), []
    gold = [
        WORLD.gold(WORLD.demonstrations(4000, 77 + i, *recipe)[0])
        for i, recipe in enumerate(SYSTEMS.values())
    ]
    for i in range(len(SYSTEMS)):
        for j in range(i):
            ours, theirs = r.choice(gold[i], each), r.choice(gold[j], each)
            won = r.random(each) < preference(ours - theirs, 0.0)
            games += [(i, j, float(w)) for w in won]
    return [games[k] for k in r.permutation(len(games))]


def board(seed: int, each: int, resamples: int = 100) -> Board:
    """The board of these games."""
    return leaderboard(battles(seed, each), len(SYSTEMS), resamples, seed=seed)


def elo_orders(seed: int, each: int, shuffles: int = 50) -> list[tuple[int, ...]]:
    """The ranking that Elo gives for the same games in different orders."""
    games, r = battles(seed, each), rng(seed, "shuffles")
    ranked = []
    for _ in range(shuffles):
        points = elo([games[k] for k in r.permutation(len(games))], len(SYSTEMS))
        ranked.append(tuple(np.argsort(-points).tolist()))
    return ranked


def first_answers(seeds: Sequence[int]) -> list[str]:
    """A short and a long answer to one prompt, as words: the first in which the long one pads."""
    short = answers(seeds[0], 160, *SHORT, range(1, 3))
    long = answers(seeds[0] + 500, 160, *LONG, range(2, 5))
    pads = (WORLD.counts(long).fillers > 0) & (lengths(long) > lengths(short) + 4)
    row = int(np.flatnonzero(pads)[0])
    return [WORLD.text(ids[row, PROMPT:]) for ids in (short, long)]
