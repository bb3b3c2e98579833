"""If, Loop and Scan: what is known inside their bodies, and what follows for their results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..structure import bodies, names_read
from .types import attributes_of, common, is_static, merge, sizes_of, tensor_type

if TYPE_CHECKING:
    import onnx

    from .facts import Known

    Walk = Callable[[onnx.GraphProto, Known], None]
    """What walks through a graph, and completes what is known of it."""

ROUNDS = 3
"""A carried tensor whose shape the body changes loses the dims that differ; each round may lose more of others."""


def enter(walk: Walk, node: onnx.NodeProto, known: Known) -> None:
    """Walks through the node's bodies and learns its results; a node of another kind only has its bodies walked through."""
    rules = {"If": _if, "Loop": _loop, "Scan": _scan}
    rule = rules.get(node.op_type) if node.domain in ("", "ai.onnx") else None
    if rule is None:
        for body in bodies(node):
            _write(body, _walk(walk, node, body, known, []))
        return
    for name, kind in zip(node.output, rule(walk, node, known), strict=False):
        if name and kind is not None:
            known.learn(name, kind)


def _walk(walk: Walk, node: onnx.NodeProto, body: onnx.GraphProto, outer: Known, given: Sequence[onnx.TypeProto | None]) -> Known:
    """What is known in the body of a node if its inputs have these types."""
    known = outer.inside(names_read(node))
    for value in body.input:
        known.forget(value.name)
    for value, kind in zip(body.input, given, strict=False):
        if kind is not None:
            value.type.CopyFrom(kind if sizes_of(kind) is not None else merge(value.type, kind) or value.type)
            known.refined.add(value.name)
    walk(body, known)
    return known


def _write(body: onnx.GraphProto, known: Known) -> None:
    """Types of what the body's own nodes write, for whoever asks what the body costs."""
    written = {name for node in body.node for name in node.output if name}
    results = {value.name for value in body.output}
    for value in (*body.output, *body.value_info):
        if value.name in known.types and value.name in written:
            value.type.CopyFrom(known.types[value.name])
    named = {value.name for value in body.value_info}
    for name in sorted(written - named - results):
        if name in known.types:
            body.value_info.add(name=name).type.CopyFrom(known.types[name])


def _results(body: onnx.GraphProto, known: Known) -> list[onnx.TypeProto | None]:
    return [known.types.get(value.name) for value in body.output]


def _if(walk: Walk, node: onnx.NodeProto, known: Known) -> list[onnx.TypeProto | None]:
    condition = known.values.get(node.input[0])
    found = {}
    for attribute in node.attribute:
        if attribute.HasField("g"):
            inside = _walk(walk, node, attribute.g, known, [])
            _write(attribute.g, inside)
            found[attribute.name] = _results(attribute.g, inside)
    if condition is not None and condition.size == 1:
        return found.get("then_branch" if condition.item() else "else_branch", [])
    return [common(pair) for pair in zip(found.get("then_branch", ()), found.get("else_branch", ()), strict=False)]


def _loop(walk: Walk, node: onnx.NodeProto, known: Known) -> list[onnx.TypeProto | None]:
    body = next(bodies(node))
    scalar, flag = tensor_type(7, []), tensor_type(9, [])
    carried = [known.types.get(name) for name in node.input[2:]]
    stated = [type(value.type).FromString(value.type.SerializeToString()) for value in body.input]
    for _ in range(ROUNDS):
        for value, before in zip(body.input, stated, strict=False):
            value.type.CopyFrom(before)
        inside = _walk(walk, node, body, known, [scalar, flag, *carried])
        results = _results(body, inside)[1:]
        after = [common((old, new)) for old, new in zip(carried, results, strict=False)]
        if after == carried:
            break
        carried = after
    _write(body, inside)
    count = trip_count(node, known, body)
    scanned = results[len(carried) :]
    return [*carried, *(_stacked(kind, count) for kind in scanned)]


def trip_count(node: onnx.NodeProto, known: Known, body: onnx.GraphProto) -> int | None:
    """How often a Loop's body runs, where the count is known and nothing can end it before."""
    limit = known.values.get(node.input[0]) if node.input and node.input[0] else None
    start = known.values.get(node.input[1]) if len(node.input) > 1 and node.input[1] else True
    if limit is None or limit.size != 1 or start is None or not bool(start):
        return None
    return max(int(limit.reshape(())), 0) if _goes_on(body) else None


def _goes_on(body: onnx.GraphProto) -> bool:
    """Whether the body's condition is always true: the one that it is given, or a constant."""
    from onnx import numpy_helper

    from ..fold.lift_constants import tensor_of

    name = body.output[0].name
    makers = {output: node for node in body.node for output in node.output}
    constants = {tensor.name: tensor for tensor in body.initializer}
    while name in makers and makers[name].op_type in ("Identity", "Cast"):
        name = makers[name].input[0]
    if name in makers and makers[name].op_type == "Constant":
        tensor = tensor_of(makers[name])
    else:
        tensor = constants.get(name)
    if tensor is not None:
        return bool(numpy_helper.to_array(tensor).all())
    return len(body.input) > 1 and name == body.input[1].name


def _stacked(kind: onnx.TypeProto | None, count: int | None, axis: int = 0) -> onnx.TypeProto | None:
    """Results of all rounds, one behind the other along a new axis."""
    sizes = sizes_of(kind)
    if kind is None or sizes is None:
        return None
    place = axis if axis >= 0 else axis + len(sizes) + 1
    return tensor_type(kind.tensor_type.elem_type, [*sizes[:place], count, *sizes[place:]])


def _scan(walk: Walk, node: onnx.NodeProto, known: Known) -> list[onnx.TypeProto | None]:
    body, attributes = next(bodies(node)), attributes_of(node)
    scans = int(attributes["num_scan_inputs"])
    states = [known.types.get(name) for name in node.input[: len(node.input) - scans]]
    in_axes = list(attributes.get("scan_input_axes", [0] * scans))
    slices: list[onnx.TypeProto | None] = []
    count: int | None = None
    for name, axis in zip(node.input[len(states) :], in_axes, strict=False):
        kind, sizes = known.types.get(name), sizes_of(known.types.get(name))
        if kind is None or not sizes:
            slices.append(None)
            continue
        count = sizes[axis] if sizes[axis] is not None else count
        slices.append(tensor_type(kind.tensor_type.elem_type, [size for k, size in enumerate(sizes) if k != axis % len(sizes)]))
    inside = _walk(walk, node, body, known, [*states, *slices])
    _write(body, inside)
    results = _results(body, inside)
    states = [kind if is_static(kind) else result for kind, result in zip(states, results, strict=False)]
    out_axes = list(attributes.get("scan_output_axes", [0] * (len(results) - len(states))))
    return [*states, *(_stacked(kind, count, axis) for kind, axis in zip(results[len(states) :], out_axes, strict=False))]
