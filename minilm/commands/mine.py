"""`minilm mine`: a GPT made of the student's own functions, trained, certified, and talked to."""

import argparse
import datetime
import sys
from pathlib import Path
from typing import Any

from minilm.commands._options import course_at
from minilm.errors import InputError

HELP = "train a GPT made of your own functions, get its certificate, and talk to it"
PROMPTS = ("Return the ", "If the ", "class ")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `minilm mine` takes."""
    parser.add_argument("--steps", type=int, default=300, metavar="N", help="default 300")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="another model (0)")
    parser.add_argument("--out", type=Path, default=Path("runs/mine"), metavar="DIR")
    parser.add_argument("--talk", action="store_true", help="talk to the model that is there")
    parser.add_argument("--root", type=Path, help="folder of the course; default: found from here")


def run(args: argparse.Namespace) -> int:
    """Train, write the certificate; or talk."""
    from minilm.course.checking import own_gpt, progress
    from minilm.course.checking.own_model import own_parts
    from minilm.files import make_folder

    if args.seed < 0:
        raise InputError(f"--seed is {args.seed}; it must be 0 or more")
    top = course_at(args.root)
    done = progress.load(progress.progress_path(top.root))
    parts, troubles = own_parts(top, done)
    for trouble in troubles:
        print(f"left out: {trouble}")
    if args.talk:
        return _talk(own_gpt.load(args.out, parts))
    make_folder(args.out, "--out")
    own = own_gpt.train_gpt(parts, args.steps, args.seed, progress=sys.stderr.isatty())
    samples = {p: own.write(p, seed=args.seed + k) for k, p in enumerate(PROMPTS)}
    own_gpt.save(own, args.out)
    print(f"trained {len(own.losses)} steps: {own.losses[0]:.2f} -> {own.losses[-1]:.2f} nats")
    for prompt, text in samples.items():
        print(f"  {prompt!r} -> {text!r}")
    print(_certify(own, samples, progress.ledger(progress.course_sets(top), done), args.out))
    print(
        "talk to it with\n  minilm mine --talk"
        + f" --out {args.out}" * (str(args.out) != "runs/mine")
    )
    return 0


def _certify(own: Any, samples: dict[str, str], ledger: Any, folder: Path) -> Path:
    from minilm.course.publish.certificate import certificate
    from minilm.files import write_text

    target = folder / "certificate.html"
    when = datetime.datetime.now(datetime.UTC).date().isoformat()
    write_text(target, certificate(own, samples, ledger, when))
    return target


def _talk(own: Any) -> int:
    """Read lines and let the model go on with each; an empty one, or the end, leaves."""
    typed = sys.stdin.isatty()
    if typed:
        print("type the beginning of a sentence; an empty line leaves")
    seed = 0
    while True:
        try:
            line = input("> ") if typed else sys.stdin.readline()
        except (EOFError, KeyboardInterrupt):
            break
        line = line.rstrip("\n")
        if not line:
            break
        print(line + own.write(line, seed=seed), flush=True)
        seed += 1
    return 0
