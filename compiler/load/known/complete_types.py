"""What `propagate` finds, written into a model: types that were open, and constants in place of shape arithmetic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..structure import all_graphs, bodies
from .facts import Known
from .propagate import propagate
from .types import is_static

if TYPE_CHECKING:
    import onnx

LARGEST = 1 << 12
"""Bytes of the largest value that becomes a constant: as large as a weight that tools are not shown."""
SMALL, ROOM = 128, 1 << 20
"""Bytes of a value that count for nothing, and of all others together."""
WHOLE = frozenset({6, 7, 9})
"""int32, int64, bool: what shapes, indices and conditions are made of."""


def complete_types(model: onnx.ModelProto, afresh: bool = False) -> None:
    """Gives tensors of the main graph and of bodies the types that onnx left open, in place; does nothing where none is open.

    afresh: onnx has inferred nothing.
    """
    if afresh or not _all_static(model.graph):
        _write(model.graph, propagate(model, afresh))


def fold_known(model: onnx.ModelProto) -> int:
    """Puts constants in place of the integers and booleans of the main graph that are known, in place, and drops what then is read by
    nobody; how many nodes went. What writes a graph output stays.

    A known value takes no more room than the names of what computed it, so nothing is weighed: the graph becomes smaller by each.
    """
    if not any(node.op_type not in ("Constant", "Identity") for node in model.graph.node):
        return 0
    known = propagate(model)
    made = _worth_folding(model.graph, known)
    if not made:
        return 0
    _write(model.graph, known)
    return _replace(model.graph, made, known)


def _all_static(graph: onnx.GraphProto) -> bool:
    types = {value.name: value.type for value in (*graph.value_info, *graph.output)}
    for node in graph.node:
        if not all(is_static(types.get(name)) for name in node.output if name):
            return False
        if not all(_all_static(body) for body in bodies(node)):
            return False
    return True


def _write(graph: onnx.GraphProto, known: Known) -> None:
    written = {name for node in graph.node for name in node.output if name}
    named = set()
    for value in (*graph.value_info, *graph.output):
        named.add(value.name)
        if value.name in known.refined and value.name in written:
            value.type.CopyFrom(known.types[value.name])
    for node in graph.node:
        for name in node.output:
            if name and name in known.refined and name not in named and name in known.types:
                graph.value_info.add(name=name).type.CopyFrom(known.types[name])


def _worth_folding(graph: onnx.GraphProto, known: Known) -> list[int]:
    """Positions of nodes whose results are all known, whole numbers and small."""
    results = {value.name for value in graph.output}
    found, room = [], ROOM
    for k, node in enumerate(graph.node):
        written = [name for name in node.output if name]
        if node.op_type == "Constant" or not written or not results.isdisjoint(written):
            continue
        values = [known.values.get(name) for name in written]
        if any(value is None or known.types[name].tensor_type.elem_type not in WHOLE for value, name in zip(values, written, strict=True)):
            continue
        size = sum(value.nbytes for value in values if value is not None)
        if size > LARGEST or (size > SMALL and size > room):
            continue
        room -= size if size > SMALL else 0
        found.append(k)
    return found


def _replace(graph: onnx.GraphProto, made: list[int], known: Known) -> int:
    """Takes out those nodes, and what is read by nobody then."""
    from onnx import numpy_helper

    gone = set(made)
    folded = {name for k in made for name in graph.node[k].output if name}
    reads = Counter(value.name for part in all_graphs(graph) for value in part.output)
    for k, node in enumerate(graph.node):
        if k not in gone:
            reads.update(_reads(node))
    for k in reversed(range(len(graph.node))):
        if k not in gone and not any(reads[name] for name in graph.node[k].output):
            gone.add(k)
            reads.subtract(_reads(graph.node[k]))
    kept = [type(node).FromString(node.SerializeToString()) for k, node in enumerate(graph.node) if k not in gone]
    removed = {name for k in gone for name in graph.node[k].output}
    typed = [value for value in graph.value_info if value.name not in removed]
    for target, values in ((graph.node, kept), (graph.value_info, typed)):
        del target[:]
        target.extend(values)
    graph.initializer.extend(numpy_helper.from_array(known.values[name], name) for name in sorted(folded) if reads[name])
    return len(gone)


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    """Every reading of a name, in bodies too."""
    yield from (name for name in node.input if name)
    for body in bodies(node):
        for part in all_graphs(body):
            yield from (name for inner in part.node for name in inner.input if name)
