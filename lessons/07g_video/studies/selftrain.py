"""Compute turned into data: a small model writes programs, runs them, and learns from what passed.

    minilm study run 07g/selftrain --out selftrain.json

After Ming Ding (CS25 V4, 66:41-67:38): turn compute into high-quality data, by running code. Three
numbers and a target; the signs between them are to be found. Every model starts from the same 150
tasks with solutions. "verified" then writes programs for 1,200 tasks without solutions, keeps those that give
the target, learns from them, and again. Its rivals: "longer" trains on the first 150 for as many
operations as "verified" spends, its writing included; "unverified" keeps what it wrote, right or
wrong; "search" runs as many random programs as "verified" writes and keeps those that pass, so that
its data owe nothing to a model. One learning rate for all, tuned on "longer".
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm.align.self_training import self_train_round
from minilm.backend import rng
from minilm.data.worlds import countdown as C
from minilm.diffusion.training import fit
from minilm.inference import generate
from minilm.models import Config, Transformer
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.runs import TUNING_SEED, tune

MODELS = ("longer", "unverified", "search", "verified")
FIRST, OPEN, TEST = 150, 1200, 300  # tasks with solutions, without, held out
BATCH, EMA = 48, 0.95
LENGTH = C.PROMPT + C.LONGEST + 1
CONFIG = Config(
    vocab_size=C.VOCABULARY, context=LENGTH, layers=2, heads=4, channels=64, init_std=0.06
)
Pairs = list[tuple[C.Task, str]]


def drawn_tasks(seed: int) -> tuple[Pairs, list[C.Task], list[C.Task]]:
    """Tasks with one solution each, tasks without, held-out tasks; all different."""
    every = C.tasks(FIRST + OPEN + TEST, seed)
    random = rng(seed, "first")
    first = [(task, str(random.choice(C.solutions(task)))) for task in every[:FIRST]]
    return first, every[FIRST:-TEST], every[-TEST:]


def learn(model: Transformer, pairs: Pairs, steps: int, lr: float, seed: int, number: int) -> float:
    """Steps on pairs, only the programs scored; the last losses."""
    rows = np.stack([C.encode(task, program) for task, program in pairs])

    def draw(step: int) -> tuple[np.ndarray, np.ndarray]:
        picked = rows[rng(seed, "learn", number, step).integers(0, len(rows), BATCH)]
        targets = picked[:, 1:].copy()
        targets[:, : C.PROMPT - 1] = -100
        return picked[:, :-1], targets

    run = fit(model, draw, steps, lr=lr, ema=EMA, loss=lambda m, b: m.loss(*b), progress=False)
    return float(np.mean(run.losses[-20:]))


def writer(model: Transformer, seed: int, temperature: float = 1.0) -> Callable:
    """(tasks, tries) -> programs, as `self_train_round` asks for them."""

    def write(tasks: Sequence[C.Task], tries: int) -> list[list[str]]:
        prompts = np.stack([C.encode(task) for task in tasks])
        made = generate(
            model, prompts, C.LONGEST + 1, temperature, stop=(C.END,), seed=seed, samples=tries
        )
        texts = [C.decode(np.array(ids)) for ids in made]
        return [texts[i * tries : (i + 1) * tries] for i in range(len(tasks))]

    return write


def searcher(seed: int) -> Callable:
    """As `writer`, with programs drawn at random."""
    random = rng(seed, "search")
    return lambda tasks, tries: [
        [C.random_program(task.numbers, random) for _ in range(tries)] for task in tasks
    ]


def exam(model: Transformer, tasks: Sequence[C.Task], seed: int) -> dict[str, float]:
    """Shares of held-out tasks solved greedily, and by one of 8 samples."""
    greedy = writer(model, seed, 0.0)(tasks, 1)
    many = writer(model, 1000 + seed)(tasks, 8)
    return {
        "pass1": float(np.mean([C.execute(t, p[0]) for t, p in zip(tasks, greedy)])),
        "pass8": float(np.mean([any(C.execute(t, one) for one in p) for t, p in zip(tasks, many)])),
    }


def run_one(
    model: str, seed: int, lr: float, rounds: int, start: int, steps: int, tries: int
) -> dict[str, Any]:
    """All rounds of one of `MODELS`, tested after each."""
    began, testing = time.process_time(), 0.0
    first, open_tasks, held = drawn_tasks(seed)
    network = Transformer(CONFIG, seed)
    learn(network, first, start, lr, seed, 0)
    search, pool, points, tokens = searcher(seed), list(first), [], 0

    def test(number: int, kept: int, solved: int) -> None:
        nonlocal testing
        at = time.process_time()
        points.append({"step": number, "kept": kept, "solved": solved, **exam(network, held, seed)})
        testing += time.process_time() - at

    test(0, 0, 0)
    # A token that is written costs a third of one that is learned from.
    writing = round(len(open_tasks) * tries * LENGTH / 3 / (BATCH * LENGTH))
    for number in range(1, rounds + 1):
        kept, solved = 0, 0
        if model != "longer":
            write = search if model == "search" else writer(network, 100 * seed + number)
            passes = (lambda task, program: True) if model == "unverified" else C.execute
            found = self_train_round(write, open_tasks, passes, tries)
            good = [(t, p) for t, p in found.kept if len(p) <= C.LONGEST and _spelled(p)]
            kept, solved = len(good), sum(1 for _ in found.solved)
            pool = list(dict.fromkeys([*pool, *good]))
            tokens += found.tried * LENGTH
        more = writing if model == "longer" else 0
        learn(network, pool, steps + more, lr, seed, number)
        test(number, kept, solved)
    return {
        "seed": seed,
        "lr": lr,
        "parameters": network.num_parameters(),
        "cpu_seconds": time.process_time() - began - testing,
        "trained": start + rounds * (steps + (writing if model == "longer" else 0)),
        "written": tokens,
        "pool": len(pool),
        "points": points,
    }


def _spelled(program: str) -> bool:
    return bool(program) and set(program) <= set(C.WRITTEN)


def chance(seed: int, tries: int = 1) -> float:
    """Share of held-out tasks that random programs solve: the yardstick that costs nothing."""
    _, _, held = drawn_tasks(seed)
    written = searcher(500 + seed)(held, tries)
    return float(np.mean([any(C.execute(t, p) for p in ps) for t, ps in zip(held, written)]))


def final_loss(model: str, lr: float, start: int, steps: int, tries: int) -> float:
    """Share of held-out tasks not solved after one round."""
    made = run_one(model, TUNING_SEED, lr, 1, start, steps, tries)
    return 1.01 - made["points"][-1]["pass1"]


def study(
    out: str,
    models: Sequence[str] = MODELS,
    seeds: Sequence[int] = (0, 1, 2),
    rounds: int = 2,
    start: int = 100,
    steps: int = 80,
    tries: int = 8,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Run every way of spending compute; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        models: "longer", "unverified", "search", "verified".
        seeds: of weights and tasks.
        rounds: how many.
        start: steps on the first tasks, batch 48.
        steps: of each round.
        tries: programs written for each task in each round.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("models", models, MODELS)
    settings = {
        "rounds": rounds, "start": start, "steps": steps, "tries": tries, "batch": BATCH,
        "first": FIRST, "open": OPEN, "test": TEST,
    }  # fmt: skip

    def shown(made: dict[str, Any]) -> str:
        passed = ", ".join(f"{p['pass1']:.2f}" for p in made["points"])
        return f"solved {passed}; pool {made['pool']}"

    return carry_out(
        Record(out, "selftrain", settings, command),
        [{"model": model} for model in models],
        seeds,
        lambda model: tune(
            3e-3, lambda lr: final_loss("longer", lr, start, steps, 2), widest=4, slack=0.02
        ),
        lambda model, seed, lr: run_one(model, seed, lr, rounds, start, steps, tries),
        shown,
        say,
        tuned_as=lambda case: "longer",  # one network and one start: one rate, tuned before round 1
    )


def rounds_with(
    one_round: Callable[..., Any], seed: int = 0, rounds: int = 3, tasks: int = 600
) -> list[float]:
    """A few rounds with somebody's `self_train_round`, which gives pairs; solved after each.

    Args:
        one_round: (write, tasks, execute, tries) -> (task, program) pairs.
        seed: of weights and tasks.
        rounds: how many.
        tasks: how many of the open ones.
    """
    first, open_tasks, held = drawn_tasks(seed)
    network, pool, solved = Transformer(CONFIG, seed), list(first), []
    learn(network, pool, 150, 3e-3, seed, 0)
    for number in range(1, rounds + 1):
        write = writer(network, 100 * seed + number)
        kept = one_round(write, open_tasks[:tasks], C.execute, 8)
        pool = list(dict.fromkeys([*pool, *((task, program) for task, program in kept)]))
        learn(network, pool, 80, 3e-3, seed, number)
        solved.append(exam(network, held, seed)["pass1"])
    return solved
