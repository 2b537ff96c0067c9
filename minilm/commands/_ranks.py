"""`minilm train` over many ranks: processes that mpiexec started, or threads of this one."""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from minilm.commands._compare import HELD_OUT, TRAIN, comparison
from minilm.errors import InputError

SIZES = ("dp", "tp", "pp", "cp")
MORE = ("pieces", "ulysses", "ep")
OPTIONS = (*SIZES, *MORE, "zero", "schedule", "micro", "recompute", "offload", "sequence")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of a run over ranks."""
    for name, what in (
        ("dp", "ranks that share the batch; under mpiexec, by default those left over"),
        ("tp", "ranks that share each matrix"),
        ("pp", "ranks that share the layers"),
        ("cp", "ranks that share each text"),
        ("ulysses", "of --cp, ranks that exchange heads; the others pass blocks round a ring"),
        ("ep", "of --dp, ranks that share the experts of a layer"),
        ("pieces", "stretches of layers on each --pp rank"),
    ):
        parser.add_argument(f"--{name}", type=int, metavar="N", help=what)
    parser.add_argument("--zero", type=int, metavar="STAGE", help="stage of ZeRO, 0 to 3")
    parser.add_argument("--schedule", metavar="NAME", help="gpipe, 1f1b, interleaved or zb-h1")
    parser.add_argument("--micro", type=int, metavar="M", help="micro-batches of a step")
    parser.add_argument("--recompute", metavar="HOW", help="none, selective or full")
    parser.add_argument("--offload", metavar="DIR", help="optimizer in files of DIR, or 'host'")
    parser.add_argument(
        "--sequence", action="store_true", default=None, help="cut by tokens, too, with --tp"
    )


def is_spread(args: argparse.Namespace) -> bool:
    """Whether a run is to be over ranks."""
    from minilm.parallel.mpi import launched

    return launched() or any(getattr(args, name) is not None for name in OPTIONS)


def train_spread(args: argparse.Namespace, prepare: Any, report: Any) -> int:
    """Train over ranks; returns the exit status.

    Args:
        args: what was typed.
        prepare: args -> the run's folder; called once.
        report: (model, tokenizer, held-out ids, opening) -> a report, as `Keep.report`.

    Raises:
        InputError: options that do not fit each other, the ranks, or the model.
    """
    from minilm.parallel import mpi, simulate

    for name in ("images", "sft"):
        if getattr(args, name) is not None:
            raise InputError(f"--{name} is given with ranks; over ranks a model trains on text")
    if args.fim is not None:
        raise InputError(f"--fim is {args.fim} with ranks; over ranks texts are read as they stand")
    if args.device != "cpu":
        raise InputError(
            f"--device is {args.device!r}; over ranks minilm train computes on the CPU, and "
            "minilm.parallel.nccl serves loops of your own"
        )
    if mpi.launched():
        return mpi.run(lambda comm: _worker(comm, args, prepare, report))
    spread = _spread(args, None)
    folder = prepare(args)
    ranks = spread.layout.ranks
    print(f"{ranks} simulated rank{'s' * (ranks > 1)}: {spread.layout}", flush=True)
    return simulate(lambda comm: _run(comm, args, folder, spread, report), ranks).values[0]


def _worker(comm: Any, args: argparse.Namespace, prepare: Any, report: Any) -> int:
    """A process of an MPI job; the first one prepares the text."""
    from minilm import backend
    from minilm.backend.machine import cores

    backend.blas_threads(max(1, cores() // comm.neighbours))
    spread = _spread(args, comm.size)
    said = json.dumps(str(prepare(args))).encode() if comm.rank == 0 else None
    given = None if said is None else np.frombuffer(said, np.uint8)
    folder = Path(json.loads(bytes(comm.broadcast(given))))
    if comm.rank == 0:
        print(f"{comm.size} processes: {spread.layout}", flush=True)
    return _run(comm, args, folder, spread, report)


def _spread(args: argparse.Namespace, ranks: int | None) -> Any:
    """What was typed about ranks.

    Raises:
        InputError: a number out of range, or a product that is not the number of processes.
    """
    from minilm.parallel import SCHEDULES
    from minilm.parallel.layout import Layout
    from minilm.parallel.share import RECOMPUTE
    from minilm.train.ranks import Spread

    for name, allowed in (
        ("schedule", SCHEDULES),
        ("recompute", RECOMPUTE),
        ("zero", range(4)),
    ):
        value = getattr(args, name)
        if value is not None and value not in allowed:
            raise InputError(
                f"--{name} is {value!r}; it must be one of {', '.join(map(str, allowed))}"
            )
    if args.micro is not None and args.micro < 1:
        raise InputError(f"--micro is {args.micro}; it must be at least 1")
    sizes = {name: getattr(args, name) for name in SIZES if getattr(args, name) is not None}
    more = {name: getattr(args, name) for name in MORE if getattr(args, name) is not None}
    if ranks is not None and "dp" not in sizes:
        rest = int(np.prod(list(sizes.values()) or [1]))
        sizes["dp"] = max(1, ranks // max(1, rest))
    layout = Layout(**sizes, **more, sequence=bool(args.sequence))
    if ranks is not None:
        layout.check_fit(ranks)
    return Spread(
        layout,
        args.zero or 0,
        args.schedule or ("interleaved" if layout.pieces > 1 else "1f1b"),
        args.micro or layout.pp,
        args.recompute or "none",
        overlap=layout.pp == 1,
        offload=args.offload,
    )


def _run(comm: Any, args: argparse.Namespace, folder: Path, spread: Any, report: Any) -> int:
    """Train what a folder describes, from its last checkpoint if it has one."""
    from minilm.data import TokenFile
    from minilm.models import Transformer
    from minilm.parallel.shards import MANIFEST, read_manifest
    from minilm.train import Plan, checkpoints
    from minilm.train.ranks import train_on_ranks
    from minilm.train.recipes import Recipe
    from minilm.train.watch import PLOT, plot_loss

    config = checkpoints.load_config(folder)
    tokenizer = checkpoints.load_tokenizer(folder)
    facts = checkpoints.load_json(folder / checkpoints.RECIPE)
    recipe = Recipe.from_dict(facts["recipe"])
    steps = args.steps or recipe.steps
    minutes = args.minutes or (facts.get("minutes") if args.steps is None else None)
    if (folder / checkpoints.STATE).is_file():
        raise InputError(f"{folder} holds the checkpoint of one process; resume it without ranks")
    resume = (folder / MANIFEST).is_file()
    if resume:
        known = read_manifest(folder)["facts"]
        if Plan(steps, minutes=minutes).done(known["step"], known["seconds"]) >= 1:
            if comm.rank == 0:
                more = f"minilm train --resume {folder} --steps {2 * known['step']}"
                taken = f"{folder} has taken {known['step']:,} steps and is finished"
                print(f"{taken}; train it longer with\n  {more}")
            return 0
    model = Transformer(config, seed=facts["seed"], dtype=facts["dtype"])
    if comm.rank == 0:
        goal = f"{minutes:g} minutes" if minutes else f"{steps:,} steps"
        print(
            f"model: {model.num_parameters():,} parameters, {config.layers} layers of "
            f"{config.channels} channels\n"
            f"training: {goal} of {recipe.batch * config.context * recipe.accumulate:,} tokens\n"
            f"if a rank is lost, minilm train --resume {folder} goes on from the last checkpoint",
            flush=True,
        )
    held_out = TokenFile(folder / HELD_OUT).tokens
    outcome = train_on_ranks(
        comm,
        model,
        TokenFile(folder / TRAIN),
        spread=spread,
        reporter=lambda whole: report(whole, tokenizer, held_out, facts["name"]),
        **{**recipe.training(), "steps": steps, "warmup": min(recipe.warmup, steps)},
        seed=facts["seed"],
        minutes=minutes,
        out=folder,
        tokenizer=tokenizer,
        recipe=facts,
        resume=resume,
    )
    if comm.rank > 0:
        return 0
    if outcome.interrupted:
        print(f"go on with\n  minilm train --resume {folder}")
        return 130
    plot_loss(outcome.log, folder / PLOT)
    print(f"\n{comparison(folder)}\n\nsaved in {folder}")
    return 0
