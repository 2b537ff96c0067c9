"""Tests of exercise set 3: the walk from encoder-decoder to decoder, and what each design costs."""

import math

import numpy as np

from minilm.course.checking.expect import array, close, same, true
from minilm.course.checking.probes import keeps_dtype, leaves_arguments
from minilm.course.checking.questions import Question

TITLE = "The history of the transformer: from two stacks to one"

one_row = Question(
    "one_row",
    title="one row",
    lines=3,
    hint="np.concatenate([source, [begin], target[:-1]]) is what it reads.",
)
mask = Question(
    "mask",
    title="who sees whom",
    lines=4,
    plugs="joint",
    hint="np.tri(n, dtype=bool) is the past; np.arange(n) < n_in are the input's columns.",
)
prefix_lm_loss_mask = Question(
    "prefix_lm_loss_mask",
    title="what is scored",
    lines=2,
    hint="The token after place t stands at t + 1: it must be n_in or later, and before n.",
)
encdec_forward = Question(
    "encdec_forward",
    title="the encoder-decoder",
    lines=10,
    hint="x = x + look(norm(x), ...), then x = x + feed(norm(x), layer); at the end norm(target).",
)
share = Question(
    "share",
    title="steps 1 and 2: share weights",
    asks=("share_cross", "share_stacks", "walk_sizes"),
    lines=9,
    hint="A new dictionary with one part replaced: {**w, name: ...}.",
)
one_stack = Question(
    "one_stack",
    title="steps 3 and 4: one stack",
    asks=("same_layer_attend", "causal_input"),
    lines=20,
    hint="Take norm(source) and norm(target) before either of them moves.",
)
flops = Question(
    "flops",
    title="what a forward pass costs",
    lines=4,
    hint="Multiply-adds of every token in every layer, times 2.",
)
kv_step = Question(
    "kv_step",
    title="one step with a cache",
    lines=10,
    hint="Put the new keys and values under the old ones, then mix the new queries with all.",
)
chat_cost = Question(
    "chat_cost",
    title="what a chat costs",
    lines=8,
    plugs="chat_cost",
    hint="In turn t, counted from 0, the model reads t (u + a) + u tokens and writes a.",
)

KINDS = ("causal", "prefix", "encdec")


# ------------------------------------------------------------------- a slow transformer, by hand


def draw_layer(rng, size, names=("q", "k", "v", "o", "up", "down")):
    shapes = {"up": (4 * size, size), "down": (size, 4 * size)}
    make = {name: shapes.get(name, (size, size)) for name in names}
    return {name: rng.standard_normal(s) / math.sqrt(s[1]) for name, s in make.items()}


def draw_stack(rng, count, size, **named):
    return [draw_layer(rng, size, **named) for _ in range(count)]


def draw_weights(rng, count, size):
    return {
        "encoder": draw_stack(rng, count, size),
        "decoder": draw_stack(rng, count, size),
        "cross": draw_stack(rng, count, size, names=("q", "k", "v", "o")),
    }


def unit(row):
    return row / math.sqrt(math.fsum(row * row) / len(row) + 1e-5)


def one_look(row, seen, w):
    """One query over a list of rows: exp, divide, add up."""
    query = w["q"] @ row
    scores = [math.exp(query @ (w["k"] @ other) / math.sqrt(len(row))) for other in seen]
    mixed = sum(score * (w["v"] @ other) for score, other in zip(scores, seen))
    return w["o"] @ (mixed / math.fsum(scores))


def fed(row, w):
    return row + w["down"] @ np.maximum(w["up"] @ unit(row), 0)


def stack_by_hand(layers, rows, may_look):
    """One stack of layers, token after token; may_look(t, s) is the mask."""
    for w in layers:
        old = [unit(row) for row in rows]
        sees = [[old[s] for s in range(len(rows)) if may_look(t, s)] for t in range(len(rows))]
        rows = [fed(row + one_look(old[t], sees[t], w), w) for t, row in enumerate(rows)]
    return np.array([unit(row) for row in rows])


