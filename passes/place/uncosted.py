"""Operators whose cost nobody knows, since the extent of some tensor depends on values, or on an input without a size; and those that
are costed by an upper bound. A plan's latency is a lower bound while there are any of the first kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...targets.work.extents import DATA_DEPENDENT, bounded, is_bounded, open_tensors
from ..graph.graph import Graph
from ..graph.node import Node

Part = tuple[Graph, Sequence[Node]]
"""A graph, and those of its nodes that are asked about."""


@dataclass(frozen=True, slots=True)
class Uncosted:
    """One operator that costs nobody knows what."""

    node: str
    operator: str
    tensor: str
    """The first operand or result with an extent that is not known."""
    because: str
    """Where that extent comes from."""
    shape: str = ""
    """What `--shape` would give it a size; "" where only values decide."""


@dataclass(frozen=True, slots=True)
class UpperBound:
    """One operator that is costed by the most that it can be."""

    node: str
    operator: str
    supposes: str


@dataclass(frozen=True, slots=True)
class _Cause:
    because: str
    shape: str = ""


def uncosted(whole: Graph, parts: Sequence[Part]) -> tuple[Uncosted, ...]:
    """Those nodes of a model's parts (in order of execution, nodes in topological order) that have no cost, in order, each with the first
    thing that is at fault. `whole`: the graph with the model's inputs."""
    causes, found = _of_inputs(whole), []
    for graph, nodes in parts:
        inside = dict(causes)
        for node in nodes:
            found += _without_cost(graph, node, inside)
        causes |= {name: inside[name] for name in graph.outputs if name in inside}
    return tuple(found)


def _without_cost(graph: Graph, node: Node, causes: dict[str, _Cause]) -> list[Uncosted]:
    """The node where it has no cost, else nothing; what it leaves open is entered into `causes`."""
    view = graph.view(node)
    open_results = [name for name in node.writes if graph.tensor(name).elements is None]
    inherited = next((causes[name] for name in node.reads if name in causes), None)
    cause = inherited or _Cause(_why(node))
    sized = bounded(view)
    for label, tensor in view.outputs.items():
        if tensor.name in open_results:
            # what reads an upper bound is not bounded itself: which of its extents follow, nobody says
            causes[tensor.name] = cause if sized.outputs[label].elements is None else _Cause(_why(node))
    missing = open_tensors(view)
    if not missing:
        return []
    at_fault = next((causes[tensor.name] for tensor in missing if tensor.name in causes), cause)
    return [Uncosted(node.name or node.kind, node.kind, missing[0].name, at_fault.because, at_fault.shape)]


def upper_bounds(parts: Sequence[Part]) -> tuple[UpperBound, ...]:
    """Those nodes that are costed by an upper bound, in order."""
    views = [(node, graph.view(node)) for graph, nodes in parts for node in nodes if node.kind in DATA_DEPENDENT]
    return tuple(UpperBound(node.name or node.kind, node.kind, DATA_DEPENDENT[node.kind]) for node, view in views if is_bounded(view))


def _of_inputs(graph: Graph) -> dict[str, _Cause]:
    """Inputs of the graph with a dim that has no size."""
    causes = {}
    for name in graph.inputs:
        kind = graph.value_info(name).type
        if not kind.HasField("tensor_type") or graph.tensor(name).elements is not None:
            continue
        dims = kind.tensor_type.shape.dim
        named = next((dim.dim_param for dim in dims if not dim.HasField("dim_value") and dim.dim_param), "")
        if named:
            causes[name] = _Cause(f"dim '{named}' of input '{name}' has no size", f"--shape {named}=N")
        else:
            sizes = "x".join(str(dim.dim_value) if dim.HasField("dim_value") else "N" for dim in dims) or "N"
            causes[name] = _Cause(f"input '{name}' has a dim without a size", f"--shape {name}={sizes}")
    return causes


def _why(node: Node) -> str:
    name = f"{node.kind} '{node.name}'" if node.name else node.kind
    if node.operator in ("Loop", "SequenceMap") and any(True for _ in node.bodies()):
        return f"how often {name} runs its body is decided while it runs"
    if node.domain:
        return f"the result of {name} has a shape that is not known"
    return f"the values that {name} reads decide how large its result is"
