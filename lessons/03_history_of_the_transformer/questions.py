# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "The history of the transformer: from two stacks to one"
# ---

# %% [markdown]
# # From two stacks to one
#
# The transformer of 2017 has an encoder and a decoder; today's chat models have a decoder only.
# Hyung Won Chung names four differences between them and takes one after the other away (CS25 V4,
# 54:36-56:56). Here you take the same walk in plain NumPy, then count what each design costs.
#
# Write a function, run its cell, then run `check("...")`: it answers at once. When a check passes,
# the cell below it puts **your function into the real package**. The stars say how hard a question
# is, from ★ to ★★★, and its hints are folded away: open the next one only when you are stuck.
#
# Leave your arguments as they are. The dtype that comes in goes out, float32 for float32 and float64
# for float64, and a count is a whole number.
# Everything asked for here stands in [the lesson](../lessons/03_history_of_the_transformer.ipynb).
#
# The next cell is given. A layer is a dictionary of matrices, shaped (outputs, inputs): `q`, `k`,
# `v`, `o` (C, C) for attention with one head, `up` (4C, C) and `down` (C, 4C) for the feed-forward.

# %%
import numpy as np

import minilm
from minilm.course import bars, check, figure, heatmap, lines, payoff
from minilm.models import (
    Config,
    EncoderDecoder,
    Transformer,
    model_of,
    single_stack,
    walk_step,
)


def norm(x):
    """Each row divided by the root of its mean square (RMSNorm, arXiv 1910.07467)."""
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5)


def mix(q, k, v, mask):
    """q (T, C) looks at k, v (S, C) where mask (T, S) is True; mask=True: everywhere."""
    scores = np.where(mask, q @ k.T * q.shape[-1] ** -0.5, -np.inf)
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    return shares / shares.sum(-1, keepdims=True) @ v


def look(x, seen, w, mask):
    """Attention: the rows of x (T, C) look at the rows of seen (S, C) by the weights w."""
    return mix(x @ w["q"].T, seen @ w["k"].T, seen @ w["v"].T, mask) @ w["o"].T


def feed(x, w):
    """The feed-forward part of a layer, (T, C) -> (T, C)."""
    return np.maximum(x @ w["up"].T, 0) @ w["down"].T


# %% [markdown]
# The next cell is given too. It ties your functions to the real `Transformer`; the questions do not
# need it.


# %%
def real(step=0, kind=None, merged=False, **sizes):
    """A real model of the same make: one head, RMSNorm, ReLU, no biases, `step`s into the walk."""
    shape = {"vocab_size": 11, "context": 32, "layers": 2, "heads": 1, "channels": 32} | sizes
    make = {"norm": "rms", "norm_affine": False, "bias": False, "activation": "relu"}
    make |= {"init_std": 0.1, "kind": kind or "encoder-decoder"}
    config = Config.from_dict({**shape, **make})
    return model_of(config if kind else walk_step(config, step, merged))


def matrices(block):
    """One layer of a real model, and its cross-attention if it has one, as dictionaries."""
    names = dict(zip("qkv", np.split(block.attention.qkv.weight.data, 3)))
    layer = {**names, "o": block.attention.out.weight.data}
    layer |= {part: getattr(block.feed_forward, part).weight.data for part in ("up", "down")}
    if not hasattr(block, "cross"):
        return layer, None
    k, v = np.split(block.cross.key_value.weight.data, 2)
    q, o = block.cross.query.weight.data, block.cross.out.weight.data
    return layer, {"q": q, "k": k, "v": v, "o": o}


def weights(model):
    """A real encoder-decoder's matrices: three lists of L."""
    decoder, cross = zip(*map(matrices, model.decoder.blocks))
    encoder = [matrices(block)[0] for block in model.encoder.blocks]
    return {"encoder": encoder, "decoder": list(decoder), "cross": list(cross)}


def on_yours(model, function):
    """A copy of a real encoder-decoder whose layers are `function(model, source, target)`."""
    from minilm.models.embed import embed

    class OnYours(EncoderDecoder):
        def hidden(self, ids, target_ids, **_):
            sources = embed(self, ids, 0)[0].data  # (B, S, C)
            targets = embed(self, target_ids, ids.shape[1])[0].data  # (B, T, C)
            pairs = zip(sources, targets)
            return minilm.tensor(np.stack([function(model, s, t) for s, t in pairs]))

    twin = OnYours(model.config)
    twin.load_state_dict(model.state_dict())
    return twin


