"""Answers to set 04 that are wrong in the ways people are: (question, points earned, code)."""

START = "import numpy as np\n"


def one_line(signature: str, value: str) -> str:
    return f"{START}def {signature}:\n    return {value}\n"


PAIR = "bt_loss(better, worse)"
BEST = "optimal_policy(ref, reward, beta)"
SMALL = "ppo_loss(logp, old, advantage, eps)"
ADAPT = "lora(x, W, A, B, alpha)"
SFT = """
def sft_loss(logits, ids, prompt):
    said, rows = ids[prompt:], logits[prompt - 1 : -1]
    rows = rows - rows.max(-1, keepdims=True)
    logp = rows - np.log(np.exp(rows).sum(-1, keepdims=True))
    return -logp[np.arange(len(said)), said].mean()
"""
WINS = """
def best_of_n(ref, reward, n):
    order = np.argsort(reward)
    upto = np.cumsum(ref[order]) ** n
    found = np.zeros(len(ref))
    found[order] = np.diff(upto, prepend=0)
    return found
"""
DPO = """
def dpo_loss(better, worse, ref_better, ref_worse, beta, eps=0.0, ipo=False):
    gap = (better - ref_better) - (worse - ref_worse)
    if ipo:
        return ((gap - 1 / (2 * beta)) ** 2).mean()
    z = beta * gap
    return ((1 - eps) * np.logaddexp(0, -z) + eps * np.logaddexp(0, z)).mean()
"""
GAE = """
def gae(r, v, gamma, lam, done):
    found, after = np.zeros(len(r)), 0.0
    for t in reversed(range(len(r))):
        going = 0.0 if done[t] else 1.0
        delta = r[t] + gamma * going * v[t + 1] - v[t]
        after = delta + gamma * lam * going * after
        found[t] = after
    return found
"""
NF4 = """
def nf4(w, levels, block=64):
    rows = w.reshape(-1, block)
    largest = np.abs(rows).max(1)
    scaled = rows / np.where(largest > 0, largest, 1)[:, None]
    places = np.abs(scaled[..., None] - levels).argmin(-1)
    return places.reshape(-1), largest
"""
BOARD = """
def fit_bt(wins):
    games = wins + wins.T
    won = wins.sum(1)
    s = np.ones(len(wins))
    for _ in range(1000):
        s = won / (games / (s[:, None] + s)).sum(1)
        s = s / np.exp(np.log(s).mean())
    return np.log(s)
"""

