"""Predicted time: the roofline of an operator on a device. Pure functions.

    t(operator) = max(operations / (peak · sustained), bytes moved / bandwidth), the second for each memory that the bytes lie in

(Williams, Waterman, Patterson: Roofline, CACM 52(4), 2009). `launch` per kernel and `dispatch` per segment are added by
whoever knows the grouping. Operations count a multiply-add as two.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from .calibration import Measure
from .dtypes import BITS, FLOATS
from .model import Device, Memory, Target
from .operator_view import OperatorView, TensorView
from .window import windows

FREE = frozenset({"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Shape", "Size", "Constant"})
"""Operators that move no data: another view of the same bytes, or facts about it."""
MOVES = frozenset({
    "Transpose", "Concat", "Split", "Slice", "Gather", "GatherElements", "GatherND", "Expand", "Tile", "Pad", "Cast", "DepthToSpace",
    "SpaceToDepth", "ScatterND", "ScatterElements", "Where", "ConstantOfShape", "Range", "Trilu", "CastLike", "Compress", "ReverseSequence",
})  # fmt: skip
"""Operators that only move data: no arithmetic to speak of, all of it bandwidth."""
PER_ELEMENT: Mapping[str, float] = {
    "Gelu": 10, "Erf": 8, "Tanh": 8, "Sigmoid": 6, "Exp": 5, "Log": 5, "Softmax": 8, "LogSoftmax": 8, "LayerNormalization": 8,
    "RMSNormalization": 6, "SimplifiedLayerNormalization": 6, "InstanceNormalization": 8, "GroupNormalization": 8, "BatchNormalization": 2,
    "HardSwish": 4, "HardSigmoid": 3, "Swish": 7, "Mish": 12, "Softplus": 8, "Sqrt": 2, "Pow": 8, "Div": 2, "Sin": 8, "Cos": 8, "Resize": 8,
}  # fmt: skip
"""Operations per output element, as a scalar libm-style implementation takes; everything else elementwise counts one."""
INDEXED = frozenset({"Gather", "GatherElements", "GatherND", "Slice", "Split"})
"""Operators that read only as much of their data operand as they write."""


def operator_flops(view: OperatorView) -> float:
    """Arithmetic operations of one evaluation; 0 where shapes are unknown or nothing is computed."""
    count = _COUNTERS.get(view.operator) if view.domain in ("", "com.microsoft") else None
    out = _elements(_first(view.outputs))
    if count is not None:
        return float(count(view, out))
    if view.operator in FREE or view.operator in MOVES:
        return 0.0
    if view.operator.startswith(("Reduce", "Global", "ArgM", "CumSum", "TopK")):
        return float(_elements(_first(view.inputs)))
    return float(PER_ELEMENT.get(view.operator, 1.0) * out)


def measures_of(domain: str, operator: str) -> frozenset[Measure]:
    """In what the work of an operator can be counted so that the count follows its size: operations of what has a counter, bytes of what
    only moves them, else elements or bytes. Anything of an operator that is not known here."""
    if operator in MOVES or operator in FREE:
        return frozenset({"bytes"})
    if operator in _COUNTERS and domain in ("", "com.microsoft"):
        return frozenset({"operations", "bytes", "elements"} if _COUNTERS[operator] is _pool else {"operations", "bytes"})
    if domain or operator in _CONTRACTIONS:
        return frozenset({"operations", "elements", "bytes"})
    return frozenset({"elements", "bytes"})


def operator_bytes(view: OperatorView, compute_dtype: str) -> float:
    """Bytes read and written once each, floats counted at the width the device computes in."""
    if view.operator in FREE and not view.domain:
        return 0.0
    written = sum(tensor_bytes(t, compute_dtype) for t in view.outputs.values())
    operands = list(view.inputs.values())
    if view.operator in INDEXED and not view.domain and operands:
        return written + min(tensor_bytes(operands[0], compute_dtype), written) + sum(tensor_bytes(t, compute_dtype) for t in operands[1:])
    return written + sum(tensor_bytes(t, compute_dtype) for t in operands)


def kernel_seconds(target: Target, device: Device, views: Sequence[OperatorView], compute_dtype: str) -> float:
    """Roofline time of operators that run as one kernel (often one operator), without launch: a tensor that one of them writes and
    another reads stays inside and moves no bytes."""
    rate = peak_rate(device, compute_dtype) * device.sustained
    weights = weight_bytes(views, compute_dtype) if has_own_weights(target, device.name) else 0.0
    written = {t.name: t for view in views[:-1] for t in view.outputs.values()}
    read = {t.name for view in views[1:] for t in view.inputs.values()}
    inner = sum(tensor_bytes(t, compute_dtype) for name, t in written.items() if name in read)
    moved = sum(operator_bytes(view, compute_dtype) for view in views) - 2 * inner
    flops = sum(operator_flops(view) for view in views)
    streamed = weights / weights_memory(target, device.name).bandwidth if weights else 0.0
    return max(flops / rate, max(moved - weights, 0.0) / home_memory(target, device.name).bandwidth, streamed)


def weight_bytes(views: Sequence[OperatorView], compute_dtype: str) -> float:
    """Bytes of constants that the operators read, as `operator_bytes` counts them."""
    total = 0.0
    for view in views:
        operands = list(view.inputs.values())
        if view.operator in FREE and not view.domain:
            continue
        if view.operator in INDEXED and not view.domain and operands and operands[0].const:
            total += min(tensor_bytes(operands[0], compute_dtype), sum(tensor_bytes(t, compute_dtype) for t in view.outputs.values()))
            operands = operands[1:]
        total += sum(tensor_bytes(t, compute_dtype) for t in operands if t.const)
    return total


def peak_rate(device: Device, dtype: str) -> float:
    """Peak operations per second for a dtype, with and without a sign alike: multipliers of 8 bits take either. A dtype the file gives no
    peak for is charged at the device's slowest stated one."""
    for wanted in (dtype, dtype.removeprefix("u") if dtype.startswith("uint") else f"u{dtype}"):
        for peak in device.peaks:
            if peak.dtype == wanted:
                return peak.rate
    return min(peak.rate for peak in device.peaks)


