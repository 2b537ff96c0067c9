# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Attention by hand: a transformer that nobody trained"
#   talk: "The formula that the talks are about"
# ---

# %% [markdown] slideshow={"slide_type": "slide"}
# # Attention by hand
#
# ![Five words in a row, ann met bob then ann: every word notes who stood before it, then the last ann looks for the word whose note says ann, and finds met.](00c_attention_by_hand/opening.png)
#
# *ann met bob ann* ... and then? You would say *met*, for that is what came after *ann* the last
# time. **Can a transformer say so whose numbers were all written down by hand?** Your bet: it has
# 103,168 of them. How many must be something other than 0: a thousand, ten thousand, all?
#
# *25 minutes to read, one to run. You need matrix products and [lesson 00](00_start_here.ipynb).*

# %% [markdown] slideshow={"slide_type": "notes"}
# 3 minutes. Take the bets. Then ask for a recipe in words: what must each word know before *ann* can
# find *met*? Somebody will say "who stood before me". That is layer one. For 50 minutes leave out
# "Two heads are surer" and "A neuron is a rule"; for 80 show everything, and let the room write the
# second layer before you uncover it.

# %% [markdown] slideshow={"slide_type": "skip"}
# Most lessons train a model and then ask what it does. This one goes the other way. We decide what
# the model should do, write its weights with a pencil, and let the package run them. At the end a
# trained model is opened, to see whether it found the same way.
#
# Going on as the text did before sounds like a small trick. It is not. A model that sees a name, a
# spelling, a format or an example once and then uses it has learned something without changing a
# single weight. People call that learning *in context*, and this is its simplest form.

# %% slideshow={"slide_type": "skip"}
import numpy as np

from minilm import functional as F
from minilm.course import interact, lesson_folder, seeds, source
from minilm.course.show.tables import table
from minilm.models import Transformer, gpt, gpt2
from minilm.tensor import Tensor

SEEDS = seeds()  # 0, 1, 2, or those that `minilm run 00c --seeds 3,4,5` asks for
here = lesson_folder("00c")
pictures, texts, verdicts = here.pictures, here.module("texts"), here.module("verdicts")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 1. A word is a row of numbers
#
# Our language has four words: a start mark `·`, *ann*, *met*, *bob*. A word is a row of four numbers,
# 1 at its own place in the list and 0 elsewhere. Such a row is called **one-hot**. Our text is *· ann
# met ann*, so it is a table of four rows: T = 4 words, C = 4 numbers for each.
#
# Nothing else will ever move through the model. A transformer keeps one row per word, and changes
# it. Real models have 50,000 words and rows of 768 numbers or more, and their rows are learned and
# not one-hot. Everything else on this page is the same in them.

# %%
vocabulary = ["·", "ann", "met", "bob"]
text = [0, 1, 2, 1]  # · ann met ann
names = [vocabulary[i] for i in text]
x = np.eye(4)[text]  # (T, C)
table(x, names, vocabulary)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 2. Ask, be found, hand over
#
# Attention lets every word fetch something from the others. For that a word makes three rows out of
# its own:
#
# - a **query**: what it asks for;
# - a **key**: what it is found by;
# - a **value**: what it hands over when it is found.
#
# Each is a matrix product, $q = W_q x$, $k = W_k x$, $v = W_v x$. The three matrices are the weights.
# They are the same for every word: a word's place in the text decides nothing yet. Start with the
# simplest: all three are the identity. Then each word asks for itself.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## A score is a match
#
# A query fits a key as far as their **dot product** is large: multiply place by place and add up.
# The last *ann*, (0, 1, 0, 0), and the first, (0, 1, 0, 0): 0 + 1 + 0 + 0 = 1. With *met*, (0, 0, 1,
# 0), it is 0. One matrix product gives all the scores. *Before you look: in which places of the last
# row will there be a 1?*

# %%
q, k, v = x, x, x
scores = q @ k.T  # (T, C) @ (C, T) -> (T, T): rows ask, columns are asked
table(scores, names, names)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Shares
#
# Scores become shares by **softmax**: take $e$ to each, and divide by the sum of the row. In the
# last row: $e^0, e^1, e^0, e^1$ are 1, 2.72, 1, 2.72, together 7.44. The shares are 0.13, 0.37,
# 0.13, 0.37: *ann* looks at both *anns*, but not only there.
#
# How sharp the choice is depends on how large the scores are. Multiply the queries by a number
# $\beta$, its **sharpness**. One match against three others gets $e^\beta / (e^\beta + 3)$:

