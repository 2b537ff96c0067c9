"""Answers to set 05b that are wrong in the ways people are: (question, points earned, code)."""

from pathlib import Path

from minilm.course.checking.planted import Solution

SET = Solution(Path(__file__).with_name("questions.py"))
change = SET.changed

WRONG = [
    # keys only
    ("kv_bytes", 0, change("kv_bytes", ("2 * ", ""))),
    # always 16 bits
    ("kv_bytes", 0, change("kv_bytes", ("* number", "* 2"))),
    # a layer's
    ("kv_bytes", 0, change("kv_bytes", ("layers * ", ""))),
    # one term short
    ("tokens_per_round", 0, change("tokens_per_round", ("range(k + 1)", "range(k)"))),
    # the closed form alone divides by 0
    (
        "tokens_per_round",
        2,
        "def tokens_per_round(a, k):\n    return (1 - a ** (k + 1)) / (1 - a)\n",
    ),
    # guesses kept, without the model's own token
    (
        "tokens_per_round",
        0,
        "def tokens_per_round(a, k):\n    return float(sum(a**i for i in range(1, k + 1)))\n",
    ),
    # a k: as if nothing ended the round
    ("tokens_per_round", 1, "def tokens_per_round(a, k):\n    return float(1 + a * k)\n"),
    # pages in the order of memory
    ("through_table", 0, change("through_table", ("pages[table]", "pages[sorted(table)]"))),
    # the whole last page comes along
    ("through_table", 0, change("through_table", ("[:length]", ""))),
    # the table is not used
    ("through_table", 0, change("through_table", ("pages[table]", "pages"))),
    # cut off instead of rounded
    ("to_levels", 0, change("to_levels", ("np.rint(", "("))),
    # 256 steps
    ("to_levels", 0, change("to_levels", ("/ 255", "/ 256"))),
    # one scale for all rows
    (
        "to_levels",
        0,
        change(
            "to_levels",
            ("x.min(axis=-1, keepdims=True)", "np.full((*x.shape[:-1], 1), x.min(), x.dtype)"),
        ),
    ),
    # levels on both sides of 0, as for weights
    (
        "to_levels",
        0,
        change("to_levels", ("x.min(axis=-1, keepdims=True)", "-abs(x).max(-1, keepdims=True)")),
    ),
    # only whole runs count
    (
        "longest_known",
        3,
        change(
            "longest_known",
            (
                "for token in run:",
                "if tuple(ids[known:known + len(run)]) != run:\n            return known\n"
                "        for token in run:",
            ),
        ),
    ),
    # only the first run
    ("longest_known", 0, change("longest_known", ("while known", "if known"))),
    # the end of the text inside a run breaks
    ("longest_known", 3, change("longest_known", ("known == len(ids) or ", ""))),
    # in order of arrival, whoever they are
    ("plan", 0, change("plan", ("unread[i] > 1", "0"))),
    # prompts first
    ("plan", 0, change("plan", ("unread[i] > 1", "unread[i] == 1"))),
    # nobody's room becomes smaller
    ("plan", 0, change("plan", ("room -= counts[i]", "pass"))),
    # shortest first
    ("plan", 1, change("plan", ("unread[i] > 1", "unread[i]"))),
    # the list itself is changed
    (
        "plan",
        3,
        change(
            "plan",
            ("room -= counts[i]", "room -= counts[i]\n        unread[i] -= counts[i]"),
        ),
    ),
    # after a refusal, drawn from p
    ("accept", 2, change("accept", ("np.maximum(p[i] - q[i], 0)", "p[i]"))),
    # kept where the model likes it more than half
    ("accept", 1, change("accept", ("u[i] * q[i, x] < p[i, x]", "p[i, x] > 0.5"))),
    # the last token is missing
    ("accept", 0, change("accept", ("[*guessed, draw(p[-1])]", "guessed"))),
    # goes on after a refusal
    (
        "accept",
        1,
        change(
            "accept",
            (
                "return [*guessed[:i], draw(np.maximum(p[i] - q[i], 0))]",
                "guessed = [*guessed[:i], draw(np.maximum(p[i] - q[i], 0)), *guessed[i + 1:]]",
            ),
        ),
    ),
    # a guess is kept with probability p
    ("accept", 1, change("accept", ("u[i] * q[i, x] < p[i, x]", "u[i] < p[i, x]"))),
    # writes into a shared page
    ("place_for", 2, change("place_for", ("holders[old] == 1", "True"))),
    # the old page keeps its count
    ("place_for", 3, change("place_for", ("holders[old] -= 1", "pass"))),
    # the first free page
    ("place_for", 1, change("place_for", ("free.pop()", "free.pop(0)"))),
    # always a new page
    ("place_for", 1, change("place_for", ("place % size == 0", "True"))),
    # nobody holds the copy
    (
        "place_for",
        3,
        change("place_for", ("holders[page] = 1\n    table[i] = page", "table[i] = page")),
    ),
]
