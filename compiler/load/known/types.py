"""Types of tensors as protobufs: whether every dim has a size, and what two of them say together."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx


def sizes_of(kind: onnx.TypeProto | None) -> list[int | None] | None:
    """The sizes of a tensor's dims, None for one without; None where not even the rank is known, or it is no tensor."""
    if kind is None or not kind.HasField("tensor_type") or not kind.tensor_type.HasField("shape"):
        return None
    return [dim.dim_value if dim.HasField("dim_value") else None for dim in kind.tensor_type.shape.dim]


def is_static(kind: onnx.TypeProto | None) -> bool:
    """Whether dtype and every dim are known; a sequence, an optional or a map counts as known: it has no shape."""
    if kind is None or kind.WhichOneof("value") is None:
        return False
    if not kind.HasField("tensor_type"):
        return True
    tensor = kind.tensor_type
    return bool(tensor.elem_type) and tensor.HasField("shape") and all(dim.HasField("dim_value") for dim in tensor.shape.dim)


def elements_of(kind: onnx.TypeProto | None) -> int | None:
    """Of a tensor; None while a dim has no size."""
    sizes = sizes_of(kind)
    return None if sizes is None or None in sizes else math.prod(size or 0 for size in sizes)


def merge(known: onnx.TypeProto | None, found: onnx.TypeProto) -> onnx.TypeProto | None:
    """`known` completed by `found`; None where that adds nothing. What is known stays where the two differ."""
    if found.WhichOneof("value") is None:
        return None
    if known is None or known.WhichOneof("value") is None:
        return found
    if not known.HasField("tensor_type") or not found.HasField("tensor_type"):
        return None
    merged: onnx.TypeProto = type(known).FromString(known.SerializeToString())
    ours, theirs, changed = merged.tensor_type, found.tensor_type, False
    if not ours.elem_type and theirs.elem_type:
        ours.elem_type, changed = theirs.elem_type, True
    if not theirs.HasField("shape"):
        return merged if changed else None
    if not ours.HasField("shape"):
        ours.shape.CopyFrom(theirs.shape)
        return merged
    if len(ours.shape.dim) != len(theirs.shape.dim):
        return merged if changed else None
    for mine, other in zip(ours.shape.dim, theirs.shape.dim, strict=True):
        if not mine.HasField("dim_value") and other.HasField("dim_value"):
            mine.dim_value, changed = other.dim_value, True
    return merged if changed else None


def common(kinds: Sequence[onnx.TypeProto | None]) -> onnx.TypeProto | None:
    """What holds of all of them: dims that differ have no size; None where dtype or rank differ, or one is not known."""
    first = kinds[0]
    if first is None or any(kind is None for kind in kinds):
        return None
    if not first.HasField("tensor_type"):
        return first if all(kind == first for kind in kinds) else None
    shapes = [sizes_of(kind) for kind in kinds]
    dtypes = {kind.tensor_type.elem_type for kind in kinds if kind is not None}
    if len(dtypes) > 1:
        return None
    made = type(first)()
    made.tensor_type.elem_type = first.tensor_type.elem_type
    ranks = {None if shape is None else len(shape) for shape in shapes}
    if len(ranks) > 1 or None in ranks:
        return made
    dims = zip(*(shape for shape in shapes if shape is not None), strict=True)
    return tensor_type(made.tensor_type.elem_type, [sizes[0] if len(set(sizes)) == 1 else None for sizes in dims])


def tensor_type(dtype: int, sizes: Sequence[int | None]) -> onnx.TypeProto:
    """A dense tensor of this dtype and shape; None for a dim of any size."""
    from onnx import TypeProto

    kind = TypeProto()
    kind.tensor_type.elem_type = dtype
    kind.tensor_type.shape.SetInParent()
    for size in sizes:
        dim = kind.tensor_type.shape.dim.add()
        if size is not None:
            dim.dim_value = size
    return kind


def attributes_of(node: onnx.NodeProto) -> Mapping[str, Any]:
    """The node's own attributes, without the schema's defaults."""
    from onnx import helper

    return {item.name: helper.get_attribute_value(item) for item in node.attribute}
