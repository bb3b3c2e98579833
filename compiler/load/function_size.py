"""How large a model becomes once its local functions are inlined: a few that call each other twice can stand for billions of nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ModelError
from .structure import all_graphs, bodies

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import onnx

    Key = tuple[str, str, str]

MOST_NODES = 1_000_000
CAP = 10**12
"""Sizes are not counted beyond it: their digits would grow with every call."""


def check_functions(model: onnx.ModelProto, where: str) -> None:
    """Raises ModelError for a model of more than MOST_NODES nodes once inlined, or whose functions call themselves."""
    if not model.functions:
        return
    calls = {(f.domain, f.name, f.overload): list(_called(f.node)) for f in model.functions}
    sizes = _sizes(calls, where)
    total = sum(sizes.get(key, 1) for graph in all_graphs(model.graph) for key in map(_key, graph.node))
    if total > MOST_NODES:
        message = f"with its local functions inlined the model has {total:,} nodes, more than the limit of {MOST_NODES:,}"
        raise ModelError(message, where=where, help="export the model without local functions")


def _sizes(calls: Mapping[Key, list[Key]], where: str) -> dict[Key, int]:
    """Nodes per function once inlined; depth first, without recursion: calls can be nested deeply."""
    sizes: dict[Key, int] = {}
    for start in calls:
        stack, open_now = [start], set[tuple[str, str, str]]()
        while stack:
            key = stack[-1]
            missing = [] if key in sizes else [k for k in dict.fromkeys(calls[key]) if k in calls and k not in sizes]
            if missing and key in open_now:
                raise ModelError(f"the local function {key[0]}::{key[1]} calls itself", where=where, help="export the model again")
            if missing:
                open_now.add(key)
                stack.extend(missing)
                continue
            sizes.setdefault(key, min(sum(sizes.get(called, 1) for called in calls[key]), CAP))
            stack.pop()
    return sizes


def _called(nodes: Iterable[onnx.NodeProto]) -> Iterable[Key]:
    for node in nodes:
        yield _key(node)
        for body in bodies(node):
            for graph in all_graphs(body):
                yield from map(_key, graph.node)


def _key(node: onnx.NodeProto) -> Key:
    return node.domain, node.op_type, node.overload
