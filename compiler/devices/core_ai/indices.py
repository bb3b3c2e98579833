"""Operators that take or put elements by indices, and that find them, as Core AI's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..onnx_node import Converter, OnnxNode, axes_of
from .api import Builder, CoreValue, choice
from .movement import as_shape, sliced, transposed, whole_scalar
from .tensor import like, tensor


def from_front(node: OnnxNode, index: int, lengths: Any) -> CoreValue:
    """Indices from the front, which all of Core AI's operators take. lengths: of the axis, or of each that an index names."""
    import numpy

    if node.is_constant(index):
        given = node.constant(index)
        made: CoreValue = node.api.value(numpy.where(given < 0, given + lengths, given).astype(given.dtype))
        return made
    return _from_front(node.api, tensor(node, index), lengths)


def _from_front(api: Builder, found: CoreValue, lengths: Any) -> CoreValue:
    import numpy

    behind = api.broadcasting_add(found, numpy.array(lengths, found.dtype))
    made: CoreValue = api.broadcasting_where(api.broadcasting_greater(like(found, 0), found), behind, found)
    return made


def _gather(node: OnnxNode) -> Any:
    """Rows by index with the axis in front, then the axes of the indices where the axis was."""
    import numpy

    x = tensor(node, 0)
    axis = axes_of([node.attribute("axis", 0)], len(x.shape))[0]
    shape = (*x.shape[:axis], *node.shape(1), *x.shape[axis + 1 :])
    if node.is_constant(1) and len(node.shape(1)) <= 1:
        length = x.shape[axis]
        return as_shape(node, taken(node, x, axis, [k + length if k < 0 else k for k in node.whole_numbers(1)]), shape)
    indices, count = from_front(node, 1, numpy.int64(x.shape[axis])), len(node.shape(1))
    rows = _rows(node, x, axis, as_shape(node, indices, (*indices.shape, 1) if count else (1, 1)))
    if not count:
        return as_shape(node, rows, shape)
    order = [*range(count, count + axis), *range(count), *range(count + axis, len(rows.shape))]
    return transposed(node, rows, order)


def taken_rows(node: OnnxNode, table: int, places: int) -> CoreValue:
    """Rows of one operand by the indices that another one has."""
    import numpy

    x, indices = tensor(node, table), from_front(node, places, numpy.int64(node.shape(table)[0]))
    return _rows(node, x, 0, as_shape(node, indices, (*indices.shape, 1)))


def taken(node: OnnxNode, x: CoreValue, axis: int, indices: list[int]) -> CoreValue:
    """Elements of an axis by indices from the front: a slice where they are a range."""
    import numpy

    if span := _span(indices):
        return sliced(node, x, [span if k == axis else range(size) for k, size in enumerate(x.shape)])
    rows = _rows(node, x, axis, node.api.value(numpy.array(indices, numpy.int32).reshape(-1, 1)))
    return transposed(node, rows, [*range(1, axis + 1), 0, *range(axis + 1, len(x.shape))])


def _rows(node: OnnxNode, x: CoreValue, axis: int, indices: CoreValue) -> CoreValue:
    """With the axis in front. indices: [..., 1]."""
    front = transposed(node, x, [axis, *(k for k in range(len(x.shape)) if k != axis)])
    made: CoreValue = node.api.gather_nd(front, indices)
    return made


def _span(indices: list[int]) -> range | None:
    """Indices as a range, where they are one."""
    if not indices:
        return None
    step = indices[1] - indices[0] if len(indices) > 1 else 1
    span = range(indices[0], indices[-1] + (1 if step > 0 else -1), step) if step else None
    return span if span is not None and list(span) == indices else None


def _gather_elements(node: OnnxNode) -> Any:
    import numpy

    x = tensor(node, 0)
    axis = axes_of([node.attribute("axis", 0)], len(x.shape))[0]
    indices = from_front(node, 1, numpy.int64(x.shape[axis]))
    rest = sliced(node, x, [range(size if k == axis else indices.shape[k]) for k, size in enumerate(x.shape)])
    return node.api.gather_along_axis(rest, indices, whole_scalar(axis))


def _gather_nd(node: OnnxNode) -> Any:
    import numpy

    if node.attribute("batch_dims", 0):
        raise node.refuse("batch_dims is not converted")
    x = tensor(node, 0)
    last = node.shape(1)[-1]
    indices = from_front(node, 1, numpy.array(x.shape[:last], numpy.int64))
    if len(indices.shape) == 1:
        return as_shape(node, node.api.gather_nd(x, as_shape(node, indices, (1, last))), x.shape[last:])
    return node.api.gather_nd(x, indices)


