# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Video: what happens between the frames"
#   talk: "Ming Ding: from language models to multimodal models"
# ---

# %% [markdown] slideshow={"slide_type": "slide"}
# # Video: what happens between the frames
#
# ![Eight frames of a small video: a yellow square moves to the right, a red ring moves fast, bounces and passes in front of it.](07g_video/opening.png)
#
# Eight frames. **How often does the red ring bounce off a wall?** Count, and write your number down.
# Then ask yourself how you did it: no single frame shows a bounce. The best models of 2024 read
# hour-long videos and, says the speaker, miscounted.
#
# *25 minutes to read, one to run. You need attention ([lesson 00c](00c_attention_by_hand.ipynb)) and
# the idea of taking noise away ([lesson 07fb](07fb_diffusion.ipynb)).*

# %% [markdown] slideshow={"slide_type": "notes"}
# 3 minutes. Let everybody count and vote before you go on: there will be several answers. The next slides
# count it. For 50 minutes leave out sections 5 and 8; for 80 show everything.

# %% [markdown] slideshow={"slide_type": "skip"}
# The last part of Ming Ding's talk (CS25 V4, 57:44 to 67:38) is about video and about what comes next.
# Sora had just been shown, and he says why it looked so good: no flicker, because pictures are coded
# over time and not one by one; captions for everything; data that cover the world. He says that models
# which *watch* video still miscount, that nothing is learnt from raw video yet, and that compute should
# be turned into data. Each of these is a sentence that can be tested on a small machine. Here they are.

# %% slideshow={"slide_type": "skip"}
import numpy as np

from minilm import Tensor
from minilm import functional as F
from minilm.backend import rng
from minilm.course import interact, lesson_folder, seeds, source
from minilm.data.images.video_captions import caption, parse, questions
from minilm.data.images.videos import draw_video, tell, videos
from minilm.data.worlds import countdown
from minilm.sandbox.programs import Programs
from minilm.vision import spacetime
from minilm.vision.frame_reader import FrameReader

SEEDS = seeds()  # 0, 1, 2, or those that `minilm run 07g --seeds 3,4,5` asks for
here = lesson_folder("07g")
pictures, verdicts, experiments = here.pictures, here.module("verdicts"), here.module("experiments")
flickers = here.recorded("flicker")
captions = here.recorded("captions", whole=True)  # one exam a run, at its end
counting = here.recorded("counting", whole=True)  # its amounts of video are what is asked
selftrain = here.recorded("selftrain", whole=True)  # so are its rounds

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 1. A world whose truth is known
#
# Whether a model understood a video can only be measured where the truth is known. So we make one: things
# of 4 by 4 pixels move a whole number of pixels a frame in a room of 12 by 12, and bounce off its
# walls. Two things lie in planes of their own, so that the nearer hides the other, or in one lane, where
# they collide. *Move the frame and watch the square go under.*

# %%
scene = pictures.OPENING
interact(lambda frame: pictures.frame_of(scene, frame), frame=(0, 7, 1, 5))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Counting without looking
#
# A bounce is a turn, and turns are a nuisance. **Unfold the room**: behind the wall, instead of
# turning round, the thing goes on straight into a mirrored room. Its path is then one straight line, and
# a bounce is a wall that the line crosses.
#
# By hand, the ring's columns: it starts at 5 and moves −3 a frame, seven times, so it would get to
# 5 − 21 = −16. Walls stand at every multiple of 8 (the room has 12 pixels and the ring is 4 wide).
# Strictly between 5 and −16 lie 0 and −8: two bounces. *Move the speed: from which speed on are there
# three?*


