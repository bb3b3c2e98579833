"""A graph with its bodies as one list of steps, so that what flows where is traced once for all of them.

A tensor of a body gets a key of its own (two branches may use one name); what enters and leaves a body passes through a MERGE step.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...passes.mapped.mapped_tensor import array_of
from ..load.bind_shapes import real_inputs
from ..load.weights import is_external

if TYPE_CHECKING:
    import onnx

MERGE = "(merge)"
LARGEST_CONSTANT = 65536
"""Elements of a constant whose values are looked at; larger ones are weights."""
MOST_BODIES = 2000
"""Bodies and calls of functions beyond which a function is one step."""
SAME_SHAPE = frozenset({"Identity", "Cast", "DequantizeLinear", "QuantizeLinear", "Relu", "Sigmoid", "Tanh", "Neg"})
BODIED = frozenset({"If", "Loop", "Scan"})
BRANCHES = {"then_branch": "true", "else_branch": "false"}

Branch = tuple[str, str]
"""(path of the If, "true" or "false")."""


@dataclass(frozen=True, slots=True)
class Step:
    """One node, or (MERGE) values that enter or leave a body: each output may be any of the inputs, and depends on all of them."""

    operator: str
    """Its op_type, after "domain::" where the domain is not onnx's own."""
    node: onnx.NodeProto
    inputs: tuple[str, ...]
    """Keys of tensors; "" for an absent operand."""
    outputs: tuple[str, ...]
    path: str
    """Its first output's name, after those of the nodes in whose bodies it stands: "if_out/y"."""
    within: tuple[Branch, ...]
    """The branches of Ifs around it, outermost first."""
    deciding: tuple[str, ...] = ()
    """Of a MERGE: what decides which of the inputs it is."""

    def attribute(self, name: str, default: Any) -> Any:
        from onnx import helper

        return next((helper.get_attribute_value(a) for a in self.node.attribute if a.name == name), default)


@dataclass(slots=True)
class Flow:
    """All steps in an order in which they may run; a loop's body stands once."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    steps: list[Step] = field(default_factory=list)
    constants: dict[str, Any] = field(default_factory=dict)
    """Arrays of constants; None for one that is large or lies in another file."""
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """As declared, where every dim has a size; of weights too."""


def flow_of(model: onnx.ModelProto, shapes: Mapping[str, tuple[int, ...]] | None = None) -> Flow:
    """The steps of a model's graph, of every body in it and of its local functions. Keys of the main graph's tensors are their names.

    shapes: of inputs whose shape the model leaves open.
    """
    graph = model.graph
    flow = Flow(tuple(value.name for value in real_inputs(graph)), tuple(value.name for value in graph.output))
    functions = {(f.domain, f.name, f.overload): f for f in model.functions}
    _Walk(flow, functions).graph(graph, _Place("", (), {}))
    flow.shapes.update(shapes or {})
    return flow


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a body stands."""

    prefix: str
    within: tuple[Branch, ...]
    outer: Mapping[str, str]
    """Keys of the names that are visible from outside."""


