# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "The history of the Transformer: what was taken away"
#   talk: "Shaping the future of AI from the history of the Transformer"
#   speaker: "Hyung Won Chung"
# ---

# %% [markdown] slideshow={"slide_type": "slide"}
# # The history of the Transformer: what was taken away
#
# ![On the left the Transformer of 2017: a stack of layers that reads "Das ist gut" and a second stack that writes "That is good", whose every layer looks at the first stack's last one. On the right the model of today: one stack over both sentences. Between them the four things that were taken away.](03_history_of_the_transformer/opening.png)
#
# The Transformer of 2017 had two stacks of layers. The models of today have one. **What was lost on
# the way, what was won, and why did it go that way?**
#
# *30 minutes to read, one to run. You need attention, masks and blocks, as in [lesson
# 01](01_overview_of_transformers.ipynb). The talk was given on 11 April 2024; times such as 54:36
# are minutes and seconds of its recording.*

# %% [markdown] slideshow={"slide_type": "notes"}
# 3 minutes. Let the room name the four things before you read them out. For 50 minutes leave out
# sections 2, 8 and 10; for 80 show everything and let the room move the controls.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Your bet
#
# Two models with equally many weights learn 192 facts. One has a stack for what it reads and a
# stack for what it writes. The other has one stack for both.
#
# Some facts are only ever *told*: they stand in the text that the model learns to write. Both
# models learn to write them without a mistake. Then, for the first time, they are *asked*: the same
# words stand in the text that it reads.
#
# How many does each model answer? Write down two numbers in per cent. Section 7 has the answer.

# %% slideshow={"slide_type": "skip"}
import numpy as np

from minilm import backend
from minilm.analysis import costs
from minilm.course import interact, lesson_folder, seeds, source
from minilm.data import toys
from minilm.models import Config, Transformer

SEEDS = seeds()  # 0, 1, 2, or those that `minilm run 03 --seeds 3,4,5` asks for
here = lesson_folder("03")
pictures, verdicts, experiments = here.pictures, here.module("verdicts"), here.module("experiments")
mastery = here.study("mastery")
backend.keep_freed_memory()

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 1. Drop a pen
#
# Everybody says that AI moves too fast to keep up (32:29). Chung's advice is to study the change
# itself (33:00): find the **dominant** force behind it, understand that force, and extrapolate
# (33:27).
#
# His example is a falling pen (34:55). Gravity pulls it down and the air holds it back, in a way
# that nobody can calculate exactly. But the pen is heavy, so gravity alone is enough:
# $s = \frac12 g t^2$.
#
# By hand, from 1.5 m: $t = \sqrt{2 \cdot 1.5 / 9.81} = 0.55$ s, and the pen lands at $9.81 \cdot
# 0.55 = 5.4$ m/s. A pen of 8 g weighs 0.078 N. At 5.4 m/s the air pushes back with about 0.02 N, a
# quarter of that, and with less before. A sheet of paper weighs 0.049 N. At that speed the air
# would push it back with 1.2 N, 25 times its weight: for the sheet, there are two forces.


# %%
def fall(grams, square_cm, height=1.5, drag=1.1):
    g, air = 9.81, 1.2  # m/s², kg/m³
    top = np.sqrt(2e-3 * grams * g / (air * drag * 1e-4 * square_cm))  # m/s, where air = weight
    alone = np.sqrt(2 * height / g)  # s, by gravity alone
    seconds = top / g * np.arccosh(np.exp(g * height / top**2))  # s, with the air
    return alone, seconds, top


for thing, size in {"pen": (8, 11), "sheet of paper": (5, 624)}.items():
    print("{}: {:.2f} s by gravity, {:.2f} s with the air".format(thing, *fall(*size)[:2]))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Fold the paper
#
# *Before you move the control: how often must the sheet be folded until gravity alone is enough?*

