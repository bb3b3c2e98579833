"""A graph with its bodies as one list of steps, so that what flows where is traced once for all of them.

A tensor of a body gets a key of its own (two branches may use one name); what enters and leaves a body passes through a MERGE step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..load.bind_shapes import real_inputs

if TYPE_CHECKING:
    import onnx

MERGE = "(merge)"
LARGEST_CONSTANT = 65536
"""Elements of a constant whose values are looked at; larger ones are weights."""
BRANCHES = {"then_branch": "true", "else_branch": "false"}

Branch = tuple[str, str]
"""(the If's first output, "true" or "false")."""


@dataclass(frozen=True, slots=True)
class Step:
    """One node, or (MERGE) values that enter or leave a body: each output may be any of the inputs, and depends on all of them."""

    operator: str
    """Its op_type, after "domain::" where the domain is not onnx's own."""
    node: onnx.NodeProto
    inputs: tuple[str, ...]
    """Keys of tensors; "" for an absent operand."""
    outputs: tuple[str, ...]
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


def flow_of(graph: onnx.GraphProto) -> Flow:
    """The steps of a graph and of every body in it. Keys of the main graph's tensors are their names."""
    flow = Flow(tuple(value.name for value in real_inputs(graph)), tuple(value.name for value in graph.output))
    _walk(graph, {}, (), flow)
    return flow


def _walk(graph: onnx.GraphProto, outer: Mapping[str, str], within: tuple[Branch, ...], flow: Flow) -> dict[str, str]:
    """Appends a body's steps; returns the key of every name that is visible in it."""
    names = dict(outer)
    mark = f"@{len(flow.steps)}:{len(flow.constants)}" if outer or within else ""
    own = [*(v.name for v in graph.input), *(t.name for t in graph.initializer), *(t.values.name for t in graph.sparse_initializer)]
    names.update({name: name + mark for name in (*own, *(name for node in graph.node for name in node.output)) if name})
    for tensor in graph.initializer:
        flow.constants[names[tensor.name]] = _array(tensor)
    for sparse in graph.sparse_initializer:
        flow.constants[names[sparse.values.name]] = None
    for node in graph.node:
        operator = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}::{node.op_type}"
        inputs = tuple(names.get(name, name) for name in node.input)
        outputs = tuple(names.get(name, "") for name in node.output)
        if operator == "Constant":
            flow.constants[outputs[0]] = _stated(node)
            continue
        flow.steps.append(Step(operator, node, inputs, outputs if operator not in ("If", "Loop", "Scan") else (), within))
        _walk_bodies(flow.steps[-1], outputs, names, flow)
    return names


def _walk_bodies(step: Step, outputs: tuple[str, ...], names: Mapping[str, str], flow: Flow) -> None:
    results: list[list[str]] = [[] for _ in outputs]
    node = step.node
    for attribute in node.attribute:
        if not attribute.HasField("g"):
            continue
        body = attribute.g
        side = BRANCHES.get(attribute.name) if step.operator == "If" else None
        within = (*step.within, (node.output[0], side)) if side else step.within
        place = len(flow.steps)
        inner = _walk(body, names, within, flow)
        given = [inner[value.name] for value in body.input]
        found = [inner.get(value.name, value.name) for value in body.output]
        if given:  # of a loop: whatever comes in, or what the body itself made in the round before
            rounds = (*step.inputs[:2], *found[:1]) if step.operator == "Loop" else ()
            flow.steps.insert(place, Step(MERGE, node, (*filter(None, step.inputs), *found), tuple(given), within, rounds))
        for k, name in enumerate(found[1:] if step.operator == "Loop" else found):
            if k < len(results):
                results[k].append(name)
    if step.operator in ("If", "Loop", "Scan"):
        for output, made in zip(outputs, results, strict=True):
            flow.steps.append(Step(MERGE, node, (*made, *filter(None, step.inputs)), (output,), step.within, step.inputs[:2]))


def _array(tensor: onnx.TensorProto) -> Any:
    import math

    from onnx import numpy_helper

    if tensor.data_location == tensor.EXTERNAL or math.prod(tensor.dims) > LARGEST_CONSTANT:
        return None
    return numpy_helper.to_array(tensor)


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
