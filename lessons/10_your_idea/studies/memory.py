"""What a memory of fixed size can hold: recall, copying, and texts longer than any in training.

    minilm study run 10/memory --out memory.json

Two worlds in which nothing can be guessed:

- **recall**: cards with a key and a value each, then all the keys in another order; the value of each
  is to be said (associative recall, as in arXiv 2312.04927, with a pair in one token);
- **copy**: a row of letters, a mark, and the same row again.

Attention keeps every token, so its memory grows; Mamba and linear attention keep so many numbers.
Trained with up to 8 cards or letters, tested at 8, 16 and 32.

HYPOTHESIS and FALSIFIER were written before the first run, which takes a hash of them.

Matched: FLOPs of a step at the training length to 1 in 100, width of the stream, the examples; rates
tuned for every model in every world. Yardsticks: chance, and what knows the rules but not the place
(the commonest value of this text; its commonest letter).

A model has learnt a world if at the length of training every seed knows half of what the shortcut
leaves open. What has learnt nothing loses nothing on longer texts, so only those that have are compared.

Changed after pilots with a seed of their own, before this record: key and value were two tokens, of
which neither attention (900 steps) nor Mamba (300) learnt more than to name some value of the text, so
a pair is one token. Then 500 steps, rates tuned in 150 around 0.005, and 16 letters to copy were too
little for Mamba: now 1,500 steps, 500 around 0.01, and 8 letters, with which all three learn both
worlds. The condition on what has learnt, and that two sides above 99 % are no test, came with this
change. Changed after seeing data: in a first record, thrown away, linear attention read embeddings a
tenth as large as its sinusoidal positions, which drowned them; they are scaled as in 2017 now. And
after this record: a world in which nobody beats the shortcut at four times the length is no test of
who keeps more.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from minilm.analysis.state_costs import costs_of
from minilm.backend import IGNORE, rng
from minilm.errors import InputError
from minilm.models import Config, model_of
from minilm.models.state_model import StateConfig
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.pledge import pledge
from minilm.studies.record import Record
from minilm.studies.until import run_until, tuned
from minilm.tensor import no_grad

from .structure import MODELS, attention_of, matched

HYPOTHESIS = (
    "At the lengths of training attention is ahead of both states of fixed size, in both worlds. Of "
    "texts four times as long the better of the two states keeps more of what it could do than "
    "attention with rotary positions does."
)
FALSIFIER = (
    "A seed in which a state has attention's share of right answers or more at the lengths of "
    "training; a seed in which, on the longer texts, it keeps no more of its share. A world that "
    "attention or both states have not learnt is no test, nor one in which both know over 99 %."
)
KEYS, VALUES, LETTERS = 32, 8, 16
LENGTHS = {"recall": (8, 16, 32), "copy": (8, 16, 32)}  # cards; letters. The first is trained
LAYERS, CHANNELS = 2, 32
VOCAB = {"recall": KEYS * VALUES + KEYS, "copy": LETTERS + 1}
START = 1e-2  # the middle of the first three rates that are tried
CHANCE = {"recall": 1 / VALUES, "copy": 1 / LETTERS}


def recall(n: int, cards: int, seed: int, *more: int) -> tuple[np.ndarray, np.ndarray]:
    """Ids and targets (n, 2 cards): cards with a key and a value, then every key in another order.

    Card (k, v) is id 8 k + v, and the question for k is id 256 + k; scored is the value, an id from
    0 to 7, at each question.

    Args:
        n: examples.
        cards: of a text; their keys differ.
        seed, more: of the draws.
    """
    r = rng(seed, "recall", *more)
    keys = np.argsort(r.random((n, KEYS)), axis=1)[:, :cards]
    values = r.integers(0, VALUES, (n, cards))
    order = np.argsort(r.random((n, cards)), axis=1)
    asked, answers = (np.take_along_axis(x, order, 1) for x in (keys, values))
    ids = np.concatenate([VALUES * keys + values, VALUES * KEYS + asked], axis=1)
    return ids, np.concatenate([np.full((n, cards), IGNORE), answers], axis=1)


def copying(n: int, letters: int, seed: int, *more: int) -> tuple[np.ndarray, np.ndarray]:
    """Ids and targets (n, 2 letters): a row, a mark, the row again; the second row is scored."""
    row = rng(seed, "copying", *more).integers(0, LETTERS, (n, letters))
    ids = np.concatenate([row, np.full((n, 1), LETTERS), row[:, :-1]], axis=1)
    return ids, np.concatenate([np.full((n, letters), IGNORE), row], axis=1)


DRAWS = {"recall": recall, "copy": copying}


def length_of(size: int) -> int:
    """Tokens of an example."""
    return 2 * size


@cache
def config_of(task: str, model: str) -> Config | StateConfig:
    """A model of the world: attention's, or another of the same width and FLOPs."""
    longest, trained = (length_of(n) for n in (LENGTHS[task][-1], LENGTHS[task][0]))
    attention = attention_of(LAYERS, CHANNELS, VOCAB[task], longest, tie=False)
    return matched(attention, model, trained)


