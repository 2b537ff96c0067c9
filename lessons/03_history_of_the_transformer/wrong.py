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
    # decoder layer l reads what encoder layer l gave
    (
        "encdec_forward",
        4,
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
    ("encdec_forward", 2, changed("encdec_forward", ("layer, past)", "layer, True)"))),
    # adds in place: the caller's arrays change
    (
        "encdec_forward",
        5,
        changed(
            "encdec_forward", ("source = source +", "source +="), ("target = target +", "target +=")
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
        5,
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
    ("kv_step", 3, changed("kv_step", ("k, v, past)", "k, v, True)"))),
    # the caches given are changed
    (
        "kv_step",
        4,
        changed(
            "kv_step",
            ("new.append({'k': k, 'v': v})", "kept.update(k=k, v=v)\n        new = cache"),
        ),
    ),
    # keys of the stream, queries of its norm
    ("kv_step", 0, changed("kv_step", ("own @ layer['k'].T", "x @ layer['k'].T"))),
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
