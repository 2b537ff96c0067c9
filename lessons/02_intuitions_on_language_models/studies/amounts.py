"""Loss against the amount of data, for one model size: is it worth collecting more?

    minilm study run 02/amounts --out amounts.json

After the take-away of Jason Wei (CS25 V4, 24:15-25:23): plot a scaling curve before deciding. Every
amount is read once, with a learning rate that falls to 0 at its end, so each point is the best
that this recipe makes of that amount. The rate is tuned once, at a middle amount.

    minilm study run 02/amounts --out amounts.json --amounts 600 1200 2400 --seeds 3 4

Runs of seeds 0 to 2 are older than the habit of keeping their commit; the cheapest, 150 steps with
seed 0, was made again on 1 December 2026 and is the same to the last digit.

A rule, written down before it was computed for any seed, and before seeds 3 and 4 were run. We own
1200 steps of text; half of it is 600, twice as much 2400. If the second half of ours brought more
than 0.03 nats, the advice is to collect as much again, and it was right if that brings more than
0.03 nats; so for nine curves: all words, all tested words, and each task. The advice should be right
in 80 % of them or more, in every seed; partly: what came and what was seen are correlated in rank
above 0.5.
"""

from collections.abc import Callable, Sequence
from typing import Any

from minilm.data.worlds.world import MIXTURE, TaskWorld
from minilm.errors import InputError
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record
from minilm.studies.runs import SIZES, TUNING_SEED, tune

from .scaling import CONTEXT, Exam, run_one


def study(
    out: str,
    size: str = "2x32",
    amounts: Sequence[int] = (150, 300, 424, 600, 848, 1200, 2400),
    seeds: Sequence[int] = (0, 1, 2),
    tune_steps: int = 600,
    batch: int = 32,
    windows: int = 512,
    prompts: int = 128,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Tune once, train on every amount with every seed; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        size: a name from `SIZES`.
        amounts: steps of a run, batch x 32 new tokens each.
        seeds: of weights, data and order.
        tune_steps: amount at which the learning rate is tuned.
        batch: windows of 32 tokens per step.
        windows: held-out windows of the exam.
        prompts: per probe of the exam.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("size", [size], SIZES)
    if min(amounts, default=0) < 10:
        raise InputError(f"amounts are {list(amounts)}; each must be 10 steps or more")
    world = TaskWorld()
    exam = Exam(world, windows, prompts)
    settings = {
        "size": size,
        "tune_steps": tune_steps,
        "batch": batch,
        "context": CONTEXT,
        "windows": windows,
        "prompts": prompts,
        "mixture": MIXTURE,
        "floors": {task: floor._asdict() for task, floor in world.floors().items()},
        "weights": exam.weights,
    }

    def tuned(amount: int) -> dict[str, Any]:
        def final_loss(lr: float) -> float:
            made = run_one(size, TUNING_SEED, lr, tune_steps, batch, world, exam.short, count=1)
            return made["points"][-1]["loss"]

        return tune(SIZES[size].lr, final_loss)

    def run(amount: int, seed: int, lr: float) -> dict[str, Any]:
        return run_one(size, seed, lr, amount, batch, world, exam.sit, count=1)

    return carry_out(
        Record(out, "amounts", settings, command),
        [{"amount": amount} for amount in amounts],
        seeds,
        tuned,
        run,
        lambda made: f"loss {made['points'][-1]['loss']:.4f}",
        say,
        tuned_as=lambda case: size,
    )
