"""Operands and attributes that onnx.checker lets pass. It asks for single operands only; in a list of operands onnxruntime reads what is
not there, and the process dies. An attribute that refers to one of a function has no value outside of functions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..errors import ModelError
from .structure import all_graphs, describe_node

if TYPE_CHECKING:
    import onnx


def check_operands(model: onnx.ModelProto, where: str) -> None:
    """Raises ModelError for an operator of the standard with an empty name in its list of operands (Concat, Max, Sum …), and for an
    attribute outside of functions that refers to one of a function."""
    _check_references(model, where)
    versions = {entry.domain: entry.version for entry in model.opset_import}
    _check((node for graph in all_graphs(model.graph) for node in graph.node), versions, where)
    for function in model.functions:
        own = {entry.domain: entry.version for entry in function.opset_import}
        _check(function.node, versions | own, where)


def _check_references(model: onnx.ModelProto, where: str) -> None:
    for graph in all_graphs(model.graph):
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.ref_attr_name:
                    message = f"attribute '{attribute.name}' of {describe_node(node)} refers to '{attribute.ref_attr_name}' of a function"
                    help = "only operators of a local function can do so; export the model again"
                    raise ModelError(f"{message}, and stands in none", where=where, help=help)


def _check(nodes: Iterable[onnx.NodeProto], versions: dict[str, int], where: str) -> None:
    for node in nodes:
        if "" in node.input and (first := _variadic_from(node, versions)) is not None and "" in node.input[first:]:
            number = list(node.input).index("", first)
            message = f"input {number} of {describe_node(node)} has no name; {node.op_type} takes a list, of which none may be left out"
            raise ModelError(message, where=where, help="remove the empty input, or export the model again")


def _variadic_from(node: onnx.NodeProto, versions: dict[str, int]) -> int | None:
    """The first operand of the list that the operator takes; None where it takes none, or is not known."""
    import onnx

    domain = "" if node.domain == "ai.onnx" else node.domain
    try:
        schema = onnx.defs.get_schema(node.op_type, versions.get(domain, versions.get("ai.onnx", 1)), domain)
    except onnx.defs.SchemaError:
        return None
    last = len(schema.inputs) - 1
    return last if last >= 0 and schema.inputs[last].option == onnx.defs.OpSchema.FormalParameterOption.Variadic else None
