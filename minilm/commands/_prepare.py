"""The first part of `minilm train`: text to documents, vocabulary and ids, written down."""

import argparse
import dataclasses
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minilm.commands._compare import END, HELD_OUT, TRAIN
from minilm.commands._options import naming
from minilm.errors import InputError
from minilm.files import try_folder

CORPORA = ("python-docs", "python-code")
RUNS = Path("runs")
LEAST = 1000  # characters
HELD_OUT_SHARE, HELD_OUT_MOST = 0.05, 2_000_000  # characters that a model is tested on
LONG = 5_000_000  # characters from which each part of the work takes long enough to be named
BYTES = 257  # ids of the smallest vocabulary: every byte, and the end of a document
HOLE = 2  # a text with holes has this share of a context at most, so that most are read whole


def start(args: argparse.Namespace) -> Path:
    """Check what was typed, then read the text and write down all that a resumed run needs.

    Returns:
        The folder.

    Raises:
        InputError: a mistake in what was typed, or in the files that it names.
    """
    from minilm.data.pipeline.corpus import Corpus
    from minilm.train import checkpoints
    from minilm.train.recipes import DEFAULT, find_recipe
    from minilm.train.warm import compiling

    if args.text is not None and args.corpus is not None:
        raise InputError("--text and --corpus were both given; choose one")
    if args.corpus not in (None, *CORPORA) and not Corpus.is_one(args.corpus):
        raise InputError(
            f"--corpus is {args.corpus!r}; it must be {' or '.join(CORPORA)}, or a folder that "
            "minilm data made"
        )
    if args.seed is not None and args.seed < 0:
        raise InputError(f"--seed is {args.seed}; it must be 0 or more")
    if args.vocab is not None and args.vocab < BYTES:
        raise InputError(
            f"--vocab is {args.vocab}; it must be {BYTES} (every byte, and the end of a document) "
            "or more"
        )
    with naming(config="--config"):
        recipe = find_recipe(args.config or DEFAULT)
    if args.minutes is not None:
        recipe = dataclasses.replace(recipe, steps=10**9)
    for field, typed in (("steps", args.steps), ("vocab_size", args.vocab)):
        if typed is not None:
            recipe = dataclasses.replace(recipe, **{field: typed})
    name = args.corpus or CORPORA[0] if args.text is None else name_of(args.text)
    if args.text is None and name not in CORPORA:
        name = name_of(name)
    folder = args.out if args.out is not None else RUNS / name
    try_folder(folder, "--out")
    if args.out is not None:
        with naming(out="--out"):
            checkpoints.refuse_taken(folder)

    config = recipe.config(recipe.vocab_size)
    with compiling(config, args.dtype or "float32", args.device):
        return _prepare(args, recipe, folder, name)


def _prepare(args: argparse.Namespace, recipe: Any, folder: Path, name: str) -> Path:
    """The part of `start` that takes time."""
    from minilm import data
    from minilm.models import Transformer
    from minilm.tokenizers.infill import FIM_TOKENS
    from minilm.train import checkpoints

    config = recipe.config(recipe.vocab_size)
    if config.kind != "decoder":
        raise InputError(
            f"the config's kind is {config.kind!r}; it must be 'decoder', which predicts the next "
            "token"
        )
    special = [END] if args.fim is None else [END, *FIM_TOKENS]
    if args.corpus in (None, *CORPORA):
        text = _of_texts(args, recipe.vocab_size, name, config.context, special)
    else:
        text = _of_corpus(args, config.context, special)
    tokenizer = text.tokenizer
    config = recipe.config(tokenizer.vocab_size)
    Transformer(config, allocate=False)  # a config that cannot be built is refused before a write
    if args.out is None:
        set_aside(folder)
    seed = args.seed or 0
    facts: dict[str, Any] = {
        "name": name,
        "seed": seed,
        "dtype": args.dtype or "float32",
        "minutes": args.minutes,
    }
    if args.fim is not None:
        facts["fim"] = args.fim
    with naming(out="--out"):
        checkpoints.begin(folder, config, tokenizer, {**facts, "recipe": recipe.to_dict()})
    for file, part in zip((TRAIN, HELD_OUT), text.ids):
        data.TokenFile.write(folder / file, part, tokenizer.vocab_size)
    many = text.documents > 1
    what = f"{text.unseen} of {text.documents} documents are" if many else "the end is"
    fewer = f"; {recipe.vocab_size:,} were asked for, more than this text allows"
    print(
        f"{name}: {_amount(text.size)} of text; {what} held out ({_amount(text.unseen_size)})\n"
        f"vocabulary: {tokenizer.vocab_size:,} tokens of "
        f"{(text.size - text.unseen_size) / len(text.ids[0]):.1f} characters on average"
        + fewer
        * (tokenizer.vocab_size < recipe.vocab_size)
    )
    return folder


@dataclasses.dataclass(frozen=True)
class _Encoded:
    """A text as ids.

    Attributes:
        tokenizer: that made them.
        ids: to train on and held out.
        documents, unseen: all documents, and those that are held out.
        size, unseen_size: characters of both.
    """

    tokenizer: Any
    ids: Sequence[Any]
    documents: int
    unseen: int
    size: int
    unseen_size: int


