"""Tests of exercise set 09: similarity, pass@k, filters, holes, signatures, bands, copies, leaks."""

import math

import numpy as np

from minilm.course.checking.expect import close, same, true
from minilm.course.checking.probes import leaves_arguments
from minilm.course.checking.questions import Question

TITLE = "Code models: filters, copies, holes, scores"

jaccard = Question("jaccard", title="how alike are two sets", lines=2)
pass_at_k = Question("pass_at_k", title="at least one of k", lines=3)
basic_filters = Question("basic_filters", title="the published filters", lines=6)
fim_permute = Question("fim_permute", title="a hole in the middle", lines=8)
fim_restore = Question("fim_restore", title="and back", lines=5)
minhash = Question("minhash", title="the smallest numbers", lines=3)
optimal_br = Question("optimal_br", title="bands and rows", lines=9)
dedup = Question("dedup", title="one of each kind", lines=14)
decontaminate = Question("decontaminate", title="take the exam out", lines=7)
overhead = Question("overhead", title="small and long", lines=6)

WORDS = "alpha beta gamma delta eta theta iota kappa mu nu pi rho sigma tau phi".split()


def text_of(rng, words, count):
    return " ".join(rng.choice(words, count))


# ------------------------------------------------------------------------- jaccard


def sets(rng, level):
    yield {"size": 4}
    yield {"size": 9}
    if level == "hidden":
        yield {"size": 30}


@jaccard.test(points=1, hint="Shared over all.", cases=sets)
def counts_shared_and_all(student, rng, size):
    "sets of numbers and of words"
    for _ in range(6):
        one, other = (set(rng.choice(3 * size, size).tolist()) for _ in range(2))
        wanted = sum(x in other for x in one) / sum(
            1 for x in range(3 * size) if x in one or x in other
        )
        close(student.jaccard(one, other), wanted, rtol=1e-12)
    close(student.jaccard({"a", "b"}, {"b"}), 0.5, rtol=1e-12)


@jaccard.test(points=1, hint="Two empty sets are alike.", cases=sets)
def empty_sets(student, rng, size):
    "two empty sets give 1, an empty and a full one 0"
    some = set(rng.choice(100, size).tolist())
    answers = [
        student.jaccard(set(), set()),
        student.jaccard(some, set()),
        student.jaccard(some, some),
    ]
    same([float(x) for x in answers], [1.0, 0.0, 1.0])


leaves_arguments(jaccard)


# ------------------------------------------------------------------------- pass_at_k


def counts(rng, level):
    yield {"n": 10}
    yield {"n": 20}
    if level == "hidden":
        yield {"n": int(rng.integers(30, 60))}


@pass_at_k.test(points=2, hint="1 - C(n-c, k) / C(n, k).", cases=counts)
def is_the_share_of_draws(student, rng, n):
    "for any c and k, against exact binomials"
    for _ in range(12):
        c, k = int(rng.integers(1, n - 1)), int(rng.integers(1, n))
        wanted = 1 - math.comb(n - c, k) / math.comb(n, k)
        close(student.pass_at_k(n, c, k), wanted, rtol=1e-9, atol=1e-12)


@pass_at_k.test(points=1, hint="Fewer than k wrong ones: 1. None right: 0.", cases=counts)
def edges(student, rng, n):
    "no right program, all right, fewer wrong ones than tries"
    k = int(rng.integers(2, n))
    answers = [student.pass_at_k(n, *pair) for pair in ((0, k), (n, 1), (n - k + 1, k), (1, n))]
    close(np.array([float(x) for x in answers]), np.array([0.0, 1.0, 1.0, 1.0]), atol=1e-12)
    close(student.pass_at_k(n, 1, 1), 1 / n, rtol=1e-9)


def many(rng, level):
    yield {"n": 2000}
    if level == "hidden":
        yield {"n": int(rng.integers(1500, 2000))}


@pass_at_k.test(points=1, hint="Multiply fractions, or use whole numbers.", cases=many)
def does_not_overflow(student, rng, n):
    "two thousand programs"
    c, k = int(rng.integers(5, 40)), int(rng.integers(50, 300))
    wanted = 1 - math.comb(n - c, k) / math.comb(n, k)
    close(student.pass_at_k(n, c, k), wanted, rtol=1e-8)


# ------------------------------------------------------------------------- basic_filters


def pages(rng, level):
    yield {"lines": 5}
    yield {"lines": 12}
    if level == "hidden":
        yield {"lines": 25}


