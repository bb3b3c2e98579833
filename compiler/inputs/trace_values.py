"""On which inputs' values does a tensor depend? With bound dims a Shape depends on none; nor does what can be one number only (x * 0)."""

from __future__ import annotations

from collections.abc import Mapping

from .ranges import ANY, Range
from .steps import MERGE, Flow, Step

SHAPED_BY_VALUES = frozenset({"NonZero", "Compress", "Unique", "NonMaxSuppression", "StringSplit"})
"""Operators whose results' shape depends on the values of any operand."""
SHAPE_OPERANDS = {
    "Reshape": (1,), "Expand": (1,), "ConstantOfShape": (0,), "Range": (0, 1, 2), "Tile": (1,), "Slice": (1, 2, 3, 4), "Resize": (2, 3),
    "Upsample": (1,), "Pad": (1,), "OneHot": (1,), "TopK": (1,), "Split": (1,), "SplitToSequence": (1,), "CenterCropPad": (1,),
    "HannWindow": (0,), "HammingWindow": (0,), "BlackmanWindow": (0,), "EyeLike": (), "DFT": (1,),
}  # fmt: skip
"""Operands whose values say what shape the result gets."""
READS_SHAPES = frozenset({"Shape", "Size", "EyeLike", "SequenceLength"})
NONE: frozenset[str] = frozenset()


class Dependence:
    """Which inputs' values decide each tensor's values, and each tensor's shape."""

    def __init__(self, flow: Flow, ranges: Mapping[str, Range]) -> None:
        self._ranges = ranges
        self.shaping: frozenset[str] = NONE
        """Inputs whose values are part of a shape."""
        self.values: dict[str, frozenset[str]] = {name: frozenset({name}) for name in flow.inputs}
        self.shapes: dict[str, frozenset[str]] = {}
        while any([self._pass(step) for step in flow.steps]):  # more than once only where a loop carries something
            if not any(step.operator == MERGE for step in flow.steps):
                break

    def of(self, name: str) -> frozenset[str]:
        """The inputs on whose values this tensor's values depend."""
        return self.values.get(name, NONE)

    def _pass(self, step: Step) -> bool:
        """Spreads what is known over one step; whether anything was new."""
        values = NONE.union(*(self.of(name) for name in step.inputs))
        shapes = NONE.union(*(self.shapes.get(name, NONE) for name in step.inputs))
        deciding = [step.inputs[k] for k in SHAPE_OPERANDS.get(step.operator, ()) if k < len(step.inputs)]
        self.shaping = self.shaping.union(*(self.of(name) for name in deciding))
        shapes = shapes.union(*(self.of(name) for name in (*deciding, *step.deciding)))
        if step.operator in SHAPED_BY_VALUES:
            shapes |= values
        values = shapes if step.operator in READS_SHAPES else values | shapes
        new = False
        if step.operator == "Dropout" and len(step.inputs) < 3:  # not in training: the mask is all ones
            values = self.of(step.inputs[0])
            self.values.update(dict.fromkeys(step.outputs[1:], NONE))
        for name in step.outputs[: 1 if step.operator == "Dropout" else None]:
            if not name:
                continue
            low, high = self._ranges.get(name, ANY)
            found = shapes if low == high else values
            new |= not found <= self.of(name) or not shapes <= self.shapes.get(name, NONE)
            self.values[name] = self.of(name) | found
            self.shapes[name] = self.shapes.get(name, NONE) | shapes
        return new
