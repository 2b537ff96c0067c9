# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "GFlowNets: flows, balances, posteriors"
# ---

# %% [markdown]
# # Flows, balances, posteriors
#
# Each question asks for one function. Write it, run its cell, then run `check("...")`: it answers
# at once. When a check passes, the cell below it puts **your function to work**.
#
# The first takes two minutes. The stars say how hard a question is, from ★ to ★★★, and the hints
# below it are folded away: open the next one only when you are stuck.
#
# Arrays are NumPy's. Leave your arguments as they are. Everything asked for here stands in
# [the lesson](../lessons/08_gflownets.ipynb). All logarithms are natural ones.

# %%
import numpy as np

from minilm.course import bars, check, lines, payoff

# %% [markdown]
# ## 1. Z from one number (★, 2 minutes)
#
# `partition_from_root(log_R0, log_stop0)`: log Z, the logarithm of the sum of all rewards, as the root
# tells it. `log_R0` is the log-reward of the empty text, `log_stop0` the log-probability that the
# sampler stops at once. Both are numbers or arrays of one shape. About 1 line.
#
# *By hand.* R(empty) = 1, and the sampler stops at once in 1 of 16 cases: Z = 1 / (1/16) = 16. In
# logarithms: 0 − (−2.77) = 2.77.
#
# <details><summary>Hint 1</summary>The flow through a text is R / q(stop).</details>
# <details><summary>Hint 2</summary>The flow through the empty text is Z.</details>
# <details><summary>Hint 3</summary>A quotient is a difference of logarithms.</details>


# %%
def partition_from_root(log_R0, log_stop0):
    """log Z."""
    ### BEGIN SOLUTION
    return log_R0 - log_stop0
    ### END SOLUTION


# %%
check("partition_from_root")


# %% tags=["payoff"]
@payoff("partition_from_root")
def a_gap_without_a_list():
    """Your log Z for a sampler that has been trained for a few seconds, beside the truth."""
    from minilm.course import lesson_folder

    strings = lesson_folder("08").study("strings")
    policy, world, _ = strings.train_one("SubTB", 0, 1e-2, 300)
    empty = strings.TEXTS.ids[:1], strings.TEXTS.lengths[:1]
    log_R0 = world.gap.log_reward(None, *empty)[0]
    yours = partition_from_root(log_R0, policy.table([strings.START], strings.TEXTS)[0])
    print(f"yours after 300 steps {yours:.3f}, the sum over 1,555 strings {world.log_z:.3f}")


# %% [markdown]
# ## 2. Trajectory balance (★, 5 minutes)
#
# `tb_loss(log_Z, log_q, log_stop, log_R)`: for one text, (log Z + log q(text) − log R)², where log q of
# the text is the sum of `log_q`, (n,), the log-probabilities of its letters, and `log_stop`, a number,
# that of stopping after them. The text may be empty. Returns a number. About 1 line.
#
# *By hand.* Z = 16, the text *aa* has letters of 1/2 and 5/8 and must stop: 16 · 5/16 = 5. With R = 5
# the loss is 0; with R = 10 it is (log 5 − log 10)² = 0.480.
#
# <details><summary>Hint 1</summary>A product of probabilities is a sum of logarithms.</details>
# <details><summary>Hint 2</summary><code>np.sum</code> of an empty array is 0.</details>
# <details><summary>Hint 3</summary><code>(log_Z + np.sum(log_q) + log_stop - log_R) ** 2</code></details>


# %%
def tb_loss(log_Z, log_q, log_stop, log_R):
    """The squared imbalance of one text."""
    ### BEGIN SOLUTION
    return (log_Z + np.sum(log_q) + log_stop - log_R) ** 2
    ### END SOLUTION


# %%
check("tb_loss")