# %%
for beta in (0, 1, 2, 4, 8):
    print(f"sharpness {beta}: the match gets {np.exp(beta) / (np.exp(beta) + 3):.3f}")

# %% [markdown] slideshow={"slide_type": "fragment"}
# At 0 attention is a plain mean of all words. At 8 it is nearly a look-up in a table. Training moves
# freely between the two, because softmax has a slope everywhere. We write 8.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The future is hidden
#
# A model that is to guess the next word must not look at it. So scores of later words become
# $-\infty$, and their shares $e^{-\infty} = 0$: the **causal mask**. What a word takes home is the
# values, mixed by its shares.


# %%
def softmax(scores):  # (T, T)
    e = np.exp(scores - scores.max(-1, keepdims=True))  # the same shares, and no overflow
    return e / e.sum(-1, keepdims=True)  # (T, T), rows add up to 1


def shares_of(q, k):  # (T, D) each
    T, D = q.shape
    scores = q @ k.T / np.sqrt(D)  # (T, D) @ (D, T) -> (T, T)
    later = np.triu(np.ones((T, T), bool), k=1)  # (T, T), True where the key comes later
    return softmax(np.where(later, -np.inf, scores))


sharp = 8 * np.sqrt(4)  # so that a match scores 8 after the division by √D
table(shares_of(sharp * q, k), names, names, ".2f")

# %% [markdown] slideshow={"slide_type": "fragment"}
# The division by $\sqrt D$ belongs to the formula: with long random queries the scores would grow
# with $\sqrt D$, and this keeps them level ([lesson 01](01_overview_of_transformers.ipynb) measures
# it). Here it only means that we write a larger $\beta$.
#
# In one line, for all words at once: $\text{softmax}(QK^\top / \sqrt D)\,V$.
#
# **To remember:** attention is a soft look-up: score, share, mix. But the last *ann* has only found
# *ann*. It needs what came *after*.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 3. Where am I?
#
# "After" is a question about places, and so far nothing in the table says who stands where. Shuffle
# the rows, and the same rows come out, shuffled: without the mask, *ann met bob* and *bob met ann*
# are one and the same to attention. So every row gets a second part: the **place**, one-hot again.
# It is simply **added**. To keep the two apart, each has its own columns: four for the word, four
# for the place.

# %%
words, places = 4, 4
C = 2 * words + places  # the last four columns stay empty for now
now, place, before = slice(0, 4), slice(4, 8), slice(8, 12)

x = np.zeros((4, C))
x[:, now] = np.eye(words)[text]
x[:, place] = np.eye(places)[:4]
pictures.rows(x, names, vocabulary)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## A head that looks one place back
#
# Let the key of a word be its place, and its query the place before:
#
# - $W_k$ copies the place;
# - $W_q$ copies the place *moved by one*: whoever stands at 2 asks for 1;
# - $W_v$ copies the word.
#
# The matrix that moves a one-hot row by one has its ones just above the diagonal. By hand, for a
# word at place 2:
#
# $$\begin{pmatrix}0&1&0&0\\0&0&1&0\\0&0&0&1\\0&0&0&0\end{pmatrix}
# \begin{pmatrix}0\\0\\1\\0\end{pmatrix} = \begin{pmatrix}0\\1\\0\\0\end{pmatrix}$$

# %%
Wq, Wk, Wv = (np.zeros((4, C)) for _ in range(3))  # (D, C) each, with D = 4
Wq[:, place] = sharp * np.eye(4, k=1)
Wk[:, place] = np.eye(4)
Wv[:, now] = np.eye(4)

shares = shares_of(x @ Wq.T, x @ Wk.T)  # (T, T)
table(shares, names, names, ".2f")

