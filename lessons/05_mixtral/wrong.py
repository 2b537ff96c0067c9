"""Answers to set 05 that are wrong in the ways people are: (question, points earned, code)."""

START = "import numpy as np\n"

EXPERT = """
def swiglu(x, w1, w2, w3):
    gate = x @ w1.T
    return (gate / (1 + np.exp(-gate)) * (x @ w3.T)) @ w2.T
"""
COUNT = """
def count_params_moe(cfg):
    d, q = cfg["dim"], cfg["heads"] * cfg["head_dim"]
    kv = cfg["kv_heads"] * cfg["head_dim"]
    shared = 2 * d * q + 2 * d * kv + 2 * d + d * cfg["experts"]
    expert = 3 * d * cfg["ff"]
    ends = 2 * cfg["vocab"] * d + d
    total = ends + cfg["layers"] * (shared + cfg["experts"] * expert)
    active = ends + cfg["layers"] * (shared + cfg["chosen"] * expert)
    return total, active
"""
GATE = """
def topk_gate(x, Wg, k):
    logits = x @ Wg.T
    idx = np.argsort(-logits, axis=1, kind="stable")[:, :k]
    chosen = np.take_along_axis(logits, idx, 1)
    e = np.exp(chosen - chosen[:, :1])
    return idx, e / e.sum(1, keepdims=True)
"""
BALANCE = """
def load_balance_loss(probs, idx, k):
    E = probs.shape[1]
    f = np.bincount(idx.ravel(), minlength=E) / (len(probs) * k)
    return float(E * (f * probs.mean(0)).sum())
"""
LAYER = (
    EXPERT
    + GATE
    + """
def moe_forward(x, Wg, w1, w2, w3, k):
    idx, w = topk_gate(x, Wg, k)
    y = np.zeros(x.shape)
    for e in range(len(Wg)):
        token, place = np.nonzero(idx == e)
        y[token] += w[token, place][:, None] * swiglu(x[token], w1[e], w2[e], w3[e])
    return y
"""
)
GROUPS = """
def gqa(x, Wq, Wk, Wv, Wo, h, h_kv):
    T, D = len(x), len(Wq) // h
    q = (x @ Wq.T).reshape(T, h, D)
    k = np.repeat((x @ Wk.T).reshape(T, h_kv, D), h // h_kv, axis=1)
    v = np.repeat((x @ Wv.T).reshape(T, h_kv, D), h // h_kv, axis=1)
    scores = np.einsum("thd,shd->hts", q, k) / np.sqrt(D)
    scores = np.where(np.triu(np.ones((T, T), bool), 1), -np.inf, scores)
    e = np.exp(scores - scores.max(-1, keepdims=True))
    mixed = np.einsum("hts,shd->thd", e / e.sum(-1, keepdims=True), v)
    return mixed.reshape(T, h * D) @ Wo.T
"""
ROLL = """
def rolling_cache_attend(keys, values, q, k, v, t):
    W, D = keys.shape
    keys, values = keys.copy(), values.copy()
    keys[t % W], values[t % W] = k, v
    n = min(t + 1, W)
    scores = keys[:n] @ q / np.sqrt(D)
    e = np.exp(scores - scores.max())
    return (e / e.sum()) @ values[:n], keys, values
"""
STATS = """
def routing_stats(chosen, domain, token):
    def information(a, b):
        joint = np.zeros((a.max() + 1, b.max() + 1))
        np.add.at(joint, (a, b), 1)
        joint /= joint.sum()
        apart = joint.sum(1, keepdims=True) * joint.sum(0)
        some = joint > 0
        return float((joint[some] * np.log(joint[some] / apart[some])).sum())

    later, earlier = chosen[1:], chosen[:-1]
    repeat = (later[:, 0] == earlier[:, 0]).mean()
    common = (later[:, :, None] == earlier[:, None, :]).any((1, 2)).mean()
    first = chosen[:, 0]
    return repeat, common, information(first, domain), information(first, token)
"""


def changed(code: str, before: str, after: str) -> str:
    """A solution with one thing in it replaced."""
    if before not in code:
        raise ValueError(f"{before!r} does not occur in {code!r}")
    return START + code.replace(before, after)


