# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Language models that see: who pays?"
#   talk: "Ming Ding: from language models to multimodal models"
# ---

# %% [markdown] slideshow={"slide_type": "slide"}
# # Language models that see: who pays?
#
# ![A board with three coloured things, the same cut into 16 patches, and a sequence of 16 picture tokens and the words where is the 7, with the answer d2 below.](07e_vision_language/opening.png)
#
# A language model reads words. Show it a picture as if it were a text in a foreign language, train a
# little, and it answers questions about what it sees. **What does it have to give up for that?**

# %% [markdown] slideshow={"slide_type": "skip"}
# *35 minutes to read, one to run. You need a trained decoder and its attention, as in [lesson
# 01](01_overview_of_transformers.ipynb). The talk was given on 9 May 2024; times such as 37:02 are minutes and
# seconds of its recording. Drawing pictures is [lesson 07f](07f_image_generation.ipynb).*

# %% [markdown] slideshow={"slide_type": "notes"}
# 3 minutes. Take the bets on the next slide and write them on the board. For 50 minutes leave out the
# hand-worked projector and section 7; for 80 show everything, and let the room type a scene and ask.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Your bet
#
# A small language model has read English, and boards of coloured things that were *told* to it in
# words. Now it shall see boards. We may train a small adapter between the eye and the model; or the
# whole language model; or copies of its weights that only pictures use.
#
# Which way answers most questions about new pictures? And by how many per cent does its English loss
# rise when the whole model learns to see for 200 steps: by 1, 10 or 100? Section 4 has the answer.

# %% slideshow={"slide_type": "skip"}
import numpy as np

from minilm import Tensor, backend, nn
from minilm import functional as F
from minilm.course import interact, lesson_folder, progress, seeds
from minilm.data.images import asking, scenes
from minilm.data.images import screen_play as play
from minilm.data.images.resize import area_weights
from minilm.data.images.scenes import Thing
from minilm.data.images.screens import DONE, click, draw, reached
from minilm.models import llama
from minilm.tensor import no_grad
from minilm.vision.clip import info_nce
from minilm.vision.expert import expert_parameters, routed, runs_of
from minilm.vision.language import VisionLanguage
from minilm.vision.narrow import NarrowBranch
from minilm.vision.patches import patchify
from minilm.vision.projectors import Strided
from minilm.vision.zoom import ZoomWords, crop_zoom

SEEDS = seeds()  # 0, 1, 2, or those that `minilm run 07e --seeds 3,4,5` asks for
here = lesson_folder("07e")
pictures, verdicts, E = here.pictures, here.module("verdicts"), here.module("experiments")
screens, screen_pictures = here.module("screens"), here.module("screen_pictures")
judged = here.module("screen_verdicts")
backend.keep_freed_memory()

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 1. A world that can be asked about
#
# Real photographs have no answer sheet. So our pictures are boards of 4 by 4 cells, named as in
# chess: letters a to d from the left, numbers 1 to 4 from the top. On a board lie one to four things:
# 8 shapes and 10 digits in 8 colours.
#
# Everything about a board is known exactly. It has captions at three levels of detail, and it can be
# asked six sorts of questions; each answer is one word.

# %%
board = (Thing("red", "ring", 1, 1), Thing("blue", "7", 0, 3), Thing("red", "cross", 3, 2))
for level in scenes.LEVELS:
    print(f"{level:8}", scenes.caption(board, level))
random = backend.rng(0, "shown")
for about in asking.ABOUT:
    question = asking.ask(board, about, random)
    print(f"{about:8}", question or "(not here)", "->", question and asking.answer(board, question))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Three boards
#
# *How many boards are there with one thing?* 16 cells, 18 kinds, 8 colours: 2,304. With four things
# there are more than 10¹¹. A model that answers questions about new boards cannot have learned them
# by heart. (To keep the training short, our models learn boards with one or two of eight kinds, and
# four sorts of questions: the colour, the kind, the place, and what lies in a cell.)

# %% tags=["hide-input"]
pictures.three_scenes([board, *scenes.scenes(2, seed=11)])

