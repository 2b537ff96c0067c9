"""Answers to set 08 that are right and have another shape than the solution's: (question, code)."""

START = "import math\nimport itertools\nimport numpy as np\n"

RIGHT = [
    # minus first
    (
        "partition_from_root",
        """
def partition_from_root(log_R0, log_stop0):
    return -(log_stop0 - log_R0)
""",
    ),
    # the product of two differences
    (
        "tb_loss",
        """
def tb_loss(log_Z, log_q, log_stop, log_R):
    apart = log_R - log_stop - log_Z
    for one in log_q:
        apart -= one
    return apart * apart
""",
    ),
    # every text asks who begins with it
    (
        "flow_from_rewards",
        """
def flow_from_rewards(rewards):
    return {s: sum(r for t, r in rewards.items() if t[:len(s)] == s) for s in rewards}
""",
    ),
    # recursion
    (
        "flow_from_rewards",
        """
def flow_from_rewards(rewards):
    flow = {}

    def below(s):
        longer = [t for t in rewards if len(t) == len(s) + 1 and t.startswith(s)]
        flow[s] = rewards[s] + sum(map(below, longer))
        return flow[s]

    below("")
    return flow
""",
    ),
    # cumulative sums
    (
        "subtb_loss",
        """
def subtb_loss(log_R, log_q, log_stop, decay):
    d = log_q + log_stop[1:] - log_stop[:-1] + log_R[:-1] - log_R[1:]
    c = np.concatenate([[0.0], np.cumsum(d)])
    apart = c[None, :] - c[:, None]
    i, j = np.triu_indices(len(c), 1)
    weight = decay ** (j - i - 1.0)
    return (weight * apart[i, j] ** 2).sum() / weight.sum()
""",
    ),
    # log-sum-exp
    (
        "reinforce_soft",
        """
def reinforce_soft(log_R, alpha):
    if alpha > 0:
        z = log_R / alpha
        return np.exp(z - np.logaddexp.reduce(z))
    best = np.flatnonzero(log_R >= log_R.max())
    q = np.zeros(len(log_R))
    q[best] = 1 / len(best)
    return q
""",
    ),
    # texts grow letter by letter
    (
        "enum_posterior",
        """
def enum_posterior(log_p, left, right, longest):
    paths, weights = {(): 0.0}, {}
    for n in range(longest + 1):
        for z, log in paths.items():
            last = z[-1] if z else left
            weights[z] = log + log_p[last, right]
        paths = {
            z + (c,): log + log_p[z[-1] if z else left, c]
            for z, log in paths.items()
            for c in range(len(log_p))
        }
    total = np.logaddexp.reduce(list(weights.values()))
    return {z: math.exp(w - total) for z, w in weights.items()}
""",
    ),
    # the near ones are taken out first
    (
        "replay_add",
        """
def replay_add(buffer, text, reward, apart):
    new = dict(buffer)
    if text in new:
        return new
    for other, held in buffer.items():
        if len(other) != len(text):
            continue
        differ = len(text) - sum(a == b for a, b in zip(text, other))
        if differ < 2 * apart * len(text):
            if held >= reward:
                return dict(buffer)
            del new[other]
    new[text] = reward
    return new
""",
    ),
    # two softmaxes of a helper, and searchsorted
    (
        "behaviour_sample",
        """
def behaviour_sample(logits, u, temperature, eps, shortest):
    def softmax(row):
        e = np.exp(row - row.max())
        return e / e.sum()

    V, text, log_q = logits.shape[1] - 1, [], 0.0
    for t in range(logits.shape[0]):
        width = V if t < shortest else V + 1
        p = softmax(logits[t, :width] / temperature) * (1 - eps) + eps / width
        k = int(np.searchsorted(p.cumsum(), u[t], side="right"))
        log_q = log_q + float(np.log(softmax(logits[t])[k]))
        if k == V:
            return text, log_q
        text = text + [k]
    return text, log_q
""",
    ),
]

RIGHT = [(question, START + code) for question, code in RIGHT]
