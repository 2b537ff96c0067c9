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
#
# *35 minutes to read, one to run. You need a trained decoder and its attention, as in [lesson
# 01](01_overview_of_transformers.ipynb). The talk was given on 9 May 2024; times such as 37:02 are
# minutes and seconds of its recording. Drawing pictures is [lesson
# 07f](07f_image_generation.ipynb).*

# %% [markdown] slideshow={"slide_type": "notes"}
# 3 minutes. Take the bets on the next slide and write them on the board. For 50 minutes leave out
# the hand-worked projector and section 7; for 80 show everything, and let the room type a scene and
# ask.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Your bet
#
# A small language model has read English, and boards of coloured things that were *told* to it in
# words. Now it shall see boards. We may train a small adapter between the eye and the model; or the
# whole language model; or copies of its weights that only pictures use.
#
# Which way answers most questions about new pictures? And by how much does its English get worse,
# in per cent of the loss, when the whole model learns to see for a few hundred steps: by 1, 10 or 100?
# Write down both. Section 4 has the answer.

# %% slideshow={"slide_type": "skip"}
import numpy as np

from minilm import Tensor, backend, nn
from minilm import functional as F
from minilm.course import lesson_folder, progress, seeds
from minilm.data.images import asking, scenes
from minilm.data.images.scenes import Thing
from minilm.tensor import no_grad
from minilm.vision.clip import info_nce
from minilm.vision.expert import routed, runs_of
from minilm.vision.language import VisionLanguage
from minilm.vision.patches import patchify
from minilm.vision.projectors import Strided

SEEDS = seeds()  # 0, 1, 2, or those that `minilm run 07e --seeds 3,4,5` asks for
here = lesson_folder("07e")
pictures, verdicts, E = here.pictures, here.module("verdicts"), here.module("experiments")
backend.keep_freed_memory()

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 1. A world that can be asked about
#
# Real photographs have no answer sheet. So our pictures are boards of 4 by 4 cells, named as in
# chess: letters a to d from the left, numbers 1 to 4 from the top. On a board lie one to four things:
# 8 shapes and 10 digits in 8 colours.
#
# Everything about a board is known exactly. It has captions at three levels of detail, which a
# parser reads back. It can be asked six sorts of questions, and each answer is one word.

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
# by heart.

# %% tags=["hide-input"]
pictures.three_scenes([board, *scenes.scenes(2, seed=11)])

# %% [markdown] slideshow={"slide_type": "fragment"}
# A **yardstick that does not look** comes with each exam: to every question it gives the answer that
# was most frequent in training. "Is the ring left of the 7?" is more often no than yes. **To remember:**
# a model that is right in a third of all cases may not have opened its eye.

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
    return cut.transpose(1, 3, 0, 2, 4).reshape(-1, c * p * p)  # -> (H / p, W / p, C, p, p) ->


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
eight = slice(0, 8)
cosines = [
    m.logits(new.pictures[eight], new.captions[eight]) / m.scale.item() for m in (fresh, first)
]
pictures.similar(*cosines, [scenes.caption(s, "names") for s in new.scenes[eight]])

# %% slideshow={"slide_type": "-"} tags=["hide-input"]
verdicts.contrast(E.contrast_exam(clips, new), SEEDS)

