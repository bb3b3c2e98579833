"""Inputs of a decoder that follow from how many tokens there are: masks of ones, and positions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx

MASK, POSITIONS = "mask", "position"
"""What names of inputs contain that say which tokens count, and where tokens stand."""
WHOLE = frozenset({2, 3, 4, 5, 6, 7, 9, 12, 13})
"""Element types of whole numbers and booleans."""


def follows(value: onnx.ValueInfoProto) -> bool:
    """Whether the input is such a mask, or positions, by its name and type."""
    tensor = value.type.tensor_type
    named = any(word in value.name.lower() for word in (MASK, POSITIONS))
    return named and tensor.elem_type in WHOLE and len(tensor.shape.dim) > 0


def followed_value(value: onnx.ValueInfoProto, sizes: Mapping[str, int], past: int, tokens: int) -> Any:
    """The input for `tokens` tokens behind `past` others: ones for all of them, or the positions of the new ones. sizes: of named dims; a
    dim without a size is as long as what the input is about."""
    import numpy as np
    from onnx import helper

    dtype = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
    positions = POSITIONS in value.name.lower()
    rest = tokens if positions else past + tokens
    shape = [dim.dim_value or sizes.get(dim.dim_param, rest) for dim in value.type.tensor_type.shape.dim]
    array = np.broadcast_to(np.arange(past, past + tokens), shape) if positions else np.ones(shape)
    return np.ascontiguousarray(array.astype(dtype))
