"""Normalisations and reductions as Core AI's operators, which have none of the former.

Means and deviations of fp16 are computed in fp32, as ONNX's stash_type says: squares beyond 65504 would be infinite.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..onnx_node import Converter, OnnxNode, axes_of
from .api import CoreValue
from .movement import as_shape
from .tensor import least_above_zero, like, tensor


def _wide(node: OnnxNode, x: CoreValue) -> CoreValue:
    import numpy

    made: CoreValue = node.api.cast_to(x, numpy.float32)
    return made


def _scaled(node: OnnxNode, x: CoreValue, axes: list[int], epsilon: float, centre: bool = True) -> CoreValue:
    """x, less its mean, over the root of its mean square."""
    api, wide = node.api, _wide(node, x)
    if centre:
        wide = api.broadcasting_sub(wide, api.reduce_mean(wide, axes))
    square = api.reduce_mean(api.broadcasting_mul(wide, wide), axes)
    made: CoreValue = api.broadcasting_mul(wide, api.rsqrt(api.broadcasting_add(square, like(square, epsilon))))
    return api.cast_to(made, x.dtype)  # type: ignore[no-any-return]


def _affine(node: OnnxNode, x: CoreValue, shape: Any = None) -> CoreValue:
    """Times the operand 1, plus the operand 2 where it is given, both in that shape; not where they are ones and zeros."""
    for index, apply, neutral in ((1, node.api.broadcasting_mul, 1), (2, node.api.broadcasting_add, 0)):
        if node.has(index) and not (node.is_constant(index) and (node.constant(index) == neutral).all()):
            x = apply(x, _shaped(node, index, shape))
    return x


def _shaped(node: OnnxNode, index: int, shape: Any) -> Any:
    if shape is None:
        return tensor(node, index)
    return node.api.value(node.constant(index).reshape(shape)) if node.is_constant(index) else as_shape(node, tensor(node, index), shape)


def _layer_norm(node: OnnxNode) -> Any:
    if len(node.outputs) > 1:
        raise node.refuse("Mean and InvStdDev are not converted")
    x = tensor(node, 0)
    first = axes_of([node.attribute("axis", -1)], len(x.shape))[0]
    centre = node.proto.op_type == "LayerNormalization"
    return _affine(node, _scaled(node, x, list(range(first, len(x.shape))), node.attribute("epsilon", 1e-5), centre))


def _per_channel(rank: int) -> list[int]:
    return [-1, *(1,) * (rank - 2)]


def _instance_norm(node: OnnxNode) -> Any:
    x = tensor(node, 0)
    rank, channels = len(x.shape), node.shape(1)[0]
    return _affine(node, _scaled(node, x, list(range(2, rank)), node.attribute("epsilon", 1e-5)), (channels, *(1,) * (rank - 2)))


def _group_norm(node: OnnxNode) -> Any:
    """Before opset 21 the scale is per group, from then on per channel."""
    import numpy

    x, groups = tensor(node, 0), node.attribute("num_groups")
    rows = as_shape(node, x, (x.shape[0], groups, math.prod(x.shape[1:]) // max(groups, 1)))
    made = as_shape(node, _scaled(node, rows, [2], node.attribute("epsilon", 1e-5)), x.shape)
    for index, apply in ((1, node.api.broadcasting_mul), (2, node.api.broadcasting_add)):
        values = node.constant(index)
        made = apply(made, node.api.value(numpy.repeat(values, x.shape[1] // values.size).reshape(_per_channel(len(x.shape)))))
    return made


def _batch_norm(node: OnnxNode) -> Any:
    """One product and one sum, with constants made here."""
    import numpy

    if node.attribute("training_mode", 0) or len(node.outputs) > 1:
        raise node.refuse("training is not converted")
    scale, bias, mean, variance = (node.constant(k).astype(numpy.float64) for k in range(1, 5))
    factor, tail = scale / numpy.sqrt(variance + node.attribute("epsilon", 1e-5)), _per_channel(len(node.shape(0)))
    kind = node.constant(1).dtype
    factors, terms = (node.api.value(numbers.astype(kind).reshape(tail)) for numbers in (factor, bias - mean * factor))
    return node.api.broadcasting_add(node.api.broadcasting_mul(tensor(node, 0), factors), terms)


def _lp_norm(node: OnnxNode) -> Any:
    """Nothing but zeros stays so."""
    x, api, axes = tensor(node, 0), node.api, [node.attribute("axis", -1)]
    one = node.attribute("p", 2) == 1
    norm = api.reduce_sum(api.abs_(x) if one else api.broadcasting_mul(x, x), axes)
    return api.broadcasting_divide(x, api.broadcasting_maximum(norm if one else api.sqrt(norm), like(norm, least_above_zero(norm))))


def _reduced(node: OnnxNode, reduce: Any) -> Any:
    """Over the axes of the second operand or of the attribute; all without either, or none with `noop_with_empty_axes`."""
    x = tensor(node, 0)
    axes = node.whole_numbers(1) if node.has(1) else node.attribute("axes")
    if not axes and node.attribute("noop_with_empty_axes", 0):
        return reduce(node, x, None)
    axes = axes_of(axes or list(range(len(x.shape))), len(x.shape))
    if not axes:
        raise node.refuse("a scalar is not reduced")
    made = reduce(node, x, axes)
    return made if node.attribute("keepdims", 1) else as_shape(node, made, [size for k, size in enumerate(x.shape) if k not in axes])


def reduction(name: str, before: str = "", after: str = "") -> Converter:
    """The API's reduction `name` of what `before` makes of each element, and `after` of the result."""

    def reduce(node: OnnxNode, x: CoreValue, axes: list[int] | None) -> CoreValue:
        api = node.api
        if name == "reduce_mean" and x.dtype.kind != "f":
            raise node.refuse("Core AI computes no mean of whole numbers")
        x = api.broadcasting_mul(x, x) if before == "square" else getattr(api, before)(x) if before else x
        x = x if axes is None else getattr(api, name)(x, axes)
        return getattr(api, after)(x) if after else x

    return lambda node: _reduced(node, reduce)


