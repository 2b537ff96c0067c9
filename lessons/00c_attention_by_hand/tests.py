"""Tests of exercise set 00c: scores, shares, a head, two layers written by hand, rules, a slope."""

import math

import numpy as np

from minilm.course.checking.expect import array, close, less, true
from minilm.course.checking.probes import leaves_arguments
from minilm.course.checking.questions import Question

TITLE = "Attention by hand: write the weights yourself"

match = Question("match", title="how well a query fits a key", lines=1)
look_back = Question("look_back", title="a matrix that moves a place back", lines=3)
shares = Question("shares", title="scores to shares, the future hidden", lines=4)
head = Question("head", title="one head and its residual", lines=4)
layer_one = Question("layer_one", title="the head that takes a note", lines=8)
layer_two = Question("layer_two", title="the head that reads the notes", lines=7)
rules = Question("rules", title="facts in a feed-forward net", lines=5)
slope = Question("slope", title="the gradient of the loss", lines=5)


def normal(rng, *shape, dtype=np.float64):
    return rng.standard_normal(shape).astype(dtype)


def causal(scores):
    """Shares by the definition, in float64, a row at a time."""
    scores = np.asarray(scores, np.float64)
    found = np.zeros(scores.shape)
    for i, row in enumerate(scores):
        e = np.exp(row[: i + 1] - row[: i + 1].max())
        found[i, : i + 1] = e / e.sum()
    return found


def one_head(x, Wq, Wk, Wv, Wo):
    """The head in float64, sums written out."""
    x, Wq, Wk, Wv, Wo = (np.asarray(a, np.float64) for a in (x, Wq, Wk, Wv, Wo))
    q, k, v = (np.einsum("tc,dc->td", x, W) for W in (Wq, Wk, Wv))
    mixed = causal(np.einsum("td,sd->ts", q, k) / math.sqrt(Wq.shape[0])) @ v
    return x + np.einsum("te,ce->tc", mixed, Wo)


def board(text, words, places):
    """The rows of a text: word and place, an empty note."""
    x = np.zeros((len(text), 2 * words + places))
    x[np.arange(len(text)), text] = 1
    x[np.arange(len(text)), words + np.arange(len(text))] = 1
    return x


# ---------------------------------------------------------------------------------- match


def sizes(rng, level):
    yield {"T": 3, "S": 3, "D": 4}
    yield {"T": 2, "S": 5, "D": 9}
    if level == "hidden":
        yield {"T": 1, "S": 1, "D": 1}
        yield {"T": int(rng.integers(2, 7)), "S": int(rng.integers(7, 12)), "D": 7}


@match.test(points=1, hint="q @ k.T, over the root of D.", cases=sizes)
def follows_the_formula(student, rng, T, S, D):
    "scores are dot products over the root of D"
    q, k = normal(rng, T, D), normal(rng, S, D)
    wanted = [[sum(a * b for a, b in zip(u, v)) / math.sqrt(D) for v in k] for u in q]
    close(student.match(q, k), wanted, rtol=1e-10, atol=1e-12, dtype=np.float64)


@match.test(points=1, hint="A Python number leaves float32 alone; np.sqrt(4) is a float64.",
            cases=sizes)  # fmt: skip
def keeps_float32(student, rng, T, S, D):
    "float32 in, float32 out"
    q, k = normal(rng, T, D, dtype=np.float32), normal(rng, S, D, dtype=np.float32)
    wanted = q.astype(np.float64) @ k.T.astype(np.float64) / math.sqrt(D)
    close(student.match(q, k), wanted, rtol=1e-4, atol=1e-5, dtype=np.float32)


leaves_arguments(match)


# ---------------------------------------------------------------------------------- look_back


def steps(rng, level):
    yield {"places": int(rng.integers(3, 6)), "n": 1}
    yield {"places": int(rng.integers(6, 9)), "n": 2}
    if level == "hidden":
        yield {"places": int(rng.integers(7, 12)), "n": int(rng.integers(3, 6))}
        yield {"places": 4, "n": 9}


def edges(rng, level):
    yield {"places": int(rng.integers(2, 9)), "n": 0}
    yield {"places": 1, "n": int(rng.integers(1, 9))}
    if level == "hidden":
        yield {"places": int(rng.integers(2, 9)), "n": 0}