# %% tags=["payoff"]
@payoff("tb_loss")
def which_z_is_right():
    """Your loss of all seven texts of the lesson's tree, for different guesses of Z."""
    texts = {
        "": ([], 1 / 16, 1),
        "a": ([8 / 16], 1 / 8, 1),
        "aa": ([8 / 16, 5 / 8], 1, 5),
        "ab": ([8 / 16, 2 / 8], 1, 2),
        "b": ([7 / 16], 3 / 7, 3),
        "ba": ([7 / 16, 1 / 7], 1, 1),
        "bb": ([7 / 16, 3 / 7], 1, 3),
    }
    guesses = np.arange(8, 33)
    losses = [
        sum(tb_loss(np.log(Z), np.log(q), np.log(s), np.log(R)) for q, s, R in texts.values())
        for Z in guesses
    ]
    lines(
        guesses,
        {"your loss": losses},
        xlabel="guess of Z",
        ylabel="sum of losses",
        alt="The loss is 0 where the guess is 16.",
    )


# %% [markdown]
# ## 3. The flow (★★, 10 minutes)
#
# `flow_from_rewards(rewards)`: a dictionary text → F, for `rewards`, a dictionary text → R. Texts are
# Python strings of any length, the empty one `""` among them, and every prefix of a text is there; the
# order of the entries means nothing. F(s) = R(s) + the sum of F over the texts that are one letter
# longer than s and begin with it. About 5 lines.
#
# *By hand.* `{"": 1, "a": 2, "ab": 4}`: F(ab) = 4, F(a) = 2 + 4 = 6, F(empty) = 1 + 6 = 7.
#
# <details><summary>Hint 1</summary>Go from the longest texts to the shortest: then a text's own flow
# is complete when it is handed up.</details>
# <details><summary>Hint 2</summary><code>sorted(rewards, key=len, reverse=True)</code></details>
# <details><summary>Hint 3</summary>Start with <code>flow = dict(rewards)</code>, and add
# <code>flow[text]</code> to <code>flow[text[:-1]]</code>.</details>


# %%
def flow_from_rewards(rewards):
    """Text -> flow."""
    ### BEGIN SOLUTION
    flow = dict(rewards)
    for text in sorted(rewards, key=len, reverse=True):
        if text:
            flow[text[:-1]] += flow[text]
    return flow
    ### END SOLUTION


# %%
check("flow_from_rewards")


# %% tags=["payoff"]
@payoff("flow_from_rewards")
def names_by_their_flow():
    """Names drawn along your flow: each as often as it stands on a list."""
    list_of_names = "ann ann ann anna anna bob ben ben ben ben".split()
    rewards = {}
    for name in list_of_names:
        for end in range(len(name) + 1):
            rewards.setdefault(name[:end], 0)
        rewards[name] += 1
    flow, rng, drawn = flow_from_rewards(rewards), np.random.default_rng(0), []
    for _ in range(1000):
        text = ""
        while True:
            longer = [t for t in flow if len(t) == len(text) + 1 and t.startswith(text)]
            weights = np.array([rewards[text], *(flow[t] for t in longer)], float)
            choice = rng.choice(len(weights), p=weights / weights.sum())
            if choice == 0:
                break
            text = longer[choice - 1]
        drawn.append(text)
    names = sorted(set(list_of_names))
    bars(
        names,
        {
            "drawn": [drawn.count(n) / 1000 for n in names],
            "on the list": [list_of_names.count(n) / 10 for n in names],
        },
        ylabel="share",
        alt="Each name is drawn about as often as it stands on the list.",
    )


# %% [markdown]
# ## 4. The balance of every stretch (★★, 15 minutes)
#
# `subtb_loss(log_R, log_q, log_stop, decay)`: modified subtrajectory balance of one text of n letters.
# `log_R` is (n + 1,), of every prefix, the empty one first; `log_q` is (n,), of each letter; `log_stop`
# is (n + 1,), of stopping at each prefix. For every i < j the difference is
#
# log R_i − log_stop_i + (the sum of log_q of letters i + 1 to j) − log R_j + log_stop_j.
#
# Its square has the weight decay^(j − i − 1). Returns the weighted mean: the sum of weighted squares
# over the sum of weights. n is at least 1. About 8 lines.
#
# *By hand.* n = 1, log_R = (0, 1), log_q = (−1), log_stop = (−2, 0): 0 + 2 − 1 − 1 + 0 = 0, so the
# loss is 0. With log_R = (0, 3) it is (−2)² = 4, whatever the decay.
#
# <details><summary>Hint 1</summary>Two loops do it, as on the lesson's page.</details>
# <details><summary>Hint 2</summary>Letters i + 1 to j are <code>log_q[i:j]</code>.</details>
# <details><summary>Hint 3</summary>Without loops: the differences of neighbours are
# <code>d = log_q + log_stop[1:] - log_stop[:-1] + log_R[:-1] - log_R[1:]</code>, and a longer stretch is
# a difference of two cumulative sums.</details>


