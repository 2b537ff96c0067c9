"""Answers to set 10 that are wrong in the ways people are: (question, points earned, code)."""

from pathlib import Path

from minilm.course.checking.planted import Solution

SET = Solution(Path(__file__).with_name("questions.py"))
change = SET.changed

WRONG = [
    # the next below
    ("steps_for", 1, change("steps_for", ("round(", "int("))),
    # no least
    ("steps_for", 1, "def steps_for(flops, step_flops):\n    return round(flops / step_flops)\n"),
    # upside down
    ("steps_for", 0, change("steps_for", ("flops / step_flops", "step_flops / flops"))),
    # divided by n
    ("t_interval", 0, change("t_interval", (", ddof=1", ""))),
    # the spread of the seeds, not of their mean
    ("t_interval", 0, change("t_interval", (" / np.sqrt(len(gains))", ""))),
    # two standard errors, whatever t says
    ("t_interval", 0, change("t_interval", ("t * np.std", "2 * np.std"))),
    # the gains are sorted in place
    (
        "t_interval",
        2,
        change("t_interval", ("mean = np.mean(gains)", "gains.sort(); mean = np.mean(gains)")),
    ),
    # the best rate, whatever the slack
    ("pick_rate", 0, change("pick_rate", ("taken = min(near)", "taken = best"))),
    # the largest that is near enough
    ("pick_rate", 0, change("pick_rate", ("taken = min(near)", "taken = max(near)"))),
    # one edge only
    ("pick_rate", 3, change("pick_rate", (" or best == max(losses)", ""))),
    # the upper edge is asked of the rate that was taken
    ("pick_rate", 3, change("pick_rate", ("best == max", "taken == max"))),
    # entries as they come
    ("promise_hash", 0, change("promise_hash", ("sort_keys=True, ", ""))),
    # spaces
    ("promise_hash", 0, change("promise_hash", ("separators=(',', ':'), ", ""))),
    # letters as numbers
    ("promise_hash", 0, change("promise_hash", (", ensure_ascii=False", ""))),
    # Python's own hash
    ("promise_hash", 0, "def promise_hash(fields):\n    return str(hash(str(fields)))\n"),
    # a line without logarithms
    (
        "foretell",
        0,
        "import numpy as np\ndef foretell(flops, losses, at):\n"
        "    b, a = np.polyfit(flops, losses, 1)\n    return a + b * at\n",
    ),
    # losses without logarithms
    (
        "foretell",
        0,
        change(
            "foretell",
            ("np.log(losses)", "losses"),
            ("np.exp(a + b * np.log(at))", "a + b * np.log(at)"),
        ),
    ),
    # first and last point only
    (
        "foretell",
        3,
        "import numpy as np\ndef foretell(flops, losses, at):\n"
        "    x, y = np.log(flops), np.log(losses)\n    i, j = x.argmin(), x.argmax()\n"
        "    b = (y[j] - y[i]) / (x[j] - x[i])\n    return np.exp(y[i] + b * (np.log(at) - x[i]))\n",
    ),
    # the logarithm is given back
    ("foretell", 0, change("foretell", ("np.exp(a + b * np.log(at))", "a + b * np.log(at)"))),
    # the mean alone
    ("verdict", 4, change("verdict", ("if low <= 0", "if mean <= 0"))),
    # one seed may win
    (
        "verdict",
        5,
        change(
            "verdict",
            (
                "if n < 2:\n        return 'not reproduced'",
                "if n < 2:\n        return 'reproduced'",
            ),
        ),
    ),
    # the low end against what was promised
    ("verdict", 1, change("verdict", ("mean >= least", "low >= least"))),
    # three words become two
    (
        "verdict",
        3,
        change("verdict", ("if mean >= least else 'partly'", "if low > 0 else 'partly'")),
    ),
    # every seed counts, also twice
    (
        "mark",
        5,
        change("mark", ("set()).add(run['seed'])", "[]).append(run['seed'])")),
    ),
    # all sizes in one pot
    (
        "mark",
        5,
        change("mark", ("flops.setdefault(run['size'], [])", "flops.setdefault(0, [])")),
    ),
    # a promise at 0 is taken for none
    (
        "mark",
        5,
        change("mark", ("study['promised'] is not None and", "bool(study['promised']) and")),
    ),
    # the forecast must come before any run
    ("mark", 0, change("mark", ("study['foretold'] <= held", "study['foretold'] <= first"))),
    # any number of rates for the rivals
    ("mark", 6, change("mark", (" and all((count <= 2 * tried for count in rates.values()))", ""))),
    # the state begins again at each step
    (
        "scan",
        0,
        change(
            "scan", ("state = a[t] * state + b[t]", "state = a[t] * b[t - 1] + b[t] if t else b[t]")
        ),
    ),
    # cumulative products divided
    (
        "scan",
        4,
        "import numpy as np\ndef scan(a, b):\n    p = a.copy()\n    p[0] = 1\n"
        "    p = np.cumprod(p, 0)\n    return (p * np.cumsum(b / p, 0)).astype(b.dtype)\n",
    ),
    # a of the time before
    ("scan", 0, change("scan", ("a[t] * state", "a[t - 1] * state"))),
    # float64 whatever comes
    ("scan", 4, change("scan", ("np.empty_like(b)", "np.empty(b.shape)"))),
    # the whole text, later words too
    (
        "linear_attention",
        0,
        "import numpy as np\ndef linear_attention(q, k, v):\n"
        "    S, z = k.T @ v, k.sum(0)\n    return (q @ S) / (q @ z)[:, None]\n",
    ),
    # not divided
    ("linear_attention", 0, change("linear_attention", (" / (q[t] @ z)", ""))),
    # divided by the last key alone
    (
        "linear_attention",
        0,
        change("linear_attention", ("z = z + k[t]", "z = k[t]")),
    ),
    # a table of all pairs
    (
        "linear_attention",
        4,
        "import numpy as np\ndef linear_attention(q, k, v):\n    w = np.tril(q @ k.T)\n"
        "    return w @ v / w.sum(1, keepdims=True)\n",
    ),
]