# %% [markdown]
# ## 1. One row (★, 2 minutes)
#
# A decoder-only model does a supervised task by concatenation (53:12). `one_row(source, target,
# begin)`: whole numbers, source (S,) and target (T,), T at least 1. Return two arrays (S + T,):
#
# - what the model reads: the source, then the number `begin`, then the target without its last
#   token;
# - what it must predict at each place: -100, which no loss counts, for the S places of the source,
#   then the target.
#
# About 3 lines.
#
# *By hand.* Source 5 6, target 7 8, begin 0: it reads `5 6 0 7` and predicts `-100 -100 7 8`. At
# the place of `0` it must say 7, at the place of `7` it must say 8.
#
# <details><summary>Hint 1</summary><code>np.concatenate</code> takes a list of arrays and
# lists.</details>
# <details><summary>Hint 2</summary>A single number becomes a piece of the row when it stands in
# brackets: <code>[begin]</code>.</details>
# <details><summary>Hint 3</summary><code>target[:-1]</code> is all but the last;
# <code>np.full(len(source), -100)</code> are the silent places.</details>


# %%
def one_row(source, target, begin):
    """(what the model reads, what it must predict), whole numbers (S + T,) each."""
    ### BEGIN SOLUTION
    read = np.concatenate([source, [begin], target[:-1]])
    return read, np.concatenate([np.full(len(source), -100), target])
    ### END SOLUTION


# %%
check("one_row")


# %% tags=["payoff"]
@payoff("one_row")
def a_decoder_translates():
    """A real decoder-only model learns to translate, from rows that you made."""
    from minilm.data import toys

    world = toys.Translation(words=12, length=3)
    model = real(kind="decoder", vocab_size=world.vocab_size, context=6)
    optimizer, losses = minilm.optim.AdamW(model.parameters(), lr=1e-2), []
    for step in range(80):
        pairs = world.sample(32, seed=step)
        rows = [one_row(s, t, 3 * world.words) for s, t in zip(pairs.source, pairs.target)]
        read, wanted = map(np.stack, zip(*rows))
        loss = model.loss(read, wanted)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    lines(
        None,
        {"": losses},
        xlabel="step",
        ylabel="nats per word",
        expected={"by guessing": np.log(24)},
        ylim=(0, None),
        alt="The loss falls from that of guessing to nearly nothing.",
    )


# %% [markdown]
# ## 2. Who sees whom (★, 5 minutes)
#
# Write the input in front of the target. `mask(kind, n_in, n_tgt)` is boolean, (n, n) with
# n = n_in + n_tgt; row t, column s is **True where token t may look at token s**. Three kinds:
#
# - `"causal"`: every token looks at itself and at what stands before it;
# - `"prefix"`: input tokens look at the whole input, target tokens at the whole input, at
#   themselves and at the target before them;
# - `"encdec"`: what an encoder-decoder lets through: the encoder's self-attention, the
#   cross-attention and the decoder's causal self-attention, drawn into one square.
#
# A causal mask has $n(n+1)/2$ ones, the others have $n_{in}^2 + n_{in} n_{tgt} +
# n_{tgt}(n_{tgt}+1)/2$. A side may be empty. About 4 lines.
#
# *By hand.* Two input tokens and one target token. Causal: rows `1 0 0`, `1 1 0`, `1 1 1`, six
# ones. Prefix: `1 1 0`, `1 1 0`, `1 1 1`, which is 4 + 2 + 1 = 7.
#
# <details><summary>Hint 1</summary><code>np.tri(n, dtype=bool)</code> is the lower triangle: itself
# and the past.</details>
# <details><summary>Hint 2</summary><code>np.arange(n) &lt; n_in</code> is True in the columns of
# the input.</details>
# <details><summary>Hint 3</summary>Prefix is the triangle <b>or</b> the input's columns. Then
# think: does an encoder-decoder let anything else through?</details>


# %%
def mask(kind, n_in, n_tgt):
    """Boolean, (n_in + n_tgt, n_in + n_tgt); True where the row's token may look."""
    ### BEGIN SOLUTION
    n = n_in + n_tgt
    past = np.tri(n, dtype=bool)
    return past if kind == "causal" else past | (np.arange(n) < n_in)
    ### END SOLUTION


# %%
check("mask")


