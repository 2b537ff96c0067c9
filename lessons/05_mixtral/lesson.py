# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Mixtral: what eight experts are, and what they are not"
#   talk: "Demystifying Mixtral of Experts"
#   speaker: "Albert Jiang"
# ---

# %% [markdown] slideshow={"slide_type": "slide"}
# # Mixtral: what eight experts are, and what they are not
#
# ![Five words of a program. Above each stand two layers of eight boxes, and in each layer two of the eight are lit, other ones for other words and layers.](05_mixtral/opening.png)
#
# *Mixtral 8x7B* sounds like eight models of seven billion weights: one for code, one for maths, one
# for French, and a doorman who sends each question to the right one. **Which part of this picture
# is true?**
#
# Your bet, four times: how many experts are there in all? How many billions of weights, and how
# many does one word use? Does a word cost what its share of the weights would cost? And is there an
# expert for maths?
#
# *35 minutes to read, one to run. You need attention and training, as in [lesson
# 01](01_overview_of_transformers.ipynb).*

# %% [markdown] slideshow={"slide_type": "notes"}
# 3 minutes. Collect the four bets on the board; each gets its section. The talk is Albert Jiang's of
# CS25 V4, spring 2024. For 50 minutes leave out three parts: *How many experts does a word need?*,
# *What balance costs* and *A cache that rolls*. For 80 show everything.

# %% [markdown] slideshow={"slide_type": "skip"}
# The talk calls the four wrong answers *myths*, and corrects each in a sentence. We turn each of the
# four into a claim that a measurement could refute, and measure. What else the talk reports about
# Mixtral's router (neighbouring words share experts; a strange tale about expert 3; knowledge gains
# more than reasoning) is tried too, on models of two or three layers, not 32, that a laptop trains in
# seconds or a few minutes. Where that is too small to say anything, the page says so.
#
# A *word* of this page is what the model reads at once, a **token**: a word or a piece of one. Losses
# are in **nats** per word: minus the natural logarithm of the probability that the model gave the word
# that came.

# %% slideshow={"slide_type": "skip"}
import numpy as np

from minilm.analysis.accounting import count_parameters
from minilm.course import budget, interact, lesson_folder, progress, seeds
from minilm.inference.cache import RollingCache
from minilm.models import Transformer
from minilm.models.presets import mistral, mixtral
from minilm.nn import Attention, Experts
from minilm.nn.attention import Sight
from minilm.tensor import Tensor, no_grad

SEEDS = seeds()  # 0, 1, 2, or those that `minilm run 05 --seeds 3,4,5` asks for
here = lesson_folder("05")
pictures, verdicts = here.pictures, here.module("verdicts")
mixture, costs, windows = here.module("mixture"), here.module("costs"), here.module("windows")
knowledge = here.study("knowledge")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 1. One layer, eight experts
#
# A transformer's layer has two halves. Attention lets a word look at others. Then a **feed-forward**
# works on each word for itself. Mistral's kind is called **SwiGLU**: two matrices lead into a wider
# space, where one result gates the other, and a third leads back. Mistral 7B has one feed-forward in
# each of its 32 layers. Mixtral has **eight** there, all of the same shape, called **experts**.
#
# A small matrix decides who works. It is called the **router**, and gives a word one number for each
# expert, its **logit**. The two largest win. Their logits go through a softmax, which makes two weights
# that add up to 1, and the layer's output is the weighted sum of what the two experts say (Jiang,
# 08:39):
#
# $$y = \sum_{e\,\in\,\text{top two}} \operatorname{softmax}(\text{the two logits})_e \cdot \operatorname{SwiGLU}_e(x)$$
#
# By hand, with four experts and logits 1, 2, ½, 3: the winners are experts 3 and 1. The softmax of 3
# and 2 is 1 / (1 + e⁻¹) = **0.7311** and **0.2689**. The other two are not computed at all. *Before you
# run it: what would the full softmax of all four give experts 3 and 1, and in what ratio?*


# %%
def topk_gate(x, Wg, k):
    """x (N, C), router Wg (E, C) -> chosen experts (N, k) and their weights (N, k)."""
    logits = x @ Wg.T  # (N, E)
    idx = np.argsort(-logits, axis=1, kind="stable")[:, :k]  # (N, k), the largest first
    chosen = np.take_along_axis(logits, idx, 1)  # (N, k)
    e = np.exp(chosen - chosen[:, :1])
    return idx, e / e.sum(1, keepdims=True)


