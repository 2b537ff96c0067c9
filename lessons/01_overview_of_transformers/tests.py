"""Tests of exercise set 1: word vectors, attention, positions, sizes, edits, search."""

import math

import numpy as np

from minilm.course.checking.expect import array, close, same, true
from minilm.course.checking.probes import keeps_dtype, leaves_arguments
from minilm.course.checking.questions import Question

TITLE = "Overview of transformers: from word vectors to edited facts"

count_params = Question(
    "count_params", title="the parameters of a GPT-2", lines=3, plugs="count_parameters"
)
retrieve = Question("retrieve", title="search by cosine", lines=4, plugs="retrieve")
sinusoid = Question("sinusoid", title="sinusoidal positions", lines=4, plugs="sinusoidal")
pmi = Question(
    "pmi",
    title="who keeps company with whom",
    lines=6,
    plugs="pmi",
    hint="log(counts * total / (row sums * column sums)) - log k.",
)
attention = Question("attention", title="scaled dot-product attention", lines=7, plugs="attention")
multihead = Question("multihead", title="several heads at once", lines=9, plugs="self_attention")
sgns_step = Question("sgns_step", title="one step of skip-gram", lines=12, plugs="sgns_step")
rome_edit = Question("rome_edit", title="change one fact", lines=3, plugs="rome_edit")


def normal(rng, *shape, dtype=np.float64):
    return rng.standard_normal(shape).astype(dtype)


# ---------------------------------------------------------------------------------- pmi


def tables(rng, level):
    yield {"size": 4, "negatives": 1}
    yield {"size": 6, "negatives": 5}
    if level == "hidden":
        yield {"size": 1, "negatives": 2}
        yield {"size": int(rng.integers(7, 30)), "negatives": int(rng.integers(2, 20))}


@pmi.test(points=2, cases=tables)
def follows_its_definition(student, rng, size, negatives):
    "follows the definition, for a table that is not symmetric"
    counts = rng.integers(1, 30, (size, size))
    total = counts.sum()
    expected = np.zeros((size, size))
    for a, b in np.ndindex(size, size):
        p = counts[a, b] / total
        p_a, p_b = counts[a].sum() / total, counts[:, b].sum() / total
        expected[a, b] = math.log(p / (p_a * p_b)) - math.log(negatives)
    for given in (counts.astype(np.float64), counts):
        answer = student.pmi(given, negatives)
        close(answer, expected, rtol=1e-10, atol=1e-12, dtype=np.float64)


@pmi.test(points=1, hint="A count of 0 gives -inf; nothing gives nan.", cases=tables)
def never_seen_is_minus_infinity(student, rng, size, negatives):
    "a pair that was never seen gets -inf, the others stay finite"
    counts = rng.integers(1, 9, (size + 1, size + 1))
    counts[0, size] = counts[size, 0] = 0
    if size > 1:
        counts[1], counts[:, 1] = 0, 0  # a word that was never seen
    found = array(student.pmi(counts, negatives), shape=counts.shape)
    true(np.isneginf(found[counts == 0]).all(), "unseen pairs should be -inf")
    p = counts / counts.sum()
    by_chance = np.outer(p.sum(1), p.sum(0))
    expected = np.log(p[counts > 0] / by_chance[counts > 0]) - math.log(negatives)
    close(found[counts > 0], expected, rtol=1e-10, atol=1e-12, what="the pairs that were seen")


leaves_arguments(pmi)


# ---------------------------------------------------------------------------------- sgns_step


def pairs(rng, level):
    yield {"batch": 3, "negatives": 2, "repeat": False}
    if level == "hidden":
        yield {"batch": 1, "negatives": 1, "repeat": False}
        yield {"batch": 4, "negatives": int(rng.integers(2, 5)), "repeat": False}


def repeated(rng, level):
    yield {"batch": 6, "negatives": 3, "repeat": True}
    if level == "hidden":
        yield {"batch": 20, "negatives": 1, "repeat": True}
        yield {"batch": 2, "negatives": int(rng.integers(4, 9)), "repeat": True}


def draw_pairs(rng, batch, negatives, repeat):
    """Tables and ids; without repeats no row of either table is used twice."""
    count = 3 if repeat else batch * (1 + negatives)
    size = count if repeat else count + 1
    take = rng.integers(0, count, batch * (1 + negatives)) if repeat else rng.permutation(count)
    u, v = normal(rng, size, 4), normal(rng, size, 4)
    center = rng.integers(0, count, batch) if repeat else rng.permutation(count)[:batch]
    return u, v, center, take[:batch], take[batch:].reshape(batch, negatives)


