"""Whether the old rows of a cache stay where they are, from where it comes in to where it goes out.

Operators in between only move elements. So each element of the past is given a number of its own, the operators are evaluated on these
numbers, and the rows that go out have to be those that came in: whoever runs the step puts new rows behind them, and moves nothing else.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ...targets.dtypes import ELEMENT
from ..graph.graph import Graph
from ..graph.node import Node
from .errors import NotFixable
from .grown_axes import Entering
from .places import Cache

FIRST = 1 << 30
"""The number of the first element: none of a constant that happens to be moved along."""


def check_old_rows(graph: Graph, cache: Cache, found: Entering, between: list[Node]) -> None:
    """between: the operators from the joins to the output, in any order. Raises NotFixable where an element of the past has another place
    when it goes out."""
    moved = _from_past(graph, cache, found)
    nodes = [*moved, *(join.node for join in found.joins), *between]
    past = graph.tensor(cache.past).shape or ()
    numbers = FIRST + np.arange(np.prod([extent or 0 for extent in past]), dtype=np.int32).reshape([extent or 0 for extent in past])
    after = _evaluated(graph, nodes, cache, numbers)
    where = f"{cache.present!r}, of the cache {cache.past!r}"
    rows = [array.shape[cache.axis] if array.ndim > cache.axis else 0 for array in (numbers, after)]
    if rows[1] < rows[0]:
        what = f"the cache goes out with {rows[1]} rows and came in with {rows[0]}: it holds a window, and all rows are needed"
        raise NotFixable(what, where)
    old = tuple(slice(0, extent) if axis == cache.axis else slice(None) for axis, extent in enumerate(numbers.shape))
    if after.ndim != numbers.ndim or not np.array_equal(after[old], numbers):
        last = between[0] if between else found.joins[0].node
        made = f"{where}, made by {last.kind} {last.name or last.outputs[0]}"
        raise NotFixable("the cache goes out with its old rows in another order, or some of them elsewhere", made)


def _from_past(graph: Graph, cache: Cache, found: Entering) -> list[Node]:
    """The operators before the joins."""
    made = [graph.producer(tensor) for tensor in found.moved if tensor != cache.past]
    return list({node.outputs[0]: node for node in made if node is not None}.values())


def _evaluated(graph: Graph, nodes: list[Node], cache: Cache, numbers: np.ndarray) -> np.ndarray:
    """What goes out where the numbers come in; new rows are 0."""
    from onnx.reference import ReferenceEvaluator

    order = {node.outputs[0]: k for k, node in enumerate(graph.nodes)}
    inside = {node.outputs[0]: node for node in nodes}
    made = {name for node in inside.values() for name in node.outputs}
    protos = [_proto(inside[name]) for name in sorted(inside, key=order.__getitem__)]
    read = {name for node in inside.values() for name in node.reads} - made - {cache.past}
    fed = {cache.past: numbers}
    constants: list[onnx.TensorProto] = []
    for name in sorted(read):
        value = graph.value(name)
        if value is not None:
            constants.append(numpy_helper.from_array(value, name))
        else:
            fed[name] = np.zeros([extent or 0 for extent in graph.tensor(name).shape or ()], np.int32)
    values = [helper.make_tensor_value_info(name, ELEMENT["int32"], array.shape) for name, array in fed.items()]
    outputs = [helper.make_tensor_value_info(cache.present, ELEMENT["int32"], None)]
    whole = helper.make_graph(protos, "moves", values, outputs, constants)
    model = helper.make_model(whole, opset_imports=graph.model.opset_import)
    (after,) = ReferenceEvaluator(model).run([cache.present], fed)
    return np.asarray(after)


def _proto(node: Node) -> onnx.NodeProto:
    """A Cast would round numbers: it moves nothing."""
    return helper.make_node("Identity", node.inputs, node.outputs) if node.kind == "Cast" else node.to_proto()
