"""Matrix products, normalisations and reductions as MIL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..onnx_node import Converter, OnnxNode, axes_of
from .node import float_type
from .packed import turned

if TYPE_CHECKING:
    import numpy


def _matmul(node: OnnxNode) -> Any:
    if len(node.shape(0)) < 2 or len(node.shape(1)) < 2:
        raise node.refuse("vectors are not converted")
    return node.api.matmul(x=node.operand(0), y=node.operand(1))


def _gemm(node: OnnxNode) -> Any:
    alpha, beta = node.attribute("alpha", 1.0), node.attribute("beta", 1.0)
    turn_a, turn_b = bool(node.attribute("transA", 0)), bool(node.attribute("transB", 0))
    kind = float_type(node.operand(0))
    bias = _bias(node, beta)
    weight = None if turn_a or (bias is None and node.has(2)) else _rows(node, alpha, turn=not turn_b)
    if weight is not None:
        return node.api.linear(x=node.operand(0), weight=weight, bias=bias)
    product = node.api.matmul(x=node.operand(0), y=node.operand(1), transpose_x=turn_a, transpose_y=turn_b)
    if alpha != 1.0:
        product = node.api.mul(x=product, y=kind(alpha))
    if not node.has(2):
        return product
    added = node.operand(2) if beta == 1.0 else node.api.mul(x=node.operand(2), y=kind(beta))
    return node.api.add(x=product, y=added)


def _rows(node: OnnxNode, alpha: float, turn: bool) -> Any | None:
    """The constant matrix of a Gemm times alpha, a row for each column of the result; None where it is computed."""
    if not node.is_constant(1):
        return turned(node.api, node.operand(1), alpha, turn)
    matrix = node.constant(1)
    return (alpha * (matrix.T if turn else matrix)).astype(float_type(node.operand(0)))


def _bias(node: OnnxNode, beta: float) -> numpy.ndarray[Any, Any] | None:
    """One number per column, where C is that."""
    import numpy

    if not node.is_constant(2):
        return None
    columns = node.shape(1)[0 if node.attribute("transB", 0) else 1]
    given = node.constant(2)
    if given.size not in (1, columns) or given.shape not in ((), (given.size,), (1, given.size)):
        return None
    return numpy.broadcast_to(beta * given.reshape(-1), (columns,)).astype(given.dtype)


def _softmax(node: OnnxNode) -> Any:
    if node.opset < 13:
        raise node.refuse("opset 13 or later is converted")
    return node.api.softmax(x=node.operand(0), axis=node.attribute("axis", -1))


def _affine(node: OnnxNode, x: Any, scale: int, bias: int) -> Any:
    result = node.api.mul(x=x, y=node.operand(scale))
    return node.api.add(x=result, y=node.operand(bias)) if node.has(bias) else result


def _layer_norm(node: OnnxNode) -> Any:
    if len(node.outputs) > 1:
        raise node.refuse("Mean and InvStdDev are not converted")
    rank = len(node.shape(0))
    first = axes_of([node.attribute("axis", -1)], rank)[0]
    axes, epsilon = list(range(first, rank)), float_type(node.operand(0))(node.attribute("epsilon", 1e-5))
    whole = node.shape(0)[first:]
    if node.is_constant(1) and node.shape(1) == whole and (not node.has(2) or (node.is_constant(2) and node.shape(2) == whole)):
        beta = node.constant(2) if node.has(2) else None
        return node.api.layer_norm(x=node.operand(0), axes=axes, gamma=node.constant(1), beta=beta, epsilon=epsilon)
    return _affine(node, node.api.layer_norm(x=node.operand(0), axes=axes, epsilon=epsilon), 1, 2)


def _group_norm(node: OnnxNode) -> Any:
    """Groups as rows of a layer norm; before opset 21 the scale is per group, from then on per channel."""
    import math

    import numpy

    shape, groups = node.shape(0), node.attribute("num_groups")
    x = node.api.reshape(x=node.operand(0), shape=[shape[0], groups, math.prod(shape[1:]) // groups])
    x = node.api.layer_norm(x=x, axes=[2], epsilon=float_type(node.operand(0))(node.attribute("epsilon", 1e-5)))
    x = node.api.reshape(x=x, shape=list(shape))
    for index, apply in ((1, node.api.mul), (2, node.api.add)):
        values = node.constant(index)
        per_channel = numpy.repeat(values, shape[1] // values.size).reshape(-1, *(1,) * (len(shape) - 2))
        x = apply(x=x, y=per_channel)
    return x


def _instance_norm(node: OnnxNode) -> Any:
    epsilon = float_type(node.operand(0))(node.attribute("epsilon", 1e-5))
    return node.api.instance_norm(x=node.operand(0), gamma=node.constant(1), beta=node.constant(2), epsilon=epsilon)


def _batch_norm(node: OnnxNode) -> Any:
    import numpy

    scale, bias, mean, variance = (node.constant(k) for k in range(1, 5))
    if node.attribute("training_mode", 0) or len(node.outputs) > 1:
        raise node.refuse("training is not converted")
    epsilon, rank = node.attribute("epsilon", 1e-5), len(node.shape(0))
    if 3 <= rank <= 5:
        e = float_type(node.operand(0))(epsilon)
        return node.api.batch_norm(x=node.operand(0), mean=mean, variance=variance, gamma=scale, beta=bias, epsilon=e)
    factor = scale / numpy.sqrt(variance + epsilon)
    tail = (-1, *(1,) * (rank - 2))
    scaled = node.api.mul(x=node.operand(0), y=factor.astype(scale.dtype).reshape(tail))
    return node.api.add(x=scaled, y=(bias - mean * factor).astype(scale.dtype).reshape(tail))


def reduction(name: str) -> Converter:
    """Over the axes of the second operand or of the attribute; all without either, or none with `noop_with_empty_axes`."""

    def convert(node: OnnxNode) -> Any:
        axes = node.whole_numbers(1) if node.has(1) else node.attribute("axes")
        if not axes and node.attribute("noop_with_empty_axes", 0):
            return node.operand(0)
        axes = list(axes or range(len(node.shape(0))))
        return getattr(node.api, name)(x=node.operand(0), axes=axes, keep_dims=bool(node.attribute("keepdims", 1)))

    return convert


def extreme(name: str) -> Converter:
    """The index of the first extreme element along `axis`."""

    def convert(node: OnnxNode) -> Any:
        if node.attribute("select_last_index", 0):
            raise node.refuse("select_last_index is not converted")
        return getattr(node.api, name)(x=node.operand(0), axis=node.attribute("axis", 0), keep_dims=bool(node.attribute("keepdims", 1)))

    return convert


def over_the_plane(name: str) -> Converter:
    """A global pool: a reduction over all spatial axes, which stay as 1."""

    def convert(node: OnnxNode) -> Any:
        axes = list(range(2, len(node.shape(0))))
        return getattr(node.api, name)(x=node.operand(0), axes=axes, keep_dims=True)

    return convert


REDUCTIONS = {
    "ReduceL1": "reduce_l1_norm", "ReduceL2": "reduce_l2_norm", "ReduceLogSum": "reduce_log_sum",
    "ReduceLogSumExp": "reduce_log_sum_exp", "ReduceMax": "reduce_max", "ReduceMean": "reduce_mean", "ReduceMin": "reduce_min",
    "ReduceProd": "reduce_prod", "ReduceSum": "reduce_sum", "ReduceSumSquare": "reduce_sum_square",
}  # fmt: skip
PRODUCTS: Mapping[str, Converter] = {
    **{name: reduction(mil) for name, mil in REDUCTIONS.items()},
    "ArgMax": extreme("reduce_argmax"),
    "ArgMin": extreme("reduce_argmin"),
    "BatchNormalization": _batch_norm,
    "Gemm": _gemm,
    "GlobalAveragePool": over_the_plane("reduce_mean"),
    "GlobalMaxPool": over_the_plane("reduce_max"),
    "GroupNormalization": _group_norm,
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
    "MatMul": _matmul,
    "Softmax": _softmax,
}
