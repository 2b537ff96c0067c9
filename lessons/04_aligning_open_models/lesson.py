# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Aligning open models: from next word to assistant"
#   talk: "Aligning open language models"
#   speaker: "Nathan Lambert"
# ---

# %% [markdown] slideshow={"slide_type": "slide"}
# # Aligning open models: from next word to assistant
#
# ![A curve of what an answer is really worth against how far the model has moved from where it started: it rises, bends and falls, while the score that was optimised keeps rising. Beside the curve stand three answers of the same model: at the start, at the best point, and at the end, where it says little but yellow.](04_aligning_open_models/opening.png)
#
# A language model goes on with a text. An assistant answers. Between the two lie demonstrations,
# pairs of answers, and a score. **How far can a score be pushed before the answers get worse, and
# would you notice?**
#
# *35 minutes to read, one to run. You need log-probabilities and the loss of a language model, as
# in [lesson 00](00_start_here.ipynb). The talk was given on 18 April 2024.*

# %% [markdown] slideshow={"slide_type": "notes"}
# 3 minutes. Do not explain the picture yet; read the three answers aloud. For 50 minutes leave out
# sections 3, 6 and 10; for 80 show everything, and let the room drag the slider of section 8.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Your bet
#
# Our model describes animals. What an answer is worth is known exactly: one point for each true
# fact, less for what is false, said twice or broken. We train it on 4000 pairs, "this answer is
# better than that one", with the method called DPO.
#
# Afterwards, is an answer that was marked *better* **more** likely than before, or **less**? Write
# down one word. Section 9 has the answer.

# %% slideshow={"slide_type": "skip"}
import numpy as np

from minilm import align
from minilm.course import interact, lesson_folder, progress, seeds, source

SEEDS = seeds()  # 0, 1, 2, or those that `minilm run 04 --seeds 3,4,5` asks for
here = lesson_folder("04")
pictures, verdicts, experiments = here.pictures, here.module("verdicts"), here.module("experiments")
listed, world = here.study("listed"), here.study("animals").WORLD
animals, exact = here.recorded("animals"), here.recorded("listed")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 1. A model that only goes on
#
# Nathan Lambert tells the history of open assistants in five chapters: the rush to an open ChatGPT,
# the boom of instruction tuning, the trouble with evaluating, the proof that learning from
# preferences works in the open, and the growth of 2024. Each chapter is a step of one pipeline. We
# walk it with a model so small that every step can be checked.
#
# Sixteen animals have four facts each. A model of 104,000 weights reads text such as *the badfen is
# blue . it eats fish .* Then it is asked. *Before you run the cell: what does a model say to a
# question if it has never seen one?*

# %%
before, after = pictures.said(animals, "answering", 0), pictures.said(animals, "answering", 1)
print("user: describe the bador\n")
print("it has read text:      ", before)
print("shown 4000 answers too:", after)

# %% [markdown] slideshow={"slide_type": "fragment"}
# It goes on, with sentences about somebody, and never ends. The words `user`, `assistant` and the
# marks of a chat stood in no text that it has read. This is what a base model is. The talk calls
# the cure **instruction tuning**: the format of a conversation, its roles, and the habit of
# answering.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Learn the answer, not the question
#
# **Supervised fine-tuning** (SFT) is ordinary training on conversations with one change: only the
# tokens of the answer are scored. By hand: a row has 8 tokens of question and 5 of answer, with
# losses of 2 each in the question and of 1, 1, 0, 0, 0 in the answer. Over everything the mean is
# (16 + 2) / 13 = 1.38. What SFT minimises is 2 / 5 = 0.4.


# %%
def sft_loss(logp, said):  # (N, T) of every token, (N, T) True for the answer's
    return -(logp * said).sum() / said.sum()


logp = -np.array([[2.0] * 8 + [1, 1, 0, 0, 0]])  # (1, 13)
said = np.arange(13)[None] >= 8
print(f"{sft_loss(logp, said):.2f}, and over everything {-logp.mean():.2f}")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What it changes
#
# **The claim**: a few thousand demonstrations turn a model that goes on into one that answers.
# **Would prove it wrong:** after them fewer than 95 % of the answers end, or before them more than
# 5 % did.

