"""Extents that are not known: which tensors of an operator have some, so that its cost is not what a formula says; and upper bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from ..operator_view import OperatorView, TensorView

FREE = frozenset({"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Shape", "Size", "Constant"})
"""Operators that move no data: another view of the same bytes, or facts about it."""
HANDLES = frozenset({
    "ConcatFromSequence", "Optional", "OptionalGetElement", "OptionalHasElement", "SequenceAt", "SequenceConstruct", "SequenceEmpty",
    "SequenceErase", "SequenceInsert", "SequenceLength",
})  # fmt: skip
"""Operators on sequences and optionals: what they hold is not copied, or copied as tensors whose shapes nobody knows."""
MOST_TRIPS = 1 << 31
"""Rounds of a Loop from which on its limit is none: exporters write the largest integer."""


DATA_DEPENDENT: Mapping[str, str] = {
    "Compress": "all of its elements are kept",
    "NonMaxSuppression": "all boxes are selected",
    "NonZero": "no element is zero",
    "Unique": "all elements differ",
}
"""Operators whose results are as large as values say, and what the upper bound supposes."""


def bounded(view: OperatorView) -> OperatorView:
    """The operator with its results as large as they can be, where how large depends on values; else as it is."""
    if view.operator not in DATA_DEPENDENT or view.domain:
        return view
    sizes = [None if t.shape is None or None in t.shape else [size or 0 for size in t.shape] for t in view.inputs.values()]
    if not sizes or sizes[0] is None:
        return view
    outputs = {}
    for label, tensor in view.outputs.items():
        shape = _most(view, label, sizes[0], sizes[1] if len(sizes) > 1 else None)
        outputs[label] = replace(tensor, shape=shape) if tensor.elements is None and shape is not None else tensor
    return replace(view, outputs=outputs)


def open_tensors(view: OperatorView) -> tuple[TensorView, ...]:
    """The operands and results without which it cannot be said what the operator costs: () where its cost is known, or bounded.

    A Loop whose number of rounds is not known has none of its own, but costs nobody knows what: its first operand or result is named.
    """
    if not view.domain and (view.operator in FREE or view.operator in HANDLES):
        return ()
    view = bounded(view)
    tensors = (*view.inputs.values(), *view.outputs.values())
    found = tuple(t for t in tensors if t.elements is None and t.dtype not in ("sequence", "optional", "map"))
    if found or not view.bodies:
        return found
    if view.trips is None:
        return tensors[:1]
    return tuple(dict.fromkeys(t for body in view.bodies for inner in body for t in open_tensors(inner)))


def is_bounded(view: OperatorView) -> bool:
    """Whether its cost is an upper bound, since how large its results are depends on values."""
    return any(t.elements is None and bounded(view).outputs[label].elements is not None for label, t in view.outputs.items())


def _most(view: OperatorView, label: str, x: list[int], second: list[int] | None) -> tuple[int, ...] | None:
    count = math.prod(x)
    if view.operator == "NonZero":
        return len(x), count
    if view.operator == "NonMaxSuppression":
        return None if second is None or len(second) != 3 else (second[0] * second[1] * x[1], 3)
    axis = view.attributes.get("axis")
    if not isinstance(axis, int) or not -len(x) <= axis < len(x):
        return (count,)
    return tuple(x) if label in ("output", "Y") else (x[axis],)
