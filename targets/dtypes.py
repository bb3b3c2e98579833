"""The dtypes of ONNX tensors, one row each: everything that is a fact of a dtype and of nothing else stands here.

What a runtime, a rule or a chip can do with a dtype is no such fact and stands with it. Sources: onnx.proto (codes), IEEE 754 and
the papers on bfloat16 and fp8 (ranges).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["float", "int", "uint", "bool", "complex"]


@dataclass(frozen=True, slots=True)
class Dtype:
    kind: Kind
    bits: int
    """Of one element in memory; less than 8 is packed."""
    codes: tuple[int, ...]
    """TensorProto.DataType; fp8 stands for all four forms of it."""
    onnx: str
    """Its name in operator schemas: `tensor(float16)`."""
    numpy: str = ""
    """Its name in numpy; "" where numpy has none (ml_dtypes has bf16)."""
    fraction: int = 0
    """Of a float: stored bits of the significand; 0 for fp8, whose forms differ."""
    exponent: int = 0
    """Of a float: bits of the exponent."""
    others: tuple[str, ...] = ()
    """What other languages call it, in lower case."""


DTYPES: Mapping[str, Dtype] = {
    "fp64": Dtype("float", 64, (11,), "double", "float64", 52, 11, ("float64", "f64", "double")),
    "fp32": Dtype("float", 32, (1,), "float", "float32", 23, 8, ("float32", "f32", "float", "single")),
    "fp16": Dtype("float", 16, (10,), "float16", "float16", 10, 5, ("float16", "f16", "half")),
    "bf16": Dtype("float", 16, (16,), "bfloat16", "", 7, 8, ("bfloat16", "bfp16")),
    "fp8": Dtype("float", 8, (17, 18, 19, 20), "", others=("float8", "f8", "float8e4m3fn")),
    "int64": Dtype("int", 64, (7,), "int64", "int64", others=("i64", "s64", "long")),
    "int32": Dtype("int", 32, (6,), "int32", "int32", others=("i32", "s32", "int")),
    "int16": Dtype("int", 16, (5,), "int16", "int16", others=("i16", "s16")),
    "int8": Dtype("int", 8, (3,), "int8", "int8", others=("i8", "s8")),
    "int4": Dtype("int", 4, (22,), "int4", others=("i4", "s4")),
    "uint64": Dtype("uint", 64, (13,), "uint64", "uint64", others=("u64",)),
    "uint32": Dtype("uint", 32, (12,), "uint32", "uint32", others=("u32",)),
    "uint16": Dtype("uint", 16, (4,), "uint16", "uint16", others=("u16",)),
    "uint8": Dtype("uint", 8, (2,), "uint8", "uint8", others=("u8", "byte")),
    "uint4": Dtype("uint", 4, (21,), "uint4", others=("u4",)),
    "bool": Dtype("bool", 8, (9,), "bool", "bool", others=("boolean",)),
    "complex64": Dtype("complex", 64, (14,), "complex64", "complex64"),
    "complex128": Dtype("complex", 128, (15,), "complex128", "complex128"),
}
"""By the name that the language and the reports use."""
DTYPE: Mapping[int, str] = {**{code: name for name, dtype in DTYPES.items() for code in dtype.codes}, 8: "string"}
"""TensorProto.DataType to our name."""
ELEMENT: Mapping[str, int] = {**{name: dtype.codes[0] for name, dtype in DTYPES.items()}, "string": 8}
"""Our name to TensorProto.DataType."""
BITS: Mapping[str, int] = {name: dtype.bits for name, dtype in DTYPES.items()}
NUMPY: Mapping[str, str] = {name: dtype.numpy for name, dtype in DTYPES.items() if dtype.numpy}
"""Our name to numpy's."""
OTHER_NAMES: Mapping[str, str] = {other: name for name, dtype in DTYPES.items() for other in dtype.others}
"""What other languages call a dtype to our name."""

WIDEST_FIRST: tuple[str, ...] = tuple(name for name, dtype in DTYPES.items() if dtype.kind == "float")
"""Floats, in the order in which one is preferred for computing."""
FLOATS = frozenset(WIDEST_FIRST)
HALVES = frozenset(name for name in FLOATS if BITS[name] == 16)
PLAIN_FLOATS = FLOATS & NUMPY.keys()
"""Floats of IEEE 754, as against formats for storage."""
NARROW_INTEGERS = frozenset(name for name, dtype in DTYPES.items() if dtype.kind in ("int", "uint") and dtype.bits <= 16)
"""Integers that quantised operators compute in; the wider ones are indices and shapes, which cost no arithmetic to speak of."""
BYTES = frozenset(name for name in NARROW_INTEGERS if BITS[name] == 8)
ADDRESSABLE = frozenset(n for n, d in DTYPES.items() if d.bits >= 8 and len(d.codes) == 1 and d.kind != "complex")
"""Those a runtime can be given by address: neither packed in part of a byte, nor ambiguous, nor unknown to onnxruntime."""

_RANGED = {name: (2 ** (dtype.exponent - 1), dtype.fraction) for name, dtype in DTYPES.items() if dtype.fraction}
ROUNDOFF: Mapping[str, float] = {name: 2.0 ** -(fraction + 1) for name, (_, fraction) in _RANGED.items()}
"""Largest relative error of rounding to nearest."""
SMALLEST_NORMAL: Mapping[str, float] = {name: 2.0 ** (2 - bias) for name, (bias, _) in _RANGED.items()}
LARGEST: Mapping[str, float] = {name: (2.0 - 2.0**-fraction) * 2.0 ** (bias - 1) for name, (bias, fraction) in _RANGED.items()}
"""Largest finite value."""

EXOTIC: Mapping[int, tuple[str, int]] = {
    16: ("bfloat16", 16), 17: ("float8e4m3fn", 8), 18: ("float8e4m3fnuz", 8), 19: ("float8e5m2", 8), 20: ("float8e5m2fnuz", 8),
    21: ("uint4", 4), 22: ("int4", 4), 23: ("float4e2m1", 4), 24: ("float8e8m0", 8), 25: ("uint2", 2), 26: ("int2", 2),
}  # fmt: skip
"""Dtypes that numpy lacks: TensorProto.DataType to (onnxruntime's name in `tensor(uint4)`, bits of an element)."""


def packed_bytes(dtype: str, shape: Sequence[int]) -> int | None:
    """Bytes of a contiguous tensor, the last byte of a packed dtype filled up; None for a dtype without a size (string, sequence)."""
    return (math.prod(shape) * BITS[dtype] + 7) // 8 if dtype in BITS else None


WITHOUT_BITS = frozenset({"string", "sequence", "optional", "map", "sparse_tensor", "opaque", "unknown"})
"""What else the dtype of an operator may be called: values that are no arrays of numbers, or of which inference says nothing."""


def other_sign(dtype: str) -> str:
    """The integers of as many bits with a sign, or without: "uint8" for "int8"; "" where there are none."""
    other = dtype[1:] if dtype.startswith("uint") else f"u{dtype}"
    return other if dtype in DTYPES and other in DTYPES else ""
