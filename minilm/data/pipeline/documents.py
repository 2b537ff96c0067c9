"""The second and third stage: the text of each file, and what the filters say of it."""

import functools
import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from minilm.data.clean.decoding import decode_text
from minilm.data.clean.licences import HEADER, find_licence, is_permissive
from minilm.data.clean.limits import failed, limits, measure
from minilm.data.clean.origin import is_generated
from minilm.data.pipeline.settings import Settings
from minilm.data.pipeline.store import Store
from minilm.data.pipeline.tally import Tally

END = "<|endoftext|>"
YARDSTICK = 4_000_000  # characters from which the tokenizer of the fertility filter learns
LEAST_TOKENS = 4000  # of it: with fewer, every text has few characters a token
SIZES = (0, 100, 300, 1000, 3000, 10_000, 30_000, 100_000, 300_000, 10**12)  # bytes
KEY = np.dtype([("digest", "<u8", 2), ("length", "<i8"), ("size", "<i8")])  # of a document


def decode_part(root: str, settings: Settings, part: int) -> None:
    """Read a part's files; write their texts, and a key for each: digest, characters, bytes."""
    store, tally = Store(root), Tally()
    rows: list[dict[str, Any]] = []
    keys = []
    for row in store.read_lines("discover", part):
        content, text, why = b"", "", ""
        try:
            content = Path(row["root"], row["file"]).read_bytes()
        except OSError:
            why = "cannot be read"
        if not why:
            if len(content) > settings.largest:  # it has grown since it was found
                why = f"larger than {settings.largest:,} bytes"
            else:
                text, why = decode_text(content, row["language"])
        licence = row["licence"]
        if not why:
            licence = find_licence(text[:HEADER]) or licence
            if is_generated(row["file"].rsplit("/", 1)[-1], text):
                why = "generated"
            elif not _is_allowed(licence, settings.licences):
                why = f"licence: {licence or 'none'}"
        if why:
            tally.count(why, len(content) or row["size"])
            tally.sample(why, row["path"], text)
            continue
        size = len(text.encode())
        rows.append(
            {"path": row["path"], "language": row["language"], "licence": licence, "text": text}
        )
        digest = hashlib.sha256(text.encode()).digest()[:16]
        keys.append((np.frombuffer(digest, "<u8"), len(text), size))
        tally.count("kept", size)
        tally.count(f"language: {row['language']}", size)
        tally.count(f"under: {licence or 'no licence found'}", size)
        tally.bar("bytes", size, SIZES)
    store.write_lines("decode", part, rows)
    store.write_json("decode", f"{part:05}-paths", [row["path"] for row in rows])
    store.write_array("decode", part, np.array(keys, KEY))
    store.write_json("decode", part, tally.to_dict())


def _is_allowed(licence: str | None, which: str) -> bool:
    if which == "any":
        return True
    return which == "open" if licence is None else is_permissive(licence)


def make_yardstick(store: Store, settings: Settings) -> None:
    """The tokenizer that the fertility filter counts with: learnt from a sample of the documents.

    The sample are the documents with the smallest digests, as many as fit, of which those count
    that pass the other filters. Where there is too little text for a tokenizer like the published
    ones, the fertility filter is not applied.
    """
    from minilm.tokenizers import train_bpe

    parts = store.read_json("discover", "done")["parts"]
    table = limits(**settings.filters)
    wanted: set[tuple[int, int]] = set()
    keys = [store.read_array("decode", part) for part in range(parts)]
    order = sorted(
        (int(key["digest"][0]), part, place, int(key["length"]))
        for part, own in enumerate(keys)
        for place, key in enumerate(own)
    )
    total = 0
    for _, part, place, length in order:
        if total + length > YARDSTICK and wanted:
            break
        wanted.add((part, place))
        total += length
    texts = []
    for part in sorted({part for part, _ in wanted}):
        for place, row in enumerate(store.read_lines("decode", part)):
            if (part, place) in wanted:
                found = measure(row["text"], row["language"])
                if not failed(found, row["language"], table):
                    texts.append(row["text"])
    total = sum(map(len, texts))
    used = total // 64 >= LEAST_TOKENS
    if used:
        bpe = train_bpe(texts, min(8192, total // 64), special=[END], fewer=True)
        bpe.save(store.path("yardstick", "tokenizer", ".json"))
    facts = {"documents": len(texts), "characters": total, "used": used}
    store.write_json("yardstick", "done", facts)


def load_tokenizer(path: str | Path) -> Any:
    """A tokenizer, made once for each process and content of the file."""
    return _loaded(str(path), hashlib.sha256(Path(path).read_bytes()).hexdigest())


@functools.lru_cache(maxsize=2)
def _loaded(path: str, digest: str) -> Any:
    from minilm import tokenizers

    return tokenizers.load(path)


def filter_part(root: str, settings: Settings, part: int) -> None:
    """Measure a part's documents; write for each the filter that removes it, or ""."""
    store, tally = Store(root), Tally()
    table = limits(**settings.filters)
    path = store.path("yardstick", "tokenizer", ".json")
    tokenizer = load_tokenizer(path) if path.is_file() else None

    def tokens(text: str) -> int:
        return len(tokenizer.encode_array(text, (), (), add_special_tokens=False))

    verdicts = []
    for row in store.read_lines("decode", part):
        text = row["text"]
        found = measure(text, row["language"], tokens if tokenizer is not None else None)
        for limit in table:
            if limit.name in found:
                tally.bar(limit.name, found[limit.name], limit.edges)
        reasons = failed(found, row["language"], table)
        size = len(text.encode())
        verdicts.append(reasons[0] if reasons else "")
        tally.count(verdicts[-1] or "kept", size)
        for reason in reasons:  # also those that an earlier filter removes
            tally.count(f"alone: {reason}", size)
        if reasons:
            value = found[reasons[0]]
            shown = f"{value:,.3g}" if isinstance(value, float) else f"{value:,}"
            unit = next(limit.unit for limit in table if limit.name == reasons[0])
            tally.sample(reasons[0], f"{row['path']} ({shown} {unit})", text)
    store.write_json("filter", f"{part:05}-verdicts", verdicts)
    store.write_json("filter", part, tally.to_dict())
