"""A suffix array finds every place of a piece, as a search through all documents does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilm.analysis.attribution import Attribution
from minilm.errors import InputError

TEXTS = st.lists(st.text(alphabet="abé\n", max_size=12), min_size=1, max_size=5)


def places(documents: list[str], piece: str) -> list[tuple[int, int]]:
    wanted, found = piece.encode(), []
    for i, text in enumerate(documents):
        data = text.encode()
        found += [(i, at) for at in range(len(data)) if data[at:].startswith(wanted)]
    return found


@settings(deadline=None, max_examples=60)
@given(TEXTS, st.text(alphabet="abé\n", min_size=1, max_size=4))
def test_it_finds_what_a_search_finds(documents, piece):
    assert Attribution(documents).find(piece) == places(documents, piece)


@settings(deadline=None, max_examples=40)
@given(TEXTS, st.text(alphabet="ab\n", max_size=14), st.integers(1, 4))
def test_passages_are_the_longest_that_occur(documents, text, least):
    """Against brute force: the longest stretch from each start, none inside another."""
    wanted, reached = [], 0
    for start in range(len(text)):
        stops = [stop for stop in range(start + least, len(text) + 1)
                 if any(text[start:stop] in one for one in documents)]  # fmt: skip
        if stops and max(stops) > reached:
            reached = max(stops)
            holders = tuple(i for i, one in enumerate(documents) if text[start:reached] in one)
            wanted.append((start, reached, text[start:reached], holders))
    assert [tuple(p) for p in Attribution(documents).passages(text, least)] == wanted


def test_suffixes_of_many_equal_letters_are_sorted():
    index = Attribution(["a" * 3000, "b" + "a" * 10])
    assert len(index.find("a" * 9)) == 2992 + 2
    assert index.find("ba") == [(1, 0)] and index.find("c") == []


def test_a_copied_function_is_traced_to_its_file():
    rng = np.random.default_rng(0)
    files = ["".join(rng.choice(list("abcdef \n"), 400)) for _ in range(20)]
    written = f"def mine():\n    pass\n{files[7][100:180]}\nreturn 3\n"
    (passage,) = Attribution(files).passages(written, least=30)
    assert passage.documents == (7,) and passage.stop - passage.start >= 80


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: Attribution([]), "documents is empty"),
        (lambda: Attribution(["a\0"]), r"documents\[0\] holds a NUL"),
        (lambda: Attribution(["a"]).find(""), "piece is empty"),
        (lambda: Attribution(["a"]).passages("a", 0), "least is 0"),
    ],
)
def test_what_cannot_be_searched_is_refused(call, said):
    with pytest.raises(InputError, match=said):
        call()
