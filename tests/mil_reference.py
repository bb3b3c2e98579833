"""Evaluates a MIL program with numpy, in fp32 throughout: Core ML itself runs only on Apple machines.

Most operators come from coremltools' own rules for constant folding; those it has none for are written here from its documentation.
What this cannot show is what Apple's kernels do in fp16.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def run_package(folder: Path, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """The .mlpackage as it lies on disk, read back."""
    return run_program(read_package(folder), inputs)


def read_package(folder: Path) -> Any:
    from coremltools.converters.mil.frontend.milproto.load import load
    from coremltools.models.utils import load_spec

    spec = load_spec(str(folder))
    return load(spec, spec.specificationVersion, str(folder / "Data" / "com.apple.CoreML" / "weights"))


def run_program(program: Any, inputs: Mapping[str, Array]) -> dict[str, Array]:
    function = program.functions["main"]
    values: dict[Any, Any] = {var: _widened(inputs[name]) for name, var in function.inputs.items()}
    for op in function.operations:
        given = {name: _value(operand, values) for name, operand in op.inputs.items() if operand is not None}
        results = _run(op, given, function.opset_version)
        results = results if isinstance(results, list | tuple) else [results]
        for var, result in zip(op.outputs, results, strict=True):
            result = result if isinstance(result, str) else np.asarray(result)
            assert isinstance(result, str) or tuple(result.shape) == tuple(var.shape), (op.op_type, op.name, result.shape, var.shape)
            values[var] = result
    return {var.name: values[var] for var in function.outputs}


def _value(operand: Any, values: Mapping[Any, Any]) -> Any:
    if isinstance(operand, list | tuple):
        return [_value(each, values) for each in operand]
    return values[operand] if operand in values else _widened(operand.val)


def _widened(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype.kind in "UO":
        return str(value.item())
    if isinstance(value, np.ndarray | np.generic):
        kinds = {np.dtype(np.float16): np.float32, np.dtype(np.int64): np.int32}
        kind = kinds.get(value.dtype)
        return value if kind is None else value.astype(kind)
    return value


def _run(op: Any, given: dict[str, Any], opset: Any) -> Any:
    if op.op_type == "const":
        return _widened(op.outputs[0].val)
    if op.op_type == "cast" and str(given["dtype"]) == "fp16":
        return given["x"]
    if op.op_type.startswith("constexpr_"):
        return _widened(op.materialized_val_inference())
    if op.op_type in WRITTEN:
        return WRITTEN[op.op_type](**given)
    return _folded(op, given, opset)


def _folded(op: Any, given: dict[str, Any], opset: Any) -> Any:
    """What coremltools computes when every operand is a constant."""
    from coremltools.converters.mil import Builder as mb
    from coremltools.converters.mil.mil import Function

    given = {name: value[()] if isinstance(value, np.ndarray) and not value.ndim else value for name, value in given.items()}
    with Function({}, opset_version=opset):
        made = getattr(mb, op.op_type)(**given)
    results = made if isinstance(made, list | tuple) else [made]
    assert all(var.val is not None for var in results), f"{op.op_type} is not folded: write it here"
    return [var.val for var in results]


def _padded(x: Array, pad_type: Any, pad: Any, value: float) -> Array:
    assert str(pad_type) in ("valid", "custom")
    if pad is None or str(pad_type) == "valid":
        return x
    pairs = [tuple(int(p) for p in pad[k : k + 2]) for k in range(0, len(pad), 2)]
    return np.pad(x, [(0, 0), (0, 0), *pairs], constant_values=value)


def _windows(x: Array, kernel: Any, strides: Any, dilations: Any) -> Array:
    """[n, c, *out, *kernel]."""
    spans = [(int(k) - 1) * int(d) + 1 for k, d in zip(kernel, dilations, strict=True)]
    view = np.lib.stride_tricks.sliding_window_view(x, spans, axis=tuple(range(2, x.ndim)))
    steps = [slice(None, None, int(s)) for s in strides]
    return view[(slice(None), slice(None), *steps, *(slice(None, None, int(d)) for d in dilations))]


def conv(x: Array, weight: Array, strides: Any, dilations: Any, groups: Any, pad_type: Any, pad: Any = None, bias: Any = None) -> Array:
    g, rank = int(groups), x.ndim - 2
    view = _windows(_padded(x, pad_type, pad, 0.0), weight.shape[2:], strides, dilations)
    parts = []
    for k in range(g):
        channels = weight.shape[1]
        block = view[:, k * channels : (k + 1) * channels]
        filters = weight[k * weight.shape[0] // g : (k + 1) * weight.shape[0] // g]
        axes = [1, *range(2 + rank, 2 + 2 * rank)]
        parts.append(np.moveaxis(np.tensordot(block, filters, axes=(axes, list(range(1, 2 + rank)))), -1, 1))
    result = np.concatenate(parts, axis=1)
    return result if bias is None else result + bias.reshape(-1, *(1,) * rank)


def conv_transpose(
    x: Array, weight: Array, strides: Any, dilations: Any, groups: Any, pad_type: Any, pad: Any = None, bias: Any = None, **_: Any
) -> Array:
    g, rank = int(groups), x.ndim - 2
    sizes = [(n - 1) * int(s) + (k - 1) * int(d) + 1 for n, s, k, d in zip(x.shape[2:], strides, weight.shape[2:], dilations, strict=True)]
    result = np.zeros((x.shape[0], weight.shape[1] * g, *sizes), np.float32)
    inputs, outputs = x.shape[1] // g, weight.shape[1]
    for k, place in itertools.product(range(g), np.ndindex(*weight.shape[2:])):
        tap = weight[k * inputs : (k + 1) * inputs][(slice(None), slice(None), *place)]
        added = np.moveaxis(np.tensordot(x[:, k * inputs : (k + 1) * inputs], tap, axes=(1, 0)), -1, 1)
        where = [
            slice(p * int(d), p * int(d) + (n - 1) * int(s) + 1, int(s))
            for p, d, n, s in zip(place, dilations, x.shape[2:], strides, strict=True)
        ]
        result[(slice(None), slice(k * outputs, (k + 1) * outputs), *where)] += added
    if pad is not None and str(pad_type) == "custom":
        crops = [slice(int(pad[2 * k]), sizes[k] - int(pad[2 * k + 1])) for k in range(rank)]
        result = result[(slice(None), slice(None), *crops)]
    return result if bias is None else result + bias.reshape(-1, *(1,) * rank)


def avg_pool(x: Array, kernel_sizes: Any, strides: Any, pad_type: Any, pad: Any = None, **given: Any) -> Array:
    assert not given.get("ceil_mode", False)
    ones = [1] * len(kernel_sizes)
    axes = tuple(range(x.ndim, 2 * x.ndim - 2))
    total = _windows(_padded(x, pad_type, pad, 0.0), kernel_sizes, strides, ones).sum(axis=axes)
    if not given["exclude_padding_from_average"]:
        return total / np.prod(kernel_sizes)
    return total / _windows(_padded(np.ones_like(x), pad_type, pad, 0.0), kernel_sizes, strides, ones).sum(axis=axes)


def max_pool(x: Array, kernel_sizes: Any, strides: Any, pad_type: Any, pad: Any = None, **given: Any) -> Array:
    assert not given.get("ceil_mode", False)
    view = _windows(_padded(x, pad_type, pad, -np.inf), kernel_sizes, strides, [1] * len(kernel_sizes))
    return view.max(axis=tuple(range(x.ndim, 2 * x.ndim - 2)))


def batch_norm(x: Array, mean: Array, variance: Array, epsilon: Any, gamma: Any = None, beta: Any = None) -> Array:
    tail = (-1, *(1,) * (x.ndim - 2))
    result = (x - mean.reshape(tail)) / np.sqrt(variance.reshape(tail) + epsilon)
    return result * gamma.reshape(tail) + beta.reshape(tail)


def instance_norm(x: Array, epsilon: Any, gamma: Array, beta: Array) -> Array:
    axes, tail = tuple(range(2, x.ndim)), (-1, *(1,) * (x.ndim - 2))
    result = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + epsilon)
    return result * gamma.reshape(tail) + beta.reshape(tail)


def upsample_nearest_neighbor(x: Array, scale_factor_height: Any, scale_factor_width: Any) -> Array:
    return x.repeat(int(scale_factor_height), axis=-2).repeat(int(scale_factor_width), axis=-1)


def resize_bilinear(x: Array, target_size_height: Any, target_size_width: Any, sampling_mode: Any) -> Array:
    for axis, size in ((-2, int(target_size_height)), (-1, int(target_size_width))):
        x = _linear(x, axis, size, str(sampling_mode))
    return x


def _linear(x: Array, axis: int, size: int, mode: str) -> Array:
    length, k = x.shape[axis], np.arange(size)
    places = {
        "STRICT_ALIGN_CORNERS": k * (length - 1) / max(size - 1, 1),
        "DEFAULT": k * (length / size),
        "UNALIGN_CORNERS": (k + 0.5) * length / size - 0.5,
    }[mode]
    places = np.clip(places, 0, length - 1)
    low = np.floor(places).astype(int)
    high, share = np.minimum(low + 1, length - 1), (places - low).astype(np.float32)
    share = share.reshape(-1, *(1,) * (-axis - 1))
    return x.take(low, axis=axis) * (1 - share) + x.take(high, axis=axis) * share


def depth_to_space(x: Array, block_size: Any) -> Array:
    n, c, h, w = x.shape
    b = int(block_size)
    return x.reshape(n, b, b, c // b // b, h, w).transpose(0, 3, 4, 1, 5, 2).reshape(n, c // b // b, h * b, w * b)


def pixel_shuffle(x: Array, upscale_factor: Any) -> Array:
    n, c, h, w = x.shape
    b = int(upscale_factor)
    return x.reshape(n, c // b // b, b, b, h, w).transpose(0, 1, 4, 2, 5, 3).reshape(n, c // b // b, h * b, w * b)


def gather(x: Array, indices: Array, axis: Any, **_: Any) -> Array:
    assert (np.asarray(indices) >= 0).all(), "from iOS 17 on Core ML takes no negative indices"
    return np.take(x, indices, axis=int(axis))


def gather_along_axis(x: Array, indices: Array, axis: Any, **_: Any) -> Array:
    assert (indices >= 0).all(), "from iOS 17 on Core ML takes no negative indices"
    return np.take_along_axis(x, indices.astype(int), axis=int(axis))


def silu(x: Array) -> Array:
    return x / (1 + np.exp(-x))


def reduction(function: Callable[..., Array]) -> Callable[..., Array]:
    def reduce(x: Array, axes: Any, keep_dims: Any) -> Array:
        return function(x, axis=tuple(int(axis) for axis in axes), keepdims=bool(keep_dims))

    return reduce


def reduce_argmax(x: Array, axis: Any, keep_dims: Any, **_: Any) -> Array:
    return np.argmax(x, axis=int(axis), keepdims=bool(keep_dims)).astype(np.int32)


def reduce_argmin(x: Array, axis: Any, keep_dims: Any, **_: Any) -> Array:
    return np.argmin(x, axis=int(axis), keepdims=bool(keep_dims)).astype(np.int32)


REDUCTIONS: Mapping[str, Callable[..., Array]] = {
    "reduce_l1_norm": lambda x, **given: np.abs(x).sum(**given),
    "reduce_l2_norm": lambda x, **given: np.sqrt((x * x).sum(**given)),
    "reduce_log_sum": lambda x, **given: np.log(x.sum(**given)),
    "reduce_log_sum_exp": lambda x, **given: np.log(np.exp(x).sum(**given)),
    "reduce_max": np.max,
    "reduce_mean": np.mean,
    "reduce_min": np.min,
    "reduce_prod": np.prod,
    "reduce_sum": np.sum,
    "reduce_sum_square": lambda x, **given: (x * x).sum(**given),
}
WRITTEN: Mapping[str, Callable[..., Array]] = {
    **{name: reduction(function) for name, function in REDUCTIONS.items()},
    "avg_pool": avg_pool,
    "batch_norm": batch_norm,
    "conv": conv,
    "conv_transpose": conv_transpose,
    "depth_to_space": depth_to_space,
    "gather": gather,
    "gather_along_axis": gather_along_axis,
    "instance_norm": instance_norm,
    "max_pool": max_pool,
    "pixel_shuffle": pixel_shuffle,
    "reduce_argmax": reduce_argmax,
    "reduce_argmin": reduce_argmin,
    "silu": silu,
    "resize_bilinear": resize_bilinear,
    "upsample_nearest_neighbor": upsample_nearest_neighbor,
}
