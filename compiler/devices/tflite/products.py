"""Products of matrices: FULLY_CONNECTED by a constant, BATCH_MATMUL else."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .elementwise import joined, scaled
from .integers.weights import bias_numbers, integer_bias, weight_scales
from .node import FLOAT, Converter, TfliteNode
from .order import Order, plain
from .records import Scales, Tensor
from .values import Values

if TYPE_CHECKING:
    import numpy
    import onnx

    Array = numpy.ndarray[Any, Any]

FLATTENING = frozenset({"Flatten", "Reshape"})


def products_of_columns(nodes: Sequence[onnx.NodeProto], results: Collection[str], values: Values) -> frozenset[int]:
    """Numbers of the nodes that flatten [N, C, H, W] to [N, C·H·W] for products with constants alone, whose rows can be permuted."""
    readers: dict[str, list[tuple[onnx.NodeProto, int]]] = {}
    for node in nodes:
        for index, name in enumerate(node.input):
            readers.setdefault(name, []).append((node, index))
    found = set()
    for number, node in enumerate(nodes):
        if node.op_type not in FLATTENING or node.output[0] in results:
            continue
        before, after = values.shapes.get(node.input[0], ()), values.shapes.get(node.output[0], ())
        if len(before) < 3 or len(after) != 2 or after[0] != before[0]:
            continue
        if all(_takes_columns(reader, index, values) for reader, index in readers.get(node.output[0], [(node, 0)])):
            found.add(number)
    return frozenset(found)


def _takes_columns(node: onnx.NodeProto, index: int, values: Values) -> bool:
    if node.op_type not in ("Gemm", "MatMul") or index != 0 or node.input[1] not in values.constants:
        return False
    return values.constants[node.input[1]].ndim == 2 and not any(a.name == "transA" and a.i for a in node.attribute)


def _left(node: TfliteNode, weights: Array) -> tuple[Tensor, Array]:
    """The left operand, and the weights [K, N] with their rows in the order of its columns."""
    import numpy

    name = node.name(0)
    if name not in node.values.columns:
        return node.read(0, plain(len(node.shape(0)))), weights
    x, shape, order = node.values.columns[name]
    places = numpy.arange(weights.shape[0]).reshape((1, *shape[1:])).transpose(order).reshape(-1)
    return x, weights[places]


def connected(node: TfliteNode, x: Tensor, weights: Array, bias: Array | None = None, scales: Scales | None = None) -> Tensor:
    """x · weights + bias along the last stored axis; `weights` [K, N], integers with `scales` along their first stored axis, N."""
    import numpy

    turned, dtype = numpy.ascontiguousarray(weights.T), FLOAT if scales is None else "int8"
    added = None if bias is None else node.numbers(bias, FLOAT) if scales is None else integer_bias(node, bias, scales)
    operands = [x, node.numbers(turned, dtype, scales), added]
    shape = (*x.shape[:-1], weights.shape[1])
    return node.emit("FULLY_CONNECTED", operands, shape, keepNumDims=len(shape) != 2)


def _matmul(node: TfliteNode) -> None:
    a, b, out = node.shape(0), node.shape(1), node.out_shape()
    if node.dtype(0) != FLOAT and node.scales(0) is None:
        raise node.refuse(f"{node.dtype(0)} is not converted")
    if node.is_constant(1) and len(b) <= 2 and len(a) >= 2:
        scales = weight_scales(node, 1, 1, 0)
        x, weights = _left(node, node.constant(1).reshape(b if len(b) == 2 else (*b, 1)))
        node.write(node.reshape(connected(node, x, weights, None, scales), out), order=plain(len(out)))
        return
    if node.scales(0) is not None and node.scales(1) is None:
        raise node.refuse("one operand in floats is not converted in integers")
    x, y = (node.read(index, plain(len(node.shape(index)))) for index in (0, 1))
    x = node.reshape(x, (1, *a)) if len(a) == 1 else x
    y = node.reshape(y, (*b, 1)) if len(b) == 1 else y
    node.write(node.reshape(multiplied(node, x, y), out), order=plain(len(out)))


def multiplied(node: TfliteNode, x: Tensor, y: Tensor, adj_x: bool = False, adj_y: bool = False) -> Tensor:
    """A product of matrices, over batches that broadcast."""
    import numpy

    batches = numpy.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    rows, columns = x.shape[-1 if adj_x else -2], y.shape[-2 if adj_y else -1]
    if len(batches) > 3:
        if x.shape[:-2] != batches or y.shape[:-2] != batches:
            raise node.refuse("batches of more than 3 dims that broadcast are not converted")
        x, y = (node.reshape(tensor, (math.prod(batches), *tensor.shape[-2:])) for tensor in (x, y))
        flat = multiplied(node, x, y, adj_x, adj_y)
        return node.reshape(flat, (*batches, rows, columns))
    return node.emit("BATCH_MATMUL", [x, y], (*batches, rows, columns), adjX=adj_x, adjY=adj_y)


def _gemm(node: TfliteNode) -> None:
    """alpha · A·B + beta · C: factors go into constants where there are some."""
    import numpy

    if node.scales(0) is not None:
        _gemm_in_integers(node)
        return
    if node.dtype(0) != FLOAT:
        raise node.refuse(f"{node.dtype(0)} is not converted")
    alpha, beta = node.attribute("alpha", 1.0), node.attribute("beta", 1.0)
    turn_a, turn_b = (bool(node.attribute(name, 0)) for name in ("transA", "transB"))
    out, flat = node.out_shape(), plain(2)
    added = node.has(2) and beta != 0
    if node.is_constant(1):
        weights = node.constant(1).T if turn_b else node.constant(1)
        x, weights = (node.read(0, _swapped(turn_a)), weights) if turn_a else _left(node, weights)
        bias = node.constant(2) if added and node.is_constant(2) else None
        inside = bias is not None and (bias.ndim < 2 or bias.shape[0] == 1)
        row = numpy.broadcast_to(numpy.float32(beta) * bias.reshape(-1), (out[1],)) if inside and bias is not None else None
        result = connected(node, x, numpy.float32(alpha) * weights if alpha != 1 else weights, row)
        added = added and not inside
    else:
        x, y = node.read(0, flat), node.read(1, flat)
        result = scaled(node, multiplied(node, x, y, turn_a, turn_b), alpha)
    if added:
        result = joined(node, "ADD", result, scaled(node, node.beside(2, flat), beta))
    node.write(result, order=flat)


def _gemm_in_integers(node: TfliteNode) -> None:
    import numpy

    turned, size = bool(node.attribute("transB", 0)), node.out_shape()[1]
    if node.attribute("transA", 0) or any(node.attribute(name, 1.0) != 1 for name in ("alpha", "beta")) or not node.is_constant(1):
        raise node.refuse("with transA, factors or weights that are computed it is not converted in integers")
    scales = weight_scales(node, 1, 0 if turned else 1, 0)
    x, weights = _left(node, node.constant(1).T if turned else node.constant(1))
    bias = bias_numbers(node, 2) if node.has(2) else numpy.zeros(size)
    if bias.size not in (1, size):
        raise node.refuse("a bias for each row is not converted in integers")
    node.write(connected(node, x, weights, numpy.broadcast_to(bias.reshape(-1), (size,)), scales), order=plain(2))


def _swapped(yes: bool) -> Order:
    return (1, 0) if yes else (0, 1)


PRODUCTS: Mapping[str, Converter] = {"Gemm": _gemm, "MatMul": _matmul}
