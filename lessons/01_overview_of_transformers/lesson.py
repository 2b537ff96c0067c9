# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Transformers: where they came from, and what they cannot do"
#   talk: "Overview of Transformers"
#   speaker: "Feng, Garg, Bunnapradist, Lee"
# ---

# %% [markdown] slideshow={"slide_type": "slide"}
# # Transformers: where they came from, and what they cannot do
#
# Five steps from counting words to attention. Each fixed one fault of the step before, and each
# fault is measured here. Then four promises of today's models, on models small enough to train
# while you watch.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What the talk claims, and what we do about it
#
# | claim | measured by |
# |---|---|
# | word vectors capture which words keep company | vectors against counts |
# | a recurrent net's gradient vanishes or explodes | the gradient, 50 steps back |
# | one hidden vector is a bottleneck; attention removes it | copying, by length |
# | attention works on all positions at once | longest chain on the tape |
# | chain of thought helps, but not the smallest models | sums in three steps |
# | retrieval can stand in for parameters | facts by how rare they are |
# | memory, tools and reflection make an agent | the same model with and without |
#
# The talk is the course's first, on 4 April 2024. We heard it in its public captions.

# %% [markdown] slideshow={"slide_type": "notes"}
# Every claim below comes with what would prove it wrong, written before the run. Ask the room to
# bet before each figure.

# %% slideshow={"slide_type": "skip"}
import re
import textwrap

import numpy as np
from tqdm import tqdm

from minilm import backend, nn
from minilm import functional as F
from minilm.course import bars, claim, figure, heatmap, interact, lines, scatter, source
from minilm.data import documents, toys
from minilm.models import (
    Config,
    EncoderDecoder,
    EncoderDecoderConfig,
    Transformer,
    bert,
    count_parameters,
    gpt2,
    vaswani,
)
from minilm.optim import AdamW, clip_grad_norm, cosine
from minilm.tensor import Tensor, no_grad

SEEDS = (0, 1, 2)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## All the training there is
#
# Every model of this lesson learns in this loop. Three seeds train side by side.


# %% slideshow={"slide_type": "-"}
def fit(models, draw, steps, lr=5e-3):
    """Train one model per seed; draw(seed, step) gives the arrays that a model's loss takes."""
    bar = tqdm(total=steps * len(models), leave=False)

    def train_one(seed):
        model, losses = models[seed], []
        optimizer = AdamW(model.parameters(), lr=lr, betas=(0.9, 0.98), weight_decay=0.01)
        for step in range(steps):
            loss = model.loss(*draw(seed, step))
            loss.backward()
            clip_grad_norm(model.parameters(), 1.0)
            optimizer.step(cosine(step, steps, warmup=20))
            optimizer.zero_grad()
            losses.append(loss.item())
            bar.update()
        return losses

    with bar:
        return np.array(backend.parallel(train_one, range(len(models))))


# %% [markdown] slideshow={"slide_type": "slide"}
# ## Step 1: count
#
# The oldest language model counts which word followed which. It is fast, exact and needs no
# training. Its fault: it knows only what it has seen, and long contexts are almost always new.
#
# Here is the strongest of the counters, Kneser-Ney, on Python's own documentation.

# %% slideshow={"slide_type": "-"}
from minilm.analysis.ngram import KneserNey

texts = documents("python-docs")[::3]
words = [re.findall(r"\w+|[^\w\s]", text.lower()) for text in texts]
cut = int(0.9 * len(words))
common = sorted({w for doc in words[:cut] for w in doc})
number = {w: i for i, w in enumerate(["<new>", *common])}
train_ids, test_ids = (
    np.array([number.get(w, 0) for doc in part for w in doc]) for part in (words[:cut], words[cut:])
)
counters = {n: KneserNey(train_ids, order=n, vocab_size=len(number)) for n in range(1, 7)}
bits = [counter.bits(test_ids).mean() for counter in counters.values()]
print(f"{len(train_ids):,} words to count, {len(test_ids):,} to predict, {len(number):,} different")


# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
def seen(n):
    """Share of the held-out n-grams that the training text holds."""
    known, asked = (
        set(zip(*(ids.tolist()[i:] for i in range(n)), strict=False))
        for ids in (train_ids, test_ids)
    )
    return len(asked & known) / len(asked)


with figure(
    1,
    2,
    alt="Left: bits per word fall from order 1 to 3 and then stay level. Right: the share of "
    "held-out word sequences that were ever seen falls from most to almost none at six words.",
) as (left, right):
    lines(range(1, 7), {"": bits}, xlabel="words counted together", ylabel="bits per word", ax=left)
    bars(
        range(1, 7),
        [100 * seen(n) for n in range(1, 7)],
        xlabel="words in a row",
        ylabel="seen before, %",
        numbers="{:.0f}",
        ax=right,
    )

