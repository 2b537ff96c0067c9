"""Tests of exercise set 05: gates, experts, what they cost, their balance, caches, statistics."""

import math

import numpy as np

from minilm.course.checking.expect import array, close, same, true
from minilm.course.checking.probes import leaves_arguments
from minilm.course.checking.questions import Question

TITLE = "Mixtral: routing, experts, windows"

swiglu = Question("swiglu", title="a gated feed-forward", lines=2)
count_params_moe = Question("count_params_moe", title="total and active parameters", lines=8)
topk_gate = Question("topk_gate", title="choose two of eight", lines=5)
load_balance_loss = Question("load_balance_loss", title="the balance loss", lines=3)
moe_forward = Question("moe_forward", title="a layer of experts", lines=12)
gqa = Question("gqa", title="grouped queries", lines=12)
rolling_cache_attend = Question("rolling_cache_attend", title="a cache that rolls", lines=8)
routing_stats = Question("routing_stats", title="what a router's choices say", lines=16)


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def pair(answer, what="(idx, w)"):
    true(isinstance(answer, (tuple, list)) and len(answer) == 2, f"return {what}", "type")
    return answer


# ------------------------------------------------------------------------------------ swiglu


def widths(rng, level):
    yield {"N": 2, "C": 3, "F": 4}
    yield {"N": 5, "C": 4, "F": 6}
    if level == "hidden":
        yield {"N": 1, "C": 7, "F": 2}


def silu(z):
    """By tanh, which cannot overflow."""
    return z * 0.5 * (1 + np.tanh(z / 2))


@swiglu.test(points=2, hint="w2 (silu(w1 x) times w3 x), row by row.", cases=widths)
def is_gated(student, rng, N, C, F):
    "the product of the gate and the other map, mapped back"
    x, w1, w3 = rng.normal(size=(N, C)), rng.normal(size=(F, C)), rng.normal(size=(F, C))
    w2 = rng.normal(size=(C, F))
    wanted = [w2 @ (silu(w1 @ row) * (w3 @ row)) for row in x]
    close(student.swiglu(x, w1, w2, w3), wanted, rtol=1e-9, atol=1e-10)


@swiglu.test(points=1, hint="Large negative gates give 0, not nan.", cases=widths)
def takes_large_gates(student, rng, N, C, F):
    "gates of 1,000 in both directions"
    x = np.ones((N, 1))
    w1, w3 = np.array([[1000.0], [-1000.0]]), rng.normal(size=(2, 1))
    w2 = rng.normal(size=(C, 2))
    wanted = np.repeat(1000 * w3[0] * w2[:, :1].T, N, 0)
    close(student.swiglu(x, w1, w2, w3), wanted, rtol=1e-9, atol=1e-9)


leaves_arguments(swiglu)

# --------------------------------------------------------------------------- count_params_moe

MIXTRAL = {"vocab": 32000, "dim": 4096, "layers": 32, "heads": 32, "kv_heads": 8, "head_dim": 128,
           "ff": 14336, "experts": 8, "chosen": 2}  # fmt: skip


def shapes(rng, level):
    yield {"grow": 0}
    yield {"grow": int(rng.integers(1, 5))}
    if level == "hidden":
        yield {"grow": int(rng.integers(5, 40))}


def config(rng, grow):
    if not grow:
        return dict(MIXTRAL)
    kv = int(rng.integers(1, 4))
    experts = int(rng.integers(2, 9))
    return {"vocab": 100 + 7 * grow, "dim": 16 * grow, "layers": int(rng.integers(2, 6)),
            "heads": kv * int(rng.integers(2, 5)), "kv_heads": kv, "head_dim": 8 + grow,
            "ff": 33 * grow + 5, "experts": experts,
            "chosen": int(rng.integers(1, experts))}  # fmt: skip


