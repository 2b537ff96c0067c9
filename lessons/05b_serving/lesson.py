# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Serving: one model, many readers"
#   talk: "Demystifying Mixtral of Experts"
#   speaker: "Albert Jiang"
# ---

# %% [markdown] slideshow={"slide_type": "slide"}
# # Serving: one model, many readers
#
# ![Eight answers in three rows. On the left, where a batch waits for its longest answer, many places are grey and idle. On the right, where the next answer comes in at once, nearly none are, and the last answer ends much earlier.](05b_serving/opening.png)
#
# A model is trained once. Then it is read from, by many people at the same time, for years. What
# that costs hardly depends on how good the model is. It depends on **where keys and values lie, who
# waits for whom, and how often the same words are read again**.
#
# Your bet: 48 people ask at once; some want a word, some a page. The machine has room for 16. By how
# much does the last answer come earlier if nobody waits for his neighbours? A tenth? Twice? Ten times?
#
# *30 minutes to read, one to run. You need the cache of keys and values, as in
# [lesson 03](03_history_of_the_transformer.ipynb), and attention, as in
# [lesson 00c](00c_attention_by_hand.ipynb).*

# %% [markdown] slideshow={"slide_type": "notes"}
# 3 minutes. Take the bets. Albert Jiang's talk ends with questions on serving: a dense model at the
# edge, where memory is short; a mixture where many texts are written at once. This lesson is the
# ground under those answers. For 50 minutes leave out sections 4, 7 and 9.

# %% [markdown] slideshow={"slide_type": "skip"}
# Everything here runs on a small model that we train now, on Python's own documentation, in a few
# seconds. It has the shape of Mistral 7B: grouped queries, rotary positions, gated units. Beside it
# we train a still smaller one, a tenth of its weights, which will guess for it in section 6.

# %% slideshow={"slide_type": "skip"}
from collections import Counter

import numpy as np

from minilm.analysis.accounting import kv_bytes_per_token
from minilm.course import budget, interact, lesson_folder, progress, seeds
from minilm.inference import PagedCache, QuantizedCache
from minilm.inference.quantized_cache import quantized_bytes
from minilm.inference.speculate import expected_tokens
from minilm.models import presets
from minilm.tensor import no_grad

SEEDS = seeds()  # 0, 1, 2, or those that `minilm run 05b --seeds 3,4,5` asks for
here = lesson_folder("05b")
pictures, verdicts, lab = here.pictures, here.module("verdicts"), here.module("experiments")

# %% slideshow={"slide_type": "skip"}
home = lab.make_home(budget(500), SEEDS[0])
model, config = home.model, home.model.config
print(f"{model.num_parameters():,} parameters; the guesser {home.draft.num_parameters():,}")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 1. One token, and all weights are read
#
# A model that writes goes token by token. For each it must read **every weight** once from memory, and
# it does two operations with each: a product and a sum. That is little work for much reading.
#
# By hand, for Mistral 7B on an A100: 7.24 billion weights of 2 bytes are 14.5 GB. The chip reads
# 2,039 GB in a second, so a token takes at least 14.5 / 2,039 s = **7.1 ms**. Its arithmetic, 14.5
# billion operations at 312 thousand billion a second, takes **0.046 ms**. For 99 % of the time the
# multipliers wait.
#
# Unless there is more to do with a weight that has come. If 153 texts are written at once, each weight
# is read once and used 153 times: then reading and arithmetic take the same time. Below that number
# another text costs nothing; above it, its full price.

# %%
chips = {
    "A100": (2.039e12, 312e12),
    "H100": (3.35e12, 989e12),
}  # bytes / s, operations / s (16 bits)
print({name: f"{ops / bandwidth:.0f} texts" for name, (bandwidth, ops) in chips.items()})
pictures.roofline(np.geomspace(1, 8000, 60), chips)