# %%
def bounces(start, speed, frames=8, span=8):
    low, high = sorted((start, start + speed * (frames - 1)))
    return sum(low < k * span < high for k in range(low // span, high // span + 1))


interact(lambda speed: pictures.unfolded(5, speed), speed=(-3, 3, 1, -3))

# %% [markdown] slideshow={"slide_type": "fragment"}
# Its rows go from 3 by 2 a frame to 17, across 8 and 16: two more. **Four bounces** in all. Did you have
# four? Who counts in the frames easily misses the ones that fall between two of them.

# %%
ring = scene.movers[1]
print("by hand:", bounces(ring.row, ring.down) + bounces(ring.column, ring.right))
print("package:", dict(zip((m.name for m in scene.movers), tell(scene).bounces)))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Captions at four levels
#
# Every scene can be told in one word or in full. The full caption is the scene: reading it back and
# drawing it gives the same video, number for number.

# %%
for level in (1, 2, 3, 4):
    print(level, caption(scene, level))
again = draw_video(parse(caption(scene, 4)))
print("read back and drawn, largest difference:", np.abs(again - draw_video(scene)).max())

# %%
for text, answer in questions(scene):
    print(f"{text:55} {answer}")

# %% [markdown] slideshow={"slide_type": "fragment"}
# **To remember:** a caption that can be turned back into its video leaves nothing to argue about.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 2. A video as tokens
#
# A picture becomes tokens by being cut into patches. A video has one axis more, so a token becomes a
# small **block**: f frames of p by p pixels. Sora's report calls it a *spacetime patch*. By hand: one
# colour, two frames of two pixels, (1, 2) and (3, 4). With f = 2, p = 1 there are two tokens: (1, 3), the
# left pixel through time, and (2, 4).


# %%
def spacetime_patchify(v, f, p):  # (C, T, H, W)
    c, t, h, w = v.shape
    v = v.reshape(c, t // f, f, h // p, p, w // p, p)  # every axis in two
    v = v.transpose(1, 3, 5, 0, 2, 4, 6)  # -> (T/f, H/p, W/p, C, f, p, p)
    return v.reshape(-1, c * f * p * p)  # -> (N, C f p p)


video = draw_video(scene)  # (3, 8, 12, 12)
theirs = spacetime.spacetime_patchify(Tensor(video[None]), 2, 4).data[0]
print("page and package agree:", np.array_equal(spacetime_patchify(video, 2, 4), theirs))
for f, p in ((1, 1), (1, 4), (2, 4), (4, 4)):
    n, numbers = spacetime_patchify(video, f, p).shape
    print(f"f = {f}, p = {p}: {n:5} tokens of {numbers:3} numbers, {n * n:9,} pairs to attend")

# %% [markdown] slideshow={"slide_type": "fragment"}
# Attention looks at all pairs, so a long video in high resolution is a **long context**, and Ding says
# that it was trained like one: long-context fine-tuning and context parallelism (58:28 to 59:33), the
# tools of [lesson 07c](07c_long_context.ipynb). Doubling the side of the frames and their number makes
# eight times the tokens and sixty-four times the pairs.
#
# **To remember:** what was infrastructure for text is what made video possible.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 3. Flicker, and what takes it away
#
# Nobody trains a large video model on pixels. A coder first writes the video in far fewer numbers, and
# the model learns those. Ding's first reason for Sora's looks: **coding over time takes away the
# flicker** that coding frame by frame leaves (58:28).
#
# What is flicker? Not an error: an error that *changes*. A wall that is a little too dark in every frame
# looks fine. A wall that is too dark, too light, too dark does not. So compare changes:
#
# $$\text{flicker}(\hat x, x) = \operatorname{mean}\,\big|\,\Delta_t \hat x - \Delta_t x\,\big|$$
#
# By hand: the true pixel is 1, 1, 1. A video 3, 3, 3 is wrong by 2 and flickers by 0; a video 1, 3, 1 is
# wrong less often and flickers by 2.


# %%
def flicker(made, true):  # (T, ...)
    return np.abs(np.diff(made, axis=0) - np.diff(true, axis=0)).mean()


true = np.array([1.0, 1.0, 1.0])
print(flicker(np.array([3.0, 3.0, 3.0]), true), flicker(np.array([1.0, 3.0, 1.0]), true))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## First without a network
#
# Our videos now get a still, soft texture behind the things: a wall that should rest. A video of 3,456
# numbers is to be written in few. The best *linear* coder is known: principal components. It needs no
# training and comes in both kinds: so many components for each frame, or four times as many for four
# frames together. Here each keeps 18 a frame, and the coder of four is shown all four at once:


# %%
def pieces(v, frames):  # (N, C, T, H, W) -> (N T/f, C f H W)
    n, c, t, h, w = v.shape
    return v.reshape(n, c, t // frames, frames, h, w).swapaxes(1, 2).reshape(-1, c * frames * h * w)


known, test = videos(300, 0, paper=0.4).frames, videos(64, 77, paper=0.4).frames
for frames in (1, 4):
    rows = pieces(known, frames)
    mean = rows.mean(0)
    _, axes = np.linalg.eigh((rows - mean).T @ (rows - mean))  # smallest first
    kept = axes[:, -18 * frames :]  # (C f H W, numbers)
    coded = (pieces(test, frames) - mean) @ kept  # (pieces, numbers)
    psnr = -10 * np.log10(((coded @ kept.T + mean - pieces(test, frames)) ** 2).mean())
    print(f"{frames} frame(s) a piece: {coded.size // 64} numbers a video, {psnr:.2f} dB")

# %% [markdown] slideshow={"slide_type": "fragment"}
# That is **PSNR**, the mean squared error on a scale of decibels: 3 dB more is half the error. Four frames
# together have the smaller error, since they write the wall once. *Which will flicker less?*

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Measured, at equal numbers and at equal error
#
# There is a trap: a coder with a smaller error may flicker less just because it has less of everything. So
# four sizes of each are compared twice, at the same numbers and, reading the figure upwards, at the same
# PSNR. **Would prove the claim wrong:** four together flicker more than 0.9 times as much at equal numbers;
# more than 0.95 times at equal PSNR, and it is only partly true.

# %% tags=["hide-input"]
linear = experiments.linear_coders(SEEDS)
pictures.flicker_curves(linear, flickers)
verdicts.flicker(linear, SEEDS)

# %% [markdown] slideshow={"slide_type": "fragment"}
# We had bet on the opposite. Four frames together have the smaller error (at the largest size they are level)
# *and more flicker*. Our reading: numbers that the wall no longer needs go into motion, into patterns that
# change within the four frames; what such a pattern gets wrong changes from frame to frame. A coder that knows
# nothing of time cannot do that: its error on a wall at rest stays the same, until something passes by.
#
# **To remember:** a smaller error can flicker more; measure both.

# %% [markdown] slideshow={"slide_type": "notes"}
# 4 minutes. Point at the stars: a video that stands still, its own mean frame eight times, has less error
# than the smallest coders and less flicker than all of them. The crosses are trained networks: they lie to the
# left of the stars, so they have not learned enough to say anything about the claim.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Where it flickers
#
# One test video, coded in both ways with 72 numbers a frame. In the right picture, the brighter a pixel is, the
# more it flickers. *Move the frame: where does each flicker, on the thing or on the wall?*

# %% tags=["hide-input"]
film = linear["film"]
interact(
    lambda coder, frame: pictures.rebuilt(film["true"], film, coder, frame),
    coder=["frame by frame", "four together"],
    frame=(0, 6, 1, 2),
)

# %% [markdown] slideshow={"slide_type": "fragment"}
# **We changed this test, and the next, after seeing data.** Trained networks were to decide them, recorded with
# each its own best learning rate (`minilm study run 07g/flicker`). They are the crosses in the figure above;
# the stars are videos that *stand still*, the mean frame eight times, and they have less error and less flicker
# than the crosses. Why do networks lose? First, a still picture is 432 numbers, and they keep 144: with so
# few the best linear coder of single frames is behind it, too, and that of four about level. Second, 240
# steps are few. With 432 numbers, on one more seed (not recorded), the frame-by-frame network beats the still
# picture after as many steps, and the one of four does not yet. A model that is beaten by a standing picture
# tests nothing, so exact linear coders took their place, with the same thresholds. The coders that Ding
# speaks of lose almost nothing.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## A convolution that does not look ahead
#
# A network coder sees neighbours through convolutions. In a video there are neighbours in time too, but
# one would like to code a video *while it comes in*. So the window in time ends at its own frame: it is
# **causal**, as attention is in a language model. A picture is then a video of one frame, and the same
# coder serves both.
#
# By hand: frames 1, 2, 3 of one pixel, a window of two with weights 10 (older) and 1 (newest): 0 + 1 = 1,
# 10 + 2 = 12, 20 + 3 = 23.


# %%
def causal_conv3d(v, w):  # (I, T, H, W), (O, I, K, A, B)
    (_, t, h, wide), (outs, _, taps, a, b) = v.shape, w.shape
    longer = np.pad(v, ((0, 0), (taps - 1, 0), (0, 0), (0, 0)))  # zeros before, none behind
    y = np.zeros((outs, t, h - a + 1, wide - b + 1), v.dtype)
    for k in range(taps):
        for i in range(a):
            for j in range(b):
                part = longer[:, k : k + t, i : i + h - a + 1, j : j + wide - b + 1]  # (I, T, ..)
                y += np.einsum("oi,ithw->othw", w[:, :, k, i, j], part)
    return y


window = rng(0, "window").standard_normal((4, 3, 3, 3, 3))
mine, theirs = causal_conv3d(video.astype(float), window), F.causal_conv3d(video[None], window)
print("largest difference of page and package:", np.abs(mine - theirs.data[0]).max().round(6))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Is it causal?
#
# Change frame 5 of the video, and see which frames of the output notice. *All? Those from 5 on? How
# many?*

# %%
other = video.astype(float).copy()
other[:, 5] += 1
noticed = np.abs(causal_conv3d(other, window) - mine).max(axis=(0, 2, 3)) > 0
print("output frames that noticed:", np.flatnonzero(noticed).tolist())

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 4. One answer, or a draw
#
# Few numbers leave details open. A decoder that was trained on the squared error answers with the *mean*
# of all videos that it could be: soft. A **diffusion decoder** *draws* one of the possible ones out of
# noise. Ding: better still (58:28 to 59:33).
#
# Here too an exact case needs no training. If videos were one big bell curve, what the linear coder drops
# would be independent noise of known strength along each dropped component. Leave it out: that is the
# mean. Draw it: that is what a perfect diffusion decoder would do.
#
# A draw has a price. The mean is the best guess under squared error, so whoever draws loses PSNR. **Would
# prove it wrong:** the frames' spectrum (how much power each wave has) is no nearer to that of true frames.
# Flicker must fall too, or it is only partly true.

# %% tags=["hide-input"]
pictures.decoders(linear)
verdicts.decoder(linear, SEEDS)

# %% [markdown] slideshow={"slide_type": "fragment"}
# The draw has the right *sharpness* and more flicker. It draws within four frames together, so its details
# move as details do; but between one draw and the next nothing holds them. And our flicker compares with the
# *true* video: details that move well, but otherwise than the true ones, count as flicker. An eye might mind
# less; nobody looked. **To remember:** sharp and steady are two wishes.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 5. In which order? Key frames first
#
# CogVideo (2022), "perhaps the first open large model" of its kind (57:55), wrote video as tokens, one
# after the other. One after the other, every frame rests on the one before, and its errors too. So it
# drew **key frames** first, few and far apart, and then again and again the frame in the middle of each
# gap. *How many rounds do 33 frames take after five key frames?*


# %%
def rounds_of(n):  # from both ends
    done, rounds = sorted({0, n - 1}), [sorted({0, n - 1})]
    while len(done) < n:
        rounds.append([(a + b) // 2 for a, b in zip(done, done[1:]) if b - a > 1])
        done = sorted(done + rounds[-1])
    return rounds


schedule = spacetime.keyframe_interp_schedule(33, keys=5)
print("by hand, 9 frames:", rounds_of(9))
interact(lambda number: pictures.order(schedule, number), number=(0, 3, 1, 1))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What the order does to errors
#
# Let every drawn frame add an error of its own, of spread 1. One after the other, frame t, counted from 0,
# has collected t + 1 of them: its error has spread $\sqrt{t+1}$. In between two frames, a new one inherits the *mean* of their
# errors, where independent parts cancel: every further round adds at most half to the variance, and
# twice the frames are *one* round more. (This is our arithmetic, not the talk's; a model's errors need not
# be independent.)

# %% tags=["hide-input"]
pictures.errors(experiments.errors_of_order(33))

# %% [markdown] slideshow={"slide_type": "fragment"}
# Diffusion over spacetime patches went further: it draws *all* frames at once, each looking at each. The package
# has such a model, a DiT ([lesson 07fb](07fb_diffusion.ipynb)) whose tokens are the blocks of section 2
# (`minilm.diffusion.video_dit`).
#
# **To remember:** an order in which errors cannot pile up, or none at all.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 6. What a caption is worth
#
# What a video model draws depends on what it was told. The web says a word about a video, and often a
# wrong one. Ding's last reason for Sora is that its videos were *heavily recaptioned* (59:33 to 60:05): a
# model that reads video wrote a full caption for each, like our level 3.
#
# In a page's time our DiT draws only when little is open: one thing starts in the middle and moves
# straight, for four frames. Colour, shape, direction and speed make 128 videos. Here are eight, as the
# truth tells them and as "the web" does, which we made up: one word a video, and about one in five is wrong.
# *Which would you learn from?*

# %%
web = here.study("captions")
truths = web.world(8, SEEDS[0])[1]  # (8, 4) ids
for truth, said in zip(truths, web.one_word(truths, SEEDS[0])):
    print(f"{experiments.in_words(truth):30} the web: {experiments.in_words(said)}")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Three models, the same videos
#
# Recorded (`minilm study run 07g/captions`), three seeds, each with its own rate. **One word** learned from
# the web's word. **Recaptioned** learned from what a small reader wrote, which itself learned from 48 videos
# with true captions. **True captions** is the best there could be. Then all are asked with full captions,
# and an oracle, a program that knows how each of the 128 videos looks, reads what they drew; what it cannot
# read shows nothing. Videos that can be read, drawn at random, would show 31 % of what was asked for.
#
# **Would prove it wrong:** recaptioned is less than 10 points ahead of one word. More than 10 points behind
# the truth, and it is only partly true. (A model that has heard of "red" and of "fast" might put them
# together by itself. *Does it?*)

# %% tags=["hide-input"]
pictures.shares(
    verdicts.drawn(captions),
    {"word": "one word", "recaptioned": "recaptioned", "true": "true captions"},
    {"colour": "colour", "shape": "shape", "direction": "direction", "speed": "speed",
     "whole": "all four"},
    {},
    "share shown",
)  # fmt: skip
verdicts.recaptioned(captions)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What they drew
#
# The first caption of the exam, seed 0, four frames each. *What did the first row get right?*

# %%
print("asked for:", experiments.in_words(web.world(1, 30_000)[1][0]))
pictures.strip(experiments.first_drawn(captions))

# %% [markdown] slideshow={"slide_type": "fragment"}
# Who has heard one word at a time, and is asked for four, does not put them together, at any rate that we
# tried: only 8 % of its videos can be read. But four words at once are a question that it never met. How much
# is the poor captions, and how much the strange question, we cannot tell: we did not ask it with one word.
# Full captions change the picture, though one word in ten of them is wrong. What is missing to the truth comes
# from the captioner's errors, for all else is the same. It shows less in wrong videos than in unreadable ones,
# one in eight. **To remember:** a video model can be asked for what its captions have said.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 7. Does it miscount?
#
# From drawing to reading. Video understanding will matter, says Ding, and the best model of the day
# *hallucinates and miscounts* (61:24 to 62:35). Count what? Bounces, 0 to 5 of them, in eight frames.
#
# A rule of a few lines does it. The middle of the ink moves by whole steps of one size. A step that is
# too short hides a wall inside it; two full steps in opposite directions had the wall between them. The
# rule needs no training, and it is our best yardstick:


# %%
def walls(middle):  # (T,) places of the ink's middle along one axis
    steps = np.diff(middle).round()
    full = np.abs(steps) == np.abs(steps).max()
    turned = full[1:] & full[:-1] & (steps[1:] == -steps[:-1]) & (steps[1:] != 0)
    return int((~full).sum() + turned.sum())


def count(video):  # (3, T, H, W)
    ink, places = video.sum(0), np.arange(12)
    total = ink.sum((1, 2))
    return walls(ink.sum(2) @ places / total) + walls(ink.sum(1) @ places / total)


test = videos(300, 9, ("one",))
right = [count(v) == story.bounces[0] for v, story in zip(test.frames, test.stories)]
print(f"the rule counts {100 * np.mean(right):.1f} % right")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## A reader of frames
#
# The model is a small transformer. Each frame is one token; a frame may look at those before it; what the
# last one knows is turned into a count. It learns from 1,200 videos with answers; here is one seed:

# %%
reader, known, counts = experiments.reader(SEEDS[0])
truth = np.array([story.bounces[0] for story in test.stories])
print("right, videos it learned from:", (reader.answers(known)[:, 0] == counts).mean().round(2))
print("right, new videos:", (reader.answers(test.frames)[:, 0] == truth).mean().round(2))

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Three seeds, recorded
#
# The study (`minilm study run 07g/counting`) has three seeds and a learning rate that was tuned for this reader
# and used for all. Beside it stands a reader that sees *one* frame. **Would prove it wrong:** the reader is right
# in more than 95 % of new videos. *How well can one count from a single frame?*

# %% tags=["hide-input"]
read = verdicts.read(counting)
pictures.by_count(read, {"wide": "the reader", "one frame": "one frame"})
verdicts.miscounts(counting)

# %% [markdown] slideshow={"slide_type": "fragment"}
# Look at the right panel. Where the reader errs, it pulls towards the middle: five bounces are told as fewer,
# one as more. It may judge how fast things look, and not count at all; that is our guess. More training would
# help it, and says nothing of the large models that Ding means.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Data coverage
#
# Ding's other reason for good video models is that the data *cover* what is asked for. The **narrow**
# reader learned from as many videos, with all counts, but of things with four looks only, two colours and
# two shapes. Bounces are the same whatever bounces, so a model that had understood them would not care.
# **Would prove it wrong:** on new looks it is within 10 points of the reader that saw all 64. It must also
# fall 10 points behind itself on looks that it knows, or it is only partly true.

# %% tags=["hide-input"]
pictures.shares(
    read,
    {"wide": "64 looks", "narrow": "4 looks"},
    {"known_looks": "looks that both know", "new_looks": "new looks"},
    {"guessing": 1 / 6},
)
verdicts.coverage(counting)

# %% [markdown] slideshow={"slide_type": "fragment"}
# It did not come out. The reader of four looks is 11 points better on its own looks than the one that saw all,
# and only 4 points behind it on new ones. **To remember:** where the skill does not depend on looks, a few looks
# go a long way.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 8. What raw video could teach
#
# "Nothing is learned from raw video yet": models of pictures and text rest on *paired* text (77:07 to
# 77:52). Could something be? A language model learns from raw text by foretelling the next word. Let the
# reader foretell the **next frame**: no caption, no answer, only video. Below is its error on new videos after
# as much training as in the recorded study, beside two guesses that cost nothing.

# %% tags=["hide-input"]
source(FrameReader.next_loss)

# %%
for name, error in experiments.foreteller_error(SEEDS[0]).items():
    print(f"{name:25} squared error {error:.4f}")

# %% [markdown] slideshow={"slide_type": "fragment"}
# The thing covers a ninth of the frame, and where it will be is not known at first, so the *mean* of all frames
# is what the squared error asks for first. A reader that is hardly better than that mean, or no better, has not
# learned to foretell. The study (`minilm study run 07g/counting`) asks whether a reader that has foretold 1,200
# raw videos then needs fewer answers; we had asked for 5 points more. From 200 videos with answers it counts
# 25 % right, without raw video 28 %, and 28 % with as many operations on the 200. So raw video did not help
# here; but since foretelling was hardly learned, we call it **no test** of what raw video could teach.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## 9. Compute into data
#
# The talk ends with advice: text is running out, so turn **compute into high-quality data**; run code,
# search, learn from what comes out (66:41 to 67:38). The cheapest case: problems whose answers are hard to
# find and easy to *check*. Three numbers and a target; write the signs between them.
#
# By hand: 5, 2, 7 and 19. `5+2+7` gives 14. `5+2*7` gives 19: right. Nobody had to know the solution, only
# to run it.


# %%
def self_train_round(write, tasks, execute, tries):
    kept = []
    for task, programs in zip(tasks, write(tasks, tries)):
        for program in dict.fromkeys(programs):  # each different one is run once
            if execute(task, program):
                kept.append((task, program))
    return kept


task = countdown.Task((5, 2, 7), 19)
written = [["5+2+7", "5+2*7", "5*2+7", "5+2*7"]]
tried = self_train_round(lambda tasks, tries: written, [task], countdown.execute, tries=4)
print("kept:", [program for _, program in tried])

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Who runs it?
#
# What a model writes is code from a stranger. Our programs are checked by a reader that knows digits
# and three signs, and nothing else. Programs that may do anything belong behind a wall: the
# sandbox runs each in a child process that it throws away. Both must agree.

# %%
with Programs(places=1, unsafe=True) as programs:
    for text in ("5+2*7", "5+2+7", "__import__('os').listdir('/')"):
        code = f"def f():\n    return {text}\n"
        walled = programs.run(code, [("f", (), task.target)])
        print(f"{text:30} reader {countdown.execute(task, text)!s:6} sandbox {walled.passed}")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## One round, live
#
# A transformer of 100,000 parameters has seen 150 tasks with a solution each. Now it writes 8 programs for
# each of 600 tasks *without* solutions, keeps what passes, and trains on that too. Here is one round, with one
# seed and the function of this page:

# %%
for name, number in experiments.one_round(self_train_round, SEEDS[0]).items():
    print(f"{name:8} {number:.2f}" if name != "kept" else f"kept     {number} programs")

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Was it the data?
#
# Or just more training? The study (`minilm study run 07g/selftrain`) goes on for two rounds, with 1,200 tasks and
# three rivals. **Longer** trains on the first 150 for as many operations, the writing included. **All it wrote**
# keeps right and wrong. **Random search** keeps what passes of as many *random* programs. One learning rate
# serves all, tuned on longer training. **Would prove it wrong:** what passed is not 10 points ahead of longer
# training and of all it wrote, with every seed; ahead of longer training only, and it is partly true. *Where
# will random search end?*

# %% tags=["hide-input"]
chance = {"chance": [experiments.selftrain.chance(seed) for seed in selftrain.seeds]}
pictures.solved(chance | verdicts.solved(selftrain))
verdicts.data_from_compute(selftrain)

# %% [markdown] slideshow={"slide_type": "fragment"}
# On average what passed is 11 points ahead of longer training, but with one of three seeds it is only 7, and we
# had asked for 10 with each. It is 16 points ahead of all that was written: without the check the model learns
# its own mistakes. And random search keeps pace, because one random program in seven or eight is right here. A
# model should earn its keep where nobody hits by chance: there search finds nothing to begin with, and a writer
# that is right once in a hundred tries has something to learn from (ours, not measured). The talk's other two
# ways, tree search and reinforcement learning, spend the same compute where it is likelier to pay.
#
# **To remember:** where checking is cheap, a checker is a source of data.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What came out, and what did not
#
# **As claimed.** A model that reads video miscounts what a rule of five lines counts: our small reader is right
# in 62 % of new videos, the rule in all.
#
# **Only in part.** Recaptioning lifts what is shown from 4 % to 82 %; but true captions reach 100 %, and we had
# asked for no more than 10 points between. A decoder that draws has the right sharpness where the mean is soft,
# and pays with more flicker and less PSNR.
#
# **Not as claimed, at our size.** Four frames in one latent flicker *more* than one frame in one, at equal
# numbers and at equal error, for the best linear coders. Four looks in training did nearly as well on new
# looks as sixty-four. What a writer taught itself is 11 points ahead of longer training on average, but not 10
# with every seed; and random search brought as much: where tasks are this small, no model is needed to find data.
#
# **No test.** Trained coders and a diffusion decoder for them: a still picture, which has three times their
# numbers, beats them. Foretelling frames.
#
# **Not measured.** Whether common scenes are solved in two years (60:35), robots (62:46), speech (64:36), new
# architectures (65:33): these are forecasts. Sora itself, and everything at its size. No person judged a
# video; flicker is a number and an eye is not.
#
# **One further question.** The reader pulls its counts towards the middle. Give it a frame more for each
# bounce, or let it *write down* each turn before it answers, as a language model thinks aloud: does it count
# then?
#
# Now write the parts yourself: [exercise set](../exercises/07g_video.ipynb).