def verdict(student, text):
    answer = student.basic_filters(text)
    true(isinstance(answer, (bool, np.bool_)), "return True or False", "type")
    return bool(answer)


@basic_filters.test(points=1, hint="At most 1,000 characters in a line.", cases=pages)
def the_longest_line(student, rng, lines):
    "a line of 1,000 passes, one of 1,001 does not"
    rest = [text_of(rng, WORDS, 4) for _ in range(4 * lines)]
    for size in (1000, 1001):
        page = [*rest]
        page.insert(int(rng.integers(len(page))), "x" * size)
        same(verdict(student, "\n".join(page)), size == 1000, what=f"a line of {size}")


@basic_filters.test(points=1, hint="At most 100 on average, line ends not counted.", cases=pages)
def the_mean_line(student, rng, lines):
    "a mean of 100 passes, one a little above it does not"
    page = ["a" * (100 + d) for d in range(-lines, lines + 1)]
    rng.shuffle(page)
    same(verdict(student, "\n".join(page)), True, what="a mean of 100")
    page[0] += "a"
    same(verdict(student, "\n".join(page) + "\n"), False, what="a mean above 100")


@basic_filters.test(points=1, hint="Letters and digits over all characters.", cases=pages)
def letters_and_digits(student, rng, lines):
    "a quarter of letters and digits passes, less does not"
    letters = list("aZ09éß")
    page = "".join(rng.choice(letters, lines)) + "-" * (3 * lines - lines) + "\n" * lines
    same(verdict(student, page), True, what="exactly a quarter")
    same(verdict(student, page + "-"), False, what="a little less")


@basic_filters.test(points=1, hint="An empty text does not pass.", cases=pages)
def nothing_and_little(student, rng, lines):
    "the empty text, and short ones"
    one, line = str(rng.choice(list("abcXYZ789"))), "\n" * int(rng.integers(1, 2 * lines))
    few, many_ = ("".join(rng.choice(list("-=+*/#.,"), n)) for n in (3, 4))
    same([verdict(student, t) for t in ("", one, line, few + one, one + few, one + many_, many_ + one)],
         [False, True, False, True, True, False, False])  # fmt: skip


# ------------------------------------------------------------------------- fim_permute


def documents(rng, level):
    yield {"size": 6}
    yield {"size": 40}
    if level == "hidden":
        yield {"size": 150}


def letters(rng, size):
    return "".join(rng.choice(list("abcdef \n():"), size))


def arranged(document, u, rate, spm_rate):
    """By the definition."""
    if not u[0] < rate:
        return document
    cuts = [math.floor(u[i] * (len(document) + 1)) for i in (1, 2)]
    P, M, S = document[: min(cuts)], document[min(cuts) : max(cuts)], document[max(cuts) :]
    if u[3] < spm_rate:
        return "<fim_prefix><fim_suffix>" + S + "<fim_middle>" + P + M
    return "<fim_prefix>" + P + "<fim_suffix>" + S + "<fim_middle>" + M


@fim_permute.test(points=2, hint="P, M, S; then the order that u[3] says.", cases=documents)
def both_orders(student, rng, size):
    "PSM and SPM, cuts in either order"
    for spm in (0.0, 1.0, 0.0, 1.0):
        document, u = letters(rng, size), rng.random(4).tolist()
        same(student.fim_permute(document, u, 1.0, spm), arranged(document, u, 1.0, spm))


@fim_permute.test(points=1, hint="u[0] is compared with rate, u[3] with spm_rate.",
                  cases=documents)  # fmt: skip
def left_as_it_is(student, rng, size):
    "rates decide, and a draw equal to the rate leaves the document"
    document = letters(rng, size)
    for first, rate in ((0.5, 0.5), (0.0, 0.0), (0.4, 0.3), (0.2, 0.3)):
        for last in (0.1, 0.6, 0.5):
            u = [first, float(rng.random()), float(rng.random()), last]
            same(student.fim_permute(document, u, rate, 0.5), arranged(document, u, rate, 0.5))


@fim_permute.test(points=1, hint="Cuts go from 0 to n, both included.", cases=documents)
def empty_parts(student, rng, size):
    "cuts at both ends, equal cuts, an empty document"
    document = letters(rng, size)
    for u in ([0, 0, 0.9999, 0.9], [0, 0, 0, 0.1], [0, 0.9999, 0.9999, 0.9], [0, 0.9999, 0, 0.1]):
        same(student.fim_permute(document, u, 1.0, 0.5), arranged(document, u, 1.0, 0.5))
    same(
        student.fim_permute("", [0, 0.3, 0.8, 0.9], 1.0, 0.5),
        arranged("", [0, 0, 0, 0.9], 1.0, 0.5),
    )


