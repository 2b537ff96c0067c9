"""Answers to set 05 that are right and have another shape than the solution's: (question, code)."""

START = "import math\nimport numpy as np\n"

RIGHT = [
    # row by row, and the sigmoid by tanh
    (
        "swiglu",
        """
def swiglu(x, w1, w2, w3):
    rows = []
    for row in x:
        gate = w1 @ row
        rows.append(w2 @ (gate * (1 + np.tanh(gate / 2)) / 2 * (w3 @ row)))
    return np.array(rows)
""",
    ),
    # a list of arrays
    (
        "count_params_moe",
        """
def count_params_moe(cfg):
    d, D = cfg["dim"], cfg["head_dim"]

    def model(experts):
        total = 2 * cfg["vocab"] * d + d
        for _ in range(cfg["layers"]):
            total += d * D * (2 * cfg["heads"] + 2 * cfg["kv_heads"]) + 2 * d
            total += d * cfg["experts"] + experts * 3 * d * cfg["ff"]
        return total

    return [model(cfg["experts"]), model(cfg["chosen"])]
""",
    ),
    # the full softmax of the chosen, renormalised
    (
        "topk_gate",
        """
def topk_gate(x, Wg, k):
    logits = x @ Wg.T
    p = np.exp(logits - logits.max(1, keepdims=True))
    idx = np.argsort(-logits, axis=1, kind="stable")[:, :k]
    w = p[np.arange(len(x))[:, None], idx]
    return idx, w / w.sum(1)[:, None]
""",
    ),
    # expert by expert
    (
        "load_balance_loss",
        """
def load_balance_loss(probs, idx, k):
    N, E = probs.shape
    return sum(E * (idx == e).sum() / idx.size * probs[:, e].sum() / N for e in range(E))
""",
    ),
    # token by token
    (
        "moe_forward",
        """
def moe_forward(x, Wg, w1, w2, w3, k):
    rows = []
    for row in x:
        logits = Wg @ row
        chosen = sorted(range(len(Wg)), key=lambda e: -logits[e])[:k]
        weight = np.exp(logits[chosen] - logits[chosen[0]])
        total = 0
        for e, w in zip(chosen, weight / weight.sum()):
            gate = w1[e] @ row
            total = total + w * (w2[e] @ (gate / (1 + np.exp(-gate)) * (w3[e] @ row)))
        rows.append(total)
    return np.array(rows)
""",
    ),
    # groups as an axis of their own
    (
        "gqa",
        """
def gqa(x, Wq, Wk, Wv, Wo, h, h_kv):
    T, D = len(x), len(Wq) // h
    q = (x @ Wq.T).reshape(T, h_kv, h // h_kv, D)
    k, v = ((x @ W.T).reshape(T, h_kv, D) for W in (Wk, Wv))
    out = np.zeros((T, h_kv, h // h_kv, D))
    for t in range(T):
        scores = np.einsum("gid,sgd->gis", q[t], k[: t + 1]) / math.sqrt(D)
        e = np.exp(scores - scores.max(-1, keepdims=True))
        out[t] = np.einsum("gis,sgd->gid", e / e.sum(-1, keepdims=True), v[: t + 1])
    return out.reshape(T, -1) @ Wo.T
""",
    ),
    # positions in their own order
    (
        "rolling_cache_attend",
        """
def rolling_cache_attend(keys, values, q, k, v, t):
    W = len(keys)
    slots = [p % W for p in range(max(0, t - W + 1), t + 1)]
    mine = np.arange(W)[:, None] == t % W
    keys, values = np.where(mine, k, keys), np.where(mine, v, values)
    scores = keys[slots] @ q / math.sqrt(len(q))
    weight = np.exp(scores - np.logaddexp.reduce(scores))
    return weight @ values[slots], keys, values
""",
    ),
    # loops and dictionaries; information by entropies
    (
        "routing_stats",
        """
def routing_stats(chosen, domain, token):
    from collections import Counter

    def entropy(things):
        n = len(things)
        return -sum(c / n * math.log(c / n) for c in Counter(things).values())

    rows, first = chosen.tolist(), chosen[:, 0].tolist()
    pairs = list(zip(rows, rows[1:]))
    same = sum(a[0] == b[0] for a, b in pairs) / len(pairs)
    common = sum(len(set(a) & set(b)) > 0 for a, b in pairs) / len(pairs)
    told = []
    for other in (domain.tolist(), token.tolist()):
        told.append(entropy(first) + entropy(other) - entropy(list(zip(first, other))))
    return [same, common, *told]
""",
    ),
]
RIGHT = [(question, START + code) for question, code in RIGHT]