# %% tags=["hide-input"]
interact(lambda folds: pictures.falling(fall, folds), folds=(0, 6, 1, 1))

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** prediction is not about knowing everything. It is about knowing whether one force
# outweighs the rest.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 2. Cheap compute
#
# For AI, Chung says, that force is the price of computation: for the same money you get **ten
# times as much every five years** (39:01), and have done for more than a hundred years (38:37). We
# have no such data here, so this is arithmetic and no verdict.
#
# By hand: ten times in five years is $10^{1/5} = 1.58$, 58 % a year. What does that buy? Training N
# parameters on D tokens takes about $6ND$ operations. The best use of them gives every parameter
# about 20 tokens (arXiv 2203.15556), so $C = 120 N^2$. A laptop does some $10^{11}$ operations a
# second, or $3.6 \cdot 10^{14}$ in an hour, and trains $N = \sqrt{3.6 \cdot 10^{14} / 120} = 1.7$
# million parameters. Ten times the compute trains a model $\sqrt{10} = 3.2$ times as large.

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
interact(pictures.growth, tenfold_every=(2, 10, 1, 5), years_ahead=(0, 40, 5, 10))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The bitter lesson
#
# What should a researcher do with that? Chung's reading of Rich Sutton's *bitter lesson*, "the
# single most important piece of writing in AI" (40:42): seventy years of progress came from more
# general methods with **weaker assumptions**, and more data and compute (40:51).
#
# The tempting way is the other one: to teach the machine how we think that we think (39:41). But
# we do not know how we think. What we build in is a shortcut at first and a bottleneck later
# (40:11). And compute gets cheaper faster than we become better researchers (41:27).
#
# A listener objects that Moore's law is ending (74:49). The number of transistors is a red herring,
# says Chung; what counts is the compute that one can get (75:17). Graphics chips carried the trend
# on, then numbers of fewer bits (75:30). The next could be chips with an architecture **hard
# coded** into them (75:43). The end could be set by energy (76:06).

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** if compute is the dominant force, do not compete with it. Choose the method that
# gains most from more of it.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 3. More structure, less structure
#
# **Structure**, here, is whatever a model is not free to learn: an assumption that is built in. The
# talk draws performance against compute (41:52). With more structure you start better and level
# off; with less you start worse and win later (42:06). So there is a best amount of structure for
# the compute and data of today (43:26), and what was added must be taken away again (43:07). We are
# good at adding, because an addition is a paper; and bad at removing (43:51).
#
# Most of what follows in a text depends on the last few words. So let a model see nothing else: a
# **window** of three tokens. That is a good assumption about language. It is one line of a mask:


# %%
def sees(T, window=None):  # (T, T), True where a row may look at a column
    t = np.arange(T)
    behind = t[:, None] - t  # (T, 1) - (T,) -> (T, T): how far back the column lies
    return (behind >= 0) & (behind < (window or T))


print(np.hstack([sees(6).astype(int), np.full((6, 1), 8), sees(6, 3).astype(int)]))

# %% [markdown] slideshow={"slide_type": "fragment"}
# Left of the 8s: full causal attention. Right of them: the window. Nothing else will differ.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## A text with a memory
#
# Our text obeys a grammar of two letters' reach. But one letter in twenty repeats the *topic*,
# which stands at the very beginning, out of the window's reach.

# %% tags=["hide-input"]
pictures.grammar()

# %% [markdown] slideshow={"slide_type": "fragment"}
# **Would prove it wrong:** in one seed full attention is ahead at the first test, or behind at the
# last. Both models have the same weights at the start, read the same text, no line of it twice, and
# have a learning rate tuned for each. We measure the **loss** in *nats*: minus the natural
# logarithm of the probability that the right letter got. *Which curve starts lower, and do they
# cross?*

# %% slideshow={"slide_type": "subslide"}
record = here.recorded("crossover")
rates = {mask: record.data["tuning"][f"16384 {mask}"]["lr"] for mask in ("window", "full")}
raced = experiments.race(SEEDS, rates)  # mask -> (seeds, tests, 4): step, loss, ...
pictures.structure(raced, record)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
verdicts.race(raced, SEEDS)
verdicts.amounts(record)

