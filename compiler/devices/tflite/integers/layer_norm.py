"""LayerNormalization in integers, of operators that NPUs have: means, a difference, a square, and reciprocal roots by table.

    d = x - mean(x)     v = mean(d²) + epsilon     y = d · v^(-1/2) · scale + bias

8-bit numbers x = s·q are taken into 16 bits, 128 steps to one of s. There d lies on the same grid, |d| < 255 s, and v lies below
(127.5 s)²: the root mean square of distances from the mean is at most half the distance between the ends. LiteRT's and Vela's tables of 16
bits have 512 sections with straight lines between, the first of which say little of a root. So squares, v and the root are computed on
three grids, for a v of up to (8 s)², (32 s)² and all of it; beyond its end a fine grid stays where it is, and so the smallest of the three
roots is right. |d| v^(-1/2) is below the root of the row's length. So no grid depends on calibration.

Measured on LiteRT's kernels: at most one step of an 8-bit result where the deviation of a row is 2 s or more, two steps from 1 s on
(tests/devices/test_ethos_u_layer_norm.py).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ...onnx_node import axes_of
from ..order import plain
from ..records import Scales, Tensor
from .weights import bias_numbers

if TYPE_CHECKING:
    from ..node import TfliteNode

NARROW, WIDE = "int8", "int16"
MOST = 32767
FINER = 128
"""Steps of 16 bits to one of the operand's: 255 steps fit."""
ENDS = (8.0, 32.0, 127.5)
"""Steps of the operand's grid, of the standard deviation up to which each grid goes. A number may be twice as far from the mean."""
LEAST = 0.5
"""The same, of the least deviation whose inverse there is a number for."""
EPSILON = 1e-5


def integer_layer_norm(node: TfliteNode) -> None:
    """Raises Refused for another operand than 8 bits, scale or bias that are computed, and the results beside the first."""
    scales, shape = node.scales(0), node.shape(0)
    order = plain(len(shape))
    x = node.read(0, order)
    if scales is None or x.dtype != NARROW:
        raise node.refuse(f"{node.dtype(0)} is not converted")
    if any(node.proto.output[1:]):
        raise node.refuse("its mean and deviation are not converted")
    step, length = scales.scale[0], math.prod(shape[axes_of([node.attribute("axis", -1)], len(shape))[0] :])
    rows = node.reshape(x, (math.prod(shape) // length, length))  # NPUs reduce the last axis of two, not of four
    wide = node.on_grid(rows, _grid(step / FINER), WIDE)
    difference = _joined(node, "SUB", wide, _mean(node, wide, step / FINER), step / FINER)
    bound = math.sqrt(length)
    standard = _joined(node, "MUL", difference, _inverse_root(node, difference, step), bound / MOST)
    node.write(node.reshape(_with_weights(node, standard, bound), shape), order=order)


def _grid(step: float) -> Scales:
    return Scales((step,), (0,))


def _mean(node: TfliteNode, rows: Tensor, step: float) -> Tensor:
    return node.emit("MEAN", [rows, node.numbers([1])], (rows.shape[0], 1), keepDims=True, scales=_grid(step))


def _joined(node: TfliteNode, code: str, a: Tensor, b: Tensor, step: float) -> Tensor:
    import numpy

    return node.emit(code, [a, b], numpy.broadcast_shapes(a.shape, b.shape), scales=_grid(step))


def _inverse_root(node: TfliteNode, difference: Tensor, step: float) -> Tensor:
    """1 / sqrt(mean of squares + epsilon), by the finest grid that holds it."""
    out, least = 1 / (LEAST * step) / MOST, None
    for end in ENDS:
        grid = (end * step) ** 2 / MOST
        variance = _mean(node, _joined(node, "MUL", difference, difference, 4 * grid), grid)
        epsilon = min(round(node.attribute("epsilon", EPSILON) / grid), MOST)
        if epsilon:
            variance = _joined(node, "ADD", variance, node.numbers(epsilon, WIDE, _grid(grid)), grid)
        root = node.emit("RSQRT", [variance], scales=_grid(out))
        least = root if least is None else _joined(node, "MINIMUM", least, root, out)
    assert least is not None
    return least


def _with_weights(node: TfliteNode, x: Tensor, bound: float) -> Tensor:
    """`x`, below `bound`, times the scale and plus the bias, each on a grid of 16 bits that it fills."""
    import numpy

    for index, code in ((1, "MUL"), (2, "ADD")):
        if not node.has(index):
            continue
        values = numpy.asarray(bias_numbers(node, index), numpy.float64)
        most = float(numpy.abs(values).max(initial=0)) or 1.0
        numbers = numpy.rint(values / most * MOST).astype(WIDE).reshape(1, -1)
        bound = bound * most if code == "MUL" else bound + most
        x = _joined(node, code, x, node.numbers(numbers, WIDE, _grid(most / MOST)), bound / MOST)
    wanted = node.out_scales
    assert wanted is not None
    return node.on_grid(x, wanted, node.out_dtype())
