"""Reductions, global pools, and where the largest elements are."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..onnx_node import axes_of
from .elementwise import cast, joined
from .node import Converter, TfliteNode
from .order import Order, channels_last, stored
from .records import Operator, Tensor


def reduced(node: TfliteNode, code: str, x: Tensor, axes: list[int], keep: bool = True) -> Tensor:
    """Over stored axes."""
    shape = [1 if k in axes else size for k, size in enumerate(x.shape) if keep or k not in axes]
    return node.emit(code, [x, node.numbers(sorted(axes))], shape, keepDims=keep)


def _axes(node: TfliteNode) -> list[int]:
    """ONNX's, from the operand or the attribute; all without either, none with `noop_with_empty_axes`."""
    given = node.whole_numbers(1) if node.has(1) else node.attribute("axes")
    rank = len(node.shape(0))
    if not given:
        return [] if node.attribute("noop_with_empty_axes", 0) else list(range(rank))
    return axes_of(given, rank)


def _order(node: TfliteNode, axes: list[int]) -> Order:
    """In which the first operand is read: integers are averaged over an image's height and width in NHWC, since NPUs do not reduce what
    they take for channels."""
    if node.scales(0) is not None and len(node.shape(0)) == 4 and sorted(axes) == [2, 3]:
        return channels_last(4)
    return node.order_of(node.name(0))


Reduction = Callable[[TfliteNode, Tensor, list[int]], Tensor]
"""Of a stored tensor over stored axes, which stay as 1."""


def by(code: str) -> Reduction:
    return lambda node, x, axes: reduced(node, code, x, axes)


def _sum_of_squares(node: TfliteNode, x: Tensor, axes: list[int]) -> Tensor:
    return reduced(node, "SUM", joined(node, "MUL", x, x), axes)


def _l1(node: TfliteNode, x: Tensor, axes: list[int]) -> Tensor:
    return reduced(node, "SUM", node.emit("ABS", [x]), axes)


def _l2(node: TfliteNode, x: Tensor, axes: list[int]) -> Tensor:
    return node.emit("SQRT", [_sum_of_squares(node, x, axes)])


def _log_sum(node: TfliteNode, x: Tensor, axes: list[int]) -> Tensor:
    return node.emit("LOG", [reduced(node, "SUM", x, axes)])


def _log_sum_exp(node: TfliteNode, x: Tensor, axes: list[int]) -> Tensor:
    """log(sum(exp(x - max))) + max, which does not overflow."""
    most = reduced(node, "REDUCE_MAX", x, axes)
    inner = node.emit("EXP", [joined(node, "SUB", x, most)])
    return joined(node, "ADD", node.emit("LOG", [reduced(node, "SUM", inner, axes)]), most)


def _extreme(code: str, of_bools: str) -> Reduction:
    def reduce(node: TfliteNode, x: Tensor, axes: list[int]) -> Tensor:
        return reduced(node, of_bools if x.dtype == "bool" else code, x, axes)

    return reduce


def reduction(reduce: Reduction) -> Converter:
    def convert(node: TfliteNode) -> None:
        axes = _axes(node)
        order = _order(node, axes)
        x = node.read(0, order)
        if axes:
            x = reduce(node, x, [order.index(axis) for axis in axes])
        elif node.proto.op_type not in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd"):
            raise node.refuse("over no axes it is not converted")
        _write_without(node, x, order, axes if not node.attribute("keepdims", 1) else [])

    return convert


def _write_without(node: TfliteNode, x: Tensor, order: Order, gone: list[int]) -> None:
    """Without axes that have one element: what is left lies in the order that it had."""
    left = [axis for axis in order if axis not in gone]
    names = sorted(left)
    kept = tuple(names.index(axis) for axis in left)
    node.write(node.reshape(x, stored(node.out_shape(), kept)), order=kept)


def over_the_plane(code: str) -> Converter:
    """A global pool: a reduction over all spatial axes, which stay as 1."""

    def convert(node: TfliteNode) -> None:
        order = _order(node, list(range(2, len(node.shape(0)))))
        axes = [order.index(axis) for axis in range(2, len(order))]
        node.write(reduced(node, code, node.read(0, order), axes), order=order)

    return convert


COMPARED_ALONE = frozenset({"int64", "int16"})
"""Dtypes that ARG_MAX lacks, and what finds an extreme and compares has."""


def _extremes(node: TfliteNode, code: str, x: Tensor, place: int) -> Tensor:
    """Whether each element is an extreme one: the first True is where the first of them lies."""
    most = reduced(node, code.replace("ARG", "REDUCE"), x, [place])
    return joined(node, "EQUAL", x, most, "bool")


def place_of_extreme(code: str) -> Converter:
    """The index of the first extreme element along `axis`."""

    def convert(node: TfliteNode) -> None:
        from ai_edge_litert import schema_py_generated as schema

        if node.attribute("select_last_index", 0):
            raise node.refuse("select_last_index is not converted")
        x, axis = node.read(0), axes_of([node.attribute("axis", 0)], len(node.shape(0)))[0]
        order = node.order_of(node.name(0))
        place = order.index(axis)
        shape = [size for k, size in enumerate(x.shape) if k != place]
        finds, x = ("ARG_MAX", _extremes(node, code, x, place)) if x.dtype in COMPARED_ALONE else (code, x)
        made = node.emit(finds, [x, node.numbers(place)], shape, dtype="int64", outputType=schema.TensorType.INT64)
        if node.attribute("keepdims", 1):
            node.write(node.reshape(made, stored(node.out_shape(), order)), order=order)
        else:
            _write_without(node, made, order, [axis])

    return convert


def _top_k(node: TfliteNode) -> None:
    """Along the last axis; the smallest are the largest of the negative."""
    shape = node.shape(0)
    rank, k = len(shape), int(node.constant(1).item())
    axis = axes_of([node.attribute("axis", -1)], rank)[0]
    order = (*tuple(other for other in range(rank) if other != axis), axis)
    x = node.read(0, order)
    largest = bool(node.attribute("largest", 1))
    x = x if largest else node.emit("NEG", [x])
    target = (*x.shape[:-1], k)
    values = Tensor(node.values.fresh(node.hint), target, x.dtype)
    places = Tensor(node.values.fresh(node.hint), target, "int32")
    node.program.add(Operator("TOPK_V2", (x, node.numbers(k)), (values, places), {}))
    if node.proto.output[0]:
        node.write(values if largest else node.emit("NEG", [values]), 0, order)
    if len(node.proto.output) > 1 and node.proto.output[1]:
        node.write(cast(node, places, "int64"), 1, order)


REDUCTIONS: Mapping[str, Converter] = {
    "ArgMax": place_of_extreme("ARG_MAX"),
    "ArgMin": place_of_extreme("ARG_MIN"),
    "GlobalAveragePool": over_the_plane("MEAN"),
    "GlobalMaxPool": over_the_plane("REDUCE_MAX"),
    "ReduceL1": reduction(_l1),
    "ReduceL2": reduction(_l2),
    "ReduceLogSum": reduction(_log_sum),
    "ReduceLogSumExp": reduction(_log_sum_exp),
    "ReduceMax": reduction(_extreme("REDUCE_MAX", "REDUCE_ANY")),
    "ReduceMean": reduction(by("MEAN")),
    "ReduceMin": reduction(_extreme("REDUCE_MIN", "REDUCE_ALL")),
    "ReduceProd": reduction(by("REDUCE_PROD")),
    "ReduceSum": reduction(by("SUM")),
    "ReduceSumSquare": reduction(_sum_of_squares),
    "TopK": _top_k,
}
