"""The order in which a tensor's axes are stored.

An `Order` lists, for each stored axis, the axis of the ONNX tensor that lies there: (0, 2, 3, 1) is NHWC of an NCHW tensor.
"""

from __future__ import annotations

from collections.abc import Sequence

Order = tuple[int, ...]


def plain(rank: int) -> Order:
    """As ONNX has it."""
    return tuple(range(rank))


def channels_last(rank: int, channels: int = 1) -> Order:
    """The axes 1 to `channels` behind all others; plain where there is nothing to turn."""
    if rank <= 1 + channels:
        return plain(rank)
    return (0, *range(1 + channels, rank), *range(1, 1 + channels))


def stored(shape: Sequence[int], order: Order) -> tuple[int, ...]:
    return tuple(shape[axis] for axis in order)


def turn(before: Order, after: Order) -> Order:
    """The permutation that TRANSPOSE needs between two orders of one tensor."""
    return tuple(before.index(axis) for axis in after)


def moves_data(shape: Sequence[int], perm: Order) -> bool:
    """Whether a permutation of a stored shape changes the order of elements: not where it moves only axes of one element."""
    long = [axis for axis in perm if shape[axis] != 1]
    return long != sorted(long)


def same_bytes(shape: Sequence[int], a: Order, b: Order) -> bool:
    """Whether a tensor of that (ONNX) shape lies alike in both orders: they differ in where axes of one element stand, if at all."""
    return not moves_data(stored(shape, a), turn(a, b))


def after_transpose(order: Order, perm: Order) -> Order:
    """The order of ONNX's Transpose of a tensor stored in `order`, where the bytes stay."""
    return tuple(perm.index(axis) for axis in order)


def before_transpose(order: Order, perm: Order) -> Order:
    """The order that an input must have for its Transpose to be stored in `order`."""
    return tuple(perm[axis] for axis in order)


Blocks = tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]
"""Axes of the input with the axes of the output that they become."""


def blocks_of(before: Sequence[int], after: Sequence[int]) -> Blocks:
    """The finest division of a reshape into axes that become each other; () where a shape has no elements."""
    if 0 in before or 0 in after:
        return ()
    found, i, j = [], 0, 0
    while i < len(before) or j < len(after):
        a, b, left, right = i, j, 1, 1
        if i < len(before):
            left, i = before[i], i + 1
        if j < len(after):
            right, j = after[j], j + 1
        while left != right:
            if left < right:
                left, i = left * before[i], i + 1
            else:
                right, j = right * after[j], j + 1
        found.append((tuple(range(a, i)), tuple(range(b, j))))
    return tuple(found)


def after_reshape(blocks: Blocks, order: Order) -> Order | None:
    """The order of a reshape's output where its input is stored in `order` and the bytes stay; None where they would not."""
    return _through(tuple((a, b) for a, b in blocks), order)


def before_reshape(blocks: Blocks, order: Order) -> Order | None:
    """The order that the input must have for the output to be stored in `order`; None where there is none."""
    return _through(tuple((b, a) for a, b in blocks), order)


def _through(blocks: Blocks, order: Order) -> Order | None:
    found: list[int] = []
    position = 0
    while position < len(order):
        block = next((block for block in blocks if order[position] in block[0]), None)
        if block is None or order[position : position + len(block[0])] != block[0]:
            return None
        found += block[1]
        position += len(block[0])
    empty = [axis for before, after in blocks if not before for axis in after]
    return (*found, *empty)  # axes of one element that come from nowhere may lie anywhere
