"""Values across the wall: length-prefixed JSON, and the raw bytes of arrays behind it.

Nothing is ever unpickled. What arrives is rebuilt from plain parts: an array is a dtype out of a
short list, a shape and bytes, so an answer cannot bring its own `__eq__`, `__array__` or `shape`.
Arrays stand where values stand and nowhere else, each has bytes of its own, and everything that a
frame holds is counted.

    frame  = total length (8 bytes), length of the JSON (4 bytes), JSON, blobs one after another
    JSON   = {"m": message, "b": [length of each blob]}
"""

import json
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

HEAD = struct.Struct("<QI")
LARGEST = 64 << 20  # bytes in one frame
LARGEST_TEXT = 4 << 20  # bytes of JSON in it
LARGEST_REQUEST = 64 << 20  # bytes of JSON that the grader may send: a notebook's cells
DEEPEST = 50  # lists in lists
MOST = 200_000  # values in one frame
MOST_KEYS = (
    10_000  # keys of dictionaries and members of sets in it: they may have been made to clash
)
MOST_ARRAYS = 10_000
DTYPES = {
    np.dtype(name).str: np.dtype(name)
    for name in (
        "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 "
        "float16 float32 float64 complex64 complex128"
    ).split()
}


class WireError(ValueError):
    """A value that cannot be sent, or bytes that are no message."""


class TooLargeError(WireError):
    """More bytes, values or depth than one message may have."""


class Pack:
    """Turns Python values into a JSON tree and blobs.

    Args:
        other: called with a value of no known type, must return a JSON node for it.
    """

    def __init__(self, other: Callable[[Any], dict[str, Any]], largest: int = LARGEST) -> None:
        self.other, self.largest = other, largest
        self.blobs: list[bytes] = []
        self.size = self.count = self.keys = 0

    def blob(self, data: bytes) -> int:
        """Put bytes behind the JSON; returns their number."""
        self.size += len(data)
        if self.size > self.largest:
            raise TooLargeError(f"more than {self.largest >> 20} MiB in one answer")
        if len(self.blobs) >= MOST_ARRAYS:
            raise TooLargeError(f"more than {MOST_ARRAYS} arrays")
        self.blobs.append(data)
        return len(self.blobs) - 1

    def node(self, value: Any, depth: int = 0) -> Any:
        """The JSON node of a value."""
        self.count += 1
        if depth > DEEPEST or self.count > MOST:
            raise TooLargeError("nested too deep" if depth > DEEPEST else "too many values")
        if value is None or value is True or value is False:
            return value
        if isinstance(value, np.generic):
            return self.array(np.asarray(value), "g")
        if isinstance(value, (int, float)):
            return self.number(value)
        if isinstance(value, str):
            if len(value) > self.largest:
                raise TooLargeError("a text too long")
            return str.__str__(value)
        if isinstance(value, np.ndarray):
            if value.nbytes > self.largest:
                raise TooLargeError(f"an array of {value.nbytes / 1e6:.0f} MB")
            return self.array(np.array(value, subok=False), "a", value)
        if isinstance(value, complex):
            return {"c": [value.real, value.imag]}
        if isinstance(value, (bytes, bytearray)):
            return {"b": self.blob(bytes(value))}
        for kind, mark in ((list, "l"), (tuple, "t"), (set, "s"), (frozenset, "s")):
            if isinstance(value, kind):
                self.hashed(len(value) if mark == "s" else 0)
                return {mark: [self.node(item, depth + 1) for item in value]}
        if isinstance(value, dict):
            self.hashed(len(value))
            pairs = dict.items(value)
            return {"d": [[self.node(k, depth + 1), self.node(v, depth + 1)] for k, v in pairs]}
        return self.other(value)

    def hashed(self, keys: int) -> None:
        """Count what will be hashed on the other side."""
        self.keys += keys
        if self.keys > MOST_KEYS:
            raise TooLargeError(f"more than {MOST_KEYS} keys")

    def number(self, value: int | float) -> Any:
        if isinstance(value, float):
            return float(value)
        value = int(value)
        return value if abs(value) < 1 << 63 else {"i": hex(value)[:5000]}

    def array(self, value: np.ndarray, mark: str, original: Any = None) -> dict[str, Any]:
        dtype = value.dtype.newbyteorder("<") if value.dtype.kind in "iufc" else value.dtype
        if dtype.str not in DTYPES:
            return self.other(value if original is None else original)
        data = np.ascontiguousarray(value.astype(dtype, copy=False)).tobytes()
        return {mark: [dtype.str, list(value.shape), self.blob(data)]}


def shared_array(memory: np.ndarray, part: Any) -> np.ndarray:
    """An array that lies in memory both sides see: [dtype, shape, first byte]."""
    name, shape, start = part
    dtype = DTYPES[name]
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    return memory[start : start + size].view(dtype).reshape(shape)


