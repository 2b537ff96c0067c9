# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Intuitions on language models: what guessing the next word teaches"
#   talk: "Intuitions on language models"
#   speaker: "Jason Wei"
# ---

# %% [markdown] slideshow={"slide_type": "slide"}
# # What does guessing the next word teach?
#
# ![A sentence of Python's documentation, each token in a box: the darker, the more it surprised a small model.](02_intuitions_on_language_models/opening.png)
#
# A sentence of Python's documentation, as a small model read it: the darker, the less expected.
# **Your bet:** which two tokens surprised it most, and why those? *25 minutes to read, 1 to run.
# You need arrays, logarithms, and lesson 00.*

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## One task, and everything else comes out of it
#
# Language models are trained to guess the next word of a text, and that is all. Yet they translate,
# add, and know capitals. In April 2024 Jason Wei gave Stanford's CS25 three intuitions for why that
# works, a warning, and a piece of advice.
#
# Here each becomes a measurement. We take a sentence of his with its second (04:17 is four minutes
# in), say what would prove it wrong, and look. Some models are trained while the page runs; longer
# studies were recorded, with their seeds, settings and machine.

# %% [markdown] slideshow={"slide_type": "notes"}
# Let the room bet aloud before each figure. The training in section 7 takes half a minute: talk over
# it.

# %% slideshow={"slide_type": "skip"}
import numpy as np

from minilm import backend
from minilm import functional as F
from minilm.analysis import curves, metrics
from minilm.analysis.scaling import bootstrap, fit_chinchilla, interval
from minilm.course import budget, interact, lesson_folder, progress, seeds, source
from minilm.data.worlds.world import TASKS, TaskWorld
from minilm.models import Transformer
from minilm.studies.runs import predictor
from minilm.train import train

SEEDS, here = seeds(), lesson_folder("02")
pictures, verdicts, readers = here.pictures, here.module("verdicts"), here.module("readers")
scaling, quotes = here.recorded("scaling"), here.recorded("ushape")
amounts = here.recorded("amounts", whole=True)  # its amounts of text are what is asked
walked, control = here.recorded("walk"), here.recorded("control")
backend.keep_freed_memory()

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 1. One word, one number
#
# The talk's example (02:44): *Dartmouth students like to …* A language model answers with a
# probability for **every** word it has: *drink* 0.6, *study* 0.3, and very little for each of the
# others, from *a* to *zucchini* (03:37). Then the true next word is uncovered, and training pushes
# its probability towards 1 (03:49).
#
# How wrong was the guess? Take minus the logarithm of the true word's probability. A certainty that
# came true costs nothing; what was thought impossible costs without limit.
#
# | the word that came | its probability p | loss in nats, −ln p | in bits, −log₂ p |
# |---|---|---|---|
# | drink | 0.6 | 0.51 | 0.74 |
# | study | 0.3 | 1.20 | 1.74 |
# | zucchini | 0.0001 | 9.21 | 13.29 |
#
# A *nat* is the unit of the natural logarithm; a bit is 0.69 nats. The loss of a text is the mean
# over its T words, $L = -\frac{1}{T}\sum_t \ln p_t$.

# %% [markdown] slideshow={"slide_type": "subslide"}
# In code: a model gives no probabilities but **scores**, one for each of V words. Softmax makes
# probabilities of them: exponentials, divided by their sum.


# %%
def word_loss(scores, right):
    """Surprise at each word that came: scores (T, V), ids (T,) -> (T,) nats."""
    scores = scores - scores.max(axis=-1, keepdims=True)  # (T, V): same odds, no overflow
    odds = np.exp(scores)  # (T, V)
    p = odds / odds.sum(axis=-1, keepdims=True)  # (T, V): every row sums to 1
    return -np.log(p[np.arange(len(right)), right])  # (T, V) -> (T,)


scores = np.log([[0.6, 0.3, 0.0999, 0.0001]] * 4)  # (T, V): drink, study, a, zucchini
loss = word_loss(scores, np.arange(4))  # (T,): each of the four came once
print("nats", loss.round(2), "  bits", (loss / np.log(2)).round(2))
fast = F.cross_entropy(scores, np.arange(4), reduction="none").numpy()
print("the package's fast loss agrees:", np.allclose(loss, fast))

