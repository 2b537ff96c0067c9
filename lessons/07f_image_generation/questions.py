# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Images as tokens: build the quantizer, the masks and the loop that draws"
# ---

# %% [markdown]
# # Make tokens of pictures, and write them
#
# Each question asks for one function. Write it, run its cell, then run `check("...")`: it answers
# at once. When a check passes, the cell below it puts **your function to work** on real handwritten
# digits.
#
# The first takes two minutes. The stars say how hard a question is, from ★ to ★★★, and the hints
# below it are folded away: open the next one only when you are stuck.
#
# Arrays are NumPy's. Leave your arguments as they are. Everything asked for here stands in
# [the lesson](../lessons/07f_image_generation.ipynb).

# %%
import numpy as np

from minilm.course import bars, check, heatmap, images, payoff

# %% [markdown]
# ## 1. Pixels as tokens (★, 2 minutes)
#
# `grey(picture, levels)`: a picture (H, W) of numbers from 0 to 1 as a text of H · W tokens in reading
# order, int64. There are `levels` grey levels, equally far apart, from 0 for 0 to levels − 1 for 1;
# each pixel takes the nearest. About 1 line.
#
# *By hand.* 5 levels stand for 0, 0.25, 0.5, 0.75, 1. The picture ((0, 1), (0.3, 0.6)) becomes (0, 4,
# 1, 2).
#
# <details><summary>Hint 1</summary>Multiply by levels − 1, then round.</details>
# <details><summary>Hint 2</summary><code>np.rint</code> rounds, <code>.reshape(-1)</code> gives one
# row.</details>
# <details><summary>Hint 3</summary><code>.astype(np.int64)</code> alone cuts off, so round
# first.</details>


# %%
def grey(picture, levels):
    """Tokens (H W,)."""
    ### BEGIN SOLUTION
    return np.rint(picture * (levels - 1)).astype(np.int64).reshape(-1)
    ### END SOLUTION


# %%
check("grey")


# %% tags=["payoff"]
@payoff("grey")
def how_few_levels_will_do():
    """A real digit in 17, 4 and 2 of your levels."""
    from minilm.data.images import digits

    picture = digits()[0][12]
    shown = [grey(picture, n).reshape(8, 8) / (n - 1) for n in (17, 4, 2)]
    images(shown, titles=["17 levels", "4", "2"], alt="A digit in 17, in 4 and in 2 grey levels.")


# %% [markdown]
# ## 2. The nearest code, and the way back (★★, 15 minutes)
#
# `vq(z, codes, grad_code, beta)`: vector quantisation. `z` is (N, D), `codes` is (K, D), `grad_code` is
# (N, D): what the decoder's loss says about the codes it was given. Return `(ids, e, loss, grad_z)`:
#
# - `ids` (N,) integers, the nearest code of each vector (squared distance; the first of equal ones);
# - `e` (N, D), the codes chosen;
# - `loss`, a number: the mean of (z − e)² over all numbers, times 1 + beta;
# - `grad_z` (N, D): straight through, plus the pull of beta times the mean of (z − e)².
#
# float32 in gives float32 out, for `e` and `grad_z`. About 5 lines.
#
# *By hand.* z = ((1, 2)), codes ((0, 2), (3, 3)), grad_code ((−2, 0)), beta 0.25: code 0 at distance 1,
# e = ((0, 2)), loss 1.25 · 0.5 = 0.625, grad_z = ((−1.75, 0)).
#
# <details><summary>Hint 1</summary><code>z[:, None] - codes</code> is (N, K, D).</details>
# <details><summary>Hint 2</summary>Straight through means that <code>grad_code</code> itself is the
# first part of <code>grad_z</code>.</details>
# <details><summary>Hint 3</summary>The derivative of the mean of (z − e)² is 2 (z − e) / n, where n is
# <code>z.size</code>, not <code>len(z)</code>.</details>