idx, weights = topk_gate(np.eye(1), np.array([[1], [2], [0.5], [3]]), k=2)
full = np.exp([1, 2, 0.5, 3]) / np.exp([1, 2, 0.5, 3]).sum()
two = full[[3, 1]]
print("experts", idx[0], "with weights", weights[0].round(4))
print("full softmax", two.round(4), " over its sum", (two / two.sum()).round(4))

# %% [markdown] slideshow={"slide_type": "fragment"}
# The same two numbers: a softmax over the winners is the full softmax, with the losers crossed out and
# the rest scaled up to 1.

# %% [markdown] slideshow={"slide_type": "notes"}
# 3 minutes. Let the room do the division before the cell shows it.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The layer on the page
#
# Now the layer. The loop goes over the *experts*, not over the words: each expert collects the words
# that chose it, works on all of them at once, and adds its share to each. That is how fast code
# does it, too. A gate turns z into z / (1 + e⁻ᶻ), near 0 for z far below 0.


# %%
def swiglu(x, w1, w2, w3):
    """x (N, C), w1 and w3 (F, C), w2 (C, F) -> (N, C)."""
    gate = x @ w1.T  # (N, F)
    return (gate / (1 + np.exp(-gate)) * (x @ w3.T)) @ w2.T  # (N, F) -> (N, C)


def moe_forward(x, Wg, w1, w2, w3, k):
    """x (N, C), w1 and w3 (E, F, C), w2 (E, C, F) -> (N, C)."""
    idx, weight = topk_gate(x, Wg, k)
    y = np.zeros_like(x)
    for e in range(len(Wg)):
        token, place = np.nonzero(idx == e)  # who chose e, and as which choice
        out = swiglu(x[token], w1[e], w2[e], w3[e])  # (tokens of e, C)
        y[token] += weight[token, place][:, None] * out
    return y


# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Myth 1: "eight experts"
#
# Each layer has a router and eight experts of its own: 32 × 8 = **256** experts. And nothing ties
# expert 3 of one layer to expert 3 of the next. Shuffle the experts of a layer, shuffle the rows of its
# router in the same way, and no output changes: the experts' numbers are only names.
#
# **Would prove it wrong:** a shuffled layer gives another output. The package's layer must agree, too.

# %%
layer = Experts(channels=32, ff=48, experts=8, chosen=2, dtype=np.float64)
parts = (layer.router, layer.gate, layer.down, layer.up)
arrays = [part.weight.data for part in parts]
x = np.random.default_rng(0).normal(size=(200, 32))

page = moe_forward(x, *arrays, k=2)
order = np.random.default_rng(1).permutation(8)
shuffled = moe_forward(x, *(a[order] for a in arrays), k=2)
package = layer(Tensor(x)).data
verdicts.permutable(abs(page - package).max(), abs(page - shuffled).max(), layers=32, experts=8)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** 256 small experts, in 32 groups of eight, and each word takes 2 of 8, 32 times.

# %% [markdown] slideshow={"slide_type": "notes"}
# 2 minutes; section 1 takes about 7. Let somebody count the paths: 28 pairs in each layer, 28 to the
# power of 32 in all. No two words of a text need to go the same way.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 2. Myth 2: "8 × 7 = 56 billion"
#
# Only the feed-forwards are there eight times. Attention, norms, embeddings and the head are there
# once. So we count. *Your bet of the first page is due.*


# %%
def count_params_moe(vocab, dim, layers, heads, kv_heads, head_dim, ff, experts, chosen):
    """Weights in all, and those that one word uses."""
    attention = 2 * dim * heads * head_dim + 2 * dim * kv_heads * head_dim  # q and o, k and v
    expert = 3 * dim * ff  # the three matrices of a SwiGLU
    shared = attention + 2 * dim + dim * experts  # two norms and the router
    ends = 2 * vocab * dim + dim  # embedding, head, last norm
    total = ends + layers * (shared + experts * expert)
    return total, ends + layers * (shared + chosen * expert)


