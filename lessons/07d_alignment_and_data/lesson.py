# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Alignment and data: three ways to the same bias"
#   talk: "From large language models to large multimodal models"
#   speaker: "Ming Ding"
# ---

# %% [markdown] slideshow={"slide_type": "slide"}
# # Alignment and data: three ways to the same bias
#
# ![One question three times: a tree of ways of which one is right, a pointer that moves along two arrows of a graph, and a text that names two facts before its answer.](07d_alignment_and_data/opening.png)
#
# *Who is the coach of the boss of Ann?* Nobody wrote that down. Two facts have to be found and put together. In
# 2019 a graph network did it, then tree search, and now a plain language model that was shown how to think aloud.
# **If an idea can be built into a program, into a network or into a text, which is it worth doing?**
#
# Your bet: sixty people, 240 facts. Search needs a few dozen questions with answers to do all others. How many
# worked examples must a plain model read until it is as good? A hundred? Ten thousand? Or is it never?
#
# *35 minutes to read, one to run. You need training and the loss in nats, as in
# [lesson 00](00_start_here.ipynb).*

# %% [markdown] slideshow={"slide_type": "notes"}
# 3 minutes. Take the bets on the board. For 50 minutes leave out tree search and how soon ideas run out.

# %% [markdown] slideshow={"slide_type": "skip"}
# This is the part of Ming Ding's talk about what comes after pre-training. Fine-tuning on good answers, reward models,
# PPO and DPO are [lesson 04](04_aligning_open_models.ipynb), and the pipeline that makes a corpus is
# [lesson 09](09_code_models.ipynb). Three claims are left. Data, algorithm and architecture are interchangeable
# (30:25). A student can surpass its teacher, because pre-training loss decides (25:47). And the open secret: to clean
# and to filter data matters most (28:50).

# %% slideshow={"slide_type": "skip"}
import numpy as np

from minilm.course import budget, interact, lesson_folder, progress, seeds
from minilm.data.clean.classifier import auc
from minilm.data.clean.overlap import rouge_l as package_rouge
from minilm.data.clean.overlap import self_instruct_filter
from minilm.inference.graph_search import best_path, tree_search
from minilm.models import Transformer
from minilm.models.graph_reader import GraphReader
from minilm.train import train

SEEDS = seeds()  # 0, 1, 2, or those that `minilm run 07d --seeds 3,4,5` asks for
here = lesson_folder("07d")
pictures, verdicts, E = here.pictures, here.module("verdicts"), here.module("experiments")
records = ("levels", "teachers", "filters")
levels, weak, cleaning = (here.recorded(name, whole=True) for name in records)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 1. A world of sixty people
#
# Everybody has a **chief**, a **friend**, a **tutor** and a **rival**. That makes 240 facts, and a text tells each
# of them: `ann chief bob .` (In the code people have invented names.) The facts form a **graph**: people are its
# nodes, and each relation is an arrow from one to another.
#
# Questions use other words. A chief may be called *boss* or *head*, a tutor *coach* or *mentor*, and nobody ever
# says so. `ask coach boss ann :` asks for the tutor of the chief of Ann: the word next to the name is followed
# first. Such a question needs two **hops**. With two words for each relation there are 60 · 8 · 8 = 3,840
# questions.
#
# A test has to be fair. If *the coach of the boss of Ann* is asked, *the mentor of the head of Ann* must not be among
# the questions to learn from: it is the same way through the graph. Whole ways are held out, 400 questions of them.

# %%
world, graph = E.WORLD, E.WORLD.graph()
learn, test = E.asked(SEEDS[0])
print(world.text(world.facts()[0]), " and", len(world.facts()) - 1, "other facts")
for question in test[:3]:
    print(world.text(world.direct(question[None])))
print(f"{len(learn):,} questions to learn from, {len(test)} for the test")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What costs nothing
#
# Before anything is trained: what does a guess give? One of 60 people is right by chance, 1.7 %. But somebody who
# knows all facts and not one word of the questions does better. From Ann 16 ways of two hops lead on. Any of them
# gives 8.4 %, since several may lead to the same person; whom *most* of them lead to is right 14 to 16 times in 100.
# That is the best **shortcut**, and every model below must beat it.