def _of_texts(
    args: argparse.Namespace, asked: int, name: str, context: int, special: Sequence[str]
) -> _Encoded:
    """The text that --text names, or one that every machine has."""
    from minilm import data

    if args.text is None:
        documents: Sequence[str] = data.documents(name)
    else:
        with naming(path="--text"):
            documents = data.load_documents(args.text)
    size = sum(map(len, documents))
    if size < LEAST:
        raise InputError(f"the text has {size} characters; at least {LEAST} are needed to train")
    known, held_out = _divided(documents, size)
    if args.vocab is None:  # more would be learnt by heart than from examples
        asked = min(asked, BYTES + size // 64)
    with naming(**({} if args.vocab is None else {"vocab_size": "--vocab"})):
        tokenizer, ids = _encoded(known, held_out, asked, context, size, special)
    return _Encoded(tokenizer, ids, len(documents), len(held_out), size, sum(map(len, held_out)))


def _of_corpus(args: argparse.Namespace, context: int, special: Sequence[str]) -> _Encoded:
    """What `minilm data` made: its own tokens, or others where --vocab asks for them."""
    from minilm.data.pipeline.corpus import Corpus

    with naming(corpus="--corpus"):
        corpus = Corpus(args.corpus)
    sides = [corpus.facts[side] for side in ("train", "held_out")]
    size = sum(side["characters"] for side in sides)
    if args.vocab is None:
        tokenizer = corpus.tokenizer().with_special(special)
        ids = [corpus.tokens(side).tokens for side in ("train", "held_out")]
        if len(ids[0]) <= context:
            raise InputError(
                f"--corpus has {len(ids[0])} tokens to train on; a context of {context} needs at "
                f"least {context + 1}"
            )
    else:
        texts = [list(corpus.texts(side)) for side in ("train", "held_out")]
        with naming(vocab_size="--vocab"):
            tokenizer, ids = _encoded(*texts, args.vocab, context, size, special)
    documents = sum(side["documents"] for side in sides)
    return _Encoded(tokenizer, ids, documents, sides[1]["documents"], size, sides[1]["characters"])


def _divided(documents: Sequence[str], size: int) -> tuple[list[str], list[str]]:
    """Documents to train on and to test with; a bar runs while long ones are compared."""
    from minilm.data.held_out import hold_out
    from minilm.train.watch import make_bar

    bar = make_bar(size, 0, size >= LONG, unit="B", title="comparing documents")
    try:
        share = min(HELD_OUT_SHARE, HELD_OUT_MOST / size)
        return hold_out(documents, share, seed=0, told=bar.update)
    finally:
        bar.close()


def _encoded(
    known: list[str],
    held_out: list[str],
    asked: int,
    context: int,
    size: int,
    special: Sequence[str],
) -> tuple[Any, list[Any]]:
    """A tokenizer and the ids of both parts.

    Args:
        known: texts to learn the vocabulary from.
        held_out: texts to test with.
        asked: ids wanted. A text that repeats itself is soon a handful of long tokens, too few to
            train on: then half of the merges are given up, and half again.
        context: tokens that a model reads at once.
        size: characters in all.
        special: tokens beside those of the text.

    Raises:
        InputError: too little text even where every byte is a token.
    """
    from minilm import data
    from minilm.tokenizers import train_bpe

    while True:
        say_if_long(size, f"learning {asked:,} tokens from {_amount(size)}")
        if asked >= BYTES:  # less is a mistake in a recipe, which is refused below
            asked = max(asked, 256 + len(special))
        tokenizer = train_bpe(known, asked, special=special, fewer=True)
        say_if_long(size, f"encoding {_amount(size)}")
        ids = [data.encode_documents(tokenizer, texts) for texts in (known, held_out)]
        if len(ids[0]) > context and len(ids[1]) > 2:
            return tokenizer, ids
        if tokenizer.vocab_size <= 256 + len(special):
            raise InputError(
                f"the text has {len(ids[0])} tokens; a context of {context} needs at least "
                f"{context + 1}"
            )
        asked = BYTES + (tokenizer.vocab_size - BYTES) // 2


def with_holes(text: Any, tokenizer: Any, batch: int, context: int, facts: dict[str, Any]) -> Any:
    """Batches of a token file's documents with holes in them, in parts that fit the context."""
    from minilm import data

    end = tokenizer.special_id(END)
    parts = data.split_documents(text.tokens, end, context // HOLE, tokenizer)
    return data.InfillBatches(
        parts, tokenizer, batch, context, facts["seed"], facts["fim"], end=END
    )


def say_if_long(size: int, doing: str) -> None:
    """Name what takes a while, on stderr, where the text is long."""
    if size >= LONG:
        print(f"minilm: {doing}", file=sys.stderr, flush=True)


def _amount(characters: int) -> str:
    return f"{characters / 1e6:.2f} MB" if characters >= 100_000 else f"{characters / 1e3:.1f} kB"


def name_of(text: str) -> str:
    """What a run on a file, folder or pattern is called: its own name, fit to name a folder."""
    return re.sub(r"[^\w.-]+", "-", Path(text).resolve().stem).strip("-.") or "text"


def set_aside(folder: Path) -> None:
    """Free the name of a folder: what an earlier run left there gets another and is kept."""
    if folder.exists():
        number = 1
        while (kept := folder.with_name(f"{folder.name}-{number}")).exists():
            number += 1
        folder.rename(kept)
        print(f"{folder} was there already; it is now {kept}")
