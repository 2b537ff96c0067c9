"""Exact and near duplicates: which documents stay, and which must not be divided by a split.

What is global here is small: 32 bytes a document for exact duplicates; for near ones the arrays of
`clean.groups`, of which the large ones stay on disk.
"""

import itertools
from typing import Any

import numpy as np

from minilm.data.clean.fast_minhash import run_hashes, signature
from minilm.data.clean.groups import groups_of
from minilm.data.clean.near_duplicates import permutations
from minilm.data.pipeline.documents import KEY
from minilm.data.pipeline.settings import NEAREST, Settings
from minilm.data.pipeline.store import Store
from minilm.data.pipeline.tally import EXCERPT, Tally
from minilm.files import atomic_file

PERMUTATIONS = 256
GROUP_SIZES = (1, 2, 3, 4, 5, 10, 20, 50, 100, 10**12)


def _parts(store: Store) -> int:
    return store.read_json("discover", "done")["parts"]


def _offsets(store: Store, parts: int) -> np.ndarray:
    """The number of the first document of each part, and one past the last, int64 (parts + 1,)."""
    sizes = [len(store.read_array("decode", part, mapped=True)) for part in range(parts)]
    return np.cumsum([0, *sizes])


def document_keys(store: Store) -> np.ndarray:
    """The keys of all decoded documents, `KEY` (D,)."""
    own = (store.read_array("decode", part) for part in range(_parts(store)))
    return np.concatenate([np.zeros(0, KEY), *own])


def remove_exact(store: Store, settings: Settings) -> None:
    """Of documents with one digest keep the one whose path comes first in the alphabet.

    Writes bool (D,): whether a document passed the filters and is the first of its kind.
    """
    parts = _parts(store)
    keys = document_keys(store)
    verdicts = [store.read_json("filter", f"{part:05}-verdicts") for part in range(parts)]
    passed = np.array([not why for own in verdicts for why in own], bool)
    alive = np.flatnonzero(passed)
    digest = keys["digest"][alive]
    order = np.lexsort((alive, digest[:, 1], digest[:, 0]))
    same = np.zeros(len(order), bool)
    same[1:] = (digest[order[1:]] == digest[order[:-1]]).all(1)
    kept = np.zeros(len(keys), bool)
    kept[alive[order[~same]]] = True
    tally = Tally()
    tally.counts = {
        "kept": [int(kept.sum()), int(keys["size"][kept].sum())],
        "exact duplicate": [int(same.sum()), int(keys["size"][alive[order[same]]].sum())],
    }
    firsts = alive[order][np.maximum.accumulate(np.where(same, 0, np.arange(len(order))))]
    pairs = zip(alive[order][same].tolist(), firsts[same].tolist())
    _sample_pairs(store, tally, "exact duplicate", list(pairs), parts)
    store.write_array("exact", "kept", kept)
    store.write_json("exact", "done", {"tally": tally.to_dict()})


def sign_part(root: str, settings: Settings, part: int) -> None:
    """Write the sets of hashes and the signatures of a part's remaining documents."""
    store = Store(root)
    first = int(_offsets(store, part + 1)[part])
    kept = store.read_array("exact", "kept", mapped=True)
    a, b = permutations(PERMUTATIONS, settings.seed)
    sets = [np.zeros(0, np.uint32)]
    signatures = [np.zeros((0, PERMUTATIONS), np.uint32)]
    for place, row in enumerate(store.read_lines("decode", part)):
        if kept[first + place]:
            sets.append(run_hashes(row["text"]))
            signatures.append(signature(sets[-1], a, b)[None])
    store.write_array("signatures", f"{part:05}-sets", np.concatenate(sets))
    sizes = np.array([len(one) for one in sets[1:]], np.int64)
    store.write_array("signatures", f"{part:05}-sizes", sizes)
    store.write_array("signatures", part, np.concatenate(signatures))
    store.write_json("signatures", part, Tally().to_dict())


