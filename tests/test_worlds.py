"""Worlds: their labels, their rules read back by an independent parser, their entropies."""

import math
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilm.analysis import metrics
from minilm.data.worlds import quotes as worlds_quotes
from minilm.data.worlds import words as words_of
from minilm.data.worlds import world as worlds
from minilm.data.worlds.tasks import ENTROPIES, GENERATORS
from minilm.errors import InputError

WORLD = worlds.TaskWorld()
QUOTES = worlds_quotes.QuoteWorld()


@pytest.fixture(scope="module")
def corpus():
    return WORLD.sample(120_000, seed=3)


def segments(corpus):
    """(task, words, scored) of every whole segment, cut at the full stops."""
    ends = np.flatnonzero(corpus.tokens == WORLD.END)
    start = 0
    for end in ends:
        part = slice(start, end + 1)
        assert len(set(corpus.labels[part])) == 1
        words = [corpus.words[i] for i in corpus.tokens[part]]
        yield corpus.tasks[corpus.labels[start]], words, corpus.scored[part].tolist()
        start = end + 1


def category_of(word):
    place = np.argwhere(WORLD.nouns == WORLD.vocabulary.index(word))
    return int(place[0, 0]) if len(place) else None


def facts_table():
    return {
        (WORLD.vocabulary[a], WORLD.vocabulary[b]): WORLD.vocabulary[v]
        for (a, b), v in zip(WORLD.fact_names, WORLD.fact_values, strict=True)
    }


def test_every_segment_obeys_its_rule(corpus):
    good = {w for w, _ in words_of.pairs(words_of.GOOD)}
    spanish = dict(words_of.pairs(words_of.GOOD) + words_of.pairs(words_of.BAD))
    for text in words_of.CATEGORIES.values():
        spanish |= dict(words_of.pairs(text))
    table = facts_table()
    assert len(table) == WORLD.facts
    seen = Counter()
    for task, words, scored in segments(corpus):
        seen[task] += 1
        if task == "grammar":
            verb = max(i for i, w in enumerate(words) if w in ("is", "are"))
            assert words[verb] == ("are" if words[1] in words_of.PLURAL else "is")
            assert words[2:verb:3] == ["near"] * ((verb - 2) // 3) and scored.index(True) == verb
        elif task == "lexical":
            items = words[1:4]
            assert len(set(items)) == 3 and len({category_of(w) for w in items}) == 1
            assert scored.index(True) == 3
        elif task == "facts":
            assert table[words[0], words[1]] == words[3] and scored.index(True) == 3
        elif task == "sentiment":
            votes = sum(w in good for w in words[1:6])
            assert words[7] == ("good" if votes > 2 else "bad") and scored.index(True) == 7
        elif task == "translation":
            assert words[4:6] == [spanish[words[2]], spanish[words[1]]]
            assert [i for i, s in enumerate(scored) if s] == [4, 5]
        elif task == "spatial":
            rooms = dict(zip(words[0:8:2], words[1:8:2], strict=True))
            assert rooms[words[9]] == words[10] and scored.index(True) == 10
            assert len(rooms) <= 3
        else:
            a, b = int(words[0] + words[1]), int(words[3] + words[4])
            assert words[6:9] == list(reversed(f"{a + b:03d}"))
            assert [i for i, s in enumerate(scored) if s] == [6, 7, 8]
    assert set(seen) == set(worlds.TASKS)


def test_modular_arithmetic_is_right():
    world = worlds.TaskWorld(modular=0.5)
    corpus = world.sample(20_000, mixture={"arithmetic": 1.0})
    count = Counter()
    for line in corpus.text().split(" . ")[:-1]:
        left, right = line.split(" = ")
        number = left.replace(" ", "")
        answer = int("".join(reversed(right.split())))
        count["*" in number] += 1
        total = sum(math.prod(map(int, part.split("*"))) for part in number.split("+"))
        assert answer == (total % 97 if "*" in number else total)
    assert 0.4 < count[True] / sum(count.values()) < 0.6


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(1, 20), min_size=7, max_size=7),
    st.integers(0, 1000),
    st.integers(4096, 60_000),
)
def test_labels_meet_the_request(parts, seed, tokens):
    mixture = {t: p / sum(parts) for t, p in zip(worlds.TASKS, parts, strict=True)}
    corpus = WORLD.sample(tokens, seed, mixture)
    assert len(corpus.tokens) == len(corpus.labels) == len(corpus.scored) == tokens
    for task, share in corpus.histogram().items():
        assert abs(share - mixture[task]) < 0.01
    assert corpus.tokens.min() >= 0 and corpus.tokens.max() < WORLD.vocab_size


