# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Code models: the data makes the model"
#   talk: "Training LLMs behind the scenes: StarCoder"
#   speaker: "Loubna Ben Allal"
# ---

# %% [markdown] slideshow={"slide_type": "slide"}
# # Code models: the data makes the model
#
# ![Five bars, each shorter than the one before: 100 terabytes cloned, 90 of source code, 6 under a free licence, 3 without near copies, 0.8 that StarCoder read. Beside them a function with a hole.](09_code_models/opening.png)
#
# A hundred terabytes of code go in at the top, and less than one comes out at the bottom. The model
# that reads the rest is much like any other. **What does each step of the funnel do to the model, and
# how would you know?**
#
# Your bet: three ways to make a corpus smaller. Drop every file that is nearly a copy of another.
# Drop every file without a comment. Keep only projects that people gave stars to. One of them helps,
# one does nothing, one hurts. Which is which?
#
# *35 minutes to read, one to run. You need training and the loss in bits, as in
# [lesson 00](00_start_here.ipynb). The talk was given on 23 May 2024.*

# %% [markdown] slideshow={"slide_type": "notes"}
# 3 minutes. Take the three bets by a show of hands and write the counts on the board; sections 3 and 4
# pay them out. The cut for 50 minutes leaves out *Other people's addresses* and *Let it fill one*, as
# `minilm slides 09 --minutes 50` does. For 80 show everything, and let the room choose the hole.

# %% [markdown] slideshow={"slide_type": "skip"}
# Architectures have converged, says Loubna Ben Allal: what differs between models is what they read
# (04:59). Most makers keep that to themselves (03:16). Hers, the BigCode project, showed all of it:
# the files, the filters, the code of each step, and the mistakes. So this lesson can do what few can.
# It goes through the same steps, with the published thresholds, on a collection that your machine
# already has: the standard library of its Python. The models that we train on it have 174,000
# parameters, StarCoder has 15.5 billion. What depends on size will not show. What depends on data may.

# %% slideshow={"slide_type": "skip"}
import math
import sysconfig
import tempfile
from pathlib import Path

import numpy as np

from minilm.analysis.attribution import Attribution
from minilm.analysis.passes import naive_pass_at_k, pass_at_k
from minilm.course import interact, lesson_folder, progress, seeds
from minilm.data import InfillBatches
from minilm.data.clean.bands import collision_probability, optimal_bands
from minilm.data.clean.near_duplicates import jaccard
from minilm.data.clean.redaction import redact
from minilm.data.corpora import sources
from minilm.data.pipeline import run as pipeline
from minilm.data.pipeline.settings import Settings
from minilm.data.pipeline.store import Store
from minilm.data.pipeline.workers import Processes
from minilm.inference import infilling
from minilm.inference.solving import write_programs
from minilm.models import Transformer
from minilm.sandbox.programs import Programs
from minilm.tokenizers import fim_permute
from minilm.train import train

here = lesson_folder("09")
pictures, verdicts, E = here.pictures, here.module("verdicts"), here.module("experiments")
library, infill, exams = (here.recorded(n, whole=True) for n in ("library", "infill", "exams"))

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 1. A funnel at home
#
# The Stack, BigCode's collection, began with more than 100 TB of cloned repositories. 90 TB were left
# once files that are no source code were gone, 6 TB under permissive licences, which allow almost any
# use, 3 TB without near copies. StarCoder read 0.8 TB of it.
#
# Below, the same steps run over a few folders of your standard library. *Before you run it: of
# some 350 files by careful people, how many will not pass?* The rules are the published ones:
#
# - no line is longer than 1,000 characters, lines have 100 or fewer on average, and at least a
#   quarter of all characters are letters or digits;
# - comments are between 1 % and 80 % of the text;
# - a token stands for 2.5 characters or more on average (this is called **fertility**);
# - no two files are equal, and no two share 70 % of their runs of five words (section 2);
# - e-mail addresses, keys and passwords are replaced, and addresses of machines by other ones.