# %%
print(f"any of 60 people {1 / world.people:.1%}, any way of two hops {E.shortcut(test):.1%}")
print(f"whom most ways lead to {E.shortcut(test, most=True):.1%}")

# %% [markdown] slideshow={"slide_type": "notes"}
# 5 minutes for section 1. Let the room answer one question by hand with four facts on the board. Ask why the test
# holds out ways and not questions.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 2. The algorithm: search
#
# If one knew what the words mean, the rest would be a short program. Start at Ann, take all arrows, and from where
# they lead take all arrows again: **breadth-first search**. Of the 16 ways keep the one whose relations fit the
# words.
#
# What words mean is learnt from answers. A question was answered with Carl; which ways from Ann lead to Carl? Each
# of them gets a **vote** for what it says of the words, and if there are two, each gets half a vote. By hand:
# *coach boss ann : carl*. One way leads there, over *chief* and *tutor*. So *boss* gets a vote for *chief*, and
# *coach* one for *tutor*. Sometimes a wrong way leads to the right person, by chance; those votes go everywhere and
# drown.


# %%
def ways_of(graph, start, hops):
    ways = [((start,), ())]  # the people met, and the relations taken
    for _ in range(hops):
        ways = [
            ((*people, to), (*kinds, kind))
            for people, kinds in ways
            for kind, to in graph[people[-1]]
        ]
    return ways


def learn_words(graph, questions, answers):
    votes = np.full((8, 4), 0.02)  # words, relations
    for (start, *words), answer in zip(questions.tolist(), answers.tolist()):
        right = [kinds for people, kinds in ways_of(graph, start, 2) if people[-1] == answer]
        for kinds in right:
            for word, kind in zip(words, kinds):
                votes[word, kind] += 1 / len(right)
    return votes / votes.sum(1, keepdims=True)


# %%
def search(graph, likely, question):
    start, *words = question
    ways = ways_of(graph, start, len(words))
    fit = [np.prod([likely[w, k] for w, k in zip(words, kinds)]) for _, kinds in ways]
    return ways[int(np.argmax(fit))][0][-1]  # whom the best way leads to


# %% slideshow={"slide_type": "subslide"}
likely = learn_words(graph, learn[:30], world.answers(learn[:30]))
relations, asked_words = world.words[4:8], world.words[8:16]
pictures.meanings(likely, asked_words, relations)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Is it exact?
#
# With thirty answers the table above is nearly clean. Now give it the true meanings, and ask everything. **Would
# prove it wrong:** one wrong answer, or one that differs from the package's search.

# %%
true_meaning = np.repeat(np.eye(4), 2, axis=0) + 1e-9  # words 0 and 1 mean relation 0, and so on
everything = world.questions()
ours = np.array([search(graph, true_meaning, q) for q in everything.tolist()])
package = E.searched(true_meaning, everything)
wrong = int((ours != world.answers(everything)).sum())
verdicts.searched(wrong, len(everything), int((ours != package).sum()))

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** an algorithm brings its own bias. This one knows what a graph is, what a hop is, and in which
# order words are followed. It only had to learn eight words.

# %% [markdown] slideshow={"slide_type": "notes"}
# 5 minutes. Point at ways_of: all that the algorithm "knows" stands in nine lines, and none of them came from data.