def target_by_hand(decoder, cross, rows, reads):
    """A decoder whose layer l looks at its own past, then at the rows reads[l]."""
    for w, other, read in zip(decoder, cross, reads):
        old = [unit(row) for row in rows]
        rows = [row + one_look(old[t], old[: t + 1], w) for t, row in enumerate(rows)]
        rows = [fed(row + one_look(unit(row), read, other), w) for row in rows]
    return np.array([unit(row) for row in rows])


def everything(t, s):
    return True


def the_past(t, s):
    return s <= t


def whole(answer, expected, what="the answer"):
    """Exactly this number, and of a whole-number type."""
    found = array(answer, shape=(), what=what)
    true(found.dtype.kind in "iu", f"{what} is {found.dtype}, expected a whole number", "dtype")
    same(answer, expected, what=what)


def exactly(answer, expected, what="the answer"):
    close(answer, expected, rtol=1e-12, atol=1e-12, dtype=np.float64, what=what)


def flat(value):
    if isinstance(value, np.ndarray):
        return [value]
    if not isinstance(value, (dict, list, tuple)):
        return []
    parts = value.values() if isinstance(value, dict) else value
    return [leaf for part in parts for leaf in flat(part)]


# ---------------------------------------------------------------------------------------- one_row


def rows(rng, level):
    yield {"S": 2, "T": 2}
    if level == "hidden":
        yield {"S": 4, "T": 1}
        yield {"S": 0, "T": 3}
        yield {"S": int(rng.integers(3, 9)), "T": int(rng.integers(2, 9))}


def drawn_row(rng, S, T):
    """Source, target and begin, all different numbers; the row's two arrays, place by place."""
    ids = (10 + rng.choice(90_000, S + T + 1, replace=False)).tolist()
    source, target, begin = ids[:S], ids[S : S + T], ids[-1]
    read, wanted = [], []
    for place in range(S + T):
        read.append(source[place] if place < S else ([begin, *target])[place - S])
        wanted.append(-100 if place < S else target[place - S])
    return (np.array(source, np.int64), np.array(target, np.int64), begin), read, wanted


def both_rows(answer, size):
    right = isinstance(answer, (tuple, list)) and len(answer) == 2
    true(right, "one_row should return two arrays: (what it reads, what it must predict)", "type")
    made = [array(part, shape=(size,), what="each array") for part in answer]
    true(all(part.dtype.kind in "iu" for part in made), "both should be whole numbers", "dtype")
    return made


@one_row.test(points=1, hint="The source, then [begin], then target[:-1].", cases=rows)
def what_it_reads(student, rng, S, T):
    "reads the source, begin, and the target but its last token"
    given, read, _ = drawn_row(rng, S, T)
    same(both_rows(student.one_row(*given), S + T)[0], np.array(read), what="what it reads")


@one_row.test(points=1, hint="S times -100, then the whole target.", cases=rows)
def what_it_predicts(student, rng, S, T):
    "predicts nothing in the source and then the target"
    given, _, wanted = drawn_row(rng, S, T)
    made = both_rows(student.one_row(*given), S + T)[1]
    same(made, np.array(wanted), what="what it must predict")


leaves_arguments(one_row, needs=["what_it_reads", "what_it_predicts"])


# ------------------------------------------------------------------------------------------- mask


def sides(rng, level):
    yield {"n_in": 1, "n_tgt": 2}
    yield {"n_in": int(rng.integers(3, 7)), "n_tgt": int(rng.integers(3, 7))}
    if level == "hidden":
        yield {"n_in": 0, "n_tgt": 3}
        yield {"n_in": 4, "n_tgt": 0}
        yield {"n_in": int(rng.integers(2, 12)), "n_tgt": int(rng.integers(2, 12))}


