"""Operators that onnxruntime fuses: a product, a convolution or a norm with what stands around it; GELUs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..activation import gelu_erf, gelu_tanh, sigmoid
from ..call import Call, Kernel, Value
from ..convolution import conv
from ..matrix import gemm
from ..normalisation import rms, standardised
from ..operands import number
from ..pooling import max_pool


def gelu(call: Call) -> tuple[Value, ...]:
    return (gelu_erf(call.inputs[0]),)


def bias_gelu(call: Call) -> tuple[Value, ...]:
    return (gelu_erf(call.inputs[0] + call.inputs[1]),)


def fast_gelu(call: Call) -> tuple[Value, ...]:
    """The tanh approximation, after an optional bias."""
    bias = call.input(1)
    return (gelu_tanh(call.inputs[0] if bias is None else call.inputs[0] + bias),)


def quick_gelu(call: Call) -> tuple[Value, ...]:
    x = call.inputs[0]
    return (x * sigmoid(number(call, "alpha", 1.702) * x),)


def _activated(x: Value, call: Call) -> Value:
    """By the attributes `activation` and `activation_params` (of a FusedGemm: activation_alpha, activation_beta)."""
    a = call.attributes
    alpha, beta = (*(a.get("activation_params") or (a.get("activation_alpha", 0.0), a.get("activation_beta", 0.0))), 0.0)[:2]
    functions: Mapping[str, Any] = {
        "": lambda: x,
        "Relu": lambda: np.maximum(x, 0),
        "Tanh": lambda: np.tanh(x),
        "Sigmoid": lambda: sigmoid(x),
        "LeakyRelu": lambda: np.where(x < 0, alpha * x, x),
        "Clip": lambda: np.clip(x, alpha, beta),
        "HardSigmoid": lambda: np.clip(alpha * x + beta, 0, 1),
    }
    return functions[a.get("activation", "")]()


def fused_conv(call: Call) -> tuple[Value, ...]:
    """X, W, B, and Z that is added before the activation."""
    (y,) = conv(call)
    return (_activated(y if call.input(3) is None else y + call.input(3), call),)


def fused_gemm(call: Call) -> tuple[Value, ...]:
    return (_activated(gemm(call)[0], call),)


def _turned(x: Value, batches: bool, matrix: bool) -> Value:
    """transBatch moves the axis before the last to the front's place (axis 0 behind the batch axes); trans swaps the last two."""
    if batches:
        x = np.moveaxis(x, 0, -2)
    return x.swapaxes(-1, -2) if matrix and x.ndim > 1 else x


def fused_matmul(call: Call) -> tuple[Value, ...]:
    a, b = (
        _turned(x, bool(call.attributes.get(f"transBatch{side}", 0)), bool(call.attributes.get(f"trans{side}", 0)))
        for x, side in zip(call.inputs, "AB", strict=True)
    )
    return (np.asarray(number(call, "alpha", 1.0) * np.matmul(a, b)),)


def _summed(call: Call, bias: Value) -> Value:
    total = call.inputs[0] + call.inputs[1]
    return total if bias is None else total + bias


def skip_layer_norm(call: Call) -> tuple[Value, ...]:
    """input, skip, gamma, beta, bias: the norm, mean, inverse deviation, and the sum that was normed."""
    total = _summed(call, call.input(4))
    y, mean, inverse = standardised(total, (total.ndim - 1,), number(call, "epsilon", 1e-12))
    y = y * call.inputs[2]
    return (y if call.input(3) is None else y + call.input(3)), mean, inverse, total


def skip_rms_norm(call: Call) -> tuple[Value, ...]:
    """input, skip, gamma, bias."""
    total = _summed(call, call.input(3))
    y, inverse = rms(total, (total.ndim - 1,), number(call, "epsilon", 1e-12))
    return y * call.inputs[2], None, inverse, total


def embed_layer_norm(call: Call) -> tuple[Value, ...]:
    """Word, position and segment embeddings summed and normed; the number of words that the mask keeps; the sum."""
    words, segments, word, position, segment, gamma, beta = call.inputs[:7]
    mask, places = call.input(7), call.input(8)
    total = word[words] + position[np.arange(words.shape[1])[None] if places is None else places]
    total = total if segment is None or segments is None else total + segment[segments]
    y, *_ = standardised(total, (2,), number(call, "epsilon", 1e-12))
    kept = np.zeros(words.shape[0], np.int32) if mask is None else mask.sum(1).astype(np.int32)
    return y * gamma + beta, kept, total


def nhwc_max_pool(call: Call) -> tuple[Value, ...]:
    x = call.inputs[0]
    (y,) = max_pool(replace(call, inputs=(np.moveaxis(x, -1, 1),), outputs=1))
    return (np.moveaxis(y, 1, -1),)


def inverse(call: Call) -> tuple[Value, ...]:
    return (np.linalg.inv(call.inputs[0]),)


KERNELS: Mapping[str, Kernel] = {
    "Gelu": gelu, "BiasGelu": bias_gelu, "FastGelu": fast_gelu, "QuickGelu": quick_gelu, "FusedConv": fused_conv,
    "FusedGemm": fused_gemm, "FusedMatMul": fused_matmul, "TransposeMatMul": fused_matmul, "SkipLayerNormalization": skip_layer_norm,
    "SkipSimplifiedLayerNormalization": skip_rms_norm, "EmbedLayerNormalization": embed_layer_norm, 
    "NhwcMaxPool": nhwc_max_pool, "Inverse": inverse,
}  # fmt: skip