leaves_arguments(fim_permute)


# ------------------------------------------------------------------------- fim_restore


@fim_restore.test(points=2, hint="prefix + what stands last + suffix.", cases=documents)
def undoes_both_orders(student, rng, size):
    "PSM and SPM come back"
    for spm in (0.0, 1.0, 0.0, 1.0):
        document, u = letters(rng, size), rng.random(4).tolist()
        same(student.fim_restore(arranged(document, u, 1.0, spm)), document)


@fim_restore.test(points=1, hint="Without markers: as it is.", cases=documents)
def plain_and_empty(student, rng, size):
    "a plain text, and parts that are empty"
    document = letters(rng, size)
    same(student.fim_restore(document), document)
    for cuts in ([0, 0], [0, 0.9999], [0.9999, 0.9999]):
        for last in (0.1, 0.9):
            text = arranged(document, [0, *cuts, last], 1.0, 0.5)
            same(student.fim_restore(text), document)
    same(student.fim_restore("<fim_prefix><fim_suffix><fim_middle>"), "")


# ------------------------------------------------------------------------- minhash


def signatures(rng, level):
    yield {"count": 3, "pairs": 4}
    yield {"count": 20, "pairs": 16}
    if level == "hidden":
        yield {"count": 60, "pairs": 40}


@minhash.test(points=2, hint="The smallest for each pair of a and b.", cases=signatures)
def small_numbers(student, rng, count, pairs):
    "numbers whose products are small"
    hashes = [int(x) for x in rng.integers(0, 1000, count)]
    a, b = ([int(x) for x in rng.integers(1, 1000, pairs)] for _ in range(2))
    wanted = [min(x * h + y for h in hashes) for x, y in zip(a, b)]
    same([int(x) for x in student.minhash(hashes, a, b)], wanted)


@minhash.test(points=2, hint="Products beyond 64 bits: Python's integers.", cases=signatures)
def large_numbers(student, rng, count, pairs):
    "products beyond 64 bits, first the prime, then 32 bits"
    hashes = [int(x) for x in rng.integers(2**31, 2**32, count)]
    a, b = ([int(x) for x in rng.integers(2**59, 2**61 - 1, pairs)] for _ in range(2))
    wanted = []
    for x, y in zip(a, b):
        smallest = 2**32
        for h in hashes:
            smallest = min(smallest, divmod(x * h + y, 2**61 - 1)[1] & 0xFFFFFFFF)
        wanted.append(smallest)
    same([int(x) for x in student.minhash(hashes, a, b)], wanted)


leaves_arguments(minhash)


# ------------------------------------------------------------------------- optimal_br


def budgets(rng, level):
    yield {"threshold": 0.6, "count": 24}
    yield {"threshold": 0.8, "count": 40}
    if level == "hidden":
        yield {"threshold": round(float(rng.uniform(0.3, 0.5)), 2), "count": 48}
        yield {"threshold": round(float(rng.uniform(0.85, 0.95)), 2), "count": 36}


def areas(threshold, b, r):
    low, high = np.linspace(0, threshold, 501), np.linspace(threshold, 1, 501)
    meet, miss = 1 - (1 - low**r) ** b, (1 - high**r) ** b
    return float(((meet[1:] + meet[:-1]) / 2).sum() * (low[1] - low[0])
                 + ((miss[1:] + miss[:-1]) / 2).sum() * (high[1] - high[0]))  # fmt: skip


@optimal_br.test(points=4, hint="The least sum of both areas; (25, 10) at 0.7 with 256 numbers.",
                 cases=budgets)  # fmt: skip
