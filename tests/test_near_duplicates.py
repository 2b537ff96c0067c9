"""MinHash compiled, bands, groups: against the formulas, brute force, and each other."""

import itertools
import random
import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from messy import WORDS, edited, program

from minilm.data import documents
from minilm.data.clean.fast_minhash import run_hashes, signature
from minilm.data.clean.groups import groups_of
from minilm.data.clean.near_duplicates import (
    clusters,
    collision_probability,
    dedup,
    jaccard,
    minhash,
    optimal_bands,
    permutations,
    shingles,
)
from minilm.errors import InputError

PIECES = st.sampled_from(
    ["a", "b", "C", " ", "\n", ".", "_", "7", "é", "ß", "İ", "日本", "x" * 70, "y" * 300, "\x00",
     "\ud800", "²", "٣", "e\u0301", "  "]
)  # fmt: skip


@given(st.lists(PIECES, max_size=60).map("".join), st.integers(1, 6))
@example("", 5)
@example("...", 5)
@example("a b c d", 5)
@example("w " * 4000, 5)
@example("x" * 5000 + " a b c d e", 5)
def test_compiled_signatures_equal_the_formula(text, n):
    a, b = permutations(64, seed=3)
    runs = shingles(text, n)
    hashes = run_hashes(text, n)
    assert (np.diff(hashes.astype(np.int64)) > 0).all()
    expected = minhash(runs, a, b)
    if runs == {""} or not runs:  # a text without words is a run without words
        expected = minhash({""}, a, b)
    np.testing.assert_array_equal(signature(hashes, a, b), expected)


def test_compiled_signatures_of_real_code():
    a, b = permutations()
    for text in documents("python-code")[::60]:
        runs, hashes = shingles(text), run_hashes(text)
        assert len(hashes) == len(runs)
        np.testing.assert_array_equal(signature(hashes, a, b), minhash(runs, a, b))


@pytest.mark.parametrize("size", [0, 1, 54, 55, 56, 63, 64, 119, 120, 183, 184, 247, 248, 1000])
def test_sha1_at_the_edges_of_its_blocks(size):
    import hashlib

    for more in range(3):
        word = "q" * (size + more)
        expected = int.from_bytes(hashlib.sha1(word.encode()).digest()[:4], "little")
        assert run_hashes(word).tolist() == [expected]


def test_factors_at_the_edges_of_the_prime():
    prime = 2**61 - 1
    a = np.array([1, 2, prime - 1, prime - 2, 2**60, 2**32, 2**32 - 1, 2**29], np.uint64)
    b = np.array([0, prime - 1, 1, prime - 1, 2**60, 5, 0, prime - 1], np.uint64)
    for h in (0, 1, 2**31, 2**32 - 1, 2**29, 12345):
        expected = [(int(x) * h + int(y)) % prime % 2**32 for x, y in zip(a, b)]
        assert signature(np.array([h], np.uint32), a, b).tolist() == expected


def test_the_chance_to_be_compared_is_an_s_curve():
    assert collision_probability(0.9, 25, 10) == pytest.approx(0.999978, abs=5e-7)
    assert (1 / 25) ** (1 / 10) == pytest.approx(0.72478, abs=5e-6)  # where it is steepest, about
    assert collision_probability((1 / 25) ** 0.1, 25, 10) == pytest.approx(1 - 0.96**25)
    assert collision_probability(0, 25, 10) == 0 and collision_probability(1, 25, 10) == 1


def test_how_often_pairs_meet_in_a_band_is_what_the_curve_says():
    """400 pairs of one similarity; the standard error of the share is at most 0.025."""
    a, b = permutations()
    rng = np.random.default_rng(0)
    for similarity in (0.6, 0.75, 0.8):
        both = round(200 * 2 * similarity / (1 + similarity))  # of 200 elements each
        true = both / (400 - both)
        met = 0
        for _ in range(400):
            values = np.unique(rng.integers(0, 2**32, 500, dtype=np.uint32))
            values = rng.permutation(values)[: 400 - both]
            one = signature(values[:200], a, b).reshape(-1)[:250].reshape(25, 10)
            two = signature(values[-200:], a, b)[:250].reshape(25, 10)
            met += (one == two).all(1).any()
        chance = collision_probability(true, 25, 10)
        assert abs(met / 400 - chance) < 4 * np.sqrt(chance * (1 - chance) / 400)


