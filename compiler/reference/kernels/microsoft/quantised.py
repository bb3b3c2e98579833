"""Quantised operators of com.microsoft: dequantise, compute in float64, quantise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..activation import sigmoid, softmax
from ..call import Call, Kernel, Value
from ..operands import number
from ..pooling import average_pool, global_average_pool
from ..quantised.integer import along_rows, centred, qlinear_conv
from ..quantised.linear import dequantised, dequantize, dynamically_quantised, quantised, quantize, wide


def _real(call: Call, index: int) -> Value:
    """The operand there with its scale and zero point behind it."""
    return _restored(call.inputs[index], call.inputs[index + 1], call.input(index + 2))


def _restored(x: Value, scale: Value, zero: Value) -> Value:
    return dequantised(x, np.asarray(scale).reshape(()), np.int64(0) if zero is None else wide(zero).reshape(()))


def _result(call: Call, y: Value, index: int, name: str = "") -> tuple[Value, ...]:
    """y quantised by the scale and zero point there; of the first operand's dtype where there is no zero point."""
    zero = call.input(index + 1)
    name = name or (call.dtypes[0] if zero is None else call.dtypes[index + 1])
    scale, offset = np.asarray(call.inputs[index]).reshape(()), 0 if zero is None else wide(zero).reshape(())
    return (quantised(y, scale, offset, name, steps=call.steps),)


def _binary(function: Any) -> Kernel:
    def kernel(call: Call) -> tuple[Value, ...]:
        return _result(call, function(_real(call, 0), _real(call, 3)), 6)

    return kernel


def _unary(function: Any) -> Kernel:
    def kernel(call: Call) -> tuple[Value, ...]:
        return _result(call, function(_real(call, 0), call), 3)

    return kernel


def _pooled(pool: Kernel) -> Any:
    def function(x: Value, call: Call) -> Value:
        last = bool(call.attributes.get("channels_last", 0))
        (y,) = pool(replace(call, inputs=(np.moveaxis(x, -1, 1) if last else x,), outputs=1))
        return np.moveaxis(y, 1, -1) if last else y

    return function


def _softmax(x: Value, call: Call) -> Value:
    return softmax(replace(call, inputs=(x,), version=int(call.attributes["opset"])))[0]


def concat(call: Call) -> tuple[Value, ...]:
    """The result's scale and zero point, then each operand with its own."""
    parts = [_real(call, index) for index in range(2, len(call.inputs), 3)]
    return _result(call, np.concatenate(parts, axis=int(call.attributes["axis"])), 0)


def where(call: Call) -> tuple[Value, ...]:
    return _result(call, np.where(call.inputs[0], _real(call, 1), _real(call, 4)), 7)


def reduce_mean(call: Call) -> tuple[Value, ...]:
    axes = call.attributes.get("axes")
    y = _real(call, 0).mean(axis=None if axes is None else tuple(axes), keepdims=bool(call.attributes.get("keepdims", 1)))
    return _result(call, np.asarray(y), 3)


def qgemm(call: Call) -> tuple[Value, ...]:
    """A, B (scale and zero point per tensor or column), int32 C of scale alpha · a · b, the result's; float64 without those."""
    a, b = centred(call.inputs[0], call.input(2)), call.inputs[3]
    turned = bool(call.attributes.get("transB", 0))
    b = centred(b, call.input(5), 0) if turned else centred(b, call.input(5))
    sums = (a.T if call.attributes.get("transA", 0) else a) @ (b.T if turned else b)
    sums = sums if call.input(6) is None else sums + call.input(6)
    y = sums * (number(call, "alpha", 1.0) * np.asarray(call.inputs[1]).reshape(()) * np.asarray(call.inputs[4]).reshape(-1))
    return (y,) if call.input(7) is None else _result(call, y, 7)


def matmul_to_float(call: Call) -> tuple[Value, ...]:
    """A, B, their scales, their zero points, a bias."""
    a, b, scale_a, scale_b = call.inputs[:4]
    zero_a, zero_b, bias = call.input(4), call.input(5), call.input(6)
    a = centred(a, None if zero_a is None else along_rows(zero_a, a.ndim))
    y = np.matmul(a, centred(b, zero_b)) * along_rows(scale_a, a.ndim) * scale_b
    return (y if bias is None else y + bias,)


