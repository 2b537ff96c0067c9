"""Answers to set 07c that are wrong in the ways people are: (question, points earned, code)."""

START = "import numpy as np\n"
ZIGZAG = """
def zigzag_partition(n, P):
    chunks = np.split(np.arange(n), 2 * P)
    return [np.concatenate([chunks[r], chunks[2 * P - 1 - r]]) for r in range(P)]

def unpartition(parts):
    together = np.concatenate(parts)
    places = np.concatenate(zigzag_partition(len(together), len(parts)))
    return together[np.argsort(places)]
"""
WORK = """
def work_per_rank(n, P, plan):
    chunks = np.split(np.arange(n), 2 * P)
    fair = [np.concatenate([chunks[r], chunks[2 * P - 1 - r]]) for r in range(P)]
    places = fair if plan == "zigzag" else np.split(np.arange(n), P)
    return [int((own + 1).sum()) for own in places]
"""
MERGE = """
def merge(o1, l1, o2, l2):
    both = np.logaddexp(l1, l2)
    share = np.exp(l2 - both)[..., None]
    return o1 + share * (o2 - o1), both
"""
RING = (
    MERGE
    + """
def ring_attention(qs, ks, vs, causal, turn):
    P, t = len(qs), len(qs[0])
    found = [None] * P
    for step in range(P):
        if step:
            ks, vs = turn(ks), turn(vs)
        for r in range(P):
            owner = (r - step) % P
            seen = owner * t + np.arange(t) <= (r * t + np.arange(t))[:, None]
            if causal and owner > r:
                continue
            scores = qs[r] @ ks[r].T / np.sqrt(qs[r].shape[1])
            if causal:
                scores = np.where(seen, scores, -np.inf)
            top = scores.max(1, keepdims=True)
            e = np.exp(scores - top)
            new = e @ vs[r] / e.sum(1, keepdims=True), top[:, 0] + np.log(e.sum(1))
            found[r] = new if found[r] is None else merge(*found[r], *new)
    return [o for o, _ in found]
"""
)
ULYSSES = """
def to_heads(shards, exchange):
    P = len(shards)
    if shards[0].shape[1] % P:
        raise ValueError("heads")
    got = exchange([np.split(x, P, axis=1) for x in shards])
    return [np.concatenate(row) for row in got]

def to_text(parts, exchange):
    got = exchange([np.split(x, len(parts)) for x in parts])
    return [np.concatenate(row, axis=1) for row in got]
"""
BM25 = """
def bm25(q, docs, k1=1.2, b=0.75):
    lengths = np.array([len(doc) for doc in docs], float)
    below = k1 * (1 - b + b * lengths / lengths.mean())
    total = np.zeros(len(docs))
    for w in q:
        f = np.array([doc.count(w) for doc in docs], float)
        n = (f > 0).sum()
        total += np.log(1 + (len(docs) - n + 0.5) / (n + 0.5)) * f * (k1 + 1) / (f + below)
    return total
"""
COST = """
def prefill_decode_cost(n, m, cfg):
    a_pair = 4 * cfg["layers"] * cfg["channels"]
    written = n * m + m * (m + 1) // 2
    reading = 2 * cfg["weights"] * n + a_pair * (n * (n + 1) // 2)
    writing = 2 * cfg["weights"] * m + a_pair * written
    return reading, writing, 2 * cfg["weights"] * m + 4 * cfg["layers"] * cfg["kv_channels"] * written
"""

