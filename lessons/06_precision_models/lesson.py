# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Precision models: solved first, trained next"
#   talk: "Transformers that transform well enough to support near-shallow architectures"
#   speaker: "Jake Williams"
# ---

# %% [markdown] slideshow={"slide_type": "slide"}
# # Precision models: solved first, trained next
#
# ![On the left a dark lamp that has heard nobody. In the middle five sentences and what each means: lights on please, lit; did you feed the cat, nothing; it is too bright in here, dark; turn off the radio, nothing; I cannot see a thing, lit. On the right a lamp that shines.](06_precision_models/opening.png)
#
# A lamp stands in a living room and listens. Nobody programmed it, and it has no network. **After
# twenty minutes of talk, does it know when it is meant?** And can a language model be *solved*, the
# way one solves an equation, without a single gradient?
#
# *35 minutes to read, one to run. You need softmax, cross-entropy and attention, as in [Attention by
# hand](00c_attention_by_hand.ipynb). Jake Williams gave the talk on 2 May 2024; times such as 23:17
# are minutes and seconds of its recording.*

# %% [markdown] slideshow={"slide_type": "notes"}
# 3 minutes. Take two bets: how often is the lamp right after twenty minutes, and what perplexity can
# one pass of counting reach on text of 60 kinds of characters? For 50 minutes leave out sections 3
# and 8; for 80 show everything, and let the room talk to the lamp at the end.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What was claimed
#
# Williams asks what a network learns *statistically*. If that can be counted, the first and longest
# part of training is wasted. His models are built so that every layer can be counted:
#
# - vectors of tokens that nobody trains, the **bit-ciphers** (13:03–15:28);
# - every activation a softmax, every layer **solved from co-occurrences** (15:57–18:09);
# - attention by a feed-forward layer over comparisons, **SAFFU**, so that few layers are enough;
# - then ordinary training, from a warm start (23:17–24:19).
#
# The result is small enough to learn in a lamp (55:27–64:27). A paper on SAFFU was submitted to a
# conference and withdrawn. Its reviewers missed a comparison with ordinary transformers and with
# n-grams. We take their doubts as our own, and make that comparison.

# %% [markdown] slideshow={"slide_type": "skip"}
# One word on what we could check. The speaker's code was not public when this was written. The
# formulas come from the talk and from two preprints; where they leave a choice open, the docstrings
# of `minilm.explicit` say what we chose. So what fails here may fail because of us.
#
# The talk says plainly what it does not claim (42:10–42:38): a model that fits a few thousand tokens
# very well and very fast need not generalise from them. Keep that sentence in mind. It decides
# section 4.

# %% slideshow={"slide_type": "skip"}
from itertools import chain, combinations

import numpy as np

from minilm import explicit, lamp
from minilm.course import interact, lesson_folder, seeds, source
from minilm.course.show.tables import table
from minilm.lamp import Listener, household, listener
from minilm.lamp.budget import LIMITS, measure, report

SEEDS = seeds()  # 0, 1, 2, or those that `minilm run 06 --seeds 3,4,5` asks for
here = lesson_folder("06")
pictures, verdicts, experiments = here.pictures, here.module("verdicts"), here.module("experiments")
warm = here.study("warm")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 1. Solve a language model
#
# Take the smallest language model there is: it sees one token and guesses the next. Its input is a
# row $x$ of V numbers, 1 at the token and 0 elsewhere. It has one table of weights, $U$, and its
# guess is $\text{softmax}(xU)$. Training would start at random.
#
# But we know where it would end. The best guess after *a* is how often each token *did* follow
# *a*. So **count, take the logarithm, and be done**: $U = \log F$, where $F_{ji}$ says how often
# token $i$ followed token $j$. Softmax undoes the logarithm and divides by the sum.
#
# By hand, for the text *abaabab*: after *a* came *b*, *a*, *b*, *b*; after *b* came *a*, *a*.

# %%
ids = np.array([0, 1, 0, 0, 1, 0, 1])  # a b a a b a b
F = np.zeros((2, 2))  # (D, V): rows are what was seen, columns what came next
for seen, came in zip(ids[:-1], ids[1:]):
    F[seen, came] += 1
table(F, ["after a", "after b"], ["a", "b"])