# %% [markdown] slideshow={"slide_type": "subslide"} tags=["extra"]
# ## When there are too many ways
#
# Each hop makes four times as many ways; with five hops there are 1,024. If a judge of ways is dear, say a large
# model that reads each of them, nobody wants to ask it about all. **Monte Carlo tree search** asks about few. It
# walks down from the start again and again. At each place it prefers the arrow that did well so far, and now and
# then one that it hardly knows:
#
# $$\text{mean score of the arrow} + c\,\sqrt{2 \ln n / n_i}$$
#
# with n visits of the place, n_i of them along this arrow. By hand, c = 1: after 10 visits, an arrow with mean 0.5
# and 8 visits gets 0.5 + √(4.6/8) = 1.26, one with mean 0.2 and 2 visits 0.2 + √(4.6/2) = 1.72. The second is tried
# next: it is not good, but nobody knows yet.
#
# The judge gives the share of relations that fit the words; here c is 0.3. *Before you run it: does tree search
# help with two hops? With five?*


# %%
def hunt(hops, visits, seed):
    words = np.random.default_rng([seed, hops]).integers(0, 8, hops).tolist()

    def judge(kinds):
        return sum(true_meaning[w, k] > 0.5 for w, k in zip(words, kinds)) / hops

    full = best_path(graph, seed, hops, judge)
    tree = tree_search(graph, seed, hops, judge, visits, explore=0.3, seed=seed)
    return tree.judged, full.judged, tree.end == full.end


# %%
hunts = {h: [hunt(h, 20 * h * h, s) for s in range(20)] for h in (1, 2, 3, 4, 5)}
pictures.looks(
    {h: [looked for looked, _, _ in rows] for h, rows in hunts.items()},
    {h: rows[0][1] for h, rows in hunts.items()},
    {h: np.mean([found for _, _, found in rows]) for h, rows in hunts.items()},
)
print({h: f"{np.mean([found for _, _, found in rows]):.0%} found" for h, rows in hunts.items()})

# %% [markdown] slideshow={"slide_type": "fragment"} tags=["extra"]
# With two hops it asks about some 8 ways of 16, with five about 55 of 1,024, and finds the same person each time. It
# pays because the judge says something about a way that is only half right.
#
# **To remember:** tree search buys looks with hints.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 3. The architecture: a graph inside
#
# CogQA, which Ding's group built for questions of several hops, had a language model that reads and a **graph
# network** that reasons; by the talk it gained 10 points (31:18). What does a network look like that cannot help
# following arrows?
#
# It holds a **pointer**: a probability for each person, at first 1 for Ann. A hop reads a word of the question and
# decides how much it means each relation: four numbers that add up to 1, a **gate**. Then the pointer moves along
# all arrows at once, each relation weighted by its gate:
#
# $$p'(y) = \sum_r g_r \sum_{x:\; x \xrightarrow{r} y} p(x)$$
#
# By hand: all of p is on Ann, the gate says 0.8 *chief* and 0.2 *friend*; Ann's chief is Bob, her friend Eve. So p'
# is 0.8 on Bob and 0.2 on Eve. One more hop, and the loss is −log p of the right person.


# %%
def move(pointer, gates):  # (60,), (hops, 4)
    for gate in gates:
        moved = np.zeros(60)
        for kind, share in enumerate(gate):
            np.add.at(moved, world.table[kind], share * pointer)  # along every arrow of this kind
        pointer = moved
    return pointer


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


reader = GraphReader(world.table, words=8, seed=0)
person, *words = test[0]
vectors = softmax(reader.turn.data) @ reader.vectors.weight.data[words]  # which word a hop reads
gates = softmax(vectors @ reader.meaning.weight.data.T + reader.meaning.bias.data)
page = move(np.eye(60)[person], gates)
assert np.abs(page - reader(test[:1]).data[0]).max() < 1e-6

# %% [markdown] slideshow={"slide_type": "fragment"}
# The whole of it is one chain of sums and products, so it has a gradient. Nobody tells it what a word means, or
# which word to read first. It gets questions and answers, and is trained like any network.

# %%
answers = world.answers(test)
counts = (3, 10, 30)
right = {n: [] for n in counts}
for seed in progress(SEEDS):
    for n in counts:
        trained = E.read_graph(seed, n, levels.data["tuning"]["reader"]["lr"])
        own = E.asked(seed).test
        right[n].append((trained.answer(own) == world.answers(own)).mean())
