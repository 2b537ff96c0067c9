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
# A model is trained once. Then many people ask it things, at the same time, for years. To run it
# for them is called **serving**. One and the same model can be served cheaply or dearly. It depends
# on **where keys and values lie, who waits for whom, and how often the same words are read again**.
#
# Your bet: 48 people ask at once; some want a line, some a page. The machine has room for 16. How
# much sooner does the last answer come if nobody waits for his neighbours? In nine tenths of the
# time? In half? In a tenth?
#
# *30 minutes to read, one to run. You need the cache of keys and values, as in
# [lesson 03](03_history_of_the_transformer.ipynb), and attention, as in
# [lesson 00c](00c_attention_by_hand.ipynb).*

# %% [markdown] slideshow={"slide_type": "notes"}
# 3 minutes. Take the bets. In the questions after his talk Albert Jiang is asked about serving. His
# answer: a dense model at the edge, where memory is short; a mixture where many texts are written at
# once. For 50 minutes leave out sections 4, 7 and 9, as tagged; with questions all of it takes 80.

# %% [markdown] slideshow={"slide_type": "skip"}
# Everything here runs on a small model that we train now, on Python's own documentation, in a few
# seconds. Its parts are those of Mistral 7B: several query heads share a key head (grouped
# queries), positions are rotations, and its layers have gated units. Beside it we train a still
# smaller one, a seventh of its weights, which will guess for it in section 6.

# %% slideshow={"slide_type": "skip"}
from collections import Counter

import numpy as np

from minilm.analysis.accounting import kv_bytes_per_token
from minilm.course import interact, lesson_folder, progress, seeds
from minilm.inference import PagedCache, Pages, PageTable, QuantizedCache
from minilm.inference.quantized_cache import quantized_bytes
from minilm.inference.server.aside import serving
from minilm.inference.speculate import expected_tokens
from minilm.tensor import no_grad

SEEDS = seeds()  # 0, 1, 2, or those that `minilm run 05b --seeds 3,4,5` asks for
here = lesson_folder("05b")
pictures, verdicts, lab = here.pictures, here.module("verdicts"), here.module("experiments")
home = lab.make_home(400, SEEDS[0])
model, config = home.model, home.model.config
print(f"{model.num_parameters():,} parameters; the guesser {home.draft.num_parameters():,}")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 1. One token, and all weights are read
#
# A model writes token by token. A **step** is one pass through it. Each step reads **every weight**
# from memory once and, for a token, does two operations with it: a product and a sum. That is
# little work for much reading.
#
# By hand, for Mistral 7B on an A100, a graphics card: 7.24 billion weights of 2 bytes are 14.5 GB.
# The chip reads 2,039 GB in a second, so a token takes at least 14.5 / 2,039 s = **7.1 ms**. Its
# arithmetic, 14.5 billion operations at 312 thousand billion a second, takes **0.046 ms**. For 99 %
# of the time the multipliers wait.
#
# Unless there is more to do with a weight once it has come. If 153 texts are written at once, each
# weight is read once and used 153 times: then reading and arithmetic take the same time (7.1 /
# 0.046). As far as weights go, another text costs nothing below that number, and its full price
# above it.

# %%
chips = {"A100": (2.039e12, 312e12), "H100": (3.35e12, 989e12)}  # bytes / s, operations / s
print({name: f"{ops / bandwidth:.0f} texts" for name, (bandwidth, ops) in chips.items()})
pictures.roofline(np.geomspace(1, 8000, 60), chips)

# %% [markdown] slideshow={"slide_type": "notes"}
# 5 minutes. From NVIDIA's data sheets: A100 80 GB SXM, H100 SXM, dense. Ask what a prompt looks like
# here: all its tokens are known, so for the weights a prompt of 1,000 tokens is 1,000 texts at once.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The same on your machine
#
# Reading a prompt is called **prefill**; all its tokens go through the model together. Writing is
# called **decode**. **Claim**, ours: writing one text leaves more than half of the machine idle.
# **Would prove it wrong:** 32 texts are written less than twice as fast as one, in tokens a second;
# or a prompt is read less than twice as fast as one text is written.

