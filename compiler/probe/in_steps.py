"""What a part ends in where it quantises its result: integers, which are judged as the numbers they stand for.

Expected is what was to be quantised, as far as the grid reaches; the step that it is rounded to is one way to round it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    import onnx

    Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Grid:
    """Of one tensor that a QuantizeLinear writes."""

    source: str
    """The tensor that it reads."""
    scale: Array
    zero: Array
    """Both broadcast against the tensor."""
    low: float
    high: float
    """Ends of the grid, in steps from 0 with the zero point in it."""

    def numbers(self, steps: Any) -> Array:
        """What integers stand for."""
        result: Array = (np.asarray(steps, np.float64) - self.zero) * self.scale
        return result

    def reached(self, values: Any) -> Array:
        """Numbers, no further out than the grid goes."""
        result: Array = np.clip(np.asarray(values, np.float64), (self.low - self.zero) * self.scale, (self.high - self.zero) * self.scale)
        return result


def grids(model: onnx.ModelProto, values: Mapping[str, Any]) -> dict[str, Grid]:
    """By the name of each output of the model that a QuantizeLinear writes in one scale, or one for each index of an axis. values: of what
    is no weight of the model."""
    from onnx import numpy_helper

    known = {**values, **{tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}}
    wanted, found = {value.name for value in model.graph.output}, {}
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear" and node.output[0] in wanted and len(node.input) > 2 and node.input[1] in known:
            grid = _grid(node, known)
            if grid is not None:
                found[node.output[0]] = grid
    return found


def _grid(node: onnx.NodeProto, known: Mapping[str, Any]) -> Grid | None:
    scale, zero, x = known[node.input[1]], known.get(node.input[2]), known.get(node.input[0])
    if zero is None or x is None or np.asarray(zero).dtype.kind not in "iu" or np.ndim(scale) > 1:
        return None
    ends = np.iinfo(np.asarray(zero).dtype)
    shape = [1] * np.ndim(x)
    if np.size(scale) > 1:
        shape[next((a.i for a in node.attribute if a.name == "axis"), 1)] = -1
    scales, zeros = (np.asarray(part, np.float64).reshape(shape if np.size(part) > 1 else ()) for part in (scale, zero))
    return Grid(node.input[0], scales, zeros, float(ends.min), float(ends.max))