def step_by_hand(u, v, center, context, negatives, lr):
    """Pair after pair, gradients at the tables as given."""
    sigmoid = lambda z: 1 / (1 + math.exp(-z))  # noqa: E731
    new_u, new_v, loss = u.copy(), v.copy(), 0.0
    for c, o, chance in zip(center, context, negatives):
        for label, word in [(1, o), *((0, n) for n in chance)]:
            p = sigmoid(u[c] @ v[word])
            loss -= math.log(p if label else 1 - p)
            new_u[c] -= lr * (p - label) * v[word]
            new_v[word] -= lr * (p - label) * u[c]
    return new_u, new_v, loss / len(center)


@sgns_step.test(points=1, hint="Mean over the pairs, before anything changes.", cases=pairs)
def the_loss(student, rng, batch, negatives, repeat):
    "returns the mean loss of a pair before the step"
    given = draw_pairs(rng, batch, negatives, repeat)
    close(student.sgns_step(*given, 0.3), step_by_hand(*given, 0.3)[2], rtol=1e-6)


@sgns_step.test(
    points=2,
    hint="d loss / d score is sigma(score) - 1 for the context, sigma(score) for a negative; "
    "take both gradients before you change a table.",
    cases=pairs,
)
def both_tables_move(student, rng, batch, negatives, repeat):
    "moves both tables by the gradient, in place"
    given = draw_pairs(rng, batch, negatives, repeat)
    _, after = student.call_inplace("sgns_step", *given, 0.3)
    u, v, _ = step_by_hand(*given, 0.3)
    close(after[0], u, rtol=1e-6, atol=1e-8, what="words afterwards")
    close(after[1], v, rtol=1e-6, atol=1e-8, what="contexts afterwards")


@sgns_step.test(
    points=1, hint="words[center] -= ... keeps one change per row: np.subtract.at.", cases=repeated
)
def repeats_add_up(student, rng, batch, negatives, repeat):
    "a word that stands in the batch twice gets both changes"
    given = draw_pairs(rng, batch, negatives, repeat)
    _, after = student.call_inplace("sgns_step", *given, 0.1)
    u, v, _ = step_by_hand(*given, 0.1)
    close(after[0], u, rtol=1e-6, atol=1e-8, what="words afterwards")
    close(after[1], v, rtol=1e-6, atol=1e-8, what="contexts afterwards")


leaves_arguments(sgns_step, changes=(0, 1), needs=["both_tables_move"])


# ---------------------------------------------------------------------------------- attention


def look_by_hand(q, k, v, mask):
    """float64, one query after another; q (T, D), k (S, D), v (S, E), mask (T, S)."""
    weights = np.zeros((len(q), len(k)))
    for t, s in np.ndindex(weights.shape):
        weights[t, s] = math.exp(q[t] @ k[s] / math.sqrt(q.shape[1])) if mask[t, s] else 0.0
    weights /= weights.sum(1, keepdims=True)
    return weights @ v, weights


def looks(rng, level):
    yield {"lead": (), "T": 3, "S": 4, "D": 4, "E": 5}
    if level == "hidden":
        yield {"lead": (2, 3), "T": 1, "S": 5, "D": 3, "E": 2}
        yield {"lead": (2,), "T": int(rng.integers(2, 9)), "S": 1, "D": 8, "E": 1}


def pair(answer):
    right = isinstance(answer, (tuple, list)) and len(answer) == 2
    true(right, "attention should return two arrays: (out, weights)", "type")
    return answer


@attention.test(points=1, hint="Divide the scores by sqrt(D), D the width of q.")
def the_example(student, rng):
    "gives the numbers of the worked example"
    q, k, v = np.eye(2), np.array([[1.0, 0], [1, 1]]), np.array([[1.0, 2], [3, 4]])
    shift = rng.normal()  # all values move together, and so does the answer
    out, _ = pair(student.attention(q, k, v + shift))
    expected = np.array([[2, 3], [2.3395231, 3.3395231]]) + shift
    close(out, expected, rtol=0, atol=1e-7, what="out")
    one = student.attention(
        np.array([[0.0, 2, 2, 0]]), np.diag([2.0, 2, 0, 2])[[0, 1, 3]], v[:1].repeat(3, 0)
    )
    close(pair(one)[1], [[0.10650698, 0.78698604, 0.10650698]], rtol=0, atol=1e-7, what="A")


