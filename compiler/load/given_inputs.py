"""Are the arrays that a user gives the inputs of the model?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import UsageError, did_you_mean
from .bind_shapes import real_inputs

if TYPE_CHECKING:
    import onnx


def check_given(model: onnx.ModelProto, given: Mapping[str, Any]) -> None:
    """Names, dtypes and (where bound) shapes. Raises UsageError for the first that does not fit."""
    from onnx import helper

    inputs = {value.name: value.type for value in real_inputs(model.graph)}
    for name in given:
        if name not in inputs:
            raise UsageError(f"the model has no input '{name}'", help=did_you_mean(name, inputs))
    for name, kind in inputs.items():
        if name not in given:
            raise UsageError(f"no array for the model's input '{name}'", help=f"add it to the file; the inputs: {', '.join(inputs)}")
        if not kind.HasField("tensor_type"):
            continue
        tensor = kind.tensor_type
        dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        if given[name].dtype != dtype and dtype.kind != "O":
            raise UsageError(f"input '{name}' is {given[name].dtype}, the model takes {dtype}", help=f"array.astype('{dtype}')")
        shape = tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim)
        fits = len(shape) == given[name].ndim and all(want in (None, have) for want, have in zip(shape, given[name].shape, strict=True))
        if tensor.HasField("shape") and not fits:
            raise UsageError(f"input '{name}' has shape {list(given[name].shape)}, the model takes {list(shape)}", help="see --shape")
