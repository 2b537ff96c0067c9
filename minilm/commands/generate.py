"""`minilm generate`: let a trained model go on with a text, token by token."""

import argparse
import itertools
import sys
from pathlib import Path

from minilm.commands._options import naming
from minilm.errors import InputError

HELP = "write text with a trained model"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `minilm generate` takes."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="what minilm train has saved")
    parser.add_argument("--prompt", default="", metavar="TEXT", help="what to go on with")
    parser.add_argument("--tokens", type=int, default=200, metavar="N", help="at most (200)")
    parser.add_argument("--temperature", type=float, default=0.8, metavar="T", help="0: greedy")
    parser.add_argument("--top-k", type=int, metavar="K", help="draw from the K likeliest")
    parser.add_argument("--top-p", type=float, metavar="P", help="draw from a share P")
    parser.add_argument(
        "--stop",
        action="append",
        default=[],
        metavar="TEXT",
        help="end before this text; may be given several times",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="another text (0)")
    parser.add_argument(
        "--weights",
        choices=("float32", "int8"),
        default="float32",
        help="int8: matrices in 8 bits, several times faster",
    )


def run(args: argparse.Namespace) -> int:
    """Write the text as it comes."""
    from minilm.inference import Rules, TextStream
    from minilm.inference.generate import endless
    from minilm.train import load

    with naming(temperature="--temperature", top_k="--top-k", top_p="--top-p"):
        rules = Rules(args.temperature, args.top_k, args.top_p)
    if args.tokens < 1:
        raise InputError(f"--tokens is {args.tokens}; it must be 1 or more")
    if args.seed < 0:
        raise InputError(f"--seed is {args.seed}; it must be 0 or more")
    if "" in args.stop:
        raise InputError("--stop is empty; it must be a text")
    model, tokenizer = load(args.folder)
    stop = list(tokenizer.special.values())
    ids = tokenizer.encode(args.prompt, disallowed_special=()) or stop[:1]
    if not ids:
        raise InputError("--prompt is empty; this model needs at least one character to begin with")
    text = TextStream(tokenizer, args.stop)
    ends = [*stop, *args.stop]
    written = endless(model, ids, args.tokens, rules, ends, args.seed, args.weights, tokenizer)
    first = next(written)  # a prompt that the model refuses is not echoed
    sys.stdout.write(args.prompt)
    for new in itertools.chain([first], written):
        if new not in stop:
            sys.stdout.write(text.feed(new))
            sys.stdout.flush()
    sys.stdout.write(text.finish() + "\n")
    return 0
