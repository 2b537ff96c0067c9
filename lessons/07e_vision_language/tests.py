"""Tests of exercise set 07e: patches, zoom, contrast, projectors, queries, expert, narrow branch."""

import math

import numpy as np

from minilm.course.checking.expect import array, close, same, true
from minilm.course.checking.probes import keeps_dtype, leaves_arguments
from minilm.course.checking.questions import Question

TITLE = "Language models that see: build the patches, the projectors and the visual expert"

patchify = Question("patchify", title="cut a picture into patches", lines=4)
unpatchify = Question("unpatchify", title="put the patches together again", lines=5)
crop_zoom = Question("crop_zoom", title="look closer", lines=4)
info_nce = Question("info_nce", title="which text belongs to which picture", lines=7)
mlp2x = Question("mlp2x", title="a projector of two layers", lines=3)
stride_conv_proj = Question("stride_conv_proj", title="one token for four patches", lines=4)
qformer = Question("qformer", title="a fixed number of queries", lines=5)
visual_expert = Question("visual_expert", title="weights for pictures only", lines=10)
cross_attend_narrow = Question("cross_attend_narrow", title="a narrow branch", lines=6)


def normal(rng, *shape, dtype=np.float64):
    return rng.standard_normal(shape).astype(dtype)


# ---------------------------------------------------------------------------------- patches


def sheets(rng, level):
    yield {"C": 1, "H": 2, "W": 4, "p": 2}
    yield {"C": 3, "H": 6, "W": 9, "p": 3}
    if level == "hidden":
        yield {"C": 2, "H": 5, "W": 5, "p": 5}
        down, right, p = (int(n) for n in rng.integers(2, 5, 3))
        yield {"C": 2, "H": down * p, "W": right * p, "p": p}