# %% [markdown] slideshow={"slide_type": "fragment"}
# Read backwards, $e^L$ is the number of equally likely words that would be just as hard to choose
# from: three nats are a choice among twenty. **Remember:** *the loss of a word is the surprise at
# it.*

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 2. A real sentence, token by token
#
# The talk takes a sentence of Wikipedia and pretends to be the model (07:34): *Biden married Neilia
# …* The next word is *Hunter*: world knowledge. Then a comma: "basically, comma prediction"
# (08:00). Then *a*: "maybe grammar, but like somewhat arbitrary" (08:13). Then *student*: "I don't
# know what task this is" (08:27).
#
# We do the same with a text that every Python brings along, its own documentation. It is cut into
# **tokens**: frequent words whole, rare ones in pieces. A small model reads some of it now.

# %%
real = here.module("real_text")
text = real.text()  # a tokenizer, tokens to learn from, tokens held out
reader = Transformer(real.config(), seed=SEEDS[0])  # 2 layers, 48 channels, V = 2048
run = train(reader, text.train, budget(400), batch=8, context=64, lr=0.01, seed=SEEDS[0])
print(f"{reader.num_parameters():,} parameters, {run.losses[0]:.1f} nats before training")
print(f"after {400 * 8 * 64:,} tokens {np.mean(run.losses[-50:]):.1f}")

# %% [markdown] slideshow={"slide_type": "subslide"}
# **Guess** the three dearest tokens of the sentence below. Will the second *function* cost more
# than the first, or less? Then change the sentence: make it untrue, or swap two words.


# %% slideshow={"slide_type": "-"}
def read(sentence):
    """Show a sentence in the colours of the reader's surprise."""
    ids = np.array(text.tokenizer.encode("\n" + sentence))  # (T + 1,): nothing foretells the first
    scores = predictor(reader)(ids[None, :-1])[0]  # (1, T) -> (T, V)
    pieces = [text.tokenizer.decode([int(i)]) for i in ids[1:]]
    pictures.read_out(pieces, word_loss(scores, ids[1:]), f"Surprise at each token of: {sentence}")


interact(read, sentence=real.SENTENCE)

# %% [markdown] slideshow={"slide_type": "notes"}
# Let the room call out tokens first, then type a sentence of theirs. Pieces inside words are cheap,
# since few endings fit; the first piece of a word that carries meaning is dear.

# %% [markdown] slideshow={"slide_type": "fragment"}
# Which task was that? *is* after *a function*: grammar. The comma: where a clause ends. *right*
# after *from left to*: the phrase as a whole. *arguments*: no name for it, *interpreter* would have
# done. Nobody labels any of this; yet "if you do this over the entire database you're going to
# learn a lot of tasks" (08:45). **Remember:** *every token is a small exam, and nobody says in
# which subject.*

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 3. Seven tasks in one text
#
# To see *which* subject a model has learnt, we need a text whose words know their task. So we write
# one: short lines of seven kinds, in random order. Bold words **test** a task. The colours are
# ours; no model ever sees them.

# %% slideshow={"slide_type": "-"} tags=["hide-input"]
world = TaskWorld()
pictures.sample(world)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ### The talk's tasks, and ours
#
# | task | in the talk (05:12–06:53) | in our world |
# |---|---|---|
# | grammar | *code* or *banana* | the keys near the box **are** |
# | word meaning | *durian* or *squirrel* | list pear lemon **durian** |
# | facts | capital of Azerbaijan | 5,000 names; number k is asked 1/k as often as number 1 |
# | sentiment | *good* or *bad* | five words, the majority decides |
# | translation | pretty, *bonita* | pretty squirrel => **ardilla bonita** |
# | places | *kitchen* or *store* | where Ada went last |
# | sums | 15 or 11 | 4 7 + 2 5 = **2 7 0**, lowest digit first |
#
# Each task has a set share **of the tokens**: grammar 30 %, places 8 %. So we take whole lines of a
# task until it has its share, and then shuffle the lines. Tossing a coin for each line would not
# do: with lines of 2 and of 8 tokens a fair coin gives the long ones 80 %.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ### The lazy reader
#
# Chance is too soft a yardstick. A **lazy reader** takes the nearest clue: the verb fits the noun
# next to it, the last word decides the review, the last room named is the answer. *By hand*, for
# places: four moves by three people, one of the moves is asked about. With chance ¼ it was the
# last; else, a third of the time, the last was by the same person: ¼ + ¾ · ⅓ = ½. And where it was
# not, one room in eight fits all the same: ½ + ½ · ⅛ = **56 %**. Who scores 56 % may have
# understood nothing.

