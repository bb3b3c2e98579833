"""Why onnxruntime does not load a model, in one sentence that names operator, tensor and dtype. Its own words hold addresses."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from .infer_types import infer_types
from .structure import all_graphs, describe_node

if TYPE_CHECKING:
    import onnx

NO_KERNEL = re.compile(r"Could not find an implementation for (\w+)\((\d+)\) node with name '([^']*)'")
NOT_ALLOWED = re.compile(r"Type 'tensor\((\w+)\)' of input parameter \((.*?)\) of operator \((\w+)\) in node \((.*?)\) is invalid")
NO_TYPE = re.compile(r"MLDataType for: (?:tensor\()?(\w+)\)? is not currently registered")
COMMON = frozenset({"float", "double", "float16", "int64", "int32", "bool"})
"""Dtypes that hardly any operator lacks."""


def explain_refusal(problem: str, model: onnx.ModelProto) -> str:
    """`problem` (what onnxruntime says) in plain words; as it is where nothing is known of it. `model`: as it was given."""
    if found := NOT_ALLOWED.search(problem):
        node = _named(model, found[3], found[4], found[2])
        what = describe_node(node) if node is not None else found[3]
        return f"{what} reads tensor '{found[2]}' of {found[1]}, which {found[3]} does not take"
    if found := NO_TYPE.search(problem):
        return f"it has no tensors of {found[1]}"
    if found := NO_KERNEL.search(problem):
        return _without_kernel(model, found[1], found[2], found[3])
    return problem


def _without_kernel(model: onnx.ModelProto, operator: str, version: str, name: str) -> str:
    """The first such operator with a tensor of a rare dtype, since the node's name may be empty."""
    copy = type(model)()
    copy.CopyFrom(model)
    kinds = _dtypes(infer_types(copy))
    nodes = [node for node in _nodes(model) if node.op_type == operator and node.name == name]
    for node in nodes:
        for tensor in (*node.input, *node.output):
            if kinds.get(tensor, "float") not in COMMON:
                what = f"{describe_node(node)} (of opset {version}) on {kinds[tensor]}, the dtype of tensor '{tensor}'"
                return f"its CPU has no kernel for {what}: export the model in fp32 or fp16"
    if not nodes:
        return f"its CPU has no kernel for {operator} of opset {version}"
    read = dict.fromkeys(kinds.get(tensor, "unknown") for tensor in nodes[0].input if tensor)
    return f"its CPU has no kernel for {describe_node(nodes[0])} (of opset {version}) on {', '.join(read)}"


def _named(model: onnx.ModelProto, operator: str, name: str, tensor: str) -> onnx.NodeProto | None:
    nodes = (node for node in _nodes(model) if node.op_type == operator and node.name == name)
    return next((node for node in nodes if tensor in node.input), None)


def _nodes(model: onnx.ModelProto) -> Iterable[onnx.NodeProto]:
    for graph in all_graphs(model.graph):
        yield from graph.node
    for function in model.functions:
        yield from function.node


def _dtypes(model: onnx.ModelProto) -> dict[str, str]:
    from onnx import TensorProto

    found: dict[str, int] = {}
    for graph in all_graphs(model.graph):
        found.update((tensor.name, tensor.data_type) for tensor in graph.initializer)
        values = (*graph.input, *graph.value_info, *graph.output)
        found.update((value.name, value.type.tensor_type.elem_type) for value in values if value.type.HasField("tensor_type"))
    return {name: TensorProto.DataType.Name(kind).lower() for name, kind in found.items() if kind}