total, active = count_params_moe(32000, 4096, 32, 32, 8, 128, 14336, experts=8, chosen=2)
one = count_parameters(mistral())
eight = count_parameters(mixtral())
pictures.sizes(one.total, total, active)
verdicts.counted(total, active, (eight.total, eight.active), 8 * one.total)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Nor does a word use 2 × 7 = 14 billion: what both experts share is there once. Experts hold 96.6 % of
# all weights, and a word uses a quarter of those.
#
# **To remember:** 46.7 billion have to lie in memory; 12.9 billion work on a word.

# %% [markdown] slideshow={"slide_type": "notes"}
# 3 minutes. Settle the second bet here.

# %% [markdown] slideshow={"slide_type": "skip"}
# A rule of thumb from the talk's discussion: a mixture is worth as much as a dense model of √(total ·
# active) weights, here 24.5 billion. Nothing on this page tests it.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 3. Myth 3: "so it costs what 13 billion cost"
#
# A word is multiplied by 12.9 billion weights; we call that its *products*. But a machine pays for
# more. Words must be sorted, sent to their experts and collected: the talk's reason. Each expert gets a
# small heap of words, and small heaps are slower for their size.
#
# And weights must be *read*. One word reads two experts of a layer. A batch of B words, if each drew its
# two at random, would need
#
# $$8\,\bigl(1 - (1 - \tfrac28)^B\bigr)$$
#
# of the eight: 2, 3.5, 5.5, 7.2, 7.9 for B = 1, 2, 4, 8, 16. By hand for B = 2: an expert is missed by
# one word with probability ¾, by both with 9/16, so 8 · 7/16 = **3.5** are needed. So with one word the
# machine reads 12.9 billion weights, and with 16 words nearly all 46.7.
#
# *Before you run it: we time one layer of experts beside one dense feed-forward that does the same
# products for each word, for batches of 1 to 1,024 words. Where is the difference largest?* **Would
# prove the claim wrong:** 16 words take less than 1.5 times as long as in the dense layer, or read less
# than 3 times what one word reads. The clock counts what one core works, so other programs hardly
# matter. The router on the left has been trained for sixty steps on the tasks of section 8.

# %%
times = [costs.layer_times(seed) for seed in progress(SEEDS)]

hit = {}
exam = knowledge.Exam()
for seed in progress(SEEDS):
    model = knowledge.train_one("mixture", seed, 5e-3, budget(60), lambda *_: None)
    chosen = mixture.routings(model, exam.ids)[-1].experts  # (words, 2), of the last layer
    hit[seed] = {b: costs.experts_hit(chosen, b, seed) for b in (1, 2, 4, 8, 16, 32)}
pictures.costs(times, hit[SEEDS[-1]], costs.by_chance)
verdicts.not_proportional(times, [hit[seed][16] for seed in SEEDS], SEEDS)

# %% [markdown] slideshow={"slide_type": "fragment"}
# So the same products have many prices. One word reads two experts of eight, and pays somewhat more than
# in a dense layer. Sixteen words read nearly all eight, and each expert does little with what was read:
# the worst place. With a thousand words every expert is read once and put to good use, and most of the
# difference is gone. That is one core. Between machines words must *travel*, which we did not measure.
#
# So the talk's answer to *when should I use one?* depends on the user. At home, with one word at a time,
# memory is short: a dense model is better. A server with large batches keeps all experts busy.
#
# **To remember:** products are only one part of the bill; reading and sending are the others.

# %% [markdown] slideshow={"slide_type": "notes"}
# 5 minutes, and 2 more with the next part. The times are those of our kernel, on one machine and at
# small sizes. Between many GPUs the sending may be the largest part of the bill.

# %% [markdown] slideshow={"slide_type": "skip"}
# These limits are not the first. We began with training steps of 1,024 words and a limit of 1.1 times.
# There, experts came within a few percent of the dense layer, and we chose the batch of 16 after that. So
# the verdict says that *some* batches cost far more than their share, and not that all do.

# %% [markdown] slideshow={"slide_type": "subslide"} tags=["extra"]
# ## How many experts does a word need?
#
# Two is a choice, made before training. What if a trained model may use more, or only one? We take
# the last model from above. *Before you move the control: will all eight be best?*

# %%
with_k = []
for k in range(1, 9):
    for part in mixture.experts_of(model):
        part.router.chosen = k
    with_k.append(mixture.losses(model, exam.ids[:96], exam.next[:96]).mean())

# %% tags=["hide-input"]
interact(lambda k: pictures.how_many(with_k, k), k=[2, 1, 3, 4, 6, 8])

