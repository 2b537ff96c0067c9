"""The stages one after the other; a run that was stopped goes on where it was."""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from minilm.data.clean.contamination import read_tests
from minilm.data.pipeline import cleaning, discover, documents, duplicates, shuffling, tokens
from minilm.data.pipeline.corpus import ABOUT, Corpus, about
from minilm.data.pipeline.settings import Settings
from minilm.data.pipeline.store import Store
from minilm.data.pipeline.tally import Tally
from minilm.errors import InputError
from minilm.files import make_folder, write_text

SETTINGS = "settings.json"
REPORT, CARD = "report.html", "data_card.md"
OLD = ".work-old"  # what a restart throws away
MADE = (ABOUT, REPORT, CARD, tokens.TOKENIZER, "train.tokens", "held_out.tokens")


class Workers(Protocol):
    """Who does the work: `workers.Processes` or `cluster.Cluster`."""

    def run(
        self, function: Callable[..., None], tasks: list[tuple], told: Callable[[], Any]
    ) -> None:
        """Call a function once for each task."""


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        name: also that of its folder.
        title: what it does, for people.
        whole: works on everything at once; None where `each` is given.
        each: works on one part or bucket, in any process.
        over: "parts" of the source or "buckets" of the corpus.
    """

    name: str
    title: str
    whole: Callable[[Store, Settings], None] | None = None
    each: Callable[[str, Settings, Any], None] | None = None
    over: str = "parts"


STAGES = (
    Stage("discover", "finding files", whole=discover.discover),
    Stage("decode", "reading text", each=documents.decode_part),
    Stage("yardstick", "learning what a token is", whole=documents.make_yardstick),
    Stage("filter", "filtering", each=documents.filter_part),
    Stage("exact", "exact duplicates", whole=duplicates.remove_exact),
    Stage("signatures", "signatures", each=duplicates.sign_part),
    Stage("near", "near duplicates", whole=duplicates.remove_near),
    Stage("redact", "personal data and secrets", each=cleaning.redact_part),
    Stage("decontaminate", "texts of tests", each=cleaning.decontaminate_part),
    Stage("split", "dividing", whole=shuffling.divide),
    Stage("gather", "shuffling", each=shuffling.gather_bucket, over="buckets"),
    Stage("vocabulary", "learning the vocabulary", whole=tokens.learn_vocabulary),
    Stage("tokenise", "tokens", each=tokens.tokenise_bucket, over="buckets"),
    Stage("tokens", "token files", whole=tokens.join_tokens),
)


def prepare(
    settings: Settings,
    out: str | Path,
    workers: Workers,
    told: Callable[[str, int, int], Any] = lambda title, done, total: None,
    restart: bool = False,
) -> Corpus:
    """Make a corpus out of folders of files, or go on making it.

    Args:
        settings: what is wanted.
        out: the folder of the corpus; its `work` folder holds what the stages hand on.
        workers: who does the work; it makes no difference to what comes out.
        told: called with a stage's title, the parts that are done and their number.
        restart: begin anew where `out` holds a run.

    Raises:
        InputError: settings that make no sense, a folder that holds something else or a run with
            other settings, or files of which nothing is left.
    """
    settings.check_values()
    if settings.tests:
        texts = json.dumps(read_tests(settings.tests)).encode()
        settings = dataclasses.replace(settings, tests_sha256=hashlib.sha256(texts).hexdigest())
    root = make_folder(out, "out")
    _begin(root, settings, restart)
    store = Store(root)
    store.sweep()
    try:
        for stage in STAGES:
            _go_through(stage, store, settings, workers, told)
    except InputError:
        if store.is_done("near"):  # the report says what became of the files
            _report(store, settings)
        raise
    store.sweep()  # what a worker that was killed left
    facts = about(store, settings)
    write_text(root / ABOUT, json.dumps(facts, indent=2, sort_keys=True) + "\n")
    _report(store, settings)
    return Corpus(root)


def _go_through(
    stage: Stage,
    store: Store,
    settings: Settings,
    workers: Workers,
    told: Callable[[str, int, int], Any],
) -> None:
    """Do of a stage what is not done yet."""
    if stage.whole is not None:
        told(stage.title, 0, 1)
        if not store.is_done(stage.name):
            stage.whole(store, settings)
        told(stage.title, 1, 1)
        return
    if stage.over == "buckets":
        names: list[Any] = shuffling.buckets(store)
    else:
        names = list(range(store.read_json("discover", "done")["parts"]))
    left = [name for name in names if not store.is_done(stage.name, name)]
    done = len(names) - len(left)
    told(stage.title, done, len(names))

    def one_more() -> None:
        nonlocal done
        done += 1
        told(stage.title, done, len(names))

    workers.run(stage.each, [(str(store.root), settings, name) for name in left], one_more)


def _begin(root: Path, settings: Settings, restart: bool) -> None:
    """See that a folder is free, or holds a run with these settings."""
    path = root / SETTINGS
    if restart and path.is_file():
        (root / ABOUT).unlink(missing_ok=True)  # from here on the corpus is not whole
        if (root / "work").is_dir():  # in one step: a half of it would be taken for work done
            shutil.rmtree(root / OLD, ignore_errors=True)
            (root / "work").rename(root / OLD)
        for old in {*root.glob("*-?????.jsonl"), *(root / name for name in MADE)}:
            old.unlink(missing_ok=True)
        path.unlink()
    shutil.rmtree(root / OLD, ignore_errors=True)
    if path.is_file():
        try:
            before = Settings.from_json(path.read_text(encoding="utf-8")).to_dict()
        except ValueError:
            raise InputError(
                f"out is {str(root)!r}, whose {SETTINGS} is damaged; begin anew with --restart"
            ) from None
        for name, value in json.loads(json.dumps(settings.to_dict())).items():
            held = json.loads(json.dumps(before[name]))
            if held != value:
                raise InputError(
                    f"out is {str(root)!r}, a run with {name} {_said(held)}, not {_said(value)}; "
                    "choose another folder, or begin anew with --restart"
                )
        return
    strange = sorted(one.name for one in root.iterdir() if not one.name.startswith("."))
    if strange:
        raise InputError(
            f"out is {str(root)!r}, which holds other files ({strange[0]}); it must be empty or a "
            "folder that minilm data made"
        )
    write_text(path, json.dumps(settings.to_dict(), indent=2, sort_keys=True) + "\n")


def _said(value: Any) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, (list, tuple)) else str(value)


def tallies(store: Store) -> dict[str, Tally]:
    """What each stage that is done has counted."""
    found = {}
    for stage in STAGES:
        if stage.whole is not None:
            if store.is_done(stage.name):
                facts = store.read_json(stage.name, "done")
                found[stage.name] = Tally.from_dict(facts["tally"]) if "tally" in facts else Tally()
            continue
        if stage.over == "buckets":
            if not store.is_done("split"):
                continue
            names: list[Any] = shuffling.buckets(store)
        else:
            names = list(range(store.read_json("discover", "done")["parts"]))
        if all(store.is_done(stage.name, name) for name in names):
            own = (Tally.from_dict(store.read_json(stage.name, name)) for name in names)
            found[stage.name] = Tally.total(own)
    return found


def _report(store: Store, settings: Settings) -> None:
    from minilm.data.pipeline.card import card
    from minilm.data.pipeline.report import page

    found = tallies(store)
    write_text(store.root / REPORT, page(settings, found))
    if store.is_done("tokens"):
        facts = json.loads((store.root / ABOUT).read_text(encoding="utf-8"))
        write_text(store.root / CARD, card(settings, found, facts))
