"""Tests of exercise set 07d: PGR, perplexity, ROUGE-L, self-instruct, hops, chains, a classifier."""

import itertools
import math

import numpy as np

from minilm.course.checking.expect import array, close, same, true
from minilm.course.checking.probes import leaves_arguments
from minilm.course.checking.questions import Question

TITLE = "Alignment and data: gaps, filters, hops, chains"

pgr = Question("pgr", title="how much of the gap", lines=1)
ppl_filter = Question("ppl_filter", title="the least surprising ones", lines=8)
rouge_l = Question("rouge_l", title="in the same order", lines=10)
self_instruct_filter = Question("self_instruct_filter", title="nothing twice", lines=6)
two_hop_search = Question("two_hop_search", title="two hops", lines=5)
make_cot = Question("make_cot", title="show your work", lines=8)
quality_clf = Question("quality_clf", title="good or not", lines=10)

WORDS = "alpha beta gamma delta eta theta iota kappa mu nu pi rho sigma tau phi".split()
NAMES = "ann bob cy di eli flo gus hal ida jon kit lea max ned ona pam".split()
KINDS = "boss pal aunt foe tutor".split()


def text_of(rng, words, count):
    return " ".join(rng.choice(words, count))


def texts_in(answer):
    """An answer that should be a list of texts."""
    true(isinstance(answer, (list, tuple)), "return a list of texts", "type")
    return [str(t) for t in answer]


# ------------------------------------------------------------------------- pgr


def gaps(rng, level):
    yield {"low": 0.6}
    yield {"low": 0.85}
    if level == "hidden":
        yield {"low": float(rng.uniform(0.5, 0.9))}


@pgr.test(points=1, hint="What was won over what there was to win.", cases=gaps)
def between_the_two(student, rng, low):
    "0 at weak, 1 at strong, and in proportion between"
    high = low + float(rng.uniform(0.03, 0.1))
    close(student.pgr(low, low, high), 0.0, atol=1e-12)
    close(student.pgr(low, high, high), 1.0, rtol=1e-12)
    for _ in range(6):
        share = float(rng.uniform(0.05, 0.95))
        close(student.pgr(low, low + share * (high - low), high), share, rtol=1e-9)


@pgr.test(points=1, hint="It may be below 0 and above 1.", cases=gaps)
def outside(student, rng, low):
    "a student below its teacher, and one above true labels"
    high = low + float(rng.uniform(0.03, 0.1))
    for share in (-float(rng.uniform(0.2, 2)), 1 + float(rng.uniform(0.1, 1))):
        close(student.pgr(low, low + share * (high - low), high), share, rtol=1e-9)


leaves_arguments(pgr)


# ------------------------------------------------------------------------- ppl_filter


def pools(rng, level):
    yield {"count": 8, "q": 0.5}
    yield {"count": 12, "q": 0.25}
    if level == "hidden":
        yield {"count": 40, "q": 0.625}


def language(rng):
    """Logarithms of some pairs; the rest is unknown."""
    lm = {f"{a} {b}": -float(rng.uniform(0.2, 4))
          for a in ["^", *WORDS] for b in WORDS if rng.random() < 0.5}  # fmt: skip
    lm["?"] = -float(rng.uniform(4.5, 6))
    return lm


def surprise(doc, lm):
    words = doc.split()
    logs = [lm["?"] if (k := f"{words[i - 1] if i else '^'} {words[i]}") not in lm else lm[k]
            for i in range(len(words))]  # fmt: skip
    return math.exp(-math.fsum(logs) / len(logs))


def kept_of(docs, lm, q):
    ranked = sorted((surprise(doc, lm), i) for i, doc in enumerate(docs))
    return [docs[i] for i in sorted(i for _, i in ranked[: math.ceil(q * len(docs))])]