@look_back.test(points=2, hint="Column p has its 1 in row max(p - n, 0).", cases=steps)
def moves_every_place(student, rng, places, n):
    "every place finds the one n before it, or place 0"
    W = array(student.look_back(places, n), shape=(places, places), dtype=np.float64)
    wanted = np.zeros((places, places))
    for p in range(places):
        wanted[max(p - n, 0), p] = 1
    close(W, wanted, rtol=0, atol=0)


@look_back.test(points=1, hint="n = 0 is the identity.", cases=edges)
def nothing_and_one(student, rng, places, n):
    "no step, and a single place"
    close(student.look_back(places, n), np.eye(places), rtol=0, atol=0, dtype=np.float64)


# ---------------------------------------------------------------------------------- shares


def tables(rng, level):
    yield {"T": 2, "size": 1.0}
    yield {"T": 5, "size": 3.0}
    if level == "hidden":
        yield {"T": 1, "size": 1.0}
        yield {"T": int(rng.integers(6, 11)), "size": 2.0}


def large(rng, level):
    yield {"T": 4, "shift": 1000.0}
    yield {"T": 4, "shift": -1000.0}
    yield {"T": 3, "shift": -1e10}
    if level == "hidden":
        yield {"T": int(rng.integers(5, 9)), "shift": 5000.0}
        yield {"T": int(rng.integers(5, 9)), "shift": -1e11}


@shares.test(points=2, hint="Hide first, then the softmax of what is left.", cases=tables)
def the_softmax_of_what_is_seen(student, rng, T, size):
    "each row is the softmax of what it may see, and the rest is 0"
    scores = size * normal(rng, T, T)
    close(student.shares(scores), causal(scores), rtol=1e-10, atol=0)


@shares.test(points=1, hint="Subtract the largest score of each row before np.exp; hide by -inf.",
             cases=large)  # fmt: skip
def large_scores(student, rng, T, shift):
    "scores far from 0, each row elsewhere, do not overflow, nor does a hidden one that is larger"
    scores = normal(rng, T, T) + shift * (1 + rng.permutation(T)[:, None])
    scores[0, -1] = 10 * abs(shift)  # hidden from the first row, and far above it
    close(student.shares(scores), causal(scores), rtol=1e-10, atol=0)


@shares.test(points=1, hint="np.where(later, -np.inf, scores) keeps float32.", cases=tables)
def shares_in_float32(student, rng, T, size):
    "float32 in, float32 out"
    scores = (size * normal(rng, T, T)).astype(np.float32)
    close(student.shares(scores), causal(scores), rtol=1e-5, atol=1e-7, dtype=np.float32)


leaves_arguments(shares)


# ---------------------------------------------------------------------------------- head


def heads(rng, level):
    yield {"T": 4, "C": 6, "D": 3, "E": 2}
    yield {"T": 3, "C": 5, "D": 5, "E": 5}
    yield {"T": 4, "C": 4, "D": 4, "E": 3, "size": 1000.0}
    if level == "hidden":
        yield {"T": 3, "C": 3, "D": 4, "E": 3, "size": -1e10}
        yield {"T": 1, "C": 2, "D": 2, "E": 2}
        yield {"T": int(rng.integers(5, 9)), "C": 8, "D": 4, "E": 7}


def drawn(rng, T, C, D, E, size=1.0):
    if size != 1:  # scores are whole multiples of size / 2, so no order of adding changes them
        whole = size * rng.integers(1, 4, (4, T)), rng.integers(1, 4, (4, T)) * 1.0
        return np.eye(T), *whole, normal(rng, E, T), normal(rng, T, E)
    return (
        normal(rng, T, C),
        normal(rng, D, C),
        normal(rng, D, C),
        normal(rng, E, C),
        normal(rng, C, E),
    )


@head.test(points=3, hint="x + shares(match(q, k)) @ v @ Wo.T", cases=heads)
def fetches_and_adds(student, rng, T, C, D, E, size=1.0):
    "queries, keys, values, shares, also of scores far from 0, and the sum with x"
    given = drawn(rng, T, C, D, E, size)
    close(student.head(*given), one_head(*given), rtol=1e-9, atol=1e-10)


@head.test(points=1, hint="Nothing of a row may depend on later rows.", cases=heads)
def the_past_does_not_change(student, rng, T, C, D, E, size=1.0):
    "rows stay as they are when a later row changes, and equal the formula"
    x, *weights = drawn(rng, T + 1, C, D, E)
    other = x.copy()
    other[-1] += 1
    wanted = one_head(x, *weights)[:-1]
    close(student.head(x, *weights)[:-1], wanted, rtol=1e-9, atol=1e-10)
    close(student.head(other, *weights)[:-1], wanted, rtol=1e-9, atol=1e-10)