# %% [markdown] slideshow={"slide_type": "notes"}
# 6 minutes. Ask which structure of today's models the room would remove.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Why it levels off
#
# On the right the amount of text grows, recorded with three seeds, each point with its own tuned
# rate. A yardstick needs no training: a **counter** of what followed each pair of letters. It has
# more structure still, wins where there is least to read, and levels off first. (The talk's plot has
# a third line at the other end: less structure still, which picks up later still, 42:38.)
#
# On the *far* letters, those that repeat the topic, the window stays as bad as a guess, and no
# amount of text helps. **To remember:** what you do not let a model see, it cannot learn, however
# long you train it.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 4. One sequence model, three ways
#
# A Transformer makes vectors out of tokens and lets them meet in dot products (47:29). Three kinds
# have been built. They differ in who may look at whom. We do not draw that from memory. In a real
# model we replace one token after another and watch which outputs move.

# %% tags=["hide-input"]
pictures.three_kinds()

# %% [markdown] slideshow={"slide_type": "fragment"}
# - **Encoder-decoder** (47:55): one stack reads the source, everything at once. A second writes the
#   target, which sees its own past and, by *cross-attention*, the source.
# - **Encoder only** (50:46; BERT): sees everything, so nothing is left to predict. It gives up
#   writing (51:55), which made the tasks of 2018 easier and is of little use in the long run
#   (52:26).
# - **Decoder only** (52:44; GPT): source and target stand in one row, and self-attention does the
#   work of cross-attention too (53:21).

# %% [markdown] slideshow={"slide_type": "skip"}
# ## In one row, and what is scored
#
# How does a decoder-only model translate (53:12)? Source and target become one text, and every
# place guesses the token after it. Only guesses of the *target* count: nobody asks what follows the
# first word of a question, and what fills up a short row counts for nothing. So the last token of
# the source is the first that is scored, and the last of the target guesses nothing. (With a mark
# between the two, it is the mark that guesses first.)

# %% slideshow={"slide_type": "skip"}
text, n_in = [5, 6, 7, 8], 2  # two tokens of source, two of target
for place, (token, after) in enumerate(zip(text, [*text[1:], "-"])):
    scored = n_in <= place + 1 < len(text)
    print(f"place {place} reads {token}, the next is {after}", "(scored)" if scored else "")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Cross-attention by hand
#
# A target word asks with its query $q = 1$. Two source words have the keys $0$ and $\ln 2$ and the
# values 4 and 8. The target word's own key is 0 and its own value 12. One number each, so a score is
# a plain product, and $e^{0} = 1$, $e^{\ln 2} = 2$.
#
# **Cross-attention** looks at the source only: shares 1/3 and 2/3, so $\frac13 4 + \frac23 8 =
# 6.67$. **Self-attention** of the first target word has only itself to look at: share 1, so 12.
#
# **One row, one softmax:** the three words share 1 + 2 + 1 = 4, so $\frac14 4 + \frac24 8 +
# \frac14 12 = 8$.
#
# And $8 = \frac34 \cdot 6.67 + \frac14 \cdot 12$: one softmax *mixes* the two results by how well
# each side fits. Two softmaxes give each side a full share, and the model adds them up.


# %% slideshow={"slide_type": "subslide"}
def attend(q, k, v, mask=True):  # (T, C), (S, C), (S, C), (T, S) -> (T, C)
    scores = np.where(mask, q @ k.T / np.sqrt(q.shape[1]), -np.inf)  # (T, C) @ (C, S) -> (T, S)
    e = np.exp(scores - scores.max(1, keepdims=True))  # (T, S)
    return e / e.sum(1, keepdims=True) @ v  # (T, S) @ (S, C) -> (T, C)


k, v = np.array([[0.0], [np.log(2)], [0.0]]), np.array([[4.0], [8.0], [12.0]])  # two, then one
q = np.array([[1.0], [1.0], [1.0]])  # (3, 1)
cross, own = attend(q[2:], k[:2], v[:2]), attend(q[2:], k[2:], v[2:])  # (1, 1) each
print("cross-attention, self-attention:", cross.item(), own.item())
print("one softmax over [source; target]:", attend(q[2:], k, v).item())
print("a decoder-only model, third row:  ", attend(q, k, v, np.tri(3) > 0)[2].item())