def matrices(c):
    """Every array of the model, and how many of its kind one token uses."""
    d, q, kv = c["dim"], c["heads"] * c["head_dim"], c["kv_heads"] * c["head_dim"]
    layer = [(d * q, 1, 1), (d * kv, 2, 2), (q * d, 1, 1), (d, 2, 2), (d * c["experts"], 1, 1)]
    layer.append((3 * d * c["ff"], c["experts"], c["chosen"]))
    ends = [(c["vocab"] * d, 2, 2), (d, 1, 1)]
    return [tuple(sum(size * part[i] for size, *part in parts) for i in (0, 1))
            for parts in (layer, ends)]  # fmt: skip


def counted(c):
    (total, active), (end, _) = matrices(c)
    return c["layers"] * total + end, c["layers"] * active + end


@count_params_moe.test(points=2, hint="Per layer: four maps, two norms, a router, the experts.",
                       cases=shapes)  # fmt: skip
def counts_them_all(student, rng, grow):
    "the total, to the integer"
    c = config(rng, grow)
    total, _ = pair(student.count_params_moe(c), "(total, active)")
    same(int(array(total, shape=(), what="the total")), counted(c)[0], what="the total")


@count_params_moe.test(points=2, hint="Of E experts a token uses K; all the rest is shared.",
                       cases=shapes)  # fmt: skip
def counts_what_a_token_uses(student, rng, grow):
    "the active ones, to the integer"
    c = config(rng, grow)
    _, active = pair(student.count_params_moe(c), "(total, active)")
    same(int(array(active, shape=(), what="the active ones")), counted(c)[1],
         what="the active ones")  # fmt: skip


# ---------------------------------------------------------------------------------- topk_gate


def gates(rng, level):
    yield {"N": 3, "C": 4, "E": 5, "k": 2}
    yield {"N": 6, "C": 3, "E": 8, "k": 3}
    if level == "hidden":
        yield {"N": 9, "C": 5, "E": 6, "k": 1}
        yield {"N": 4, "C": 5, "E": 7, "k": 4}


def gate_of(logits, k):
    """From the full softmax, renormalised; choices one after the other."""
    idx, w = [], []
    for row, p in zip(logits, softmax(logits)):
        left, chosen = dict(enumerate(row)), []
        for _ in range(k):
            best = max(left, key=lambda e: (left[e], -e))
            chosen.append(best)
            del left[best]
        idx.append(chosen)
        w.append(p[chosen] / p[chosen].sum())
    return np.array(idx), np.array(w)


@topk_gate.test(points=2, hint="Largest logit first; equal ones by their number.", cases=gates)
def chooses_the_largest(student, rng, N, C, E, k):
    "the k largest logits of each row, the largest first"
    x, Wg = rng.normal(size=(N, C)), rng.normal(size=(E, C))
    idx, _ = pair(student.topk_gate(x, Wg, k))
    same(array(idx, what="idx"), gate_of(x @ Wg.T, k)[0], what="idx")


@topk_gate.test(points=2, hint="softmax over the k chosen logits alone.", cases=gates)
def weighs_the_chosen(student, rng, N, C, E, k):
    "the weights are the full softmax of the chosen, renormalised"
    x, Wg = 2 * rng.normal(size=(N, C)), rng.normal(size=(E, C))
    _, w = pair(student.topk_gate(x, Wg, k))
    close(w, gate_of(x @ Wg.T, k)[1], rtol=1e-9, atol=1e-12, what="w")


@topk_gate.test(points=1, hint="k = E: nothing is left out, the weights are the whole softmax.",
                cases=gates)  # fmt: skip
def all_of_them(student, rng, N, C, E, k):
    "k = E is a softmax over all experts, with logits of 1,000 too"
    x, Wg = rng.normal(size=(N, C)), rng.normal(size=(E, C))
    x[0] *= 1000 / np.abs(Wg @ x[0]).max()
    idx, w = pair(student.topk_gate(x, Wg, E))
    whole = np.zeros((N, E))
    idx, w = array(idx, shape=(N, E), what="idx"), array(w, shape=(N, E), what="w")
    true(np.array_equal(np.sort(idx, 1), np.tile(np.arange(E), (N, 1))), "idx must hold all E")
    np.put_along_axis(whole, idx.astype(int), w, 1)
    close(whole, softmax(x @ Wg.T), rtol=1e-9, atol=1e-12, what="w in order of the experts")


