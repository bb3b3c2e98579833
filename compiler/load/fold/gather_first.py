"""Rows of a computed table: gathered first, and computed on what was gathered.

    Gather(f(T, c), i)  ->  f(Gather(T, i), c)        f element by element: Cast, Mul, DequantizeLinear …

The same numbers to the last bit, of a few rows in place of the whole table. Done where the table would otherwise be computed on every run,
or kept beside T: it is dequantised, or folding it makes the model larger. Tables that something else reads whole are left, and those whose
rows are quantised again right away: that Gather is one of integers, between grids as its device wants it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..structure import all_graphs
from .commute import Commuter, Unmovable
from .compute import tensor_bytes
from .constant_nodes import constant_nodes

if TYPE_CHECKING:
    import onnx

GROWTH = 1 << 20
"""Bytes of growth below which a table is folded: then nothing is computed at all."""


def gather_first(model: onnx.ModelProto) -> int:
    """Moves Gathers of the main graph in place, where weights and types are known; how many."""
    graph = model.graph
    makers = {name: node for node in constant_nodes(graph) for name in node.output if node.op_type != "Constant"}
    gathers = [node for node in graph.node if node.op_type == "Gather" and node.domain in ("", "ai.onnx") and node.input[0] in makers]
    if not gathers:
        return 0
    readers = Counter(name for part in all_graphs(graph) for node in part.node for name in node.input if name)
    readers.update(value.name for part in all_graphs(graph) for value in part.output)
    tables = Counter(node.input[0] for node in gathers)
    commuter, quantised = Commuter(graph, makers), _quantised(graph, gathers, makers)
    moved = {}
    for node in gathers:
        whole = readers[node.input[0]] > tables[node.input[0]]
        if not whole and id(node) not in quantised and _costly(node.input[0], commuter, makers, readers):
            try:
                moved[id(node)] = commuter.write(node)
            except Unmovable:
                continue
    if moved:
        _replace(graph, moved)
    return len(moved)


def _quantised(graph: onnx.GraphProto, gathers: Iterable[onnx.NodeProto], makers: dict[str, onnx.NodeProto]) -> set[int]:
    """Gathers between a DequantizeLinear and nothing but QuantizeLinears, each on one grid."""
    after: dict[str, list[onnx.NodeProto | None]] = {value.name: [None] for value in graph.output}
    for node in graph.node:
        for name in node.input[:1]:
            after.setdefault(name, []).append(node)
    return {
        id(node)
        for node in gathers
        if makers[node.input[0]].op_type == "DequantizeLinear"
        and all(reader is not None and reader.op_type == "QuantizeLinear" for reader in after.get(node.output[0], [None]))
    }


def _costly(table: str, commuter: Commuter, makers: dict[str, onnx.NodeProto], readers: Counter[str]) -> bool:
    """Whether the table is not folded, or makes the model larger."""
    cone, queue = {}, [table]
    for name in queue:
        node = makers.get(name)
        if node is not None and id(node) not in cone:
            cone[id(node)] = node
            queue.extend(name for name in node.input if name)
    if any(node.op_type == "DequantizeLinear" for node in cone.values()):
        return True
    inside = Counter(name for node in cone.values() for name in node.input)
    freed = sum(tensor_bytes(t) for name, t in commuter.constants.items() if name in inside and readers[name] == inside[name])
    return commuter.bytes(table) - freed > GROWTH


def _replace(graph: onnx.GraphProto, moved: dict[int, list[onnx.NodeProto]]) -> None:
    """Puts the new nodes in the Gathers' places, without what nothing reads any more."""
    nodes = [new for node in graph.node for new in moved.get(id(node), (node,))]
    gone = {id(node) for node in graph.node} - {id(node) for node in nodes}
    freed = {name for node in graph.node if id(node) in gone for name in node.input}
    results = {value.name for value in graph.output}
    read = Counter(_reads(graph, nodes))
    for node in reversed(nodes):
        if any(name in freed for name in node.output) and not any(read[name] or name in results for name in node.output):
            read.subtract(node.input)
            freed.update(node.input)
            gone.add(id(node))
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes if id(node) not in gone]
    del graph.node[:]
    graph.node.extend(copies)
    for k in reversed(range(len(graph.initializer))):
        name = graph.initializer[k].name
        if name in freed and not read[name] and name not in results:
            del graph.initializer[k]


def _reads(graph: onnx.GraphProto, nodes: Iterable[onnx.NodeProto]) -> Iterable[str]:
    for node in nodes:
        yield from node.input
    for part in all_graphs(graph):
        if part is not graph:
            yield from (name for node in part.node for name in node.input)
            yield from (value.name for value in part.output)
