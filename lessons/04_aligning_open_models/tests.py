"""Tests of exercise set 04: losses of preference and policy, advantages, optima, adapters, a board."""

import math

import numpy as np

from minilm.course.checking.expect import Wrong, array, close, less, true
from minilm.course.checking.probes import leaves_arguments
from minilm.course.checking.questions import Question

TITLE = "Aligning open models: write the losses yourself"

bt_loss = Question("bt_loss", title="which is better", lines=1)
sft_loss = Question("sft_loss", title="the answer, not the question", lines=4)
optimal_policy = Question("optimal_policy", title="the best policy and its value", lines=4)
best_of_n = Question("best_of_n", title="the best of n, exactly", lines=5)
dpo_loss = Question("dpo_loss", title="DPO, doubted labels, and IPO", lines=5)
gae = Question("gae", title="what a token earned", lines=7)
ppo_loss = Question("ppo_loss", title="small steps", lines=3)
lora = Question("lora", title="a small correction", lines=2)
nf4 = Question("nf4", title="sixteen levels", lines=5)
fit_bt = Question("fit_bt", title="a board from wins", lines=8)

LEVELS = np.array([-1, -0.6962, -0.5251, -0.3949, -0.2844, -0.1848, -0.09105, 0, 0.0796, 0.1609,
                   0.2461, 0.3379, 0.4407, 0.5626, 0.7230, 1])  # fmt: skip


def seeds(rng, level):
    yield {"seed": 0}
    yield {"seed": int(rng.integers(1, 10**6))}
    if level == "hidden":
        yield {"seed": int(rng.integers(10**6, 10**7))}


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def softplus(z):
    return max(z, 0.0) + math.log1p(math.exp(-abs(z)))


def number(answer):
    return float(array(answer, shape=(), what="the loss"))


# ---------------------------------------------------------------------------------- bt_loss


@bt_loss.test(points=1, hint="The mean of log(1 + e^(worse - better)).", cases=seeds)
def is_the_mean_loss(student, rng, seed):
    "the loss is the mean over the pairs"
    better, worse = normal(seed, 2, 5 + seed % 4)
    wanted = sum(softplus(b - a) for a, b in zip(better, worse, strict=True)) / len(better)
    close(student.bt_loss(better, worse), wanted, rtol=1e-10)


@bt_loss.test(points=1, hint="np.logaddexp(0, z) never overflows.", cases=seeds)
def does_not_overflow(student, rng, seed):
    "gaps of 1,000 give 1,000 or 0"
    big = 1000.0 + seed % 7
    close(student.bt_loss(np.array([0.0]), np.array([big])), big, rtol=1e-10)
    close(student.bt_loss(np.array([big, big]), np.array([0.0, 1.0])), 0.0, atol=1e-12)


leaves_arguments(bt_loss)

# --------------------------------------------------------------------------------- sft_loss


def talks(rng, level):
    yield {"T": 6, "V": 4, "prompt": 3}
    yield {"T": int(rng.integers(5, 9)), "V": 7, "prompt": 2}
    if level == "hidden":
        yield {"T": int(rng.integers(9, 13)), "V": 3, "prompt": int(rng.integers(4, 8))}


def edges(rng, level):
    yield {"T": 5, "V": 3, "prompt": 1}
    yield {"T": int(rng.integers(4, 7)), "V": 3, "prompt": None}


def loss_of(logits, ids, prompt):
    total = 0.0
    for t in range(prompt, len(ids)):
        row = [float(z) for z in logits[t - 1]]
        top = max(row)
        total += top + math.log(sum(math.exp(z - top) for z in row)) - row[ids[t]]
    return total / (len(ids) - prompt)


@sft_loss.test(points=2, hint="Token t is predicted by row t - 1.", cases=talks)
def scores_the_answer_only(student, rng, T, V, prompt):
    "the mean is over the tokens of the answer"
    logits, ids = 2 * rng.standard_normal((T, V)), rng.integers(0, V, T)
    close(student.sft_loss(logits, ids, prompt), loss_of(logits, ids, prompt), rtol=1e-9)


