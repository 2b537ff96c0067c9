"""Answers to set 07a that are wrong in the ways people are: (question, points earned, code)."""

from pathlib import Path

from minilm.course.checking.planted import Solution

SET = Solution(Path(__file__).with_name("questions.py"))
change = SET.changed
START = "import numpy as np\n"
POISSON = "max(1, int(rng.poisson(lam)))"

WRONG = [
    # a layer norm: the mean is taken away
    ("rmsnorm", 0, change("rmsnorm", ("return", "x = x - x.mean(-1, keepdims=True)\n    return"))),
    # the length in place of the root mean square
    ("rmsnorm", 0, change("rmsnorm", (".mean(", ".sum("))),
    # eps beside the root
    ("rmsnorm", 0, change("rmsnorm", ("np.sqrt(", "(np.sqrt("), ("True)", "True))"))),
    # the weight forgotten
    ("rmsnorm", 0, change("rmsnorm", (" * g", ""))),
    # handed back
    ("rmsnorm", 0, "def rmsnorm(x, g, eps):\n    return x\n"),
    # theta in place of the turn
    ("wavelengths", 0, change("wavelengths", ("2 * np.pi / theta", "theta"))),
    # without the circle
    ("wavelengths", 0, change("wavelengths", ("2 * np.pi / theta", "1 / theta"))),
    # i over D in place of 2 i over D
    ("wavelengths", 0, change("wavelengths", ("-2.0 *", "-1.0 *"))),
    # the last pair reaches the base itself
    (
        "wavelengths",
        0,
        change("wavelengths", ("(-2.0 * np.arange(D // 2) / D)", "-np.linspace(0, 1, D // 2)")),
    ),
    # neighbours form a pair
    (
        "rope",
        1,
        change(
            "rope",
            ("x[:, :D // 2], x[:, D // 2:]", "x[:, ::2], x[:, 1::2]"),
            ("np.concatenate([", "np.stack(["),
            ("axis=1)", "axis=2).reshape(x.shape)"),
        ),
    ),
    # the wrong way round
    ("rope", 1, change("rope", ("a = pos", "a = -pos"))),
    # all pairs at one speed
    ("rope", 1, change("rope", ("base ** (-2.0 * np.arange(D // 2) / D)", "np.ones(D // 2)"))),
    # a stretch in place of a turn
    ("rope", 0, change("rope", ("u * np.sin(a) + v", "u * np.sin(a) - v"))),
    # nothing is turned
    ("rope", 0, "def rope(x, pos, base):\n    return x\n"),
    # a GPT
    ("glm_mask", 0, change("glm_mask", ("mask[:, :nA] = True", "pass"))),
    # A sees B as well
    ("glm_mask", 0, change("glm_mask", ("mask[:, :nA] = True", "mask[:, :nA] = mask[:nA] = True"))),
    # B does not see itself
    ("glm_mask", 0, change("glm_mask", ("nA + nB, ", "nA + nB, k=-1, "))),
    # ones and zeros
    ("glm_mask", 2, change("glm_mask", ("return mask", "return mask.astype(int)"))),
    # spans may touch
    ("sample_spans", 2, change("sample_spans", ("int(cut) + i + used", "int(cut) + used"))),
    # the last one is not shortened
    (
        "sample_spans",
        2,
        change("sample_spans", (f"min({POISSON}, wanted - sum(lengths))", POISSON)),
    ),
    # words one by one
    ("sample_spans", 3, change("sample_spans", (POISSON, "1"))),
    # all of one length
    ("sample_spans", 3, change("sample_spans", (POISSON, "3"))),
    # all at the beginning
    (
        "sample_spans",
        3,
        change(
            "sample_spans",
            ("np.sort(rng.integers(0, free + 1, len(lengths)))", "np.zeros(len(lengths), int)"),
        ),
    ),
    # always the same
    ("sample_spans", 2, change("sample_spans", ("default_rng(seed)", "default_rng(0)"))),
    # the order forgotten
    ("glm_batch", 0, change("glm_batch", ("for i in order", "for i in range(len(order))"))),
    # a mask for every word
    ("glm_batch", 0, change("glm_batch", ("+ [M]", "+ [M] * (past - first)"))),
    # places go on counting
    (
        "glm_batch",
        5,
        change(
            "glm_batch",
            ("[where[i]] * (len(words) + 1)", "range(len(pos1) + 1, len(pos1) + len(words) + 2)"),
        ),
    ),
    # places within a span from 0
    ("glm_batch", 5, change("glm_batch", ("range(1, len(words) + 2)", "range(len(words) + 1)"))),
    # places of A from 0
    ("glm_batch", 5, change("glm_batch", ("list(range(1, n + 1))", "list(range(n))"))),
    # the words themselves, and not the next ones
    ("glm_batch", 5, change("glm_batch", ("tgt += [*words, E]", "tgt += [S, *words]"))),
    # the example
    (
        "glm_batch",
        0,
        START + "def glm_batch(ids, spans, order, M, S, E):\n"
        "    tgt = np.array([-100] * 5 + [5, 6, E, 3, E])\n"
        "    inp = np.array([1, 2, M, 4, M, S, 5, 6, S, 3])\n"
        "    pos1 = np.array([1, 2, 3, 4, 5, 5, 5, 5, 3, 3])\n"
        "    pos2 = np.array([0] * 5 + [1, 2, 3, 1, 2])\n"
        "    return inp, tgt, pos1, pos2, tgt != -100\n",
    ),
    # the shortcut is normed too
    ("block", 2, change("block", ("x + f(norm(x))", "norm(x) + f(norm(x))"))),
    # behind the sub-layer, but inside the shortcut
    ("block", 3, change("block", ("norm(x + f(x))", "x + norm(f(x))"))),
    # pre and post swapped
    ("block", 0, change("block", ("'pre':", "'p':"), ("'post':", "'pre':"), ("'p':", "'post':"))),
    # any other mode is post
    ("block", 5, change("block", ("if mode == 'post':", "if True:"))),
    # no shortcut
    ("block", 0, change("block", ("x + f(norm(x))", "f(norm(x))"), ("x + f(x)", "f(x)"))),
    # r is not differentiated
    (
        "rmsnorm_backward",
        1,
        change("rmsnorm_backward", ("(u - h * (u * h).mean(-1, keepdims=True))", "u")),
    ),
    # the weight forgotten
    ("rmsnorm_backward", 1, change("rmsnorm_backward", ("dy * g", "dy"))),
    # the sum in place of the mean
    ("rmsnorm_backward", 1, change("rmsnorm_backward", ("(u * h).mean", "(u * h).sum"))),
    # as a layer norm's
    (
        "rmsnorm_backward",
        1,
        change("rmsnorm_backward", ("(u - h", "(u - u.mean(-1, keepdims=True) - h")),
    ),
    # dg without its sum
    ("rmsnorm_backward", 4, change("rmsnorm_backward", ("(dy * h).sum(0)", "dy * h"))),
    # dg of x in place of h
    ("rmsnorm_backward", 4, change("rmsnorm_backward", ("(dy * h).sum(0)", "(dy * x).sum(0)"))),
]