# %%
root = Path(sysconfig.get_path("stdlib"))
some = "asyncio concurrent ctypes email encodings http importlib json logging unittest xml"
folders = [str(root / name) for name in some.split() if (root / name).is_dir()]
place = Path(tempfile.mkdtemp()) / "corpus"
with Processes(1) as workers:
    pipeline.prepare(Settings(roots=tuple(folders)), place, workers)
pictures.funnel(pictures.tallies(pipeline, Store(place)))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What went, and why
#
# Numbers hide what a filter does. So look at what it took. The talk says the same: for each language,
# people read a hundred files before a threshold was set (32:03). The rule on comments
# can fail on both sides: too few, or, in a file that mostly explains, too many. The near copies have a
# reason, too: `encodings` holds a table for each alphabet, and one program wrote them all. A column
# gives the number of files, for addresses and keys how many were replaced.

# %%
for name, tally in pipeline.tallies(Store(place)).items():
    for reason, kept in tally.samples.items():
        if name in ("filter", "near", "redact"):
            number = tally.counts.get(reason, [tally.numbers.get(reason)])[0]
            print(f"{reason:15} {number:>4}   {kept[0][1]}")

# %% [markdown] slideshow={"slide_type": "fragment"}
# A library written with care is no GitHub. One file in twenty fails a rule here; there the licence alone
# took more than nine tenths of the bytes. The report page that `minilm data` writes
# beside the corpus shows every reason with samples, and the histogram that its threshold cuts.
#
# **To remember:** a filter is a guess about quality. Read what it removes before you believe it.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Other people's addresses
#
# Code is signed. Who trains on it learns names, mailboxes and, worse, keys that somebody forgot to
# take out. BigCode trained a recogniser of its own on hand-marked files, and its run over the corpus
# took 800 hours of GPUs (33:40). Patterns catch the rest: an address has a form, and a key has more
# disorder than a word.

# %%
line = 'admin = "jo.smith@cs.uni-town.edu", "83.169.40.12", key="AKIAQ3VX7ZPLM2KD84TN"'
print(line, *redact(line), sep="\n")

# %% [markdown] slideshow={"slide_type": "notes"}
# 2 minutes, 6 for section 1. Open report.html of a run on your own projects if you have one; the room
# remembers the file that a filter took wrongly better than any number.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 2. How to find a near copy
#
# Two files are alike if they share many **runs of five words**. The share that both have, of all that
# either has, is their **Jaccard similarity**. By hand, with runs of one word: *a b c* and *b c d* share
# 2 of 4, so J = 0.5.
#
# Comparing every file with every other is out of the question: forty million files are eight hundred
# million million pairs. Two ideas save it.
#
# **MinHash.** Number all runs at random and keep the smallest number of each file. Of all runs that
# either file has, one gets the smallest number. If both files hold it, their smallest numbers are equal;
# if only one does, they differ. So they agree with probability J. Do it 256 times, and count: the share
# that agrees is J, give or take 3 points. (Shuffling all runs 256 times is too much work. So each run gets
# a hash h and each numbering two random whole numbers a and b, and the run's number is
# (a·h + b) mod (2⁶¹ − 1) mod 2³².)

# %%
left, right = set("a b c d e f g".split()), set("c d e f g h i".split())
rng = np.random.default_rng(0)
agree = 0
for _ in range(256):
    number = dict(zip("abcdefghi", rng.permutation(9)))
    agree += min(number[r] for r in left) == min(number[r] for r in right)
print(f"J = {jaccard(left, right):.3f}, 256 smallest numbers agree in {agree / 256:.3f}")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Bands
#
# **Locality-sensitive hashing.** Cut the 256 numbers into **bands** of a few rows, and only compare files
# that agree in *all* rows of some band: those fall into one drawer of a table, and no other pair is
# looked at. A band of r rows agrees with probability $J^r$; one of b bands does with
#
# $$1 - (1 - J^r)^b$$
#
# By hand, r = 2, b = 3, J = 0.5: a band agrees with probability 1/4, none of three does with (3/4)³ =
# 0.42, so the two files meet with 0.58. Many bands of few rows meet too much; few bands of many rows miss. Which
# is best depends on the similarity that you care about.


