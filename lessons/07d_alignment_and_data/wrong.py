"""Answers to set 07d that are wrong in the ways people are: (question, points earned, code)."""

from pathlib import Path

from minilm.course.checking.planted import Solution

SET = Solution(Path(__file__).with_name("questions.py"))
change = SET.changed

WRONG = [
    # over the strong one
    ("pgr", 0, change("pgr", (") / (strong - weak)", ") / strong"))),
    # what is left
    ("pgr", 0, change("pgr", ("(between - weak)", "(strong - between)"))),
    # cut at 0 and 1
    (
        "pgr",
        2,
        "def pgr(weak, between, strong):\n"
        "    return min(1.0, max(0.0, (between - weak) / (strong - weak)))\n",
    ),
    # the sum punishes long documents
    ("ppl_filter", 0, change("ppl_filter", ("-total / len(words)", "-total"))),
    # the most surprising
    ("ppl_filter", 0, change("ppl_filter", ("-total / len(words)", "total / len(words)"))),
    # by rank and not in order
    ("ppl_filter", 0, change("ppl_filter", ("sorted(best)", "best"))),
    # rounded down
    ("ppl_filter", 4, change("ppl_filter", ("math.ceil", "math.floor"))),
    # the first word is left out
    (
        "ppl_filter",
        0,
        change(
            "ppl_filter",
            ("zip(['^', *words], words)", "zip(words, words[1:])"),
        ),
    ),
    # runs without gaps
    (
        "rouge_l",
        1,
        "def rouge_l(a, b):\n    a, b = a.lower().split(), b.lower().split()\n"
        "    if not a or not b:\n        return 0.0\n"
        "    best = max(k for i in range(len(a)) for j in range(len(b)) for k in [next(\n"
        "        (n for n in range(min(len(a) - i, len(b) - j))\n"
        "         if a[i + n] != b[j + n]), min(len(a) - i, len(b) - j))])\n"
        "    return 2 * best / (len(a) + len(b))\n",
    ),
    # in any order
    (
        "rouge_l",
        1,
        "from collections import Counter\ndef rouge_l(a, b):\n"
        "    a, b = Counter(a.lower().split()), Counter(b.lower().split())\n"
        "    total = sum(a.values()) + sum(b.values())\n"
        "    return 2 * sum((a & b).values()) / total if a and b else 0.0\n",
    ),
    # recall alone
    (
        "rouge_l",
        0,
        change("rouge_l", ("2 * row[-1] / (len(first) + len(second))", "row[-1] / len(second)")),
    ),
    # capital letters count
    ("rouge_l", 4, change("rouge_l", (".lower()", ""))),
    # only the pool is looked at
    (
        "self_instruct_filter",
        0,
        change(
            "self_instruct_filter", ("            known.append(text)\n", ""), beside=("rouge_l",)
        ),
    ),
    # at the threshold it is taken
    (
        "self_instruct_filter",
        3,
        change("self_instruct_filter", ("< threshold", "<= threshold"), beside=("rouge_l",)),
    ),
    # only the one before
    (
        "self_instruct_filter",
        0,
        change("self_instruct_filter", ("in known", "in known[-1:]"), beside=("rouge_l",)),
    ),
    # refused ones block others
    (
        "self_instruct_filter",
        0,
        "def self_instruct_filter(texts, pool, threshold):\n"
        "    return [t for i, t in enumerate(texts)\n"
        "            if all(rouge_l(t, old) < threshold for old in [*pool, *texts[:i]])]\n\n\n"
        + SET.right("rouge_l"),
    ),
    # the first edge of each kind only
    (
        "two_hop_search",
        0,
        "def two_hop_search(graph, question):\n    start, *hops = question\n    here = start\n"
        "    for hop in hops:\n        here = dict(reversed(graph.get(here, []))).get(hop)\n"
        "        if here is None:\n            return []\n    return [here]\n",
    ),
    # any relation
    ("two_hop_search", 0, change("two_hop_search", ("if kind == hop", "if True"))),
    # the second relation first
    ("two_hop_search", 0, change("two_hop_search", ("in hops", "in reversed(hops)"))),
    # nobody is missing
    ("two_hop_search", 0, change("two_hop_search", ("graph.get(person, [])", "graph[person]"))),
    # repeats stay
    (
        "two_hop_search",
        0,
        "def two_hop_search(graph, question):\n    start, first, second = question\n"
        "    return sorted(c for k, b in graph.get(start, []) if k == first\n"
        "                  for m, c in graph.get(b, []) if m == second)\n",
    ),
    # every sentence is about the first person
    ("make_cot", 0, change("make_cot", ("        here = there\n", ""))),
    # no conclusion
    ("make_cot", 0, change("make_cot", ("*said, f'so {here} .'", "*said"))),
    # the answer alone
    (
        "make_cot",
        0,
        "def make_cot(question, graph):\n    here, *rest = question\n    for kind in rest:\n"
        "        here = graph.get(here, {}).get(kind)\n        if here is None:\n"
        "            return None\n    return f'so {here} .'\n",
    ),
    # the part of the chain that there is
    ("make_cot", 3, change("make_cot", ("return None", "break"))),
    # zeros and ones are mixed up
    ("quality_clf", 0, change("quality_clf", ("(p - y)", "(p - 1 + y)"))),
    # the weights are free
    ("quality_clf", 1, change("quality_clf", ("0.01 * np.append", "0.0 * np.append"))),
    # the bias is held back, too
    (
        "quality_clf",
        1,
        change("quality_clf", ("np.ones(X.shape[1]), 0.0", "np.ones(X.shape[1]), 1.0")),
    ),
    # a few steps only
    (
        "quality_clf",
        1,
        "import numpy as np\ndef quality_clf(X, y):\n    w, b = np.zeros(X.shape[1]), 0.0\n"
        "    for _ in range(20):\n        p = 0.5 * (1 + np.tanh((X @ w + b) / 2))\n"
        "        w, b = w - 0.2 * (X.T @ (p - y) / len(y) + 0.01 * w), b - 0.2 * (p - y).mean()\n"
        "    return w, float(b)\n",
    ),
]