WRONG = [
    # the gate is a sigmoid
    ("swiglu", 0, changed(EXPERT, "(gate / (1", "(1 / (1")),
    # gate and other map swapped
    ("swiglu", 0, changed(changed(EXPERT, "w1.T", "w9.T"), "w3.T", "w1.T").replace("w9", "w3")),
    # no gate at all
    ("swiglu", 0, changed(EXPERT, "gate / (1 + np.exp(-gate))", "gate")),
    # e^gate over 1 + e^gate, which overflows
    (
        "swiglu",
        3,
        changed(EXPERT, "gate / (1 + np.exp(-gate))", "gate * np.exp(gate) / (1 + np.exp(gate))"),
    ),
    # experts times everything: the myth of 56 billion
    (
        "count_params_moe",
        2,
        changed(
            COUNT,
            'ends + cfg["layers"] * (shared + cfg["experts"] * expert)',
            'ends + cfg["layers"] * cfg["experts"] * (shared + expert)',
        ),
    ),
    # the router forgotten
    ("count_params_moe", 0, changed(COUNT, ' + d * cfg["experts"]', "")),
    # a gate of its own is not counted: two matrices
    ("count_params_moe", 0, changed(COUNT, "3 * d", "2 * d")),
    # keys and values as many as queries
    ("count_params_moe", 0, changed(COUNT, '= cfg["kv_heads"]', '= cfg["heads"]')),
    # active by division
    (
        "count_params_moe",
        2,
        changed(
            COUNT, "return total, active", 'return total, total * cfg["chosen"] // cfg["experts"]'
        ),
    ),
    # the published numbers
    (
        "count_params_moe",
        0,
        START + "def count_params_moe(cfg):\n    return 46702792704, 12879925248\n",
    ),
    # softmax first, and not renormalised
    (
        "topk_gate",
        3,
        changed(
            GATE,
            "e = np.exp(chosen - chosen[:, :1])\n    return idx, e / e.sum(1, keepdims=True)",
            "p = np.exp(logits)\n    return idx, np.take_along_axis(p / p.sum(1, keepdims=True), idx, 1)",
        ),
    ),
    # the smallest
    ("topk_gate", 0, changed(GATE, "argsort(-logits", "argsort(logits")),
    # the largest last
    ("topk_gate", 0, changed(GATE, "[:, :k]", "[:, :k][:, ::-1]")),
    # logits in place of weights
    (
        "topk_gate",
        3,
        changed(GATE, "e / e.sum(1, keepdims=True)", "chosen / chosen.sum(1, keepdims=True)"),
    ),
    # it overflows
    ("topk_gate", 5, changed(GATE, "chosen - chosen[:, :1]", "chosen")),
    # shares that add up to k
    ("load_balance_loss", 0, changed(BALANCE, "(len(probs) * k)", "len(probs)")),
    # E forgotten
    ("load_balance_loss", 0, changed(BALANCE, "E * (f", "(f")),
    # probabilities squared, no choices
    ("load_balance_loss", 1, changed(BALANCE, "f * probs.mean(0)", "probs.mean(0) ** 2")),
    # choices squared, no probabilities
    ("load_balance_loss", 1, changed(BALANCE, "f * probs.mean(0)", "f * f")),
    # always one: what is right where all is even
    ("load_balance_loss", 0, START + "def load_balance_loss(probs, idx, k):\n    return 1.0\n"),
    # no weights
    ("moe_forward", 0, changed(LAYER, "w[token, place][:, None] * ", "")),
    # every token gets its first expert only
    ("moe_forward", 0, changed(LAYER, "np.nonzero(idx == e)", "np.nonzero(idx[:, :1] == e)")),
    # assigned in place of added
    ("moe_forward", 0, changed(LAYER, "y[token] +=", "y[token] =")),
    # weights in the wrong order
    ("moe_forward", 0, changed(LAYER, "w[token, place]", "w[token, -1 - place]")),
    # the gate of the whole softmax
    (
        "moe_forward",
        0,
        changed(
            LAYER,
            "e = np.exp(chosen - chosen[:, :1])\n    return idx, e / e.sum(1, keepdims=True)",
            "p = np.exp(logits)\n    return idx, np.take_along_axis(p / p.sum(1, keepdims=True), idx, 1)",
        ),
    ),
    # groups by remainder
    (
        "gqa",
        1,
        changed(
            GROUPS,
            "np.repeat((x @ Wk.T).reshape(T, h_kv, D), h // h_kv, axis=1)",
            "np.tile((x @ Wk.T).reshape(T, h_kv, D), (1, h // h_kv, 1))",
        ),
    ),
    # sees ahead
    ("gqa", 0, changed(GROUPS, "np.triu(np.ones((T, T), bool), 1)", "np.zeros((T, T), bool)")),
    # not even itself: nan in the first row
    ("gqa", 0, changed(GROUPS, "bool), 1)", "bool))")),
    # no scale
    ("gqa", 0, changed(GROUPS, " / np.sqrt(D)", "")),
    # the scale of all channels
    ("gqa", 0, changed(GROUPS, "np.sqrt(D)", "np.sqrt(h * D)")),
    # without a window: the slot is chosen right, empty ones are seen too
    ("rolling_cache_attend", 1, changed(ROLL, "n = min(t + 1, W)", "n = W")),
    # one short
    ("rolling_cache_attend", 1, changed(ROLL, "min(t + 1, W)", "max(1, min(t, W - 1))")),
    # always the last slot: shifts
    (
        "rolling_cache_attend",
        0,
        changed(
            ROLL,
            "keys[t % W], values[t % W] = k, v\n    n",
            "keys, values = np.vstack([keys[1:], k]), np.vstack([values[1:], v])\n    n",
        ),
    ),
    # off by one
    ("rolling_cache_attend", 0, changed(ROLL, "[t % W]", "[(t + 1) % W]")),
    # looks before it stores
    (
        "rolling_cache_attend",
        1,
        changed(
            ROLL,
            "    keys[t % W], values[t % W] = k, v\n    n = min(t + 1, W)",
            "    n = max(1, min(t, W))",
        ).replace("    return (e", "    keys[t % W], values[t % W] = k, v\n    return (e"),
    ),
    # changes what it was given
    ("rolling_cache_attend", 3, changed(ROLL, "keys, values = keys.copy(), values.copy()", "pass")),
    # the same first choice counts as something in common only
    (
        "routing_stats",
        3,
        changed(
            STATS,
            "(later[:, :, None] == earlier[:, None, :]).any((1, 2))",
            "(later == earlier).any(1)",
        ),
    ),
    # bits
    ("routing_stats", 3, changed(STATS, "np.log(", "np.log2(")),
    # domain and token swapped
    (
        "routing_stats",
        3,
        changed(
            STATS,
            "information(first, domain), information(first, token)",
            "information(first, token), information(first, domain)",
        ),
    ),
    # what chance gives
    (
        "routing_stats",
        0,
        START + "def routing_stats(chosen, domain, token):\n    return 1 / 8, 13 / 28, 0.0, 0.0\n",
    ),
    # over T in place of T - 1
    (
        "routing_stats",
        3,
        changed(
            STATS,
            "return repeat, common",
            "n = len(chosen)\n    return repeat * (n - 1) / n, common * (n - 1) / n",
        ),
    ),
]