def test_the_standard_error_of_the_estimate():
    """sqrt(J (1 - J) / 256) at 0.7 is 0.02864; measured from 600 draws to 3 %, so within 12 %."""
    both, each = 140, 170  # J = 140 / 200
    rng = np.random.default_rng(1)
    estimates = []
    for seed in range(600):
        a, b = permutations(256, seed)
        values = rng.permutation(np.unique(rng.integers(0, 2**32, 300, dtype=np.uint32)))[:200]
        agree = signature(values[:each], a, b) == signature(values[each - both :], a, b)
        estimates.append(agree.mean())
    assert np.mean(estimates) == pytest.approx(0.7, abs=4 * 0.02864 / np.sqrt(600))
    assert np.std(estimates) == pytest.approx(0.02864, rel=0.12)


def brute_force(texts, threshold):
    """The groups from all pairs."""
    sets = [shingles(text) for text in texts]
    group = list(range(len(texts)))
    for i, j in itertools.combinations(range(len(texts)), 2):
        if jaccard(sets[i], sets[j]) >= threshold and group[i] != group[j]:
            old = max(group[i], group[j])
            new = min(group[i], group[j])
            group = [new if g == old else g for g in group]
    return group


@given(st.integers(0, 10**6))
@settings(max_examples=25)
def test_groups_equal_brute_force_where_similarity_is_high(seed):
    """At 0.9 the chance to miss one pair is 2e-5, and a group hangs together by several."""
    rng = random.Random(seed)
    texts = []
    for i in range(6):
        text = " ".join(rng.choice(WORDS) + str(rng.randrange(50)) for _ in range(300))
        texts += [edited(text, share, i) for share in (0, 0, 0.002, 0.004, 0.3)]
    rng.shuffle(texts)
    sets = [shingles(text) for text in texts]
    close = [jaccard(a, b) for a, b in itertools.combinations(sets, 2)]
    assert not any(0.6 < j < 0.9 for j in close)  # nothing that chance could decide
    groups = clusters(texts, 0.85)
    expected = brute_force(texts, 0.85)
    assert sorted(map(sorted, groups)) == sorted(
        [i for i, g in enumerate(expected) if g == name] for name in set(expected)
    )


@given(st.randoms(use_true_random=False))
@settings(max_examples=25)
def test_who_survives_does_not_depend_on_the_order(rng):
    texts = [program(i, 3) for i in range(5)]
    texts += [t + "\n# one more line" for t in texts[:3]] + [t.upper() for t in texts[:2]]
    first = sorted(dedup(texts))
    rng.shuffle(texts)
    assert sorted(dedup(texts)) == first
    assert len(first) == 5


def test_groups_are_connected_parts():
    """Of a chain whose neighbours are alike and whose ends are not, all are one group."""
    a, b = permutations()
    sets = [np.arange(k * 2, 200 + k * 2, dtype=np.uint32) for k in range(12)]
    signatures = np.stack([signature(one, a, b) for one in sets])
    offsets = np.cumsum([0, *map(len, sets)])
    assert jaccard(set(sets[0].tolist()), set(sets[-1].tolist())) < 0.81
    assert groups_of(signatures, np.concatenate(sets), offsets, 0.9).tolist() == [0] * 12
    apart = [np.arange(k * 1000, k * 1000 + 50, dtype=np.uint32) for k in range(5)]
    signatures = np.stack([signature(one, a, b) for one in apart])
    offsets = np.cumsum([0, *map(len, apart)])
    assert groups_of(signatures, np.concatenate(apart), offsets).tolist() == [0, 1, 2, 3, 4]


def test_few_and_mistaken_documents():
    none = np.zeros(0, np.uint32)
    assert groups_of(none.reshape(0, 256), none, np.array([0])).tolist() == []
    assert clusters([]) == [] and clusters(["one"]) == [[0]] and dedup([]) == []
    assert clusters(["", "...", "x"]) == [[0, 1], [2]]
    with pytest.raises(InputError, match="offsets has 1 numbers; with 2 signatures it must have 3"):
        groups_of(np.zeros((2, 256), np.uint32), none, np.array([0]))
    with pytest.raises(InputError, match="threshold is 0"):
        clusters(["a", "b"], 0)
    assert optimal_bands(0.7, 256) == (25, 10)


def test_grouping_needs_little_memory_for_each_document():
    """Beside what lies on disk, at most 64 bytes a document, for twice as many twice as much."""
    a, b = permutations()
    peaks = []
    for count in (4000, 8000):
        rng = np.random.default_rng(0)
        sets = np.sort(rng.integers(0, 2**32, (count, 6), dtype=np.uint32), axis=1)
        signatures = np.stack([signature(one, a, b) for one in sets])
        offsets = np.arange(count + 1) * 6
        groups_of(signatures[:3], sets.reshape(-1), offsets[:4])  # compiled
        tracemalloc.start()
        groups_of(signatures, sets.reshape(-1), offsets)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 64 * 8000 and peaks[1] < 2.2 * peaks[0]
