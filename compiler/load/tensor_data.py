"""How a TensorProto holds its elements: in raw_data, or in the field for numbers of its type. Does it hold as many as its shape says?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ...passes.mapped.mapped_tensor import data_bytes

if TYPE_CHECKING:
    import onnx

FIELDS = {
    "float_data": ("FLOAT", "COMPLEX64"),
    "int64_data": ("INT64",),
    "double_data": ("DOUBLE", "COMPLEX128"),
    "uint64_data": ("UINT32", "UINT64"),
    "string_data": ("STRING",),
}
"""Of the types that each holds; int32_data holds every other one (onnx.proto)."""
ALL_FIELDS = (*FIELDS, "int32_data")


def packed_bits(tensor: onnx.TensorProto) -> int:
    """Bits per element as raw_data packs them; 0 for strings and types this onnx does not know."""
    from onnx import TensorProto, helper

    kind = tensor.data_type
    name = TensorProto.DataType.Name(kind) if kind in TensorProto.DataType.values() else "UNDEFINED"
    if name in ("UNDEFINED", "STRING"):
        return 0
    for packed in (2, 4):
        if name.endswith(f"INT{packed}") or name.startswith(f"FLOAT{packed}E"):
            return packed
    return int(helper.tensor_dtype_to_np_dtype(kind).itemsize) * 8


def raw_fault(tensor: onnx.TensorProto, size: int) -> str:
    """What is wrong with raw_data, of which the shape needs `size` bytes; "" where nothing is."""
    if not packed_bits(tensor):
        return "is of strings, and has raw data"
    if (held := data_bytes(tensor)) != size:
        return f"has {held} bytes, its shape {list(tensor.dims)} needs {size}"
    more = _filled(tensor)
    return f"has its data twice, in raw_data and in {more[0]}" if more else ""


def typed_fault(tensor: onnx.TensorProto, size: int) -> str:
    """The same for a tensor without raw_data; `size`: bytes of its elements, packed."""
    from onnx import TensorProto

    kind = TensorProto.DataType.Name(tensor.data_type)
    field = next((name for name, kinds in FIELDS.items() if kind in kinds), "int32_data")
    filled = _filled(tensor)
    needed = math.prod(tensor.dims) * (2 if kind.startswith("COMPLEX") else 1)
    if 0 < packed_bits(tensor) < 8:
        needed = size  # an element of int32_data holds one byte
    if needed and not filled:
        return "has no data"
    wrong = next((name for name in filled if name != field), "")
    if wrong:
        return f"is of {kind.lower()}, and has its data in {wrong} in place of {field}"
    found = len(getattr(tensor, field))
    return f"has {found} elements in {field}, its shape {list(tensor.dims)} needs {needed}" if found != needed else ""


def _filled(tensor: onnx.TensorProto) -> list[str]:
    return [name for name in ALL_FIELDS if len(getattr(tensor, name))]