# %% [markdown] slideshow={"slide_type": "fragment"}
# Every word looks at the one before it. The start mark asks for place −1, which nobody has; it may
# see only itself, so it takes itself. **To remember:** what a head looks at is decided by two
# matrices, and it need not be the meaning of a word.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 4. A note that others can read
#
# What the head found must go somewhere. One last matrix, $W_o$, says where: it writes the word that
# was found into the empty columns. And it **adds** to what was there. This sum is called the
# **residual**. Think of a row as a notice board with columns for different things. Nobody wipes
# it; each part of the model pins something to it.
#
# Adding has a second merit, which matters once a model is trained: the gradient passes a sum
# unharmed, so that the first layer learns as well as the last. *Before you look: which four of the
# sixteen new numbers will be 1?*

# %%
Wo = np.zeros((C, 4))  # (C, D)
Wo[before] = np.eye(4)

x1 = x + shares @ (x @ Wv.T) @ Wo.T  # (T, C) + (T, T) @ (T, D) @ (D, C)
pictures.rows(x1, names, vocabulary)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Read the rows: "I am *met*, at place 2, and before me stood *ann*." That is layer one. **To
# remember:** layers talk to each other through columns of the residual.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 5. The second layer asks for the note
#
# Now the last *ann* asks: **whose note says *ann*?** Its query is its own word; the keys are the
# notes; the value is the word. What comes back is written, four times as loud, into the columns of
# the word itself, because from those the guess is read.
#
# By hand, for the last row: its query is (0, 1, 0, 0), *ann*. The notes of the four words are ·, ·,
# *ann*, *met*. Only the third fits, the note of *met*: the score is 1 there and 0 elsewhere, and at
# sharpness 8 the share is 0.999.
#
# *Write the four matrices on paper before you uncover them. Each is one line, and one identity.*

# %%
Wq2, Wk2, Wv2, Wo2 = (np.zeros(shape) for shape in ((4, C), (4, C), (4, C), (C, 4)))
Wq2[:, now] = sharp * np.eye(4)  # I am ann: who has ann on the note?
Wk2[:, before] = np.eye(4)  # found by the note
Wv2[:, now] = np.eye(4)  # hands over the word
Wo2[now] = 4 * np.eye(4)  # four times as loud as the word that is there

shares2 = shares_of(x1 @ Wq2.T, x1 @ Wk2.T)  # (T, T)
x2 = x1 + shares2 @ (x1 @ Wv2.T) @ Wo2.T  # (T, C)
table(shares2, names, names, ".2f")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The guess
#
# Last, every word of the list gets a **logit**: the dot product of the row with the word's own row.
# Softmax makes probabilities of them. The last *ann* says:

# %%
logits = x2[:, now]  # (T, V): the same as x2 @ (one-hot words).T
for word, logit, p in zip(vocabulary, logits[-1], softmax(logits[-1:])[0]):
    print(f"{word:4} logit {logit:4.1f}   probability {p:.3f}")

# %% [markdown] slideshow={"slide_type": "fragment"}
# *met*, with a logit of 4 and a probability of 0.92. The 1 that *ann* has is the word itself, which
# still stands on the board. Nobody trained anything. **To remember:** two heads in a row, "who was
# before me" and "whose note is me", go on as the text did before. Together they are called an
# **induction head** (Elhage et al. 2021).

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Try other texts
#
# Choose a text, and look at both layers at once. Rows look, columns are looked at; what the causal
# mask hides stays empty. *Before you choose:* what will it guess when the last word was never seen
# before? And when it was followed by two different words?

# %% tags=["hide-input"]
interact(
    pictures.circuit,
    text=["ann met bob ann", "ann met bob met", "ann met ann bob ann", "ann met bob"],
)

# %% [markdown] slideshow={"slide_type": "notes"}
# 4 minutes. In the third text *ann* was followed by *met* and by *bob*: the shares are a half each,
# and so are the guesses. In the last one nobody's note says *bob*, so the query meets nothing: all
# scores are 0, and the shares are equal. A model without an answer averages.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 6. The same weights in a real GPT-2
#
# Four words and four places are a toy. The same few lines write the weights of a GPT-2 of the
# package with sixteen words and room for 32, the model that the other lessons train. Its weights
# are arrays with names. We set all of them to 0 and fill in what the pencil says.


