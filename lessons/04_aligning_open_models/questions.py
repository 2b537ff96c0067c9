# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Aligning open models: write the losses yourself"
# ---

# %% [markdown]
# # Write the losses yourself
#
# Each question asks for one function. Write it, run its cell, then run `check("...")`: it answers
# at once. When a check passes, the cell below it puts **your function to work**.
#
# The stars say how hard a question is, from ★ to ★★★. The hints below it are folded away: open the
# next one only when you are stuck. Arrays are NumPy's, logarithms natural. Leave your arguments as
# they are. The ideas stand in [the lesson](../lessons/04_aligning_open_models.ipynb).

# %%
import numpy as np

from minilm.course import bars, check, lines, payoff

# %% [markdown]
# ## 1. Which is better? (★, 2 minutes)
#
# `bt_loss(better, worse)`: Bradley and Terry's loss. Both are (N,) rewards; the loss is the mean of
# $-\log \sigma(\text{better} - \text{worse})$, one number. Differences of 1,000 either way must not
# overflow. About 1 line.
#
# *By hand.* Rewards 2 and 1: $\sigma(1) = 0.731$, so the loss is 0.313. Equal rewards: $\log 2 =
# 0.693$.
#
# <details><summary>Hint 1</summary>−log σ(z) is log(1 + e^(−z)).</details>
# <details><summary>Hint 2</summary>For z = −1000 that overflows; <code>np.logaddexp(0, -z)</code> does
# not.</details>
# <details><summary>Hint 3</summary><code>np.logaddexp(0, worse - better).mean()</code></details>


# %%
def bt_loss(better, worse):
    """Mean loss of the pairs."""
    ### BEGIN SOLUTION
    return np.logaddexp(0, worse - better).mean()
    ### END SOLUTION


# %%
check("bt_loss")


# %% tags=["payoff"]
@payoff("bt_loss")
def a_judge_who_is_sometimes_wrong():
    """Your loss on 2000 pairs of a judge who is right in 73 %, for rewards of growing gap."""
    right = np.random.default_rng(0).random(2000) < 0.731
    gaps = np.linspace(-1, 4, 41)
    losses = [bt_loss(np.where(right, g, 0.0), np.where(right, 0.0, g)) for g in gaps]
    lines(
        gaps,
        {"your loss": losses},
        xlabel="gap of the rewards",
        ylabel="loss, nats",
        alt="The loss is least where the gap is 1.",
    )


# %% [markdown]
# ## 2. Learn the answer, not the question (★★, 8 minutes)
#
# `sft_loss(logits, ids, prompt)`: `logits` is (T, V), row t says what follows token t; `ids` is (T,).
# The first `prompt` tokens are the question. The loss is the mean of $-\log p$ over the tokens of
# the answer only, `ids[prompt:]`. `prompt` is 1 or more and less than T. About 4 lines.
#
# *By hand.* V = 2, T = 3, prompt = 2: only the last token counts, and row 1 predicts it. If that row
# is (0, log 3), the probabilities are ¼ and ¾. For token 1 the loss is $-\log ¾ = 0.288$.
#
# <details><summary>Hint 1</summary>Token t is predicted by row t − 1: rows prompt − 1 to T − 2.</details>
# <details><summary>Hint 2</summary>log p = logits − log of the sum of e to the logits; subtract the
# largest first.</details>
# <details><summary>Hint 3</summary><code>rows[np.arange(len(said)), said]</code> takes one number from
# each row.</details>


# %%
def sft_loss(logits, ids, prompt):
    """Mean loss of the answer's tokens."""
    ### BEGIN SOLUTION
    said, rows = ids[prompt:], logits[prompt - 1 : -1]
    rows = rows - rows.max(-1, keepdims=True)
    logp = rows - np.log(np.exp(rows).sum(-1, keepdims=True))
    return -logp[np.arange(len(said)), said].mean()
    ### END SOLUTION


# %%
check("sft_loss")


# %% tags=["payoff"]
@payoff("sft_loss")
def what_a_long_question_hides():
    """A model that is sure of the question and poor at the answer: your loss, and that of all."""
    ids = np.array([0, 1, 2, 3, 0, 1, 2, 3, 1, 3])
    logits = np.zeros((10, 4))
    logits[np.arange(7), ids[1:8]] = 6.0  # the question is known by heart
    logits[7:9, 0] = 1.0
    bars(
        ["answer only", "everything"],
        [sft_loss(logits, ids, 8), sft_loss(logits, ids, 1)],
        ylabel="loss, nats",
        alt="Over everything the loss looks small; over the answer it is large.",
    )


