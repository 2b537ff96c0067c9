"""Answers to set 09 that are right and have another shape than the solution's: (question, code)."""

START = "import math\nimport numpy as np\n"

RIGHT = [
    # element by element
    (
        "jaccard",
        """
def jaccard(a, b):
    if not a and not b:
        return 1.0
    shared = sum(1 for x in a if x in b)
    return shared / (len(a) + len(b) - shared)
""",
    ),
    # whole numbers
    (
        "pass_at_k",
        """
def pass_at_k(n, c, k):
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)
""",
    ),
    # logarithms of factorials
    (
        "pass_at_k",
        """
def pass_at_k(n, c, k):
    if n - c < k:
        return 1.0
    log = math.lgamma(n - c + 1) - math.lgamma(n - c - k + 1)
    log -= math.lgamma(n + 1) - math.lgamma(n - k + 1)
    return -math.expm1(log)
""",
    ),
    # NumPy, and a text without lines first
    (
        "basic_filters",
        """
def basic_filters(text):
    lines = text.splitlines()
    if len(lines) == 0:
        return False
    sizes = np.array([len(line) for line in lines])
    if sizes.max() > 1000 or sizes.mean() > 100:
        return False
    return 4 * len([c for c in text if c.isalnum()]) >= len(text)
""",
    ),
    # cuts compared, strings joined
    (
        "fim_permute",
        """
def fim_permute(document, u, rate, spm_rate):
    if u[0] < rate:
        n = len(document) + 1
        first, last = math.floor(u[1] * n), math.floor(u[2] * n)
        if first > last:
            first, last = last, first
        suffix = document[last:]
        if u[3] < spm_rate:
            parts = ["<fim_prefix>", "<fim_suffix>", suffix, "<fim_middle>", document[:last]]
        else:
            parts = ["<fim_prefix>", document[:first], "<fim_suffix>", suffix, "<fim_middle>",
                     document[first:last]]
        return "".join(parts)
    return document
""",
    ),
    # a regular expression
    (
        "fim_restore",
        """
import re

def fim_restore(text):
    form = "<fim_prefix>(.*)<fim_suffix>(.*)<fim_middle>(.*)"
    found = re.fullmatch(form, text, re.DOTALL)
    return text if found is None else found[1] + found[3] + found[2]
""",
    ),
    # plain loops
    (
        "minhash",
        """
def minhash(hashes, a, b):
    out = []
    for i in range(len(a)):
        smallest = None
        for h in hashes:
            value = (a[i] * h + b[i]) % ((1 << 61) - 1) & 0xFFFFFFFF
            if smallest is None or value < smallest:
                smallest = value
        out.append(smallest)
    return out
""",
    ),
    # all pairs, then min
    (
        "optimal_br",
        """
def optimal_br(threshold, count):
    low, high = np.linspace(0, threshold, 501), np.linspace(threshold, 1, 501)

    def area(pair):
        b, r = pair
        return np.trapezoid(1 - (1 - low**r) ** b, low) + np.trapezoid((1 - high**r) ** b, high)

    pairs = [(b, r) for b in range(1, count + 1) for r in range(1, count + 1) if b * r <= count]
    return min(pairs, key=area)
""",
    ),
    # union-find
    (
        "dedup",
        """
def dedup(texts, threshold):
    parent = list(range(len(texts)))

    def root(i):
        while parent[i] != i:
            i = parent[i]
        return i

    bags = [frozenset(t.split()) for t in texts]
    for j in range(len(texts)):
        for i in range(j):
            union = len(bags[i] | bags[j])
            if union == 0 or len(bags[i] & bags[j]) >= threshold * union - 1e-12:
                parent[root(i)] = root(j)
    best = {}
    for i, text in enumerate(texts):
        key = root(i)
        if key not in best or (-len(text), text) < (-len(best[key]), best[key]):
            best[key] = text
    kept = set(best.values())
    return [t for t in dict.fromkeys(texts) if t in kept]
""",
    ),
    # joined words, document by document
    (
        "decontaminate",
        """
def decontaminate(documents, tests, run):
    def runs(text):
        words = text.lower().split()
        return [" ".join(words[i:i + run]) for i in range(len(words) - run + 1)]

    known = {piece for test in tests for piece in runs(test)}
    left = []
    for document in documents:
        if any(piece in known for piece in runs(document)):
            continue
        left.append(document)
    return left
""",
    ),
    # ratios of the terms
    (
        "overhead",
        """
def overhead(N, D, law):
    E, A, B, alpha, beta = law
    first, second = A * N ** -alpha, B * D ** -beta
    total = first + second
    smaller = (total * beta / (alpha + beta) / first) ** (1 / alpha)
    shorter = (total * alpha / (alpha + beta) / second) ** (1 / beta)
    return smaller * shorter - 1
""",
    ),
]

RIGHT = [(question, START + code) for question, code in RIGHT]
