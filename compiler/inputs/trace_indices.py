"""Below which number must an integer input stay, because it ends as an index into a table?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..load.bind_shapes import real_inputs

if TYPE_CHECKING:
    import onnx

PASSING = frozenset(
    {"Cast", "Reshape", "Unsqueeze", "Squeeze", "Identity", "Flatten", "Transpose", "Expand", "Slice", "Concat", "Tile", "Split"}
)
"""Operators that move integers without changing them: the first input's values are among the output's."""


def index_limits(model: onnx.ModelProto) -> dict[str, int]:
    """Per graph input that reaches the indices of a Gather, a GatherElements or a OneHot: the size of the smallest axis it indexes."""
    dims = _table_dims(model.graph)
    carriers: dict[str, set[str]] = {value.name: {value.name} for value in real_inputs(model.graph)}
    limits: dict[str, int] = {}
    for node in model.graph.node:
        sources = carriers.get(node.input[0], set()) if node.input else set()
        if node.op_type in PASSING and not node.domain:
            for name in node.output:
                carriers.setdefault(name, set()).update(sources)
        if node.op_type in ("Gather", "GatherElements") and len(node.input) == 2:
            axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
            table = dims.get(node.input[0], ())
            if -len(table) <= axis < len(table):
                for source in carriers.get(node.input[1], ()):
                    limits[source] = min(limits.get(source, table[axis]), table[axis])
    return limits


def _table_dims(graph: onnx.GraphProto) -> dict[str, tuple[int, ...]]:
    """Shapes of constants, also behind an Identity or a Cast (as exporters share weights)."""
    dims = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].HasField("t"):
            dims[node.output[0]] = tuple(node.attribute[0].t.dims)
        elif node.op_type in ("Identity", "Cast", "DequantizeLinear") and node.input and node.input[0] in dims:
            dims[node.output[0]] = dims[node.input[0]]
    return dims