# %% [markdown]
# ## 3. The best policy (★★, 8 minutes)
#
# `optimal_policy(ref, reward, beta)`: `ref` is (K,), probabilities above 0; `reward` is (K,). Return two
# things: the policy (K,), $\text{ref} \cdot e^{r/\beta} / Z$, and its value $\beta \log Z$. Rewards of
# 1,000 and $\beta$ = 0.1 must not overflow. About 4 lines.
#
# *By hand.* ref = (½, ½), reward = (0, log 3), $\beta$ = 1: weights ½ and 1.5, $Z$ = 2, the policy
# (¼, ¾), the value log 2 = 0.693.
#
# <details><summary>Hint 1</summary>Work with logarithms: log ref + r / β.</details>
# <details><summary>Hint 2</summary>log Z is the largest of these plus the log of the sum of e to the
# rest.</details>
# <details><summary>Hint 3</summary><code>np.logaddexp.reduce(z)</code> is log Z; the policy is
# <code>np.exp(z - log_z)</code>.</details>


# %%
def optimal_policy(ref, reward, beta):
    """The policy, and beta log Z."""
    ### BEGIN SOLUTION
    z = np.log(ref) + reward / beta
    log_z = np.logaddexp.reduce(z)
    return np.exp(z - log_z), beta * log_z
    ### END SOLUTION


# %%
check("optimal_policy")


# %% tags=["payoff"]
@payoff("optimal_policy")
def from_reference_to_greed():
    """Your policy as the tie loosens: three answers, of which the rarest is the best."""
    betas = np.geomspace(20, 0.1, 40)
    rows = [optimal_policy(np.array([0.5, 0.3, 0.2]), np.array([0.0, 1, 2]), b)[0] for b in betas]
    lines(
        betas,
        {f"reward {i}": np.array(rows)[:, i] for i in range(3)},
        xlabel="beta",
        ylabel="probability",
        xscale="log",
        alt="With a large beta the reference; with a small one the best answer only.",
    )


# %% [markdown]
# ## 4. The best of n (★★, 10 minutes)
#
# `best_of_n(ref, reward, n)`: how often each of K answers is the best of n drawn from `ref`, (K,). All
# rewards differ. About 5 lines.
#
# *By hand.* ref = (½, 0.3, 0.2), reward = (0, 1, 2), n = 2: at most the first, 0.5² = 0.25; at most
# the second, 0.8² = 0.64; so (0.25, 0.39, 0.36).
#
# <details><summary>Hint 1</summary>Sort by reward. The best of n is at most this good if all n draws
# are.</details>
# <details><summary>Hint 2</summary><code>np.cumsum</code> of the sorted probabilities, to the n-th
# power; then differences, the first from 0.</details>
# <details><summary>Hint 3</summary>Put the differences back where the answers stood:
# <code>found[order] = ...</code>.</details>


# %%
def best_of_n(ref, reward, n):
    """How often each answer wins."""
    ### BEGIN SOLUTION
    order = np.argsort(reward)
    upto = np.cumsum(ref[order]) ** n
    found = np.zeros(len(ref))
    found[order] = np.diff(upto, prepend=0)
    return found
    ### END SOLUTION


# %%
check("best_of_n")


# %% tags=["payoff"]
@payoff("best_of_n")
def your_frontier():
    """Reward and divergence of your best of n, on 200 answers, and the bound on the divergence."""
    r = np.random.default_rng(1)
    ref, reward = r.dirichlet(np.ones(200)), r.normal(size=200)
    ns = np.array([1, 2, 4, 8, 16, 32])
    rows = [best_of_n(ref, reward, n) for n in ns]
    kept = [p > 1e-300 for p in rows]
    kl = [float(p[k] @ np.log(p[k] / ref[k])) for p, k in zip(rows, kept)]
    lines(
        ns,
        {"your divergence": kl, "bound": np.log(ns) - (ns - 1) / ns},
        xlabel="n",
        ylabel="nats",
        xscale="log",
        alt="The divergence of the best of n stays just below its bound.",
    )


