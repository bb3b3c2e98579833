"""Casts. A number stays float64 whatever wide dtype it is cast to, but overflows as that dtype would; narrow dtypes really round."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np

from .call import Call, Kernel, Value

DTYPES: Mapping[int, str] = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "str", 9: "bool", 10: "float16",
    11: "float64", 12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128", 16: "bfloat16", 17: "float8_e4m3fn",
    18: "float8_e4m3fnuz", 19: "float8_e5m2", 20: "float8_e5m2fnuz", 21: "uint4", 22: "int4", 23: "float4_e2m1fn",
    24: "float8_e8m0fnu", 25: "uint2", 26: "int2",
}  # fmt: skip
"""The numbers of TensorProto.DataType."""
WIDE = ("float64", "float32", "float16", "bfloat16")
"""Floating-point dtypes whose rounding the reference leaves out."""
NARROW = tuple(name for name in DTYPES.values() if name.startswith(("float8", "float4")))


def dtype_of(name: str) -> Any:
    """numpy's dtype of that name, those of ml_dtypes included."""
    return np.dtype(getattr(ml_dtypes, name, name))


def limits_of(name: str) -> tuple[float, float]:
    """The least and the largest finite number of a dtype."""
    dtype = dtype_of(name)
    describe: Any = np.iinfo if dtype.kind in "iu" else ml_dtypes.iinfo if "int" in name else ml_dtypes.finfo
    limits = describe(dtype)
    return float(limits.min), float(limits.max)


def overflowed(x: Value, name: str) -> Value:
    """x with what exceeds that wide dtype made infinite."""
    if name == "float64":
        return x
    return np.where(np.isinf(x.astype(dtype_of(name)).astype(np.float64)), np.copysign(np.inf, x), x)


def rounded(x: Value, name: str, saturate: bool = True) -> Value:
    """x as the nearest number of that fp8 or fp4 dtype, in float64. Without saturation what exceeds it is inf or NaN."""
    dtype = dtype_of(name)
    if name == "float8_e8m0fnu":
        return x.astype(dtype).astype(np.float64)
    if saturate or name == "float4_e2m1fn":
        limit = limits_of(name)[1]
        x = np.clip(x, -limit, limit)
    return x.astype(dtype).astype(np.float64)


def to_integer(x: Value, name: str) -> Value:
    """Truncated toward zero; of what does not fit the low bits remain, in 2 and 4 bits too."""
    if x.dtype.kind == "f":
        x = np.trunc(x).astype(np.uint64 if name == "uint64" else np.int64)
    if name.endswith(("int2", "int4")):
        bits = int(name[-1])
        low = x.astype(np.int64) & (2**bits - 1)
        x = low if name[0] == "u" else low - ((low >> (bits - 1)) << bits)
        return x.astype(np.int8).astype(dtype_of(name))
    return (x.astype(np.int64) if x.dtype.kind == "V" else x).astype(dtype_of(name))


def converted(x: Value, name: str, saturate: bool, up: str = "up") -> Value:
    """An array cast to the dtype of that name. Raises NotImplementedError for strings made of numbers."""
    if name == "str":
        if x.dtype.kind in "OUST":
            return x
        raise NotImplementedError("numbers cast to strings")
    if x.dtype.kind in "OUST":
        x = np.array([float(text) for text in x.astype(str).ravel()]).reshape(x.shape)
    if name == "bool":
        return x.astype(np.float64) != 0 if x.dtype.kind == "V" else x != 0
    if name not in WIDE and name not in NARROW:
        return to_integer(x, name)
    x = x.astype(np.float64)
    if name == "float8_e8m0fnu":
        return _power_of_two(x, up)
    return overflowed(x, name) if name in WIDE else rounded(x, name, saturate)


def _power_of_two(x: Value, mode: str) -> Value:
    """E8M0: 2^-127 … 2^127, rounded up, down or to the nearer (ties up)."""
    exponent = np.log2(np.abs(x))
    floor = np.floor(exponent)
    if mode == "up":
        floor = np.ceil(exponent)
    elif mode == "nearest":
        floor = floor + (np.abs(x) >= 1.5 * np.exp2(floor))
    return np.where(np.isfinite(x), np.exp2(np.clip(floor, -127, 127)), np.nan)


def cast(call: Call) -> tuple[Value, ...]:
    saturate = bool(call.attributes.get("saturate", 1))
    return (converted(np.asarray(call.inputs[0]), DTYPES[int(call.attributes["to"])], saturate, call.attributes.get("round_mode", "up")),)


def cast_like(call: Call) -> tuple[Value, ...]:
    saturate = bool(call.attributes.get("saturate", 1))
    name = call.dtypes[1] if call.dtypes[1] not in ("object", "str_") else "str"
    return (converted(np.asarray(call.inputs[0]), name, saturate, call.attributes.get("round_mode", "up")),)


def bit_cast(call: Call) -> tuple[Value, ...]:
    """The bits of the declared dtype read as another one of the same width."""
    x = np.ascontiguousarray(np.asarray(call.inputs[0]).astype(dtype_of(call.dtypes[0])))
    name = DTYPES[int(call.attributes["to"])]
    y = x.view(dtype_of(name)).reshape(np.shape(call.inputs[0]))
    return (y.astype(np.float64) if name in (*WIDE, *NARROW) else y,)


KERNELS: Mapping[str, Kernel] = {"Cast": cast, "CastLike": cast_like, "BitCast": bit_cast}