@sft_loss.test(points=1, hint="Rows prompt - 1 to T - 2; prompt may be 1 or T - 1.", cases=edges)
def handles_the_shortest(student, rng, T, V, prompt):
    "a question of one token, an answer of one token"
    prompt = T - 1 if prompt is None else prompt
    logits, ids = rng.standard_normal((T, V)), rng.integers(0, V, T)
    close(student.sft_loss(logits, ids, prompt), loss_of(logits, ids, prompt), rtol=1e-9)


@sft_loss.test(points=1, hint="Subtract the row's largest logit first.", cases=seeds)
def takes_large_logits(student, rng, seed):
    "logits of 1,000 do not overflow"
    logits = np.array([[0.0, 0], [1000.0 + seed % 5, 0], [5, 5]])
    close(student.sft_loss(logits, np.array([0, 0, 1]), 2), 1000.0 + seed % 5, rtol=1e-9)


leaves_arguments(sft_loss)

# --------------------------------------------------------------------------- optimal_policy


def two(answer):
    if not isinstance(answer, (tuple, list)) or len(answer) != 2:
        raise Wrong("type", "the answer should be two things: policy and value")
    return answer


def tilt(ref, reward, beta):
    z = np.log(ref) + reward / beta
    top = z.max()
    total = np.exp(z - top).sum()
    return np.exp(z - top) / total, beta * (top + math.log(total))


def prefers(seed, K):
    r = np.random.default_rng(seed)
    return r.dirichlet(np.ones(K)) * 0.9 + 0.1 / K, r.normal(size=K)


@optimal_policy.test(points=2, hint="ref e^(r / beta), divided by its sum.", cases=seeds)
def is_the_tilted_reference(student, rng, seed):
    "the policy is the reference, tilted by the reward"
    ref, reward = prefers(seed, 5 + seed % 3)
    beta = 0.4 + (seed % 5) / 4
    policy = two(student.optimal_policy(ref, reward, beta))[0]
    close(policy, tilt(ref, reward, beta)[0], rtol=1e-9, atol=1e-12, what="the policy")


@optimal_policy.test(points=1, hint="beta times the log of Z.", cases=seeds)
def is_worth_beta_log_z(student, rng, seed):
    "its value is beta log Z"
    ref, reward = prefers(seed + 1, 4)
    beta = 0.7 + (seed % 3)
    value = two(student.optimal_policy(ref, reward, beta))[1]
    close(value, tilt(ref, reward, beta)[1], rtol=1e-9, atol=1e-12, what="the value")


@optimal_policy.test(points=1, hint="Take logarithms, and subtract the largest.", cases=seeds)
def survives_greed(student, rng, seed):
    "rewards of 1,000 and a beta of 0.1"
    ref, reward = np.array([0.25, 0.75]), np.array([1000.0 + seed % 9, 999.0])
    policy, value = two(student.optimal_policy(ref, reward, 0.1))
    wanted = tilt(ref, reward, 0.1)
    close(policy, wanted[0], rtol=1e-8, atol=1e-12, what="the policy")
    close(value, wanted[1], rtol=1e-9, what="the value")


leaves_arguments(optimal_policy)

# -------------------------------------------------------------------------------- best_of_n


def draws(rng, level):
    yield {"K": 3, "n": 2}
    yield {"K": int(rng.integers(4, 8)), "n": int(rng.integers(3, 6))}
    if level == "hidden":
        yield {"K": 9, "n": int(rng.integers(20, 60))}


@best_of_n.test(points=2, hint="Powers of the cumulative sum, then differences.", cases=draws)
def wins_as_often_as_it_should(student, rng, K, n):
    "each answer wins as often as all draws are at most as good, less those that are worse"
    ref, reward = rng.dirichlet(np.ones(K)), rng.permutation(K) + 0.5
    wanted = [ref[reward <= here].sum() ** n - ref[reward < here].sum() ** n for here in reward]
    close(student.best_of_n(ref, reward, n), wanted, rtol=1e-8, atol=1e-12)


