# %% [markdown] slideshow={"slide_type": "slide"}
# ## 7. Small print
#
# So far everything in our pictures was large. A bill, a map, the page of a shop are full of small
# print, and print dies first when a picture is made smaller. Here is a form: four coloured boxes,
# each with a number of two digits, 24 by 24 dots in all. It was scanned with some noise. Someone asks:
# **what stands in the red box?**

# %% tags=["hide-input"]
scanned, world = screens.page()
screen_pictures.sizes(world.images[0], scanned)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Our eye cuts its picture into patches of 4 by 4 pixels, one token each. Twice the side is four times
# the tokens, and attention compares every token with every other: *sixteen* times the comparisons.
# So pixels are what a model can least afford, and what reading needs most.
#
# *Move it. At how many pixels could you still read all four numbers?*

# %% tags=["hide-input"]
interact(lambda side: screen_pictures.at_size(scanned, side), side=[24, 16, 12, 8])

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What is in the pixels, and what a model gets out of them
#
# One small model for each size: an eye of one block, a language model of two, each trained
# with a rate of its own. Beside them stands a reader that learns nothing: it knows how every box can
# look at that size, 3,200 ways, and picks the nearest. What it reads *is in the pixels*. Chance is one
# in a hundred.
#
# **Ours:** small print needs pixels. **Would prove it wrong:** at 24 pixels the model does not read 30
# points more of the numbers than at 12.

# %%
small_text = here.recorded("small_text")
known = screens.in_the_pixels(SEEDS)  # (seeds, sizes)
screen_pictures.reading(small_text, screens.SIDES, known)

# %% [markdown] slideshow={"slide_type": "fragment"}
# RESULT-READING
#
# **To remember:** before you blame a model that cannot read, look at what it was shown.

# %% [markdown] slideshow={"slide_type": "notes"}
# 4 minutes. Let the room read the form at 8 pixels first. Recorded (`minilm study run
# 07e/small_text`), three seeds, 500 pages that were never trained on.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 8. A narrow channel beside the sequence
#
# CogAgent reads screens of 1,120 by 1,120 pixels: 6,400 patches. Ding's remedy (39:37) is *a
# cross-attention channel of smaller hidden size*. The sequence keeps a small picture, 256 tokens. The
# 6,400 stay outside. In every layer the sequence *looks at* them, with queries, keys and values of 1,024
# numbers in place of 4,096. They never look at each other, and no layer carries them on.
#
# By hand, for one layer and 100 tokens of text. Scores are products of each query with each key:
#
# | | queries × keys × width | multiply-adds |
# |---|---|---|
# | all in the sequence | 6,756 × 6,756 × 4,096 | 187 billion |
# | the short sequence with itself | 356 × 356 × 4,096 | 0.5 billion |
# | and with the patches beside it | 356 × 6,400 × 1,024 | 2.3 billion |
#
# That is 65.5 times fewer.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The channel on one screen
#
# The way back, $W_o$, starts at zero: at first the model says what it said without the channel, and
# training opens it. *What does the last line print?*


# %%
def cross_attend_narrow(h, fine, Wq, Wk, Wv, Wo):  # (T, C), (M, S), (D, C), (D, S), (D, S), (C, D)
    q, k, v = h @ Wq.T, fine @ Wk.T, fine @ Wv.T  # (T, D), (M, D), (M, D)
    score = q @ k.T / np.sqrt(q.shape[1])  # (T, M)
    share = np.exp(score - score.max(1, keepdims=True))
    share /= share.sum(1, keepdims=True)  # each row adds up to 1
    return h + share @ v @ Wo.T  # (T, M) @ (M, D) @ (D, C) -> (T, C)


r = np.random.default_rng(0)
h, fine = r.normal(size=(5, 16)), r.normal(size=(36, 6))  # the sequence is wide, the channel not
Wq, Wk, Wv, Wo = (r.normal(size=shape) for shape in ((4, 16), (4, 6), (4, 6), (16, 4)))
branch = NarrowBranch(16, 6, 4, norm=nn.Identity(), dtype=np.float64)
branch.query.weight.data, branch.out.weight.data = Wq, Wo
branch.key_value.weight.data = np.concatenate([Wk, Wv])
ours = cross_attend_narrow(h, fine, Wq, Wk, Wv, Wo)
print("the package's:", np.allclose(ours, branch(Tensor(h[None]), Tensor(fine[None])).data[0]))
print("closed, it changes", abs(cross_attend_narrow(h, fine, Wq, Wk, Wv, 0 * Wo) - h).max())
print(f"65.5 times fewer? {screens.cogagent_scores().ratio:.1f}")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Does it read?
#
# Four rivals on the same forms. The page at **12 pixels** alone. The page at 12 *and* at 24, both
# **inside** the sequence. The page at 12 in the sequence, the one at 24 **beside** it, behind a channel of
# 12 numbers where the model has 48. And the page at **24 pixels** alone.
#
# **Would prove it wrong:** the channel reads fewer than 30 points more numbers than 12 pixels alone,
# or over 10 points fewer than the sequence, or takes more than half of its multiply-adds.

# %%
cost = here.study("small_text").macs
screen_pictures.frontier(small_text, screens.WAYS, cost)
verdicts_of_screens.branch(small_text, cost)

# %% [markdown] slideshow={"slide_type": "fragment"}
# RESULT-BRANCH