def pattern(kind, n_in, n_tgt):
    """Every pair asked by itself: the rules in words."""
    made = np.zeros((n_in + n_tgt, n_in + n_tgt), bool)
    for t, s in np.ndindex(made.shape):
        both_input = t < n_in and s < n_in
        made[t, s] = s <= t or (kind != "causal" and both_input)
    return made


def looks(student, kind, n_in, n_tgt):
    """The student's mask, once it has the right shape and is boolean."""
    size = n_in + n_tgt
    return array(student.mask(kind, n_in, n_tgt), shape=(size, size), dtype=bool)


@mask.test(points=1, hint="A token looks at itself and back: the lower triangle.", cases=sides)
def causal_mask(student, rng, n_in, n_tgt):
    "causal: every token sees itself and the past"
    close(looks(student, "causal", n_in, n_tgt), pattern("causal", n_in, n_tgt))


@mask.test(
    points=1,
    hint="Rows of the input see all columns of the input; rows of the target see them too.",
    cases=sides,
)
def prefix_mask(student, rng, n_in, n_tgt):
    "prefix: all see the whole input, the target is causal"
    close(looks(student, "prefix", n_in, n_tgt), pattern("prefix", n_in, n_tgt))


@mask.test(
    points=1,
    hint="The encoder fills the input's square, the cross-attention the target's rows over it.",
    cases=sides,
)
def encdec_mask(student, rng, n_in, n_tgt):
    "encdec: what encoder, cross-attention and decoder let through together"
    close(looks(student, "encdec", n_in, n_tgt), pattern("encdec", n_in, n_tgt))


def longer(rng, level):
    yield {"n_in": int(rng.integers(25, 40)), "n_tgt": int(rng.integers(9, 20))}
    if level == "hidden":
        yield {"n_in": int(rng.integers(50, 150)), "n_tgt": int(rng.integers(50, 150))}


