"""Who pays when a language model learns to see, and how many tokens does a picture need?

    minilm study run 07e/seeing --out seeing.json

A language model of 3 layers has read English and scenes told in words; an eye has learned by CLIP.
Then pictures take the place of the words, and what is trained differs:

    projector        two layers between eye and language model, both frozen
    all              the language model too
    mixed            the language model too, and half of every batch is text
    expert           copies of the language model's maps, for pictures' tokens only

All of these have 16 tokens a picture. With an expert, other projectors give 4:

    pooled, strided, queries 4, queries 4 taught, queries 4 longer

"taught" queries learned contrast, matching and telling first, for as many steps as an eye learns and
at a rate of their own, found on other seeds as that of the rest is; "longer" ones were not taught
and learn as many steps more with the rest. And with an expert and 16 tokens, other eyes: "paint"
learned to fill in covered patches, "none" learned nothing. (The record does not have these eyes.)
One language model and one eye are given to all. Measured: questions about 600 new scenes, text by
nats per word, and whether text alone gives the same logits to the last bit. The rate of "queries 4"
lies at the edge of the search.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minilm import nn
from minilm.backend import rng
from minilm.studies.driver import carry_out, refuse_unknown, shared
from minilm.studies.record import Record
from minilm.studies.runs import TUNING_SEED, tune
from minilm.tensor import no_grad
from minilm.vision.language import VisionLanguage
from minilm.vision.vit import seen

from .. import experiments as E

WAYS = {  # what learns, the projector, the eye
    "projector": ("projector", "mlp", "clip"),
    "all": ("all", "mlp", "clip"),
    "mixed": ("all", "mlp", "clip"),
    "expert": ("expert", "mlp", "clip"),
    "pooled": ("expert", "pooled", "clip"),
    "strided": ("expert", "strided", "clip"),
    "queries 4": ("expert", "queries 4", "clip"),
    "queries 4 taught": ("expert", "queries 4", "clip"),
    "queries 4 longer": ("expert", "queries 4", "clip"),
    "eye paint": ("expert", "mlp", "paint"),
    "eye none": ("expert", "mlp", "none"),
}
BASE = 0  # seed of the language model and of the eyes, which are given; the rest has its own
COUNT, POOL = 6000, 1000  # scenes to learn from, and their seed
EXAM = 600
GAMES = "rate of contrast, match and tell"  # an entry of the record
LATE = ("queries 4 taught", "queries 4 longer")  # recorded later, their search began lower


def study(
    out: str,
    ways: Sequence[str] = tuple(WAYS),
    seeds: Sequence[int] = (0, 1, 2),
    steps: int = 200,
    tune_steps: int = 60,
    text_steps: int = 900,
    eye_steps: int = 200,
    command: str = "",
    say: Callable[[str], Any] = print,
) -> dict[str, Any]:
    """Train, ask and read; go on with a file that exists.

    Args:
        out: JSON file to write or to go on with.
        ways: which to run.
        seeds: of new weights, batches and exams.
        steps: with pictures.
        tune_steps: of a tuning run.
        text_steps: of the language model's reading, before.
        eye_steps: of the eye, before.
        command: kept in the file.
        say: gets one line per run.

    Returns:
        The file's data.
    """
    refuse_unknown("ways", ways, WAYS)

    settings = {"steps": steps, "tune_steps": tune_steps, "text_steps": text_steps,
                "eye_steps": eye_steps}  # fmt: skip
    record = Record(out, "seeing", settings, command)

    def games_rate() -> float:
        """The rate of BLIP-2's three games, found once; the record keeps it."""
        if GAMES not in record.data:
            sight, pool = E.looked("clip", BASE, eye_steps, COUNT, POOL), E.talks(COUNT, POOL)
            held = E.looked("clip", BASE, eye_steps, 256, 800), E.talks(256, 800)

            def loss(lr: float) -> float:
                nn.manual_seed(TUNING_SEED)
                projector = E.make_projector("queries 4")
                E.pretrain_queries(projector, sight, pool, eye_steps, lr, TUNING_SEED)
                return E.games_loss(projector, *held, TUNING_SEED)

            record.keep(GAMES, shared(record, GAMES, lambda: tune(2e-3, loss, widest=4)))
        return record.data[GAMES]["lr"]

    def made(way: str, seed: int, lr: float, count: int) -> tuple[VisionLanguage, Any]:
        learns, kind, eye = WAYS[way]
        sight, pool = E.looked(eye, BASE, eye_steps, COUNT, POOL), E.talks(COUNT, POOL)
        language, frozen = E.language(BASE, text_steps), E.eye_of(eye, BASE, eye_steps)
        nn.manual_seed(seed)
        model = VisionLanguage(language, frozen, E.make_projector(kind), learns == "expert")
        if way.endswith("taught"):
            E.pretrain_queries(model.projector, sight, pool, eye_steps, games_rate(), seed)
        model.learn(learns)
        batches = E.shown_batches(sight, pool, seed)
        if way == "mixed":
            E.fit(model, mixed(batches, seed, pool), count, lr, loss=both)
        else:
            E.fit(model, batches, count, lr)
        return model, sight

    def tuned(model: str) -> dict[str, Any]:
        def loss(lr: float) -> float:
            trained, _ = made(model, TUNING_SEED, lr, tune_steps)
            pool = E.talks(512, 800)
            looks = E.looked(WAYS[model][2], BASE, eye_steps, 512, 800)
            with no_grad():
                return trained.loss(looks, pool.asked, pool.targets).item()

        return tune(2e-3 if model in LATE else 4e-3, loss, widest=4)

    def run(model: str, seed: int, lr: float) -> dict[str, Any]:
        text, pool = E.language(BASE, text_steps), E.talks(COUNT, POOL)
        exam = E.exam(EXAM, 500 + seed)
        began = time.process_time()
        count = steps + (eye_steps if model.endswith("longer") else 0)
        trained, _ = made(model, seed, lr, count)
        took = time.process_time() - began
        right = E.answers(trained, seen(trained.eye, exam.images), exam)
        window = E.english_batch(E.english()[2], 64, rng(seed, "same"))[:, :-1]
        with no_grad():
            same = np.array_equal(text(window).data, trained(window).data)
        return {
            "seed": seed,
            "lr": lr,
            "parameters": sum(p.data.size for p in trained.parameters() if p.requires_grad),
            "tokens": len(trained.text_places(exam.images[:1], np.zeros((1, 1), int))) - 3,
            "points": [{"step": count, **E.by_sort(right, exam)}],
            "text": E.text_loss(trained.language, seed),
            "text_before": E.text_loss(text, seed),
            "same_bits": bool(same),
            "captions": E.reads_captions(text, exam),
            "blind": E.blind(pool, exam)["right"],
            "cpu_seconds": took,
        }

    return carry_out(
        record,
        [{"model": way} for way in ways],
        seeds,
        tuned,
        run,
        lambda run: (
            f"right {run['points'][-1]['right']:.3f}, english {run['text']['english']:.3f} "
            f"was {run['text_before']['english']:.3f}, same {run['same_bits']}"
        ),
        say,
    )


def mixed(batches: Callable, seed: int, pool: E.Talks) -> Callable[[int], tuple]:
    """Half the rows of pictures and questions, and half of text: no more work than the others."""
    text = E.text_batches(seed + 7, pool)

    def draw(step: int) -> tuple:
        parts = *batches(step), *text(step)
        return tuple(part[::2] for part in parts)

    return draw


def both(model: VisionLanguage, batch: tuple) -> Any:
    """The mean of what pictures and what text cost."""
    sight, asked, targets, ids, following = batch
    return 0.5 * (model.loss(sight, asked, targets) + model.language.loss(ids, following))
