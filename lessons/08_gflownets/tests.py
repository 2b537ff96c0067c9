"""Tests of exercise set 08: Z, balances, flows, the soft optimum, posteriors, a buffer, draws."""

import itertools
import math

import numpy as np

from minilm.course.checking.expect import array, close, same, true
from minilm.course.checking.probes import leaves_arguments
from minilm.course.checking.questions import Question

TITLE = "GFlowNets: flows, balances, posteriors"

partition_from_root = Question("partition_from_root", title="Z from one number", lines=1)
tb_loss = Question("tb_loss", title="trajectory balance", lines=1)
flow_from_rewards = Question("flow_from_rewards", title="the flow of a tree", lines=5)
subtb_loss = Question("subtb_loss", title="the balance of every stretch", lines=8)
reinforce_soft = Question("reinforce_soft", title="what soft reinforcement ends at", lines=6)
enum_posterior = Question("enum_posterior", title="a posterior by listing", lines=8)
replay_add = Question("replay_add", title="a buffer without twins", lines=8)
behaviour_sample = Question("behaviour_sample", title="explore, and know its cost", lines=16)


def random_tree(rng, letters, longest, share):
    """Texts with all their prefixes, and random rewards."""
    whole = ["".join(t) for n in range(longest + 1) for t in itertools.product(letters, repeat=n)]
    kept = {t for t in whole if rng.random() < share} | {""}
    kept |= {t[:end] for t in kept for end in range(len(t))}
    order = sorted(kept)
    rng.shuffle(order)
    return {t: float(rng.uniform(0.1, 3)) for t in order}


def flows(rewards):
    """F by its meaning: all rewards of texts that begin with s."""
    return {s: math.fsum(r for t, r in rewards.items() if t.startswith(s)) for s in rewards}


# ------------------------------------------------------------------------- partition_from_root


def roots(rng, level):
    yield {"letters": "ab", "longest": 2}
    yield {"letters": "abc", "longest": 3}
    if level == "hidden":
        yield {"letters": "abcd", "longest": 3}


@partition_from_root.test(points=1, hint="The flow at the empty text is R / q(stop).", cases=roots)
def is_the_sum_of_all_rewards(student, rng, letters, longest):
    "on a tree with its exact flow, log Z is the log of the sum"
    rewards = random_tree(rng, letters, longest, 0.6)
    stop = rewards[""] / flows(rewards)[""]
    answer = student.partition_from_root(math.log(rewards[""]), math.log(stop))
    close(answer, math.log(sum(rewards.values())), rtol=1e-10, atol=1e-12)


@partition_from_root.test(points=1, hint="A difference works on arrays, too.", cases=roots)
def works_on_arrays(student, rng, letters, longest):
    "arrays of roots"
    log_r, log_stop = rng.normal(size=4), -rng.uniform(0.1, 5, 4)
    close(student.partition_from_root(log_r, log_stop), log_r - log_stop, rtol=1e-12, atol=1e-12)


# ------------------------------------------------------------------------- tb_loss


def lengths(rng, level):
    yield {"n": 1}
    yield {"n": 4}
    if level == "hidden":
        yield {"n": int(rng.integers(5, 9))}


@tb_loss.test(points=1, hint="Add up log_q, add log_stop.", cases=lengths)
def squares_the_imbalance(student, rng, n):
    "(log Z + log q - log R) squared"
    log_q, log_z, log_stop, log_r = -rng.uniform(0, 2, n), *rng.normal(size=3)
    wanted = (log_z + math.fsum(log_q) + log_stop - log_r) ** 2
    close(student.tb_loss(float(log_z), log_q, float(log_stop), float(log_r)), wanted, rtol=1e-9)


@tb_loss.test(points=1, hint="np.sum of an empty array is 0.", cases=lengths)
def an_empty_text(student, rng, n):
    "the text without letters"
    log_z, log_stop, log_r = (float(x) for x in rng.normal(size=3))
    answer = student.tb_loss(log_z, np.zeros(0), log_stop, log_r)
    close(answer, (log_z + log_stop - log_r) ** 2, rtol=1e-9)


leaves_arguments(tb_loss)


# ------------------------------------------------------------------------- flow_from_rewards


def trees(rng, level):
    yield {"letters": "ab", "longest": 2, "share": 0.8}
    yield {"letters": "abc", "longest": 3, "share": 0.5}
    if level == "hidden":
        yield {"letters": "abcd", "longest": 4, "share": 0.2}
        yield {"letters": "xy", "longest": 6, "share": 0.3}


