"""Rows of a table of integers: gathered as they are stored, with their scales, and made floats of then.

    Gather(T, i)  ->  Cast(Gather(Q, i)) · Gather(s, i)                                             a scale for each row
                  ->  Reshape((Cast(Gather(Q, i)) in blocks - Gather(z, i)) · Gather(s, i) + Gather(o, i))      for each block of a row
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...targets.dtypes import ELEMENT
from ..graph.graph import Graph
from ..graph.node import Node
from .constants import Constants
from .weights import Weight

GATHERED = ("/scales", "/fp32", "/result", "/factors", "/zeros", "/centred", "/offsets", "/moved", "/row", "/width")
"""What follows an operator's name in those of the operators that make rows of integers from its table."""


def gathered_rows(graph: Graph, constants: Constants, node: Node, weight: Weight) -> tuple[list[Node], str]:
    """The operators that stand for a Gather of the table, and the tensor that they end in. The first has the node's own name: reports and
    costs of forms find it by that."""
    rows = _Rows(graph, constants, node)
    if not weight.block:
        # one scale a row: [rows, 1]
        scales = np.expand_dims(weight.scale, 1)
        zeros = None if weight.zero is None else np.expand_dims(weight.zero, 1)
        return rows.made(weight.stored, weight.dtype, scales, zeros, None, "")
    width = weight.stored.shape[1]
    lacking = -width % weight.block
    stored = np.pad(weight.stored, ((0, 0), (0, lacking))) if lacking else weight.stored
    parts = (None if one is None else np.expand_dims(one, 2) for one in (weight.scale, weight.zero, weight.offset))
    scale, zero, offset = parts
    assert scale is not None, "every weight has scales"
    blocks = stored.reshape(len(stored), -1, weight.block)
    made, result = rows.made(blocks, weight.dtype, scale, zero, offset, "_blocks")
    return rows.flat(made, result, width, blocks.shape[1] * weight.block)


class _Rows:
    """Of one Gather."""

    def __init__(self, graph: Graph, constants: Constants, node: Node) -> None:
        self.graph, self.constants, self.node = graph, constants, node
        self.new: list[Node] = []

    def made(
        self, stored: np.ndarray, dtype: str, scale: np.ndarray, zero: np.ndarray | None, offset: np.ndarray | None, suffix: str
    ) -> tuple[list[Node], str]:
        table = self.node.inputs[0]
        integers = self.constants.array(stored, f"{table}_q{suffix}", dtype)
        first = self._op("Gather", [integers, self.node.inputs[1]], f"{table}_rows", "", axis=0)
        real = self._op("Cast", [first], f"{table}_fp32", "/fp32", to=ELEMENT["fp32"])
        if zero is not None:
            real = self._op("Sub", [real, self._gathered(zero.astype(np.float32), "zeros")], f"{table}_centred", "/centred")
        result = self._op("Mul", [real, self._gathered(scale, "scales")], f"{self.node.outputs[0]}_rows", "/result")
        if offset is not None:
            result = self._op("Add", [result, self._gathered(offset, "offsets")], f"{self.node.outputs[0]}_moved", "/moved")
        return self.new, result

    def flat(self, made: list[Node], blocks: str, width: int, filled: int) -> tuple[list[Node], str]:
        """Blocks as one row again."""
        table, places = self.node.inputs[0], self.graph.tensor(self.node.inputs[1]).shape
        assert places is not None, "the caller has looked"
        whole = self.constants.array(np.array([*[0] * len(places), filled], np.int64), f"{table}_row")
        result = self._op("Reshape", [blocks, whole], f"{self.node.outputs[0]}_row", "/row")
        if filled != width:
            ends = [self.constants.array(np.array([k], np.int64), f"{table}_ends") for k in (0, width, -1)]
            result = self._op("Slice", [result, *ends], f"{self.node.outputs[0]}_width", "/width")
        return made, result

    def _gathered(self, values: np.ndarray, part: str) -> str:
        """Of each row, in fp32; scales of rows may be in fp16."""
        name = f"{self.node.inputs[0]}_{part}"
        found = self._op("Gather", [self.constants.array(values, name), self.node.inputs[1]], name, f"/{part}", axis=0)
        return self._op("Cast", [found], f"{name}_fp32", "/factors", to=ELEMENT["fp32"]) if values.dtype == np.float16 else found

    def _op(self, kind: str, inputs: list[str], hint: str, suffix: str, **attributes: Any) -> str:
        node = self.graph.node(kind, inputs, hint=hint, **attributes)
        node.name = self.node.name and self.node.name + suffix
        self.new.append(node)
        return node.outputs[0]
