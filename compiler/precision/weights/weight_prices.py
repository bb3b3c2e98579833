"""What a product with a stored weight takes on a target, for one row: in a decoder's step weights are read for one token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from ....passes.graph.graph import Graph
from ....passes.graph.node import Node
from ....passes.place.place_operators import ask
from ....passes.place.unit_time import unit_time
from ....passes.precision.operators import inner_axis
from ....passes.precision.quantise import quantise
from ....passes.rule.rewrite import Rewrite
from ....targets.model import Device, Target
from ....targets.precision import Form
from ..plain_model import plain_model

Rules = tuple[Sequence[Rewrite], Mapping[str, Sequence[Rewrite]]]
"""That devices may substitute, and by family."""
OPSET, IR = 21, 10
NOWHERE = (0.0, "")


class WeightPrices:
    """Of one target; products of one shape and form are asked about once."""

    def __init__(self, target: Target, rules: Rules) -> None:
        self._target, self._rules = target, rules
        self._known: dict[tuple[object, ...], tuple[float, str]] = {}

    def fastest(self, graph: Graph, node: Node, form: Form | None) -> tuple[float, str]:
        """Seconds of MatMul or Gemm with its weight in the form, None for fp32, and the device that takes the least; 0 of other operators,
        whose rows are few, and where no device runs it."""
        axis, shape = inner_axis(graph, node, 1), graph.tensor(node.inputs[1]).shape or ()
        if axis is None or len(shape) != 2:
            return NOWHERE
        inner, outer = int(shape[axis] or 0), int(shape[1 - axis] or 0)
        key = (inner, outer, form)
        if key not in self._known:
            self._known[key] = self._asked(inner, outer, form)
        return self._known[key]

    def _asked(self, inner: int, outer: int, form: Form | None) -> tuple[float, str]:
        floats, stored = self._times(inner, outer, None), self._times(inner, outer, form)
        each = zip(self._target.devices, floats, stored, strict=True)
        times = [(as_float if form is not None and _widens(device, form) else own, device.name) for device, as_float, own in each]
        return min(((seconds, name) for seconds, name in times if seconds is not None), default=NOWHERE)

    def _times(self, inner: int, outer: int, form: Form | None) -> list[float | None]:
        """Of each device."""
        graph = Graph(_product(inner, outer))
        if form is not None:
            quantise(graph, {"y": form}, {})
        asked = ask(Graph(plain_model(graph)), self._target, *self._rules)
        found = (unit_time(asked, range(len(asked.nodes)), k) for k in range(len(self._target.devices)))
        return [None if time is None else time.seconds for time in found]


def _widens(device: Device, form: Form) -> bool:
    """Whether its runtime makes floats of such weights when it loads them."""
    return any(line.widened and line.dtype == form.weights and line.block == form.block for line in device.weights)


def _product(inner: int, outer: int) -> ModelProto:
    weight = numpy_helper.from_array(np.ones((inner, outer), np.float32), "w")
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size]) for name, size in (("x", inner), ("y", outer))]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "product", ends[:1], ends[1:], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