@best_of_n.test(points=1, hint="The best wins unless no draw is the best.", cases=seeds)
def the_best_wins_if_it_is_drawn(student, rng, seed):
    "the best answer wins unless it is never drawn; the worst only if it is always drawn"
    ref, reward = prefers(seed, 6)
    n = 2 + seed % 5
    found = array(student.best_of_n(ref, reward, n), shape=ref.shape)
    best, worst = reward.argmax(), reward.argmin()
    wanted = [1 - (1 - ref[best]) ** n, ref[worst] ** n]
    close(found[[best, worst]], wanted, rtol=1e-8, atol=1e-12, what="how often best and worst win")


leaves_arguments(best_of_n)

# --------------------------------------------------------------------------------- dpo_loss


def pairs_of(seed, n=6):
    return 3 * normal(seed, 4, n) - 10


def gaps_of(better, worse, ref_better, ref_worse):
    return [(a - c) - (b - d) for a, b, c, d in zip(better, worse, ref_better, ref_worse)]


@dpo_loss.test(points=2, hint="-log sigmoid of beta times the gap.", cases=seeds)
def is_dpo(student, rng, seed):
    "the plain loss"
    four, beta = pairs_of(seed), 0.1 + (seed % 5) / 5
    wanted = np.mean([softplus(-beta * g) for g in gaps_of(*four)])
    close(student.dpo_loss(*four, beta), wanted, rtol=1e-9)


@dpo_loss.test(points=1, hint="(1 - eps) of one label, eps of the other.", cases=seeds)
def doubts_its_labels(student, rng, seed):
    "eps is the probability of a wrong label"
    four, beta, eps = pairs_of(seed + 1), 0.3, 0.05 + (seed % 4) / 10
    wanted = np.mean(
        [(1 - eps) * softplus(-beta * g) + eps * softplus(beta * g) for g in gaps_of(*four)]
    )
    close(student.dpo_loss(*four, beta, eps), wanted, rtol=1e-9)


@dpo_loss.test(points=1, hint="(gap - 1 / (2 beta)) squared; no sigmoid.", cases=seeds)
def has_a_target(student, rng, seed):
    "IPO's squared distance to its gap"
    four, beta = pairs_of(seed + 2), 0.2 + (seed % 3) / 4
    wanted = np.mean([(g - 1 / (2 * beta)) ** 2 for g in gaps_of(*four)])
    close(student.dpo_loss(*four, beta, ipo=True), wanted, rtol=1e-9)


@dpo_loss.test(points=1, hint="np.logaddexp(0, z) never overflows.", cases=seeds)
def takes_large_gaps(student, rng, seed):
    "gaps of 10,000"
    zero, big = np.zeros(1), np.array([1e4 + seed % 3])
    close(student.dpo_loss(zero, big, zero, zero, 1.0), big[0], rtol=1e-9)
    close(student.dpo_loss(big, zero, zero, zero, 1.0), 0.0, atol=1e-12)


leaves_arguments(dpo_loss)

# -------------------------------------------------------------------------------------- gae


def rows(rng, level):
    yield {"T": 3, "gamma": 0.9, "lam": 0.8}
    yield {"T": int(rng.integers(5, 9)), "gamma": 1.0, "lam": 0.95}
    if level == "hidden":
        yield {"T": int(rng.integers(9, 15)), "gamma": 0.7, "lam": 0.3}
        yield {"T": 1, "gamma": 0.5, "lam": 0.5}


def by_definition(r, v, gamma, lam, done):
    """Sums written out: every surprise, until an episode ends."""
    T = len(r)
    found = np.zeros(T)
    for t in range(T):
        weight = 1.0
        for k in range(t, T):
            after = 0.0 if done[k] else v[k + 1]
            found[t] += weight * (r[k] + gamma * after - v[k])
            if done[k]:
                break
            weight *= gamma * lam
    return found