# %% [markdown] slideshow={"slide_type": "fragment"}
# One expert alone loses something. No expert was trained to help out as third or fourth: from two on,
# more work buys next to nothing. This is one model, after sixty steps.

# %% [markdown] slideshow={"slide_type": "notes"}
# 2 minutes. Ask first who bet on eight.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 4. Everybody wants the same two
#
# A router that is trained freely has a bad habit. Experts that are chosen learn, what has learnt is
# chosen more often, and the rich get richer. The usual cure is a second loss. Let f be the share of
# all choices that went to expert e, and P the mean of its probability in a softmax over all E. Then
#
# $$\text{balance} = E \sum_e f_e P_e$$
#
# By hand for two experts and two words: both chose expert 0, with probabilities 0.8 and 0.6. So f = (1, 0)
# and P = (0.7, 0.3), and the loss is 2 · 0.7 = **1.4**. Even shares give 1, one expert with everything
# gives E. It is added to the loss of the words with a small **coefficient**.
#
# There is a cure without a loss, too: add a **bias** to each expert's score before the choice, and after
# each step raise it a little for those with too few words and lower it for those with too many. It
# changes who is chosen and leaves their weights alone.


# %%
def load_balance_loss(probs, idx, k):
    """probs (N, E), idx (N, k) -> E sum f P; 1 where all is even."""
    E = probs.shape[1]
    f = np.bincount(idx.ravel(), minlength=E) / (len(probs) * k)  # shares, sum 1
    return E * (f * probs.mean(0)).sum()


print(load_balance_loss(np.array([[0.8, 0.2], [0.6, 0.4]]), np.array([[0], [0]]), k=1))

# %% [markdown] slideshow={"slide_type": "notes"}
# 3 minutes; section 4 takes 6, and 2 more with the price of balance. Say before the next slide that the
# limits of sections 4 to 7 were written while the first runs came in.

# %% [markdown] slideshow={"slide_type": "skip"}
# **How far to trust sections 4 to 7.** The limits of their four verdicts (balance, information, neighbours,
# deletion) were written while the first runs came in. They are not bets made beforehand, so a verdict
# that just passes or just fails says little, and the numbers say more. The runs were made with an earlier
# class of experts; the class that the package has now has the same definitions. And the models with
# a coefficient of 0.01 had three seeds at first. Five more came after those three had been seen; section 7
# tells why. Sections 5 and 6 use all eight, and their verdicts are the same with the first three.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Five ways to balance
#
# Recorded: decoders of three layers with 48 channels, eight experts in each, two at work. They read three
# kinds of text in equal parts: the **prose** of Python's documentation, the **code** of its library, and
# **maths**, questions that we generate (*Solve 7\*x + 3 = 52 for x.*). Five ways to balance, each with its
# own tuned rate, three seeds.
#
# **Claim:** without a balance loss a few experts take everything, and a small one prevents it at
# little cost. **Would prove it wrong:** without, no expert has half of the choices; or with 0.01 one
# still has more than a quarter; or it costs more than 0.02 nats per token.

# %% tags=["hide-input"]
record = here.recorded("routing", whole=True)
pictures.shares(record, SEEDS[0] if SEEDS[0] in record.seeds_of("none") else 0)

# %%
verdicts.balance(record)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Nothing collapsed. In 500 steps the busiest expert of the worst layer gets about three times its share,
# not half of everything, and a few experts starve: less than a tenth of an even share. As said is the
# *order*: the larger the coefficient, the more even the load, and a bias does as well without any loss.
#
# **To remember:** a router needs a reason to be fair; the reason need not be a loss.

# %% [markdown] slideshow={"slide_type": "notes"}
# 3 minutes. Ask whether 500 steps are enough for the rich to get rich; nobody here knows.

# %% [markdown] slideshow={"slide_type": "subslide"} tags=["extra"]
# ## What balance costs

# %% tags=["hide-input"]
pictures.price(record)

# %% [markdown] slideshow={"slide_type": "fragment"}
# We had expected a small price, and found mostly a gain. With 0.1, and with the bias, words cost less
# than without balance, in all three seeds: by 22 and 19 thousandths of a nat. With 0.01 the seeds disagree,
# and one pays 21 thousandths, just above the limit. Perhaps weights that nobody uses are weights thrown
# away; that guess is ours, and not tested.

