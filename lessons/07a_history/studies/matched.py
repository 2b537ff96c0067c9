"""Two sizes of model, read at the moment when their losses are equal: can they do the same?

    minilm study run 07a/matched --out matched.json

Ding (CS25 V4, 11:00-12:47; Du et al. 2024, arXiv 2403.15796): what a model can do depends on its
pre-training loss, and not on its size. Lesson 2's scaling study holds eight sizes along their
training; here two of them, 46,208 and 397,920 weights, are trained again with five fresh seeds, at
the rates tuned there. Each is read, while its rate is constant, where its loss on held-out text first
falls to `LEVEL`: the small one late in its training, the large one early.

Fixed before the first run: the level, the seven abilities (mean share right of each task's prompts),
and the rule. An ability differs if the sizes are `POINTS` points or more apart on average and the
95 % t interval of the five differences leaves out 0; the claim falls if more than one of seven
differs.

The level was 1.85 at first. In lesson 2's record one of three small runs never falls that low while its
rate is constant, so it became 1.90. The small one had 700 steps at first; its last test at a constant
rate would have come at step 504, where lesson 2's runs stand between 1.89 and 1.91, so it has 1,000.
Both before any run of this study.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from minilm.course.places import lesson_folder
from minilm.data.worlds.world import MIXTURE, TaskWorld
from minilm.studies.driver import carry_out, refuse_unknown
from minilm.studies.record import Record

STEPS = {"2x32": 1000, "3x96": 450}  # the last fifth, where the rate falls, is not used
LEVEL, POINTS = 1.90, 0.05
BATCH, TESTS = 32, 16


def source() -> Any:
    """Lesson 2's folder: the study that this one repeats in part."""
    return lesson_folder("02", Path(__file__).parent)


def abilities(point: dict[str, Any]) -> dict[str, float]:
    """Task -> share right, the mean of its probes (facts and grammar have four)."""
    if "right" in point:
        return point["right"]
    found: dict[str, list[float]] = {}
    for name, score in point["probes"].items():
        found.setdefault(name.split(" ")[0], []).append(score["accuracy"])
    return {task: sum(shares) / len(shares) for task, shares in found.items()}


def study(
    out: str,
    sizes: Sequence[str] = tuple(STEPS),
    seeds: Sequence[int] = (3, 4, 5, 6, 7),
    share: float = 1.0,
    prompts: int = 320,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Train and test both sizes with every seed; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        sizes: names from `STEPS`.
        seeds: of weights and texts; lesson 2 has used 0, 1 and 2.
        share: of the steps of `STEPS`.
        prompts: per probe of the exam.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("sizes", sizes, STEPS)
    scaling = source().study("scaling")
    known = source().recorded("scaling", whole=True).data["tuning"]
    world = TaskWorld()
    exam = scaling.Exam(world, prompts=prompts)
    settings = {"steps": int(STEPS["2x32"] * share), "share": share, "prompts": prompts,
                "batch": BATCH, "level": LEVEL, "points": POINTS}  # fmt: skip

    def run(size: str, seed: int, lr: float) -> dict[str, Any]:
        steps = int(STEPS[size] * share)
        made = scaling.run_one(
            size, seed, lr, steps, BATCH, world, exam.sit, count=TESTS, mixture=MIXTURE
        )
        for point in made["points"]:
            point["right"] = abilities(point)
            for part in ("probes", "losses", "identity_error"):
                del point[part]
        return made

    return carry_out(
        Record(out, "matched", settings, command),
        [{"size": size} for size in sizes],
        seeds,
        lambda size: known[size],
        run,
        lambda made: f"loss {made['points'][-1]['loss']:.4f}",
        say,
    )
