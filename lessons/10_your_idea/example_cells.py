# Cells of the worked example, to be taken over into lesson.py, the imports into its own.

# %% slideshow={"slide_type": "skip"}
import numpy as np

from minilm import nn
from minilm.course import interact, lesson_folder
from minilm.models import Mamba, MambaConfig
from minilm.tensor import Tensor, no_grad

here = lesson_folder("10")
example, pictures = here.module("example"), here.module("example_pictures")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## A worked example: must attention keep everything?
#
# Twice in this course somebody in the room asks for what else there is: of Hyung Won Chung (69:01)
# and of Ming Ding (66:25). The answer that was discussed most in that spring are **state spaces**: a
# model that reads a text into a memory of *fixed size*, as recurrent networks did, and is trained all
# at once, as they could not be.
#
# A memory of fixed size is a **structure**, in Chung's sense: somebody has decided for the model how
# much of a text may matter. And he says what to do with a structure of your own (42:00–43:58): draw
# its curve over compute beside the curve of what has less of it. Structure is ahead early; does it
# survive more compute?
#
# *Your bet: three memories, the same compute. Which reads documentation best? Which can copy sixteen
# letters?*

# %% [markdown] slideshow={"slide_type": "notes"}
# 3 minutes. Both bets on the board: they have different answers, and that is the point of the
# example. We know the questions of the two talks from their place only; which words fell we do not
# quote.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## A state, and a clock that the token sets
#
# One number of memory, h. Each token x does two things to it: it lets h fade, and adds itself.
#
# $$h_t = e^{\Delta_t A}\, h_{t-1} + \Delta_t B_t\, x_t \qquad y_t = C_t\, h_t$$
#
# A is negative and belongs to the layer: how fast things fade. **Δ, B and C belong to the token**. B
# says how it is written, C how the memory is read, and Δ how much time it takes: after a long time the
# past has faded and the token is in; in no time at all, nothing happens. This choice is what the S in
# "selective state space" stands for (Gu and Dao's Mamba, arXiv 2312.00752).
#
# By hand: let A be −ln 2, so that one unit of time halves h, and let B and C be 1. The tokens are 4,
# 0, 7 and 2, with Δ of 1, 1, **0** and 1. Then h is 4; half of it, **2**; still 2, the 7 was passed
# over; half of 2 and 2 more, **3**.


# %%
def scan(x, delta, A, B, C):
    """x, delta (T, E); A (E, N); B, C (T, N): each of E channels has N numbers of memory."""
    h, y = np.zeros_like(A), []
    for t in range(len(x)):
        decay = np.exp(delta[t][:, None] * A)  # (E, N)
        new = (delta[t] * x[t])[:, None] * B[t]  # (E, N)
        h = decay * h + new  # (E, N)
        y.append(h @ C[t])  # (E, N) @ (N,) -> (E,)
    return np.stack(y)  # (T, E)


tokens, clock = np.array([[4.0], [0], [7], [2]]), np.array([[1.0], [1], [0], [1]])
one = np.ones((4, 1))
print(scan(tokens, clock, np.array([[-np.log(2)]]), one, one).ravel())

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Turn the clock
#
# Mamba gives each channel sixteen such numbers, which fade once, twice, ... sixteen times as fast.
# At first Δ is between 0.001 and 0.1, and training moves it for every token. Move it here: how long is
# a token remembered?

# %% tags=["hide-input"]
interact(lambda delta: pictures.fading(delta), delta=[0.01, 0.001, 0.003, 0.03, 0.1, 1.0])

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Nobody has to wait
#
# This loop has the fault of every recurrent network: token 1,000 waits for 999 others. But look at
# what one token is. It takes h and gives a·h + b. And two of those, one after the other, are one more
# of the same kind:
#
# $$a_2\,(a_1 h + b_1) + b_2 \;=\; (a_1 a_2)\, h + (a_2 b_1 + b_2)$$
#
# So tokens can be joined in pairs, the pairs in pairs, and after log₂ T rounds every token knows all
# before it. For the four from above: ½h + 4, then ½h + 0 is ¼h + 2; the third and fourth are ½h + 2;
# and both together ⅛h + **3**.

# %% tags=["hide-input"]
pictures.maps()


# %% slideshow={"slide_type": "subslide"}
def scan_side_by_side(x, delta, A, B, C):
    a = np.exp(delta[..., None] * A)  # (T, E, N)
    b = (delta * x)[..., None] * B[:, None]  # (T, E, N)
    step = 1
    while step < len(x):  # each token takes in the one `step` before, and what that has taken in
        b[step:], a[step:] = a[step:] * b[:-step] + b[step:], a[step:] * a[:-step]
        step *= 2
    return (b * C[:, None]).sum(-1)  # (T, E, N) -> (T, E)


# %% [markdown] slideshow={"slide_type": "slide"}
# ## The rest of the block
#
# Where do Δ, B and C come from? From the token, by three linear maps. Before that a short convolution
# lets a token see its last few neighbours, and behind it a second branch z opens or shuts what comes
# out. That is a whole Mamba layer, and there is no attention and no feed-forward beside it.


# %%
def silu(x):
    return x / (1 + np.exp(-x))


