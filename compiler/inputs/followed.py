"""Inputs of a decoder that follow from how many tokens there are: masks, positions, and switches that are the same in every step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx

MASK, POSITIONS = "mask", "position"
"""What names of inputs contain that say which tokens count, and where tokens stand."""
BEGINS = (POSITIONS, "start_pos", "past_len", "past_seq")
"""What names of whole numbers contain that say behind how many others the new tokens stand."""
SWITCHES: Mapping[str, int] = {"logits_to_keep": 0, "use_cache_branch": 1}
"""Values of inputs of one element, by what their names end with: 0 keeps the logits of all tokens, and of two branches, with a past and
without, the first one takes an empty past too. Both are conventions of transformers and optimum."""
WHOLE = frozenset({2, 3, 4, 5, 6, 7, 9, 12, 13})
"""Element types of whole numbers and booleans."""
BOOL = 9
FLOATS = frozenset({1, 10, 11, 16})
"""Element types of float, float16, double and bfloat16."""


def follows(value: onnx.ValueInfoProto) -> bool:
    """Whether the input is such a mask, or positions, or a switch, by its name and type."""
    tensor, name = value.type.tensor_type, value.name.lower()
    if _switch(value) is not None or _begins(value):
        return True
    types = WHOLE | FLOATS if MASK in name else WHOLE if POSITIONS in name else frozenset()
    return tensor.elem_type in types and len(tensor.shape.dim) > 0


def followed_value(value: onnx.ValueInfoProto, sizes: Mapping[str, int], past: int, tokens: int) -> Any:
    """The input for `tokens` tokens behind `past` others: the positions of the new ones, or a mask that closes none of all. A mask whose
    last two of three dims or more are a row for each new token and a column for each token closes those behind the new one. sizes: of
    named dims; the last one is as long as what the input is about, and any other without a size is 1.

    A mask is ones and zeros, or, where it is of floats and has three dims or more, 0 and the lowest number: it is added to scores."""
    import ml_dtypes
    import numpy as np
    from onnx import helper

    dtype = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
    dims = value.type.tensor_type.shape.dim
    switch = _switch(value)
    if switch is not None or _begins(value):
        return np.full([1 for _ in dims], past if switch is None else switch, dtype)
    positions = POSITIONS in value.name.lower()
    rest = tokens if positions else past + tokens
    shape = [dim.dim_value or sizes.get(dim.dim_param, rest if k == len(dims) - 1 else 1) for k, dim in enumerate(dims)]
    if positions:
        return np.ascontiguousarray(np.broadcast_to(np.arange(past, past + tokens), shape).astype(dtype))
    seen: Any = np.ones(1, bool)
    if len(dims) > 2 and not dims[-2].dim_value and not dims[-1].dim_value and dims[-1].dim_param not in sizes:
        seen, shape[-2:] = np.tri(tokens, past + tokens, past, dtype=bool), [tokens, past + tokens]
    if is_added(value):
        seen = np.where(seen, 0.0, float(ml_dtypes.finfo(dtype).min))  # type: ignore[no-untyped-call]
    return np.ascontiguousarray(np.broadcast_to(seen, shape).astype(dtype))


def is_added(value: onnx.ValueInfoProto) -> bool:
    """Whether a mask that follows is taken to be added to scores."""
    tensor = value.type.tensor_type
    return MASK in value.name.lower() and tensor.elem_type in FLOATS and len(tensor.shape.dim) > 2


def _switch(value: onnx.ValueInfoProto) -> int | None:
    """What an input is in every step that has one element, and one of the names."""
    if not _is_one(value):
        return None
    return next((made for name, made in SWITCHES.items() if value.name.lower().endswith(name)), None)


def _begins(value: onnx.ValueInfoProto) -> bool:
    """Whether an input of one element says where the new tokens begin."""
    return _is_one(value) and value.type.tensor_type.elem_type != BOOL and any(word in value.name.lower() for word in BEGINS)


def _is_one(value: onnx.ValueInfoProto) -> bool:
    """Whether it is a whole number, or a list of one."""
    tensor = value.type.tensor_type
    return tensor.elem_type in WHOLE and len(tensor.shape.dim) < 2 and all(dim.dim_value == 1 for dim in tensor.shape.dim)