# %%
def subtb_loss(log_R, log_q, log_stop, decay):
    """The weighted mean of squared imbalances."""
    ### BEGIN SOLUTION
    total = weights = 0.0
    for i in range(len(log_q)):
        for j in range(i + 1, len(log_q) + 1):
            carried = log_R[i] - log_stop[i] + np.sum(log_q[i:j])
            weight = decay ** (j - i - 1)
            total += weight * (carried - log_R[j] + log_stop[j]) ** 2
            weights += weight
    return total / weights
    ### END SOLUTION


# %%
check("subtb_loss")


# %% tags=["payoff"]
@payoff("subtb_loss")
def a_table_by_your_loss():
    """Your loss trains a sampler of two coin flips, by small steps in whatever direction helps."""
    log_R = {"": 0.0, "a": 1.0, "b": 2.0}  # the empty text, a and b: shares 0.09, 0.24, 0.67
    logits, rng = np.zeros(3), np.random.default_rng(0)

    def loss(z):
        log_p = z - np.log(np.exp(z).sum())  # a, b, stop
        return sum(
            subtb_loss(np.array([0.0, log_R[t]]), log_p[[i]], np.array([log_p[2], 0.0]), 1.0)
            for i, t in enumerate("ab")
        )

    for _ in range(3000):
        new = logits + 0.1 * rng.normal(size=3)
        logits = new if loss(new) < loss(logits) else logits
    p = np.exp(logits) / np.exp(logits).sum()
    wanted = np.exp([1.0, 2.0, 0.0])
    bars(
        ["a", "b", "empty"],
        {"learnt": p, "R / Z": wanted / wanted.sum()},
        ylabel="share",
        alt="The learnt shares are those of the rewards.",
    )


# %% [markdown]
# ## 5. What soft reinforcement ends at (★★, 10 minutes)
#
# `reinforce_soft(log_R, alpha)`: the q, (N,), that is best for E[log R] + alpha · H(q), with H the
# entropy. `log_R` is (N,), `alpha` is 0 or more. It is in proportion to R^(1/alpha). For alpha = 0 it is
# 1 at the largest log R, and where several are equally large they share. Log-rewards of ±1,000 must not
# overflow. float64. About 6 lines.
#
# *By hand.* R = (4, 1): with alpha = 1 q is (0.8, 0.2); with alpha = ½ (16, 1)/17 = (0.94, 0.06); with
# alpha = 0 (1, 0).
#
# <details><summary>Hint 1</summary>R^(1/alpha) is e^(log R / alpha).</details>
# <details><summary>Hint 2</summary>Subtract the largest log R before you divide by alpha.</details>
# <details><summary>Hint 3</summary>For alpha = 0: <code>best = log_R == log_R.max()</code>, then
# <code>best / best.sum()</code>.</details>


# %%
def reinforce_soft(log_R, alpha):
    """The optimum of E[log R] + alpha H."""
    ### BEGIN SOLUTION
    if alpha == 0:
        best = log_R == log_R.max()
        return best / best.sum()
    e = np.exp((log_R - log_R.max()) / alpha)
    return e / e.sum()
    ### END SOLUTION


# %%
check("reinforce_soft")


# %% tags=["payoff"]
@payoff("reinforce_soft")
def from_fair_to_greedy():
    """The shares of five answers as your alpha goes from 3 to 0."""
    log_R = np.log([5.0, 4.0, 3.0, 2.0, 1.0])
    alphas = np.linspace(3, 0, 31)
    shares = np.array([reinforce_soft(log_R, a) for a in alphas])
    lines(
        alphas,
        {f"R = {5 - i}": shares[:, i] for i in range(5)},
        xlabel="alpha",
        ylabel="share",
        alt="The shares draw apart as alpha falls; at 0 the best answer has all.",
    )


