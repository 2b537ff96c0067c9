# Cells on small text and on screens, to be pasted into lesson.py. They need, in the first cell:
# from minilm import Tensor, nn
# from minilm.data.images import screen_play as play
# from minilm.data.images.resize import area_weights
# from minilm.data.images.screens import DONE, click, draw, reached
# from minilm.vision.narrow import NarrowBranch
# from minilm.vision.zoom import ZoomWords, crop_zoom
# screens, screen_pictures = here.module("screens"), here.module("screen_pictures")
# judged = here.module("screen_verdicts")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 7. Small print
#
# So far everything in our pictures was large. A bill, a map, the page of a shop are full of small
# print, and print is the first to go when a picture is made smaller. Here is a form: four coloured
# boxes, each with a number of two digits, 24 by 24 dots in all, scanned with some noise. Someone asks:
# **what stands in the red box?**

# %% tags=["hide-input"]
scanned, form = screens.page()
screen_pictures.sizes(form.images[0], scanned)

# %% [markdown] slideshow={"slide_type": "fragment"}
# An eye that cuts its picture into patches of 4 by 4 pixels makes a token of each. Twice the side is
# four times the tokens, and attention compares every token with every other: *sixteen* times the
# comparisons. So pixels are what a model can least afford, and what reading needs most.
#
# *Move it. At how many pixels could you still read all four numbers?*

# %% tags=["hide-input"]
interact(lambda side: screen_pictures.at_size(scanned, side), side=[24, 16, 12, 8])

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What is in the pixels, and what a model makes of them
#
# Two small models see the page, one at 12 pixels and one at 24. Each eye was first taught to name what
# is in its patches; behind it a language model of two blocks learns to answer. Beside them stands a
# reader that learns nothing: it knows how every box can look at that size, 3,200 ways, and takes the
# most similar. What it reads *is in the pixels*. Chance is one in a hundred.
#
# **Ours:** small print needs pixels. **Would prove it wrong:** at 24 pixels the model reads fewer than
# 30 points more of the numbers than at 12. *Draw both curves before you look.*

# %%
small_text = here.recorded("small_text")
known = screens.in_the_pixels(SEEDS)  # (seeds, sizes)
screen_pictures.reading(small_text, screens.SIDES, known)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Four times the tokens buy a little over 30 points. And the gap above the model's line is its own fault:
# at 12 pixels three numbers of four are still there, and it reads fewer than half.
#
# **To remember:** before you blame a model that cannot read, look at what it was shown; before you
# blame the pixels, ask a reader who knows every look.

# %% [markdown] slideshow={"slide_type": "notes"}
# 4 minutes. Let the room read the form at 8 pixels first. Recorded (`minilm study run
# 07e/small_text`): three seeds, 300 pages that were never trained on, 500 steps. One learning rate for
# all, the pilot's.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 8. A narrow channel beside the sequence
#
# CogAgent reads screens of 1,120 by 1,120 pixels: 6,400 patches. Ding's remedy (39:37) is a
# cross-attention channel of *smaller* hidden size. The sequence keeps a small picture, 256 tokens; the
# 6,400 stay outside. In every layer the sequence *looks at* them, with queries, keys and values of 1,024
# numbers in place of 4,096. They do not look at each other there.
#
# By hand, for one layer and 100 tokens of text. Scores are products of each query with each key:
#
# | | queries × keys × width | multiply-adds |
# |---|---|---|
# | all in the sequence | 6,756 × 6,756 × 4,096 | 187.0 billion |
# | the short sequence with itself | 356 × 356 × 4,096 | 0.5 billion |
# | and with the patches beside it | 356 × 6,400 × 1,024 | 2.3 billion |
#
# 187.0 over 0.5 + 2.3: 65.5 times as many.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The channel on one screen
#
# The way back, $W_o$, starts at zero: at first the model says what it said without the channel, and
# training opens it. *What does the second line print?*


