"""MinHash and LSH of datasketch: the same signatures, bands and groups."""

import numpy as np
import pytest

from minilm.bench.data import edited, our_groups, recall, small_permutations, their_groups
from minilm.data import documents
from minilm.data.clean.fast_minhash import run_hashes, signature
from minilm.data.clean.near_duplicates import optimal_bands, shingles
from tests.messy import program

pytestmark = pytest.mark.oracle


def test_signatures_are_those_of_datasketch():
    from datasketch import MinHash

    a, b = small_permutations()
    for text in [*documents("python-code")[::150], "", "short", "é ü ß " * 30]:
        theirs = MinHash(num_perm=256, scheme="legacy", permutations=(a, b))
        theirs.update_batch([run.encode() for run in shingles(text) or {""}])
        np.testing.assert_array_equal(signature(run_hashes(text), a, b), theirs.hashvalues)


def test_bands_are_those_that_datasketch_chooses():
    from datasketch.lsh import _optimal_param

    for threshold, count in [(0.7, 256), (0.5, 256), (0.85, 256), (0.8, 128), (0.9, 64)]:
        assert optimal_bands(threshold, count) == _optimal_param(threshold, count, 0.5, 0.5)


def test_groups_are_those_of_datasketch_on_copies_with_0_to_30_percent_of_edits():
    import random

    rng = random.Random(0)
    texts = [program(i) for i in range(30)]
    copies = [edited(text, 0.3 * (i / 30) ** 2, rng) for i, text in enumerate(texts)]
    texts += copies
    rng.shuffle(texts)
    a, b = small_permutations()
    ours = our_groups(texts, a, b)
    assert ours == their_groups(texts, scheme="legacy", permutations=(a, b))
    pairs, share = recall(texts, ours)
    assert pairs >= 10 and share >= 0.8  # from brute force over all pairs
