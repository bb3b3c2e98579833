"""Operators that move elements without computing: shapes, joins, cuts, transpositions."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np

from .call import Call, Kernel, Value
from .operands import axes_of, axis_of, integers


def reshape(call: Call) -> tuple[Value, ...]:
    """0 copies the operand's dimension (but with allowzero), -1 is what remains."""
    x = np.asarray(call.inputs[0])
    shape = integers(call, 1, "shape") or []
    if not call.attributes.get("allowzero", 0):
        shape = [x.shape[i] if size == 0 else size for i, size in enumerate(shape)]
    return (x.reshape(shape),)


def flatten(call: Call) -> tuple[Value, ...]:
    x = call.inputs[0]
    axis = int(call.attributes.get("axis", 1))
    axis = axis + x.ndim if axis < 0 else axis
    return (x.reshape(prod(x.shape[:axis]), prod(x.shape[axis:])),)


def squeeze(call: Call) -> tuple[Value, ...]:
    x = np.asarray(call.inputs[0])
    return (np.squeeze(x, axes_of(call, 1, x.ndim)),)


def unsqueeze(call: Call) -> tuple[Value, ...]:
    x = np.asarray(call.inputs[0])
    return (np.expand_dims(x, tuple(integers(call, 1, "axes") or ())),)


def transpose(call: Call) -> tuple[Value, ...]:
    return (np.transpose(call.inputs[0], call.attributes.get("perm")),)


def concat(call: Call) -> tuple[Value, ...]:
    return (np.concatenate(call.inputs, axis=int(call.attributes.get("axis", 1))),)


def split(call: Call) -> tuple[Value, ...]:
    """By stated sizes, or into equal parts, of which the last may be smaller (opset 18)."""
    x = call.inputs[0]
    axis = axis_of(int(call.attributes.get("axis", 0)), x.ndim)
    sizes = integers(call, 1, "split")
    if sizes is None:
        number = int(call.attributes.get("num_outputs", call.outputs))
        part = -(-x.shape[axis] // number)
        sizes = [max(0, min(part, x.shape[axis] - i * part)) for i in range(number)]
    if sum(sizes) != x.shape[axis]:
        raise ValueError(f"parts {sizes} of an axis of {x.shape[axis]}")
    return tuple(np.split(x, np.cumsum(sizes)[:-1], axis=axis))


def _bounds(start: int, end: int, step: int, size: int) -> slice:
    """Clamped as the standard says: stepping back, a start before the tensor is its first element (Python takes nothing then)."""
    if not size:
        return slice(0, 0)
    start, end = start + size * (start < 0), end + size * (end < 0)
    if step > 0:
        return slice(min(max(start, 0), size), min(max(end, 0), size), step)
    end = min(max(end, -1), size - 1)
    return slice(min(max(start, 0), size - 1), None if end < 0 else end, step)


def slice_(call: Call) -> tuple[Value, ...]:
    """Bounds came as attributes below opset 10."""
    x = call.inputs[0]
    starts, ends = integers(call, 1, "starts") or [], integers(call, 2, "ends") or []
    axes, steps = integers(call, 3, "axes"), integers(call, 4, "steps")
    where = [slice(None)] * x.ndim
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        axis = axis_of(axes[i] if axes else i, x.ndim)
        where[axis] = _bounds(start, end, steps[i] if steps else 1, x.shape[axis])
    return (x[tuple(where)],)


def pad(call: Call) -> tuple[Value, ...]:
    """Constant, reflect, edge or wrap; negative pads cut."""
    x = call.inputs[0]
    pads = integers(call, 1, "paddings" if call.version < 2 else "pads") or []
    axes = [axis_of(axis, x.ndim) for axis in (integers(call, 3, "") or range(x.ndim))]
    pairs = [(0, 0)] * x.ndim
    for i, axis in enumerate(axes):
        pairs[axis] = (pads[i], pads[i + len(axes)])
    cut = tuple(slice(max(-first, 0), size - max(-last, 0)) for (first, last), size in zip(pairs, x.shape, strict=True))
    x, widths = x[cut], [(max(first, 0), max(last, 0)) for first, last in pairs]
    mode = call.attributes.get("mode", "constant")
    if mode != "constant":
        return (np.pad(x, widths, mode=mode),)
    value = call.attributes.get("value", 0.0) if call.version < 11 else call.input(2)
    value = 0 if value is None else np.asarray(value).reshape(-1)[0]
    return (np.pad(x, widths, constant_values=value),)


def expand(call: Call) -> tuple[Value, ...]:
    """Broadcasting goes both ways."""
    x = np.asarray(call.inputs[0])
    return (np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(int(n) for n in call.inputs[1]))),)