# %% [markdown] slideshow={"slide_type": "fragment"}
# So after *a* the model says *a* with probability 1/4 and *b* with 3/4; after *b* it says *a*, for
# sure. No other weights have a lower loss on this text. *Before you read on: what loss, in nats, is
# that?* It is $-\frac{4}{6}(\frac14 \log\frac14 + \frac34 \log\frac34) = 0.37$: four of the six
# guesses follow an *a*, and the other two are certain. This number has a name, the **conditional
# entropy** of the text: what is left to say about the next token when the last one is known.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## One pass over real text
#
# The text is the Python documentation, as characters: the 59 most frequent ones, and one that stands
# for all others, so V = 60. A model that knows nothing has a **perplexity** of 60: it is as unsure as
# somebody with 60 equal choices. Here is what happens while the counts come in, on text that was held
# out. There is no second pass, and no rate to tune.

# %%
known, held_out = warm.characters()
one_hot, test = np.eye(warm.V), held_out[:5000]
steps, seen, counts = [30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000], [], []
for start in (0, 400_000, 800_000):
    F, done, row = np.full((warm.V, warm.V), 0.02), 0, []  # a pair never seen is not impossible
    for step in steps:
        piece = known[start + done : start + step + 1]
        F += explicit.cooc(one_hot[piece[:-1]], one_hot[piece[1:]])  # (N, V), (N, V) -> (V, V)
        row.append(experiments.loss_of(one_hot[test[:-1]], test[1:], np.log(F)))
        done = step
    seen.append(row)
pictures.falling(steps, np.array(seen), warm.V, experiments.unigram(warm, 50_000, 0))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## It is the optimum, to the last digit
#
# "Solved" is a strong word, so we test it strongly. **Claim** (15:57–18:09): the layer has an explicit
# solution. **Would prove it wrong:** a loss more than $10^{-12}$ nats away from the entropy of the
# counts, or a gradient anywhere above $10^{-12}$. The gradient comes from the tape that trains every
# other model of the course.

# %%
verdicts.optimum(experiments.optimum(known[:50_000], warm.V))

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** one feature, one softmax: counting *is* training. And counts add up. Two machines
# can each count half of the text, and the sum of their tables is the table of the whole.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 2. Vectors that nobody trains
#
# One-hot rows grow with the vocabulary. Williams wants short rows, but not random ones: **the most
# frequent tokens deserve the vectors that are easiest to tell apart** (13:03–15:28). So sort the
# tokens by frequency. With b numbers to a row, the b most frequent get one-hot rows. The next ones
# get rows with two ones, then three, each divided by its number of ones so that it sums to 1. That
# is a **bit-cipher**. With b bits there are $2^b - 1$ different rows. *Which row does the fourth most
# frequent of seven tokens get, with three bits?*


# %%
def bit_cipher(counts, bits):  # (V,) -> (V, b)
    cipher = np.zeros((len(counts), bits))
    patterns = chain.from_iterable(combinations(range(bits), ones) for ones in range(1, bits + 1))
    for token, places in zip(np.argsort(-np.asarray(counts), kind="stable"), patterns):
        cipher[token, list(places)] = 1 / len(places)  # the most frequent token first
    return cipher


frequent = [90, 50, 30, 20, 9, 5, 1]
table(bit_cipher(frequent, 3), [f"{n} times" for n in frequent], ["bit 0", "bit 1", "bit 2"], ".2f")

# %%
counts = np.bincount(known[:50_000], minlength=warm.V)
assert np.array_equal(bit_cipher(counts, 8), explicit.bit_cipher(counts, 8))  # page and package

# %% [markdown] slideshow={"slide_type": "fragment"}
# The rows of a cipher say nothing about meaning: *dog* is no nearer to *cat* than to *of*. That is
# intended. Similarity has to come from the text (the package has `neighbour_vectors` for it, after
# 37:49–39:35). **To remember:** a cipher is a name, not a meaning, and short names go to those who
# are called often.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 3. More than one token back
#
# With K tokens of context the rows stand side by side, so $x$ has K ones' worth of weight: its numbers
# add up to K. Counting alone is no longer the optimum, since features overlap. The talk's solution
# (15:57–18:09) keeps the logarithm and subtracts something:
#
# $$U_{ji} = \log F_{ji} - \frac{K-1}{K} \log \sum_d F_{di}$$
#
# What is it? Write $S_i$ for the sum in it. A target that was seen $n_i$ times has $S_i = K n_i$. Add
# up the K features of a row:
#
# $$xU_i = \sum_j x_j \log \frac{F_{ji}}{S_i} + \log S_i$$
#
# The first part is the log-probability of the features if $i$ is the answer, each taken by itself. The
# second is the log of how often $i$ is the answer at all. That is **naive Bayes**, the spam filter of
# the nineties, to the letter. It is called naive because it takes the features to be independent.


