"""`minilm complete`: a trained model fills the hole at a place in a file."""

import argparse
import re
from pathlib import Path

from minilm.commands._options import naming
from minilm.errors import InputError

HELP = "fill in code at a place in a file: minilm complete FILE:LINE[:COL] --model DIR"
SHOWN = 3  # lines on either side with --show


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `minilm complete` takes."""
    parser.add_argument(
        "place",
        metavar="FILE:LINE[:COL]",
        help="where: line and column count from 1; without a column, the end of the line",
    )
    parser.add_argument(
        "--model", type=Path, required=True, metavar="DIR", help="of minilm train --fim"
    )
    parser.add_argument("--tokens", type=int, default=48, metavar="N", help="at most (48)")
    parser.add_argument("--lines", type=int, metavar="N", help="end after N lines")
    parser.add_argument("--temperature", type=float, default=0.0, metavar="T", help="0: greedy")
    parser.add_argument("--order", default="psm", metavar="NAME", help="psm (default) or spm")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="another text (0)")
    parser.add_argument(
        "--show", action="store_true", help="print the lines around it, the new text in [[ ]]"
    )


def run(args: argparse.Namespace) -> int:
    """Print what the model puts there."""
    from minilm.inference.infilling import infill
    from minilm.inference.rules import Rules
    from minilm.train import load

    with naming(temperature="--temperature"):
        Rules(args.temperature)
    if args.lines is not None and args.lines < 1:
        raise InputError(f"--lines is {args.lines}; it must be 1 or more")
    if args.seed < 0:
        raise InputError(f"--seed is {args.seed}; it must be 0 or more")
    prefix, suffix = cut_at(args.place)
    model, tokenizer = load(args.model)
    with naming(tokens="--tokens", order="--order", model="--model"):
        text = infill(
            model, tokenizer, prefix, suffix, args.tokens, args.temperature, args.order, args.seed
        )
    if args.lines is not None:
        text = "\n".join(text.split("\n")[: args.lines])
    if args.show:
        before = "\n".join(prefix.split("\n")[-SHOWN - 1 :])
        print(f"{before}[[{text}]]" + "\n".join(suffix.split("\n")[: SHOWN + 1]))
    else:
        print(text)
    return 0


def cut_at(place: str) -> tuple[str, str]:
    """The text of FILE before and behind LINE:COL.

    Raises:
        InputError: no such place, or a file that is no text.
    """
    from minilm.data import load_text

    found = re.fullmatch(r"(.+?):(\d+)(?::(\d+))?", place)
    if found is None:
        raise InputError(f"place is {place!r}; it must be FILE:LINE or FILE:LINE:COL")
    name, line, column = found[1], int(found[2]), found[3] and int(found[3])
    if not Path(name).is_file():
        raise InputError(f"place is {place!r}; there is no file {name!r}")
    with naming(path="place"):
        lines = load_text(name).split("\n")
    if not 1 <= line <= len(lines):
        raise InputError(f"place names line {line}; {name} has lines 1 to {len(lines)}")
    at = len(lines[line - 1]) + 1 if column is None else column
    if not 1 <= at <= len(lines[line - 1]) + 1:
        most = len(lines[line - 1]) + 1
        raise InputError(f"place names column {at}; line {line} has columns 1 to {most}")
    here = lines[line - 1]
    return (
        "\n".join([*lines[: line - 1], here[: at - 1]]),
        "\n".join([here[at - 1 :], *lines[line:]]),
    )
