# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Images as tokens: universal, and best at nothing?"
#   talk: "Ming Ding: from language models to multimodal models"
# ---

# %% [markdown] slideshow={"slide_type": "slide"}
# # Images as tokens: universal, and best at nothing?
#
# ![A handwritten three of 8 by 8 pixels; the same three cut into 16 patches, each with the number of a code; and the sequence that a language model reads: a start, the word three, and the 16 numbers.](07f_image_generation/opening.png)
#
# A language model writes one token after the other. Turn a picture into tokens, and the same model
# can draw, describe and complete pictures. **Why, then, are the best pictures not made that way?**

# %% [markdown] slideshow={"slide_type": "skip"}
# *30 minutes to read, one to run. You need a trained decoder and its masks, as in [lesson
# 01](01_overview_of_transformers.ipynb). The talk was given on 9 May 2024; times such as 48:28 are
# minutes and seconds of its recording. Its second half, diffusion, is [lesson
# 07fb](07fb_diffusion.ipynb).*

# %% [markdown] slideshow={"slide_type": "notes"}
# 3 minutes. Take the bets on the next slide and write them on the board. For 50 minutes leave out
# section 3's table and section 8; for 80 show everything, and let the room play with the codebook.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Your bet
#
# Four models have the same shape and get the same amount of compute. Three are specialists: the
# first draws a digit when it is given the label, the second names a digit, the third fills in what
# was covered. The fourth is universal: it learns all three tasks, a third of its time each.
#
# On how many of the three tasks does the universal model win? Write down a number from 0 to 3.
# There are arguments for each: it sees a third of the examples, but what it learns for one task may
# help in the others. Section 7 has the answer.

# %% slideshow={"slide_type": "skip"}
import time

import numpy as np

from minilm import backend
from minilm import functional as F
from minilm.course import interact, lesson_folder, progress, seeds
from minilm.course.show.tables import table
from minilm.tensor import Tensor, no_grad
from minilm.vision import coglm
from minilm.vision.vq import quantize

SEEDS = seeds()  # 0, 1, 2, or those that `minilm run 07f --seeds 3,4,5` asks for
here = lesson_folder("07f")
pictures, verdicts, experiments = here.pictures, here.module("verdicts"), here.module("experiments")
backend.keep_freed_memory()

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 1. A picture is a text, and a long one
#
# The simplest way to make tokens of a picture is to have one for each pixel. That is what **iGPT**
# did in 2020 (44:36): it put the pixels in reading order, each one of 512 colours, and trained
# GPT-2 on them. Nothing in the model knows about pictures.
#
# Our pictures are real: 1,797 handwritten digits, scanned at 8 by 8 pixels of 17 grey levels. We
# train on 1,297 of them and keep 500 aside. One of them as a text of 64 tokens, in rows:

# %%
data = experiments.digits(SEEDS[0], steps=800)
one = experiments.rows_of(experiments.PIXELS, SEEDS[0], held=False)[0]
print("label:", data.labels[0])
print(one[experiments.PIXELS.of_picture].reshape(8, 8))  # (64,) -> (8, 8)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What length costs
#
# By hand: a picture of 32 by 32 pixels is 1,024 tokens, as long as a chapter of a GPT-2 text. Twice
# the side is four times the tokens. Each token passes through all weights, so that part of the cost
# grows as the square of the side. In attention every token looks at every other one, so that part
# grows as the **fourth** power.
#
# iGPT's largest model has 48 layers of 1,536 channels. A layer has about $12 d^2$ weights: four
# square matrices in attention, eight in the feed-forward net. That makes $48 \cdot 12 \cdot 1536^2
# = 1.36$ billion. *Before you look: from which side on does attention cost more than the weights do?*

# %%
layers, d = 48, 1536
print("side    tokens   weights   attention   (10^12 operations to read one picture)")
for side in (8, 32, 64, 256):
    T = side**2
    weights = 2 * 12 * layers * d**2 * T  # 2 operations per weight and token
    attention = 4 * layers * d * T**2  # scores and mixing: T² pairs, 2 d each, twice
    print(f"{side:4} {T:9,} {weights / 1e12:9.2f} {attention / 1e12:11.2f}")

