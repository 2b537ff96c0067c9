"""`minilm lamp`: a lamp that learns from what you say to it."""

import argparse
import math
import sys
from functools import partial
from pathlib import Path

from minilm.commands._options import naming
from minilm.errors import InputError

HELP = "talk to a lamp that learns when to light up"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `minilm lamp` takes."""
    parser.add_argument(
        "--state", type=Path, default=Path("lamp.npz"), metavar="FILE",
        help="what it has learnt (lamp.npz); a new lamp where there is no such file",
    )  # fmt: skip
    parser.add_argument(
        "--simulate", type=float, metavar="MINUTES",
        help="a household talks to a new lamp instead of you; prints a table, keeps nothing",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="another household (0)")
    parser.add_argument(
        "--noise", type=float, default=0.1, metavar="P", help="share of misspelt letters (0.1)"
    )
    parser.add_argument(
        "--device", metavar="PATH|COMMAND",
        help="a file that gets 1 or 0, or a command with {} in their place; no shell reads it",
    )  # fmt: skip
    parser.add_argument(
        "--window", type=float, default=10.0, metavar="SECONDS",
        help="how long a correction counts (10)",
    )  # fmt: skip
    parser.add_argument(
        "--budget", action="store_true",
        help="measure time, memory and state in a process of one core and 256 MB",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Talk, simulate, or measure."""
    if not 0 <= args.window < math.inf:
        raise InputError(f"--window is {args.window}; it must be 0 seconds or more")
    if args.seed < 0:
        raise InputError(f"--seed is {args.seed}; it must be 0 or more")
    if args.budget:
        from minilm.lamp.budget import measure, report

        print(report(measure()))
        return 0
    if args.simulate is not None:
        from minilm.lamp.simulate import table

        with naming(minutes="--simulate", noise="--noise"):
            print(table(args.seed, args.simulate, args.noise, args.window))
        return 0
    from minilm.lamp.drawing import drawing
    from minilm.lamp.keys import typed
    from minilm.lamp.state import load
    from minilm.lamp.switch import switch
    from minilm.lamp.talk import HELP as HOW
    from minilm.lamp.talk import talk

    with naming(device="--device", state="--state"):
        device = None if args.device is None else switch(args.device)
        lamp = load(args.state, args.window)
    colour = sys.stdout.isatty()
    say = partial(print, flush=True)
    say(f"{drawing(lamp.lit, colour)}\n{HOW}")
    if lamp.heard:
        say(f"{args.state} has heard {lamp.heard} sentences.")
    talk(lamp, typed(sys.stdin, sys.stdout), args.state, say, device, colour)
    return 0