# %% [markdown] slideshow={"slide_type": "fragment"}
# The last two lines are the same number: a decoder-only model *is* cross-attention and
# self-attention in one softmax, with one set of weights. **To remember:** cross-attention is not
# another mechanism. It is attention to another row.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 5. Four differences
#
# How different are the two kinds, then? Quite similar, says Chung (54:03), and takes the
# encoder-decoder apart in four steps:
#
# 1. **Cross-attention** has weights of its own. They have the same shape as those of
#    self-attention, so share them (54:55).
# 2. **Parameters.** Source and target have a stack each. Share those, too (55:15).
# 3. **Target to input.** Every layer of the target reads the *last* layer of the source. Let layer
#    1 read layer 1, and so on (55:54).
# 4. **Input attention** runs both ways. Make it causal (56:33).
#
# Then the two are "almost identical" (56:47).

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The parts
#
# A layer is attention, then a feed-forward net, each of which *adds* to its input. Every part reads
# a *norm* of it: each row divided by the root of its mean square. The weights of a layer are six
# matrices: `q`, `k`, `v`, `o` of C × C for attention, `up` (4C × C) and `down` (C × 4C) for the
# feed-forward net.


# %%
def norm(x):  # (T, C) -> (T, C)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5)


def look(x, seen, w, mask):  # x (T, C) looks at seen (S, C) where mask (T, S) is True -> (T, C)
    return attend(x @ w["q"].T, seen @ w["k"].T, seen @ w["v"].T, mask) @ w["o"].T


def feed(x, w):  # (T, C) -> (T, 4 C) -> (T, C)
    return np.maximum(x @ w["up"].T, 0) @ w["down"].T


# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The walk
#
# Four steps, four lines; each is marked with its number. Type this cell yourself.


# %%
def walk(w, source, target, step, one_softmax=False):  # (S, C), (T, C) -> (T, C)
    S, T = len(source), len(target)
    past = np.tri(T, dtype=bool)  # (T, T): a target sees itself and what came before
    sight = np.tri(S, dtype=bool) if step >= 4 else True  # (S, S)                          4
    reads = []  # what each layer of the source has read
    for layer in w["decoder" if step >= 2 else "encoder"]:  #                               2
        reads.append(norm(source))
        source = source + look(reads[-1], reads[-1], layer, sight)
        source = source + feed(norm(source), layer)
    last = norm(source)

    for layer, cross, read in zip(w["decoder"], w["cross"], reads, strict=True):
        read = read if step >= 3 else last  # (S, C)                                        3
        cross = layer if step >= 1 else cross  #                                            1
        own = norm(target)
        if one_softmax:  # over the source and the target's past at once
            both = np.hstack([np.ones((T, S), bool), past])  # (T, S + T)
            target = target + look(own, np.vstack([read, own]), layer, both)
        else:  # two: over the target's past, then over the source
            target = target + look(own, own, layer, past)
            target = target + look(norm(target), read, cross, True)
        target = target + feed(norm(target), layer)
    return norm(target)


# %% [markdown] slideshow={"slide_type": "subslide"}
# ## And it is the package's model
#
# `EncoderDecoder` is what the package trains. Here it has random weights, and we run both on nine
# tokens, after every step and at last with one softmax.

# %%
reading, writing = experiments.given(seed=0)  # (5,) and (4,) token ids
for step, one in [(0, False), (1, False), (2, False), (3, False), (4, False), (3, True), (4, True)]:
    model = experiments.package(step, one)  # three layers, 16 channels, float64
    s, t = experiments.vectors(model, reading, writing)  # tokens and places: (5, C), (4, C)
    ours = walk(experiments.weights(model), s, t, step, one)
    theirs = model.hidden(reading[None], writing[None]).data[0]  # (4, C)
    softmaxes = "one softmax" if one else "two softmaxes"
    print(f"step {step}, {softmaxes:13}  largest difference {np.abs(ours - theirs).max():.0e}")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Walk through it
