"""SentencePiece's compiled table of replacements, which T5's tokenizer normalizes texts by.

The table is a double-array trie (Aoe 1989) over the bytes of what is replaced, and a list of what
replaces it. Hugging Face's library looks up each cluster of fewer than 6 bytes (a letter with its
accents), then each character, and takes the *shortest* beginning that the trie knows; what follows
that beginning is dropped.
"""

import base64
import binascii
import functools
import re
import unicodedata
from collections.abc import Iterable

import numpy as np

from minilm.errors import InputError
from minilm.tokenizers.unicode_classes import MARK, case_table

_CLUSTER_BYTES = 6
# Marks of category Mc that begin a cluster, and characters that are no marks but join one
# (Unicode Standard Annex 29, Grapheme_Cluster_Break).
_NO_JOINERS = (
    0x102B, 0x102C, 0x1038, *range(0x1062, 0x1065), *range(0x1067, 0x106E), 0x1083,
    *range(0x1087, 0x108D), 0x108F, *range(0x109A, 0x109D), 0x1A61, 0x1A63, 0x1A64, 0xAA7B, 0xAA7D,
    0x11720, 0x11721,
)  # fmt: skip
_JOINERS = (0x200C, 0x200D, 0xFF9E, 0xFF9F, 0xE33, 0xEB3, *range(0x1F3FB, 0x1F400))
_PREPENDED = (*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2)


class CharsMap:
    """The normalizer.

    Args:
        encoded: the table in base64, "precompiled_charsmap" of a `tokenizer.json`.

    Raises:
        InputError: not such a table.
    """

    def __init__(self, encoded: str) -> None:
        try:
            content = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raise InputError("precompiled_charsmap is not base64") from None
        size = int.from_bytes(content[:4], "little")
        if len(content) < 4 or size % 4 or len(content) < 4 + size:
            raise InputError(
                f"precompiled_charsmap has {len(content)} bytes; its trie alone must have {size}"
            )
        self._units = np.frombuffer(content, "<u4", size // 4, 4).tolist()
        self._texts = content[4 + size :]
        self._known: dict[str, str | None] = {}

    def __call__(self, text: str) -> str:
        """The text with everything replaced that the table replaces."""
        out = []
        for cluster in _clusters().findall(text):
            if len(cluster) == 1:
                new = self._replacement(cluster)
                out.append(cluster if new is None else new)
                continue
            whole = None
            if len(cluster.encode()) < _CLUSTER_BYTES:
                whole = self._replacement(cluster)
            if whole is None:
                parts = ((c, self._replacement(c)) for c in cluster)
                whole = "".join(c if new is None else new for c, new in parts)
            out.append(whole)
        return "".join(out)

    def _replacement(self, chunk: str) -> str | None:
        found = self._known.get(chunk, "")
        if found == "":  # not looked up yet, or replaced by nothing
            if len(self._known) > 1 << 16:
                self._known = {}  # threads share it, so it is never read twice
            found = self._known[chunk] = self._look_up(chunk.encode())
        return found

    def _look_up(self, key: bytes) -> str | None:
        """What replaces the shortest beginning of the key that the trie knows."""
        units, node = self._units, 0
        try:
            node ^= _offset(units[node])
            for byte in key:
                if byte == 0:
                    return None
                node ^= byte
                unit = units[node]
                if unit & 0x800000FF != byte:
                    return None
                node ^= _offset(unit)
                if unit >> 8 & 1:
                    start = units[node] & 0x7FFFFFFF
                    return self._texts[start : self._texts.index(0, start)].decode()
        except (IndexError, ValueError):
            raise InputError("precompiled_charsmap is damaged: its trie leads nowhere") from None
        return None


def _offset(unit: int) -> int:
    return unit >> 10 << ((unit & 1 << 9) >> 6)


@functools.cache
def _clusters() -> re.Pattern[str]:
    """A pattern of clusters, exact where they have fewer than 6 bytes."""
    joins = set(np.flatnonzero(case_table() == MARK).tolist()) - {*_NO_JOINERS} | {*_JOINERS}
    aside = joins.union(_PREPENDED)
    control = [
        point
        for point in [*range(0x20000), *range(0xE0000, 0xE1000)]
        if point not in aside and unicodedata.category(chr(point)) in ("Cc", "Cf", "Zl", "Zp")
    ]
    join, alone, first = map(_class, (joins, control, _PREPENDED))
    return re.compile(rf"\r\n|[{alone}]|[{first}]*[^{alone}{first}{join}]?[{join}]*", re.DOTALL)


def _class(points: Iterable[int]) -> str:
    """Code points for between the brackets of a pattern, as ranges."""
    ranges: list[list[int]] = []
    for point in sorted(points):
        if ranges and ranges[-1][1] == point - 1:
            ranges[-1][1] = point
        else:
            ranges.append([point, point])
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges)