# %%
source(readers.lazy, docstring="first")
LAZY = {task: readers.lazy(world, task) for task in TASKS}
print("   ".join(f"{readers.NAMES[task]} {right:.1f} %" for task, (right, _) in LAZY.items()))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ### How many of the seven?
#
# Eight models, 14 thousand to 3.3 million parameters, have read 1.6 million words of this text,
# each with its own tuned learning rate (recorded, three seeds). **Your bet:** in how many of seven
# tasks is the largest better than the lazy reader? Fewer than seven would prove the talk's sentence
# wrong.

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
pictures.exam(scaling, world, LAZY)
verdicts.seven_tasks(scaling, world, LAZY, here.recorded("places"))

# %% [markdown] slideshow={"slide_type": "fragment"}
# Places are the trap. Half of the answers right, where chance is an eighth, looks like an ability;
# it is the lazy reader's score. Sums have not begun. That is no law: in a recorded study with three
# times as many sums, one seed of three added perfectly after 3,000 steps, the other two not at all.
# **Remember:** *before you praise a score, look for the stupidest rule that reaches it.*

# %% [markdown] slideshow={"slide_type": "notes"}
# Three minutes. The lazy reader is the habit to take home. Do the 56 % on the board.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 4. The total is a weighted sum
#
# Every token belongs to one task. So the loss of the whole text is the loss of each task, times the
# task's share of the tokens (14:02–14:54):
#
# $$L = \sum_k w_k L_k, \qquad w_k = \frac{n_k}{n}, \qquad L_k = -\frac{1}{n_k}\sum_{t \in k} \ln p_t$$
#
# *By hand.* Eight tokens of grammar at 0.5 nats and two of sums at 2 nats: L = 0.8 · 0.5 + 0.2 · 2
# = 0.8. Let the sums improve to 1 nat: L = 0.4 + 0.2 = 0.6. Or let grammar improve to 0.25 nats: L
# = 0.2 + 0.4 = 0.6. The same total, and two models that know different things. "Let's say I improve
# my loss from four to three, do each of these individual tasks improve at the same rate? Well, I
# would say, probably not" (14:54).


# %%
def split_loss(logp, labels):
    """Loss and weight of each task: logp (n,) nats, labels (n,) -> {task: (loss, weight)}."""
    split = {}
    for task in np.unique(labels):
        mine = labels == task  # (n,) True where the token belongs to the task
        split[int(task)] = float(-logp[mine].mean()), float(mine.mean())
    return split


labels = np.array([0] * 8 + [1] * 2)  # eight tokens of grammar, two of sums
for logp in (np.where(labels == 0, -0.5, -2.0), np.where(labels == 0, -0.5, -1.0)):
    split = split_loss(logp, labels)
    print(split, " sum of w L:", round(sum(loss * w for loss, w in split.values()), 12))
fast = metrics.per_task_loss(logp, labels)
print("the package agrees:", all(np.isclose(fast.losses[k], split[k][0]) for k in split))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ### The parts of a real text
#
# **Remember:** *two models with the same loss need not know the same things.* Nobody can label each
# task of a real text, but kinds of token are easy. **Guess** for our reader, on pages it never saw:
# which kind is the dearest, and which makes up most of the loss?

# %% slideshow={"slide_type": "-"}
nats, kinds = real.held_out(reader)  # (windows, T) each: the loss of each token, its kind
pictures.kinds_of_token(metrics.per_task_loss(-nats, kinds, real.KINDS))

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 5. More compute, less loss
#
# The second intuition: scaling compute "reliably improves loss" (09:26). Compute is "how much data
# you have times the size of the language model" (09:15). In FLOPs, single additions and
# multiplications: each of N parameters meets each of D tokens with one of both, and training does
# so three times over, once forward and twice back. So $C = 6ND$. *By hand:* 13,680 parameters and a
# million tokens make 8.2 · 10¹⁰.
#
# Kaplan and others (2020) found that on log-log paper loss against compute is a **straight line**,
# over seven powers of ten (10:29). Such a line is a power law, $L = k\,C^{-a}$.
#
# *By hand, from two points.* 6 nats at 10¹⁰ FLOPs and 5 nats at 10¹² give $a = \ln(6/5) / \ln 100 =
# 0.0396$. Each further factor of 100 multiplies the loss by 5/6, so 10¹⁴ should bring 4.17 nats.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ### The test
#
# The eight sizes of section 3, each tested on its way while the learning rate was constant: such a
# point is what a shorter run would have given. At each compute the best size counts, the **lower
# edge**. We look at the words that test a task; most of the others cannot be known. **What would
# prove it wrong:** a last decade of compute that brings less than half of what the first one did.


