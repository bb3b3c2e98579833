"""Integers that are known to be no less than 0: indices that count from the start.

ONNX's indices may count from the end; kernels of accelerators read memory in front of a table for those. What is asked here is what the
graph shows: constants, extents, positions that a search found, what moves such numbers, and indices that were wrapped:

    Where(Less(i, 0), Add(i, n), i)        n the extent that i counts in, so that i >= -n
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .node import Node

Producer = Callable[[str], Node | None]
Value = Callable[[str], np.ndarray | None]
POSITIONS = frozenset({"Shape", "Size", "ArgMax", "ArgMin", "NonZero"})
MOVES = frozenset(
    {"Identity", "Cast", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Expand", "Tile", "Slice", "Gather", "Split"}
)
"""Their result has numbers of the first operand and no others. A Cast: of integers, see `nonnegative`."""
DEEPEST = 8
"""Operators that are followed back."""


def nonnegative(tensor: str, producer: Producer, value: Value, dtype: Callable[[str], str], depth: int = DEEPEST) -> bool:
    """Whether no element of a tensor of integers is below 0. An index that is wrapped counts as one that is legal.

    value: of a small constant; None of all else."""
    kind = dtype(tensor)
    if kind.startswith("uint"):
        return True
    known = value(tensor)
    if known is not None:
        return bool(known.size == 0 or known.min() >= 0)
    node = producer(tensor)
    if node is None or depth == 0 or not kind.startswith("int"):
        return False
    if node.kind in POSITIONS or (node.kind == "TopK" and node.outputs[1:] == [tensor]):
        return True
    if node.kind in MOVES:
        return nonnegative(node.inputs[0], producer, value, dtype, depth - 1)
    if node.kind == "Concat":
        return all(nonnegative(name, producer, value, dtype, depth - 1) for name in node.inputs)
    return node.kind == "Where" and _is_wrapped(node, producer, value)


def _is_wrapped(where: Node, producer: Producer, value: Value) -> bool:
    less, add, index = producer(where.inputs[0]), producer(where.inputs[1]), where.inputs[2]
    if less is None or add is None or less.kind != "Less" or add.kind != "Add" or less.inputs[0] != index or index not in add.inputs:
        return False
    zero, extent = value(less.inputs[1]), value(add.inputs[1 - add.inputs.index(index)])
    return zero is not None and extent is not None and zero.size == extent.size == 1 and not zero.any() and bool(extent.min() > 0)