leaves_arguments(topk_gate)

# -------------------------------------------------------------------------- load_balance_loss


def crowds(rng, level):
    yield {"N": 6, "E": 4, "k": 2}
    yield {"N": 10, "E": 5, "k": 1}
    if level == "hidden":
        yield {"N": int(rng.integers(11, 20)), "E": 8, "k": 3}


def crowd(rng, N, E, k):
    probs = rng.dirichlet(np.ones(E), N)
    return probs, np.argsort(-probs, 1)[:, :k]


@load_balance_loss.test(points=2, hint="f sums to 1: divide the choices by N k.", cases=crowds)
def is_e_times_f_times_p(student, rng, N, E, k):
    "E times the sum of shares times mean probabilities"
    probs, idx = crowd(rng, N, E, k)
    wanted = 0.0
    for e in range(E):
        share = sum(int(choice == e) for row in idx for choice in row) / (N * k)
        wanted += E * share * math.fsum(probs[:, e]) / N
    close(student.load_balance_loss(probs, idx, k), wanted, rtol=1e-10, atol=1e-12)


@load_balance_loss.test(points=1, hint="All even: 1. All to one: E.", cases=crowds)
def knows_its_ends(student, rng, N, E, k):
    "1 where all is even, E where one expert has everything"
    even = np.arange(E * k).reshape(E, k) % E
    close(student.load_balance_loss(np.full((E, E), 1 / E), even, k), 1.0, rtol=1e-10)
    probs, one = np.zeros((N, E)), int(rng.integers(E))
    probs[:, one] = 1
    close(student.load_balance_loss(probs, np.full((N, 1), one), 1), float(E), rtol=1e-10)


leaves_arguments(load_balance_loss)

# -------------------------------------------------------------------------------- moe_forward


def layers(rng, level):
    yield {"N": 4, "C": 3, "F": 2, "E": 4, "k": 2}
    yield {"N": 7, "C": 4, "F": 3, "E": 5, "k": 3}
    if level == "hidden":
        yield {"N": 12, "C": 5, "F": 4, "E": 8, "k": 2}
        yield {"N": 3, "C": 2, "F": 3, "E": 6, "k": 1}


def layer(rng, N, C, F, E):
    sizes = ((N, C), (E, C), (E, F, C), (E, C, F), (E, F, C))
    return [rng.normal(size=size) for size in sizes]


def masked_dense(x, Wg, w1, w2, w3, k):
    """Every expert on every token, and a weight of 0 for those not chosen."""
    idx, w = gate_of(x @ Wg.T, k)
    weights = np.zeros((len(x), len(Wg)))
    np.put_along_axis(weights, idx, w, 1)
    inner = silu(np.einsum("efc,nc->nef", w1, x)) * np.einsum("efc,nc->nef", w3, x)
    return np.einsum("ne,nec->nc", weights, np.einsum("ecf,nef->nec", w2, inner))


@moe_forward.test(points=3, hint="For each token the weighted sum of its k experts.",
                  cases=layers)  # fmt: skip
def is_the_weighted_sum(student, rng, N, C, F, E, k):
    "every expert on every token, weighed by 0 where it is not chosen, gives the same"
    x, Wg, w1, w2, w3 = layer(rng, N, C, F, E)
    answer = student.moe_forward(x, Wg, w1, w2, w3, k)
    close(answer, masked_dense(x, Wg, w1, w2, w3, k), rtol=1e-9, atol=1e-10)


@moe_forward.test(points=1, hint="Rows of Wg and experts belong together.", cases=layers)
def the_order_means_nothing(student, rng, N, C, F, E, k):
    "experts and router rows in another order: the same answer"
    x, Wg, w1, w2, w3 = layer(rng, N, C, F, E)
    p = rng.permutation(E)
    answer = student.moe_forward(x, Wg[p], w1[p], w2[p], w3[p], k)
    close(answer, masked_dense(x, Wg, w1, w2, w3, k), rtol=1e-9, atol=1e-10)


