# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "Intuitions on language models: what guessing the next word teaches"
#   talk: "Intuitions on language models"
#   speaker: "Jason Wei"
# ---

# %% [markdown] slideshow={"slide_type": "slide"}
# # What guessing the next word teaches
#
# One task, guessing the next word, hides a thousand others. We build a world where we know which
# word belongs to which task, train models on it, and ask of every intuition of the talk: can we
# measure it, and does it hold?

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What the talk claims, and what we do about it
#
# | Jason Wei, 11 April 2024 | said at | measured by |
# |---|---|---|
# | next-word prediction is multi-task learning | 04:14 | seven labelled tasks |
# | more compute reliably lowers the loss | 09:01 | the curve, and a point held back |
# | large models know the tail, and compute more | 11:18 | rare facts, hard grammar |
# | total loss is smooth, single tasks are not | 13:47 | the same models, task by task |
# | abilities emerge; other metrics differ | 18:42, 29:44 | five scores of the same answers |
# | some tasks go right, wrong, right | 19:39 | three sub-skills |
# | plot the curve before you collect data | 24:15 | predictions and what came |

# %% [markdown] slideshow={"slide_type": "notes"}
# Two sources of numbers. Small models are trained while the lesson runs. Longer studies were run
# before and lie in the lesson's data folder, with their command, seeds and machine; live points appear in the
# same figures.

# %% slideshow={"slide_type": "skip"}
import itertools
from functools import cache

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from minilm import backend
from minilm.analysis import curves, metrics, probes
from minilm.analysis.scaling import (
    fit_power_law,
    forecast,
    frontier,
    isoflop_minimum,
    power_fit,
)
from minilm.course import (
    bars,
    claim,
    coloured_words,
    figure,
    heatmap,
    interact,
    lesson_folder,
    lines,
    source,
)
from minilm.course.show.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    colour_map,
    name_axes,
)
from minilm.data.worlds.quotes import QuoteWorld
from minilm.data.worlds.tasks import GENERATORS
from minilm.data.worlds.world import TASKS, TaskWorld
from minilm.models import Transformer
from minilm.studies.runs import (
    SIZES,
    aligned,
    config_of,
    exam_steps,
    predictor,
    train_and_test,
)

here = lesson_folder("02")
Exam = here.study("scaling").Exam
backend.keep_freed_memory()


# %% slideshow={"slide_type": "skip"}
class Study:
    """A recorded study by size and seed; `whole` are the sizes that have enough seeds."""

    def __init__(self, name, key="size"):
        self.name, self.data = name, here.recorded(name).data
        self.settings = self.data["settings"]
        self.runs = {(run[key], run["seed"]): run for run in self.data["runs"]}
        self.parameters = {run[key]: run["parameters"] for run in self.data["runs"]}
        self.sizes = sorted(self.parameters, key=lambda size: (self.parameters[size], size))
        seeds = {size: {s for c, s in self.runs if c == size} for size in self.sizes}
        for enough in (3, 2, 1):  # while it is being recorded there may be fewer
            self.whole = [size for size in self.sizes if len(seeds[size]) >= enough]
            if len(self.whole) >= min(4, len(self.sizes)):
                break
        self.seeds = sorted(set.intersection(*(seeds[size] for size in self.whole)))

    def final(self, read, sizes=None):
        """(seeds, sizes): a number read off the last point of each run."""
        sizes = sizes or self.whole
        return np.array(
            [[read(self.runs[size, s]["points"][-1]) for size in sizes] for s in self.seeds],
            dtype=float,
        )

    def along(self, size, read, steady=True):
        """(seeds, points): a number along the runs of one size, while the rate is constant."""
        return np.array(
            [[read(p) for p in points_of(self.runs[size, s], steady)] for s in self.seeds], float
        )

    def said(self):
        """One line on where the numbers come from."""
        missing = len(self.data.get("missing", []))
        return (
            f"{self.name}: {len(self.runs)} runs of {len(self.sizes)} sizes, "
            f"{min(self.parameters.values()):,} to {max(self.parameters.values()):,} parameters, "
            f"seeds {self.seeds}, {self.data['date']}" + (f", {missing} missing" * bool(missing))
        )


def judge(statement, seeds, **said):
    """A verdict, or a line that says that the study has too few seeds so far."""
    if len(seeds) < 3:
        print(f"No verdict yet, {len(seeds)} of 3 seeds are recorded: {statement}.")
        return
    claim(statement, seeds=seeds, **said)


def points_of(run, steady=True):
    """The tests of a run; steady leaves out those where the learning rate was falling."""
    return [p for p in run["points"] if not (steady and p["annealed"])]


scaling, quotes, emergence = map(Study, ("scaling", "ushape", "sums"))
amounts = Study("amounts", key="amount")
SEEDS = scaling.seeds
WEIGHTS = scaling.settings["weights"]
FLOORS = scaling.settings["floors"]
SCORED = [part for part in WEIGHTS if part.endswith(" scored")]


def total(point):
    """Nats per token, over all tokens."""
    return point["loss"]


def tested(point):
    """Nats per token, over the tokens that test a task."""
    return sum(WEIGHTS[k] * point["losses"][k] for k in SCORED) / sum(WEIGHTS[k] for k in SCORED)


def task_loss(task):
    """Nats per token of one task's tested tokens, as a function of a point."""
    return lambda point: point["losses"][f"{task} scored"]


def probe(name, metric="accuracy"):
    """A score of one probe, as a function of a point."""
    return lambda point: point["probes"][name][metric]


def answer_loss(task):
    """Like task_loss; for grammar only `is` and `are` compete, once it is the verb's turn."""
    if task != "grammar":
        return task_loss(task)
    return lambda p: np.mean([p["probes"][f"grammar {k}"]["cross_entropy"] for k in range(4)])


LEAST = {task: 0.0 if task == "grammar" else FLOORS[task]["scored"] for task in TASKS}


def shades(count):
    """Light to dark: one colour per size."""
    return [colour_map()(x) for x in np.linspace(0.3, 1, count)]


# %% slideshow={"slide_type": "skip"}
for study in (scaling, emergence, quotes, amounts):
    print(study.said())
print(scaling.data["machine"])

# %% [markdown] slideshow={"slide_type": "slide"}
# ## First, look at the data
#
# The talk begins with looking at data by hand, until one can do the task oneself (01:39). This is
# what our models read. Bold words **test** a task; the colours are ours, no model ever sees them.

# %% slideshow={"slide_type": "-"} tags=["hide-input"]
world = TaskWorld()
sample = world.sample(4096, seed=3)
start = int(np.flatnonzero(sample.tokens == world.END)[10]) + 1
stop = int(np.flatnonzero(sample.tokens[: start + 92] == world.END)[-1]) + 1
here = slice(start, stop)
coloured_words(
    [world.vocabulary[i] for i in sample.tokens[here]],
    [TASKS[k] for k in sample.labels[here]],
    sample.scored[here],
)

# %% [markdown] slideshow={"slide_type": "notes"}
# Ask the room to read a line aloud and to say which task comes next. Facts are invented: a name of
# two syllables has an emblem. The sum has its lowest digit first: 47 + 25 = 2 7 0.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Seven tasks, one objective
#
# | task | in the talk (05:10) | in our world |
# |---|---|---|
# | grammar | code or banana | the keys near the box **are** |
# | word meaning | durian or squirrel | list pear lemon **durian** |
# | facts | capital of Azerbaijan | 5,000 names, the first asked most |
# | sentiment | good or bad | five words, the majority decides |
# | translation | pretty, *bonita* | pretty squirrel => **ardilla bonita** |
# | places | kitchen or store | where Ada went last |
# | sums | 15 or 11 | 4 7 + 2 5 = **2 7 0** |
#
# Facts follow Zipf: the thousandth is asked a thousandth as often as the first.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## The total is a sum of tasks
#
# Every token belongs to a task $k$, and to its prompt or its test. With $w_k$ the share of the
# tokens,
#
# $$L = \sum_k w_k L_k$$
#
# This is arithmetic, not a theory. All the same it is the heart of the talk: a smooth sum can hide
# rough parts.

# %% tags=["hide-input"]
source(metrics.per_task_loss, docstring="none")

# %% slideshow={"slide_type": "skip"}
exam = Exam(world, scaling.settings["windows"], prompts=1)
PROMPTS = {
    "grammar": "the keys near the cabinet near the box near the door",
    "word meaning": "list pear lemon",
    "translation": "translate pretty squirrel =>",
    "sentiment": "review pretty kind awful lovely sad verdict",
    "a well-known fact": f"{world.decode(world.fact_names[0])} emblem",
    "a rare fact": f"{world.decode(world.fact_names[4000])} emblem",
    "places": "Ada kitchen Ben store Ada garden Ben office where Ada",
    "sums": "4 7 + 2 5 =",
}


def expects(model, text):
    """Probability of every word after a text, (V,)."""
    ids = world.encode(f". {text}")[None]
    return np.exp(probes.log_softmax(predictor(model)(ids)[0, -1]))


# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Train three sizes now
#
# Nobody tells them about tasks. Next word, next word, next word.

# %% slideshow={"slide_type": "-"}
LIVE, LIVE_SEED, LIVE_STEPS = ("2x16", "2x32", "2x64"), 100, 500


def train_live(name):
    """One of the study's models with a seed of its own; it is asked the prompts on the way."""
    model = Transformer(config_of(SIZES[name], world.vocab_size, 32), seed=LIVE_SEED)
    batch = scaling.settings["batch"]
    tokens = world.sample(LIVE_STEPS * batch * 32 + 1, seed=1000 + LIVE_SEED).tokens

    def test(model):
        split = exam.loss(model)
        expected = {k: expects(model, text) for k, text in PROMPTS.items()}
        return {"loss": split.total, "losses": split.losses, "expected": expected}

    lr = scaling.data["tuning"][name]["lr"]
    at = exam_steps(LIVE_STEPS, 8, first=10)
    run = train_and_test(
        model.config, tokens, test, at, LIVE_STEPS, batch, lr, LIVE_SEED, build=lambda *_: model
    )
    return model, run


