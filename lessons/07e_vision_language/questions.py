# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Language models that see: build the patches, the projectors and the visual expert"
# ---

# %% [markdown]
# # Build what lets a language model see
#
# Each question asks for one function. Write it, run its cell, then run `check("...")`: it answers
# at once. When a check passes, the cell below it puts **your function to work** on pictures of the
# lesson's world, or inside a real model.
#
# The first takes two minutes. The stars say how hard a question is, from ★ to ★★★, and the
# hints below it are folded away: open the next one only when you are stuck.
#
# Arrays are NumPy's. Weights of a linear map are (out, in): a row of numbers x becomes `x @ W.T`. Leave
# your arguments as they are. Everything asked for here stands in
# [the lesson](../lessons/07e_vision_language.ipynb).

# %%
import numpy as np

from minilm.course import bars, check, heatmap, images, payoff

# %% [markdown]
# ## 1. Cut a picture into patches (★, 2 minutes)
#
# `patchify(img, p)`: a picture (C, H, W) as tokens (T, C · p · p), where p divides H and W. Patches are
# in reading order: along the first row of patches, then the next row. The numbers of one patch keep
# the order (C, p, p). About 4 lines.
#
# *By hand.* One channel, ((0, 1, 2, 3), (4, 5, 6, 7)), p = 2: the left patch is ((0, 1), (4, 5)), so
# the tokens are (0, 1, 4, 5) and (2, 3, 6, 7).
#
# <details><summary>Hint 1</summary>Two loops over the corners, <code>range(0, H, p)</code> and
# <code>range(0, W, p)</code>, and a slice in each.</details>
# <details><summary>Hint 2</summary><code>img[:, i : i + p, j : j + p].ravel()</code> is one
# token.</details>
# <details><summary>Hint 3</summary><code>np.stack</code> makes an array of the list of
# tokens.</details>


# %%
def patchify(img, p):
    """Tokens (T, C p p)."""
    ### BEGIN SOLUTION
    C, H, W = img.shape
    corners = [(i, j) for i in range(0, H, p) for j in range(0, W, p)]
    return np.stack([img[:, i : i + p, j : j + p].ravel() for i, j in corners])
    ### END SOLUTION


# %%
check("patchify")


# %% tags=["payoff"]
@payoff("patchify")
def what_an_eye_is_given():
    """The 16 patches that your function makes of a board with three things."""
    from minilm.data.images import scenes

    board = next(scene for scene in scenes.scenes(50, seed=3) if len(scene) == 3)
    tokens = patchify(scenes.draw(board), 5).reshape(-1, 3, 5, 5)
    images(tokens.transpose(0, 2, 3, 1), columns=4, size=(5, 5), alt="The 16 patches of a board.")


# %% [markdown]
# ## 2. Put it together again (★, 5 minutes)
#
# `unpatchify(tokens, p, H, W)`: `patchify` undone, tokens (T, C · p · p) to a picture (C, H, W). C is
# whatever the width of a token says. About 5 lines.
#
# *By hand.* Tokens (0, 1, 4, 5) and (2, 3, 6, 7), p = 2, H = 2, W = 4: ((0, 1, 2, 3), (4, 5, 6, 7)), one
# channel.
#
# <details><summary>Hint 1</summary>C is <code>tokens.shape[1] // p**2</code>.</details>
# <details><summary>Hint 2</summary>Start with <code>np.empty((C, H, W), tokens.dtype)</code> and fill in
# one patch after the other.</details>
# <details><summary>Hint 3</summary>Token t stands in row <code>t // (W // p)</code> and column
# <code>t % (W // p)</code> of the grid of patches.</details>


