# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Transformers: where they came from, and what they cannot do"
#   talk: "Overview of Transformers"
#   speaker: "Feng, Garg, Bunnapradist, Lee"
# ---

# %% [markdown] slideshow={"slide_type": "slide"}
# # Transformers: where they came from, and what they cannot do
#
# ![The sentence "the river rose until it reached the bank", three times: a counter sees two words, a recurrent net carries one state along, attention looks from "bank" at every word, most of all at "river".](01_overview_of_transformers/opening.png)
#
# Which bank? The answer stands six words back. **What did one formula, attention, repair in the
# language models before it, and what is still broken?**

# %% [markdown] slideshow={"slide_type": "skip"}
# *25 minutes to read, one to run. You need: matrix products, Python, and [lesson
# 00](00_start_here.ipynb). The talk opened Stanford's CS25 V4 on 4 April 2024; times such as 10:46
# are minutes and seconds of its recording. Every claim meets an experiment that could prove it
# wrong, with the threshold set before the run.*

# %% [markdown] slideshow={"slide_type": "notes"}
# 3 minutes. Let the room say how each of the three rows would find out which bank is meant.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Your bet
#
# A net must read twelve letters, one after another, and then write them down again. Three designs:
#
# - it hands over **one vector of 32 numbers**, its state after the last letter;
# - it hands over **one vector of 128 numbers**;
# - it keeps 32, but may **look back** at every letter while it writes.
#
# All are trained, each with the rate that suits it best, until 95 % of the letters are right. Who
# gets there first, and how many times as long do the others take? Section 4 has the answer.

# %% slideshow={"slide_type": "skip"}
import numpy as np

from minilm import backend, nn
from minilm.analysis.ngram import KneserNey
from minilm.course import interact, lesson_folder, seeds, source
from minilm.models import Config, Transformer, count_parameters, gpt, gpt2
from minilm.tensor import Tensor

SEEDS = seeds()  # 0, 1, 2, or those that `minilm run 01 --seeds 3,4,5` asks for
here = lesson_folder("01")
pictures, experiments = here.pictures, here.module("experiments")
training, verdicts = here.module("training"), here.module("verdicts")
backend.keep_freed_memory()

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 1. Count
#
# A **language model** says how likely each word is to come next. The oldest kind counts. In *the
# list is a list of lists*, the word after *a* was *list*, once out of once; so P(list | a) = 1.
# That is order 2: two words counted together. At order 3 the context is *is a*. A longer context
# says more about the next word, if it has ever been seen.
#
# The best of the counters, **Kneser-Ney** (1995), falls back to a shorter context where the long
# one is new. Here it reads Python's own documentation, and we measure **bits per word**: with 3
# bits the right word had a probability of 1/8 on average. *Before you run it: from which order on
# will a longer context no longer help?*

# %%
orders = range(1, 6)
told, asked, vocab = experiments.documentation()  # ids of words to count, and of words to predict
bits = [KneserNey(told, order, vocab).bits(asked).mean() for order in orders]
print(f"{len(told):,} words to count, {len(asked):,} to predict, {vocab:,} different")
pictures.counting(bits, [experiments.seen(told, asked, order) for order in orders])

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** beyond three words more context buys almost nothing, because it is almost always
# new. To a counter every word is a mark: it cannot use that *tuple* behaves like *list*.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 2. Words as vectors
#
# Give each word a row of numbers, and let words that behave alike have rows that point the same way
# (08:30). Where do such rows come from? From the company that a word keeps.
#
# Count how often two words stand near each other and compare it with chance. The logarithm of that
# ratio is the **pointwise mutual information**, pmi:
#
# $$\mathrm{pmi}(a, b) = \log\frac{P(a, b)}{P(a)\,P(b)}$$
#
# By hand, from 20 pairs: *cat* and *purrs* met in 6 of 20; each takes part in 8 of 20. By chance
# they would meet in 0.4 × 0.4 = 0.16 of all pairs; they did in 0.3. So pmi = log(0.3 / 0.16) =
# 0.63.