# %% [markdown]
# ## 5. DPO (★★, 10 minutes)
#
# `dpo_loss(better, worse, ref_better, ref_worse, beta, eps=0.0, ipo=False)`: four arrays (N,) of
# log-probabilities, of whole answers, under the policy and under the reference. The *gap* is
# (better − ref_better) − (worse − ref_worse). Return the mean of
#
# - $-(1-\varepsilon)\log \sigma(\beta\,\text{gap}) - \varepsilon \log \sigma(-\beta\,\text{gap})$: with
#   probability $\varepsilon$ the label is wrong;
# - with `ipo=True`, of $(\text{gap} - \frac{1}{2\beta})^2$ instead.
#
# Gaps of 10,000 must not overflow. About 5 lines.
#
# *By hand.* The policy equals the reference: gap 0, loss log 2 = 0.693; with ipo and $\beta$ = ½ the
# loss is 1. Gap 2, $\beta$ = ½: $-\log\sigma(1) = 0.313$.
#
# <details><summary>Hint 1</summary>Question 1 has the safe form of −log σ.</details>
# <details><summary>Hint 2</summary>−log σ(−z) is <code>np.logaddexp(0, z)</code>.</details>
# <details><summary>Hint 3</summary>IPO's target is a gap, so β appears only in 1 / (2β).</details>


# %%
def dpo_loss(better, worse, ref_better, ref_worse, beta, eps=0.0, ipo=False):
    """Mean loss of the pairs."""
    ### BEGIN SOLUTION
    gap = (better - ref_better) - (worse - ref_worse)
    if ipo:
        return ((gap - 1 / (2 * beta)) ** 2).mean()
    z = beta * gap
    return ((1 - eps) * np.logaddexp(0, -z) + eps * np.logaddexp(0, z)).mean()
    ### END SOLUTION


# %%
check("dpo_loss")


# %% tags=["payoff"]
@payoff("dpo_loss")
def where_each_loss_wants_the_gap():
    """Your losses against the gap: DPO never has enough, the other two stop."""
    gaps, none = np.linspace(-5, 50, 56), np.zeros(1)
    ways = {"DPO": {}, "eps 0.1": {"eps": 0.1}, "IPO / 20": {"ipo": True}}
    found = {
        name: [dpo_loss(np.array([g]), none, none, none, 0.1, **how) for g in gaps]
        for name, how in ways.items()
    }
    found["IPO / 20"] = np.array(found["IPO / 20"]) / 20
    lines(
        gaps,
        found,
        xlabel="gap, nats",
        ylabel="loss",
        ylim=(0, 3),
        alt="DPO's loss falls for ever; the others have a lowest point.",
    )


# %% [markdown]
# ## 6. What a token earned (★★, 12 minutes)
#
# `gae(r, v, gamma, lam, done)`: generalised advantages of one long row. `r` is (T,), `v` is (T + 1,)
# guesses, the last for the state after the end; `done` is (T,), True where an episode ends: then
# neither the next guess nor a later advantage counts. With $\delta_t = r_t + \gamma V_{t+1} - V_t$,
# $A_t = \delta_t + \gamma\lambda A_{t+1}$. Return (T,). About 7 lines.
#
# *By hand.* r = (1, 0, 2), V = (0.5, 0.4, 0.3, 0), $\gamma$ = 0.9, $\lambda$ = 0.8, nothing done:
# $\delta$ = (0.86, −0.13, 1.7); A = (1.64768, 1.094, 1.7).
#
# <details><summary>Hint 1</summary>Go backwards, and carry the advantage after.</details>
# <details><summary>Hint 2</summary>Where <code>done[t]</code>, both V[t + 1] and the carried advantage
# are multiplied by 0.</details>
# <details><summary>Hint 3</summary><code>going = 0.0 if done[t] else 1.0</code>, then
# <code>after = delta + gamma * lam * going * after</code>.</details>


# %%
def gae(r, v, gamma, lam, done):
    """Advantages (T,)."""
    ### BEGIN SOLUTION
    found, after = np.zeros(len(r)), 0.0
    for t in reversed(range(len(r))):
        going = 0.0 if done[t] else 1.0
        delta = r[t] + gamma * going * v[t + 1] - v[t]
        after = delta + gamma * lam * going * after
        found[t] = after
    return found
    ### END SOLUTION


# %%
check("gae")


# %% tags=["payoff"]
@payoff("gae")
def who_gets_the_credit():
    """A reward at the last of 12 tokens, and guesses of 0: what each token gets, by lambda."""
    r = np.zeros(12)
    r[-1] = 1.0
    found = {
        f"lambda {lam}": gae(r, np.zeros(13), 1.0, lam, np.zeros(12, bool)) for lam in (0, 0.8, 1)
    }
    lines(
        np.arange(12),
        found,
        xlabel="token",
        ylabel="advantage",
        alt="With lambda 0 only the last token gets credit, with 1 all do.",
    )


