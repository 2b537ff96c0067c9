"""Answers to set 09 that are wrong in the ways people are: (question, points earned, code)."""

from pathlib import Path

from minilm.course.checking.planted import Solution

SET = Solution(Path(__file__).with_name("questions.py"))
change = SET.changed

WRONG = [
    # over the sum of both sizes
    ("jaccard", 0, change("jaccard", ("len(a | b) if", "(len(a) + len(b)) if"))),
    # over the smaller one
    ("jaccard", 0, change("jaccard", ("len(a | b) if", "min(len(a), len(b)) if"))),
    # nothing over nothing is nothing
    ("jaccard", 2, change("jaccard", ("else 1.0", "else 0.0"))),
    # with putting back
    ("pass_at_k", 0, "def pass_at_k(n, c, k):\n    return 1 - (1 - c / n) ** k\n"),
    # one factor too few
    ("pass_at_k", 0, change("pass_at_k", ("n - c + 1, n + 1", "n - c + 1, n"))),
    # the edge is 0
    ("pass_at_k", 1, change("pass_at_k", ("return 1.0\n", "return 0.0\n"))),
    # floats overflow
    (
        "pass_at_k",
        3,
        "import math\ndef pass_at_k(n, c, k):\n    f = lambda m: math.gamma(m + 1)\n"
        "    if n > 60:\n        return f(n) / f(n - k)\n"
        "    return 1 - math.comb(n - c, k) / math.comb(n, k)\n",
    ),
    # below, and not at most
    ("basic_filters", 3, change("basic_filters", ("<= 1000", "< 1000"))),
    ("basic_filters", 3, change("basic_filters", ("<= 100 and", "< 100 and"))),
    # more than a quarter
    ("basic_filters", 2, change("basic_filters", (">= 0.25", "> 0.25"))),
    # line ends are not counted
    (
        "basic_filters",
        2,
        change("basic_filters", ("0.25 * len(text)", "0.25 * len(text.replace('\\n', ''))")),
    ),
    # an empty text passes
    ("basic_filters", 3, change("basic_filters", ("return False", "return True"))),
    # the middle comes first
    (
        "fim_permute",
        0,
        change(
            "fim_permute",
            ("{P}<fim_suffix>{S}<fim_middle>{M}", "{P}<fim_suffix>{M}<fim_middle>{S}"),
        ),
    ),
    # the first variant of SPM: the prefix has its marker, and the middle stands alone
    (
        "fim_permute",
        0,
        change(
            "fim_permute",
            (
                "<fim_prefix><fim_suffix>{S}<fim_middle>{P}{M}",
                "<fim_suffix>{S}<fim_prefix>{P}<fim_middle>{M}",
            ),
        ),
    ),
    # the last place is never cut
    ("fim_permute", 0, change("fim_permute", ("(len(document) + 1)", "len(document)"))),
    # at the rate, too
    ("fim_permute", 4, change("fim_permute", ("u[0] >= rate", "u[0] > rate"))),
    # the cuts are not put in order
    ("fim_permute", 0, change("fim_permute", ("a, b = sorted", "a, b = list"))),
    # as they stand
    ("fim_restore", 1, change("fim_restore", ("prefix + end + suffix", "prefix + suffix + end"))),
    # SPM is forgotten
    (
        "fim_restore",
        0,
        change(
            "fim_restore",
            ("return prefix + end + suffix", "return prefix + end + suffix if prefix else suffix"),
        ),
    ),
    # plain texts are not
    (
        "fim_restore",
        2,
        change("fim_restore", ("if not text.startswith('<fim_prefix>')", "if False")),
    ),
    # 64 bits
    (
        "minhash",
        3,
        "import numpy as np\ndef minhash(hashes, a, b):\n    h = np.array(hashes, np.uint64)\n"
        "    return [int((((np.uint64(x) * h + np.uint64(y)) % np.uint64(2**61 - 1)) %"
        " np.uint64(2**32)).min()) for x, y in zip(a, b)]\n",
    ),
    # the smallest before 32 bits are taken
    (
        "minhash",
        3,
        "def minhash(hashes, a, b):\n    prime = 2**61 - 1\n"
        "    return [min((x * h + y) % prime for h in hashes) % 2**32 for x, y in zip(a, b)]\n",
    ),
    # without the prime
    ("minhash", 3, change("minhash", (" % prime", ""))),
    # one number for each hash
    (
        "minhash",
        0,
        "def minhash(hashes, a, b):\n    p = 2**61 - 1\n"
        "    return [min((x * h + y) % p % 2**32 for x, y in zip(a, b)) for h in hashes]\n",
    ),
    # only what is compared for nothing
    ("optimal_br", 0, change("optimal_br", ("area += np.trapezoid(", "area += 0 * np.trapezoid("))),
    # bands and rows are mixed up
    ("optimal_br", 0, change("optimal_br", ("best[1], best[2]", "best[2], best[1]"))),
    # as many rows as there is room for
    ("optimal_br", 0, change("optimal_br", ("range(1, count // b + 1)", "[count // b]"))),
    # only neighbours of the survivor, no chains
    (
        "dedup",
        0,
        "def dedup(texts, threshold):\n    kept = []\n"
        "    for t in sorted(dict.fromkeys(texts), key=lambda t: (-len(t), t)):\n"
        "        w = set(t.split())\n"
        "        if all(len(w & set(k.split())) / (len(w | set(k.split())) or 1) < threshold"
        " for k in kept):\n            kept.append(t)\n"
        "    return [t for t in dict.fromkeys(texts) if t in kept]\n",
    ),
    # more than the threshold
    ("dedup", 0, change("dedup", ("alike >= threshold", "alike > threshold"))),
    # the shortest survives
    ("dedup", 0, change("dedup", ("-len(text), text", "len(text), text"))),
    # the first of a group survives
    ("dedup", 0, change("dedup", ("min(mine, key=lambda text: (-len(text), text))", "mine[0]"))),
    # sorted by the alphabet
    ("dedup", 4, change("dedup", ("sorted(left, key=texts.index)", "sorted(left)"))),
    # letters are not made small
    ("decontaminate", 2, change("decontaminate", ("text.lower()", "text"))),
    # single words
    ("decontaminate", 0, change("decontaminate", ("tuple(words[i:i + run])", "words[i]"))),
    # the last run is missed
    ("decontaminate", 1, change("decontaminate", ("len(words) - run + 1", "len(words) - run"))),
    # tests as a whole only
    (
        "decontaminate",
        1,
        "def flat(text):\n    return ' '.join(text.lower().split())\n"
        "def decontaminate(documents, tests, run):\n    long = [t for t in tests if len(t.split()) >= run]\n"
        "    return [d for d in documents if not any(flat(t) in flat(d) for t in long)]\n",
    ),
    # the floor belongs to the loss above it
    ("overhead", 0, change("overhead", ("_, A, B", "E, A, B"), ("above = A", "above = E + A"))),
    # the shares are mixed up
    (
        "overhead",
        0,
        change(
            "overhead",
            ("above * beta /", "above * alpha /"),
            ("(B / (above * alpha /", "(B / (above * beta /"),
        ),
    ),
    # the quotient itself
    ("overhead", 0, change("overhead", (" - 1", ""))),
    # parameters only
    ("overhead", 0, change("overhead", ("N * D / (best_N * best_D)", "N / best_N"))),
]