# %% [markdown] slideshow={"slide_type": "notes"}
# 5 minutes. The figures are those of NVIDIA's data sheets (A100 80 GB SXM, H100 SXM, dense). Ask what a
# prompt looks like in this picture: its tokens are all known, so a prompt of 1,000 tokens is 1,000
# texts at once.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The same on your machine
#
# Reading a prompt is called **prefill**; all its tokens go through the model together. Writing is
# called **decode**. **Claim:** writing one text leaves most of the machine idle. **Would prove it
# wrong:** 32 texts are written less than twice as fast as one, in tokens a second; or a prompt is read
# less than twice as fast as one text is written.

# %%
batches = [1, 2, 4, 8, 16, 32]
written = [lab.speeds(model, seed, batches) for seed in progress(SEEDS)]
read = [lab.reading_speed(model, seed) for seed in SEEDS]
pictures.speeds(batches, written, read)
verdicts.together_is_cheaper(batches, written, read, SEEDS)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Our weights, two megabytes, lie in the processor's own memory, and reading them is not what takes
# time. What is saved here is the cost of a *step*: each has a fixed part, whatever it is done for.
#
# **To remember:** a step costs nearly the same for one text as for many. Fill it.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 2. What a text leaves behind
#
# What stands against filling it is memory. Each token leaves its keys and values in every layer:
#
# $$2 \cdot \text{layers} \cdot \text{key heads} \cdot \text{head size} \cdot \text{bytes}$$
#
# By hand, Mistral 7B: 2 · 32 layers · 8 key heads · 128 numbers · 2 bytes = **131,072** bytes a token.
# A text of 8,192 tokens takes 1 GiB. With 32 key heads, as many as its queries have, it would be 4.

# %%
known = {
    "GPT-2": presets.gpt2("small"),
    "Llama 2 7B": presets.llama("7b"),
    "Mistral 7B": presets.mistral(),
    "Llama 2 70B": presets.llama("2-70b"),
    "StarCoder": presets.starcoder(),
    "GPT-3": presets.gpt3(),
}
for name, one in known.items():
    each = kv_bytes_per_token(one)
    print(f"{name:12} {each:9,} bytes a token, {each * 4096 / 2**30:6.2f} GiB for 4,096")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## By formula and by arrays
#
# **Would prove it wrong:** one of six published figures, or the bytes of one of our own caches, is not
# what the formula says. Ours are in 32 bits. The third one keeps 8 bits and its levels, which section 7
# explains.

# %%
n, one = 128, kv_bytes_per_token(config, 4)  # places, bytes of a token in 32 bits
ours = {
    "one block": (lab.ContiguousCache(config, 1, n).nbytes, n * one),
    "pages": (PagedCache.of(config, 1, n, 16).pages.nbytes, n * one),
    "8 bits": (QuantizedCache(config, 1, n).nbytes, quantized_bytes(config, 1, n)),
}
verdicts.caches_by_formula(known, ours)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 3. Pages
#
# How much memory does a text need? Nobody knows before it ends. The simple way is to keep a block for
# the longest it may become. Most texts are short, and most of the block stays empty.
#
# Operating systems solved this in the 1960s. Memory is cut into **pages** of a few places. A text
# has a **table**: the numbers of its pages, in order. It takes a new page when the last one is full.
# Pages need not lie side by side, and two texts that begin alike can name the same one. Here is all
# of it.


