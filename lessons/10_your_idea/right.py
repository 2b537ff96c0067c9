"""Answers to set 10 that are right and have another shape than the solution's: (question, code)."""

START = "import hashlib\nimport json\nimport math\nimport numpy as np\n"

RIGHT = [
    # floor of a half more
    (
        "steps_for",
        """
def steps_for(flops, step_flops):
    steps = int(flops / step_flops + 0.5)
    return steps if steps > 0 else 1
""",
    ),
    # variance by hand
    (
        "t_interval",
        """
def t_interval(gains, t):
    n = len(gains)
    mean = sum(gains) / n
    variance = sum((g - mean) ** 2 for g in gains) / (n - 1)
    reach = t * (variance / n) ** 0.5
    return [mean - reach, mean, mean + reach]
""",
    ),
    # through the sorted rates
    (
        "pick_rate",
        """
def pick_rate(losses, slack):
    rates = sorted(losses)
    values = [losses[r] for r in rates]
    best = values.index(min(values))
    for place, value in enumerate(values):
        if value <= values[best] * (1 + slack):
            return rates[place], place == 0 or best == len(rates) - 1
""",
    ),
    # a dictionary that was sorted first
    (
        "promise_hash",
        """
def promise_hash(fields):
    ordered = {name: fields[name] for name in sorted(fields)}
    text = json.dumps(ordered, separators=(",", ":"), ensure_ascii=False)
    digest = hashlib.new("sha256")
    digest.update(bytes(text, "utf-8"))
    return digest.hexdigest()
""",
    ),
    # the normal equations
    (
        "foretell",
        """
def foretell(flops, losses, at):
    x, y = np.log(flops), np.log(losses)
    b = ((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()
    return losses.prod() ** (1 / len(losses)) * (at / np.exp(x.mean())) ** b
""",
    ),
    # the other way round
    (
        "verdict",
        """
def verdict(gains, t, least):
    gains = list(gains)
    if len(gains) > 1:
        mean = sum(gains) / len(gains)
        s = (sum((g - mean) ** 2 for g in gains) / (len(gains) - 1)) ** 0.5
        if mean > t * s / len(gains) ** 0.5:
            return "partly" if mean < least else "reproduced"
    return "not reproduced"
""",
    ),
    # loops over what there is
    (
        "mark",
        """
def mark(study):
    runs = study["runs"]
    models = {r["model"] for r in runs}
    sizes = {r["size"] for r in runs}
    seeds = compute = True
    for size in sizes:
        at = [r for r in runs if r["size"] == size]
        spent = [r["flops"] for r in at]
        compute = compute and max(spent) / min(spent) <= 1.02
        for model in models:
            own = {r["seed"] for r in at if r["model"] == model}
            seeds = seeds and (not own or len(own) > 2)
    tried = study["rates"].get(study["baseline"], 0)
    baseline = tried > 2 and max(study["rates"].values()) <= 2 * tried

    def before(time, some):
        return time is not None and all(time <= r["began"] for r in some)

    return dict(
        promise=before(study["promised"], runs),
        seeds=seeds,
        compute=bool(compute),
        baseline=baseline,
        forecast=before(study["foretold"], [r for r in runs if r["size"] == study["held"]]),
    )
""",
    ),
    # doubling: each round joins stretches that are twice as long
    (
        "scan",
        """
def scan(a, b):
    a, h = a.copy(), b.copy()
    step = 1
    while step < len(b):
        h[step:] = a[step:] * h[:-step] + h[step:]
        a[step:] = a[step:] * a[:-step]
        step *= 2
    return h
""",
    ),
    # cumulative sums
    (
        "linear_attention",
        """
def linear_attention(q, k, v):
    S = np.cumsum(k[:, :, None] * v[:, None, :], axis=0)
    z = np.cumsum(k, axis=0)
    return (q[:, :, None] * S).sum(1) / (q * z).sum(1)[:, None]
""",
    ),
]

RIGHT = [(question, START + code) for question, code in RIGHT]
