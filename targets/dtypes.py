"""The dtypes of ONNX tensors: names, element codes, bits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

DTYPE: Mapping[int, str] = {
    1: "fp32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string", 9: "bool", 10: "fp16", 11: "fp64",
    12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128", 16: "bf16",
    17: "fp8", 18: "fp8", 19: "fp8", 20: "fp8", 21: "uint4", 22: "int4",
}  # fmt: skip


ELEMENT: Mapping[str, int] = {name: code for code, name in reversed(list(DTYPE.items()))}


BITS: Mapping[str, int] = {
    "fp64": 64, "fp32": 32, "fp16": 16, "bf16": 16, "fp8": 8,
    "int64": 64, "int32": 32, "int16": 16, "int8": 8, "int4": 4,
    "uint64": 64, "uint32": 32, "uint16": 16, "uint8": 8, "uint4": 4,
    "bool": 8, "complex64": 64, "complex128": 128,
}  # fmt: skip


def packed_bytes(dtype: str, shape: Sequence[int]) -> int | None:
    """Bytes of a contiguous tensor, the last byte of a packed dtype filled up; None for a dtype without a size (string, sequence)."""
    return (math.prod(shape) * BITS[dtype] + 7) // 8 if dtype in BITS else None