live = {name: train_live(name) for name in LIVE}
for name, (model, run) in live.items():
    print(f"{name}  {model.num_parameters():7,} parameters  loss {total(run['points'][-1]):.3f}")

# %% [markdown] slideshow={"slide_type": "notes"}
# Less than a minute of one core. The models of the recorded study read three times as much, and the
# largest of them are many times as large.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## What the models expect
#
# A language model gives every word a probability; training pushes that of the true next word
# towards 1 (03:05). Move the step, change the prompt.


# %% slideshow={"slide_type": "-"} tags=["hide-input"]
def show_expectations(prompt, exam_number):
    step = live[LIVE[0]][1]["points"][exam_number - 1]["step"]
    with figure(
        1, len(LIVE), size=(12.2, 4.4), alt="The words that each live model expects next."
    ) as axes:
        for ax, name in zip(axes, LIVE, strict=True):
            p = live[name][1]["points"][exam_number - 1]["expected"][prompt]
            top = np.argsort(-p)[:6]
            ax.barh(range(6), p[top], color=BLUE)
            ax.set_yticks(range(6), [world.vocabulary[i] for i in top])
            ax.invert_yaxis()
            ax.set_xlim(0, 1)
            ax.grid(visible=False, axis="y")
            ax.set_title(f"{live[name][0].num_parameters():,} parameters", fontsize=17)
            ax.set_xticks([0, 0.5, 1])
        axes[1].set_xlabel(f"after {step} steps: “{PROMPTS[prompt]} …”")


EXAMS = len(live[LIVE[0]][1]["points"])
interact(show_expectations, prompt=list(PROMPTS), exam_number=(1, EXAMS, 1, EXAMS))

# %% [markdown] slideshow={"slide_type": "notes"}
# Go through the prompts. For grammar all three agree after a while. For the rare fact nobody knows.
# For places they name a room, any room: they have learnt what kind of word comes, not which. For
# sums likewise.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Your turn: guess the next word
#
# You against the three models, on text that none of them has read. Type a word and press Enter;
# then move to the next question.


# %% slideshow={"slide_type": "-"} tags=["hide-input"]
def quiz(seed=11):
    """Questions as (task, words, place of the answer, two solved examples)."""
    r, questions = backend.rng(seed, "quiz"), []
    for round_, task in itertools.product(range(2), TASKS):
        if task == "facts":  # a well-known one, then one that nobody remembers
            ranks = np.array([3, 0, 1] if round_ == 0 else [2500, 0, 1])
            made = GENERATORS[task](world, r, 3, ranks)
        else:
            made = GENERATORS[task](world, r, 3)
        shown = [world.decode(made.rows[i, : made.lengths[i]]).split() for i in range(3)]
        questions.append((task, shown[0], int(np.argmax(made.scored[0])), shown[1:]))
    order = r.permutation(len(questions))
    first = ("translation", "translate pretty squirrel => ardilla bonita .".split(), 4)
    solved = [s for task, *_, s in questions if task == "translation"][0]
    return [(*first, solved), *(questions[k] for k in order)]


QUESTIONS, answers = quiz(), {}
last_typed = [None]


def play(question, your_word):
    task, words, place, solved = QUESTIONS[question - 1]
    if your_word != last_typed[0] and your_word.strip():
        answers[question] = your_word.strip()
    last_typed[0] = your_word
    guess, truth = answers.get(question), words[place]
    coloured_words(
        [*(" ".join(s) + "  " for s in solved), *words[:place], truth if guess else "_____"],
        ["", "", *[task] * (place + 1)],
        [False] * (place + 2) + [True],
        caption=f"{question} of {len(QUESTIONS)}: {task}. Two solved ones, then yours:",
    )
    if not guess:
        print("Your word?")
        return
    models = {name: expects(live[name][0], " ".join(words[:place])) for name in LIVE}
    right = world.vocabulary.index(truth)
    mine = "right" if guess == truth else "no" if guess in world.vocabulary else "no word of theirs"
    score_of.setdefault(question, {"you": guess == truth})
    score_of[question] |= {n: world.vocabulary[p.argmax()] == truth for n, p in models.items()}
    score_of[question]["you"] = guess == truth
    asked = len(score_of)
    scores = {who: sum(s[who] for s in score_of.values()) for who in ("you", *LIVE)}
    with figure(
        1, 2, size=(12.2, 3.4), alt="Your score and the models', question by question."
    ) as (
        left,
        end,
    ):
        names = [f"{live[n][0].num_parameters():,}" for n in LIVE]
        bars(
            names,
            [p[right] for p in models.values()],
            horizontal=True,
            numbers="{:.2f}",
            ylabel=f"probability of “{truth}”",
            xlabel="parameters",
            ax=left,
        )
        left.set_xlim(0, 1.15)
        bars(
            ["you", *names],
            list(scores.values()),
            horizontal=True,
            numbers="{:.0f}",
            ylabel=f"right, of {asked} asked",
            ax=end,
        )
        end.set_xlim(0, asked * 1.15)
        left.set_title(f"You said “{guess}”: {mine}")


score_of = {}
interact(play, question=(1, len(QUESTIONS), 1, 1), your_word="ardilla")

# %% [markdown] slideshow={"slide_type": "notes"}
# Fifteen questions. People beat the models on sums and places, lose on facts, and nobody wins at
# word lists: any of six words may follow. That part of the loss never goes away.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## One objective, seven skills?
#
# **Claim** (04:14). Next-word prediction on enough text is massively multi-task learning.
#
# **Test.** Someone who knows only *which task it is* and how often each answer occurs is our
# yardstick; the rules of the world are the other end.
#
# **What would prove it wrong.** A task in which the largest model is not a tenth of the way from
# the one to the other.


# %% slideshow={"slide_type": "subslide"}
def yardstick(task, draws=20_000):
    """Nats per tested token for a reader who knows how often each answer occurs, and no more."""
    made = GENERATORS[task](world, backend.rng(0, "yardstick", task), draws)
    answers = made.rows[made.scored].reshape(draws, -1)
    shares = [np.unique(column, return_counts=True)[1] / draws for column in answers.T]
    return float(np.mean([-(p * np.log(p)).sum() for p in shares]))


GUESS = {task: yardstick(task) for task in TASKS}
way = {  # (seeds, sizes): 0 at the yardstick, 1 at the rules of the world
    task: (GUESS[task] - scaling.final(answer_loss(task))) / (GUESS[task] - LEAST[task])
    for task in TASKS
}


# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
def draw_yardsticks():
    small, large = scaling.whole[0], scaling.whole[-1]
    with figure(alt="Loss of each task: yardstick, smallest model, largest model, best.") as ax:
        for row, task in enumerate(TASKS):
            floor, guess = LEAST[task], GUESS[task]
            a, b = scaling.final(answer_loss(task), [small, large]).mean(0)
            ax.plot([floor, guess], [row, row], color="#D9DEE7", linewidth=10, zorder=1)
            ax.plot(guess, row, "|", color=MUTED, markersize=26, markeredgewidth=4)
            ax.plot(a, row, "o", color=ORANGE, markersize=15, markeredgecolor="white")
            ax.plot(b, row, "D", color=BLUE, markersize=14, markeredgecolor="white")
            ax.plot(floor, row, "|", color=GREEN, markersize=26, markeredgewidth=4)
        ax.set_yticks(range(len(TASKS)), TASKS)
        ax.invert_yaxis()
        ax.grid(visible=False, axis="y")
        ax.set_xlabel("nats per tested word")
        for name, colour, mark in (
            (f"{scaling.parameters[small]:,} parameters", ORANGE, "o"),
            (f"{scaling.parameters[large]:,} parameters", BLUE, "D"),
            ("knows the task only", MUTED, "|"),
            ("best possible", GREEN, "|"),
        ):
            ax.plot(
                [],
                [],
                mark,
                color=colour,
                markersize=14,
                markeredgewidth=3 * (mark == "|") or 1,
                label=name,
            )
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.02))


draw_yardsticks()

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
learnt = [sum(float(way[task][k, -1]) >= 0.1 for task in TASKS) for k in range(len(SEEDS))]
judge(
    "guessing the next word teaches all seven tasks, though nobody names them",
    source="Wei 04:14",
    measure="tasks, of seven, at least a tenth of the way from the yardstick to the best possible",
    expected="7",
    measured=learnt,
    seeds=SEEDS,
    holds=lambda n: n == 7,
    partly=lambda n: n >= 4,
)