# %%
def straight_line(C, L):
    """Least squares on log-log paper: L = k C^-a; C (n,) FLOPs, L (n,) nats -> (k, a)."""
    slope, start = np.polyfit(np.log(C), np.log(L), 1)
    return np.exp(start), -slope


edges = [readers.lower_edge(scaling, seed) for seed in scaling.seeds]  # (C, L) of each seed
C, L = edges[0]  # (n,) FLOPs and nats, cheapest first
cheap = C <= C[-1] / 100
k, a = straight_line(C[cheap], L[cheap])
print(f"L = {k:.0f} C^-{a:.2f} says {k * C[-1] ** -a:.2f} nats for the end; measured {L[-1]:.2f}")

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
pictures.compute(scaling, edges, (k, a))
verdicts.more_compute(edges, scaling.seeds)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Straight it is not, and for a reason that is ours: all sizes have read the same text. At the right
# end stand models too large for what they have read, and size alone buys less and less. For a fair
# prediction size and data must be told apart.

# %% [markdown] slideshow={"slide_type": "subslide"} tags=["extra"]
# ### How sure is a slope?
#
# The **bootstrap** (Efron 1979) asks how much a slope would change had chance picked other runs.
# Draw as many points as there are, with replacement, each whole, its compute with its loss; some
# come twice, some not at all. Fit again, and repeat. The middle 90 % of the slopes is the interval.

# %%
slopes = bootstrap(lambda C, L: straight_line(C, L)[1], C[cheap], L[cheap], resamples=400)
low, middle, high = interval(slopes, 0.9)
print(f"a = {a:.3f}, 90 % interval {low:.3f} to {high:.3f}")

# %% [markdown] slideshow={"slide_type": "subslide"} tags=["extra"]
# ### Size and data, apart
#
# Hoffmann and others (2022) describe the loss with five numbers,
#
# $$\hat L(N, D) = E + \frac{A}{N^\alpha} + \frac{B}{D^\beta}$$
#
# a floor, what a size of N lacks, and what D tokens lack. They are fitted in logarithms, so that
# one per cent off counts the same everywhere: $r = \ln \hat L - \ln L$. Not squares are added but
# **Huber's** loss, $r^2/2$ up to δ = 0.001 and beyond it the straight line $\delta(|r| -
# \delta/2)$, so that a failed run does not bend the law. *By hand:* r = 0.0005 counts 1.25 · 10⁻⁷;
# r = 0.25 counts 2.5 · 10⁻⁴, where half its square would be 0.031.
#
# **The test.** Seven sizes are known; the law has to say what the eighth, four times as large, will
# reach. **What would prove it wrong:** a miss of more than a quarter of what it gained.

# %%
said = []
for seed in scaling.seeds:
    N, D, L, largest = readers.size_and_data(scaling, seed)  # (n,) each; True for the eighth size
    law = fit_chinchilla(N[~largest], D[~largest], L[~largest], tries=6)  # Huber on log L
    said.append(law.loss(N[largest][-1], D[largest][-1]))
print(f"L = {law.E:.2f} + {law.A:.3g} / N^{law.alpha:.2f} + {law.B:.3g} / D^{law.beta:.2f}")

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
pictures.valleys(scaling, law)
verdicts.predictable(scaling, said)

# %% [markdown] slideshow={"slide_type": "fragment"}
# The figure asks more of the law: at a fixed compute, which size is best? Too small lacks room, too
# large lacks text, so the loss is a **valley**. At its bottom a little more size gains as much as a
# little more data, $\alpha A / N^\alpha = \beta B / D^\beta$. With $D = C / 6N$ that solves to
# $N = G\,(C/6)^{\beta/(\alpha+\beta)}$, $G = (\alpha A / \beta B)^{1/(\alpha+\beta)}$. *By hand:* with A =
# B = 1 and α = β = ½, C = 600 gives N = √100 = 10 and D = 10; a hundred times the compute, ten times
# of each. A star left of all dots is a prediction: nobody let a small model read that much.
# **Remember:** *compute buys loss at a falling rate; the curve says what the next factor buys.*

