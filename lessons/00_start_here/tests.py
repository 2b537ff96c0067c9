"""Tests of exercise set 0: ten pieces of a language model."""

import math

import numpy as np

from minilm.course.checking.expect import array, close, same, true
from minilm.course.checking.probes import answers_twice, keeps_dtype, leaves_arguments
from minilm.course.checking.questions import Question

TITLE = "Start here: ten pieces of a language model"

bits_per_byte = Question(
    "bits_per_byte",
    title="the price of a guess",
    lines=1,
    hint="The sum of -log2(shares), divided by the sum of the lengths.",
)
slope = Question(
    "slope",
    title="a derivative with no tape",
    lines=1,
    hint="(f(x + h) - f(x - h)) / (2 * h), with the h that was given.",
)

merge = Question("merge", title="one merge of byte-pair encoding", lines=8, plugs="merge")
softmax = Question("softmax", title="scores to shares", lines=3, plugs="softmax")
layer_norm = Question("layer_norm", title="layer norm", lines=4, plugs="layer_norm")
gelu = Question("gelu", title="GELU and its derivative", lines=6, plugs="gelu")
mul = Question(
    "mul",
    title="multiplication that knows its derivative",
    lines=10,
    plugs="mul",
    hint="d(a b)/da is b: the gradient of a is g * b, summed down to the shape of a.",
)
cross_entropy = Question(
    "cross_entropy", title="the loss of a language model", lines=9, plugs="cross_entropy"
)
adamw = Question("adamw", title="a step of AdamW", lines=5, plugs="adamw")
top_p = Question("top_p", title="nucleus sampling", lines=7, plugs="top_p")


def normal(rng, shape, dtype=np.float32):
    return rng.standard_normal(shape).astype(dtype)


def pair_of(answer, what="the answer"):
    """The answer as (value, pullback)."""
    right = isinstance(answer, (tuple, list)) and len(answer) == 2 and callable(answer[1])
    true(right, f"{what} should be (value, pullback): an array and a function of g", "type")
    return answer


def gradients_of(pullback, g, count):
    """What a pullback returns, as a tuple of that length."""
    answer = pullback(g)
    right = isinstance(answer, (tuple, list)) and len(answer) == count
    true(right, f"the pullback should return a tuple with {count} in it", "type")
    return answer


def numeric(value, x, g, step=1e-6):
    """Gradient of sum(g * value(x)) by central differences, in float64."""
    x = x.astype(np.float64)
    out = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[i] += step
        down[i] -= step
        out[i] = ((value(up) - value(down)) * g).sum() / (2 * step)
    return out


def same_shapes(rng, level):
    yield {"shape": (3, 4)}
    if level == "hidden":
        yield {"shape": (1,)}
        yield {"shape": (1, 5)}
        yield {"shape": tuple(int(n) for n in rng.integers(1, 6, size=3))}


# -------------------------------------------------------------------- bits_per_byte


def counts(rng, level):
    yield {"count": 5}
    yield {"count": 3000}  # the product of so many shares is no number any more
    if level == "hidden":
        yield {"count": 1}
        yield {"count": int(rng.integers(2, 40))}


def price(shares, lengths):
    """Bits per byte in plain Python."""
    return sum(-math.log2(share) for share in shares) / sum(map(int, lengths))


@bits_per_byte.test(points=1, hint="Bits are logarithms to base 2: np.log2.", cases=counts)
def tokens_of_one_byte(student, rng, count):
    "is the mean of -log2 where every token is one byte"
    shares, lengths = rng.uniform(0.05, 1, size=count), np.ones(count, np.int64)
    close(student.bits_per_byte(shares, lengths), price(shares, lengths))


@bits_per_byte.test(points=1, hint="Divide by the bytes, not by the tokens.", cases=counts)
def tokens_of_many_bytes(student, rng, count):
    "divides all the bits by all the bytes"
    shares, lengths = rng.uniform(0.05, 1, size=count), rng.integers(2, 9, size=count)
    close(student.bits_per_byte(shares, lengths), price(shares, lengths))


