"""What may be frozen when a model learns to answer: all maps, but not the rows of new words.

    minilm study run 04/lora --out lora.json

After Nathan Lambert (CS25 V4) on LoRA and QLoRA (arXiv 2106.09685, 2305.14314). A model that has
read about animals is taught to answer, with 2000 demonstrations, in one of several ways: all of it;
adapters of some rank on its linear maps; these and the embedding's rows of the five words that it
had never read, the chat's own; the same over weights in 4 bits, their scales rounded too. Each way
has its own learning rate, tuned on a seed that no run has.

Rules, set before the runs, for every seed: with rank 4 and trained rows the loss is less than .005
above full tuning's; without the rows at least .05 above it; in 4 bits less than .003 from what it
is in 32. Added after the first runs, under no rule: adapters and all rows, as the pilot had it. One seed
of three missed the first rule, by .0012, with both sides still falling. On a seed that no run has the
difference was .0035 after 120 steps and .0019 after 240, so both were run for twice the steps, at
their rates. That mended nothing: the seed that had missed by .0012 then missed by .006. With all rows
of the embedding every seed keeps the rule.
"""

import copy
import time
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from minilm import nn
from minilm.align.sft import sft
from minilm.data.worlds.animals import ANIMALS, FILLERS, ID, KINDS, PROMPT, SENTENCES, AnimalWorld
from minilm.errors import InputError
from minilm.models import Config, Transformer
from minilm.optim import linear
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.runs import TUNING_SEED, tune
from minilm.tensor import no_grad
from minilm.train import train

WORLD = AnimalWorld()
CONFIG = Config(
    vocab_size=WORLD.vocab_size, context=32, layers=2, heads=4, channels=64, positions="rope"
)
NEW = "<|im_start|> <|im_end|> user assistant describe".split()  # words of the chat alone
GROUP = 64  # weights that share a scale
RANKS = (1, 4, 16)
MODELS = {
    "full": 2e-3,
    "full, prompts too": 2e-3,
    **{f"lora {rank}": 1e-2 for rank in RANKS},
    "lora 4, new rows": 1e-2,
    "qlora 4, new rows": 1e-2,
    "lora 4, all rows": 1e-2,
    "full, 2x": 2e-3,
    "lora 4, new rows, 2x": 1e-2,
}  # and the rates around which each is tuned
LONG = 2  # times the steps, for the models whose name says so
CLOSE, FAR, SAME = 0.005, 0.05, 0.003  # nats per token: the rules


@lru_cache(maxsize=2)
def pretrained(seed: int, steps: int = 500) -> Transformer:
    """A model of text about the animals; it has never read the words of a chat."""
    model = Transformer(CONFIG, seed=seed)
    train(model, WORLD.stream(20_000, seed), steps, batch=64, lr=4e-3, seed=seed, progress=False)
    return model


def prepared(name: str, seed: int, steps: int = 500) -> Transformer:
    """The model of a seed, with the parts to train that a way of tuning leaves."""
    model = copy.deepcopy(pretrained(seed, steps))
    if name.startswith("qlora"):
        nn.quantize_maps(model.stack, 4, GROUP, double=True)
    if "lora" in name:
        nn.add_lora(model, int(name.split(",")[0].split()[-1]), seed=seed)
    if "all rows" in name:
        model.tokens.weight.requires_grad = True
    elif "rows" in name:
        nn.train_rows(model, [ID[word] for word in NEW])
    return model


def bytes_of(model: Transformer) -> int:
    """What training holds: 16 bytes a trained number (itself, gradient, two moments), and the rest.

    A number that is frozen counts as it is stored.
    """
    still = [p.data.nbytes for p in model.parameters() if not p.requires_grad]
    still += [b.data.nbytes for _, b in model.named_buffers()]
    return 16 * model.num_parameters(trainable=True) + sum(still)


def held_out(model: Transformer, seed: int, n: int = 1000) -> float:
    """Loss of a token of answers that nobody was shown, in nats."""
    ids, said = WORLD.demonstrations(n, 10_000 + seed)
    targets = np.where(said, ids, -100)[:, 1:]
    with no_grad():
        return model.loss(ids[:, :-1], targets).item()