@attention.test(points=2, cases=looks, hint="The weights of a query sum to one over the keys.")
def open_look(student, rng, lead, T, S, D, E):
    "mixes the values, without a mask"
    q, k, v = (normal(rng, *lead, *shape, dtype=np.float32) for shape in ((T, D), (S, D), (S, E)))
    out, weights = pair(student.attention(q, k, v))
    expected = [
        look_by_hand(*(x[i].astype(float) for x in (q, k, v)), np.ones((T, S)))
        for i in np.ndindex(*lead)
    ]
    for mine, n, what in ((out, 0, "out"), (weights, 1, "the weights")):
        wanted = np.stack([one[n] for one in expected]).reshape(*lead, *expected[0][n].shape)
        close(mine, wanted, rtol=1e-4, atol=1e-5, what=what)


@attention.test(
    points=1, hint="Where the mask is False the weight is 0: a score of -inf.", cases=looks
)
def masked_look(student, rng, lead, T, S, D, E):
    "looks only where the mask is True"
    mask = rng.random((T, S)) < 0.5
    mask[np.arange(T), rng.integers(0, S, T)] = True
    given = (normal(rng, T, D), normal(rng, S, D), normal(rng, S, E))
    out, weights = pair(student.attention(*given, mask))
    expected = look_by_hand(*given, mask)
    close(out, expected[0], rtol=1e-11, atol=1e-11, what="out")
    close(weights, expected[1], rtol=1e-11, atol=0, what="the weights")


@attention.test(
    points=1, hint="np.where(mask, scores, -np.inf) broadcasts; scores[~mask] does not."
)
def one_mask_for_many(student, rng):
    "one mask serves all heads, and one row of it all queries"
    q, k, v = normal(rng, 2, 3, 5), normal(rng, 2, 4, 5), normal(rng, 2, 4, 2)
    for shape in ((3, 4), (4,), (2, 1, 4), (1, 3, 1)):
        mask = rng.random(shape) < 0.5
        mask[..., int(rng.integers(shape[-1]))] = True
        out, weights = pair(student.attention(q, k, v, mask))
        for head, seen in enumerate(np.broadcast_to(mask, (2, 3, 4))):
            expected = look_by_hand(q[head], k[head], v[head], seen)
            close(array(out, shape=(2, 3, 2))[head], expected[0], rtol=1e-9, what="out")
            close(array(weights, shape=(2, 3, 4))[head], expected[1], rtol=1e-9, what="the weights")


@attention.test(points=1, hint="Subtract each row's largest score before exp.")
def large_scores(student, rng):
    "stays finite for scores of a million"
    q = np.array([[1e3, 0.0]], np.float32)
    k = np.array([[1e3, 1], [-1e3, 2], [0, rng.normal()]], np.float32)
    q = np.concatenate([q, [[-1e-3, 0]]]).astype(np.float32)  # beside a query of small scores
    expected = look_by_hand(q[1:].astype(float), k, np.array([[1.0], [2], [3]]), np.ones((1, 3)))
    out, _ = pair(student.attention(q, k, np.array([[1.0], [2], [3]], np.float32)))
    close(out, [[1.0], expected[0][0]], rtol=1e-4, what="out")
    q = q[:1]
    # what may be seen can score far below any number that stands for "hidden"
    k = np.array([[-1e9, 0], [0, rng.normal()]], np.float32)
    out, _ = pair(
        student.attention(q, k, np.array([[5.0], [7]], np.float32), np.array([[True, False]]))
    )
    close(out, [[5.0]], what="out, where the one key in sight scores very low")


leaves_arguments(attention)
keeps_dtype(attention)


# ---------------------------------------------------------------------------------- multihead


def sizes(rng, level):
    yield {"B": 2, "T": 3, "C": 6, "h": 2}
    if level == "hidden":
        yield {"B": 1, "T": 1, "C": 4, "h": 4}
        yield {"B": 3, "T": int(rng.integers(4, 9)), "C": 12, "h": 3}


def heads_by_hand(x, wq, wk, wv, wo, h, causal):
    """Head after head, token after token."""
    B, T, C = x.shape
    D = C // h
    mixed = np.zeros((B, T, C))
    for b, n in np.ndindex(B, h):
        rows = slice(n * D, (n + 1) * D)
        mask = np.tril(np.ones((T, T))) if causal else np.ones((T, T))
        q, k, v = (x[b] @ w[rows].T for w in (wq, wk, wv))
        mixed[b, :, rows] = look_by_hand(q, k, v, mask)[0]
    return mixed @ wo.T


