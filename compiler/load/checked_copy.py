"""The model as onnx.checker is to see it: without what it refuses although it has a meaning.

It asks for a shape of every output, which runtimes infer, and refuses an operator that a later opset replaced: GroupNormalization of opset
18 to 20, whose scale and bias are per group (lift/convert_nodes.py); and what onnxruntime alone has in the standard's domain
(lift/runtime_operators.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ModelError
from .infer_types import infer_types
from .lift.runtime_operators import is_runtime_operator
from .structure import all_graphs
from .versions import DEFAULT_DOMAINS

if TYPE_CHECKING:
    import onnx

REPLACED = {"GroupNormalization": range(18, 21)}
"""Operators that the checker calls deprecated, and the opsets where they have a meaning all the same."""
UNSEEN = "autoglmc.replaced"


def checked_copy(model: onnx.ModelProto) -> bytes:
    """Serialised. The model has the type of every output (`type_outputs`)."""
    copy = type(model)()
    copy.CopyFrom(model)
    for value in copy.graph.output:
        if value.type.HasField("tensor_type") and not value.type.tensor_type.HasField("shape"):
            value.type.tensor_type.shape.SetInParent()
    for owner in (copy, *copy.functions):
        opset = next((entry.version for entry in owner.opset_import if entry.domain in DEFAULT_DOMAINS), 1)
        parts = [owner] if owner is not copy else []
        parts += [part for part in all_graphs(copy.graph)] if owner is copy else []
        hidden = [n for part in parts for n in part.node if _is_unseen(n, opset)]
        for node in hidden:
            node.domain = UNSEEN
        if hidden:
            owner.opset_import.add(domain=UNSEEN, version=1)
    data: bytes = copy.SerializeToString()
    return data


def _is_unseen(node: onnx.NodeProto, opset: int) -> bool:
    return (node.domain in DEFAULT_DOMAINS and opset in REPLACED.get(node.op_type, ())) or is_runtime_operator(node)


def type_outputs(model: onnx.ModelProto, where: str) -> None:
    """Gives outputs without a type, or without a shape, what inference finds, in place. Raises ModelError for one without a type that
    cannot be inferred."""
    missing = [value for value in model.graph.output if not _is_typed(value)]
    if not missing:
        return
    copy = type(model)()
    copy.CopyFrom(model)
    for value in copy.graph.output:
        if not value.type.WhichOneof("value"):
            value.ClearField("type")
    found = {value.name: value.type for value in infer_types(copy).graph.output}
    for value in missing:
        inferred = found[value.name]
        if inferred.WhichOneof("value") and (inferred.tensor_type.elem_type or not inferred.HasField("tensor_type")):
            value.type.CopyFrom(inferred)
        elif not value.type.tensor_type.elem_type:
            message = f"output '{value.name}' has no type, and it cannot be inferred"
            raise ModelError(message, where=where, help="export the model with typed outputs")


def _is_typed(value: onnx.ValueInfoProto) -> bool:
    kind = value.type.WhichOneof("value")
    return kind is not None and (
        kind != "tensor_type" or bool(value.type.tensor_type.elem_type and value.type.tensor_type.HasField("shape"))
    )
