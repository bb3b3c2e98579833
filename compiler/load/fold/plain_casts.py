"""CastLike(x, y) is Cast(x) to the dtype of y: it no longer reads y, so that one of a constant is a constant.

torch.onnx.export(dynamo=True, optimize=False) writes every missing bias and every scalar operand so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..structure import bodies

if TYPE_CHECKING:
    import onnx

KEPT = ("saturate", "round_mode")
"""Attributes that mean the same to both."""


def cast_plainly(model: onnx.ModelProto) -> int:
    """In place, bodies included: how many were written as a Cast. One whose dtype is not known stays."""
    return _in_graph(model.graph, {})


def _in_graph(graph: onnx.GraphProto, outer: Mapping[str, int]) -> int:
    """outer: dtypes of what a body captures."""
    dtypes = {**outer, **{tensor.name: tensor.data_type for tensor in graph.initializer}}
    dtypes.update((value.name, value.type.tensor_type.elem_type) for value in (*graph.input, *graph.value_info, *graph.output))
    found = 0
    for node in graph.node:
        found += sum(_in_graph(body, dtypes) for body in bodies(node))
        if node.op_type == "CastLike" and node.domain in ("", "ai.onnx") and (to := dtypes.get(node.input[1], 0)):
            _rewrite(node, to)
            found += 1
    return found


def _rewrite(node: onnx.NodeProto, to: int) -> None:
    from onnx import helper

    kept = [attribute for attribute in node.attribute if attribute.name in KEPT]
    node.op_type = "Cast"
    del node.input[1:], node.attribute[:]
    node.attribute.extend([helper.make_attribute("to", to), *kept])