# %% tags=["payoff"]
@payoff("mask")
def who_feels_a_change():
    """A real model on your mask: change one token, and see whose answers change."""
    from minilm.nn import Sight

    n_in, n_tgt = 6, 5
    n = n_in + n_tgt
    ids = np.tile(np.arange(n) % 10, (n + 1, 1))
    ids[np.arange(n), np.arange(n)] += 1  # text s has another token at place s
    model = real(kind="decoder")
    alt = "Causal: a triangle. Prefix: the six input tokens also feel each other, a full square."
    with figure(1, 2, alt=alt) as panels:
        for kind, panel in zip(("causal", "prefix"), panels):

            def on_your_mask(config, x, queries, keys, kind=kind, **rest):
                return Sight(mask=mask(kind, n_in, n_tgt))

            with minilm.use(self_sight=on_your_mask):
                logits = model(ids).data
            change = np.abs(logits[:n] - logits[n]).max(-1).T
            heatmap(
                change > 1e-4,  # rounding is smaller
                numbers=None,
                title=kind,
                xlabel="token that was changed",
                ylabel="token that answers",
                ax=panel,
            )


# %% [markdown]
# ## 3. What is scored (★★, 8 minutes)
#
# A single stack learns "input, then target" as one text: the token at place t predicts the one at
# t + 1. Only the prediction of **target** tokens counts, not that of the input, and not that of
# padding (the prefix-LM of T5, arXiv 1910.10683, section 3.2).
#
# `prefix_lm_loss_mask(n_in, n, width)`: B texts padded on the right to `width`. Text b has `n[b]`
# tokens, of which the first `n_in[b]` are its input; both are whole-number arrays (B,). Return
# booleans (B, width), **True at t if the token at t + 1 is a target token**.
#
# The last *input* token already predicts the target; the last *target* token predicts nothing.
# Without any input the first target token is predicted by nobody. About 2 lines.
#
# *By hand.* 2 input tokens, 4 in all, width 6: `0 1 1 0 0 0`.
#
# <details><summary>Hint 1</summary>Write down for every place t which token comes after
# it.</details>
# <details><summary>Hint 2</summary>The token after place t is number t + 1. It must be
# <code>n_in</code> or later, and before <code>n</code>.</details>
# <details><summary>Hint 3</summary><code>after = np.arange(1, width + 1)</code>, and <code>n_in[:,
# None]</code> makes a column of the B numbers.</details>


# %%
def prefix_lm_loss_mask(n_in, n, width):
    """Booleans (B, width): True where the next token is a target token."""
    ### BEGIN SOLUTION
    after = np.arange(1, width + 1)
    return (after >= n_in[:, None]) & (after < n[:, None])
    ### END SOLUTION


# %%
check("prefix_lm_loss_mask")


# %% tags=["payoff"]
@payoff("prefix_lm_loss_mask")
def where_the_loss_looks():
    """A prefix-LM learns to reverse strings, scored by your mask and scored everywhere."""
    rows = np.random.default_rng(0)

    def texts(count):
        """Strings of 2 to 5 letters, each followed by itself reversed; 10 is padding."""
        n_in = rows.integers(2, 6, count)
        ids = np.full((count, 10), 10)
        for text, m in zip(ids, n_in):
            letters = rows.integers(0, 10, m)
            text[: 2 * m] = [*letters, *letters[::-1]]
        return ids, n_in

    curves = {}
    for name in ("target only", "everything"):
        model, losses = real(kind="prefix-lm", context=10), []
        optimizer = minilm.optim.AdamW(model.parameters(), lr=1e-2)
        for _ in range(150):
            ids, n_in = texts(32)
            scored = prefix_lm_loss_mask(n_in, 2 * n_in, 10)
            following = np.roll(ids, -1, axis=1)
            asked = np.where(scored, following, -100)
            given = asked if name == "target only" else following
            model.loss(ids, given, prefix=n_in).backward()
            optimizer.step()
            optimizer.zero_grad()
            with minilm.no_grad():
                losses.append(model.loss(ids, asked, prefix=n_in).item())
        curves[name] = losses
    lines(
        None,
        curves,
        xlabel="step",
        ylabel="nats per target letter",
        ylim=(0, None),
        alt="Two losses on the target letters, learned with your mask and learned without it.",
    )


