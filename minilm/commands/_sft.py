"""`minilm train --sft`: a trained model learns to answer from conversations."""

import argparse
import dataclasses
import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minilm.commands._options import naming
from minilm.commands._prepare import RUNS, name_of, set_aside
from minilm.errors import InputError

CHATS, BEGIN = "chats.jsonl", "begin.safetensors"  # what a run learns from and begins with
TEMPLATE_FILES = ("tokenizer_config.json", "chat_template.jinja")
ADAPTER = "adapter"  # folder, in PEFT's format
BATCH, EPOCHS, LEAST = 16, 3, 20  # rows of a step; of a run without --steps: epochs, steps
BITS, GROUP = 4, 64  # of a frozen weight with --qlora; weights that share a scale, at most
FOREIGN = ("text", "corpus", "config", "vocab", "minutes")  # options of training from nothing


@dataclass(frozen=True)
class Tuning:
    """What a folder says of a fine-tuning run, as `recipe.json` holds it."""

    sft: str
    template: str | None
    lora: int | None
    new: list[int]
    steps: int
    batch: int
    lr: float
    seed: int
    held_out: int
    bits: int | None = None  # of a frozen weight


def fine_tune(args: argparse.Namespace) -> int:
    """Begin or go on with a fine-tuning run."""
    folder = args.resume if args.resume is not None else _start(args)
    return _run(folder, args)


def is_tuning(folder: Path | None) -> bool:
    """Whether a folder holds a fine-tuning run."""
    from minilm.train import checkpoints

    path = None if folder is None else folder / checkpoints.RECIPE
    return path is not None and path.is_file() and "sft" in checkpoints.load_json(path)


def _check_options(args: argparse.Namespace) -> None:
    """Refuse what was typed and cannot be meant.

    Raises:
        InputError: it names the option.
    """
    from minilm.tokenizers.chat import FORMATS

    for name in FOREIGN:
        if getattr(args, name) is not None:
            raise InputError(f"--{name} was given with --sft; the model comes from --from as it is")
    if args.source is None:
        raise InputError("--from is missing; with --sft it must be the folder of a trained model")
    if args.lora is not None and args.qlora is not None:
        raise InputError(
            "--lora and --qlora were both given; --qlora R alone has adapters of rank R"
        )
    for name, value, least in (
        ("lora", args.lora, 1),
        ("qlora", args.qlora, 1),
        ("seed", args.seed, 0),
    ):
        if value is not None and value < least:
            raise InputError(f"--{name} is {value}; it must be {least} or more")
    if args.lr is not None and not 0 < args.lr < math.inf:
        raise InputError(f"--lr is {args.lr}; it must be more than 0 and finite")
    if args.template is not None and args.template not in FORMATS:
        raise InputError(f"--template is {args.template!r}; it must be one of {', '.join(FORMATS)}")