# %% [markdown]
# ## 7. Small steps (★★, 8 minutes)
#
# `ppo_loss(logp, old, advantage, eps)`: three arrays (N,). The ratio is $\rho = e^{\text{logp} -
# \text{old}}$. The loss is the mean of $-\min(\rho A,\ \operatorname{clip}(\rho, 1-\varepsilon,
# 1+\varepsilon) A)$. About 3 lines.
#
# *By hand.* $\varepsilon$ = 0.2. $\rho$ = 1.5, A = 1: the smaller of 1.5 and 1.2, so −1.2. $\rho$ =
# 1.5, A = −1: the smaller of −1.5 and −1.2, so +1.5.
#
# <details><summary>Hint 1</summary>The smaller of the two, element by element.</details>
# <details><summary>Hint 2</summary><code>np.clip(ratio, 1 - eps, 1 + eps)</code></details>
# <details><summary>Hint 3</summary>The minus stands in front of everything, after the
# minimum.</details>


# %%
def ppo_loss(logp, old, advantage, eps):
    """Mean loss of the tokens."""
    ### BEGIN SOLUTION
    ratio = np.exp(logp - old)
    return -np.minimum(ratio * advantage, np.clip(ratio, 1 - eps, 1 + eps) * advantage).mean()
    ### END SOLUTION


# %%
check("ppo_loss")


# %% tags=["payoff"]
@payoff("ppo_loss")
def where_it_is_flat():
    """Your loss against the ratio, for a good and for a bad token."""
    ratios, old = np.linspace(0.4, 1.8, 57), np.zeros(1)
    found = {
        name: [ppo_loss(np.array([np.log(x)]), old, np.array([a]), 0.2) for x in ratios]
        for name, a in (("good token", 1.0), ("bad token", -1.0))
    }
    lines(
        ratios,
        found,
        xlabel="ratio",
        ylabel="loss",
        alt="For a good token the loss is flat above 1.2, for a bad one below 0.8.",
    )


# %% [markdown]
# ## 8. A small correction (★, 5 minutes)
#
# `lora(x, W, A, B, alpha)`: `x` is (N, in), `W` (out, in), `A` (r, in), `B` (out, r). Return $x W^T +
# \frac{\alpha}{r} (x A^T) B^T$, (N, out). Where `B` is 0 the result must equal `x @ W.T` bit for bit.
# About 2 lines.
#
# *By hand.* x = (1, 2), W = ((1, 0)), A = ((0, 1)), B = ((3)), $\alpha$ = 2: r = 1, so 1 + 2 · 2 · 3 = 13.
#
# <details><summary>Hint 1</summary>r is the number of rows of A.</details>
# <details><summary>Hint 2</summary>First x with A, (N, r); then with B.</details>
# <details><summary>Hint 3</summary><code>x @ W.T + alpha / len(A) * (x @ A.T) @ B.T</code></details>


# %%
def lora(x, W, A, B, alpha):
    """The adapted map (N, out)."""
    ### BEGIN SOLUTION
    return x @ W.T + alpha / len(A) * ((x @ A.T) @ B.T)
    ### END SOLUTION


# %%
check("lora")


# %% tags=["payoff"]
@payoff("lora")
def how_little_is_trained():
    """Weights of a map of 512 x 512, and of your correction, by rank; merged, both agree."""
    r = np.random.default_rng(0)
    x, W, A, B = (r.normal(size=s) for s in ((4, 8), (6, 8), (2, 8), (6, 2)))
    merged = x @ (W + 16 / 2 * B @ A).T
    print(f"merged and unmerged differ by {np.abs(lora(x, W, A, B, 16) - merged).max():.0e}")
    for rank in (1, 4, 16, 64):
        print(f"rank {rank:2}: {2 * 512 * rank:6,} of {512 * 512:,} weights are trained")