@moe_forward.test(points=1, hint="An expert without a token must do no harm.", cases=layers)
def an_expert_without_tokens(student, rng, N, C, F, E, k):
    "all tokens choose the same experts, and the others get none"
    x, Wg, w1, w2, w3 = layer(rng, N, C, F, E)
    x = np.abs(x)
    Wg = np.repeat(-np.arange(E)[:, None], C, 1) + 0.0  # the first ones are always the largest
    answer = student.moe_forward(x, Wg, w1, w2, w3, k)
    close(answer, masked_dense(x, Wg, w1, w2, w3, k), rtol=1e-9, atol=1e-10)


leaves_arguments(moe_forward)

# ---------------------------------------------------------------------------------------- gqa


def heads(rng, level):
    yield {"T": 4, "h": 4, "h_kv": 2, "D": 3}
    yield {"T": 5, "h": 6, "h_kv": 2, "D": 2}
    if level == "hidden":
        yield {"T": 7, "h": 6, "h_kv": 3, "D": 4}


def head_by_head(x, Wq, Wk, Wv, Wo, h, h_kv):
    """One query head after the other, one query after the other."""
    T, D = len(x), len(Wq) // h
    columns = []
    for i in range(h):
        g = i // (h // h_kv)
        q = x @ Wq[i * D : (i + 1) * D].T
        k, v = x @ Wk[g * D : (g + 1) * D].T, x @ Wv[g * D : (g + 1) * D].T
        rows = [softmax(k[: t + 1] @ q[t] / math.sqrt(D)) @ v[: t + 1] for t in range(T)]
        columns.append(np.array(rows))
    return np.concatenate(columns, 1) @ Wo.T


def maps(rng, T, h, h_kv, D):
    C = h * D + 1
    sizes = ((T, C), (h * D, C), (h_kv * D, C), (h_kv * D, C), (C, h * D))
    return [rng.normal(size=size) for size in sizes]


@gqa.test(points=3, hint="Query head i reads key head i // (h / h_kv); no query sees ahead.",
          cases=heads)  # fmt: skip
def shares_keys(student, rng, T, h, h_kv, D):
    "query heads in groups, each group with one key and value head, causal"
    given = maps(rng, T, h, h_kv, D)
    close(student.gqa(*given, h, h_kv), head_by_head(*given, h, h_kv), rtol=1e-8, atol=1e-9)


@gqa.test(points=1, hint="h_kv = h: every head its own. h_kv = 1: all share one.", cases=heads)
def has_both_ends(student, rng, T, h, h_kv, D):
    "multi-head where h_kv = h, multi-query where h_kv = 1"
    for few in (h, 1):
        given = maps(rng, T, h, few, D)
        wanted = head_by_head(*given, h, few)
        close(student.gqa(*given, h, few), wanted, rtol=1e-8, atol=1e-9, what=f"h_kv = {few}")


leaves_arguments(gqa)

# ----------------------------------------------------------------------- rolling_cache_attend


def windows(rng, level):
    yield {"W": 3, "D": 2, "T": 8}
    yield {"W": 4, "D": 3, "T": 6}
    if level == "hidden":
        yield {"W": 5, "D": 4, "T": 17}
        yield {"W": 1, "D": 2, "T": 4}


def stream(rng, T, D):
    return [rng.normal(size=(T, D)) for _ in range(3)]


def rolled(student, q, k, v, W):
    """The student's cache through a whole text: outputs, and what it held after each step."""
    keys, values = np.zeros((W, q.shape[1])), np.zeros((W, q.shape[1]))
    for t in range(len(q)):
        answer = student.rolling_cache_attend(keys, values, q[t], k[t], v[t], t)
        good = isinstance(answer, (tuple, list)) and len(answer) == 3
        true(good, "return (out, keys, values)", "type")
        out = array(answer[0], shape=q[t].shape, what="out")
        keys = array(answer[1], shape=keys.shape, what="keys").astype(float)
        values = array(answer[2], shape=keys.shape, what="values").astype(float)
        yield t, out, keys, values