# %%
def vq(z, codes, grad_code, beta):
    """(ids, e, loss, grad_z)."""
    ### BEGIN SOLUTION
    ids = ((z[:, None] - codes) ** 2).sum(-1).argmin(1)
    e = codes[ids]
    loss = (1 + beta) * ((z - e) ** 2).mean()
    return ids, e, loss, grad_code + 2 * beta * (z - e) / z.size
    ### END SOLUTION


# %%
check("vq")


# %% tags=["payoff"]
@payoff("vq")
def sixteen_patches_for_all():
    """A codebook of 16 patches that were picked at random, and a digit painted with them."""
    from minilm.data.images import digits

    x = digits()[0]
    patches = x.reshape(-1, 4, 2, 4, 2).swapaxes(2, 3).reshape(-1, 4)  # (N 16, 4)
    codes = patches[np.random.default_rng(0).integers(0, len(patches), 16)]
    painted = vq(patches[:160], codes, 0 * patches[:160], 0.25)[1]
    back = painted.reshape(-1, 4, 4, 2, 2).swapaxes(2, 3).reshape(-1, 8, 8)
    images([*x[:10], *back], columns=10, alt="Ten digits, and the same painted with 16 patches.")


# %% [markdown]
# ## 3. Codes that follow (★★, 10 minutes)
#
# `vq_ema(N, m, ids, z, gamma)`: running counts `N` (K,) and sums `m` (K, D) of a codebook, after one
# batch `z` (n, D) that chose the codes `ids` (n,). Both keep a share `gamma` of what they were, and take
# 1 − gamma of the batch: how many vectors chose each code, and the sum of those. Return the new
# `(N, m)`. About 4 lines.
#
# *By hand.* One code, N = (2), m = ((4, 0)), and two vectors (0, 1) and (0, 3) choose it, gamma 0.5.
# Then N = (0.5 · 2 + 0.5 · 2) = (2), and m = ((2, 0)) + 0.5 · ((0, 4)) = ((2, 2)). The code moves from
# (2, 0) to (1, 1).
#
# <details><summary>Hint 1</summary>A matrix (n, K) with a 1 where vector i chose code k gives both:
# its column sums, and its transpose times z.</details>
# <details><summary>Hint 2</summary><code>np.eye(len(N))[ids]</code> is that matrix.</details>
# <details><summary>Hint 3</summary><code>np.add.at(sums, ids, z)</code> adds up rows too;
# <code>sums[ids] += z</code> does not: of several equal ids only one counts.</details>


# %%
def vq_ema(N, m, ids, z, gamma):
    """The new (N, m)."""
    ### BEGIN SOLUTION
    chose = np.eye(len(N))[ids]
    return gamma * N + (1 - gamma) * chose.sum(0), gamma * m + (1 - gamma) * chose.T @ z
    ### END SOLUTION


# %%
check("vq_ema")


# %% tags=["payoff"]
@payoff("vq_ema")
def your_codebook_learns():
    """A codebook of 16 patches follows real digits through your vq and your averages."""
    from minilm.data.images import digits

    patches = digits()[0].reshape(-1, 4, 2, 4, 2).swapaxes(2, 3).reshape(-1, 4)
    random = np.random.default_rng(0)
    m, N, lost = patches[random.integers(0, len(patches), 16)].astype(float), np.ones(16), []
    for _ in range(60):
        z = patches[random.integers(0, len(patches), 500)]
        ids, e, _, _ = vq(z, m / N[:, None], 0 * z, 0.25)
        lost.append(((z - e) ** 2).mean())
        N, m = vq_ema(N, m, ids, z, 0.9)
        N = np.maximum(N, 1e-9)
    bars(["first batch", "last"], [lost[0], np.mean(lost[-10:])], ylabel="error", numbers="{:.4f}",
         alt="The error of your codebook falls.")  # fmt: skip
    images((m / N[:, None]).reshape(-1, 2, 2), columns=8, alt="The 16 patches of your codebook.")