leaves_arguments(head)


# ---------------------------------------------------------------------------------- layers


def worlds(rng, level):
    yield {"words": 4, "places": 5}
    yield {"words": 3, "places": 9}
    if level == "hidden":
        yield {"words": int(rng.integers(5, 9)), "places": int(rng.integers(10, 15))}
        yield {"words": 2, "places": 2}


def four(answer, shapes):
    """The four matrices, checked for shape and dtype."""
    true(isinstance(answer, (tuple, list)) and len(answer) == 4, "return (Wq, Wk, Wv, Wo)", "type")
    names = ("Wq", "Wk", "Wv", "Wo")
    return [
        array(W, shape=shape, dtype=np.float64, what=name)
        for W, shape, name in zip(answer, shapes, names)
    ]


@layer_one.test(points=2, hint="The note is the word before; the first word notes itself.",
                cases=worlds)  # fmt: skip
def the_note_is_right(student, rng, words, places):
    "after the layer every row carries the word before it, and is otherwise as it was"
    C = 2 * words + places
    W = four(student.layer_one(words, places, 200.0), [(places, C)] * 2 + [(words, C), (C, words)])
    text = rng.integers(0, words, places)
    x = board(text, words, places)
    wanted = x.copy()
    wanted[np.arange(places), words + places + np.r_[text[0], text[:-1]]] = 1
    close(one_head(x, *W), wanted, rtol=0, atol=1e-6, what="the rows after your layer")


@layer_one.test(points=2, hint="Multiply the query by sharp * sqrt(places).", cases=worlds)
def a_match_scores_sharp(student, rng, words, places):
    "a match scores sharp after the division, everything else 0"
    C, sharp = 2 * words + places, float(rng.uniform(1, 4))
    Wq, Wk, *_ = four(
        student.layer_one(words, places, sharp), [(places, C)] * 2 + [(words, C), (C, words)]
    )
    x = board(rng.integers(0, words, places), words, places)
    wanted = np.zeros((places, places))
    wanted[np.arange(places), np.r_[0, np.arange(places - 1)]] = sharp
    close(x @ Wq.T @ (x @ Wk.T).T / math.sqrt(places), wanted, rtol=1e-9, atol=1e-9,
          what="the scores")  # fmt: skip


def noted(rng, words, places):
    """A text whose last word stood there once before, with the notes written; what followed."""
    body = rng.permutation(words)
    at = int(rng.integers(0, words - 1))
    text = np.r_[body, body[at]][-places:]
    x = board(text, words, places)
    x[np.arange(1, len(text)), words + places + text[:-1]] = 1
    return x, text, int(body[at + 1])


def longer(rng, level):
    yield {"words": 4, "places": 6}
    yield {"words": 3, "places": 9}
    if level == "hidden":
        yield {"words": int(rng.integers(5, 9)), "places": int(rng.integers(10, 15))}
        yield {"words": 2, "places": 3}


@layer_two.test(points=2, hint="Ask with the word, be found by the note, hand over the word.",
                cases=longer)  # fmt: skip
def the_guess_is_what_followed(student, rng, words, places):
    "the last word adds what followed it before, loud times, to its own columns"
    C, loud = 2 * words + places, float(rng.uniform(2, 6))
    W = four(student.layer_two(words, places, 200.0, loud), [(words, C)] * 3 + [(C, words)])
    x, _, followed = noted(rng, words, places)
    wanted = x[-1].copy()
    wanted[followed] += loud
    close(one_head(x, *W)[-1], wanted, rtol=0, atol=1e-6, what="the last row after your layer")


@layer_two.test(points=2, hint="Multiply the query by sharp * sqrt(words).", cases=longer)
def notes_score_sharp(student, rng, words, places):
    "a note that is my word scores sharp after the division, every other note 0"
    C, sharp = 2 * words + places, float(rng.uniform(1, 4))
    Wq, Wk, *_ = four(student.layer_two(words, places, sharp, 4.0), [(words, C)] * 3 + [(C, words)])
    x, text, _ = noted(rng, words, places)
    notes = np.r_[-1, text[:-1]]  # the first row has none
    wanted = sharp * (text[:, None] == notes[None])
    close(x @ Wq.T @ (x @ Wk.T).T / math.sqrt(words), wanted, rtol=1e-9, atol=1e-9,
          what="the scores")  # fmt: skip