# %% slideshow={"slide_type": "skip"}
N, D = law.optimal(10 * C[-1])  # for ten times the largest compute of the study
print(f"G = {law.optimal(6)[0]:.2f}; with ten times the compute N = {N:,.0f} and D = {D:,.0f}")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 6. What does size buy?
#
# Two reasons, both called hand-wavy (11:28). A small model "has to be very selective" about facts
# while a large one can keep the **tail** (12:04). And small models "tend to learn first order
# **heuristics**", where a large one "can try to do really complicated things" (12:21–12:55).
#
# Facts: 5,000 names, each with an emblem, the first asked most. Heuristics: *the keys near the box
# near the window …* **are**; over three nouns, to agree with the nearest one is a coin toss.
#
# **What would prove it wrong.** Rare facts known as well as frequent ones, or a tail that gains no
# more than the head. A small model that gives up its heuristic when it gets four times the text:
# then it lacked time, not size. **Guess** which of the two will survive.

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
pictures.facts(scaling)
verdicts.tail(scaling, world)

# %% [markdown] slideshow={"slide_type": "fragment"}
# The interval is **Student's t**, and it is wide on purpose. Two standard errors around the mean of
# three seeds hold the truth only 82 times in a hundred; t takes 4.30. *By hand:* 1, 2, 3 have the
# mean 2, the standard deviation 1, the standard error 1/√3 = 0.577, and the interval 2 ± 2.48.

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
pictures.agreement(scaling)
verdicts.heuristics(scaling)

# %% [markdown] slideshow={"slide_type": "fragment"}
# The smallest model has one layer; the next, hardly larger, has two and agrees far better. It may
# be depth that is bought here: with "more layers, you could encode probably a more complex
# function" (27:40). **Remember:** *a small model is not a blurred copy of a large one; it has made
# other choices.*

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 7. A smooth sum of sudden parts
#
# The third intuition: "while overall loss improves smoothly, individual tasks can improve suddenly"
# (13:08). Now we watch it happen: four sizes, three seeds, trained on this page. The text holds
# more translation than before, so that something happens within 150 steps of 1,024 words.

# %%
LADDER, training = ("2x16", "2x32", "2x48", "2x64"), here.module("training")  # layers x channels
runs = [(size, seed) for seed in SEEDS for size in LADDER]
live = {run: training.train_one(world, *run) for run in progress(runs)}
weights = [live[size, SEEDS[0]]["parameters"] for size in LADDER]
steps = [point["step"] for point in live[LADDER[0], SEEDS[0]]["points"]]


def along(size, read):
    """(seeds, tests): a number along the runs of one size."""
    return np.array([[read(p) for p in live[size, seed]["points"]] for seed in SEEDS])


# %% tags=["hide-input"]
source(training.train_one, docstring="none")

# %% [markdown] slideshow={"slide_type": "subslide"}
# **What do the models expect?** Move the test back in time. At first every word is as likely as any
# other; then the frequent ones lead; then words of the right **kind**, a noun, a room; last, if at
# all, the right one.

# %% slideshow={"slide_type": "-"} tags=["hide-input"]
shown = {n: live[size, SEEDS[0]]["points"] for n, size in zip(weights, LADDER)}
draw = pictures.expectations(shown, world.vocabulary)
interact(draw, prompt=list(training.prompts(world)), test=(1, len(steps), 1, len(steps) - 1))

# %% [markdown] slideshow={"slide_type": "subslide"}
# **How sudden is it?** How much of the whole fall of a loss lies within one **doubling** of the
# text, for the largest of the four? **Guess** two numbers, one for translation and one for the
# total.


# %%
def suddenness(loss):
    """Largest share of a loss's whole fall within one doubling of the steps: (tests,) -> 0..1."""
    x, y = np.log2(steps), curves.monotone(loss, rising=False)  # noise flattened
    start = np.linspace(x[0], x[-1] - 1, 200)
    fall = np.interp(start, x, y) - np.interp(start + 1, x, y)  # (200,)
    return fall.max() / max(y[0] - y[-1], 1e-9)


total = along(LADDER[-1], lambda point: point["loss"])  # (seeds, tests)
parts = {readers.NAMES[task]: along(LADDER[-1], readers.scored(task)) for task in TASKS}
for name, rows in {"total": total, "translation": parts["translation"]}.items():
    print(f"{name}: {100 * np.mean([suddenness(row) for row in rows]):.0f} % in one doubling")

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
pictures.falls(steps, total, {name: parts[name] for name in ("grammar", "facts", "translation")})