# %%
from minilm.analysis.skipgram import pmi, sgns_step

three = ["cat", "purrs", "loan"]
met = np.array([[2, 6, 0], [6, 0, 2], [0, 2, 2]])  # how often each pair met, 20 in all
pictures.table(pmi(met), three, three, ".2f")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Skip-gram: a guessing game
#
# Word2vec's skip-gram (2013) never builds that table. It takes a true pair of neighbours, with
# vectors $u$ and $v$, and $k$ words drawn by chance, and learns to tell them apart: make $u \cdot
# v$ large for the true one and small for the others. $\sigma(x) = 1/(1+e^{-x})$ turns a number into
# a probability; the loss of a pair is $-\log\sigma(u\cdot v) - \sum_k \log\sigma(-u\cdot v_k)$.

# %% tags=["hide-input"]
source(sgns_step, docstring="none")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The game fills in the table
#
# Levy and Goldberg showed in 2014 where this game must end: $u \cdot v = \mathrm{pmi} - \log k$.
#
# **Would prove it wrong:** a correlation below 0.7 over the pairs seen 50 times or more. *Before
# you look: will the cloud lie on the line, or only near it?*

# %%
learnt = [experiments.vectors_and_counts(seed) for seed in SEEDS]
correlation = [np.corrcoef(counted, dot)[0, 1] for counted, dot in learnt]
pictures.against_counts(*learnt[0])

# %% tags=["hide-input"]
verdicts.company(correlation, SEEDS)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** a word vector is a row of a table of company, squeezed. Its fault (07:20): one
# row per word. *Bank* has the same vector beside *river* and beside *loan*.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 3. A state that is carried along
#
# A **recurrent net** reads word after word and keeps a state $h$, in principle for ever:
#
# $$h_t = \tanh(W x_t + U h_{t-1} + b)$$
#
# It learns by sending the error back through those steps: the *gradient*. Every step back
# multiplies it by $U$ and by the slope of tanh.
#
# By hand, with one number in place of a matrix: let $U = 1$ and a slope of 0.5. Ten steps back
# $0.5^{10} = 0.001$ is left, fifty steps back $10^{-15}$: word 50 teaches word 1 nothing. With $U =
# 4$ the factor is 2, and fifty steps back the gradient is $10^{15}$ times as large. *Between the
# two lies a $U$ that would be just right. Before you drag: how wide is that ridge?*

# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
source(experiments.fading)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
interact(lambda gain: pictures.fading(gain, SEEDS), gain=(0.5, 4.0, 0.1, 1.0))

# %% [markdown] slideshow={"slide_type": "notes"}
# 3 minutes. Drag the gain. Near 1.9 the plain net is nearly level; a quarter to either side it is
# not. The LSTM (1997) carries a second state by a *sum* behind a gate, and a sum passes gradients
# on unharmed. It won speech and translation with that, long before attention.

# %% slideshow={"slide_type": "subslide"}
gains = np.arange(0.5, 4.01, 0.25)
sweep = np.array([[experiments.fading("RNN", s, gain)[-1] for gain in gains] for s in SEEDS])
level = ((sweep > 0.1) & (sweep < 10)).mean()  # share of the gains that keep the gradient level
attention_50 = [experiments.fading("attention", seed)[-1] for seed in SEEDS]
verdicts.vanishing(sweep[:, gains == 1], sweep[:, gains == 4], attention_50, level, SEEDS)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** what is multiplied fifty times vanishes or explodes; what is added survives.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 4. Look back
#
# The translator of 2014 was two recurrent nets. One reads the sentence; its last state is all that
# the other gets to write from. A long sentence has to fit into the same vector as a short one.
# **Attention** (Bahdanau, 2014) lets the writer look at every state of the reader and take what it
# needs. Our test is the purest translation there is: write the same twelve letters again. In the
# comments on shapes B is texts at once, S letters read, T letters written, C numbers for each, V
# the alphabet.

# %% tags=["hide-input"]
copying = here.study("copying")
source(copying.Copier, docstring="none")