# %% [markdown] slideshow={"slide_type": "fragment"}
# Both are equal at 96 by 96 pixels. At 256 by 256, still not a large picture, attention costs seven
# times as much as all weights together. "The sequence is too long," says Ding (45:41). **To remember:** a
# pixel is too small to be a word.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 2. Fewer, larger words
#
# So cut the picture into patches and give each patch **one** word. Which words? Neighbouring pixels
# hardly ever do what they like: most patches of a digit are paper, ink or an edge. A list of 64
# typical patches might do. Such a list is a **codebook**, its entries are **codes**, and replacing
# each patch by the nearest code is **vector quantisation**, VQ.
#
# A network makes it better (van den Oord et al. 2017). An *encoder* turns each patch into a vector
# of a few numbers, the nearest code takes its place, and a *decoder* paints the picture from the
# codes. All three are trained together: a **VQ-VAE**. CogView and DALL-E cut pictures of 256 by 256
# pixels into 32 by 32 patches with 8,192 codes (45:52). Each code is 13 bits, so a picture is
# 1,024 times 13 bits, where its pixels have 256 · 256 · 24 bits: 118 times as many.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## By hand: the nearest code
#
# A vector is $z = (1, 2)$, and there are two codes, $e_0 = (0, 2)$ and $e_1 = (3, 3)$. The squared
# distances are $1^2 + 0^2 = 1$ and $2^2 + 1^2 = 5$, so $z$ becomes code 0. What goes on is $(0, 2)$.
#
# Now train. The decoder says: "I wish the first number were larger", a gradient of $(-2, 0)$. But
# choosing has no slope. Move $z$ a little, and the same code is chosen; nothing changes. The
# **straight-through** trick hands the gradient of the code to $z$, as if nothing had happened
# in between.
#
# Two more pulls keep the pair together. Codes move towards their vectors; and vectors move towards
# their codes, with a weight $\beta = 0.25$, so that the encoder does not run away. For $n$ numbers the
# second adds $2\beta(z - e)/n$ to the gradient. Here $n = 2$ and $z - e = (1, 0)$, so it adds
# $(0.25, 0)$, and $z$ gets $(-1.75, 0)$.


# %% slideshow={"slide_type": "subslide"}
def vq(z, codes, grad_code, beta=0.25):  # (N, D), (K, D), (N, D)
    distance = ((z[:, None] - codes) ** 2).sum(-1)  # (N, 1, D) - (K, D) -> (N, K, D) -> (N, K)
    ids = distance.argmin(1)  # (N,)
    e = codes[ids]  # (N, D)
    loss = ((z - e) ** 2).mean() + beta * ((z - e) ** 2).mean()  # codes to vectors, and back
    grad_z = grad_code + 2 * beta * (z - e) / z.size  # straight through, and the pull
    return ids, e, loss, grad_z


z, codes = np.array([[1.0, 2.0]]), np.array([[0.0, 2.0], [3.0, 3.0]])
ids, e, loss, grad = vq(z, codes, grad_code=np.array([[-2.0, 0.0]]))
print("code", ids, "  goes on", e, "  loss", loss, "  gradient", grad)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Does the package do the same?
#
# Its function must agree, on many vectors, with a gradient from the tape:

# %%
random = backend.rng(0, "vq")
z, codes, up = random.normal(size=(50, 4)), random.normal(size=(8, 4)), random.normal(size=(50, 4))
vectors = Tensor(z, requires_grad=True)
found = quantize(vectors, Tensor(codes, requires_grad=True))
(F.sum(found.codes * up) + found.loss).backward()
print("largest difference:", np.abs(vectors.grad - vq(z, codes, up)[3]).max())

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** VQ is a look-up going forward and an honest lie going back.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 3. Codes die
#
# A code that nobody chooses gets no gradient, so it stays where it is, and nobody will choose it
# later either. It is **dead**. Start 64 codes far from the vectors, and one of them wins everything.
#
# Codes can also do without gradients. A code should be the mean of the vectors that chose it. Keep a
# running count $N$ and a running sum $m$ for each code, let both forget a little at every batch, and
# set $e = m / N$. By hand, forgetting half: a code had $N = 2$, $m = (4, 0)$; now two vectors chose
# it, with the sum $(0, 4)$. Then $N = 1 + 1 = 2$, $m = (2, 0) + (0, 2)$, and the code moves from
# $(2, 0)$ to $(1, 1)$.