# %% [markdown]
# ## 4. The encoder-decoder (★★, 12 minutes)
#
# `encdec_forward(w, source, target)`: source (S, C) and target (T, C) are embedded already. `w` has
# three lists of L: `w["encoder"]` and `w["decoder"]` of layers, `w["cross"]` of `q`, `k`, `v`, `o`.
# Every part reads a norm of the stream and is added to it (arXiv 1706.03762, norms put first):
#
# $$x \leftarrow x + \mathrm{look}(\mathrm{norm}\,x, \ldots), \qquad
# x \leftarrow x + \mathrm{feed}(\mathrm{norm}\,x)$$
#
# - encoder layer: the source looks at all of itself, then feed;
# - `read` = norm of the source **after the last encoder layer**;
# - decoder layer l: the target looks at itself, causally; then at `read`, all of it, by `cross[l]`;
#   then feed.
#
# Return norm(target), (T, C). About 10 lines.
#
# *By hand.* If every `o` and `down` is zero, nothing is added, and the answer is norm(target): the
# row (3, 4) has the mean square 12.5 and becomes (3, 4) / 3.54 = (0.85, 1.13).
#
# <details><summary>Hint 1</summary>Run the whole encoder before you begin with the
# decoder.</details>
# <details><summary>Hint 2</summary>The encoder's mask is <code>True</code>, the target's own is
# <code>np.tri(T, dtype=bool)</code>.</details>
# <details><summary>Hint 3</summary>Three lines a decoder layer: <code>target = target +
# look(...)</code> at itself, the same at <code>read</code> by <code>cross[l]</code>, then
# <code>feed</code>.</details>


# %%
def encdec_forward(w, source, target):
    """What leaves the decoder, (T, C)."""
    ### BEGIN SOLUTION
    past = np.tri(len(target), dtype=bool)
    for layer in w["encoder"]:
        source = source + look(norm(source), norm(source), layer, True)
        source = source + feed(norm(source), layer)
    read = norm(source)
    for layer, cross in zip(w["decoder"], w["cross"]):
        target = target + look(norm(target), norm(target), layer, past)
        target = target + look(norm(target), read, cross, True)
        target = target + feed(norm(target), layer)
    return norm(target)
    ### END SOLUTION


# %%
check("encdec_forward")


# %% tags=["payoff"]
@payoff("encdec_forward")
def a_trained_model_on_your_layers():
    """The package trains a model to reverse strings; then your function runs it."""
    from minilm.data import toys

    model = real()
    optimizer = minilm.optim.AdamW(model.parameters(), lr=1e-2)
    for step in range(300):
        pairs = toys.copy(32, 5, symbols=8, reverse=True, seed=step)
        model.loss(pairs.source, pairs.fed, pairs.target).backward()
        optimizer.step()
        optimizer.zero_grad()
    yours = on_yours(model, lambda m, s, t: encdec_forward(weights(m), s, t))
    pairs = toys.copy(4, 5, symbols=8, reverse=True, seed=1000)
    fed = pairs.fed[:, :1]
    for _ in range(5):  # letter by letter: nobody but the model knows the target
        fed = np.hstack([fed, yours(pairs.source, fed).data[:, -1:].argmax(-1)])
    for source, written in zip(pairs.source, fed[:, 1:]):
        print("".join("abcdefgh-.^"[i] for i in source), end=" -> ")
        print("".join("abcdefgh-.^"[i] for i in written))
    gap = yours(pairs.source, pairs.fed).data - model(pairs.source, pairs.fed).data
    print(f"largest difference between your logits and the package's: {np.abs(gap).max():.0e}")


# %% [markdown]
# ## 5. Steps 1 and 2: share weights (★★, 10 minutes)
#
# Two places share a weight when they hold **the same array**, not an equal one.
#
# - `share_cross(w)`: the cross-attention of layer l uses the `q`, `k`, `v`, `o` of decoder layer l.
# - `share_stacks(w)`: the encoder uses the decoder's layers.
# - `walk_sizes(w)`: three whole numbers: how many numbers there are to learn in `w`, after step 1,
#   and after step 1 and then step 2. An array that stands in several places counts once
#   (`id(array)` tells one from another).
#
# The first two return a new dictionary of the same form and leave `w` as it is. With L layers on
# each side and a feed-forward of 4C the sizes are
#
# $$28\,L C^2 \;\to\; 24\,L C^2 \;\to\; 12\,L C^2$$
#
# but count the arrays that are there: a feed-forward may have another width. About 2, 1 and 6
# lines.
#
# *By hand.* L = 1 and C = 2: attention has 4 · 4 = 16 numbers, the feed-forward 2 · 16 = 32.
# Encoder 48, decoder 48, cross-attention 16: 112. After step 1, 96; after step 2, 48.
#
# <details><summary>Hint 1</summary><code>{**w, "cross": ...}</code> is a new dictionary with one
# part replaced.</details>
# <details><summary>Hint 2</summary>A copy is another array, and not shared: put the very arrays of
# <code>w["decoder"]</code> into <code>"cross"</code>.</details>
# <details><summary>Hint 3</summary>Collect <code>{id(array): array.size}</code> over all arrays of
# all layers, and add up its values.</details>