# %%
pictures.answering(animals)
verdicts.answering(animals)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Note what it did *not* change. The demonstrations are of mixed quality: a quarter of the facts are
# guesses, a fifth of the sentences say nothing. The model has learnt to answer like that. **To
# remember:** SFT copies its demonstrations, the bad habits too.

# %% [markdown] slideshow={"slide_type": "notes"}
# 4 minutes. Ask what the model would have had to know to answer before it was shown how. The dots are
# seeds. The point to make: half of what it says is mediocre, because half of what it was shown is.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 2. Less memory: LoRA, and what it must not freeze
#
# Training all weights of a 7B model with Adam takes about 16 bytes for each, 108 GB, more than
# one card of 80 GB holds. **LoRA** freezes the weights and learns a small correction to
# each matrix, $W + \frac{\alpha}{r} B A$, with $B$ of $r$ columns and $A$ of $r$ rows. By hand: a
# matrix of 64 × 64 has 4,096 weights; with $r = 4$ its correction has 4 · 64 + 64 · 4 = 512. $B$
# starts at 0, so at first nothing changes. **QLoRA** keeps the frozen weights in 4 bits.
#
# Lambert is reserved: it lowers memory, but top models have proven hard to train so; if the cards
# allow it, train everything. *Before you look: which matters more, the rank of the correction, or
# something else?*


# %%
def lora(x, W, A, B, alpha):  # (N, in), (out, in), (r, in), (out, r)
    return x @ W.T + alpha / len(A) * (x @ A.T) @ B.T  # (N, in) -> (N, r) -> (N, out)


r = np.random.default_rng(0)
x, W, A, B = r.normal(size=(3, 6)), r.normal(size=(5, 6)), r.normal(size=(2, 6)), np.zeros((5, 2))
print("at first nothing changes:", (lora(x, W, A, B, 4) == x @ W.T).all())

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## New words need trained rows
#
# **Our claim**, from a pilot: what costs is not the low rank but the embeddings of words the model
# never read, the marks of the chat, which LoRA freezes. **Would prove it wrong:** with rank 4 and
# these rows trained the loss stays 0.005 nats or more above full training; or without the rows it
# comes within 0.05. (The card adds what training *all* rows of the table gives.)

# %%
low_rank = here.recorded("lora")
pictures.adapters(low_rank)
verdicts.adapters(low_rank)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** a frozen table cannot learn a word that it does not know.

# %% [markdown] slideshow={"slide_type": "notes"}
# 3 minutes. Let the room bet on the rank first. The three ranks give the same bar; the rows of five
# words give the difference. For 50 minutes skip this section.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 3. Which answer is better?
#
# Better answers than the demonstrations cannot be copied. But they can be *recognised*: people find
# it easier to say which of two answers is better than to write the best one. So collect pairs and
# learn a number, the **reward**, that explains them. Bradley and Terry's model (1952) says
#
# $$P(a \text{ beats } b) = \sigma(r_a - r_b), \qquad \sigma(z) = \frac{1}{1 + e^{-z}}$$
#
# By hand: rewards 2 and 1 give $\sigma(1) = 0.73$. If the one with 2 did win, the loss is $-\log
# 0.73 = 0.31$ nats. Add 100 to both, and nothing changes: a reward is known only up to a number for
# each question.


# %%
def beats(a, b):
    return 1 / (1 + np.exp(b - a))


print(f"{beats(2, 1):.2f} and {beats(102, 101):.2f}; loss {-np.log(beats(2, 1)):.2f} nats")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## A model of taste
#
# The **reward model** is a copy of the assistant that adds up one number for each token instead of
# guessing the next. It sees 4000 pairs of the assistant's own answers. The judge that labels them is
# not perfect: it prefers the better one with probability $\sigma(2 \times \text{gap})$, and is right
# in 79 % of the pairs.
#
# **The claim**: pairs teach a reward. **Would prove it wrong:** of two answers to one question,
# taken at random, it prefers the better one in fewer than 70 %. *Chance is 50; a rule that prefers
# the longer answer costs nothing and stands beside it.*

# %%
pictures.judging(animals)
verdicts.judging(animals)