@ppl_filter.test(points=2, hint="The mean over words decides, not the sum.", cases=pools)
def keeps_the_least_surprising(student, rng, count, q):
    "documents of very different lengths, in their own order"
    for _ in range(4):
        lm = language(rng)
        docs = [text_of(rng, WORDS, int(rng.integers(1, 30))) for _ in range(count)]
        same(texts_in(student.ppl_filter(list(docs), lm, q)), kept_of(docs, lm, q))


@ppl_filter.test(points=1, hint="ceil(q n) documents, whatever q is.", cases=pools)
def keeps_exactly_so_many(student, rng, count, q):
    "shares of 0, 1, and such that do not come out even"
    lm, docs = language(rng), []
    for _ in range(count + 1):
        docs.append(text_of(rng, WORDS, int(rng.integers(3, 9))))
    for share in (q, 1 / 3, 0.4, 1.0, 0.0):
        same(texts_in(student.ppl_filter(list(docs), lm, share)), kept_of(docs, lm, share))


@ppl_filter.test(
    points=1, hint="The first word follows ^; unknown pairs have lm['?'].", cases=pools
)
def first_words_and_unknown_ones(student, rng, count, q):
    "what begins a document counts, and so does what is not known"
    first, second, odd = (str(w) for w in rng.permutation(WORDS)[:3])
    lm = {f"^ {first}": -0.5, f"^ {second}": -3.0, "?": -5.0, f"{first} {second}": -1.0}
    docs = [second, odd, first, f"{first} {second}", f"{second} {first}", f"{first} {odd}"]
    docs = [docs[i] for i in rng.permutation(len(docs))]
    for share in (1 / 6, 2 / 6, 0.5, 4 / 6):
        same(texts_in(student.ppl_filter(list(docs), lm, share)), kept_of(docs, lm, share))


leaves_arguments(ppl_filter)


# ------------------------------------------------------------------------- rouge_l


def sizes(rng, level):
    yield {"size": 5}
    yield {"size": 8}
    if level == "hidden":
        yield {"size": 11}


def longest(a, b):
    """By trying every subsequence of the shorter one."""
    if len(a) > len(b):
        a, b = b, a
    for size in range(len(a), 0, -1):
        for some in itertools.combinations(a, size):
            rest = iter(b)
            if all(word in rest for word in some):
                return size
    return 0


def score(a, b):
    a, b = a.lower().split(), b.lower().split()
    return 2 * longest(a, b) / (len(a) + len(b)) if a and b else 0.0


@rouge_l.test(points=2, hint="Same order, gaps allowed; 2 L / (m + n).", cases=sizes)
def is_the_longest_of_all(student, rng, size):
    "against every subsequence of short texts"
    for _ in range(6):
        few = WORDS[: int(rng.integers(2, 6))]
        a = text_of(rng, few, size)
        b = text_of(rng, few, int(rng.integers(2, size + 4)))
        close(student.rouge_l(a, b), score(a, b), rtol=1e-9)


@rouge_l.test(points=1, hint="Small letters, and 0.0 for a text without words.", cases=sizes)
def letters_and_empty_texts(student, rng, size):
    "capital letters are no difference, order is, and nothing is like nothing"
    words = [str(w) for w in rng.permutation(WORDS)[:size]]
    a = " ".join(words)
    close(student.rouge_l(a.upper(), a), 1.0, rtol=1e-12)
    close(student.rouge_l(a, " ".join(reversed(words))), 1 / size, rtol=1e-9)
    close(student.rouge_l(a, "  " + "\n".join(words[:2]).title()), 4 / (size + 2), rtol=1e-9)
    for pair in (("", ""), (a, ""), ("  ", a)):
        close(student.rouge_l(*pair), 0.0, atol=1e-12)


def long_texts(rng, level):
    yield {"count": 200}


def woven(rng, shared, others):
    """Both rows of words in one, each in its own order."""
    keys = np.concatenate([np.sort(rng.random(len(shared))), np.sort(rng.random(len(others)))])
    words = [*shared, *others]
    return " ".join(words[i] for i in np.argsort(keys))


