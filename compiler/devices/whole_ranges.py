"""Between which whole numbers a tensor of a graph lies, whatever the inputs are: for devices that compute with fewer bits than the model.

Positions that a search found, remainders, constants, truth values, and what moves, joins, adds and multiplies such numbers. Anything else
may be any number of its dtype. Computed with Python's integers, so that nothing overflows; what leaves the dtype may be any of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from .attributes import attribute_of

if TYPE_CHECKING:
    import onnx

Range = tuple[int, int]
"""The smallest and the largest number, both included."""
DEEPEST = 24
"""Operators that are followed back."""
INT32 = (-(2**31), 2**31 - 1)
MOVES = frozenset({
    "Cast", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Identity", "ReduceMax", "ReduceMin", "Reshape", "Slice", "Split",
    "Squeeze", "Tile", "Transpose", "Unsqueeze",
})  # fmt: skip
"""Their results have numbers of the first operand and no others."""


@dataclass(frozen=True, slots=True)
class WholeNumbers:
    """What is asked of a graph, by tensor. producers: the node that writes it; constant: None of what is computed; dtype: numpy's name."""

    producers: Mapping[str, onnx.NodeProto]
    constant: Callable[[str], Any]
    shape: Callable[[str], tuple[int, ...]]
    dtype: Callable[[str], str]

    def range_of(self, name: str, depth: int = DEEPEST) -> Range:
        """Of a tensor of integers or truth values. Raises ValueError for others."""
        import numpy

        kind = numpy.dtype(self.dtype(name))
        if kind.kind == "b":
            return 0, 1
        if kind.kind not in "iu":
            raise ValueError(f"{name} is {kind.name}")
        every = (int(numpy.iinfo(kind).min), int(numpy.iinfo(kind).max))
        known = self.constant(name)
        if known is not None:
            return (int(known.min()), int(known.max())) if known.size else (0, 0)
        node = self.producers.get(name)
        found = None if node is None or depth == 0 else self._computed(node, name, depth - 1)
        return found if found is not None and every[0] <= found[0] and found[1] <= every[1] else every

    def fits(self, name: str, limits: Range = INT32) -> bool:
        """Whether every number of a tensor of integers is one of `limits`."""
        low, high = self.range_of(name)
        return limits[0] <= low and high <= limits[1]

    def _computed(self, node: onnx.NodeProto, name: str, depth: int) -> Range | None:
        """None where nothing is known of the operator."""
        kind, names = node.op_type, [one for one in node.input if one]
        if kind in ("ArgMax", "ArgMin"):
            return 0, max(self.shape(names[0])[attribute_of(node, "axis", 0)] - 1, 0)
        if kind == "TopK" and list(node.output).index(name) == 1:
            return 0, max(self.shape(names[0])[attribute_of(node, "axis", -1)] - 1, 0)
        if not names or any(self.dtype(one).startswith(("float", "bfloat")) for one in names[: 3 if kind == "Where" else 1]):
            return None
        if kind in MOVES:
            return self.range_of(names[0], depth)
        if kind in ("Concat", "Max", "Min"):
            return _joined(kind, [self.range_of(one, depth) for one in names])
        if kind == "Where":
            return _joined(kind, [self.range_of(one, depth) for one in names[1:]])
        return self._of_two(node, names, depth) if len(names) == 2 else None

    def _of_two(self, node: onnx.NodeProto, names: list[str], depth: int) -> Range | None:
        (a, b), (c, d) = (self.range_of(one, depth) for one in names)
        if node.op_type == "Add":
            return a + c, b + d
        if node.op_type == "Sub":
            return a - d, b - c
        if node.op_type == "Mul":
            ends = [x * y for x, y in product((a, b), (c, d))]
            return min(ends), max(ends)
        if node.op_type == "Div":
            return _quotients((a, b), (c, d))
        if node.op_type == "Mod" and c > 0:
            low = 0 if a >= 0 or not attribute_of(node, "fmod", 0) else 1 - d
            return low, min(d - 1, b) if a >= 0 else d - 1
        return None


def _quotients(over: Range, under: Range) -> Range:
    """Cut off towards 0. A divisor that may be of either sign may be -1 or 1 as well; 0 itself has no quotient."""
    near = [y for y in (-1, 1) if under[0] <= y <= under[1]]
    divisors = [y for y in (*under, *near) if y]
    ends = [abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1) for x, y in product(over, divisors)]
    return min(ends, default=0), max(ends, default=0)


def _joined(kind: str, ranges: list[Range]) -> Range:
    lows, highs = zip(*ranges, strict=True)
    return (max(lows) if kind == "Max" else min(lows)), (min(highs) if kind == "Min" else max(highs))