# %% [markdown] slideshow={"slide_type": "fragment"}
# A **yardstick that does not look** comes with each exam: to every question it gives the answer that
# was most frequent in training. A better **shortcut** sees which colours, kinds and cells are there, but
# not what belongs together, and guesses among them. Half of our boards hold one thing, where it cannot
# err; with two it is right half of the time, 80 % in all. **To remember:** a model that is right in half
# of all cases may have seen very little.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 2. An eye
#
# A Transformer reads a sequence of vectors. So cut the picture into square **patches** and let a linear
# map make a vector of each: this is all that is special about a Vision Transformer, **ViT**. Each
# patch also gets a learned vector for its place, and then come the blocks that you know, without a
# mask: all patches see each other.
#
# By hand: a board has 20 by 20 pixels, patches of 5 by 5 make 16 tokens of 3 · 25 = 75 numbers. An eye
# for 224 by 224 pixels with patches of 14 makes 16 · 16 = 256 tokens; for 490 by 490, 1,225.


# %%
def patches(picture, p=5):  # (C, H, W) -> (T, C p p)
    c, h, w = picture.shape
    cut = picture.reshape(c, h // p, p, w // p, p)  # (C, H / p, p, W / p, p)
    return cut.transpose(1, 3, 0, 2, 4).reshape(-1, c * p * p)  # -> (T, C p p)


shown = scenes.draw(board)
tokens = patches(shown)
print("tokens:", tokens.shape, "  with ink:", np.flatnonzero(tokens.any(1)))
print("as the package:", np.array_equal(tokens, patchify(Tensor(shown[None]), 5).data[0]))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What should an eye learn?
#
# Nobody labels patches. But the web is full of pictures with a text beside them. **CLIP** makes a game
# of that. Take a batch of B pictures and their B texts. One network makes a vector of each picture,
# another one of each text. All B · B pairs are compared, and the right partner has to win: among all
# texts for a picture, and among all pictures for a text.
#
# By hand, with two pairs. The pictures' vectors are (1, 0) and (0, 1), and so are the texts'. The
# cosines of picture one with the two texts are 1 and 0. A softmax gives the right one $e/(e+1)$ = 73 %,
# so the loss is −ln 0.73 = 0.31 nats. If all vectors were alike, each partner would get a half:
# ln 2 = 0.69. Nobody knows anything at **ln B**.


# %%
def contrast(one, other, tau):  # (B, C) twice -> nats
    one, other = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (one, other))
    logits = one @ other.T / tau  # (B, B) cosines, sharpened

    def loss(s):  # every row has to find the column of its own number
        top = s.max(1, keepdims=True)
        return np.mean(np.log(np.exp(s - top).sum(1)) + top[:, 0] - np.diag(s))

    return (loss(logits) + loss(logits.T)) / 2  # pictures to texts, texts to pictures


print("by hand:", round(contrast(np.eye(2), np.eye(2), 1.0), 3))
some = random.normal(size=(2, 6, 8))
print("as the package:", abs(contrast(*some, 0.07) - info_nce(*map(Tensor, some)).item()) < 1e-6)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Watch it learn
#
# Our eye has two layers of 64 channels, and a second small Transformer reads the captions at the
# finest level. *Before you run it: eight new boards and their captions. What will the 8 by 8 table of
# cosines look like before and after?*

# %%
clips = {seed: E.train_clip(seed, steps=E.LIVE_EYE) for seed in progress(SEEDS)}
new = E.talks(64, 700)
first, fresh = clips[SEEDS[0]], E.train_clip(SEEDS[0], steps=1)
boards, told = new.pictures[:8], new.captions[:8]
cosines = [m.logits(boards, told) / m.scale.item() for m in (fresh, first)]
pictures.similar(*cosines, [scenes.caption(s, "names") for s in new.scenes[:8]])

# %% slideshow={"slide_type": "-"} tags=["hide-input"]
verdicts.contrast(E.contrast_exam(clips, new), SEEDS)

# %% [markdown] slideshow={"slide_type": "fragment"}
# There are other games. *Cover half of the patches and paint what was there* needs no captions at all;
# the package has it as `vision.reconstruct`. **To remember:** an eye learns from company: which text goes with which
# picture.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 3. A foreign language of 16 words
#
# Now the language model. It is small: three layers, 64 channels. It has read English, the
# documentation that comes with Python; and boards told in words, with questions and answers:
#
# > a blue 7 at d1 , a red ring at b2 . where is the ring ? b2
#
# **LLaVA** (36:16) joins eye and language model in the simplest way: a **projector**, one or two linear maps
# from the eye's vectors to vectors of the width of words. The picture's 16 vectors then stand where the caption
# stood, between two learned marks. For the language model they are words that it has never read.