@dataclass(slots=True)
class _Walk:
    """Appends steps to a flow."""

    flow: Flow
    functions: Mapping[tuple[str, str, str], onnx.FunctionProto]
    bodies: int = 0

    def graph(self, graph: onnx.GraphProto, place: _Place) -> dict[str, str]:
        """Appends a graph's steps; returns the key of every name that is visible in it."""
        sparse = [tensor.values.name for tensor in graph.sparse_initializer]
        own = [*(v.name for v in graph.input), *(t.name for t in graph.initializer), *sparse]
        names = self._names(own, graph.node, place)
        self.flow.constants.update({names[tensor.name]: _array(tensor) for tensor in graph.initializer})
        self.flow.constants.update({names[name]: None for name in sparse})
        self.flow.shapes.update({names[tensor.name]: tuple(tensor.dims) for tensor in graph.initializer})
        for value in (*graph.input, *graph.output, *graph.value_info):
            dims = value.type.tensor_type.shape.dim
            if value.type.tensor_type.HasField("shape") and all(dim.HasField("dim_value") and dim.dim_value >= 0 for dim in dims):
                self.flow.shapes.setdefault(names.get(value.name, value.name), tuple(dim.dim_value for dim in dims))
        self._nodes(graph.node, names, place)
        return names

    def _names(self, own: Iterable[str], nodes: Iterable[onnx.NodeProto], place: _Place) -> dict[str, str]:
        mark = f"@{self.bodies}" if self.bodies else ""
        self.bodies += 1
        made = (name for node in nodes for name in node.output)
        return {**place.outer, **{name: name + mark for name in (*own, *made) if name}}

    def _nodes(self, nodes: Iterable[onnx.NodeProto], names: Mapping[str, str], place: _Place) -> None:
        for node in nodes:
            operator = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}::{node.op_type}"
            inputs = tuple(names.get(name, name) for name in node.input)
            outputs = tuple(names.get(name, "") for name in node.output)
            path = place.prefix + next(filter(None, node.output), node.name or node.op_type)
            function = self.functions.get((node.domain, node.op_type, node.overload))
            if operator == "Constant":
                self.flow.constants[outputs[0]] = _stated(node)
                self.flow.shapes.update((outputs[0], tuple(a.t.dims)) for a in node.attribute if a.name == "value")
            elif function is not None and self.bodies < MOST_BODIES:
                self._call(node, function, inputs, outputs, _Place(f"{path}/", place.within, {}))
            else:
                bodied = operator in BODIED
                self.flow.steps.append(Step(operator, node, inputs, () if bodied else outputs, path, place.within))
                if operator in SAME_SHAPE and inputs and inputs[0] in self.flow.shapes:
                    self.flow.shapes.setdefault(outputs[0], self.flow.shapes[inputs[0]])
                if bodied:
                    self._inside(self.flow.steps[-1], outputs, names)

    def _call(
        self, node: onnx.NodeProto, function: onnx.FunctionProto, inputs: Sequence[str], outputs: Sequence[str], place: _Place
    ) -> None:
        """A local function, with its parameters; attributes that refer to the call's are replaced by those."""
        given = {a.name: a for a in (*function.attribute_proto, *node.attribute)}
        nodes = [resolved(inner, given) for inner in function.node]
        names = self._names(function.input, nodes, place)
        for outside, inside in zip(inputs, function.input, strict=False):
            if outside:
                self.flow.steps.append(Step("Identity", node, (outside,), (names[inside],), place.prefix, place.within))
        self._nodes(nodes, names, place)
        for inside, outside in zip(function.output, outputs, strict=False):
            self.flow.steps.append(Step("Identity", node, (names.get(inside, inside),), (outside,), place.prefix, place.within))

    def _inside(self, step: Step, outputs: Sequence[str], names: Mapping[str, str]) -> None:
        """The bodies of an If, a Loop, a Scan."""
        results: list[list[str]] = [[] for _ in outputs]
        steps, given = self.flow.steps, tuple(filter(None, step.inputs))
        for attribute in step.node.attribute:
            if not attribute.HasField("g"):
                continue
            side = BRANCHES.get(attribute.name) if step.operator == "If" else None
            within = (*step.within, (step.path, side)) if side else step.within
            start = len(steps)
            inner = self.graph(attribute.g, _Place(f"{step.path}/", within, names))
            entering = tuple(inner[value.name] for value in attribute.g.input)
            found = [inner.get(value.name, value.name) for value in attribute.g.output]
            if entering:  # of a loop: whatever comes in, or what the body itself made in the round before
                rounds = (*step.inputs[:2], *found[:1]) if step.operator == "Loop" else ()
                steps.insert(start, Step(MERGE, step.node, (*given, *found), entering, step.path, within, rounds))
            for made, name in zip(results, found[1:] if step.operator == "Loop" else found, strict=False):
                made.append(name)
        for output, made in zip(outputs, results, strict=True):
            steps.append(Step(MERGE, step.node, (*made, *given), (output,), step.path, step.within, step.inputs[:2]))


def resolved(node: onnx.NodeProto, given: Mapping[str, onnx.AttributeProto]) -> onnx.NodeProto:
    """The node with the call's values for attributes that refer to them; one that the call does not give is left out."""
    if not any(attribute.ref_attr_name for attribute in node.attribute):
        return node
    copy = type(node)()
    copy.CopyFrom(node)
    del copy.attribute[:]
    for attribute in node.attribute:
        if not attribute.ref_attr_name:
            copy.attribute.append(attribute)
        elif attribute.ref_attr_name in given:
            copy.attribute.append(given[attribute.ref_attr_name])
            copy.attribute[-1].name = attribute.name
    return copy


def _array(tensor: onnx.TensorProto) -> Any:
    import math

    if is_external(tensor) or math.prod(tensor.dims) > LARGEST_CONSTANT:
        return None
    return array_of(tensor)


def _stated(node: onnx.NodeProto) -> Any:
    """The value of a Constant node; None where it is large or sparse."""
    import numpy
    from onnx import helper

    for attribute in node.attribute:
        if attribute.name == "value":
            return _array(attribute.t)
        if attribute.name.startswith("value_"):
            return numpy.asarray(helper.get_attribute_value(attribute))
    return None