# %% [markdown] slideshow={"slide_type": "fragment"}
# After three words, more context buys almost nothing: it has never been seen. A counter cannot use that
# *tuple* is like *list*. It takes words for marks without meaning.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Let the counter write
#
# Raise the order: from word salad to phrases. Beyond three words little changes: the counter has
# not seen the context and falls back to a shorter one.

# %% slideshow={"slide_type": "-"} tags=["hide-input"]
names = ["<new>", *common]


def write(order, start):
    """Forty words from the counter of this order."""
    r, ids = backend.rng(3, start), [number.get(w, 0) for w in start.split()]
    while len(ids) < 40:
        p = counters[order].probabilities(np.array(ids))
        p[0] = 0
        ids.append(int(r.choice(len(p), p=p / p.sum())))
    text = " ".join(names[i] for i in ids)
    print(textwrap.fill(text, 60))


interact(write, order=(1, 6, 1, 3), start=["the list", "if the", "return the"])

# %% [markdown] slideshow={"slide_type": "notes"}
# Move the order from 1 to 6. The right panel before says why orders above three look alike: of
# four words in a row only one in seventeen has been seen, so the counter works with shorter
# contexts most of the time.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Step 2: words as vectors
#
# Skip-gram gives each word a vector, and trains it to tell true neighbours from words drawn by
# chance. What do such vectors hold? Levy and Goldberg's answer (2014): with $k$ chance words,
#
# $$u \cdot v \;\to\; \log\frac{P(a, b)}{P(a)\,P(b)} - \log k$$
#
# **Claim** (talk 1: static embeddings come from local contexts). The vectors are a compressed
# table of who keeps company with whom.
#
# **What would prove it wrong.** Over pairs seen 50 times or more, a correlation below 0.7.

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
from minilm.analysis.skipgram import cooccurrences, pmi, sgns_step, skip_gram

source(sgns_step, docstring="none")

# %% slideshow={"slide_type": "subslide"}
from minilm.data.toys.topics import topic_words


def vectors_and_counts(seed, negatives=5):
    """Train on a text of 20 hidden topics; return pmi - log k and u . v of frequent pairs."""
    counts = cooccurrences(topic_words(100_000, seed=seed), window=3, vocab_size=200)
    u, v = skip_gram(counts, channels=32, negatives=negatives, seed=seed)
    often = counts >= 50
    return pmi(counts, negatives)[often], (u @ v.T)[often]


learned = [vectors_and_counts(seed) for seed in SEEDS]
correlation = [np.corrcoef(counted, dot)[0, 1] for counted, dot in learned]


# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
def against_counts(counted, dot):
    with figure(alt="Dot products of word vectors lie along the diagonal of shifted pmi.") as ax:
        scatter(counted, dot, xlabel="pmi − log k, counted", ylabel="u · v, learned", dot=14, ax=ax)
        ends = np.array([counted.min(), counted.max()])
        ax.plot(ends, ends, color="#D55E00", linewidth=3)