# %% tags=["hide-input"]
errors = [p["identity_error"] for run in scaling.runs.values() for p in run["points"]]
claim(
    "the loss is the weighted sum of the tasks' losses",
    source="Wei 13:47",
    measure=f"largest gap between both sides over {len(errors)} recorded checkpoints, nats",
    expected="rounding: below 1e-12",
    measured=[max(errors)],
    holds=lambda gap: gap < 1e-12,
    exact=True,
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## More compute, less loss
#
# **Claim** (09:01). Scaling compute reliably lowers the loss, over seven orders of magnitude, with
# no end in sight; on log-log paper the curve is straight (Kaplan et al. 2020).
#
# **Test.** Compute is $C = 6ND$: parameters times tokens. At each budget the best model counts.
#
# **What would prove it wrong.** A last decade that brings less than half of what the first did; a
# straight line with $R^2$ below 0.98; a held-back point outside what the curve predicts.


# %% slideshow={"slide_type": "skip"}
def front(seed, read):
    """Compute and loss of the runs of one seed that no cheaper run beats, the first steps left out."""
    points = [
        p
        for (_, s), run in scaling.runs.items()
        if s == seed
        for p in points_of(run)
        if p["step"] >= scaling.settings["steps"] / 20
    ]
    c, loss = np.array([p["compute"] for p in points]), np.array([read(p) for p in points])
    keep = frontier(c, loss)
    return c[keep], loss[keep]


def straightness(x, y, law=None):
    """R squared of log y: of a straight line on log-log paper, or of a law."""
    if law is None:
        return power_fit(x, y)[2]
    rest, spread = np.log(y) - np.log(law.loss(x)), np.log(y) - np.log(y).mean()
    return float(1 - (rest**2).sum() / (spread**2).sum())


FRONTS = {
    (name, s): front(s, read)
    for s in SEEDS
    for name, read in (("all words", total), ("tested words", tested))
}


# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
def draw_scaling():
    with figure(
        1, 2, alt="Loss by compute: a line for each size, their lower edge, a law fitted to it."
    ) as axes:
        for ax, (name, read) in zip(
            axes, (("all words", total), ("tested words", tested)), strict=True
        ):
            for size, colour in zip(scaling.sizes, shades(len(scaling.sizes)), strict=True):
                run = next(run for (one, _), run in scaling.runs.items() if one == size)
                steady = points_of(run)[1:]
                ax.plot(
                    [p["compute"] for p in steady],
                    [read(p) for p in steady],
                    color=colour,
                    linewidth=1.8,
                )
            c, y = FRONTS[name, SEEDS[0]]
            law = fit_power_law(c, y)
            wide = np.geomspace(c[0], c[-1], 60)
            ax.plot(c, y, "o", color=VERMILION, markersize=7, markeredgecolor="white", zorder=4)
            ax.plot(wide, law.loss(wide), color=VERMILION, linewidth=2.2, zorder=3)
            for live_name in LIVE:
                p = points_of(live[live_name][1])[-1]
                ax.plot(
                    p["compute"],
                    read(p),
                    "*",
                    color=INK,
                    markersize=17,
                    markeredgecolor="white",
                    zorder=5,
                )
            ax.axhline(
                FLOORS["total"]["all" if name == "all words" else "scored"],
                color=GREEN,
                linestyle=(0, (4, 3)),
                linewidth=2,
            )
            ax.set_xscale("log")
            ax.set_yscale("log")
            ax.yaxis.set_major_locator(LogLocator(subs=(1, 1.2, 1.5, 2, 3, 5)))
            ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
            ax.yaxis.set_minor_formatter(NullFormatter())
            ax.set_title(name)
            ax.set_ylim(top=1.25 * ax.get_ylim()[1])
            ax.set_xlabel("compute, FLOPs")
            ax.text(
                0.97,
                0.95,
                f"{law.E:.2f} + A / C^{law.alpha:.2f}",
                color=VERMILION,
                transform=ax.transAxes,
                ha="right",
                va="top",
                fontsize=17,
            )
        axes[0].set_ylabel("nats per word")
        axes[0].text(
            0.97,
            0.85,
            "★ trained just now",
            transform=axes[0].transAxes,
            ha="right",
            va="top",
            fontsize=16,
        )
        best = FLOORS["total"]["scored"]
        axes[1].text(c[0], best * 1.06, "best possible", color=GREEN, fontsize=16)


draw_scaling()

# %% [markdown] slideshow={"slide_type": "notes"}
# Blue lines: sizes, pale to dark, small to large. Each falls, flattens, and is overtaken by the
# next. The lower edge is what the talk plots. The dashed line is exact: we know the rules of this
# world, so we know what cannot be known.


# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
def pace(c, y):
    """Decades spanned; percent that the loss falls in the first decade, and in the last."""
    edge = np.interp(np.log10([c[0], 10 * c[0], c[-1] / 10, c[-1]]), np.log10(c), np.log(y))
    return {
        "decades": np.log10(c[-1] / c[0]),
        "first decade, %": 100 * (1 - np.exp(edge[1] - edge[0])),
        "last decade, %": 100 * (1 - np.exp(edge[3] - edge[2])),
    }


paces = [pace(*FRONTS["tested words", s]) for s in SEEDS]
judge(
    "more compute reliably lowers the loss, with no sign of an end",
    source="Wei 09:01",
    measure="fall of the best loss of tested words per decade of compute",
    expected="2.5 decades or more; the last decade brings at least half of what the first did",
    measured={key: [p[key] for p in paces] for key in paces[0]},
    seeds=SEEDS,
    holds=lambda m: m["decades"] >= 2.5 and m["last decade, %"] >= m["first decade, %"] / 2,
    partly=lambda m: m["decades"] >= 2.5 and m["last decade, %"] >= 1,
)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
straight = {
    "all words": [straightness(*FRONTS["all words", s]) for s in SEEDS],
    "tested words": [straightness(*FRONTS["tested words", s]) for s in SEEDS],
    "all words, with a floor": [
        straightness(*FRONTS["all words", s], fit_power_law(*FRONTS["all words", s])) for s in SEEDS
    ],
}
judge(
    "on log-log paper, loss against compute is a straight line",
    source="Wei 09:01, after Kaplan et al. 2020",
    measure="R² of the line through the best runs",
    expected="above 0.98 for all words",
    measured=straight,
    seeds=SEEDS,
    holds=lambda m: m["all words"] > 0.98,
    partly=lambda m: max(m.values()) > 0.98,
    note="Most words of this world cannot be foreseen. Close to such a floor no line stays straight.",
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Does the curve foresee what it has not seen?
#
# Hold back the end of the curve. Fit the rest. Predict the last point, with an interval that should
# hold nine new points of ten. Move the slider: how far ahead can one look?


# %% slideshow={"slide_type": "-"} tags=["hide-input"]
@cache
def look_ahead(seed, decades):
    """Known points, the interval at the last one, and how much of the coming fall was missed."""
    c, y = FRONTS["tested words", seed]
    known = c <= c[-1] / 10**decades
    span = forecast(c[known], y[known], c[-1], resamples=40, seed=seed)
    fall = y[known][-1] - y[-1]
    return known, span, (y[-1] - span.middle) / fall


def draw_ahead(decades_ahead):
    c, y = FRONTS["tested words", SEEDS[0]]
    known, span, missed = look_ahead(SEEDS[0], decades_ahead)
    law = fit_power_law(c[known], y[known])
    wide = np.geomspace(c[0], c[-1], 80)
    with figure(
        alt="A law fitted to the cheap runs is continued to the dearest, with its interval."
    ) as ax:
        ax.plot(c[known], y[known], "o", color=BLUE, label="known")
        ax.plot(
            c[~known],
            y[~known],
            "o",
            color="white",
            markeredgecolor=MUTED,
            markeredgewidth=2,
            label="held back",
        )
        ax.plot(wide, law.loss(wide), color=BLUE, linewidth=2.4)
        ax.errorbar(
            c[-1] * 1.12,
            span.middle,
            [[span.middle - span.low], [span.high - span.middle]],
            color=VERMILION,
            capsize=9,
            linewidth=4,
            label="predicted, 90 %",
        )
        ax.set_xscale("log")
        ax.set_xlabel("compute, FLOPs")
        ax.set_ylabel("nats per tested word")
        ax.legend(loc="upper right")
        inside = "inside" if span.covers(y[-1]) else "outside"
        ax.set_title(f"{10**decades_ahead:.3g} times as far: {inside} the interval")


interact(draw_ahead, decades_ahead=(0.25, 1.5, 0.25, 1.0))

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
ahead = [look_ahead(s, 1.0) for s in SEEDS]
inside = [
    int(span.covers(FRONTS["tested words", s][1][-1]))
    for s, (_, span, _) in zip(SEEDS, ahead, strict=True)
]
judge(
    "the curve of cheap runs predicts a run ten times as dear",
    source="Wei 09:01",
    measure="share of the coming fall that the prediction missed, %; whether its interval holds",
    expected="missed by less than 25 %, and inside",
    measured={"missed, %": [100 * m for *_, m in ahead], "inside": inside},
    seeds=SEEDS,
    holds=lambda m: abs(m["missed, %"]) < 25 and m["inside"],
    partly=lambda m: abs(m["missed, %"]) < 50 or m["inside"],
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## One budget, many sizes
#
# Which size is best for a given compute? Too small lacks room, too large lacks text: a valley, whose
# bottom a parabola finds (IsoFLOP curves, Hoffmann et al. 2022).
#
# **What would prove it wrong.** A budget at which the smallest or the largest size tried is best.

# %% slideshow={"slide_type": "-"} tags=["hide-input"]
BUDGETS = (1e11, 3e11, 1e12)  # FLOPs


def at_budget(seed, budget):
    """Parameters and loss of every size that one seed has at a budget, read between its tests."""
    found = []
    for size in scaling.sizes:
        points = points_of(scaling.runs[size, seed]) if (size, seed) in scaling.runs else []
        points = [p for p in points if p["step"] >= scaling.settings["steps"] / 20]
        if points:
            c, loss = np.array([(p["compute"], total(p)) for p in points]).T
            found.append((scaling.parameters[size], curves.read_at(c, loss, budget)))
    return np.array([row for row in found if np.isfinite(row[1])]).T


VALLEYS = {(s, budget): at_budget(s, budget) for s in SEEDS for budget in BUDGETS}


def bottom(n, loss):
    """The parabola's bottom, or None where it does not lie between the sizes tried."""
    if np.polyfit(np.log(n), loss, 2)[0] <= 0:
        return None
    found = isoflop_minimum(n, loss)
    return found if found.bracketed else None


with figure(
    size=(12.2, 4.4), alt="Loss by size at three budgets, a line per seed; bottoms of parabolas."
) as ax:
    for (seed, budget), (n, loss) in VALLEYS.items():
        colour = shades(len(BUDGETS))[BUDGETS.index(budget)]
        name = f"{budget:.0e}".replace("+", "") if seed == SEEDS[0] else None
        ax.plot(n, loss, "o-", color=colour, linewidth=2, label=name)
        found = bottom(n, loss)
        if found:
            ax.plot(found.size, found.loss, "*", color=VERMILION, markersize=19, zorder=4)
    ax.plot([], [], "*", color=VERMILION, markersize=19, label="parabola's bottom")
    name_axes(ax, "parameters", "nats per word", "", "log", "linear")
    ax.legend(title="FLOPs", loc="upper left", bbox_to_anchor=(1.0, 1.02), title_fontsize=16)

# %% [markdown] slideshow={"slide_type": "notes"}
# A star is what the usual method reports. Ask where somebody measured to the left of it: a parabola
# can have its bottom inside although no smaller size was worse. Do not read from this figure that
# the best size grows: the small sizes are missing where the budget is large.

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
valleys = {  # asked of each seed at each budget
    "too large": lambda n, loss: loss.argmin() < len(n) - 1,
    "too small": lambda n, loss: loss.argmin() > 0,
    "parabolas": lambda n, loss: bottom(n, loss) is not None,
}
judge(
    "every budget has a best size: smaller and larger ones lose",
    source="Wei 09:01, after Hoffmann et al. 2022",
    measure=f"budgets, of {len(BUDGETS)}, at which the largest size tried is beaten, and the "
    "smallest; parabolas with their bottom between the sizes",
    expected=f"{len(BUDGETS)} and {len(BUDGETS)}; partly: one of the two",
    measured={
        name: [sum(bool(asked(*VALLEYS[s, b])) for b in BUDGETS) for s in SEEDS]
        for name, asked in valleys.items()
    },
    seeds=SEEDS,
    holds=lambda m: m["too large"] == m["too small"] == len(BUDGETS),
    partly=lambda m: max(m["too large"], m["too small"]) == len(BUDGETS),
    note="Every size read the same text, so small ones have no run at a large budget: the left arms "
    "are short.",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Why do larger models know more?
#
# The talk gives two reasons, and calls them hand-waving (11:18).
#
# 1. A small model must choose which facts to keep. A large one can afford the **tail**.
# 2. A small model uses first-order **heuristics**. A large one can afford to compute.
#
# We can look at both. **What would prove them wrong.**
#
# 1. Rare facts known better than frequent ones, or a tail that gains no more than the head.
# 2. Verbs that agree over three nouns as soon as they agree over none; a small model that ends up
#    right over three, or a large one that does not.

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
BANDS = [
    name for name in scaling.data["runs"][0]["points"][0]["probes"] if name.startswith("facts")
]
recall = {name: 100 * scaling.final(probe(name)) for name in BANDS}
lines(
    [scaling.parameters[size] for size in scaling.whole],
    {name.replace("facts", "rank").replace("-", "–"): values for name, values in recall.items()},
    xscale="log",
    xlabel="parameters",
    ylabel="facts known, %",
    ylim=(-3, 106),
    expected={"by chance": 100 / world.nouns.size},
    alt="Facts known by size, one line for each band of how often they are asked.",
)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
stacked = np.stack([recall[name] for name in BANDS])  # (bands, seeds, sizes)
in_order = (np.diff(stacked, axis=0) <= 5).all(axis=(0, 2))
gains = stacked[..., -1] - stacked[..., 0]  # (bands, seeds), smallest to largest size
judge(
    "small models keep the facts that are asked most; size buys the tail",
    source="Wei 11:18",
    measure="points gained from the smallest to the largest size: ten most asked, and the best of "
    "the other bands; whether every size knows frequent bands as well as rarer ones (5 points allowed for noise)",
    expected="in order at every size; rarer facts gain at least 20 points more than the head",
    measured={
        "head": gains[0],
        "tail": gains[1:].max(axis=0),
        "in order": in_order.astype(int),
    },
    seeds=SEEDS,
    holds=lambda m: m["in order"] and m["tail"] - m["head"] >= 20,
    partly=lambda m: m["tail"] - m["head"] >= 20,
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Heuristics first
#
# *the keys near the box near the window …* — **are**. The first-order rule, agree with the noun
# next to you, is right when there is none in between and a coin toss otherwise. When does a model
# give it up?

# %% slideshow={"slide_type": "-"} tags=["hide-input"]
AGREE = [f"grammar {depth}" for depth in range(4)]
some = [scaling.whole[0], scaling.whole[len(scaling.whole) // 2], scaling.whole[-1]]
with figure(1, 3, size=(12.2, 4.6), alt="Agreement by nouns in between, over training.") as axes:
    for ax, size in zip(axes, some, strict=True):
        seen = [p["tokens"] / 1e3 for p in points_of(scaling.runs[size, SEEDS[0]])]
        for depth, colour in zip(range(4), shades(4), strict=True):
            right = 100 * scaling.along(size, probe(AGREE[depth]))
            ax.fill_between(seen, right.min(0), right.max(0), color=colour, alpha=0.2, linewidth=0)
            ax.plot(seen, right.mean(0), color=colour, label=f"{depth} between")
        ax.axhline(50, color=MUTED, linestyle=(0, (4, 3)), linewidth=2)
        title = f"{scaling.parameters[size]:,} parameters"
        name_axes(ax, "thousand words read", "", title, "log", "linear")
        ax.set_ylim(40, 102)
    axes[0].set_ylabel("verb agrees, %")
    axes[-1].legend(loc="upper left", bbox_to_anchor=(1.0, 1.02))


# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
def first_right(size, s):
    """The first test of a run at which 90 % agree with no noun in between; None if none is."""
    points = scaling.runs[size, s]["points"]
    return next((p for p in points if probe(AGREE[0])(p) >= 0.9), None)


ENDS = {f"{scaling.parameters[size]:,} parameters": size for size in (some[0], some[-1])}
least, most = ENDS
begun = {name: [first_right(size, s) for s in SEEDS] for name, size in ENDS.items()}
judge(
    "models use the first-order heuristic first",
    source="Wei 11:18",
    measure="verbs right over three nouns, %, at the first test where those without a noun in "
    "between are 90 % right (100 if that never comes)",
    expected="below 75 in the smallest and in the largest model (a coin toss is 50)",
    measured={
        name: [100 * probe(AGREE[3])(p) if p else 100.0 for p in found]
        for name, found in begun.items()
    },
    seeds=SEEDS,
    holds=lambda m: all(v < 75 for v in m.values()),
    partly=lambda m: any(v < 75 for v in m.values()),
)

# %% slideshow={"slide_type": "fragment"} tags=["hide-input"]
judge(
    "large models afford the rule that small ones replace by a heuristic",
    source="Wei 11:18",
    measure="verbs right over three nouns, %, at the last test, all sizes after as many words",
    expected="below 75 in the smallest model, 90 or more in the largest",
    measured={
        name: 100 * scaling.final(probe(AGREE[3]), [size])[:, 0] for name, size in ENDS.items()
    },
    seeds=SEEDS,
    holds=lambda m: m[least] < 75 and m[most] >= 90,
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The total is smooth. Its parts are not
#
# **Claim** (13:47). The total falls smoothly while single tasks saturate, or jump.
#
# **Test.** The same checkpoints, task by task, next to the total. Along the best runs, fit a smooth
# law to the total and to every task.
#
# **What would prove it wrong.** No task that is five times as far from its smooth law as the total,
# each measured by its own fall; or, where the compute ends, no task that is done, or none that has
# not begun.


# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
def draw_tasks():
    panels = [("all words", total, FLOORS["total"]["all"])]
    panels += [(task, task_loss(task), FLOORS[task]["scored"]) for task in TASKS]
    alt = "Loss against compute for the total and each of seven tasks, one line per size."
    with figure(2, 4, size=(12.2, 5.6), alt=alt) as axes:
        for ax, (name, read, floor) in zip(axes.ravel(), panels):
            for size, colour in zip(scaling.whole, shades(len(scaling.whole))):
                c = [p["compute"] for p in points_of(scaling.runs[size, SEEDS[0]], False)]
                mean = scaling.along(size, read, False).mean(0)
                ax.plot(c, mean, color=colour, linewidth=2.2)
            ax.axhline(floor, color=GREEN, linestyle=(0, (4, 3)), linewidth=2)
            ax.set_xscale("log")
            ax.tick_params(labelsize=12)
            ax.set_title(name, fontsize=16, pad=6, color=VERMILION if read is total else INK)
            ax.set_xticks([1e10, 1e12, 1e14] if max(c) > 2e13 else [1e10, 1e11, 1e12])
        for ax in axes[1]:
            ax.set_xlabel("FLOPs", fontsize=14, labelpad=2)
        for ax in axes[:, 0]:
            ax.set_ylabel("nats", fontsize=14)


draw_tasks()

# %% [markdown] slideshow={"slide_type": "notes"}
# Pale lines are small models, dark ones large, the dashed line is the best possible. Which panels
# are finished, which are under way, which have not begun? The total shows none of it.


# %% slideshow={"slide_type": "skip"}
def along_front(seed, read):
    """A number along the best runs of one seed, in order of compute."""
    found = {}
    for (_, s), run in scaling.runs.items():
        if s == seed:
            found |= {(p["compute"], p["loss"]): read(p) for p in points_of(run)}
    return np.array([found[key] for key in zip(*FRONTS["all words", seed])])


def roughness(seed, read):
    """Root mean square distance from the best smooth law along the best runs, % of the range."""
    c, y = FRONTS["all words", seed][0], along_front(seed, read)
    away = np.sqrt(np.mean((fit_power_law(c, y, tries=2).loss(c) - y) ** 2))
    return float(100 * away / np.ptp(y))


def stage(seed, task):
    """How far a task is at the end of the best runs: 0 at the yardstick, 1 at the best possible."""
    return (GUESS[task] - along_front(seed, answer_loss(task))[-1]) / (GUESS[task] - LEAST[task])


# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
rough = {
    "total": [roughness(s, total) for s in SEEDS],
    "roughest task": [  # what has not begun has no range to be measured by
        max((roughness(s, task_loss(t)) for t in TASKS if stage(s, t) >= 0.1), default=0.0)
        for s in SEEDS
    ],
    "tasks done": [sum(stage(s, task) > 0.9 for task in TASKS) for s in SEEDS],
    "not begun": [sum(stage(s, task) < 0.1 for task in TASKS) for s in SEEDS],
}
judge(
    "the total falls smoothly while single tasks saturate or jump",
    source="Wei 13:47",
    measure="distance from a smooth law along the best runs, % of the curve's range (tasks that "
    "have begun); tasks done (90 % of the way) and not begun (10 %) where the compute ends",
    expected="a task at least five times as rough as the total; one done, one not begun",
    measured=rough,
    seeds=SEEDS,
    holds=lambda m: (
        m["roughest task"] >= 5 * m["total"] and m["tasks done"] >= 1 and m["not begun"] >= 1
    ),
    partly=lambda m: m["roughest task"] >= 5 * m["total"] or m["tasks done"] * m["not begun"] > 0,
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Five kinds of curve
#
# Of the 202 tasks of BIG-Bench (16:58), 29 % got better smoothly, 22 % stayed flat, 13 % went up
# and down, about 2 % got worse, and 33 % **emerged**: nothing in small models, much in large ones.
#
# Our tests, one row each, one column per size. `analysis.curves.classify_curve` names the curve.

# %% slideshow={"slide_type": "skip"}
CHANCE = {"grammar": 1 / 2, "sentiment": 1 / 2, "spatial": 1 / len(world.rooms), "arithmetic": 0.0}
TESTS = list(scaling.data["runs"][0]["points"][-1]["probes"])


def test_score(name):
    """Accuracy; for sums, whole answers."""
    return probe(name, "exact_match" if name == "arithmetic" else "accuracy")


def kind_of(name, scores):
    """The class of a curve over sizes."""
    sizes = [scaling.parameters[size] for size in scaling.whole]
    by_chance = CHANCE.get(name.split()[0], 1 / world.nouns.size)
    error = probes.standard_error(0.5, scaling.settings["prompts"])
    return curves.classify_curve(sizes, scores, by_chance, noise=error)


KINDS = {name: [kind_of(name, row) for row in scaling.final(test_score(name))] for name in TESTS}

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
table = np.array([100 * scaling.final(test_score(name)).mean(0) for name in TESTS])
heatmap(
    table,
    xlabels=[f"{scaling.parameters[size] / 1000:,.0f}k" for size in scaling.whole],
    ylabels=[f"{n} · {kind_of(n, scaling.final(test_score(n)).mean(0))}" for n in TESTS],
    xlabel="parameters",
    unit="right, %",
    numbers="{:.0f}",
    low=0,
    high=100,
    size=(12.2, 5.8),
    alt="Right answers by test and size; each row is named after the kind of its curve.",
)


# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
def shares(k):
    """Percent of our tests in each class, for one seed."""
    return [100 * np.mean([KINDS[n][k] == kind for n in TESTS]) for kind in curves.CLASSES]


ours = np.array([shares(k) for k in range(len(SEEDS))])
bars(
    list(curves.CLASSES),
    {
        "BIG-Bench (16:58)": np.array([29, 22, 2, 13, 33]),
        f"our {len(TESTS)} tests": ours,
    },
    ylabel="share of the tests, %",
    numbers="{:.0f}",
    alt="Shares of five kinds of curve, in BIG-Bench and in our tests.",
)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
judge(
    "tasks come in kinds: smooth, flat, emergent; few get worse with size",
    source="Wei 16:58",
    measure=f"share of our {len(TESTS)} tests, %",
    expected="smooth, flat and emergent all occur; inverse below 10",
    measured={kind: ours[:, k] for k, kind in enumerate(curves.CLASSES)},
    seeds=SEEDS,
    holds=lambda m: min(m["smooth"], m["flat"], m["emergent"]) > 0 and m["inverse"] < 10,
    partly=lambda m: (m["smooth"] > 0) + (m["flat"] > 0) + (m["emergent"] > 0) >= 2,
    note="The shares themselves say more about who chose the tasks than about models.",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Absent, then present
#
# **Claim** (18:42). An ability **emerges**: absent in small models, present in large ones, and no
# line through the small ones foresees it. Nor does the loss give a warning (28:36).
#
# **Test.** *Ada kitchen Ben store Ada garden … where Ada* — which room? Eight rooms; guessing one of
# them is easy, and is chance.
#
# **What would prove it wrong.** A line through the smaller sizes that comes within 20 points of the
# largest; a loss that has done a tenth of its fall before the first answers are right.
#
# Our line has very few sizes to go through. That intermediate sizes are missing is the talk's own
# complaint (28:56).


# %% slideshow={"slide_type": "skip"}
LARGEST = emergence.whole[-1]
SCORES = {
    "whole answer right": "exact_match",
    "digits right": "accuracy",
    "Brier score": "brier",
    "edit distance": "edit_distance",
    "loss, nats": "cross_entropy",
}
SEED_COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE)
STEPS = [p["step"] for p in points_of(emergence.runs[LARGEST, emergence.seeds[0]], False)]


def course(task, metric, size=LARGEST):
    """(seeds, points): a score along the runs of a size; of a loss, what is below the yardstick."""
    score = emergence.along(size, probe(task, metric), steady=False)
    return np.minimum(score, GUESS[task]) if metric == "cross_entropy" else score


def sharpest(score):
    """Largest share of a score's whole change that falls within one doubling of the training."""
    x, y = np.log2(STEPS), curves.monotone(score, rising=score[-1] > score[0])
    at = np.linspace(x[0], x[-1] - 1, 200)
    jump = np.abs(np.interp(at + 1, x, y) - np.interp(at, x, y)).max()
    return float(jump / max(abs(y[-1] - y[0]), 1e-9))


# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
with figure(
    1, 2, alt="Answers on places and their loss over training, a colour for each of three sizes."
) as axes:
    for ax, metric, label in zip(
        axes, ("accuracy", "cross_entropy"), ("rooms right, %", "loss, nats")
    ):
        scale = 100 if metric == "accuracy" else 1
        for size, colour in zip(emergence.whole, (SKY, ORANGE, INK)):
            rows = scale * emergence.along(size, probe("spatial", metric), False)
            for k, row in enumerate(rows):
                name = f"{emergence.parameters[size]:,}" if k == 0 else None
                ax.plot(STEPS, row, color=colour, linewidth=2.4, label=name)
        name_axes(ax, "step", label, "", "log", "linear")
        level = 100 / len(world.rooms) if metric == "accuracy" else GUESS["spatial"]
        ax.axhline(level, color=MUTED, linestyle=(0, (4, 3)), linewidth=2)
    axes[0].set_ylim(-3, 103)
    axes[1].set_ylim(-0.05, 3)
    axes[0].legend(title="parameters", loc="upper left", title_fontsize=16)


# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
def foreseen_by_line(row):
    """Score of the smallest size, of the largest on a line through the others, and of the largest."""
    x = np.log10([emergence.parameters[size] for size in emergence.whole])
    slope, start = np.polyfit(x[:-1], row[:-1], 1)
    return row[0], start + slope * x[-1], row[-1]


places = [foreseen_by_line(row) for row in 100 * emergence.final(probe("spatial"))]
judge(
    "an ability is absent in small models, present in large ones, and the small ones do not show it",
    source="Wei 18:42",
    measure="rooms right, % (chance 12.5): smallest size, largest size, and what a line through the "
    "smaller ones says of the largest",
    expected="small below 20, large above 40, the line at least 20 points short",
    measured=dict(zip(("small", "line", "large"), np.array(places).T)),
    seeds=emergence.seeds,
    holds=lambda m: m["small"] < 20 and m["large"] > 40 and m["large"] - m["line"] >= 20,
    partly=lambda m: m["small"] < 20 and m["large"] > 40,
    note=f"The line goes through {len(emergence.whole) - 1} sizes. More sizes in between might show "
    "what so few cannot (28:56).",
)


# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
def warning(right, loss, by_chance):
    """Part of the loss's fall below the yardstick that was over when answers were still by chance."""
    loss = curves.monotone(loss, rising=False)
    error = probes.standard_error(by_chance, emergence.settings["prompts"])
    risen = right > by_chance + 3 * error
    last = int(np.argmax(risen)) - 1 if risen.any() else len(right) - 1
    return 100 * (loss[0] - loss[last]) / max(loss[0] - loss[-1], 1e-9)


chance = 1 / len(world.rooms)
rooms, room_loss = course("spatial", "accuracy"), course("spatial", "cross_entropy")
judge(
    "nothing in the loss warns of an ability that is about to emerge",
    source="Wei 28:36",
    measure="part of the loss's fall below the yardstick, %, that was over at the last test with "
    "rooms by chance (three standard errors); best share of right rooms, %",
    expected="below 10, with rooms above 40",
    measured={
        "over": [warning(a, b, chance) for a, b in zip(rooms, room_loss)],
        "best": 100 * rooms.max(axis=1),
    },
    seeds=emergence.seeds,
    holds=lambda m: m["best"] > 40 and m["over"] < 10,
    partly=lambda m: m["best"] > 40 and m["over"] < 30,
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Or is it a mirage?
#
# Schaeffer and others (2023): a metric makes the jump. Three digits must all be right; $p^3$ rises
# late even if $p$ rises slowly. The talk's answer (29:44): another metric gives another picture, but
# users do feel the jump.
#
# **Test.** Sums, in five scores of *the same answers*, on the same checkpoints. Translations have
# two words: they can be multiplied as well.
#
# **What would prove the mirage wrong.** Whole answers that are not the product of their parts, or
# that rise no faster than their loss falls; a jump that is left when the metric is the loss.

# %% slideshow={"slide_type": "skip"}
PARTS = {"translations": "translation", "sums": "arithmetic"}


def of_all_sizes(task, metric):
    """(seeds, tests of all sizes): a score of the emergence study."""
    rows = [emergence.along(size, probe(task, metric), False) for size in emergence.whole]
    return np.concatenate(rows, axis=1)


whole, product = (
    {task: of_all_sizes(task, metric) for task in PARTS.values()}
    for metric in ("exact_match", "if_independent")
)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
with figure(
    2, 3, size=(12.2, 5.7), alt="Five scores of the same sums over training; products."
) as axes:
    for ax, (named, metric) in zip(axes.ravel(), SCORES.items()):
        for k, row in enumerate(emergence.along(LARGEST, probe("arithmetic", metric), False)):
            name = f"seed {emergence.seeds[k]}"
            ax.plot(STEPS, row, color=SEED_COLOURS[k % 5], linewidth=2.4, label=name)
        name_axes(ax, "", "", named, "log", "linear")
        ax.tick_params(labelsize=13)
    for mark, task in zip("so", PARTS.values()):
        for a, b, colour in zip(product[task], whole[task], SEED_COLOURS):
            axes[1, 2].plot(a, b, mark, color=colour, markersize=9, markeredgecolor="white")
    axes[1, 2].set_xlabel("● sums  ■ translations", fontsize=15)
    top = 1.05
    axes[1, 2].plot([0, top], [0, top], color=MUTED, linestyle=(0, (4, 3)), linewidth=2)
    axes[1, 2].set_title("whole ~ parts multiplied")
    axes[1, 2].tick_params(labelsize=13)
    axes[1, 0].set_xlabel("step", fontsize=15)
    axes[1, 1].set_xlabel("step", fontsize=15)
    axes[0, 0].legend(fontsize=13, loc="upper left")

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
rises = course("arithmetic", "exact_match").max(axis=1)
apart = {}
for name, task in PARTS.items():
    apart[f"{name}, gap"] = np.abs(whole[task] - product[task]).max(axis=1)
    half_way = (product[task] > 0.1) & (product[task] < 0.9)
    apart[f"{name}, on the way"] = half_way.sum(axis=1)


def independent(m):
    """Of the tasks that a seed caught on the way: whether answers are the product of parts."""
    return [m[f"{name}, gap"] < 0.05 for name in PARTS if m[f"{name}, on the way"] > 0]


judge(
    "a whole answer is right as often as the product of its parts: errors are independent",
    source="Wei 29:44, after Schaeffer et al. 2023",
    measure="largest gap between whole answers and the product of their parts' accuracies, over all "
    "tests of all sizes; tests with that product between 0.1 and 0.9",
    expected="both tasks seen on the way, both gaps below 0.05; partly: one task",
    measured=apart,
    seeds=emergence.seeds,
    holds=lambda m: len(independent(m)) == len(PARTS) and all(independent(m)),
    partly=lambda m: any(independent(m)) and all(independent(m)),
    note=f"Same size, same data, same rate: {int((rises > 0.5).sum())} of {len(rises)} seeds learnt "
    "to add. Whether an ability emerges can be luck.",
)

# %% slideshow={"slide_type": "fragment"} tags=["hide-input"]
judge(
    "whole answers rise more suddenly than their loss falls",
    source="Wei 29:44, after Schaeffer et al. 2023",
    measure="decades of training from 10 to 90 % of the way, whole sums and their loss; best share "
    "of whole answers",
    expected="narrower for answers, with answers above 0.2",
    measured={
        "answers": [curves.width_10_90(STEPS, y) for y in course("arithmetic", "exact_match")],
        "loss": [curves.width_10_90(STEPS, y) for y in course("arithmetic", "cross_entropy")],
        "best": rises,
    },
    seeds=emergence.seeds,
    holds=lambda m: m["best"] > 0.2 and m["answers"] < m["loss"],
    note="Where sums are not learnt, both widths measure noise.",
)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
judge(
    "the jump is made by the metric: the loss of the same answers changes smoothly",
    source="Wei 29:44, after Schaeffer et al. 2023",
    measure="rooms: largest share of the whole change that falls within one doubling of training, "
    "in right answers and in the loss below the yardstick",
    expected="answers at least 1.3 times as sudden as the loss, and the loss below 0.5",
    measured={
        "answers": [sharpest(row) for row in rooms],
        "loss": [sharpest(row) for row in room_loss],
    },
    seeds=emergence.seeds,
    holds=lambda m: m["answers"] >= 1.3 * m["loss"] and m["loss"] < 0.5,
    partly=lambda m: m["answers"] >= 1.3 * m["loss"] or m["loss"] < 0.5,
    note="A room is one word: no product of parts can make the jump here.",
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Make your own jump
#
# The accuracy per digit is measured. The answer's length is yours: with independent errors, $n$
# digits are all right with probability $p^n$. The longer the answer, the later and steeper the rise.


# %% slideshow={"slide_type": "-"} tags=["hide-input"]
def draw_mirage(digits_in_answer):
    smooth = metrics.mirage_accuracy(np.geomspace(1e7, 1e12, 120))
    with figure(1, 2, alt="Accuracy per token, and of whole answers of the chosen length.") as axes:
        right = course("arithmetic", "accuracy")[rises.argmax()]
        lines(
            STEPS,
            {"a digit": 100 * right, f"{digits_in_answer} digits": 100 * right**digits_in_answer},
            xscale="log",
            ylim=(-3, 103),
            xlabel="step",
            ylabel="right, %",
            title="measured digits, best seed",
            ax=axes[0],
        )
        lines(
            np.geomspace(1e7, 1e12, 120),
            {"a token": 100 * smooth, f"{digits_in_answer} tokens": 100 * smooth**digits_in_answer},
            xscale="log",
            ylim=(-3, 103),
            xlabel="parameters",
            markers=False,
            title="a power law, as in the paper",
            ax=axes[1],
        )


interact(draw_mirage, digits_in_answer=(2, 20, 1, 5))

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Right, wrong, right again
#
# *Repeat after me: all that glisters is not glib.* The smallest model repeats. The middle one says
# "gold". The largest repeats again (19:39). The talk's explanation is three skills in one task:
#
# | | repeat | fix the quote | follow the instruction | says |
# |---|---|---|---|---|
# | small | yes | no | no | glib |
# | middle | yes | yes | no | gold |
# | large | yes | yes | yes | glib |
#
# $$P(\text{glib}) = r\,\bigl(1 - f\,(1 - i)\bigr)$$

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Move the skills
#
# Each skill appears at some size. Put them in the talk's order: a U. Let the instruction come before
# the proverbs: no U, though the skills are the same.


# %% slideshow={"slide_type": "-"} tags=["hide-input"]
def draw_u(repeat_at, fix_at, follow_at):
    size = np.linspace(0, 10, 200)
    r, f, i = (1 / (1 + np.exp(-3 * (size - at))) for at in (repeat_at, fix_at, follow_at))
    joint = [curves.ushape(*skills) for skills in zip(r, f, i)]
    with figure(
        size=(12.2, 4.4), alt="Three skills that rise with size, and what comes of them."
    ) as ax:
        lines(
            size,
            {"repeat": r, "fix": f, "follow": i},
            markers=False,
            ax=ax,
            xlabel="size, arbitrary units",
            ylabel="probability",
            ylim=(-0.04, 1.2),
        )
        ax.plot(size, joint, color=INK, linewidth=10, alpha=0.8, zorder=1.5)
        ax.text(0.0, 1.1, "black: the misquote is repeated", fontsize=16, fontweight="bold")


interact(
    draw_u,
    repeat_at=(0.0, 10.0, 0.5, 1.0),
    fix_at=(0.0, 10.0, 0.5, 4.0),
    follow_at=(0.0, 10.0, 0.5, 7.5),
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## A world in which it can happen
#
# 300 invented proverbs. Common documents copy random words. Misquoted proverbs are copied **and
# put right**. A rare header says: *literally*. The test: literal header, a misquote never seen.
#
# **What would prove it wrong.** No dip of 20 points between a small and a large model; skills that
# come in another order; a task that the three skills do not compose.

# %% slideshow={"slide_type": "-"} tags=["hide-input"]
u_parameters = [quotes.parameters[size] for size in quotes.whole]


def skill(name):
    """A sub-skill as a function of a point; 0 where there was nothing to measure."""
    return lambda point: point["skills"][name] or 0.0


with figure(
    1, 2, alt="Misquotes repeated by size, and four skills by size, mean and seeds."
) as axes:
    lines(
        u_parameters,
        {"": 100 * quotes.final(skill("literal_accuracy"))},
        xscale="log",
        xlabel="parameters",
        ylabel="misquote repeated, %",
        ylim=(-3, 103),
        ax=axes[0],
    )
    for row in 100 * quotes.final(skill("literal_accuracy")):
        axes[0].plot(u_parameters, row, color=BLUE, linewidth=1, alpha=0.6)
    lines(
        u_parameters,
        {
            "repeat": quotes.final(skill("repeat")),
            "hold back": quotes.final(skill("suppress")),
            "fix": quotes.final(skill("fix")),
            "follow": quotes.final(skill("instruction")),
        },
        xscale="log",
        xlabel="parameters",
        ylim=(-0.03, 1.03),
        ax=axes[1],
    )


# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
def arms(score):
    """The deepest dip of a series: the best before it, its bottom, the best after it."""
    score = np.asarray(score)
    sides = [(score[: k + 1].max(), low, score[k:].max()) for k, low in enumerate(score)]
    return max(sides, key=lambda side: min(side[0], side[2]) - side[1])


def depth(sides):
    """Points that both arms stand above the bottom."""
    return min(sides[0], sides[2]) - sides[1]


joint = np.array([arms(row) for row in 100 * quotes.final(skill("literal_accuracy"))])
judge(
    "a task can go right, wrong and right again with size",
    source="Wei 19:39",
    measure="misquotes repeated literally, %: the best smaller model, the worst, the best larger",
    expected="at least 20 points down, and 20 up again",
    measured=dict(zip(("smaller", "worst", "larger"), joint.T)),
    seeds=quotes.seeds,
    holds=lambda m: min(m["smaller"], m["larger"]) - m["worst"] >= 20,
)


# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
def lacking(name):
    """The number of sizes up to the largest that has less than half of a skill; per seed."""
    lack = quotes.final(skill(name)) < 0.5
    return [int(np.flatnonzero(row).max(initial=-1)) + 1 for row in lack]


judge(
    "the skills arrive in order: repeat, fix, follow",
    source="Wei 19:39",
    measure=f"sizes, of {len(quotes.whole)}, that lack the skill (below one half)",
    expected="repeat before fix before follow",
    measured={"repeat": lacking("repeat"), "fix": lacking("fix"), "follow": lacking("instruction")},
    seeds=quotes.seeds,
    holds=lambda m: m["repeat"] < m["fix"] < m["follow"],
    partly=lambda m: m["repeat"] <= m["fix"] <= m["follow"],
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Do the three skills make the task?
#
# The talk's formula, on every checkpoint of every size. And a variant: before a model knows the
# right word, it already **holds back** the wrong one. With "hold back" in the place of "fix":

# %% slideshow={"slide_type": "-"} tags=["hide-input"]
with figure(
    1, 2, alt="Composed against measured probability: the talk's formula, and the variant."
) as axes:
    for ax, name, title in zip(
        axes,
        ("composed", "composed_suppress"),
        ("repeat, fix, follow", "repeat, hold back, follow"),
    ):
        for size, colour in zip(quotes.whole, shades(len(quotes.whole))):
            ax.plot(
                quotes.along(size, skill(name), False).ravel(),
                quotes.along(size, skill("literal"), False).ravel(),
                "o",
                color=colour,
                markersize=7,
                markeredgecolor="white",
            )
        ax.plot([0, 1], [0, 1], color=MUTED, linestyle=(0, (4, 3)), linewidth=2)
        ax.set_title(title)
        ax.set_xlabel("composed of the three skills")
    axes[0].set_ylabel("measured, probability")


# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
def composition_error(k, name):
    """Mean absolute error of a composition over the checkpoints of one seed that begin to fix."""
    composed, literal, fix = (
        np.concatenate([quotes.along(size, skill(key), False)[k] for size in quotes.whole])
        for key in (name, "literal", "fix")
    )
    return float(np.abs(composed - literal)[fix > 0.1].mean())


judge(
    "repeat, fix and follow compose the task",
    source="Wei 19:39",
    measure="mean gap between the composed and the measured probability, over the checkpoints that "
    "fix more than one quote in ten (before that there is nothing to compose)",
    expected="the talk's formula below 0.05; partly: the variant",
    measured={
        name: [composition_error(k, key) for k in range(len(quotes.seeds))]
        for name, key in (
            ("repeat, fix, follow", "composed"),
            ("with hold back", "composed_suppress"),
        )
    },
    seeds=quotes.seeds,
    holds=lambda m: m["repeat, fix, follow"] < 0.05,
    partly=lambda m: m["with hold back"] < 0.05,
    note="Between repeating the wrong word and knowing the right one lies a third state: neither.",
)

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## One model walks through the U
#
# Size need not be the cause: perhaps a model walks the same path while it learns. Then one model,
# trained now, goes right, wrong and right again by itself. Where nobody corrects misquotes it should
# not.
#
# **What would prove it wrong.** No recorded size that falls and rises again by 20 points as it
# trains; or such a dip without corrections.

# %% slideshow={"slide_type": "-"}
U_SIZE, PROVERBS = "2x64", QuoteWorld(proverbs=200)
CORRECTED = {"copy": 0.40, "corrected": 0.12, "quote": 0.30, "plain": 0.17, "literal": 0.01}
NOT_CORRECTED = CORRECTED | {"corrected": 0.0, "quote": 0.42}  # true quotes in their place


def walk(mixture, steps, seed):
    """Train one model on a misquote world; its skills at some steps."""
    tokens = PROVERBS.sample(steps * 64 * 32 + 1, 1000 + seed, mixture).tokens
    asked = PROVERBS.probes(96)
    run = train_and_test(
        config_of(SIZES[U_SIZE], PROVERBS.vocab_size, 32),
        aligned(tokens, 64, 32),
        lambda model: {"skills": probes.misquote_skills(predictor(model), asked)},
        range(60, steps + 1, 60),
        steps=steps,
        batch=64,
        lr=0.016,  # a high rate walks faster
        seed=seed,
    )
    return run["points"]


walked = walk(CORRECTED, 960, LIVE_SEED)
controls = {seed: walk(NOT_CORRECTED, 300, seed) for seed in range(LIVE_SEED, LIVE_SEED + 3)}

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
with figure(
    1, 2, alt="Misquotes repeated over training, with corrections and without; four skills."
) as axes:
    said = {
        name: (
            [p["step"] for p in models[0]],
            [[100 * skill("literal_accuracy")(p) for p in points] for points in models],
        )
        for name, models in (("corrected", [walked]), ("not corrected", [*controls.values()]))
    }
    look = {"xlabel": "step, models trained now", "markers": False}
    lines(None, said, ylabel="misquote repeated, %", ylim=(-3, 103), ax=axes[0], **look)
    skills = {
        name: [skill(key)(p) for p in walked]
        for name, key in (
            ("repeat", "repeat"),
            ("hold back", "suppress"),
            ("fix", "fix"),
            ("follow", "instruction"),
        )
    }
    steps = [p["step"] for p in walked]
    lines(steps, skills, ylim=(-0.03, 1.03), title="corrected", ax=axes[1], **look)


# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
dips = np.array(
    [
        [depth(arms(100 * row)) for row in quotes.along(size, skill("literal_accuracy"), False)]
        for size in quotes.whole
    ]
)
judge(
    "a single model can walk the U while it trains",
    source="Wei 19:39 (test ours)",
    measure=f"recorded sizes, of {len(quotes.whole)}, that fall and rise again by 20 points or more "
    "while they train; the deepest such dip, points",
    expected="at least one size",
    measured={"sizes": (dips >= 20).sum(axis=0), "deepest": dips.max(axis=0)},
    seeds=quotes.seeds,
    holds=lambda m: m["sizes"] >= 1,
)

# %% slideshow={"slide_type": "fragment"} tags=["hide-input"]
repeated = [[100 * skill("literal_accuracy")(p) for p in points] for points in controls.values()]
judge(
    "where nobody corrects misquotes there is no U",
    source="Wei 19:39 (test ours)",
    measure="models trained now on text with true quotes in place of the corrections: deepest dip, "
    "points; misquotes repeated at the end, %; proverbs known by heart at the end, %",
    expected="a dip below 20, with 50 or more repeated and 50 or more known",
    measured={
        "dip": [depth(arms(row)) for row in repeated],
        "repeated": [row[-1] for row in repeated],
        "known": [100 * skill("memory")(points[-1]) for points in controls.values()],
    },
    seeds=list(controls),
    holds=lambda m: m["dip"] < 20 and m["repeated"] >= 50 and m["known"] >= 50,
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Loss, not size, decides
#
# Two models of different size have reached the same loss. Can they do the same things? Du and
# others (2024) say yes; so does talk 7 of this course. If so, a task's loss plotted against the
# **total** is one curve for all sizes.
#
# **What would prove it wrong.** Of seven tasks, two or more in which the smallest and the largest
# model at the same total loss differ, in loss or in right answers, by more than two standard errors.
# After equally many words there should be more: else the test sees too little.


# %% slideshow={"slide_type": "-"} tags=["hide-input"]
def draw_collapse(task):
    with figure(
        1,
        2,
        size=(12.2, 4.4),
        alt="A task's loss over steps, and over the total loss, a line for each run.",
    ) as axes:
        for size, colour in zip(scaling.whole, shades(len(scaling.whole))):
            for s in SEEDS:
                points = points_of(scaling.runs[size, s])
                y = [task_loss(task)(p) for p in points]
                axes[0].plot([p["step"] for p in points], y, color=colour, linewidth=2)
                axes[1].plot([p["loss"] for p in points], y, color=colour, linewidth=2)
        floor = FLOORS["total"]["all"]
        name_axes(axes[0], "step", f"{task}, nats", "", "log", "linear")
        axes[1].set_xlabel("total loss, falling to the right")
        axes[1].set_xlim(min(2.6, axes[1].get_xlim()[1]), floor)
        for ax in axes:
            ax.axhline(FLOORS[task]["scored"], color=GREEN, linestyle=(0, (4, 3)), linewidth=2)


interact(draw_collapse, task=["facts", *(t for t in TASKS if t != "facts")])


# %% slideshow={"slide_type": "skip"}
def matched_level():
    """The lowest total loss that at least half of the sizes reach with every seed."""
    reached = [
        max(min(p["loss"] for p in points_of(scaling.runs[size, s])) for s in SEEDS)
        for size in scaling.whole
    ]
    return sorted(reached)[(len(reached) - 1) // 2], reached


LEVEL, reached = matched_level()
EQUAL = [size for size, least in zip(scaling.whole, reached) if least <= LEVEL]


def at_level(size, s, read):
    """A number of one run at the moment its total loss falls to the level."""
    points = points_of(scaling.runs[size, s])
    return curves.at_matched_loss([p["loss"] for p in points], [read(p) for p in points], LEVEL)


def at_step(size, s, read):
    """The same number at the step at which the largest of the equals is at the level."""
    step = at_level(EQUAL[-1], s, lambda p: p["step"])
    points = points_of(scaling.runs[size, s])
    return float(np.interp(step, [p["step"] for p in points], [read(p) for p in points]))


def right_answers(task):
    """Accuracy of a task, over all its tests."""
    return lambda p: np.mean([probe(n)(p) for n in TESTS if n.split()[0] == task])


def pairs(how, score):
    """Per task: (2, seeds), the smallest and the largest of the equals."""
    ends = (EQUAL[0], EQUAL[-1])
    return {t: np.array([[how(size, s, score(t)) for s in SEEDS] for size in ends]) for t in TASKS}


# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
def differ(pair):
    """The tasks in which the mean of the seeds differs by more than 2 standard errors."""
    error = {t: np.sqrt(v.var(axis=1, ddof=1).sum() / v.shape[1]) for t, v in pair.items()}
    return [t for t, v in pair.items() if abs(np.diff(v.mean(axis=1))[0]) > 2 * error[t]]


matched = pairs(at_level, task_loss)
apart_at = {
    (when, what): differ(pairs(how, score))
    for when, how in (("equal loss", at_level), ("equal words", at_step))
    for what, score in (("loss", task_loss), ("right answers", right_answers))
}
equal = max(len(tasks) for (when, _), tasks in apart_at.items() if when == "equal loss")
unequal = max(len(tasks) for (when, _), tasks in apart_at.items() if when == "equal words")
small, large = (f"{scaling.parameters[size]:,}" for size in (EQUAL[0], EQUAL[-1]))
judge(
    "models of equal loss have equal skills, whatever their size",
    source="Ding 11:30, Du et al. 2024",
    measure=f"loss of a task at a total of {LEVEL:.3f}: {large} less {small} parameters, nats",
    expected="beyond 2 standard errors of the mean: at most 1 task of 7, in loss or in right "
    "answers; after equally many words 2 or more, else partly",
    measured={t: v[1] - v[0] for t, v in matched.items()},
    seeds=SEEDS,
    holds=lambda _: equal <= 1 < unequal,
    partly=lambda _: equal <= 1,
    note="Beyond 2 standard errors: "
    + "; ".join(
        f"{when}, {what}: {', '.join(tasks) or 'none'}" for (when, what), tasks in apart_at.items()
    )
    + ".",
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Use it: collect more data?
#
# **Claim** (24:15). Before you collect, plot the curve with the data you have. Flat: stop. Falling:
# collect.
#
# **Test.** One size, growing amounts of text, a full training for each. We know up to half of the
# data; the law has to say what all of it will bring. **What would prove it wrong.** An interval of
# 90 % that holds less than 70 % of the outcomes; advice that is wrong in one case of five.


# %% slideshow={"slide_type": "-"} tags=["hide-input"]
AMOUNTS = [int(a) for a in amounts.whole]
WORDS = np.array([a * amounts.settings["batch"] * amounts.settings["context"] for a in AMOUNTS])


@cache
def foresee(seed, what, share):
    """Predicted interval of a loss with all data, from the amounts up to a share of it."""
    read = {"all words": total, "all tests": tested}.get(what) or task_loss(what)
    y = amounts.final(read)[seed]
    known = share * WORDS[-1] * 1.001 >= WORDS
    span = forecast(
        WORDS[known], y[known], WORDS[-1], resamples=30, seed=seed, constant=bool(known.sum() >= 5)
    )
    return known, y, span


def draw_decision(amounts_known, what):
    share = WORDS[amounts_known - 1] / WORDS[-1]
    known, y, span = foresee(0, what, share)
    with figure(
        size=(12.2, 4.5), alt="Loss by amount of data, a fit to the known part, and what came."
    ) as ax:
        law = fit_power_law(WORDS[known], y[known], constant=bool(known.sum() >= 5))
        wide = np.geomspace(WORDS[0], WORDS[-1], 80)
        ax.plot(wide / 1e6, law.loss(wide), color=BLUE, linewidth=2.4)
        dots = {"color": "white", "markeredgecolor": MUTED, "markeredgewidth": 2}
        ax.plot(WORDS[known] / 1e6, y[known], "o", color=BLUE, label=f"known: {100 * share:.0f} %")
        ax.plot(WORDS[~known] / 1e6, y[~known], "o", label="what came", **dots)
        reach = [[span.middle - span.low], [span.high - span.middle]]
        look = {"color": VERMILION, "capsize": 9, "linewidth": 4, "label": "predicted, 90 %"}
        ax.errorbar(WORDS[-1] * 1.05 / 1e6, span.middle, reach, **look)
        gain = y[known][-1] - span.middle
        title = f"Collect the rest? It should save {gain:.3f} nats"
        name_axes(ax, "million words of text", "nats per word", title, "log", "linear")
        ax.legend(loc="upper right")


interact(
    draw_decision,
    amounts_known=(4, len(WORDS) - 1, 1, len(WORDS) - 1),
    what=["all words", "all tests", "facts", "translation", "sentiment"],
)

# %% slideshow={"slide_type": "skip"}
WORTH = 0.03  # nats: a smaller gain is not worth collecting for
HALF = float(WORDS[WORDS <= WORDS[-1] / 2][-1] / WORDS[-1])
foreseen = {
    (k, what): foresee(k, what, HALF)
    for k in range(len(amounts.seeds))
    for what in ("all words", "all tests", *TASKS)
}
gains_seen = {  # predicted and real gain of the second half of the data
    key: (y[known][-1] - span.middle, y[known][-1] - y[-1])
    for key, (known, y, span) in foreseen.items()
}

# %% [markdown] slideshow={"slide_type": "subslide"}
# ## Was the advice any good?
#
# Each dot is a task and a seed: what the first half of the data promised, and what the second half
# brought. On the upper left are the costly errors: a flat curve said stop, and the gain was there.

# %% slideshow={"slide_type": "-"} tags=["hide-input"]
with figure(alt="Predicted against real gains of more data, task by task.") as ax:
    looks = zip(TASKS, (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, INK), "os^DvPX")
    for task, colour, mark in looks:
        x, y = np.array([gains_seen[k, task] for k in range(len(amounts.seeds))]).T
        ax.plot(x, y, mark, color=colour, markersize=11, markeredgecolor="white", label=task)
    ax.axhline(WORTH, color=MUTED, linewidth=1.5, linestyle=(0, (4, 3)))
    ax.axvline(WORTH, color=MUTED, linewidth=1.5, linestyle=(0, (4, 3)))
    both = np.array(list(gains_seen.values()))
    ends = [both.min() - 0.02, both.max() + 0.02]
    ax.plot(ends, ends, color="#D9DEE7", linewidth=3, zorder=0)
    ax.set_xlabel("predicted gain, nats")
    ax.set_ylabel("real gain, nats")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.02))

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
whats = ("all words", "all tests", *TASKS)
covered = [
    np.mean([foreseen[k, w][2].covers(foreseen[k, w][1][-1]) for w in whats])
    for k in range(len(amounts.seeds))
]
advised = [
    np.mean([(gains_seen[k, w][0] > WORTH) == (gains_seen[k, w][1] > WORTH) for w in whats])
    for k in range(len(amounts.seeds))
]
order = [
    curves.rank_correlation(*zip(*(gains_seen[k, w] for w in whats)))
    for k in range(len(amounts.seeds))
]
judge(
    "a curve from half of the data tells whether the other half is worth collecting",
    source="Wei 24:15",
    measure=f"right advice, % of {len(whats)} curves (a gain above {WORTH} nats counts); outcomes "
    "inside the 90 % interval, %; rank correlation of predicted and real gains",
    expected="advice right in 80 % or more, 70 % or more inside; partly: ranks above 0.5",
    measured={
        "advice": 100 * np.array(advised),
        "inside": 100 * np.array(covered),
        "ranks": order,
    },
    seeds=amounts.seeds,
    holds=lambda m: m["advice"] >= 80 and m["inside"] >= 70,
    partly=lambda m: m["ranks"] > 0.5,
)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What we did not measure
#
# - Depth for complex functions, breadth for facts (27:35): our sizes grow both at once.
# - Filtering to reliable sources (26:23): lesson 9 does.
# - The jump between GPT-3.5 and GPT-4: our largest model is far too small for that.
# - Left arms of the IsoFLOP curves: that takes small models that read far more words than ours did.
#
# What a verdict here says: in a world whose rules are known, at this scale. What is missing at
# this scale may be there at another, and the other way round.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What to keep
#
# 1. A language model has one loss and thousands of tasks; the loss is their weighted sum.
# 2. The best loss falls with compute along a smooth curve. How far ahead the curve can be read has
#    to be tested.
# 3. Single tasks finish early, start late, jump, or turn round.
# 4. A metric can make a jump. Look at the loss of the task as well.
# 5. Before you buy data or compute: plot the curve, extend it, and say how sure you are.
#
# Now write the pieces yourself: `exercises/02_intuitions_on_language_models.ipynb`.