@gae.test(points=2, hint="Backwards: A = delta + gamma lam A after.", cases=rows)
def adds_up_the_surprises(student, rng, T, gamma, lam):
    "advantages of one episode"
    r, v, done = rng.standard_normal(T), rng.standard_normal(T + 1), np.zeros(T, bool)
    close(student.gae(r, v, gamma, lam, done), by_definition(r, v, gamma, lam, done), rtol=1e-9)


@gae.test(points=2, hint="Where done, the next guess and the carried advantage count 0.",
          cases=rows)  # fmt: skip
def stops_at_an_end(student, rng, T, gamma, lam):
    "nothing passes the end of an episode"
    T = T + 4
    r, v, done = rng.standard_normal(T), rng.standard_normal(T + 1), np.zeros(T, bool)
    done[[1, T // 2, T - 1]] = True
    close(student.gae(r, v, gamma, lam, done), by_definition(r, v, gamma, lam, done), rtol=1e-9)


leaves_arguments(gae)

# --------------------------------------------------------------------------------- ppo_loss


@ppo_loss.test(points=2, hint="The smaller of ratio A and clipped ratio A.", cases=seeds)
def is_clipped_where_it_pays(student, rng, seed):
    "gains are clipped, losses are not"
    r = np.random.default_rng(seed)
    old = -1 - r.random(12)
    ratio, advantage = r.uniform(0.3, 2.0, 12), r.normal(size=12)
    eps = 0.1 + (seed % 3) / 10
    wanted = 0.0
    for rho, a in zip(ratio, advantage, strict=True):
        held = min(max(rho, 1 - eps), 1 + eps)
        wanted -= min(rho * a, held * a) / 12
    close(student.ppo_loss(old + np.log(ratio), old, advantage, eps), wanted, rtol=1e-9)


@ppo_loss.test(points=1, hint="Beyond the edge, on the side that pays, nothing changes.",
               cases=seeds)  # fmt: skip
def is_flat_beyond_the_edge(student, rng, seed):
    "a ratio far beyond the edge earns no more"
    old, good = np.zeros(1), np.array([1.0 + seed % 4])
    losses = [number(student.ppo_loss(np.log([x]), old, good, 0.2)) for x in (1.3, 1.9)]
    close(losses[0], losses[1], rtol=1e-12, what="the loss at 1.9 and at 1.3")
    near = number(student.ppo_loss(np.log([1.1]), old, good, 0.2))
    less(losses[0], near, what="the loss beyond the edge")
    bad = [number(student.ppo_loss(np.log([x]), old, -good, 0.2)) for x in (1.3, 1.9)]
    less(bad[0], bad[1], what="the loss of a bad token at 1.3")


leaves_arguments(ppo_loss)

# ------------------------------------------------------------------------------------- lora


def maps(rng, level):
    yield {"N": 2, "wide": 5, "out": 4, "rank": 2}
    yield {"N": 3, "wide": 4, "out": 6, "rank": 1}
    if level == "hidden":
        yield {"N": 1, "wide": 7, "out": 2, "rank": 3}


@lora.test(points=1, hint="alpha over the rank, not alpha.", cases=maps)
def corrects_the_map(student, rng, N, wide, out, rank):
    "the map and its correction"
    x, W = rng.standard_normal((N, wide)), rng.standard_normal((out, wide))
    A, B = rng.standard_normal((rank, wide)), rng.standard_normal((out, rank))
    wanted = np.einsum("ni,oi->no", x, W + 6.0 / rank * np.einsum("or,ri->oi", B, A))
    close(student.lora(x, W, A, B, 6.0), wanted, rtol=1e-9, atol=1e-12)


@lora.test(points=1, hint="Add the correction to x @ W.T; do not merge first.", cases=maps)
def changes_nothing_at_first(student, rng, N, wide, out, rank):
    "with B = 0 the result is that of the map, bit for bit"
    x, W = rng.standard_normal((N, wide)), rng.standard_normal((out, wide))
    A = rng.standard_normal((rank, wide))
    close(student.lora(x, W, A, np.zeros((out, rank)), 4.0), x @ W.T, rtol=0, atol=0)


leaves_arguments(lora)

# -------------------------------------------------------------------------------------- nf4


def blocks(rng, level):
    yield {"blocks": 2, "block": 64}
    yield {"blocks": 3, "block": 8}
    if level == "hidden":
        yield {"blocks": int(rng.integers(4, 7)), "block": 16}


def rounded(w, levels, block):
    places, largest = [], []
    for start in range(0, len(w), block):
        part = w[start : start + block]
        top = max(abs(float(x)) for x in part)
        largest.append(top)
        for x in part:
            away = [abs((x / top if top else 0.0) - level) for level in levels]
            places.append(away.index(min(away)))
    return np.array(places), np.array(largest)


def both(answer):
    if not isinstance(answer, (tuple, list)) or len(answer) != 2:
        raise Wrong("type", "the answer should be two things: places and largest values")
    return answer


@nf4.test(points=2, hint="A row a block; the nearest of the levels.", cases=blocks)
def finds_the_nearest_level(student, rng, blocks, block):
    "every number becomes its nearest level"
    w = rng.standard_normal(blocks * block) * np.repeat(rng.uniform(0.1, 9, blocks), block)
    places = array(both(student.nf4(w, LEVELS, block))[0], shape=w.shape, what="the places")
    true(places.dtype.kind in "iu", "the places should be whole numbers", kind="dtype")
    close(places, rounded(w, LEVELS, block)[0], rtol=0, atol=0, what="the places")


@nf4.test(points=1, hint="The largest absolute value, one for each block.", cases=blocks)
def keeps_each_scale(student, rng, blocks, block):
    "one scale for each block"
    w = rng.standard_normal(blocks * block) - 1.0
    largest = both(student.nf4(w, LEVELS, block))[1]
    close(largest, rounded(w, LEVELS, block)[1], rtol=1e-12, what="the largest values")


@nf4.test(points=1, hint="A block of zeros would be divided by 0.", cases=blocks)
def takes_a_block_of_zeros(student, rng, blocks, block):
    "a block of zeros"
    w = rng.standard_normal(blocks * block)
    w[block : 2 * block] = 0
    places, largest = both(student.nf4(w, LEVELS, block))
    wanted = rounded(w, LEVELS, block)
    close(places, wanted[0], rtol=0, atol=0, what="the places")
    close(largest, wanted[1], rtol=1e-12, what="the largest values")


leaves_arguments(nf4)

# ----------------------------------------------------------------------------------- fit_bt


def tournaments(rng, level):
    yield {"K": 3, "games": 20}
    yield {"K": 4, "games": 50}
    if level == "hidden":
        yield {"K": 6, "games": 30}


def played(rng, K, games):
    """Wins of a tournament in which everybody has won and lost."""
    truth = rng.normal(0, 0.5, K)
    wins = np.zeros((K, K))
    for i in range(K):
        for j in range(i):
            wins[i, j] = 1 + rng.binomial(games, 1 / (1 + math.exp(truth[j] - truth[i])))
            wins[j, i] = games + 2 - wins[i, j]
    return wins


@fit_bt.test(points=3, hint="At the best ratings everybody wins as often as expected.",
             cases=tournaments)  # fmt: skip
def expects_what_was_won(student, rng, K, games):
    "the expected wins are those that were won"
    wins = played(rng, K, games)
    rating = array(student.fit_bt(wins), shape=(K,), what="the ratings")
    p = 1 / (1 + np.exp(rating[None] - rating[:, None]))
    expected = ((wins + wins.T) * p).sum(1) - np.diag(wins)
    close(expected, wins.sum(1), rtol=1e-4, atol=1e-4, what="the wins that your ratings expect")


@fit_bt.test(points=1, hint="Subtract the mean.", cases=tournaments)
def has_mean_zero(student, rng, K, games):
    "the mean is 0, and two players are log(wins / losses) apart"
    wins = np.array([[0.0, 2 * games + K], [games, 0]])
    half = math.log((2 * games + K) / games) / 2
    close(student.fit_bt(wins), [half, -half], rtol=1e-5)


leaves_arguments(fit_bt)