#
# Left: weights of one colour are the same weights, and the arrows say what the target reads. Right:
# who looks at whom, found by replacing tokens.
# *Before you move the control: which step changes the right-hand table, and which do not?*

# %% tags=["hide-input"]
interact(pictures.walk, step=(0, 5, 1, 3))

# %% [markdown] slideshow={"slide_type": "notes"}
# 8 minutes with the code, the heart of the lesson. Only step 4 changes the table: who looks at whom
# is not what parts the two kinds. What parts them is which weights do it and in which layer.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What each step saves
#
# By hand: attention has four matrices of C², the feed-forward net two of 4C². An encoder layer has
# $4 + 8 = 12\,C^2$ weights and a decoder layer, with cross-attention, $8 + 8 = 16\,C^2$. With L
# layers each that is $28\,LC^2$. Step 1 takes $4\,LC^2$ away, step 2 another 12. Steps 3 and 4 take
# nothing: they only change who reads what.

# %%
counted = experiments.walk_weights()  # built and counted at the sizes of 2017: L = 6, C = 512
for name, number in counted.items():
    print(f"{name:12} {number:>11,} weights = {number / (6 * 512**2):g} L C²")
verdicts.counts(counted, layers=6, channels=512)

# %% [markdown] slideshow={"slide_type": "skip"}
# **And what does it save in work?** Much less. A weight that meets a token is a multiplication and
# an addition, 2 operations. In one stack a token meets $12\,C^2$ weights a layer. With two stacks it
# meets those of its own side, $12\,C^2$, and of cross-attention the keys and values ($2\,C^2$) if it
# is read, the query and output ($2\,C^2$) if it is written. So $14\,C^2$ on either side: 7/6 as much,
# whatever the lengths. By hand, C = 2, one layer, one token a side: $2 \cdot 2 \cdot 48 = 192$
# operations against $2 \cdot 2 \cdot 56 = 224$. Attention itself comes on top: every pair of a query
# and a key that the mask lets through costs C multiply-adds for its score and C for its value.

# %% slideshow={"slide_type": "skip"}
for sides in ((64, 64), (500, 12)):  # tokens of source and target
    matrices, pairs = experiments.work(*sides)  # two stacks over one
    print(sides, f"weights {matrices:.4f} times as much work, with attention {pairs:.4f}")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Are they the same now?
#
# "A little bit of difference in the cross-attention", Chung concedes (56:52). That is the second
# softmax. From step 2 on the weights stay the same, so we give six models the same ones and compare
# their outputs, the *logits*, with those of a **prefix-LM** (one stack that reads its input both
# ways) and of a decoder-only model. **Would prove it wrong:** a difference above $10^{-12}$ with
# one softmax.

# %%
apart = [experiments.distances(seed) for seed in SEEDS]
pictures.distances(apart)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
verdicts.same_function(apart, SEEDS)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** encoder-decoder and decoder-only are one model with four switches, and a softmax
# between them.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 6. Within the noise
#
# As functions the two still differ a lot. But "if you just train these" on the same task and data,
# says Chung, "you will get pretty much within the noise, probably closer than if you train the same
# thing twice" (56:56). That can be measured.
#
# The task is a translation. Forty-eight words become words of another language, in another order,
# and for half of them the next word decides between two meanings. All models learn in this loop:

# %% tags=["hide-input"]
source(mastery.learn, docstring="none")

# %% [markdown] slideshow={"slide_type": "fragment"}
# Comparing losses in the middle of training would say who is faster, not who is better; and at the
# end all of them have every word right. So we count the **steps until 95 % of the words are
# right**, at the learning rate that makes this number least for each model.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Train them
#
# After step 4 with two softmaxes (S4), and after step 4 with one (decoder-only). Both have 86,016
# weights in their layers. The encoder-decoder that we started from was recorded, for section 7.
#
# **Would prove it wrong:** changing the softmax moves the number of steps more than changing the
# seed does. *Before you run it: how many steps will the two need?*