WRONG = [
    # the plain cut
    (
        "zigzag_partition",
        0,
        ZIGZAG.replace(
            "chunks = np.split(np.arange(n), 2 * P)\n    return [np.concatenate([chunks[r], "
            "chunks[2 * P - 1 - r]]) for r in range(P)]",
            "return np.split(np.arange(n), P)",
        ),
    ),
    # the neighbour's late chunk: a permutation all the same
    ("zigzag_partition", 0, ZIGZAG.replace("2 * P - 1 - r", "2 * P - 1 - (r + 1) % P")),
    # chunks in the order of the text
    ("zigzag_partition", 0, ZIGZAG.replace("chunks[r], chunks[2", "chunks[2 * r], chunks[0 * 2")),
    # the way back is never gone
    ("unpartition", 0, ZIGZAG.replace("together[np.argsort(places)]", "together")),
    # the permutation itself in place of its inverse
    ("unpartition", 0, ZIGZAG.replace("np.argsort(places)", "places")),
    # only rows of numbers come back
    (
        "unpartition",
        0,
        ZIGZAG.replace(
            "together = np.concatenate(parts)", "together = np.concatenate(parts).ravel()"
        ),
    ),
    # a query without itself
    ("work_per_rank", 0, WORK.replace("(own + 1)", "own")),
    # no plan is looked at
    ("work_per_rank", 1, WORK.replace('fair if plan == "zigzag" else ', "")),
    (
        "work_per_rank",
        1,
        WORK.replace('fair if plan == "zigzag" else np.split(np.arange(n), P)', "fair"),
    ),
    # the mask is forgotten
    ("work_per_rank", 0, WORK.replace("int((own + 1).sum())", "len(own) * n")),
    # the half of the two
    ("merge", 0, MERGE.replace("np.exp(l2 - both)[..., None]", "0.5")),
    # the first's share given to the second
    ("merge", 0, MERGE.replace("np.exp(l2 - both)", "np.exp(l1 - both)")),
    # totals that overflow
    (
        "merge",
        4,
        """
def merge(o1, l1, o2, l2):
    w1, w2 = np.exp(l1), np.exp(l2)
    return (w1[..., None] * o1 + w2[..., None] * o2) / (w1 + w2)[..., None], np.log(w1 + w2)
""",
    ),
    # less the second: minus infinity less itself
    (
        "merge",
        4,
        """
def merge(o1, l1, o2, l2):
    ratio = np.exp(np.clip(l1 - l2, -700, 700))
    both = l2 + np.log1p(np.exp(np.minimum(l1 - l2, 700)))
    both = np.where(np.isneginf(l2), np.nan, both)
    return o1 - (1 / (1 + ratio))[..., None] * (o1 - o2), both
""",
    ),
    # the larger total in place of the sum
    (
        "merge",
        1,
        MERGE.replace(
            "return o1 + share * (o2 - o1), both",
            "return o1 + share * (o2 - o1), np.maximum(l1, l2)",
        ),
    ),
    # in place
    (
        "merge",
        4,
        MERGE.replace(
            "return o1 + share * (o2 - o1), both", "o1 += share * (o2 - o1)\n    return o1, both"
        ),
    ),
    # no later keys are hidden
    (
        "ring_attention",
        2,
        RING.replace("causal and owner > r", "False").replace("if causal:\n", "if False:\n"),
    ),
    # always causal
    (
        "ring_attention",
        4,
        RING.replace("P, t = len(qs), len(qs[0])", "P, t, causal = len(qs), len(qs[0]), True"),
    ),
    # one turn too many
    (
        "ring_attention",
        5,
        RING.replace(
            "            ks, vs = turn(ks), turn(vs)\n", "            ks, vs = turn(ks), turn(vs)\n"
        ).replace(
            "    return [o for o, _ in found]", "    turn(ks)\n    return [o for o, _ in found]"
        ),
    ),
    # the other way round
    ("ring_attention", 2, RING.replace("(r - step) % P", "(r + step) % P")),
    # no square root
    ("ring_attention", 0, RING.replace(" / np.sqrt(qs[r].shape[1])", "")),
    # scores that overflow
    (
        "ring_attention",
        5,
        RING.replace("top = scores.max(1, keepdims=True)", "top = np.zeros((t, 1))"),
    ),
    # text and heads mixed up
    (
        "ulysses",
        2,
        ULYSSES.replace(
            "[np.concatenate(row) for row in got]", "[np.concatenate(row, axis=1) for row in got]"
        ),
    ),
    # only there
    (
        "ulysses",
        3,
        ULYSSES.replace(
            "got = exchange([np.split(x, len(parts)) for x in parts])\n    "
            "return [np.concatenate(row, axis=1) for row in got]",
            "return parts",
        ),
    ),
    # heads that do not divide are cut unevenly
    (
        "ulysses",
        4,
        ULYSSES.replace('        raise ValueError("heads")\n', "        pass\n").replace(
            "np.split(x, P, axis=1)", "np.array_split(x, P, axis=1)"
        ),
    ),
    # nothing is exchanged
    (
        "ulysses",
        0,
        "def to_heads(shards, exchange):\n    return shards\n\n\n"
        "def to_text(parts, exchange):\n    return parts\n",
    ),
    # the length is left out
    ("bm25", 0, BM25.replace("(1 - b + b * lengths / lengths.mean())", "np.ones(len(docs))")),
    # an idf that can be negative
    ("bm25", 0, BM25.replace("np.log(1 + ", "np.log(")),
    # a set of words
    ("bm25", 4, BM25.replace("for w in q:", "for w in set(q):")),
    # no defaults
    ("bm25", 4, BM25.replace("k1=1.2, b=0.75", "k1, b")),
    # other defaults
    ("bm25", 4, BM25.replace("k1=1.2, b=0.75", "k1=1.5, b=0.75")),
    # all pairs, no mask
    ("prefill_decode_cost", 2, COST.replace("(n * (n + 1) // 2)", "n * n")),
    # a written token does not see itself
    ("prefill_decode_cost", 1, COST.replace("m * (m + 1) // 2", "m * (m - 1) // 2")),
    # weights are read once
    (
        "prefill_decode_cost",
        2,
        COST.replace('writing, 2 * cfg["weights"] * m', 'writing, 2 * cfg["weights"]'),
    ),
    # keys of all channels
    ("prefill_decode_cost", 2, COST.replace("kv_channels", "channels")),
    # one operation a weight
    (
        "prefill_decode_cost",
        1,
        COST.replace("reading = 2 *", "reading =").replace("writing = 2 *", "writing ="),
    ),
]

WRONG = [(question, points, START + code) for question, points, code in WRONG]
