"""Passes and seconds: models that write pixels or tokens beside one that takes noise away."""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from minilm.backend import rng
from minilm.course.show.style import BLUE, ORANGE, VERMILION, figure
from minilm.diffusion.dit import DiT, DiTConfig, dit_flops
from minilm.diffusion.generate import draw_pictures
from minilm.inference import generate
from minilm.vision.sequence import Layout

from .experiments import CODES, LEVELS, PATCH, flops, make_writer

SIDES, STEPS = (8, 16, 32), 20  # pixels along each axis; passes of diffusion


class Painter(NamedTuple):
    """A way to draw pictures, and what one of them costs."""

    passes: int
    operations: float  # 2 per weight and token, without attention's products
    paint: Callable[[int, int], Any]  # (count, seed) -> pictures


class Raced(NamedTuple):
    """What drawing took: processor seconds for each picture, once per repeat."""

    passes: int
    operations: float
    seconds: list[float]


def painters(side: int) -> dict[str, Painter]:
    """Three ways to draw pictures of a side, with models of one width and depth.

    Nothing is trained: what a pass costs does not depend on what the weights have learned. The two
    that write run in the package's fast decoder, a whole token per call of compiled code.
    """
    layouts = {
        "pixels": Layout(LEVELS, 10, 1, side**2),
        "tokens": Layout(CODES, 10, 1, (side // PATCH) ** 2),
    }
    found: dict[str, Painter] = {}
    for name, layout in layouts.items():
        writer = make_writer(layout, 0)
        writer.eval()

        def write_some(count: int, seed: int, writer: Any = writer, layout: Layout = layout) -> Any:
            begin = [[layout.start, layout.codes + i % 10] for i in range(count)]
            return generate(writer, begin, layout.picture, seed=seed)

        found[name] = Painter(layout.picture, flops(layout, 1) / 3, write_some)
    config = DiTConfig(side, PATCH, width=48, layers=3, heads=4)
    model = DiT(config)

    def take_noise_away(count: int, seed: int) -> np.ndarray:
        return draw_pictures(model, np.arange(count) % 10, rng(seed, "painted"), STEPS)

    found["diffusion"] = Painter(STEPS, STEPS * dit_flops(config, 1) / 3, take_noise_away)
    return found


def race(count: int, repeats: int = 3) -> dict[int, dict[str, Raced]]:
    """side -> way -> what drawing `count` pictures at once took."""
    found: dict[int, dict[str, Raced]] = {}
    for side in SIDES:
        found[side] = {}
        for name, (passes, operations, paint) in painters(side).items():
            paint(1, 0)  # compiled and warm
            spent = []
            for repeat in range(repeats):
                began = time.process_time()
                paint(count, repeat)
                spent.append((time.process_time() - began) / count)
            found[side][name] = Raced(passes, operations, spent)
    return found


def picture(raced: Mapping[int, Mapping[int, Mapping[str, Raced]]]) -> None:
    """Milliseconds for a picture against its side, drawn alone and in a batch; and a table.

    Args:
        raced: pictures drawn at once -> side -> way -> what it took.
    """
    with figure(
        1, len(raced), alt="Time for one picture against its side. What is written takes longer in "
        "step with its tokens; diffusion begins slow and grows little until the picture is large."
    ) as axes:  # fmt: skip
        for ax, (count, sides) in zip(np.ravel(axes), raced.items(), strict=True):
            for name, paint in (("pixels", VERMILION), ("tokens", ORANGE), ("diffusion", BLUE)):
                spent = [1e3 * np.mean(row[name].seconds) for row in sides.values()]
                ax.plot(list(sides), spent, "o-", color=paint, label=name, linewidth=3)
            ax.set_title("drawn alone" if count == 1 else f"{count} together", fontsize=18)
            ax.set_xscale("log", base=2)
            ax.set_yscale("log")
            ax.set_xticks(list(sides), [str(side) for side in sides])
            ax.set_yticks([1, 10, 100], ["1", "10", "100"])
            ax.set_ylim(0.4, 500)
            ax.minorticks_off()
            ax.set_xlabel("pixels along a side")
        np.ravel(axes)[0].set_ylabel("ms of processor a picture")
        np.ravel(axes)[0].legend(fontsize=15)
    alone, side = raced[min(raced)], max(raced[min(raced)])
    print(f"{side} by {side} pixels, alone    passes  10^6 operations  10^9 a second")
    for name, (passes, operations, seconds) in alone[side].items():
        rate = operations / np.mean(seconds) / 1e9
        print(f"{name:24}{passes:>8,}{operations / 1e6:>17,.0f}{rate:>15.1f}")