def _scatter_nd(node: OnnxNode) -> Any:
    import numpy

    if node.attribute("reduction", "none") != "none":
        raise node.refuse("a reduction is not converted")
    x = tensor(node, 0)
    indices = from_front(node, 1, numpy.array(x.shape[: node.shape(1)[-1]], numpy.int64))
    return node.api.scatter_nd(x, indices, tensor(node, 2))


def _scatter_elements(node: OnnxNode) -> Any:
    import numpy

    modes = {"none": "update", "add": "add", "mul": "mul", "max": "max", "min": "min"}
    x = tensor(node, 0)
    axis = axes_of([node.attribute("axis", 0)], len(x.shape))[0]
    indices = from_front(node, 1, numpy.int64(x.shape[axis]))
    if any(size != indices.shape[k] for k, size in enumerate(x.shape) if k != axis):
        raise node.refuse("indices of a part of the other axes are not converted")
    mode = choice("scatter_mode", modes[node.attribute("reduction", "none")])
    return node.api.scatter_along_axis(x.raw.type, x, indices, tensor(node, 2), whole_scalar(axis), scatter_mode=mode)


def _extreme(sign: int) -> Converter:
    """The index of the first extreme element along `axis`."""

    def convert(node: OnnxNode) -> Any:
        import numpy

        if node.attribute("select_last_index", 0):
            raise node.refuse("select_last_index is not converted")
        x = tensor(node, 0)
        if sign < 0 and x.dtype.kind != "f":
            raise node.refuse("the least of whole numbers is not converted")
        axis = axes_of([node.attribute("axis", 0)], len(x.shape))[0]
        turned = x if sign > 0 else node.api.broadcasting_mul(x, like(x, -1))
        found = node.api.cast_to(node.api.argmax(turned, whole_scalar(axis)), numpy.int32)
        return found if node.attribute("keepdims", 1) else as_shape(node, found, x.shape[:axis] + x.shape[axis + 1 :])

    return convert


def _top_k(node: OnnxNode) -> Any:
    """All sorted, the first k taken; equal ones in their order."""
    import numpy

    x, (k,) = tensor(node, 0), node.whole_numbers(1)
    axis = axes_of([node.attribute("axis", -1)], len(x.shape))[0]
    largest = bool(node.attribute("largest", 1))
    places = node.api.argsort(x, whole_scalar(axis), numpy.array(largest), numpy.array(True))
    spans = [range(k if dim == axis else size) for dim, size in enumerate(x.shape)]
    places = sliced(node, node.api.cast_to(places, numpy.int32), spans)
    return [node.api.gather_along_axis(x, places, whole_scalar(axis)), places]


def _cum_sum(node: OnnxNode) -> Any:
    import numpy

    if node.attribute("exclusive", 0):
        raise node.refuse("exclusive sums are not converted")
    (axis,) = node.whole_numbers(1)
    x = tensor(node, 0)
    return node.api.scan(x, numpy.array(axis % max(len(x.shape), 1), numpy.uint32), numpy.array(bool(node.attribute("reverse", 0))), "sum")


def _trilu(node: OnnxNode) -> Any:
    """A constant mask: elements beyond the diagonal are 0."""
    import numpy

    x = tensor(node, 0)
    k = node.whole_numbers(1)[0] if node.has(1) else 0
    ones = numpy.ones(x.shape[-2:], numpy.bool_)
    mask = numpy.triu(ones, k) if node.attribute("upper", 1) else numpy.tril(ones, k)
    if not math.prod(x.shape):
        raise node.refuse("an empty tensor is not converted")
    return node.api.broadcasting_where(node.api.value(mask), x, like(x, 0))


def _one_hot(node: OnnxNode) -> Any:
    """on where the position is the index, else off: also for an index beyond the depth."""
    import numpy

    depth, api = int(node.constant(1).item()), node.api
    off, on = node.constant(2).reshape(-1)
    rank = len(node.shape(0)) + 1
    axis = axes_of([node.attribute("axis", -1)], rank)[0]
    found = tensor(node, 0)
    if found.dtype.kind == "f":
        raise node.refuse("indices that are floats are not converted")
    indices = _from_front(api, api.cast_to(found, numpy.int32), depth)  # numbers of 8 bits do not reach every place
    shape = list(indices.shape)
    shape.insert(axis, 1)
    places = numpy.arange(depth).reshape([depth if k == axis else 1 for k in range(rank)]).astype(indices.dtype)
    here = api.broadcasting_equal(as_shape(node, indices, shape), api.value(places))
    return api.broadcasting_where(here, numpy.asarray(on), numpy.asarray(off))


INDICES: Mapping[str, Converter] = {
    "ArgMax": _extreme(1),
    "ArgMin": _extreme(-1),
    "CumSum": _cum_sum,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "OneHot": _one_hot,
    "ScatterElements": _scatter_elements,
    "ScatterND": _scatter_nd,
    "TopK": _top_k,
    "Trilu": _trilu,
}