# %% [markdown] slideshow={"slide_type": "fragment"}
# By this measure they are not far apart: the first steps of the total are steep too, for it learns
# how frequent the words are. After them the total creeps, and the tasks take turns. So we look
# where the talk looks, along growing compute, at the recorded models. **What would prove it
# wrong:** no task five times as far from a smooth law as the total, each in % of its own fall; or,
# where the compute ends, no task that is done or none that has not begun.

# %% slideshow={"slide_type": "-"} tags=["hide-input"]
verdicts.smooth_and_sudden(scaling, LAZY)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ### Five kinds of curve
#
# Wei sorted 202 tasks of BIG-Bench by the shape of right answers over compute (16:58–18:41):

# %% slideshow={"slide_type": "-"} tags=["hide-input"]
pictures.five_kinds()

# %% [markdown] slideshow={"slide_type": "fragment"}
# He did it by eye. A rule for a program, where s is the standard error of one score: **flat** if
# all lie within 2s of each other. **Emergent** if the smallest models, two or more and at least a
# third of all, lie within 2s of the lazy reader, all later ones above, and the last by 20 points or
# more. Else the **rank correlation** with size decides, the correlation of two rows of ranks (5, 7,
# 7, 9 have 1, 2½, 2½, 4: equals share a mean): above ½ smooth, below −½ inverse, between them not
# correlated. *By hand:* 0, 1, 2, 35, 62, 81 % is emergent; 0, 12, 2, 35, 62, 81 % is smooth.

# %% slideshow={"slide_type": "-"} tags=["hide-input"]
rows = readers.kinds(scaling, world, LAZY)
pictures.grid(rows, [scaling.parameters[size] for size in scaling.whole])

# %% [markdown] slideshow={"slide_type": "fragment"}
# Where all models know nearly all there is no test. Places rise from 12 to 54 %: from chance that
# would be called emergent, but what emerges is the lazy reader's rule. **Remember:** *one smooth
# curve is many curves that take turns.*

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 8. Absent, then present
#
# An **emergent** ability is not there in small models, and in large ones it is "much better than
# random" (18:47–19:04). "Let's say you had only trained the small language models up to that point,
# you would have predicted that it would have been impossible" (19:04).
#
# Our four sizes have read equally much and are asked to translate two words, a noun and an
# adjective, both right. **Guess** the curve. **What would prove it wrong:** a smallest model above
# 10 %, a largest below 80 %, or a line through the smaller two within 40 points of the largest.

# %%
whole = np.array([100 * along(size, lambda p: p["exact_match"])[:, -1] for size in LADDER]).T
word_nats = np.array([along(size, lambda p: p["cross_entropy"]) for size in LADDER])
x = np.log10(weights)  # whole is (seeds, sizes), word_nats (sizes, seeds, tests)
line = np.array([np.polyval(np.polyfit(x[:2], row[:2], 1), x[-1]) for row in whole])  # (seeds,)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
pictures.jump(weights, whole, steps, word_nats)
verdicts.emergence(weights, whole, line, np.exp(-word_nats[:, :, -1]).T, SEEDS, LAZY["translation"])

# %% [markdown] slideshow={"slide_type": "subslide"}
# ### Was there a warning?
#
# Had the loss hinted at what would emerge? "You can look at the loss and it kind of gets better,
# and then suddenly it spikes, and there's like no way to predict it, but also you don't have
# perfect data because like you might not have all the intermediate points" (28:48). How far had the
# loss come down at the last test at which fewer than 5 % of the pairs were right?

# %%
for size, n, losses in zip(LADDER[1:], weights[1:], word_nats[1:]):
    none_yet = along(size, lambda p: p["exact_match"]) < 0.05  # (seeds, tests)
    fell = [row[0] - row[none].min() for row, none in zip(losses, none_yet)]
    print(f"{n:7,} parameters: {np.mean(fell):.1f} of {losses[:, 0].mean():.1f} nats gone by then")

# %% [markdown] slideshow={"slide_type": "fragment"}
# It does get better first, by a third to a half: the models learn which *kind* of word comes before they learn
# which word. But the loss does not say when the rest follows, and a line through small models says
# too little where the second size had not begun, and too much where it had. Nor is the threshold a
# property of the size: in the recorded study, after ten times as many steps, even the smallest size
# of this ladder gets most pairs right. **Remember:** *"emergent" describes a curve up to a budget,
# not a model.*

