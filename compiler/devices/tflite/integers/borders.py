"""From floats to integers and back."""

from __future__ import annotations

from collections.abc import Mapping

from ..elementwise import joined
from ..node import FLOAT, Converter, TfliteNode
from ..records import Refused, Scales, Tensor
from .limits import WIDE


def _quantise(node: TfliteNode) -> None:
    x, wanted = node.read(0), node.out_scales
    if wanted is None or (x.dtype != FLOAT and x.scales is None):
        raise node.refuse(f"{x.dtype} is not quantised here, only float32")
    if x.scales is None:
        node.write(node.on_grid(_within(node, x, wanted), wanted, node.out_dtype()))
        return
    try:
        made = node.on_grid(x, wanted, node.out_dtype())
    except Refused:  # grids that no integer kernel takes beside each other
        made = node.on_grid(node.emit("DEQUANTIZE", [x], dtype=FLOAT, scales=None), wanted, node.out_dtype())
    node.write(made)


def _within(node: TfliteNode, x: Tensor, wanted: Scales) -> Tensor:
    """Cut off where the grid ends. LiteRT's QUANTIZE to 16 bits goes by way of 32, which larger numbers overflow; that to 8 bits clamps
    floats."""
    import numpy

    if node.out_dtype() != WIDE:
        return x
    whole, most = numpy.iinfo(WIDE), float(numpy.finfo(FLOAT).max)
    for code, end in (("MINIMUM", whole.max), ("MAXIMUM", whole.min)):
        x = joined(node, code, x, node.like(max(-most, min(end * wanted.scale[0], most)), x))
    return x


def _dequantise(node: TfliteNode) -> None:
    x = node.read(0)
    if x.scales is None or node.out_dtype() != FLOAT:
        raise node.refuse(f"{x.dtype} is not dequantised to {node.out_dtype()}")
    node.write(node.emit("DEQUANTIZE", [x], dtype=FLOAT, scales=None))


BORDERS: Mapping[str, Converter] = {"DequantizeLinear": _dequantise, "QuantizeLinear": _quantise}
