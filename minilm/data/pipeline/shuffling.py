"""Who is held out, and in which order the documents come.

Near relatives (similarity of a half and above, and theirs) go to one side together, so that no test
document has a near copy in the training text. The order is that of hashes of the texts: it depends
on the seed and on nothing else.
"""

import json
from typing import Any

import numpy as np

from minilm.data.pipeline.cleaning import PLACE
from minilm.data.pipeline.duplicates import document_keys
from minilm.data.pipeline.settings import Settings
from minilm.data.pipeline.store import Store, write_lines
from minilm.data.pipeline.tally import Tally
from minilm.errors import InputError

TRAIN, HELD_OUT = "train", "held_out"


def hashed(values: np.ndarray, seed: int, stream: int) -> np.ndarray:
    """A number for each value that looks random and depends on seed and stream, uint64.

    The finaliser of SplitMix64 (Steele, Lea and Flood 2014).
    """
    with np.errstate(over="ignore"):
        x = values + np.uint64((seed * 4 + stream + 1) * 0x9E3779B97F4A7C15 & (2**64 - 1))
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def divide(store: Store, settings: Settings) -> None:
    """Write which documents are trained on and which held out, in their new order.

    Raises:
        InputError: nothing is left, or nothing that can be divided.
    """
    parts = store.read_json("discover", "done")["parts"]
    own = (store.read_array("decontaminate", part) for part in range(parts))
    where = np.concatenate([np.zeros(0, PLACE), *own])
    keys = document_keys(store)[where["number"]]
    families = store.read_array("near", "families")[where["number"]]
    held_out = choose(keys["digest"][:, 0], keys["length"], families, settings)
    order = np.argsort(hashed(keys["digest"][:, 0], settings.seed, 1), kind="stable")
    facts: dict[str, Any] = {}
    for side, own in ((TRAIN, order[~held_out[order]]), (HELD_OUT, order[held_out[order]])):
        cuts = _cuts(keys["size"][own], settings.part)
        for bucket, (begin, end) in enumerate(zip(cuts, cuts[1:])):
            store.write_array("split", f"{side}-{bucket:05}", where[own[begin:end]])
        facts[side] = {
            "buckets": len(cuts) - 1,
            "documents": len(own),
            "bytes": int(keys["size"][own].sum()),
        }
    facts["families"] = len(np.unique(families))
    store.write_json("split", "done", facts)


def choose(
    digest: np.ndarray, length: np.ndarray, families: np.ndarray, settings: Settings
) -> np.ndarray:
    """Whole families for the held-out side, by chance, until they hold their share of the text.

    Args:
        digest: uint64 (D,).
        length: characters, int64 (D,).
        families: int64 (D,).

    Returns:
        bool (D,).

    Raises:
        InputError: fewer than two families.
    """
    names, member = np.unique(families, return_inverse=True)
    if len(names) < 2:
        raise InputError(
            f"what is left are {len(digest)} documents that are near copies of one; to hold some "
            "out there must be another"
            if len(digest)
            else "nothing is left of these files"
        )
    sizes = np.bincount(member, weights=length).astype(np.int64)
    ticket = np.full(len(names), 2**64 - 1, np.uint64)
    np.minimum.at(ticket, member, hashed(digest, settings.seed, 2))
    wanted = settings.held_out * sizes.sum()
    chosen = np.zeros(len(names), bool)
    total = 0
    for family in np.lexsort((sizes, ticket)).tolist():
        if total + sizes[family] <= wanted:
            chosen[family] = True
            total += int(sizes[family])
    if not chosen.any():  # every family is too large: the smallest one
        chosen[np.lexsort((ticket, sizes))[0]] = True
    return chosen[member]


def _cuts(sizes: np.ndarray, most: int) -> list[int]:
    """Where buckets of about `most` bytes begin and end."""
    cuts, total = [0], 0
    for place, size in enumerate(sizes.tolist()):
        total += size
        if total >= most:
            cuts.append(place + 1)
            total = 0
    if cuts[-1] < len(sizes):
        cuts.append(len(sizes))
    return cuts


def buckets(store: Store) -> list[str]:
    """The names of all buckets, such as "train-00000"."""
    facts = store.read_json("split", "done")
    return [f"{side}-{n:05}" for side in (TRAIN, HELD_OUT) for n in range(facts[side]["buckets"])]


def gather_bucket(root: str, settings: Settings, bucket: str) -> None:
    """Write the documents of a bucket, in their order, into the corpus."""
    store, tally = Store(root), Tally()
    rows = []
    wanted = store.read_array("split", bucket)
    for part in np.unique(wanted["part"]).tolist():
        starts = store.read_array("redact", part, mapped=True)
        with open(store.path("redact", part, ".jsonl"), "rb") as file:
            for place in np.flatnonzero(wanted["part"] == part).tolist():
                line = int(wanted["line"][place])
                file.seek(int(starts[line]))
                row = json.loads(file.read(int(starts[line + 1] - starts[line])))
                del row["number"]
                rows.append((place, row))
                licence = f"under: {row['licence'] or 'no licence found'}"
                for what in (bucket.split("-")[0], f"language: {row['language']}", licence):
                    tally.count(what, len(row["text"].encode()))
                tally.add("characters", len(row["text"]))
    rows.sort(key=lambda pair: pair[0])
    write_lines(store.root / f"{bucket}.jsonl", (row for _, row in rows))
    store.write_json("gather", bucket, tally.to_dict())