# %%
def solve(x, y, alpha=1.0):  # features (N, D), next tokens (N,) -> U (D, V)
    F = x.T @ np.eye(warm.V)[y]  # (D, N) @ (N, V) -> (D, V)
    K = x.sum(1).mean()  # the average L1 norm, where it varies
    F = F + alpha * F.sum(0) / F.sum()  # smoothing, by how frequent each target is
    F = np.maximum(F, np.finfo(float).tiny)  # a target never seen: log of almost nothing
    return np.log(F) - (K - 1) / K * np.log(F.sum(0))


parts = warm.task("16 bits K=2", 50_000, 0)
x, y = (a.astype(float) if a.dtype == np.float32 else a for a in parts["train"])
package = explicit.explicit_solution(explicit.cooc(x, np.eye(warm.V)[y]), x.sum(1).mean(), 1.0)
seen = np.bincount(y, minlength=warm.V) > 0
assert np.allclose(solve(x, y)[:, seen], package[:, seen], atol=1e-9)  # page and package
verdicts.bayes([experiments.bayes_apart(seed) for seed in SEEDS], SEEDS)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## From V down, in one pass
#
# **Claim** (23:17–24:19): a warm start begins at a much lower perplexity than |V|. **Would prove it
# wrong:** a held-out perplexity above half of V, or above what the cheapest model gives, which counts
# single characters and looks at nothing.

# %%
solved = [experiments.one_pass(warm, 16, 2, 50_000, seed)[1] for seed in SEEDS]
single = [experiments.unigram(warm, 50_000, seed) for seed in SEEDS]
verdicts.falls(solved, single, warm.V, SEEDS)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## How far back?
#
# Now choose how many bits a character gets and how much text is counted, and see K grow from 1 to 8.
# *Before you move it: with few characters counted and 60 bits, which of the two bars will go up?*


# %% tags=["hide-input"]
def how_far(bits: int, characters: int) -> None:
    losses = {str(k): experiments.one_pass(warm, bits, k, characters, 0) for k in (1, 2, 4, 8)}
    pictures.one_pass(losses, warm.V, experiments.unigram(warm, characters, 0))


interact(how_far, bits=[60, 16, 8], characters=[50_000, 5_000])

# %% [markdown] slideshow={"slide_type": "fragment"}
# More context helps, and then it hurts: with 60 bits and 5,000 characters, eight characters back
# are *worse than knowing nothing*, although the model fits what it has counted very well. **To
# remember:** the solution is exact for one feature and naive for many.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 4. The same evidence, twice
#
# Why does it go wrong? Here is the smallest case. Two answers are equally likely at first. A witness,
# right four times out of five, says it is the first. You should now believe 4 : 1. Now the *same*
# witness says it again. You have learnt nothing new. Naive Bayes multiplies: 16 : 1. Eight times, and
# it would bet its house, at 65,536 : 1.

# %%
for times in (1, 2, 4, 8):
    p = 0.8**times / (0.8**times + 0.2**times)
    print(f"said {times} times: naive Bayes believes it with {p:.5f}; right are 0.80000")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## In a language model
#
# Letters are such witnesses. After *funct* the *t*, the *ct* before it and the *n* all say the same:
# here comes *ion*. We can show the mechanism with nothing else in the way. Give the layer the last
# character, **and the last character again**, several times, and solve it. It knows exactly as much as
# before.

# %%
copies = [1, 2, 4, 8]
doubled = np.array([experiments.twice(warm, copies, seed) for seed in SEEDS])  # (seeds, copies)
pictures.twice(copies, doubled)

