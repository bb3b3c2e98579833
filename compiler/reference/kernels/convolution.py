"""Convolutions as matrix products over blocks of windows (im2col), depthwise ones and transposed ones tap by tap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from .activation import sigmoid
from .call import Call, Kernel, Value
from .operands import along
from .window import Axis, axes, padded, taps, view

_BLOCK = 1 << 22
"""Elements of the unfolded windows held at a time (32 MB)."""


def convolve(x: Value, w: Value, windows: Sequence[Axis], group: int) -> Value:
    """[N, C, sizes…] with filters [M, C/group, kernel…]: [N, M, positions…]. Zeros lie around x."""
    if w.shape[1] * group != x.shape[1]:
        raise ValueError(f"{x.shape[1]} channels for {group} groups of filters over {w.shape[1]}")
    x = padded(x, windows, 0)
    result = np.zeros((x.shape[0], w.shape[0], *(window.positions for window in windows)), np.result_type(x, w))
    if not result.size or not w.size:
        return result
    (_depthwise if w.shape[1] == 1 and group > 1 else _unfolded)(x, w, windows, group, result)
    return result


def _unfolded(x: Value, w: Value, windows: Sequence[Axis], group: int, result: Value) -> None:
    rank = len(windows)
    filters = w.reshape(group, w.shape[0] // group, -1)
    sums = filters.shape[2]
    rows = max(1, _BLOCK // max(1, group * sums * prod(result.shape[3:])))
    for sample, into in zip(x, result, strict=True):
        found = view(sample, windows)
        order = (0, *range(1 + rank, 1 + 2 * rank), *range(1, 1 + rank))
        for start in range(0, result.shape[2], rows):
            block = found[:, start : start + rows].transpose(order)
            product = filters @ block.reshape(group, sums, -1)
            into[:, start : start + rows] = product.reshape(into.shape[0], -1, *into.shape[2:])


def _depthwise(x: Value, w: Value, windows: Sequence[Axis], group: int, result: Value) -> None:
    filters = w.reshape(group, -1, *w.shape[2:])
    lead = (group, filters.shape[1])
    for sample, into in zip(x, result, strict=True):
        wide = into.reshape(*lead, *into.shape[1:])
        for index, where in taps(windows):
            weight = filters[(slice(None), slice(None), *index)].reshape(*lead, *[1] * len(windows))
            wide += weight * sample[(slice(None), None, *where)]


def conv(call: Call) -> tuple[Value, ...]:
    """X [N, C, sizes…], W [M, C/group, kernel…], B [M] optional."""
    x, w, bias = call.inputs[0], call.inputs[1], call.input(2)
    y = convolve(x, w, axes(call, x.shape[2:], w.shape[2:]), int(call.attributes.get("group", 1)))
    return (y if bias is None else y + along(bias, 1, y.ndim),)


def _transposed_pads(call: Call, full: Sequence[int], sizes: Sequence[int], strides: Sequence[int]) -> tuple[list[int], list[int]]:
    """(elements cut before, elements kept) of every axis of the full result; output_padding is in the full size."""
    rank, auto = len(full), call.attributes.get("auto_pad", "NOTSET")
    shape = call.attributes.get("output_shape")
    if shape:
        shape = list(shape)[-rank:]
    elif auto.startswith("SAME"):
        shape = [size * stride for size, stride in zip(sizes, strides, strict=True)]
    else:
        pads = [0] * (2 * rank) if auto == "VALID" else call.attributes.get("pads") or [0] * (2 * rank)
        return list(pads[:rank]), [full[i] - pads[i] - pads[i + rank] for i in range(rank)]
    totals = [max(int(full[i] - shape[i]), 0) for i in range(rank)]  # where the result falls short, zeros follow behind
    small = [total // 2 for total in totals]
    return (small if auto == "SAME_UPPER" else [total - half for total, half in zip(totals, small, strict=True)]), shape


def conv_transpose(call: Call) -> tuple[Value, ...]:
    """X [N, C, sizes…], W [C, M/group, kernel…], B [M] optional."""
    x, w, bias = call.inputs[0], call.inputs[1], call.input(2)
    rank, group = x.ndim - 2, int(call.attributes.get("group", 1))
    strides, dilations = (call.attributes.get(name) or [1] * rank for name in ("strides", "dilations"))
    extra = call.attributes.get("output_padding") or [0] * rank
    windows = [Axis(w.shape[2 + i], strides[i], dilations[i], 0, 0, x.shape[2 + i]) for i in range(rank)]
    full = [window.span + extra[i] for i, window in enumerate(windows)]
    before, kept = _transposed_pads(call, full, x.shape[2:], strides)
    spread = np.zeros((x.shape[0], w.shape[1] * group, *full), np.result_type(x, w))
    filters = w.reshape(group, w.shape[0] // group, *w.shape[1:])
    grouped = np.ascontiguousarray(x).reshape(x.shape[0], group, w.shape[0] // group, -1)
    for index, where in taps(windows):
        weight = filters[(slice(None), slice(None), slice(None), *index)].transpose(0, 2, 1)
        product = np.ascontiguousarray(weight) @ grouped
        spread[(slice(None), slice(None), *where)] += product.reshape(x.shape[0], -1, *x.shape[2:])
    y = padded(spread, [Axis(1, 1, 1, -cut, 0, size) for cut, size in zip(before, kept, strict=True)], 0)
    return (y if bias is None else y + along(bias, 1, y.ndim),)


def column_to_image(call: Call) -> tuple[Value, ...]:
    """Col2Im: [N, C·block, L] with image_shape and block_shape; overlapping windows are added."""
    columns, image, block = call.inputs[0], [int(n) for n in call.inputs[1]], [int(n) for n in call.inputs[2]]
    windows = axes(call, image, block)
    channels = columns.shape[1] // prod(block)
    parts = columns.reshape(columns.shape[0], channels, *block, *(window.positions for window in windows))
    spread = np.zeros((columns.shape[0], channels, *(w.begin + size + w.end for w, size in zip(windows, image, strict=True))))
    for index, where in taps(windows):
        spread[(slice(None), slice(None), *where)] += parts[(slice(None), slice(None), *index)]
    return (padded(spread, [Axis(1, 1, 1, -w.begin, 0, size) for w, size in zip(windows, image, strict=True)], 0),)


def causal_conv(call: Call) -> tuple[Value, ...]:
    """CausalConvWithState: input [N, C, L], weight [C, 1, k], bias [C], past_state [N, C, k - 1]; also the present state."""
    x, w, bias, past = call.inputs[0], call.inputs[1], call.input(2), call.input(3)
    kernel = w.shape[2]
    past = np.zeros((*x.shape[:2], kernel - 1)) if past is None else past
    whole = np.concatenate([past, x], axis=2)
    y = convolve(whole, w, [Axis(kernel, 1, 1, 0, 0, x.shape[2])], x.shape[1]) if kernel else np.zeros_like(x)
    y = y if bias is None else y + along(bias, 1, 3)
    if call.attributes.get("activation", "none") in ("silu", "swish"):
        y = y * sigmoid(y)
    return y, whole[:, :, whole.shape[2] - (kernel - 1) :]


KERNELS: Mapping[str, Kernel] = {
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "Col2Im": column_to_image,
    "CausalConvWithState": causal_conv,
}