def tokens_of(img, p):
    """Number by number."""
    C, H, W = img.shape
    rows = np.zeros((H // p * (W // p), C * p * p), img.dtype)
    for c in range(C):
        for y in range(H):
            for x in range(W):
                token = y // p * (W // p) + x // p
                rows[token, c * p * p + y % p * p + x % p] = img[c, y, x]
    return rows


@patchify.test(points=2, hint="Reading order; inside a patch the order (C, p, p).", cases=sheets)
def in_reading_order(student, rng, C, H, W, p):
    "every number is in its token, at its place"
    img = normal(rng, C, H, W)
    close(student.patchify(img, p), tokens_of(img, p), rtol=0, atol=0)


leaves_arguments(patchify)


@unpatchify.test(points=2, hint="Token t is in row t // (W // p) of the patches.", cases=sheets)
def every_number_back(student, rng, C, H, W, p):
    "every number is back at its pixel"
    img = normal(rng, C, H, W)
    close(student.unpatchify(tokens_of(img, p), p, H, W), img, rtol=0, atol=0)


leaves_arguments(unpatchify)


# ---------------------------------------------------------------------------------- crop_zoom


def boxes(rng, level):
    yield {"box": (0, 1, 2, 3), "size": 4}
    yield {"box": (1, 0, 4, 6), "size": 12}
    if level == "hidden":
        yield {"box": (2, 3, 7, 5), "size": 7}
        yield {"box": (0, 0, 8, 8), "size": 3}
        yield {"box": (4, 2, 5, 3), "size": int(rng.integers(1, 6))}


@crop_zoom.test(points=3, hint="Row top + floor((i + 0.5) h / size), columns alike.", cases=boxes)
def the_pixel_under_the_middle(student, rng, box, size):
    "each new pixel is the old one under its middle"
    img = normal(rng, 2, 8, 8)
    top, left, bottom, right = box
    wanted = np.zeros((2, size, size))
    for i in range(size):
        for j in range(size):
            y = top + (2 * i + 1) * (bottom - top) // (2 * size)
            x = left + (2 * j + 1) * (right - left) // (2 * size)
            wanted[:, i, j] = img[:, y, x]
    close(student.crop_zoom(img, box, size), wanted, rtol=0, atol=0)


leaves_arguments(crop_zoom)


# ---------------------------------------------------------------------------------- info_nce


def pairs(rng, level):
    yield {"B": 2, "C": 2, "tau": 1.0}
    yield {"B": 5, "C": 3, "tau": 0.3}
    if level == "hidden":
        yield {"B": int(rng.integers(6, 12)), "C": 4, "tau": float(rng.uniform(0.05, 2))}


def contrast(one, other, tau):
    """Term by term."""
    cosine = [
        [sum(a * b for a, b in zip(x, y)) / math.hypot(*x) / math.hypot(*y) for y in other]
        for x in one
    ]
    B, terms = len(one), []
    for i in range(B):
        for row in (cosine[i], [cosine[k][i] for k in range(B)]):
            terms.append(math.log(sum(math.exp((s - row[i]) / tau) for s in row)))
    return sum(terms) / (2 * B)


@info_nce.test(points=2, hint="The mean of both directions, cosines over tau.", cases=pairs)
def both_directions(student, rng, B, C, tau):
    "the loss of pictures over texts and of texts over pictures"
    one, other = normal(rng, B, C), normal(rng, B, C)
    wanted = contrast(one.tolist(), other.tolist(), tau)
    close(student.info_nce(one, other, tau), wanted, rtol=1e-8)


@info_nce.test(points=1, hint="Equal logits: each share is 1 / B.", cases=pairs)
def knowing_nothing(student, rng, B, C, tau):
    "equal rows cost ln B"
    same_row = np.tile(normal(rng, 1, C), (B, 1))
    close(student.info_nce(same_row, 3 * same_row, tau), math.log(B), rtol=1e-8)
    found = float(array(student.info_nce(normal(rng, B, C), normal(rng, B, C), tau), shape=()))
    true(abs(found - math.log(B)) > 1e-6, "rows that differ cost something else")


@info_nce.test(points=1, hint="Take the largest of a row out before np.exp.", cases=pairs)
def very_cold(student, rng, B, C, tau):
    "a tau of 0.001 does not overflow"
    x = np.eye(B) + 0.01 * normal(rng, B, B)
    wrong = float(array(student.info_nce(x, -x, 0.001), shape=()))
    true(
        np.isfinite(wrong) and wrong > 500, "with the partners turned around it is finite and large"
    )
    close(student.info_nce(x, x, 0.001), 0.0, atol=1e-9)


leaves_arguments(info_nce)


# ---------------------------------------------------------------------------------- mlp2x


def layers(rng, level):
    yield {"T": 1, "I": 2, "F": 3, "C": 2}
    yield {"T": 4, "I": 3, "F": 5, "C": 2}
    if level == "hidden":
        yield {"T": int(rng.integers(2, 9)), "I": 6, "F": 4, "C": 7}


@mlp2x.test(points=2, hint="Linear, GELU, linear.", cases=layers)
def two_layers(student, rng, T, I, F, C):  # noqa: E741
    "the formula, number by number"
    x, W1, b1, W2, b2 = (normal(rng, *s) for s in ((T, I), (F, I), (F,), (C, F), (C,)))
    wanted = np.zeros((T, C))
    for t in range(T):
        hidden = []
        for f in range(F):
            h = b1[f] + sum(x[t, i] * W1[f, i] for i in range(I))
            inner = math.sqrt(2 / math.pi) * (h + 0.044715 * h**3)
            hidden.append(0.5 * h * (1 + math.tanh(inner)))
        for c in range(C):
            wanted[t, c] = b2[c] + sum(hidden[f] * W2[c, f] for f in range(F))
    close(student.mlp2x(x, W1, b1, W2, b2), wanted, rtol=1e-7, atol=1e-9)


@mlp2x.test(points=1, hint="Python numbers leave float32 alone.", cases=layers)
def in_float32(student, rng, T, I, F, C):  # noqa: E741
    "float32 in, float32 out"
    shapes = ((T, I), (F, I), (F,), (C, F), (C,))
    parts = [normal(rng, *s, dtype=np.float32) for s in shapes]
    x, W1, b1, W2, b2 = (part.astype(np.float64) for part in parts)
    h = x @ W1.T + b1
    h = 0.5 * h * (1 + np.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h**3)))
    close(student.mlp2x(*parts), h @ W2.T + b2, rtol=1e-4, atol=1e-4, dtype=np.float32)


leaves_arguments(mlp2x)


# ---------------------------------------------------------------------------------- strided


def grids(rng, level):
    yield {"G": 2, "I": 1, "C": 2, "k": 2}
    yield {"G": 6, "I": 2, "C": 3, "k": 2}
    if level == "hidden":
        yield {"G": 6, "I": 3, "C": 2, "k": 3}
        yield {"G": 4, "I": 2, "C": 5, "k": 1}