def found_flow(student, rewards):
    answer = student.flow_from_rewards(dict(rewards))
    true(isinstance(answer, dict), "return a dictionary", "type")
    true(set(answer) == set(rewards), "the texts of your flow are not those of the rewards")
    return {text: float(array(answer[text], shape=(), what=f"F of {text!r}")) for text in rewards}


@flow_from_rewards.test(points=2, hint="Children before parents.", cases=trees)
def counts_everything_below(student, rng, letters, longest, share):
    "each flow is the sum of all rewards at and below its text"
    rewards = random_tree(rng, letters, longest, share)
    found, wanted = found_flow(student, rewards), flows(rewards)
    names = sorted(rewards)
    close(np.array([found[t] for t in names]), np.array([wanted[t] for t in names]), rtol=1e-9)


@flow_from_rewards.test(points=1, hint="A prefix is text[:-1], not any shorter text.", cases=trees)
def a_chain(student, rng, letters, longest, share):
    "a single long text and its prefixes, whatever their order"
    text = "".join(rng.choice(list(letters), 2 * longest + 2))
    rewards = {text[:end]: float(rng.uniform(0.1, 2)) for end in rng.permutation(len(text) + 1)}
    found, wanted = found_flow(student, rewards), flows(rewards)
    close(np.array([found[t] for t in rewards]), np.array([wanted[t] for t in rewards]), rtol=1e-9)


leaves_arguments(flow_from_rewards)


# ------------------------------------------------------------------------- subtb_loss


def stretches(rng, level):
    yield {"n": 1, "decay": 1.0}
    yield {"n": 3, "decay": 1.0}
    yield {"n": 4, "decay": 0.7}
    if level == "hidden":
        yield {"n": int(rng.integers(5, 8)), "decay": 0.5}


def balance(log_r, log_q, log_stop, decay):
    """By the definition, pair by pair."""
    parts = [
        (decay ** (j - i - 1),
         log_r[i] - log_stop[i] + math.fsum(log_q[i:j]) - log_r[j] + log_stop[j])
        for i in range(len(log_q))
        for j in range(i + 1, len(log_q) + 1)
    ]  # fmt: skip
    return math.fsum(w * d * d for w, d in parts) / math.fsum(w for w, _ in parts)


@subtb_loss.test(points=3, hint="All pairs i < j, weighted decay^(j - i - 1).", cases=stretches)
def is_the_mean_over_pairs(student, rng, n, decay):
    "the weighted mean over all pairs of prefixes"
    given = rng.normal(size=n + 1), -rng.uniform(0, 2, n), -rng.uniform(0, 2, n + 1)
    close(student.subtb_loss(*given, decay), balance(*given, decay), rtol=1e-8)


@subtb_loss.test(points=1, hint="Rewards and stops come with opposite signs.", cases=stretches)
def is_zero_at_the_flow(student, rng, n, decay):
    "0 for the writer that follows the flow, and not 0 when a reward changes"
    text = "ab" * n
    rewards = random_tree(rng, "ab", 2, 0.7) | {
        text[:end]: float(rng.uniform(0.1, 2)) for end in range(n + 1)
    }
    flow = flows(rewards)
    prefixes = [text[:end] for end in range(n + 1)]
    log_r = np.log([rewards[p] for p in prefixes])
    log_q = np.log([flow[b] / flow[a] for a, b in itertools.pairwise(prefixes)])
    log_stop = np.log([rewards[p] / flow[p] for p in prefixes])
    close(student.subtb_loss(log_r, log_q, log_stop, decay), 0.0, atol=1e-10)
    other = log_r.copy()
    other[-1] += 1
    answer = student.subtb_loss(other, log_q, log_stop, decay)
    close(answer, balance(other, log_q, log_stop, decay), rtol=1e-8)


leaves_arguments(subtb_loss)


# ------------------------------------------------------------------------- reinforce_soft


def alphas(rng, level):
    yield {"N": 3, "alpha": 1.0}
    yield {"N": 5, "alpha": 0.5}
    if level == "hidden":
        yield {"N": int(rng.integers(6, 10)), "alpha": float(rng.uniform(1.5, 3))}


def tilted(log_r, alpha):
    z = [x / alpha for x in log_r]
    top = max(z)
    e = [math.exp(x - top) for x in z]
    return np.array(e) / math.fsum(e)


@reinforce_soft.test(points=2, hint="e^(log R / alpha), over its sum.", cases=alphas)
def is_the_tilted_reward(student, rng, N, alpha):
    "in proportion to R^(1 / alpha)"
    log_r = rng.normal(0, 2, N)
    close(student.reinforce_soft(log_r, alpha), tilted(log_r, alpha), rtol=1e-9, dtype=np.float64)