# %% [markdown] slideshow={"slide_type": "skip"}
# ## All the training there is
#
# Every model that this lesson trains live learns in this loop, one model per seed, side by side.
# *AdamW* is gradient descent that gives every number its own step size (lesson 00).


# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
source(training.fit)

# %% slideshow={"slide_type": "skip"}
attending, fixed = ([copying.build(name, seed) for seed in SEEDS] for name in copying.LIVE)
training.fit(attending, copying.strings, 300, SEEDS)
training.fit(fixed, copying.strings, 300, SEEDS)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
pictures.copied(copying, {"attention": attending, "one vector": fixed})

# %% [markdown] slideshow={"slide_type": "fragment"}
# After 300 steps the two nets agree on short strings and part on long ones. But is that a limit, or
# only slowness? For the verdict every design gets its own tuned rate and up to 3,000 steps, in a
# recorded study (`minilm study run 01/copying`).

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
record = here.recorded("copying")
pictures.learning(record, {name: name for name in copying.MODELS}, "letters right at 12, %")
verdicts.bottleneck(record)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Where it looks
#
# Nobody told the net that the third letter of the copy is the third of the source. Each row shows
# where it looks while it writes one letter. Ask for more than the twelve letters of training.

# %% tags=["hide-input"]
interact(lambda length: pictures.where(*copying.looks(attending[0], length)), length=(2, 20, 1, 10))

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** attention is a shortcut to every state. The recurrent net now only decides where
# to look. So why keep it?

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 5. Attention by hand
#
# The talk calls attention a library (10:46). You come with a **query**: books on cooking a pizza.
# Every book has a **key** on its spine. What you take home is what the books contain, their
# **values**. The match is soft (11:24): you spend time on every book, most on the best. Now let
# every word be reader and book at once. It asks with its query, is found by its key, and hands over
# its value.
#
# Three words, *the river bank*. Queries and keys have four numbers, for *grammar, water, money,
# place*; values two: *water, money*. They are made up here; a model learns them. *Bank* asks for
# water or money, for it could be either kind. *The* asks for nothing.

# %%
words = ["the", "river", "bank"]
Q = np.array([[0, 0, 0, 0], [0, 0, 0, 2], [0, 2, 2, 0]])  # what each word asks for
K = np.array([[2, 0, 0, 0], [0, 2, 0, 1], [0, 0, 0, 2]])  # what each word is found by
V = np.array([[0, 0], [1, 0], [0.5, 0.5]])  # what each word hands over: water, money

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Scores, then a scale
#
# A query fits a key as far as their **dot product** is large: multiply place by place and add up.
# *Bank* and *river*: 0·0 + 2·2 + 2·0 + 0·1 = 4. All pairs at once are one matrix product. Then
# divide by $\sqrt{d}$, the root of the key's length: $\sqrt 4 = 2$. *Work out the last row before
# you look.*

# %%
scores = Q @ K.T  # (3, 4) @ (4, 3) -> (3, 3): rows ask, columns are asked
scaled = scores / np.sqrt(4)  # (3, 3)
pictures.table(scaled, words, words)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Softmax, then a weighted sum
#
# **Softmax** turns a row of scores into shares: take $e$ to each score, and divide by the row's
# sum. For *bank*: $e^0, e^2, e^0$ are 1, 7.39, 1, together 9.39; the shares are 0.11, 0.79, 0.11.
#
# What *bank* leaves with is the values, mixed by these shares. Water: 0.11·0 + 0.79·1 + 0.11·0.5 =
# 0.84. Money: 0.11·0.5 = 0.05. It has become a river bank. *The*, which asks for nothing, spends a
# third on each word: the plain mean.

# %%
e = np.exp(scaled)  # (3, 3)
weights = e / e.sum(axis=-1, keepdims=True)  # (3, 3), every row adds up to 1
mixed = weights @ V  # (3, 3) @ (3, 2) -> (3, 2)
pictures.table(np.hstack([weights, mixed]), words, [*words, "water", "money"], ".2f")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The same in one picture
#
# Put *loan* in the middle, with the key (0, 0, 2, 1) and the value (0, 1), and the same word *bank*
# leaves with money. Change the sharpness of the query, too. **To remember:** the same word leaves
# with another meaning in other company, which a word vector cannot do.


