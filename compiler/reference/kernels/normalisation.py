"""Normalisations: batch, instance, group, layer, RMS, Lp, local response, mean-variance."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .call import Call, Kernel, Value
from .operands import along, axis_of, number


def standardised(x: Value, axes: tuple[int, ...], epsilon: float) -> tuple[Value, Value, Value]:
    """(x - mean) / sqrt(variance + epsilon) over those axes, the mean, and the inverse deviation (both with the axes kept)."""
    mean = x.mean(axes, keepdims=True)
    centred = x - mean
    inverse = 1 / np.sqrt((centred * centred).mean(axes, keepdims=True) + epsilon)
    return centred * inverse, mean, inverse


def batch_norm(call: Call) -> tuple[Value, ...]:
    """By the given statistics; with training_mode (opset 14) by the batch's own, and the running ones are returned too."""
    x, scale, bias, mean, variance = call.inputs[:5]
    running: tuple[Value, ...] = (None,) * max(call.outputs - 1, 0)
    if call.attributes.get("training_mode", 0):
        others = (0, *range(2, x.ndim))
        keep = number(call, "momentum", 0.9)
        own, spread = x.mean(others), x.var(others)
        running = (mean * keep + own * (1 - keep), variance * keep + spread * (1 - keep))
        mean, variance = own, spread
    if call.version < 9 and not call.attributes.get("spatial", 1):
        scale, bias, mean, variance = (v.reshape(1, *x.shape[1:]) for v in (scale, bias, mean, variance))
    else:
        scale, bias, mean, variance = (along(v, min(1, x.ndim - 1), x.ndim) for v in (scale, bias, mean, variance))
    factor = scale / np.sqrt(variance + number(call, "epsilon", 1e-5))
    return ((x - mean) * factor + bias, *running)


def instance_norm(call: Call) -> tuple[Value, ...]:
    x, scale, bias = call.inputs
    y, *_ = standardised(x, tuple(range(2, x.ndim)), number(call, "epsilon", 1e-5))
    return (y * along(scale, 1, x.ndim) + along(bias, 1, x.ndim),)


def group_norm(call: Call) -> tuple[Value, ...]:
    """Scale and bias are per group in opset 18, per channel from 21."""
    x, scale, bias = call.inputs
    groups = int(call.attributes["num_groups"])
    y, *_ = standardised(x.reshape(x.shape[0], groups, -1), (2,), number(call, "epsilon", 1e-5))
    if call.version < 21:
        repeat = x.shape[1] // groups
        scale, bias = np.repeat(scale, repeat), np.repeat(bias, repeat)
    return (y.reshape(x.shape) * along(scale, 1, x.ndim) + along(bias, 1, x.ndim),)


def _trailing(call: Call) -> tuple[int, ...]:
    rank = call.inputs[0].ndim
    return tuple(range(axis_of(int(call.attributes.get("axis", -1)), rank), rank))


def layer_norm(call: Call) -> tuple[Value, ...]:
    """Also the mean and the inverse deviation."""
    bias = call.input(2)
    y, mean, inverse = standardised(call.inputs[0], _trailing(call), number(call, "epsilon", 1e-5))
    y = y * call.inputs[1]
    return (y if bias is None else y + bias), mean, inverse


def rms(x: Value, axes: tuple[int, ...], epsilon: float) -> tuple[Value, Value]:
    """x over the root of its mean square, and the inverse of that root."""
    inverse = 1 / np.sqrt((x * x).mean(axes, keepdims=True) + epsilon)
    return x * inverse, inverse


def rms_norm(call: Call) -> tuple[Value, ...]:
    y, inverse = rms(call.inputs[0], _trailing(call), number(call, "epsilon", 1e-5))
    return y * call.inputs[1], inverse


def lp_norm(call: Call) -> tuple[Value, ...]:
    """Zero where the norm is zero."""
    x, axis = call.inputs[0], int(call.attributes.get("axis", -1))
    if int(call.attributes.get("p", 2)) == 1:
        norm = np.abs(x).sum(axis, keepdims=True)
    else:
        norm = np.sqrt((x * x).sum(axis, keepdims=True))
    return (np.where(norm == 0, 0.0, x / norm),)


def local_response(call: Call) -> tuple[Value, ...]:
    """LRN: x over (bias + alpha/size · the squares of neighbouring channels) ^ beta."""
    x, size = call.inputs[0], int(call.attributes["size"])
    before, channels = (size - 1) // 2, x.shape[1]
    squares = np.zeros((x.shape[0], channels + size - 1, *x.shape[2:]))
    squares[:, before : before + channels] = x * x
    total = np.zeros_like(x)
    for offset in range(size):
        total += squares[:, offset : offset + channels]
    alpha, beta, bias = number(call, "alpha", 1e-4), number(call, "beta", 0.75), number(call, "bias", 1.0)
    return (x / (bias + alpha / size * total) ** beta,)


def mean_variance(call: Call) -> tuple[Value, ...]:
    """(x - mean) / (deviation + 1e-9), as the standard's function body has it."""
    x = call.inputs[0]
    default = (0, 2, 3) if not call.attributes.get("across_channels", 0) else (0, 1, 2, 3)
    axes = tuple(axis_of(axis, x.ndim) for axis in call.attributes.get("axes", default))
    centred = x - x.mean(axes, keepdims=True)
    return (centred / (np.sqrt((centred * centred).mean(axes, keepdims=True)) + 1e-9),)


KERNELS: Mapping[str, Kernel] = {
    "BatchNormalization": batch_norm,
    "InstanceNormalization": instance_norm,
    "GroupNormalization": group_norm,
    "LayerNormalization": layer_norm,
    "RMSNormalization": rms_norm,
    "SimplifiedLayerNormalization": rms_norm,
    "LpNormalization": lp_norm,
    "LRN": local_response,
    "MeanVarianceNormalization": mean_variance,
}