# %%
def follow(N, m, z, ids, forget=0.05):  # (K,), (K, D), (n, D), (n,)
    chose = np.eye(len(N))[ids]  # (n, K), one-hot
    N = (1 - forget) * N + forget * chose.sum(0)  # (K,)
    m = (1 - forget) * m + forget * chose.T @ z  # (K, n) @ (n, D) -> (K, D)
    return N, m


def revive(N, m, z, random, least=0.5):  # dead codes are put onto random vectors
    dead = np.flatnonzero(N < least)
    m[dead], N[dead] = z[random.integers(0, len(z), len(dead))], 1
    return N, m


# %% [markdown] slideshow={"slide_type": "fragment"}
# The second function is the cure: a code that fewer than half a vector chose, on average over the
# last batches, is put onto a vector of the batch. *Before you run the next cell: 64 codes and a
# cloud of 500 points in the plane. How many codes are in use after 100 batches, without and with
# the cure?*


# %% slideshow={"slide_type": "subslide"}
def train_codes(points, cure, batches=100, size=64):  # (n, 2)
    random = backend.rng(1, "codes")
    m, N = random.normal(size=(size, 2)) + 6.0, np.ones(size)  # far from the points
    for _ in range(batches):
        z = points[random.integers(0, len(points), 200)]
        N, m = follow(N, m, z, vq(z, m / N[:, None], 0 * z)[0])
        if cure:
            N, m = revive(N, m, z, random)
        N = np.maximum(N, 1e-9)
    return m / N[:, None]


cloud = pictures.cloud(500)
books = {name: train_codes(cloud, cure) for name, cure in (("alone", False), ("revived", True))}
pictures.books(cloud, books, {name: vq(cloud, b, 0 * cloud)[0] for name, b in books.items()})

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## On real digits
#
# Recorded (`minilm study run 07f/codebooks`): a VQ-VAE with convolutions makes 16 tokens of a digit,
# one for each patch of 2 by 2 pixels, from 64 codes. The codebook learns in four ways, each with
# its own tuned rate. **Would prove it wrong:** in one seed fewer than 60 codes are in use after
# revival, or a classifier that learned from real digits misreads more than 5 % of the
# reconstructions; or 60 are in use without revival.

# %% tags=["hide-input"]
codebooks = here.recorded("codebooks")
pictures.codebook_use(codebooks)
verdicts.revival(codebooks)

# %% [markdown] slideshow={"slide_type": "fragment"}
# The *perplexity* says how evenly codes are used: 64 if all equally often, 1 if one is used alone.
# (For the first three ways the largest rate that was tried, 0.016, was best, so a larger one might
# help them a little more.)
# **To remember:** a codebook must be looked after. Count the codes in use before you train anything
# on them.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 4. Look at the codebook
#
# Train it here, once for each seed; it takes a few seconds. *What will the picture look like when a
# code is put where it does not belong?* Below, choose a digit, and a code that replaces the token in
# the middle, row 2, column 2. Left the real digit, then its 16 codes, then what the decoder paints,
# and what it paints with the other code. The decoder's blocks see neighbours, so the change does
# not stop at the edge of the patch.

# %%
vqvaes = {seed: experiments.make_vqvae(seed, steps=300, lr=4e-3) for seed in progress(SEEDS)}
first = vqvaes[SEEDS[0]]
tokens = first.tokens(data.held)  # (500, 1, 8, 8) -> (500, 16)

