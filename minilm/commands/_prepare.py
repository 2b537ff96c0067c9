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
    from minilm.train import checkpoints
    from minilm.train.recipes import DEFAULT, find_recipe
    from minilm.train.warm import compiling

    if args.text is not None and args.corpus is not None:
        raise InputError("--text and --corpus were both given; choose one")
    if args.corpus not in (None, *CORPORA):
        raise InputError(f"--corpus is {args.corpus!r}; it must be {' or '.join(CORPORA)}")
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

    if args.text is None:
        documents: Sequence[str] = data.documents(name)
    else:
        with naming(path="--text"):
            documents = data.load_documents(args.text)
    size = sum(map(len, documents))
    if size < LEAST:
        raise InputError(f"the text has {size} characters; at least {LEAST} are needed to train")
    config = recipe.config(recipe.vocab_size)
    if config.kind != "decoder":
        raise InputError(
            f"the config's kind is {config.kind!r}; it must be 'decoder', which predicts the next "
            "token"
        )
    known, held_out = _divided(documents, size)
    asked = recipe.vocab_size
    if args.vocab is None:  # more would be learnt by heart than from examples
        asked = min(asked, BYTES + size // 64)
    with naming(**({} if args.vocab is None else {"vocab_size": "--vocab"})):
        special = [END] if args.fim is None else [END, *FIM_TOKENS]
        tokenizer, ids = _encoded(known, held_out, asked, config.context, size, special)
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
    for file, part in zip((TRAIN, HELD_OUT), ids):
        data.TokenFile.write(folder / file, part, tokenizer.vocab_size)
    many, unseen = len(documents) > 1, sum(map(len, held_out))
    what = f"{len(held_out)} of {len(documents)} documents are" if many else "the end is"
    fewer = f"; {recipe.vocab_size:,} were asked for, more than this text allows"
    print(
        f"{name}: {_amount(size)} of text; {what} held out ({_amount(unseen)})\n"
        f"vocabulary: {tokenizer.vocab_size:,} tokens of "
        f"{(size - unseen) / len(ids[0]):.1f} characters on average"
        + fewer
        * (tokenizer.vocab_size < recipe.vocab_size)
    )
    return folder


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
        tokenizer = train_bpe(known, max(asked, 256 + len(special)), special=special, fewer=True)
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
