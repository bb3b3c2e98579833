"""Rows of a table of integers: gathered as they are stored, with their scales, and made floats of then.

    Gather(T, i)  ->  Cast(Gather(Q, i)) · Gather(s, i)                                              a scale for each row
                  ->  Flat((Blocks(Cast(Gather(Q, i))) - Gather(z, i)) · Gather(s, i) + Gather(o, i))      for each block of a row

The table and its scales are those that a product would have, so that what an embedding and a head share is stored once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...targets.dtypes import ELEMENT
from ..graph.graph import Graph
from ..graph.node import Node
from .constants import Constants
from .weights import Weight

GATHERED = (
    "/scales", "/fp32", "/result", "/factors", "/zeros", "/zeros_fp32", "/centred", "/offsets", "/moved", "/blocks", "/row", "/width",
    "/scales_of_blocks", "/zeros_of_blocks", "/offsets_of_blocks",
)  # fmt: skip
"""What follows an operator's name in those of the operators that make rows of integers from its table."""


def gathered_rows(graph: Graph, constants: Constants, node: Node, weight: Weight) -> tuple[list[Node], str]:
    """The operators that stand for a Gather of the table, and the tensor that they end in. The first has the node's own name: reports and
    costs of forms find it by that."""
    rows = _Rows(graph, constants, node)
    return rows.new, rows.in_blocks(weight) if weight.block else rows.whole(weight)


class _Rows:
    """Of one Gather."""

    def __init__(self, graph: Graph, constants: Constants, node: Node) -> None:
        self.graph, self.constants, self.node = graph, constants, node
        self.table, self.result = node.inputs[0], node.outputs[0]
        self.new: list[Node] = []

    def whole(self, weight: Weight) -> str:
        real = self._real(weight.stored, weight.dtype)
        if weight.zero is not None:
            real = self._op("Sub", [real, self._part(np.expand_dims(weight.zero, 1), "zeros", weight.dtype)], "centred")
        return self._op("Mul", [real, self._part(np.expand_dims(weight.scale, 1), "scales")], "result")

    def in_blocks(self, weight: Weight) -> str:
        width, block = weight.stored.shape[1], weight.block
        runs = -(-width // block)
        stored = np.pad(weight.stored, ((0, 0), (0, runs * block - width))) if width % block else weight.stored
        found = self._reshaped(self._real(stored, weight.dtype), (runs, block), "blocks")
        if weight.zero is not None:
            found = self._op("Sub", [found, self._of_blocks(weight.zero, "zeros", weight.dtype)], "centred")
        found = self._op("Mul", [found, self._of_blocks(weight.scale, "scales")], "result")
        if weight.offset is not None:
            found = self._op("Add", [found, self._of_blocks(weight.offset, "offsets")], "moved")
        found = self._reshaped(found, (runs * block,), "row")
        if width % block:
            ends = [self.constants.array(np.array([k], np.int64), f"{self.table}_ends") for k in (0, width, -1)]
            found = self._op("Slice", [found, *ends], "width")
        return found

    def _real(self, stored: np.ndarray, dtype: str) -> str:
        integers = self.constants.array(stored, f"{self.table}_q", dtype)
        return self._op("Cast", [self._op("Gather", [integers, self.node.inputs[1]], "", axis=0)], "fp32", to=ELEMENT["fp32"])

    def _of_blocks(self, values: np.ndarray, part: str, dtype: str = "") -> str:
        """Of each block of a row, with an axis for its elements."""
        return self._reshaped(self._part(values, part, dtype), (values.shape[1], 1), f"{part}_of_blocks")

    def _part(self, values: np.ndarray, part: str, dtype: str = "") -> str:
        """Of each row, in fp32: scales may be in fp16, zero points are of the `dtype` of what is stored."""
        stored = self.constants.array(values, f"{self.table}_{part}", dtype)
        found = self._op("Gather", [stored, self.node.inputs[1]], part, axis=0)
        if values.dtype == np.float32:
            return found
        return self._op("Cast", [found], "factors" if part == "scales" else f"{part}_fp32", to=ELEMENT["fp32"])

    def _reshaped(self, tensor: str, last: tuple[int, ...], suffix: str) -> str:
        """The axes of the indices as they are, and others behind them."""
        places = self.graph.tensor(self.node.inputs[1]).shape
        assert places is not None, "the caller has looked"
        shape = self.constants.array(np.array([*[0] * len(places), *last], np.int64), f"{self.table}_{suffix}")
        return self._op("Reshape", [tensor, shape], suffix)

    def _op(self, kind: str, inputs: list[str], suffix: str, **attributes: Any) -> str:
        node = self.graph.node(kind, inputs, domain="", hint=f"{self.result}_{suffix or 'rows'}", **attributes)
        node.name = self.node.name and self.node.name + (suffix and f"/{suffix}")
        self.new.append(node)
        return node.outputs[0]
