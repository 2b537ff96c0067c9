"""`minilm data`: folders of files in, a corpus to train on out, and a page that tells the rest."""

import argparse
import sysconfig
from pathlib import Path
from typing import Any

from minilm.commands._options import naming
from minilm.errors import InputError

HELP = "make a corpus of your files: filtered, without duplicates and secrets, tokenised"

FILTERS = ("longest_line", "mean_line", "alphanumeric", "least_comments", "most_comments",
           "fertility")  # fmt: skip
NAMES = {
    "out": "--out", "licences": "--licences", "languages": "--languages", "largest": "--largest",
    "threshold": "--threshold", "held_out": "--held-out", "vocabulary": "--vocab",
    "seed": "--seed", "part": "--part", "processes": "--processes", "dask": "--dask",
    "tests": "--tests", **{name: f"--{name.replace('_', '-')}" for name in FILTERS},
}  # fmt: skip
ORPHANS = Path("runs")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `minilm data` takes."""
    parser.add_argument(
        "folders", nargs="*", type=Path, metavar="FOLDER",
        help="folders of files (without any: the source of Python's standard library)",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to write (runs/data)")
    parser.add_argument("--processes", type=int, metavar="N", help="that work (one a core)")
    parser.add_argument(
        "--dask", metavar="ADDRESS", help="work on a Dask cluster, or on local:N processes of one"
    )
    parser.add_argument("--restart", action="store_true", help="begin anew where DIR holds a run")
    parser.add_argument(
        "--licences", default="open", metavar="WHICH",
        help="open (default: permissive or none found), permissive, any",
    )  # fmt: skip
    parser.add_argument("--languages", default="", metavar="A,B", help="only these, as python,c")
    parser.add_argument(
        "--tests", action="append", default=[], metavar="FILE",
        help="text or JSON whose texts must not occur in the corpus; can be repeated",
    )  # fmt: skip
    parser.add_argument("--threshold", type=float, default=0.7, metavar="J",
                        help="similarity of near duplicates (0.7)")  # fmt: skip
    parser.add_argument("--held-out", type=float, default=0.05, metavar="SHARE",
                        help="of the text, to test on (0.05)")  # fmt: skip
    parser.add_argument("--vocab", type=int, default=8192, metavar="N", help="tokens (8192)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of order and split (0)")
    parser.add_argument("--largest", type=int, default=1_000_000, metavar="BYTES",
                        help="of a file that is read (1000000)")  # fmt: skip
    parser.add_argument("--part", type=int, default=4_000_000, metavar="BYTES",
                        help="of files that are worked on at a time (4000000)")  # fmt: skip
    for name in FILTERS:
        what = f"another bound of a filter: {name.replace('_', ' ')}"
        parser.add_argument(NAMES[name], type=float, metavar="X", help=what)


def run(args: argparse.Namespace) -> int:
    """Go through the stages and say what came out."""
    from minilm.data.pipeline.run import CARD, REPORT, prepare
    from minilm.data.pipeline.settings import Settings

    settings = Settings(
        roots=tuple(str(folder.resolve()) for folder in args.folders) or (_library(),),
        licences=args.licences,
        languages=tuple(sorted({part for part in args.languages.split(",") if part})),
        largest=args.largest,
        threshold=args.threshold,
        filters={name: value for name in FILTERS if (value := getattr(args, name)) is not None},
        tests=tuple(str(Path(path).resolve()) for path in args.tests),
        held_out=args.held_out,
        vocabulary=args.vocab,
        seed=args.seed,
        part=args.part,
    )
    out = args.out if args.out is not None else ORPHANS / "data"
    bar = _Bar()
    with naming(**NAMES):
        settings.check_values()
        if settings.tests:
            from minilm.data.clean.contamination import read_tests

            read_tests(args.tests)  # says at once what is wrong with them
        with _workers(args) as workers:
            try:
                corpus = prepare(settings, out, workers, bar.told, args.restart)
            finally:
                bar.close()
    train, held = corpus.facts["train"], corpus.facts["held_out"]
    print(
        f"{train['documents']:,} documents to train on ({train['bytes'] / 1e6:.2f} MB, "
        f"{train['tokens']:,} tokens), {held['documents']:,} held out "
        f"({held['bytes'] / 1e6:.2f} MB, {held['tokens']:,} tokens)\n"
        f"{out / REPORT} shows what became of the files, {out / CARD} tells it in short\n"
        f"try next:\n  minilm train --corpus {out}"
    )
    return 0


def _library() -> str:
    """The folder of the standard library's source.

    Raises:
        InputError: this Python comes without it.
    """
    folder = Path(sysconfig.get_path("stdlib"))
    if not any(folder.glob("*.py")):
        raise InputError(
            "folders are not given, and this Python lacks the source of its library; name a folder"
        )
    return str(folder)


def _workers(args: argparse.Namespace) -> Any:
    """Who does the work.

    Raises:
        InputError: processes and a cluster were both asked for, or neither can be had.
    """
    if args.dask is not None:
        if args.processes is not None:
            raise InputError("--processes and --dask were both given; choose one")
        from minilm.data.pipeline.cluster import Cluster

        return Cluster(args.dask)
    from minilm.backend.machine import cores
    from minilm.data.pipeline.workers import Processes

    return Processes(args.processes if args.processes is not None else cores())


class _Bar:
    """One line a stage on a terminal, rewritten as its parts are done; elsewhere one line each."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._title = ""

    def told(self, title: str, done: int, total: int) -> None:
        from minilm.train.watch import make_bar

        if title != self._title:
            self.close()
            self._title = title
            self._bar = make_bar(total, done, True, unit="part", title=f"{title:<26}")
        else:
            self._bar.update(done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