# %% [markdown] slideshow={"slide_type": "notes"}
# 6 minutes. Do the three products on the board. Point out what the channel gives up: fine tokens
# cannot talk to the words before they are read, nor to each other outside their own small eye.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 9. A second vocabulary
#
# Why did the eye of the first half of this lesson not read? Nobody had taught it to: captions say *a
# red box*, they do not spell out what is printed in it. **Vary** (41:29) leaves that eye alone and
# trains a second one on pages of text. Both are then frozen. Each token of the language model is what
# the one sees *beside* what the other sees, half of the width each; there are no more tokens than before.
#
# We taught one eye the colours, at 12 pixels, and one the digits, at 24. The question needs both: find
# the red box, then read it. As a control, a single eye was taught both. *Order the four bars before
# you look.*
#
# **Would prove it wrong:** both eyes together read fewer than 20 points more than the better of the two.

# %%
vocabularies = here.recorded("vocabularies")
screen_pictures.vocabularies(vocabularies)
verdicts_of_screens.vocabularies(vocabularies)

# %% [markdown] slideshow={"slide_type": "fragment"}
# RESULT-VARY

# %% [markdown] slideshow={"slide_type": "notes"}
# 4 minutes. The control is the point: is it two eyes that help, or that somebody taught the digits?

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 10. Look again
#
# What do *you* do with small print? You do not look at all of the page at once. You find the place,
# and bring it closer. A model can do that if it may say so: among its words are nine that name a box of
# the page. When it says one, the box is cut out of the *original*, enlarged to the size of a whole view,
# and put into the sequence. Then it goes on. This is a **chain of manipulations** (Qi et al. 2024).


# %%
def look_again(page, row, column, side):  # (3, 24, 24): a third of it along each axis
    cut = page[:, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8]  # (3, 8, 8)
    return area_weights(8, side) @ cut @ area_weights(8, side).T  # -> (3, side, side)


box = world.boxes[0][2]
seen = look_again(scanned, box.row, box.column, 12)
word = ZoomWords(first=26, grid=3).token(box.row, box.column)
print(f"the word {word} names", ZoomWords(26, 3).box(word, (0, 0, 24, 24)))
print(
    "the package's:", np.allclose(seen, here.study("small_text").zoomed(scanned[None], [word - 26]))
)
screen_pictures.looking_again(scanned, box)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Does looking again read?
#
# The model sees the page at 12 pixels only, names a box, sees that box at 12 pixels, answers. It was
# trained on chains that an oracle wrote: it knows in which box the colour is. In the test nobody
# helps; if it names the wrong box it is shown the wrong box.
#
# **Would prove it wrong:** it reads fewer than 30 points more than without the zoom, or over 10 points
# fewer than with the whole page at 24 pixels, or needs as many multiply-adds.

# %%
screens.reading_table(small_text, cost)
verdicts_of_screens.zoom(small_text, cost)

# %% [markdown] slideshow={"slide_type": "fragment"}
# RESULT-ZOOM

# %% [markdown] slideshow={"slide_type": "notes"}
# 4 minutes. Ask what the chain would do with a question about all four boxes at once.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 11. Acting on a screen
#
# CogAgent was made to *work* (40:20): it is shown a screenshot and a task, says where to click, and is
# shown what came of it. Our screens have lists, fields to tick, buttons and labels. A task names a page and a
# field: *on page PC tick ZZ alone, and save*. Names, their places and what is ticked at first are drawn
# anew for each app, so nothing about *where* can be learnt by heart.

# %% tags=["hide-input"]
screen_pictures.kinds(screens.kinds_of_screens())

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The loop is all there is
#
# A screen is 32 by 32 pixels, one patch for each of its 16 cells. The next word is one of 16 cells, or
# *done*. The agent remembers nothing: each screen is a new question.


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
print(f"whoever reads no names does {np.mean(lucky):.0%}; by luck {play.luck_without_names():.0%}")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Learning from somebody who errs
#
# The agent imitates an expert: 20,000 screens, each with what the expert does there. In one set of
# demonstrations all goes right. In the other the user clicks on something else now and then, and the
# expert shows the way back. Eight of the 48 tasks are never shown.
#
# Those who learn nothing: clicks on any cell; on cell after cell; on any widget; and the **shortcut**,
# which knows what lists, fields and buttons are for but reads no names. One page of four and one field of
# three: it is right in 1 of 12.
#
# **Would prove it wrong:** on unseen screens, the agent does fewer than 80 % of the unseen tasks.

# %%
clicking = here.recorded("clicking")
screen_pictures.agents(clicking)
verdicts_of_screens.agent(clicking)

# %% [markdown] slideshow={"slide_type": "fragment"}
# RESULT-AGENT

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Watch it work
#
# *Choose a game and step through it. Before each step: where would you click?*

# %% tags=["hide-input"]
played = screens.recorded_games(clicking, here.study("clicking").UNSEEN, "stray", 0)


def watch(game, step):
    app, actions = played[game - 1]
    step = min(step, len(actions))
    frame = screens.replay(app, actions)[step - 1]
    screen_pictures.clicking(frame, screens.said(app, actions, step - 1))


interact(watch, game=(1, len(played), 1, 1), step=(1, 8, 1, 1))

# %% [markdown] slideshow={"slide_type": "notes"}
# 6 minutes, half of them at the slider. Ask what could go wrong that no later click can mend: saving
# on a wrong page.
