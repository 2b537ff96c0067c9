"""The graph of people: facts, questions, chains, and the verifier that reads them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilm.data.worlds.relations import DOT, KINDS, NAMES, SO, WORDINGS, RelationWorld
from minilm.errors import InputError

WORLD = RelationWorld(people=9, relations=3, world=4)


def test_its_words_are_told_apart() -> None:
    assert len(set(NAMES)) == len(NAMES) == 64
    large = RelationWorld(people=64, relations=len(KINDS))
    assert len(set(large.words)) == large.vocab_size == 4 + 6 + 12 + 64


def test_a_relation_maps_people_to_others_one_to_one() -> None:
    for row in RelationWorld(people=60, relations=6).table:
        assert sorted(row) == list(range(60)) and (row != np.arange(60)).all()
    assert (RelationWorld(world=1).table != RelationWorld(world=2).table).any()
    np.testing.assert_array_equal(RelationWorld(world=3).table, RelationWorld(world=3).table)


def test_facts_read_as_the_graph_says() -> None:
    told = {WORLD.text(row) for row in WORLD.facts()}
    people, kinds = WORLD.words[WORLD.first_person :], list(KINDS)
    wanted = {
        f"{people[a]} {kinds[r]} {people[b]} ." for a, out in WORLD.graph().items() for r, b in out
    }
    assert told == wanted and len(told) == 27


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 3), st.integers(0, 8), st.data())
def test_the_chain_of_a_question_is_read_word_by_word(hops, person, data) -> None:
    words = data.draw(st.lists(st.integers(0, 5), min_size=hops, max_size=hops))
    asked = [word for pair in list(KINDS.values())[:3] for word in pair]
    kinds, people = list(KINDS), WORLD.words[WORLD.first_person :]
    met, said = [person], []
    for word in words:
        met.append(int(WORLD.table[word // WORDINGS][met[-1]]))
        said.append(f"{people[met[-2]]} {kinds[word // WORDINGS]} {people[met[-1]]} .")
    prompt = " ".join(["ask", *(asked[w] for w in reversed(words)), people[person], ":"])
    question = np.array([[person, *words]])
    assert WORLD.text(WORLD.prompts(question)) == prompt
    assert WORLD.text(WORLD.direct(question)) == f"{prompt} {people[met[-1]]} ."
    assert WORLD.text(WORLD.chains(question)) == " ".join(
        [prompt, *said, "so", people[met[-1]], "."]
    )
    assert WORLD.along(question).tolist() == [met]


def test_the_verifier_accepts_every_true_chain() -> None:
    for hops in (1, 2, 3):
        questions = WORLD.questions(hops)
        assert len(questions) == 9 * 6**hops == len({tuple(q) for q in questions})
        written = WORLD.chains(questions)[:, hops + 3 :]
        assert WORLD.verify(questions, written).all()
        longer = np.pad(written, ((0, 0), (0, 3)), constant_values=7)
        assert WORLD.verify(questions, longer).all()  # what stands behind does not matter


def test_the_verifier_refuses_a_chain_with_any_word_changed() -> None:
    questions = WORLD.split(60, seed=1)[1]
    written = WORLD.chains(questions)[:, 5:]
    for place in range(written.shape[1]):
        for other in range(WORLD.vocab_size):
            changed = written.copy()
            changed[:, place] = other
            same = (changed == written).all(1)
            np.testing.assert_array_equal(WORLD.verify(questions, changed), same)


def test_true_facts_that_answer_another_question_are_no_proof() -> None:
    questions = WORLD.split(80, seed=2)[1]
    written = WORLD.chains(questions)[:, 5:]
    for i, question in enumerate(questions):
        others = np.tile(question, (len(questions), 1))
        means = questions[:, 1:] // WORDINGS == question[1:] // WORDINGS
        same = means.all(1) & (questions[:, 0] == question[0])
        assert same[i]
        np.testing.assert_array_equal(WORLD.verify(others, written), same)
    assert not WORLD.verify(questions, written[:, :10]).any()  # cut short
    swapped = np.concatenate([written[:, 4:8], written[:, :4], written[:, 8:]], axis=1)
    met = WORLD.along(questions)
    loops = (met[:, 0] == met[:, 1]) & (questions[:, 1] == questions[:, 2])
    assert not WORLD.verify(questions, swapped)[~loops].any()
    early = written.copy()
    early[:, 9] = WORLD.first_person + met[:, 1]  # stops at the first hop
    np.testing.assert_array_equal(WORLD.verify(questions, early), met[:, 1] == met[:, 2])
    assert (written[:, 8] == SO).all() and (written[:, [3, 7, 10]] == DOT).all()


def test_no_way_of_the_test_is_learnt_in_other_words() -> None:
    learn, test = WORLD.split(50, seed=5)
    ways = [{(q[0], *(q[1:] // WORDINGS)) for q in part} for part in (learn, test)]
    assert not ways[0] & ways[1] and len(test) == 50
    assert len(learn) + 50 + 4 > 9 * 36  # but for the rest of the last way
    again = WORLD.split(50, seed=5)
    np.testing.assert_array_equal(learn, again[0])
    assert (WORLD.split(50, seed=6)[1] != test).any()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: RelationWorld(people=65), "people is 65; it must be at most 64"),
        (lambda: RelationWorld(people=2), "people is 2; it must be 3 or more"),
        (lambda: RelationWorld(relations=7), "relations is 7; it must be at most 6"),
        (lambda: WORLD.questions(0), "hops is 0"),
        (lambda: WORLD.split(324), "test is 324; it must be from 1 to 323"),
        (lambda: WORLD.split(323), "test is 323; it leaves no question"),
        (lambda: WORLD.answers(np.zeros((3, 1), int)), r"questions has shape \(3, 1\)"),
        (lambda: WORLD.answers(np.array([[9, 0]])), "questions name people 9 to 9"),
        (lambda: WORLD.prompts(np.array([[0, 6]])), "questions name words 6 to 6"),
        (lambda: WORLD.verify(np.array([[0, 1]]), np.zeros(4)), r"written has shape \(4,\)"),
    ],
)
def test_what_makes_no_sense_is_refused(make, said) -> None:
    with pytest.raises(InputError, match=said):
        make()
