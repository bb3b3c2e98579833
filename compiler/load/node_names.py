"""Unique node names: reports and kernel groups identify nodes by name, and onnxruntime refuses a graph with duplicates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .structure import all_graphs

if TYPE_CHECKING:
    import onnx


def name_nodes_apart(graph: onnx.GraphProto) -> int:
    """Every later node of a name gets a number behind it, in place, bodies included; how many did."""
    renamed = 0
    for part in all_graphs(graph):
        taken = {node.name for node in part.node}
        numbers: dict[str, int] = {}
        for node in part.node:
            if node.name and node.name in numbers:
                node.name = _fresh(node.name, taken, numbers)
                renamed += 1
            numbers.setdefault(node.name, 2)
    return renamed


def _fresh(name: str, taken: set[str], numbers: dict[str, int]) -> str:
    while (fresh := f"{name}_{numbers[name]}") in taken:
        numbers[name] += 1
    taken.add(fresh)
    return fresh