def frame(message: Any, pack: Pack, largest: int = LARGEST_TEXT) -> bytes:
    """The bytes of a message whose values went through `pack`."""
    sizes = [len(blob) for blob in pack.blobs]
    text = json.dumps({"m": message, "b": sizes}).encode("ascii")
    total = len(text) + sum(sizes)
    if len(text) > largest:
        raise TooLargeError(f"more than {largest >> 20} MiB of text in one message")
    return HEAD.pack(total, len(text)) + text + b"".join(pack.blobs)


def head(data: bytes, largest: int = LARGEST_TEXT) -> tuple[int, int]:
    """Total and JSON length out of a frame's first bytes; lengths beyond the limit are refused."""
    total, text = HEAD.unpack(data)
    if total > LARGEST + largest or text > min(total, largest):
        raise TooLargeError("an answer that is too large")
    return total, text


def split(body: bytes, text: int) -> tuple[Any, list[memoryview]]:
    """The message and the blobs of a frame's body."""
    try:
        tree = json.loads(body[:text])
        sizes = tree["b"]
        if type(sizes) is not list or len(sizes) > MOST_ARRAYS:
            raise TooLargeError(f"more than {MOST_ARRAYS} arrays")
        blobs, at = [], text
        for size in sizes:
            if type(size) is not int or size < 0 or at + size > len(body):
                raise WireError("blobs that do not fit")
            blobs.append(memoryview(body)[at : at + size])
            at += size
        return tree["m"], blobs
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise WireError(f"no message: {type(error).__name__}") from None


class Unpack:
    """Turns a JSON tree and blobs back into values.

    Args:
        blobs: what stands behind the JSON; each belongs to one value.
        other: called with the mark and content of a node that is not a plain value.
        plain: take numbers, texts, lists and dictionaries only.
    """

    def __init__(
        self, blobs: list[memoryview], other: Callable[[str, Any], Any], plain: bool = False
    ) -> None:
        self.blobs: list[memoryview | None] = list(blobs)
        self.other, self.plain = other, plain
        self.count = self.keys = 0

    def value(self, node: Any, depth: int = 0) -> Any:
        """The value of a node; anything malformed is a WireError."""
        try:
            return self._value(node, depth)
        except WireError:
            raise
        except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
            raise WireError(f"no value: {type(error).__name__}") from None

    def _value(self, node: Any, depth: int) -> Any:
        self.count += 1
        if depth > DEEPEST or self.count > MOST:
            raise TooLargeError("an answer that is nested too deep or too long")
        if node is None or isinstance(node, (bool, int, float, str)):
            return node
        if not isinstance(node, dict) or len(node) != 1:
            raise WireError("no value")
        ((mark, part),) = node.items()
        if mark == "i" and type(part) is str:
            return int(part, 16)
        if mark in ("l", "t", "s", "d") and type(part) is list:
            return self._many(mark, part, depth + 1)
        if self.plain:
            raise WireError("a value where none belongs")
        if mark in ("a", "g"):
            array = self.array(part)
            return array if mark == "a" else array.reshape(())[()]
        if mark == "c":
            real, imaginary = part
            return complex(float(real), float(imaginary))
        if mark == "b":
            return bytes(self._blob(part))
        return self.other(mark, part)

    def _many(self, mark: str, part: list, depth: int) -> Any:
        if mark in ("s", "d"):
            self.keys += len(part)
            if self.keys > MOST_KEYS:
                raise TooLargeError(f"more than {MOST_KEYS} keys")
        if mark == "d":
            return {self._value(k, depth): self._value(v, depth) for k, v in part}
        items = [self._value(item, depth) for item in part]
        return {"l": list, "t": tuple, "s": set}[mark](items)

    def _blob(self, number: Any) -> memoryview:
        """The bytes of a value, which no other value has."""
        if type(number) is not int or not 0 <= number < len(self.blobs):
            raise WireError("no blob")
        blob, self.blobs[number] = self.blobs[number], None
        if blob is None:
            raise WireError("a blob that belongs to two values")
        return blob

    def array(self, part: Any) -> np.ndarray:
        name, shape, number = part
        dtype = DTYPES[name]
        if type(shape) is not list or len(shape) > 32:
            raise WireError("no shape")
        count = 1
        for n in shape:
            if type(n) is not int or not 0 <= n <= LARGEST:
                raise WireError("no shape")
            count *= n
        blob = self._blob(number)
        if count * dtype.itemsize != len(blob):
            raise WireError("a shape that does not fit its bytes")
        if dtype.kind == "b":  # a byte that is neither 0 nor 1 would be a third truth
            return (np.frombuffer(blob, np.uint8) != 0).reshape(shape)
        return np.frombuffer(blob, dtype).reshape(shape).copy()
