"""Answers to set 08 that are wrong in the ways people are: (question, points earned, code)."""

from pathlib import Path

from minilm.course.checking.planted import Solution

SET = Solution(Path(__file__).with_name("questions.py"))
change = SET.changed

WRONG = [
    # a product of logarithms
    ("partition_from_root", 0, "def partition_from_root(r, s):\n    return r / s\n"),
    # the sum: R times q
    ("partition_from_root", 0, "def partition_from_root(r, s):\n    return r + s\n"),
    # Z and not its logarithm
    (
        "partition_from_root",
        0,
        "import numpy as np\ndef partition_from_root(r, s):\n    return np.exp(r - s)\n",
    ),
    # the stop is forgotten
    ("tb_loss", 0, change("tb_loss", (" + log_stop", ""))),
    # not squared
    ("tb_loss", 0, change("tb_loss", (" ** 2", ""))),
    # the mean of the letters
    ("tb_loss", 0, change("tb_loss", ("np.sum(log_q)", "np.mean(log_q)"))),
    # the last letter instead of all; the empty text breaks
    ("tb_loss", 0, change("tb_loss", ("np.sum(log_q)", "log_q[-1]"))),
    # the order of the dictionary
    (
        "flow_from_rewards",
        0,
        change("flow_from_rewards", ("sorted(rewards, key=len, reverse=True)", "list(rewards)")),
    ),
    # from the shortest to the longest: only children count
    ("flow_from_rewards", 0, change("flow_from_rewards", (", reverse=True", ""))),
    # the argument itself is changed
    ("flow_from_rewards", 3, change("flow_from_rewards", ("dict(rewards)", "rewards"))),
    # the children's flow without the text's own reward
    (
        "flow_from_rewards",
        0,
        change(
            "flow_from_rewards",
            ("dict(rewards)", "{t: r if len(t) > 1 else 0 for t, r in rewards.items()}"),
        ),
    ),  # fmt: skip
    # neighbours only
    ("subtb_loss", 0, change("subtb_loss", ("len(log_q) + 1):", "i + 2):"))),
    # not divided by the weights
    ("subtb_loss", 0, change("subtb_loss", ("total / weights", "total"))),
    # the sign of the stops
    (
        "subtb_loss",
        0,
        change(
            "subtb_loss", ("- log_stop[i]", "+ log_stop[i]"), ("+ log_stop[j]", "- log_stop[j]")
        ),
    ),
    # the decay is one step ahead
    (
        "subtb_loss",
        0,
        change("subtb_loss", ("j - i - 1", "j - i + 1"), ("total / weights", "total")),
    ),
    # log_R is changed in place
    (
        "subtb_loss",
        4,
        change(
            "subtb_loss",
            (
                "total = weights = 0.0",
                "log_R -= log_stop; log_stop = 0 * log_R; total = weights = 0.0",
            ),
        ),
    ),  # fmt: skip
    # alpha on the wrong side
    ("reinforce_soft", 1, change("reinforce_soft", (") / alpha)", ") * alpha)"))),
    # overflow
    (
        "reinforce_soft",
        4,
        change("reinforce_soft", ("(log_R - log_R.max()) / alpha", "log_R / alpha")),
    ),
    # the first of the best takes all
    (
        "reinforce_soft",
        4,
        change(
            "reinforce_soft",
            ("best = log_R == log_R.max()", "best = np.arange(len(log_R)) == log_R.argmax()"),
        ),
    ),  # fmt: skip
    # the right side is forgotten
    ("enum_posterior", 0, change("enum_posterior", ("(left, *z, right)", "(left, *z)"))),
    # the empty filling is forgotten
    (
        "enum_posterior",
        0,
        change("enum_posterior", ("range(longest + 1)", "range(1, longest + 1)")),
    ),
    # not normalised
    ("enum_posterior", 0, change("enum_posterior", ("weight / total", "weight"))),
    # the table is read the wrong way round
    ("enum_posterior", 0, change("enum_posterior", ("log_p[a, b]", "log_p[b, a]"))),
    # better than one neighbour is enough
    ("replay_add", 1, change("replay_add", ("if any(", "if near and all("))),
    # a text that is there gets its new reward
    (
        "replay_add",
        2,
        change(
            "replay_add",
            (
                "if text in buffer:\n        return dict(buffer)",
                "if text in buffer:\n        return dict(buffer) | {text: reward}",
            ),
        ),
    ),  # fmt: skip
    # near at the edge, too
    ("replay_add", 2, change("replay_add", ("< apart", "<= apart"))),
    # the neighbours stay
    ("replay_add", 1, change("replay_add", (" if t not in near", ""))),
    # the buffer itself is changed
    (
        "replay_add",
        4,
        change(
            "replay_add",
            (
                "return {t: r for t, r in buffer.items() if t not in near} | {text: reward}",
                "for t in near:\n        del buffer[t]\n    buffer[text] = "
                "reward\n    return buffer",
            ),
        ),
    ),  # fmt: skip
    # log q of what it was drawn from
    (
        "behaviour_sample",
        3,
        change(
            "behaviour_sample", ("plain = logits[t] - logits[t].max()\n", "plain = np.log(p)\n")
        ),
    ),
    # the stop is not counted
    (
        "behaviour_sample",
        0,
        change(
            "behaviour_sample",
            (
                "log_q += plain[token] - np.log(np.exp(plain).sum())",
                "log_q += 0 if token == stop else plain[token] - np.log(np.exp(plain).sum())",
            ),
        ),
    ),  # fmt: skip
    # the stop is allowed from the start
    ("behaviour_sample", 5, change("behaviour_sample", ("t >= shortest", "True"))),
    # the temperature multiplies
    (
        "behaviour_sample",
        3,
        change("behaviour_sample", ("logits[t] / temperature", "logits[t] * temperature")),
    ),
    # even over everything, allowed or not
    (
        "behaviour_sample",
        5,
        change("behaviour_sample", ("eps * may / may.sum()", "eps / (stop + 1)")),
    ),
]
