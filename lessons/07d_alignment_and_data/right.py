"""Answers to set 07d that are right and have another shape than the solution's: (question, code)."""

START = "import math\nimport numpy as np\n"

RIGHT = [
    # one line turned round
    (
        "pgr",
        """
def pgr(weak, between, strong):
    return 1.0 - (strong - between) / (strong - weak)
""",
    ),
    # perplexities, and a stable argsort
    (
        "ppl_filter",
        """
def ppl_filter(docs, lm, q):
    found = []
    for doc in docs:
        previous, logs = "^", []
        for word in doc.split():
            key = previous + " " + word
            logs.append(lm[key] if key in lm else lm["?"])
            previous = word
        found.append(-sum(logs) / len(logs))
    order = np.argsort(np.array(found, float), kind="stable")
    keep = set(order[: math.ceil(q * len(docs))].tolist())
    return [doc for i, doc in enumerate(docs) if i in keep]
""",
    ),
    # recursion with a memory
    (
        "rouge_l",
        """
import functools

def rouge_l(a, b):
    x, y = a.lower().split(), b.lower().split()
    table = np.zeros((len(x) + 1, len(y) + 1), int)
    for i in range(len(x) - 1, -1, -1):
        for j in range(len(y) - 1, -1, -1):
            if x[i] == y[j]:
                table[i, j] = 1 + table[i + 1, j + 1]
            else:
                table[i, j] = max(table[i + 1, j], table[i, j + 1])
    if not x or not y:
        return 0.0
    precision, recall = table[0, 0] / len(x), table[0, 0] / len(y)
    return 0.0 if precision == 0 else float(2 / (1 / precision + 1 / recall))
""",
    ),
    # everything in one function
    (
        "self_instruct_filter",
        """
def self_instruct_filter(texts, pool, threshold):
    def score(a, b):
        a, b = a.lower().split(), b.lower().split()
        if not a or not b:
            return 0.0
        best = [0] * (len(b) + 1)
        for word in a:
            corner = 0
            for j, other in enumerate(b):
                above = best[j + 1]
                best[j + 1] = corner + 1 if word == other else max(above, best[j])
                corner = above
        return 2 * best[-1] / (len(a) + len(b))

    taken = []
    for text in texts:
        if max([score(text, old) for old in [*pool, *taken]], default=0.0) < threshold:
            taken.append(text)
    return taken
""",
    ),
    # two loops
    (
        "two_hop_search",
        """
def two_hop_search(graph, question):
    start, first, second = question
    ends = []
    for kind, middle in graph.get(start, []):
        if kind != first or middle not in graph:
            continue
        for other, end in graph[middle]:
            if other == second and end not in ends:
                ends.append(end)
    ends.sort()
    return ends
""",
    ),
    # recursion
    (
        "make_cot",
        """
def make_cot(question, graph):
    here, *rest = question
    if not rest:
        return "so " + here + " ."
    if here not in graph or rest[0] not in graph[here]:
        return None
    there = graph[here][rest[0]]
    tail = make_cot((there, *rest[1:]), graph)
    return None if tail is None else " ".join([here, rest[0], there, ".", tail])
""",
    ),
    # down the gradient, with a step from the largest curvature
    (
        "quality_clf",
        """
def quality_clf(X, y):
    n, d = X.shape
    w, b, vw, vb = np.zeros(d), 0.0, np.zeros(d), 0.0
    ones = np.column_stack([X, np.ones(n)])
    step = 1 / (0.25 * np.linalg.eigvalsh(ones.T @ ones / n)[-1] + 0.01)
    for t in range(20000):
        at_w, at_b = w + t / (t + 3) * (w - vw), b + t / (t + 3) * (b - vb)
        vw, vb = w, b
        z = X @ at_w + at_b
        p = np.where(z > 0, 1 / (1 + np.exp(-np.abs(z))), 1 - 1 / (1 + np.exp(-np.abs(z))))
        gw, gb = X.T @ (p - y) / n + 0.01 * at_w, (p - y).mean()
        w, b = at_w - step * gw, at_b - step * gb
        if max(np.abs(gw).max(), abs(gb)) < 1e-6:
            break
    return w, float(b)
""",
    ),
]

RIGHT = [(question, START + code) for question, code in RIGHT]