# %% [markdown] slideshow={"slide_type": "fragment"}
# There are other games. *Cover half of the patches and paint what was there* needs no captions at all.
# Section 4 compares the eyes. **To remember:** an eye learns from company: which text goes with which
# picture.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 3. A foreign language of 16 words
#
# Now the language model. It is small: three layers, 64 channels. It has read English, the
# documentation that comes with Python; and boards told in words, with questions and answers:
#
# > a blue 7 at d1 , a red ring at b2 . where is the ring ? b2
#
# **LLaVA** (36:16) joins eye and language model in the simplest way: a **projector**, one or two linear
# maps from the eye's vectors to vectors of the width of words. The picture's 16 vectors then stand where
# the caption stood. For the language model they are words that it has never read.


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
print(
    "as the package:", same, " ", "trainable in the projector:", newborn.projector.num_parameters()
)

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
x, seen = (
    random.normal(size=(7, 8)).astype(np.float32),
    np.arange(7) < 4,
)  # four patches, three words
maps = [[*np.split(a.qkv.weight.data, 3), a.out.weight.data] for a in (text, copy)]
packed = routed(Tensor(x[None]), runs_of(seen), text.qkv, copy.qkv)
theirs = routed(text.mix(packed, nn.Sight(causal=True)), runs_of(seen), text.out, copy.out)
print("as the package:", np.allclose(with_expert(x, seen, *maps), theirs.data[0], atol=1e-5))
words = np.zeros(7, bool)
broken = [m * np.nan for m in maps[1]]
same = np.array_equal(
    with_expert(x, words, maps[0], maps[1]), with_expert(x, words, maps[0], broken)
)
print("words alone, an expert of nan:", same)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What an expert costs
#
# CogVLM's language model is Vicuna-7B: 32 layers, 4,096 channels, a gated feed-forward net of 11,008. An
# expert copies the four maps of attention and the three of the feed-forward net. By hand:
# $32 \cdot (4 \cdot 4096^2 + 3 \cdot 4096 \cdot 11008)$ = 6,476,005,376 weights, all blocks of the model once more. But
# each token still passes through one set: **twice the memory, the same work**. At first copies change
# nothing, as they are the same weights.

# %% slideshow={"slide_type": "-"}
from minilm.models import llama
from minilm.vision.expert import expert_parameters

print(f"{expert_parameters(llama('7b')):,}")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The experiment
#
# Recorded (`minilm study run 07e/seeing`), each way with its own tuned rate, the same 400 batches of 32
# boards. A fourth way trains everything, too, but half of each batch is text, as GLM-4V's training mixes
# both (41:50). The dotted lines are the yardstick that does not look, and the language model when it is
# given the caption in words.
#
# **Would prove the talk wrong:** full tuning moves both text losses by less than 0.05 nats a word; the
# expert is less than 2 points ahead of the projector, or one bit of text moves.

# %% tags=["hide-input"]
record = here.recorded("seeing")
pictures.who_pays(record)
verdicts.damage(record)
verdicts.expert(record)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Text in every batch
#
# The cheap remedy is in the talk as well: keep some text in every batch. **Would prove it wrong:** the
# text losses rise all the same, by 0.05 nats or more.

# %% tags=["hide-input"]
verdicts.mixed(record)
pictures.sorts(record)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What must the eye have learned?
#
# The same expert in front of three frozen eyes: one that played CLIP's game, one that painted covered
# patches, one that learned nothing. *Which order do you expect?*

# %% tags=["hide-input"]
pictures.eyes(record)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 5. How many tokens does a picture need?
#
# Each token of a picture costs as much as a word, in every layer, for every question. An eye for 1,120
# by 1,120 pixels sees 80 by 80 = 6,400 patches. That is more than most texts have words. Two ways
# lead to fewer.
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


print(
    "by hand:", merge(np.array([[[1.0], [2.0]], [[3.0], [4.0]]]), np.array([[[[1, 0], [0, 10.0]]]]))
)
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
# By hand, numbers instead of vectors: the query 2, two patches with keys 0 and 1 and values 0 and 10.
# The scores are 0 and 2, the shares 12 % and 88 %, and the token is 8.8.


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
# Six projectors in front of the same model with an expert, recorded in the same study. BLIP-2 teaches
# its queries before they meet a language model, by three games: find the right text, say whether a
# text fits, write the text. So there are queries with that lesson and queries without. *Would you rather
# have 4 tokens of the mean of 4 patches, or 4 queries that may look anywhere?*
#
# **Would prove our guess wrong:** with 4 tokens the strided convolution is less than 2 points ahead of
# the queries.

# %% tags=["hide-input"]
pictures.tokens(record)
verdicts.tokens(record)