# %% [markdown] slideshow={"slide_type": "fragment"}
# The loss on held-out text rises with every copy. The order of the guesses is still right; only the
# model is far too sure of them. And gradient descent repairs it, because it looks at errors of whole
# guesses: it needs one number per feature that says "believe this half as much". Which leads to the
# talk's real claim: *solve first, then train.*

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 5. Warm or cold?
#
# **Claim** (23:17–24:19): started warm, a layer is ahead early, and stays better. The preprint says
# that explicit solutions find better optima than backpropagation alone. **Would prove it wrong:** in
# most settings the layer that started at zero ends level or lower, on held-out text.
#
# The study behind the next figure has 17 settings: 8, 16 or 60 bits, 2, 4 or 8 characters back, 5,000
# or 50,000 characters (the largest, 60 bits and 8 characters of 50,000, was left out: it costs as much
# as all others together). Every one was started cold, and warm with two strengths of smoothing, of
# which the better counts. Then came five epochs of gradient descent. The rate was tuned for each
# start of each setting, since a cold start wants a larger one. *Where will warm lose?*

# %% tags=["hide-input"]
record = here.recorded("warm")
pictures.grid(verdicts.differences(record, 1), verdicts.differences(record, -1))

# %% [markdown] slideshow={"slide_type": "notes"}
# 5 minutes. Recorded (`minilm study run 06/warm`). Each dot is a seed. Right of the line warm wins.
# Ask first for the left panel: 5,000 characters. Let somebody explain why more bits and a larger K
# move the dots to the left. It is section 4. The study was run twice: the first time characters that
# the counted text lacks cost tens of nats, and warm led early in 46 % of the settings. Now each gets
# one even example, as in the package.

# %% slideshow={"slide_type": "subslide"}
verdicts.early(record)

# %% slideshow={"slide_type": "fragment"}
verdicts.end(record)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Read the figure by panels. With 50,000 characters warm is ahead after one epoch almost everywhere,
# by up to 0.2 nats. After five the two are level, or warm is a little behind: the optimum of one layer
# is one point, and both roads lead there. With 5,000 characters and many features the solution has
# counted the same evidence many times over, and five epochs do not bring it back. The stronger
# smoothing was the better one wherever we looked; more of it might help further, and we did not try.
#
# **To remember:** a warm start saves steps where the counts can be trusted. It is not a better
# optimum; for one softmax layer there is only one.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 6. SAFFU, beside attention
#
# So far each slot of the context counts the same. Attention decides which to trust. Standard attention
# learns what to ask for and what to be found by, the matrices Q and K. Nobody knows how to solve
# those by counting (05:22), so Williams leaves them out (03:25–05:06): **compare the given vectors as
# they are, and learn a feed-forward map from the comparisons to the weights.**

# %% tags=["hide-input"]
pictures.two_attentions()

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Five lines
#
# The last vector of a block is its **pivot**. Every vector is compared with it, by a dot product. A
# square matrix $W$ maps the comparisons to scores, softmax makes weights of them. A shorter context
# uses the lower right corner of $W$, so slots count back from the pivot.
#
# By hand, with the two-bit rows (1, 0) and (½, ½): the comparisons with the pivot (½, ½) are ½ and
# ½. With $W = \begin{pmatrix}2&0\\1&4\end{pmatrix}$ the scores are 1 and 2.5; the weights are 0.18 and 0.82.


# %%
def saffu_attend(block, W):  # (k, d), (K, K) -> (k,)
    k = len(block)
    compared = block @ block[-1]  # (k, d) @ (d,) -> (k,)
    scores = W[-k:, -k:] @ compared  # (k, k) @ (k,) -> (k,)
    e = np.exp(scores - scores.max())
    return e / e.sum()


block, W = np.array([[1, 0], [0.5, 0.5]]), np.array([[2.0, 0], [1, 4]])
print(saffu_attend(block, W).round(2), explicit.saffu_attend(block, W).data.round(2))

# %% [markdown] slideshow={"slide_type": "fragment"}
# The weighted vectors go side by side into a second layer, $U$, and its softmax into a third, $O$,
# which guesses the token. Three **context models** give blocks (34:52–37:28): the *block*, by
# absolute place; the *radius*, the last r tokens; the *document*, a bag of everything so far. There
# are no layers on top of each other. Hence *near-shallow*.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What should W learn?
#
# $O$ has targets: the next tokens. $U$ and $W$ are hidden, and nobody tells them what to say. For $U$
# the talk takes a bit-cipher of the next token, in as many bits as $U$ has outputs: a **label
# embedding** (20:04–21:11). For $W$ it uses a *differential criterion* (18:43–19:44): make what the
# layer above receives unsurprising. Our reading: look how the loss of $U$ falls when a slot's weight
# grows a little; slots that help most should weigh most. The softmax of that slope is $W$'s target,
# and then $W$, too, can be counted.
#
# **Would prove it wrong:** a model with $W$ solved is no better on held-out text than one whose slots
# all weigh the same, everything else solved as well. We ask it on two texts: the documentation with
# eight slots, and a made-up one of which only the last two tokens matter, with three.