@rolling_cache_attend.test(points=2, hint="Softmax over the filled slots; their order is no matter.",
                           cases=windows)  # fmt: skip
def is_banded_attention(student, rng, W, D, T):
    "at every step what full attention with a band of W gives"
    q, k, v = stream(rng, T, D)
    for t, out, *_ in rolled(student, q, k, v, W):
        seen = slice(max(0, t - W + 1), t + 1)
        wanted = softmax(k[seen] @ q[t] / math.sqrt(D)) @ v[seen]
        close(out, wanted, rtol=1e-9, atol=1e-10, what=f"step {t}")


@rolling_cache_attend.test(points=1, hint="Position t goes to slot t % W.", cases=windows)
def keeps_w_slots(student, rng, W, D, T):
    "position t lies in slot t mod W, over what was there"
    q, k, v = stream(rng, T, D)
    wanted = np.zeros((2, W, D))
    for t, _, keys, values in rolled(student, q, k, v, W):
        wanted[:, t % W] = k[t], v[t]
        close(keys, wanted[0], atol=1e-12, what=f"keys after step {t}")
        close(values, wanted[1], atol=1e-12, what=f"values after step {t}")


leaves_arguments(rolling_cache_attend)

# ------------------------------------------------------------------------------ routing_stats


def streams(rng, level):
    yield {"T": 40, "E": 4, "D": 2, "V": 5}
    yield {"T": 60, "E": 8, "D": 3, "V": 7}
    if level == "hidden":
        yield {"T": int(rng.integers(70, 120)), "E": 8, "D": 4, "V": 12}


def choices(rng, T, E, D, V):
    token = rng.integers(0, V, T)
    first = np.where(rng.random(T) < 0.6, token % E, rng.integers(0, E, T))
    other = (first + rng.integers(1, E, T)) % E
    return np.stack([first, other], 1), rng.integers(0, D, T), token


def told(a, b):
    """Mutual information as entropies: H(a) + H(b) - H(a, b)."""

    def entropy(things):
        counts = {}
        for thing in things:
            counts[thing] = counts.get(thing, 0) + 1
        return -math.fsum(n / len(things) * math.log(n / len(things)) for n in counts.values())

    a, b = a.tolist(), b.tolist()
    return entropy(a) + entropy(b) - entropy(list(zip(a, b)))


def stats(student, chosen, domain, token):
    answer = student.routing_stats(chosen, domain, token)
    true(isinstance(answer, (tuple, list)) and len(answer) == 4, "return four numbers", "type")
    return [float(array(number, shape=(), what="one of the four")) for number in answer]


@routing_stats.test(points=2, hint="Compare row t with row t - 1.", cases=streams)
def counts_repeats(student, rng, T, E, D, V):
    "neighbours with the same first expert, and with one in common"
    chosen, domain, token = choices(rng, T, E, D, V)
    rows = chosen.tolist()
    same_first = sum(a[0] == b[0] for a, b in zip(rows, rows[1:])) / (T - 1)
    common = sum(bool(set(a) & set(b)) for a, b in zip(rows, rows[1:])) / (T - 1)
    found = stats(student, chosen, domain, token)
    close(found[0], same_first, atol=1e-12, what="the same first expert")
    close(found[1], common, atol=1e-12, what="an expert in common")


@routing_stats.test(points=3, hint="Joint shares, log of joint over the product of both.",
                    cases=streams)  # fmt: skip
def measures_information(student, rng, T, E, D, V):
    "information of the first expert with domain and with token, in nats"
    chosen, domain, token = choices(rng, T, E, D, V)
    found = stats(student, chosen, domain, token)
    first = chosen[:, 0]
    close(found[2], told(first, domain), rtol=1e-8, atol=1e-10, what="I(expert; domain)")
    close(found[3], told(first, token), rtol=1e-8, atol=1e-10, what="I(expert; token)")


leaves_arguments(routing_stats)