def _start(args: argparse.Namespace) -> Path:
    """Check everything, then write down what a resumed run needs; returns the folder."""
    from minilm.data import PackedBatches
    from minilm.data.chats import parse_chats
    from minilm.files import write_atomically
    from minilm.models import grow_vocabulary
    from minilm.tokenizers import read_template
    from minilm.tokenizers.chat import FORMATS
    from minilm.train import checkpoints

    _check_options(args)
    folder = RUNS / f"{name_of(args.sft)}-chat" if args.out is None else args.out
    if args.out is not None:
        with naming(out="--out"):
            checkpoints.refuse_taken(folder)
    with naming(path="--sft"):
        lines = _lines_of(args.sft)
        conversations = parse_chats(lines, args.sft)
    model, tokenizer = _load(args.source)
    if model.config.kind != "decoder":
        raise InputError(f"--from is a model of kind {model.config.kind!r}; it must be a decoder")
    own = read_template(args.source, tokenizer) if args.template is None else None
    name = None if own is not None else args.template or _template_of(args.source)
    form = own or FORMATS[name]
    new = [text for text in form.special if text not in tokenizer.special]
    tokenizer = tokenizer.with_special(form.special)
    rows = _encode(tokenizer, conversations, form, model.config.context, args.sft)
    packed = len(PackedBatches(rows, model.config.context, BATCH).rows)
    rank = args.lora if args.qlora is None else args.qlora
    tuning = Tuning(
        sft=str(args.sft),
        template=name,
        lora=rank,
        new=[tokenizer.special[text] for text in new],
        steps=args.steps or max(LEAST, math.ceil(EPOCHS * packed / BATCH)),
        batch=BATCH,
        lr=args.lr or (1e-3 if rank is None else 5e-3),
        seed=args.seed or 0,
        held_out=len(rows) // 20,
        bits=None if args.qlora is None else BITS,
    )
    model = grow_vocabulary(model, tokenizer.vocab_size)
    weights = model.state_dict()
    _adapted(model, tuning)  # what cannot be built is refused before a write
    if args.out is None:
        set_aside(folder)
    with naming(out="--out"):
        checkpoints.begin(folder, model.config, tokenizer, dataclasses.asdict(tuning))
    for file in TEMPLATE_FILES if own is not None else ():
        if (args.source / file).is_file():
            shutil.copyfile(args.source / file, folder / file)
    write_atomically(folder / CHATS, b"\n".join(lines))
    checkpoints.save_arrays(folder / BEGIN, weights, {})
    added = f"; new tokens {' '.join(new)}" if new else ""
    print(
        f"{args.sft}: {len(rows):,} conversations, {tuning.held_out:,} of them held out\n"
        f"format: {'its own template' if own is not None else name}{added}"
    )
    return folder


def _lines_of(name: str) -> list[bytes]:
    """The lines of a file of conversations, or of those that come with Python."""
    from minilm.data.chats import read_lines
    from minilm.data.questions import NAME, python_questions

    if name != NAME:
        return read_lines(name)
    return [json.dumps({"messages": messages}).encode() for messages in python_questions()]


def _load(folder: Path) -> tuple[Any, Any]:
    """The model and tokenizer of a folder of ours, or of Hugging Face's."""
    from minilm import tokenizers
    from minilm.train import checkpoints

    facts = {}
    if (folder / checkpoints.CONFIG).is_file():
        facts = checkpoints.load_json(folder / checkpoints.CONFIG)
    if "model_type" not in facts:
        return checkpoints.load(folder)
    from minilm.interop.hf import load_hf

    return load_hf(folder), tokenizers.load(folder)


def _template_of(folder: Path) -> str:
    """The format that a fine-tuned model has learnt, or the usual one."""
    from minilm.tokenizers.chat import FORMATS
    from minilm.train import checkpoints

    path = folder / checkpoints.RECIPE
    known = checkpoints.load_json(path).get("template") if path.is_file() else None
    return known if known in FORMATS else "chatml"


def _encode(tokenizer: Any, conversations: Any, form: Any, context: int, path: Any) -> list[Any]:
    from minilm.data import encode_chats

    return encode_chats(tokenizer, conversations, form, context, path)


def _adapted(model: Any, tuning: Tuning) -> Any:
    """The model with what trains: adapters and the rows of new tokens, or all of it."""
    from minilm import nn

    if tuning.bits is not None:
        nn.quantize_maps(model.stack, tuning.bits, _group(model.stack), double=True)
    if tuning.lora is not None:
        nn.add_lora(model, tuning.lora, seed=tuning.seed)
        if tuning.new:
            nn.train_rows(model, tuning.new)
    return model


def _group(stack: Any) -> int:
    """How many weights share a scale: `GROUP`, or the largest even number below it that fits.

    Raises:
        InputError: none divides what every linear map reads.
    """
    from minilm import nn

    widths = [m.in_features for m in stack.modules() if isinstance(m, nn.Linear)]
    fits = [n for n in range(2, GROUP + 1, 2) if math.gcd(*widths) % n == 0]
    if not fits:
        raise InputError(
            f"--qlora was given for maps that read {', '.join(map(str, sorted(set(widths))))} "
            "numbers; an even number must divide them all"
        )
    return fits[-1]


