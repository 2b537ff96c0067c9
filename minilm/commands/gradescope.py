"""`minilm gradescope`: an autograder to upload to Gradescope."""

import argparse
from pathlib import Path

HELP = "write a set's autograder for Gradescope, one zip to upload there"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `minilm gradescope` takes."""
    parser.add_argument("--set", required=True, metavar="NN", help="exercise set, number or name")
    parser.add_argument("--hidden", type=Path, metavar="DIR", help="your own tests and secret")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="default: autograder-NN_slug.zip, here"
    )
    parser.add_argument("--root", type=Path, help="folder of the course; default: found from here")


def run(args: argparse.Namespace) -> int:
    """Write the zip."""
    from minilm.course.grade.autograder import write_autograder
    from minilm.course.grade.submissions import choose_set
    from minilm.course.places import Course

    course = Course(args.root) if args.root else Course.here()
    place = course.sets[choose_set(args.set, list(course.sets))]
    target = args.out or Path(f"autograder-{place.slug}.zip")
    path = write_autograder(place, args.hidden, target)
    print(f"written {path} ({path.stat().st_size / 1e6:.1f} MB)")
    print("It holds the secret of your hidden tests: upload it, and give it to nobody else.")
    return 0
