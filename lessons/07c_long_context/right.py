"""Answers to set 07c that are right and have another shape than the solution's: (question, code)."""

START = "import math\nimport numpy as np\n"

RIGHT = [
    # the late chunk mirrors the early one
    (
        "zigzag_partition",
        """
def zigzag_partition(n, P):
    c = n // (2 * P)
    early = [np.arange(r * c, (r + 1) * c) for r in range(P)]
    return [np.r_[e, n - 1 - e[::-1]] for e in early]
""",
    ),
    # the early chunks in order, the late ones backwards
    (
        "unpartition",
        """
def unpartition(parts):
    first = np.asarray(parts[0])
    c = len(first) // 2
    return np.concatenate([p[:c] for p in parts] + [p[c:] for p in parts[::-1]])
""",
    ),
    # closed forms
    (
        "work_per_rank",
        """
def work_per_rank(n, P, plan):
    t = n // P
    if plan == "zigzag":
        return [n * (n + 1) // (2 * P)] * P
    return [t * (t + 1) // 2 + r * t * t for r in range(P)]
""",
    ),
    # weights from the larger of the two
    (
        "merge",
        """
def merge(o1, l1, o2, l2):
    top = np.maximum(l1, l2)
    w1, w2 = np.exp(l1 - top), np.exp(l2 - top)
    o = (w1[..., None] * o1 + w2[..., None] * o2) / (w1 + w2)[..., None]
    return [o, top + np.log(w1 + w2)]
""",
    ),
    # running sums instead of merges
    (
        "ring_attention",
        """
def ring_attention(qs, ks, vs, causal, turn):
    P, (t, D) = len(qs), qs[0].shape
    tops = [np.full((t, 1), -np.inf) for _ in range(P)]
    sums, outs = [np.zeros((t, 1)) for _ in range(P)], [np.zeros((t, D)) for _ in range(P)]
    for step in range(P):
        for r in range(P):
            s = (r - step) % P
            if causal and s > r:
                continue
            z = qs[r].dot(ks[r].T) / D**0.5
            if causal and s == r:
                z[~np.tri(t, dtype=bool)] = -np.inf
            top = np.maximum(tops[r], z.max(1, keepdims=True))
            shrink, e = np.exp(tops[r] - top), np.exp(z - top)
            sums[r] = sums[r] * shrink + e.sum(1, keepdims=True)
            outs[r] = outs[r] * shrink + e.dot(vs[r])
            tops[r] = top
        if step < P - 1:
            ks = turn(ks)
            vs = turn(vs)
    return [o / s for o, s in zip(outs, sums)]
""",
    ),
    # slices and loops
    (
        "ulysses",
        """
def to_heads(shards, exchange):
    P, H = len(shards), shards[0].shape[1]
    if H % P != 0:
        raise ValueError("heads")
    e = H // P
    table = exchange([[x[:, s * e:(s + 1) * e] for s in range(P)] for x in shards])
    return [np.vstack(list(table[r])) for r in range(P)]

def to_text(parts, exchange):
    P = len(parts)
    t = len(parts[0]) // P
    table = exchange([[x[s * t:(s + 1) * t] for s in range(P)] for x in parts])
    return [np.hstack(list(row)) for row in table]
""",
    ),
    # one document after the other
    (
        "bm25",
        """
def bm25(q, docs, k1=1.2, b=0.75):
    usual, scores = sum(len(d) for d in docs) / len(docs), []
    for d in docs:
        s = 0.0
        for w in q:
            n = sum(1 for e in docs if w in e)
            f = sum(1 for x in d if x == w)
            idf = math.log((len(docs) + 1) / (n + 0.5))
            s += idf * f * (k1 + 1) / (f + k1 * (1 - b) + k1 * b * len(d) / usual)
        scores.append(s)
    return np.array(scores)
""",
    ),
    # token by token
    (
        "prefill_decode_cost",
        """
def prefill_decode_cost(n, m, cfg):
    N, L, C, G = (cfg[k] for k in ("weights", "layers", "channels", "kv_channels"))
    flops = [2 * N + 4 * L * C * (i + 1) for i in range(n + m)]
    moved = sum(2 * N + 4 * L * G * (i + 1) for i in range(n, n + m))
    return sum(flops[:n]), sum(flops[n:]), moved
""",
    ),
]

RIGHT = [(question, START + code) for question, code in RIGHT]
