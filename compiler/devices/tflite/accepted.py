"""Which dtypes and ranks LiteRT's kernels compute rightly, as tools/probe_litert_kernels.py found of LiteRT 2.3.0 on a CPU.

An int8 or uint8 operand here is whole numbers; one with scales stands for other numbers and has the operators of QUANTISED.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .integers.limits import beyond

if TYPE_CHECKING:
    from .records import Operator, Tensor

FLOAT = "float32"
NUMBERS = "float32 int32 int64"
ANY = "float32 int32 int64 bool int16 int8 uint8 float16 float64 uint16 uint32 uint64"
COMPARED = "float32 int32 int64 int16 float16"
PADDED = "float32 int32 int64 bool int16 int8 uint8 float16"
EXTREMES = "float32 int32 int64 int16 int8 uint8"
CASTS = "float32 int32 int64 bool int16 int8 uint8 float16 float64 uint16 uint32"
TAKEN = {
    "ABS": "float32 int32 int16", "ADD": "float32 int32 int64 int16", "ARG_MAX": "float32 int32 bool int8 uint8",
    "ARG_MIN": "float32 int32 bool int8 uint8", "BATCH_MATMUL": FLOAT, "BITWISE_XOR": "int32 int16 int8 uint8 uint16 uint32",
    "BROADCAST_TO": ANY, "CAST": CASTS, "CEIL": FLOAT, "CONCATENATION": "float32 int32 int64 bool int16 int8 uint8 float16 uint32",
    "CONV_2D": FLOAT, "COS": FLOAT, "CUMSUM": NUMBERS, "DEPTHWISE_CONV_2D": FLOAT, "DEPTH_TO_SPACE": "float32 int32 int64",
    "DIV": "float32 int32", "ELU": FLOAT, "EQUAL": "float32 int32 int64 bool int16 float16", "EXP": FLOAT, "FLOOR": FLOAT,
    "FLOOR_MOD": "float32 int32 int64 int16 int8", "FULLY_CONNECTED": FLOAT, "GATHER": PADDED, "GATHER_ND": PADDED,
    "GELU": FLOAT, "GREATER": COMPARED, "GREATER_EQUAL": COMPARED, "HARD_SWISH": FLOAT, "LEAKY_RELU": FLOAT,
    "LESS": COMPARED, "LESS_EQUAL": COMPARED, "LOCAL_RESPONSE_NORMALIZATION": FLOAT, "LOG": FLOAT, "LOGICAL_AND": "bool",
    "LOGICAL_NOT": "bool", "LOGICAL_OR": "bool", "LOGISTIC": FLOAT, "LOG_SOFTMAX": FLOAT,
    "MAXIMUM": f"{EXTREMES} float16", "MAX_POOL_2D": FLOAT, "AVERAGE_POOL_2D": FLOAT, "MEAN": NUMBERS, "MINIMUM": f"{EXTREMES} float16",
    "MUL": "float32 int32 int64 int16 uint32", "NEG": "float32 int32 int64 int16 int8 float16",
    "NOT_EQUAL": "float32 int32 int64 bool float16", "ONE_HOT": "int32 int64", "PAD": PADDED, "PADV2": PADDED, "POW": "float32 int32",
    "PRELU": FLOAT, "REDUCE_ALL": "bool", "REDUCE_ANY": "bool", "REDUCE_MAX": EXTREMES, "REDUCE_MIN": EXTREMES, "REDUCE_PROD": EXTREMES,
    "RELU": FLOAT, "RELU6": FLOAT, "RELU_0_TO_1": FLOAT, "RESHAPE": ANY, "RESIZE_BILINEAR": FLOAT, "RESIZE_NEAREST_NEIGHBOR": FLOAT,
    "ROUND": FLOAT, "RSQRT": FLOAT, "SELECT_V2": "bool", "SIGN": "float32 int32 float64", "SIN": FLOAT,
    "SLICE": ANY, "SOFTMAX": FLOAT, "SPACE_TO_DEPTH": "float32 int32 int64 int8 uint8", "SPLIT_V": EXTREMES, "SQRT": FLOAT,
    "SQUARED_DIFFERENCE": "float32 int32", "STRIDED_SLICE": ANY, "SUB": NUMBERS, "SUM": NUMBERS, "TANH": FLOAT, "TILE": ANY,
    "TOPK_V2": EXTREMES, "TRANSPOSE": ANY, "TRANSPOSE_CONV": "int32",
}  # fmt: skip
"""Dtypes of the first operand. Sums, products and functions of fp16 are left out although some kernels take it: they round
otherwise than ONNX."""
MOST_RANK = {
    "SOFTMAX": 6, "SUM": 6, "MEAN": 6, "REDUCE_MAX": 6, "REDUCE_MIN": 6, "PAD": 5, "PADV2": 5, "CONCATENATION": 6, "BATCH_MATMUL": 5,
    "FULLY_CONNECTED": 6, "STRIDED_SLICE": 5, "SLICE": 5,
}  # fmt: skip
"""Dims that the operands may have, where it is not 8. Slices of more than 5 run here, and older runtimes have no more."""
QUANTISED = frozenset({
    "ADD", "AVERAGE_POOL_2D", "BATCH_MATMUL", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "DEQUANTIZE", "FULLY_CONNECTED", "GATHER",
    "GELU", "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "MAX_POOL_2D", "MAXIMUM", "MEAN", "MINIMUM", "MUL", "PAD", "PADV2", "QUANTIZE",
    "REDUCE_MAX", "RELU", "RELU6", "RESHAPE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "RSQRT", "SLICE", "SOFTMAX", "SPLIT_V",
    "STRIDED_SLICE", "SUB", "TANH", "TRANSPOSE", "TRANSPOSE_CONV", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH",
})  # fmt: skip

BYTES_ALONE = frozenset({"DEPTH_TO_SPACE", "HARD_SWISH", "SPACE_TO_DEPTH"})
"""Of QUANTISED, what has no kernel for int16."""


def why_not(operator: Operator) -> str:
    """Half a sentence; "" where there is a kernel."""
    given = [tensor for tensor in operator.inputs if tensor is not None]
    rank = max(tensor.rank for tensor in given)
    if rank > MOST_RANK.get(operator.code, 8):
        return f"LiteRT's {operator.code} takes up to {MOST_RANK.get(operator.code, 8)} dims, and there are {rank}"
    first = given[0]
    if operator.code in ("QUANTIZE", "DEQUANTIZE"):
        return beyond(operator)
    if any(tensor.scales is not None for tensor in (*given, *operator.outputs)):
        if operator.code not in QUANTISED or (first.dtype == "int16" and operator.code in BYTES_ALONE):
            return f"LiteRT has no {operator.code} of quantised {first.dtype}"
        if any(tensor.dtype == FLOAT for tensor in given):
            return f"LiteRT's {operator.code} does not mix integers and floats"
        return beyond(operator)
    if operator.code == "CAST" and (made := operator.outputs[0].dtype) not in CASTS.split():
        return f"LiteRT's CAST does not make {made}"
    return _of_dtype(operator.code, first)


def _of_dtype(code: str, first: Tensor) -> str:
    taken = TAKEN.get(code)
    if taken is None:
        return f"{code} is not known here"
    return "" if first.dtype in taken.split() else f"LiteRT's {code} does not take {first.dtype}"