# %% [markdown] slideshow={"slide_type": "fragment"}
# It got some help. The number that it adds up sees the state after a token, and also the state before
# it times the token's embedding: what the model's own head computes to say how *expected* the token
# was. The second bar shows what it is worth without that. **To remember:** a reward model is a guess
# about people, made by a small model. Keep that in mind for section 8.

# %% [markdown] slideshow={"slide_type": "notes"}
# 4 minutes. Have somebody name an answer that a reward model of this kind would overrate. Keep the
# suggestion on the board for section 8.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 4. How far may it go?
#
# Now maximise the reward? Without a tie the model would say whatever the reward model likes best,
# language or not. So learning from human feedback (RLHF) pays for distance:
#
# $$\max_\pi \; \mathbb{E}_\pi[r] - \beta \, \mathrm{KL}(\pi \,\|\, \pi_\text{ref})$$
#
# The **KL divergence** says how much more likely, in nats, the new model finds its own answers than
# the reference does. The best policy has a closed form: take each answer as often as the reference
# says, times $e^{r/\beta}$, and divide by the sum $Z$. Its value is $\beta \log Z$.
#
# By hand, three answers with probabilities ½, 0.3, 0.2 and rewards 0, 1, 2, $\beta = 1$: weights
# 0.5, 0.3 · 2.72 = 0.82, 0.2 · 7.39 = 1.48; together $Z$ = 2.79. So 0.18, 0.29, 0.53.


# %%
def tilted(ref, reward, beta):  # (K,), (K,) -> (K,)
    weight = ref * np.exp(reward / beta)
    return weight / weight.sum()


def worth(policy, ref, reward):  # reward, and divergence from the reference
    return policy @ reward, policy @ np.log(policy / ref)


ref, reward = np.array([0.5, 0.3, 0.2]), np.array([0.0, 1, 2])
best = tilted(ref, reward, beta=1)
gain, far = worth(best, ref, reward)
print(best.round(2), f"reward {gain:.2f}, KL {far:.2f}, together {gain - far:.3f}")
print("beta log Z", np.log((ref * np.exp(reward)).sum()).round(3))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The dumbest method
#
# **Best of n**: draw n answers, keep the one with the highest reward. Nothing is trained. With three
# answers and n = 2: the best is the worst one only if both draws are, ½ · ½ = 0.25; it is at most
# the middle one with 0.8 · 0.8 = 0.64; so 0.25, 0.39, 0.36. In general: powers of the cumulative
# distribution, and their differences.


# %%
def best_of(ref, reward, n):  # no two rewards alike
    order = np.argsort(reward)
    upto = np.cumsum(ref[order])  # how likely a draw is at most this good
    found = np.empty_like(ref)
    found[order] = np.diff(upto**n, prepend=0)
    return found


print(best_of(ref, reward, 2).round(2), "and 16 draws:", best_of(ref, reward, 16).round(3))
assert np.allclose(best_of(ref, reward, 16), align.best_of_n(ref, reward, 16))  # the package's

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## A world that can be listed
#
# Six symbols, four tokens: 1296 answers. A small transformer learns a lumpy distribution over them;
# that is the reference. A reward is made up of places, neighbours and a hidden motif. Now every
# mean and divergence is a sum, with no noise of sampling.
#
# **The claim**: best of n is nearly optimal for its divergence. **Would prove it wrong:** anywhere
# between n = 2 and 256 it is more than 0.1 standard deviations of the reward below the best policy
# of equal divergence.

# %%
worlds = [listed.setting(seed) for seed in progress(SEEDS)]
frontiers = [listed.best_of_n(each) for each in worlds]
pictures.frontier(worlds[0], frontiers[0], listed)
verdicts.best_of_n(frontiers, experiments.shortfalls(listed.DRAWS), SEEDS)

# %% [markdown] slideshow={"slide_type": "fragment"}
# It falls short where the best answers are so rare that even many draws seldom meet one. A policy can
# be tilted towards such an answer; a draw can only keep what came. Nothing was estimated here, and there
# is no setting to tune: of 100 other worlds drawn alike 69 miss the 0.1, too. But mind the size: on the
# worst of the first three seeds 64 draws get 2.49 where the best policy of that divergence gets 2.68. And every answer costs n draws, for ever. (Llama 3, says the talk, used it for
# its training data, as *rejection sampling*: draw, keep the best, fine-tune on it.) **To remember:**
# what training buys is the frontier at the price of one draw.