# %%
def see(model, picture, ids):  # (B, 3, 20, 20), (B, t) -> logits (B, 1 + 16 + 1 + t, V)
    seen = model.eye(picture)  # (B, 16, 64)
    tokens = model.projector(seen) * model.gain  # (B, 16, C), as long as words' vectors are
    begin, end = (F.broadcast_to(mark, (len(ids), 1, E.CHANNELS)) for mark in model.marks)
    words = model.language.tokens(ids)  # (B, t, C)
    line = F.concatenate([begin, tokens, end, words], axis=1)
    return model.language(embeddings=line)


nn.manual_seed(0)
newborn = VisionLanguage(E.make_language(0), first.eye, E.make_projector("mlp"))
ids = asking.encode(["where is the ring ?"])
with no_grad():
    same = np.allclose(see(newborn, shown[None], ids).data, newborn(shown[None], ids).data)
print("as the package:", same, "  the projector's weights:", newborn.projector.num_parameters())

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** to a language model a picture is a text of vectors. The rest of this lesson is about
# who learns to read it.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 4. Who pays?
#
# Train the projector alone, and the language model stays as good as it was. But it must make do with
# words that are not its own. Train everything, and it will bend to the pictures; but, says Ding
# (37:02-38:39), training the language model during the alignment damages its language.
#
# **CogVLM** has a third way, the **visual expert**. Beside the weights of every layer stands a copy. Tokens
# of pictures use the copy, tokens of text the original. Only copies are trained. All tokens meet in one
# attention: a word asks with its own query and finds a patch by the patch's own key.
#
# By hand, for one token alone, x = 3, with a value map of 2 for text and of 5 for pictures, output
# maps 1 and 2. It looks at itself. As a word it becomes 3 · 2 · 1 = 6, as a patch 3 · 5 · 2 = 30. Train the
# 5 and the 2 as you like: the word stays 6, **for ever and to the last bit**.


# %%
def with_expert(x, seen, text, expert):  # (T, C), (T,) bool, four maps (C, C) twice
    def own(rows, k):  # each token through the map of its kind
        return np.where(seen[:, None], rows @ expert[k].T, rows @ text[k].T)

    q, k, v = own(x, 0), own(x, 1), own(x, 2)  # (T, C) each
    scores = q @ k.T / x.shape[1] ** 0.5  # (T, T): all kinds of tokens together
    scores[~np.tri(len(x), dtype=bool)] = -np.inf  # nobody looks ahead
    shares = np.exp(scores - scores.max(1, keepdims=True))
    return own(shares / shares.sum(1, keepdims=True) @ v, 3)  # (T, C)


text, copy = (nn.Attention(8, 1, bias=False) for _ in range(2))
x = random.normal(size=(7, 8)).astype(np.float32)
seen = np.arange(7) < 4  # four patches, three words
maps = [[*np.split(a.qkv.weight.data, 3), a.out.weight.data] for a in (text, copy)]
packed = routed(Tensor(x[None]), runs_of(seen), text.qkv, copy.qkv)
theirs = routed(text.mix(packed, nn.Sight(causal=True)), runs_of(seen), text.out, copy.out)
print("as the package:", np.allclose(with_expert(x, seen, *maps), theirs.data[0], atol=1e-5))
words, broken = np.zeros(7, bool), [m * np.nan for m in maps[1]]
alone = [with_expert(x, words, maps[0], copies) for copies in (maps[1], broken)]
print("words alone, an expert of nan:", np.array_equal(*alone))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What an expert costs
#
# CogVLM's language model is Vicuna-7B: 32 layers, 4,096 channels, a gated feed-forward net of 11,008. An
# expert copies the four maps of attention and the three of the feed-forward net. By hand:
# $32 \cdot (4 \cdot 4096^2 + 3 \cdot 4096 \cdot 11008)$ = 6,476,005,376 weights, all blocks of the model once more. But
# each token still passes through one set: **twice the memory, the same work**. At first copies change
# nothing, as they are the same weights. The package counts the same:

# %% slideshow={"slide_type": "-"}
print(f"{expert_parameters(llama('7b')):,}")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The experiment
#
# Recorded (`minilm study run 07e/seeing`): one language model and one eye, of seed 0, serve all runs; three
# seeds of all that is new; 200 batches of 32 boards, each way with its own tuned rate. After one board the
# model must write the caption, after the next one answer questions. A fourth way trains everything, too,
# but half of each batch is text, as GLM-4V's training mixes both (41:50). The dashed line is the yardstick
# that does not look, the dotted one the shortcut.
#
# **Would prove the talk wrong:** full tuning moves both text losses by less than 0.05 nats a word; the
# expert is less than 2 points ahead of the projector, or one bit of text moves.

# %% tags=["hide-input"]
record = here.recorded("seeing")
pictures.who_pays(record)
verdicts.damage(record)
verdicts.expert(record)

# %% [markdown] slideshow={"slide_type": "fragment"}
# How bad is that? A table of how often each word occurs, which reads nothing, costs 4.4 nats a word of this
# English. The model needed 3.8; after full tuning it needs 6.0 to 9.7 (60 to 150 % more), worse than the table.
# And how good are the answers? Told a board in words, the same language model answers 59 %. No way of
# seeing passes the shortcut, so we have not shown that a model knows *which* thing is red. **To remember:**
# weights that everybody shares, everybody pays for.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Text in every batch
#
# The cheap remedy is in the talk as well: keep some text in every batch. **Would prove it wrong:** the
# text losses rise all the same, by 0.05 nats or more. *And which sort of question is the hardest?*

# %% tags=["hide-input"]
verdicts.mixed(record)
pictures.sorts(record)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 5. How many tokens does a picture need?
#
# Each token of a picture costs as much as a word, in every layer, for every question. An eye for 1,120 by 1,120
# pixels sees 80 by 80 = 6,400 patches. That is more than most texts have words. Two ways lead to fewer.
#
# The **strided convolution** of GLM-4V (41:50) makes one token of each square of 2 by 2 patches: it
# lays four vectors side by side and applies one linear map. 6,400 become 1,600.
#
# By hand: patches with one number each, ((1, 2), (3, 4)), and the weights ((1, 0), (0, 10)): one token,
# 1 · 1 + 10 · 4 = 41.