# %% [markdown] slideshow={"slide_type": "slide"} tags=["extra"]
# ## 9. Is it a mirage?
#
# Schaeffer and others (2023) object that the **metric** makes the jump. Wei answers: "if you change
# the metric a bit, it looks different", but the abilities are real (29:59). Both can be true.
#
# A whole answer needs all its parts. If errors are independent, chances multiply. *By hand:* a noun
# right in 0.9 and an adjective in 0.8 of cases make 0.72 whole answers; twenty tokens at 0.9 make
# $0.9^{20} = 0.12$. Slowly rising parts become a whole that rises late and steeply.

# %% [markdown] slideshow={"slide_type": "subslide"} tags=["extra"]
# ### Five scores of one answer
#
# 4 7 + 2 5 = **2 7 0**, and a model says 2 6 0. It gave the right digits the probabilities 0.5, 0.3
# and 0.9; in the middle place, 0.6 went to 6 and 0.1 to 1.
#
# | score | by hand |
# |---|---|
# | whole answer | 0, one digit is wrong |
# | digits right | 2 of 3 |
# | edit distance: fewest insertions, removals and changes | 1 |
# | loss: mean of −ln p | (0.69 + 1.20 + 0.11) / 3 = 0.67 nats |
# | Brier: squared distance from the truth, middle digit | 0.6² + (1 − 0.3)² + 0.1² = 0.86 |
#
# The first changes last; the loss and Brier's score (1950) see every shift of probability. Edit
# distance fills a table, from the first i items to the first j: the cheapest of three ways to end.

# %% tags=["hide-input"]
source(metrics.edit_distance, docstring="none")

# %% [markdown] slideshow={"slide_type": "subslide"} tags=["extra"]
# ### The same answers, five scores
#
# The translations of the largest of the four models, a line for each seed; in the last panel, all
# sizes and tests. **What would prove the product wrong:** a gap of 0.05 anywhere, or no test on the
# way, between 0.1 and 0.9. **What would acquit the metric:** whole answers no more sudden than the
# loss of the same answers.

# %%
product, together = (  # (seeds, tests of all sizes)
    np.concatenate([along(size, lambda p, key=key: p[key]) for size in LADDER], axis=1)
    for key in ("if_independent", "exact_match")
)
answers = [suddenness(-row) for row in along(LADDER[-1], lambda p: p["exact_match"])]
loss = [suddenness(row) for row in word_nats[-1]]

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
pictures.scores(steps, lambda key: along(LADDER[-1], lambda p: p[key]), product, together)
verdicts.mirage(product, together, answers, loss, SEEDS)

# %% [markdown] slideshow={"slide_type": "fragment"}
# The metric sharpens the jump but does not make it: the loss of the same words drops suddenly too.
# **Remember:** *choose the metric for the question, and say which one made the jump.*

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 10. Right, wrong, right again
#
# *Repeat after me: all that glisters is not glib.* An extra small model says *glib*, and is right.
# A small one says *gold*. A large one says *glib* again (20:47–21:06). The talk takes the task
# apart (21:30–23:44):
#
# | | repeat | fix the quote | follow the instruction | says |
# |---|---|---|---|---|
# | extra small | yes | no | no | glib |
# | small | yes | yes | no | gold |
# | large | yes | yes | yes | glib |
#
# In probabilities (the formula is ours): who can repeat does so, unless the quote is fixed and the
# instruction is not followed, $P = r\,(1 - f\,(1 - i))$. *By hand:* (1, 0, 0) gives 1, (1, 1, 0)
# gives 0, (1, 1, 1) gives 1, and (1, ½, ½) gives ¾. Below: can you make the U go away and keep all
# three skills?

# %% slideshow={"slide_type": "-"} tags=["hide-input"]
span = {"repeat_at": 1.0, "fix_at": 4.0, "follow_at": 7.5}
interact(pictures.three_skills, **{name: (0.0, 10.0, 0.5, at) for name, at in span.items()})

# %% [markdown] slideshow={"slide_type": "subslide"}
# ### A world in which it can happen
#
# 300 invented proverbs of six words. Common lines copy random words. Misquoted proverbs are copied
# **and put right**. A rare header says: *literally*. The test: that header, and a misquote never
# seen (recorded, six sizes, three seeds). One question, two measures: is the misquoted word
# **ranked first**, and how **probable** is it? **What would prove it wrong:** no dip of 20 points
# between a smaller and a larger model.