def is_the_best_pair(student, rng, threshold, count):
    "no other pair has a smaller sum of areas"
    threshold = round(threshold + float(rng.uniform(0, 0.04)), 4)
    answer = student.optimal_br(threshold, count)
    true(isinstance(answer, (tuple, list)) and len(answer) == 2, "return (b, r)", "type")
    b, r = (int(x) for x in answer)
    true(b >= 1 and r >= 1 and b * r <= count, f"{b} bands of {r} rows need {b * r} numbers")
    best = min(
        areas(threshold, x, y) for x in range(1, count + 1) for y in range(1, count // x + 1)
    )
    close(areas(threshold, b, r), best, rtol=1e-9)
    same([int(x) for x in student.optimal_br(0.7, 256)], [25, 10])
    same([int(x) for x in student.optimal_br(threshold, 1)], [1, 1])


# ------------------------------------------------------------------------- dedup


def heaps(rng, level):
    yield {"count": 6, "threshold": 0.6}
    yield {"count": 12, "threshold": 0.5}
    if level == "hidden":
        yield {"count": 20, "threshold": 0.75}


def survivors(texts, threshold):
    """By search through the graph of alike texts."""
    words = [set(t.split()) for t in texts]

    def alike(i, j):
        both = words[i] | words[j]
        return not both or len(words[i] & words[j]) / len(both) >= threshold

    left, seen = set(), set()
    for start in range(len(texts)):
        if start in seen:
            continue
        group, edge = {start}, [start]
        while edge:
            here = edge.pop()
            for other in range(len(texts)):
                if other not in group and alike(here, other):
                    group.add(other)
                    edge.append(other)
        seen |= group
        longest = max(len(texts[i]) for i in group)
        left.add(min(texts[i] for i in group if len(texts[i]) == longest))
    return [t for i, t in enumerate(texts) if t in left and t not in texts[:i]]


def heap(rng, count):
    """Texts, some of them edited copies of others."""
    texts = [text_of(rng, WORDS, int(rng.integers(3, 8))) for _ in range(count)]
    for _ in range(count):
        words = texts[int(rng.integers(len(texts)))].split()
        words[int(rng.integers(len(words)))] = str(rng.choice(WORDS))
        texts.append(" ".join(words))
    rng.shuffle(texts)
    return texts


def left(student, texts, threshold):
    answer = student.dedup(list(texts), threshold)
    true(isinstance(answer, (list, tuple)), "return a list", "type")
    return [str(t) for t in answer]


@dedup.test(points=2, hint="Groups over chains; the longest survives.", cases=heaps)
def keeps_one_of_each_group(student, rng, count, threshold):
    "texts with edited copies"
    for _ in range(3):
        texts = heap(rng, count)
        same(sorted(left(student, texts, threshold)), sorted(survivors(texts, threshold)))


def chains(rng, level):
    yield {"length": 4}
    if level == "hidden":
        yield {"length": 7}


@dedup.test(points=1, hint="A chain is one group, whatever its order.", cases=chains)
def a_chain_is_one_group(student, rng, length):
    "each text is like the next only, and the order of the list changes nothing"
    words = [f"{word}{int(rng.integers(100))}" for word in rng.permutation(WORDS)]
    chain = [f"{words[i]} {words[i + 1]} {words[i + 2]}" for i in range(length)]
    for _ in range(4):
        order = [chain[i] for i in rng.permutation(length)]
        same(left(student, order, 0.5), survivors(order, 0.5), what="the survivor")


@dedup.test(points=1, hint="Order of first appearance; equal texts once.", cases=heaps)
def keeps_the_order(student, rng, count, threshold):
    "survivors stand as they first stood; equal texts come once"
    texts = heap(rng, count)
    texts += [texts[int(i)] for i in rng.integers(0, len(texts), 4)]
    same(left(student, texts, threshold), survivors(texts, threshold))


leaves_arguments(dedup)


# ------------------------------------------------------------------------- decontaminate


def leaks(rng, level):
    yield {"run": 2, "count": 8}
    yield {"run": 4, "count": 12}
    if level == "hidden":
        yield {"run": 6, "count": 20}


def holds(document, test, run):
    words, wanted = document.lower().split(), test.lower().split()
    return any(words[i : i + run] == wanted[j : j + run]
               for i in range(len(words) - run + 1)
               for j in range(len(wanted) - run + 1))  # fmt: skip


def clean(student, documents_, tests, run):
    answer = student.decontaminate(list(documents_), list(tests), run)
    true(isinstance(answer, (list, tuple)), "return a list", "type")
    return [str(t) for t in answer]


@decontaminate.test(points=2, hint="One shared run of words is enough.", cases=leaks)
def finds_shared_runs(student, rng, run, count):
    "leaks of one run, in the middle of a text, in other letters"
    tests = [text_of(rng, WORDS, run + 3) for _ in range(3)]
    texts = [text_of(rng, WORDS, 3 * run) for _ in range(count)]
    for i in range(0, count, 2):
        words = tests[i % 3].split()
        at = int(rng.integers(len(words) - run + 1))
        part = " ".join(words[at : at + run])
        texts[i] = f"{text_of(rng, WORDS, 2)} {part.upper()}\n {text_of(rng, WORDS, 2)}"
    wanted = [t for t in texts if not any(holds(t, test, run) for test in tests)]
    same(clean(student, texts, tests, run), wanted, what="what is left")


@decontaminate.test(points=1, hint="A run less one word is no leak.", cases=leaks)
def nearly_is_not(student, rng, run, count):
    "almost a run, the same words in another order, and a short test"
    words = [WORDS[int(i)] for i in rng.permutation(len(WORDS))[: run + 1]]
    test = " ".join(words[:run])
    texts = [" ".join(words[: run - 1] + ["x"]), " ".join(reversed(words)), "x " + test, test + "s"]
    wanted = [t for t in texts if not holds(t, test, run)]
    same(clean(student, texts, [test], run), wanted, what="what is left")
    same(clean(student, texts, [" ".join(words[: run - 1])], run), texts, what="with a short test")


def crowds(rng, level):
    yield {"documents_": 2000, "tests": 200}


@decontaminate.test(points=1, hint="One set of runs for all tests.", cases=crowds)
def is_fast(student, rng, documents_, tests):
    "two thousand documents, two hundred tests"
    exam = [text_of(rng, WORDS, 20) for _ in range(tests)]
    texts = [text_of(rng, WORDS, 40) for _ in range(documents_)]
    texts[7] = texts[7] + " " + exam[3]
    known = {tuple(e.split()[i : i + 12]) for e in exam for i in range(9)}
    wanted = []
    for text in texts:
        words = text.split()
        if not any(tuple(words[i : i + 12]) in known for i in range(len(words) - 11)):
            wanted.append(text)
    got = clean(student, texts, exam, 12)
    same(len(got), len(wanted), what="how many are left")
    true(got == wanted, "other documents are left")


leaves_arguments(decontaminate)


# ------------------------------------------------------------------------- overhead


def laws(rng, level):
    yield {"law": (1.69, 406.4, 410.7, 0.34, 0.28), "size": 7e9, "tokens": 1e12}
    yield {"law": (1.8, 480.0, 2100.0, 0.35, 0.37), "size": 1e9, "tokens": 1e12}
    if level == "hidden":
        law = (float(rng.uniform(1, 2)), 300.0, 900.0, float(rng.uniform(0.3, 0.4)), 0.31)
        yield {"law": law, "size": 3e8, "tokens": 2e11}


def cheapest(size, tokens, law):
    """The least N D on the curve of equal loss, by golden search in the logarithm of N."""
    _, A, B, alpha, beta = law
    above = A / size**alpha + B / tokens**beta

    def cost(log_n):
        rest = above - A / math.exp(alpha * log_n)
        return math.inf if rest <= 0 else log_n + math.log(B / rest) / beta

    low, high = math.log(A / above) / alpha + 1e-6, math.log(size) + 12
    for _ in range(300):
        a, b = low + 0.382 * (high - low), low + 0.618 * (high - low)
        low, high = (low, b) if cost(a) < cost(b) else (a, high)
    return math.exp(cost((low + high) / 2))


@overhead.test(points=2, hint="N D over N* D*, less 1.", cases=laws)
def is_the_extra_cost(student, rng, law, size, tokens):
    "against a search along the curve of equal loss"
    wanted = size * tokens / cheapest(size, tokens, law) - 1
    close(student.overhead(size, tokens, law), wanted, rtol=1e-5, atol=1e-7)


@overhead.test(points=1, hint="At the best size it is 0.", cases=laws)
def is_nothing_at_the_best(student, rng, law, size, tokens):
    "0 for the cheapest model, more on both sides of it"
    _, A, B, alpha, beta = law
    share = float(rng.uniform(0.2, 0.4))
    best = (A / (share * beta / (alpha + beta))) ** (1 / alpha)
    reads = (B / (share * alpha / (alpha + beta))) ** (1 / beta)
    close(student.overhead(best, reads, law), 0.0, atol=1e-9)
    for factor in (0.5, 2.0):
        rest = share - A / (factor * best) ** alpha
        longer = (B / rest) ** (1 / beta)
        wanted = factor * best * longer / (best * reads) - 1
        close(student.overhead(factor * best, longer, law), wanted, rtol=1e-6)