# %% [markdown] slideshow={"slide_type": "notes"}
# 6 minutes for this section. Do the three answers on the board before the code. Ask which n would be
# needed to reach an answer of probability 1 in 7000.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 5. DPO: no reward model at all
#
# Turn the closed form around. If $\pi$ is the best policy, then $r = \beta \log
# \frac{\pi}{\pi_\text{ref}}$ plus a number for each question, which no pair can see. So put that into
# Bradley and Terry's loss, and the reward model is gone (Rafailov et al. 2023, **direct preference
# optimisation**):
#
# $$-\log \sigma\Big(\beta \big[\log\tfrac{\pi}{\pi_\text{ref}}(\text{better}) -
# \log\tfrac{\pi}{\pi_\text{ref}}(\text{worse})\big]\Big)$$
#
# By hand: at the start $\pi = \pi_\text{ref}$, the bracket is 0 and the loss $\log 2 = 0.69$. Let the
# better answer have become $e$ times as likely and the worse one $e$ times less, and $\beta = ½$:
# the bracket is 2, the loss $-\log \sigma(1) = 0.31$. Its slope has the factor $\sigma(-1) = 0.27$:
# pairs that are right already pull less.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## DPO on one screen
#
# Three answers, a table of logits in place of a model, all pairs at once, each weighed by how often
# it is drawn and how the judge decides. *Before you run it: where must it end?*


# %%
def dpo(ref, reward, beta, steps=4000, rate=20.0):
    z = np.log(ref)  # (K,) logits, at first the reference's
    how_often = np.outer(ref, ref) * beats(reward[:, None], reward)  # (K, K): row beats column
    for _ in range(steps):
        logp = z - np.log(np.exp(z).sum())
        ratio = logp - np.log(ref)  # (K,)
        bracket = beta * (ratio[:, None] - ratio)  # (K, K)
        pull = how_often / (1 + np.exp(bracket))  # σ(-bracket) of each pair
        slope = beta * (pull.sum(0) - pull.sum(1))  # (K,): won less, lost more; the sum is 0
        z -= rate * slope
    return np.exp(z) / np.exp(z).sum()


print("DPO      ", dpo(ref, reward, beta=1).round(4))
print("optimum  ", tilted(ref, reward, beta=1).round(4))
assert np.allclose(dpo(ref, reward, beta=1), align.optimal_policy(ref, reward, 1.0), atol=1e-6)

# %% [markdown] slideshow={"slide_type": "fragment"}
# It never saw a reward, only who won, and it stands where the reward would have put it.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The same in a transformer
#
# Now the listed world, with the package's loss and the ordinary training loop: 1500 steps of 128
# pairs. **The claim** of the DPO paper: it optimises the same objective as RLHF. **Would prove it
# wrong:** the policy stays further from the closed form than a **total variation** (half the sum of
# all differences) of 0.03.
#
# Where do the pairs come from? In practice, mostly from the reference. Here half of the answers are the
# policy's own, asked anew every 50 steps: *fresh*, or on-policy, pairs. The recorded bars beside it
# have other pairs: all from the reference, or half of them drawn evenly from the whole list (the last bar,
# PPO, is section 6's; the first is where all of them start, and dots are seeds). *Before you
# look: what becomes of an answer that is by far the best, and that the reference hardly ever gives?*

# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
source(align.dpo_loss, listed.by_dpo)

# %%
by_dpo = [each.after(listed.by_dpo(each, 1500, lr=0.01)) for each in progress(worlds)]
pictures.distances(worlds, by_dpo, exact)
verdicts.dpo_optimum(by_dpo, SEEDS, exact)

