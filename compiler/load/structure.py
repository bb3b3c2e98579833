"""Is the graph well formed? Names unique, every tensor produced, no cycle, sane sizes; then onnx's own checker."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..activity import doing
from ..errors import ModelError

if TYPE_CHECKING:
    import onnx

ABSURD = 2**40
"""Elements (or bytes) of one tensor above which a declared size is taken for damage or malice, 1 TiB."""
CONTEXT = "==> Context:"
"""How onnx.checker begins the line that says where."""
SHOWN = 12
"""How many nodes of a cycle a message names."""


def check_structure(model: onnx.ModelProto, where: str) -> bool:
    """Raises ModelError at the first fault; True when the nodes were not in topological order and have been sorted in place."""
    _check_names(model.graph, where)
    _check_dims(model.graph, where)
    return _sort(model.graph, frozenset(), where)


def run_checker(source: bytes | str, where: str) -> None:
    """onnx.checker on a serialised model, or on a path where weights lie in other files; raises ModelError with its first sentence."""
    import onnx

    try:
        with doing("checking the model with onnx.checker"):
            onnx.checker.check_model(source)
    except (onnx.checker.ValidationError, RuntimeError, ValueError, TypeError) as problem:
        lines = [line.strip() for line in str(problem).splitlines() if line.strip()]
        message = f"onnx.checker refuses the model: {(lines[0] if lines else type(problem).__name__).rstrip('.')}"
        places = [*([where] if where else []), *(_place(line) for line in lines if line.startswith(CONTEXT))]
        raise ModelError(message, where=", ".join(places), help="export the model again") from None


def _place(line: str) -> str:
    """`==> Context: Bad node spec for node. Name: n OpType: Foo` -> `Foo 'n'`."""
    node = re.search(r"Name: (.*) OpType: (\S+)", line)
    if node is None:
        return line.removeprefix(CONTEXT).strip()
    name, operator = node[1].strip(), node[2]
    return f"{operator} '{name}'" if name else f"{operator} (a node without a name)"


def describe_node(node: onnx.NodeProto) -> str:
    """How a message names a node: `Add 'encoder/add'`, or `Add (writes 'y')` for one without a name."""
    return f"{node.op_type} '{node.name}'" if node.name else f"{node.op_type} (writes '{node.output[0] if node.output else ''}')"


def bodies(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs among a node's attributes: of If, Loop, Scan."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def all_graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """The graph and every body inside it, outermost first."""
    stack = [graph]
    while stack:
        item = stack.pop()
        yield item
        stack.extend(body for node in item.node if node.attribute for body in bodies(node))


def all_names(graph: onnx.GraphProto) -> set[str]:
    """Of every tensor that the graph or a body inside it takes, holds or makes."""
    names = {value.name for part in all_graphs(graph) for value in (*part.input, *part.initializer)}
    return names | {name for part in all_graphs(graph) for node in part.node for name in node.output}


def fresh_name(name: str, taken: set[str]) -> str:
    """`name`, with underscores behind it where it is taken; it then is."""
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _check_names(graph: onnx.GraphProto, where: str) -> None:
    for part in all_graphs(graph):
        _once((value.name for value in part.input), "graph input", where)
        _once((value.name for value in part.output), "graph output", where)
        _once((tensor.name for tensor in part.initializer), "initializer", where)
        writer: dict[str, str] = {tensor.name: "an initializer" for tensor in part.initializer}
        writer.update((value.name, "the graph's input") for value in part.input)
        for node in part.node:
            if not node.op_type:
                what = f"the node '{node.name}'" if node.name else f"the node that writes {', '.join(map(repr, node.output)) or 'nothing'}"
                raise ModelError(f"{what} names no operator (its op_type is empty)", where=where, help="export the model again")
            for name in node.output:
                if name in writer:
                    message = f"tensor '{name}' is written twice: by {writer[name]} and by {describe_node(node)}"
                    raise ModelError(message, where=where, help="every tensor needs a name of its own; export the model again")
                if name:
                    writer[name] = describe_node(node)


def _once(names: Iterator[str], kind: str, where: str) -> None:
    seen: set[str] = set()
    for name in names:
        if not name:
            raise ModelError(f"{'an' if kind[0] in 'aeiou' else 'a'} {kind} has no name", where=where, help="export the model again")
        if name in seen:
            raise ModelError(
                f"two {kind}s are named '{name}'", where=where, help="every tensor needs a name of its own; export the model again"
            )
        seen.add(name)


def _check_dims(graph: onnx.GraphProto, where: str) -> None:
    """Dims of -1 are how some exporters write "any"; everything else below zero, or beyond ABSURD, is damage."""
    for part in all_graphs(graph):
        for value in (*part.input, *part.output, *part.value_info):
            dims = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
            if any(dim < -1 for dim in dims) or math.prod(max(dim, 1) for dim in dims) > ABSURD:
                raise ModelError(f"tensor '{value.name}' declares the impossible shape {dims}", where=where, help="export the model again")


def _sort(graph: onnx.GraphProto, outer: frozenset[str], where: str) -> bool:
    """Topological order, stable, in place, of the graph and the bodies in it; True if anything moved."""
    known = outer.union(
        (v.name for v in graph.input), (t.name for t in graph.initializer), (t.values.name for t in graph.sparse_initializer)
    )
    made = {name for node in graph.node for name in node.output if name}
    moved = False
    for node in graph.node:
        for body in bodies(node):
            moved |= _sort(body, known | made, where)
    _check_produced(graph, known | made, where)
    reads = [names_read(node) & made for node in graph.node]
    ready, late = set(known), False
    for node, needs in zip(graph.node, reads, strict=True):
        late |= not needs <= ready
        ready.update(node.output)
    if late:
        order = _order(graph, reads, where)
        nodes = [type(graph.node[0]).FromString(graph.node[i].SerializeToString()) for i in order]
        del graph.node[:]
        graph.node.extend(nodes)
    return moved or late


def _check_produced(graph: onnx.GraphProto, defined: frozenset[str], where: str) -> None:
    for node in graph.node:
        for name in node.input:
            if name and name not in defined:
                message = f"{describe_node(node)} reads tensor '{name}', which nothing produces"
                raise ModelError(message, where=where, help="export the model again; it may have been cut out of a larger one")
    for value in graph.output:
        if value.name not in defined:
            raise ModelError(f"graph output '{value.name}' is produced by nothing", where=where, help="export the model again")


def names_read(node: onnx.NodeProto) -> set[str]:
    """What the node needs, its bodies included. A name that a body defines is the body's own, whatever has it outside."""
    names = {name for name in node.input if name}
    for body in bodies(node):
        inside = {value.name for value in body.output}.union(*(names_read(inner) for inner in body.node))
        names |= inside - {value.name for value in (*body.input, *body.initializer)} - {n for inner in body.node for n in inner.output}
    return names


