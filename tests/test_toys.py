"""Toy tasks: every rule read back one token at a time by plain Python."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilm.backend import IGNORE
from minilm.data import toys
from minilm.data.toys import facts as toys_facts
from minilm.errors import InputError


def answers(pairs):
    """Scored target tokens of each example."""
    return [[t for t in row if t != IGNORE] for row in pairs.target.tolist()]


def check_feeding(pairs, begin):
    """What the decoder reads at a scored place is the token before it."""
    assert (pairs.fed[:, 0] == begin).all()
    known = pairs.target[:, :-1] != IGNORE
    assert (pairs.fed[:, 1:][known] == pairs.target[:, :-1][known]).all()
    for array in (pairs.source, pairs.fed):
        assert array.dtype == np.int32 and array.min() >= 0 and array.max() < pairs.vocab_size
    assert pairs.target.max() < pairs.vocab_size


@given(st.integers(1, 9), st.integers(0, 4), st.booleans(), st.integers(0, 99))
def test_copy_and_reverse(low, more, reverse, seed):
    pairs = toys.copy(6, (low, low + more), symbols=5, reverse=reverse, seed=seed)
    check_feeding(pairs, 7)
    for source, answer in zip(pairs.source.tolist(), answers(pairs), strict=True):
        given = [s for s in source if s != 5]
        assert low <= len(given) <= low + more and set(source[len(given) :]) <= {5}
        assert answer == (given[::-1] if reverse else given) + [6]


def test_chains_share_their_sources_and_end_in_the_same_answer():
    direct = toys.modular_chain(50, steps=4, modulus=11, seed=2)
    written = toys.modular_chain(50, steps=4, modulus=11, scratchpad=True, seed=2)
    check_feeding(direct, 11)
    check_feeding(written, 11)
    assert (direct.source == written.source).all()
    assert (direct.target[:, 0] == written.target[:, -1]).all()
    for source, sums in zip(written.source.tolist(), written.target.tolist(), strict=True):
        total, expected = source[0], []
        for addend in source[1:]:
            total = (total + addend) % 11
            expected.append(total)
        assert sums == expected


def test_translation_is_a_function_of_words_and_their_neighbours():
    task = toys.Translation(words=10, length=6)
    pairs = task.sample(3000, seed=1)
    check_feeding(pairs, 30)
    assert pairs.source.max() < 10 <= pairs.target.min() and pairs.target.max() < 30
    seen = {}
    for source, target in zip(pairs.source.tolist(), pairs.target.tolist(), strict=True):
        for start in (0, 3):
            for i in range(3):
                place = start + i
                key = (source[place], source[(place + 1) % 6] % 2)
                assert seen.setdefault(key, target[start + 2 - i]) == target[start + 2 - i]
    ambiguous = [w for w in range(10) if seen[w, 0] != seen[w, 1]]
    assert 0 < len(ambiguous) < 10
    assert len(set(seen.values())) == 10 + len(ambiguous)  # no two words share a translation
    other = toys.Translation(words=10, length=6, world=8)
    assert (other.translate(pairs.source) != pairs.target).any()


@pytest.mark.parametrize("source, target", [(120, 8), (64, 64), (8, 120), (5, 3), (3, 5)])
def test_length_ratios(source, target):
    pairs = toys.lengths(20, source, target, symbols=7, seed=3)
    assert pairs.source.shape == (20, source) and pairs.target.shape == (20, target)
    check_feeding(pairs, 7)
    for given_, answer in zip(pairs.source.tolist(), pairs.target.tolist(), strict=True):
        place = 0
        for token in answer:
            rounds, here = divmod(place, source)
            assert token == (given_[here] + rounds) % 7
            place += max(1, source // target)
    ids, targets = pairs.joined()
    assert ids.shape == targets.shape == (20, source + target)
    assert (targets[:, :source] == IGNORE).all() and (targets[:, source:] == pairs.target).all()
    assert pairs.scored() == 20 * target and len(pairs[:4]) == 4


def test_expand_follows_its_permutation():
    pairs = toys.expand(400, symbols=9, seed=4)
    check_feeding(pairs, 21)
    step = {}
    for source, answer in zip(pairs.source.tolist(), answers(pairs), strict=True):
        counts = [c - 9 for c in source[1::2]]
        assert all(3 <= c <= 10 for c in counts) and len(answer) == sum(counts) + 1
        assert answer[-1] == 9 + 11
        start = 0
        for symbol, count in zip(source[::2], counts, strict=True):
            chain = answer[start : start + count]
            assert chain[0] == symbol
            for a, b in zip(chain[:-1], chain[1:], strict=True):
                assert step.setdefault(a, b) == b
            start += count
    assert sorted(step) == sorted(step.values()) == list(range(9))


def test_local_grammar_follows_its_table_and_its_topic():
    task = toys.LocalGrammar(symbols=4, world=1)
    ids, far = task.sample(6000, length=40, seed=5)
    assert ids.shape == far.shape == (6000, 41) and ids.dtype == np.int32
    assert 0.045 < toys.LocalGrammar().sample(2000)[1][:, 1:].mean() < 0.055
    mark = task.symbols
    rows, columns = np.nonzero(far)
    assert (ids[rows, columns] == ids[rows, 0]).all()
    assert (ids[rows, columns - 1] == mark).all() and columns.min() >= 9
    assert (far[:, 1:] == (ids[:, :-1] == mark)).all()
    counts = np.zeros((4, 4, 4))
    for row in ids[:, 1:8]:  # before any mark
        for a, b, c in zip(row[:-2], row[1:-1], row[2:], strict=True):
            counts[a, b, c] += 1
    n = counts.sum(axis=-1, keepdims=True)
    table = task.table()
    spread = np.sqrt(table * (1 - table) / n)
    assert (np.abs(counts / n - table) < 5 * spread + 1e-9).all()


def test_fact_questions_agree_with_the_table():
    table = toys_facts.FactTable(facts=500, values=8)
    rows = {(a, b): v for a, b, v in table.rows.tolist()}
    assert len(rows) == 500
    plain = table.sample(400, seed=1)
    check_feeding(plain, table.vocab_size - 1)
    for source, target in zip(plain.source.tolist(), plain.target.tolist(), strict=True):
        assert rows[tuple(source)] == target[0]
    shown = table.sample(400, distractors=3, seed=1)
    assert (shown.source[:, -2:] == plain.source).all() and shown.source.shape == (400, 14)
    for source, target in zip(shown.source.tolist(), shown.target.tolist(), strict=True):
        context = [tuple(source[i : i + 3]) for i in range(0, 12, 3)]
        assert context.count((*source[-2:], *target)) == 1
        assert all(rows[a, b] == v for a, b, v in context)


def test_facts_are_asked_with_zipf_frequencies_and_by_rank():
    table = toys_facts.FactTable(facts=1000)
    n = 100_000
    first = table.sample(n).source
    top = (first == table.rows[0, :2]).all(axis=1).mean()
    p = 1 / sum(1 / k for k in range(1, 1001))
    assert abs(top - p) < 4 * (p * (1 - p) / n) ** 0.5
    asked = table.ask(np.array([3, 999]))
    assert (asked.source == table.rows[[3, 999], :2]).all()
    small = toys_facts.FactTable(facts=4).ask(np.arange(4), distractors=3)
    for source in small.source.tolist():
        assert len({tuple(source[i : i + 3]) for i in range(0, 12, 3)}) == 4


def test_shared_facts_keep_their_roles():
    task = toys_facts.SharedFacts(entities=20, relations=4)
    table = {(x, r): y for x, r, y in task.rows.tolist()}
    assert len(table) == 80
    for r in range(4):
        assert sorted(table[x, r] for x in range(20)) == list(range(20))
    sets = {w: {tuple(f) for f in task.facts(w).tolist()} for w in ("both", "asked", "told")}
    assert sum(map(len, sets.values())) == 80 and all(sets.values())
    pairs = task.sample(2000, seed=1)
    ask, tell, begin = 24, 25, 26
    check_feeding(pairs, begin)
    forms = {ask: set(), tell: set()}
    for source, target, fed in zip(pairs.source, pairs.target, pairs.fed, strict=True):
        if source[0] == ask:
            forms[ask].add((source[1], source[2] - 20, target[0]))
            assert (target[1:] == IGNORE).all()
        else:
            assert (np.flatnonzero(target != IGNORE) == [3, 7]).all()
            for start in (0, 4):
                x, r = fed[start + 1], fed[start + 2] - 20
                assert fed[start + 3] == begin
                forms[tell].add((x, r, target[start + 3]))
    assert forms[ask] == sets["both"] | sets["asked"]
    assert forms[tell] == sets["both"] | sets["told"]
    swap = task.swapped()
    crossed = {
        (s[1], s[2] - 20, t[0])
        for s, t in zip(
            swap["told, then asked"].source, swap["told, then asked"].target, strict=True
        )
    }
    assert crossed == sets["told"]
    assert len(swap["asked, then told"]) == len(sets["asked"])


def test_chat_turns():
    turns = toys.chat(3, 5, 7, vocab_size=9)
    assert [(len(u), len(a)) for u, a in turns] == [(5, 7)] * 3
    assert all(part.max() < 9 for turn in turns for part in turn)


def test_the_same_seed_gives_the_same_arrays():
    for make in (
        lambda seed: toys.copy(5, (3, 6), seed=seed).joined(),
        lambda seed: toys.Translation().sample(5, seed).joined(),
        lambda seed: toys.expand(5, seed=seed).joined(),
        lambda seed: toys.LocalGrammar().sample(5, seed=seed),
        lambda seed: toys_facts.FactTable().sample(5, 2, seed).joined(),
        lambda seed: toys_facts.SharedFacts().sample(6, seed).joined(),
    ):
        first, again, other = make(1), make(1), make(2)
        assert all((a == b).all() for a, b in zip(first, again, strict=True))
        assert any((a != b).any() for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: toys.copy(0, 3), "n is 0"),
        (lambda: toys.copy(3, (5, 4)), "second number"),
        (lambda: toys.modular_chain(3, modulus=1), "modulus is 1"),
        (lambda: toys.Translation(length=7), "multiple of 3"),
        (lambda: toys.LocalGrammar(far=1.5), "far is 1.5"),
        (lambda: toys_facts.FactTable(facts=5).ask([5]), "ranks must lie in 0..4"),
        (lambda: toys_facts.FactTable(facts=5).sample(2, distractors=5), "4 other facts"),
        (lambda: toys_facts.SharedFacts().facts("none"), "which is 'none'"),
        (lambda: toys.chat(1, 0, 1), "user is 0"),
    ],
)
def test_bad_input_is_one_sentence(call, words):
    with pytest.raises(InputError, match=words):
        call()