# %%
def best_bands(threshold, count):
    low, high = np.linspace(0, threshold, 501), np.linspace(threshold, 1, 501)
    found = {}
    for b in range(1, count + 1):
        for r in range(1, count // b + 1):
            meet = np.trapezoid(1 - (1 - low**r) ** b, low)  # below the threshold, and compared
            miss = np.trapezoid((1 - high**r) ** b, high)  # above it, and never compared
            found[b, r] = meet + miss
    return min(found, key=found.get)


# %% slideshow={"slide_type": "subslide"}
thresholds = (0.5, 0.7, 0.85)
bands = [best_bands(t, 256) for t in thresholds]
apart = sum(optimal_bands(t) != found for t, found in zip(thresholds, bands))
b, r = bands[1]
alike = (0.5, 0.6, 0.7, 0.75, 0.8, 0.9)
chances = [collision_probability(s, b, r) for s in alike]
pictures.s_curve(b, r)
verdicts.banding(bands, chances, apart)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Files that meet and are alike form groups; whole chains of them may hang together, though their ends
# are not alike. Of each group one survives. Which one must not depend on the order of the files, or
# the corpus is another one each time it is made. Ours keeps the longest.
#
# **To remember:** a signature turns "how alike" into "how often equal", and bands turn that into a
# look into a drawer.

# %% [markdown] slideshow={"slide_type": "notes"}
# 2 minutes, 6 for section 2. Let the room do the sum with r = 2 and b = 3. Ask what happens to the curve
# with one band of 256 rows (exact copies only) and with 256 bands of one row (everything meets).

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 3. What copies cost
#
# Removing near copies gave the largest gain of all filters, says the talk: the share of problems that a
# small model solves at the first try went from 13 to 17 % (32:46). Why should it matter? A copied file
# is read again and again, in place of another that is not read at all. And what is read often is learnt
# by heart.
#
# We plant the copies ourselves, so we know them: 90,000 tokens of the library, one file in twenty
# copied again and again, with up to a fifth of its lines changed, until half of the corpus is copies.
# Our deduplication finds four in five of the copies; the rest were changed too much. Three models of
# 174,000 parameters:
#
# - one reads the corpus after deduplication;
# - one reads it as it is, for as many **tokens**;
# - one reads it twice as long, so that it sees what is **unique** as often as the first.
#
# **Would prove it wrong:** the copies cost less than 1 % in bits on files that nobody saw, or the model
# that sees them recites no more. *Before you scroll: what will twice the training do to the loss?*

# %% tags=["hide-input"]
pictures.copies(library)

# %% slideshow={"slide_type": "subslide"}
verdicts.near_duplicates(library)

# %% [markdown] slideshow={"slide_type": "fragment"}
# *Recited* means: given 32 tokens of a passage, the model goes on with the next 16 exactly. There are 60
# passages, out of six files. At equal tokens nobody recites: 0, 0 and 2 % on three seeds. Only the third
# model does, after twice the training. Is it the training, then, and not the copies? No: of the files
# that stand in its corpus *once* the same model recites nothing.
#
# It also has the best loss of all, for twice the price. Copies do not poison a model. They waste its
# time, and they make it a parrot of a few files, which are somebody's.
#
# **To remember:** a copy costs what else could have been read.

# %% [markdown] slideshow={"slide_type": "notes"}
# 2 minutes, 5 for section 3. First bet paid. If somebody asks why the planted copies differ in a fifth
# of their lines: exact copies are found by one hash, and nobody would need section 2.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 4. Filters that surprise
#
# Good code is documented, one would think, and good projects have stars. Both ideas were tried, on small
# models and with two or three seeds, because a difference between two runs says little (28:34). Dropping
# files with hardly any comments changed nothing worth the name (27:38). Dropping projects with fewer
# than five stars took away more than 70 % of the text and made the **worst** model of all (27:38).
#
# Our library has comments, but no stars. So ours fall from the sky: each file keeps with a chance of
# three in ten, whatever is in it. That is only half of the talk's filter (the coin is ours). It leaves
# out what stars *prefer* and keeps how much they *remove*. All three models read 430,000 tokens. The whole
# corpus has 141,000, so it is read three times; what the coin leaves is some 20 pieces of files, read
# ten or eleven times.
#
# **Would prove it wrong:** for comments, a change of 1 % or more; for stars, a loss of less than 1 %.

# %% tags=["hide-input"]
pictures.filters(library)

# %%
verdicts.comments(library)

# %% slideshow={"slide_type": "subslide"}
verdicts.stars(library)

# %% [markdown] slideshow={"slide_type": "fragment"}
# The dots are seeds. Each seed draws its own files, and the spread between them is the yardstick: an
# effect that is smaller than the distance between two dots of one row is not seen, it is hoped for.
# Our comment filter takes only 4 % of the tokens, so it could hardly do much. Our coin takes text from a
# model that had little; whether the talk's filter failed for that reason, this cannot tell.
#
# **To remember:** a filter has two effects: which text is left, and how much. The second can be the
# larger one.

# %% [markdown] slideshow={"slide_type": "notes"}
# 2 minutes, 5 for section 4. The second and third bets are paid. The discussion that is worth having:
# what would you need to test what stars *prefer*? (The same number of tokens, chosen by stars and by a
# coin.)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 5. Reading it again
#
# If text is short, may one read it twice? Up to four times it costs almost nothing, reports the talk
# (12:43), after Muennighoff and others. They fitted a law. Of U unique tokens, read R times more
# after the first, it makes
#
# $$D' = U + U\,R^*\left(1 - e^{-R/R^*}\right)$$
#
# tokens that would have been as good, all new. $R^*$ says how long repeating pays: after so many
# repeats, 63 % of all that repeating can ever give has been had. They found about 15. By hand, with $R^*
# = 2$ and three passes, so R = 2: $D' = U\,(1 + 2 \cdot 0.632) = 2.26\,U$. Three passes are worth 2.3.
#
# Ours: about 42,000 tokens of the library again and again, beside a model that gets new ones all the
# time. That is only 21 to 23 pieces of files; the other model has seen four times as many by then.
# **Would prove it wrong:** after four passes the loss is 1 % or more above that of fresh text.

# %%
print("three passes with R* = 2:", 1 + 2 * (1 - math.exp(-2 / 2)))
pictures.epochs(verdicts.passes(library))

# %% slideshow={"slide_type": "subslide"}
verdicts.four_epochs(library)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Mind the size of it. 42,000 tokens are far fewer than our model has parameters, and a model that can
# store its text has no reason to understand it. Theirs had more text than parameters. And look at the
# left ends: after *one* pass nothing has been repeated, yet the two models differ by +2, +7 and −5 % on
# three seeds, because their files differ. That noise is larger than the threshold of 1 %. The card says
# that 22 pieces read four times are no match for fresh text, and nothing about a large corpus.
#
# **To remember:** each reading is worth less than the one before; how soon it is worth nothing
# depends on how much there is to read.

# %% [markdown] slideshow={"slide_type": "notes"}
# 2 minutes, 4 for section 5. Let them read the right picture: where does the curve leave the diagonal?

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 6. A hole in the middle
#
# A programmer writes in the middle of files. A model that only goes on from left to right cannot see
# what stands behind the cursor. It needs no new architecture, only another order of the text. Cut a
# document at two places into **prefix, middle, suffix**, and move the middle to the end, with a marker
# before each part:
#
# - **PSM**: ⟨prefix⟩ P ⟨suffix⟩ S ⟨middle⟩ M
# - **SPM**: ⟨prefix⟩⟨suffix⟩ S ⟨middle⟩ P M, which leaves P and M together as they were.
#
# The loss is the usual one. StarCoder read half of its documents this way. The cuts fall between
# *characters*, not tokens, since a cursor does not know about tokens.


# %%
def cut_a_hole(text, rng, rate=0.5, spm_rate=0.5):
    if rng.random() >= rate:
        return text  # this one is read from left to right
    first, last = sorted(rng.integers(0, len(text) + 1, 2).tolist())
    P, M, S = text[:first], text[first:last], text[last:]
    if rng.random() < spm_rate:
        return f"<fim_prefix><fim_suffix>{S}<fim_middle>{P}{M}"
    return f"<fim_prefix>{P}<fim_suffix>{S}<fim_middle>{M}"


for seed in range(3):
    print(cut_a_hole("return x + 1", np.random.default_rng(seed), rate=1.0))
rngs = [np.random.default_rng(5) for _ in range(2)]
texts = list(sources().values())[:200]
assert [cut_a_hole(t, rngs[0]) for t in texts] == [fim_permute(t, rngs[1]) for t in texts]

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## A model of your own
#
# Real files need a large model. Ours is small, so it gets a small language: functions of two or three
# lines whose docstring says what they do. There are thousands, each made by a seed, and with each come
# tests. Here is one. Then three models, one a seed, read 1,500 of them, half with holes.
#
# This language was fitted to the model. In pilots it solved next to nothing, until the numbers in a
# docstring had one digit, the model got *rotary positions*, which tell it how far apart two tokens are
# (what it copies stands at no fixed place), and only lists were asked for, with one or two steps and a
# return. The scores below are scores in this language.
#
# Section 8 will use the same models, so something is hidden in what they read. *You will be asked what.*

# %%
SEEDS = seeds()
fresh = E.exam(SEEDS[0]).later  # none of them is among those that are learnt
print(fresh[2].text)
for given, wanted in fresh[2].tests[1:4]:
    print(f"f{given} -> {wanted!r}")

# %%
tokenizer = E.kata_tokenizer()


def learn(seed, steps=500):
    read = InfillBatches(E.with_a_leak(seed), tokenizer, E.BATCH, E.KATA_CONTEXT, seed, rate=0.5)
    model = Transformer(E.kata_config(tokenizer), seed=seed)
    train(model, read, steps, lr=1e-2, seed=seed, progress=False)
    return model


models = [learn(seed) for seed in progress(SEEDS)]
print(f"{models[0].num_parameters():,} parameters each")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Let it fill one
#
# Choose a function and a line. What stands before and behind goes in, in the order S, P, and one line
# of what comes out is taken. It is green where it is just the one that was there. *Which line is harder,
# the first or the last, and why?*


# %%
def fill(function, line):
    lines = fresh[function].solution.splitlines(keepends=True)
    before = fresh[function].prompt + "".join(lines[: line - 1]) + "    "
    after = "\n" + "".join(lines[line:])
    middle = infilling.infill(models[0], tokenizer, before, after, tokens=24, order="spm")
    pictures.filled_hole(before, middle.split("\n")[0], after, lines[line - 1].strip())


interact(fill, function=(0, 19, 1, 2), line=[1, 2])

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Does it use what stands behind?
#
# A yardstick: the same model writes the line from left to right, and never sees what follows. On seeds 0
# and 1 it gets 16 and 18 of 36 first lines exactly, with a hole 15 and 17; of last lines 29 and 30, with
# a hole 28 and 30. Our models learn the order and gain nothing by it: the docstring says all.
#
# In every pilot exact matches of holes were 0. The likely cause was ours: the model was shown the blanks
# before the cursor, and its tokens join those to the word behind. Now it writes them itself.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Is it free?
#
# Half of the documents now come in another order. Somebody who writes from left to right has no use
# for it. The paper says that it costs nothing, even with nine documents in ten (Bavarian et al.). Ours
# see the same number of tokens, each share of holes at its own tuned rate. *Your guess, for a model this
# small?*
#
# **Would prove it wrong:** 1 % or more bits on unseen functions, read from left to right.

# %% tags=["hide-input"]
pictures.holes(infill)

# %% slideshow={"slide_type": "subslide"}
verdicts.holes_for_free(infill)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Mind what is compared: all saw as many tokens, and a model with holes spent a share of them on an order
# that this examination does not ask for. After 500 steps all three still learn fast, so what is not
# practised shows. For holes in half of the documents the price is already falling: 30 to 36 % at
# half of the training, 18 to 26 % at its end. The paper's models read far more.
#
# **To remember:** a new ability can be a new order of the same text.

# %% [markdown] slideshow={"slide_type": "notes"}
# 4 minutes, 9 for section 6. Let somebody choose the function and the line. With a terminal at hand:
# `minilm train --corpus python-code --fim 0.5`, and `minilm complete FILE:LINE --model runs/python-code`.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 7. Does it run?
#
# The loss says how surprised a model is. A programmer asks something else: does it work? So let the
# model write programs, and **run** them against tests. If n programs were written for a problem and c
# of them pass, how likely is it that at least one of k is right? With k tries drawn from the n, without
# putting any back,
#
# $$\text{pass@}k = 1 - \frac{\binom{n-c}{k}}{\binom{n}{k}}$$
#
# By hand: five programs, one right, two tries. Ten pairs, six of them without the right one: 1 − 6/10 =
# 0.4. The plain idea, $1 - (1 - c/n)^k = 1 - 0.8^2 = 0.36$, is too low: it draws the same program twice.
# Binomials of 200 overflow, so one multiplies instead:


# %%
def chance_of_one(n, c, k):
    if n - c < k:
        return 1.0  # fewer wrong ones than tries
    product = 1.0
    for i in range(n - c + 1, n + 1):
        product *= 1 - k / i
    return 1 - product


table = [(10, 3, 1), (10, 3, 5), (200, 10, 10), (200, 10, 100), (5, 1, 2), (20, 2, 10)]
for n, c, k in table:
    ours, plain = chance_of_one(n, c, k), naive_pass_at_k(n, c, k)
    print(f"n {n:3}, c {c:2}, k {k:3}: {ours:.7f}, plain {plain:.7f}")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Right on average
#
# Say each program is right with probability 0.3. Six are written. There are 64 outcomes, each with a
# known probability: so the mean of an estimate can be *computed*, and compared with the truth
# $1 - 0.7^3$. **Would prove it wrong:** the means differ.

# %%
chance, n, k = 0.3, 6, 3
weights = [chance ** m.bit_count() * (1 - chance) ** (n - m.bit_count()) for m in range(2**n)]
ours, plain = (
    sum(w * estimate(n, m.bit_count(), k) for m, w in enumerate(weights))
    for estimate in (chance_of_one, naive_pass_at_k)
)
truth = 1 - (1 - chance) ** k
apart = max(abs(chance_of_one(*row) - pass_at_k(*row)) for row in table)
verdicts.unbiased(ours - truth, plain - truth, apart)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Run what a stranger wrote
#
# A program that a model wrote may loop for ever, fill the memory, delete files, or call home; not out
# of malice, but it has read code that does. So each runs in a process of its own behind a wall: no
# network, no files to write, no other programs, a limit on memory and on time. A worker that is already
# running makes each process, so a program starts at once. Tests are judged outside: the program
# never holds the values that it must return. `unsafe=True` accepts a thinner wall where the machine
# has no better one; the last line says which one stood.

# %%
hostile = {
    "good": "def f(x):\n    return sum(x)",
    "wrong": "def f(x):\n    return max(x)",
    "loops": "def f(x):\n    while True: pass",
    "forks": "import os\ndef f(x):\n    while True: os.fork()",
    "writes": "def f(x):\n    open('left', 'w').write('here')",
    "eats": "def f(x):\n    return len('x' * 10**11)",
    "calls home": "import socket\ndef f(x):\n    socket.create_connection(('10.0.0.1', 80))",
}
with Programs(places=2, unsafe=True) as programs:
    tests = [("f", ([1, 2],), 3)]
    outcomes = programs.run_many([(code, tests) for code in hostile.values()], seconds=0.5)
    wall = programs.wall
for name, outcome in zip(hostile, outcomes):
    print(f"{name:10} {outcome.kind:8} {outcome.text}")
print("wall:", wall)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Your models' homework
#
# Ten programs for each of 36 problems that no model saw, at two **temperatures**: each score is divided
# by the temperature before it becomes a probability, so a low one takes the likeliest token nearly
# always. One of the programs first, then the scores of all three models.

# %%
temperatures = (0.2, 0.8)
with Programs(places=2, unsafe=True) as programs:
    later = {
        t: [E.passed(m, E.exam(s).later, t, s, programs) for m, s in zip(models, SEEDS)]
        for t in progress(temperatures)
    }
print(write_programs(models[0], tokenizer, [fresh[2].prompt], 1, 0.2)[0][0])

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## One try or ten
#
# Drawn at a low temperature, ten programs are nearly the same program ten times: good for one try, useless for
# the other nine. At a high one they differ, and more of them are nonsense. **Would prove it wrong:** at 0.8 a
# single try is no worse than at 0.2, or ten tries are no better.

# %% tags=["hide-input"]
pictures.tries(
    {
        t: {k: [np.mean([pass_at_k(10, c, k) for c in row]) for row in rows] for k in (1, 2, 5, 10)}
        for t, rows in later.items()
    }
)

# %% slideshow={"slide_type": "subslide"}
verdicts.temperature(later, E.SAMPLES, SEEDS)

# %% [markdown] slideshow={"slide_type": "fragment"}
# One problem of 36 is 3 points, and on one seed of three ten tries came out worse at 0.8. So here are more,
# recorded: 20 programs for each problem, at four temperatures. **Would prove it wrong:** the best
# temperature for 20 tries is no higher than for one. On the right, at 0.5, what n buys: how far a
# score strays (its standard error) because only n programs were drawn.

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
pictures.warm_and_many(exams)

# %%
verdicts.warmer(exams)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Of the four, 0.2 is best for one try (22 % solved) and 0.5 for twenty (68 %, at 0.2 only 52), on every seed.
# So 0.8 was too warm. With one program a problem pass@1 strays by 4.7 points, with twenty by 1.0, and pass@5
# by 2.4, for it needs more. But 36 *problems* leave 4.7 points open, whatever n is. A score without k, n and
# temperature says little; StarCoder's 34 % and SantaCoder's 18 on HumanEval (section 8) are pass@1.
#
# **To remember:** a program is right if it runs, and a score is an estimate with three settings.

# %% [markdown] slideshow={"slide_type": "notes"}
# 3 minutes, 9 for section 7. Do the ten pairs on the board. Then ask who would run the model's programs
# on his own laptop without the wall.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 8. The exam that was in the book
#
# HumanEval has 164 problems, and they stand on the web, in repositories, in sets made to tune models on.
# A model that has read them is not examined but asked to recite. So the talk trusts newer problems,
# dated after the model (47:00). Ours can be drawn at any time: a seed makes them.
#
# And now the confession. Another 36 problems, published, so to say, slipped into what your three models
# read: 20 times each, beside 1,500 others. That is a third of all they read, a large leak. They were
# drawn like those of section 7, so they are no easier. *Your guess: by how much does the score lie?*
#
# **Would prove it wrong:** the published problems are not solved 20 points more often than the later ones.

# %%
with Programs(places=2, unsafe=True) as programs:
    published = [E.passed(m, E.exam(s).published, 0.2, s, programs) for m, s in zip(models, SEEDS)]
pictures.leak(published, later[0.2], E.SAMPLES)

# %% slideshow={"slide_type": "subslide"}
verdicts.contamination(exams)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Mind the seeds. The picture has three, the card six, recorded. The gap goes from 35 to 9 points: the same sign,
# another size. Much of that is which problems were drawn. A **twin** that read no leak, asked the same 36, solves
# 17 points fewer, on every seed between 12 and 23. With 60 copies, on one other seed, the gap was 6 points.
#
# It needs no look into the training data: whoever can draw new problems can measure it from outside. With a look,
# the pipeline of section 1 removes them before: a document that shares a run of 13 words with a test goes.
#
# **To remember:** a score means something only on problems that the model cannot have read.

# %% [markdown] slideshow={"slide_type": "notes"}
# 2 minutes, 5 for section 8. Say that three seeds would have made another card. Somebody may have found the leak
# in `with_a_leak` already; praise it. Ask for the guess before the picture.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 9. Whose code is it?
#
# Free licences ask for one thing: say whose it is. StarCoder comes with a search over its training
# data, so that what it writes can be traced (45:19). An index of all *suffixes* of the text, sorted,
# does it: whatever passage one looks for, the places that begin with it stand side by side. Two
# searches, each of which halves the list some twenty times, find the first and the last.
#
# We write a function that takes six lines from the library, and ask who wrote them. A long passage is evidence;
# `return len(x)` stands everywhere.

# %%
files = {name: text for name, text in sources().items() if "/" not in name and len(text) < 25_000}
index = Attribution(list(files.values()))
stolen = "\n".join(files["textwrap.py"].split("\n")[210:216])
for passage in index.passages(
    f"def mine(text):\n    width = 3\n{stolen}\n    return 7\n", least=40
):
    first = passage.text.strip().split("\n")[0][:50]
    owners = [list(files)[i] for i in passage.documents]
    print(f"{passage.stop - passage.start} bytes from {', '.join(owners)}: {first} ...")

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** open means that one can look it up: weights, data, and who wrote what.

# %% [markdown] slideshow={"slide_type": "notes"}
# 3 minutes for section 9. Ask how long a passage must be before the room calls it somebody's.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 10. Small, and trained for long
#
# The best model for a training budget is not the best to *have*. A smaller one that reads more can
# reach the same loss; it costs more to train, once, and less to run, for ever. The talk gives a number:
# 7 billion parameters on a trillion tokens cost about 13 % more training than the best choice, and
# about half to run (09:49).
#
# The law behind it is $L = E + A/N^\alpha + B/D^\beta$, with N parameters, D tokens, and a cost of N ·
# D. Ask it for the cheapest model of the same loss: its first fraction is $\beta/(\alpha+\beta)$ of what
# lies above E, its second the rest. Three sets of its constants are in print: as the paper gives them,
# the same before rounding, and a later refit of the same points. **Would prove the 13 % wrong:** a fit
# that gives less than 10 or more than 16 %.

# %%
pictures.small_and_long(7e9, 1e12)

# %% slideshow={"slide_type": "subslide"}
verdicts.overhead()

# %% [markdown] slideshow={"slide_type": "fragment"}
# The curve is nearly flat around its lowest point, so where that *is* hardly shows in the data, and a third digit
# of an exponent moves it by billions of parameters. Small models trained long are cheap by all three; the number
# hangs on the fit.
#
# **To remember:** near the optimum size matters little, so it can be chosen by what it costs to run.

# %% [markdown] slideshow={"slide_type": "notes"}
# 2 minutes, 4 for section 10. Point at the three dots: one model, three curves. Which number would you
# put on a slide?

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What came out, and what did not
#
# **On your machine.** The published rules leave most of a careful library standing. What goes is made by
# programs: tables for alphabets, nearly equal. Dozens of people's addresses were in the rest.
#
# **By experiment.** Copies cost, and with twice the training they are recited; a filter on comments does nothing; a
# coin that leaves three tenths of a small corpus hurts most. Many tries want a higher temperature than one.
#
# **It depends on the seed.** A leak shows on six seeds of six, but as 9 to 35 points: *partly*.
#
# **Not as claimed, here.** Repeating and holes. Both are called free, of models that had far more text and
# time than ours. Neither is free for ours, with 22 pieces of text or 500 steps.
#
# **By formula.** pass@k without bias, the bands of the search for copies, an overhead of 4, 10 or 41 %, not 13.
#
# **Not measured.** What stars *prefer*. Whether one language helps another. Repository context, which 128 tokens
# cannot use. Synthetic textbooks, tuning on instructions, and what holes are worth where a docstring does not say
# all. And all that needs size.
#
# **One further question.** A near copy is removed because it is like another *file*. What would you have
# to compare in order to remove the second of two *projects* that solve the same problem?
#
# Now write the parts yourself: [exercise set](../exercises/09_code_models.ipynb).