# %% tags=["hide-input"]
interact(pictures.by_hand, middle=["river", "loan"], sharpness=(0.0, 3.0, 0.5, 1.0))

# %% [markdown] slideshow={"slide_type": "notes"}
# 3 minutes, the heart of the lesson. Do the last row on the board first. At sharpness 0 attention
# is a mean; as it grows, it becomes an ordinary look-up. Softmax is the soft step between the two.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 6. Attention in twenty lines
#
# $$\mathrm{Attention}(Q, K, V) = \mathrm{softmax}\!\left(\frac{QK^\top}{\sqrt{d}}\right)V$$
#
# T words ask, S words are asked; a word's vector has C numbers, a query D. A model that writes must
# not see what comes next, so it gets a **causal mask**: scores of later words become $-\infty$ and
# their shares $e^{-\infty} = 0$. Type this cell yourself; it is all of it.


# %%
def softmax(scores):  # (..., T, S)
    e = np.exp(scores - scores.max(-1, keepdims=True))  # the same shares, and no overflow
    return e / e.sum(-1, keepdims=True)  # (..., T, S), rows add up to 1


def attention(q, k, v, causal=False):  # (..., T, D), (..., S, D), (..., S, E)
    scores = q @ k.swapaxes(-1, -2)  # (..., T, D) @ (..., D, S) -> (..., T, S)
    scores = scores / np.sqrt(q.shape[-1])  # (..., T, S)
    if causal:
        later = np.triu(np.ones(scores.shape[-2:], bool), k=1)  # (T, S): key after query
        scores = np.where(later, -np.inf, scores)  # (..., T, S)
    weights = softmax(scores)  # (..., T, S)
    return weights @ v, weights  # (..., T, S) @ (..., S, E) -> (..., T, E)


