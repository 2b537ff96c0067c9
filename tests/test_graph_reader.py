"""The pointer that moves along edges: its maths, its gradients, and what it learns."""

import numpy as np
import pytest

from minilm.data.worlds.relations import RelationWorld
from minilm.errors import InputError
from minilm.models.graph_reader import TINY, GraphReader
from minilm.optim import AdamW

WORLD = RelationWorld(people=10, relations=3)


def in_numpy(model: GraphReader, questions: np.ndarray) -> np.ndarray:
    """The same pointer in float64, edge by edge."""
    vectors, turn = model.vectors.weight.data.astype(float), model.turn.data.astype(float)
    weight, bias = (p.data.astype(float) for p in (model.meaning.weight, model.meaning.bias))

    def softmax(x):
        e = np.exp(x - x.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    rows = []
    for person, *words in questions.tolist():
        pointer = np.zeros(WORLD.people)
        pointer[person] = 1.0
        for share in softmax(turn):
            gate = softmax(weight @ (share @ vectors[words]) + bias)
            moved = np.zeros(WORLD.people)
            for r, g in enumerate(gate):
                for a, p in enumerate(pointer):
                    moved[WORLD.table[r, a]] += g * p
            pointer = moved
        rows.append(pointer)
    return np.array(rows)


def test_it_moves_as_the_formula_says() -> None:
    questions = WORLD.split(40)[1]
    for seed in range(3):
        model = GraphReader(WORLD.table, WORLD.wordings, seed=seed)
        found = model(questions)
        assert found.dtype == np.float32 and found.shape == (40, 10)
        np.testing.assert_allclose(found.data, in_numpy(model, questions), atol=2e-6)
        np.testing.assert_allclose(found.data.sum(1), 1, atol=1e-5)
        answers = WORLD.answers(questions)
        p = in_numpy(model, questions)[np.arange(40), answers]
        assert model.loss(questions, answers).item() == pytest.approx(
            -np.log(p + TINY).mean(), rel=1e-5
        )


def test_its_gradients_are_those_of_the_loss() -> None:
    questions = WORLD.split(12)[1]
    answers = WORLD.answers(questions)
    model = GraphReader(WORLD.table, WORLD.wordings, channels=4, seed=1)
    model.loss(questions, answers).backward()

    def loss() -> float:
        p = in_numpy(model, questions)[np.arange(12), answers]
        return float(-np.log(p + TINY).mean())

    for p in model.parameters():
        assert p.grad.dtype == np.float32
        flat, grad = p.data.reshape(-1), p.grad.reshape(-1)
        for i in np.linspace(0, flat.size - 1, 5).astype(int):
            old = flat[i]
            sides = []
            for step in (1e-3, -1e-3):
                flat[i] = old + step
                sides.append((loss(), float(flat[i])))
            flat[i] = old
            slope = (sides[0][0] - sides[1][0]) / (sides[0][1] - sides[1][1])
            assert grad[i] == pytest.approx(slope, abs=2e-3 * max(1, abs(slope)))


def test_it_learns_what_words_mean_from_answers_alone() -> None:
    learn, test = WORLD.split(60, seed=2)
    model = GraphReader(WORLD.table, WORLD.wordings, seed=0)
    before = (model.answer(test) == WORLD.answers(test)).mean()
    optimizer = AdamW(model.parameters(), lr=0.05, weight_decay=0.0)
    for _ in range(150):
        model.loss(learn, WORLD.answers(learn)).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert (model.answer(test) == WORLD.answers(test)).mean() > 0.95 > 0.6 > before


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(InputError, match=r"table has shape \(4,\)"):
        GraphReader(np.arange(4), 3)
    with pytest.raises(InputError, match="with numbers from 0 to N - 1"):
        GraphReader(np.array([[1, 2]]), 3)
    for name in ("words", "hops", "channels"):
        with pytest.raises(InputError, match=f"{name} is 0; it must be 1 or more"):
            GraphReader(WORLD.table, **{"words": 3, name: 0})
    with pytest.raises(InputError, match=r"questions has shape \(2, 2\)"):
        GraphReader(WORLD.table, 6)(np.zeros((2, 2), int))