# %%
gains = [experiments.gain_of_solved_weights(warm, seed) for seed in SEEDS]
verdicts.weights({name: [gain[name] for gain in gains] for name in gains[0]}, SEEDS)

# %% [markdown] slideshow={"slide_type": "fragment"}
# On the made-up text a solved $W$ saves next to nothing: 0.002 nats over even weights, as in our first
# measurements. With eight slots of real text it saves a tenth of a nat. Where from? We think that it
# turns down the far slots, which is what section 4 asks for; we did not take it apart. Hardly from
# what attention is known for: a comparison of two ciphers says "same token or not", and little more.
# **To remember:** the criterion finds which slots to trust, not what to look for.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## A table in place of products
#
# Since nobody trains the vectors, the product of any two tokens never changes. So compute all of
# them once, a table of V × V, and look them up (39:47–41:48). A query over n slots with vectors of d
# numbers then takes n look-ups and not n·d multiplications. What the talk's "linear" leaves out: $W$
# still multiplies n numbers by an n × n matrix. **Would prove it wrong:** different weights, or no
# time saved.

# %%
width, slots = 64, 16
found = experiments.table_or_not(width, slots)
print(f"comparisons of one query: {slots * width:,} multiplications, or {slots} look-ups")
print(f"W of one query: {slots**2:,} multiplications either way")
verdicts.table(found, width, slots)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** frozen vectors turn arithmetic into memory. The price is the table: 384 tokens
# need 147,456 numbers, 50,000 would need 2.5 billion.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 7. What the reviewers asked for
#
# Is it any good beside what everybody else uses? All models read the same million tokens of the Python
# documentation once (byte pairs, 384 ids). SAFFU has 32-bit ciphers, a block and a radius of 8, and
# the document. The transformer has two layers. Both have about 95,000 parameters. Each had its own
# rate, tuned on short runs. Beside them, what only counts: Kneser-Ney, the best smoothing of n-grams,
# and naive Bayes over the last one or two tokens. *Who is ahead after one second, and who after ten?*

# %% tags=["hide-input"]
race = here.recorded("rivals")
pictures.rivals(race)

# %% slideshow={"slide_type": "subslide"}
verdicts.same_parameters(race)

# %% slideshow={"slide_type": "fragment"}
verdicts.same_seconds(race)

# %% [markdown] slideshow={"slide_type": "notes"}
# 5 minutes. Recorded (`minilm study run 06/rivals`). The stars cost a second of counting, naive Bayes
# some more. The 5-gram keeps nine times as many numbers as the others have parameters; say so. Point
# at the first dots of each curve: that is what a warm start is worth.

# %% [markdown] slideshow={"slide_type": "fragment"}
# The warm start is real, and here it lasts: in a model of several layers, warm SAFFU ends below cold
# SAFFU, each at its own rate. The talk's plot was of a single layer (68:05), as in section 5; its models
# are like this one. But the transformer overtakes both. And all three stay behind a 3-gram that was
# counted in a second: one pass over a million tokens is little for anything that learns by gradients.
# Two more limits: the talk trains on a hundred times as much, and it thaws the vectors at the end
# (49:11–52:52), while ours stayed frozen. **To remember:** what can be solved is solved quickly; what
# attention adds has to be learnt.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 8. The lamp
#
# Small, quick and continual: that is where counting should shine. The talk's lamp runs five
# processes on a board that costs little (55:27–64:27): record, transcribe, **anticipate**, **train**,
# operate. It guesses one of three symbols after each sentence: `lit`, `dark`, or nothing. Nobody
# labels anything. If the guess is wrong, somebody reaches for the switch. Within a window of ten
# seconds this counts as a correction; later it may mean something else, and changes nothing.
#
# So the lamp is always **tested before it is taught**: each guess is made before its sentence is
# learnt. Such a score is called *prequential*. It needs no held-out text.