def exam_of(task: str, examples: int) -> Callable[[Any], dict[str, float]]:
    """A test: the share of right answers at each length; "right" is that of training."""
    papers = {size: DRAWS[task](examples, size, 4242, size) for size in LENGTHS[task]}

    def sit(model: Any) -> dict[str, float]:
        found = {}
        with no_grad():
            for size, (ids, targets) in papers.items():
                said = model(ids).data.argmax(-1)
                found[f"right{size}"] = float((said == targets)[targets != IGNORE].mean())
        return {"right": found[f"right{LENGTHS[task][0]}"], **found}

    return sit


def draw_of(task: str, batch: int) -> Callable[[int, int], Sequence[np.ndarray]]:
    """Batches: every step has a length of its own, from half of the training length to all of it."""
    most = LENGTHS[task][0]

    def draw(seed: int, step: int) -> Sequence[np.ndarray]:
        size = int(rng(seed, "memory", "size", step).integers(most // 2, most + 1))
        return DRAWS[task](batch, size, 1000 + seed, step)

    return draw


def shortcut(task: str, size: int) -> float:
    """The best share of right answers of who remembers the text and not the places in it."""
    ids, targets = DRAWS[task](2000, size, 99)
    scored = targets != IGNORE
    right = 0
    for row, target, mask in zip(ids, targets, scored, strict=True):
        seen = row[:size] % VALUES if task == "recall" else row[:size]
        right += (target[mask] == np.bincount(seen).argmax()).sum()
    return float(right / scored.sum())


def study(
    out: str,
    tasks: Sequence[str] = tuple(DRAWS),
    models: Sequence[str] = MODELS,
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = 1500,
    tune_steps: int = 500,
    batch: int = 32,
    examples: int = 256,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Tune, train and test three kinds of memory in two worlds; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        tasks: recall, copy.
        models: attention, mamba, linear.
        seeds: of weights and examples.
        steps: of each run.
        tune_steps: of each tuning run.
        batch: examples per step.
        examples: of the test, at each length.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("tasks", tasks, DRAWS)
    refuse_unknown("models", models, MODELS)
    if steps < 50 or tune_steps < 10:
        raise InputError(f"steps is {steps} and tune_steps {tune_steps}; at least 50 and 10")
    settings = {
        "steps": steps,
        "tune_steps": tune_steps,
        "batch": batch,
        "examples": examples,
        "lengths": LENGTHS,
        "chance": CHANCE,
        "shortcut": {f"{t} {n}": shortcut(t, n) for t in DRAWS for n in LENGTHS[t]},
        "learnt": {t: (1 + shortcut(t, LENGTHS[t][0])) / 2 for t in DRAWS},
        "costs": {
            f"{task} {model} {size}": costs_of(config_of(task, model), length_of(size)).__dict__
            for task in DRAWS
            for model in MODELS
            for size in LENGTHS[task]
        },
        "configs": {f"{t} {m}": config_of(t, m).to_dict() for t in DRAWS for m in MODELS},
    }

    def build(task: str, model: str) -> Callable[[int], Any]:
        return lambda seed: model_of(config_of(task, model), seed)

    def find_rate(task: str, model: str) -> dict[str, Any]:
        made = build(task, model), draw_of(task, batch)
        return tuned(*made, START, tune_steps, factor=2.0, slack=0.0)

    def run(task: str, model: str, seed: int, lr: float) -> dict[str, Any]:
        made = build(task, model), draw_of(task, batch), exam_of(task, examples)
        return run_until(*made, seed, lr, steps, steps // 10, go_on=True, falls=steps)

    def shown(made: dict[str, Any]) -> str:
        last = made["points"][-1]
        shares = " ".join(f"{last[k]:.3f}" for k in last if k.startswith("right") and k != "right")
        return f"right {shares}"

    record = Record(out, "memory", settings, command)
    promise = {
        "hypothesis": HYPOTHESIS,
        "falsifier": FALSIFIER,
        "baseline": MODELS[0],
        "models": MODELS,
        "worlds": list(DRAWS),
        "lengths": LENGTHS,
        "steps": steps,
    }
    pledge(record, promise, say)
    return carry_out(
        record,
        [{"task": task, "model": model} for task in tasks for model in models],
        seeds,
        find_rate,
        run,
        shown,
        say,
    )