def _run(folder: Path, args: argparse.Namespace) -> int:
    """Fine-tune what a folder describes, from its last checkpoint if it has one."""
    from minilm import backend
    from minilm.align.sft import sft
    from minilm.align.talking import form_of
    from minilm.data import PackedBatches, read_chats
    from minilm.models import model_of
    from minilm.train import Plan, checkpoints
    from minilm.train.watch import PLOT, plot_loss

    config, tokenizer = checkpoints.load_config(folder), checkpoints.load_tokenizer(folder)
    facts = checkpoints.load_json(folder / checkpoints.RECIPE)
    try:
        tuning = Tuning(**facts)
    except TypeError:
        raise InputError(
            f"{folder / checkpoints.RECIPE} is not one of minilm train --sft"
        ) from None
    steps = args.steps or tuning.steps
    resume = (folder / checkpoints.STATE).is_file()
    if resume:
        step = checkpoints.read_facts(folder).get("step", 0)
        if Plan(steps).done(step, 0.0) >= 1:
            more = f"minilm train --resume {folder} --steps {2 * step}"
            print(f"{folder} has taken {step:,} of {steps:,} steps; train it longer with\n  {more}")
            return 0
    form = form_of(folder, tokenizer)
    rows = _encode(tokenizer, read_chats(folder / CHATS), form, config.context, folder / CHATS)
    order = backend.rng(tuning.seed, "held out").permutation(len(rows))
    unseen = [rows[i] for i in order[: tuning.held_out]]
    known = [rows[i] for i in order[tuning.held_out :]]
    model = model_of(config, allocate=False)
    model.load_state_dict(checkpoints.load_arrays(folder / BEGIN)[0])
    model.to(device=args.device)
    model = _adapted(model, tuning)
    batches = PackedBatches(known, config.context, tuning.batch, tuning.seed)
    print(
        f"model: {model.num_parameters():,} parameters, {model.num_parameters(True):,} of them "
        f"trained\ntraining: {steps:,} steps of {batches.batch} of {len(batches.rows):,} rows; "
        "Ctrl-C saves and stops",
        flush=True,
    )
    outcome = sft(
        model,
        known,
        steps,
        batch=tuning.batch,
        seed=tuning.seed,
        lr=tuning.lr,
        out=folder,
        tokenizer=tokenizer,
        recipe=facts,
        resume=resume,
        report=_reporter(model, unseen),
    )
    if outcome.interrupted:
        print(f"go on with\n  minilm train --resume {folder}")
        return 130
    if tuning.lora is not None:
        from minilm.interop.peft import save_peft

        save_peft(model, folder / ADAPTER)
    drawn = plot_loss(outcome.log, folder / PLOT)
    print(f"saved in {folder}" + (f"; {folder / PLOT} shows how it learnt" if drawn else ""))
    print(f"try next:\n  minilm chat {folder}")
    return 0


def _reporter(model: Any, unseen: list[Any]) -> Any:
    """What is printed now and then: the loss, also on conversations that are held out."""
    from minilm.align.sft import sft_loss
    from minilm.data import PackedBatches
    from minilm.tensor import no_grad

    exam = PackedBatches(unseen, model.config.context, 64)(0) if unseen else None

    def report(step: int, log: Any) -> Sequence[str]:
        losses = log.column("loss")[1][-20:]
        line = f"step {step:>6,}   loss {sum(losses) / len(losses):.3f}"
        if exam is not None:
            with no_grad():
                loss = sft_loss(model, exam).item()
            log.add(step=step, held_out=round(loss, 4))
            line += f"   held out {loss:.3f} nats per token"
        return [line]

    return report