# %%
class Memory:
    def __init__(self, pages, size):
        self.size, self.holders, self.free = size, Counter(), list(range(pages))[::-1]
        self.keys = np.zeros((pages, size, 2))  # (P, S, D): a layer and a head, D = 2

    def take(self):
        page = self.free.pop()  # IndexError: no page is left
        self.holders[page] = 1
        return page

    def drop(self, page):
        self.holders[page] -= 1
        if not self.holders[page]:
            self.free.append(page)

    def fork(self, table):  # a second text that has said the same so far
        self.holders.update(table)
        return list(table)

    def write(self, table, place, key):
        if place % self.size == 0:  # the last page is full
            table.append(self.take())
        page = table[place // self.size]
        if self.holders[page] > 1:  # somebody else reads here: write to a copy
            new = self.take()
            self.keys[new] = self.keys[page]
            self.drop(page)
            table[place // self.size] = page = new
        self.keys[page, place % self.size] = key


# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Two texts, one beginning
#
# By hand, with pages of four. Ann writes six tokens: pages 0 and 1, the second half full. Bob goes on
# from the same six: he names 0 and 1 too, and nothing is copied. Now both write a seventh. Page 1 has
# two holders, so the first who writes gets a copy, page 2. For the other it is then his own.

# %%
memory, rng = Memory(pages=12, size=4), np.random.default_rng(0)
ann, said = [], rng.normal(size=(6, 2))
for place, key in enumerate(said):
    memory.write(ann, place, key)
bob = memory.fork(ann)
memory.write(ann, 6, [1.0, 0.0])
memory.write(bob, 6, [0.0, 1.0])
print("ann", ann, " bob", bob, " free", len(memory.free))
pictures.pages_of({"ann": ann, "bob": bob}, 4, {"ann": 7, "bob": 7}, 12)

# %% [markdown] slideshow={"slide_type": "fragment"}
# To attend, a query needs the keys of its text: `keys[table]` brings the pages in order, and a reshape
# makes them one row. On the page and by the package's compiled loop it is the same.

# %%
keys = memory.keys[bob].reshape(-1, 2)[:7]  # (pages, S, D) -> (T, D)
print("bob reads what he wrote:", np.array_equal(keys, [*said, [0.0, 1.0]]))

# %% [markdown] slideshow={"slide_type": "notes"}
# 6 minutes. Let somebody play the allocator at the board: "Carla forks from Bob", "Ann ends". The point
# of the holders' count: a page is free when nobody holds it, and nobody has to look for garbage.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Move it
#
# How many tokens a page holds is a choice. Small pages waste less at the end of each text, and more
# texts can share; large ones need shorter tables. Ann has written 23 tokens and Bob went on from her
# 10th for 5 more.


# %%
def share(page=(2, 12, 2, 4)):
    memory = Memory(48, page)
    ann, bob = [], []
    for place in range(23):
        if place == 10:
            bob = memory.fork(ann)
        memory.write(ann, place, 0.0)
    for place in range(10, 15):
        memory.write(bob, place, 0.0)
    used = 48 - len(memory.free)
    lengths = {"ann": 23, "bob": 15}
    pictures.pages_of({"ann": ann, "bob": bob}, page, lengths, used, f"{used * page} places")


interact(share, page=(2, 12, 2, 4))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## How much is empty
#
# Forty-eight chats: prompts of 4 to 96 tokens, answers of 8 to 256, of which most are short and a few
# are long, as people's are. **Claim**, of the paper that brought pages to language models: they waste
# next to nothing, where blocks for the longest case are mostly empty. **Would prove it wrong:** less
# than 90 % of the places in pages of 16 hold a token, or more than 40 % of those in blocks of 512.

# %%
wishes = {seed: lab.heavy_tail(home, seed, 48) for seed in SEEDS}
print("answers:", sorted(wish.tokens for wish in wishes[SEEDS[0]]))
flowing = {seed: lab.serve(model, wishes[seed]) for seed in progress(SEEDS)}
held = [np.sum(run.stored) / (lab.PAGE * np.sum(run.held)) for run in flowing.values()]
blocks = [np.sum(run.stored) / (512 * np.sum(run.texts_there)) for run in flowing.values()]
verdicts.pages_waste(held, blocks, SEEDS)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** take memory when a token comes, not when a text begins.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 4. A tree of what was said
#
# With every message a chat program sends the **whole** history again. Turn ten brings nine turns that
# the machine has read before. A **prefix tree** remembers them: each edge carries a run of tokens and
# the pages that hold their keys and values. A new request walks down as far as it agrees, takes the
# pages it finds, and reads only the rest.
#
# By hand: each turn adds u tokens. Without the tree turn t reads t · u tokens, and T turns read u ·
# T(T + 1)/2. With it they read u · T. The ratio is **(T + 1)/2**, 5.5 for ten turns. In lesson 03 the
# same number told one kind of model from another; here it tells two servers apart.


# %%
def longest_known(tree, ids):  # tree: token -> (page or None, subtree)
    found = 0
    for token in ids:
        if token not in tree:
            break
        found, tree = found + 1, tree[token]
    return found


def remember(tree, ids):
    for token in ids:
        tree = tree.setdefault(token, {})


tree = {}
remember(tree, [7, 3, 3, 9])
print("of 7 3 3 5 1 are known:", longest_known(tree, [7, 3, 3, 5, 1]))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Ten turns
#
# The package's tree holds runs and not single tokens, and gives up those that nobody asked for longest
# when memory is short. **Would prove it wrong:** the ratio is more than 2 % away from 5.5.

# %%
turns, each = 10, {"user": 24, "answer": 24}
whole = lab.chat_reads(model, turns, **each, page=16, share=False)
tree = lab.chat_reads(model, turns, **each, page=16, share=True)
pictures.reads(turns, {"all again": whole, "prefix tree": tree})
verdicts.chats_share(turns, whole, tree)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** what was read once need not be read again, by whoever asks.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 5. Nobody waits for his neighbour
#
# A batch used to be fixed: sixteen texts go in, and when the longest is done the next sixteen may.
# Most rows are idle most of the time. The cure is to decide **at every step** who takes part: a text
# leaves when it ends, and the next one sits down in its place. It is called continuous batching. On
# the page it is one word in one line.


# %%
def batch(lengths, slots, refill):
    waiting, left, row, seats = list(range(len(lengths))), list(lengths), [None] * slots, []
    while waiting or any(who is not None for who in row):
        if refill or all(who is None for who in row):  # continuous, or all have ended
            row = [waiting.pop(0) if who is None and waiting else who for who in row]
        seats.append(list(row))
        for slot, who in enumerate(row):
            if who is not None:
                left[who] -= 1  # it writes a token
                row[slot] = who if left[who] else None
    return seats


lengths = [9, 2, 3, 8, 2, 4, 3, 2]
print("steps:", {refill: len(batch(lengths, 3, refill)) for refill in (False, True)})

# %% [markdown] slideshow={"slide_type": "fragment"}
# Page and package agree: the scheduler takes as many steps for the same lengths, where every prompt is
# one token.

# %%
for refill in (False, True):
    counted = lab.serve(model, [lab.Wish([1], n) for n in lengths], most=3, refill=refill).counts
    print(refill, counted.steps, len(batch(lengths, 3, refill)))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Watch the slots
#
# Each colour is one answer; grey is a slot that does nothing. Tick the box, and move the step.

# %%
many = [min(int(n), 40) for n in 3 * (1 + np.random.default_rng(2).pareto(1.1, 40))]


def watch(continuous=False, share=1.0):
    seats = batch(many, 8, continuous)
    pictures.timeline(seats, max(1, round(share * len(seats))))


interact(watch, continuous=False, share=(0.1, 1.0, 0.1, 1.0))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Forty-eight chats
#
# **Claim:** deciding at every step writes at least twice as fast. **Would prove it wrong:** less than
# twice in seconds, or a single text that says something else. *Before you run it: look at the lengths
# in section 3. Which of them decides how long a fixed batch takes?*

# %%
fixed = {seed: lab.serve(model, wishes[seed], refill=False) for seed in progress(SEEDS)}
pairs = [(fixed[seed], flowing[seed]) for seed in SEEDS]
steps = [slow.counts.steps / fast.counts.steps for slow, fast in pairs]
seconds = [slow.seconds / fast.seconds for slow, fast in pairs]
verdicts.nobody_waits(steps, seconds, all(a.texts == b.texts for a, b in pairs), SEEDS)

# %% [markdown] slideshow={"slide_type": "fragment"}
# A long prompt that is read in one step would make all who write wait for it. So it is cut into chunks
# that ride along: a step has room for 128 tokens, those who write have one each, and the prompt takes
# what is left.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Does it matter who else is there?
#
# Texts share steps, pages and sums of floating-point numbers. What you are told must not depend on
# that. **Would prove it wrong:** one text of 16 that says something else alone than among the others,
# greedy or drawn with its own seed.

# %%
found = [lab.alone_and_together(home, seed) for seed in progress(SEEDS)]
verdicts.neighbours(found, 16, SEEDS)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** the batch is decided anew at every step, and nobody can tell.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 6. Guess, then check
#
# With one reader only there is no batch to fill. But a step reads five tokens for about the price of
# one. So let somebody cheap **guess** the next four, and let the model read them all at once. Where its
# own choice is another, the rest is thrown away; up to there four tokens came in a single step.
#
# If tokens are *drawn*, "another choice" needs care. The guesser drew x from its distribution q; the
# model has p. Keep x with probability **min(1, p(x)/q(x))**. If not, draw from what p has above q:
# max(0, p − q), made to sum to 1.
#
# By hand: p = (0.6, 0.4), q = (0.9, 0.1). The first token is guessed in 0.9 and kept in 0.6/0.9 of
# these: 0.6. The second: 0.1, always kept. In the missing 0.3 we draw from p − q = (−, 0.3): the
# second. Together 0.6 and 0.4: exactly **p**.


# %%
def keep_or_draw(x, q, p, rng):
    if rng.random() < p[x] / q[x]:
        return x, True
    left = np.maximum(p - q, 0)
    return rng.choice(len(p), p=left / left.sum()), False


p, q = np.array([0.5, 0.3, 0.15, 0.05]), np.array([0.2, 0.2, 0.5, 0.1])
pictures.halves(p, q, ["the", "a", "an", "no"])

# %% [markdown] slideshow={"slide_type": "notes"}
# 6 minutes. The right panel is the proof: green and red together are p. The green part has the area
# sum of min(p, q), which is how often a guess is kept. Ask what happens for q = p, and for a q that
# never guesses what p wants.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Is it exact?
#
# Sixteen possible texts of two tokens, from four letters; p and q depend on the letter before. 20,000
# are drawn with guesses, and compared with the model's own probabilities. **Would prove it wrong:** a
# chi-square above 37.7, which chance gives once in a thousand; or a share of kept guesses more than
# 0.01 away from the sum of min(p, q).

# %%
P, Q = (np.random.default_rng(seed).dirichlet(np.ones(4), 5) for seed in (0, 1))  # row 4: the start
pairs_p = (P[4][:, None] * P[:4]).ravel()  # (16,) of each text, by the model alone


def drawn(rng):
    first, kept = keep_or_draw(rng.choice(4, p=Q[4]), Q[4], P[4], rng)
    second, _ = keep_or_draw(rng.choice(4, p=Q[first]), Q[first], P[first], rng)
    return 4 * first + second, kept


# %%
chi, kept = [], []
for seed in progress(SEEDS):
    rng = np.random.default_rng(seed)
    texts, first = zip(*(drawn(rng) for _ in range(20_000)))
    counts = np.bincount(texts, minlength=16)
    chi.append(float(((counts - 20_000 * pairs_p) ** 2 / (20_000 * pairs_p)).sum()))
    kept.append(float(np.mean(first)))
wanted = float(np.minimum(P[4], Q[4]).sum())
verdicts.same_distribution(pairs_p, chi, 37.7, kept, wanted, SEEDS)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What it gains
#
# If each guess is kept with probability a, k guesses bring 1 + a + a² + … + aᵏ tokens a round:
#
# $$\frac{1 - a^{k+1}}{1 - a}$$
#
# By hand: a = 0.8, k = 4: (1 − 0.328)/0.2 = **3.36** tokens for one step of the model and four of the
# guesser. Two guessers: the small model, and **look-up**, which costs nothing: where did the last three
# tokens stand before, and what came then?
#
# **Would prove it wrong:** tokens a round more than 20 % away from the formula, or no guesser that makes
# our model at least 1.2 times as fast.

# %%
ks = (1, 2, 4, 6)
found = {
    name: {k: [lab.speculated(home, seed, name, k) for seed in SEEDS] for k in ks}
    for name in progress(("small model", "look-up"))
}
shown = {name: {k: runs[k][0] for k in ks} for name, runs in found.items()}
pictures.guesses(shown, expected_tokens)
verdicts.guesses_by_formula(found, SEEDS)

# %% [markdown] slideshow={"slide_type": "fragment"}
# The formula takes every guess as equally good. It is not so: where a text repeats itself, guesses come
# in runs. And it takes a check as costing one step. On a graphics card it nearly does; on our
# processor five tokens cost more than one, and the small model's own steps cost more than its size
# says. That is where the gain goes.
#
# **To remember:** guesses change the speed and never the text.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 7. Eight bits
#
# Twice as many texts fit if keys and values take half the memory. Numbers between the least and the
# greatest of a group get 256 **levels**: 0 for the least, 255 for the greatest.
#
# By hand: (−1, 0, 0.5, 4) has steps of 5/255 = 0.0196. The codes are (0, 51, 76, 255); back come −1, 0,
# 0.49, 4. But who shares the levels? In keys some *channels* are large in every token; in values none
# are. So keys share along tokens, channel by channel, and values within a token.


# %%
def to_levels(x, axis):
    low, high = x.min(axis, keepdims=True), x.max(axis, keepdims=True)
    step = (high - low) / 255
    return np.rint((x - low) / np.where(step > 0, step, 1)).astype(np.uint8), step, low


codes, step, low = to_levels(np.array([-1.0, 0.0, 0.5, 4.0]), axis=0)
print(codes, np.round(low + step * codes, 3))

cache = PagedCache.of(config, 1, 128, 16)
with no_grad():
    model(home.unseen[None, :128].astype(np.int64), cache=cache)
k = cache.pages.keys[0, cache.tables[0].numbers, 0].reshape(128, -1)  # (T, D) keys of a head
for name, axis in (("along tokens", 0), ("within a token", 1)):
    codes, step, low = to_levels(k, axis)
    print(f"keys, levels {name:15} mean error {np.abs(low + step * codes - k).mean():.4f}")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Do they still say the same?
#
# Six pieces of unseen text a seed. The first 40 tokens at once, then one at a time over each cache,
# beside reading everything anew. **Would prove it wrong:** pages change a logit by more than 0.001; 8
# bits change the perplexity by 1 % or more, or take more than 0.4 of the bytes.

# %%
found = [lab.compare_caches(home, seed) for seed in progress(SEEDS)]
share_of_bytes = ours["8 bits"][0] / ours["one block"][0]
verdicts.eight_bits(found, share_of_bytes, SEEDS)

# %% [markdown] slideshow={"slide_type": "fragment"}
# In 8 bits the levels themselves take room, most for small heads: ours have 24 numbers, so 8 bits for
# each become more. With Mistral's 128 it is about 9.
#
# **To remember:** pages are exact, bits are a bargain. Know which one you bought.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 8. How full is full?
#
# People come when they like. Eight slots write eight tokens a step; requests come at random, and ask on
# average for a share of that, the **load**. At half of it, surely nobody waits? Time is counted in
# steps here, so every machine gives the same curve.
#
# **Claim:** a server that is nearly full is slow long before it is full. **Would prove it wrong:** at
# load 0.3 the slowest of a hundred wait more than 2 steps; at 0.9 fewer than 5; or at 1.2 not more
# than twice as long as at 0.9.

# %%
loads = [0.3, 0.5, 0.7, 0.8, 0.9, 1.0, 1.2]
waited = {load: [lab.waits(home, seed, load) for seed in SEEDS] for load in progress(loads)}
pictures.under_load(loads, waited)
verdicts.the_knee(loads, waited, SEEDS)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Beyond 1 there is no answer to "how long": the queue grows for as long as people come. So a server
# has a queue with an end, and says *busy* (429) to those who come after. That is kinder than an answer
# in an hour.
#
# **To remember:** buy for the peak, or learn to say no.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 9. Serve it
#
# `minilm serve DIR` puts a saved model behind the interface that OpenAI's programs speak. Here it runs
# inside the notebook, and we talk to it as any program would: over HTTP. The answer comes in pieces,
# each as soon as it is written.

# %%
import json
import urllib.request

from minilm.inference.server.aside import serving


def ask(address, prompt, tokens=40, **more):
    body = {"model": "docs", "prompt": prompt, "max_tokens": tokens, "stream": True, **more}
    request = urllib.request.Request(
        f"{address}/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        for line in answer:
            if line.startswith(b"data: {"):
                yield json.loads(line[6:])["choices"][0]["text"]


def talk(say="Return the"):
    with serving(model, home.tokenizer, "docs", most=16) as address:
        return say + "".join(ask(address, say, temperature=0.7, seed=1))


interact(talk, say="Return the")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Many at once
#
# One client, then sixteen at the same moment. Each dot is one of them: milliseconds until its first
# token came, and between tokens. Run it again on your machine, with 64.

# %%
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter


def times(address, client):
    start, ticks = perf_counter(), []
    for _ in ask(address, f"The {client}th function", tokens=24, seed=client, temperature=1.0):
        ticks.append(perf_counter())
    return 1e3 * (ticks[0] - start), 1e3 * float(np.mean(np.diff(ticks)))


with serving(model, home.tokenizer, "docs", most=16) as address:
    times(address, 0)  # the first call opens what stays open
    rows = {}
    for clients in (1, 16):
        with ThreadPoolExecutor(clients) as pool:
            first, between = zip(*pool.map(lambda i: times(address, i), range(clients)))
        rows |= {f"first token, {clients}": first, f"between, {clients}": between}
pictures.first_tokens(rows)

# %% [markdown] slideshow={"slide_type": "notes"}
# 4 minutes. If there is time, start `minilm serve` on the lecturer's machine and let the room ask it
# with curl; `/metrics` shows the queue in numbers. Its tests end connections in mid-sentence, send
# broken JSON and ask 200 times at once: no page is lost.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 10. Whom a mixture helps
#
# Back to the talk. Mixtral has eight experts in each layer and uses two for a token: a step for one
# text reads a quarter of them. Is it then four times as cheap to serve? Asked when to take a mixture,
# Jiang answers: a dense model at the edge, a mixture for large batches.
#
# By hand: a token misses a given expert with probability 6/8. B tokens all miss it with 0.75ᴮ. So a
# step reads **8 (1 − 0.75ᴮ)** experts: 2, 3.5, 5.5, 7.2, 7.9 for 1, 2, 4, 8, 16 tokens. **Would prove
# it wrong:** counted over 4,000 random steps it differs by more than 0.1.

# %%
tokens = np.array([1, 2, 4, 8, 16])
counted = np.array([
    [
        np.mean([len(set(rng.permuted(np.tile(np.arange(8), (b, 1)), axis=1)[:, :2].flat))
                 for _ in range(4000)])
        for b in tokens
    ]
    for rng in map(np.random.default_rng, progress(SEEDS))
])  # fmt: skip
formula = 8 * (1 - 0.75**tokens)
pictures.touched(tokens, counted, formula)
verdicts.experts_read(tokens.tolist(), counted, formula, SEEDS)

# %% [markdown] slideshow={"slide_type": "fragment"}
# At the edge there is one reader, and what is short is memory: all eight experts must lie there though
# two are used. A dense model of the same memory knows more. In a large batch all experts are read in
# every step, but each token still pays the *arithmetic* of two; and above the bend of section 1
# arithmetic is what counts. So both halves of the answer follow from one curve. What it leaves out:
# real routers are not random, and [lesson 05](05_mixtral.ipynb) looks at one.
#
# **To remember:** a mixture saves arithmetic, not memory.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What came out, and what did not
#
# **As claimed.** Texts together are written many times as fast as one by one. The cache's formula holds
# to the byte. Pages are nearly full, blocks for the longest case nearly empty. A prefix tree earns
# (T + 1)/2. Deciding at every step beats fixed batches, and nobody can tell who else was there. Checked
# guesses draw from exactly the same distribution.
#
# **With a footnote.** How much guesses gain depends on what a check costs; read the card above. 8 bits
# cost next to nothing, in a small model that was never asked for long texts.
#
# **Not measured.** Graphics cards: our bend of the roofline is arithmetic from data sheets. Several
# machines, of which some read prompts and others write. Fairness between customers. Large models, whose
# keys have the outliers that made 8 bits hard.
#
# **One further question.** A text that loses its pages to others is read again later. When is it
# cheaper to copy its pages to slower memory and back?
#
# Now write the parts yourself: [exercise set](../exercises/05b_serving.ipynb).