# %%
def share_cross(w):
    """Step 1: cross-attention by the decoder's own attention weights."""
    ### BEGIN SOLUTION
    own = [{name: layer[name] for name in ("q", "k", "v", "o")} for layer in w["decoder"]]
    return {**w, "cross": own}
    ### END SOLUTION


# %%
def share_stacks(w):
    """Step 2: one stack of weights for both sides."""
    ### BEGIN SOLUTION
    return {**w, "encoder": w["decoder"]}
    ### END SOLUTION


# %%
def walk_sizes(w):
    """[numbers in w, after step 1, after steps 1 and 2]."""

    ### BEGIN SOLUTION
    def count(w):
        arrays = [a for part in w.values() for layer in part for a in layer.values()]
        return sum({id(a): a.size for a in arrays}.values())

    tied = share_cross(w)
    return [count(w), count(tied), count(share_stacks(tied))]
    ### END SOLUTION


# %%
check("share")


# %% tags=["payoff"]
@payoff("share")
def the_table_of_the_walk():
    """Your count of a real model's weights, beside the package's models of every step."""
    from minilm.models import count_parameters

    full = real(layers=6, channels=64)
    tables = full.tokens.weight.data.size + full.positions.weight.data.size
    theirs = [count_parameters(walk_step(full.config, step)) - tables for step in (0, 1, 2)]
    bars(
        ["two stacks", "1: shared cross-attention", "2: shared stacks"],
        {"your dictionary": walk_sizes(weights(full)), "minilm's model": theirs},
        ylabel="weights inside the layers",
        numbers="{:,.0f}",
        horizontal=False,
        alt="Both counts fall alike: 688,128, then 589,824, then 294,912 weights.",
    )


# %% [markdown]
# ## 6. Steps 3 and 4: one stack (★★★, 20 minutes)
#
# Now `layers` is a single list of L, for source and target.
#
# `same_layer_attend(layers, source, target, merged=False)`: source and target go up **side by
# side**. In layer l, let `read` = norm(source) and `own` = norm(target) **before** the layer. The
# source looks at all of `read`, then feed. The target
#
# - `merged=False`: looks from `own` at `own`, causally; then, from the norm of what it is now, at
#   all of `read`; two softmaxes, as in an encoder-decoder;
# - `merged=True`: looks once, from `own` at `read` and `own` one under the other, with one softmax:
#   all of `read` and its own past;
#
# then feed. Return norm(target). Merged, this **is** a prefix-LM over [source; target], to the last
# digits; with two softmaxes it is not.
#
# `causal_input(layers, source, target)`: step 4, the source looks back only. What is left is one
# causal stack over source and target one under the other: write that, and return the norm of the
# target's rows, (T, C). About 14 and 6 lines.
#
# *By hand.* A target token meets two keys with equal scores, one in the source with the value 4,
# one its own with the value 12. Two softmaxes: 4 and 12, each with a full share, 16 in all. One: ½
# · 4 + ½ · 12 = 8.
#
# <details><summary>Hint 1</summary>Take <code>read</code> and <code>own</code> at the top of the
# loop, before either side moves.</details>
# <details><summary>Hint 2</summary>Merged, the mask is (T, S + T): <code>np.hstack([np.ones((T, S),
# bool), past])</code>, and the keys are <code>np.vstack([read, own])</code>.</details>
# <details><summary>Hint 3</summary>For step 4: <code>x = np.vstack([source, target])</code>, a
# plain causal stack, then <code>norm(x)[len(source):]</code>.</details>