def home_memory(target: Target, device: str) -> Memory:
    """The memory a device's activations live in: the largest budget of those that hold them. KeyError if it shares none."""
    return _largest(target.memories_of(device, "activations"), device)


def weights_memory(target: Target, device: str) -> Memory:
    """The memory a device reads its weights from: where its activations live if that holds both, else the largest budget of those that
    hold weights. KeyError if it shares none."""
    home = home_memory(target, device)
    return home if "weights" in home.holds else _largest(target.memories_of(device, "weights"), device)


def has_own_weights(target: Target, device: str) -> bool:
    """Whether weights are read from another memory than activations; the two are then read side by side."""
    return weights_memory(target, device).name != home_memory(target, device).name


def _largest(memories: Sequence[Memory], device: str) -> Memory:
    if not memories:
        raise KeyError(device)
    return max(memories, key=lambda memory: (memory.budget, memory.name))


def limiting_memory(target: Target, device: Device, view: OperatorView, compute_dtype: str) -> Memory | None:
    """The memory that sets the operator's time; None where arithmetic does."""
    home, store = home_memory(target, device.name), weights_memory(target, device.name)
    moved = operator_bytes(view, compute_dtype)
    weights = weight_bytes((view,), compute_dtype) if store.name != home.name else 0.0
    seconds, memory = max((((moved - weights) / home.bandwidth, home), (weights / store.bandwidth, store)), key=lambda found: found[0])
    arithmetic = operator_flops(view) / (peak_rate(device, compute_dtype) * device.sustained)
    return None if arithmetic > seconds else memory