def _order(graph: onnx.GraphProto, reads: list[set[str]], where: str) -> list[int]:
    """Kahn's algorithm, taking the first ready node in file order; raises ModelError that prints a cycle if there is one."""
    import heapq

    writer = {name: i for i, node in enumerate(graph.node) for name in node.output if name}
    before = [{writer[name] for name in needs} for needs in reads]
    after: list[list[int]] = [[] for _ in before]
    for i, needs in enumerate(before):
        for j in needs:
            after[j].append(i)
    waiting = [len(needs) for needs in before]
    ready = [i for i, count in enumerate(waiting) if count == 0]
    order: list[int] = []
    while ready:
        i = heapq.heappop(ready)
        order.append(i)
        for j in after[i]:
            waiting[j] -= 1
            if waiting[j] == 0:
                heapq.heappush(ready, j)
    if len(order) < len(before):
        raise _cycle_error(graph, before, {i for i, count in enumerate(waiting) if count > 0}, where)
    return order


def _cycle_error(graph: onnx.GraphProto, before: list[set[int]], stuck: set[int], where: str) -> ModelError:
    """Walk backwards from any stuck node along stuck producers: the first node met twice closes a cycle."""
    at, seen, path = min(stuck), dict[int, int](), list[int]()
    while at not in seen:
        seen[at] = len(path)
        path.append(at)
        at = min(before[at] & stuck)
    loop = path[seen[at] :][::-1]
    first = loop.index(min(loop))
    cycle = [describe_node(graph.node[i]) for i in (*loop[first:], *loop[:first])]
    shown = cycle if len(cycle) <= SHOWN else [*cycle[: SHOWN - 1], f"… {len(cycle) - SHOWN + 1} more"]
    return ModelError(
        f"the graph has a cycle: {' -> '.join([*shown, cycle[0]])}", where=where, help="an ONNX graph must be acyclic: use Loop or Scan"
    )


def all_tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Every tensor with data of its own: initializers and tensor attributes, bodies and local functions included."""
    nodes = [node for function in model.functions for node in function.node]
    inside = [body for node in nodes for body in bodies(node)]
    for graph in (part for outer in (model.graph, *inside) for part in all_graphs(outer)):
        yield from graph.initializer
        nodes.extend(graph.node)
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