def multihead(x, Wq, Wk, Wv, Wo, heads, causal=False):  # x is (T, C), each W is (C, C)
    T, C = x.shape

    def split(W):  # (T, C) -> (T, H, D) -> (H, T, D), with D = C / H
        return (x @ W.T).reshape(T, heads, C // heads).swapaxes(0, 1)

    mixed, _ = attention(split(Wq), split(Wk), split(Wv), causal)  # (H, T, D)
    return mixed.swapaxes(0, 1).reshape(T, C) @ Wo.T  # (H, T, D) -> (T, H, D) -> (T, C)


# %% [markdown] slideshow={"slide_type": "fragment"}
# Queries, keys and values are linear maps of the word's vector, $q = W_q x$ and so on, and $W_o$
# mixes what the heads bring back; training changes all four matrices. The example again, open and
# causal:

# %% tags=["hide-input"]
pictures.seen_by(attention(Q, K, V)[1], attention(Q, K, V, causal=True)[1], words)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Twenty lines are the real thing
#
# The package's own attention is compiled, and can learn. Does it compute anything else? Ten words
# of 64 numbers, four heads, in float64, where rounding starts at the 16th digit:

# %%
layer = nn.Attention(64, heads=4, bias=False, dtype=np.float64)
x = backend.rng(0, "ten words").normal(size=(10, 64))  # (T, C)
Wq, Wk, Wv = layer.qkv.weight.data.reshape(3, 64, 64)
ours = multihead(x, Wq, Wk, Wv, layer.out.weight.data, heads=4, causal=True)
theirs = layer(Tensor(x[None]), nn.Sight(causal=True)).data[0]
print("largest difference:", np.abs(ours - theirs).max(), "of", np.abs(theirs).max())

verdicts.twenty_lines(np.abs(ours - theirs).max())

# %% [markdown] slideshow={"slide_type": "subslide"} tags=["extra"]
# ## Why the square root?
#
# Add up $d$ products of random numbers and the sum is about $\sqrt d$ in size. Without the division
# long queries make large scores, softmax gives all to one word, and where a share is 0 or 1 its
# slope is 0: nothing is learnt. How much does the favourite of 16 random keys get?

# %%
for d in (4, 64, 1024):
    q, k = (backend.rng(d, name).normal(size=(200, n, d)) for name, n in (("q", 1), ("k", 16)))
    raw = q @ k.swapaxes(1, 2)  # (200, 1, d) @ (200, d, 16) -> (200, 1, 16)
    plain, divided = (softmax(s).max(-1).mean() for s in (raw, raw / np.sqrt(d)))
    print(f"d = {d:4}: the favourite gets {plain:.2f}, after dividing by √d {divided:.2f}")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Why several heads, and why at random?
#
# One softmax has one favourite. With **heads** a word can ask several questions at once: where is
# my verb, what is my subject? Nothing tells the heads apart but their starting values, which are
# drawn at random; so, says the talk (12:42), each can learn something different. **Would prove it
# wrong:** heads that start alike and still learn different things. They change only by their
# gradients, so compare those.

# %%
alike, random = ([experiments.heads_apart(seed, same) for seed in SEEDS] for same in (True, False))
verdicts.heads(alike, random, SEEDS)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** attention is a soft look-up, several at once, and one line of algebra.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 7. From attention to a GPT
#
# Attention alone is blind to order. Shuffle the words, and every word leaves with just what it had
# before: nothing in $QK^\top$ says who stands where.

# %%
order = [2, 0, 1]  # bank the river
straight, shuffled = attention(Q, K, V)[0], attention(Q[order], K[order], V[order])[0]
print("largest change of any word:", np.abs(straight[order] - shuffled).max())

# %% [markdown] slideshow={"slide_type": "fragment"}
# So the place is **added** to the word: a row learnt for every place (GPT-2), or waves of many
# lengths (2017): channel $2i$ of place $p$ is $\sin(p / 10000^{2i/C})$, channel $2i+1$ its cosine.
# **RoPE**, used today, *turns* queries and keys by an angle that grows with the place, so that a
# score depends on the distance alone.

# %% slideshow={"slide_type": "subslide"}
p, i = np.arange(64)[:, None], np.arange(16)  # 64 places, 32 channels
angle = p / 10000 ** (2 * i / 32)  # (64, 16)
waves = np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(64, 32)  # sin, cos, sin, cos ...
pictures.clock(waves)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Three more parts make a block
#
# **Residual.** A word keeps its vector, and attention *adds* to it: $x + f(x)$. What is added
# survives (section 3): the gradient has a straight way back through a hundred layers.
#
# **Norm.** Before each part, every word's vector is brought to mean 0 and variance 1. By hand: (1,
# 3) has mean 2 and variance 1 and becomes (−1, 1); so does (10, 30).
#
# **Feed-forward.** Attention only mixes. So each word then goes by itself through two matrices with
# a bend between them (*GELU*: about $x$ above 0, about 0 below), four times as wide in the middle.
#
# A **block** is: look around, then think; and a **GPT** is blocks on top of each other.

# %% tags=["hide-input"]
source(gpt.block, gpt.feed_forward, gpt.layer_norm)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## GPT-2 on one screen

# %% [markdown] slideshow={"slide_type": "skip"}
# `minilm/models/gpt.py`: `w` is a dictionary of weights, and `part` picks those of one layer.

# %% tags=["hide-input"]
source(gpt.gpt, gpt.embed, gpt.attention)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## And it is the GPT-2 that the package trains
#
# `Transformer(gpt2(...))` is what all later lessons use: it learns, runs in batches and remembers
# what it has read. Here both get the same random weights and 24 tokens.

# %%
config = gpt2(layers=3, heads=4, channels=64, vocab_size=100, context=32)
model = Transformer(config, seed=0, dtype=np.float64)
w = model.state_dict()  # name -> array
ids = [int(i) for i in backend.rng(0, "tokens").integers(0, 100, 24)]
plain, fast = gpt.gpt(ids, w, heads=4), model(np.array([ids])).data[0]  # (T, V) each
print("largest difference:", np.abs(plain - fast).max(), "of", np.abs(fast).max())

verdicts.one_screen(np.abs(plain - fast).max())

# %% [markdown] slideshow={"slide_type": "subslide"} tags=["extra"]
# ## Who may see whom
#
# One mask makes three families. An **encoder** (BERT) sees everything and is made to understand. A
# **decoder** (GPT) sees the past and is made to write (13:34). An **encoder-decoder** (2017, T5)
# reads with the one and writes with the other, which looks across (14:49): queries from the text
# being written, keys and values from the text that was read.

# %% tags=["hide-input"]
pictures.families()

# %% [markdown] slideshow={"slide_type": "subslide"} tags=["extra"]
# ## How many numbers is that?
#
# Per layer: queries, keys, values and output take $4C^2$ weights, the feed-forward net $8C^2$;
# biases and norms $13C$. Add a row for each of V tokens and T places, and a last norm:
#
# $$(V + T)\,C + L\,(12\,C^2 + 13\,C) + 2\,C$$
# GPT-2 small has V = 50,257, T = 1,024, L = 12, C = 768. *Work it out before you look.*

# %%
V_, T_, L_, C_ = 50257, 1024, 12, 768
print(f"by the formula     {(V_ + T_) * C_ + L_ * (12 * C_**2 + 13 * C_) + 2 * C_:>13,}")
for size in ("small", "xl"):
    print(f"GPT-2 {size:12} {count_parameters(gpt2(size)):>13,}")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 8. No waiting
#
# **Claim** (09:36, 16:14). A recurrent net cannot be computed in parallel, because each step needs
# the state of the step before; a transformer can.
#
# The package's *tape* knows what was computed from what. We count the longest chain of steps that
# had to wait for each other. **Would prove it wrong:** a recurrent chain that does not grow with
# the text, or a transformer's that does.

# %% slideshow={"slide_type": "subslide"}
small = Transformer(Config(vocab_size=32, context=256, layers=2, heads=2, channels=16))
times = [8, 16, 32, 64, 128, 256]
chains = {
    "recurrent": [experiments.chain(experiments.recurrent(time)) for time in times],
    "transformer": [experiments.chain(small(np.zeros((1, time), np.int32))) for time in times],
}
pictures.waiting(times, chains)
verdicts.waiting(chains)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** a transformer thinks for as many steps as it has layers, however long the text.
# That makes it quick to train, and it limits what it can work out in one go. Which leads to section
# 9.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 9. Chain of thought: write it down
#
# A net of fixed depth can be given more steps by letting it write: each word it writes is another
# trip through all the layers. The talk (46:13) says that writing the steps helps large models, and
# that "we don't really see the same performance for smaller models" (46:25).
#
# By hand: add 3 + 9 + 16 + 5 modulo 17, which means: keep the rest after dividing by 17. At once:
# 33, so **16**. Step by step: 3 + 9 = **12**; 12 + 16 = 28 → **11**; 11 + 5 = **16**. Each step is
# a table of 17 × 17 entries; all at once is a table of 17⁴ = 83,521.
#
# *Before you run it: a GPT of 7,008 parameters writes its steps after 600 steps of training. How
# many sums of forty will it get right?*

# %%
thinking = here.study("thinking")
models = [thinking.thinker(16, seed) for seed in SEEDS]  # 16 channels
training.fit(models, thinking.sums(written=True), 600, SEEDS, lr=5e-3)
right = [100 * thinking.answers(model, written=True)["right"] for model in models]
print(f"{models[0].num_parameters():,} parameters, right:", *np.round(right), "%")

# %% [markdown] slideshow={"slide_type": "skip"}
# Guessing gives 6 %. The recorded study (`minilm study run 01/thinking`) trains three sizes both
# ways, with tuned rates, until 95 % of new sums are right or 3,000 steps are used up.

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
record = here.recorded("thinking")
pictures.thoughts(record)
verdicts.thoughts(record)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** writing turns one big table into three small ones. Where a model is too small for
# those depends on the task, and on how long it was trained.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 10. Look it up, or know it by heart
#
# Should a model keep its facts in its weights, or fetch them (21:48)? **Retrieval** stores texts as
# vectors and puts the nearest one before the question (63:04). "Nearest" means the largest
# **cosine**: the dot product of two vectors over both their lengths. By hand: (3, 4) and (6, 8) have
# 50 / (5 · 10) = 1, the same direction; (3, 4) and (4, −3) have 0.

# %% tags=["hide-input"]
from minilm.inference.retrieval import retrieve

source(retrieve, docstring="none")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Two thousand facts
#
# Two names belong to one value, 2,000 times over. They are asked as words are used: the thousandth
# a thousandth as often as the first (Zipf's law). One GPT has to remember. Another of the same size
# gets the fact that a search finds, and the search has to work with noisy questions. **Would prove
# it wrong:** the memory is as good on rare facts as on common ones; or the reader falls with rarity
# too. *Which bars will be level?*

# %%
remembering = here.study("remembering")
by_heart, with_book = ([remembering.reader(seed) for seed in SEEDS] for _ in range(2))
training.fit(by_heart, remembering.by_heart, 500, SEEDS)
training.fit(with_book, remembering.with_book, 150, SEEDS)
closed, opened = (
    [remembering.recalled(model, seed, look_up) for seed, model in zip(SEEDS, models, strict=True)]
    for models, look_up in ((by_heart, False), (with_book, True))
)
print(f"{by_heart[0].num_parameters():,} parameters, 6 bits a fact: {6 * 2000:,} bits to remember")

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
heart, looked, hits = remembering.percent(closed, opened)  # (seeds, bands) each
pictures.facts(remembering.BANDS, heart, looked, hits)
verdicts.looked_up(closed, opened, here.recorded("remembering"), SEEDS)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** a memory knows what it met often. A reader is as good as its search. The talk
# adds (36:01) that retrieval brings facts and no skills; we did not measure that.

# %% [markdown] slideshow={"slide_type": "slide"} tags=["extra"]
# ## 11. Change one fact
#
# A fact in the weights can be wrong, or go out of date. **ROME** (41:05) rewrites one without
# training. A matrix is a memory: asked with a key $k$, it answers $Wk$. To make it answer $v$, add
#
# $$W' = W + \frac{(v - Wk)\,d^\top}{d\cdot k}$$
#
# Any $d$ will do. With $d = C^{-1}k$, where $C$ is the mean of $kk^\top$ over the keys in use, the
# change keeps away from the other keys.
#
# By hand: $W$ is the identity; the keys in use are (1, 0) and (1, 1). Let (1, 0) be answered with
# (0, 0). $C = \tfrac12\begin{pmatrix}2&1\\1&1\end{pmatrix}$ gives $d \propto (1, -1)$. Along $d$
# the other key keeps its answer (1, 1). Along $k$ itself it gets (0, 1).

# %%
W, key, other, v = np.eye(2), np.array([1.0, 0]), np.array([1.0, 1]), np.zeros(2)
C = (np.outer(key, key) + np.outer(other, other)) / 2
for name, d in {"along k": key, "along C⁻¹ k": np.linalg.solve(C, key)}.items():
    edited = W + np.outer(v - W @ key, d) / (d @ key)
    print(f"{name:12} the fact: {edited @ key}   the other: {edited @ other}")

# %% [markdown] slideshow={"slide_type": "subslide"} tags=["extra"]
# ## Sixty facts in one matrix
#
# A map from 32 to 16 numbers is asked with 60 keys, more than it can keep apart. We give one of
# them a new answer and look at the other 59. **Would prove it wrong:** the new answer is not given;
# or $C^{-1}$ spares the others no better than the plain edit does.

# %%
plain, wise = ([experiments.edit(seed, way) for seed in SEEDS] for way in (False, True))
pictures.edits({"along k": plain[0][1], "along C⁻¹ k": wise[0][1]})

verdicts.edited(wise, plain, SEEDS)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** one answer can be rewritten exactly. Whether the others stay depends on how much
# room the matrix has.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 12. An agent is a loop
#
# The model writes an action. The world answers, the answer joins the text, and the model goes on.
# The talk says that one call is usually not enough (51:21): add **memory**, **tools**, and
# **reflection**, which means noticing that something went wrong and doing it again (52:20).
#
# Sixteen people have told our model a number each, long ago. It is asked for the sum of two. It can
# *store*, *look* up and *add*, and then it must *say* the answer. It writes the lines that end in a
# full stop; the world writes those with an equals sign:

# %% tags=["hide-input"]
agents = here.module("agents")
print(agents.by_line(agents.EXAMPLE))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The loop
#
# It learns from short scripts in which it plays one part, and then runs in this loop.

# %%
models = [agents.model(seed) for seed in SEEDS]
training.fit(models, agents.scripts, 280, SEEDS, lr=5e-3)

# %% tags=["hide-input"]
source(agents.act, agents.run)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Reflection reads the transcript again
#
# It cannot know the truth. It checks whether the lines fit each other: the right people, the
# numbers that were found, the sum that was given. What does not fit is tried again, up to three
# times.
#
# The honest rival is to try three times *without* reading, and to take the commonest answer: a
# **vote**. **Would prove it wrong:** taking the calculator away costs less than 50 points, or
# reflection gains nothing.

# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
source(agents.fits, docstring="none")

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
exams = [agents.examine(model, seed) for model, seed in zip(models, SEEDS, strict=True)]
marks = {way: [exam[way] for exam in exams] for way in exams[0]}
stored = marks.pop("stored")
pictures.ways(marks)
print("numbers stored right, of 16:", *stored)
verdicts.agent(marks, SEEDS)

# %% [markdown] slideshow={"slide_type": "subslide"} tags=["extra"]
# ## Ask it yourself
#
# Take the calculator away, or the memory, and read what it does. **To remember:** the model is the
# same in every bar; what changes is what stands around it.

# %% tags=["hide-input"]
agents.talk(models[0])

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 13. One letter further
#
# Among the open problems the talk names long contexts (07:01) and generalisation (27:03). Here is a
# small one. A two-layer GPT learns to copy strings of up to 8 letters. A child who can copy eight
# can copy ten. Can it?
#
# With a *table* of places the question is unfair: rows beyond the training lengths were never
# trained. So two more models stand beside it, one with RoPE and one with no places at all, which
# sees order by the mask alone. **Our claim**, for the talk's list: all learn the lengths and not
# the rule. **Would prove it wrong:** a scheme that copies a fifth of the strings of 12 letters.

# %% tags=["hide-input"]
lengths, record = here.study("lengths"), here.recorded("lengths")
pictures.lengths(record, lengths.ASKED, lengths.LONGEST)
verdicts.further(record)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** perfect where it was trained does not mean that it has found the rule.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What came out, and what did not
#
# **As said.** Word vectors hold the table of company. Recurrent gradients vanish or explode,
# attention's do not. Heads need a random start. Recurrence waits.
#
# **In part.** Attention beats one vector by far, but a wide vector catches up. Writing the steps
# lifts 7,008 and 26,304 parameters in every seed, 1,968 in two of five: a threshold, but of this task.
# A fact can be rewritten exactly; the others move. Reflection helps as much as a vote. Look-up does
# not depend on rarity; knowing by heart does, the less the longer it is learnt.
#
# **Not measured.** Emergence (18:20; see lesson 02), preferences (22:06), data quality (36:35),
# hallucination (43:37), trees of thought (48:25), where facts lie (41:42), many agents (66:34).
#
# **One further question.** Only the model without places copied anything longer. What would a model
# have to learn in order to copy *any* length?
#
# Now write the pieces yourself: [exercise set](../exercises/01_overview_of_transformers.ipynb).