# %%
def blank(words, places):  # a GPT-2 of the package with every weight 0, but its norms
    config = gpt2(layers=2, heads=1, channels=2 * words + places, vocab_size=words, context=places)
    model = Transformer(config, dtype=np.float64)
    norms = {name: "norm" in name and "weight" in name for name in model.state_dict()}
    return model, {name: np.full_like(a, norms[name]) for name, a in model.state_dict().items()}


# %%
def by_hand(words=16, places=32, sharp=50.0, loud=4.0):
    model, w = blank(words, places)
    C, word = 2 * words + places, np.eye(words)
    now, place, before = np.split(np.arange(C), [words, words + places])  # which columns
    w["tokens.weight"][:, now] = word  # (V, C)
    w["positions.weight"][:, place] = np.eye(places)  # (T, C)
    layers = [f"stack.blocks.{i}.attention" for i in (0, 1)]
    one, two = (w[f"{layer}.qkv.weight"].reshape(3, C, C) for layer in layers)  # q, k, v
    one[0][np.ix_(place, place)] = sharp * np.eye(places, k=1)  # asks for the place before
    one[1][np.ix_(place, place)] = np.eye(places)
    two[0][np.ix_(now, now)] = sharp * word  # asks for its own word
    two[1][np.ix_(now, before)] = word  # in the notes
    one[2][np.ix_(now, now)] = two[2][np.ix_(now, now)] = word  # both hand over the word
    quiet = np.sqrt(2 / (C - 2))  # a norm has made the word louder: see below
    w[f"{layers[0]}.out.weight"][np.ix_(before, now)] = quiet * word  # the note
    w[f"{layers[1]}.out.weight"][np.ix_(now, now)] = loud * word  # the guess
    model.load_state_dict(w)
    return model, w


# %%
model, w = by_hand()
written = sum(int((a != 0).sum()) for name, a in w.items() if "norm" not in name)
print(f"{model.num_parameters():,} numbers, {written} of them written, the rest 0 (norms: 1)")

# %% [markdown] slideshow={"slide_type": "fragment"}
# So the answer to the bet is 207. A trained model of this size would use all of them, and we could
# read none. That is what "understanding a model" is up against.
#
# Look at the lines once more: five kinds of ones. Words know themselves; places know themselves;
# the first head asks one place back; the second asks for its own word among the notes; both hand
# over words. The rest of the code says only where in the arrays these ones stand.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What a norm does to it
#
# A GPT-2 also has **layer norms**: before each part, a row is brought to mean 0 and variance 1. By
# hand: (1, 0, 0, 1) has mean ½ and variance ¼; subtract and divide by ½: (1, −1, −1, 1).
#
# Does that spoil our ones and zeros? Every row has the same number of ones, so all rows are moved
# and stretched alike. A constant added to *all* scores of a row changes no share, and stretching
# only makes the look-up sharper. Two ones among 64 numbers come out as √31 = 5.6, so a head that
# copies a word would write a note 5.6 times as loud as the word; `quiet` undoes that. With this one
# factor the recipe survives.

# %% tags=["hide-input"]
source(gpt.layer_norm, gpt.attention, gpt.block)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Does it work?
#
# Five hundred random texts of up to 32 words for each seed. In each the last word stood there once
# before. **Our claim:** the written model guesses what followed it, always. **Would prove it
# wrong:** fewer than 99 % right. **The control:** the same weights with one of the layers erased.
# If that were as good, our story of two steps would be a story. And two guesses that cost nothing
# stand beside it: any word seen so far, and the word not seen for the longest time.


# %%
def right(texts_and_answers, w):
    hits = [gpt.gpt(ids, w, heads=1)[-1].argmax() == answer for ids, answer in texts_and_answers]
    return 100 * float(np.mean(hits))


def erased(w, layer):  # that layer's attention adds nothing
    return w | {name: 0 * a for name, a in w.items() if f"blocks.{layer}.attention.out" in name}


asked = [texts.once(seed, words=16, longest=32) for seed in SEEDS]
marks = {"both layers": [right(each, w) for each in asked]}
marks |= {f"without layer {i + 1}": [right(each, erased(w, i)) for each in asked] for i in (0, 1)}
marks |= texts.free_guesses(asked)
pictures.marks(marks)
sure = here.module("experiments").sureness  # the probability of the right word
verdicts.written(marks, [sure(each, w, heads=1) for each in asked], SEEDS)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Page and package agree
#
# `gpt.gpt` is GPT-2 on one screen of NumPy; `Transformer` is the compiled one that learns. On the
# written weights both must give the same logits.