# %%
def dip(score):
    """How far the worst lies below the best before it and the best after it, the lesser of both."""
    return max(min(score[: k + 1].max(), score[k:].max()) - low for k, low in enumerate(score))


print("0.9, 0.4, 0.8 has a dip of", round(dip(np.array([0.9, 0.4, 0.8])), 2))

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
pictures.by_size(quotes)
verdicts.u_by_size(quotes, dip)

# %% [markdown] slideshow={"slide_type": "fragment"}
# The left arm is the reason. In the talk all models repeat perfectly (21:44). Our small ones rank
# the misquoted word first but give it a third of the probability: there is little to fall from.

# %% [markdown] slideshow={"slide_type": "subslide"}
# Is size the cause? Here are all tests of all sizes along their training. **Look** for the valley.

# %% slideshow={"slide_type": "-"} tags=["hide-input"]
pictures.planes(quotes)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ### One model walks through the U
#
# Each size crosses the valley at a time of its own. So one model should go right, wrong and right
# by itself (**ours**, not the talk's). Recorded: a smaller world, 50 proverbs and a rarer
# instruction, five seeds; and a control in which nobody corrects misquotes, trained for just as
# long. **What would prove it wrong:** a seed without a dip of 20 points, in rank and in
# probability.

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
pictures.walk(walked, control)
verdicts.u_of_one(walked, control, dip)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ### Do three skills make the task?
#
# "If you look at the individual subtasks, you can explain the behavior" (23:48). Each skill was
# measured by itself. Left: what the formula makes of them, against what the task gave, for every
# test of every size. Right: with **hold back** in the place of fix. Before a model knows the right
# word, it already stops repeating the wrong one.

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
pictures.composition(quotes)
verdicts.subtasks(quotes)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **Remember:** *a curve that turns is made of skills that arrive at different times.*

# %% [markdown] slideshow={"slide_type": "slide"} tags=["extra"]
# ## 11. Use it: collect more data?
#
# "Just plot scaling curves" (24:15). You have a result with all of your data; train once more with
# **half** of it. If the two are equal, you "probably won't see an improvement" from more (25:14).
# If the curve still falls, more may help (25:27).
#
# **Test.** We own 1,200 steps of text. Half is 600; then we do collect as much again, 2,400. One
# size, a full training for each amount, five seeds. Gains count from 0.03 nats. **Guess** how often
# the advice is right, for nine curves: the total, all tested words, seven tasks. **What would prove
# it wrong:** fewer than 80 %.

# %%
OURS, WORTH = 1200, 0.03  # steps of text, nats
BOUGHT = amounts.seeds_of(OURS // 2, OURS, 2 * OURS)  # the seeds that have all three
gains = {}
for name, loss_at in readers.nine_curves(amounts, BOUGHT).items():
    half, ours, twice = loss_at(OURS // 2), loss_at(OURS), loss_at(2 * OURS)  # (seeds,) each
    gains[name] = half - ours, ours - twice  # what was seen, what came

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
pictures.advice(gains, WORTH)
verdicts.advice(gains, WORTH, BOUGHT)

# %% [markdown] slideshow={"slide_type": "fragment"}
# There are two ways to be wrong. Translation had gained more than a nat and had nothing left to
# gain: its curve was steep because it was being finished. Places and grammar looked flat, and then
# gained. **Remember:** *a flat curve means "not yet" or "no more", and it does not say which.*

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 12. What came out
#
# **As he said.** The total is a weighted sum, and its parts take turns. Size bought rare facts. The
# loss of a larger model could be told from smaller ones. An ability was absent in a small model and
# present in a large one. Another metric gave another picture.
#
# **Not quite as he said.** Not all seven tasks were learnt. More compute bought less and less. The
# U is deep in what a model ranks first, shallow in what it thinks probable, and three skills
# explain it once one is replaced. Half of the data misleads just where something is about to begin.
#
# **Not measured.** Depth against breadth (27:40). Filtering to reliable sources (26:27). What holds
# models back most, to him data and size (29:16). Scaling on real text, over seven powers of ten.

# %% [markdown] slideshow={"slide_type": "fragment"}
# **One more question.** Places were never learnt beyond the lazy reader's rule. Is that a matter of
# size, of the amount of text, or of a text in which the rule is right too often? Write stories in
# which the last room is never the answer, and find out. Then build the parts yourself: [exercise
# set](../exercises/02_intuitions_on_language_models.ipynb).