# %%
batches = [1, 2, 4, 8, 16, 32]
written = [lab.speeds(model, seed, batches) for seed in progress(SEEDS)]
read = [lab.reading_speed(model, seed) for seed in SEEDS]
pictures.speeds(batches, written, read)
print("ms a step:", {b: round(1e3 * b / v, 2) for b, v in zip(batches, np.mean(written, 0))})
verdicts.together_is_cheaper(batches, written, read, SEEDS)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Our weights are two megabytes. They fit into the processor's own memory, so reading them is hardly
# what takes time, and texts share only the fixed part of a *step*. So ours gain less than the A100's
# picture promises: a step for 32 costs many times one for a single text, though less than 32 times.
#
# **To remember:** one step for many costs less than many steps for one. Fill it.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 2. What a text leaves behind
#
# What stands against filling it is memory. Each token leaves a key and a value in every layer, for
# every key head. Each has as many numbers as a head is large. In bytes:
#
# $$2 \cdot \text{layers} \cdot \text{key heads} \cdot \text{head size} \cdot \text{bytes of a number}$$
#
# By hand, Mistral 7B: 2 · 32 layers · 8 key heads · 128 numbers · 2 bytes = **131,072** bytes a
# token. A text of 8,192 tokens takes 1 GiB. With 32 key heads, as many as its queries have, it
# would be 4. And the 153 texts of section 1? At 4,096 tokens each they take 76.5 GiB. The card has
# 80 GB, and 14.5 of them hold the weights. So memory is full before the step is.

# %%
known = lab.known_models()  # name -> its sizes, from its paper
for name, one in known.items():
    each = kv_bytes_per_token(one)
    print(f"{name:12} {each:9,} bytes a token, {each * 4096 / 2**30:6.2f} GiB for 4,096")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## By formula and by arrays
#
# **Would prove it wrong:** for one of six models the formula differs from what its paper's sizes
# give, or one of our own caches has other bytes than we expect. Ours are in 32 bits. The third
# keeps 8 bits and has a formula of its own, which section 7 explains.

# %%
n, one = 128, kv_bytes_per_token(config, 4)  # places, bytes of a token in 32 bits
ours = {
    "one block": (lab.ContiguousCache(config, 1, n).nbytes, n * one),
    "pages": (PagedCache.of(config, 1, n, 16).pages.nbytes, n * one),
    "8 bits": (QuantizedCache(config, 1, n).nbytes, quantized_bytes(config, 1, n)),
}
verdicts.caches_by_formula(known, ours)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** how many readers fit is decided by what their texts leave behind.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 3. Pages
#
# How much memory does a text need? Nobody knows before it ends. The simple way is to keep a
# **block** for the longest it may become. Most texts are short, and most of the block stays empty.
#
# Operating systems solved this in the 1960s. Memory is cut into **pages**, each with **places** for
# a few tokens. A text has a **table**: the numbers of its pages, in order. It takes a new page when
# the last one is full. Pages need not lie side by side, and two texts that begin alike can name the
# same one: it then has two **holders**. Here is all of it.


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
        self.holders.update(table)  # one holder more for each of these pages
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
# By hand, with pages of four. Ann writes six tokens: pages 0 and 1, the second half full. Bob goes
# on from the same six: he names 0 and 1 too, and nothing is copied. Now both write a seventh. Page
# 1 has two holders, so the first to write gets a copy, page 2. The other then has page 1 to himself.

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
# A query needs the keys of its text. `keys[table]` brings the pages in order; a reshape puts their
# places one after another. The package's tables, which its models use, name the same pages.

# %%
keys = memory.keys[bob].reshape(-1, 2)[:7]  # (pages, S, D) -> (T, D)
print("bob reads what he wrote:", np.array_equal(keys, [*said, [0.0, 1.0]]))
first = PageTable(Pages((1, 1, 2), pages=12, page=4))  # one layer, one head, D = 2
first.reserve(6), first.advance(6)
second = first.fork()
first.reserve(1), second.reserve(1)
print("the package's tables are ours:", first.numbers == ann, second.numbers == bob)