@bits_per_byte.test(points=1, hint="Take the logarithm of the share itself, and add nothing.")
def a_great_surprise(student, rng):
    "a share of next to nothing has its full price"
    shares, lengths = np.array([1.0, 10.0 ** -rng.uniform(20, 30)]), np.ones(2, np.int64)
    close(student.bits_per_byte(shares, lengths), price(shares, lengths))


leaves_arguments(bits_per_byte)


# ---------------------------------------------------------------------------- slope


@slope.test(points=1, hint="The two places are 2 h apart.")
def exact_for_parabolas(student, rng):
    "is exact for a parabola, however large h is"
    a, c, x, h = (float(number) for number in rng.uniform(1, 3, size=4))
    found = student.slope(lambda w: (a * w - c) ** 2, x + 2, h)
    close(found, 2 * a * (a * (x + 2) - c), rtol=1e-4)


@slope.test(points=1, hint="With a small h the answer is nearly the derivative.")
def close_for_a_sine(student, rng):
    "is close to the derivative for a small h"
    x = float(rng.uniform(0.4, 1.1))
    close(student.slope(math.sin, x, 1e-4), math.cos(x), rtol=1e-6, atol=0)


@slope.test(points=1, hint="Use the h that was given, not one of your own.")
def the_h_that_was_given(student, rng):
    "uses the h that was given: for x^3 the answer is 3 x^2 + h^2"
    x, h = (float(number) for number in rng.uniform(0.5, 2, size=2))
    close(student.slope(lambda w: w**3, x, h), 3 * x * x + h * h)


# ---------------------------------------------------------------------------- merge


def merged(ids, pair, new):
    """By text: what str.replace does, left to right without overlap."""
    text = "".join(map(chr, ids)).replace("".join(map(chr, pair)), chr(new))
    return [ord(c) for c in text]


def lists(rng, level):
    yield {"count": 12, "kinds": 3}
    if level == "hidden":
        yield {"count": 200, "kinds": 2}
        yield {"count": int(rng.integers(20, 90)), "kinds": 5}


@merge.test(points=2, hint="Walk with an index: a match moves it by 2, anything else by 1.")
def the_example(student, rng):
    "replaces every pair: [1, 2, 3, 1, 2] becomes [9, 3, 9]"
    same(student.merge([1, 2, 3, 1, 2], (1, 2), 9), [9, 3, 9])
    middle = [int(n) for n in rng.integers(10, 99, size=3)]
    same(student.merge([1, 2, *middle, 1, 2, 1], (1, 2), 256), [256, *middle, 256, 1])


@merge.test(
    points=1, hint="In [1, 1, 1] the first two are joined and the third stays.", cases=lists
)
def twins(student, rng, count, kinds):
    "is right for any list, also where the pair is twice the same id"
    ids = [1, 1, 1, *(int(n) for n in rng.integers(1, kinds + 1, size=count))]
    for pair in ((1, 1), (1, 2), (2, 1)):
        same(student.merge(ids, pair, 300), merged(ids, pair, 300))


@merge.test(points=1, hint="Compare the ids themselves; as text, 11, 2 has 1, 2 in it.")
def ids_of_several_digits(student, rng):
    "ids of several digits are one id each"
    more = [int(n) for n in rng.integers(300, 900, size=2)]
    same(student.merge([11, 2, 1, 22, *more, 1, 2, 112], (1, 2), 9), [11, 2, 1, 22, *more, 9, 112])


@merge.test(points=1, hint="The last id has no right neighbour; build a new list.")
def edges(student, rng):
    "takes lists of none, of one and of two"
    same(student.merge([], (1, 2), 256), [])
    one = 10 + int(rng.integers(90))
    same(student.merge([one], (1, 2), 256), [one])
    same(student.merge([one, 1, 2], (1, 2), 256), [one, 256])
    same(student.merge([1, 2], (1, 2), 256), [256])


leaves_arguments(merge)


# -------------------------------------------------------------------------- softmax


