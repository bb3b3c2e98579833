"""Are local functions well formed, and how large does a model become once they are inlined: a few that call each other twice can stand
for billions of nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ModelError
from .structure import all_graphs, bodies, describe_node

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import onnx

    Key = tuple[str, str, str]

MOST_NODES = 1_000_000
CAP = 10**12
"""Sizes are not counted beyond it: their digits would grow with every call."""


def check_functions(model: onnx.ModelProto, where: str) -> None:
    """Raises ModelError for a model of more than MOST_NODES nodes once inlined, or whose functions call themselves, are there twice, or
    have a tensor that nothing produces."""
    if not model.functions:
        return
    _check_names(model.functions, where)
    for function in model.functions:
        _check_produced(function, where)
    calls = {(f.domain, f.name, f.overload): list(_called(f.node)) for f in model.functions}
    sizes = _sizes(calls, where)
    total = sum(sizes.get(key, 1) for graph in all_graphs(model.graph) for key in map(_key, graph.node))
    if total > MOST_NODES:
        message = f"with its local functions inlined the model has {total:,} nodes, more than the limit of {MOST_NODES:,}"
        raise ModelError(message, where=where, help="export the model without local functions")


def _check_names(functions: Iterable[onnx.FunctionProto], where: str) -> None:
    seen: set[Key] = set()
    for function in functions:
        key = (function.domain, function.name, function.overload)
        if key in seen:
            raise ModelError(f"two local functions are named {_named(function)}", where=where, help="export the model again")
        seen.add(key)


def _check_produced(function: onnx.FunctionProto, where: str) -> None:
    known = {*function.input, *(name for node in function.node for name in node.output if name)}
    reads = (
        (name, f"{describe_node(node)} reads tensor '{name}', which nothing produces") for node in function.node for name in node.input
    )
    results = ((name, f"nothing produces its output '{name}'") for name in function.output)
    for name, fault in (*reads, *results):
        if name and name not in known:
            raise ModelError(f"the local function {_named(function)}: {fault}", where=where, help="export the model again")


def _named(function: onnx.FunctionProto) -> str:
    return f"{function.domain}::{function.name}" if function.domain else f"'{function.name}'"


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