# %% [markdown] slideshow={"slide_type": "notes"}
# 6 minutes. Let somebody play the memory at the board: "Carla forks from Bob", "Ann ends". A page is
# free when its holders' count is 0; nobody has to look for garbage.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Move it
#
# How many tokens a page holds is a choice. With small pages less is empty at the end of each text,
# and less must be copied where two part; large ones need shorter tables. Ann has written 23 tokens,
# and Bob went on from her 10th for 5 more: 28 different tokens. How many places do they take?


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
# Forty-eight chats: prompts of 4 to 96 tokens, answers of 8 to 256. Most answers are short and a
# few are long. **Claim**, of the paper that brought pages to language models (PagedAttention):
# pages waste next to nothing, where blocks for the longest case are mostly empty. **Would prove it
# wrong:** less than 90 % of the places in pages of 16 hold a token, or more than 40 % of those in
# blocks of 512.

# %%
wishes = {seed: lab.heavy_tail(home, seed, 48) for seed in SEEDS}
print("answers:", sorted(wish.tokens for wish in wishes[SEEDS[0]]))
flowing = {seed: lab.serve(model, wishes[seed]) for seed in progress(SEEDS)}
held = [np.sum(run.stored) / (lab.PAGE * np.sum(run.held)) for run in flowing.values()]
blocks = [np.sum(run.stored) / (512 * np.sum(run.texts_there)) for run in flowing.values()]
verdicts.pages_waste(held, blocks, SEEDS)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Why about 90 %, where the paper has 96? Only a text's last page has empty places, on average half
# a page: 7 or 8 of 16. Our texts hold some 70 tokens, so that is a tenth. For texts of hundreds of
# tokens it would be a few in a hundred.
#
# **To remember:** take memory when a token comes, not when a text begins.

# %% [markdown] slideshow={"slide_type": "slide"} tags=["extra"]
# ## 4. A tree of what was said
#
# With every message a chat program sends the **whole** history again. Turn ten brings nine turns
# that the machine has read before. A **prefix tree** remembers them. Texts that begin alike share a
# trunk, and branch where they part; each branch knows the pages that hold its keys and values. A
# new request walks up the tree as far as it agrees, takes the pages it finds, and reads only the
# rest.
#
# By hand: each turn adds u tokens. Without the tree turn t reads t · u tokens, and T turns read
# u · T(T + 1)/2. With it they read u · T. The ratio is **(T + 1)/2**, 5.5 for ten turns. In lesson 03
# the same number told two kinds of model apart; here it tells two servers apart.


# %%
def longest_known(tree, ids):  # tree: token -> the tree of all that followed it
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
# The package's tree keeps a whole run of tokens in each branch. When memory is short, it gives up
# what nobody has asked for the longest. Our chat: 24 tokens asked and 24 answered, ten times.
# **Would prove the ratio wrong:** it is more than 2 % away from 5.5.

# %%
turns, each = 10, {"user": 24, "answer": 24}
whole = lab.chat_reads(model, turns, **each, page=16, share=False)
tree = lab.chat_reads(model, turns, **each, page=16, share=True)
pictures.reads(turns, {"all again": whole, "prefix tree": tree})
verdicts.chats_share(turns, whole, tree)

# %% [markdown] slideshow={"slide_type": "fragment"}
# The very last token is written and never read, so the counts are just below 48 · 55 and 480.
#
# **To remember:** what was read once need not be read again, whoever asks.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 5. Nobody waits for his neighbour
#
# The texts that a step serves together are a **batch**, and its places are **slots**. A batch used
# to be fixed: sixteen texts go in, and only when the longest is done come the next sixteen. Most
# slots are idle most of the time. The cure is to decide **at every step** who takes part: a text
# leaves when it ends, and the next one takes its slot. It is called **continuous batching**. Below
# it is one word. What decides in the package is called its **scheduler**.
#
# By hand, three slots and answers of 9, 2, 3, 8, 2, 4, 3, 2 tokens: fixed batches take 9 + 8 + 3 =
# 20 steps. The 33 tokens would fill three slots for 11, so no way takes fewer.


# %%
def batch(lengths, slots, refill):
    waiting, left, row, seats = list(range(len(lengths))), list(lengths), [None] * slots, []
    while waiting or any(who is not None for who in row):
        if refill or all(who is None for who in row):  # continuous; or all have ended
            row = [waiting.pop(0) if who is None and waiting else who for who in row]
        seats.append(list(row))
        for slot, who in enumerate(row):
            if who is not None:
                left[who] -= 1  # it writes a token
                row[slot] = who if left[who] else None
    return seats