# %%
def same_layer_attend(layers, source, target, merged=False):
    """Step 3: target layer l reads what source layer l reads. Returns (T, C)."""
    ### BEGIN SOLUTION
    past = np.tri(len(target), dtype=bool)
    both = np.hstack([np.ones((len(target), len(source)), bool), past])
    for layer in layers:
        read, own = norm(source), norm(target)
        source = source + look(read, read, layer, True)
        source = source + feed(norm(source), layer)
        if merged:
            target = target + look(own, np.vstack([read, own]), layer, both)
        else:
            target = target + look(own, own, layer, past)
            target = target + look(norm(target), read, layer, True)
        target = target + feed(norm(target), layer)
    return norm(target)
    ### END SOLUTION


# %%
def causal_input(layers, source, target):
    """Step 4: a decoder over [source; target]. Returns the target's rows, (T, C)."""
    ### BEGIN SOLUTION
    x = np.vstack([source, target])
    past = np.tri(len(x), dtype=bool)
    for layer in layers:
        x = x + look(norm(x), norm(x), layer, past)
        x = x + feed(norm(x), layer)
    return norm(x)[len(source) :]
    ### END SOLUTION


# %%
check("one_stack")


# %% tags=["payoff"]
@payoff("one_stack")
def how_far_from_one_stack():
    """Real weights after steps 3 and 4, run by you, beside the package's single stack."""
    r = np.random.default_rng(0)
    source, target = r.integers(0, 11, (2, 8, 6))
    whole = np.hstack([source, target])
    layers = lambda model: weights(model)["decoder"]  # noqa: E731
    gaps = {}
    for name, step, merged in (
        ("two softmaxes", 3, False),
        ("one softmax", 3, True),
        ("and causal input", 4, True),
    ):
        walked = real(3 if step == 3 else 4, merged=True)
        alone = single_stack(walked)
        prefix = {"prefix": 6} if step == 3 else {}
        expected = alone(whole, **prefix).data[:, 6:]

        def yours(model, s, t, step=step, merged=merged):
            if step == 4:
                return causal_input(layers(model), s, t)
            return same_layer_attend(layers(model), s, t, merged)

        gaps[name] = float(np.abs(on_yours(walked, yours)(source, target).data - expected).max())
    bars(
        list(gaps),
        list(gaps.values()),
        ylabel="largest difference of a logit",
        numbers="{:.0e}",
        yscale="log",
        horizontal=False,
        alt="Two softmaxes differ from a prefix-LM; one softmax and a causal input do not.",
    )


# %% [markdown]
# ## 7. What a forward pass costs (★★, 10 minutes)
#
# `flops(arch, n_in, n_tgt, layers=6, channels=512, scores=False)`: the operations of one forward
# pass through the layers, a whole number; `arch` is `"causal"`, `"prefix"` or `"encdec"` with L =
# `layers` (on each side). Count matrix products only, **2 per multiply-add**.
#
# - A single stack: each token meets $12 C^2$ weights a layer.
# - An encoder-decoder has its own stack for each side, $12 C^2$ for each token, and the
#   cross-attention: `q` and `o` for each target token, `k` and `v` for each input token, in each of
#   the L decoder layers.
# - With `scores=True` also attention itself: a pair (query, key) that the mask of question 1 lets
#   through costs C multiply-adds for its score and C for its value, in each layer.
#
# The ratio of the two is **7/6** whatever the lengths, for twice the weights and more. About 4
# lines.
#
# *By hand.* L = 1, C = 2, one input and one target token. A decoder: 2 tokens, 12 · 4 = 48
# multiply-adds each, 2 operations per multiply-add: 192. An encoder-decoder: 2 · 4 = 8 more for the
# target token and 8 for the input token: 224.
#
# <details><summary>Hint 1</summary>Count multiply-adds first, and double at the very end.</details>
# <details><summary>Hint 2</summary>Averaged over input and target, cross-attention costs 2 C² a
# token: 14 C² in place of 12.</details>
# <details><summary>Hint 3</summary>The pairs are <code>int(mask(arch, n_in, n_tgt).sum())</code>,
# each worth 2 C multiply-adds a layer.</details>


# %%
def flops(arch, n_in, n_tgt, layers=6, channels=512, scores=False):
    """Operations of one forward pass, an exact whole number."""
    ### BEGIN SOLUTION
    a_token = (14 if arch == "encdec" else 12) * channels**2
    pairs = int(mask(arch, n_in, n_tgt).sum()) if scores else 0
    return 2 * layers * ((n_in + n_tgt) * a_token + 2 * channels * pairs)
    ### END SOLUTION


# %%
check("flops")