# %%
NAMES = {"S4 L7": "two softmaxes", "S4m L7": "decoder-only"}
study = here.recorded("mastery", whole=True)  # for the tuned rates
lr = {name: study.data["tuning"][f"translation {name}"]["lr"] for name in NAMES}
runs = experiments.translate(list(NAMES), SEEDS, lr)
pictures.learning({NAMES[name]: made for name, made in runs.items()})

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
verdicts.within_noise(runs, SEEDS)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 7. Two stacks or one
#
# So the walk leads to the same place. Was anything lost? Look at the structure that was taken away,
# piece by piece (57:11).
#
# Two stacks assume that source and target are **different enough** to need parameters of their own
# (57:32). For translation that is natural: one stack for English, one for German (58:10). For a
# model that is to *know* things it is not (58:30). Knowledge in two languages should be combined,
# and not kept in two places (58:48).
#
# **Would prove the first wrong:** two stacks need a quarter more steps than one for the translation
# of section 6, or eight recorded seeds cannot rule it out.

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
verdicts.translation(study)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Facts that cross from one side to the other
#
# Now the bet. A fact is a triple: entity 5 has to relation *b* the entity 31. Sixty per cent of the
# 192 facts are met in both forms, a fifth only told, a fifth only asked:

# %% tags=["hide-input"]
print(experiments.facts_spelled())

# %% [markdown] slideshow={"slide_type": "fragment"}
# Told, the fact stands in the target, which the model learns to write. Asked, the question stands in
# the source. The test: facts that were only told, now asked.
#
# Two yardsticks cost nothing. **By chance** 1 in 48 is right. **By elimination** it is about 1 in
# 10: every relation gives each entity one answer, and no two the same; so a model that remembers the
# answers it has given already can rule them out.
#
# **Would prove it wrong:** two stacks answer a quarter, or decoder-only less than half. And for the
# step between, after 2,000 steps: a target that reads the last layer answers a quarter, or one that
# reads layer by layer less than half.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What crossed
#
# Recorded (`minilm study run 03/mastery`), with rates tuned for the steps to learn what *is*
# trained, never for what crosses. **Our claim**, after the talk's: knowledge crosses where one set
# of weights reads layer by layer. *Where in the walk will the bar rise?*

# %% tags=["hide-input"]
longer = here.recorded("longer")  # four times the steps
pictures.crossing_over(study, longer, *experiments.shortcuts())

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
verdicts.one_stack_knows(study, experiments.shortcuts()[1])
verdicts.layer_by_layer(longer)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Which step did it
#
# Read the bars from the top. One stack of weights is not enough: while the target reads the *last*
# layer (step 2), a fact that was told is as good as unknown when it is asked, after four times the
# steps too. Read layer by layer (step 3), it crosses, in one seed of three late: 20 % after 500
# steps, 53 after 2,000. With a causal input (step 4) 60 to 72 % have crossed by 500, with one softmax 80 to 88.
#
# Why? To answer, the target must find in what it *reads* what it used to find in what it *wrote*.
# That is likely only where a word of the source looks to a layer as a word of the target does: same
# weights, same depth, same view of its neighbours. This explanation is ours and untested. So is the
# step from 86,016 weights to a model that knows German and English.

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** a structure that keeps two things apart also keeps apart what they know.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 8. Long inputs, and the last layer
#
# **Long inputs, short targets.** Instruction tuning on some 1,832 academic tasks (60:12) helped T5,
# an encoder-decoder, far more than PaLM, a decoder-only model, although they had spent 99 % of
# their time on PaLM (59:46). Chung's guess: the **length**. Such tasks have long inputs and short
# targets, which can be graded (60:16). A structure that expects the sides to differ "really shines"
# there (60:56). Today the interesting targets are long (61:14). So let both learn to read 30 tokens
# and write 2, and to read 2 and write 30. **Would prove it wrong:** two stacks fall no less behind
# where the input is long.
#
# **Only the last layer.** Low layers hold the surface of a text, high ones its meaning. With many
# more layers a target that reads the last alone could miss what lies below (62:05). Ours are few.

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
verdicts.lengths(here.recorded("lengths", whole=True))

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 9. Both ways?
#
# BERT read its input in both directions, and in 2018 that was worth some 20 points on SQuAD, a test
# of reading (63:53). At scale it does not matter much, says Chung, from what he calls anecdotal
# experience (64:04). Step 4 of our walk turns off nothing else.
#
# **Would prove it wrong:** on the facts of section 7 a causal input needs a quarter more steps, or a
# quarter fewer.