def entropy(seed: int, n: int = 1000) -> float:
    """What the same tokens cost whoever knows the facts and how answers are drawn, in nats."""
    ids, said = WORLD.demonstrations(n, 10_000 + seed)
    answers, animals = ids[:, PROMPT:], ids[:, 4] - ID[ANIMALS[0]]
    values = [[ID[value] for value in values] for _, values in KINDS.values()]
    fillers = [ID[word] for word in FILLERS]
    total = n * np.log(SENTENCES)  # how many sentences: one of four
    for i in range(n):
        for value in answers[i, 2 : said[i].sum() - 1 : 4]:
            chance = 0.2 / len(fillers) if value in fillers else 0.0
            for kind, own in enumerate(values):
                if value in own:
                    known = 0.75 * (value == WORLD.truth[animals[i], kind])
                    chance += 0.8 / len(values) * (known + 0.25 / len(own))
            total -= np.log(chance)
    return float(total / said.sum())


def tuned_model(name: str, seed: int, lr: float, steps: int, read: int) -> tuple[Transformer, Any]:
    """Fine-tune the model of a seed; returns it and the run."""
    model = prepared(name, seed, read)
    ids, said = WORLD.demonstrations(2000, seed)
    if name.endswith("prompts too"):
        said = said | (np.arange(ids.shape[1]) < PROMPT)
    run = sft(
        model,
        list(zip(ids, said, strict=True)),
        steps,
        batch=48,
        lr=lr,
        pack=False,
        seed=seed,
        schedule=partial(linear, steps=steps, warmup=min(10, steps)),
        progress=False,
    )
    return model, run


def run_one(name: str, seed: int, lr: float, steps: int, read: int) -> dict[str, Any]:
    """One way of tuning on one seed."""
    began = time.process_time()
    model, run = tuned_model(name, seed, lr, steps, read)
    point = {
        "step": steps,
        "loss": held_out(model, seed),
        "before": held_out(prepared(name, seed, read), seed),
        "train": float(np.mean(run.losses[-10:])),
    }
    return {
        "model": name,
        "seed": seed,
        "lr": lr,
        "trained": model.num_parameters(trainable=True),
        "bytes": bytes_of(model),
        "entropy": entropy(seed),
        "cpu_seconds": time.process_time() - began,
        "points": [point],
    }


def gaps(data: dict[str, Any]) -> dict[str, list[float]]:
    """For each seed: rows above full tuning, frozen above full tuning, 4 bits beside 32."""
    loss = {(run["model"], run["seed"]): run["points"][-1]["loss"] for run in data["runs"]}
    seeds = sorted({seed for _, seed in loss})
    pairs = {
        "rows": ("lora 4, new rows", "full"),
        "frozen": ("lora 4", "full"),
        "bits": ("qlora 4, new rows", "lora 4, new rows"),
    }
    return {
        name: [loss[one, s] - loss[other, s] for s in seeds if (one, s) in loss]
        for name, (one, other) in pairs.items()
    }


def verdicts(data: dict[str, Any]) -> dict[str, bool]:
    """Whether each rule of this study holds for every seed."""
    found = gaps(data)
    return {
        "rows": max(found["rows"]) < CLOSE,
        "frozen": min(found["frozen"]) >= FAR,
        "bits": max(map(abs, found["bits"])) < SAME,
    }


def study(
    out: str,
    models: Sequence[str] = tuple(MODELS),
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = 120,
    read: int = 500,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Tune, train and test every way of fine-tuning; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        models: names from `MODELS`: what is trained.
        seeds: of weights and data.
        steps: of fine-tuning; "2x" takes twice as many.
        read: steps of pre-training before it.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("models", models, MODELS)
    for name, value in (("steps", steps), ("read", read)):
        if value < 1:
            raise InputError(f"{name} is {value}; it must be 1 or more")
    settings = {"steps": steps, "read": read, "batch": 48, "shown": 2000, "group": GROUP}
    record = Record(out, "lora", settings, command)

    def tuned(model: str) -> dict[str, Any]:
        def loss(lr: float) -> float:
            return held_out(tuned_model(model, TUNING_SEED, lr, steps, read)[0], TUNING_SEED)

        return tune(MODELS[model], loss, slack=0.0)

    def run(model: str, seed: int, lr: float) -> dict[str, Any]:
        return run_one(model, seed, lr, steps * (LONG if model.endswith("2x") else 1), read)

    def show(made: dict[str, Any]) -> str:
        return f"loss {made['points'][-1]['loss']:.4f}, {made['trained']:,} trained"

    return carry_out(
        record, [{"model": name} for name in models], seeds, tuned, run, show, say,
        tuned_as=lambda case: case["model"].removesuffix(", 2x"),
    )  # fmt: skip
