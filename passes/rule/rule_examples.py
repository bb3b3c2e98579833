"""Small models that hold nothing but a rule's `match`, over tensors of shapes that fit: what its claim is tried on where no formula of
numbers can say (MatMul, Softmax, Conv …)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice, product

import onnx
from onnx import TensorProto, helper

from ...targets.formula import Call, Expression
from ...targets.operator_view import AttributeValue
from ...targets.rule_formula import attribute_kind
from ...targets.rule_spec import RuleSpec
from ..formula.pattern import Value
from ..graph.graph import Graph
from .build import Builder
from .rewrite import Bindings
from .write_rule import Writer, attribute_parameters

SHAPES: tuple[tuple[int, ...], ...] = ((3, 3), (3,), (2, 3, 3), (1, 3, 5, 5), (3, 3, 1, 1), (3, 3, 3, 3))
VALUES: Mapping[str, tuple[AttributeValue, ...]] = {
    "int": (-1, 1, 0, 2), "float": (0.5, 2.0, 1e-5), "ints": ((1, 1), (0, 0, 0, 0), (-1,), (0,)), "string": (),
}  # fmt: skip
MOST = 600
OPSET = 22


def examples(spec: RuleSpec) -> Iterator[onnx.ModelProto]:
    """Models of `match` in fp64; many of them invalid, since shapes are only tried."""
    attributes = attribute_parameters(spec)
    tensors = [name for name in spec.parameters if name not in attributes]
    kinds = _kinds(spec.match[0])
    values = [VALUES.get(kinds.get(name, ""), ()) for name in spec.parameters if name in attributes]
    choices = product(product(SHAPES, repeat=len(tensors)), product(*values))
    for shapes, settings in islice(choices, MOST):
        known: dict[str, Value] = {name: name for name in tensors}
        known.update(zip((name for name in spec.parameters if name in attributes), settings, strict=True))  # type: ignore[arg-type]
        yield _model(spec, dict(zip(tensors, shapes, strict=True)), known)


def _model(spec: RuleSpec, shapes: Mapping[str, tuple[int, ...]], known: Mapping[str, Value]) -> onnx.ModelProto:
    inputs = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, shape) for name, shape in shapes.items()]
    start = helper.make_model(helper.make_graph([], "rule", inputs, []), opset_imports=[helper.make_opsetid("", OPSET)])
    graph = Graph(start)
    root = graph.node("Identity", [next(iter(shapes), "")], outputs=["result"])
    writer = Writer(spec, Builder(graph, "fp64", "result"), Bindings(root, known))
    results = writer.formula(spec.match[0], len(spec.emit))
    nodes = [node.to_proto() for node in writer.builder.nodes]
    nodes += [helper.make_node("Identity", [name], [f"result_{k}"]) for k, name in enumerate(results)]
    outputs = [onnx.ValueInfoProto(name=f"result_{k}") for k in range(len(results))]
    used = {name for node in nodes for name in node.input}
    constants = [constant for name, constant in graph.constants.items() if name in used]
    return helper.make_model(
        helper.make_graph(nodes, "rule", inputs, outputs, constants), opset_imports=list(start.opset_import), ir_version=10
    )


def _kinds(expression: Expression) -> dict[str, str]:
    """Attribute parameters by the kind of attribute they stand for."""
    found: dict[str, str] = {}
    if isinstance(expression, Call):
        found.update(
            {value.name: attribute_kind(expression.function, name) for name, value in expression.keywords if hasattr(value, "name")}
        )
    for part in (*getattr(expression, "arguments", ()), *(getattr(expression, side, None) for side in ("left", "right", "operand"))):
        if part is not None:
            found.update(_kinds(part))
    return found
