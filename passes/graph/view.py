"""What predicates, cost and support questions see of a node."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import onnx

from ...targets.operator_view import OperatorView, TensorView
from ...targets.work.extents import MOST_TRIPS
from .node import Node, free_names, without_captures
from .nonnegative import nonnegative
from .schema import operand_names, schema
from .tensors import Tensors

WHOLE = frozenset({"int32", "int64"})
"""Dtypes of indices."""


def operator_view(
    node: Node,
    tensors: Tensors,
    opset: int,
    version: int,
    carried: Callable[[str], bool],
    producer: Callable[[str], Node | None] = lambda name: None,
) -> OperatorView:
    """The node with its operands by their names in the schema, attributes completed by the schema's defaults.

    opset: of the graph. version: the opset of its domain in whose terms the node is written. carried: whether a tensor is a constant in
    another form (constant_cone.py), which counts as one. producer: who writes a tensor in the same graph, as far as that is asked."""

    def operand(name: str) -> TensorView:
        view = tensors.view(name)
        if view.dtype in WHOLE and nonnegative(name, producer, tensors.small, lambda other: tensors.view(other).dtype):
            view = replace(view, nonnegative=True)
        return replace(view, const=True) if not view.const and carried(name) else view

    facts = schema(node.operator, node.domain, version)
    given = {name: node.attribute(name) for name in node.attributes}
    attributes = {**facts.defaults, **{name: value for name, value in given.items() if value is not None}}
    inputs = zip(operand_names(facts.inputs, facts.variadic_input, len(node.inputs)), node.inputs, strict=True)
    outputs = zip(operand_names(facts.outputs, facts.variadic_output, len(node.outputs)), node.outputs, strict=True)
    bodies = list(node.bodies())
    inside = tuple(tuple(_inside(body, tensors, opset, version)) for body in bodies)
    return OperatorView(
        name=node.name,
        domain=node.domain,
        operator=node.operator,
        opset=opset,
        attributes=attributes,
        inputs={label: operand(name) for label, name in inputs if name},
        outputs={label: tensors.view(name) for label, name in outputs if name},
        has_body=bool(bodies),
        functions=frozenset(kind for body in inside for view in body for kind in (_kind(view), *view.functions)),
        bodies=inside,
        trips=_trips(node, tensors) if bodies else 1,
    )


def _kind(view: OperatorView) -> str:
    return f"{view.domain}::{view.operator}" if view.domain else view.operator


def _inside(body: onnx.GraphProto, outer: Tensors, opset: int, version: int) -> Iterator[OperatorView]:
    """The operators of a body, which reads some tensors from outside."""
    tensors = Tensors(body)
    for name in free_names(body):
        tensors.capture(name, outer)
    for proto in body.node:
        node = without_captures(proto)
        yield operator_view(node, tensors, opset, version if node.domain == "" else 1, lambda name: False)


def _trips(node: Node, tensors: Tensors) -> int | None:
    """How often the bodies run: If once, Loop as often as its constant limit says at most, Scan as long as what it reads is."""
    if node.operator == "If":
        return 1
    if node.operator == "Loop" and node.inputs and node.inputs[0]:
        limit = tensors.scalar(node.inputs[0])
        return int(limit) if limit is not None and 0 <= limit < MOST_TRIPS else None
    scans = node.attribute("num_scan_inputs")
    if node.operator != "Scan" or not isinstance(scans, int) or not 0 < scans <= len(node.inputs):
        return None
    axes = node.attribute("scan_input_axes") or (0,) * scans
    for name, axis in zip(node.inputs[-scans:], axes if isinstance(axes, tuple) else (), strict=False):
        shape = tensors.view(name).shape
        if shape and isinstance(axis, int) and -len(shape) <= axis < len(shape) and shape[axis] is not None:
            return shape[axis]
    return None
