"""`minilm train`: text in, a trained model out, and what it was worth."""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minilm.commands import _ranks
from minilm.commands._compare import HELD_OUT, TRAIN, comparison
from minilm.commands._images import draws, train_images
from minilm.commands._options import naming
from minilm.commands._prepare import CORPORA, say_if_long, start, with_holes
from minilm.commands._sft import fine_tune, is_tuning
from minilm.errors import InputError

HELP = "train a model on the Python documentation, on text or pictures of yours, or to answer"

OPENINGS = {"python-docs": "Return the", "python-code": "def"}
TUNING = "sft", "source", "template", "lora", "qlora", "lr"  # options of fine-tuning
# A resumed run has all of these.
FIXED = "text", "corpus", "config", "vocab", "fim", "seed", "out", "dtype", *TUNING
NAMES = {"source": "from"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `minilm train` takes."""
    parser.add_argument("--text", metavar="PATH", help="a text file or a folder of them")
    parser.add_argument("--corpus", metavar="NAME", help="python-docs (default), python-code, DIR")
    parser.add_argument(
        "--images", metavar="NAME|DIR", help="digits, glyphs, sprites or a folder of pictures"
    )
    parser.add_argument("--size", type=int, metavar="N", help="pixels of a picture's side")
    parser.add_argument("--patch", type=int, metavar="P", help="pixels of a patch's side")
    parser.add_argument("--config", metavar="NAME|FILE", help="nano, micro, tiny, small or JSON")
    parser.add_argument("--vocab", type=int, metavar="N", help="tokens to learn from the text")
    parser.add_argument(
        "--fim", type=float, metavar="R", help="cut holes into this share of the text, such as 0.5"
    )
    parser.add_argument("--steps", type=int, metavar="N", help="steps in all")
    parser.add_argument("--minutes", type=float, metavar="M", help="train for this long instead")
    parser.add_argument("--seed", type=int, metavar="S", help="of weights and data order (0)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to save (runs/NAME)")
    parser.add_argument("--resume", type=Path, metavar="DIR", help="go on with what DIR holds")
    parser.add_argument("--sft", metavar="FILE", help="JSONL conversations, or python-questions")
    parser.add_argument("--from", dest="source", type=Path, metavar="DIR", help="a trained model")
    parser.add_argument("--template", metavar="NAME", help="chatml, llama2, llama3, zephyr, tulu")
    parser.add_argument("--lora", type=int, metavar="R", help="train adapters of rank R only")
    parser.add_argument("--qlora", type=int, metavar="R", help="the same over weights of 4 bits")
    parser.add_argument("--lr", type=float, metavar="X", help="learning rate of --sft")
    parser.add_argument(
        "--dtype",
        metavar="TYPE",
        help="float32 (default) or float64; on a GPU also bfloat16 and float16",
    )
    parser.add_argument(
        "--device", default="cpu", metavar="NAME", help="cpu (default), cuda, or cuda:N for GPU N"
    )
    _ranks.arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Train, compare, and say what to try next."""
    from minilm import backend

    with naming(dtype="--dtype", device="--device"):
        if args.dtype is not None:
            backend.precision(args.dtype, backend.on_gpu(args.device))
        backend.array_module(args.device)  # says at once where there is no GPU
    backend.keep_freed_memory()
    if args.minutes is not None and not 0 < args.minutes < math.inf:
        raise InputError(f"--minutes is {args.minutes}; it must be more than 0 and finite")
    if args.steps is not None and args.steps < 1:
        raise InputError(f"--steps is {args.steps}; it must be 1 or more")
    _refuse_mixed(args)
    if args.fim is not None and not 0 < args.fim <= 1:
        raise InputError(f"--fim is {args.fim}; it must be above 0 and at most 1")
    if args.fim is not None and (args.sft is not None or args.images is not None):
        raise InputError("--fim was given with --sft or --images; it is for training on text")
    if _ranks.is_spread(args):
        return _ranks.train_spread(args, _folder, _named_reporter)
    if args.sft is not None or is_tuning(args.resume):
        return fine_tune(args)
    if args.images is not None or (args.resume is not None and draws(args.resume)):
        return train_images(args)
    for name in ("size", "patch"):
        if getattr(args, name) is not None:
            raise InputError(f"--{name} was given without --images; it is for pictures")
    if args.resume is not None and _is_sharded(args.resume):
        return _ranks.train_spread(args, _folder, _named_reporter)
    return _train(_folder(args), args)


def _folder(args: argparse.Namespace) -> Path:
    """Where the run is, prepared."""
    return start(args) if args.resume is None else args.resume


def _is_sharded(folder: Path) -> bool:
    from minilm.parallel.shards import MANIFEST

    return (folder / MANIFEST).is_file()


def _named_reporter(model: Any, tokenizer: Any, held_out: Any, name: str) -> Any:
    return _reporter(model, tokenizer, held_out, OPENINGS.get(name, "The"))


def _refuse_mixed(args: argparse.Namespace) -> None:
    """Refuse options that a resumed run has already, and those of fine-tuning without it.

    Raises:
        InputError: it names the option.
    """
    for name in FIXED if args.resume is not None else ():
        if getattr(args, name) is not None:
            raise InputError(
                f"--{NAMES.get(name, name)} was given with --resume; a resumed run goes on as it "
                "was begun, only --steps, --minutes and --device may change"
            )
    for name in TUNING if args.sft is None else ():
        if getattr(args, name) is not None:
            raise InputError(f"--{NAMES.get(name, name)} was given without --sft, which it is for")


def _train(folder: Path, args: argparse.Namespace) -> int:
    """Train what a folder describes, from its last checkpoint if it has one."""
    from minilm import backend
    from minilm.data import TokenFile
    from minilm.models import Transformer
    from minilm.train import checkpoints, train
    from minilm.train.recipes import Recipe
    from minilm.train.watch import PLOT, plot_loss

    config = checkpoints.load_config(folder)
    tokenizer = checkpoints.load_tokenizer(folder)
    facts = checkpoints.load_json(folder / checkpoints.RECIPE)
    if not {"recipe", "name", "seed", "dtype"} <= facts.keys():
        raise InputError(f"{folder / checkpoints.RECIPE} was not written by minilm train")
    recipe = Recipe.from_dict(facts["recipe"])
    steps = args.steps or recipe.steps
    minutes = args.minutes or (facts.get("minutes") if args.steps is None else None)
    resume = (folder / checkpoints.STATE).is_file()
    if resume and (said := _is_finished(folder, steps, minutes)):
        print(said)
        return 0
    precision = backend.precision(facts["dtype"], backend.on_gpu(args.device))
    first = "float32" if precision.half else precision.name
    model = Transformer(config, seed=facts["seed"], dtype=first)
    model.to(device=args.device).to(dtype=precision.dtype)
    goal = f"{minutes:g} minutes" if minutes else f"{steps:,} steps"
    print(
        f"model: {model.num_parameters():,} parameters, {config.layers} layers of "
        f"{config.channels} channels, {config.context} tokens of context\n"
        f"training: {goal} of {recipe.batch * config.context * recipe.accumulate:,} tokens; "
        "Ctrl-C saves and stops",
        flush=True,
    )
    opening = OPENINGS.get(facts["name"], "The")
    text = TokenFile(folder / TRAIN)
    outcome = train(
        model,
        with_holes(text, tokenizer, recipe.batch, config.context, facts)
        if facts.get("fim")
        else text,
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
        print(f"go on with\n  minilm train --resume {folder}")
        return 130
    drawn = plot_loss(outcome.log, folder / PLOT)
    say_if_long((folder / TRAIN).stat().st_size, "comparing with other models")
    print(f"\n{comparison(folder)}\n")
    print(f"saved in {folder}" + (f"; {folder / PLOT} shows how it learnt" if drawn else ""))
    print(_what_next(folder, facts["name"], outcome.step, opening))
    return 0


def _is_finished(folder: Path, steps: int, minutes: float | None) -> str | None:
    """What to say of a run that has nothing left to do; None: it has."""
    from minilm.train import Plan, checkpoints

    facts = checkpoints.read_facts(folder)
    step, seconds = facts.get("step", 0), facts.get("seconds", 0.0)
    if Plan(steps, minutes=minutes).done(step, seconds) < 1:
        return None
    if minutes is not None and step < steps:
        has, more = f"has trained for its {minutes:g} minutes", f"--minutes {2 * minutes:g}"
    else:
        has, more = f"has taken {step:,} of {steps:,} steps", f"--steps {2 * step}"
    command = f"  minilm train --resume {folder} {more}"
    return f"{folder} {has} and is finished; train it longer with\n{command}"


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


def _what_next(folder: Path, name: str, steps: int, opening: str) -> str:
    tries = [f'minilm generate {folder} --prompt "{opening}"']
    if name in CORPORA:
        other = CORPORA[1 - CORPORA.index(name)]
        tries.append(f"minilm train --corpus {other}")
    tries += ["minilm train --text PATH-OF-YOURS", "minilm train --config tiny --minutes 15"]
    return "\n".join(["try next:", *(f"  {line}" for line in tries)])