# %%
def cross_attend_narrow(h, fine, Wq, Wk, Wv, Wo):  # (T, C), (M, S), (D, C), (D, S), (D, S), (C, D)
    q, k, v = h @ Wq.T, fine @ Wk.T, fine @ Wv.T  # (T, D), (M, D), (M, D)
    score = q @ k.T / np.sqrt(q.shape[1])  # (T, M)
    share = np.exp(score - score.max(1, keepdims=True))
    share /= share.sum(1, keepdims=True)  # every row adds up to 1
    return h + share @ v @ Wo.T  # (T, M) @ (M, D) @ (D, C) -> (T, C)


r = np.random.default_rng(0)
h, fine = r.normal(size=(5, 16)), r.normal(size=(36, 6))
Wq, Wk, Wv, Wo = (r.normal(size=shape) for shape in ((4, 16), (4, 6), (4, 6), (16, 4)))
branch = NarrowBranch(16, 6, width=4, norm=nn.Identity(), dtype=np.float64)
branch.query.weight.data, branch.out.weight.data = Wq, Wo
branch.key_value.weight.data = np.concatenate([Wk, Wv])
ours, theirs = cross_attend_narrow(h, fine, Wq, Wk, Wv, Wo), branch(Tensor(h[None]), Tensor(fine[None]))
print("the package's:", np.allclose(ours, theirs.data[0]))
print("closed, it changes", abs(cross_attend_narrow(h, fine, Wq, Wk, Wv, 0 * Wo) - h).max())
print(f"scores inside and beside: {screens.cogagent_scores().ratio:.1f} to 1")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Does it read?
#
# The same forms. The page at **12 pixels** alone; the page at **24**, all of it in the sequence; and the page at
# 12 in the sequence with the one at 24 **beside** it, seen by an eye of half the width through a channel of
# 12 numbers where the model has 48.
#
# **Would prove it wrong:** the channel reads fewer than 30 points more numbers than 12 pixels alone,
# or over 10 points fewer than the sequence, or takes more than half of its multiply-adds.

# %%
cost = here.study("small_text").macs
screen_pictures.frontier(small_text, screens.WAYS, cost)
judged.branch(small_text, cost)

# %% [markdown] slideshow={"slide_type": "fragment"}
# It reads some 20 points more than 12 pixels alone, for half as many multiply-adds again; the whole page
# in the sequence reads some 14 points more still, and takes over twice as many. That is a good bargain, and less than we had
# asked of it. One cause is known: the narrow eye itself names fewer digits than the wide one.
#
# **To remember:** a channel can be narrow because it need not carry the page, only what is asked.

# %% [markdown] slideshow={"slide_type": "notes"}
# 6 minutes. Do the three products on the board. The mark named "zoom" belongs to section 10. What the
# channel gives up: fine tokens cannot talk to the words before they are read.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 9. A second vocabulary
#
# An eye that learnt from captions knows what captions say: *a red box*. They do not spell out what is
# printed in it. **Vary** (41:29) leaves that eye as it is and trains a second one on print. Both are
# then frozen. Each token of the language model is what the one sees *beside* what the other sees, half
# of the width each; there are no more tokens than before.
#
# We taught one eye the colours, at 12 pixels, and one the digits, at 24. The question needs both: find
# the red box, then read it. As a control, a single eye was taught both. *Order the four bars before
# you look.*
#
# **Would prove it wrong:** both eyes together read fewer than 20 points more than the better of the two.

# %%
vocabularies = here.recorded("vocabularies")
screen_pictures.vocabularies(vocabularies)
judged.vocabularies(vocabularies)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Either eye alone is nearly useless, each for its own reason: one finds the box and cannot read, the
# other reads and cannot tell which box was meant, so it is right about once in six. Together they answer. But so does the
# single eye that was taught both. What helped is that *somebody taught the digits*; a second eye is the
# way to do that without touching the first. **To remember:** an eye sees what it was once asked about.