@mask.test(points=1, hint="Count the ones of a small mask by hand.", cases=longer)
def mask_counts(student, rng, n_in, n_tgt):
    "the masks have as many ones as the formulas say"
    n = n_in + n_tgt
    expected = {"causal": n * (n + 1) // 2}
    expected["prefix"] = n_in**2 + n_in * n_tgt + n_tgt * (n_tgt + 1) // 2
    expected["encdec"] = expected["prefix"]
    for kind in KINDS:
        same(int(looks(student, kind, n_in, n_tgt).sum()), expected[kind], what=f"ones of {kind}")


# ---------------------------------------------------------------------------- prefix_lm_loss_mask


def asked_places(n_in, n, width):
    """Text after text: for each target token, the place before it."""
    made = np.zeros((len(n), width), bool)
    for row, first, end in zip(made, n_in.tolist(), n.tolist()):
        for place in range(max(first, 1), end):
            row[place - 1] = True
    return made


def scores_these(student, n_in, n, width):
    n_in, n = np.array(n_in), np.array(n)
    answer = student.prefix_lm_loss_mask(n_in, n, width)
    close(answer, asked_places(n_in, n, width), rtol=0, atol=0, dtype=bool)


@prefix_lm_loss_mask.test(points=1, hint="The example has True at the places 1 and 2.")
def one_text(student, rng):
    "is right for one text like the example"
    n_in = int(rng.integers(2, 5))
    n = n_in + int(rng.integers(2, 5))
    scores_these(student, [n_in], [n], n + int(rng.integers(1, 5)))


def batches(rng, level):
    yield {"texts": 4, "width": 9}
    if level == "hidden":
        yield {"texts": 1, "width": 5}
        yield {"texts": 20, "width": int(rng.integers(12, 40))}


@prefix_lm_loss_mask.test(points=2, cases=batches)
def many_texts(student, rng, texts, width):
    "is right for many texts of many lengths"
    n = rng.integers(3, width + 1, texts)
    n_in = rng.integers(1, n)
    scores_these(student, n_in, n, width)


@prefix_lm_loss_mask.test(
    points=1, hint="n_in may be 0, or n; n may be the width. A slice that starts at -1 is a trap."
)
def limits(student, rng):
    "is right without input, without target, and without padding"
    n = int(rng.integers(3, 7))
    scores_these(student, [0, n, 0, n, 1, 0], [n, n, 0, n + 3, n + 3, 1], n + 3)


leaves_arguments(prefix_lm_loss_mask)


# ---------------------------------------------------------------------------------- encdec_forward


def encdec_by_hand(w, source, target):
    end = list(stack_by_hand(w["encoder"], list(source), everything))
    return target_by_hand(w["decoder"], w["cross"], list(target), [end] * len(w["decoder"]))


def single(rng, level):
    yield {"L": 1, "C": 4, "S": 3, "T": 1}
    if level == "hidden":
        yield {"L": 1, "C": int(rng.integers(2, 9)), "S": 1, "T": 1}
        yield {"L": 1, "C": 2, "S": int(rng.integers(2, 7)), "T": 1}


def written(rng, level):
    yield {"L": 1, "C": 4, "S": 3, "T": 4}
    if level == "hidden":
        yield {"L": 1, "C": 6, "S": 1, "T": int(rng.integers(2, 7))}


def deep(rng, level):
    yield {"L": 2, "C": 4, "S": 3, "T": 4}
    if level == "hidden":
        yield {"L": 4, "C": 3, "S": 2, "T": 2}
        yield {"L": 3, "C": 8, "S": int(rng.integers(2, 6)), "T": int(rng.integers(2, 6))}


def draw_both(rng, S, T, C):
    return rng.standard_normal((S, C)), rng.standard_normal((T, C))


@encdec_forward.test(points=1, cases=single)
def one_token(student, rng, L, C, S, T):
    "is right with one layer on each side and one target token"
    w, both = draw_weights(rng, L, C), draw_both(rng, S, T, C)
    exactly(student.encdec_forward(w, *both), encdec_by_hand(w, *both))


@encdec_forward.test(
    points=2,
    hint="The target looks at itself through np.tri(T, dtype=bool), at the source through True.",
    cases=written,
)
def causal_target(student, rng, L, C, S, T):
    "is right for a longer target, which must not see its own future"
    w, both = draw_weights(rng, L, C), draw_both(rng, S, T, C)
    exactly(student.encdec_forward(w, *both), encdec_by_hand(w, *both))


@encdec_forward.test(
    points=2,
    hint="Run the whole encoder first; every decoder layer reads the norm of where it ended.",
    cases=deep,
)
def every_layer_reads_the_end(student, rng, L, C, S, T):
    "is right with several layers, all of which read the last encoder layer"
    w, both = draw_weights(rng, L, C), draw_both(rng, S, T, C)
    exactly(student.encdec_forward(w, *both), encdec_by_hand(w, *both))


leaves_arguments(encdec_forward)
keeps_dtype(encdec_forward)


# ------------------------------------------------------------------------------------------- share


def walks(rng, level):
    yield {"L": 1, "C": 2}
    yield {"L": 2, "C": 3}
    if level == "hidden":
        yield {"L": int(rng.integers(3, 6)), "C": int(rng.integers(4, 9))}


def step_taken(student, name, w):
    """What a step returns, once it has the form of weights."""
    made = getattr(student, name)(w)
    right = isinstance(made, dict) and set(made) == set(w)
    true(right, f"{name} should return a dictionary with encoder, decoder and cross", "type")
    for part, layers in w.items():
        good = isinstance(made[part], (list, tuple)) and len(made[part]) == len(layers)
        true(good, f"{part} should be a list with one dictionary per layer", "type")
        true(
            all(
                isinstance(layer, dict) and set(w["cross"][0]) <= set(layer) for layer in made[part]
            ),
            f"each layer of {part} should be a dictionary with q, k, v and o",
            "type",
        )
    return made


def has(layers, expected, what):
    """Each layer holds the arrays that are expected, by value."""
    for l, (mine, want) in enumerate(zip(layers, expected)):  # noqa: E741
        for name, matrix in want.items():
            true(name in mine, f"layer {l} of {what} has no {name}", "type")
            exactly(mine[name], matrix, what=f"{name} in layer {l} of {what}")


def different(w):
    """How many numbers the different arrays of w hold."""
    return sum(a.size for a in {a.tobytes(): a for a in flat(w)}.values())


@share.test(
    points=2, hint="cross[l] gets q, k, v and o of decoder[l]; nothing else moves.", cases=walks
)
def first_step(student, rng, L, C):
    "step 1: the cross-attention has the decoder's own attention weights, 24 L C^2 are left"
    w = draw_weights(rng, L, C)
    made = step_taken(student, "share_cross", w)
    names = ("q", "k", "v", "o")
    has(made["cross"], [{n: layer[n] for n in names} for layer in w["decoder"]], "cross")
    has(made["encoder"], w["encoder"], "encoder")
    has(made["decoder"], w["decoder"], "decoder")
    same(different(made), 24 * L * C * C, what="the count of numbers")


@share.test(points=2, hint="The encoder's list becomes the decoder's list.", cases=walks)
def second_step(student, rng, L, C):
    "step 2: the encoder has the decoder's layers, also where step 1 was not taken"
    w = draw_weights(rng, L, C)
    made = step_taken(student, "share_stacks", w)
    has(made["encoder"], w["decoder"], "encoder")
    has(made["decoder"], w["decoder"], "decoder")
    has(made["cross"], w["cross"], "cross")
    same(different(made), 16 * L * C * C, what="the count of numbers")


def three_sizes(answer, expected):
    right = isinstance(answer, (tuple, list, np.ndarray)) and len(answer) == 3
    true(right, "walk_sizes should return three whole numbers", "type")
    for step, (mine, want) in enumerate(zip(answer, expected)):
        whole(mine, want, what=f"the size after step {step}")


@share.test(
    points=1,
    hint="Collect {id(a): a.size} over all arrays. A copy is another array: it is not shared.",
    cases=walks,
)
def table_of_sizes(student, rng, L, C):
    "counts 28, 24 and 12 L C^2: shared arrays are one array"
    answer = student.walk_sizes(draw_weights(rng, L, C))
    three_sizes(answer, [n * L * C * C for n in (28, 24, 12)])


@share.test(points=1, hint="Add up the sizes of the arrays that are there, and of nothing else.")
def sizes_of_another_width(student, rng):
    "counts the arrays that are there: a feed-forward may have another width"
    L, C, times = int(rng.integers(1, 4)), int(rng.integers(2, 6)), int(rng.integers(1, 4))
    w = draw_weights(rng, L, C)
    for layer in (*w["encoder"], *w["decoder"]):
        layer["up"], layer["down"] = layer["up"][: times * C], layer["down"][:, : times * C]
    stack = 4 + 2 * times
    expected = [n * L * C * C for n in (2 * stack + 4, 2 * stack, stack)]
    three_sizes(student.walk_sizes(w), expected)


leaves_arguments(share)


# --------------------------------------------------------------------------------------- one_stack


def same_layer_by_hand(layers, source, target):
    """Two softmaxes; the source's rows before each layer are what the target's layer reads."""
    reads, rows = [], list(source)
    for w in layers:
        reads.append([unit(row) for row in rows])
        rows = [fed(row + one_look(unit(row), reads[-1], w), w) for row in rows]
    return target_by_hand(layers, layers, list(target), reads)


@one_stack.test(
    points=2,
    hint="Layer l reads norm(source) as it was before layer l, not after it and not at the end.",
    cases=deep,
)
def two_softmaxes(student, rng, L, C, S, T):
    "same_layer_attend: target layer l reads what source layer l reads"
    layers, both = draw_stack(rng, L, C), draw_both(rng, S, T, C)
    exactly(student.same_layer_attend(layers, *both), same_layer_by_hand(layers, *both))


@one_stack.test(
    points=2,
    hint="One look from own at np.vstack([read, own]); its mask is (T, S + T).",
    cases=deep,
)
def one_softmax(student, rng, L, C, S, T):
    "merged, it equals a prefix-LM over source and target to 1e-12"
    layers, both = draw_stack(rng, L, C), draw_both(rng, S, T, C)
    expected = stack_by_hand(layers, [*both[0], *both[1]], lambda t, s: s < S or s <= t)[S:]
    exactly(student.same_layer_attend(layers, *both, True), expected)
    exactly(student.same_layer_attend(layers, *both, merged=True), expected)


@one_stack.test(
    points=2,
    hint="Stack source and target, mask with np.tri, return the rows from len(source) on.",
    cases=deep,
)
def decoder_only(student, rng, L, C, S, T):
    "causal_input equals a decoder over source and target to 1e-12"
    layers, both = draw_stack(rng, L, C), draw_both(rng, S, T, C)
    expected = stack_by_hand(layers, [*both[0], *both[1]], the_past)[S:]
    exactly(student.causal_input(layers, *both), expected)


BOTH = ["two_softmaxes", "decoder_only"]
leaves_arguments(one_stack, needs=BOTH)
keeps_dtype(one_stack, needs=BOTH)


# ------------------------------------------------------------------------------------------- flops


def prices(rng, level):
    yield {"n_in": 1, "n_tgt": 1, "layers": 1, "channels": 2}
    yield {"n_in": 40, "n_tgt": 9, "layers": 3, "channels": 64}
    if level == "hidden":
        yield {"n_in": 0, "n_tgt": 5, "layers": 2, "channels": 8}
        yield {"n_in": 7, "n_tgt": 0, "layers": 2, "channels": 8}
        names = ("n_in", "n_tgt", "layers", "channels")
        yield dict(zip(names, rng.integers(10, 200, 4).tolist()))


def products(arch, n_in, n_tgt, C):
    """Every matrix product of one layer (of each stack), as (rows, inner, columns)."""
    everyone = n_in + n_tgt
    made = [(everyone, C, C)] * 4 + [(everyone, C, 4 * C), (everyone, 4 * C, C)]
    if arch == "encdec":
        made += [(n_tgt, C, C)] * 2 + [(n_in, C, C)] * 2  # q and o, k and v
    return made


@flops.test(points=1, hint="Each cross layer adds 2 C^2 for each input and each target token.")
def seven_sixths(student, rng):
    "an encoder-decoder costs exactly 7/6 of a decoder, for any lengths"
    for _ in range(3):
        n_in, n_tgt = rng.integers(1, 2000, 2).tolist()
        one, two = (
            array(student.flops(arch, n_in, n_tgt), shape=(), what=f"the cost of {arch}")
            for arch in ("causal", "encdec")
        )
        same(6 * int(two), 7 * int(one), what="6 times the encoder-decoder's cost")
        expected = (n_in + n_tgt) * 12 * 512**2 * 6 * 2
        true(0.4 < one / expected < 2.1, "a decoder's cost is far from 12 C^2 a token and layer")


@flops.test(points=2, cases=prices)
def every_product(student, rng, n_in, n_tgt, layers, channels):
    "counts every matrix product, 2 operations per multiply-add"
    for arch in KINDS:
        parts = products(arch, n_in, n_tgt, channels)
        expected = layers * sum(2 * rows * inner * columns for rows, inner, columns in parts)
        whole(student.flops(arch, n_in, n_tgt, layers, channels), expected, f"{arch}'s cost")


@flops.test(
    points=1,
    hint="The pairs are the ones of the mask; each costs 2 C multiply-adds in each layer.",
    cases=prices,
)
def the_scores(student, rng, n_in, n_tgt, layers, channels):
    "adds the scores where asked to"
    for arch in KINDS:
        given = (arch, n_in, n_tgt, layers, channels)
        without = array(student.flops(*given), shape=(), what=f"{arch}'s cost")
        pairs = int(pattern(arch, n_in, n_tgt).sum())
        answer = array(student.flops(*given, scores=True), shape=(), what=f"{arch}'s cost")
        extra = answer - without
        whole(extra, 4 * channels * layers * pairs, what=f"the price of {arch}'s scores")


# ----------------------------------------------------------------------------------------- kv_step


def texts(rng, level):
    yield {"L": 2, "C": 4, "parts": [1, 1, 1, 1]}
    if level == "hidden":
        yield {"L": 1, "C": 3, "parts": [1]}
        yield {"L": 3, "C": int(rng.integers(3, 9)), "parts": [1] * 6}


def chunks(rng, level):
    yield {"L": 2, "C": 4, "parts": [3, 1, 2]}
    if level == "hidden":
        yield {"L": 1, "C": 4, "parts": [5]}
        yield {"L": 3, "C": 5, "parts": rng.integers(1, 4, 3).tolist()}


def empty(L, C):
    return [{"k": np.zeros((0, C)), "v": np.zeros((0, C))} for _ in range(L)]


def stepped(answer):
    """kv_step's answer as (y, caches)."""
    right = isinstance(answer, (tuple, list)) and len(answer) == 2
    true(right, "kv_step should return two things: (y, new)", "type")
    right = isinstance(answer[1], list) and all(isinstance(c, dict) for c in answer[1])
    true(right, "the new cache should be a list with one dictionary per layer", "type")
    return answer


def in_parts(student, rng, L, C, parts):
    """Feed a text part by part and compare with the whole text at once."""
    layers, x = draw_stack(rng, L, C), rng.standard_normal((sum(parts), C))
    whole = stack_by_hand(layers, list(x), the_past)
    cache, done = empty(L, C), 0
    for part in parts:
        here = slice(done, done + part)
        y, cache = stepped(student.kv_step(cache, x[here], layers))
        close(y, whole[here], rtol=1e-10, atol=1e-10, what=f"y after {done} tokens")
        done += part


@kv_step.test(
    points=2,
    hint="The new token sees the kept keys and its own; keep what was made from norm(x).",
    cases=texts,
)
def token_by_token(student, rng, L, C, parts):
    "token by token, it equals the whole text at once to 1e-10"
    in_parts(student, rng, L, C, parts)


@kv_step.test(
    points=2,
    hint="np.tri(N, t + N, t, dtype=bool): new token i sees the t old ones and new ones up to i.",
    cases=chunks,
)
def part_by_part(student, rng, L, C, parts):
    "several tokens at a time give the same"
    in_parts(student, rng, L, C, parts)


@kv_step.test(points=1, hint="Fill a new list: np.vstack of the kept rows and the new ones.")
def caches_grow(student, rng):
    "returns caches that are one row longer, the old rows on top"
    L, C = 2, 4
    layers, x = draw_stack(rng, L, C), rng.standard_normal((3, C))
    cache = empty(L, C)
    for t in range(3):
        y, new = stepped(student.kv_step(cache, x[t : t + 1], layers))
        same(len(new), L, what="the number of caches")
        for old, now in zip(cache, new):
            for name in ("k", "v"):
                true(name in now, f"a cache has no {name}", "type")
                rows = array(now[name], shape=(t + 1, C), what=f"{name} of {t + 1} tokens")
                exactly(rows[:t], old[name], what=f"the old rows of {name}")
        first = np.array([layers[0]["k"] @ unit(row) for row in x[: t + 1]])
        exactly(new[0]["k"], first, what="k of the first layer")
        cache = new


leaves_arguments(kv_step)
keeps_dtype(kv_step)


# --------------------------------------------------------------------------------------- chat_cost


def chats(rng, level):
    yield {"turns": 1, "user": 2, "answer": 1}
    yield {"turns": 3, "user": 4, "answer": 5}
    if level == "hidden":
        yield {"turns": 4, "user": 0, "answer": 3}
        yield {"turns": 4, "user": 3, "answer": 0}
        names = ("turns", "user", "answer")
        yield dict(zip(names, rng.integers(2, 9, 3).tolist()))


def chat_by_hand(turns, user, answer, mode):
    """Count the ones of the masks, turn by turn, row by row."""
    tokens = pairs = 0
    for turn in range(turns):
        old = turn * (user + answer)
        read = old + user
        if mode == "bidirectional":
            tokens += read
            pairs += sum(read for _ in range(read))
        else:
            tokens += user
            pairs += sum(place + 1 for place in range(old, read))
        for place in range(read, read + answer):
            tokens += 1
            pairs += place + 1
    return tokens, pairs


def cost(student, *given):
    """The student's two numbers."""
    answer = student.chat_cost(*given)
    right = isinstance(answer, (tuple, list)) and len(answer) == 2
    true(right, "chat_cost should return two whole numbers: (tokens, pairs)", "type")
    return answer


@chat_cost.test(points=1, hint="n tokens in a row: token t sees t + 1 of them.", cases=chats)
def causal_chat(student, rng, turns, user, answer):
    "causal: tokens and pairs"
    mine = cost(student, turns, user, answer, "causal")
    expected = chat_by_hand(turns, user, answer, "causal")
    whole(mine[0], expected[0], what="tokens")
    whole(mine[1], expected[1], what="pairs")


@chat_cost.test(points=1, hint="Each turn reads the whole history again.", cases=chats)
def tokens_again(student, rng, turns, user, answer):
    "bidirectional: tokens"
    mine = cost(student, turns, user, answer, "bidirectional")
    whole(mine[0], chat_by_hand(turns, user, answer, "bidirectional")[0], what="tokens")


@chat_cost.test(
    points=2,
    hint="r tokens read: r^2 pairs; answer token i, from 1 on, sees r + i.",
    cases=chats,
)
def pairs_again(student, rng, turns, user, answer):
    "bidirectional: pairs"
    mine = cost(student, turns, user, answer, "bidirectional")
    whole(mine[1], chat_by_hand(turns, user, answer, "bidirectional")[1], what="pairs")


# messages of 50 and answers of 150: bidirectional over causal, tokens and (rounded) pairs
RATIOS = {2: (1.5, "1.654"), 5: (3.0, "3.61"), 10: (5.5, "6.93"), 20: (10.5, "13.59")}


@chat_cost.test(points=1, hint="Tokens: exactly (T + 1) / 2 times as many.")
def known_ratios(student, rng):
    "gives the ratios of a chat with messages of 50 and answers of 150 tokens, and of any tokens"
    turns, user, reply = rng.integers(2, 60, 3).tolist()
    once, again = (cost(student, turns, user, reply, m)[0] for m in ("causal", "bidirectional"))
    whole(once, turns * (user + reply), what="causal tokens")
    same(2 * int(again), (turns + 1) * int(once), what="twice the bidirectional tokens")
    for turns in rng.permutation(list(RATIOS)).tolist():
        once = cost(student, turns, 50, 150, "causal")
        again = cost(student, turns, 50, 150, "bidirectional")
        whole(once[0], turns * 200, what="causal tokens")
        tokens, pairs = RATIOS[turns]
        same(float(again[0] / once[0]), tokens, what=f"the ratio of tokens after {turns} turns")
        shown = f"{again[1] / once[1]:.{len(pairs.split('.')[1])}f}"
        same(shown, pairs, what=f"the ratio of pairs after {turns} turns")
