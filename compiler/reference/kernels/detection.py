"""Operators of detectors: boxes that suppress each other, regions averaged over a grid."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

import numpy as np

from .call import Call, Kernel, Value


def _scalar(value: Value, default: float) -> float:
    return default if value is None else float(np.asarray(value).ravel()[0])


def _corners(boxes: Value, centred: bool) -> Value:
    """[…, 4] as the two corners, the lower first."""
    if centred:
        half = boxes[..., 2:] / 2
        return np.concatenate([boxes[..., :2] - half, boxes[..., :2] + half], axis=-1)
    return np.concatenate([np.minimum(boxes[..., :2], boxes[..., 2:]), np.maximum(boxes[..., :2], boxes[..., 2:])], axis=-1)


def _overlaps(box: Value, boxes: Value) -> Value:
    """Intersection over union; 0 where a box is empty."""
    sides = np.maximum(np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2]), 0)
    common = sides.prod(1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    own = (box[2:] - box[:2]).prod()
    return np.where((areas > 0) & (own > 0) & (common > 0), common / (areas + own - common), 0.0)


def _kept(boxes: Value, scores: Value, most: int, overlap: float, least: float | None) -> list[int]:
    """Indices by falling score (of equal ones the lower index first), each within `overlap` of those before it."""
    order = np.argsort(-scores, kind="stable")
    if least is not None:
        order = order[scores[order] > least]
    kept: list[int] = []
    while order.size and len(kept) < most:
        best, order = int(order[0]), order[1:]
        kept.append(best)
        order = order[_overlaps(boxes[best], boxes[order]) <= overlap]
    return kept


def non_max_suppression(call: Call) -> tuple[Value, ...]:
    """[selected, 3]: batch, class, box."""
    boxes = _corners(call.inputs[0], bool(call.attributes.get("center_point_box", 0)))
    most, overlap = int(_scalar(call.input(2), 0)), _scalar(call.input(3), 0)
    least = None if call.input(4) is None else _scalar(call.input(4), 0)
    found = [
        (n, c, index)
        for n, classes in enumerate(call.inputs[1])
        for c, scores in enumerate(classes)
        for index in _kept(boxes[n], scores, most, overlap, least)
    ]
    return (np.array(found, np.int64).reshape(-1, 3),)


def _line(start: float, length: float, bins: int, ratio: int, size: int) -> tuple[Value, Value, Value, Value]:
    """Along one axis, for each bin and point in it: the two elements read, the weight of the second, whether the point counts."""
    points = ratio or max(ceil(length / bins), 1)
    place = start + (np.arange(bins)[:, None] + (np.arange(points) + 0.5) / points) * length / bins
    valid = (place >= -1) & (place <= size)
    place = np.maximum(place, 0)
    low = np.minimum(np.floor(place).astype(np.int64), size - 1)
    place = np.where(low >= size - 1, size - 1, place)
    return low, np.minimum(low + 1, size - 1), place - low, valid


def roi_align(call: Call) -> tuple[Value, ...]:
    """X [N, C, H, W], rois [R, 4] as x1 y1 x2 y2, batch indices [R]: [R, C, output_height, output_width].

    The maximum (mode "max") is taken over the weighted corners of the points, as the standard's own implementation takes it.
    """
    x, rois, batches = call.inputs
    rows, columns = int(call.attributes.get("output_height", 1)), int(call.attributes.get("output_width", 1))
    ratio, scale = int(call.attributes.get("sampling_ratio", 0)), float(call.attributes.get("spatial_scale", 1.0))
    half = call.version >= 16 and call.attributes.get("coordinate_transformation_mode", "half_pixel") == "half_pixel"
    largest = call.attributes.get("mode", "avg") == "max"
    result = np.zeros((len(rois), x.shape[1], rows, columns))
    for r, (roi, batch) in enumerate(zip(rois, batches, strict=True)):
        x1, y1, x2, y2 = roi * scale - (0.5 if half else 0.0)
        width, height = (x2 - x1, y2 - y1) if half else (max(x2 - x1, 1.0), max(y2 - y1, 1.0))
        vertical = _line(y1, height, rows, ratio, x.shape[2])
        horizontal = _line(x1, width, columns, ratio, x.shape[3])
        result[r] = _pooled(x[int(batch)], vertical, horizontal, largest)
    return (result,)


def _pooled(x: Value, vertical: tuple[Value, ...], horizontal: tuple[Value, ...], largest: bool) -> Value:
    """[C, rows, columns] of one region."""
    top, bottom, down, valid_y = vertical
    left, right, across, valid_x = horizontal
    valid = valid_y[:, :, None, None] & valid_x
    corners = []
    for line, weight_y in ((top, 1 - down), (bottom, down)):
        for column, weight_x in ((left, 1 - across), (right, across)):
            value = x[:, line[:, :, None, None], column]
            corners.append(np.where(valid, value * (weight_y[:, :, None, None] * weight_x), 0.0))
    if largest:
        return np.max(corners, axis=0).max(axis=(2, 4))
    return np.sum(corners, axis=0).mean(axis=(2, 4))


KERNELS: Mapping[str, Kernel] = {"NonMaxSuppression": non_max_suppression, "RoiAlign": roi_align}