lengths = [9, 2, 3, 8, 2, 4, 3, 2]
print("steps:", {refill: len(batch(lengths, 3, refill)) for refill in (False, True)})
wants = [lab.Wish([1], n) for n in lengths]  # a prompt of one token each
for refill in (False, True):
    print("the package's:", lab.serve(model, wants, most=3, refill=refill).counts.steps)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Watch the slots
#
# Each colour is one answer; grey is a slot that does nothing. Tick the box. `share` is how much of
# the time has passed.

# %%
many = [min(int(n), 40) for n in 3 * (1 + np.random.default_rng(2).pareto(1.1, 40))]


def watch(continuous=False, share=1.0):
    seats = batch(many, 8, continuous)
    pictures.timeline(seats, max(1, round(share * len(seats))))


interact(watch, continuous=False, share=(0.1, 1.0, 0.1, 1.0))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Forty-eight chats
#
# **Claim**, after the paper that proposed it (Orca): deciding at every step is much faster; the
# factor of two is ours. **Would prove it wrong:** less than twice as fast in seconds, or a single
# text that says something else. *Before you run it: look at the lengths in section 3. Which of them
# decide how long fixed batches take?*

# %%
pairs = [lab.raced(model, wishes[seed]) for seed in progress(SEEDS)]  # (waiting, not waiting)
steps = [slow.counts.steps / fast.counts.steps for slow, fast in pairs]
seconds = [slow.seconds / fast.seconds for slow, fast in pairs]
verdicts.nobody_waits(steps, seconds, all(a.texts == b.texts for a, b in pairs), SEEDS)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Steps gain more than seconds. Where a step costs the same however full it is, seconds follow steps;
# on our processor a step that is nearly empty is cheap, so idle slots cost less.
#
# Is there a cheaper cure? Suppose the lengths were known, and texts sorted by them. Then those in a
# fixed batch end nearly together. Here are the steps without prompts, and the fewest possible.