@multihead.test(points=1, hint="With h = 1 it is attention between two linear maps.", cases=sizes)
def one_head(student, rng, B, T, C, h):
    "is right with one head"
    x, ws = normal(rng, B, T, C), [normal(rng, C, C) / math.sqrt(C) for _ in range(4)]
    close(student.multihead(x, *ws, 1), heads_by_hand(x, *ws, 1, False), rtol=1e-9, atol=1e-9)


@multihead.test(
    points=2,
    hint="Head n has the channels n D to (n + 1) D; after reshape, transpose heads before tokens, "
    "and back before the last reshape.",
    cases=sizes,
)
def several_heads(student, rng, B, T, C, h):
    "is right with several heads"
    x, ws = normal(rng, B, T, C), [normal(rng, C, C) / math.sqrt(C) for _ in range(4)]
    close(student.multihead(x, *ws, h), heads_by_hand(x, *ws, h, False), rtol=1e-9, atol=1e-9)


@multihead.test(points=1, hint="A token sees itself and what stands before it.", cases=sizes)
def causal_heads(student, rng, B, T, C, h):
    "does not see the future when causal"
    x, ws = normal(rng, B, T + 1, C), [normal(rng, C, C) / math.sqrt(C) for _ in range(4)]
    got = student.multihead(x, *ws, h, True)
    close(got, heads_by_hand(x, *ws, h, True), rtol=1e-9, atol=1e-9)


leaves_arguments(multihead)
keeps_dtype(multihead)


# ---------------------------------------------------------------------------------- sinusoid


def grids(rng, level):
    yield {"n": 2, "d": 4}
    yield {"n": 7, "d": 6}
    if level == "hidden":
        yield {"n": 1, "d": 2}
        yield {"n": int(rng.integers(100, 300)), "d": 2 * int(rng.integers(4, 40))}


@sinusoid.test(points=1, hint="At d = 4 the second pair turns a hundred times as slowly.")
def published_row(student, rng):
    "gives the numbers for d = 4, position 1 among them"
    n = int(rng.integers(4, 9))
    table = array(student.sinusoid(n, 4), shape=(n, 4), dtype=np.float64)
    expected = [0.84147098, 0.54030231, 0.00999983, 0.99995000]
    close(table[1], expected, rtol=0, atol=1e-8, what="row 1")
    last = [f(angle) for angle in (n - 1, (n - 1) / 100) for f in (math.sin, math.cos)]
    close(table[-1], last, rtol=0, atol=1e-9, what=f"row {n - 1}")