# %% [markdown] slideshow={"slide_type": "fragment"}
# In the world of seed 1 an answer that the reference gives once in 7000 draws should be given once in 14.
# With pairs of the reference it is hardly ever compared, and DPO ends 0.070 away. Drawing evenly from
# the list halves that, and twice the rate does no better. For there is a second reason: so good an answer wins
# nearly every comparison, and a pair that is nearly certain has next to no slope. *How much* better it
# is shows only beside other good answers, and those come from the policy. **To remember:** given the
# right pairs DPO *is* RLHF. What was never compared, or only with what it beats anyway, it does not know.

# %% [markdown] slideshow={"slide_type": "notes"}
# 6 minutes. The derivation is one line: solve the closed form for r, and note that pairs see only
# differences. Do not skip the screen of code; it is the whole method.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 6. PPO: try, and see what pays
#
# The older way keeps the reward model and lets the policy try. It draws answers, scores them, and
# makes what went better than expected more likely. Three ideas make that stable.
#
# **A critic.** A second head guesses, at every token, the reward to come. What counts is the
# surprise, $\delta_t = r_t + V_{t+1} - V_t$. **A long memory.** A token gets the surprises after it
# too, each $\lambda$ times less: $A_t = \delta_t + \lambda A_{t+1}$. **Small steps.** The new
# probability over the old one, the ratio $\rho$, earns nothing outside $1 \pm 0.2$.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Surprises, by hand and in code
#
# Rewards 1, 0, 2 and guesses 0.5, 0.4, 0.3, then 0, $\lambda = 0.8$. The surprises are
# 0.9, −0.1, 1.7. Backwards: 1.7; −0.1 + 0.8 · 1.7 = 1.26; 0.9 + 0.8 · 1.26 = 1.91.


# %%
def surprises(r, V, lam):  # (T,), (T + 1,)
    delta = r + V[1:] - V[:-1]
    A = np.zeros_like(delta)
    for t in reversed(range(len(r))):
        A[t] = delta[t] + (lam * A[t + 1] if t + 1 < len(r) else 0)
    return A


def clipped(rho, A, eps=0.2):
    return np.minimum(rho * A, np.clip(rho, 1 - eps, 1 + eps) * A)


r, V = np.array([1.0, 0, 2]), np.array([0.5, 0.4, 0.3, 0])
print(surprises(r, V, 0.8).round(2), "and the package's", align.gae(r, V, 1.0, 0.8).round(2))
print("what ratios earn:", [float(clipped(*each)) for each in ((1.5, 1), (0.5, 1), (1.5, -1))])

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Does it get there?
#
# The penalty for distance is paid token by token, as part of the reward: $-\beta (\log \pi - \log
# \pi_\text{ref})$. **The claim**: PPO reaches the same optimum. **Would prove it wrong:** after 200 rounds of 256
# answers the total variation is above 0.05, or the objective more than 0.01 below $\beta \log Z$.

# %%
verdicts.ppo_optimum(exact)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Which details matter?
#
# PPO kept both rules by a hair: the worst seed ends at 0.049 where 0.05 was allowed, and at 0.0099 of 0.01.
#
# PPO has a reputation: dozens of details, each said to be vital. We change one at a time, with 60
# rounds of 128 answers. *Guess before you look: which change is fatal?*
#
# **Our claim:** clipping matters once the answers are used often, and nothing else on this list is
# worse. **Would prove it wrong:** without it, 12 uses of each answer (*epochs* in the figure) lose less than
# five times as much as with it.

# %%
pictures.details(exact, listed.DETAILS)
verdicts.details(exact)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Two changes are worse than the one we feared. With $\lambda = 0$ a token hears only of its own
# surprise. And paying for distance in the *loss*, while advantages are whitened: whitening rescales
# the reward, so $\beta$ no longer means what it says. "Leave one out" has no critic, each answer is
# compared with the others to its question (RLOO); the simplest of all, and the best or near it.
# **To remember:** a detail matters where, without it, something else breaks.

# %% [markdown] slideshow={"slide_type": "notes"}
# 5 minutes. The order of the bars is worth a vote. Say what whitening does to beta: it rescales the
# reward, so that a penalty outside the reward has another weight than was asked for.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 7. Who leads where?
#
# Back to the animals. The same 4000 pairs, three ways: keep the best of n by the reward model; PPO
# on the reward model; DPO on the pairs. Reward alone says little, for one can always go further. So
# compare the real worth, **gold**, at equal divergence.
#
# Lambert's group sees PPO slightly ahead of DPO. **Would prove it wrong:** at divergences of 0.3 to
# 1 nat, DPO's answers are worth as much as PPO's or more. *Draw your own order first.*