def _joined(store: Store, name: str, ends: str, parts: int, shape: tuple[int, ...]) -> np.ndarray:
    """The arrays of all parts as one, mapped from disk."""
    path = store.path("near", name, ".bin")
    with atomic_file(path) as file:
        file.write(b"\0" * 64)  # a file must not be empty to be mapped
        for part in range(parts):
            own = store.read_array("signatures", f"{part:05}{ends}", mapped=True)
            for begin in range(0, len(own), 4096):
                file.write(np.ascontiguousarray(own[begin : begin + 4096]).tobytes())
    if path.stat().st_size == 64:
        return np.zeros((0, *shape), np.uint32)
    # copy on write: nobody writes, but to Numba it is an array like any other
    return np.asarray(np.memmap(path, np.uint32, "c", offset=64)).reshape(-1, *shape)


def remove_near(store: Store, settings: Settings) -> None:
    """Of each group of near duplicates keep the longest text; of equally long ones, by digest.

    Writes bool (D,), whether a document stays, and int64 (D,), for those that do, a number that
    documents share which a split must not divide; -1 for the others.
    """
    parts = _parts(store)
    kept = store.read_array("exact", "kept")
    alive = np.flatnonzero(kept)
    keys = document_keys(store)
    keys = keys[alive]
    sizes = [store.read_array("signatures", f"{part:05}-sizes") for part in range(parts)]
    offsets = np.concatenate([[0], np.cumsum(np.concatenate([np.zeros(0, np.int64), *sizes]))])
    signatures = _joined(store, "signatures", "", parts, (PERMUTATIONS,))
    sets = _joined(store, "sets", "-sets", parts, ())
    groups = groups_of(signatures, sets, offsets.astype(np.int64), settings.threshold)
    # the first of each group in this order stays
    order = np.lexsort((keys["digest"][:, 1], keys["digest"][:, 0], -keys["length"], groups))
    first = np.ones(len(order), bool)
    first[1:] = groups[order[1:]] != groups[order[:-1]]
    survivor = order[np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))]
    tally = Tally()
    gone = order[~first]
    tally.counts = {
        "kept": [int(first.sum()), int(keys["size"][order[first]].sum())],
        "near duplicate": [len(gone), int(keys["size"][gone].sum())],
    }
    _, members = np.unique(groups, return_counts=True)
    for size in members.tolist():
        tally.bar("documents in a group", size, GROUP_SIZES)
    pairs = list(zip(alive[gone].tolist(), alive[survivor[~first]].tolist()))
    _sample_pairs(store, tally, "near duplicate", pairs, parts)
    stays = np.zeros(len(kept), bool)
    stays[alive[order[first]]] = True
    families = np.full(len(kept), -1, np.int64)
    families[alive] = groups_of(signatures, sets, offsets.astype(np.int64), NEAREST)
    families[~stays] = -1
    store.write_array("near", "kept", stays)
    store.write_array("near", "families", families)
    del signatures, sets
    for name in ("signatures", "sets"):  # they can be made again, and are large
        store.path("near", name, ".bin").unlink(missing_ok=True)
    store.write_json("near", "done", {"tally": tally.to_dict()})


def _sample_pairs(
    store: Store, tally: Tally, reason: str, pairs: list[tuple[int, int]], parts: int
) -> None:
    """Samples of removed documents, each with the one that stays in its place."""
    offsets = _offsets(store, parts)
    wanted = np.unique(np.array(pairs, np.int64))
    where = np.searchsorted(offsets, wanted, side="right") - 1
    paths: dict[int, str] = {}
    for part in np.unique(where).tolist():
        own = store.read_json("decode", f"{part:05}-paths")
        paths |= {n: own[n - offsets[part]] for n in wanted[where == part].tolist()}
    for removed, stays in pairs:
        tally.sample(reason, f"{paths[removed]}, like {paths[stays]}", "")
    shown = {f"{paths[removed]}, like {paths[stays]}": removed for removed, stays in pairs}
    for sample in tally.samples.get(reason, []):  # of the few that were drawn, also the text
        number = shown[sample[1]]
        part = int(np.searchsorted(offsets, number, side="right")) - 1
        rows = itertools.islice(store.read_lines("decode", part), number - offsets[part], None)
        sample[2] = next(rows)["text"][:EXCERPT]


def alive_rows(store: Store, part: int) -> list[dict[str, Any]]:
    """The documents of a part that no filter removed and that are no duplicates, with numbers."""
    first = int(_offsets(store, part + 1)[part])
    kept = store.read_array("near", "kept", mapped=True)
    return [
        {**row, "number": first + place}
        for place, row in enumerate(store.read_lines("decode", part))
        if kept[first + place]
    ]