# %% [markdown]
# ## 4. Wake the dead (★★, 10 minutes)
#
# `revive(N, m, z, least)`: a code whose running count is below `least` is dead. The first dead code is
# put onto the first vector of the batch `z` (n, D), the second one onto the second vector, and so on,
# from the beginning again when the vectors run out. A revived code has the count 1, and the sum that
# makes it the vector. Return new `(N, m)`; living codes stay as they are. About 5 lines.
#
# *By hand.* N = (0.1, 3, 0.2), least 0.5, z = ((7, 7), (8, 8)): codes 0 and 2 are dead, so N = (1, 3, 1)
# and the rows 0 and 2 of m become (7, 7) and (8, 8).
#
# <details><summary>Hint 1</summary><code>np.flatnonzero(N &lt; least)</code> lists the dead
# codes.</details>
# <details><summary>Hint 2</summary>Of d dead codes, number i takes vector i modulo n:
# <code>z[np.arange(d) % len(z)]</code>.</details>
# <details><summary>Hint 3</summary>Copy N and m before you change them.</details>


# %%
def revive(N, m, z, least):
    """The new (N, m), with no dead code left."""
    ### BEGIN SOLUTION
    N, m = N.copy(), m.copy()
    dead = np.flatnonzero(N < least)
    m[dead], N[dead] = z[np.arange(len(dead)) % len(z)], 1
    return N, m
    ### END SOLUTION


# %%
check("revive")


# %% tags=["payoff"]
@payoff("revive")
def all_codes_work():
    """64 codes that start far from all patches, without your cure and with it."""
    from minilm.data.images import digits

    patches = digits()[0].reshape(-1, 4, 2, 4, 2).swapaxes(2, 3).reshape(-1, 4)
    used = []
    for cure in (False, True):
        random = np.random.default_rng(0)
        m, N = random.normal(size=(64, 4)) + 5, np.ones(64)
        for _ in range(60):
            z = patches[random.integers(0, len(patches), 500)]
            ids = vq(z, m / N[:, None], 0 * z, 0.25)[0]
            N, m = vq_ema(N, m, ids, z, 0.9)
            if cure:
                N, m = revive(N, m, z, 0.5)
            N = np.maximum(N, 1e-9)
        used.append(len(np.unique(ids)))
    bars(["without", "with your cure"], used, ylabel="codes in use, of 64",
         alt="With the cure most codes are in use.")  # fmt: skip


# %% [markdown]
# ## 5. Are the codes in use? (★, 5 minutes)
#
# `usage(ids, size)`: `(used, perplexity)` of a codebook of `size` codes. `ids` is an integer array of any
# shape; `used` is the number of different codes in it, and the perplexity is $e$ to the entropy
# $-\sum_k p_k \ln p_k$, where $p_k$ is the share of the ids that are $k$. Codes that are not there add
# nothing. About 4 lines.
#
# *By hand.* ids (0, 0, 5, 2) of 8 codes: three are in use, with the shares 1/2, 1/4, 1/4. The entropy is
# 0.5 ln 2 + 0.5 ln 4 = 1.04, and the perplexity $e^{1.04}$ = 2.83.
#
# <details><summary>Hint 1</summary><code>np.bincount(ids.ravel(), minlength=size)</code> counts
# them.</details>
# <details><summary>Hint 2</summary>0 · ln 0 is nan in NumPy: keep the shares above 0 only.</details>
# <details><summary>Hint 3</summary><code>np.exp(-(p * np.log(p)).sum())</code></details>


# %%
def usage(ids, size):
    """(used, perplexity)."""
    ### BEGIN SOLUTION
    p = np.bincount(ids.ravel(), minlength=size) / ids.size
    p = p[p > 0]
    return len(p), np.exp(-(p * np.log(p)).sum())
    ### END SOLUTION


# %%
check("usage")