# %%
pictures.ways(animals)
verdicts.ways(animals)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What it says at each point
#
# Choose a way and drag along it: left, where the policy stands; right, what it says to three
# prompts. True sentences are green, false ones red, repetitions orange, fillers grey, broken ones
# purple.

# %% tags=["hide-input"]
interact(
    lambda way, point: pictures.speaking(animals, world, way, point),
    way=["ppo loose", "ppo tied", "dpo online", "dpo 3e-05", "dpo 0.0001", "dpo 0.0003"],
    point=(0, 12, 1, 6),
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## A world without broken answers
#
# In the listed world every one of the 1296 answers is well formed. There we gave DPO and a reward
# model the same pairs, 500 or 5000, and compared at equal divergence. *Will the order turn, when
# there is nothing malformed to leak into?*

# %%
pictures.turned(exact)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Mind how little the card of the animals rests on. Between 0.3 and 1 nat PPO has 35 tests, DPO four, three
# of them at a rate too high for it. At its good rate, 3e-5, it ends at 0.2 to 0.3 nats, where PPO has no test
# yet, and is worth 0.81 to 1.02 there. The best of n is ahead of both.
#
# With 5000 pairs the way through a reward model is ahead in every run; with 500 it depends on the
# seed. So "reward model first" is a tendency and not a law. DPO pushes probability out of what it
# saw lose, and where it goes nobody has checked. DPO on its *own* fresh answers, labelled by the
# reward model, looks where it goes: "DPO online" in the figure before. **To remember:** ask where
# the pushed-away probability can go.

# %% [markdown] slideshow={"slide_type": "notes"}
# 6 minutes, most of them at the slider. Begin with DPO 3e-4 and let somebody read the answers.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 8. Too much of a good score
#
# Loosen the tie: $\beta$ 0.02 in place of 0.5, 100 rounds. The reward model's score, the **proxy**,
# keeps rising. *What does gold do? And what will the animals' descriptions look like?*
#
# **The claim** (Gao et al. 2022): optimise a proxy far enough, and what it stands for falls. **Would
# prove it wrong:** the proxy rises by two standard deviations and gold has not fallen by 0.4. If the
# proxy does not rise as far, the claim is not tested.

# %%
pictures.overdone(animals)
verdicts.overdone(animals)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Read it aloud

# %%
for name, point in (("at the start", None), ("after 50 rounds", 4), ("after 100 rounds", -1)):
    print(f"{name}:")
    for line in pictures.lines_of(animals, "ppo loose", point):
        print("   ", line)

# %% [markdown] slideshow={"slide_type": "fragment"}
# The numbers would have pleased everybody. **To remember:** a score that was optimised is no longer
# a measurement. Look at the answers.

# %% [markdown] slideshow={"slide_type": "notes"}
# 5 minutes. Show the left panel first and ask for a wager on the right one.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 9. The bet: what DPO does to the better answers
#
# DPO's loss sees only the *difference* of two log-ratios. It falls when the worse answer loses more
# than the better one; nothing says that the better one must gain. The paper came out in May 2023.
# Only in the autumn did a model, Zephyr, show that the method works in the open, and the key, says
# the talk, was a very low learning rate: 5 × 10⁻⁷, where its SFT had 2 × 10⁻⁵.
#
# **The claim**: the good band of rates is narrow and far below that of SFT. **Would prove it
# wrong:** at ten times the good rate, the answers marked better do not lose probability, or the
# model's answers are worth no less than at the good rate.

# %%
pictures.displaced(animals)
verdicts.displaced(animals)

# %% [markdown] slideshow={"slide_type": "fragment"}
# So the answer to the bet is: at a low rate about the same, at higher ones *less*. Both kinds of
# answers lose there, the worse ones more. What gained is in neither set: broken sentences, as the
# right panel shows. **To remember:** a loss that compares does not say where to go.

# %% [markdown] slideshow={"slide_type": "notes"}
# 4 minutes. Collect the bets of the opening before the figure.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 10. Judges that love length
#
# Who says that one assistant is better than another? In 2023 came AlpacaEval: a strong model
# compares each answer with a reference's, and the win rate is the score. Judges like long answers, people
# and models alike. So let two systems of about the same quality compete. One is short, the other adds
# what is worth nothing:

# %%
short, long = experiments.first_answers(SEEDS)
print("short:", short, "\nlong: ", long)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What a correction can do
#
# A **length-controlled** win rate asks: what would this judge say if both answers were equally
# long? Fit $\operatorname{logit} P(\text{win}) = a + b \tanh(\text{difference of length})$, then set
# the difference to 0: $\sigma(a)$.
#
# **The claim** of the correction's authors: it takes the bias back. **Would prove it wrong:** the
# biased judge gives the long system less than 5 points more than a fair judge; or the corrected
# rates of both judges differ by more than 5.

# %%
won = [experiments.judged(seed) for seed in SEEDS]
pictures.judges(won)
verdicts.judges(won, SEEDS)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Look at the fair judge, though: the correction changes *its* rate as well. Some of the extra length
# carries true facts, and the correction takes those away too. **To remember:** controlling for
# something is a decision about what you wish to count.

# %% [markdown] slideshow={"slide_type": "notes"}
# 4 minutes. Ask whether the correction is fair to a system whose long answers are long because they
# say more.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 11. A board whose order is not settled
#
# ChatBotArena lets people compare two anonymous assistants and makes a table of ratings. By hand: 400 points ahead
# means winning 10 of 11 games; 100 points, 64 %; 20 points, 53 %. To tell 53 from 50 % takes
# about a thousand games: the spread of a share over n games is $0.5/\sqrt n$, 0.016 at n = 1000.
#
# Six systems, each pair plays 40 games. **Our claim:** at that size neighbours cannot be told apart,
# and Elo's running sum depends on the order of the games. **Would prove it wrong:** no two neighbours'
# 95 % intervals overlap, or 50 shuffles of the same games give one ranking.

# %%
few = [experiments.board(seed, each=40) for seed in SEEDS]
many = [experiments.board(seed, each=1000) for seed in SEEDS]
orders = [experiments.elo_orders(seed, each=40) for seed in SEEDS]
pictures.boards(few[0], many[0], list(experiments.SYSTEMS))
verdicts.boards(few, many, orders, SEEDS)

# %% [markdown] slideshow={"slide_type": "fragment"}
# *Try it on your own models:* `minilm arena DIR DIR` shows two answers without names, takes your
# vote, and prints this board. On a page, `minilm.course.show.vote.vote_box([DIR, DIR], "why?")` does
# the same with buttons. **To remember:** a rank without an interval is gossip. What a
# cheap and precise evaluation would be, says the talk, nobody knows yet.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What came out, and what did not
#
# **As said.** Demonstrations make an assistant, pairs teach a reward, and new words need trained
# rows (on one seed of three the five new ones alone were 0.006 nats short of full training, where we
# had asked for 0.005, and twice the steps did not mend it; with all rows of the table it is level on
# every seed). DPO has a narrow band of rates, and beyond it even the preferred answers lose. A score that
# is pushed far enough comes apart from what it stands for. Judges that love length mislead, and
# small boards settle little.
#
# **Not everywhere.** Best of n falls short where the best answers are rare, and DPO where nobody
# compares them; with fresh pairs it does not. PPO is ahead of DPO on given pairs, but DPO on
# its own fresh answers is level with it. Clipping was not the detail that mattered most.
#
# **Not measured.** Human labels and their noise; models that know more than their reward model;
# refusals and the debate about them; safety; merging; whether any of this keeps its order at 70 billion weights.
# Our gold reward is a formula, and no person has a formula.
#
# **One further question.** KTO needs no pairs, only thumbs up or down. With the 8000 answers of our
# pairs and the sign of their reward as thumbs, would it displace the good ones as DPO does? The
# package has the loss: `align.kto_loss`.
#
# Now write the losses yourself: [exercise set](../exercises/04_aligning_open_models.ipynb).