def test_labels_meet_the_request_within_one_percent_of_each_share(corpus):
    for task, share in corpus.histogram().items():
        assert abs(share / worlds.MIXTURE[task] - 1) < 0.01


def test_streams_are_the_same_in_another_process(corpus):
    code = (
        "from minilm.data.worlds import quotes as q, world as worlds;"
        "print(worlds.TaskWorld().sample(120_000, seed=3).digest());"
        "print(q.QuoteWorld().sample(9999).digest())"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == [corpus.digest(), QUOTES.sample(9999).digest()]
    assert WORLD.sample(120_000, seed=4).digest() != corpus.digest()


def test_short_streams_and_one_task():
    for tokens in (1, 2, 31):
        assert len(WORLD.sample(tokens)) == tokens
    only = WORLD.sample(500, mixture={"facts": 1.0})
    assert only.histogram()["facts"] == 1


def test_words_are_all_different_in_every_world():
    for world in (WORLD, worlds.TaskWorld(12, 12, facts=60_000, modular=0.2), QUOTES):
        assert len(set(world.vocabulary)) == len(world.vocabulary) == world.vocab_size
    text = "review pretty cruel stale verdict"
    assert WORLD.decode(WORLD.encode(text)) == text


def test_zipf_masses():
    world = worlds.TaskWorld(facts=10_000)
    mass = np.cumsum(world.fact_probability)[[9, 99, 999, 2999]]
    assert [f"{m:.4f}" for m in mass] == ["0.2993", "0.5300", "0.7648", "0.8770"]
    corpus = world.sample(300_000, mixture={"facts": 1.0})
    names = corpus.tokens.reshape(-1, 5)[:, :2]
    top = {tuple(n) for n in world.fact_names[:10].tolist()}
    share = np.mean([tuple(n) in top for n in names.tolist()])
    assert share == pytest.approx(0.2993, abs=4 * math.sqrt(0.21 / 60_000))


SMALL = worlds.TaskWorld(categories=2, words=3, facts=40)


@pytest.mark.parametrize(
    "task, kept, rest",
    [
        ("lexical", slice(5), 0.0),
        ("facts", slice(5), 0.0),
        ("translation", slice(7), 0.0),
        ("arithmetic", [0, 1, 3, 4], 0.0),
        ("spatial", [0, 2, 4, 6, 9], 4 * math.log(8)),  # agents; the rooms are uniform
    ],
)
def test_entropy_of_a_segment_equals_the_counted_one(task, kept, rest):
    """Few words and facts: every segment recurs, so its frequency can be counted."""
    n = 300_000
    made = GENERATORS[task](SMALL, np.random.default_rng(0), n)
    entropy = ENTROPIES[task](SMALL)
    assert made.lengths.mean() == entropy.length
    assert made.scored.sum() == n * entropy.scored_tokens
    columns = made.rows[:, kept].astype(np.int64)
    keys = columns @ SMALL.vocab_size ** np.arange(columns.shape[1])
    _, counts = np.unique(keys, return_counts=True)
    p = counts / n
    counted = -(p * np.log(p)).sum() + (len(counts) - 1) / (2 * n)  # Miller-Madow correction
    assert counted + rest == pytest.approx(entropy.total, abs=0.01)


def test_entropy_of_grammar():
    n = 100_000
    made = GENERATORS["grammar"](WORLD, np.random.default_rng(0), n)
    entropy = ENTROPIES["grammar"](WORLD)
    assert made.lengths.mean() == pytest.approx(entropy.length, abs=0.05)
    depth = made.scored.argmax(axis=1)
    nats = 0.0
    for place in (2, 5, 8, 11):
        here = (depth == place).sum()
        nats -= here / n * math.log(here / (depth >= place).sum())
    assert nats == pytest.approx(entropy.scored, abs=0.01)
    by_depth = [math.log(4) + (1 + d) * math.log(20) + math.log(24) for d in range(4)]
    assert entropy.total == pytest.approx(np.mean(by_depth))


def test_entropy_of_the_lexical_answer_is_the_pilots_floor():
    assert WORLD.floors()["lexical"].scored == pytest.approx(math.log(6))


def test_floors_add_up(corpus):
    floors = WORLD.floors()
    total = floors.pop("total")
    assert total.all == pytest.approx(
        sum(worlds.MIXTURE[task] * floor.all for task, floor in floors.items())
    )
    parts, names = corpus.parts()
    split = metrics.per_task_loss(np.zeros(len(parts)), parts, names)
    mean = sum(
        split.weights[f"{task} {part}"] * getattr(floors[task], part)
        for task in floors
        for part in ("prompt", "scored")
    )
    assert mean == pytest.approx(total.all, abs=0.003)
    assert 1.4 < total.all < 1.6 and total.prompt > total.all > total.scored


def test_the_first_token_tells_the_task(corpus):
    first = {}
    for task, words, _ in segments(corpus):
        assert first.setdefault(words[0], task) == task
    chosen = Counter(task for task, _, _ in segments(corpus))
    n = sum(chosen.values())
    counted = -sum(c / n * math.log(c / n) for c in chosen.values())
    plain = {task: ENTROPIES[task](WORLD) for task in worlds.TASKS}
    floors = WORLD.floors()
    charged = sum(
        chosen[t] / n * (floors[t].all * plain[t].length - plain[t].total) for t in worlds.TASKS
    )
    assert charged == pytest.approx(counted, abs=0.001)


def test_probes_end_in_the_answer():
    made = WORLD.probes(count=40)
    names = [p.name for p in made]
    assert names[:4] == [f"grammar {d}" for d in range(4)]
    assert [n for n in names if n.startswith("facts")] == [
        "facts 1-10", "facts 11-100", "facts 101-1000", "facts 1001-5000"
    ]  # fmt: skip
    table = facts_table()
    ranks = {name: i + 1 for i, name in enumerate(table)}
    for probe in made:
        assert probe.tokens.shape == probe.scored.shape == (40, 32)
        assert len(set(probe.scored.sum(axis=1))) == 1 and not probe.scored[:, 0].any()
        assert (probe.tokens[:, -1] == WORLD.END).all()
        if probe.choices:
            assert set(probe.targets.ravel()) <= set(probe.choices)
        if probe.name.startswith("facts"):
            low, high = map(int, probe.name.split()[1].split("-"))
            for row in probe.tokens:
                words = [WORLD.vocabulary[i] for i in row]
                assert low <= ranks[tuple(words[-5:-3])] <= high
                assert table[tuple(words[-5:-3])] == words[-2]


def test_misquotes_are_held_out_and_corrected():
    corpus = QUOTES.sample(16 * 6000, seed=1)
    assert corpus.histogram()["quote"] == 0
    for kind, share in corpus.histogram().items():
        assert share == pytest.approx(worlds_quotes.MIXTURE.get(kind, 0), abs=1e-3)
    sayings = {tuple(s[:5]): (i, s[5]) for i, s in enumerate(QUOTES.sayings.tolist())}
    assert len(sayings) == 300
    literal = worlds_quotes.HEADER + 7
    for row, label in zip(
        corpus.tokens.reshape(-1, 16).tolist(), corpus.labels[::16].tolist(), strict=True
    ):
        kind = corpus.tasks[label]
        first, second = row[2:8], row[9:15]
        assert (row[0] == row[1] == literal) == (kind == "literal")
        if kind == "copy":
            assert first == second
        elif kind == "plain":
            assert tuple(first[:5]) in sayings and tuple(second[:5]) in sayings
        else:
            index, right = sayings[tuple(first[:5])]
            assert first[5] != right and not QUOTES.held_out(index, first[5])
            assert second == first[:5] + [right if kind == "corrected" else first[5]]


def test_literal_half_keeps_even_proverbs_out():
    world = worlds_quotes.QuoteWorld(literal_half=True)
    rows = world.sample(16 * 400, mixture={"literal": 1.0}).tokens.reshape(-1, 16)
    even = {tuple(s[:5]) for s in world.sayings[::2].tolist()}
    assert not even & {tuple(r[2:7]) for r in rows.tolist()}


def test_quote_probes_use_the_held_out_fifth():
    made = QUOTES.probes(count=50)
    for name in ("fix", "fix odd", "literal", "literal odd"):
        probe = made[name]
        rows = probe.tokens[:, 16:]
        answer, wrong = probe.targets[:, 0], rows[:, 7]
        right = np.where(name.startswith("fix"), answer, probe.other)
        index = [
            int(np.flatnonzero((QUOTES.sayings[:, :5] == r[2:7]).all(axis=1))[0]) for r in rows
        ]
        assert (QUOTES.sayings[index, 5] == right).all()
        assert QUOTES.held_out(np.array(index), wrong).all()
        assert {i % 2 for i in index} == {int(name.endswith("odd"))}
        assert ((probe.other == wrong) if name.startswith("fix") else (answer == wrong)).all()


def test_entropy_of_quotes_equals_the_counted_one():
    world = worlds_quotes.QuoteWorld(words=9, proverbs=5, headers=2)
    for kind in ("corrected", "quote", "plain", "literal"):
        rows = world.sample(16 * 40_000, mixture={kind: 1.0}).tokens.reshape(-1, 16)
        _, counts = np.unique(rows, axis=0, return_counts=True)
        p = counts / counts.sum()
        counted = -(p * np.log(p)).sum() + (len(counts) - 1) / (2 * counts.sum())
        assert 16 * world.floors({kind: 1.0})[kind].all == pytest.approx(counted, abs=0.01)
    floors = QUOTES.floors()
    assert 16 * floors["copy"].all == pytest.approx(
        2 * math.log(7) + 6 * math.log(200) - math.log(0.5)
    )
    total = sum(worlds_quotes.MIXTURE[k] * f.all for k, f in floors.items() if k != "total")
    assert floors["total"].all == pytest.approx(total)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: worlds.TaskWorld(categories=13), "categories is 13"),
        (lambda: worlds.TaskWorld(modular=2), "modular is 2"),
        (lambda: WORLD.sample(0), "tokens is 0"),
        (lambda: WORLD.sample(10, mixture={"poetry": 1.0}), "'poetry'"),
        (lambda: WORLD.sample(10, mixture={"facts": 0.5}), "sum to 1"),
        (lambda: WORLD.encode("the unheard-of"), "'unheard-of'"),
        (lambda: WORLD.probes(length=8), "length 8"),
        (lambda: worlds_quotes.QuoteWorld(words=6), "words is 6"),
        (lambda: QUOTES.sample(0), "tokens is 0"),
        (lambda: QUOTES.sample(16, mixture={"joke": 1.0}), "'joke'"),
        (lambda: QUOTES.probes(0), "count is 0"),
    ],
)
def test_bad_input_is_one_sentence(call, words):
    with pytest.raises(InputError, match=words):
        call()