def rows(rng, level):
    yield {"shape": (2, 3)}
    yield {"shape": (2, 3, 5)}
    if level == "hidden":
        yield {"shape": (1, 1)}
        yield {"shape": (7,)}
        yield {"shape": tuple(int(n) for n in rng.integers(1, 9, size=4))}


def shares_of(x):
    """Softmax over the last axis in float64."""
    e = np.exp(x.astype(np.float64) - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@softmax.test(
    points=2, hint="Divide by the sum over the last axis, with keepdims=True.", cases=rows
)
def exponentials_over_their_sum(student, rng, shape):
    "equals exp(x) / sum exp(x) over the last axis"
    x = normal(rng, shape)
    close(student.softmax(x), shares_of(x))


@softmax.test(points=2, hint="Subtract each row's largest number first; the shares do not change.")
def survives_large_numbers(student, rng):
    "survives logits of 10,000, of -10,000 and of -inf"
    low, high = rng.uniform(1, 2, size=2)
    x = np.float32([[1e4, 1e4 - 1, 0], [-1e4, -1e4, -1e4 - low], [0, -np.inf, high]])
    for turn in range(3):  # the largest stands in any place, and so does -inf
        row = np.roll(x, turn, axis=1)
        close(student.softmax(row), shares_of(row))


@softmax.test(points=1, hint="The sum is never 0: there is nothing to add to it.")
def every_digit(student, rng):
    "in float64, is right to twelve digits"
    x = normal(rng, (3, 5), np.float64)
    close(student.softmax(x), shares_of(x), rtol=1e-12, atol=0)


leaves_arguments(softmax)
keeps_dtype(softmax)


# ----------------------------------------------------------------------- layer_norm


def widths(rng, level):
    yield {"shape": (2, 8)}
    yield {"shape": (2, 3, 5)}
    if level == "hidden":
        yield {"shape": (4,)}
        yield {"shape": (3, 1)}
        yield {"shape": (2, int(rng.integers(2, 70)))}


def normed(x, eps=1e-5):
    """Rows of mean 0 and variance 1, float64."""
    wide = x.astype(np.float64)
    return (wide - wide.mean(-1, keepdims=True)) / np.sqrt(wide.var(-1, keepdims=True) + eps)


NEAR = {"rtol": 1e-4, "atol": 1e-5}


@layer_norm.test(
    points=2,
    hint="Mean and variance over the last axis; the variance divides by C, not C - 1.",
    cases=widths,
)
def rows_are_normalised(student, rng, shape):
    "every row has mean 0 and variance 1 before w and b"
    x = normal(rng, shape) * 3 + 2
    one, zero = np.ones(shape[-1], np.float32), np.zeros(shape[-1], np.float32)
    close(student.layer_norm(x, one, zero), normed(x), **NEAR)


@layer_norm.test(points=1, hint="... * w + b, and b may be None.", cases=widths)
def scaled_and_shifted(student, rng, shape):
    "is scaled by w and shifted by b, if there is a b"
    x, w, b = normal(rng, shape), normal(rng, shape[-1:]), normal(rng, shape[-1:])
    close(student.layer_norm(x, w, b), normed(x) * w + b, **NEAR)
    close(student.layer_norm(x, w), normed(x) * w, **NEAR, what="the answer without b")


@layer_norm.test(points=1, hint="eps belongs inside the square root, beside the variance.")
def eps_beside_the_variance(student, rng):
    "eps is added to the variance, also a large one"
    x, w, eps = normal(rng, (3, 6)) / 10, np.ones(6, np.float32), float(rng.uniform(0.5, 2))
    close(student.layer_norm(x, w, None, eps), normed(x, eps), **NEAR)


@layer_norm.test(points=1, hint="Subtract the mean first, then square: mean((x - mean)**2).")
def far_from_zero(student, rng):
    "is right where the mean is a thousand times the spread"
    x, w = normal(rng, (3, 16)) + float(rng.uniform(2000, 3000)), np.ones(16, np.float32)
    close(student.layer_norm(x, w), normed(x), rtol=1e-2, atol=1e-2)


leaves_arguments(layer_norm)
keeps_dtype(layer_norm)


# ----------------------------------------------------------------------------- gelu


def phi(x):
    """x times the normal distribution function, float64."""
    x = np.asarray(x, np.float64)
    return x * 0.5 * (1 + np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2)))


