"""Whether a model adds a mask to scores, and does nothing else with it: then 0 is what a token sees, whatever the input is called."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..load.structure import bodies

if TYPE_CHECKING:
    import onnx

MOVED = frozenset(
    "Cast CastLike Concat Expand Flatten Gather Identity Max Reshape Slice Squeeze Transpose Unsqueeze".split()
)
"""Operators whose results are still the mask, or all that is left of it."""
ADDED = {"Attention": 3, "MultiHeadAttention": 5, "GroupQueryAttention": 10}
"""The operand of an attention that is added to its scores."""


def used_otherwise(graph: onnx.GraphProto, name: str) -> str:
    """What reads the input, moved or cast, otherwise than by adding it: "Mul 'scaled'"; "" where nothing does."""
    masks = {name}
    for node in _nodes(graph):
        read = [k for k, one in enumerate(node.input) if one in masks]
        if not read or node.op_type in ("Add", "Shape") or read == [ADDED.get(node.op_type)]:
            continue
        if node.op_type in MOVED or (node.op_type == "Where" and 0 not in read):
            masks.update(node.output)
            continue
        return f"{node.op_type} '{node.name or node.output[0]}'"
    return ""


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """In topological order, bodies behind what they capture."""
    for node in graph.node:
        yield node
        for body in bodies(node):
            yield from _nodes(body)
