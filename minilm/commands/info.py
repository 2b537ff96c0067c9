"""`minilm info`: what a checkpoint is, how it was trained, and what it is worth."""

import argparse
from pathlib import Path

from minilm.commands._compare import comparison

HELP = "say what a saved model is, and with --compare what it is worth"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `minilm info` takes."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="what minilm train has saved")
    parser.add_argument("--compare", action="store_true", help="bits per byte beside rivals'")


def run(args: argparse.Namespace) -> int:
    """Print it."""
    print("\n".join(facts(args.folder)))
    if args.compare:
        print(f"\n{comparison(args.folder)}")
    return 0


def facts(folder: Path) -> list[str]:
    """Lines about a checkpoint.

    Raises:
        InputError: the folder holds no whole checkpoint.
    """
    from minilm.train import checkpoints
    from minilm.train.watch import LOG, read_log

    model, tokenizer = checkpoints.load(folder)
    config = model.config
    _, saved = checkpoints.load_arrays(folder / checkpoints.MODEL)
    rows = {
        "model": f"{config.kind}, {model.num_parameters():,} parameters",
        "shape": f"{config.layers} layers, {config.channels} channels, {config.heads} heads",
        "blocks": f"{config.norm} norm, {config.activation}, {config.positions} positions",
        "context": f"{config.context} tokens",
        "vocabulary": f"{tokenizer.vocab_size:,} tokens",
    }
    if "step" in saved:
        rows["trained"] = f"{saved['step']:,} steps in {saved['seconds'] / 60:.1f} minutes"
    log = read_log(folder / LOG)
    losses = [row["loss"] for row in log if "loss" in row][-50:]
    if losses:
        rows["loss"] = f"{sum(losses) / len(losses):.3f} nats per token, last {len(losses)} steps"
    bits = [row["bits_per_byte"] for row in log if "bits_per_byte" in row]
    if bits:
        rows["held out"] = f"{bits[-1]:.3f} bits per byte, when last measured"
    sizes = [f"{p.name} {p.stat().st_size / 1e6:.2f} MB" for p in sorted(folder.iterdir())]
    rows["files"] = ", ".join(sizes)
    return [f"{name:<11} {text}" for name, text in rows.items()]