# %% [markdown] slideshow={"slide_type": "notes"}
# 2 minutes. Ask what three seeds can tell of a size, and what of a sign.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 5. Myth 4: "one for code, one for maths"
#
# Does a router look at what a text is *about*? The talk shows shares by domain (20:24): nearly even in
# the first layer and in the last one, with some preference in the middle, where one expert took more
# of the maths and the code. Its conclusion: experts do not specialise by domain.
#
# Here are the shares in one of our models, layer by layer. *Before you look: if each domain had an expert of
# its own, what would the bars be?*

# %% tags=["hide-input"]
interact(
    lambda layer: pictures.by_domain(record, record.seeds_of("0.01")[0], layer),
    layer=["layer 2", "layer 1", "layer 3"],
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## How much does it tell?
#
# Bars that differ prove little: the domains also have different *words*. To weigh causes against each
# other we need a number. **Mutual information** says by how many nats a label shortens the question
# *which expert?*
#
# $$I(\text{expert};\text{label}) = \sum p(e, l)\,\log\frac{p(e, l)}{p(e)\,p(l)}$$
#
# By hand: two experts, two domains, and each expert serves its own domain alone. Then p(e, l) = ½ on the
# two pairs that occur, and I = 2 · ½ · log(½ / ¼) = log 2 = **0.693**: the label answers the question. If
# the expert is drawn at random, p(e, l) = p(e) p(l), and I = 0.


# %%
def information(a, b):
    """Mutual information of two lists of whole numbers, in nats, from their counts."""
    joint = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(joint, (a, b), 1 / len(a))
    apart = joint.sum(1, keepdims=True) * joint.sum(0)  # if they had nothing to do with each other
    some = joint > 0
    return (joint[some] * np.log(joint[some] / apart[some])).sum()


expert = np.array([0, 0, 1, 1, 0, 1])
print(f"the expert's own domain: {information(expert, expert):.3f}")
rng = np.random.default_rng(0)
many = [information(rng.integers(8, size=2000), rng.integers(500, size=2000)) for _ in range(5)]
print(f"random experts, 500 labels, 2,000 words: {np.mean(many):.3f}, though nothing is there")

# %% [markdown] slideshow={"slide_type": "fragment"}
# The last line is a trap. With many rare labels, counts alone pretend to know something. So each number
# gets a **null**: the same with the labels shuffled, which is subtracted.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Word, domain, or place?
#
# On held-out text: information of the first choice with the **token** (512 kinds), with the **domain**
# (three) and with the **position** in the window (64), above their nulls. A domain can at most tell log 3
# = 1.10 nats, a token log 8 = 2.08, so the comparison favours the token. A fairer one asks what the
# domain *adds* once the token is known: is `(` in code sent elsewhere than `(` in prose? And the other
# way round.
#
# **Would prove it wrong:** the token tells less than three times what the domain tells, or adds less
# than three times what the domain adds.

# %% tags=["hide-input"]
pictures.what_it_reads(record)

# %%
verdicts.by_token(record)

# %% [markdown] slideshow={"slide_type": "fragment"}
# So the first choice follows the token above all: 1.4 of at most 2.08 nats. But the domain is not
# nothing, and it grows with depth: 0.17, 0.29 and 0.46 nats from layer 1 to layer 3. Two thirds of that
# comes through the words. The rest, 0.15 in the last layer, is new: one token goes elsewhere in code than
# in prose. The rule was for the mean of three layers; in the last one alone the token tells 2.4 times what
# the domain tells, below 3. Nor are our shares nearly even, as the talk's were in its last layer.
#
# **To remember:** the router looks at the word first, and at the subject a little, more so with depth.

# %% [markdown] slideshow={"slide_type": "notes"}
# 4 minutes; section 5 takes about 9. If the room knows statistics, ask for the bias of the plug-in
# estimate: about (rows - 1)(columns - 1) / 2n nats, 7 · 499 / 4,000 = 0.87 in the example.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 6. Neighbours
#
# The talk reports (22:46) that consecutive words go to the same experts far more often than chance
# says, almost twice as often in the middle layer. What does chance say?
#
# - the same *first* choice: **1/8**;
# - at least one of the two in common: 1 minus the chance that the second word draws both of its two from
#   the other six, 1 − C(6, 2) / C(8, 2) = 1 − 15/28 = **13/28** = 46.4 %.
#
# But this is chance for a router that is *even*. Ours is not: if one expert takes a third of all words,
# neighbours meet there by accident. So we ask a second question: what do **the same choices in random
# order** give? We shuffle them within each window of 64 words. That keeps every expert's load, and the
# subject too, and destroys only the neighbourhood.
#
# **Would prove it wrong:** a rate at or below 12.5 % or 46.4 %, or less than 2 points above the shuffled
# choices.

# %% tags=["hide-input"]
pictures.neighbours(record)

# %%
verdicts.neighbours(record)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Both rates lie far above 1/8 and 13/28, as in the talk. But the shuffle takes little away: nothing in
# layers 1 and 2, or nearly, and 3 points in layer 3. Here, neighbours share experts because some experts
# are busy, and because a window of maths is full of digits: hardly because they are neighbours. Whether
# Mixtral's "almost twice as often" would survive such a shuffle we cannot say.
#
# **To remember:** "above chance" depends on whose chance.

# %% [markdown] slideshow={"slide_type": "notes"}
# 4 minutes. The shuffle asks more than the talk did: it leaves the subject alone.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 7. Delete expert 3
#
# A tale from the community, told in the talk (27:22): somebody deleted one expert index in all 32 layers
# of Mixtral at once. For most indices the model lost a little. For **expert 3** it collapsed, down to
# 0.63 % on an exam of knowledge. But section 1 said that an index means nothing across layers. Both can
# be true: one draw of 32 experts may by accident contain one that nothing else can replace.
#
# That can be tested with models that differ only in their seed, here eight of them. If an index had a
# meaning, because of how weights start or how ties are broken, the same index would hurt in *all* of
# them. We delete each index in all three layers, by forbidding it to the router, which then takes the
# next best.
#
# **Would prove it wrong** (our version, on our models): in some seed the damage by index agrees with the
# mean of the other seeds, by a rank correlation of 0.643 or more. Two random rows of eight numbers do
# that in 5 % of cases; among eight seeds one does so in about 27 %.

# %% tags=["hide-input"]
pictures.deleted(record)

# %%
verdicts.index_means_nothing(record)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Look at the first three rows alone. Index 2 hurts most in every one of them! Their ranks agree so well
# (Kendall's W, from 0 to 1, is 0.70) that chance does it in 1 of 100 cases, and we nearly had a tale of
# our own, about expert 2. So we trained five more. The fair test is those five: W is 0.16, which chance
# exceeds in 62 of 100 cases. Index 2 is the worst in two of them; chance gives that in 12 of 100. (Where
# nobody steps in for the deleted expert, index 2 is the worst in two of all eight.) And with seed 5 it is
# expert 3, of all experts, that costs three times the median.
#
# So we find no meaning in an index, and *one* model can still have one that hurts far more than the
# others. Such a tale needs no cause beyond chance. Mixtral's own collapse we did not test.
#
# **To remember:** a number without a spread over seeds invites a tale.

# %% [markdown] slideshow={"slide_type": "notes"}
# 5 minutes. Cover the rows from seed 3 on, and let the room believe in expert 2 first.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 8. Knowledge or reasoning?
#
# The talk's working hypothesis (10:32): feed-forwards *store*, attention *carries out algorithms*.
# Eight times the feed-forward should then help with what must be known, and little with what must be
# worked out; Mixtral's scores looked like that.
#
# Lesson 2 has a world of seven tasks with a known best loss for each. **Facts**: 5,000 names, each with its
# emblem, to be known by heart. **Places**: *Ada kitchen Ben store where Ada?* **Sums** of two-digit
# numbers. Facts and places have 30 % of the text each. Two models of two layers and 64 channels:
# **dense**, with one feed-forward of width 256, and **experts**, eight of width 128, two at work. The
# products of a word are the same, the router's few apart; the second has 2.8 times the weights. Each has
# its own rate, tuned on runs of 300 steps; 3,000 steps; three seeds. *Habit* only knows how often each
# answer comes: where both models are no better, nothing is tested.

# %% tags=["hide-input"]
work = here.recorded("knowledge", whole=True)
pictures.lacks(work)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Who gains?
#
# Tasks have different room for gains, so we measure in shares: of what the **dense model lacks** to the
# best possible loss on the tested words, how much do experts make up?
#
# **Would prove it wrong:** facts gain nothing, or places and sums gain as much, on average.

# %% tags=["hide-input"]
pictures.gains(work)

# %%
verdicts.knowledge_gains(work)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Facts gain little: 11, 1 and −2 % of the lack. We think the dense model is short of practice, not of
# room: the rarest names came a few times only. (Of facts beyond rank 1,000 the experts know 32 %, the
# dense model 28 %; more in every seed, on 256 questions each.)
#
# Places and sums hang on luck. A model begins to find the trick in its 3,000 steps or it does not. Dense
# began with places in two seeds of three and with sums in two; the mixture with places in two and with
# sums in none. So the *order* is as claimed in every seed, and the *gain* is not: over all words, eight
# experts were no better than one feed-forward with the same work.
#
# **To remember:** experts are room, and room alone did not help a model that is short of practice.

# %% [markdown] slideshow={"slide_type": "skip"}
# The order itself is weak evidence. It held in two seeds of three after 750 steps, and in all after 1,500
# and 3,000. And where one model has begun with a trick and the other has not, the difference tells of
# luck, and not of experts. (These runs, too, were made with the earlier class of experts.)

# %% [markdown] slideshow={"slide_type": "notes"}
# 4 minutes; section 8 takes about 6. Lead the discussion to the control that is missing: a dense model
# with as many weights in all, whose feed-forwards would do four times the work per word.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 9. Two savings of Mistral
#
# The talk begins with two savings in Mistral's attention (02:18). Neither was new, and both are about
# memory. The first: **grouped queries**. In plain attention every query head has keys and values of its
# own, and all of them must be kept while a text is written. Mistral has 32 query heads and only 8 heads
# of keys and values. Four query heads share each of these: a quarter of the memory.
#
# The second: a **window** W. A word sees itself and the W − 1 words before it, and no others. Mixtral
# kept the first saving and dropped the second: it sees its 32,768 words in full.


# %%
def gqa(x, Wq, Wk, Wv, Wo, h, h_kv, window):
    """x (T, C), Wq (h D, C), Wk and Wv (h_kv D, C), Wo (C, h D) -> (T, C)."""
    T, D = len(x), len(Wq) // h
    q = (x @ Wq.T).reshape(T, h, D)
    k, v = ((x @ W.T).reshape(T, h_kv, D) for W in (Wk, Wv))
    k, v = (np.repeat(a, h // h_kv, axis=1) for a in (k, v))  # (T, h, D): four queries, one key
    scores = np.einsum("thd,shd->hts", q, k) / np.sqrt(D)
    far = np.arange(T)[:, None] - np.arange(T)  # how far back a key is
    scores = np.where((far >= 0) & (far < window), scores, -np.inf)
    e = np.exp(scores - scores.max(-1, keepdims=True))
    mixed = np.einsum("hts,shd->thd", e / e.sum(-1, keepdims=True), v)
    return mixed.reshape(T, h * D) @ Wo.T


attention = Attention(32, heads=8, kv_heads=2, bias=False, dtype=np.float64)
Wq, Wk, Wv = np.split(attention.qkv.weight.data, [32, 40])
x = np.random.default_rng(0).normal(size=(40, 32))
theirs = attention(Tensor(x[None]), Sight(causal=True, window=6)).data[0]
ours = gqa(x, Wq, Wk, Wv, attention.out.weight.data, 8, 2, window=6)
print("page less package:", abs(ours - theirs).max())

# %% [markdown] slideshow={"slide_type": "subslide"} tags=["extra"]
# ## A cache that rolls
#
# While a model writes, keys and values of earlier words are kept: the **cache**. With a window, those
# that have left it will never be asked for again. So W slots are enough: position t goes to slot **t
# mod W**, over what lay there. By hand with W = 4: position 5 takes slot 1, where position 1 lay. The
# order in the slots does not matter, since a softmax does not care in which order it adds.


# %%
def rolling_cache_attend(keys, values, q, k, v, t):
    """One step: keys and values (W, D) are slots; q, k, v (D,) belong to position t."""
    W, D = keys.shape
    keys[t % W], values[t % W] = k, v
    n = min(t + 1, W)  # slots in use
    scores = keys[:n] @ q / np.sqrt(D)
    e = np.exp(scores - scores.max())
    return (e / e.sum()) @ values[:n]


keys, values, held = np.full((4, 1), np.nan), np.zeros((4, 1)), np.full((4, 10), np.nan)
for t in range(10):
    rolling_cache_attend(keys, values, np.zeros(1), np.array([t]), np.zeros(1), t)
    held[:, t] = keys[:, 0]
pictures.slots(held)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The same text, with six slots
#
# A model with a window reads a text at once, then word by word over a rolling cache: W slots, position t
# in slot t mod W. **Would prove it wrong:** the two differ. Mistral needs 0.5 GiB for its 8,192 words, not
# 1: 131,072 bytes a word (2 · 32 layers · 8 heads · 128 numbers · 2 bytes), times 4,096 slots.

# %%
model = Transformer(windows.config_of(3).replace(context=64), seed=0, dtype=np.float64)
text = np.random.default_rng(0).integers(0, 16, (1, 50))
cache = RollingCache(model.config, batch=1, dtype=np.float64)
with no_grad():
    at_once = model(text).numpy()
    steps = [model(text[:, t : t + 1], cache=cache).numpy() for t in range(50)]
rolled = abs(np.concatenate(steps, 1) - at_once).max()
verdicts.same_output(abs(ours - theirs).max(), rolled, cache.window, 50)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 10. How far does a window see?
#
# Is everything behind the window lost? No: "information spreads through depth". In layer 1 a word hears
# from W − 1 words back. In layer 2 it hears from words that have heard themselves. With 32 layers and a
# window of 4,096 that would be 131,072 words, says the paper: **L · W**. Count exactly, and it is L · (W
# − 1), since a word's own place is one of the W.
#
# That is how far something *could* be heard. Does a model learn to pass it on? A **needle** (one of eight
# letters) stands first, noise follows, and every later word has to name the needle. W = 6; one, two and
# three layers. *Draw the three curves before you run it.*
#
# **Would prove it wrong:** needles are named from farther away than L · (W − 1), or not from that far.

# %%
found = {}
for layers in progress((1, 2, 3)):
    trained = [windows.trained(layers, seed, budget(100)) for seed in SEEDS]
    found[layers] = [windows.named(m, seed) for m, seed in zip(trained, SEEDS)]
pictures.needles(found, windows.WINDOW)
verdicts.reach(found, windows.WINDOW, SEEDS)

# %% [markdown] slideshow={"slide_type": "fragment"}
# The edge is sharp, because it is a matter of wires and not of skill: beyond it no number of an output
# depends on the needle at all. Inside it, our models pass on one of eight letters, and nothing else was
# asked of them. That they *can* relay does not say how much a stream of 4,096 channels relays besides
# all its other work.
#
# **To remember:** depth buys reach, (W − 1) words a layer.

# %% [markdown] slideshow={"slide_type": "notes"}
# 4 minutes; sections 9 and 10 take about 8, and 2 more with the rolling cache. Show the curve with
# three layers last. The question that always comes: why W - 1? Draw W = 2 on the board.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What came out, and what did not
#
# **As claimed.** Mixtral is 256 experts and not 8, and their numbers are names. It has 46.7 billion
# weights and not 56, and 12.9 of them work on a word. The cost is not in proportion: sixteen words cost
# about three times what a dense layer with the same products costs, a thousand hardly more than it. The
# router follows the word more than the subject. An index means nothing, as far as eight seeds can tell. A
# window reaches W − 1 words a layer, and models do relay.
#
# **With a footnote.** Knowledge did better than reasoning with experts, but gained 3 % on average, and
# whether a model finds a trick in time is luck. Neighbours share experts far more often than 1/8 and
# 13/28, and hardly more than the same choices in random order. The domain does leave a trace, the deeper
# the stronger. And three seeds agreed on a worst index; five new ones did not.
#
# **Not as claimed, here.** Without a balance loss nothing collapsed in 500 steps. Strong balance cost
# nothing: it made words a little cheaper.
#
# **Not measured.** Mixtral itself: nothing here has loaded its weights. 32 layers, long training, many
# machines with a network between them; experts kept on a disk; experts pressed into fewer bits (17:54,
# an open question of the talk). Attention of mixtures that is unstable in 16 bits (12:55). A dense model
# with as many weights in all.
#
# **One further question.** A balance loss asks for even shares over the *whole* batch. At inference a
# user sends only maths. What happens to the load then, and who should pay for it: the words, which could
# spill over to the next best expert, or the machine? (The talk leaves it open at 16:34.)
#
# Now write the parts yourself: [exercise set](../exercises/05_mixtral.ipynb).
