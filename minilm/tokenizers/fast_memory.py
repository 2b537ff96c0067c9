"""Words of memory for the compiled tokenizer: unaligned loads, 64-byte masks, word keys.

All of it assumes a little-endian machine, as every machine is that Numba compiles for here.
Buffers have `PADDING` spare bytes, so that a load may reach past the last byte of the text.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from minilm.kernels.numba_tools.jit import jit

PADDING = 16
U64 = np.uint64
# A cast inside a kernel is a call that Numba takes long to type, so the constants are made here.
K0, K1, K2, K4, K8, K16, K21, K29, K31, K32, K48, K60, K61, K64, K255 = map(
    U64, (0, 1, 2, 4, 8, 16, 21, 29, 31, 32, 48, 60, 61, 64, 255)
)
_MULTIPLY_1 = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLY_2 = np.uint64(0xD6E8FEB86659FD93)
# What to keep of the two 8-byte loads of a word of n <= 16 bytes.
_KEEP_LOW = np.array([(1 << 8 * min(n, 8)) - 1 for n in range(17)], np.uint64)
_KEEP_HIGH = np.array([(1 << 8 * max(n - 8, 0)) - 1 for n in range(17)], np.uint64)

_BYTE, _WORD = ir.IntType(8), ir.IntType(64)
_LANES = ir.VectorType(_BYTE, 64)


def padded(text: bytes) -> np.ndarray:
    """The bytes followed by the spare ones that loads may touch, uint8."""
    return np.frombuffer(text + b"\0" * PADDING, np.uint8)


@intrinsic
def load64(typing, address):
    """Eight bytes at an address, any alignment."""

    def build(context, builder, signature, arguments):
        pointer = builder.inttoptr(arguments[0], ir.PointerType(_WORD))
        return builder.load(pointer, align=1)

    return types.uint64(types.uint64), build


@intrinsic
def address_of(typing, array):
    """The address at which an array's data begins."""

    def build(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.ptrtoint(data, _WORD)

    return types.uint64(array), build


@intrinsic
def lowest_bit(typing, mask):
    """The position of the lowest 1 in a mask that is not 0."""

    def build(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), build


@intrinsic
def class_masks(typing, address):
    """For 64 bytes, one bit each: letter, digit, white space, space, newline, apostrophe, high.

    "High" marks bytes of 128 and more, for which the other masks mean nothing.
    """

    def build(context, builder, signature, arguments):
        def all_lanes(value: int) -> ir.Constant:
            return ir.Constant(_LANES, [value] * 64)

        def between(values, low: int, count: int):
            shifted = builder.sub(values, all_lanes(low))
            return builder.icmp_unsigned("<", shifted, all_lanes(count))

        def equal(value: int):
            return builder.icmp_unsigned("==", lanes, all_lanes(value))

        pointer = builder.inttoptr(arguments[0], ir.PointerType(_LANES))
        lanes = builder.load(pointer, align=1)
        space = equal(32)
        masks = [
            between(builder.or_(lanes, all_lanes(32)), ord("a"), 26),
            between(lanes, ord("0"), 10),
            builder.or_(space, between(lanes, 9, 5)),
            space,
            builder.or_(equal(10), equal(13)),
            equal(39),
            builder.icmp_signed("<", lanes, all_lanes(0)),
        ]
        return cgutils.pack_array(builder, [builder.bitcast(m, _WORD) for m in masks])

    return types.UniTuple(types.uint64, 7)(types.uint64), build


@jit
def word_key(address, length):
    """Two 64-bit numbers for a word: its bytes themselves up to 16, a hash of them beyond."""
    if length <= 16:
        return (
            load64(address) & _KEEP_LOW[length],
            load64(address + K8) & _KEEP_HIGH[length],
        )
    first = U64(length)
    second = _MULTIPLY_2
    left = length
    while left > 0:
        part = load64(address)
        if left < 8:
            part &= _KEEP_LOW[left]
        first = (first ^ part) * _MULTIPLY_1
        first ^= first >> K29
        second = (second + part) * _MULTIPLY_2
        second ^= second >> K31
        address += K8
        left -= 8
    return first, second


@jit
def spread(first, second):
    """The hash of a key, to choose a slot by."""
    h = (first ^ (second * _MULTIPLY_2)) * _MULTIPLY_1
    return h ^ (h >> K32)


@jit
def slot_of(key, shift):
    """The slot of a 64-bit key in a table of 2 ** (64 - shift) slots."""
    return np.int64((key * _MULTIPLY_1) >> shift)


@jit
def same_bytes(one, other, length):
    """Whether `length` bytes at two addresses are equal."""
    while length >= 8:
        if load64(one) != load64(other):
            return False
        one += K8
        other += K8
        length -= 8
    return length == 0 or (load64(one) ^ load64(other)) & _KEEP_LOW[length] == K0
