"""What predicates, cost and support questions see of a node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ...targets.operator_view import OperatorView, TensorView
from .node import Node, operators_in
from .schema import operand_names, schema
from .tensors import Tensors


def operator_view(node: Node, tensors: Tensors, opset: int, version: int, carried: Callable[[str], bool]) -> OperatorView:
    """The node with its operands by their names in the schema, attributes completed by the schema's defaults.

    opset: of the graph. version: the opset of its domain in whose terms the node is written. carried: whether a tensor is a constant in
    another form (constant_cone.py), which counts as one."""

    def operand(name: str) -> TensorView:
        view = tensors.view(name)
        return replace(view, const=True) if not view.const and carried(name) else view

    facts = schema(node.operator, node.domain, version)
    given = {name: node.attribute(name) for name in node.attributes}
    attributes = {**facts.defaults, **{name: value for name, value in given.items() if value is not None}}
    inputs = zip(operand_names(facts.inputs, facts.variadic_input, len(node.inputs)), node.inputs, strict=True)
    outputs = zip(operand_names(facts.outputs, facts.variadic_output, len(node.outputs)), node.outputs, strict=True)
    bodies = list(node.bodies())
    return OperatorView(
        name=node.name,
        domain=node.domain,
        operator=node.operator,
        opset=opset,
        attributes=attributes,
        inputs={label: operand(name) for label, name in inputs if name},
        outputs={label: tensors.view(name) for label, name in outputs if name},
        has_body=bool(bodies),
        functions=frozenset(operators_in(bodies)),
    )