# %%
def unpatchify(tokens, p, H, W):
    """A picture (C, H, W)."""
    ### BEGIN SOLUTION
    img = np.empty((tokens.shape[1] // p**2, H, W), tokens.dtype)
    for t, token in enumerate(tokens):
        i, j = t // (W // p) * p, t % (W // p) * p
        img[:, i : i + p, j : j + p] = token.reshape(-1, p, p)
    return img
    ### END SOLUTION


# %%
check("unpatchify")


# %% tags=["payoff"]
@payoff("unpatchify")
def shuffled_patches():
    """A scene, the same with its patches in another order, and put right again."""
    from minilm.data.images import scenes

    picture = scenes.draw(scenes.scenes(1, seed=8)[0])
    tokens, order = patchify(picture, 5), np.random.default_rng(0).permutation(16)
    mixed = unpatchify(tokens[order], 5, 20, 20)
    back = unpatchify(patchify(mixed, 5)[np.argsort(order)], 5, 20, 20)
    shown = np.stack([picture, mixed, back]).transpose(0, 2, 3, 1)  # colours last
    images(shown, titles=["board", "shuffled", "back"], size=(9, 3.4),
           alt="A board, the board with its patches shuffled, and the board.")  # fmt: skip


# %% [markdown]
# ## 3. Look closer (★, 5 minutes)
#
# `crop_zoom(img, box, size)`: a part of a picture (C, H, W), enlarged to (C, size, size). `box` is
# (top, left, bottom, right), whole numbers; bottom and right are the first row and column that do
# *not* belong to it. Pixel i of the new picture takes the old pixel under its middle: of h old rows it
# is row top + floor((i + 0.5) · h / size), and columns likewise. About 4 lines.
#
# *By hand.* One channel, ((1, 2, 3), (4, 5, 6)), box (0, 1, 2, 3), size 4: the part is ((2, 3), (5, 6)),
# and each of its pixels becomes a square of 2 by 2.
#
# <details><summary>Hint 1</summary>Make a list of old rows and one of old columns, as integer
# arrays.</details>
# <details><summary>Hint 2</summary><code>((np.arange(size) + 0.5) * h / size).astype(int)</code> cuts
# off, which is floor here.</details>
# <details><summary>Hint 3</summary><code>img[:, rows[:, None], columns]</code> takes all pairs of
# them.</details>


# %%
def crop_zoom(img, box, size):
    """(C, size, size)."""
    ### BEGIN SOLUTION
    top, left, bottom, right = box
    middle = (np.arange(size) + 0.5) / size
    rows = top + (middle * (bottom - top)).astype(int)
    columns = left + (middle * (right - left)).astype(int)
    return img[:, rows[:, None], columns]
    ### END SOLUTION


# %%
check("crop_zoom")


# %% tags=["payoff"]
@payoff("crop_zoom")
def look_at_one_thing():
    """A scene, and your zoom into each of its things."""
    from minilm.data.images import scenes

    scene = next(scene for scene in scenes.scenes(50, seed=3) if len(scene) == 3)
    picture = scenes.draw(scene)
    boxes = [(5 * t.row, 5 * t.column, 5 * t.row + 5, 5 * t.column + 5) for t in scene]
    shown = np.stack([picture, *(crop_zoom(picture, box, 20) for box in boxes)])
    images(shown.transpose(0, 2, 3, 1), titles=["board", *(t.name for t in scene)],
           size=(12, 3.4), alt="A board, and each of its things enlarged.")  # fmt: skip


# %% [markdown]
# ## 4. Which text belongs to which picture? (★★, 15 minutes)
#
# `info_nce(I, T, tau)`: CLIP's loss, a number in nats. Row i of `I` (B, C) is a picture and row i of `T`
# (B, C) is its text. Shorten all rows to length 1. The logits (B, B) are all dot products, divided by
# `tau`. The loss is the mean of two cross-entropies: for each picture, minus the log of the softmax
# share of its text among all texts; for each text, that of its picture among all pictures. A `tau` of
# 0.001 must not overflow. About 7 lines.
#
# *By hand.* I = T = ((1, 0), (0, 1)), tau = 1: each row of logits is (1, 0) or (0, 1), the right one has
# the share $e / (e + 1)$ = 0.731, and the loss is −ln 0.731 = 0.313. If all rows were equal, it would be
# ln 2 = 0.693.
#
# <details><summary>Hint 1</summary><code>np.linalg.norm(I, axis=1, keepdims=True)</code> are the
# lengths.</details>
# <details><summary>Hint 2</summary>Write a small function for one direction, and call it with the logits
# and with their transpose.</details>
# <details><summary>Hint 3</summary>Minus the log share is logsumexp of the row minus the diagonal; take
# the largest of the row out before <code>np.exp</code>.</details>


# %%
def info_nce(I, T, tau):  # noqa: E741
    """The loss, a number."""
    ### BEGIN SOLUTION
    one, other = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (I, T))
    logits = one @ other.T / tau

    def loss(s):
        top = s.max(1, keepdims=True)
        return (top[:, 0] + np.log(np.exp(s - top).sum(1)) - np.diag(s)).mean()

    return (loss(logits) + loss(logits.T)) / 2
    ### END SOLUTION


# %%
check("info_nce")


# %% tags=["payoff"]
@payoff("info_nce")
def watch_clip_learn():
    """A small CLIP of the package learns scenes and captions; your loss is measured before and after."""
    from minilm import nn
    from minilm.data.images import asking, scenes
    from minilm.optim import AdamW
    from minilm.train import train
    from minilm.vision.clip import Clip, clip_loss
    from minilm.vision.vit import EyeConfig, ViT

    nn.manual_seed(0)
    made = scenes.scenes(2000, seed=1, most=2)
    pictures = scenes.draw_all(made)
    ids = asking.encode([scenes.caption(s, "names") for s in made], 8)
    model = Clip(ViT(EyeConfig(layers=1, channels=32)), len(asking.WORDS), 8, layers=1, width=32)

    def batch(step):
        chosen = np.random.default_rng(step).integers(0, 1900, 64)
        return pictures[chosen], ids[chosen]

    def yours():
        one, other = model.of_pictures(pictures[-64:]), model.of_texts(ids[-64:])
        return info_nce(one.data, other.data, 0.07)

    before = yours()
    how = {"loss": clip_loss, "optimizer": AdamW(model.parameters(), lr=3e-3), "progress": False}
    train(model, batch, 200, **how)
    bars(["know nothing: ln 64", "before", "after"], [np.log(64), before, yours()],
         ylabel="your loss, nats", numbers="{:.2f}", alt="The loss falls below ln 64.")  # fmt: skip


# %% [markdown]
# ## 5. A projector of two layers (★, 5 minutes)
#
# `mlp2x(x, W1, b1, W2, b2)`: LLaVA-1.5's projector, `x` (T, I) to (T, C). A linear map with `W1` (F, I) and
# `b1` (F,), then GELU, then a linear map with `W2` (C, F) and `b2` (C,). Use GELU's tanh form,
# $0.5\,x\,(1 + \tanh(\sqrt{2/\pi}\,(x + 0.044715\,x^3)))$. float32 in gives float32 out. About 3 lines.
#
# *By hand.* x = ((1, 0)), W1 = ((1, 5)), b1 = (0), W2 = ((2)), b2 = (1): the hidden number is 1, GELU makes
# it 0.8412, and the answer is 2.6824.
#
# <details><summary>Hint 1</summary><code>x @ W1.T + b1</code> is (T, F).</details>
# <details><summary>Hint 2</summary>GELU acts on the hidden numbers, and only there.</details>
# <details><summary>Hint 3</summary>The square root as a Python number, <code>(2 / np.pi) ** 0.5</code>,
# leaves float32 alone.</details>


# %%
def mlp2x(x, W1, b1, W2, b2):
    """(T, C)."""
    ### BEGIN SOLUTION
    h = x @ W1.T + b1
    h = 0.5 * h * (1 + np.tanh((2 / np.pi) ** 0.5 * (h + 0.044715 * h**3)))
    return h @ W2.T + b2
    ### END SOLUTION


# %%
check("mlp2x")


# %% tags=["payoff"]
@payoff("mlp2x")
def a_language_model_reads_through_yours():
    """The package's projector and yours, with the same weights, in front of the same language model."""
    from minilm import Tensor, nn
    from minilm.data.images import scenes
    from minilm.models import Config, Transformer
    from minilm.nn import Module
    from minilm.vision.language import VisionLanguage
    from minilm.vision.projectors import Mlp2x
    from minilm.vision.vit import ViT

    nn.manual_seed(0)
    eye, theirs = ViT(), Mlp2x(64, 48)
    language = Transformer(Config(100, 40, layers=2, heads=4, channels=48, init_std=0.1))
    weights = [
        p.data for p in (theirs.up.weight, theirs.up.bias, theirs.down.weight, theirs.down.bias)
    ]

    class Yours(Module):
        def forward(self, x):
            return Tensor(np.stack([mlp2x(one, *weights) for one in x.data]))

    pictures, ids, logits = scenes.draw_all(scenes.scenes(4)), np.ones((4, 3), int), []
    for way in (theirs, Yours()):
        nn.manual_seed(1)  # the same marks around both pictures
        logits.append(VisionLanguage(language, eye, way)(pictures, ids).data)
    apart = np.abs(logits[0] - logits[1]).max()
    print(f"{logits[0].size:,} logits, largest difference {apart:.1e} (its GELU is the exact one)")


# %% [markdown]
# ## 6. One token for four patches (★★, 15 minutes)
#
# `stride_conv_proj(grid, W)`: GLM-4V's strided convolution. `grid` (G, G, I) are the patches of a picture
# on their grid, `W` (C, I, k, k) are the weights; k divides G. The window moves by k, so each square of k
# by k patches makes one token. Token number t is
# $\sum_{i, a, b} W[c, i, a, b] \cdot grid[k r + a, k q + b, i]$ for the square in row r and column q of
# squares, in reading order. Return ((G / k)², C). About 4 lines.
#
# *By hand.* G = 2, I = 1, k = 2, the grid ((1, 2), (3, 4)), and W = ((1, 0), (0, 10)): one token,
# 1 · 1 + 10 · 4 = 41. With 1,120 pixels in patches of 14, G is 80, and 6,400 patches become 1,600 tokens.
#
# <details><summary>Hint 1</summary>Two loops over squares are fine; so is one reshape to (G/k, k, G/k, k,
# I).</details>
# <details><summary>Hint 2</summary><code>np.einsum("raqbi,ciab->rqc", ...)</code> sums over a, b and
# i.</details>
# <details><summary>Hint 3</summary>Rows of the grid split into (r, a), columns into (q, b): a is the
# faster of the two.</details>


# %%
def stride_conv_proj(grid, W):
    """Tokens ((G / k)^2, C)."""
    ### BEGIN SOLUTION
    G, _, I = grid.shape  # noqa: E741
    C, _, k, _ = W.shape
    squares = grid.reshape(G // k, k, G // k, k, I)  # (r, a, q, b, i)
    return np.einsum("raqbi,ciab->rqc", squares, W).reshape(-1, C)
    ### END SOLUTION


# %%
check("stride_conv_proj")


# %% tags=["payoff"]
@payoff("stride_conv_proj")
def fewer_tokens():
    """Tokens of a picture of 1,120 by 1,120 pixels for three strides, by your function."""
    grid = np.zeros((80, 80, 2))
    counts = [len(stride_conv_proj(grid, np.zeros((3, 2, k, k)))) for k in (1, 2, 4)]
    bars(["stride 1", "2", "4"], counts, ylabel="tokens for the language model", numbers="{:,.0f}",
         alt="6,400, 1,600 and 400 tokens.")  # fmt: skip


# %% [markdown]
# ## 7. Queries (★★, 10 minutes)
#
# `qformer(x, queries, Wk, Wv)`: the heart of a Q-Former, with one head. `x` (S, I) is what the eye saw,
# `queries` (N, C) are learned, `Wk` and `Wv` (C, I) make a key and a value of each token of x. Each query
# mixes the values with the shares softmax(query · key / √C), over the S keys. Return (N, C): N tokens,
# whatever S is. Scores of 1,000 must not overflow. About 5 lines.
#
# *By hand.* C = 1, one query (2), two tokens x = ((0), (1)), Wk = ((1)), Wv = ((10)): the scores are 0
# and 2, the shares 0.119 and 0.881, the values 0 and 10; the answer is 8.81.
#
# <details><summary>Hint 1</summary><code>x @ Wk.T</code> are the keys (S, C); the scores are (N,
# S).</details>
# <details><summary>Hint 2</summary>Subtract the largest score of each row before
# <code>np.exp</code>.</details>
# <details><summary>Hint 3</summary>Shares sum to 1 over S, the last axis; then multiply them with the
# values (S, C).</details>


# %%
def qformer(x, queries, Wk, Wv):
    """Tokens (N, C)."""
    ### BEGIN SOLUTION
    keys, values = x @ Wk.T, x @ Wv.T
    scores = queries @ keys.T / queries.shape[1] ** 0.5
    shares = np.exp(scores - scores.max(1, keepdims=True))
    return shares / shares.sum(1, keepdims=True) @ values
    ### END SOLUTION


# %%
check("qformer")


# %% tags=["payoff"]
@payoff("qformer")
def queries_forget_the_order():
    """Three of your queries look at the 16 patches of a scene, in order and shuffled."""
    from minilm.data.images import scenes

    random = np.random.default_rng(0)
    x = patchify(scenes.draw(scenes.scenes(1, seed=3)[0]), 5)  # (16, 75)
    parts = random.normal(size=(3, 8)), random.normal(size=(8, 75)), random.normal(size=(8, 75))
    found = [qformer(rows, *parts) for rows in (x, x[random.permutation(16)])]
    heatmap(np.concatenate(found), numbers=None, xlabel="number", ylabel="three queries, twice",
            alt="The rows repeat: the order of the patches does not matter.")  # fmt: skip


# %% [markdown]
# ## 8. The visual expert (★★★, 25 minutes)
#
# `visual_expert(x, is_img, Wt, Wi)`: one layer of causal attention with one head, in which tokens of
# pictures have weights of their own. `x` is (T, C), `is_img` (T,) bool. `Wt` and `Wi` are tuples of four
# (C, C) matrices: queries, keys, values, output. Token t uses those of `Wi` where `is_img[t]` is True,
# else those of `Wt`, for all four. Token t looks at the tokens 0 to t, whatever they are, with the shares
# softmax(q · k / √C). Return (T, C). A text without a picture must not feel `Wi` at all, even if it holds
# nan. About 10 lines.
#
# *By hand.* C = 1, T = 1, x = ((3)), Wt = (1, 1, 2, 1), each as ((·)): a token alone looks at itself, so
# the answer is 3 · 2 · 1 = 6. If it is of a picture and Wi = (1, 1, 5, 2), it is 3 · 5 · 2 = 30.
#
# <details><summary>Hint 1</summary>Write a small function that sends each token through its own matrix:
# both products, then <code>np.where(is_img[:, None], ..., ...)</code>.</details>
# <details><summary>Hint 2</summary><code>np.tri(T, dtype=bool)</code> is who may look; others get a score
# of minus infinity.</details>
# <details><summary>Hint 3</summary>The output map comes after the mixing, and is chosen by the token that
# looks.</details>


# %%
def visual_expert(x, is_img, Wt, Wi):
    """(T, C)."""

    ### BEGIN SOLUTION
    def own(rows, text, img):
        return np.where(is_img[:, None], rows @ img.T, rows @ text.T)

    q, k, v = (own(x, Wt[i], Wi[i]) for i in range(3))
    scores = q @ k.T / x.shape[1] ** 0.5
    scores = np.where(np.tri(len(x), dtype=bool), scores, -np.inf)
    shares = np.exp(scores - scores.max(1, keepdims=True))
    return own(shares / shares.sum(1, keepdims=True) @ v, Wt[3], Wi[3])
    ### END SOLUTION


# %%
check("visual_expert")


# %% tags=["payoff"]
@payoff("visual_expert")
def train_the_expert():
    """Change the expert's weights as much as you like: what happens to text, and to pictures?"""
    random = np.random.default_rng(0)
    x, Wt = random.normal(size=(12, 8)), [random.normal(size=(8, 8)) for _ in range(4)]
    text, mixed = np.zeros(12, bool), np.arange(12) < 6
    moved = []
    for size in (0.0, 0.3, 3.0):
        Wi = [w + size * random.normal(size=w.shape) for w in Wt]
        moved.append([np.abs(visual_expert(x, m, Wt, Wi) - visual_expert(x, m, Wt, Wt)).mean()
                      for m in (text, mixed)])  # fmt: skip
    heatmap(np.array(moved).T, numbers="{:.2f}", xlabels=["0", "0.3", "3"],
            ylabels=["text alone", "with a picture"], xlabel="expert moved by",
            alt="Text alone does not move.")  # fmt: skip


# %% [markdown]
# ## 9. A narrow branch for small print (★★★, 20 minutes)
#
# `cross_attend_narrow(h, hi, Wq, Wk, Wv, Wo)`: CogAgent's branch, with one head. `h` (T, C) is the language
# model's stream, `hi` (S, D) are many tokens of a sharper picture. `Wq` is (d, C), `Wk` and `Wv` are (d, D)
# and `Wo` is (C, d), with d much smaller than C. Each row of h makes a query of d numbers, mixes the values
# with softmax(q · k / √d), and the result, through `Wo`, is **added** to h. With `Wo` of zeros nothing
# changes, to the last bit. About 6 lines.
#
# *By hand.* h = ((1, 2)), hi = ((4)), Wq = ((1, 0)), Wk = ((1)), Wv = ((3)), Wo = ((1), (0)): one key only,
# so its share is 1; the value is 12, and the answer is (1 + 12, 2) = (13, 2).
#
# <details><summary>Hint 1</summary>Queries come from h, keys and values from hi.</details>
# <details><summary>Hint 2</summary>The scale is √d, the width of a query, not √C.</details>
# <details><summary>Hint 3</summary><code>h + mixed @ Wo.T</code> is the last line.</details>


# %%
def cross_attend_narrow(h, hi, Wq, Wk, Wv, Wo):
    """(T, C)."""
    ### BEGIN SOLUTION
    q, k, v = h @ Wq.T, hi @ Wk.T, hi @ Wv.T
    scores = q @ k.T / q.shape[1] ** 0.5
    shares = np.exp(scores - scores.max(1, keepdims=True))
    return h + shares / shares.sum(1, keepdims=True) @ v @ Wo.T
    ### END SOLUTION


# %%
check("cross_attend_narrow")


# %% tags=["payoff"]
@payoff("cross_attend_narrow")
def it_starts_as_nothing():
    """How far the branch moves the stream as its last matrix grows from zero."""
    random = np.random.default_rng(0)
    h, hi = random.normal(size=(6, 32)), random.normal(size=(100, 8))
    maps = random.normal(size=(4, 32)), random.normal(size=(4, 8)), random.normal(size=(4, 8))
    out = random.normal(size=(32, 4))
    moved = [np.abs(cross_attend_narrow(h, hi, *maps, s * out) - h).mean() for s in (0, 0.1, 1)]
    bars(["zero", "0.1", "1"], moved, ylabel="stream moved by", numbers="{:.2f}",
         alt="With zeros the stream does not move.")  # fmt: skip
