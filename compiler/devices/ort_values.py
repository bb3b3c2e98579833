"""Values passed by name, between numpy and onnxruntime: also of dtypes that onnxruntime itself does not convert (fp8, 4 and 2 bits).

numpy (through ml_dtypes, as onnx has it) gives every element a byte; onnxruntime packs elements of 4 and 2 bits, as a TensorProto does.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...targets.dtypes import EXOTIC

if TYPE_CHECKING:
    import numpy
    import onnxruntime

SPELT = frozenset(name for name, _ in EXOTIC.values())
"""Dtypes that plain numpy lacks, as onnxruntime spells them in a type, `tensor(uint4)`."""


def run_session(session: onnxruntime.InferenceSession, names: Sequence[str], feed: Mapping[str, Any], options: Any = None) -> list[Any]:
    """`session.run`, for models with exotic dtypes among their inputs and outputs too."""
    types = [value.type for value in (*session.get_inputs(), *session.get_outputs())]
    if not any(kind.removeprefix("tensor(").removesuffix(")") in SPELT for kind in types):
        return list(session.run(names, dict(feed), options))
    found = session.run_with_ort_values(names, {name: to_ort(value) for name, value in feed.items()}, options)
    return [to_plain(value) for value in found]


def to_ort(value: Any) -> Any:
    """An array as an OrtValue; anything else (an OrtValue of another segment) as it is."""
    import numpy
    import onnxruntime

    if not isinstance(value, numpy.ndarray | numpy.generic):
        return value
    array = numpy.asarray(value)
    if array.dtype.kind != "V" and array.dtype.isbuiltin == 1:
        return onnxruntime.OrtValue.ortvalue_from_numpy(array)
    from onnx import numpy_helper

    tensor = numpy_helper.from_array(array)
    made = onnxruntime.OrtValue.ortvalue_from_shape_and_type(list(array.shape), tensor.data_type)
    ctypes.memmove(made.data_ptr(), tensor.raw_data, len(tensor.raw_data))
    return made


def to_plain(value: Any) -> Any:
    """A value passed by name as numpy or Python data, whatever the segment that made it handed over."""
    if not hasattr(value, "data_ptr"):
        return value
    if value.is_tensor() and value.element_type() in EXOTIC:
        return _unpacked(value)
    return value.numpy()


def _unpacked(value: Any) -> numpy.ndarray[Any, Any]:
    from onnx import TensorProto, numpy_helper

    shape, element = tuple(value.shape()), value.element_type()
    tensor = TensorProto(data_type=element, dims=shape)
    tensor.raw_data = ctypes.string_at(value.data_ptr(), (math.prod(shape) * EXOTIC[element][1] + 7) // 8)
    return numpy_helper.to_array(tensor)
