"""`minilm info`: what a checkpoint is, how it was trained, and what it is worth."""

import argparse
from pathlib import Path
from typing import Any

from minilm.commands._compare import comparison

HELP = "say what a saved model is and costs, and with --compare what it is worth"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `minilm info` takes."""
    parser.add_argument(
        "folder", type=Path, metavar="DIR", help="what minilm train or Hugging Face has saved"
    )
    parser.add_argument("--compare", action="store_true", help="bits per byte beside rivals'")


def run(args: argparse.Namespace) -> int:
    """Print it."""
    print("\n".join(facts(args.folder)))
    if args.compare:
        print(f"\n{comparison(args.folder)}")
    return 0


def facts(folder: Path) -> list[str]:
    """Lines about a checkpoint of ours, or about a folder of Hugging Face's.

    Raises:
        InputError: the folder holds no whole checkpoint.
    """
    from minilm.train import checkpoints
    from minilm.train.watch import LOG, read_log

    theirs = _hugging_face(folder)
    if theirs is not None:
        rows = {**of_config(theirs), "vocabulary": f"{theirs.vocab_size:,} tokens"}
        return _lines({**rows, "files": _files(folder)})
    model, tokenizer = checkpoints.load(folder)
    _, saved = checkpoints.load_arrays(folder / checkpoints.MODEL)
    rows = of_config(model.config, model.tokens.weight.data.itemsize)
    rows["vocabulary"] = f"{tokenizer.vocab_size:,} tokens"
    if "step" in saved:
        rows["trained"] = f"{saved['step']:,} steps in {saved['seconds'] / 60:.1f} minutes"
    log = read_log(folder / LOG)
    losses = [row["loss"] for row in log if "loss" in row][-50:]
    if losses:
        rows["loss"] = f"{sum(losses) / len(losses):.3f} nats per token, last {len(losses)} steps"
    bits = [row["bits_per_byte"] for row in log if "bits_per_byte" in row]
    if bits:
        rows["held out"] = f"{bits[-1]:.3f} bits per byte, when last measured"
    return _lines({**rows, "files": _files(folder)})


def of_config(config: Any, element: int = 2) -> dict[str, str]:
    """What a config says of a model: its size, its shape, and what a token costs.

    Args:
        config: a `minilm.models.Config`.
        element: bytes per number of the cache.
    """
    from minilm.analysis.accounting import count_parameters, kv_bytes_per_token

    counted = count_parameters(config)
    rows = {
        "model": f"{config.kind}, {counted.total:,} parameters",
        "shape": f"{config.layers} layers, {config.channels} channels, {config.heads} heads",
        "blocks": f"{config.norm} norm, {config.activation}, {config.positions} positions",
    }
    if extras := _extras(config):
        rows["also"] = ", ".join(extras)
    if config.experts is not None:
        share = f"{counted.active:,} parameters ({counted.active / counted.total:.1%})"
        chosen = f"{config.experts_per_token} of {config.experts} experts"
        rows["active"] = f"a token uses {chosen}, {share}"
    rows["context"] = f"{config.context} tokens"
    if config.window is not None:
        rows["context"] += f", of which a token sees {config.window}"
    if config.global_every is not None:
        every = config.global_every
        rows["context"] += f"; in layers {every}, {2 * every}, ... it sees all"
    if config.kind != "encoder":
        size = f"{kv_bytes_per_token(config, element):,} bytes per token"
        rows["cache"] = f"{size}, {element} bytes per number"
    rows["work"] = f"{_flops(config):,.0f} FLOPs per token forward, on average over a full context"
    return rows


def _extras(config: Any) -> list[str]:
    """What is done around attention beyond the Transformer of 2017."""
    found = []
    if config.norm_position not in ("pre", "post"):
        found.append(f"norm position {config.norm_position}")
    if config.qk_norm is not None:
        found.append(f"norms on queries and keys ({config.qk_norm})")
    if config.attention_bias == "qkv":
        found.append("biases on queries, keys and values only")
    if config.rope is not None and config.rope.fraction < 1:
        found.append(f"{config.rope.turned(config.D)} of {config.D} numbers of a head turn")
    for name, what in (("attention_cap", "scores"), ("logit_cap", "logits")):
        if getattr(config, name) is not None:
            found.append(f"{what} capped at {getattr(config, name):g}")
    return found


def _flops(config: Any) -> float:
    """FLOPs of a forward pass over a full context, per token of it."""
    from minilm.analysis.accounting import forward_flops

    n = config.context
    if config.kind == "encoder-decoder":  # source and target, each as long as it may be
        return forward_flops(config, n, n).total / (2 * n)
    if config.kind in ("prefix-lm", "glm"):  # no prefix: every token is predicted
        return forward_flops(config, 0, n).total / n
    return forward_flops(config, n).total / n


def _hugging_face(folder: Path) -> Any:
    """The config of a folder that `transformers` wrote; None for others."""
    from minilm.files import parse_json
    from minilm.interop.hf_config import config_from_hf

    path = folder / "config.json"
    try:
        fields = parse_json(path.read_bytes()) if path.is_file() else {}
    except ValueError:
        return None  # whoever reads it next says what is wrong
    if not isinstance(fields, dict) or "model_type" not in fields:
        return None
    return config_from_hf(fields)


def _files(folder: Path) -> str:
    return ", ".join(f"{p.name} {p.stat().st_size / 1e6:.2f} MB" for p in sorted(folder.iterdir()))


def _lines(rows: dict[str, str]) -> list[str]:
    return [f"{name:<11} {text}" for name, text in rows.items()]
