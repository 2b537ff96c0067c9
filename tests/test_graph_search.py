"""Search through a graph, against every way written out; tree search against full search."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilm.data.worlds.relations import RelationWorld
from minilm.errors import InputError
from minilm.inference.graph_search import best_path, tree_search, ways

NODES = st.integers(0, 4)
GRAPHS = st.dictionaries(NODES, st.lists(st.tuples(st.sampled_from("abc"), NODES), max_size=4))


@settings(max_examples=80, deadline=None)
@given(GRAPHS, NODES, st.integers(1, 3))
def test_every_way_is_found_once(edges, start, hops) -> None:
    """Against all rows of edges, of which those that hang together are ways."""
    listed = [(a, label, b) for a, out in edges.items() for label, b in out]
    wanted = [
        ((start, *(b for _, _, b in row)), tuple(label for _, label, _ in row))
        for row in itertools.product(listed, repeat=hops)
        if row[0][0] == start and all(x[2] == y[0] for x, y in itertools.pairwise(row))
    ]
    assert sorted(ways(edges, start, hops)) == sorted(wanted)


@settings(max_examples=60, deadline=None)
@given(GRAPHS, NODES, st.integers(1, 3), st.integers(0, 5))
def test_the_best_way_is_the_best(edges, start, hops, seed) -> None:
    value = {label: v for label, v in zip("abc", np.random.default_rng(seed).random(3).tolist())}

    def judge(labels):
        return math.prod(value[label] for label in labels)

    found = best_path(edges, start, hops, judge)
    every = ways(edges, start, hops)
    if not every:
        assert found is None
        return
    assert found.score == max(judge(labels) for _, labels in every)
    assert (found.nodes, found.labels) in every and found.judged == len(every)
    first = next(way for way in every if judge(way[1]) == found.score)
    assert (found.nodes, found.labels) == first and found.end == found.nodes[-1]


@settings(max_examples=40, deadline=None)
@given(GRAPHS, NODES, st.integers(1, 3), st.integers(1, 40), st.integers(0, 3))
def test_tree_search_finds_ways_of_the_graph(edges, start, hops, visits, seed) -> None:
    asked = []

    def judge(labels):
        asked.append(labels)
        return labels.count("a") / len(labels)

    found = tree_search(edges, start, hops, judge, visits, seed=seed)
    if found is None:
        assert not asked
        return
    assert (found.nodes, found.labels) in ways(edges, start, hops)
    assert found.judged == len(asked) <= visits
    assert found.score == max(labels.count("a") / len(labels) for labels in asked)


def test_with_enough_visits_it_finds_what_full_search_finds() -> None:
    """It must in the end: what is worth a look grows without bound where it never goes."""
    world = RelationWorld(people=12, relations=4)
    edges = world.graph()
    r = np.random.default_rng(0)
    for start in range(6):
        weights = r.dirichlet(np.ones(4), 3)

        def judge(labels, weights=weights):
            return math.prod(row[label] for row, label in zip(weights, labels))

        full = best_path(edges, start, 3, judge)
        tree = tree_search(edges, start, 3, judge, 4000, explore=2.0, seed=start)
        assert (tree.nodes, tree.labels) == (full.nodes, full.labels)
        assert tree.score == full.score and tree.judged <= full.judged == 64


def test_a_judge_that_likes_parts_of_a_way_saves_looks() -> None:
    """Of 4^5 ways one is all right, and others score by how many hops are."""
    world = RelationWorld(people=30, relations=4)
    edges, looks, found = world.graph(), [], 0
    for seed in range(8):
        right = np.random.default_rng(seed).integers(0, 4, 5).tolist()
        path = tree_search(
            edges, seed, 5, lambda x, r=right: np.mean([a == b for a, b in zip(x, r)]), 400,
            explore=0.5, seed=seed,
        )  # fmt: skip
        looks.append(path.judged)
        found += path.labels == tuple(right)
    assert found >= 6 and max(looks) <= 400 < 4**5  # by chance 400 of 1024 would be 3 of 8


def test_a_seed_gives_the_same_search() -> None:
    edges = RelationWorld(people=12).graph()
    judge = {0: 0.1, 1: 0.3, 2: 0.2, 3: 0.9}

    def score(labels):
        return sum(judge[label] for label in labels) / 2

    one, again = (tree_search(edges, 0, 2, score, 9, seed=3) for _ in range(2))
    assert one == again


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(InputError, match="hops is 0; it must be 1 or more"):
        ways({}, 0, 0)
    with pytest.raises(InputError, match="visits is 0; it must be 1 or more"):
        tree_search({}, 0, 1, lambda labels: 0.0, 0)
    with pytest.raises(InputError, match="explore is -1"):
        tree_search({}, 0, 1, lambda labels: 0.0, 5, explore=-1)
    assert tree_search({}, 0, 1, lambda labels: 1.0, 5) is None
    assert best_path({0: [("a", 1)]}, 0, 2, lambda labels: 1.0) is None