against_counts(*learned[0])

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
claim(
    "skip-gram vectors are a compressed table of pmi",
    source="Talk 1, static embeddings",
    measure="Pearson r of u · v with pmi − log 5 over frequent pairs",
    expected="above 0.9; wrong below 0.7",
    measured=correlation,
    holds=lambda r: r > 0.9,
    partly=lambda r: r >= 0.7,
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## More words drawn by chance
#
# Move $k$: the model trains again, and the cloud slides down by $\log k$.

# %% slideshow={"slide_type": "-"} tags=["hide-input"]
interact(
    lambda negatives: against_counts(*vectors_and_counts(0, negatives)), negatives=(1, 12, 1, 5)
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Step 3: a state that is carried along
#
# A recurrent net reads one word after another and keeps what it needs in a state. No limit on the
# context, in principle. In practice the gradient has to walk back step by step, and every step
# multiplies it by the same matrix.
#
# **Claim** (talk 1). Recurrent nets suffer from vanishing and exploding gradients; attention does
# not.
#
# **What would prove it wrong.** A plain recurrent net whose gradient, 50 steps back, is still a
# thousandth of what it was; or attention's gone below a tenth.

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
from minilm.functional.recurrent import rnn

source(rnn, docstring="none")


# %% slideshow={"slide_type": "subslide"}
def fading(kind, seed, gain=1.0, gate=1.0, time=60, width=64):
    """Size of the last output's gradient at each step back, as a share of that one step back."""
    nn.manual_seed(seed)
    r = backend.rng(seed, "fading")
    x = Tensor(r.normal(size=(8, time, width)).astype(np.float32), requires_grad=True)
    if kind == "attention":
        out = nn.Attention(width, heads=4)(x, nn.Sight(causal=True))
    else:
        layer = getattr(nn, kind)(width, width)
        layer.u.data *= np.float32(gain)  # the matrix that each step multiplies with
        if kind == "LSTM":
            layer.b.data[width : 2 * width] = gate  # how far the forget gate is open
        out, _ = layer(x)
    g = np.zeros(out.shape, np.float32)
    g[:, -1] = r.normal(size=(8, width))
    out.backward(g)
    size = np.linalg.norm(x.grad, axis=-1).mean(0)[::-1]
    return size[1:51] / size[1]


# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
def draw_fading(gain):
    back = np.arange(1, 51)
    kinds = {
        f"recurrent, gain {gain:g}": ("RNN", {"gain": gain}),
        "LSTM": ("LSTM", {}),
        "LSTM, gate open": ("LSTM", {"gate": 4.0}),
        "attention": ("attention", {}),
    }
    series = {name: [fading(k, s, **kw) for s in SEEDS] for name, (k, kw) in kinds.items()}
    lines(
        back,
        series,
        xlabel="steps back",
        ylabel="gradient, share of step 1",
        yscale="log",
        ylim=(1e-12, 1e9),
        alt="The recurrent net's gradient falls by ten powers of ten over 50 steps, the LSTM's by "
        "four; an LSTM with an open gate and attention stay level.",
    )


interact(draw_fading, gain=(0.5, 4.0, 0.1, 1.0))

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
at_50 = {
    name: [float(fading(kind, seed, **kw)[-1]) for seed in SEEDS]
    for name, kind, kw in (
        ("gain 1", "RNN", {}),
        ("gain 4", "RNN", {"gain": 4.0}),
        ("attention", "attention", {}),
    )
}
claim(
    "a recurrent net's gradient vanishes or explodes, attention's does not",
    source="Talk 1, faults of recurrent nets",
    measure="gradient 50 steps back, as a share of that 1 step back",
    expected="gain 1 below 0.001, gain 4 above 1000, attention between 0.1 and 10",
    measured=at_50,
    holds=lambda m: m["gain 1"] < 1e-3 and m["gain 4"] > 1e3 and 0.1 < m["attention"] < 10,
    note="The LSTM's cure is a sum: with its gate open the gradient passes unharmed.",
)

# %% [markdown] slideshow={"slide_type": "notes"}
# At gain 1.9 the plain net is nearly level: between vanishing and exploding there is a narrow
# ridge. Half a unit to either side changes the gradient 50 steps back by a thousand. The LSTM
# replaces the product by a sum.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Step 4: look back
#
# An encoder-decoder of 2014 reads a sentence into **one vector** and writes the translation from
# it. A long sentence has to fit into the same vector as a short one. Attention lets the writer look
# at every state of the reader.
#
# **Claim** (talk 1). The hidden vector is a bottleneck, and attention removes it.
#
# **Test.** Copy a string of 1 to 16 letters. **What would prove it wrong.** At 16 letters, the
# fixed vector is as good as attention; or one four times as wide is, for the same work.


# %% slideshow={"slide_type": "subslide"}
class Copier(nn.Module):
    """Two LSTMs: one reads, one writes; between them the last state, or attention to all."""

    def __init__(self, vocab_size, units, attend, seed):
        nn.manual_seed(seed)
        self.tokens = nn.Embedding(vocab_size, units, std=0.3)
        self.reader, self.writer = nn.LSTM(units, units), nn.LSTM(units, units)
        self.query = nn.Linear(units, units, bias=False) if attend else None
        self.mix = nn.Linear(2 * units, units) if attend else None
        self.head = nn.Linear(units, vocab_size)

    def forward(self, given, fed):  # (B, S), (B, T) -> (B, T, V)
        read, last = self.reader(self.tokens(given))
        state, _ = self.writer(self.tokens(fed), last)
        if self.query is not None:
            q, k = (F.expand_dims(x, 1) for x in (self.query(state), read))  # one head
            found = F.squeeze(F.attention(q, k, k), 1)
            state = F.tanh(self.mix(F.concatenate([found, state], axis=2)))
        return self.head(state)

    def loss(self, given, fed, target):
        return F.cross_entropy(self(given, fed), target)


# %% slideshow={"slide_type": "subslide"}
LETTERS, TRAINED = 16, 16


def strings(seed, step):
    """A batch to copy; all of one length, which changes from step to step."""
    size = int(backend.rng(seed, "length", step).integers(1, TRAINED + 1))
    pairs = toys.copy(32, size, LETTERS, seed=100_000 * seed + step)
    return pairs.source, pairs.fed, pairs.target


def right(model, size):
    """Share of the letters, and of whole strings, that the model gets right on new strings."""
    new = toys.copy(64, size, LETTERS, seed=9_000_000 + size)
    with no_grad():
        hit = model(new.source, new.fed).data.argmax(-1) == new.target
    return hit.mean(), hit.all(axis=1).mean()


fixed = [Copier(LETTERS + 3, 64, False, seed) for seed in SEEDS]
wide = [Copier(LETTERS + 3, 256, False, seed) for seed in SEEDS]
attending = [Copier(LETTERS + 3, 64, True, seed) for seed in SEEDS]
fit(fixed, strings, 480, lr=1e-2)
fit(wide, strings, 30, lr=5e-3)  # a step costs 16 times as much
fit(attending, strings, 400, lr=1e-2)
print(*(f"{models[0].num_parameters():,} parameters" for models in (fixed, wide, attending)))

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
sizes = range(1, TRAINED + 1)
letters = {
    name: np.array([[right(model, size)[0] for size in sizes] for model in models])
    for name, models in (("attention", attending), ("one vector", fixed), ("4 × as wide", wide))
}
lines(
    sizes,
    {name: 100 * share for name, share in letters.items()},
    xlabel="letters to copy",
    ylabel="letters right, %",
    expected={"by chance": 100 / 16},
    alt="With attention copying stays near 100 % up to 16 letters; through one vector it falls.",
)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
claim(
    "one hidden vector is a bottleneck; attention removes it",
    source="Talk 1, faults of recurrent nets",
    measure="letters right when copying 16, %",
    expected="attention above 95 and at least 20 above both fixed vectors",
    measured={name: 100 * share[:, -1] for name, share in letters.items()},
    holds=lambda m: (
        m["attention"] > 95 and m["attention"] - max(m["one vector"], m["4 × as wide"]) > 20
    ),
    partly=lambda m: m["attention"] - max(m["one vector"], m["4 × as wide"]) > 20,
    note="For the same work the wide one gets 30 steps, the narrow one 480.",
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Where it looks
#
# A soft look-up in a library: the query meets every key, and takes a mixture of the values. Nobody
# told the model that the third letter of the copy is the third of the source.


# %% slideshow={"slide_type": "-"} tags=["hide-input"]
def look(letters, seed):
    """The weights of one string: rows are the letters written, columns those read."""
    one, model = toys.copy(1, letters, LETTERS, seed=5), attending[seed]
    with no_grad():
        read, last = model.reader(model.tokens(one.source))
        state, _ = model.writer(model.tokens(one.fed), last)
        scores = model.query(state).data[0] @ read.data[0].T / 8  # (T, S); 8 = sqrt(64)
        weights = F.softmax(Tensor(scores)).data
    spelled = ["abcdefghijklmnop"[i] for i in one.source[0]]
    heatmap(
        weights,
        xlabels=spelled,
        ylabels=[*spelled, "end"],
        xlabel="read",
        ylabel="to write",
        unit="weight",
        numbers=None,
        low=0,
        high=1,
        alt="Attention weights of a copied string lie on the diagonal.",
    )


interact(look, letters=(2, 24, 1, 12), seed=[0, 1, 2])

# %% [markdown] slideshow={"slide_type": "notes"}
# Drag the string beyond 16 letters, where training ended, and compare the seeds. Keep it in mind
# for the last experiment.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Step 5: attention is all that is left
#
# The transformer drops the recurrence. What is left is attention, a feed-forward net, and the sums
# around them.

# %% slideshow={"slide_type": "-"} tags=["hide-input"]
from minilm.models.block import Block

source(Block.forward, docstring="none")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## No waiting
#
# **Claim** (talk 1). A recurrent net cannot be computed in parallel over time; a transformer can.
#
# **Test.** The tape knows what waited for what: count the longest chain of steps from input to
# output. **What would prove it wrong.** A recurrent chain that does not grow with the text, or a
# transformer's that does.


# %% slideshow={"slide_type": "-"}
def chain(out):
    """The longest path back through the tape, in steps."""
    depth, todo = {}, [out]
    while todo:
        at = todo[-1]
        before = [t for t in at._inputs or () if isinstance(t, Tensor)]
        waiting = [t for t in before if id(t) not in depth]
        if waiting:
            todo += waiting
        else:
            depth[id(at)] = 1 + max((depth[id(t)] for t in before), default=-1)
            todo.pop()
    return depth[id(out)]


# %% slideshow={"slide_type": "subslide"}
def recurrent_chain(time, width=16):
    """One step of the recurrence after another, as the definition says."""
    x = Tensor(np.ones((1, time, width), np.float32))
    w, u = (nn.Parameter(np.eye(width, dtype=np.float32)) for _ in range(2))
    h = Tensor(np.zeros((1, width), np.float32))
    for t in range(time):
        h = F.tanh(F.linear(x[:, t], w) + F.linear(h, u))
    return chain(h)


small = Transformer(Config(vocab_size=32, context=256, layers=2, heads=2, channels=16))
times = [8, 16, 32, 64, 128, 256]
chains = {
    "recurrent": [recurrent_chain(time) for time in times],
    "transformer": [chain(small(np.zeros((1, time), np.int32))) for time in times],
}

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
lines(
    times,
    chains,
    xlabel="tokens",
    ylabel="steps that wait for each other",
    xscale="log",
    yscale="log",
    alt="The recurrent chain doubles with the text; the transformer's stays at its depth.",
)
# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
claim(
    "recurrence waits for every token; a transformer's depth does not grow with the text",
    source="Talk 1, faults of recurrent nets",
    measure="longest chain on the tape at 256 tokens over that at 8",
    expected="recurrent 32, transformer 1",
    measured={name: [steps[-1] / steps[0]] for name, steps in chains.items()},
    holds=lambda m: m["recurrent"] > 25 and m["transformer"] == 1,
    exact=True,
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Three families, told apart by who may see whom
#
# | | sees | made for | example |
# |---|---|---|---|
# | encoder | everything | understanding | BERT |
# | decoder | the past | writing | GPT |
# | encoder-decoder | all of the source, its own past | turning one into the other | 2017, T5 |

# %% slideshow={"slide_type": "-"} tags=["hide-input"]
past = np.tril(np.ones((8, 8)))
both = np.full((8, 8), np.nan)
both[:4, :4], both[4:, :4], both[4:, 4:] = 1, 0.5, past[:4, :4]
with figure(
    1, 3, alt="An encoder sees all, a decoder a triangle, an encoder-decoder both."
) as axes:
    for ax, mask, title in zip(
        axes,
        (np.ones((8, 8)), np.where(past, 1, np.nan), both),
        ("encoder", "decoder", "both"),
        strict=True,
    ):
        ax.imshow(mask, cmap="Blues", vmin=0, vmax=1.4)
        ax.set_xticks(np.arange(8) - 0.5, [])
        ax.set_yticks(np.arange(8) - 0.5, [])
        ax.tick_params(length=0)
        ax.set_title({"both": "encoder-decoder"}.get(title, title))
        ax.set_xlabel("token looked at" if ax is not axes[2] else "pale: from one to the other")
    axes[0].set_ylabel("token that looks")

# %% slideshow={"slide_type": "subslide"}
models = {
    "GPT-2 small": gpt2("small"),
    "GPT-2 XL": gpt2("xl"),
    "BERT base": bert("base", head="none"),
    "Transformer of 2017": vaswani("base"),
}
for name, config in models.items():
    print(f"{name:20} {config.kind:16} {count_parameters(config):>13,} parameters")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Chain of thought: write it down
#
# **Claim** (talk 1). Reasoning step by step helps large models, and fails in small ones.
#
# **Test.** Add four numbers modulo 17. One model answers at once, the other writes each partial
# sum. Two sizes, the same number of tokens read in training.
#
# **What would prove it wrong.** No size where writing the steps gains 20 points; or the smaller
# model gains as much as the larger.


# %% slideshow={"slide_type": "-"}
def thinker(width, seed):
    size = {"layers": 2, "heads": width // 16, "channels": width}
    return Transformer(Config(vocab_size=18, context=8, init_std=0.1, **size), seed=seed)


def sums(steps_written):
    return lambda seed, step: toys.modular_chain(
        128, 3, 17, steps_written, seed=100_000 * seed + step
    ).joined()


def answers(model, steps_written):
    """Share of right answers on new sums; the model writes its steps by itself."""
    new = toys.modular_chain(512, 3, 17, steps_written, seed=9_000_000)
    ids = np.concatenate([new.source, new.fed[:, :1]], axis=1)
    with no_grad():
        for _ in range(new.target.shape[1]):
            ids = np.concatenate([ids, model(ids).data[:, -1:].argmax(-1)], axis=1)
    return (ids[:, -1] == new.target[:, -1]).mean()


# %% slideshow={"slide_type": "subslide"}
widths, scores = (16, 32), {}
for written, steps in ((False, 560), (True, 400)):  # 5 tokens an example, or 7
    for width in widths:
        thinkers = [thinker(width, seed) for seed in SEEDS]
        fit(thinkers, sums(written), steps)
        scores[written, width] = np.array([100 * answers(m, written) for m in thinkers])

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
bars(
    [f"{thinker(width, 0).num_parameters():,} parameters" for width in widths],
    {
        name: np.stack([scores[written, width] for width in widths], axis=1)
        for name, written in (("at once", False), ("step by step", True))
    },
    ylabel="right answers, %",
    numbers="{:.0f}",
    alt="Writing the steps lifts the larger model to nearly all right; the smaller stays at chance.",
)
# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
gain = {
    f"with {thinker(width, 0).num_parameters():,}": scores[True, width] - scores[False, width]
    for width in widths
}
claim(
    "writing the steps helps the larger model and not the smaller",
    source="Talk 1, chain of thought",
    measure="points gained by writing the steps, by number of parameters; chance is 6 %",
    expected="larger model above 20, smaller below 10",
    measured=gain,
    holds=lambda m: list(m.values())[1] > 20 and list(m.values())[0] < 10,
    note="Here 'large' is a few times ten thousand. The threshold is the task's, not nature's.",
)

# %% [markdown] slideshow={"slide_type": "notes"}
# Why does writing help? Each written sum is one small step that the net can do in a fixed depth;
# without paper the depth has to hold all three. The cost: more tokens per answer.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Look it up, or know it by heart
#
# **Claim** (talk 1, an open question there). Retrieval can stand in for parameters.
#
# **Test.** 5,000 facts, asked as often as words occur: the thousandth a thousandth as often as the
# first. One model must remember. Another of the same size is handed the fact that a search finds.
#
# **What would prove it wrong.** The memory is as good on rare facts as on common ones; or the
# reader falls with rarity too.

# %% slideshow={"slide_type": "subslide"}
from minilm.data.toys.facts import FactTable
from minilm.inference.retrieval import retrieve

facts = FactTable(facts=5000)
meaning = backend.rng(0, "names").normal(size=(facts.names, 2, 24))  # a name first, or second
keys = meaning[facts.rows[:, 0], 0] + meaning[facts.rows[:, 1], 1]  # (5000, 24)


found = []  # how often each search was right


def ask(ranks, seed, look_up):
    """Questions as (ids, targets); with look_up the best hit of a noisy search stands before."""
    asked = facts.ask(ranks)
    if not look_up:
        return asked.joined()
    noise = backend.rng(seed, "noise").normal(0, 1.0, (len(ranks), 24))
    hits = np.array([retrieve(q, keys, 1)[0] for q in keys[ranks] + noise])
    found.append(np.mean(hits == ranks))
    ids, targets = asked.joined()
    shown = facts.rows[hits].astype(ids.dtype)
    return np.hstack([shown, ids]), np.hstack([np.full_like(shown, -100), targets])


# %% slideshow={"slide_type": "subslide"}
def reader(seed):
    size = {"layers": 2, "heads": 2, "channels": 32, "ff": 64, "positions": "rope"}
    config = Config(vocab_size=facts.vocab_size, context=8, init_std=0.1, **size)
    return Transformer(config, seed=seed)


def questions(seed, step):
    ranks = backend.rng(seed, "asked", step).choice(facts.facts, 256, p=facts.probability)
    return ask(ranks, 0, False)


def open_book(seed, step):
    """Fewer questions of twice the length; any fact serves to learn reading."""
    r = backend.rng(seed, "open book", step)
    rows = facts.rows[r.choice(facts.facts, 64, p=facts.probability)]
    begin = np.full((64, 1), facts.vocab_size - 1)
    ids = np.hstack([rows, rows[:, :2], begin]).astype(np.int32)
    return ids, np.hstack([np.full((64, 5), -100), rows[:, 2:]]).astype(np.int32)


by_heart, with_book = ([reader(seed) for seed in SEEDS] for _ in range(2))
fit(by_heart, questions, 600, lr=1e-2)
fit(with_book, open_book, 150, lr=1e-2)
print(f"{by_heart[0].num_parameters():,} parameters for {facts.facts:,} facts")

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
bands = ((0, 10), (10, 100), (100, 1000), (1000, 5000))


def recalled(model, look_up, seed):
    """Share of right answers in each band of ranks, %."""
    right_in = []
    for low, high in bands:
        ranks = backend.rng(seed, "band", low).integers(low, high, 200)
        ids, targets = ask(ranks, seed, look_up)
        with no_grad():
            right_in.append(100 * (model(ids).data[:, -1].argmax(-1) == targets[:, -1]).mean())
    return right_in


closed = np.array([recalled(model, False, seed) for seed, model in enumerate(by_heart)])
opened = np.array([recalled(model, True, seed) for seed, model in enumerate(with_book)])
print(f"the search was right in {100 * np.mean(found):.1f} %, the reader in {opened.mean():.1f} %")
bars(
    ["1–10", "11–100", "101–1,000", "1,001–5,000"],
    {"by heart": closed, "looked up": opened},
    xlabel="rank of the fact, most asked first",
    ylabel="right answers, %",
    numbers="{:.0f}",
    alt="By heart, common facts are right and rare ones wrong; looked up, all are equally right.",
)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
claim(
    "what is looked up does not depend on how rare it is; what is known by heart does",
    source="Talk 1, open questions",
    measure="points lost from the ten most asked facts to those beyond the thousandth",
    expected="by heart above 50, looked up below 10",
    measured={"by heart": closed[:, 0] - closed[:, -1], "looked up": opened[:, 0] - opened[:, -1]},
    holds=lambda m: m["by heart"] > 50 and m["looked up"] < 10,
    note="The reader is as good as the search, which has to work with noisy questions.",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## An agent is a loop
#
# The model writes an action. The world answers. The answer joins the text, and the model goes on.
#
# **Claim** (talk 1). Memory, tools and reflection make a model into more than itself.
#
# **Test.** Sixteen people have told it a number each, long ago. It is asked for the sum of two.
# **What would prove it wrong.** Taking the calculator away costs less than 50 points, or
# reflection gains nothing.

# %% slideshow={"slide_type": "-"}
PEOPLE = "Ada Bo Cy Di Eve Flo Gus Hal Ida Jo Kim Lou Max Ned Oz Pat".split()
WORDS = [*"0123456789", *PEOPLE, *"alone tools tell ask store look add say = .".split()]
NUMBER = {word: i for i, word in enumerate(WORDS)}
STOP = NUMBER["."]


def encode(text):
    return [NUMBER[word] for word in text.split()]


def digits(n, width=2):
    return " ".join(f"{n:0{width}d}")


# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What it learns from
#
# Short scripts in which it plays one part. Only its own lines are scored.


# %% slideshow={"slide_type": "-"}
def script(r, kind):
    """Lines of (text, whether the model says it)."""
    (a, b), (x, y) = r.choice(PEOPLE, 2, replace=False), r.integers(0, 100, 2)
    if kind == "tell":
        return [(f"tell {a} {digits(x)}", False), (f"store {a} {digits(x)} .", True)]
    said = [(f"{kind} ask {a} {b}", False)]
    for name, value in ((a, x), (b, y)):
        said += [(f"look {name} .", True), (f"= {digits(value)}", False)]
    if kind == "tools":
        said += [(f"add {digits(x)} {digits(y)} .", True), (f"= {digits(x + y, 3)}", False)]
    return [*said, (f"say {digits(x + y, 3)} .", True)]


def scripts(seed, step):
    r = backend.rng(seed, "scripts", step)
    ids, mine = np.full((48, 33), STOP, np.int32), np.zeros((48, 33), bool)
    for row, kind in enumerate(["tell", "alone", "tools", "tools"] * 12):
        said = [(token, own) for text, own in script(r, kind) for token in encode(text)]
        ids[row, : len(said)], mine[row, : len(said)] = zip(*said, strict=True)
    return ids[:, :-1], np.where(mine, ids, -100)[:, 1:]


size = {"layers": 2, "heads": 4, "channels": 48, "ff": 96, "positions": "rope"}
config = Config(vocab_size=len(WORDS), context=64, init_std=0.1, **size)
agents = [Transformer(config, seed=seed) for seed in SEEDS]
fit(agents, scripts, 280)
print(f"{agents[0].num_parameters():,} parameters")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The loop, with its memory and its tools

# %% slideshow={"slide_type": "-"}
from minilm.inference import generate


def act(action, memory):
    """Carry out one action; returns what the world says, or None where it says nothing."""
    match action:
        case ["store", name, *number] if len(number) == 2:
            memory[name] = "".join(number)
        case ["look", name] if name in memory:
            return "= " + " ".join(memory[name])
        case ["add", *d] if len(d) == 4 and "".join(d).isdigit():
            return "= " + digits(int(d[0] + d[1]) + int(d[2] + d[3]), 3)
    return None


def run_agents(model, prompts, memory, seed):
    """Several transcripts at once; each ends when the model has said something."""
    texts, live = [encode(prompt) for prompt in prompts], list(range(len(prompts)))
    for turn in range(6):
        new = generate(model, [texts[k] for k in live], 8, stop=[STOP], seed=100 * seed + turn)
        going = []
        for k, line in zip(live, new, strict=True):
            answer = act([WORDS[i] for i in line if i != STOP], memory)
            texts[k] = texts[k] + line + encode(answer or "")
            going += [k] if answer else []
        live = going
        if not live:
            break
    return [" ".join(WORDS[i] for i in text) for text in texts]


# %% slideshow={"slide_type": "subslide"}
def fits(text):
    """Reflection: does the transcript hang together, whoever may be right?"""
    people = text.split(" ask ")[1].split()[:2]
    looked = re.findall(r"look (\w+) \. = (\d) (\d)", text)
    added = re.findall(r"add (\d) (\d) (\d) (\d) \. = (\d) (\d) (\d) say (\d) (\d) (\d) \.", text)
    if [name for name, *_ in looked] != people or len(added) != 1:
        return False
    return (
        added[0][:4] == tuple("".join(a + b for _, a, b in looked))
        and added[0][4:7] == added[0][7:]
    )


def with_reflection(model, prompts, memory, seed, attempts=3):
    """Read each transcript again; what does not hang together is tried again."""
    texts = run_agents(model, prompts, memory, seed)
    for again in range(1, attempts):
        odd = [k for k, text in enumerate(texts) if not fits(text)]
        redone = (
            run_agents(model, [prompts[k] for k in odd], memory, seed + 1000 * again) if odd else []
        )
        for k, text in zip(odd, redone, strict=True):
            texts[k] = text
    return texts


# %% slideshow={"slide_type": "subslide"}
def examine(model, seed, questions=100):
    """Right answers in %, for each way of working; one transcript too."""
    r, memory = backend.rng(seed, "exam"), {}
    told = {name: int(r.integers(0, 100)) for name in PEOPLE}
    run_agents(model, [f"tell {name} {digits(n)}" for name, n in told.items()], memory, seed)
    pairs = [r.choice(PEOPLE, 2, replace=False) for _ in range(questions)]
    sums = [digits(told[a] + told[b], 3) for a, b in pairs]
    alone, tools = ([f"{kind} ask {a} {b}" for a, b in pairs] for kind in ("alone", "tools"))
    ways = {
        "no memory": run_agents(model, tools, {}, seed),
        "memory": run_agents(model, alone, memory, seed),
        "+ calculator": run_agents(model, tools, memory, seed),
        "+ reflection": with_reflection(model, tools, memory, seed),
    }
    marks = {
        name: 100
        * np.mean([text.endswith(f"say {s} .") for text, s in zip(texts, sums, strict=True)])
        for name, texts in ways.items()
    }
    marks["stored"] = sum(memory.get(name) == f"{n:02d}" for name, n in told.items())
    return marks, ways["+ calculator"][0]


def by_line(text):
    """A transcript with each action and each answer on a line of its own."""
    return re.sub(r" (?=look|add|say|=)", "\n", text)


exams = [examine(model, seed) for seed, model in enumerate(agents)]
print(by_line(exams[0][1]), "\n")
print("facts stored right, of 16:", *(marks.pop("stored") for marks, _ in exams))

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
ways = list(exams[0][0])
marks = np.array([[mark[way] for way in ways] for mark, _ in exams])
bars(
    ways,
    marks,
    ylabel="right answers, %",
    numbers="{:.0f}",
    alt="Without memory nothing is right, with memory little; the calculator brings most.",
)
# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
claim(
    "memory, a tool and reflection each make the same model better",
    source="Talk 1, agents",
    measure="right sums of two remembered numbers, %",
    expected="the calculator gains 50 points, reflection gains in every seed",
    measured={way: marks[:, k] for k, way in enumerate(ways)},
    holds=lambda m: m["+ calculator"] - m["memory"] > 50 and m["+ reflection"] > m["+ calculator"],
    partly=lambda m: (
        m["+ calculator"] - m["memory"] > 50 and m["+ reflection"] >= m["+ calculator"]
    ),
    note="Reflection checks the transcript, not the truth: a number stored wrongly stays wrong.",
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Ask it yourself
#
# Take the calculator away, or lose the memory, and read what it does.


# %% slideshow={"slide_type": "-"} tags=["hide-input"]
def talk(first, second, calculator, memory, seed):
    store = {name: f"{7 * k % 100:02d}" for k, name in enumerate(PEOPLE)} if memory else {}
    prompt = f"{'tools' if calculator else 'alone'} ask {first} {second}"
    (text,) = run_agents(agents[0], [prompt], store, seed)
    print(f"seed {seed}\n{by_line(text)}")


interact(
    talk, first=PEOPLE[1:], second=PEOPLE[5:], calculator=True, memory=True, seed=(0, 20, 1, 0)
)

# %% [markdown] slideshow={"slide_type": "notes"}
# The model is the same in all four bars. What changes is what stands around it. Ask which
# failures reflection can find: those that contradict the transcript, never a wrong memory.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What it cannot do yet
#
# A transformer has learnt to copy strings of up to 16 letters. It sees all of them at once, and no
# gradient fades. A child who can copy 16 letters can copy 20.
#
# **Claim** (ours, for the talk's list of open weaknesses). It has learnt the lengths, not the rule.
#
# **What would prove it wrong.** A fifth of the strings of 20 letters copied without a fault.

# %% slideshow={"slide_type": "-"}
size = {"layers": 1, "heads": 4, "channels": 64, "ff": 128}
config = EncoderDecoderConfig(vocab_size=LETTERS + 3, context=64, init_std=0.1, **size)
transformers = [EncoderDecoder(config, seed=seed) for seed in SEEDS]
fit(transformers, strings, 320)
longer = range(2, 33, 2)
whole = {
    name: np.array([[100 * right(model, size)[1] for size in longer] for model in models])
    for name, models in (("transformer", transformers), ("LSTM, attention", attending))
}

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
with figure(alt="Whole strings copied: near all up to 16 letters, none soon after.") as ax:
    ax.axvspan(1, TRAINED, color="#EAF2F9")
    ax.text(1.4, 4, "lengths seen in training", color="#5B6678", fontsize=16)
    lines(longer, whole, xlabel="letters to copy", ylabel="strings without a fault, %", ax=ax)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
at = {size: longer.index(size) for size in (12, 20)}
claim(
    "a transformer that copies what it was trained on does not copy anything longer",
    source="Talk 1, weaknesses and challenges (test ours)",
    measure="strings copied without a fault, %",
    expected="12 letters above 90, 20 letters below 20",
    measured={f"{size} letters": whole["transformer"][:, k] for size, k in at.items()},
    holds=lambda m: m["12 letters"] > 90 and m["20 letters"] < 20,
    note="Its table of positions has no trained row beyond 17: it cannot tell where it is.",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What to keep
#
# 1. Counting fails on what it has not seen; vectors share what they learn between words.
# 2. A recurrent state fades and has one size; attention reaches everything in one step.
# 3. Without recurrence the depth of the computation is the model's, not the text's.
# 4. Steps on paper, facts in a store and tools in a loop do what weights do badly.
# 5. A model that is perfect where it was trained can be useless one step further.
#
# Now write the pieces yourself: `exercises/01_overview_of_transformers.ipynb`.