@reinforce_soft.test(points=1, hint="Subtract the largest log R before np.exp.", cases=alphas)
def does_not_overflow(student, rng, N, alpha):
    "log-rewards around 1,000 and around -1,000"
    for shift in (1000.0, -1000.0):
        log_r = rng.normal(size=N) + shift
        close(student.reinforce_soft(log_r, alpha), tilted(log_r, alpha), rtol=1e-7)


@reinforce_soft.test(points=1, hint="alpha = 0: the largest, and ties share.", cases=alphas)
def at_zero_the_best(student, rng, N, alpha):
    "alpha = 0 with one best answer, and with several"
    log_r = rng.permutation(N).astype(float)
    close(student.reinforce_soft(log_r, 0), (log_r == N - 1).astype(float), rtol=1e-12)
    tied = np.minimum(log_r, N - 2)  # two have the largest
    close(student.reinforce_soft(tied, 0), (tied == N - 2) / 2, rtol=1e-12)


leaves_arguments(reinforce_soft)


# ------------------------------------------------------------------------- enum_posterior


def gaps(rng, level):
    yield {"V": 2, "longest": 1}
    yield {"V": 3, "longest": 2}
    if level == "hidden":
        yield {"V": 3, "longest": 3}
        yield {"V": 4, "longest": 2}


def listed(log_p, left, right, longest):
    """By sums over matrices: each z's path, weighed against the power of the table."""
    V = len(log_p)
    p = np.exp(log_p)
    total = sum(np.linalg.matrix_power(p, n + 1)[left, right] for n in range(longest + 1))
    found = {}
    for n in range(longest + 1):
        for z in itertools.product(range(V), repeat=n):
            path = [left, *z, right]
            found[z] = math.prod(p[a, b] for a, b in itertools.pairwise(path)) / total
    return found


def table_of(rng, V):
    return np.log(rng.dirichlet(np.ones(V), V))


def posterior(student, log_p, left, right, longest):
    answer = student.enum_posterior(log_p, left, right, longest)
    true(isinstance(answer, dict), "return a dictionary", "type")
    return answer


@enum_posterior.test(points=2, hint="p(z, right | left) over the sum of all.", cases=gaps)
def is_bayes(student, rng, V, longest):
    "every filling has its posterior probability"
    log_p, (left, right) = table_of(rng, V), (int(i) for i in rng.integers(0, V, 2))
    answer = posterior(student, log_p, left, right, longest)
    wanted = listed(log_p, left, right, longest)
    true(set(answer) == set(wanted), "your texts are not all tuples of up to `longest` letters")
    order = list(wanted)
    close(np.array([answer[z] for z in order]), np.array([wanted[z] for z in order]), rtol=1e-8)


@enum_posterior.test(points=1, hint="The step to `right` counts, also for ().", cases=gaps)
def looks_at_the_right_side(student, rng, V, longest):
    "another letter on the right gives another posterior"
    log_p = table_of(rng, V)
    for right in range(2):
        answer = posterior(student, log_p, 0, right, longest)
        wanted = listed(log_p, 0, right, longest)
        true(set(answer) == set(wanted), "your texts are not all tuples of up to `longest` letters")
        close(answer[()], wanted[()], rtol=1e-8, what="the share of ()")
        close(answer[(V - 1,)], wanted[(V - 1,)], rtol=1e-8, what="the share of one letter")


leaves_arguments(enum_posterior)


# ------------------------------------------------------------------------- replay_add


def offers(rng, level):
    yield {"count": 8, "size": 4, "apart": 0.25}
    yield {"count": 12, "size": 6, "apart": 0.2}
    if level == "hidden":
        yield {"count": 20, "size": 5, "apart": 0.3}


def word(rng, size, letters="ab"):
    return "".join(rng.choice(list(letters), size))


def offered(buffer, text, reward, apart):
    """The rules, one after the other."""
    if text in buffer:
        return buffer
    near = set()
    for other in buffer:
        if len(other) == len(text):
            differ = len([1 for a, b in zip(text, other) if a != b])
            if differ < apart * 2 * len(text):
                near.add(other)
    if near and reward <= max(buffer[other] for other in near):
        return buffer
    return {t: r for t, r in buffer.items() if t not in near} | {text: reward}


def kept(student, buffer, text, reward, apart):
    answer = student.replay_add(dict(buffer), text, reward, apart)
    true(isinstance(answer, dict), "return a dictionary", "type")
    return {str(t): float(r) for t, r in answer.items()}


