"""The U: repeating a misquote, right in small, wrong in middle, right again in large models.

    minilm study run 02/ushape --out ushape.json

Models of growing size read the misquote world (`minilm.data.worlds.quotes`) with the same number
of tokens; the three sub-skills and the task itself are measured along the way. `--corpus plain` is
the control without corrected misquotes, in which a U must not appear.

`--corpus few` is a smaller world, with fewer proverbs and a rarer instruction, in which a model of
46,000 parameters walks through the whole U within 2000 steps; `--corpus "few, none corrected"` is
its control, trained for as long.

`ushape.json` is older than the habit of keeping a run's commit. Its cheapest run, 1x16 with seed 0,
was made again on 1 December 2026: the same to four digits.

    minilm study run 02/ushape --out walk.json --corpus few --sizes 2x32 --steps 2000 --batch 32 \
        --tests 24 --seeds 0 1 2 3 4

Rules, set before those runs; a dip is how far the worst test lies below the best before it and
below the best after it, whichever is less:

- one model walks the U: in every seed a dip of 20 points or more in the share of misquotes that
  are repeated, and of 0.20 or more in their probability;
- the control: in every seed no such dip in either, while at the end half of the proverbs or more
  are known by heart.
"""

from collections.abc import Callable, Sequence
from typing import Any

from minilm.analysis import probes
from minilm.data.worlds.quotes import LENGTH, MIXTURE, QuoteWorld
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.runs import (
    SIZES,
    TUNING_SEED,
    aligned,
    config_of,
    exam_steps,
    predictor,
    train_and_test,
    tune,
)

CONTEXT = 2 * LENGTH
NAMES = ("1x16", "1x32", "2x48", "2x64", "3x96", "4x128")
FEW = QuoteWorld(words=50, proverbs=50)
CORPORA = {
    "misquotes": (QuoteWorld(), MIXTURE),
    "carry-over": (QuoteWorld(literal_half=True), MIXTURE),
    "plain": (QuoteWorld(proverbs=200), {"copy": 0.50, "plain": 0.49, "literal": 0.01}),
    "few": (FEW, {"copy": 0.60, "corrected": 0.20, "plain": 0.196, "literal": 0.004}),
    "few, none corrected": (
        FEW,
        {"copy": 0.60, "quote": 0.20, "plain": 0.196, "literal": 0.004},
    ),
}


def run_one(
    name: str, seed: int, lr: float, steps: int, batch: int, corpus: str, prompts: int, count: int
) -> dict[str, Any]:
    """Train one model and measure its sub-skills along the way; see `train_and_test`."""
    world, mixture = CORPORA[corpus]
    config = config_of(SIZES[name], world.vocab_size, CONTEXT)
    tokens = world.sample(steps * batch * CONTEXT + 1, 1000 + seed, mixture).tokens
    pairs = aligned(tokens, batch, CONTEXT)  # two whole documents a window, as in the probes
    held = world.sample(128 * CONTEXT + 1, 4242, mixture).tokens
    ids, following = held[:-1].reshape(-1, CONTEXT), held[1:].reshape(-1, CONTEXT)
    asked = world.probes(prompts)

    def test(model: Any) -> dict[str, Any]:
        skills = probes.misquote_skills(predictor(model), asked)
        return {"loss": model.loss(ids, following).item(), "skills": skills}

    at = exam_steps(steps, count)
    return train_and_test(config, pairs, test, at, steps=steps, batch=batch, lr=lr, seed=seed)


def study(
    out: str,
    sizes: Sequence[str] = NAMES,
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = 700,
    tune_steps: int = 350,
    batch: int = 64,
    prompts: int = 192,
    corpus: str = "misquotes",
    tests: int = 10,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Tune, train and test every size with every seed; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        sizes: names from `SIZES`.
        seeds: of weights, data and order.
        steps: of each run, batch x 32 tokens each.
        tune_steps: of each tuning run.
        batch: windows of 32 tokens per step.
        prompts: per sub-skill.
        corpus: "misquotes"; "carry-over" (the instruction is seen with half of the proverbs);
            "plain" (no corrected misquotes); "few"; "few, none corrected".
        tests: of each run, evenly spaced in log steps.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("sizes", sizes, SIZES)
    refuse_unknown("corpus", [corpus], CORPORA)
    world, mixture = CORPORA[corpus]
    settings = {
        "corpus": corpus,
        "steps": steps,
        "tune_steps": tune_steps,
        "batch": batch,
        "context": CONTEXT,
        "prompts": prompts,
        "mixture": mixture,
        "proverbs": world.proverbs,
        "words": world.words,
        "floors": {kind: floor._asdict() for kind, floor in world.floors(mixture).items()},
    }

    def tuned(size: str) -> dict[str, Any]:
        def final_loss(lr: float) -> float:
            run = run_one(size, TUNING_SEED, lr, tune_steps, batch, corpus, 1, count=1)
            return run["points"][-1]["loss"]

        return tune(SIZES[size].lr, final_loss)

    def run(size: str, seed: int, lr: float) -> dict[str, Any]:
        return run_one(size, seed, lr, steps, batch, corpus, prompts, count=tests)

    def show(made: dict[str, Any]) -> str:
        return ", ".join(f"{k} {v:.2f}" for k, v in made["points"][-1]["skills"].items())

    return carry_out(
        Record(out, "ushape", settings, command),
        [{"size": size} for size in sizes],
        seeds,
        tuned,
        run,
        show,
        say,
    )