def dynamic_matmul(call: Call) -> tuple[Value, ...]:
    """A, quantised to uint8 over its range, times B with its scale, zero point; a bias."""
    a, scale_a, zero_a = dynamically_quantised(call.inputs[0], call.steps)
    b, scale_b, zero_b, bias = call.inputs[1], call.inputs[2], call.input(3), call.input(4)
    y = np.matmul(centred(a, zero_a), centred(b, zero_b)) * scale_a * scale_b
    return (y if bias is None else y + bias,)


def _unpacked(packed: Value, bits: int, count: int) -> Value:
    """The first `count` numbers of each row of bytes, the low bits first."""
    per = 8 // bits
    parts = (packed[..., None] >> (np.arange(per, dtype=np.uint8) * bits)) & (2**bits - 1)
    return parts.reshape(*packed.shape[:-1], -1)[..., :count]


def matmul_nbits(call: Call) -> tuple[Value, ...]:
    """A times the transposed weight [N, K] kept in blocks along K: B [N, blocks, bytes], scales [N · blocks], zero points packed by row."""
    n, k = int(call.attributes["N"]), int(call.attributes["K"])
    bits, block = int(call.attributes.get("bits", 4)), int(call.attributes["block_size"])
    if bits not in (2, 4, 8) or call.input(4) is not None or call.attributes.get("weight_prepacked", 0):
        raise NotImplementedError("com.microsoft MatMulNBits with g_idx, prepacked weights or other than 2, 4 or 8 bits")
    blocks = -(-k // block)
    weight = _unpacked(call.inputs[1].reshape(n, blocks, -1), bits, block).astype(np.float64)
    zero = call.input(3)
    if zero is None:
        zeros: Any = float(2 ** (bits - 1))
    elif zero.dtype == np.uint8:
        zeros = _unpacked(zero.reshape(n, -1), bits, blocks)[..., None].astype(np.float64)
    else:
        zeros = zero.reshape(n, blocks, 1)
    real = ((weight - zeros) * call.inputs[2].reshape(n, blocks, 1)).reshape(n, -1)[:, :k]
    y = call.inputs[0] @ real.T
    return (y if call.input(5) is None else y + call.input(5),)


def gather_blocks(call: Call) -> tuple[Value, ...]:
    """Rows of a table in blocks along an axis. Bytes may have two numbers of 4 bits each, and without zero points 0 is in their middle."""
    bits, block = int(call.attributes.get("bits", 4)), int(call.attributes.get("block_size", 128))
    data, zero = call.inputs[0], call.input(3)
    rank = data.ndim
    gathered, along = (int(call.attributes.get(name, default)) % rank for name, default in (("gather_axis", 0), ("quantize_axis", 1)))
    in_bytes = data.dtype == np.uint8 and call.dtypes[0] == "uint8"
    if in_bytes and bits == 4:
        size = 2 * data.shape[-1]
        data, zero = _unpacked(data, bits, size), None if zero is None else _unpacked(zero, bits, call.inputs[2].shape[-1])
    middle = 2 ** (bits - 1) if in_bytes else 0

    def spread(values: Value) -> Value:
        return np.repeat(np.asarray(values), block, axis=along).take(range(data.shape[along]), axis=along)

    zeros: Any = middle if zero is None else spread(wide(zero))
    real = (wide(data) - zeros) * spread(call.inputs[2]).astype(np.float64)
    return (np.take(real, wide(call.inputs[1]), axis=gathered),)


KERNELS: Mapping[str, Kernel] = {
    "QuantizeLinear": quantize,
    "DequantizeLinear": dequantize,
    "QLinearConv": qlinear_conv,
    "QLinearAdd": _binary(np.add),
    "QLinearMul": _binary(np.multiply),
    "QLinearSigmoid": _unary(lambda x, call: sigmoid(x)),
    "QLinearLeakyRelu": _unary(lambda x, call: np.where(x < 0, number(call, "alpha", 0.01) * x, x)),
    "QLinearAveragePool": _unary(_pooled(average_pool)),
    "QLinearGlobalAveragePool": _unary(_pooled(global_average_pool)),
    "QLinearSoftmax": _unary(_softmax),
    "QLinearConcat": concat,
    "QLinearWhere": where,
    "QLinearReduceMean": reduce_mean,
    "QGemm": qgemm,
    "MatMulIntegerToFloat": matmul_to_float,
    "DynamicQuantizeMatMul": dynamic_matmul,
    "MatMulNBits": matmul_nbits,
    "GatherBlockQuantized": gather_blocks,
}