# %%
def prequential(model, stream, window):  # what everybody says, in the order of time
    guesses = []
    for said in stream:
        guess = model.guess(said.text)  # first predict
        corrected = guess != said.meant and said.delay <= window  # somebody was quick enough
        model.learn(said.text, said.meant if corrected else guess, corrected)  # then learn
        guesses.append(guess)
    return guesses


# %% [markdown] slideshow={"slide_type": "subslide"}
# ## A household
#
# The talk had people; we have a simulation. Thirty sentences that mean the lamp and thirty of chatter
# with the same words in them, each with changing rooms, pets and days; one letter in ten misspelt.
# Listen for a while:

# %%
for said in list(household(1, 2.0))[:8]:
    print(f"{said.at:4.0f} s  {said.text:40} {said.meant}")
stream = list(household(0, 20.0))
assert prequential(Listener(0), stream, 10.0) == lamp.prequential(Listener(0), stream, 10.0)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What the lamp makes of a sentence
#
# All groups of one to four letters that stand in it, each once: *on* becomes ` `, `o`, `n`, ` o`,
# `on`, `n `, ` on`, `on `, ` on `. A slip of the finger spoils a few groups and leaves the rest. But
# the groups depend on each other as badly as witnesses can: every letter stands in ten of them. So a
# sentence of n groups gives each the weight $1/\sqrt n$: its L1 norm is then $K = \sqrt n$, and n
# witnesses count like $\sqrt n$.
#
# The weights are the explicit solution of what was counted so far, plus what gradient descent adds
# in 64 small steps after each sentence: on the new one, on corrected ones, on any.

# %% tags=["hide-input"]
source(listener.groups, Listener._logits, Listener._descend)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Twenty minutes
#
# **Claim** (55:27–64:27): twenty minutes of lay use are enough. **Ours, set before the run:** from
# nothing to 90 % right after 150 turns; below 75 % would prove it wrong. Beside the lamp stand naive
# Bayes over the same groups, and the lamp without its gradient. Saying *nothing* always would be
# right half of the time.

# %%
found = experiments.lamps(SEEDS)
pictures.curves(found)

# %% slideshow={"slide_type": "subslide"}
right = {name: [experiments.late(one) for one in rows] for name, rows in found.items()}
verdicts.twenty_minutes(right["the lamp"], SEEDS)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Minute by minute, and the chatter
#
# A lamp that is right in nine of ten cases still annoys if the tenth is dinner talk. So count **false
# triggers**: chatter that switches it. *Which of the three will be the most nervous?*

# %% tags=["hide-input"]
pictures.minutes(found)

# %% slideshow={"slide_type": "subslide"}
false = {name: [experiments.false_triggers(one) for one in rows] for name, rows in found.items()}
pairs = [{"right": right[name], "false": false[name]} for name in ("the lamp", "naive Bayes")]
verdicts.against_bayes(*pairs, SEEDS)

# %% [markdown] slideshow={"slide_type": "fragment"}
# On average solving and training together beat either alone, clearly so in false triggers. The counts
# make the first corrections work at once. The gradient, which sees only errors of whole sentences, finds out that *on* in *come
# on* should not be believed. **To remember:** where data is scarce and comes one by one, counting is
# the right start, and not the right end.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 9. It listens
#
# The talk's lamp transcribes speech with a small recogniser of letters, so its sentences come with
# errors of hearing. We have no microphone here, and say so: our speech is **synthetic**. Each letter
# is a sound with two resonances, buzzed or hissed, of uncertain length, in a voice of uncertain pitch.

# %%
from minilm.lamp.speech import bands, speak

pictures.sound("lights on", bands(speak("lights on", np.random.default_rng(3))))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Nobody says which frame holds which letter
#
# A recogniser sees frames of 20 milliseconds and knows only the sentence. **CTC** adds up over all
# ways to lay it out in time. A path names a letter or the blank `·` in each frame; merge repeats, then
# drop blanks: *oo·n* and *o·nn* both say *on*. Their probabilities are added by walking once through
# the frames, in logarithms. By hand: two frames, each with `·` 0.4 and *o* 0.6. The text *o* has the
# paths *oo*, *o·*, *·o*: 0.36 + 0.24 + 0.24 = 0.84.