@gelu.test(
    points=2,
    hint="x/2 (1 + erf(x / sqrt 2)); the form with tanh is another function, off by 0.0005.",
    cases=same_shapes,
)
def the_exact_form(student, rng, shape):
    "the value is x Phi(x), to six digits"
    x = normal(rng, shape) * 2
    value, _ = pair_of(student.gelu(x))
    close(value, phi(x), rtol=1e-5, atol=2e-6, what="the value")


@gelu.test(points=2, hint="The derivative is Phi(x) + x phi(x); then times g.", cases=same_shapes)
def its_derivative(student, rng, shape):
    "the pullback gives g (Phi(x) + x phi(x))"
    x, g = normal(rng, shape) * 2, normal(rng, shape)
    _, pullback = pair_of(student.gelu(x))
    (gradient,) = gradients_of(pullback, g, 1)
    close(gradient, numeric(phi, x, g), rtol=1e-4, atol=1e-5, what="the gradient")


leaves_arguments(gelu)
keeps_dtype(gelu)
answers_twice(gelu, needs=["its_derivative"])


# ------------------------------------------------------------------------------ mul


def repeated_shapes(rng, level):
    yield {"left": (3, 4), "right": (4,)}
    yield {"left": (2, 3, 4), "right": (3, 1)}
    if level == "hidden":
        yield {"left": (5,), "right": (2, 3, 5)}
        yield {"left": (3, 1), "right": (1, 4)}
        yield {"left": (1, 3), "right": (2, 1, 1)}
        yield {"left": (), "right": (2, 2)}


@mul.test(points=1, hint="The value is a * b.", cases=same_shapes)
def the_product(student, rng, shape):
    "the value is the product"
    a, b = normal(rng, shape), normal(rng, shape)
    value, _ = pair_of(student.mul(a, b))
    close(value, a.astype(np.float64) * b, what="the value")


@mul.test(points=1, cases=same_shapes)
def the_gradient_for_equal_shapes(student, rng, shape):
    "the gradients are right where the shapes are equal"
    a, b, g = normal(rng, shape), normal(rng, shape), normal(rng, shape)
    _, pullback = pair_of(student.mul(a, b))
    da, db = gradients_of(pullback, g, 2)
    close(da, numeric(lambda x: x * b, a, g), rtol=1e-4, atol=1e-5, what="the gradient of a")
    close(db, numeric(lambda x: a * x, b, g), rtol=1e-4, atol=1e-5, what="the gradient of b")


@mul.test(
    points=2,
    hint="Sum over the axes that b lacks, and over those where its size is 1 (keepdims=True).",
    cases=repeated_shapes,
)
def the_gradient_where_one_is_repeated(student, rng, left, right):
    "the gradients have their arguments' shapes where one is repeated"
    a, b = normal(rng, left), normal(rng, right)
    g = normal(rng, np.broadcast_shapes(left, right))
    _, pullback = pair_of(student.mul(a, b))
    da, db = gradients_of(pullback, g, 2)
    fine = {"rtol": 1e-4, "atol": 1e-5}
    close(da, numeric(lambda x: x * b, a, g), **fine, what="the gradient of a")
    close(db, numeric(lambda x: a * x, b, g), **fine, what="the gradient of b")


leaves_arguments(mul)
keeps_dtype(mul)
answers_twice(mul, needs=["the_gradient_for_equal_shapes"])


# -------------------------------------------------------------------- cross_entropy


def batches(rng, level):
    yield {"count": 4, "size": 7}
    if level == "hidden":
        yield {"count": 1, "size": 2}
        yield {"count": 3, "size": 1}
        yield {"count": int(rng.integers(2, 9)), "size": int(rng.integers(2, 30))}


def mean_loss(logits, targets):
    """Mean of -log softmax at the targets, float64."""
    wide = np.asarray(logits, np.float64)
    top = wide.max(-1, keepdims=True)
    total = np.log(np.exp(wide - top).sum(-1)) + top[:, 0]
    return (total - wide[np.arange(len(wide)), targets]).mean()


