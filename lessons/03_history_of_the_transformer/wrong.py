"""Answers to set 3 that are wrong in the ways people are: (question, points earned, code).

Most are the solution with one line changed, as it is in the mistake.
"""

import ast
from pathlib import Path

from minilm.course.build.notebook import source_of
from minilm.course.build.percent import read_percent
from minilm.course.build.sources import drop_marks

SOLUTION = Path(__file__).with_name("questions.py")
CELLS = [
    drop_marks(source_of(cell)) for cell in read_percent(SOLUTION)[0] if cell["cell_type"] == "code"
]
GIVEN = CELLS[0]  # the imports, norm, mix, look and feed


def right(name: str) -> str:
    """The solution's function."""
    nodes = [node for cell in CELLS for node in ast.parse(cell).body]
    return next(ast.unparse(node) for node in nodes if getattr(node, "name", "") == name)


def changed(name: str, *changes: tuple[str, str], beside: tuple[str, ...] = ()) -> str:
    """The solution's function with some text replaced, and the other functions as they are."""
    text = right(name)
    for old, new in changes:
        if old not in text:
            raise ValueError(f"{name} has no {old!r} to be changed")
        text = text.replace(old, new)
    return "\n\n".join([GIVEN, *map(right, beside), text])


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
        3,
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
        3,
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
        5,
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
        4,
        changed(
            "walk_sizes",
            ("values())", "values()) / 1"),
            beside=("share_cross", "share_stacks"),
        ),
    ),
    # the dictionary that was given is changed
    (
        "share",
        2,
        changed(
            "share_cross",
            ("return {**w, 'cross': own}", "w['cross'] = own\n    return w"),
            beside=("share_stacks", "walk_sizes"),
        ),
    ),
    # equal arrays, but not the same ones: nothing is shared
    (
        "share",
        4,
        changed(
            "share_cross",
            ("name: layer[name]", "name: layer[name].copy()"),
            beside=("share_stacks", "walk_sizes"),
        ),
    ),
    # the decoder takes the encoder's layers, and the cross-attention keeps the old ones
    (
        "share",
        2,
        changed(
            "share_stacks",
            ("'encoder': w['decoder']", "'decoder': w['encoder']"),
            beside=("share_cross", "walk_sizes"),
        ),
    ),
    # every place is counted, whatever it holds
    (
        "share",
        4,
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
    ("kv_step", 4, changed("kv_step", ("k, v, past)", "k, v, True)"))),
    # the caches given are changed
    (
        "kv_step",
        5,
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
        5,
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
]
