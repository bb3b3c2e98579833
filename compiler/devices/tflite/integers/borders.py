"""From floats to integers and back."""

from __future__ import annotations

from collections.abc import Mapping

from ..node import FLOAT, Converter, TfliteNode


def _quantise(node: TfliteNode) -> None:
    x, wanted = node.read(0), node.out_scales
    if wanted is None or (x.dtype != FLOAT and x.scales is None):
        raise node.refuse(f"{x.dtype} is not quantised here, only float32")
    node.write(node.on_grid(x, wanted, node.out_dtype()))


def _dequantise(node: TfliteNode) -> None:
    x = node.read(0)
    if x.scales is None or node.out_dtype() != FLOAT:
        raise node.refuse(f"{x.dtype} is not dequantised to {node.out_dtype()}")
    node.write(node.emit("DEQUANTIZE", [x], dtype=FLOAT, scales=None))


BORDERS: Mapping[str, Converter] = {"DequantizeLinear": _dequantise, "QuantizeLinear": _quantise}
