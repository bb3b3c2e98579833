"""Large constants of bodies (If, Loop, Scan) become initializers of the main graph, which bodies can read: one kind of weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..structure import all_graphs

if TYPE_CHECKING:
    import onnx


def hoist_weights(graph: onnx.GraphProto, size: int) -> int:
    """In place: initializers and Constant nodes of bodies from `size` bytes on; how many. What a body gives out directly stays.

    A weight whose name stands for something else, anywhere, gets another one.
    """
    taken = {name for part in all_graphs(graph) for name in _names(part)}
    moved = 0
    for body in list(all_graphs(graph)):
        if body is not graph:
            tensors = _take_large(body, size)
            _rename(body, {tensor.name: _fresh(tensor.name, taken) for tensor in tensors}, tensors)
            graph.initializer.extend(tensors)
            moved += len(tensors)
    return moved


def _take_large(body: onnx.GraphProto, size: int) -> list[onnx.TensorProto]:
    """Removes them from the body."""
    fixed = {value.name for value in (*body.input, *body.output)}
    large = [tensor for tensor in body.initializer if tensor.name not in fixed and tensor.ByteSize() >= size]
    found = list(large)
    nodes = []
    for node in body.node:
        value = node.attribute[0] if node.op_type == "Constant" and len(node.attribute) == 1 else None
        if value is None or value.name != "value" or node.output[0] in fixed or value.ByteSize() < size:
            nodes.append(node)
            continue
        value.t.name = node.output[0]
        found.append(value.t)
    if found:
        names = {tensor.name for tensor in large}
        rest = [tensor for tensor in body.initializer if tensor.name not in names]
        for field, values in ((body.initializer, rest), (body.node, nodes)):
            del field[:]
            field.extend(values)
    return found


def _rename(body: onnx.GraphProto, renames: dict[str, str], tensors: list[onnx.TensorProto]) -> None:
    """The weights and their readers; a body inside that defines the name itself is left alone."""
    for tensor in tensors:
        tensor.name = renames[tensor.name]
    stack = [(body, renames)]
    while stack:
        part, renames = stack.pop()
        own = set(_names(part)) if part is not body else set()
        renames = {name: to for name, to in renames.items() if name not in own}
        for node in part.node:
            for k, name in enumerate(node.input):
                node.input[k] = renames.get(name, name)
            for attribute in node.attribute:
                stack.extend((inner, renames) for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs))
        for value in (*part.output, *part.value_info):
            value.name = renames.get(value.name, value.name)


def _names(graph: onnx.GraphProto) -> list[str]:
    values = [value.name for value in (*graph.input, *graph.initializer)]
    return [*values, *(name for node in graph.node for name in node.output if name)]


def _fresh(name: str, taken: set[str]) -> str:
    """Always another name: the body's own was taken by the body itself."""
    fresh = f"{name}_hoisted"
    while fresh in taken:
        fresh += "_"
    taken.add(fresh)
    return fresh