@replay_add.test(points=2, hint="Near ones must all be beaten, and then all go.", cases=offers)
def follows_the_rules(student, rng, count, size, apart):
    "a stream of texts, offer after offer"
    buffer = {}
    for _ in range(count):
        text, reward = word(rng, size), float(rng.integers(1, 9))
        wanted = offered(buffer, text, reward, apart)
        same(kept(student, buffer, text, reward, apart), wanted, what="the buffer")
        buffer = wanted


def twins(rng, level):
    yield {"size": 4}
    if level == "hidden":
        yield {"size": 6}


@replay_add.test(points=1, hint="Every neighbour must be worse, not only one.", cases=twins)
def two_neighbours(student, rng, size):
    "a text between two others replaces both or none"
    text = word(rng, size, "ab")
    low, high = "x" + text[1:], text[:-1] + "y"
    buffer = {low: 1.0, high: 3.0, "z" * size: 9.0}
    same(kept(student, buffer, text, 2.0, 0.25), buffer, what="the buffer")
    wanted = {"z" * size: 9.0, text: 4.0}
    same(kept(student, buffer, text, 4.0, 0.25), wanted, what="the buffer")


@replay_add.test(points=1, hint="Other lengths are never near; a text that is there is left.",
                 cases=twins)  # fmt: skip
def same_text_and_other_lengths(student, rng, size):
    "a text that is there keeps its reward; one of another length is added"
    text = word(rng, size, "ab")
    buffer = {text: 2.0}
    longer = text + "a"
    wanted = {text: 2.0, longer: 1.0}
    same(kept(student, buffer, longer, 1.0, 0.25), wanted, what="the buffer")
    same(kept(student, buffer, text, 5.0, 0.25), buffer, what="the buffer")


leaves_arguments(replay_add)


# ------------------------------------------------------------------------- behaviour_sample


def walks(rng, level):
    yield {"L": 1, "V": 1, "temperature": 1.0, "eps": 0.0}
    yield {"L": 4, "V": 3, "temperature": 1.0, "eps": 0.0}
    if level == "hidden":
        yield {"L": 6, "V": 2, "temperature": 1.0, "eps": 0.0}


def heated(rng, level):
    yield {"L": 4, "V": 3, "temperature": 2.0, "eps": 0.0}
    yield {"L": 4, "V": 3, "temperature": 1.0, "eps": 0.4}
    if level == "hidden":
        yield {"L": 5, "V": 4, "temperature": 0.5, "eps": 0.2}


def softmax(row):
    e = np.exp(row - row.max())
    return e / e.sum()


def walk(logits, u, temperature, eps, shortest):
    """The text and its log q, by the definition."""
    text, log_q, stop = [], 0.0, logits.shape[1] - 1
    for t, row in enumerate(logits):
        last = stop + 1 if t >= shortest else stop
        p = (1 - eps) * softmax(row[:last] / temperature) + eps / last
        k = next(k for k in range(last) if math.fsum(p[: k + 1]) > u[t])
        log_q += math.log(softmax(row)[k])
        if k == stop:
            break
        text.append(k)
    return text, log_q


def compare(student, rng, L, V, temperature, eps, shortest):
    """Twelve draws, text and cost."""
    logits = 1.5 * rng.normal(size=(L, V + 1))
    for _ in range(12):
        u = rng.uniform(0.02, 0.97, L)
        wanted, cost = walk(logits, u, temperature, eps, shortest)
        answer = student.behaviour_sample(logits, u, temperature, eps, shortest)
        true(isinstance(answer, (tuple, list)) and len(answer) == 2, "return (text, log_q)", "type")
        true(isinstance(answer[0], list), "the text must be a list", "type")
        same([int(k) for k in answer[0]], wanted, what="the text")
        close(answer[1], cost, rtol=1e-8, what="log q")


@behaviour_sample.test(points=2, hint="The first k whose cumulated p is larger than u.",
                       cases=walks)  # fmt: skip
def draws_from_q(student, rng, L, V, temperature, eps):
    "at temperature 1 without eps: the text that u decides, and its log q"
    compare(student, rng, L, V, temperature, eps, 0)


@behaviour_sample.test(points=2, hint="Draw from one row, count with the plain one.", cases=heated)
def explores_and_counts_with_q(student, rng, L, V, temperature, eps):
    "with temperature and eps: log q is still that of the plain softmax"
    compare(student, rng, L, V, temperature, eps, 0)


@behaviour_sample.test(points=2, hint="No stop while t < shortest: leave it out of the softmax.",
                       cases=heated)  # fmt: skip
def keeps_to_the_least_length(student, rng, L, V, temperature, eps):
    "no text is shorter than asked, and log q has the stop in its softmax"
    compare(student, rng, L, V, temperature, eps, 2)


leaves_arguments(behaviour_sample)