# %% slideshow={"slide_type": "-"} tags=["hide-input"]
verdicts.both_ways(study)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What it costs in a chat
#
# Reading both ways has a price in a conversation (64:14). A causal model keeps the keys and values
# of all it has read. An input that is read both ways changes as a whole with every new message, for
# the old words may now look at the new ones. So it must be read again from the start (64:47).
#
# By hand: three turns of 2 words from the user and 3 from the model. Causal: every word is computed
# once, 5 + 5 + 5 = 15. Both ways: 5, then 10, then 15, together 30. Twice as many, and in general
#
# $$\frac{1 + 2 + \dots + T}{T} = \frac{T + 1}{2}$$
#
# *Ten turns: how many times as much? And will the clock say the same?*

# %% [markdown] slideshow={"slide_type": "skip"}
# What is kept? Of every layer the keys and values, one row for each token. New tokens make rows of
# their own, which go underneath, and look at all of them by a mask that is as wide as the whole
# text: with three tokens kept and two new ones, `1 1 1 1 0` and `1 1 1 1 1`.

# %% slideshow={"slide_type": "skip"}
x, layer = experiments.one_layer(tokens=5)  # (5, C), the rows of a text; q, k, v, o are (C, C)
whole = look(x, x, layer, np.tri(5) > 0)  # (5, C): all of it at once
kept = [x[:3] @ layer[name].T for name in "kv"]  # (3, C) each
k, v = (np.vstack([old, x[3:] @ layer[name].T]) for old, name in zip(kept, "kv"))  # (5, C)
new = attend(x[3:] @ layer["q"].T, k, v, np.tri(2, 5, 3) > 0) @ layer["o"].T  # (2, C)
print(f"the two new rows are off by {np.abs(new - whole[3:]).max():.0e}")

# %% [markdown] slideshow={"slide_type": "skip"}
# Attention's own work is the **pairs** of a query and a key. Causal, token t sees t of them, itself
# included: $1 + 2 + \dots + n = n(n+1)/2$. Both ways, r tokens that are read together make $r^2$,
# and the answer is then written causally. By hand, one turn of 2 words and an answer of 1: 1 + 2 +
# 3 = 6 against 2 · 2 + 3 = 7. After many turns they lie far apart: each turn squares all that was
# said before.


# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
chats = here.module("chats")
source(chats.chat)

# %% slideshow={"slide_type": "subslide"}
TURNS, USER, ANSWER = 10, 60, 20
sizes = Config(256, TURNS * (USER + ANSWER), layers=4, heads=4, channels=192, positions="rope")
causal = Transformer(sizes)
reader = Transformer(sizes.replace(kind="prefix-lm"))  # the same weights: the same seed
talks = [toys.chat(TURNS, USER, ANSWER, seed=seed) for seed in SEEDS]
tokens = {"both ways": chats.chat(reader, talks[0]), "causal": chats.chat(causal, talks[0])}
clock = chats.clock((reader, causal), talks)  # (chats, models): seconds
pictures.chats(tokens, clock)

# %% slideshow={"slide_type": "skip"}
for name, way in (("both ways", "bidirectional"), ("causal", "causal")):
    formula = costs.chat_cost(TURNS, USER, ANSWER, way)
    assert formula.tokens == tokens[name][-1]
    print(f"{name:9}  {formula.tokens:,} tokens, {formula.pairs:,} pairs in a layer")
assert np.array_equal(np.divide(*tokens.values()), (np.arange(TURNS) + 2) / 2)  # (T + 1) / 2
print(f"on the clock {(clock[:, 0] / clock[:, 1]).mean():.1f} times as long")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Why it cannot be kept
#
# Read a message, then one more. How far do the stored keys of the *first* one move?
# *One layer will not move in either model. Which, and why?*

