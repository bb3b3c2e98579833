"""For a device that computes in integers only: the operators quantised, as an exporter would write it, to see what that would bring.

The scales are arbitrary, since a plan does not depend on them; real ones come from calibration.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from ...passes.graph.graph import Graph
from ...passes.graph.node import Node
from ...targets.dtypes import FLOATS
from ...targets.model import Device
from ...targets.operator_view import OperatorView
from ...targets.support import data_dtypes, device_dtypes, takes_all
from .change import Change
from .model_changes import on_each


def quantise_change(views: Sequence[OperatorView], device: Device) -> Iterator[Change]:
    """int8 between QuantizeLinear and DequantizeLinear, where the device has int8 and no float dtype at all."""
    dtypes = device_dtypes(device)
    floats = all(FLOATS.intersection(data_dtypes(view)) for view in views)
    if floats and "int8" in dtypes and not FLOATS.intersection(dtypes) and not takes_all(device):
        text = "quantise to int8 (QuantizeLinear and DequantizeLinear around each)"
        yield Change("dtype", text, "", "verify measures what that does to the outputs", partial(on_each, _quantise))


def _quantise(graph: Graph, node: Node) -> str | None:
    """The node between dequantised operands and quantised results; a tensor that is dequantised already is taken as it is."""
    import numpy as np

    step, zero = graph.constant(np.array(0.05, np.float32), "scale"), graph.constant(np.array(0, np.int8), "zero")
    before: list[Node] = []
    reads = []
    for name in node.inputs:
        if name and graph.tensor(name).dtype in FLOATS:
            integers = _integers(graph, name, before, step, zero)
            if integers is None:
                return None
            before.append(graph.node("DequantizeLinear", [integers, step, zero]))
            name = before[-1].outputs[0]
        reads.append(name)
    twin = graph.node(node.operator, reads, outputs=len(node.outputs), domain=node.domain)
    twin.attributes = dict(node.attributes)
    after: list[Node] = []
    results = {}
    for old, new in zip(node.outputs, twin.outputs, strict=True):
        if graph.tensor(old).dtype in FLOATS:
            after.append(graph.node("QuantizeLinear", [new, step, zero]))
            after.append(graph.node("DequantizeLinear", [after[-1].outputs[0], step, zero]))
            new = after[-1].outputs[0]
        results[old] = new
    graph.replace(node, [*before, twin, *after], results)
    return twin.outputs[0]


def _integers(graph: Graph, name: str, before: list[Node], step: str, zero: str) -> str | None:
    """The tensor in int8: a constant, what it was dequantised from, or quantised here."""
    import numpy as np

    tensor, producer = graph.tensor(name), graph.producer(name)
    if tensor.const:
        shape = tensor.shape
        return None if shape is None or None in shape else graph.constant(np.ones([d or 0 for d in shape], np.int8), "weights")
    if producer is not None and producer.kind == "DequantizeLinear" and graph.tensor(producer.inputs[0]).dtype == "int8":
        return producer.inputs[0]
    before.append(graph.node("QuantizeLinear", [name, step, zero]))
    return before[-1].outputs[0]
