"""The version of an operator: the oldest one that has what the operator uses. Older runtimes refuse a newer version than they know.

The numbers are those of LiteRT's own converter (tflite/tools/versioning/op_version.cc of google-ai-edge/LiteRT), for float32, int32, int64,
bool, int8 and int16.
"""

from __future__ import annotations

from .records import Operator, Tensor

INT8 = {
    "CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "TILE": 3, "REVERSE_V2": 3, "BROADCAST_TO": 3, "CAST": 3,
    **dict.fromkeys((
        "GATHER", "MUL", "MAX_POOL_2D", "AVERAGE_POOL_2D", "TRANSPOSE", "TRANSPOSE_CONV", "SLICE", "ABS", "RELU", "STRIDED_SLICE",
        "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "MAXIMUM", "MINIMUM", "PACK", "ADD", "SUB", "TANH", "LOGISTIC", "EQUAL",
        "NOT_EQUAL", "BATCH_MATMUL", "PAD", "PADV2", "CONCATENATION", "SOFTMAX", "MEAN", "MIRROR_PAD", "REDUCE_MAX", "REDUCE_MIN",
        "RELU6", "RSQRT", "ARG_MAX", "ARG_MIN", "LESS", "GREATER_EQUAL", "SPACE_TO_DEPTH", "SPLIT_V", "SUM", "LOG_SOFTMAX", "GREATER",
        "LESS_EQUAL", "SQUARED_DIFFERENCE", "DEPTH_TO_SPACE", "TOPK_V2", "EXP", "LOG", "REDUCE_PROD", "GELU", "DEQUANTIZE",
        "FLOOR_MOD", "L2_NORMALIZATION",
    ), 2),
    "FLOOR_DIV": 3,
}  # fmt: skip
"""Of an operator whose first input is int8."""
INT16 = {
    **dict.fromkeys(("MAX_POOL_2D", "AVERAGE_POOL_2D", "DEQUANTIZE", "RELU", "TANH", "LOGISTIC", "PACK", "BATCH_MATMUL", "PAD", "PADV2",
                     "CONCATENATION", "SOFTMAX", "MEAN", "MIRROR_PAD", "REDUCE_MAX", "REDUCE_MIN", "RELU6", "RSQRT", "LESS",
                     "GREATER_EQUAL", "ADD", "ABS", "FLOOR_DIV", "GATHER_ND", "BROADCAST_TO", "TOPK_V2"), 3),
    **dict.fromkeys(("GATHER", "MUL", "SLICE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "MAXIMUM", "MINIMUM", "EQUAL"), 4),
    "CONV_2D": 8, "DEPTHWISE_CONV_2D": 5, "FULLY_CONNECTED": 11, "TRANSPOSE": 5, "SUB": 5, "LEAKY_RELU": 2, "EXP": 2, "LOG": 2,
    "FLOOR_MOD": 2,
}  # fmt: skip
"""Of an operator whose first input is int16."""
BOOL = {"GATHER": 3, "TRANSPOSE": 3, "STRIDED_SLICE": 3, "REVERSE_V2": 2, "PAD": 5, "PADV2": 5, "GATHER_ND": 5, "ARG_MAX": 3, "ARG_MIN": 3}
INT64 = {"MUL": 5, "ADD": 4, "SUB": 4}
INT32 = {"SIGN": 2, "ABS": 5}
LEAST = {"BROADCAST_TO": 2}
"""Where version 1 was taken back."""
ABOVE_FOUR = {"TRANSPOSE": 4, "SLICE": 5, "PAD": 4, "PADV2": 4, "STRIDED_SLICE": 4}
"""Of an operator with more than four dims."""
BROADCAST_ABOVE_FOUR = {"MAXIMUM": 3, "MINIMUM": 3, "SUB": 3, "DIV": 2}
"""Where the operands' shapes differ as well."""
BY_TYPE = {"int8": INT8, "int16": INT16, "bool": BOOL, "int64": INT64, "int32": INT32}


def version_of(operator: Operator) -> int:
    first = next(tensor for tensor in operator.inputs if tensor is not None)
    return max(
        LEAST.get(operator.code, 1),
        BY_TYPE.get(first.dtype, {}).get(operator.code, 1),
        _by_rank(operator, first),
        _by_form(operator, first),
    )


def _by_rank(operator: Operator, first: Tensor) -> int:
    rank = max(tensor.rank for tensor in operator.inputs if tensor is not None)
    if operator.code == "TRANSPOSE" and rank > 5:
        return 6
    found = ABOVE_FOUR.get(operator.code, 1) if first.rank > 4 else 1
    differ = len({tensor.shape for tensor in operator.inputs if tensor is not None}) > 1
    return max(found, BROADCAST_ABOVE_FOUR.get(operator.code, 1) if rank > 4 and differ else 1)


def _by_form(operator: Operator, first: Tensor) -> int:
    options, code = operator.options, operator.code
    if code == "CONV_2D":
        weights = operator.inputs[1]
        return 6 if weights is not None and weights.shape[-1] != first.shape[-1] else 1
    if code == "DEPTHWISE_CONV_2D":
        return 2 if options.get("dilationWFactor", 1) != 1 or options.get("dilationHFactor", 1) != 1 else 1
    if code == "FULLY_CONNECTED":
        without_bias = len(operator.inputs) < 3 or operator.inputs[2] is None
        return 6 if without_bias else 5 if options.get("keepNumDims") else 4 if first.dtype == "int8" else 1
    if code == "TRANSPOSE_CONV":
        return 3 if len(operator.inputs) == 4 and operator.inputs[3] is not None else 1
    if code == "RESIZE_BILINEAR":
        return 3 if options.get("halfPixelCenters") else 1
    if code == "RESIZE_NEAREST_NEIGHBOR":
        return 3 if options.get("halfPixelCenters") or options.get("alignCorners") else 1
    if code == "GATHER":
        return 5 if options.get("batchDims") else 1
    if code == "MUL":
        return 3 if _grows(operator) else 1
    if code == "CAST":
        return 3 if "int8" in (first.dtype, operator.outputs[0].dtype) else 1
    if code == "QUANTIZE":
        return 2 if operator.outputs[0].dtype == "int16" else 1
    return 1


def _grows(operator: Operator) -> bool:
    """An integer product whose rescaling is 1 or more."""
    tensors = [tensor for tensor in (*operator.inputs, *operator.outputs) if tensor is not None]
    scales = [tensor.scales.scale[0] for tensor in tensors if tensor.scales is not None]
    return len(scales) == 3 and scales[0] * scales[1] / scales[2] >= 1