for n, found in right.items():
    print(f"{n:4} questions: {', '.join(f'{r:.0%}' for r in found)} right")

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** an architecture is an algorithm with gaps, and training fills them.

# %% [markdown] slideshow={"slide_type": "notes"}
# 5 minutes for section 3. Do the pointer on the board. Ask: what would it do with a question of three hops? (It
# cannot be asked: two hops are built in.)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 4. The data: show your work
#
# Now a plain language model: two layers of 64 channels, 107,000 weights, no graph. It reads facts, as many small
# stories about animals, and questions. It matters only *which text* about questions it reads:
#
# - **answers alone**: `ask coach boss ann : carl .`
# - **chains**: `ask coach boss ann : ann chief bob . bob tutor carl . so carl .`
#
# This is a **chain of thought**: what search does, told in words, and nothing in the model is changed. By hand:
# after `ann chief` the model has to say *bob*, and it has read that sentence before. No step of a chain is harder
# than a fact.
#
# *Before you run it: both see the same facts. For each chain the other model sees two questions with answers, and ten
# times as many different ones. Which will answer a question whose way it never saw?*


# %%
def chain_of(question):
    person, *words = question
    said = []
    for word in words:
        to = int(world.table[word // 2, person])
        said.append(f"{people[person]} {relations[word // 2]} {people[to]} .")
        person = to
    return " ".join([*said, f"so {people[person]} ."])


people = world.words[world.first_person :]
texts = world.chains(test)  # the package's
assert all(world.text(row).endswith(": " + chain_of(q)) for row, q in zip(texts, test.tolist()))
print(world.text(texts[0]))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## A verifier
#
# A chain can be checked without knowing the answer: each sentence must be a fact about whom the last one led to, the
# relations those that the words stand for, and the answer where the chain ends. The package's `verify` does that. It
# accepts every true chain, and must refuse all else, so we change one word at a time, to each word there is.

# %%
written = world.chains(test[:40])[:, 5:]
accepted, tried = 0, 0
for place in range(written.shape[1]):
    for word in range(world.vocab_size):
        changed = written.copy()
        changed[:, place] = word
        other = (changed != written).any(1)
        accepted += int(world.verify(test[:40], changed)[other].sum())
        tried += int(other.sum())
print(f"true chains accepted: {world.verify(test, texts[:, 5:]).mean():.0%}")
print(f"with a word changed: {accepted} of {tried:,}")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Train it
#
# One model to talk to (section 5 has all seeds). It sees 300 questions of the 3,440, worked out, again and again.
# Of four rows of a batch one is a chain; the rest is facts and stories. Its rate falls along a cosine from the
# start. The study of section 5 holds the rate up for longer, and that makes a large difference at so few steps.


# %%
def study(way, count, seed, steps):
    model = Transformer(E.LM, seed=seed)
    corpus = E.Corpus(way, count, seed)  # facts, other text, questions
    rate = levels.data["tuning"][way]["lr"]
    train(model, corpus, steps, lr=rate, weight_decay=0.05, seed=seed, progress=False)
    return model


model = study("chains", 300, SEEDS[0], budget(250))
exam = E.lm_exam(model, "chains", test)
print(f"{model.num_parameters():,} parameters: {exam['right']:.0%} of unseen questions right")
print(f"with a proof {exam['proven']:.0%}; probability of the whole chain {exam['chance']:.2f}")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Ask it
#
# Choose a person and two words. Green: the verifier accepts what the model wrote. Orange: the answer is right, but
# the chain does not prove it. Red: it is wrong. *Find a wrong one: at which word does it go astray?*


# %%
def ask(person, first, second):
    question = np.array([[person, asked_words.index(first), asked_words.index(second)]])
    ids = E.written(model, question, 11)
    truth = people[world.answers(question)[0]]
    pictures.chain(
        world.text(world.prompts(question)), world.text(ids), bool(world.verify(question, ids)[0]),
        people.index(truth) + world.first_person == ids[0, 9], truth,
    )  # fmt: skip


interact(ask, person=(0, 59, 1, 7), first=list(asked_words), second=list(asked_words[::-1]))

# %% [markdown] slideshow={"slide_type": "notes"}
# 8 minutes for section 4. Let the room ask. Then train it with 100 questions in place of 300 and ask again: the
# sentences stay true, but they are about somebody else.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 5. All three, and a control
#
# A recorded study trains each with more and more questions, three seeds each and at its own tuned rate. The
# control is the plain model with answers alone: as long as the others, and six times as long.
#
# **Would prove the talk wrong** (30:25): with no number of questions up to 300 the chains come within 5 points of
# the better of the other two.

# %% tags=["hide-input"]
pictures.levels(levels, [E.shortcut(E.asked(s).test, most=True) for s in levels.seeds])

# %%
verdicts.levels_meet(levels)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Is it the chains?
#
# Or would any text about questions do? **Would prove it wrong** (ours): after six times the steps answers alone come
# within 50 points of the chains. It is a test only if they have by then learnt nine tenths of what was read.

# %%
verdicts.chains_do_it(levels)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Six times the steps are enough to learn 300 questions by heart, and every fact. Of the others it then answers 3 in
# 100, near a guess among all people and below the shortcut. Of 3,000 it has learnt 36 to 100 %, and no more of the
# others. More time alone does not do it here: nothing in its text says that one answer is made of two facts.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What does it cost to leave it out?
#
# What is built in need not be learnt. So the plain model should need more examples (ours). **Would prove it
# wrong:** the first number of questions with 90 % right is no larger for chains than for both others.

# %%
verdicts.few_and_many(levels)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Ten questions are enough for the reader, ten to thirty for search, three hundred for the plain model, in 250 steps.
# Below that it fails oddly. We looked at what one model writes that had 100 questions (seed 0): 99 % of its sentences
# are true, and 6 of 211 wrong chains mistake a relation. But 92 begin with the wrong person, 71 go astray at the
# second one, and 40 name another in the end. What takes 300 examples to learn is to *copy a name*.
#
# Computing has its price, too: a graph costs 0.1 to 0.3 seconds, the model that reads about it seven (on the right of
# the figure). In exchange nobody had to write the search.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## And elsewhere?
#
# The talk calls data the most general of the three, and architecture the hardest to use (31:09). What does each cost
# *other* tasks? Search and the graph reader have none: a story about animals cannot be given to them. The plain model
# has three: facts, stories, and questions. So the test is whether the chains hurt what it could do before.
#
# **Would prove it wrong** (ours): stories cost 2 % more nats with chains in the corpus than without, or 2 points of
# the facts are lost.


# %% tags=["hide-input"]
def percent(way, name, amount):
    values = [verdicts.last(levels, way, amount, s)[name] for s in levels.seeds_of((way, amount))]
    return f"{100 * np.mean(values):.0f}"


rows = {
    pictures.TITLES[way].replace("\n", " "): [
        percent(way, n, a) for n in ("one hop", "right", "three hops")
    ]
    for way, a in (("search", 300), ("chains", 300), ("answers", 3000))
}
rows["graph reader (architecture)"] = ["cannot", percent("reader", "right", 300), "cannot"]
pictures.elsewhere(rows, ["one hop, %", "two hops, %", "three hops, %"])

# %%
verdicts.others_keep(levels)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Nothing that was there before is lost; a few more facts are known, since each chain tells two of them again. But with
# the word *general* one might expect that a model which can do two hops can do one, or three. It cannot: it writes two
# hops, whatever is asked. Search does three when a number is changed. What is general about data is the *door*:
# everything that can be written down fits through it, chains of three hops, too. What comes out has the form of what went in.
#
# **To remember:** data buys generality with examples; an algorithm buys certainty with a narrow door.

# %% [markdown] slideshow={"slide_type": "notes"}
# 6 minutes for section 5. First bet paid. Ask what the table would look like with chains of three hops in the
# corpus; then ask what would have to change in the graph reader.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 6. A student above its teacher
#
# Who writes the data? The talk's answer is often: a stronger model (25:47). But what when there is none? Burns and
# others let a weak model label data for a strong one. The student copies its teacher's mistakes, one would think. Yet
# where labels contradict what it knows from pre-training, the simplest rule that fits *most* labels may be the truth.
#
# They measure the **performance gap recovered**: of the gap between the teacher and the same student taught by true
# labels, which share was closed?
#
# $$\text{PGR} = \frac{\text{student with weak labels} - \text{teacher}}{\text{student with true labels} -
# \text{teacher}}$$
#
# By hand: 0.80, 0.90 and 0.95 give 0.10 / 0.15 = 0.67.


# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Is it the loss?
#
# Claims about the animals of [lesson 04](04_aligning_open_models.ipynb) are judged: *the badfen likes barns*, true or
# not? A small teacher has read for 60 steps, and learnt from 1,200 true labels. Larger students have read for 0 to 500
# steps when they learn from 2,000 labels that it wrote. Either all of the student learns, or one number (left below):
# the threshold for how likely it finds a claim. Loss falls to the right; a triangle is a PGR below the picture.
#
# **Would prove it wrong:** the student that read most is no better than its teacher. For *decides* (ours: the
# talk says *can*): a student with a lower loss than its teacher is not above it. And for PGR: it is below ½ for
# the student that read most, or answers do not get better as the loss falls (rank correlation above −0.8).

# %% tags=["hide-input"]
pictures.weak_to_strong(weak)

# %% slideshow={"slide_type": "subslide"}
verdicts.surpasses(weak)

# %%
verdicts.decides(weak)

# %% slideshow={"slide_type": "subslide"}
verdicts.recovers(weak)

# %% [markdown] slideshow={"slide_type": "fragment"}
# So yes, and no. With one threshold who read most passes its teacher on every seed, and recovers 65 to 89 % of the gap.
# Where *all* of it learns it ends 2 to 6 points below: it has room for the mistakes. But every student that read has a
# lower loss than its teacher, 1.13 nats or less against 1.45 or more, and 8 of these 18 stay 16 to 31 points below.
# Those are all that have more than 1.04 nats; below 0.927 none is behind, and PGR rises as the loss falls. Before,
# *true* labels leave it behind its teacher, too, or bring it less than 2 points above: no gap, and so no PGR.
#
# **To remember:** labels say which question is asked. The answer must be in the student already.

# %% [markdown] slideshow={"slide_type": "notes"}
# 6 minutes for section 6. The talk says that answers of a commercial model must not train a competitor (25:47).

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 7. The open secret
#
# Cleaning, filtering and making data matter most, says the talk; infrastructure beyond the basics gives about 20 %
# (28:50 to 29:40). How does one filter a text that nobody has labelled? Two ways, both with a small heap of
# documents that one trusts:
#
# - **By perplexity.** Train a small model on the trusted heap, and keep what *surprises it least*. Perplexity
#   is e to the mean loss: the number of equally likely next words.
# - **By a classifier.** Train a model to tell trusted documents from the crawl *as it is*, and keep what looks
#   trusted. Nobody says what is bad: bad is what the trusted heap lacks.
#
# By hand: a model gives the words of one document probabilities ½, ½, ¼, of another ⅛, ½. The mean losses are (1 +
# 1 + 2)/3 = 1.33 bits and (3 + 1)/2 = 2 bits. A bit halves, so the base is 2, not e: 2.5 and 4. The first stays.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The classifier on a page
#
# **Logistic regression**: a weight for each feature, a sum, and a sigmoid makes it a probability. Features here are
# pairs of neighbouring words, counted in 65,536 places by a hash, and how many of them came before. The loss has
# one lowest point, and Newton's method or L-BFGS finds it. Ours goes down the gradient, on two features, and must end where the package's does. The **area
# under the curve**, AUC, says how often a good document scores above a bad one: 1 is perfect, ½ is a coin.

# %%
from minilm.data.clean.classifier import fit_logistic


def classify(X, y, decay=0.1, steps=3000, rate=1.0):
    w, b = np.zeros(X.shape[1]), 0.0
    for _ in range(steps):
        p = 1 / (1 + np.exp(-(X @ w + b)))  # (N,) probability of "trusted"
        w = w - rate * (X.T @ (p - y) / len(y) + decay * w)
        b = b - rate * (p - y).mean()
    return w, b


rng = np.random.default_rng(0)
y = np.repeat([1.0, 0.0], 100)
X = rng.standard_normal((200, 2)) + y[:, None] * [1.5, -0.5]
ours, theirs = classify(X, y), fit_logistic(X, y, decay=0.1)
assert np.abs(ours[0] - theirs[0]).max() < 1e-4 and abs(ours[1] - theirs[1]) < 1e-4
print(f"w = {ours[0].round(3)}, b = {ours[1]:.3f}, area under the curve {auc(X @ ours[0], y):.3f}")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Two kinds of nonsense
#
# Real text: the reference of Python that your machine has, in pieces of about 900 characters. We spoil some, so
# that we know which: in **shuffled** ones the words stand in random order, in **repeated** ones a single line fills
# the page. Each filter sees 400 trusted pieces and a pool, half of it spoilt. *Before you run it: which filter
# fails on which nonsense?*

# %%
areas = {noise: {"perplexity": [], "classifier": []} for noise in E.NOISES}
seen = {noise: {} for noise in E.NOISES}
for noise in progress(E.NOISES):
    for seed in SEEDS:
        pool = E.crawl(seed, noise, 0.5, 160)
        for way in areas[noise]:
            scores = E.scores(way, seed, pool)
            areas[noise][way].append(auc(scores, pool.good))
            seen[noise].setdefault(way, (scores, pool.good))
pictures.score_curves(seen)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The blind spot
#
# A model is not surprised by what is easy, and nothing is easier than the same line again. **Would prove it wrong**
# (ours): the perplexity filter's area under the curve is less than 0.2 lower on repeated lines than on shuffled
# words.

# %%
verdicts.blind(areas, SEEDS)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Shuffled words cost the perplexity filter 18 of 100 pairs of documents, the classifier 3. On repeated lines the
# perplexity filter is worse than a coin: one easy line surprises it less than most good pages do. A classifier
# that counts single words, as GPT-3's filter does, has a blind spot, too: they say what a page is *about*, and a
# shuffled page has the same ones. In a pool with one shuffled document in five, pairs of words put
# 96 of 100 couples of a good and a bad document in order; with single words added it was 63 to 70.
#
# **To remember:** perplexity measures surprise. Nonsense may be surprising, or boring.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What is it worth?
#
# Now train on what is left. Models of 170,000 parameters read 131,000 tokens each: of the pool as it is, of what
# each filter keeps, and of a perfect filter's choice. And because the talk compares with infrastructure: one reads
# the pool as it is for a fifth *longer*, as if a better system had made that free (ours).
#
# **Would prove it wrong** (ours; the talk names no number): at 50 or at 80 % noise the better filter takes away less
# than half of what noise costs. And for *matters most*: at 50 % noise a fifth more training gains as much as cleaning.

# %% tags=["hide-input"]
pictures.cleaned(cleaning)

# %% slideshow={"slide_type": "subslide"}
verdicts.cleaning_pays(cleaning)

# %%
verdicts.beats_more(cleaning)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Shuffled documents are no poison. A model that reads four of them to each good one loses 3 %, because words, and
# how they are spelt, are left as they were; at one in five nothing is seen. The classifier takes away 120 % of the
# cost at half noise and 94 % at four fifths. More than all of it? It keeps a few spoilt documents, but of the good
# ones it *chooses*, those most like the trusted heap. Perplexity takes away 76 and 58 %. *Better* was picked for
# each seed on the documents of the test, which favours filters; the classifier alone keeps the rule, too.
#
# And cleaning half of the pool gains 0.047 bits, a fifth more steps 0.035: ahead on every seed, on one by a hair. With
# a classifier that counted single words two seeds of three failed. Mind where that is measured. After 170 steps a model
# still learns fast, so steps are worth much; near the end of a training they are worth little.
#
# **To remember:** noise costs what else could have been read; a filter buys it back for the price of reading once.

# %% [markdown] slideshow={"slide_type": "notes"}
# 8 minutes for section 7. If somebody asks for real junk: it is both, and adverts have a low perplexity.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 8. Data out of nothing
#
# The third word of the open secret is *synthesis*: let a model write the instructions that it will be trained on.
# It soon repeats itself. Self-instruct takes a new instruction only if it is unlike all that were taken.
# **ROUGE-L** says how alike two texts are: L is the longest row of words that both have in the same order, gaps
# allowed, and the score is 2 L over the words of both. Below 0.7 a text is new.
#
# By hand: *name three red things* and *name three blue things* share three words in order, 2 · 3 / 8 = 0.75. The
# second is not new.


# %%
def rouge_l(a, b):
    a, b = a.lower().split(), b.lower().split()
    row = [0] * (len(b) + 1)  # the longest common row of what was read, for each start of b
    for word in a:
        old = list(row)
        for j, other in enumerate(b, 1):
            row[j] = old[j - 1] + 1 if word == other else max(old[j], row[j - 1])
    return 2 * row[-1] / (len(a) + len(b))


pair = "name three red things", "name three blue things"
print(f"{rouge_l(*pair):.2f}; package {package_rouge(*pair):.2f}")

# %% [markdown] slideshow={"slide_type": "subslide"} tags=["extra"]
# ## How soon ideas run out
#
# Our writer has four moulds, such as *Who is the A of the B of N?*, and fills in relations and people: 3,840
# different instructions. *Your guess: of 400 that it writes, how many are new at 0.7?*

# %%
counts = (25, 50, 100, 200, 400)
taken = {
    f"below {t}": [
        [len(self_instruct_filter(E.instructions(n, seed), threshold=t)) for n in counts]
        for seed in SEEDS
    ]
    for t in (0.5, 0.7, 0.9)
}
pictures.ideas(counts, taken)
print({name: f"{np.mean(rows, 0)[-1]:.0f} of {counts[-1]}" for name, rows in taken.items()})

# %% [markdown] slideshow={"slide_type": "fragment"} tags=["extra"]
# At 0.7, the threshold of the paper, some seven of 400 are new: hardly more than there are moulds. At 0.9 it is
# about 143, and the curve still rises. So the threshold decides what an idea is: the mould, or what is filled in.
#
# The chains of section 4 are synthetic data, too. The knowledge of the program that wrote them went into the
# corpus, and from there into the weights.
#
# **To remember:** a generator has only so many ideas, and a filter shows how many.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What came out, and what did not
#
# **As said, at this size.** The same question is answered by search, by a network with a graph inside and by a
# plain model that read worked chains: all three come to 100 % on ways that they never saw. The chains cost other
# tasks nothing. A student that has read enough surpasses the teacher that labels its data. Cleaning gains more
# than a fifth more training, this early in it, once the filter sees order.
#
# **With a price.** The plain model needs ten to thirty times as many examples, and twenty to seventy times the time;
# it does just what its chains do, two hops, not one or three. Answers alone teach it those questions that it read.
#
# **Not as said,** by our rules. A lower pre-training loss is not enough to surpass a teacher: it takes one low enough
# to know what is asked.
#
# **Ours.** A filter by perplexity is blind to what is easy to guess.
#
# **Not measured.** Answers written by experts against answers written by crowds. Distilling from a commercial
# model. That infrastructure gives 20 % is the talk's number. And all that needs size: real questions of several
# hops in real documents, where facts are not one sentence each.
#
# **One further question.** The chains were written by a program that knows the graph. If a model writes them
# itself, and only those are kept that the verifier accepts: what can it learn that no program told it?
#
# Now write the parts yourself: [exercise set](../exercises/07d_alignment_and_data.ipynb).