@cross_entropy.test(
    points=2,
    hint="Pick each row's log-probability at its target, change the sign, take the mean.",
    cases=batches,
)
def the_mean_loss(student, rng, count, size):
    "the value is the mean of -log softmax at the targets"
    logits, targets = normal(rng, (count, size)) * 3, rng.integers(0, size, size=count)
    value, _ = pair_of(student.cross_entropy(logits, targets))
    array(value, shape=(), what="the value")
    close(value, mean_loss(logits, targets), what="the value")


@cross_entropy.test(
    points=2,
    hint="For each row it is softmax(logits) minus 1 at the target, divided by the row count.",
    cases=batches,
)
def its_gradient(student, rng, count, size):
    "the pullback gives g times the derivative of the mean"
    logits, targets = normal(rng, (count, size)), rng.integers(0, size, size=count)
    _, pullback = pair_of(student.cross_entropy(logits, targets))
    g = np.float32(rng.uniform(0.5, 2))
    gradient, nothing = gradients_of(pullback, g, 2)
    expected = numeric(lambda x: mean_loss(x, targets), logits, g)
    what = "the gradient of logits"
    close(gradient, expected, rtol=1e-4, atol=1e-5, what=what)
    true(nothing is None, "targets have no gradient: the second entry should be None", "type")


@cross_entropy.test(points=1, hint="log(sum(exp(x))) overflows; subtract the maximum first.")
def an_unlikely_target(student, rng):
    "the loss of a target 10,000 below the best is 10,000, not infinite"
    low = -float(np.round(rng.uniform(9000, 10000)))
    for row in ([0, low], [-low, 0]):
        value, pullback = pair_of(student.cross_entropy(np.float32([row]), np.array([1])))
        close(value, -low, what="the value")
        gradient, _ = gradients_of(pullback, np.float32(1), 2)
        close(gradient, [[1, -1]], what="the gradient of logits")


leaves_arguments(cross_entropy)
keeps_dtype(cross_entropy)
answers_twice(cross_entropy, needs=["its_gradient"])


# ---------------------------------------------------------------------------- adamw


def settings(rng, eps):
    return {
        "lr": float(rng.uniform(0.01, 0.1)),
        "b1": float(rng.uniform(0.8, 0.95)),
        "b2": float(rng.uniform(0.95, 0.999)),
        "eps": eps,
    }


def steps_of_adamw(student, rng, count, decay, eps=1e-8):
    """Run `count` steps beside the formula in float64; the arrays after each."""
    how = settings(rng, eps)
    p, m, v = normal(rng, (3, 2)), np.zeros((3, 2), np.float32), np.zeros((3, 2), np.float32)
    wide = [a.astype(np.float64) for a in (p, m, v)]
    for step in range(1, count + 1):
        g = normal(rng, (3, 2))
        answer, after = student.call_inplace("adamw", p, g, m, v, *how.values(), decay, step)
        true(answer is None, "adamw should change p, m and v in place and return nothing", "type")
        p, _, m, v = after[:4]
        weights, first, second = wide
        first = how["b1"] * first + (1 - how["b1"]) * g
        second = how["b2"] * second + (1 - how["b2"]) * g.astype(np.float64) ** 2
        unbiased = first / (1 - how["b1"] ** step)
        size = np.sqrt(second / (1 - how["b2"] ** step)) + how["eps"]
        weights = weights - how["lr"] * decay * weights - how["lr"] * unbiased / size
        wide = [weights, first, second]
        yield (p, m, v), wide


CLOSE = {"rtol": 1e-4, "atol": 1e-5, "dtype": np.float32}


@adamw.test(points=1, hint="m[...] = writes into the array; m = gives the name to a new one.")
def the_means(student, rng):
    "m and v are the running means, changed in place"
    for (_, m, v), (_, first, second) in steps_of_adamw(student, rng, 3, 0.0):
        close(m, first, **CLOSE, what="m afterwards")
        close(v, second, **CLOSE, what="v afterwards")


