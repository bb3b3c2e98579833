"""Normalisations, in means, differences and reciprocal square roots; and softmax, along the last stored axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..onnx_node import axes_of
from .elementwise import joined, shifted
from .integers.layer_norm import integer_layer_norm
from .node import FLOAT, Converter, TfliteNode
from .order import Order
from .products import connected
from .records import Tensor
from .reductions import reduced


def _on_last_axis(code: str, **options: Any) -> Converter:
    """Turned there and back where the axis is another one."""

    def convert(node: TfliteNode) -> None:
        order = node.order
        axis = node.place(node.attribute("axis", -1), order)
        if axis != len(order) - 1:
            order = (*order[:axis], *order[axis + 1 :], order[axis])
        node.write(node.emit(code, [node.read(0, order)], **options), order=order)

    return convert


def standardised(node: TfliteNode, x: Tensor, axes: Sequence[int], epsilon: float, centred: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """(x - mean) / sqrt(variance + epsilon) over stored axes, without the mean where not `centred`; the mean; and 1 / sqrt(…)."""
    axes, mean = list(axes), x
    if centred:
        mean = reduced(node, "MEAN", x, axes)
        squares = joined(node, "SQUARED_DIFFERENCE", x, mean)
        x = joined(node, "SUB", x, mean)
    else:
        squares = joined(node, "MUL", x, x)
    spread = node.emit("RSQRT", [shifted(node, reduced(node, "MEAN", squares, axes), epsilon)])
    return joined(node, "MUL", x, spread), mean, spread


def _layer_norm(node: TfliteNode) -> None:
    """LayerNormalization and, without the mean, RMSNormalization."""
    if node.scales(0) is not None and node.proto.op_type == "LayerNormalization":
        integer_layer_norm(node)
        return
    if node.dtype(0) != FLOAT:
        raise node.refuse(f"{node.dtype(0)} is not converted")
    order, rank = node.order, len(node.order)
    first = axes_of([node.attribute("axis", -1)], rank)[0]
    axes = [order.index(axis) for axis in range(first, rank)]
    centred = node.proto.op_type == "LayerNormalization"
    x, *more = standardised(node, node.read(0), axes, node.attribute("epsilon", 1e-5), centred)
    for index, code in ((1, "MUL"), (2, "ADD")):
        if node.has(index):
            x = joined(node, code, x, node.beside(index, order))
    node.write(x)
    for index, name in enumerate(node.proto.output[1:], 1):
        if name:
            node.write(more[index - 1], index, order)


def _per_channel(node: TfliteNode, index: int, order: Order) -> Tensor:
    """A vector of one value a channel, as it broadcasts to a tensor stored in `order`."""
    import numpy

    shape = [1] * len(order)
    size = node.shape(index)[0]
    shape[order.index(1)] = size
    if node.is_constant(index):
        return node.numbers(numpy.asarray(node.constant(index)).reshape(shape), node.dtype(index))
    return node.reshape(node.read(index), shape)


def _instance_norm(node: TfliteNode) -> None:
    order = node.order
    axes = [order.index(axis) for axis in range(2, len(order))]
    x, *_ = standardised(node, node.read(0), axes, node.attribute("epsilon", 1e-5))
    x = joined(node, "MUL", x, _per_channel(node, 1, order))
    node.write(joined(node, "ADD", x, _per_channel(node, 2, order)))


def _group_norm(node: TfliteNode) -> None:
    """Scale and bias are one for each channel, or before opset 21 one for each group."""
    import numpy

    shape, groups, order = node.shape(0), node.attribute("num_groups"), node.order
    x = node.read(0)
    place = order.index(1)
    wide = (*x.shape[:place], groups, shape[1] // groups, *x.shape[place + 1 :])
    axes = [k for k in range(len(wide)) if k not in (order.index(0) + (order.index(0) > place), place)]
    x, *_ = standardised(node, node.reshape(x, wide), axes, node.attribute("epsilon", 1e-5))
    x = node.reshape(x, tuple(shape[axis] for axis in order))
    for index, code in ((1, "MUL"), (2, "ADD")):
        values = node.constant(index)
        if values.size != shape[1]:
            values = numpy.repeat(values, shape[1] // values.size)
        per_channel = values.reshape([shape[1] if k == place else 1 for k in range(len(order))])
        x = joined(node, code, x, node.numbers(per_channel, x.dtype))
    node.write(x)


def _batch_norm(node: TfliteNode) -> None:
    """As a product and a sum, whose constants are computed here; in operators where they are computed by the model."""
    import numpy

    if node.attribute("training_mode", 0) or sum(bool(name) for name in node.proto.output) > 1:
        raise node.refuse("training is not converted")
    order, epsilon = node.order, node.attribute("epsilon", 1e-5)
    x = node.read(0)
    if all(node.is_constant(index) for index in range(1, 5)):
        scale, bias, mean, variance = (numpy.asarray(node.constant(index), numpy.float64) for index in range(1, 5))
        factor = scale / numpy.sqrt(variance + epsilon)
        shape = [factor.size if axis == 1 else 1 for axis in order]
        x = joined(node, "MUL", x, node.numbers(factor.reshape(shape), x.dtype))
        node.write(joined(node, "ADD", x, node.numbers((bias - mean * factor).reshape(shape), x.dtype)))
        return
    scale_, bias_, mean_, variance_ = (_per_channel(node, index, order) for index in range(1, 5))
    spread = node.emit("RSQRT", [shifted(node, variance_, epsilon)])
    x = joined(node, "MUL", joined(node, "SUB", x, mean_), joined(node, "MUL", spread, scale_))
    node.write(joined(node, "ADD", x, bias_))


def _lp_norm(node: TfliteNode) -> None:
    """x / |x| along one axis; 0 where that is 0."""
    x, axis = node.read(0), node.place(node.attribute("axis", -1))
    if node.attribute("p", 2) == 1:
        size = reduced(node, "SUM", node.emit("ABS", [x]), [axis])
    else:
        size = node.emit("SQRT", [reduced(node, "SUM", joined(node, "MUL", x, x), [axis])])
    nothing = joined(node, "EQUAL", size, node.like(0, size), "bool")
    divisor = node.emit("SELECT_V2", [nothing, node.like(1, size), size], size.shape, dtype=size.dtype)
    node.write(joined(node, "DIV", x, divisor))


BAND = 512
"""Channels up to which a band is a matrix of them: 1 MiB, and no more time than LiteRT's own kernel takes."""


