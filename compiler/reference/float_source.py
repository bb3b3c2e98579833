"""A quantised model with the steps of its activations left out, or taken otherwise: beside these, other ways to compute are judged.

- *Left out*, it is the float model that it was made of, as far as the file still says: weights stay what they dequantise to, and
  numbers keep within the ends of their grids. The ends stay because quantisers leave out a Relu or a Clip that they do the work of, and
  because all that compute in integers end in the same place. How far the quantised model is from this is the error of its quantisation.
- *Taken otherwise*, each number becomes by a draw the nearest step or one next to it, as a unit of integers does that is right up to a
  step. Equal numbers are rounded alike, as on a device: on an even image all are off together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnx

    from .kernels.call import Steps

DOMAINS = ("", "ai.onnx", "com.microsoft")
QUANTISING = frozenset({"QuantizeLinear", "DynamicQuantizeLinear", "QGemm"})
"""Operators that quantise what they compute, besides those whose name begins with QLinear."""
FEWEST = 2
"""Quantised activations below which a model has none to speak of: one alone is an operation of the model's own."""
REACH = 0.5
"""Steps that a number may be moved by before it is rounded."""
ODD = np.uint32(2654435761)
"""2^32 over the golden ratio: a product with it spreads the bits of a number over those of a draw (Knuth)."""


def unstepped(value: Any, dtype: str) -> Any:
    """A way to round (rounding.py): nothing is."""
    return value


class restepped:
    """A way to round: nothing but what is quantised, and that by a draw."""

    def __init__(self, seed: int) -> None:
        self._seed = np.uint32(seed * 2 + 1)

    def __call__(self, value: Any, dtype: str) -> Any:
        return value

    def steps(self, numbers: Any) -> Any:
        """Whole numbers, each within a step of the number."""
        bits = np.ascontiguousarray(numbers, np.float32).view(np.uint32)
        with np.errstate(over="ignore"):
            mixed = (bits ^ self._seed) * ODD
            mixed = (mixed ^ (mixed >> np.uint32(15))) * (ODD ^ self._seed)
        draw = (mixed >> np.uint32(8)).astype(np.float64) / 2**24
        return np.rint(np.asarray(numbers, np.float64) + REACH * (2 * draw - 1))


def steps_of(rounding: object) -> Steps | None:
    """How numbers become steps under a way to round; None for the nearest."""
    if rounding is unstepped:
        return _as_they_are
    return rounding.steps if isinstance(rounding, restepped) else None


def _as_they_are(numbers: Any) -> Any:
    return numbers


def quantises(nodes: Sequence[onnx.NodeProto]) -> bool:
    """Whether a main graph has activations in integers: FEWEST at least that it goes on computing with."""
    read = {name for node in nodes for name in node.input}
    return sum(_quantises(node) and node.output[0] in read for node in nodes) >= FEWEST


def _quantises(node: onnx.NodeProto) -> bool:
    return node.domain in DOMAINS and (node.op_type in QUANTISING or node.op_type.startswith("QLinear"))