# %% tags=["payoff"]
@payoff("usage")
def words_are_uneven_too():
    """Your perplexity of the letters of a text, beside the grey levels of the digits."""
    from minilm.data.images import digits

    text = np.frombuffer(b"the quick brown fox jumps over the lazy dog and then sleeps", np.uint8)
    for name, ids, size in (("letters", text, 256), ("pixels", grey(digits()[0][0], 17), 17)):
        used, even = usage(ids.astype(int), size)
        print(f"{name}: {used} of {size} in use, as good as {even:.1f} used evenly")


# %% [markdown]
# ## 6. One sequence (★★, 10 minutes)
#
# `sequence(words, codes, size, vocabulary)`: text and pictures as rows of one sequence. `words` is (B,
# n), whole numbers from 0 to vocabulary − 1; `codes` is (B, t), from 0 to size − 1. In the sequence codes
# keep their ids, words come after all codes, and one more id, the last, is the start. Each row is start,
# words, codes: int64 (B, 1 + n + t). About 2 lines.
#
# *By hand.* size 4, vocabulary 3: codes are 0 to 3, words 4 to 6, the start is 7. The word 2 and the codes
# (3, 0) make (7, 6, 3, 0).
#
# <details><summary>Hint 1</summary>The start's id is size + vocabulary.</details>
# <details><summary>Hint 2</summary><code>np.full((len(words), 1), size + vocabulary)</code></details>
# <details><summary>Hint 3</summary><code>np.concatenate([...], axis=1)</code></details>


# %%
def sequence(words, codes, size, vocabulary):
    """Rows (B, 1 + n + t)."""
    ### BEGIN SOLUTION
    start = np.full((len(words), 1), size + vocabulary)
    return np.concatenate([start, words + size, codes], axis=1).astype(np.int64)
    ### END SOLUTION


# %%
check("sequence")


# %% tags=["payoff"]
@payoff("sequence")
def cogview_by_count():
    """How long a sequence is, and how many ids there are."""
    for name, n, side, size, words in (
        ("our digits", 1, 4, 64, 10),
        ("CogView", 64, 32, 8192, 50000),
    ):
        row = sequence(np.zeros((1, n), int), np.zeros((1, side**2), int), size, words)
        print(f"{name}: {row.shape[1]:,} tokens of {row.max() + 1:,} ids")


# %% [markdown]
# ## 7. Three tasks, one mask (★★★, 15 minutes)
#
# `coglm_mask(kind, nt, ni, covered)`: who sees whom in a sequence of one start token, `nt` tokens of text
# and `ni` of picture: bool (T, T) with T = 1 + nt + ni, True where the row may look at the column. What is
# hidden depends on the kind:
#
# - `"draw"`: the picture;
# - `"tell"`: the text;
# - `"fill"`: those tokens of the picture for which `covered`, bool (ni,), is True.
#
# (`covered` is None for the other two.) Everyone sees what is not hidden, later tokens too. A hidden token
# also sees itself and the hidden ones before it. Nobody else sees a hidden token. About 9 lines.
#
# *By hand.* "draw" with nt = 1 and ni = 2: start and word are shown, the last two hidden. The rows are
# 1100, 1100, 1110, 1111: 4 + 4 + 3 = 11 ones.
#
# <details><summary>Hint 1</summary>First make <code>hidden</code>, bool (T,). The mask is the same
# formula for all kinds.</details>
# <details><summary>Hint 2</summary><code>~hidden[None, :]</code> is what all may see;
# <code>hidden[:, None] &amp; hidden[None, :]</code> are pairs of hidden ones.</details>
# <details><summary>Hint 3</summary><code>np.tri(T, dtype=bool)</code> is True on and below the
# diagonal.</details>


# %%
def coglm_mask(kind, nt, ni, covered=None):
    """(T, T) bool."""
    ### BEGIN SOLUTION
    hidden = np.zeros(1 + nt + ni, bool)
    if kind == "draw":
        hidden[1 + nt :] = True
    elif kind == "tell":
        hidden[1 : 1 + nt] = True
    else:
        hidden[1 + nt :] = covered
    both = hidden[:, None] & hidden[None, :]
    return ~hidden[None, :] | (both & np.tri(len(hidden), dtype=bool))
    ### END SOLUTION


