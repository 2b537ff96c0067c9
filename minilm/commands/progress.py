"""`minilm progress`: what is passed, and how much of minilm runs on the reader's own code."""

import argparse
from pathlib import Path
from typing import Any

from minilm.commands._options import course_at

HELP = "show what you have passed; --train trains a GPT made of your own code"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `minilm progress` takes."""
    parser.add_argument("--train", action="store_true", help="train a GPT made of your functions")
    parser.add_argument("--steps", type=int, default=100, metavar="N", help="default 100")
    parser.add_argument("--show", metavar="QUESTION", help="print the code that last passed")
    parser.add_argument("--root", type=Path, help="folder of the course; default: found from here")


def run(args: argparse.Namespace) -> int:
    """Print how far the student is; with --train, train on the student's functions."""
    from minilm.course.checking import progress
    from minilm.errors import InputError

    top = course_at(args.root)
    done = progress.load(progress.progress_path(top.root))
    if args.show:
        found = [qs[args.show] for qs in done.values() if qs.get(args.show, {}).get("source")]
        if not found:
            raise InputError(f"--show is {args.show!r}; no code that passed is kept under it")
        print(found[-1]["source"], end="")
        return 0
    sets = progress.course_sets(top)
    for one in sets:
        mine = done.get(one.name, {})
        passed = sum(progress.is_passed(one, q, done) for q in one.questions)
        earned = sum(mine.get(q.name, {}).get("points", 0) for q in one.questions)
        print(f"{one.name}: {passed} of {len(one.questions)} questions, ", end="")
        print(f"{earned:g} of {one.points:g} points")
        for question in one.questions:
            mark = "x" if progress.is_passed(one, question, done) else " "
            points = mine.get(question.name, {}).get("points", 0)
            print(f"  [{mark}] {question.name:20} {points:g}/{question.points:g}")
    ours, parts = progress.ledger(sets, done)
    print(f"{len(ours)} of {len(parts)} parts of minilm now run on your code", end="")
    print(f": {', '.join(ours)}" if ours else ".")
    return _train(top, done, args.steps) if args.train else 0


def _train(top: Any, done: dict, steps: int) -> int:
    from minilm.course.checking.own_model import own_parts, train_own

    parts, troubles = own_parts(top, done)
    for trouble in troubles:
        print(f"left out: {trouble}")
    losses, calls = train_own(parts, steps)
    print(f"trained {steps} steps: {losses[0]:.2f} -> {losses[-1]:.2f} nats per byte")
    for name, count in calls.items():
        said = f"{count} calls" if count else "not needed by this model"
        print(f"  {name}: {said}")
    return 0