WRONG = [
    # the sigmoid, and it overflows
    ("bt_loss", 2, one_line(PAIR, "-np.log(1 / (1 + np.exp(worse - better))).mean()")),
    # the wrong way round
    ("bt_loss", 0, one_line(PAIR, "np.logaddexp(0, better - worse).mean()")),
    # the sum
    ("bt_loss", 1, one_line(PAIR, "np.logaddexp(0, worse - better).sum()")),
    # a hinge
    ("bt_loss", 1, one_line(PAIR, "np.maximum(worse - better, 0).mean()")),
    # a constant from the page
    ("bt_loss", 0, one_line(PAIR, "0.313")),
    # row t for token t
    ("sft_loss", 0, START + SFT.replace("logits[prompt - 1 : -1]", "logits[prompt:]")),
    # everything
    (
        "sft_loss",
        0,
        START
        + SFT.replace("def sft", "def whole").replace("whole_loss", "whole")
        + "\ndef sft_loss(logits, ids, prompt):\n    return whole(logits, ids, 1)\n",
    ),  # fmt: skip
    # no care for large logits
    ("sft_loss", 4, START + SFT.replace("    rows = rows - rows.max(-1, keepdims=True)\n", "")),
    # the sum
    ("sft_loss", 1, START + SFT.replace(".mean()", ".sum()")),
    # Z forgotten
    ("optimal_policy", 0, one_line(BEST, "ref * np.exp(reward / beta), beta")),
    # the reward times beta
    (
        "optimal_policy",
        0,
        one_line(
            BEST,
            "ref * np.exp(reward * beta) / (ref * np.exp(reward * beta))"
            ".sum(), beta * np.log((ref * np.exp(reward * beta)).sum())",
        ),
    ),  # fmt: skip
    # the value without its beta
    (
        "optimal_policy",
        3,
        START
        + """
def optimal_policy(ref, reward, beta):
    z = np.log(ref) + reward / beta
    log_z = np.logaddexp.reduce(z)
    return np.exp(z - log_z), log_z
""",
    ),  # fmt: skip
    # it overflows
    (
        "optimal_policy",
        4,
        START
        + """
def optimal_policy(ref, reward, beta):
    weight = ref * np.exp(reward / beta)
    return weight / weight.sum(), beta * np.log(weight.sum())
""",
    ),  # fmt: skip
    # left in the sorted order
    (
        "best_of_n",
        0,
        START
        + WINS.replace(
            "found[order] = np.diff(upto, prepend=0)", "found = np.diff(upto, prepend=0)"
        ),
    ),  # fmt: skip
    # powers of the probabilities themselves
    (
        "best_of_n",
        0,
        START + "def best_of_n(ref, reward, n):\n    return ref**n / (ref**n).sum() + 0 * reward\n",
    ),  # fmt: skip
    # the worst of n
    ("best_of_n", 0, START + WINS.replace("np.argsort(reward)", "np.argsort(-reward)")),
    # the reference is forgotten
    (
        "dpo_loss",
        1,
        START + DPO.replace("(better - ref_better) - (worse - ref_worse)", "better - worse"),
    ),  # fmt: skip
    # IPO's target of beta / 2
    ("dpo_loss", 5, START + DPO.replace("1 / (2 * beta)", "beta / 2")),
    # eps left out
    (
        "dpo_loss",
        5,
        START
        + DPO.replace(
            "(1 - eps) * np.logaddexp(0, -z) + eps * np.logaddexp(0, z)", "np.logaddexp(0, -z)"
        ),
    ),  # fmt: skip
    # it overflows
    ("dpo_loss", 5, START + DPO.replace("np.logaddexp(0, -z)", "-np.log(1 / (1 + np.exp(-z)))")),
    # ends are not seen
    ("gae", 3, START + GAE.replace("0.0 if done[t] else 1.0", "1.0")),
    # only the guess is cut
    ("gae", 3, START + GAE.replace("gamma * lam * going * after", "gamma * lam * after")),
    # gamma is missing in the sum
    ("gae", 0, START + GAE.replace("gamma * lam * going", "lam * going")),
    # surprises only
    ("gae", 0, START + GAE.replace("after = delta + gamma * lam * going * after", "after = delta")),
    # clipped always
    (
        "ppo_loss",
        0,
        one_line(SMALL, "-(np.clip(np.exp(logp - old), 1 - eps, 1 + eps) * advantage).mean()"),
    ),  # fmt: skip
    # never clipped
    ("ppo_loss", 0, one_line(SMALL, "-(np.exp(logp - old) * advantage).mean()")),
    # the larger of the two
    (
        "ppo_loss",
        0,
        one_line(
            SMALL,
            "-np.maximum(np.exp(logp - old) * advantage, np.clip(np.exp(logp "
            "- old), 1 - eps, 1 + eps) * advantage).mean()",
        ),
    ),  # fmt: skip
    # the sign
    (
        "ppo_loss",
        0,
        one_line(
            SMALL,
            "np.minimum(np.exp(logp - old) * advantage, np.clip(np.exp(logp "
            "- old), 1 - eps, 1 + eps) * advantage).mean()",
        ),
    ),  # fmt: skip
    # alpha, not alpha over r
    ("lora", 1, one_line(ADAPT, "x @ W.T + alpha * ((x @ A.T) @ B.T)")),
    # merged first, times something
    ("lora", 1, one_line(ADAPT, "x @ W.T + alpha / A.shape[1] * ((x @ A.T) @ B.T)")),
    # the correction alone
    ("lora", 0, one_line(ADAPT, "alpha / len(A) * ((x @ A.T) @ B.T)")),
    # the next lower level
    (
        "nf4",
        1,
        START
        + NF4.replace(
            "np.abs(scaled[..., None] - levels).argmin(-1)",
            "np.searchsorted(levels, scaled, side='right') - 1",
        ),
    ),  # fmt: skip
    # one scale for all
    (
        "nf4",
        0,
        START + NF4.replace("np.abs(rows).max(1)", "np.full(len(rows), np.abs(rows).max())"),
    ),  # fmt: skip
    # the largest, not the largest in size
    ("nf4", 0, START + NF4.replace("np.abs(rows).max(1)", "rows.max(1)")),
    # zeros divided by zero
    (
        "nf4",
        4,
        START + NF4.replace("np.where(largest > 0, largest, 1)[:, None]", "largest[:, None]"),
    ),  # fmt: skip
    # the share of games won
    (
        "fit_bt",
        1,
        START + "def fit_bt(wins):\n    won = wins.sum(1) / (wins + wins.T).sum(1)\n"
        "    return np.log(won) - np.log(won).mean()\n",
    ),  # fmt: skip
    # the first player's rating is 0
    ("fit_bt", 4, START + BOARD.replace("np.exp(np.log(s).mean())", "s[0]")),
    # one round
    ("fit_bt", 1, START + BOARD.replace("range(1000)", "range(1)")),
    # Elo's points
    ("fit_bt", 0, START + BOARD.replace("return np.log(s)", "return 400 * np.log10(s)")),
]