def _lrn(node: TfliteNode) -> None:
    """LiteRT sums over a radius to both sides, and its alpha is not divided by their number. Its kernel takes a power of each element (4.8
    ms for 56x56x64). The usual one, s ** -0.75 = sqrt(1 / sqrt(s)) / sqrt(s), is XNNPACK's like the sums, a product by a band."""
    import numpy

    size, alpha, beta = node.attribute("size"), node.attribute("alpha", 1e-4), node.attribute("beta", 0.75)
    if size % 2 == 0:
        raise node.refuse("an even size is not converted")
    if len(node.shape(0)) != 4:
        raise node.refuse("other ranks than 4 are not converted")
    x, bias = node.read(0), node.attribute("bias", 1.0)
    if beta != 0.75 or x.shape[3] > BAND:
        node.write(node.emit("LOCAL_RESPONSE_NORMALIZATION", [x], radius=size // 2, bias=bias, alpha=alpha / size, beta=beta))
        return
    channels = numpy.arange(x.shape[3])
    band = alpha / size * (abs(channels[:, None] - channels) <= size // 2)
    sums = connected(node, joined(node, "MUL", x, x), band, numpy.full(x.shape[3], bias))
    spread = node.emit("RSQRT", [sums])
    node.write(joined(node, "MUL", joined(node, "MUL", x, spread), node.emit("SQRT", [spread])))


def _mean_variance(node: TfliteNode) -> None:
    """(x - mean) / (deviation + 1e-9), as ONNX defines it."""
    order = node.order
    axes = [order.index(axis) for axis in axes_of(node.attribute("axes", [0, 2, 3]), len(order))]
    x = node.read(0)
    mean = reduced(node, "MEAN", x, axes)
    spread = node.emit("SQRT", [reduced(node, "MEAN", joined(node, "SQUARED_DIFFERENCE", x, mean), axes)])
    node.write(joined(node, "DIV", joined(node, "SUB", x, mean), shifted(node, spread, 1e-9)))


NORMALISE: Mapping[str, Converter] = {
    "BatchNormalization": _batch_norm,
    "GroupNormalization": _group_norm,
    "InstanceNormalization": _instance_norm,
    "LRN": _lrn,
    "LayerNormalization": _layer_norm,
    "LogSoftmax": _on_last_axis("LOG_SOFTMAX"),
    "LpNormalization": _lp_norm,
    "MeanVarianceNormalization": _mean_variance,
    "RMSNormalization": _layer_norm,
    "Softmax": _on_last_axis("SOFTMAX", beta=1.0),
}
