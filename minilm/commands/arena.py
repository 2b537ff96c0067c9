"""`minilm arena`: two answers without names, your vote, and the board that follows."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from minilm.errors import InputError

HELP = "vote blind between models, and see the board with its intervals"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `minilm arena` takes."""
    parser.add_argument("folders", type=Path, nargs="+", metavar="DIR", help="saved models")
    parser.add_argument(
        "--votes", type=Path, default=Path("votes.jsonl"), metavar="FILE",
        help="where votes are kept; those in it count (votes.jsonl)",
    )  # fmt: skip
    parser.add_argument("--prompts", type=Path, metavar="FILE", help="a prompt a line")
    parser.add_argument("--tokens", type=int, default=128, metavar="N", help="of an answer (128)")
    parser.add_argument("--temperature", type=float, default=0.7, metavar="T", help="0: greedy")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="other answers (0)")


def run(args: argparse.Namespace) -> int:
    """Ask, show two answers, take a vote; the board at the end."""
    from minilm.align.talking import Speaker
    from minilm.align.voting import Ballots
    from minilm.commands._options import naming
    from minilm.inference import Rules

    for name, value, least in (("tokens", args.tokens, 1), ("seed", args.seed, 0)):
        if value < least:
            raise InputError(f"--{name} is {value}; it must be {least} or more")
    with naming(temperature="--temperature"):
        rules = Rules(args.temperature)
    ballots = Ballots([str(folder) for folder in args.folders], args.votes, args.seed)
    speakers = [Speaker(folder, args.tokens, rules, args.seed) for folder in args.folders]
    print("vote a, b or = for neither; an empty line skips, q ends and shows the board", flush=True)
    for prompt in _prompts(args.prompts):
        pair = ballots.pair()
        for letter, one in zip("ab", pair, strict=True):
            print(f"\n[{letter}] {speakers[one].answer(prompt)}", flush=True)
        said = _vote()
        if said is None:
            break
        if said:
            ballots.vote(*pair, said, prompt)
            print(f"a was {ballots.names[pair[0]]}, b was {ballots.names[pair[1]]}", flush=True)
    print("\n" + "\n".join(ballots.board()), flush=True)
    return 0


def _prompts(path: Path | None) -> Iterator[str]:
    """Prompts from a file, or as they are typed."""
    if path is not None:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path} cannot be read: {error}") from None
        for line in filter(str.strip, lines):
            print(f"\n> {line}", flush=True)
            yield line.strip()
        return
    while (line := _line("> ")) not in (None, "q"):
        if line:
            yield line


def _vote() -> str | None:
    """A vote, "" for none, or None to end."""
    while True:
        line = _line("a, b or =? ")
        if line is None or line == "q":
            return None
        if line in ("a", "b", "=", ""):
            return line
        print(f"{line!r} is no vote; it must be a, b, =, an empty line or q", flush=True)


def _line(ask: str) -> str | None:
    """What is typed next; None at the end."""
    if sys.stdin.isatty():
        try:
            return input(ask).strip()
        except EOFError:
            return None
    line = sys.stdin.readline()
    return line.strip() if line else None