# %%
check("coglm_mask")


# %% tags=["payoff"]
@payoff("coglm_mask")
def the_mask_of_a_masked_autoencoder():
    """Your mask where every other token of a picture is covered."""
    mask = coglm_mask("fill", 2, 8, np.arange(8) % 2 == 1)
    heatmap(mask.astype(float), numbers=None, low=0, high=1, xlabel="is looked at", ylabel="looks",
            alt="Covered columns are empty but for covered rows below.")  # fmt: skip


# %% [markdown]
# ## 8. Draw by chance (★★, 10 minutes)
#
# `pick(logits, u, temperature)`: one id for each row of `logits` (N, V), drawn by its probability,
# with the random numbers `u` (N,), each from 0 up to 1. Divide the logits by the temperature, take the
# softmax $p$, and walk along the row: the id is the first k with $p_0 + \dots + p_k > u$. A temperature of
# 0 takes the largest logit, whatever u is. Logits of 1,000 must not overflow. int64 (N,). About 7 lines.
#
# *By hand.* Logits (ln 2, 0, 0) at temperature 1: p = (0.5, 0.25, 0.25), sums 0.5, 0.75, 1. u = 0.6 gives
# id 1, u = 0.4 gives 0, u = 0.9 gives 2.
#
# <details><summary>Hint 1</summary>Subtract the largest of the row before
# <code>np.exp</code>.</details>
# <details><summary>Hint 2</summary><code>np.cumsum(p, axis=1)</code> is where you walk.</details>
# <details><summary>Hint 3</summary><code>(sums &gt; u[:, None]).argmax(1)</code> is the first True.
# Rounding may leave the last sum just below 1: compare with u times the last sum.</details>


# %%
def pick(logits, u, temperature):
    """Ids (N,)."""
    ### BEGIN SOLUTION
    if temperature == 0:
        return logits.argmax(1)
    scaled = logits.astype(np.float64) / temperature
    sums = np.cumsum(np.exp(scaled - scaled.max(1, keepdims=True)), axis=1)
    return (sums > u[:, None] * sums[:, -1:]).argmax(1)
    ### END SOLUTION


# %%
check("pick")


# %% tags=["payoff"]
@payoff("pick")
def your_code_draws_digits():
    """A VQ-VAE and a Transformer of the package learn real digits; your sequence and pick draw."""
    from minilm import nn
    from minilm.data.images import digits
    from minilm.models import Config, Transformer
    from minilm.tensor import no_grad
    from minilm.train import train
    from minilm.train.vq import train_vqvae
    from minilm.vision.vqvae import VqVae

    x, y = digits()
    x = 2 * x[:, None] - 1  # (N, 1, 8, 8)
    nn.manual_seed(0)
    book, random = VqVae(patch=2, codes=64), np.random.default_rng(0)
    train_vqvae(book, x, 200, lr=4e-3, revive=0.5)
    rows = sequence(y[:, None], book.tokens(x), 64, 10)  # (N, 18)
    writer = Transformer(Config(75, 18, layers=2, heads=4, channels=48, tie=False))

    def batch(step):
        chosen = rows[np.random.default_rng(step).integers(0, len(rows), 64)]
        return chosen[:, :-1], chosen[:, 1:]

    train(writer, batch, 300, lr=5e-3, progress=False)
    line = sequence(np.tile(np.arange(10), 3)[:, None], np.zeros((30, 0), int), 64, 10)
    with no_grad():
        for _ in range(16):
            logits = writer(line).data[:, -1, :64]
            line = np.concatenate([line, pick(logits, random.random(30), 0.8)[:, None]], 1)
    made = book.pictures(line[:, 2:], 4, 4)[:, 0]
    images(-made, columns=10, low=-1, high=1, alt="Thirty digits that your code has drawn.")
