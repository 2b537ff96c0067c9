"""The U: repeating a misquote, right in small, wrong in middle, right again in large models.

    python -m minilm.analysis.studies.ushape --out ushape.json

Models of growing size read the misquote world (`minilm.data.worlds_quotes`) with the same number
of tokens; the three sub-skills and the task itself are measured along the way. `--corpus plain` is
the control without corrected misquotes, in which a U must not appear.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

from minilm.analysis import probes
from minilm.analysis.studies.record import Record, command_line
from minilm.analysis.studies.runs import (
    SIZES,
    TUNING_SEED,
    aligned,
    config_of,
    exam_steps,
    predictor,
    train_and_test,
    tune,
)
from minilm.data.worlds_quotes import LENGTH, MIXTURE, QuoteWorld
from minilm.errors import InputError

CONTEXT = 2 * LENGTH
NAMES = ("1x16", "1x32", "2x48", "2x64", "3x96", "4x128")
CORPORA = {
    "misquotes": (QuoteWorld(), MIXTURE),
    "carry-over": (QuoteWorld(literal_half=True), MIXTURE),
    "plain": (QuoteWorld(proverbs=200), {"copy": 0.50, "plain": 0.49, "literal": 0.01}),
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
    run = train_and_test(config, pairs, test, at, steps=steps, batch=batch, lr=lr, seed=seed)
    return {"size": name, **run}


def study(
    out: str,
    sizes: Sequence[str] = NAMES,
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = 700,
    tune_steps: int = 200,
    batch: int = 64,
    prompts: int = 192,
    corpus: str = "misquotes",
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Tune, train and test every size with every seed; go on with a file that exists.

    Args:
        out: the JSON file.
        sizes: names from `SIZES`.
        seeds: of weights, data and order.
        steps, tune_steps: of each run and of each tuning run, `batch` x 32 tokens a step.
        batch: windows per step.
        prompts: per sub-skill.
        corpus: "misquotes"; "carry-over" (the instruction is seen with half of the proverbs);
            "plain" (no corrected misquotes).
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    unknown = [name for name in sizes if name not in SIZES]
    if unknown:
        raise InputError(f"sizes names {unknown[0]!r}; the sizes are {', '.join(SIZES)}")
    if corpus not in CORPORA:
        raise InputError(f"corpus is {corpus!r}; allowed are {', '.join(CORPORA)}")
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
    record = Record(out, "ushape", settings, command)
    for name in sizes:
        if name not in record.data["tuning"]:

            def final_loss(lr: float, name: str = name) -> float:
                run = run_one(name, TUNING_SEED, lr, tune_steps, batch, corpus, 1, count=1)
                return run["points"][-1]["loss"]

            record.tuned(name, tune(SIZES[name].lr, final_loss))
        lr = record.data["tuning"][name]["lr"]
        for seed in seeds:
            if record.done(size=name, seed=seed):
                continue
            run = run_one(name, seed, lr, steps, batch, corpus, prompts, count=10)
            record.add(run)
            skills = run["points"][-1]["skills"]
            shown = ", ".join(f"{key} {value:.2f}" for key, value in skills.items())
            say(f"{name} seed {seed} lr {lr:g}, {run['seconds']:.0f} s: {shown}")
    return record.data


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m minilm.analysis.studies.ushape")
    parser.add_argument("--out", required=True, help="JSON file to write or to go on with")
    parser.add_argument("--sizes", nargs="+", default=list(NAMES), help=", ".join(SIZES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=700, help="of each run (2048 tokens each)")
    parser.add_argument("--tune-steps", type=int, default=200, help="of each tuning run")
    parser.add_argument("--batch", type=int, default=64, help="windows of 32 tokens per step")
    parser.add_argument("--prompts", type=int, default=192, help="per sub-skill")
    parser.add_argument("--corpus", default="misquotes", help=", ".join(CORPORA))
    given = vars(parser.parse_args(arguments))
    command = command_line("ushape", sys.argv[1:] if arguments is None else arguments)
    try:
        study(**given, command=command, say=lambda line: print(line, flush=True))
    except InputError as error:
        print(f"minilm: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
