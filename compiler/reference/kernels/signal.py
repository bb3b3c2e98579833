"""Signal processing: windows, mel filters, Fourier transforms. A complex number is a last axis of two."""

from __future__ import annotations

from collections.abc import Mapping
from math import pi

import numpy as np

from .call import Call, Kernel, Value
from .conversion import DTYPES, converted
from .operands import axis_of


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


def _complex(x: Value) -> Value:
    return x[..., 0] + 1j * x[..., 1] if x.shape[-1] == 2 else x[..., 0].astype(np.complex128)


def _pairs(x: Value) -> Value:
    return np.stack([x.real, x.imag], axis=-1)


def _scalar(value: Value) -> int | None:
    return None if value is None else int(np.asarray(value).ravel()[0])


def dft(call: Call) -> tuple[Value, ...]:
    """Along one axis (an attribute, 1 by default, below opset 20), cut or filled with zeros to dft_length; real again if one-sided and
    inverse."""
    x = call.inputs[0]
    axis = _scalar(call.input(2)) if call.version >= 20 else int(call.attributes.get("axis", 1))
    axis = axis_of(-2 if axis is None else axis, x.ndim)
    length, onesided = _scalar(call.input(1)), bool(call.attributes.get("onesided", 0))
    z = _complex(x)
    if not call.attributes.get("inverse", 0):
        y = np.fft.fft(z, length, axis=axis)
        return (_pairs(np.take(y, range(y.shape[axis] // 2 + 1), axis=axis) if onesided else y),)
    if onesided:
        return (np.fft.irfft(z, length, axis=axis)[..., None],)
    return (_pairs(np.fft.ifft(z, length, axis=axis)),)


def stft(call: Call) -> tuple[Value, ...]:
    """[batch, frames, bins, 2]: the transform of each frame times the window."""
    signal, step, window, length = call.inputs[0], _scalar(call.inputs[1]) or 1, call.input(2), _scalar(call.input(3))
    z = _complex(signal)
    length = length or (window.shape[0] if window is not None else z.shape[1])
    frames = np.lib.stride_tricks.sliding_window_view(z, length, axis=1)[:, ::step]
    y = np.fft.fft(frames if window is None else frames * window, axis=-1)
    return (_pairs(y[..., : length // 2 + 1] if call.attributes.get("onesided", 1) else y),)


KERNELS: Mapping[str, Kernel] = {
    "HannWindow": hann, "HammingWindow": hamming, "BlackmanWindow": blackman, "MelWeightMatrix": mel_weights, "DFT": dft, "STFT": stft,
}  # fmt: skip