# %%
shift = {
    name: np.array([chats.moved(model, *talk[0]) for talk in talks])
    for name, model in (("causal", causal), ("both ways", reader))
}  # (seeds, layers)
pictures.moved(shift)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
verdicts.stored(shift, SEEDS)

# %% [markdown] slideshow={"slide_type": "fragment"}
# The first layer's keys are made of the tokens alone, before anybody has looked at anybody. **To
# remember:** the cache is not a trick. It is what a causal input buys.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 10. Questions from the room
#
# **Is a mixture of experts structure that will go?** (67:03) Such a model has many feed-forward nets
# and sends every token to a few of them. Chung will not say much about architectures; this one
# "seems quite general" (67:31). Lesson 05 builds one.
#
# **Is sharing not structure too?** (67:46) A shared weight leaves a model *less* freedom. One can
# see it that way, and it is somewhat subjective, he grants (68:03). But two stacks assume that
# input and target differ, and that is the stronger assumption (68:43). Our count agrees with the
# listener (28 against 12 $LC^2$), our facts with the speaker: what was shared could be used on both
# sides.
#
# **What of invariances?** (70:02) A convolutional net answers alike wherever a thing stands in the
# picture. We thought that important; it may by now keep models from learning something more general
# (71:09). He would just try without (71:39). For text, images and sound in one model the Transformer
# may itself become the bottleneck (69:36).

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Which structure goes next?
#
# The best question of the evening (72:06). Not the architecture, is the answer (72:39): a study of
# some sixty changes to the Transformer found hardly one that made a difference (72:50). The
# bottleneck is now the **learning objective** (73:13). Half an hour before, Jason Wei was asked for
# the biggest bottleneck too, and named data and size (29:14).
#
# **Maximum likelihood** holds one continuation to be right and all others to be wrong (73:22). For
# a translation that may do. For "write a poem" it may not (73:44). A learned reward, as in RLHF, is
# one way out, and has less structure, though it does not scale well yet (74:01).
#
# By hand: four answers are equally right. A perfect model gives each 1/4. Its loss is $\ln 4 =
# 1.39$ nats; with one right answer it would be 0. It is not a worse model. It was asked a more open
# question.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Open questions have a price
#
# Prompts with 1, 2, 4 or 8 right answers. **Our claim:** the loss calls a model worse for being
# asked open questions. **Would prove it wrong:** the loss does not rise by $\ln k$, or the answers
# are really worse.

# %% tags=["hide-input"]
answers = here.module("open_answers")
source(answers.ask_openly, docstring="none")

# %%
found = np.array([answers.ask_openly(seed) for seed in SEEDS])  # (seeds, 2, 4)
losses, right = found.swapaxes(0, 1)  # (seeds, 4) each
pictures.open_answers(answers.OPEN, losses, right)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
verdicts.open_answers(losses, right, SEEDS)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What came out, and what did not
#
# **As said.** A window starts better and levels off; full attention overtakes it. Four switches turn
# the encoder-decoder into a model with as many weights as a decoder-only one, and one softmax more
# makes them the same function. What a causal model has stored stays true; one that reads both
# ways computes (T + 1) / 2 times as many tokens in a chat of T turns.
#
# **Ours, or on a toy.** On translation all three models arrive after about as many steps; eight seeds
# leave 11 % at most between two stacks and one. One stack used on one side what it had learnt on the
# other, two stacks did not. What carries it over is reading layer by layer: after 2,000 steps more
# than half of the facts cross in every seed, and in one of three only just. Reading the last layer,
# 5 % do at most, after as many steps.
#
# **Not measured.** A hundred years of compute (38:37). Encoder-only models on the tests of their day
# (51:06). Flan (59:46). Many more layers (62:05). Reading both ways at scale (64:04). Mixtures of
# experts (67:03), invariances (70:02), learned rewards (74:01), chips (75:43). All our models are
# small, and all texts but their grammar are invented.
#
# **One further question.** Facts cross better from *told* to *asked* than the other way round (the
# record has both). What is harder about telling?
#
# Now build the walk yourself: [exercise set](../exercises/03_history_of_the_transformer.ipynb).
