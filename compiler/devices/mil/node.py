"""Values of MIL programs: their dtypes, and constants as MIL has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]

INT32 = (-(2**31), 2**31 - 1)


def is_float(value: Any) -> bool:
    """Of a MIL variable or a numpy array."""
    import numpy

    if isinstance(value, numpy.ndarray):
        return bool(value.dtype.kind == "f")
    from coremltools.converters.mil.mil import types

    return value.dtype in (types.fp16, types.fp32)


def float_type(value: Any) -> Any:
    """The numpy dtype of a float operand: constants beside it must have the same."""
    import numpy

    if isinstance(value, numpy.ndarray):
        return value.dtype.type
    from coremltools.converters.mil.mil import types

    return numpy.float16 if value.dtype == types.fp16 else numpy.float32


def as_constant(array: Array) -> Array:
    """A constant as MIL has it: int64 as int32 (ONNX's "to the end" saturates). Raises ValueError for a dtype MIL has no arrays of."""
    import numpy

    if array.dtype == numpy.int64:
        return numpy.clip(array, *INT32).astype(numpy.int32)
    if array.dtype not in (numpy.float32, numpy.float16, numpy.int32, numpy.bool_):
        raise ValueError(f"Core ML has no {array.dtype} here")
    return array