# %% [markdown]
# ## 9. Sixteen levels (★★★, 15 minutes)
#
# `nf4(w, levels, block=64)`: QLoRA's numbers of 4 bits. `w` is (N,), N a multiple of `block`; `levels` is (16,),
# rising from −1 to 1. Each block of neighbours is divided by its largest absolute value, and each
# number becomes the place of the *nearest* level. Return the places (N,), whole numbers from 0 to
# 15, and the largest absolute values (N / block,). A block of zeros has the value 0; its places are
# that of the level nearest to 0. About 5 lines.
#
# *By hand.* Levels (−1, 0, 1), block 2, w = (2, −1.2, 0, 0.5): the blocks' values are 2 and 0.5; divided:
# (1, −0.6) and (0, 1); places (2, 0, 1, 2).
#
# <details><summary>Hint 1</summary><code>w.reshape(-1, block)</code> has a row a block.</details>
# <details><summary>Hint 2</summary>Distances to all levels: <code>np.abs(x[..., None] - levels)</code>;
# the smallest by <code>argmin(-1)</code>.</details>
# <details><summary>Hint 3</summary>Divide by <code>np.where(largest > 0, largest, 1)</code>.</details>


# %%
def nf4(w, levels, block=64):
    """Places (N,) and each block's largest absolute value."""
    ### BEGIN SOLUTION
    rows = w.reshape(-1, block)
    largest = np.abs(rows).max(1)
    scaled = rows / np.where(largest > 0, largest, 1)[:, None]
    places = np.abs(scaled[..., None] - levels).argmin(-1)
    return places.reshape(-1), largest
    ### END SOLUTION


# %%
check("nf4")


# %% tags=["payoff"]
@payoff("nf4")
def why_not_even_levels():
    """Your rounding of normal weights, with QLoRA's levels and with evenly spaced ones."""
    levels = np.array([-1, -0.6962, -0.5251, -0.3949, -0.2844, -0.1848, -0.09105, 0, 0.0796,
                       0.1609, 0.2461, 0.3379, 0.4407, 0.5626, 0.7230, 1])  # fmt: skip
    w, errors = np.random.default_rng(0).normal(size=6400), []
    for these in (levels, np.linspace(-1, 1, 16)):
        places, largest = nf4(w, these)
        back = these[places] * np.repeat(largest, 64)
        errors.append(np.sqrt(((back - w) ** 2).mean()))
    bars(
        ["NF4", "even"],
        errors,
        ylabel="error, standard deviations",
        alt="NF4's levels have the smaller error.",
    )


# %% [markdown]
# ## 10. A board (★★★, 15 minutes)
#
# `fit_bt(wins)`: `wins` is (K, K), how often i beat j. Return ratings (K,) in nats, with mean 0, that make the
# games likeliest when i beats j with $\sigma(R_i - R_j)$. Everybody has won and lost. The known
# way: strengths $s_i$, at first 1; again and again
#
# $$s_i \leftarrow \frac{\text{wins of } i}{\sum_{j \ne i} n_{ij} / (s_i + s_j)}$$
#
# with $n_{ij}$ the games of i and j; $R = \log s$. A thousand rounds are enough. About 8 lines.
#
# *By hand.* Two players, 3 wins to 1: $R_1 - R_2 = \log 3$, so (0.549, −0.549).
#
# <details><summary>Hint 1</summary>n is <code>wins + wins.T</code>, with 0 on the diagonal.</details>
# <details><summary>Hint 2</summary><code>s[:, None] + s</code> holds all sums.</details>
# <details><summary>Hint 3</summary>Divide s by its geometric mean in each round, or subtract the mean
# of the logs at the end.</details>


# %%
def fit_bt(wins):
    """Ratings (K,), in nats, mean 0."""
    ### BEGIN SOLUTION
    games = wins + wins.T
    games = games * (1.0 - np.eye(len(wins)))
    won = (wins * (1.0 - np.eye(len(wins)))).sum(1)
    s = np.ones(len(wins))
    for _ in range(1000):
        s = won / (games / (s[:, None] + s)).sum(1)
        s = s / np.exp(np.log(s).mean())
    return np.log(s)
    ### END SOLUTION


# %%
check("fit_bt")


# %% tags=["payoff"]
@payoff("fit_bt")
def how_sure_is_your_board():
    """Your ratings of four systems from 60 games a pair, ten times; the dashed lines are the truth."""
    truth = np.array([-0.5, -0.1, 0.1, 0.5])
    r, rows = np.random.default_rng(0), []
    for _ in range(10):
        p = 1 / (1 + np.exp(truth - truth[:, None]))
        first = np.triu(r.binomial(60, p), 1)
        rows.append(fit_bt(first + np.tril((60 - first).T, -1)))
    lines(
        np.arange(10),
        {f"system {i}": np.array(rows)[:, i] for i in range(4)},
        xlabel="tournament",
        ylabel="your rating, nats",
        alt="The two in the middle change places from one tournament to the next.",
    )