@rouge_l.test(points=1, hint="A table; not every subsequence.", cases=long_texts)
def is_quick(student, rng, count):
    "texts of 200 and 170 words that share a known row of words"
    known = int(rng.integers(100, 140))
    shared = [f"s{i}" for i in range(known)]
    sizes_ = {"x": count, "y": count - 30}
    a, b = (
        woven(rng, shared, [f"{mark}{i}" for i in range(size - known)])
        for mark, size in sizes_.items()
    )
    close(student.rouge_l(a, b), 2 * known / (2 * count - 30), rtol=1e-9)


leaves_arguments(rouge_l)


# ------------------------------------------------------------------------- self_instruct_filter


def streams(rng, level):
    yield {"count": 10, "threshold": 0.703}
    yield {"count": 16, "threshold": 0.507}
    if level == "hidden":
        yield {"count": 30, "threshold": round(float(rng.uniform(0.55, 0.8)), 2) + 0.003}


def table(a, b):
    """The longest common subsequence by a whole table."""
    a, b = a.lower().split(), b.lower().split()
    t = np.zeros((len(a) + 1, len(b) + 1), int)
    for i, j in itertools.product(range(len(a)), range(len(b))):
        t[i + 1, j + 1] = t[i, j] + 1 if a[i] == b[j] else max(t[i, j + 1], t[i + 1, j])
    return 2 * t[-1, -1] / (len(a) + len(b)) if a and b else 0.0


def new_ones(texts, pool, threshold):
    taken = []
    for text in texts:
        if not [old for old in pool + taken if table(text, old) >= threshold]:
            taken.append(text)
    return taken


def stream(rng, count):
    """Texts, among them edited copies of earlier ones."""
    texts = []
    for _ in range(count):
        if texts and rng.random() < 0.6:
            words = texts[int(rng.integers(len(texts)))].split()
            for _ in range(int(rng.integers(1, 4))):
                words[int(rng.integers(len(words)))] = str(rng.choice(WORDS))
            texts.append(" ".join(words))
        else:
            texts.append(text_of(rng, WORDS, int(rng.integers(5, 9))))
    return texts


def passed(student, texts, pool, threshold):
    return texts_in(student.self_instruct_filter(list(texts), list(pool), threshold))


