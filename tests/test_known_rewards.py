"""Worlds with a known reward: animals and their facts, and the texts that can be listed."""

import numpy as np
import pytest

from minilm.data.worlds.animals import ANIMALS, ID, KINDS, WORDS, AnimalWorld
from minilm.data.worlds.listed import ListedWorld
from minilm.errors import InputError

WORLD = AnimalWorld()


def answer(animal, *sentences, end=True):
    """One row of ids: a prompt and the sentences given."""
    words = " ".join(sentences).split() + ["<|im_end|>"] * end
    row = np.full((1, 25), WORLD.end)
    row[:, :8] = WORLD.prompts(np.array([animal]))
    row[0, 8 : 8 + len(words)] = [ID[w] for w in words]
    if not end:
        row[0, 8 + len(words) :] = ID["it"]
    return row


def facts(animal):
    """The four true sentences about an animal, by the table."""
    verbs = [verb for verb, _ in KINDS.values()]
    return [f"it {v} {WORDS[i]} ." for v, i in zip(verbs, WORLD.truth[animal], strict=True)]


def slow_gold(row):
    """The reward read off the words, one sentence after the other."""
    words = WORLD.text(row[8:]).split()
    animal = ANIMALS.index(WORDS[row[4]])
    ended = "<|im_end|>" in words
    words = words[: words.index("<|im_end|>")] if ended else words
    total, seen, true = -1.0 * (not ended), set(), set(facts(animal))
    known = {f"it {v} {x} ." for v, values in KINDS.values() for x in values}
    for s in range(0, min(len(words), 16), 4):
        sentence = " ".join(words[s : s + 4])
        if sentence in seen:
            total -= 0.5
        elif sentence in true:
            total += 1
        elif sentence in known:
            total -= 1
        elif sentence in {"it is good .", "it is nice .", "it is fun ."}:
            total -= 0.25
        else:
            total -= 1
            continue
        seen.add(sentence)
    return total


def test_the_reward_of_answers_that_can_be_read():
    one, two, three, four = facts(3)
    assert WORLD.gold(answer(3, one, two, three, four)).tolist() == [4]
    assert WORLD.gold(answer(3, one, one, two)).tolist() == [1.5]
    assert WORLD.gold(answer(3, one, "it is good .")).tolist() == [0.75]
    wrong = next(w for w in KINDS["food"][1] if ID[w] != WORLD.truth[3, 2])
    assert WORLD.gold(answer(3, f"it eats {wrong} .", two)).tolist() == [0]
    assert WORLD.gold(answer(3, "it eats eats .", two)).tolist() == [0]
    assert WORLD.gold(answer(3, "it is")).tolist() == [-1]
    assert WORLD.gold(answer(3)).tolist() == [0]
    assert WORLD.gold(answer(3, one, two, three, four, end=False)).tolist() == [3]


def test_counts_agree_with_reading_word_by_word():
    ids, said = WORLD.demonstrations(300, seed=1)
    r = np.random.default_rng(0)
    noisy = ids.copy()
    hit = said & (r.random(ids.shape) < 0.1)
    noisy[hit] = r.integers(0, WORLD.vocab_size, hit.sum())
    for rows in (ids, noisy):
        np.testing.assert_array_equal(WORLD.gold(rows), [slow_gold(row) for row in rows])


def test_demonstrations_end_and_are_marked_as_said():
    ids, said = WORLD.demonstrations(500, seed=2)
    assert ids.shape == said.shape == (500, 25)
    assert not said[:, :8].any() and said[:, 8:].any(1).all()
    lengths = said.sum(1)
    assert set(lengths.tolist()) == {5, 9, 13, 17}
    assert (ids[np.arange(500), 8 + lengths - 1] == WORLD.end).all()
    assert (ids[~said & (np.arange(25) >= 8)] == WORLD.end).all()
    c = WORLD.counts(ids)
    assert c.ended.all() and not c.broken.any()


def test_the_text_to_pretrain_on_names_an_animal_and_then_speaks_of_it():
    text = WORLD.text(WORLD.stream(200, seed=0))
    first = text.split(" .")[0].split()
    assert first[0] == "the" and first[1] in ANIMALS
    documents = text.split("the ")[1:]
    assert len(documents) == 200
    assert {d.count(" .") for d in documents} == {2, 3, 4, 5}
    truth = [d.split(" . ")[0].split() for d in documents]
    true = [f"it {' '.join(s[1:3])} ." in facts(ANIMALS.index(s[0])) for s in truth]
    assert 0.7 < np.mean(true) < 0.95


def test_a_prompt_of_no_animal_is_refused():
    with pytest.raises(InputError, match="animals holds 3 to 16; it must hold"):
        WORLD.prompts(np.array([3, 16]))
    with pytest.raises(InputError, match="shape"):
        WORLD.gold(np.zeros((2, 8), int))


def test_every_text_is_listed_once_and_found():
    world = ListedWorld()
    assert world.texts.shape == (1296, 4)
    assert len({tuple(t) for t in world.texts.tolist()}) == 1296
    np.testing.assert_array_equal(world.place(world.texts), np.arange(1296))
    assert len(world.prefixes) == 1555 and world.prefixes[0] == ()
    with pytest.raises(InputError, match="ids from 0 to 6"):
        world.place(np.array([[0, 1, 2, 6]]))


def test_what_is_spoken_is_a_distribution_and_the_gold_reward_is_in_its_units():
    world = ListedWorld()
    for seed in range(3):
        p = world.spoken(seed)
        assert p.min() > 0 and abs(p.sum() - 1) < 1e-12
        gold = world.gold(seed, p)
        assert abs(p @ gold) < 1e-12 and abs(p @ gold**2 - 1) < 1e-12
    with pytest.raises(InputError, match="1296 probabilities"):
        world.gold(0, np.ones(3) / 3)