@sinusoid.test(points=1, hint="Sines at even places, cosines at odd ones.", cases=grids)
def every_entry(student, rng, n, d):
    "is right at every place"
    expected = np.zeros((n, d))
    for p, i in np.ndindex(n, d // 2):
        angle = p / 10000 ** (2 * i / d)
        expected[p, 2 * i], expected[p, 2 * i + 1] = math.sin(angle), math.cos(angle)
    close(student.sinusoid(n, d), expected, rtol=0, atol=1e-9, dtype=np.float64)


# ---------------------------------------------------------------------------------- count_params


PUBLISHED = {
    (12, 768): 124_439_808,
    (24, 1024): 354_823_168,
    (36, 1280): 774_030_080,
    (48, 1600): 1_557_611_200,
}


@count_params.test(points=1, hint="Every map has a bias, and so has every norm.")
def published_sizes(student, rng):
    "gives the published sizes of GPT-2, with a larger vocabulary"
    more = int(rng.integers(1, 999))  # tokens of one's own beside the published vocabulary
    for layers, channels in rng.permutation(list(PUBLISHED)).tolist():
        answer = student.count_params(50257 + more, 1024, layers, channels)
        what = f"{layers} layers of {channels} channels and {more} more tokens"
        same(answer, PUBLISHED[layers, channels] + more * channels, what=what)


def shapes(rng, level):
    yield {"vocab": 100, "context": 16, "layers": 2, "channels": 8}
    if level == "hidden":
        yield {"vocab": 1, "context": 1, "layers": 0, "channels": 3}
        yield {"vocab": 10**9 + 1, "context": 10**6, "layers": 10**4 + 1, "channels": 10**6 + 3}
        draw = rng.integers(1, 99, 4).tolist()
        yield dict(zip(("vocab", "context", "layers", "channels"), draw))


@count_params.test(points=1, hint="Add up the arrays one by one.", cases=shapes)
def any_size(student, rng, vocab, context, layers, channels):
    "counts any size exactly"
    C = channels
    arrays = [(C,), (C,), (3 * C, C), (3 * C,), (C, C), (C,)]  # norm, qkv, out
    arrays += [(C,), (C,), (4 * C, C), (4 * C,), (C, 4 * C), (C,)]  # norm, up, down
    expected = layers * sum(math.prod(shape) for shape in arrays)
    expected += vocab * C + context * C + 2 * C
    answer = student.count_params(vocab, context, layers, channels)
    true(not isinstance(answer, (float, np.floating)), f"a count is a whole number, not {answer!r}")
    same(answer, expected)


# ---------------------------------------------------------------------------------- rome_edit


def memories(rng, level):
    yield {"O": 3, "I": 4}
    if level == "hidden":
        yield {"O": 1, "I": 2}
        yield {"O": int(rng.integers(2, 9)), "I": int(rng.integers(3, 9))}


def draw_memory(rng, O, I):  # noqa: E741
    keys = normal(rng, 4 * I, I) @ normal(rng, I, I)
    c = keys.T @ keys / len(keys) + 0.1 * np.eye(I)
    return normal(rng, O, I), c, normal(rng, I), normal(rng, O)


@rome_edit.test(points=1, hint="Check W' k: it should be v.", cases=memories)
def the_new_answer(student, rng, O, I):  # noqa: E741
    "answers k with v"
    w, c, k, v = draw_memory(rng, O, I)
    after = array(student.rome_edit(w, c, k, v), shape=w.shape)
    close(after @ k, v, rtol=1e-6, atol=1e-7, what="W' k")


@rome_edit.test(points=2, hint="The change runs along d = C^-1 k, not along k.", cases=memories)
def the_other_answers(student, rng, O, I):  # noqa: E741
    "keys orthogonal to d keep their answers"
    w, c, k, v = draw_memory(rng, O, I)
    after = array(student.rome_edit(w, c, k, v), shape=w.shape)
    d = np.linalg.inv(c) @ k
    others = normal(rng, 5, I)
    others -= np.outer(others @ d / (d @ d), d)
    close(others @ after.T, others @ w.T, rtol=1e-7, atol=1e-7, what="the other answers")
    true(np.abs(after - w).max() > 1e-6, "W' is W: nothing was edited")


@rome_edit.test(points=1, hint="End with .astype(W.dtype): C, k and v may be wider than W.")
def dtype_of_w(student, rng):
    "W' has the dtype of W, whatever C, k and v have"
    w, c, k, v = draw_memory(rng, 3, 4)
    narrow = w.astype(np.float32)
    after = array(student.rome_edit(narrow, c, k, v), shape=w.shape, dtype=np.float32)
    close(after.astype(float) @ k, v, rtol=1e-3, atol=1e-3, what="W' k")


leaves_arguments(rome_edit)


# ---------------------------------------------------------------------------------- retrieve


def stores(rng, level):
    yield {"N": 6, "D": 3, "k": 3}
    if level == "hidden":
        yield {"N": 1, "D": 1, "k": 1}
        yield {"N": 40, "D": int(rng.integers(2, 20)), "k": 40}


@retrieve.test(points=1, hint="Cosine: divide by both lengths.", cases=stores)
def nearest_first(student, rng, N, D, k):
    "finds the nearest rows by cosine, best first, however long they are"
    q, db = normal(rng, D), normal(rng, N, D) * 10 ** rng.uniform(-12, 3, (N, 1))
    cosine = [row @ q / np.sqrt((row @ row) * (q @ q)) for row in db]
    expected = sorted(range(N), key=lambda i: -cosine[i])[:k]
    answer = student.retrieve(q, db, k)
    true(array(answer).dtype.kind in "iu", "row numbers are whole numbers", "dtype")
    same(answer, np.array(expected))


@retrieve.test(points=1, hint='np.argsort(-cosine, kind="stable")[:k].')
def ties_by_place(student, rng):
    "of equals, the one that stands first comes first"
    axis = np.eye(3)[rng.integers(0, 3, 40)]  # equal rows are equal to the last bit
    q = np.eye(3)[0]
    expected = [*np.flatnonzero(axis[:, 0] == 1), *np.flatnonzero(axis[:, 0] == 0)]
    for k in (40, 3):
        same(student.retrieve(q, axis, k), np.array(expected[:k]))


@retrieve.test(points=1, hint="Give rows of zeros a cosine of 0 before you sort.")
def zero_rows(student, rng):
    "a row of zeros has cosine 0"
    q = np.array([1.0, rng.uniform(0.5, 2)])
    db = np.array([-q, [0, 0], q, [q[1], -q[0] - 0.1], [0, 0]])
    same(student.retrieve(q, db, 5), np.array([2, 1, 4, 3, 0]))
    same(student.retrieve(0 * q, db, 5), np.arange(5))


leaves_arguments(retrieve)
