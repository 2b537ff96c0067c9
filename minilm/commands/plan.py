"""`minilm plan`: how to train a model of some size on a cluster, by an alpha-beta model."""

import argparse
import math
from typing import Any

from minilm.commands._options import naming
from minilm.errors import InputError

HELP = "plan the training of a model on a cluster: the best layouts, and what bounds each"
TOKENS = 2**22  # of a step, where no --batch is given


def number(text: str) -> float:
    """A number as people write it: 70e9, 7.5B, 350M, 1T."""
    scale = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}.get(text[-1:].upper(), 1)
    value = float(text[:-1] if scale > 1 else text) * scale
    if not math.isfinite(value):
        raise ValueError
    return value


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `minilm plan` takes."""
    add = parser.add_argument
    add("--params", type=number, default=7e9, metavar="N", help="70e9, 7.5B, 350M (7e9)")
    add("--gpus", type=int, default=64, metavar="N", help="devices of the cluster (64)")
    add("--machine", default="h100", metavar="NAME", help="a100 or h100 (h100)")
    add("--length", type=int, default=4096, metavar="T", help="tokens of a text (4096)")
    add("--batch", type=int, metavar="N", help="texts of a step (about 4 million tokens)")
    add("--experts", type=int, default=1, metavar="E", help="feed-forward nets a layer (1)")
    add("--chosen", type=int, metavar="K", help="how many of them a token meets (2)")
    add("--tokens", type=number, metavar="N", help="of the whole training: says how long")
    add("--layouts", type=int, default=5, metavar="N", help="how many to show (5)")


def run(args: argparse.Namespace) -> int:
    """Print the plan; the exit status is 1 where nothing fits."""
    with naming(devices="--gpus", parameters="--params", machine="--machine"):
        text, fits = plan(args)
    print(text)
    return 0 if fits else 1


def plan(args: argparse.Namespace) -> tuple[str, bool]:
    """The plan in words, and whether a layout fits.

    Raises:
        InputError: an argument is out of range.
    """
    from minilm.analysis import cluster

    for name in ("gpus", "length", "layouts", "experts"):
        if getattr(args, name) < 1:
            raise InputError(f"--{name} is {getattr(args, name)}; it must be at least 1")
    chosen = args.chosen or min(2, args.experts)
    if not 1 <= chosen <= args.experts:
        raise InputError(f"--chosen is {args.chosen}; it must lie between 1 and {args.experts}")
    batch = args.batch if args.batch is not None else _batch(args.gpus, args.length)
    if batch < 1:
        raise InputError(f"--batch is {batch}; it must be at least 1")
    if args.tokens is not None and args.tokens <= 0:
        raise InputError(f"--tokens is {args.tokens:g}; it must be above 0")
    machine = cluster.machine(args.machine)
    config = cluster.transformer_of(args.params, args.length, experts=args.experts)
    job = cluster.Job(config, args.length, batch, args.experts, chosen)
    lines = [_model(job), _cluster(machine, args.gpus), _step(job), ""]
    found, quickest, leanest = cluster.search(job, machine, args.gpus, args.layouts)
    if not found:
        return "\n".join([*lines, *_needed(job, machine, args.gpus, leanest)]), False
    lines += _table(found)
    best = found[0]
    if quickest.step < 0.98 * best.step:
        lines += ["", f"With endless memory {quickest.layout} would take {quickest.step:.3g} s, "
                  f"{1 - quickest.step / best.step:.0%} less, and hold "
                  f"{quickest.held / 1e9:,.0f} GB."]  # fmt: skip
    if args.tokens:
        days = args.tokens / best.tokens_per_second / 86400
        lines += ["", f"{args.tokens:.3g} tokens take {days:,.1f} days with the first layout."]
    return "\n".join(lines), True


def _batch(gpus: int, length: int) -> int:
    """Texts of about 4 million tokens: the odd factor of the devices times a power of two."""
    odd = gpus // (gpus & -gpus)
    return odd * 2 ** max(0, round(math.log2(max(1, TOKENS / length / odd))))


def _model(job: Any) -> str:
    s, c = job.sizes, job.config
    experts = f", {s.experts} experts of which a token meets {s.chosen}" if s.experts > 1 else ""
    return (
        f"model     {s.total / 1e9:,.4g}B parameters: {c.layers} layers, {c.channels:,} channels, "
        f"{c.heads} heads, feed-forward {s.width:,}{experts}"
    )


def _cluster(machine: Any, gpus: int) -> str:
    return (
        f"cluster   {gpus:,} {machine.name}: {machine.flops / 1e12:.0f} TFLOP/s, "
        f"{machine.memory / 1e9:.0f} GB; {machine.inside.bandwidth / 1e9:.0f} GB/s inside a node "
        f"of {machine.node}, {machine.between.bandwidth / 1e9:.0f} GB/s between"
    )


def _step(job: Any) -> str:
    return (
        f"step      {job.batch:,} texts of {job.length:,} tokens, {job.tokens / 1e6:.3g} million; "
        f"{job.flops():.3g} FLOPs"
    )


def _table(found: list[Any]) -> list[str]:
    head = (
        f"{'layout':24} {'ZeRO':>4} {'again':>9} {'micro':>5} {'step':>8} {'MFU':>5} "
        f"{'GB':>5}   bound by"
    )
    rows = []
    for p in found:
        shares = sorted(p.shares.items(), key=lambda item: -item[1])
        told = [f"{name} {share:.0%}" for name, share in shares if share >= 0.005]
        full = [f"memory {p.held / p.room:.0%} full"] if p.held > 0.85 * p.room else []
        rows.append(
            f"{p.layout!s:24} {p.layout.stage:>4} {p.layout.recompute:>9} {p.layout.micro:>5} "
            f"{p.step:>6.3g} s {p.mfu:>5.0%} {p.held / 1e9:>5.0f}   {', '.join(told + full)}"
        )
    return [head, *rows]


def _needed(job: Any, machine: Any, gpus: int, leanest: Any) -> list[str]:
    from minilm.analysis import cluster

    parts = ", ".join(
        f"{name} {size / 1e9:,.1f}" for name, size in leanest.memory.items() if size > 0
    )
    lines = [
        f"Nothing fits. The leanest layout, {leanest.layout} with ZeRO {leanest.layout.stage}, "
        f"holds {leanest.held / 1e9:,.1f} GB on a device ({parts}); {leanest.room / 1e9:,.1f} GB "
        "are there.",
    ]
    enough = cluster.smallest(job, machine, 2 * gpus)
    if enough:
        lines.append(f"Needed: {enough:,} devices like these, or devices of "
                     f"{leanest.held / machine.usable / 1e9:,.0f} GB each.")  # fmt: skip
    else:
        lines.append(
            f"Needed: devices of {leanest.held / machine.usable / 1e9:,.0f} GB each, or a smaller "
            "batch, shorter texts or a smaller model: more devices like these do not help."
        )
    return lines