@adamw.test(points=2, hint="m and v start at 0: divide by 1 - b1**step and 1 - b2**step.")
def the_step(student, rng):
    "p takes Adam's step, from the first step on"
    for (p, _, _), (weights, _, _) in steps_of_adamw(student, rng, 4, 0.0):
        close(p, weights, **CLOSE, what="p afterwards")


@adamw.test(points=1, hint="The decay takes lr * decay * p from p, and never enters g, m or v.")
def the_decay(student, rng):
    "weights decay by lr * decay, apart from the gradient"
    for (p, m, _), (weights, first, _) in steps_of_adamw(student, rng, 3, 0.3):
        close(p, weights, **CLOSE, what="p afterwards")
        close(m, first, **CLOSE, what="m afterwards")


@adamw.test(points=1, hint="Add the eps that was given to the root, not under it.")
def the_eps_that_was_given(student, rng):
    "adds the eps that was given to the root, also a large one"
    eps = float(rng.uniform(0.3, 1))
    for (p, _, _), (weights, _, _) in steps_of_adamw(student, rng, 2, 0.0, eps):
        close(p, weights, **CLOSE, what="p afterwards")


leaves_arguments(adamw, changes=(0, 2, 3))


# ---------------------------------------------------------------------------- top_p


def nucleus(logits, p):
    """Which tokens of one row stay: by falling probability until they hold p."""
    shares, held, stay = shares_of(logits), 0.0, np.zeros(len(logits), bool)
    for token in np.argsort(-shares):
        if held >= p:
            break
        stay[token] = True
        held += shares[token]
    return stay


def chances(rng, level):
    yield {"shape": (6,), "p": 0.7}
    yield {"shape": (3, 8), "p": 0.9}
    if level == "hidden":
        yield {"shape": (1, 1), "p": 0.5}
        yield {"shape": (2, 2, 20), "p": float(rng.uniform(0.3, 0.95))}
        yield {"shape": (4, 50), "p": float(rng.uniform(0.3, 0.95))}


@top_p.test(
    points=2,
    hint="Sort, add up the probabilities, keep a token if less than p was held before it.",
    cases=chances,
)
def keeps_the_nucleus(student, rng, shape, p):
    "keeps the fewest likeliest tokens that hold p, whatever their order"
    logits = normal(rng, shape) * 2
    stay = np.apply_along_axis(nucleus, -1, logits, p)
    close(student.top_p(logits, p), np.where(stay, logits, -np.inf), rtol=0)


@top_p.test(points=1, hint="Keep a token by what was held before it, not by what is held after.")
def one_always_stays(student, rng):
    "the likeliest token stays, however small p is"
    logits = normal(rng, (2, 9))
    best = logits == logits.max(-1, keepdims=True)
    close(student.top_p(logits, 1e-6), np.where(best, logits, -np.inf), rtol=0)


@top_p.test(points=1, hint="Rank the tokens; a bound on their logits keeps all of those that tie.")
def no_more_than_needed(student, rng):
    "of equally likely tokens only as many stay as are needed"
    equal = np.float32(rng.uniform(-2, 2))
    logits = np.array([[equal - 50, equal, equal, equal, equal]])
    for p in (float(rng.uniform(0.27, 0.48)), 0.5):
        found = array(student.top_p(logits, p), shape=(1, 5))
        true((found[:, 1:] == equal).sum() == 2, f"of four, two hold {p:.2f} together")
        true(np.isneginf(found).sum() == 3, "all others should be -inf")


@top_p.test(points=1, hint="Subtract the largest logit before exp; the shares stay the same.")
def survives_large_logits(student, rng):
    "survives logits of thousands"
    logits = np.float32([[2000, 2001, 1000], [-2000, -2000.5, -2001]])[:, rng.permutation(3)]
    stay = np.apply_along_axis(nucleus, -1, logits, 0.7)
    close(student.top_p(logits, 0.7), np.where(stay, logits, -np.inf), rtol=0, atol=0)


leaves_arguments(top_p)
keeps_dtype(top_p)