# %%
logp = np.log([[0.4, 0.6], [0.4, 0.6]])  # (T, V): blank, o
alpha = explicit.ctc_forward(logp, [1])  # (T, 3): states blank, o, blank
print(np.exp(np.logaddexp(alpha[-1, -1], alpha[-1, -2])).round(2))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What it heard
#
# The recogniser has 12,700 weights and was trained on households that the lamp never meets. At three
# stages of its training it transcribed twenty minutes, and a new lamp learnt from the transcript.

# %% tags=["hide-input"]
pictures.heard(here.recorded("hearing"))

# %% [markdown] slideshow={"slide_type": "fragment"}
# With one letter in three wrong the lamp loses six to nine points against the text as it was said;
# with one in twenty, three at most or so. It does not need the right letters, only the *same* wrong ones
# each time. That is the talk's bet on a tiny recogniser, and it holds here, for sounds far easier than
# speech. At the first stage it hears next to nothing, and the lamp does no better than chance.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 10. What it costs
#
# **Claim** (55:27–64:27, and the abstract): a microprocessor, CPU only, no network. **Our limits:** in
# a process that may use one core and 256 MB, a turn with its saving takes at most 50 milliseconds;
# at most 30,000 parameters; less than 1 MB of state. Each turn is on the disk before its answer is
# shown, so a power cut loses at most the sentence that is being typed.

# %%
cost = measure(minutes=10)
print(report(cost))
verdicts.budget(cost, LIMITS)

# %% [markdown] slideshow={"slide_type": "notes"}
# 3 minutes. The last line is a projection by counted operations, not a measurement: we do not have
# the talk's board. Python itself would take most of the time there.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 11. Your lamp
#
# Here is a new one. First teach it a little, in a cell, and see it learn.

# %%
conversation = [
    ("lights on", "lit"), ("lights off", "dark"), ("what is for dinner", "nothing"),
    ("turn on the lamp", "lit"), ("good night", "dark"), ("come on", "nothing"),
    ("it is too dark in here", "lit"), ("turn off the lamp", "dark"), ("lamp on please", "lit"),
    ("call me on friday", "nothing"), ("time to sleep", "dark"), ("lights on please", "lit"),
]  # fmt: skip
model, right_so_far = experiments.taught(conversation)
print("".join("✓" if one else "·" for one in right_so_far))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Say something
#
# Type a sentence and press Enter. If the lamp is wrong, say what it should have been; it learns at
# once. The curve on the right is yours. (`minilm lamp` does the same in a terminal, keeps what it
# learnt, and switches a real device.)

# %% tags=["hide-input"]
here.module("own_lamp").OwnLamp(model, right_so_far, pictures.draw_lamp).show()

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What came out, and what did not
#
# **As claimed.** A softmax layer over one feature is solved by counting, exactly. One pass takes
# perplexity from V to a fraction of it. Comparisons of frozen vectors can be looked up. A lamp
# learns in twenty minutes of talk, in a few milliseconds a turn and some forty megabytes; it is right in
# nine of ten cases, and other seeds came out on either side of that mark.
#
# **In part.** A warm start is ahead early where text is plenty. The criterion for attention finds
# which slots to trust: it saves a tenth of a nat with eight slots of real text, and 0.002 on a chain
# of pairs.
#
# **Not as claimed.** A single layer did not end at a better optimum for having started warm; with
# many features and little text it ended far worse. At equal parameters and at equal seconds the
# near-shallow model stays behind a transformer of two layers, and both behind a 3-gram.
#
# **What it means.** With many features the solution is naive Bayes, and it is good and bad where
# naive Bayes is: quick, additive, frugal with data, and too sure of itself. As a *start* it is worth
# a few steps of training; as a *learner by the minute*, with a little gradient behind it, it is hard to beat.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Not measured
#
# Thawed vectors; a hundred million tokens; real speech and real people; worse spelling than one letter
# in ten; the board of the talk; the speaker's own code, which may choose better where we had to choose. The lamp's model reads letter
# groups and not a SAFFU dialogue: SAFFU units over letters were behind in our first trials, which
# we did not record.
#
# **One further question.** The lamp takes silence for consent: a wrong guess that nobody corrects is
# learnt as right. How often can that happen before it believes itself? Lower `window` in
# `prequential` and find out.
#
# Now build the parts yourself: [exercise set](../exercises/06_precision_models.ipynb).
