"""`minilm train`: text in, a trained model out, and what it was worth."""

import argparse
import dataclasses
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minilm.commands._compare import END, HELD_OUT, TRAIN, comparison
from minilm.errors import InputError

HELP = "train a model on the Python documentation, or on text of yours"

CORPORA = ("python-docs", "python-code")
RUNS = Path("runs")
LEAST = 1000  # characters
OPENINGS = {"python-docs": "Return the", "python-code": "def"}
FIXED = ("text", "corpus", "config", "seed", "out", "dtype")  # what a resumed run has already


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `minilm train` takes."""
    parser.add_argument("--text", metavar="PATH", help="a text file or a folder of them")
    parser.add_argument("--corpus", metavar="NAME", help="python-docs (default) or python-code")
    parser.add_argument("--config", metavar="NAME|FILE", help="nano, micro, tiny, small or JSON")
    parser.add_argument("--steps", type=int, metavar="N", help="steps in all")
    parser.add_argument("--minutes", type=float, metavar="M", help="train for this long instead")
    parser.add_argument("--seed", type=int, metavar="S", help="of weights and data order (0)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to save (runs/NAME)")
    parser.add_argument("--resume", type=Path, metavar="DIR", help="go on with what DIR holds")
    parser.add_argument(
        "--dtype",
        metavar="TYPE",
        help="float32 (default) or float64; on a GPU also bfloat16 and float16",
    )
    parser.add_argument(
        "--device", default="cpu", metavar="NAME", help="cpu (default), cuda, or cuda:N for GPU N"
    )


def run(args: argparse.Namespace) -> int:
    """Train, compare, and say what to try next."""
    from minilm import backend

    if args.dtype is not None:
        backend.precision(args.dtype, backend.on_gpu(args.device))
    backend.array_module(args.device)  # says at once where there is no GPU
    backend.keep_freed_memory()
    if args.minutes is not None and not 0 < args.minutes < math.inf:
        raise InputError(f"--minutes is {args.minutes}; it must be more than 0 and finite")
    if args.steps is not None and args.steps < 1:
        raise InputError(f"--steps is {args.steps}; it must be 1 or more")
    folder = _start(args) if args.resume is None else args.resume
    return _train(folder, args)


def _start(args: argparse.Namespace) -> Path:
    """Check what was typed, then read the text and write down all that a resumed run needs."""
    from minilm.train import checkpoints
    from minilm.train.recipes import DEFAULT, find_recipe
    from minilm.train.warm import compiling

    if args.text is not None and args.corpus is not None:
        raise InputError("--text and --corpus were both given; choose one")
    if args.corpus not in (None, *CORPORA):
        raise InputError(f"--corpus is {args.corpus!r}; allowed are {', '.join(CORPORA)}")
    seed = args.seed or 0
    if seed < 0:
        raise InputError(f"--seed is {seed}; it must be 0 or more")
    recipe = find_recipe(args.config or DEFAULT)
    if args.minutes is not None:
        recipe = dataclasses.replace(recipe, steps=10**9)
    if args.steps is not None:
        recipe = dataclasses.replace(recipe, steps=args.steps)
    name = args.corpus or CORPORA[0] if args.text is None else _name_of(args.text)
    folder = args.out if args.out is not None else RUNS / name
    if args.out is not None:
        checkpoints.refuse_taken(folder)

    config = recipe.config(recipe.vocab_size)
    with compiling(config, args.dtype or "float32", args.device):
        return _prepare(args, recipe, folder, name, seed)


def _prepare(args: argparse.Namespace, recipe: Any, folder: Path, name: str, seed: int) -> Path:
    """The part of `_start` that takes time: text to documents, vocabulary and ids, written down."""
    from minilm import data
    from minilm.data.held_out import hold_out
    from minilm.models import Transformer
    from minilm.tokenizers import train_bpe
    from minilm.train import checkpoints

    documents = data.documents(name) if args.text is None else data.load_documents(args.text)
    size = sum(map(len, documents))
    if size < LEAST:
        raise InputError(f"the text has {size} characters; at least {LEAST} are needed to train")
    known, held_out = hold_out(documents, seed=0)
    vocabulary = min(recipe.vocab_size, 257 + size // 64)
    tokenizer = train_bpe(known, vocabulary, special=[END])
    config = recipe.config(tokenizer.vocab_size)
    ids = [data.encode_documents(tokenizer, texts) for texts in (known, held_out)]
    if len(ids[0]) <= config.context:
        raise InputError(
            f"the text has {len(ids[0])} tokens; a context of {config.context} needs at least "
            f"{config.context + 1}"
        )
    if config.kind != "decoder":
        raise InputError(
            f"the config's kind is {config.kind!r}; minilm train predicts the next token, which "
            "takes kind 'decoder'"
        )
    Transformer(config, allocate=False)  # a config that cannot be built is refused before a write
    if args.out is None:
        _set_aside(folder)
    facts = {"name": name, "seed": seed, "dtype": args.dtype or "float32", "minutes": args.minutes}
    checkpoints.begin(folder, config, tokenizer, {**facts, "recipe": recipe.to_dict()})
    for file, part in zip((TRAIN, HELD_OUT), ids):
        data.TokenFile.write(folder / file, part, tokenizer.vocab_size)
    many = len(documents) > 1
    what = f"{len(held_out)} of {len(documents)} documents are" if many else "the end is"
    print(
        f"{name}: {_amount(size)} of text; {what} held out ({_amount(sum(map(len, held_out)))})\n"
        f"vocabulary: {tokenizer.vocab_size:,} tokens of "
        f"{(size - sum(map(len, held_out))) / len(ids[0]):.1f} characters on average"
    )
    return folder


def _amount(characters: int) -> str:
    return f"{characters / 1e6:.2f} MB" if characters >= 100_000 else f"{characters / 1e3:.1f} kB"


def _name_of(text: str) -> str:
    """What a run on a file, folder or pattern is called: its own name, fit to name a folder."""
    return re.sub(r"[^\w.-]+", "-", Path(text).resolve().stem).strip("-.") or "text"


def _train(folder: Path, args: argparse.Namespace) -> int:
    """Train what a folder describes, from its last checkpoint if it has one."""
    from minilm import backend
    from minilm.data import TokenFile
    from minilm.models import Transformer
    from minilm.train import checkpoints, train
    from minilm.train.recipes import Recipe
    from minilm.train.watch import PLOT, plot_loss

    if args.resume is not None:
        for name in FIXED:
            if getattr(args, name) is not None:
                raise InputError(
                    f"--{name} was given with --resume; a resumed run goes on as it was begun, "
                    "only --steps, --minutes and --device may change"
                )
    config = checkpoints.load_config(folder)
    tokenizer = checkpoints.load_tokenizer(folder)
    facts = checkpoints.load_json(folder / checkpoints.RECIPE)
    if not {"recipe", "name", "seed", "dtype"} <= facts.keys():
        raise InputError(f"{folder / checkpoints.RECIPE} was not written by minilm train")
    recipe = Recipe.from_dict(facts["recipe"])
    steps = args.steps or recipe.steps
    minutes = args.minutes or (facts.get("minutes") if args.steps is None else None)
    precision = backend.precision(facts["dtype"], backend.on_gpu(args.device))
    first = "float32" if precision.half else precision.name
    model = Transformer(config, seed=facts["seed"], dtype=first)
    model.to(device=args.device).to(dtype=precision.dtype)
    resume = (folder / checkpoints.STATE).is_file()
    goal = f"{minutes:g} minutes" if minutes else f"{steps:,} steps"
    print(
        f"model: {model.num_parameters():,} parameters, {config.layers} layers of "
        f"{config.channels} channels, {config.context} tokens of context\n"
        f"training: {goal} of {recipe.batch * config.context * recipe.accumulate:,} tokens; "
        "Ctrl-C saves and stops",
        flush=True,
    )
    opening = OPENINGS.get(facts["name"], "The")
    outcome = train(
        model,
        TokenFile(folder / TRAIN),
        **{**recipe.training(), "steps": steps, "warmup": min(recipe.warmup, steps)},
        seed=facts["seed"],
        minutes=minutes,
        out=folder,
        tokenizer=tokenizer,
        recipe=facts,
        resume=resume,
        report=_reporter(model, tokenizer, TokenFile(folder / HELD_OUT).tokens, opening),
    )
    if outcome.interrupted:
        print(
            f"stopped after step {outcome.step}, everything is saved; go on with\n"
            f"  minilm train --resume {folder}"
        )
        return 130
    drawn = plot_loss(outcome.log, folder / PLOT)
    print(f"\n{comparison(folder)}\n")
    print(f"saved in {folder}" + (f"; {folder / PLOT} shows how it learnt" if drawn else ""))
    print(_what_next(folder, facts["name"], outcome.step, opening))
    return 0


def _reporter(model: Any, tokenizer: Any, held_out: Any, opening: str) -> Any:
    """What `train` prints now and then: figures, and a line the model writes."""
    from minilm.inference import generate
    from minilm.train import bits_per_byte

    stop = list(tokenizer.special.values())
    prompt = tokenizer.encode(opening)
    count = min(48, model.config.context - len(prompt))

    def report(step: int, log: Any) -> Sequence[str]:
        bits = bits_per_byte(model, held_out, tokenizer.byte_lengths, overlap=0, limit=20_000)
        log.add(step=step, bits_per_byte=round(bits, 4))
        losses = log.column("loss")[1][-50:]
        new = generate(model, prompt, count, temperature=0.8, top_k=40, stop=stop, seed=step)
        text = tokenizer.decode([i for i in new if i not in stop])
        line = " ".join((opening + text).split())
        return [
            f"step {step:>6,}   loss {sum(losses) / len(losses):.3f}   "
            f"held out {bits:.3f} bits per byte",
            f"            {line[:100]}",
        ]

    return report


def _set_aside(folder: Path) -> None:
    """Free the name of a folder: what an earlier run left there gets another and is kept."""
    if folder.exists():
        number = 1
        while (kept := folder.with_name(f"{folder.name}-{number}")).exists():
            number += 1
        folder.rename(kept)
        print(f"{folder} was there already; it is now {kept}")


def _what_next(folder: Path, name: str, steps: int, opening: str) -> str:
    tries = [f'minilm generate {folder} --prompt "{opening}"']
    if name in CORPORA:
        other = CORPORA[1 - CORPORA.index(name)]
        tries.append(f"minilm train --corpus {other}")
    tries += ["minilm train --text PATH-OF-YOURS", "minilm train --config tiny --minutes 15"]
    return "\n".join(["try next:", *(f"  {line}" for line in tries)])
