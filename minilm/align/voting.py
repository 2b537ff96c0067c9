"""A blind vote between models: who meets whom, what was said of it, and the board that follows."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from minilm.align.arena import fit_ratings, leaderboard, wins_of
from minilm.backend import rng
from minilm.errors import InputError
from minilm.files import write_atomically

SCORES = {"a": 1.0, "b": 0.0, "=": 0.5}


class Ballots:
    """Votes between models whose names nobody sees while voting.

    Args:
        names: of the models, two or more, all different.
        path: a file of one vote a line, in JSON; those that are there count, and each new one is
            added at once. None keeps them in memory.
        seed: of who meets whom.

    Attributes:
        votes: what was said: dicts with "first", "second", "score" of the first and "prompt".

    Raises:
        InputError: fewer than two names, a name twice, or a file that holds something else.
    """

    def __init__(self, names: list[str], path: Path | None = None, seed: int = 0) -> None:
        if len(names) < 2 or len(set(names)) != len(names):
            raise InputError(
                f"models are {', '.join(names)}; there must be two or more, each named once"
            )
        self.names, self.path, self.seed = names, path, seed
        self.votes: list[dict[str, Any]] = [] if path is None else _read(path)

    @property
    def games(self) -> list[tuple[int, int, float]]:
        """The votes between models that are here, as `leaderboard` takes them."""
        place = {name: i for i, name in enumerate(self.names)}
        return [
            (place[v["first"]], place[v["second"]], v["score"])
            for v in self.votes
            if v["first"] in place and v["second"] in place
        ]

    def pair(self) -> tuple[int, int]:
        """Two models that have met least often, in random order."""
        met = np.zeros((len(self.names),) * 2)
        for i, j, _ in self.games:
            met[i, j] += 1
            met[j, i] += 1
        np.fill_diagonal(met, np.inf)
        r = rng(self.seed, "pair", len(self.votes))
        least = np.argwhere(met == met.min())
        first, second = least[r.integers(len(least))]
        return int(first), int(second)

    def vote(self, first: int, second: int, said: str, prompt: str) -> None:
        """Count a vote: "a" for the first, "b" for the second, "=" for neither.

        Raises:
            InputError: another word; a file that cannot be written.
        """
        if said not in SCORES:
            raise InputError(f"vote is {said!r}; it must be a, b or =")
        self.votes.append(
            {
                "first": self.names[first],
                "second": self.names[second],
                "score": SCORES[said],
                "prompt": prompt,
            }
        )
        if self.path is not None:
            lines = "".join(json.dumps(vote) + "\n" for vote in self.votes)
            write_atomically(self.path, lines.encode())

    def board(self) -> list[str]:
        """The board in lines, the best first: rating, interval, games; or what is missing."""
        games, count = self.games, len(self.names)
        if not games:
            return ["no votes yet"]
        wins = wins_of(games, count)
        played = (wins + wins.T).sum(1)
        try:
            made = leaderboard(games, count)
            points, low, high = made.points, made.low, made.high
        except InputError:
            try:
                points, low, high = fit_ratings(wins).points, None, None
            except InputError:
                rows = zip(self.names, wins.sum(1), played, strict=True)
                won = [f"{name}: {w:g} of {n:g} won" for name, w, n in rows]
                return [*won, "no ratings yet: somebody has only won, or only lost, so far"]
        lines = []
        for i in np.argsort(-points):
            span = "" if low is None else f" ({low[i]:+.0f} to {high[i]:+.0f})"
            lines.append(f"{points[i]:+6.0f}{span}  {self.names[i]}, {played[i]:.0f} games")
        if low is not None and made.overlapping():
            lines.append("intervals overlap: more votes may change the order")
        return lines


def _read(path: Path) -> list[dict[str, Any]]:
    """The votes of a file; none where there is no file yet."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    votes = []
    for number, line in enumerate(lines, 1):
        try:
            vote = json.loads(line)
            votes.append(vote)
            good = vote["score"] in SCORES.values() and all(
                isinstance(vote[name], str) for name in ("first", "second", "prompt")
            )
        except (ValueError, KeyError, TypeError):
            good = False
        if not good:
            raise InputError(f"{path}, line {number} is no vote; it must be what arena has written")
    return votes
