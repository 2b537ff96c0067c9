"""`minilm chat`: talk with a model that was fine-tuned on conversations."""

import argparse
import sys
from pathlib import Path
from typing import Any

from minilm.commands._options import naming
from minilm.errors import InputError

HELP = "talk with a model that minilm train --sft has taught to answer"
RESET, LEAVE = "/new", "/bye"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `minilm chat` takes."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="what minilm train --sft saved")
    parser.add_argument("--system", metavar="TEXT", help="what the model is told first")
    parser.add_argument("--tokens", type=int, default=256, metavar="N", help="of an answer (256)")
    parser.add_argument("--temperature", type=float, default=0.7, metavar="T", help="0: greedy")
    parser.add_argument("--top-k", type=int, metavar="K", help="draw from the K likeliest")
    parser.add_argument("--top-p", type=float, metavar="P", help="draw from a share P")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="other answers (0)")


def run(args: argparse.Namespace) -> int:
    """Read lines and answer each as the words come; a mistake in one ends nothing."""
    from minilm.align.talking import Talk, form_of
    from minilm.inference import Rules
    from minilm.train import load

    with naming(temperature="--temperature", top_k="--top-k", top_p="--top-p"):
        rules = Rules(args.temperature, args.top_k, args.top_p)
    for name, value, least in (("tokens", args.tokens, 1), ("seed", args.seed, 0)):
        if value < least:
            raise InputError(f"--{name} is {value}; it must be {least} or more")
    model, tokenizer = load(args.folder)
    form = form_of(args.folder, tokenizer)
    talk = Talk(model, tokenizer, form, args.system, args.tokens, rules, args.seed)
    if sys.stdin.isatty():
        print(f"{args.folder}: {RESET} forgets what was said, {LEAVE} or Ctrl-D leaves")
    while (line := _line()) is not None:
        if line == RESET:
            talk.forget()
        elif line:
            _answer(talk, line)
    return 0


def _line() -> str | None:
    """What is typed next; None at the end."""
    typed = sys.stdin.isatty()
    try:
        line = input("> ") if typed else sys.stdin.readline()
    except EOFError:
        print()
        return None
    if not typed and not line:
        return None
    line = line.strip()
    return None if line == LEAVE else line


def _answer(talk: Any, line: str) -> None:
    """Write an answer as it comes; Ctrl-C ends the answer and not the conversation."""
    pieces = talk.answer(line)
    try:
        for piece in pieces:
            sys.stdout.write(piece)
            sys.stdout.flush()
        print(flush=True)
    except KeyboardInterrupt:
        pieces.close()
        print(" ...", flush=True)
    except InputError as error:
        print(f"minilm: {error}", file=sys.stderr, flush=True)