# %% tags=["payoff"]
@payoff("flops")
def the_price_of_a_training_step():
    """The package's price of a training step, on your count of a forward pass."""
    from types import SimpleNamespace

    from minilm.analysis import accounting

    def counted(config, length, target=0, batch=1, **rest):
        arch = {"decoder": "causal", "prefix-lm": "prefix"}.get(config.kind, "encdec")
        number = flops(arch, length, target, config.layers, config.channels, scores=True)
        return SimpleNamespace(total=batch * number)

    sizes = [64, 256, 1024, 4096]
    steps = {"decoder": [], "prefix-lm": [], "encoder-decoder": []}
    with minilm.use(forward_flops=counted):
        for kind, costs in steps.items():
            config = Config(1000, 9000, layers=6, heads=8, channels=512).replace(kind=kind)
            costs += [accounting.training_flops(config, n, n) / n / 2e6 for n in sizes]
    lines(
        sizes,
        steps,
        xlabel="input tokens, and as many target tokens",
        ylabel="megaflops of training per token",
        xscale="log",
        ylim=(0, None),
        alt="The encoder-decoder starts a sixth above the decoder; scores raise all for long texts.",
    )


# %% [markdown]
# ## 8. One step with a cache (★★★, 20 minutes)
#
# A causal model need not compute the past again: the keys and values of earlier tokens never
# change (64:14-65:37).
#
# `kv_step(cache, x, layers)`: x (N, C) are the next N tokens of a text, embedded. `cache` is a list
# with one dictionary per layer: `"k"` and `"v"`, (t, C) each, of the t tokens before, t may be 0.
# Return `(y, new)`: y (N, C), what leaves the stack for the new tokens (norm(x) after the last
# layer); and a **new** list of caches of t + N tokens. y must equal the last N rows of a causal
# stack over the whole text, to 1e-10.
#
# A layer is that of `causal_input`; `mix` takes queries, keys and values. Of two new tokens the
# first does not see the second. About 10 lines.
#
# *By hand.* t = 3 tokens are kept and N = 2 come: the mask is `1 1 1 1 0`, `1 1 1 1 1`.
#
# <details><summary>Hint 1</summary>Per layer: make keys and values of <code>norm(x)</code>, put
# them under the kept ones with <code>np.vstack</code>.</details>
# <details><summary>Hint 2</summary>The mask of all new tokens is <code>np.tri(N, t + N, t,
# dtype=bool)</code>.</details>
# <details><summary>Hint 3</summary><code>x = x + mix(q, k, v, past) @ layer["o"].T</code>, then
# <code>feed</code>; collect <code>{"k": k, "v": v}</code> in a new list.</details>


# %%
def kv_step(cache, x, layers):
    """(what leaves the stack for the new tokens (N, C), the caches of t + N tokens)."""
    ### BEGIN SOLUTION
    new = []
    for kept, layer in zip(cache, layers):
        own = norm(x)
        k = np.vstack([kept["k"], own @ layer["k"].T])
        v = np.vstack([kept["v"], own @ layer["v"].T])
        past = np.tri(len(x), len(k), len(k) - len(x), dtype=bool)
        x = x + mix(own @ layer["q"].T, k, v, past) @ layer["o"].T
        x = x + feed(norm(x), layer)
        new.append({"k": k, "v": v})
    return norm(x), new
    ### END SOLUTION


# %%
check("kv_step")


# %% tags=["payoff"]
@payoff("kv_step")
def text_from_your_cache():
    """The package's own loop writes a text; every token passes through your function."""
    from minilm.inference import generate
    from minilm.models.block import Stack

    text = "the cat sat on the mat. the dog ate the hat. a cat and a dog had a chat. " * 30
    ids = np.frombuffer(text.encode(), np.uint8).astype(np.int32)
    model = real(kind="decoder", vocab_size=128, context=96)
    minilm.train.train(model, ids, 200, batch=8, lr=1e-2, progress=False)
    fed = []

    class OnYours(Stack):
        def forward(self, x, sight, cache=None):
            layers = [matrices(block)[0] for block in self.blocks]
            nothing = np.zeros((0, x.shape[-1]), x.dtype)
            before = getattr(cache, "yours", [{"k": nothing, "v": nothing}] * len(layers))
            fed.append(x.shape[1])
            y, cache.yours = kv_step(before, x.data[0], layers)
            return minilm.tensor(y[None])

    with minilm.use(Stack=OnYours):
        yours = Transformer(model.config)
        yours.load_state_dict(model.state_dict())
        written = generate(yours, list(b"the "), 60, temperature=0)
    print("the", bytes(written).decode())
    whole = np.array([*b"the ", *written])
    expected = model(whole[None, :-1]).data[0, 3:].argmax(-1)
    print(f"{(expected == written).sum()} of 60 letters are those of the whole text at once")
    again = sum(4 + step for step in range(60))
    print(f"{sum(fed)} tokens went through the stack; without a cache, {again} would have")


