"""The part of `minilm train` that learns to draw."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minilm.commands._options import naming
from minilm.errors import InputError
from minilm.files import try_folder

STEPS, BATCH, LR = 2000, 64, 2e-3
TEXT_ONLY = "text", "corpus", "config", "vocab", "dtype"  # options that are of no use here
BEGUN = "images", "size", "patch", "seed", "out"  # a resumed run has them


def draws(folder: Path) -> bool:
    """Whether a folder holds a run that learns to draw."""
    from minilm.diffusion.worlds import read_recipe

    try:
        return bool(read_recipe(folder))
    except (InputError, ValueError):
        return False


def train_images(args: argparse.Namespace) -> int:
    """Train a network that draws, or go on with one; says what to try next."""
    from minilm.diffusion import worlds
    from minilm.diffusion.training import fit, noisy_batches
    from minilm.train import checkpoints

    for name in TEXT_ONLY:
        if getattr(args, name) is not None:
            raise InputError(f"--{name} was given for a model of pictures; it is for text")
    if args.device != "cpu":
        raise InputError(f"--device is {args.device!r}; models of pictures train on the cpu")
    folder = _begun(args) if args.resume is None else args.resume
    if args.resume is not None:
        for name in BEGUN:
            if getattr(args, name) is not None:
                raise InputError(
                    f"--{name} was given with --resume; a resumed run goes on as it was begun, "
                    "only --steps and --minutes may change"
                )
    facts = worlds.read_recipe(folder)
    world = worlds.load_world(facts["images"], facts["model"]["side"], facts["seed"])
    config = worlds.config_of(facts["model"])
    model = worlds.build(config, facts["seed"])
    resume = (folder / checkpoints.STATE).is_file()
    minutes = args.minutes or (facts.get("minutes") if args.steps is None else None)
    steps = args.steps or (10**9 if minutes else facts["steps"])
    if resume and (taken := checkpoints.read_facts(folder).get("step", 0)) >= steps:
        print(f"{folder} has taken {taken:,} of {steps:,} steps and is finished")
        return 0
    print(
        f"{len(world.pictures):,} pictures of {config.side} by {config.side} pixels, "
        f"{config.tokens} patches each\nmodel: {model.num_parameters():,} parameters; "
        "Ctrl-C saves and stops",
        flush=True,
    )
    nothing = worlds.nothing_given(config)
    draw = noisy_batches(world.pictures, world.given, nothing, BATCH, facts["seed"])
    outcome = fit(
        model,
        draw,
        steps,
        lr=LR,
        minutes=minutes,
        out=folder,
        recipe=facts,
        resume=resume,
        report=_report,
    )
    if outcome.interrupted:
        print(f"go on with\n  minilm train --resume {folder}")
        return 130
    print(f"saved in {folder}\ntry next:\n  minilm draw {folder} {_example(world.names)}")
    return 0


def _begun(args: argparse.Namespace) -> Path:
    """A new folder with all that a resumed run needs."""
    from minilm.diffusion import worlds
    from minilm.train import checkpoints

    if args.seed is not None and args.seed < 0:
        raise InputError(f"--seed is {args.seed}; it must be 0 or more")
    seed, name = args.seed or 0, args.images
    folder = args.out if args.out is not None else Path("runs") / _file_name(name)
    try_folder(folder, "--out")
    with naming(out="--out"):
        checkpoints.refuse_taken(folder)
    with naming(images="--images", folder="--images", side="--size", patch="--patch"):
        world = worlds.load_world(name, args.size, seed)
        config = worlds.config_for(world, args.patch)
    facts = {
        "images": name if name in worlds.OWN else str(Path(name).resolve()),
        "names": world.names,
        "model": config.to_dict(),
        "seed": seed,
        "steps": args.steps or STEPS,
        "minutes": args.minutes,
    }
    with naming(out="--out"):
        checkpoints.begin(folder, None, None, facts)
    return folder


def _file_name(name: str) -> str:
    return re.sub(r"\W+", "-", Path(name).name).strip("-") or "pictures"


def _report(step: int, log: Any) -> Sequence[str]:
    losses = log.column("loss")[1][-50:]
    return [f"step {step:>6,}   loss {sum(losses) / len(losses):.4f}"]


def _example(names: Sequence[str]) -> str:
    if not names:
        return '"red ring left of blue bar"'
    return "2026" if "2" in names else f'"{names[0]}"'
