"""Answers to set 04 that are right and have another shape than the solution's: (question, code)."""

START = "import math\nimport numpy as np\n"

RIGHT = [
    # pair by pair
    (
        "bt_loss",
        """
def bt_loss(better, worse):
    total = 0.0
    for a, b in zip(better, worse):
        z = b - a
        total += max(z, 0.0) + math.log1p(math.exp(-abs(z)))
    return total / len(better)
""",
    ),
    # every token's loss, then those of the answer
    (
        "sft_loss",
        """
def sft_loss(logits, ids, prompt):
    each = []
    for t in range(1, len(ids)):
        each.append(np.logaddexp.reduce(logits[t - 1]) - logits[t - 1][ids[t]])
    return sum(each[prompt - 1 :]) / (len(ids) - prompt)
""",
    ),
    # weights, with the largest exponent taken out
    (
        "optimal_policy",
        """
def optimal_policy(ref, reward, beta):
    top = max(reward) / beta
    weight = ref * np.exp(reward / beta - top)
    total = weight.sum()
    return [weight / total, beta * (math.log(total) + top)]
""",
    ),
    # answer by answer, no sorting
    (
        "best_of_n",
        """
def best_of_n(ref, reward, n):
    upto = np.array([ref[reward <= one].sum() for one in reward])
    return upto**n - np.maximum(upto - ref, 0) ** n
""",
    ),
    # by the log of a sigmoid
    (
        "dpo_loss",
        """
def log_sigmoid(z):
    return np.minimum(z, 0) - np.log1p(np.exp(-np.abs(z)))

def dpo_loss(better, worse, ref_better, ref_worse, beta, eps=0.0, ipo=False):
    gap = better - worse - (ref_better - ref_worse)
    if ipo:
        return float(np.square(gap - 0.5 / beta).mean())
    return -float(np.mean((1 - eps) * log_sigmoid(beta * gap) + eps * log_sigmoid(-beta * gap)))
""",
    ),
    # forwards: every surprise is given to the tokens before it
    (
        "gae",
        """
def gae(r, v, gamma, lam, done):
    going = 1.0 - np.asarray(done, float)
    delta = r + gamma * v[1:] * going - v[:-1]
    found = np.zeros(len(r))
    for k in range(len(r)):
        weight = 1.0
        for t in range(k, -1, -1):
            if t < k:
                weight *= gamma * lam * going[t]
            found[t] += weight * delta[k]
    return found
""",
    ),
    # by cases
    (
        "ppo_loss",
        """
def ppo_loss(logp, old, advantage, eps):
    ratio = np.exp(logp) / np.exp(old)
    held = np.where(advantage > 0, np.minimum(ratio, 1 + eps), np.maximum(ratio, 1 - eps))
    return float(-(held * advantage).sum() / len(held))
""",
    ),
    # row by row
    (
        "lora",
        """
def lora(x, W, A, B, alpha):
    r = A.shape[0]
    return x @ W.T + np.array([B @ (A @ row) for row in x]) * (alpha / r)
""",
    ),
    # between neighbouring levels, by bisection
    (
        "nf4",
        """
def nf4(w, levels, block=64):
    places, largest = [], []
    middle = (levels[1:] + levels[:-1]) / 2
    for part in np.split(w, len(w) // block):
        top = np.abs(part).max()
        largest.append(top)
        places.append(np.searchsorted(middle, part / top if top > 0 else part))
    return np.concatenate(places), np.array(largest)
""",
    ),
    # gradient steps on the likelihood, by Newton
    (
        "fit_bt",
        """
def fit_bt(wins):
    K = len(wins)
    games = wins + wins.T
    rating = np.zeros(K)
    for _ in range(100):
        p = 1 / (1 + np.exp(rating[None] - rating[:, None]))
        slope = wins.sum(1) - (games * p).sum(1)
        curve = np.diag((games * p * (1 - p)).sum(1)) - games * p * (1 - p)
        rating = rating + np.linalg.solve(curve + np.ones((K, K)) / K, slope)
    return rating - rating.mean()
""",
    ),
]
RIGHT = [(question, START + code) for question, code in RIGHT]