def tile(call: Call) -> tuple[Value, ...]:
    """Below opset 6: a number of tiles along one axis."""
    x = call.inputs[0]
    if call.version < 6:
        repeats = [1] * x.ndim
        repeats[int(call.inputs[2].ravel()[0])] = int(call.inputs[1].ravel()[0])
        return (np.tile(x, repeats),)
    return (np.tile(x, [int(n) for n in call.inputs[1]]),)


def depth_to_space(call: Call) -> tuple[Value, ...]:
    x, block = call.inputs[0], int(call.attributes["blocksize"])
    n, c, h, w = x.shape
    if call.attributes.get("mode", "DCR") == "DCR":
        parts = x.reshape(n, block, block, c // block**2, h, w).transpose(0, 3, 4, 1, 5, 2)
    else:
        parts = x.reshape(n, c // block**2, block, block, h, w).transpose(0, 1, 4, 2, 5, 3)
    return (parts.reshape(n, c // block**2, h * block, w * block),)


def space_to_depth(call: Call) -> tuple[Value, ...]:
    x, block = call.inputs[0], int(call.attributes["blocksize"])
    n, c, h, w = x.shape
    parts = x.reshape(n, c, h // block, block, w // block, block)
    order = (0, 1, 3, 5, 2, 4) if call.attributes.get("mode", "DCR") == "CRD" else (0, 3, 5, 1, 2, 4)
    return (parts.transpose(order).reshape(n, c * block**2, h // block, w // block),)


def reverse_sequence(call: Call) -> tuple[Value, ...]:
    """The first sequence_lens[b] elements of each batch reversed in time."""
    x, lengths = call.inputs[0], call.inputs[1]
    time, batch = int(call.attributes.get("time_axis", 0)), int(call.attributes.get("batch_axis", 1))
    moved = np.moveaxis(x, (batch, time), (0, 1))
    steps = np.arange(moved.shape[1])
    order = np.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)
    reversed_ = moved[np.arange(moved.shape[0])[:, None], order]
    return (np.moveaxis(reversed_, (0, 1), (batch, time)),)


def trilu(call: Call) -> tuple[Value, ...]:
    k = 0 if call.input(1) is None else int(np.asarray(call.input(1)).ravel()[0])
    return ((np.triu if call.attributes.get("upper", 1) else np.tril)(call.inputs[0], k),)


def center_crop_pad(call: Call) -> tuple[Value, ...]:
    """The middle of each axis, or zeros around it; the odd element is cut, or added, behind."""
    x = call.inputs[0]
    axes = call.attributes.get("axes")
    axes = range(x.ndim) if axes is None else [axis_of(axis, x.ndim) for axis in axes]
    for axis, size in zip(axes, [int(n) for n in call.inputs[1]], strict=True):
        extra = size - x.shape[axis]
        if extra >= 0:
            widths = [(0, 0)] * x.ndim
            widths[axis] = (extra // 2, extra - extra // 2)
            x = np.pad(x, widths)
        else:
            start = -extra // 2
            x = np.take(x, range(start, start + size), axis=axis)
    return (x,)


def shape(call: Call) -> tuple[Value, ...]:
    sizes = np.asarray(call.inputs[0]).shape
    return (np.asarray(sizes[call.attributes.get("start", 0) : call.attributes.get("end")], np.int64),)


def size(call: Call) -> tuple[Value, ...]:
    return (np.asarray(np.asarray(call.inputs[0]).size, np.int64),)


def dropout(call: Call) -> tuple[Value, ...]:
    """As in inference: the operand; the mask (boolean from opset 10) keeps everything. Raises NotImplementedError in training."""
    x, training = call.inputs[0], call.input(2)
    ratio = call.input(1) if call.version >= 12 else call.attributes.get("ratio", 0.5)
    if training is not None and bool(training) and (ratio is None or float(ratio) != 0):
        raise NotImplementedError("Dropout in training mode is random")
    return x, np.ones(x.shape, bool if call.version >= 10 else x.dtype)


KERNELS: Mapping[str, Kernel] = {
    "Reshape": reshape, "Flatten": flatten, "Squeeze": squeeze, "Unsqueeze": unsqueeze, "Transpose": transpose, "Concat": concat,
    "Split": split, "Slice": slice_, "Pad": pad, "Expand": expand, "Tile": tile, "DepthToSpace": depth_to_space,
    "SpaceToDepth": space_to_depth, "ReverseSequence": reverse_sequence, "Trilu": trilu, "CenterCropPad": center_crop_pad,
    "Shape": shape, "Size": size, "Dropout": dropout,
}  # fmt: skip