def mamba(u, w):
    """u (T, C) -> (T, C), with the weights w of an nn.Mamba."""
    x, z = np.split(u @ w["in_proj.weight"].T, 2, axis=1)  # (T, E) each
    window, states = w["conv1d.weight"].shape[1], w["A_log"].shape[1]
    past = np.pad(x, ((window - 1, 0), (0, 0)))  # (T + K - 1, E): nothing stood before the text
    seen = sum(past[k : k + len(x)] * w["conv1d.weight"][:, k] for k in range(window))
    x = silu(seen + w["conv1d.bias"])  # (T, E)
    dt, B, C = np.split(x @ w["x_proj.weight"].T, [-2 * states, -states], axis=1)
    delta = np.log1p(np.exp(dt @ w["dt_proj.weight"].T + w["dt_proj.bias"]))  # (T, E), above 0
    y = scan(x, delta, -np.exp(w["A_log"]), B, C) + w["D"] * x  # (T, E)
    return (y * silu(z)) @ w["out_proj.weight"].T  # (T, C)


# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Page, package, and one token at a time
#
# The package scans sixteen channels at a time in a compiled loop, and has a kernel for GPUs that joins
# pairs as above. **Would prove it wrong:** page and package differ by more than a millionth, or a
# model that reads token by token, with nothing but its state in hand, by more than that from the same
# model that reads the text at once.

# %%
rng = np.random.default_rng(0)
layer = nn.Mamba(24, states=4)
u = rng.standard_normal((50, 24)).astype(np.float32)  # (T, C)
x, fast = rng.standard_normal((50, 8)), rng.uniform(0.01, 1, (50, 8))
parts = x, fast, -rng.uniform(1, 4, (8, 4)), *rng.standard_normal((2, 50, 4))
apart = {"loop and side by side": np.abs(scan(*parts) - scan_side_by_side(*parts)).max()}
with no_grad():
    whole = layer(Tensor(u[None])).data[0]
    apart["page and package"] = np.abs(mamba(u.astype(float), layer.state_dict()) - whole).max()
    model = Mamba(MambaConfig(vocab_size=50, context=64, layers=2, channels=24), seed=1)
    ids, memory = rng.integers(0, 50, (1, 64)), model.new_states(1)
    each = [model(ids[:, [t]], cache=memory).data for t in range(64)]
    apart["whole and by token"] = np.abs(np.concatenate(each, 1) - model(ids).data).max()
example.same_scan(apart)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The other way: move a bracket
#
# **Linear attention** (arXiv 2006.16236) starts from attention and takes the softmax out. Let the
# weight of a key be φ(q)·φ(k), with a φ that is positive. Then the sum over keys does not need q
# first:
#
# $$\sum_{s \le t} (\varphi(q_t)\cdot \varphi(k_s))\, v_s \;=\; \varphi(q_t) \cdot \Bigl(\sum_{s \le t} \varphi(k_s)\, v_s^{\top}\Bigr)$$
#
# The bracket on the right is a matrix of D × D numbers, and each token adds to it. It is a state like
# the one above, without a clock: nothing fades.


# %%
def linear_attention(q, k, v):
    """q, k, v (T, D) -> (T, D) twice: in attention's order, and with a state."""
    q, k = (np.where(x > 0, x + 1, np.exp(np.minimum(x, 0))) for x in (q, k))  # phi: elu + 1
    weights = np.tril(q @ k.T)  # (T, T), all pairs
    pairs = weights @ v / weights.sum(1, keepdims=True)  # (T, D)
    state, total, carried = np.zeros((q.shape[1], v.shape[1])), np.zeros(q.shape[1]), []
    for t in range(len(q)):
        state, total = state + np.outer(k[t], v[t]), total + k[t]  # (D, D), (D,)
        carried.append(q[t] @ state / (q[t] @ total))  # (D,)
    return pairs, np.stack(carried)


pairs, carried = linear_attention(*rng.standard_normal((3, 200, 16)))
print(f"all pairs or a state: they differ by {np.abs(pairs - carried).max():.0e}")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What one text leaves behind
#
# The three largest models of the study below, counted to the byte: keys and values of every token for
# attention, a state for the two others.

# %% tags=["hide-input"]
record, worlds = here.recorded("structure"), here.recorded("memory", whole=True)
pictures.memory(record)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Does the structure survive more compute?
#
# **Hypothesis.** The structure is ahead at the smallest size, and attention gains on it with compute.
# **Would prove it wrong:** at the largest size the lead is as large as at the smallest, or larger.
#
# **Matched:** the same text in the same order (the Python documentation, 512 tokens of vocabulary),
# the same width, the FLOPs of a step to one in a hundred. Two Mamba blocks stand for one of
# attention's. **Tuned:** the rate of each model at each size, on a seed of its own. **Held back:** the
# largest size, foretold by a line through the three others. **For nothing:** tables that count pairs
# and triples.

# %% tags=["hide-input"]
pictures.curves(record)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
pictures.lead(record)

# %%
example.survives(record, "mamba")

# %%
example.survives(record, "linear")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What a loss does not show
#
# A loss is a mean over many easy tokens. So two worlds in which nothing can be guessed. **Recall:**
# pairs of a key and a value, then four of the keys again, and the value of each is to be said.
# **Copy:** a row of letters, a mark, and the row again. Each model is trained with up to 8 pairs or 16
# letters, at equal FLOPs and with a rate of its own, and tested on texts up to four times as long.
#
# **Would prove it wrong:** at the lengths of training one of the states is as good as attention; and
# on longer texts, both states keep less of what they could do than attention does.

# %% tags=["hide-input"]
pictures.recalled(worlds)

# %%
example.holds_less(worlds)

# %%
example.keeps_longer(worlds)
