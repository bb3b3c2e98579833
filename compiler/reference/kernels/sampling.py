"""Tensors read at fractional places: GridSample, AffineGrid, deformable convolution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from math import prod
from typing import Any

import numpy as np

from .call import Call, Kernel, Value
from .operands import along
from .window import axes


def linear_at(x: Value, places: Sequence[Value]) -> Value:
    """x [C, sizes…] interpolated linearly at coordinates of one shape: [C, shape…]. Elements outside are 0."""
    low = [np.floor(place).astype(np.int64) for place in places]
    result: Any = 0.0
    for corner in product((0, 1), repeat=len(places)):
        indices = [base + step for base, step in zip(low, corner, strict=True)]
        weight: Any = 1.0
        for place, base, step in zip(places, low, corner, strict=True):
            weight = weight * (place - base if step else 1 - (place - base))
        result = result + _element(x, indices) * weight
    return result


def _element(x: Value, indices: Sequence[Value]) -> Value:
    inside: Any = True
    clamped = []
    for index, size in zip(indices, x.shape[1:], strict=True):
        inside = inside & (index >= 0) & (index < size)
        clamped.append(np.clip(index, 0, size - 1))
    return np.where(inside, x[(slice(None), *clamped)], 0.0)


def _reflected(place: Value, size: int, corners: bool) -> Value:
    """A coordinate folded back at the borders: the centres of the outer elements (corners) or their edges."""
    low, high = (0.0, size - 1.0) if corners else (-0.5, size - 0.5)
    span = high - low
    if span <= 0:
        return np.zeros_like(place)
    offset = np.abs(place - low)
    turns = np.floor(offset / span)
    rest = offset - turns * span
    return np.where(turns % 2 == 0, low + rest, high - rest)


def _padded(place: Value, size: int, mode: str, corners: bool) -> Value:
    if mode == "border":
        return np.clip(place, 0, size - 1)
    if mode == "reflection":
        return np.clip(_reflected(place, size, corners), 0, size - 1)
    return place


def _cubic_weights(t: Value) -> list[Value]:
    """R. Keys' cubic with a = -0.75 at distances 1 + t, t, 1 - t, 2 - t."""
    a = -0.75
    near = [((a + 2) * d - (a + 3)) * d * d + 1 for d in (t, 1 - t)]
    far = [((a * d - 5 * a) * d + 8 * a) * d - 4 * a for d in (1 + t, 2 - t)]
    return [far[0], near[0], near[1], far[1]]


def _cubic_at(x: Value, places: Sequence[Value], mode: str, corners: bool) -> Value:
    low = [np.floor(place).astype(np.int64) for place in places]
    weights = [_cubic_weights(place - base) for place, base in zip(places, low, strict=True)]
    result: Any = 0.0
    for taps in product(range(4), repeat=len(places)):
        weight: Any = 1.0
        indices = []
        for axis, tap in enumerate(taps):
            weight = weight * weights[axis][tap]
            place = _padded((low[axis] + tap - 1).astype(np.float64), x.shape[1 + axis], mode, corners)
            indices.append(np.rint(place).astype(np.int64))
        result = result + _element(x, indices) * weight
    return result


def grid_sample(call: Call) -> tuple[Value, ...]:
    """X [N, C, sizes…] at the grid [N, out…, axes], whose last axis names the innermost size first; -1 and 1 are the borders."""
    x, grid = call.inputs
    corners, padding = bool(call.attributes.get("align_corners", 0)), call.attributes.get("padding_mode", "zeros")
    mode = call.attributes.get("mode", "linear" if call.version >= 20 else "bilinear").removeprefix("bi")
    samples = []
    for sample, wanted in zip(x, grid, strict=True):
        places = []
        for axis, size in enumerate(sample.shape[1:]):
            unit = wanted[..., x.ndim - 3 - axis]
            places.append((unit + 1) / 2 * (size - 1) if corners else ((unit + 1) * size - 1) / 2)
        if mode == "cubic":
            samples.append(_cubic_at(sample, places, padding, corners))
            continue
        if mode == "nearest":
            places = [np.rint(place) for place in places]
        places = [_padded(place, size, padding, corners) for place, size in zip(places, sample.shape[1:], strict=True)]
        samples.append(_element(sample, [np.rint(p).astype(np.int64) for p in places]) if mode == "nearest" else linear_at(sample, places))
    return (np.stack(samples),)


def affine_grid(call: Call) -> tuple[Value, ...]:
    """[N, sizes…, axes]: theta applied to the places of an image between -1 and 1."""
    theta, sizes = call.inputs[0], [int(n) for n in call.inputs[1]][2:]
    corners = bool(call.attributes.get("align_corners", 0))
    lines = [np.linspace(-1, 1, n) if corners and n > 1 else (2 * np.arange(n) + 1) / n - 1 for n in sizes]
    lines = [np.zeros(1) if corners and line.size == 1 else line for line in lines]
    mesh = np.meshgrid(*lines, indexing="ij")
    homogeneous = np.stack([*reversed(mesh), np.ones(sizes)], axis=-1)
    return (np.einsum("nij,...j->n...i", theta, homogeneous),)


def deform_conv(call: Call) -> tuple[Value, ...]:
    """X [N, C, sizes…], W [M, C/group, kernel…], offsets [N, groups · taps · axes, out…], B, mask [N, groups · taps, out…]."""
    x, w, offset, bias, mask = call.inputs[0], call.inputs[1], call.inputs[2], call.input(3), call.input(4)
    group, shared = int(call.attributes.get("group", 1)), int(call.attributes.get("offset_group", 1))
    windows = axes(call, x.shape[2:], w.shape[2:])
    rank, positions, taps = len(windows), tuple(window.positions for window in windows), prod(w.shape[2:])
    offsets = offset.reshape(x.shape[0], shared, taps, rank, *positions)
    masks = None if mask is None else mask.reshape(x.shape[0], shared, taps, *positions)
    starts = np.meshgrid(
        *(np.arange(n) * window.stride - window.begin for n, window in zip(positions, windows, strict=True)), indexing="ij"
    )
    filters = w.reshape(group, w.shape[0] // group, w.shape[1], taps)
    y = np.zeros((x.shape[0], w.shape[0], *positions))
    for n, sample in enumerate(x):
        for tap, index in enumerate(np.ndindex(*w.shape[2:])):
            parts = []
            for g, channels in enumerate(np.split(sample, shared)):
                places = [starts[i] + index[i] * windows[i].dilation + offsets[n, g, tap, i] for i in range(rank)]
                part = linear_at(channels, places)
                parts.append(part if masks is None else part * masks[n, g, tap])
            columns = np.concatenate(parts).reshape(group, w.shape[1], -1)
            y[n] += (filters[..., tap] @ columns).reshape(y.shape[1:])
    return (y if bias is None else y + along(bias, 1, y.ndim),)


KERNELS: Mapping[str, Kernel] = {"GridSample": grid_sample, "AffineGrid": affine_grid, "DeformConv": deform_conv}
