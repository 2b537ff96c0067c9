"""`minilm site`: the course as a static site."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "write the course as a static site that needs no network"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--out", type=Path, default=Path("site"), help="folder to write into")


def run(args: argparse.Namespace) -> int:
    """Write the site and say where it is."""
    from minilm.course.build.lessons import find_lessons
    from minilm.course.places import Course
    from minilm.course.publish.site import write_site
    from minilm.files import make_folder

    make_folder(args.out, "--out")
    site = write_site(find_lessons(), Course.here(), args.out)
    print(f"{len(site.lessons)} lessons, {len(site.hits)} entries to search")
    print(f"Open {args.out / 'index.html'}")
    return 0