@self_instruct_filter.test(points=2, hint="Compare with what was taken, too.", cases=streams)
def takes_what_is_new(student, rng, count, threshold):
    "edited copies come after their originals, with and without a pool"
    for some in (0, count // 3):
        texts = stream(rng, count)
        pool = [texts.pop(int(rng.integers(len(texts)))) for _ in range(some)]
        same(passed(student, texts, pool, threshold), new_ones(texts, pool, threshold))


@self_instruct_filter.test(points=1, hint="Below the threshold; at it a text goes.", cases=streams)
def at_the_threshold(student, rng, count, threshold):
    "a score equal to the threshold is not below it, and what was refused blocks nobody"
    a, b, c, d, e, f = (str(w) for w in rng.permutation(WORDS)[:6])
    first, near, next_ = f"{a} {b} {c} {d}", f"{a} {b} {c} {e}", f"{a} {f} {c} {e}"
    texts = [first, near, next_, first.upper()]
    for limit in (0.75, 0.76, 0.5, 1.0):
        same(passed(student, texts, [], limit), new_ones(texts, [], limit))
    same(passed(student, texts, [near], 0.75), new_ones(texts, [near], 0.75))


leaves_arguments(self_instruct_filter)


# ------------------------------------------------------------------------- two_hop_search


def graphs(rng, level):
    yield {"people": 6, "edges": 12}
    yield {"people": 9, "edges": 40}
    if level == "hidden":
        yield {"people": 14, "edges": 120}


def random_graph(rng, people, edges):
    names = [str(n) for n in rng.permutation(NAMES)[:people]]
    graph = {}
    for _ in range(edges):
        a, b = rng.integers(0, people, 2)
        if a != people - 1:  # the last one leads nowhere, and is not in the graph
            graph.setdefault(names[a], []).append((str(rng.choice(KINDS)), names[b]))
    return names, graph


def reached(graph, question):
    """By looking at every pair of edges."""
    edges = [(a, kind, b) for a, out in graph.items() for kind, b in out]
    start, first, second = question
    return sorted({
        d for a, k, b in edges for c, m, d in edges
        if a == start and k == first and b == c and m == second
    })  # fmt: skip


@two_hop_search.test(points=2, hint="All of the first, then all of the second.", cases=graphs)
def finds_all_of_them(student, rng, people, edges):
    "every start and every two relations, against all pairs of edges"
    names, graph = random_graph(rng, people, edges)
    found = []
    for start in names:
        for first, second in itertools.product(KINDS[:3], KINDS):
            found.append(((start, first, second), reached(graph, (start, first, second))))
    full = [case for case in found if len(case[1]) > 1] or [case for case in found if case[1]]
    for question, wanted in [*full[:15], *found[:5]]:
        same(texts_in(student.two_hop_search(graph, question)), wanted)


@two_hop_search.test(points=1, hint="Who is not in the graph leads nowhere.", cases=graphs)
def dead_ends_and_repeats(student, rng, people, edges):
    "nobody is found twice, a dead end gives an empty list, and a way may lead back"
    a, b, c, d = (str(n) for n in rng.permutation(NAMES)[:4])
    one, two = (str(k) for k in rng.permutation(KINDS)[:2])
    graph = {a: [(one, b), (one, c), (two, d), (one, b)], b: [(two, d), (two, a)], c: [(two, d)]}
    questions = [(a, one, two), (a, two, one), (d, one, two), (b, two, one), (a, two, two)]
    wanted = [sorted([a, d]), [], [], sorted([b, c]), []]
    same([texts_in(student.two_hop_search(graph, q)) for q in questions], wanted)


leaves_arguments(two_hop_search)


# ------------------------------------------------------------------------- make_cot


def hop_counts(rng, level):
    yield {"people": 5, "hops": 2}
    yield {"people": 8, "hops": 1}
    if level == "hidden":
        yield {"people": 12, "hops": 4}


def family(rng, people):
    names = [str(n) for n in rng.permutation(NAMES)[:people]]
    return names, {n: {k: str(rng.choice(names)) for k in KINDS} for n in names}


def proves(text, question, graph):
    """Whether a chain proves an answer: read sentence by sentence."""
    true(isinstance(text, str), "return a text", "type")
    start, *relations = question
    *facts, last, nothing = text.split(" .") if text.endswith(" .") else [text, ""]
    if nothing or len(facts) != len(relations):
        return False
    here = start
    for sentence, relation in zip(facts, relations):
        words = sentence.removeprefix(" ").split(" ")
        if len(words) != 3 or words[:2] != [here, relation]:
            return False
        if graph[here][relation] != words[2]:
            return False
        here = words[2]
    return last == f" so {here}"


@make_cot.test(points=2, hint="Each sentence begins where the last one ended.", cases=hop_counts)
def every_chain_is_a_proof(student, rng, people, hops):
    "a verifier follows each chain, fact by fact, to its answer"
    names, graph = family(rng, people)
    for _ in range(8):
        question = (str(rng.choice(names)), *(str(k) for k in rng.choice(KINDS, hops)))
        text = student.make_cot(question, graph)
        true(proves(text, question, graph), f"{str(text)[:120]!r} does not prove {question}")


@make_cot.test(points=1, hint="Something is missing: None.", cases=hop_counts)
def no_fact_no_chain(student, rng, people, hops):
    "no chain where a person or a relation is missing, a chain where all is there"
    names, graph = family(rng, people)
    a, b, c = names[:3]
    one, two = (str(k) for k in rng.permutation(KINDS)[:2])
    graph[a], graph[b] = {one: b, two: "zed"}, {two: c}
    same(student.make_cot((a, one, two), graph), f"{a} {one} {b} . {b} {two} {c} . so {c} .")
    missing = [(a, one, one), (a, two, one), ("zed", one), (b, one), (a, one, one, two)]
    for question in missing:
        true(student.make_cot(question, graph) is None, f"{question} has no chain: return None")


leaves_arguments(make_cot)


# ------------------------------------------------------------------------- quality_clf


def noises(rng, level):
    yield {"n": 120, "d": 4}
    yield {"n": 300, "d": 10}
    if level == "hidden":
        yield {"n": 400, "d": 20}


def planted(rng, n, d, shift):
    """Features of which the labels move some, around a mean that is not 0."""
    way = rng.standard_normal(d)
    y = (rng.random(n) < 0.4).astype(float)
    y[:2] = 0.0, 1.0
    X = rng.standard_normal((n, d)) + shift + 1.6 * np.outer(y, way / np.linalg.norm(way))
    return X, y


def fitted(student, X, y):
    answer = student.quality_clf(X.copy(), y.copy())
    true(isinstance(answer, (tuple, list)) and len(answer) == 2, "return (w, b)", "type")
    w = array(answer[0], shape=(X.shape[1],), what="w").astype(float)
    b = float(array(answer[1], shape=(), what="b"))
    true(np.isfinite(w).all() and np.isfinite(b), "w or b is not finite")
    return w, b


def area(scores, y):
    """How often a 1 stands above a 0, by comparing all pairs."""
    above = scores[y == 1][:, None] - scores[y == 0]
    return float((above > 0).mean() + 0.5 * (above == 0).mean())


@quality_clf.test(points=2, hint="Down the gradient until it is below 0.001.", cases=noises)
def is_the_lowest_point(student, rng, n, d):
    "the gradient ends below 0.001, for w and for b"
    for shift in (0.0, 0.7):
        X, y = planted(rng, n, d, shift)
        w, b = fitted(student, X, y)
        p = 0.5 * (1 + np.tanh((X @ w + b) / 2))
        gradient = np.append(X.T @ (p - y) / n + 0.01 * w, (p - y).mean())
        worst = float(np.abs(gradient).max())
        true(worst < 0.001, f"an entry of the gradient is {worst:.4f}; it must be below 0.001")


@quality_clf.test(points=1, hint="sigmoid(X w + b) is p(1), not p(0).", cases=noises)
def tells_documents_that_it_never_saw(student, rng, n, d):
    "planted noise is told apart on fresh documents: area under the curve above 0.9"
    way = rng.standard_normal(d)
    way *= 2.6 / np.linalg.norm(way)
    y = (np.arange(2 * n) % 2).astype(float)
    X = rng.standard_normal((2 * n, d)) + np.outer(y, way)
    w, b = fitted(student, X[:n], y[:n])
    found = area(X[n:] @ w + b, y[n:])
    true(found > 0.9, f"the area under the curve is {found:.3f}; it should be above 0.9")


@quality_clf.test(points=1, hint="exp of large numbers overflows; use tanh.", cases=noises)
def does_not_overflow(student, rng, n, d):
    "labels that one feature gives away, and rows far out"
    X = rng.standard_normal((n, d))
    y = (X[:, 0] > 0).astype(float)
    X[: n // 10] *= 8.0
    w, b = fitted(student, X, y)
    z = X @ w + b
    loss = float(np.mean(np.logaddexp(0, z) - y * z) + 0.005 * (w @ w))
    p = 0.5 * (1 + np.tanh(z / 2))
    gradient = np.append(X.T @ (p - y) / n + 0.01 * w, (p - y).mean())
    true(np.abs(gradient).max() < 0.001, f"the loss ends at {loss:.4f}, above its lowest point")


leaves_arguments(quality_clf)
