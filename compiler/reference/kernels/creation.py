"""Tensors made of a shape or a few numbers: ranges, fills, windows of signal processing."""

from __future__ import annotations

from collections.abc import Mapping
from math import pi

import numpy as np

from .call import Call, Kernel, Value
from .conversion import DTYPES, converted


def constant_of_shape(call: Call) -> tuple[Value, ...]:
    """One element everywhere: fp32 0 unless the attribute says otherwise."""
    value = np.asarray(call.attributes.get("value", np.zeros(1))).ravel()
    kind = value.dtype.name
    value = value.astype(np.float64) if kind.startswith(("float", "bfloat")) else value
    return (np.full([int(n) for n in call.inputs[0]], value[0], value.dtype),)


def range_(call: Call) -> tuple[Value, ...]:
    """ceil((limit - start) / delta) numbers; computed as start + i · delta."""
    start, limit, delta = (np.asarray(v).ravel()[0] for v in call.inputs)
    count = max(int(np.ceil((float(limit) - float(start)) / float(delta))), 0)
    steps = np.arange(count, dtype=np.asarray(call.inputs[0]).dtype)
    return (start + steps * delta,)


def eye_like(call: Call) -> tuple[Value, ...]:
    x = np.asarray(call.inputs[0])
    name = DTYPES[int(call.attributes["dtype"])] if "dtype" in call.attributes else call.dtypes[0]
    return (converted(np.eye(x.shape[0], x.shape[1], k=int(call.attributes.get("k", 0))), name, True),)


def _cosines(call: Call, weights: tuple[float, ...]) -> tuple[Value, ...]:
    """Σ (-1)^i w_i cos(2πi n / N); N is one less for a symmetric window."""
    size = int(np.asarray(call.inputs[0]).ravel()[0])
    over = size if call.attributes.get("periodic", 1) else size - 1
    angles = 2 * pi * np.arange(size) / max(over, 1)
    y = sum((-1) ** i * weight * np.cos(i * angles) for i, weight in enumerate(weights))
    return (converted(np.asarray(y, np.float64), DTYPES[int(call.attributes.get("output_datatype", 1))], True),)


def hann(call: Call) -> tuple[Value, ...]:
    return _cosines(call, (0.5, 0.5))


def hamming(call: Call) -> tuple[Value, ...]:
    return _cosines(call, (25 / 46, 21 / 46))


def blackman(call: Call) -> tuple[Value, ...]:
    return _cosines(call, (0.42, 0.5, 0.08))


def mel_weights(call: Call) -> tuple[Value, ...]:
    """MelWeightMatrix [dft_length / 2 + 1, mel bins]: triangles between bins that the standard rounds down to whole spectrum bins."""
    bins, length, rate = (int(np.asarray(v).ravel()[0]) for v in call.inputs[:3])
    low, high = (2595 * np.log10(1 + float(np.asarray(v).ravel()[0]) / 700) for v in call.inputs[3:5])
    mels = np.arange(bins + 2) * ((high - low) / (bins + 2)) + low
    edges = np.floor((length + 1) * (700 * (10 ** (mels / 2595) - 1)) / rate).astype(np.int64)
    rows = np.arange(length // 2 + 1)[:, None]
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    rise = np.where(centre > left, (rows - left) / np.maximum(centre - left, 1), 1.0)
    fall = (right - rows) / np.maximum(right - centre, 1)
    y = np.where((rows >= left) & (rows <= centre), rise, np.where((rows > centre) & (rows < right), fall, 0.0))
    y = np.where((centre == left) & (rows == centre), 1.0, y)
    return (converted(y, DTYPES[int(call.attributes.get("output_datatype", 1))], True),)


KERNELS: Mapping[str, Kernel] = {
    "ConstantOfShape": constant_of_shape, "Range": range_, "EyeLike": eye_like, "HannWindow": hann, "HammingWindow": hamming,
    "BlackmanWindow": blackman, "MelWeightMatrix": mel_weights,
}  # fmt: skip