# %% [markdown]
# ## 9. What a chat costs (★★, 10 minutes)
#
# A chat has T = `turns` rounds of u = `user` new tokens and a = `answer` tokens written.
# `chat_cost(turns, user, answer, mode)` returns two whole numbers `(tokens, pairs)`: how many
# tokens pass through the model, and how many (query, key) pairs one attention layer looks at.
#
# - `"causal"`: each token is computed once; it sees itself and all before it.
# - `"bidirectional"`: a new message changes what every old token sees. So in each turn the whole
#   history and the message, r tokens, are read again, all seeing all ($r^2$ pairs); then the answer
#   is written causally, each of its tokens seeing the r and the answer up to itself.
#
# Tokens: $T(u+a)$ against $(u+a)\,T(T+1)/2$, a ratio of exactly $(T+1)/2$. About 8 lines.
#
# *By hand.* T = 1, u = 2, a = 1. Causal: 3 tokens, which see 1, 2 and 3: (3, 6). Bidirectional: the
# message is 2 · 2 = 4 pairs, the answer sees 3: (3, 7).
#
# <details><summary>Hint 1</summary>Causal: n tokens in a row see 1 + 2 + ... + n, which is n (n +
# 1) / 2; use <code>//</code>.</details>
# <details><summary>Hint 2</summary>Bidirectional: in turn k, counted from 0, r is k (u + a) +
# u.</details>
# <details><summary>Hint 3</summary>A turn adds r + a tokens and r² + a r + a (a + 1) / 2
# pairs.</details>


# %%
def chat_cost(turns, user, answer, mode):
    """(tokens through the model, pairs in one attention layer) of a whole chat."""
    ### BEGIN SOLUTION
    if mode == "causal":
        n = turns * (user + answer)
        return n, n * (n + 1) // 2
    tokens = pairs = 0
    for turn in range(turns):
        read = turn * (user + answer) + user
        tokens += read + answer
        pairs += read**2 + answer * read + answer * (answer + 1) // 2
    return tokens, pairs
    ### END SOLUTION


# %%
check("chat_cost")


# %% tags=["payoff"]
@payoff("chat_cost")
def a_chat_counted():
    """Chats of a real decoder and a real prefix-LM, counted token by token, beside your formula."""
    from minilm.analysis import costs
    from minilm.inference import ContiguousCache

    user, answer, most = 4, 6, 6
    ids = np.arange(most * (user + answer))[None] % 11
    passed = []

    def watched(model, tokens, **rest):
        passed.append(tokens.shape[1])
        with minilm.no_grad():
            return model(tokens, **rest)

    def chat(model, turns):
        """Tokens that go through the model; what it says does not matter here."""
        passed.clear()
        room = turns * (user + answer)
        cache, done = ContiguousCache(model.config, 1, room), 0
        for turn in range(turns):
            read = turn * (user + answer) + user
            again = model.config.kind == "prefix-lm"
            if again:
                cache, done = ContiguousCache(model.config, 1, room), 0
            watched(model, ids[:, done:read], cache=cache, **({"prefix": read} if again else {}))
            for place in range(read, read + answer):
                watched(model, ids[:, place : place + 1], cache=cache)
            done = read + answer
        return sum(passed)

    turns = range(1, most + 1)
    counts, formulas = {}, {}
    with minilm.use(chat_cost=chat_cost):
        for mode, kind in (("causal", "decoder"), ("bidirectional", "prefix-lm")):
            model = real(kind=kind, context=64)
            counts[mode] = [chat(model, t) for t in turns]
            formulas[f"{mode}, by you"] = [costs.chat_cost(t, user, answer, mode)[0] for t in turns]
    lines(
        turns,
        counts,
        expected=formulas,
        xlabel="turns",
        ylabel="tokens through the real model",
        alt="The causal count grows as a line, the bidirectional one as a square; formulas agree.",
    )


# %% [markdown]
# ## All of it
#
# Run the check of the whole set; then hand in the notebook.

# %%
check(set="03_history_of_the_transformer")
