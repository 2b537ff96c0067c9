"""The table that says what a model is worth: bits per byte beside those of its rivals."""

from pathlib import Path
from typing import Any

from minilm.errors import InputError

END = "<|endoftext|>"
TRAIN, HELD_OUT = "train.tokens", "held_out.tokens"
LARGEST = 50_000_000  # bytes of text; the n-gram tables of more would not fit small machines
PART = 1 << 20  # ids looked at at a time


def text_size(ids: Any, byte_lengths: Any) -> int:
    """Bytes that ids stand for, without their text in memory; special tokens count as none."""
    parts = range(0, len(ids), PART)
    return sum(int(byte_lengths[ids[first : first + PART]].sum()) for first in parts)


def comparison(folder: Path) -> str:
    """The table for a folder that `minilm train` wrote; the same figures at every call.

    Raises:
        InputError: no checkpoint, or the text it was trained on is not there.
    """
    from minilm.analysis.ngram import KneserNey
    from minilm.analysis.rivals import ngram_bits_per_byte, xz_bits_per_byte
    from minilm.data import TokenFile
    from minilm.data.corpora import SEPARATOR
    from minilm.train import bits_per_byte, load

    for name in (TRAIN, HELD_OUT):
        if not (folder / name).is_file():
            raise InputError(f"{folder / name} is missing; only minilm train writes it")
    model, tokenizer = load(folder)
    ids = [TokenFile(folder / name).tokens for name in (TRAIN, HELD_OUT)]
    end, between = END.encode(), SEPARATOR.encode()

    def text_of(part: Any) -> bytes:
        return tokenizer.decode_bytes(part).replace(end, between)

    new, rows = text_of(ids[1]), []
    if text_size(ids[0], tokenizer.byte_lengths) <= LARGEST:
        known = text_of(ids[0])
        counts = KneserNey(ids[0], 5, tokenizer.vocab_size)
        rows = [
            ("Kneser-Ney 5-gram over bytes", ngram_bits_per_byte(known, new)),
            ("Kneser-Ney 5-gram over tokens", float(counts.bits(ids[1]).sum()) / len(new)),
            ("xz -9e that knows the training text", xz_bits_per_byte(known, new)),
        ]
    ours = bits_per_byte(model, ids[1], tokenizer.byte_lengths, overlap=0.75)
    rows.append((f"this model, {model.num_parameters():,} parameters", ours))
    lines = [f"  {bits:6.3f}  {name}" for name, bits in sorted(rows, key=lambda row: -row[1])]
    return "\n".join([f"bits per byte on {len(new):,} bytes it has never seen", *lines])