# %%
answers = [wish.tokens for wish in wishes[SEEDS[0]]]
print("fixed", len(batch(answers, 16, False)), " continuous", len(batch(answers, 16, True)), end="")
print("  fixed and sorted", len(batch(sorted(answers), 16, False)))
print("no order takes fewer than", max(max(answers), -(-sum(answers) // 16)))

# %% [markdown] slideshow={"slide_type": "fragment"}
# Sorting gains as much. But nobody knows how long an answer will be, nor do all come at once.
#
# One thing is left. A long prompt that is read in one step makes all who write wait for it. So it is
# cut into **chunks** that ride along: a step has room for 128 tokens, those who write take one each,
# and the prompt takes what is left.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Does it matter who else is there?
#
# Texts share steps and pages. Sums of floating-point numbers may change in their last digit with
# the size of a batch. What you are told must not. **Would prove it wrong:** one text of 16 that
# says something else alone than among the others, be it greedy (always the likeliest token) or
# drawn with its own seed.

# %%
found = [lab.alone_and_together(home, seed) for seed in progress(SEEDS)]
verdicts.neighbours(found, 16, SEEDS)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** the batch is decided anew at every step, and no answer shows it.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 6. Guess, then check
#
# With one reader there is no batch to fill. But by section 1 a step of a large model reads five
# tokens for about the price of one. So let somebody cheap **guess** the next four, and let the
# model read them all at once. Guesses that are its own choice too are kept. At the first that is
# not, the model's choice takes its place, and the rest is thrown away. If all four are kept, a
# fifth token follows. So a **round** brings one to five tokens. It is called speculative decoding.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## When tokens are drawn
#
# Then the rule needs care. The guesser drew x from its distribution q; the model
# has p. Keep x with probability **min(1, p(x)/q(x))**. If it is not kept, draw from what p has
# above q: max(0, p − q), made to sum to 1.
#
# By hand: p = (0.6, 0.4), q = (0.9, 0.1). The first token is guessed 0.9 of the time, and 0.6/0.9
# of those guesses are kept: 0.6. The second is guessed 0.1 of the time and always kept. The missing
# 0.3 are drawn from max(0, p − q) = (0, 0.3): always the second. Together: exactly **p**.


# %%
def keep_or_draw(x, q, p, rng):
    if rng.random() < p[x] / q[x]:  # q[x] is not 0: x was drawn from q
        return x, True
    left = np.maximum(p - q, 0)
    return rng.choice(len(p), p=left / left.sum()), False


p, q = np.array([0.5, 0.3, 0.15, 0.05]), np.array([0.2, 0.2, 0.5, 0.1])
pictures.halves(p, q, ["the", "a", "an", "no"])

# %% [markdown] slideshow={"slide_type": "notes"}
# 6 minutes. The right panel is the proof: green and red together are p. The green area is the sum
# of min(p, q): how often a guess is kept. Ask what happens for q = p, and for a q that p never wants.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Is it exact?
#
# Four letters make sixteen texts of two tokens; p and q depend on the letter before. We draw
# 20,000, with one guess for each token, and compare with the model's own probabilities. Chi-square
# sums, over the sixteen, (counted − expected)² / expected: about 15 if all is well. **Would prove
# it wrong:** more than 37.7, which chance alone gives once in a thousand; or a share of kept first
# guesses more than 0.01 away from the sum of min(p, q), the green area.

# %%
P, Q = (np.random.default_rng(seed).dirichlet(np.ones(4), 5) for seed in (0, 1))  # row 4: the start
pairs_p = (P[4][:, None] * P[:4]).ravel()  # (16,) of each text, by the model alone


def drawn(rng):
    first, kept = keep_or_draw(rng.choice(4, p=Q[4]), Q[4], P[4], rng)
    second, _ = keep_or_draw(rng.choice(4, p=Q[first]), Q[first], P[first], rng)
    return 4 * first + second, kept


chi, kept = lab.chi_squares(drawn, pairs_p, SEEDS, 20_000)
wanted = float(np.minimum(P[4], Q[4]).sum())
verdicts.same_distribution(pairs_p, chi, 37.7, kept, wanted, SEEDS)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What it gains
#
# If each guess is kept with probability a, k guesses bring this many tokens a round:
#
# $$1 + a + a^2 + \dots + a^k = \frac{1 - a^{k+1}}{1 - a}$$
#
# By hand: a = 0.8, k = 4: (1 − 0.328)/0.2 = **3.36** tokens for one step of the model and four of
# the guesser. Two guessers: the small model, and **look-up**, which costs next to nothing: where
# did the last three tokens (or two, or one) stand before, and what came then? Both guess at greedy
# texts.
#
# **Claim**, of the paper: guesses make a text faster, as the formula says. **Would prove it
# wrong:** tokens a round more than 20 % away from it, or no guesser that makes our model 1.2 times
# as fast.

# %%
ks = (1, 2, 4, 6)
found = {
    name: {k: [lab.speculated(home, seed, name, k) for seed in SEEDS] for k in ks}
    for name in progress(("small model", "look-up"))
}
shown = {name: {k: runs[k][0] for k in ks} for name, runs in found.items()}
costs = lab.step_costs(home, SEEDS[0])
one, check, guess = costs["model"][0], costs["model"][4], costs["small model"][0]
print(f"in steps of one token: to check 4 guesses {check / one:.1f}, to make one {guess / one:.2f}")
print("asked for 4 guesses the look-up offers", round(shown["look-up"][4].offered, 1))
pictures.guesses(shown, expected_tokens, costs)
verdicts.guesses_by_formula(found, SEEDS)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Two lessons. The formula takes k guesses in every round. The small model makes them, and the
# formula holds. The look-up often has fewer: what it finds lies near the end of the text, so little
# follows it.
#
# And guesses gain only if a check costs about one step and a guess nearly nothing. Where reading
# weights is what takes time, that is so. On our processor it is not, as the printed numbers say; from
# such costs come the dashed lines on the right. Mind, too, what is guessed here: asked greedily, so
# small a model soon repeats the same few tokens, and that is the best case for any guesser.
#
# **To remember:** guesses change the speed, and never the odds of a text.

# %% [markdown] slideshow={"slide_type": "slide"} tags=["extra"]
# ## 7. Eight bits
#
# Twice as many texts fit if keys and values take half the memory. Take a group of numbers. Cut the
# way from its least to its greatest into 255 equal steps: 256 **levels**, from 0 to 255. Each
# number keeps only the level that is nearest, and that fits into 8 bits.
#
# By hand: (−1, 0, 0.4, 4) has steps of 5/255 = 0.0196. The levels are (0, 51, 71, 255); back come
# −1, 0, 0.392, 4. But which numbers make a group? A key has several numbers; each place in it is a
# **channel**. The paper that we follow (KIVI) found, in large models, channels of the keys that are
# large in every token; in values, none. So keys are grouped along tokens, channel by channel, and
# values within a token. Here both, in groups of 24.


# %%
def to_levels(x, axis):
    low, high = x.min(axis, keepdims=True), x.max(axis, keepdims=True)
    step = (high - low) / 255
    return np.rint((x - low) / np.where(step > 0, step, 1)).astype(np.uint8), step, low


codes, step, low = to_levels(np.array([-1.0, 0.0, 0.4, 4.0]), axis=0)
print(codes, np.round(low + step * codes, 3))

cache = PagedCache.of(config, 1, 128, 16)
with no_grad():
    model(home.unseen[None, :128].astype(np.int64), cache=cache)
for name, stored in {"keys": cache.pages.keys, "values": cache.pages.values}.items():
    x = stored[:, cache.tables[0].numbers].swapaxes(1, 2)  # (L, P, G, S, D) -> (L, G, P, S, D)
    x = x.reshape(8, 128, 24)[:, :120].reshape(40, 24, 24)  # (layers and heads · fifths, T, D)
    for way, axis in (("along tokens", 1), ("within a token", 2)):
        codes, step, low = to_levels(x, axis)
        print(f"{name:6}, {way:14}: mean error {np.abs(low + step * codes - x).mean():.4f}")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Do they still say the same?
#
# Four pieces of unseen text a seed, 128 tokens each: the first 40 at once, then one at a time over
# each cache, beside reading everything anew. **Claim**, ours (KIVI went to 2 bits): 8 bits change
# next to nothing. **Would prove it wrong:** pages change a logit by more than 0.001; 8 bits change
# the perplexity by 1 % or more, or take 0.4 of the bytes or more. As a control, 2 bits in the
# simplest way.

# %%
found = [lab.compare_caches(home, seed) for seed in progress(SEEDS)]
share_of_bytes = ours["8 bits"][0] / ours["one block"][0]
verdicts.eight_bits(found, share_of_bytes, SEEDS)
for name, one, n in (("ours", config, 128), ("Mistral 7B", known["Mistral 7B"], 4096)):
    bits = 8 * quantized_bytes(one, 1, n) / (n * kv_bytes_per_token(one, 1))
    print(f"{name}, {n} places: {bits:.1f} bits for each number")

# %% [markdown] slideshow={"slide_type": "fragment"}
# So 8 bits are not 8. Each group must keep its least number and its step, which weighs most where
# heads are small, as ours are. And room for the newest 32 keys stays in 32 bits, because a group has
# levels only when it is full: beside 128 tokens that is much. Our limit of 0.4 forgot this. And the
# test is soft: in our model no channel is loud, both keys and values gain a little along tokens, and
# even 2 bits do little harm. Question 4 of the set shows you a loud channel.
#
# **To remember:** pages are exact, bits are a bargain. Know which one you bought.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 8. How full is full?
#
# People come when they like. Eight slots write eight tokens a step. Requests come at random, for
# 400 steps; what they ask for, on average, as a share of those eight, is the **load**. At half of
# it, surely nobody waits? Time is counted in steps here, so every machine gives the same curve.
#
# **Claim**, ours: a server is slow before it is full. Look at the wait that 99 of 100 requests stay
# below: with the 50 to 200 that come here, nearly the longest. **Would prove it wrong:** at load
# 0.3 it is more than 2 steps; at 0.9 fewer than 5; or at 1.2 not more than twice as long as at 0.9.

# %%
loads = [0.3, 0.5, 0.7, 0.8, 0.9, 1.0, 1.2]
waited = {load: [lab.waits(home, seed, load) for seed in SEEDS] for load in progress(loads)}
pictures.under_load(loads, waited)
verdicts.the_knee(loads, waited, SEEDS)

# %% [markdown] slideshow={"slide_type": "fragment"}
# At half load the slowest wait a step or two, and at 0.8 about eight, though the one in the middle
# does not wait at all. Beyond 1 there is no answer to "how long": the queue grows for as long as
# people come. So a server's queue has an end, and those who come after are told *busy* (HTTP's
# 429). That is kinder than an answer in an hour.
#
# **To remember:** buy for the peak, or learn to say no.

# %% [markdown] slideshow={"slide_type": "slide"} tags=["extra"]
# ## 9. Serve it
#
# `minilm serve DIR` puts a saved model behind the interface that OpenAI's programs speak. Here it
# runs inside the notebook, and we talk to it as any program would: over HTTP. The answer comes in
# pieces, each as soon as it is written. So small a model knows how documentation looks, and no more.


# %%
def talk(say="Return the"):
    with serving(model, home.tokenizer, "docs", most=16) as address:
        return say + "".join(lab.ask(address, say, temperature=0.7, seed=1))


interact(talk, say="Return the")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Many at once
#
# One client, then sixteen at the same moment. Each dot is one of them: milliseconds until its first
# token came, and on average between tokens; bars are medians. The client's own work is in them.

# %%
with serving(model, home.tokenizer, "docs", most=16) as address:
    prompts = [f"The {i}th function" for i in range(16)]
    rows = lab.clients_wait(address, prompts, (1, 16))  # name -> (clients,) ms
pictures.first_tokens(rows)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** a reader feels two numbers, the wait for the first token and the time between
# tokens.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 10. Whom a mixture helps
#
# Back to the talk. In place of one feed-forward part, each layer of Mixtral has eight, the
# **experts**. A router picks two of them for each token. So a step for one text reads a quarter of
# the experts. Is it four times as cheap to serve? Asked when to take such a **mixture**, Jiang
# answers: a dense model at the edge (on a phone, say), a mixture for large batches.
#
# By hand, with a router that picks at random: a token misses a given expert with probability 6/8,
# and B tokens all miss it with 0.75ᴮ. So a step reads **8 (1 − 0.75ᴮ)** experts: 2, 3.5, 5.5, 7.2,
# 7.9 for 1, 2, 4, 8, 16 tokens. **Would prove the formula wrong:** counted over 4,000 random steps
# it differs by more than 0.1.

# %%
tokens = np.array([1, 2, 4, 8, 16])
counted = np.array([lab.experts_counted(seed, tokens) for seed in SEEDS])
formula = 8 * (1 - 0.75**tokens)
pictures.touched(tokens, counted, formula)
verdicts.experts_read(tokens.tolist(), counted, formula, SEEDS)

# %% [markdown] slideshow={"slide_type": "fragment"}
# At the edge there is one reader. The mixture reads little for him, but all eight experts must lie
# in memory, and memory is what is short: 46.7 billion weights for the arithmetic of 12.9. A rule of
# thumb (not tested here) says that a mixture is worth a dense model of the geometric mean,
# √(46.7 · 12.9) = 24.5 billion. So a dense model that fills the same memory should be better.
#
# In a large batch all experts are read in every step, and nothing of the reading is saved. But each
# token pays the *arithmetic* of two. The bend of section 1 comes later, at 153 · 46.7/12.9 = 554
# texts on an A100; beyond it arithmetic is what counts, and there the mixture is 3.6 times as cheap
# as a dense model of its size. Real routers do not pick at random: [lesson 05](05_mixtral.ipynb)
# looks at one.
#
# **To remember:** a mixture saves arithmetic, not memory.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What came out, and what did not
#
# **Your bet.** In a quarter to a half of the steps. In time less is gained: see the cards of sections
# 1 and 5. On our processor a full step costs more than one that is nearly empty.
#
# **As claimed.** The cache's formula holds to the byte. A prefix tree earns (T + 1)/2. Deciding at
# every step saves half of the steps or more, and no answer shows who else was there. Checked guesses
# draw from the same distribution.
#
# **With a footnote.** Blocks are mostly empty and pages about nine tenths full, less than in the paper:
# our texts are short. 8 bits change next to nothing, but in short texts they are really 14.
#
# **Not as claimed.** Deciding at every step made ours less than twice as fast. The look-up brings
# fewer tokens a round than the formula says. The small model's guesses made ours slower: on our
# processor a check costs several steps.
#
# **Not measured.** Graphics cards: the bend is arithmetic from data sheets. Mixtures under load: we
# only counted, with random routers. Several machines. Fairness between customers. Large models, whose
# loud channels make few bits hard.
#
# **One further question.** A text that loses its pages to others is read again later. When is it
# cheaper to copy its pages to slower memory and back?
#
# Now write the parts yourself: [exercise set](../exercises/05b_serving.ipynb).