@stride_conv_proj.test(points=3, hint="Row k r + a and column k q + b of the grid.", cases=grids)
def squares(student, rng, G, I, C, k):  # noqa: E741
    "each square of patches makes one token, in reading order"
    grid, W = normal(rng, G, G, I), normal(rng, C, I, k, k)
    wanted = np.zeros(((G // k) ** 2, C))
    for y in range(G):
        for x in range(G):
            token = y // k * (G // k) + x // k
            wanted[token] += W[:, :, y % k, x % k] @ grid[y, x]
    close(student.stride_conv_proj(grid, W), wanted, rtol=1e-8, atol=1e-9)


@stride_conv_proj.test(points=1, hint="1,120 / 14 / 2 = 40 squares a side.")
def published(student, rng):
    "1,120 pixels in patches of 14 become 1,600 tokens"
    grid = normal(rng, 80, 80, 1)
    found = array(student.stride_conv_proj(grid, np.ones((1, 1, 2, 2))))
    same(found.shape, (1600, 1), what="the shape")
    close(found, grid.reshape(40, 2, 40, 2).sum((1, 3)).reshape(1600, 1), atol=1e-9)


leaves_arguments(stride_conv_proj)


# ---------------------------------------------------------------------------------- queries


def looks(rng, level):
    yield {"S": 2, "N": 1, "I": 1, "C": 1}
    yield {"S": 5, "N": 3, "I": 4, "C": 2}
    if level == "hidden":
        yield {"S": 1, "N": 4, "I": 2, "C": 3}
        yield {"S": int(rng.integers(6, 12)), "N": 2, "I": 3, "C": 5}


def mixture(scores, values):
    """softmax(scores) @ values, one number after the other."""
    out = []
    for row in scores:
        weights = [math.exp(s - max(row)) for s in row]
        out.append(sum(w * v for w, v in zip(weights, values)) / sum(weights))
    return np.array(out)


@qformer.test(
    points=2, hint="softmax(q k / sqrt(C)) over the S keys, times the values.", cases=looks
)
def queries_mix_values(student, rng, S, N, I, C):  # noqa: E741
    "each query's mixture of the values"
    x, queries, Wk, Wv = (normal(rng, *s) for s in ((S, I), (N, C), (C, I), (C, I)))
    keys, values = [Wk @ row for row in x], [Wv @ row for row in x]
    scores = [[float(q @ k) / math.sqrt(C) for k in keys] for q in queries]
    close(student.qformer(x, queries, Wk, Wv), mixture(scores, values), rtol=1e-8, atol=1e-9)


@qformer.test(points=1, hint="Nothing may depend on where a token stands.", cases=looks)
def any_order_any_number(student, rng, S, N, I, C):  # noqa: E741
    "the order of x does not matter, nor does having everything twice"
    x, queries, Wk, Wv = (normal(rng, *s) for s in ((S, I), (N, C), (C, I), (C, I)))
    keys, values = [Wk @ row for row in x], [Wv @ row for row in x]
    wanted = mixture([[float(q @ k) / math.sqrt(C) for k in keys] for q in queries], values)
    for rows in (x[rng.permutation(S)], np.concatenate([x, x])):
        close(student.qformer(rows, queries, Wk, Wv), wanted, rtol=1e-8, atol=1e-9)


@qformer.test(points=1, hint="Subtract the largest score of each row.", cases=looks)
def large_scores(student, rng, S, N, I, C):  # noqa: E741
    "scores of 1,000 do not overflow"
    x, queries, Wk, Wv = (normal(rng, *s) for s in ((S, I), (N, C), (C, I), (C, I)))
    queries = 1000 * (1 + np.abs(queries)) * np.sign(queries)
    keys, values = [Wk @ row for row in x], [Wv @ row for row in x]
    scores = [[float(q @ k) / math.sqrt(C) for k in keys] for q in queries]
    close(student.qformer(x, queries, Wk, Wv), mixture(scores, values), rtol=1e-6, atol=1e-8)


leaves_arguments(qformer)


# ---------------------------------------------------------------------------------- the expert


def sequences(rng, level):
    yield {"T": 1, "C": 1}
    yield {"T": 4, "C": 3}
    if level == "hidden":
        yield {"T": int(rng.integers(5, 10)), "C": 4}


def by_token(x, is_img, Wt, Wi):
    """One token after the other."""
    T, C = x.shape
    own = [Wi if seen else Wt for seen in is_img]
    q, k, v = ([own[t][i] @ x[t] for t in range(T)] for i in range(3))
    out = []
    for t in range(T):
        scores = [float(q[t] @ k[s]) / math.sqrt(C) for s in range(t + 1)]
        out.append(own[t][3] @ mixture([scores], v[: t + 1])[0])
    return np.array(out)


def weights(rng, C):
    return tuple(normal(rng, C, C) for _ in range(4))


@visual_expert.test(points=3, hint="Choose all four maps by the token that uses them.",
                    cases=sequences)  # fmt: skip
def each_token_its_own(student, rng, T, C):
    "pictures' tokens have their own maps, and all meet in one attention"
    x, Wt, Wi = normal(rng, T, C), weights(rng, C), weights(rng, C)
    for is_img in (np.arange(T) < (T + 1) // 2, rng.random(T) < 0.5, np.ones(T, bool)):
        found = student.visual_expert(x, is_img, Wt, Wi)
        close(found, by_token(x, is_img, Wt, Wi), rtol=1e-8, atol=1e-9)


@visual_expert.test(points=1, hint="np.where takes nothing from the side it does not choose.",
                    cases=sequences)  # fmt: skip
def text_alone(student, rng, T, C):
    "a text without a picture does not feel the expert, even one of nan"
    x, Wt, text = normal(rng, T, C), weights(rng, C), np.zeros(T, bool)
    broken = tuple(np.full((C, C), np.nan) for _ in range(4))
    one = array(student.visual_expert(x, text, Wt, weights(rng, C)), shape=(T, C))
    two = array(student.visual_expert(x, text, Wt, broken), shape=(T, C))
    close(one, by_token(x, text, Wt, Wt), rtol=1e-8, atol=1e-9)
    same(bool(np.array_equal(one, two)), True, what="bit for bit the same")


@visual_expert.test(points=1, hint="With equal weights it does not matter whose are used.",
                    cases=sequences)  # fmt: skip
def copies_change_nothing(student, rng, T, C):
    "an expert that is a copy changes nothing"
    x, Wt = normal(rng, T, C), weights(rng, C)
    copy, is_img = tuple(w.copy() for w in Wt), rng.random(T) < 0.5
    close(student.visual_expert(x, is_img, Wt, copy), by_token(x, is_img, Wt, Wt),
          rtol=1e-8, atol=1e-9)  # fmt: skip


leaves_arguments(visual_expert)


# ---------------------------------------------------------------------------------- narrow


def branches(rng, level):
    yield {"T": 1, "S": 1, "C": 2, "D": 1, "d": 1}
    yield {"T": 3, "S": 5, "C": 6, "D": 4, "d": 2}
    if level == "hidden":
        yield {"T": int(rng.integers(2, 6)), "S": 9, "C": 8, "D": 3, "d": 4}


def branch(rng, T, S, C, D, d):
    shapes = ((T, C), (S, D), (d, C), (d, D), (d, D), (C, d))
    return [normal(rng, *shape) for shape in shapes]


@cross_attend_narrow.test(points=2, hint="softmax(q k / sqrt(d)) over hi, through Wo, plus h.",
                          cases=branches)  # fmt: skip
def added_to_the_stream(student, rng, T, S, C, D, d):
    "what is read from the sharp picture is added to the stream"
    h, hi, Wq, Wk, Wv, Wo = parts = branch(rng, T, S, C, D, d)
    keys, values = [Wk @ row for row in hi], [Wv @ row for row in hi]
    scores = [[float(Wq @ row @ k) / math.sqrt(d) for k in keys] for row in h]
    read = mixture(scores, values)
    close(student.cross_attend_narrow(*parts), h + read @ Wo.T, rtol=1e-8, atol=1e-9)


@cross_attend_narrow.test(points=1, hint="h + 0 is h.", cases=branches)
def zero_is_nothing(student, rng, T, S, C, D, d):
    "with zeros for Wo nothing changes"
    *parts, Wo = branch(rng, T, S, C, D, d)
    moved = array(student.cross_attend_narrow(*parts, Wo), shape=(T, C))
    true(np.abs(moved - parts[0]).max() > 1e-6, "with other numbers for Wo something changes")
    found = array(student.cross_attend_narrow(*parts, 0 * Wo), shape=(T, C))
    close(found, parts[0], rtol=0, atol=0)


leaves_arguments(cross_attend_narrow)
keeps_dtype(cross_attend_narrow)