# %% [markdown]
# ## 6. A posterior by listing (★★, 15 minutes)
#
# `enum_posterior(log_p, left, right, longest)`: what stands between the letters `left` and `right`?
# `log_p` is (V, V): log p(next letter b | letter a) at [a, b]. Letters are 0 to V − 1. Return a
# dictionary: every tuple z of 0 to `longest` letters → its probability, in proportion to p(z, right |
# left), the product of the steps from `left` through z to `right`. The probabilities add up to 1. About
# 8 lines.
#
# *By hand.* V = 2, all steps ½, longest = 1: `()` has one step, ½; `(0,)` and `(1,)` have two, ¼ each.
# Together 1, so the result is `{(): 0.5, (0,): 0.25, (1,): 0.25}`.
#
# <details><summary>Hint 1</summary><code>itertools.product(range(V), repeat=n)</code> lists all tuples
# of n letters.</details>
# <details><summary>Hint 2</summary>The path is <code>(left, *z, right)</code>; add up
# <code>log_p[a, b]</code> over its neighbours.</details>
# <details><summary>Hint 3</summary>Only at the end: e to each, divided by the sum.</details>


# %%
def enum_posterior(log_p, left, right, longest):
    """Tuple -> probability."""
    ### BEGIN SOLUTION
    import itertools

    weights = {}
    for n in range(longest + 1):
        for z in itertools.product(range(len(log_p)), repeat=n):
            path = (left, *z, right)
            weights[z] = float(np.exp(sum(log_p[a, b] for a, b in zip(path, path[1:]))))
    total = sum(weights.values())
    return {z: weight / total for z, weight in weights.items()}
    ### END SOLUTION


# %%
check("enum_posterior")


# %% tags=["payoff"]
@payoff("enum_posterior")
def what_stood_between():
    """Your posterior over weather: it was sunny on Monday and snowed on Thursday or before."""
    names = ["sun", "rain", "snow"]
    p = np.array([[0.8, 0.19, 0.01], [0.4, 0.5, 0.1], [0.2, 0.3, 0.5]])
    found = enum_posterior(np.log(p), 0, 2, 2)
    for z, share in sorted(found.items(), key=lambda item: -item[1])[:6]:
        print(f"{share:.3f}  sun | {' '.join(names[i] for i in z) or '(nothing)'} | snow")


# %% [markdown]
# ## 7. A buffer without twins (★★, 15 minutes)
#
# `replay_add(buffer, text, reward, apart)`: a **new** dictionary, what the buffer (a dictionary text →
# reward) holds after a text was offered. Texts are Python strings. The rules:
#
# 1. a text that is there already changes nothing;
# 2. a text is *near* another one of the **same length** if fewer than `apart` times both lengths
#    together of their places differ (texts of different length are never near here);
# 3. if it is near to some, and its reward is higher than that of **each** of them, it takes their
#    place (all of them go); if not, nothing changes;
# 4. if it is near to none, it is added.
#
# About 8 lines.
#
# *By hand.* buffer = `{"abcd": 2.0}`, apart = 0.25: `"abce"` differs in one place, 1 < 0.25 · 8 = 2, so it
# is near. With reward 1.0 nothing changes; with 3.0 the result is `{"abce": 3.0}`. `"abxy"` differs in two
# places, 2 is not below 2: it is added.
#
# <details><summary>Hint 1</summary><code>sum(a != b for a, b in zip(text, other))</code> counts the
# places that differ.</details>
# <details><summary>Hint 2</summary>Collect the near ones first, then decide.</details>
# <details><summary>Hint 3</summary>If it is to be added: <code>{t: r for t, r in buffer.items() if t not
# in near} | {text: reward}</code></details>


# %%
def replay_add(buffer, text, reward, apart):
    """The buffer afterwards."""
    ### BEGIN SOLUTION
    if text in buffer:
        return dict(buffer)
    near = [
        other
        for other in buffer
        if len(other) == len(text)
        and sum(a != b for a, b in zip(text, other)) < apart * (len(text) + len(other))
    ]
    if any(buffer[other] >= reward for other in near):
        return dict(buffer)
    return {t: r for t, r in buffer.items() if t not in near} | {text: reward}
    ### END SOLUTION