# %% [markdown] slideshow={"slide_type": "notes"}
# 4 minutes. The control is the point: is it two eyes that help, or that the digits were taught?

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 10. Look again
#
# What do *you* do with small print? You find the place, and bring it closer. A model can do so if it may
# say so: among its words are nine that name a part of the page. When it says one, that part is cut out of
# the *scan*, enlarged to the size of a whole view, and put into the sequence. Then it goes on. This is
# a **chain of manipulations** (Qi et al. 2024).


# %%
def look_again(page, row, column, side):  # (3, 24, 24), a third of it along each axis
    cut = page[:, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8]  # (3, 8, 8)
    larger = area_weights(8, side)  # (side, 8): what each new pixel covers
    return larger @ cut @ larger.T  # -> (3, side, side)


box = next(each for each in form.boxes[0] if each.colour == "red")
words = ZoomWords(first=34, grid=3)  # nine ids of the vocabulary
seen, word = look_again(scanned, box.row, box.column, 12), words.token(box.row, box.column)
print(f"word {word} names the part from", words.box(word, (0, 0, 24, 24)))
print("the package's:", np.allclose(seen, crop_zoom(scanned, words.box(word, (0, 0, 24, 24)), 12)))
screen_pictures.looking_again(scanned, box)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Does looking again read?
#
# The model sees the page at 12 pixels, says where the box is, sees *that* at 12 pixels, and answers. It
# was trained on chains that an oracle wrote. In the test nobody helps: if it names the wrong part, it is
# shown the wrong part.
#
# **Would prove it wrong:** it reads fewer than 30 points more than without the zoom, or over 10 points
# fewer than with the whole page at 24 pixels, or needs as many multiply-adds.

# %%
screens.reading_table(small_text, cost)
judged.zoom(small_text, cost)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Finding is easy: colours are left at 12 pixels, and the right part is named nearly always. What is
# found comes back with all its pixels, for nine tokens more. The price is practice. A chain reads one
# box of a page where the others read all four, so after as many steps it has been asked for a quarter of
# the digits ("zoom"); "zoom 4x" has been asked for as many. We saw the first result before we ran the
# second. **To remember:** a page need not be seen sharply, only the part that is asked about.

# %% [markdown] slideshow={"slide_type": "notes"}
# 4 minutes. Ask what the chain would do with a question about all four boxes at once.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 11. Acting on a screen
#
# CogAgent was made to *work* (40:20): it is shown a screenshot and a task, says where to click, and is
# shown what came of it. Our screens have lists, fields to tick, buttons and labels. A task names a page
# and a field: *on page PC tick ZZ alone, and save*. Names, their places and what is ticked at first are
# drawn anew for each app, so nothing about *where* can be learnt by heart.

# %% tags=["hide-input"]
screen_pictures.kinds(screens.kinds_of_screens())

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The loop is all there is
#
# A screen is 32 by 32 pixels, a token for each of its 16 cells. The next word is one of 16 cells, or
# *done*. The agent remembers nothing: each screen is a new question. Here the loop runs with the
# **shortcut**, which knows what lists, fields and buttons are for, and does not look at names. One page
# of four, one field of three: *how often will it be right?*


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
print(f"the shortcut does {np.mean(lucky):.0%}; by luck {play.luck_without_names():.0%}")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Learning from somebody who errs
#
# The eye first learns to read screens, cell by cell. Then the agent imitates an expert on 12,000 of
# them. Demonstrations in which all goes right would never show a way back. So in ours the user clicks on
# something else in one step of five, and what the expert does *there* is learnt too. On each screen the
# expert is asked for four tasks at once. Eight of the 48 tasks are never shown.
#
# **Would prove it wrong:** on unseen screens the agent does fewer than 80 % of the unseen tasks.

# %%
clicking = here.recorded("clicking")
screen_pictures.agents(clicking)
judged.agent(clicking)

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