def _elements(tensor: TensorView | None) -> int:
    return (tensor.elements or 0) if tensor is not None else 0


def _first(operands: Mapping[str, TensorView]) -> TensorView | None:
    return next(iter(operands.values()), None)


def tensor_bytes(tensor: TensorView, compute_dtype: str) -> float:
    if tensor.dtype in FLOATS and compute_dtype in FLOATS:
        return (tensor.elements or 0) * BITS[compute_dtype] / 8
    return tensor.bytes or 0


def _pool(view: OperatorView, out: int) -> float:
    """Elements that lie in the windows and in the input; padding costs nothing. Windows of several axes multiply."""
    x, y = _first(view.inputs), _first(view.outputs)
    extents, positions = ([] if t is None or t.shape is None else [d or 0 for d in t.shape[2:]] for t in (x, y))
    found = windows(extents, view.attributes)
    if not out or found is None or len(positions) != len(extents):
        return float(out)
    planes = out / math.prod(positions)
    return planes * math.prod(sum(axis.overlap(k) for k in range(count)) for axis, count in zip(found, positions, strict=True))


def _dims(view: OperatorView, *labels: str) -> list[int]:
    for label in labels:
        tensor = view.inputs.get(label)
        if tensor is not None and tensor.shape is not None and all(d is not None for d in tensor.shape):
            return [d or 0 for d in tensor.shape]
    return []


def _conv(view: OperatorView, out: int) -> float:
    weight = _dims(view, "W", "w")
    return 2.0 * out * math.prod(weight[1:]) if weight else 0.0


def _conv_transpose(view: OperatorView, out: int) -> float:
    weight = _dims(view, "W")
    return 2.0 * _elements(view.inputs.get("X")) * math.prod(weight[1:]) if weight else 0.0


def _matmul(view: OperatorView, out: int) -> float:
    a = _dims(view, "A", "a")
    return 2.0 * out * a[-1] if a else 0.0


def _matmul_nbits(view: OperatorView, out: int) -> float:
    depth = view.attributes.get("K")
    return 2.0 * out * depth if isinstance(depth, int) else 0.0


def _gemm(view: OperatorView, out: int) -> float:
    a = _dims(view, "A", "a")
    return 2.0 * out * a[0 if view.attributes.get("transA") else -1] if len(a) == 2 else 0.0


def _recurrent(view: OperatorView, out: int) -> float:
    x, w, r = _dims(view, "X"), _dims(view, "W"), _dims(view, "R")
    return 2.0 * x[0] * x[1] * (math.prod(w) + math.prod(r)) if len(x) == 3 and w and r else float(out)


def _attention(view: OperatorView, out: int) -> float:
    q, k = _dims(view, "Q"), _dims(view, "K")
    return 4.0 * math.prod(q) * k[-2] if q and len(k) >= 2 else float(out)


_CONTRACTIONS = frozenset({"Einsum", "DeformConv", "DFT", "STFT", "Det", "If", "Loop", "Scan"})
"""What computes more than its elements tell, and has no counter."""
_COUNTERS: Mapping[str, Callable[[OperatorView, int], float]] = {
    "Conv": _conv, "FusedConv": _conv, "QLinearConv": _conv, "ConvInteger": _conv, "ConvTranspose": _conv_transpose, "MatMul": _matmul,
    "MatMulInteger": _matmul, "QLinearMatMul": _matmul, "FusedMatMul": _matmul, "DynamicQuantizeMatMul": _matmul,
    "MatMulIntegerToFloat": _matmul, "MatMulNBits": _matmul_nbits, "FusedGemm": _gemm, "QGemm": _gemm, "Gemm": _gemm, "LSTM": _recurrent, "GRU": _recurrent,
    "RNN": _recurrent, "Attention": _attention, "AveragePool": _pool, "MaxPool": _pool, "LpPool": _pool, "QLinearAveragePool": _pool,
}  # fmt: skip