def _log_sum_exp(node: OnnxNode) -> Any:
    """max + log Σ exp(x - max)."""

    def reduce(node: OnnxNode, x: CoreValue, axes: list[int] | None) -> CoreValue:
        api = node.api
        if axes is None:
            return x
        most = api.reduce_max(x, axes)
        made: CoreValue = api.broadcasting_add(api.log(api.reduce_sum(api.exp(api.broadcasting_sub(x, most)), axes)), most)
        return made

    return _reduced(node, reduce)


def over_the_plane(name: str) -> Converter:
    """A global pool: a reduction over all spatial axes, which stay as 1."""
    return lambda node: getattr(node.api, name)(tensor(node, 0), list(range(2, len(node.shape(0)))))


NORMALISATIONS: Mapping[str, Converter] = {
    "BatchNormalization": _batch_norm,
    "GlobalAveragePool": over_the_plane("reduce_mean"),
    "GlobalMaxPool": over_the_plane("reduce_max"),
    "GroupNormalization": _group_norm,
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
    "LpNormalization": _lp_norm,
    "RMSNormalization": _layer_norm,
    "ReduceL1": reduction("reduce_sum", before="abs_"),
    "ReduceL2": reduction("reduce_sum", before="square", after="sqrt"),
    "ReduceLogSum": reduction("reduce_sum", after="log"),
    "ReduceLogSumExp": _log_sum_exp,
    "ReduceMax": reduction("reduce_max"),
    "ReduceMean": reduction("reduce_mean"),
    "ReduceMin": reduction("reduce_min"),
    "ReduceProd": reduction("reduce_product"),
    "ReduceSum": reduction("reduce_sum"),
    "ReduceSumSquare": reduction("reduce_sum", before="square"),
}