# %%
ids = asked[0][0][0]
plain, fast = gpt.gpt(ids, w, heads=1), model(np.array([ids])).data[0]  # (T, V) each
verdicts.same(np.abs(plain - fast).max())

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 7. Two heads are surer
#
# In *ann met bob saw ann left bob ann* ... the last word stood there twice, and was followed by
# *met* and by *left*. Which is it? Look at the **pair**: which *ann* had *bob* before it? One head
# cannot say, for it notes one neighbour. So give the first layer a second **head**, with queries,
# keys and values of its own, that looks *two* places back.
#
# The second layer then asks two questions in one query: "your note says my word" counts 2, "your
# other note says the word before me" counts 1. Both together make 3, and softmax takes the largest.
# If no pair fits, the single word still decides. A counter would call that *backing off*.

# %%
experiments = here.module("experiments")
pair_model, pair_w = experiments.two_heads(words=16, places=32)
pairs = [texts.twice(seed, words=16, longest=32) for seed in SEEDS]
surer = {
    "one head": [right(each, w) for each in pairs],
    "two heads": [experiments.right(each, pair_w, heads=2) for each in pairs],
}
single = [experiments.right(each, pair_w, heads=2) for each in asked]
heads = {"one head": (w, 1), "two heads": (pair_w, 2)}
surely = {name: [sure(each, *model) for each in pairs] for name, model in heads.items()}
pictures.marks(surer | texts.free_guesses(pairs))
verdicts.pairs(surer, single, surely, SEEDS)

# %% [markdown] slideshow={"slide_type": "skip"}
# ## How the second head is written

# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
source(experiments.two_heads)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** heads are several questions at once. They cost nothing extra: the columns are
# shared out among them. A trained model of twelve heads has twelve such questions in every layer,
# and nobody has told it which.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 8. A neuron is a rule
#
# Attention only moves what is in the text. What the text does *not* say must stand in the weights.
# That is the work of the **feed-forward net**: each row goes by itself through two matrices, with
# a bend between them. The bend is **GELU**: about $z$ above 0, about 0 below.
#
# One unit in the middle is one rule: **if** the row looks like this, **then** write that. By hand,
# the rule "after *bob* comes *met*": the unit adds up $4 \cdot$ (the row is *bob*) $- 2$. For *bob*
# that is 2, and GELU(2) = 1.95. For every other word it is −2, and GELU(−2) = −0.05. The second
# matrix writes *met*, that many times.

# %%
up, bias = 4 * np.eye(4)[[3]], np.array([-2.0])  # (F, C) with F = 1 unit, (F,): fires for bob
down = np.eye(4)[:, [2]]  # (C, F): writes met

rows = np.eye(4)  # (V, C): each word once
added = gpt.gelu(rows @ up.T + bias) @ down.T  # (V, C) @ (C, F) -> (V, F), @ (F, C) -> (V, C)
table(added, vocabulary, vocabulary, ".2f")

# %% [markdown] slideshow={"slide_type": "fragment"}
# Four numbers and a bias: one fact. GPT-2 has 36,864 such units, and most answer to mixtures that
# nobody has named. **To remember:** attention fetches from the text, a feed-forward net from memory.
# A **block** is one of each, and both add to the row.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 9. How wrong, and in which direction?
#
# So far a pencil chose the weights. Training needs two more things: a number that says how wrong a
# guess is, and which way to move. The number is the **loss**: $-\log p$ of the word that came. Its
# unit is the **nat**, the bit of those who count with $e$. By hand: the guess above gave *met*
# 0.92, so the loss is −log 0.92 = 0.08 nats. Had *bob* come, with 0.017: 4.1 nats.
#
# The direction is the **gradient**: how the loss changes when one logit grows a little. It has the
# simplest form in all of machine learning: the probabilities, less 1 at the word that came. By hand,
# for two words with probabilities 0.25 and 0.75, of which the first came: (−0.75, 0.75). Its logit
# should rise, the other's should fall, and by as much as the guess was wrong:
#
# $$\frac{\partial\,\text{loss}}{\partial\,\text{logit}_i} = p_i - [\,i \text{ came}\,]$$

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The gradient, by hand and by tape
#
# Words that should get less have a positive entry, the one that came a negative one, and
# together they are 0. The package finds gradients by walking back along a record of what was
# computed, the *tape* (lesson 00). **Would prove it wrong:** any entry of a random row of logits
# on which tape and formula differ.

