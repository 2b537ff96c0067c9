"""Answers to set 3 that are wrong in the ways people are: (question, points earned, code).

Most are the solution with one line changed, as it is in the mistake.
"""

from pathlib import Path

from minilm.course.checking.planted import Solution

SET = Solution(Path(__file__).with_name("questions.py"))
GIVEN, changed = SET.given, SET.changed


WRONG = [
    # the target is not moved on by the begin token: it reads what it must say
    (
        "one_row",
        1,
        changed("one_row", ("[source, [begin], target[:-1]]", "[source, target]")),
    ),
    # the source is to be predicted as well
    (
        "one_row",
        1,
        changed("one_row", ("np.full(len(source), -100)", "source")),
    ),
    # everything is one longer
    (
        "one_row",
        0,
        changed("one_row", ("target[:-1]]", "target]")),
    ),
    # -1 for -100
    ("one_row", 1, changed("one_row", ("-100", "-1"))),
    # what is silent becomes float64
    (
        "one_row",
        0,
        changed("one_row", ("np.full(len(source), -100)", "-100 * np.ones(len(source))")),
    ),
    # the caller's target is moved
    (
        "one_row",
        2,
        GIVEN
        + """
def one_row(source, target, begin):
    wanted = np.concatenate([np.full(len(source), -100), target])
    target[1:] = target[:-1].copy()
    target[0] = begin
    return np.concatenate([source, target]), wanted
""",
    ),
    # columns for rows: every token sees the future
    (
        "mask",
        0,
        changed("mask", ("past = np.tri(n, dtype=bool)", "past = np.tri(n, dtype=bool).T")),
    ),
    # the two sides do not meet: the target never sees the input
    (
        "mask",
        1,
        GIVEN
        + """
def mask(kind, n_in, n_tgt):
    past = np.tri(n_in + n_tgt, dtype=bool)
    if kind != "causal":
        past[:n_in, :n_in] = True
        past[n_in:, :n_in] = False
    return past
""",
    ),
    # the input sees the target as well, as in an encoder
    ("mask", 1, changed("mask", ("np.arange(n) < n_in", "(np.arange(n) < n_in)[:, None]"))),
    # the target tokens themselves, not the places that predict them
    (
        "prefix_lm_loss_mask",
        0,
        changed("prefix_lm_loss_mask", ("np.arange(1, width + 1)", "np.arange(width)")),
    ),
    # the padding after the target is scored
    (
        "prefix_lm_loss_mask",
        0,
        changed("prefix_lm_loss_mask", ("after < n[:, None]", "after <= width")),
    ),
    # a slice that starts at -1 where there is no input
    (
        "prefix_lm_loss_mask",
        4,
        GIVEN
        + """
def prefix_lm_loss_mask(n_in, n, width):
    out = np.zeros((len(n), width), bool)
    for row, first, end in zip(out, n_in, n):
        row[first - 1 : max(end - 1, 0)] = True
    return out
""",
    ),
    # the caller's counts are changed
    (
        "prefix_lm_loss_mask",
        4,
        changed(
            "prefix_lm_loss_mask",
            (
                "after = np.arange(1, width + 1)",
                "n_in -= 1\n    n -= 1\n    after = np.arange(width)",
            ),
        ),
    ),
    # the example of the text, for ever
    (
        "prefix_lm_loss_mask",
        0,
        GIVEN
        + """
def prefix_lm_loss_mask(n_in, n, width):
    return np.array([[t in (1, 2) for t in range(width)]])
""",
    ),
    # decoder layer l reads what encoder layer l gave
    (
        "encdec_forward",
        5,
        changed(
            "encdec_forward",
            ("for layer in w['encoder']:", "reads = []\n    for layer in w['encoder']:"),
            (
                "source = source + feed(norm(source), layer)",
                "source = source + feed(norm(source), layer)\n        reads.append(norm(source))",
            ),
            (
                "for layer, cross in zip(w['decoder']",
                "for layer, read, cross in zip(w['decoder'], reads",
            ),
        ),
    ),
    # the target sees its own future
    ("encdec_forward", 3, changed("encdec_forward", ("layer, past)", "layer, True)"))),
    # adds in place: the caller's arrays change
    (
        "encdec_forward",
        6,
        changed(
            "encdec_forward", ("source = source +", "source +="), ("target = target +", "target +=")
        ),
    ),
    # everything is float64
    (
        "encdec_forward",
        6,
        changed(
            "encdec_forward",
            ("past = np", "target = np.zeros(target.shape) + target\n    past = np"),
        ),
    ),
    # the sizes of the formula, whatever arrays are there
    (
        "share",
        6,
        changed(
            "walk_sizes",
            (
                "return [count(w), count(tied), count(share_stacks(tied))]",
                "unit = len(w['decoder']) * w['decoder'][0]['q'].size\n"
                "    return [28 * unit, 24 * unit, 12 * unit]",
            ),
            beside=("share_cross", "share_stacks"),
        ),
    ),
    # sizes that are no whole numbers
    (
        "share",
        5,
        changed(
            "walk_sizes",
            ("values())", "values()) / 1"),
            beside=("share_cross", "share_stacks"),
        ),
    ),
    # the dictionary that was given is changed
    (
        "share",
        4,
        changed(
            "share_cross",
            ("return {**w, 'cross': own}", "w['cross'] = own\n    return w"),
            beside=("share_stacks", "walk_sizes"),
        ),
    ),
    # equal arrays, but not the same ones: nothing is shared
    (
        "share",
        5,
        changed(
            "share_cross",
            ("name: layer[name]", "name: layer[name].copy()"),
            beside=("share_stacks", "walk_sizes"),
        ),
    ),
    # the decoder takes the encoder's layers, and the cross-attention keeps the old ones
    (
        "share",
        3,
        changed(
            "share_stacks",
            ("'encoder': w['decoder']", "'decoder': w['encoder']"),
            beside=("share_cross", "walk_sizes"),
        ),
    ),
    # every place is counted, whatever it holds
    (
        "share",
        5,
        changed(
            "walk_sizes",
            ("sum({id(a): a.size for a in arrays}.values())", "sum(a.size for a in arrays)"),
            beside=("share_cross", "share_stacks"),
        ),
    ),
    # the target reads the source after the layer
    (
        "one_stack",
        2,
        changed(
            "same_layer_attend",
            (
                "source = source + feed(norm(source), layer)",
                "source = source + feed(norm(source), layer)\n        read = norm(source)",
            ),
            beside=("causal_input",),
        ),
    ),
    # merged: both looks are added, each with a softmax of its own
    (
        "one_stack",
        6,
        changed(
            "same_layer_attend",
            (
                "look(own, np.vstack([read, own]), layer, both)",
                "look(own, own, layer, past) + look(own, read, layer, True)",
            ),
            beside=("causal_input",),
        ),
    ),
    # the source's rows are returned as well
    (
        "one_stack",
        4,
        changed(
            "causal_input", ("norm(x)[len(source):]", "norm(x)"), beside=("same_layer_attend",)
        ),
    ),
    # the stack begins as zeros, in float64
    (
        "one_stack",
        7,
        changed(
            "causal_input",
            (
                "x = np.vstack([source, target])",
                "x = np.zeros((len(source) + len(target), source.shape[1]))\n"
                "    x[:len(source)], x[len(source):] = source, target",
            ),
            beside=("same_layer_attend",),
        ),
    ),
    # a ratio, but no count
    (
        "flops",
        0,
        GIVEN
        + """
def flops(arch, n_in, n_tgt, layers=6, channels=512, scores=False):
    return 7 if arch == "encdec" else 6
""",
    ),
    # a float for a count
    ("flops", 1, changed("flops", ("2 * layers *", "2.0 * layers *"), beside=("mask",))),
    # cross-attention has no keys and values for the input
    (
        "flops",
        1,
        GIVEN
        + """
def flops(arch, n_in, n_tgt, layers=6, channels=512, scores=False):
    n = n_in + n_tgt
    work = 12 * channels**2 * n + (4 * channels**2 * n_tgt if arch == "encdec" else 0)
    pairs = n * (n + 1) // 2 if arch == "causal" else n_in * n + n_tgt * (n_tgt + 1) // 2
    return 2 * layers * (work + (2 * channels * pairs if scores else 0))
""",
    ),
    # a multiply-add is one operation
    ("flops", 1, changed("flops", ("2 * layers *", "layers *"), beside=("mask",))),
    # the scores of all pairs, whatever the mask says
    (
        "flops",
        3,
        changed("flops", ("int(mask(arch, n_in, n_tgt).sum())", "(n_in + n_tgt) ** 2")),
    ),
    # new tokens see each other's future
    ("kv_step", 5, changed("kv_step", ("k, v, past)", "k, v, True)"))),
    # the caches given are changed
    (
        "kv_step",
        6,
        changed(
            "kv_step",
            ("new.append({'k': k, 'v': v})", "kept.update(k=k, v=v)\n        new = cache"),
        ),
    ),
    # keys of the stream, queries of its norm
    ("kv_step", 0, changed("kv_step", ("own @ layer['k'].T", "x @ layer['k'].T"))),
    # caches that begin as float64
    (
        "kv_step",
        6,
        changed(
            "kv_step",
            ("np.vstack([kept['k'], own", "np.vstack([kept['k'].astype(float), own"),
        ),
    ),
    # floats for counts
    ("chat_cost", 4, changed("chat_cost", ("n * (n + 1) // 2", "n * (n + 1) / 2"))),
    # the answer is read like a message, all seeing all
    (
        "chat_cost",
        2,
        changed(
            "chat_cost",
            ("answer * read + answer * (answer + 1) // 2", "2 * answer * read + answer**2"),
        ),
    ),
    # only the messages are read again
    ("chat_cost", 1, changed("chat_cost", ("turn * (user + answer) + user", "(turn + 1) * user"))),
    # a causal token sees half of all
    ("chat_cost", 3, changed("chat_cost", ("n * (n + 1) // 2", "n * n // 2"))),
    # begin stands at the end
    (
        "one_row",
        1,
        changed("one_row", ("[source, [begin], target[:-1]]", "[source, target[:-1], [begin]]")),
    ),
    # nobody looks at itself
    (
        "mask",
        0,
        changed("mask", ("past = np.tri(n, dtype=bool)", "past = np.tri(n, k=-1, dtype=bool)")),
    ),
    # ones and zeros, not booleans
    ("mask", 0, changed("mask", (", dtype=bool", ", dtype=int"))),
    # the target sees all of the target
    (
        "mask",
        1,
        changed("mask", ("return past", "past[n_in:] |= kind != 'causal'\n    return past")),
    ),
    # the last input token does not count
    (
        "prefix_lm_loss_mask",
        0,
        changed("prefix_lm_loss_mask", ("after >= n_in[:, None]", "after > n_in[:, None]")),
    ),
    # the last norm is forgotten
    ("encdec_forward", 0, changed("encdec_forward", ("return norm(target)", "return target"))),
    # the encoder's end is read without its norm
    ("encdec_forward", 0, changed("encdec_forward", ("read = norm(source)", "read = source"))),
    # norms after the sum, as in 2017
    (
        "encdec_forward",
        0,
        changed(
            "encdec_forward",
            (
                "source + look(norm(source), norm(source), layer, True)",
                "norm(source + look(source, source, layer, True))",
            ),
            ("source + feed(norm(source), layer)", "norm(source + feed(source, layer))"),
            (
                "target + look(norm(target), norm(target), layer, past)",
                "norm(target + look(target, target, layer, past))",
            ),
            (
                "target + look(norm(target), read, cross, True)",
                "norm(target + look(target, read, cross, True))",
            ),
            ("target + feed(norm(target), layer)", "norm(target + feed(target, layer))"),
        ),
    ),
    # the feed-forward is shared into the cross-attention as well
    (
        "share",
        4,
        changed(
            "share_cross",
            ("('q', 'k', 'v', 'o')", "('q', 'k', 'v')"),
            beside=("share_stacks", "walk_sizes"),
        ),
    ),
    # equal arrays count as one, shared or not
    (
        "share",
        5,
        changed(
            "walk_sizes",
            ("{id(a): a.size", "{a.shape: a.size"),
            beside=("share_cross", "share_stacks"),
        ),
    ),
    # merged, the target sees only as much of the source as of itself
    (
        "one_stack",
        6,
        changed(
            "same_layer_attend",
            (
                "np.ones((len(target), len(source)), bool)",
                "np.tri(len(target), len(source), dtype=bool)",
            ),
            beside=("causal_input",),
        ),
    ),
    # the source sees itself causally already in step 3
    (
        "one_stack",
        2,
        changed(
            "same_layer_attend",
            (
                "look(read, read, layer, True)",
                "look(read, read, layer, np.tri(len(read), dtype=bool))",
            ),
            beside=("causal_input",),
        ),
    ),
    # merged in float64, by a mask of numbers
    (
        "one_stack",
        7,
        changed(
            "same_layer_attend",
            ("np.vstack([read, own])", "np.vstack([np.zeros((0, own.shape[1])), read, own])"),
            beside=("causal_input",),
        ),
    ),
    # the scores of one layer only
    (
        "flops",
        3,
        changed(
            "flops",
            (
                "return 2 * layers * ((n_in + n_tgt) * a_token + 2 * channels * pairs)",
                "return 2 * layers * (n_in + n_tgt) * a_token + 4 * channels * pairs",
            ),
            beside=("mask",),
        ),
    ),
    # the scores, but not the values
    ("flops", 3, changed("flops", ("2 * channels * pairs", "channels * pairs"), beside=("mask",))),
    # a new token does not see itself
    ("kv_step", 1, changed("kv_step", ("len(k) - len(x),", "len(k) - len(x) - 1,"))),
    # the last norm is forgotten
    ("kv_step", 1, changed("kv_step", ("return (norm(x), new)", "return (x, new)"))),
    # caches of the new tokens only
    (
        "kv_step",
        0,
        changed(
            "kv_step",
            ("new.append({'k': k, 'v': v})", "new.append({'k': k[-len(x):], 'v': v[-len(x):]})"),
        ),
    ),
    # the answer is free
    (
        "chat_cost",
        2,
        changed(
            "chat_cost",
            (
                "pairs += read ** 2 + answer * read + answer * (answer + 1) // 2",
                "pairs += read ** 2",
            ),
        ),
    ),
    # floats, bidirectional too
    ("chat_cost", 3, changed("chat_cost", ("(answer + 1) // 2", "(answer + 1) / 2"))),
    # ids in two bytes
    (
        "one_row",
        0,
        GIVEN
        + """
def one_row(source, target, begin):
    ids = np.array([*source, begin, *target], np.int64).astype(np.int16)
    wanted = ids.copy()
    wanted[: len(source)] = -100
    wanted[len(source) : -1] = ids[len(source) + 1 :]
    return ids[:-1], wanted[:-1]
""",
    ),
    # begin is to be predicted, too
    (
        "one_row",
        1,
        changed(
            "one_row",
            (
                "np.full(len(source), -100), target]",
                "np.full(len(source), -100), [begin], target[:-1]]",
            ),
        ),
    ),
    # -inf and 0, as it is added to scores
    ("mask", 2, changed("mask", ("return past", "return np.where(past, 0, -np.inf)"))),
    # cross-attention is causal, too
    (
        "encdec_forward",
        0,
        changed(
            "encdec_forward",
            (
                "look(norm(target), read, cross, True)",
                "look(norm(target), read, cross, np.tri(len(target), len(read), dtype=bool))",
            ),
        ),
    ),
    # all that is pushed through is let through where one token comes at a time
    (
        "kv_step",
        5,
        changed(
            "kv_step",
            (
                "np.tri(len(x), len(k), len(k) - len(x), dtype=bool)",
                "np.ones((len(x), len(k)), bool)",
            ),
        ),
    ),
    # whole numbers of 32 bits
    (
        "flops",
        2,
        changed(
            "flops",
            ("return 2 * layers * (", "return int(np.int32(2 * layers) * np.int32("),
            ("channels * pairs)", "channels * pairs))"),
            beside=("mask",),
        ),
    ),
    # the last answer is never read
    (
        "chat_cost",
        3,
        changed(
            "chat_cost", ("n = turns * (user + answer)", "n = turns * (user + answer) - answer")
        ),
    ),
]