# %%
check("replay_add")


# %% tags=["payoff"]
@payoff("replay_add")
def a_buffer_fills():
    """Two thousand random words of five letters through your buffer: who survives."""
    rng, buffer = np.random.default_rng(0), {}
    for _ in range(2000):
        word = "".join("abc"[i] for i in rng.integers(0, 3, 5))
        buffer = replay_add(buffer, word, word.count("a") + 0.5 * word.count("b"), 0.25)
    for word, reward in sorted(buffer.items(), key=lambda item: -item[1]):
        print(f"{word}  {reward}")


# %% [markdown]
# ## 8. Explore, and know what it costs (★★★, 20 minutes)
#
# `behaviour_sample(logits, u, temperature, eps, shortest)`: one text, and its log-probability **under
# q**. `logits` is (L, V + 1): row t holds the logits of what comes at place t, whatever stands before;
# column V is the stop. `u` is (L,), numbers from 0 to 1 that decide the draws. At each place t:
#
# - p is the softmax of the row / temperature. While t < `shortest` the stop may not be drawn: it is left
#   out of the softmax and has 0.
# - Then p becomes (1 − eps) p + eps · even, with *even* the same for everything that may be drawn here.
# - The token is the first k for which p_0 + ... + p_k is larger than u[t].
#
# A stop ends the text; after L tokens it ends by itself. Return `(text, log_q)`: a list of whole
# numbers, and the sum of the log-probabilities of all tokens drawn, the stop included if it was drawn,
# under q: the softmax of the **plain** row, temperature 1, no eps, the stop in it. About 16 lines.
#
# *By hand.* L = 1, V = 1, logits ((0, 0)), temperature 1, eps 0, shortest 0: p = (½, ½). With u = 0.3 the
# first is drawn: `([0], log ½)`. With u = 0.7 it is the stop: `([], log ½)`. With shortest = 1 the stop is
# not allowed, and any u gives `([0], log ½)`: q has not changed.
#
# <details><summary>Hint 1</summary>Two rows of probabilities: one to draw from, and one to count
# with.</details>
# <details><summary>Hint 2</summary><code>may = np.ones(V + 1, bool)</code>, with <code>may[V] =
# False</code> for t &lt; shortest; <code>np.where(may, row / temperature, -np.inf)</code> before the
# softmax.</details>
# <details><summary>Hint 3</summary>The token is <code>int(np.argmax(np.cumsum(p) > u[t]))</code>.</details>


# %%
def behaviour_sample(logits, u, temperature, eps, shortest):
    """(text, log q of it)."""
    ### BEGIN SOLUTION
    L, stop = len(logits), logits.shape[1] - 1
    text, log_q = [], 0.0
    for t in range(L):
        may = np.ones(stop + 1, bool)
        may[stop] = t >= shortest
        heat = np.where(may, logits[t] / temperature, -np.inf)
        p = np.exp(heat - heat.max())
        p = (1 - eps) * p / p.sum() + eps * may / may.sum()
        token = int(np.argmax(np.cumsum(p) > u[t]))
        plain = logits[t] - logits[t].max()
        log_q += plain[token] - np.log(np.exp(plain).sum())
        if token == stop:
            break
        text.append(token)
    return text, float(log_q)
    ### END SOLUTION


# %%
check("behaviour_sample")


# %% tags=["payoff"]
@payoff("behaviour_sample")
def hotter_and_hotter():
    """How many different texts your sampler finds in 300 draws, by temperature."""
    rng = np.random.default_rng(0)
    logits = 3 * rng.normal(size=(4, 4))
    heats = [0.5, 1.0, 2.0, 4.0]
    found = [
        len({tuple(behaviour_sample(logits, rng.random(4), T, 0.0, 1)[0]) for _ in range(300)})
        for T in heats
    ]
    bars(
        [f"T = {T:g}" for T in heats],
        found,
        ylabel="different texts in 300 draws",
        alt="The hotter the sampler, the more different texts it finds.",
    )