# %% slideshow={"slide_type": "-"} tags=["hide-input"]
interact(
    lambda digit, code: pictures.explore(first, data.held, tokens, digit, code),
    digit=(0, 19, 1, 3),
    code=(0, 63, 1, 5),
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What is lost
#
# More codes or smaller patches lose less and cost more. By hand: 16 tokens of 64 codes are 16 · 6 =
# 96 bits; 4 tokens of 64 codes are 24 bits; the digit itself, 64 pixels of 17 levels, is 64 · 4.1 =
# 262 bits. Recorded in the same study, means over the seeds:

# %% tags=["hide-input"]
pictures.rates(codebooks)

# %% [markdown] slideshow={"slide_type": "fragment"}
# *Named right* is the share of reconstructions that a classifier of real digits names as the person
# meant them. *Fréchet* is a distance between two sets of pictures: take the classifier's last hidden
# layer, fit a Gaussian to each set, and measure how far the two lie apart. Real digits against other
# real digits give 0.4 to 0.7.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Which information is lost?
#
# A model that *understands* tokens can only know what they kept. "It loses information," says Ding
# (48:46). Which? We draw digits in 16 fonts at 16 by 16 pixels and make 16 tokens of each. Then a
# linear map reads the digit, and another one the font, from the vectors before quantisation and from
# the codes after it (recorded, `minilm study run 07f/lost`).
#
# **Would prove it wrong:** the font is read as well from the codes as from the vectors, or it loses
# less than the digit does. *Which will suffer more, and by how many points?*

# %% tags=["hide-input"]
lost = here.recorded("lost")
pictures.lost(lost)
verdicts.lost(lost)

# %% [markdown] slideshow={"slide_type": "fragment"}
# The speaker is right about the loss, and our guess about it was wrong: in points the digit loses
# more. Measured from chance it is the other way round: the digit loses a sixth of what could be
# read, the font a quarter. (A straight line reads a font badly to begin with.) **To remember:** a
# model that reads tokens can know no more than they have kept.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 5. Text first, then the picture
#
# Now a picture is 16 numbers, and a language model can read it. **CogView** and **DALL-E** (45:52)
# put the text first and the picture behind it, in one sequence of one vocabulary:
#
# > start, text, picture
#
# CogView has one token to begin with, 64 of text and 1,024 of picture: 1,089. Ours has 1 + 1 + 16 =
# 18. Codes have the ids 0 to 63, the ten words follow with 64 to 73, and the start is 74. By hand: a
# three begins with 74, 67. Then the model learns what it always learns: the next token.

# %%
rows = {seed: experiments.rows_of(experiments.TOKENS, seed, False, vqvaes[seed]) for seed in SEEDS}
print(rows[SEEDS[0]][:3])

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The loop that draws
#
# To draw a three, give the model the start and the word, and let it write. The loop is that of
# every language model. It picks an id by its probability, which is the same as adding random Gumbel
# numbers to the logits and taking the largest. Only the first 64 logits count: a word has no pixels.


# %%
def draw(model, label, random, temperature=1.0):  # labels (N,) -> codes (N, 16)
    layout = experiments.TOKENS
    line = np.stack([np.full_like(label, layout.start), layout.codes + label], 1)  # (N, 2)
    model.eval()
    with no_grad():
        for _ in range(layout.picture):
            logits = model(line).data[:, -1, : layout.codes]  # (N, T, V) -> (N, K)
            noisy = logits / temperature + random.gumbel(size=logits.shape)
            line = np.concatenate([line, noisy.argmax(1)[:, None]], 1)  # (N, T) -> (N, T + 1)
    return line[:, layout.of_picture]  # (N, 16)


# %% [markdown] slideshow={"slide_type": "fragment"}
# One `Transformer` of three layers and 48 channels, 93,000 weights, trains for 300 steps. The
# training loop is the course's own; its averaged weights draw.

# %%
writers = {}
for seed in progress(SEEDS):
    writers[seed] = experiments.make_writer(experiments.TOKENS, seed)
    experiments.fit_writer(writers[seed], rows[seed], experiments.TOKENS, 300, 5e-3, seed)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Ten digits, five times
#
# Above the line a few real ones, below it what the model has drawn, at temperature 1: exactly as
# often as it believes. *Which digit does it find hardest?*

# %%
label = np.tile(np.arange(10), 4)
codes = draw(writers[SEEDS[0]], label, backend.rng(SEEDS[0], "shown"))  # (40,) -> (40, 16)
made = first.pictures(codes, 4, 4)  # (40, 16) -> (40, 1, 8, 8)
pictures.real_and_drawn(data.known, data.labels, made)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Is that good?
#
# "Named right in nine of ten" sounds good and says little. Put a yardstick beside it that learns
# nothing: **one Gaussian for each digit**, the mean and covariance of its training pictures. Its
# samples look like fog, and yet nearly all of them are named right. So we ask for more: the Fréchet
# distance, and the **recall**, the share of real held-out digits that lie close to a drawn one. It
# falls when a model draws the same few digits again and again.
#
# **Would prove it wrong:** in one seed the drawn digits lie farther from the real ones than the
# Gaussian's, or cover fewer of them.

# %%
scores = {}
for seed in SEEDS:
    made = experiments.drawn(
        writers[seed], experiments.TOKENS, vqvaes[seed], experiments.LABELS, seed
    )
    scores[seed] = experiments.yardsticks(seed) | {
        "tokens": experiments.digits(seed).measure(made),
        "through the codes": experiments.through(vqvaes[seed], seed),
    }
names = ["gaussian", "tokens", "through the codes", "real"]
columns = ["right", "frechet", "precision", "recall", "copies"]
means = [[np.mean([scores[s][n][c] for s in SEEDS]) for c in columns] for n in names]
table(np.array(means), names, columns, ".2f")

# %% slideshow={"slide_type": "-"} tags=["hide-input"]
verdicts.draws(
    {
        "tokens": [scores[s]["tokens"]["frechet"] for s in SEEDS],
        "Gaussian": [scores[s]["gaussian"]["frechet"] for s in SEEDS],
        "recall": [scores[s]["tokens"]["recall"] for s in SEEDS],
        "its recall": [scores[s]["gaussian"]["recall"] for s in SEEDS],
    },
    SEEDS,
)

# %% [markdown] slideshow={"slide_type": "fragment"}
# The row *through the codes* is the ceiling: real held-out digits that went through the codebook.
# *Copies* is the share of drawn digits that lie nearer to a training picture than all but 1 % of the
# held-out ones do; at 0.01 or less nobody copies. (The row *real* is of training pictures, each its
# own copy.) Three hundred steps are few: section 6 has the same model with more.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Turn the temperature
#
# Colder, the model takes what it believes most. *What happens to the variety of the sevens?*

# %% tags=["hide-input"]
interact(
    lambda digit, temperature: pictures.drawn(
        first.pictures(
            draw(writers[SEEDS[0]], np.full(20, digit), backend.rng(7, "row"), temperature), 4, 4
        ),
        digit,
        temperature,
    ),
    digit=(0, 9, 1, 7),
    temperature=[1.0, 0.5, 0.1, 1.5],
)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** once a picture is tokens, nothing about the model is new.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 6. Pixels or tokens, at equal compute
#
# The digits are so small that pixels are possible. 64 tokens instead of 16, and nothing is lost. So
# the claim of section 1 can be tested: one Transformer, the same number of training operations, each
# side with its own tuned rate. The tokens' side pays for its VQ-VAE too. Only one thing differs: how
# long a picture is. A step on pixels costs about four times as much, so there are fewer of them.
#
# **Would prove it wrong:** pixels draw nearer to the real digits, at the small budget or at four
# times as much. *And at forty times as much?*

# %% tags=["hide-input"]
generators = here.recorded("generators")
pictures.generators(generators)
verdicts.pixels(generators)

# %% [markdown] slideshow={"slide_type": "notes"}
# 4 minutes. Recorded (`minilm study run 07f/generators`). Point at the dashed lines: the Gaussian
# costs nothing, and real against real is the floor. The last question has no measured answer here.
# Pixels have no ceiling from a codebook, so with enough compute they may pass; at 256 by 256 pixels
# nobody has that compute.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 7. One mask for all tasks
#
# A sequence of text and picture can be read in either order (47:04). Hide the picture and show the
# text: *draw*. Hide the text and show the picture: *tell*, that is, describe it. Hide a part of the
# picture: *fill*, what a masked autoencoder does. **CogView2** trains one model, CogLM, on all three.
# It needs no new tokens and no new layers, only a mask:
#
# - everyone sees what is shown, in both directions;
# - a hidden token also sees itself and the hidden ones before it;
# - the token *before* a hidden one must predict it.
#
# By hand, for four tokens of which the last two are hidden. Rows look, columns are looked at: shown
# rows are 1 1 0 0 and 1 1 0 0, hidden ones 1 1 1 0 and 1 1 1 1. With $n$ shown and $m$ hidden tokens
# that makes $n^2 + nm + m(m+1)/2$ ones: $4 + 4 + 3 = 11$.


# %%
def sees(hidden):  # (T,) bool -> (T, T) bool, True where a row may look at a column
    before = np.tri(len(hidden), dtype=bool)  # (T, T): itself and what came before
    both = hidden[:, None] & hidden[None, :]  # (T, T)
    return ~hidden[None, :] | (both & before)


print(sees(np.array([False, False, True, True])).astype(int))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Three masks
#
# Why does no target see itself? The token before it is shown, and then sees no hidden one; or it is
# hidden, and then sees only hidden ones up to itself. In a real model we check it the hard way: we
# replace a hidden token, and nothing may change in the row that predicts it.

# %%
layout = experiments.TOKENS
hidden = {kind: coglm.hide(kind, layout, 1, backend.rng(0, kind))[0] for kind in coglm.KINDS}
apart = sum((sees(h) != coglm.coglm_mask(h)).sum() for h in hidden.values())
apart += sum(abs(int(sees(h).sum()) - coglm.popcount((~h).sum(), h.sum())) for h in hidden.values())
pictures.masks({kind: sees(h) for kind, h in hidden.items()}, hidden)

# %% slideshow={"slide_type": "-"} tags=["hide-input"]
verdicts.masks(experiments.leaks(rows[SEEDS[0]][0], hidden), int(apart))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The bet
#
# Now the four models of the beginning, recorded (`minilm study run 07f/universal`). All have the same
# 93,000 weights, the same tokens and a rate of their own. A specialist spends every row of a batch
# on its task, the universal model a third.
#
# **Claim:** universal, yet "best at nothing" (49:11). **Would prove it wrong:** in one seed the
# universal model predicts the hidden tokens of held-out digits better than the specialist of that
# task, at the small budget or at three times as much.

# %% tags=["hide-input"]
record = here.recorded("universal")
pictures.universal(record)
verdicts.universal(record)

# %% [markdown] slideshow={"slide_type": "fragment"}
# So the talk is right where a task must start from nothing, drawing and telling, and the two are level
# where half of the picture is shown. Now follow the dotted lines. At three times the compute the
# universal model has seen as much of each task as a specialist at the small budget, and it costs as
# much as the three specialists *together*. It is ahead of all three. We had set no rule for that
# before the run, so it is no verdict; but it says that what is learned for one task helps the others.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## And beside a model that reads pixels?
#
# A specialist on tokens is a weak rival. For understanding, the talk compares with vision-language
# models, which read the picture itself through a continuous encoder (48:46). Our humble stand-in:
# the perceptron that served as the judge. It has 22,000 weights and reads the 64 pixels.
#
# **Would prove it wrong:** a model on tokens names the held-out digits as well.

# %% tags=["hide-input"]
verdicts.reads(record)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** a shared form makes tasks possible together. It does not make them cheap.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 8. One token at a time is slow
#
# The other half of "best at nothing" is speed (48:28). Tokens are written one after the other: 16
# passes through the model for our digits, 1,024 for CogView, 65,536 for the pixels of a picture of
# 256 by 256. Diffusion takes a few dozen passes whatever the size, over all pixels at once (51:17).
#
# Each pass of a single picture moves all weights and computes little with them. A batch shares the
# pass. *How many times as long does a picture take alone, compared with one of 64 drawn together?*


# %%
def milliseconds(count, repeat):  # processor time for each picture
    label = np.arange(count) % 10
    began = time.process_time()
    experiments.drawn(writers[SEEDS[0]], layout, first, label, repeat)
    return (time.process_time() - began) / count


milliseconds(1, 0)  # compiled and warm
alone, together = ([milliseconds(n, repeat) for repeat in range(3)] for n in (1, 64))

# %% slideshow={"slide_type": "-"} tags=["hide-input"]
verdicts.passes(alone, together)

# %% [markdown] slideshow={"slide_type": "fragment"}
# This is the processor's time. On a GPU, where we did not measure, the gap should be wider: it holds
# thousands of units that a single token cannot keep busy. Whoever serves one user at a time pays for
# all of them.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Passes and seconds, side by side
#
# And diffusion? Three models of one width and depth. One writes pixels, one writes tokens of 2 by 2
# pixels, and one takes noise away from all patches of 2 by 2 pixels at once, in 20 passes ([lesson
# 07fb](07fb_diffusion.ipynb) builds it). None is trained: a pass costs the same whatever the weights
# have learned. The writers run in compiled code and keep the keys and values of what is written.
#
# By hand, for 32 by 32 pixels: 1,024 passes, 256 passes, 20 passes. But a token goes *once* through
# the writer's weights, and 20 times through those of diffusion.
#
# **Would prove it wrong:** one picture of 32 by 32, drawn alone, takes diffusion more than half as
# long as the tokens. *And when 16 are drawn together?*

# %%
speed = here.module("speed")
races = {count: speed.race(count, repeats) for count, repeats in progress({1: 3, 16: 1}.items())}
speed.picture(races)

# %% slideshow={"slide_type": "-"} tags=["hide-input"]
verdicts.faster(races[1])

# %% [markdown] slideshow={"slide_type": "fragment"}
# On one core the talk is half right. The passes are as he says, and at 32 by 32 diffusion beats the
# pixels, by about two; with smaller pictures, drawn alone, it does not. But it does some twenty times
# the tokens' operations (those with weights; attention's products are not counted), and does them only
# five to six times as fast, so the tokens are done first. So they are when 16 are drawn together, by
# less. The last column is his argument (51:17): a pass over the whole picture keeps the machine busy, a
# pass over one token does not. On a GPU, which has thousands of units to keep busy, that column should
# be further apart; we did not measure there. **To remember:** passes are not seconds. Count operations
# too, and ask how many of them the machine can do at once.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Neighbours far apart
#
# A listener asks why diffusion won pictures although autoregression won text (73:05). Ding gives two
# reasons: the speed, "thousands of tokens against several passes", and the **order** (74:59). In
# reading order the pixel to the left is one token away, but the pixel above is a whole row away.
#
# By hand: in our 4 by 4 tokens, a token's upper neighbour is 4 places back, in CogView's 32 by 32 it
# is 32 back, in a picture of 256 by 256 pixels it is 256 back. A text has no such neighbours. Attention
# can look that far, but it must learn where to look, for each place anew. And what is written first,
# the upper left corner, must be decided before anything of the rest is known. Nobody draws like that.
#
# We have not measured this one: with 16 tokens there is hardly an order to suffer from.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What came out, and what did not
#
# **The codebook.** Codes die when nobody looks after them. With revival all of them work, and the
# reconstructions stay readable. Quantisation costs information, and not only detail, as we had bet.
#
# **Drawing.** Text and codes in one sequence are enough for a language model to draw. After the 300
# steps of this page it covers more of the real digits than a Gaussian for each class, and lies
# farther from them; with five times the steps (section 6) it comes nearer. At equal compute pixels
# stay behind, though with four times as much they come close.
#
# **Universal.** One mask makes one model of three. At equal compute it is behind in drawing and in
# telling, and level in filling in; with the compute of all three together it is ahead of them. A
# simple reader of pixels names digits better than any of our models on tokens.
#
# **Speed.** Diffusion needs few passes, and few are not quick: on one core tokens in compiled code are
# done first, though they leave most of the machine idle.
#
# **Not measured.** Larger pictures, where the length really bites. Real captions: our text is one
# word. A codebook with a perceptual loss and an adversary (VQGAN), which made tokens good enough for
# large pictures. Parti, which closed part of the gap by scale. A GPU's seconds.
#
# **One further question.** The mask allows any order of writing. From the middle outwards: would the
# digits be better? Now build it yourself: [exercise set](../exercises/07f_image_generation.ipynb).
