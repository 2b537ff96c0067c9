"""Answers to set 3 that are right and have another shape than the solution's: (question, code)."""

from pathlib import Path

from minilm.course.checking.planted import Solution

START = Solution(Path(__file__).with_name("questions.py")).given
MASK = """
def mask(kind, n_in, n_tgt):
    t, s = np.indices((n_in + n_tgt, n_in + n_tgt))
    return (s <= t) if kind == "causal" else (s <= t) | (s < n_in)
"""

RIGHT = [
    # two arrays, filled
    (
        "one_row",
        """
def one_row(source, target, begin):
    S, T = len(source), len(target)
    read, wanted = np.empty(S + T, int), np.full(S + T, -100)
    read[:S], read[S], read[S + 1 :] = source, begin, target[: T - 1]
    wanted[S:] = target
    return read, wanted
""",
    ),
    # by the numbers of rows and columns
    ("mask", MASK),
    # text after text
    (
        "prefix_lm_loss_mask",
        """
def prefix_lm_loss_mask(n_in, n, width):
    out = []
    for first, end in zip(n_in, n):
        out.append([first <= t + 1 < end for t in range(width)])
    return np.array(out, dtype=bool).reshape(len(n), width)
""",
    ),
    # a layer is a function of its rows and of what they see
    (
        "encdec_forward",
        """
def encdec_forward(w, source, target):
    def plus(x, part):
        return x + part(norm(x))

    T = len(target)
    past = np.arange(T)[:, None] >= np.arange(T)
    for one in w["encoder"]:
        source = plus(source, lambda y: look(y, y, one, np.ones((len(y), len(y)), bool)))
        source = plus(source, lambda y: feed(y, one))
    end = norm(source)
    for one, other in zip(w["decoder"], w["cross"]):
        target = plus(target, lambda y: look(y, y, one, past))
        target = plus(target, lambda y: look(y, end, other, np.ones((T, len(end)), bool)))
        target = plus(target, lambda y: feed(y, one))
    return norm(target)
""",
    ),
    # new dictionaries part by part, and a list of arrays seen
    (
        "share",
        """
def share_cross(w):
    out = dict(w)
    out["cross"] = []
    for layer in w["decoder"]:
        out["cross"].append({"q": layer["q"], "k": layer["k"], "v": layer["v"], "o": layer["o"]})
    return out

def share_stacks(w):
    return {"encoder": list(w["decoder"]), "decoder": w["decoder"], "cross": w["cross"]}

def walk_sizes(w):
    sizes = []
    for step in (w, share_cross(w), share_stacks(share_cross(w))):
        seen, total = [], 0
        for layers in step.values():
            for layer in layers:
                for array in layer.values():
                    if not any(array is other for other in seen):
                        seen.append(array)
                        total += array.size
        sizes.append(total)
    return tuple(sizes)
""",
    ),
    # merged: one stack with a prefix mask; apart: all of the source's streams first
    (
        "one_stack",
        """
def stack(layers, x, mask):
    for w in layers:
        x = x + look(norm(x), norm(x), w, mask)
        x = x + feed(norm(x), w)
    return x

def same_layer_attend(layers, source, target, merged=False):
    S, T = len(source), len(target)
    if merged:
        past = np.tri(S + T, dtype=bool)
        past[:S, :S] = True
        return norm(stack(layers, np.concatenate([source, target]), past))[S:]
    for l, w in enumerate(layers):
        read = norm(stack(layers[:l], source, True))
        target = target + look(norm(target), norm(target), w, np.tri(T, dtype=bool))
        target = target + look(norm(target), read, w, True)
        target = target + feed(norm(target), w)
    return norm(target)

def causal_input(layers, source, target):
    x = stack(layers, np.concatenate([source, target]), np.tri(len(source) + len(target), dtype=bool))
    return norm(x[len(source):])
""",
    ),
    # product after product, the mask by its formula
    (
        "flops",
        """
def flops(arch, n_in, n_tgt, layers=6, channels=512, scores=False):
    n, C = n_in + n_tgt, channels
    total = n * (4 * C * C + 8 * C * C)
    pairs = n * (n + 1) // 2
    if arch == "encdec":
        total += 2 * n_tgt * C * C + 2 * n_in * C * C
    if arch != "causal":
        pairs = n_in * n + n_tgt * (n_tgt + 1) // 2
    if scores:
        total += pairs * 2 * C
    return total * layers * 2
""",
    ),
    # new tokens one by one
    (
        "kv_step",
        """
def kv_step(cache, x, layers):
    rows = []
    for row in x:
        row, grown = row[None], []
        for kept, w in zip(cache, layers):
            y = norm(row)
            k = np.concatenate([kept["k"], y @ w["k"].T])
            v = np.concatenate([kept["v"], y @ w["v"].T])
            row = row + mix(y @ w["q"].T, k, v, True) @ w["o"].T
            row = row + feed(norm(row), w)
            grown.append({"k": k, "v": v})
        cache = grown
        rows.append(norm(row))
    return np.concatenate(rows), cache
""",
    ),
    # closed formulas
    (
        "chat_cost",
        """
def chat_cost(turns, user, answer, mode):
    both = user + answer
    if mode == "causal":
        return turns * both, sum(range(turns * both + 1))
    reads = [user + k * both for k in range(turns)]
    pairs = sum(r * r for r in reads) + answer * sum(reads) + turns * sum(range(answer + 1))
    return both * turns * (turns + 1) // 2, pairs
""",
    ),
]
RIGHT = [(question, START + "\n\n" + code) for question, code in RIGHT]