# %%
def merge(grid, W):  # (G, G, I), (C, I, 2, 2) -> (G / 2 · G / 2, C)
    g, _, i = grid.shape
    squares = grid.reshape(g // 2, 2, g // 2, 2, i)  # rows in pairs, columns in pairs
    four = squares.transpose(0, 2, 4, 1, 3).reshape(-1, i * 4)  # (G²/4, 4 I), four side by side
    return four @ W.reshape(len(W), -1).T  # one linear map


numbers, weights = np.array([[[1.0], [2.0]], [[3.0], [4.0]]]), np.array([[[[1, 0], [0, 10.0]]]])
print("by hand:", merge(numbers, weights))
strided, grid = Strided(6, 8), random.normal(size=(4, 4, 6)).astype(np.float32)
theirs = strided.merge(Tensor(grid.transpose(2, 0, 1)[None])).data[0].reshape(8, 4).T
print("as the package:", np.allclose(merge(grid, strided.merge.weight.data), theirs, atol=1e-5))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Queries
#
# The **Q-Former** of BLIP-2 (35:00) has a few learned vectors, **queries**. Each looks at all patches and
# mixes what it finds. As many tokens come out as there are queries, BLIP-2 takes 32, whatever the
# size of the picture. But a query must *learn* where to look. And it forgets the order: shuffle the
# patches, and its answer is the same.
#
# By hand: the query 2, two patches with keys 0 and 1 and values 0 and 10. The scores are 0 and 2, the
# shares 12 % and 88 %, and the token is 8.8.


# %%
def look(x, queries, Wk, Wv):  # (S, I), (N, C), (C, I) twice -> (N, C)
    keys, values = x @ Wk.T, x @ Wv.T  # (S, C) each
    scores = queries @ keys.T / queries.shape[1] ** 0.5  # (N, S)
    shares = np.exp(scores - scores.max(1, keepdims=True))
    return shares / shares.sum(1, keepdims=True) @ values  # N tokens, whatever S is


x, parts = random.normal(size=(16, 6)), [random.normal(size=s) for s in ((4, 8), (8, 6), (8, 6))]
print("tokens:", look(x, *parts).shape)
print("shuffled:", np.allclose(look(x[random.permutation(16)], *parts), look(x, *parts)))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## At equal tokens
#
# In front of the same model with an expert, in the same study: two layers and 16 tokens, and three ways
# to 4. *Would you rather have the mean of four patches, four times, or four queries that may look
# anywhere?* BLIP-2 **first teaches** its queries by three games: find the text, say whether it fits, write
# it. We do so for 200 steps. **Longer** queries play no games: they learn with the expert for 400, not 200.
#
# **Would prove our guess wrong:** with 4 tokens the strided convolution is less than 2 points ahead of
# the queries. **Would prove BLIP-2's order wrong:** taught ones are less than 2 points ahead of longer ones.

# %% tags=["hide-input"]
pictures.tokens(record)
verdicts.tokens(record)
verdicts.taught(record)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Taught first, they answer 39 %, hardly more than those that were not. The same steps spent with the expert
# bring 47 %, as many as the strided convolution has after half of them. Most of the gap is in *where* a thing
# is: 57 % against 33 %. The eye had learned from the same captions by CLIP already, so the games may have had
# little to add. That is our guess, and one size says little about BLIP-2, which had very many pairs.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 6. Ask it yourself
#
# A last model is trained here: the language model reads for a few seconds, then everything but the eye
# learns from boards. Type a board, choose a question. *Which cell should the answer look at?*

# %%
nn.manual_seed(SEEDS[0])
text_only = E.language(SEEDS[0], E.LIVE_TEXT)
sees = VisionLanguage(text_only, first.eye, E.make_projector("mlp")).learn("all")
pool = E.talks(6000, 1000 + SEEDS[0])
E.fit(sees, E.shown_batches(E.seen(first.eye, pool.pictures), pool, SEEDS[0]), E.LIVE_STEPS, 4e-3)
exam = E.exam(400, 600)
right = E.answers(sees, E.seen(sees.eye, exam.images), exam)
print({name: round(share, 2) for name, share in E.by_sort(right, exam).items()})
print(f"without looking: {E.blind(pool, exam)['right']:.2f}, the shortcut: {E.unbound(exam):.2f}")

# %% slideshow={"slide_type": "-"} tags=["hide-input"]
interact(
    lambda board, question: pictures.answer(sees, pictures.scene_of(board), question, None),
    board="red ring at b2, blue 7 at d1",
    question=["what is the blue thing ?", "what is at d1 ?", "where is the ring ?"],
)

# %% [markdown] slideshow={"slide_type": "fragment"}
# The middle picture is the attention of the last token, the question mark, on the 16 tokens of the
# picture, averaged over layers and heads. This model trained for seconds, and is right in about one answer
# of three. **To remember:** an answer can be asked where it looked; that is no proof that it saw.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 7. Small print
#
# So far everything in our pictures was large. A bill, a map, the page of a shop are full of small
# print, and print is the first to go when a picture is made smaller. Here is a form: four coloured
# boxes, each with a number of two digits, 24 by 24 dots in all, scanned with some noise. Someone asks:
# **what stands in the red box?**

# %% tags=["hide-input"]
scanned, form = screens.page()
screen_pictures.sizes(form.images[0], scanned)

# %% [markdown] slideshow={"slide_type": "fragment"}
# An eye that cuts its picture into patches of 4 by 4 pixels makes a token of each. Twice the side is
# four times the tokens, and attention compares every token with every other: *sixteen* times the
# comparisons. So pixels are what a model can least afford, and what reading needs most.
#
# *Move it. At how many pixels could you still read all four numbers?*

# %% tags=["hide-input"]
interact(lambda side: screen_pictures.at_size(scanned, side), side=[24, 16, 12, 8])

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What is in the pixels, and what a model makes of them
#
# Two small models see the page, one at 12 pixels and one at 24. Each eye was first taught to name what
# is in its patches; behind it a language model of two blocks learns to answer. Beside them stands a
# reader that learns nothing: it knows how every box can look at that size, 3,200 ways, and takes the
# most similar. What it reads *is in the pixels*. Chance is one in a hundred.
#
# **Ours:** small print needs pixels. **Would prove it wrong:** at 24 pixels the model reads fewer than
# 30 points more of the numbers than at 12. *Draw both curves before you look.*

# %%
small_text = here.recorded("small_text")
known = screens.in_the_pixels(SEEDS)  # (seeds, sizes)
screen_pictures.reading(small_text, screens.SIDES, known)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Four times the tokens buy 33 points on average; one seed of three, with 29, stays below our mark. The gap
# above the model's line is its own fault: at 12 pixels three numbers of four are still there, and it reads
# 55 %. **To remember:** before you blame a model that cannot read, look at what it was shown; before you
# blame the pixels, ask a reader who knows every look.

# %% [markdown] slideshow={"slide_type": "notes"}
# 4 minutes. Let the room read the form at 8 pixels first. Recorded (`minilm study run
# 07e/small_text`): three seeds, 300 unseen pages, equal multiply-adds for all, each at its own tuned rate.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 8. A narrow channel beside the sequence
#
# CogAgent reads screens of 1,120 by 1,120 pixels: 6,400 patches. Ding's remedy (39:37) is a
# cross-attention channel of *smaller* hidden size. The sequence keeps a small picture, 256 tokens; the
# 6,400 stay outside. In every layer the sequence *looks at* them, with queries, keys and values of 1,024
# numbers in place of 4,096. They do not look at each other there.
#
# By hand, for one layer and 100 tokens of text. Scores are products of each query with each key:
#
# | | queries × keys × width | multiply-adds |
# |---|---|---|
# | all in the sequence | 6,756 × 6,756 × 4,096 | 186.96 billion |
# | the short sequence with itself | 356 × 356 × 4,096 | 0.52 billion |
# | and with the patches beside it | 356 × 6,400 × 1,024 | 2.33 billion |
#
# 186.96 over 0.52 + 2.33: about 65.5 times as many.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The channel on one screen
#
# The way back, $W_o$, starts at zero: at first the model says what it said without the channel, and
# training opens it. *What does the second line print?*


# %%
def cross_attend_narrow(h, fine, Wq, Wk, Wv, Wo):  # (T, C), (M, S), (D, C), (D, S), (D, S), (C, D)
    q, k, v = h @ Wq.T, fine @ Wk.T, fine @ Wv.T  # (T, D), (M, D), (M, D)
    score = q @ k.T / np.sqrt(q.shape[1])  # (T, M)
    share = np.exp(score - score.max(1, keepdims=True))
    share /= share.sum(1, keepdims=True)  # every row adds up to 1
    return h + share @ v @ Wo.T  # (T, M) @ (M, D) @ (D, C) -> (T, C)


r = np.random.default_rng(0)
h, fine = r.normal(size=(5, 16)), r.normal(size=(36, 6))
Wq, Wk, Wv, Wo = (r.normal(size=shape) for shape in ((4, 16), (4, 6), (4, 6), (16, 4)))
branch = NarrowBranch(16, 6, width=4, norm=nn.Identity(), dtype=np.float64)
branch.query.weight.data, branch.out.weight.data = Wq, Wo
branch.key_value.weight.data = np.concatenate([Wk, Wv])
ours = cross_attend_narrow(h, fine, Wq, Wk, Wv, Wo)
theirs = branch(Tensor(h[None]), Tensor(fine[None]))
print("the package's:", np.allclose(ours, theirs.data[0]))
print("closed, it changes", abs(cross_attend_narrow(h, fine, Wq, Wk, Wv, 0 * Wo) - h).max())
print(f"scores inside and beside: {screens.cogagent_scores().ratio:.1f} to 1")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Does it read?
#
# The same forms. The page at **12 pixels** alone; the page at **24**, all of it in the sequence; and the page at
# 12 in the sequence with the one at 24 **beside** it, seen by an eye of half the width through a channel of
# 12 numbers where the model has 48.
#
# **Would prove it wrong:** the channel reads fewer than 30 points more numbers than 12 pixels alone,
# or over 10 points fewer than the sequence, or takes more than half of its multiply-adds.

# %%
cost = here.study("small_text").macs
screen_pictures.frontier(small_text, screens.WAYS, cost)
judged.branch(small_text, cost)

# %% [markdown] slideshow={"slide_type": "fragment"}
# All sides learned with as many multiply-adds, the eyes' first lessons apart, each at its own rate: 800 steps for
# the page at 24 in the sequence, some 1,600 with the channel, 2,200 at 12 pixels. So at equal work, not at equal
# steps, the channel reads as much as the sequence, within a point, and a question costs 42 %. In a first record,
# of 500 steps for each at one rate, it was 14 points behind, and we called the claim not reproduced.
#
# **To remember:** a channel can be narrow because it need not carry the page, only what is asked.

# %% [markdown] slideshow={"slide_type": "notes"}
# 6 minutes. Do the three products on the board. The mark named "zoom" belongs to section 10. What the
# channel gives up: fine tokens cannot talk to the words before they are read.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 9. A second vocabulary
#
# An eye that learnt from captions knows what captions say: *a red box*. They do not spell out what is
# printed in it. **Vary** (41:29) leaves that eye as it is and trains a second one on print. Both are
# then frozen. Each token of the language model is what the one sees *beside* what the other sees, half
# of the width each; there are no more tokens than before.
#
# We taught one eye the colours, at 12 pixels, and one the digits, at 24. The question needs both: find the red
# box, then read it. As a control, a single eye was taught both. *Order the four bars before you look.*
#
# **Would prove it wrong:** both eyes together read fewer than 20 points more than the better of the two.

# %%
vocabularies = here.recorded("vocabularies")
screen_pictures.vocabularies(vocabularies)
judged.vocabularies(vocabularies)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Either eye alone is nearly useless, each for its own reason: one finds the box and cannot read, the
# other reads and cannot tell which box was meant, so it is right about once in six. Together they answer.
# But so, nearly as often, does the single eye that was taught both, with half of their weights and
# training. What helped is that *somebody taught the digits*; a second eye is the way to do that without
# touching the first. **To remember:** an eye sees what it was once asked about.

# %% [markdown] slideshow={"slide_type": "notes"}
# 4 minutes. The control is the point: is it two eyes that help, or that the digits were taught?

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 10. Look again
#
# What do *you* do with small print? You find the place, and bring it closer. A model can do so if it may
# say so: among its words are nine that name a part of the page. When it says one, that part is cut out of
# the *scan*, enlarged to the size of a whole view, and put into the sequence. Then it goes on. This is
# a **chain of manipulations** (Qi et al. 2024).


# %%
def look_again(page, row, column, side):  # (3, 24, 24), a third of it along each axis
    cut = page[:, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8]  # (3, 8, 8)
    larger = area_weights(8, side)  # (side, 8): what each new pixel covers
    return larger @ cut @ larger.T  # -> (3, side, side)


box = next(each for each in form.boxes[0] if each.colour == "red")
words = ZoomWords(first=34, grid=3)  # nine ids of the vocabulary
seen, word = look_again(scanned, box.row, box.column, 12), words.token(box.row, box.column)
print("the package's:", np.allclose(seen, crop_zoom(scanned, words.box(word, (0, 0, 24, 24)), 12)))
screen_pictures.looking_again(scanned, box)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Does looking again read?
#
# The model sees the page at 12 pixels, says where the box is, sees *that* at 12 pixels, and answers. It
# was trained on chains written by a program that knows the page. In the test nobody helps: if it names the
# wrong part, it is shown the wrong part.
#
# **Would prove it wrong:** it reads fewer than 30 points more than without the zoom, or over 10 points
# fewer than with the whole page at 24 pixels, or needs as many multiply-adds.

# %%
screens.reading_table(small_text, cost)
judged.zoom(small_text, cost)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Finding is easy: colours are left at 12 pixels, and the right part is named all but always. What is found comes
# back with all its pixels, for nine tokens more. After as much training, in multiply-adds, the zoom reads on
# average as many numbers as the whole page at 24, at 55 % of the price. But we had asked for 30 points above 12
# pixels with every seed; they are 37, 35 and 26: by our rule, not reproduced. In a step a chain reads one box, the
# others four. **To remember:** a page need not be seen sharply, only the part asked about.

# %% [markdown] slideshow={"slide_type": "notes"}
# 4 minutes. Ask what the chain would do with a question about all four boxes at once.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 11. Acting on a screen
#
# CogAgent was made to *work* (40:20): it is shown a screenshot and a task, says where to click, and is
# shown what came of it. Our screens have lists, fields to tick, buttons and labels. A task names a page
# and a field: *on page PC tick ZZ alone, and save*. Names, their places and what is ticked at first are
# drawn anew for each app, so nothing about *where* can be learnt by heart.

# %% tags=["hide-input"]
screen_pictures.kinds(screens.kinds_of_screens())

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The loop is all there is
#
# A screen is 32 by 32 pixels, a token for each of its 16 cells. The next word is one of 16 cells, or
# *done*. The agent remembers nothing: each screen is a new question. Here the loop runs with the
# **shortcut**, which knows what lists, fields and buttons are for, and does not look at names. One page
# of four, one field of three: *how often will it be right?*


# %%
def work(agent, app, state, task, limit=20):
    for step in range(limit):
        (action,) = agent(draw(app, state)[None], [task], step)  # pixels and two words -> one word
        if action == DONE:
            return reached(app, state, task)  # it says so; is it true?
        state = click(app, state, action)
    return False


games = play.games(120, seed=3)
lucky = [work(play.without_names(seed), *game) for seed, game in enumerate(games)]
print(f"the shortcut does {np.mean(lucky):.0%}; by luck {play.luck_without_names():.0%}")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Learning from somebody who errs
#
# The eye first learns to read screens, cell by cell. Then the agent imitates an expert on 12,000 of
# them. Demonstrations in which all goes right would never show a way back. So in ours the user clicks on
# something else in one step of five, and what the expert does *there* is learnt too. Eight of the 48 tasks
# are never shown. **Would prove it wrong:** on unseen screens the agent does fewer than 80 % of the unseen tasks.

# %%
clicking = here.recorded("clicking")
screen_pictures.agents(clicking)
judged.agent(clicking)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Three seeds, three ends. One agent does nearly all tasks, never shown ones too. One does every task that it was
# shown, on new screens, and one in six of the others; at step 3,600 it did 44 % of those. It seems to know *pairs*
# of page and field by heart. The last does a quarter of what it was shown, and nothing else. A first record
# stopped at 1,600 steps with 52, 0 and 0 % of the tasks never shown, and we blamed the budget. Three times the
# steps helped the first seed and left the third at 0. (Clicks at random do no task, the expert all.) Watch a lost
# game of seed 1 or 2: who remembers nothing goes round in circles. **To remember:** to have learnt all that was
# shown is not to have learnt how it is put together.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Watch it work
#
# *Choose an agent and a game, and step through it. Before each step: where would you click?*


# %% tags=["hide-input"]
def watch(seed, game, step):
    games = screens.recorded_games(clicking, here.study("clicking").UNSEEN, "stray", seed)
    app, actions = games[game - 1]
    step = min(step, len(actions))
    frame = screens.replay(app, actions)[step - 1]
    screen_pictures.clicking(frame, screens.said(app, actions, step - 1))


interact(watch, seed=[0, 1, 2], game=(1, 4, 1, 1), step=(1, 8, 1, 1))

# %% [markdown] slideshow={"slide_type": "notes"}
# 6 minutes, half of them at the slider. Ask what could go wrong that no later click can mend: saving
# on a wrong page.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What came out, and what did not
#
# **Who pays.** When the whole model learned to see, its English became worse than a table of words. The talk
# says damage, and damage it is. But the same way also answered most questions. The visual expert left every bit
# of the text where it was and saw better than a projector alone. Text in every batch keeps nearly all of the
# language, too, and answers as many questions, without a second set of weights. No model passed the shortcut.
#
# **Our rates.** Each way had the rate that predicts answers best after 60 steps, and nobody asked what that
# rate does to text. LLaVA tunes its language model with a rate of 2e-5, ours is 4e-3, and 2e-3 where half of
# the batch is text. How the damage falls with the rate, we have not measured. And all of our models were still
# learning when we stopped them: shares after equal work, not what each way can reach.
#
# **Tokens.** Four tokens that each know their place were nearly as good as sixteen; four queries that must
# learn where to look were not, unless they learned twice as long. To teach them first, from the captions that
# the eye had learned from, did not help.
#
# **Small print and screens.** Reading needs pixels. After equal work a narrow channel beside the sequence buys
# them at 42 % of the multiply-adds; a second look does so at 55 %, with two seeds of three by our rule. An agent
# learns late: after 1,200 steps none did more than a third of what it was shown. In the end two did all of that,
# and one of them puts names together.
#
# **Not measured.** Real photographs, and language models that know what is on them. Noisy captions. Grounding:
# to point at what one speaks of. Tree-of-thought answers (79:01), and learning from raw video (77:07), which is
# lesson 07g. State of the art (38:45) cannot be reproduced on a board of sixteen cells.
#
# **One further question.** The expert doubles the weights for pictures. Would an expert in every second layer
# do?
#
# Now build it yourself: [exercise set](../exercises/07e_vision_language.ipynb).