# %%
z, came = logits[-1], 2  # the last row of section 5; met came
p = softmax(z[None])[0]
print("by hand", np.round(p - np.eye(4)[came], 3))

guess = Tensor(z[None], requires_grad=True)
F.cross_entropy(guess, np.array([came])).backward()
print("by tape", np.round(guess.grad[0], 3))
verdicts.slope(experiments.slopes_apart(rows=200))

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** learning starts at the last row, with the difference between what was guessed and
# what came. Everything else is passing it back.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 10. Would training find this?
#
# Nothing says that a trained model does it our way. So train two models, with no pencil: texts of
# 32 random words that keep repeating pieces of themselves; one layer or two; one head each. Place
# enters a little differently (by turning queries and keys, *RoPE*; lesson 01 explains it). *Before
# you look: will the curve of two layers rise steadily, or in a step?*
#
# **Claim** (Olsson et al. 2022): two layers learn to go on as the text did before, one layer does
# not, since one step cannot both note and look up. **Would prove it wrong:** one layer, even a
# wider one with more numbers, reaches 95 % in four times the steps that two layers need.

# %% tags=["hide-input"]
induction, record = here.study("induction"), here.recorded("induction")
pictures.learning(record, texts.free_pieces(induction))
verdicts.layers(record)

# %% [markdown] slideshow={"slide_type": "notes"}
# 5 minutes. Recorded (`minilm study run 00c/induction`), every model with its own tuned rate. Point
# at the flat stretch: for a thousand steps two layers look no better than one, then they jump. A
# note is worth nothing until somebody reads it, and a reader is worth nothing until there are
# notes.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Open it
#
# Two layers are trained here, while you wait, once per seed. Then we measure what each head looks
# at, in texts it has never seen: at the word just before, as our first head does; and at the word
# that followed the same word earlier, as our second does. *Which layer will do which?*

# %% slideshow={"slide_type": "skip"}
trained = experiments.train_all(induction, SEEDS)

# %%
looks = [experiments.where_they_look(model, induction) for model in trained]
pictures.looks(looks)
verdicts.opened(looks, SEEDS)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## One text, both layers
#
# The picture of section 5 again, now of a model that nobody told anything. The text repeats a piece
# of itself; the bright places of the second layer stand just behind the earlier copy.

# %% tags=["hide-input"]
interact(lambda text: pictures.opened(experiments.maps(trained[0], induction, text)), text=(0, 7))

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** the way with two steps is not ours alone. Where the task is this one, gradient
# descent finds it too. It is less tidy than ours: a third of the attention goes elsewhere, and
# nobody has named the columns; which of them carry the note we did not look up. But the two
# patterns are the same: a line just below the diagonal, then a look behind the earlier copy.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What came out, and what did not
#
# **As claimed.** Two heads, written by hand, go on as the text did before; each layer is needed.
# A second head tells two places apart that look alike to one. Page, package and tape agree. Two
# trained layers learn the task, one does not.
#
# **What it means.** A transformer is not mysterious because of its parts. Each part is a look-up, a
# sum or a rule, and small enough to write down. It is hard to read because training uses every
# column for many things at once.
#
# **Not measured.** What the feed-forward nets of the trained models do here; whether induction heads explain most of what large models learn from their
# context, as Olsson et al. argue; whether a model of many layers does it in two steps; and how the
# flat stretch of training depends on data and size.
#
# **One further question.** The third text of section 5 gave *met* and *bob* a half each. How would
# you write a head that prefers the *latest*? Try it: one more column is enough.
#
# Now write the parts yourself: [exercise set](../exercises/00c_attention_by_hand.ipynb). Then
# [lesson 01](01_overview_of_transformers.ipynb) tells where attention came from.
