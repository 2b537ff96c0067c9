"""Answers by search: ways through a graph, the best one by full search or by tree search.

Two ways to find out where a question of several hops leads. `best_path` looks at every way of the
right length, level by level, and keeps the best. `tree_search` is Monte Carlo tree search: it
walks down the graph again and again, and goes more often where a judge liked what it found. Full
search asks the judge for every way, R^hops of them; tree search for as many as it is allowed.
"""

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from minilm import backend
from minilm.errors import InputError

Node = Hashable
Label = Hashable
Edges = Mapping[Node, Sequence[tuple[Label, Node]]]  # node -> what leads away from it


class Path(NamedTuple):
    """A way through a graph.

    Attributes:
        nodes: the start, then where each hop led.
        labels: of the edges taken, one fewer than the nodes.
        score: what the judge gave.
        judged: how many ways the judge was asked about.
    """

    nodes: tuple[Node, ...]
    labels: tuple[Label, ...]
    score: float
    judged: int

    @property
    def end(self) -> Node:
        """Where it leads."""
        return self.nodes[-1]


Judge = Callable[[Sequence[Label]], float]  # the labels of a whole way -> how well they fit


def ways(edges: Edges, start: Node, hops: int) -> list[tuple[tuple[Node, ...], tuple[Label, ...]]]:
    """Every way of so many hops, breadth first: (nodes, labels) each.

    A node that nothing leads away from ends a way early, and such a way is left out.

    Args:
        edges: the graph; a node that it lacks leads nowhere.
        start: where to begin.
        hops: edges of a way.

    Raises:
        InputError: hops below 1.
    """
    if hops < 1:
        raise InputError(f"hops is {hops}; it must be 1 or more")
    found: list[tuple[tuple[Node, ...], tuple[Label, ...]]] = [((start,), ())]
    for _ in range(hops):
        found = [
            ((*nodes, node), (*labels, label))
            for nodes, labels in found
            for label, node in edges.get(nodes[-1], ())
        ]
    return found


def best_path(edges: Edges, start: Node, hops: int, judge: Judge) -> Path | None:
    """The way whose labels the judge likes best; of equals, the first. None where there is no way.

    Args:
        edges, start, hops: as for `ways`.
        judge: a score of the labels of a way.

    Raises:
        InputError: hops below 1.
    """
    found = ways(edges, start, hops)
    if not found:
        return None
    scores = [judge(labels) for _, labels in found]
    best = max(range(len(found)), key=scores.__getitem__)
    return Path(*found[best], float(scores[best]), len(found))


@dataclass
class _Place:
    """What tree search knows about a node reached in a certain way."""

    node: Node
    label: Label = None
    visits: int = 0
    total: float = 0.0
    below: list["_Place"] | None = field(default=None)


def tree_search(
    edges: Edges,
    start: Node,
    hops: int,
    judge: Judge,
    visits: int,
    explore: float = 1.0,
    seed: int = 0,
) -> Path | None:
    """Monte Carlo tree search for the way that the judge likes best (Kocsis and Szepesvari 2006).

    Each visit walks down from the start. Where every edge has been tried, it takes the one with
    the largest mean + explore sqrt(2 ln n / n_i), UCT; n visits came here, n_i went on along i.
    Elsewhere it tries a new edge, and goes on at random. The judge then scores the whole way, and
    every place on it remembers the score. No way is judged twice.

    Args:
        edges, start, hops: as for `ways`.
        judge: a score from 0 to 1 of the labels of a way.
        visits: how often to walk down.
        explore: how much a place that was seldom seen is worth a look.
        seed: of the random walks.

    Returns:
        The best way that was judged, or None where no walk came to its end.

    Raises:
        InputError: hops or visits below 1, or explore below 0.
    """
    for name, value in (("hops", hops), ("visits", visits)):
        if value < 1:
            raise InputError(f"{name} is {value}; it must be 1 or more")
    if explore < 0:
        raise InputError(f"explore is {explore}; it must be 0 or more")
    rng = backend.rng(seed, "tree search")
    root, scores = _Place(start), {}
    best: tuple[float, list[_Place]] | None = None
    for _ in range(visits):
        walked = _walk(root, edges, hops, explore, rng.integers)
        if len(walked) <= hops:  # a dead end
            value = 0.0
        else:
            labels = tuple(place.label for place in walked[1:])
            key = labels, tuple(place.node for place in walked)
            if key not in scores:
                scores[key] = float(judge(labels))
            value = scores[key]
            if best is None or value > best[0]:
                best = value, walked
        for place in walked:
            place.visits += 1
            place.total += value
    if best is None:
        return None
    nodes, labels = (tuple(getattr(p, k) for p in best[1]) for k in ("node", "label"))
    return Path(nodes, labels[1:], best[0], len(scores))


def _walk(
    root: _Place, edges: Edges, hops: int, explore: float, draw: Callable[[int], int]
) -> list[_Place]:
    """The places of one visit, from the root down; shorter where it met a dead end."""
    walked = [root]
    for _ in range(hops):
        here = walked[-1]
        if here.below is None:
            here.below = [_Place(node, label) for label, node in edges.get(here.node, ())]
        if not here.below:
            break
        fresh = [place for place in here.below if place.visits == 0]
        if fresh:
            walked.append(fresh[int(draw(len(fresh)))])
        else:
            spread = 2 * math.log(sum(place.visits for place in here.below))
            walked.append(
                max(
                    here.below,
                    key=lambda p: p.total / p.visits + explore * math.sqrt(spread / p.visits),
                )
            )
    return walked