# ---------------------------------------------------------------------------------- rules


def gelu(x):
    """The lesson's GELU, with tanh."""
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def known(rng, level):
    yield {"words": 3, "count": 1, "same": False}
    yield {"words": 6, "count": 4, "same": False}
    if level == "hidden":
        yield {"words": int(rng.integers(7, 12)), "count": 6, "same": False}
        yield {"words": 4, "count": 4, "same": False}


def crowded(rng, level):
    yield {"words": 12, "count": 10, "same": True}
    if level == "hidden":
        yield {"words": 40, "count": 38, "same": True}


def net(student, rng, words, count, same):
    """What the student's net adds for each one-hot row, and what it should; (words, words) each."""
    asked = rng.permutation(words)[:count]
    told = np.full(count, rng.integers(words)) if same else rng.integers(0, words, count)
    facts = [(int(a), int(b)) for a, b in zip(asked, told)]
    answer = student.rules(facts, words)
    true(isinstance(answer, (tuple, list)) and len(answer) == 3, "return (up, bias, down)", "type")
    up = array(answer[0], shape=(count, words), dtype=np.float64, what="up")
    bias = array(answer[1], shape=(count,), dtype=np.float64, what="bias")
    down = array(answer[2], shape=(words, count), dtype=np.float64, what="down")
    wanted = np.zeros((words, words))
    for a, b in facts:
        wanted[a, b] = 1
    return gelu(np.eye(words) @ up.T + bias) @ down.T, wanted


@rules.test(points=2, hint="4 in, -2 as the bias, 1 / 1.95 out.", cases=known)
def facts_are_known(student, rng, words, count, same):
    "each fact's row gets its word, and nothing else"
    added, wanted = net(student, rng, words, count, same)
    less(np.abs(added - wanted).max() - 0.1, 1e-9, what="the largest error, less 0.1,")


@rules.test(points=1, hint="Small leaks of many units add up: make the bend sharper.",
            cases=crowded)  # fmt: skip
def many_with_one_answer(student, rng, words, count, same):
    "dozens of facts with the same answer do not leak into other rows"
    added, wanted = net(student, rng, words, count, same)
    less(np.abs(added - wanted).max() - 0.1, 1e-9, what="the largest error, less 0.1,")


# ---------------------------------------------------------------------------------- slope


def rows(rng, level):
    yield {"N": 1, "V": 2}
    yield {"N": 5, "V": 4}
    if level == "hidden":
        yield {"N": int(rng.integers(6, 12)), "V": int(rng.integers(5, 9))}


def by_hand(logits, came):
    """p - y in float64, over the number of rows."""
    logits = np.asarray(logits, np.float64)
    e = np.exp(logits - logits.max(-1, keepdims=True))
    p = e / e.sum(-1, keepdims=True)
    return (p - np.eye(logits.shape[1])[came]) / len(logits)


@slope.test(points=2, hint="p less 1 at the word that came, over N.", cases=rows)
def is_the_derivative(student, rng, N, V):
    "equals central differences of the mean loss"
    logits, came = 2 * normal(rng, N, V), rng.integers(0, V, N)

    def loss(z):
        top = z.max(-1, keepdims=True)
        total = top[:, 0] + np.log(np.exp(z - top).sum(-1))
        return float(np.mean(total - z[np.arange(N), came]))

    wanted, step = np.zeros((N, V)), 1e-5
    for place in np.ndindex(N, V):
        moved = np.zeros((N, V))
        moved[place] = step
        wanted[place] = (loss(logits + moved) - loss(logits - moved)) / (2 * step)
    close(student.slope(logits, came), wanted, rtol=1e-6, atol=1e-8)


@slope.test(points=1, hint="Subtract the largest logit of each row first.", cases=rows)
def large_logits(student, rng, N, V):
    "logits of a thousand"
    logits, came = normal(rng, N, V) + 1000 * rng.choice([-1.0, 1.0], (N, 1)), rng.integers(0, V, N)
    close(student.slope(logits, came), by_hand(logits, came), rtol=1e-9, atol=1e-12)


@slope.test(points=1, hint="Divide by len(logits), a whole number.", cases=rows)
def slope_in_float32(student, rng, N, V):
    "float32 in, float32 out"
    logits, came = normal(rng, N, V, dtype=np.float32), rng.integers(0, V, N)
    close(
        student.slope(logits, came), by_hand(logits, came), rtol=1e-5, atol=1e-7, dtype=np.float32
    )


leaves_arguments(slope)
