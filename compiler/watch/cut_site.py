"""Cut from two models that differ at one place what lies around it: the operators before and after, with the same borders."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..load.structure import bodies

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, slots=True)
class SiteCut:
    """One site as two small models with the same inputs and outputs: before and after a rewrite."""

    before: onnx.ModelProto
    after: onnx.ModelProto
    inputs: tuple[str, ...]
    """Of both models; their types are left open until values are known."""


def cut_site(before: onnx.ModelProto, after: onnx.ModelProto) -> SiteCut:
    """The nodes that only one of the two has, and those of `before` between them and what the new ones read, so that a rule finds its
    whole formula again."""
    old, new = [_key(node) for node in before.graph.node], [_key(node) for node in after.graph.node]
    removed = [node for node, key in zip(before.graph.node, old, strict=True) if key not in set(new)]
    added = [node for node, key in zip(after.graph.node, new, strict=True) if key not in set(old)]
    written = {name for node in added for name in node.output}
    sources = {name for node in added for name in _reads(node)} - written - _constants(before) - _constants(after)
    left = _between(before.graph.node, sources, removed)
    outputs = [name for node in removed for name in node.output if name in written]
    outputs = outputs or sorted({name for node in removed for name in node.output} & {v.name for v in before.graph.output})
    inputs = dict.fromkeys((*_open(left, before), *_open(added, after)))
    return SiteCut(_model(before, left, inputs, outputs), _model(after, added, inputs, outputs), tuple(inputs))


def cut_node(before: onnx.ModelProto, after: onnx.ModelProto, tensor: str) -> SiteCut:
    """The one node that writes `tensor` in `before`, and what stands for it in `after`."""
    old = next(node for node in before.graph.node if tensor in node.output)
    inputs = [name for name in dict.fromkeys(old.input) if name and name not in _constants(before)]
    wanted, new = {tensor}, []
    for node in reversed(after.graph.node):
        if not wanted.isdisjoint(node.output) and set(inputs).isdisjoint(node.output):
            new.append(node)
            wanted.update(_reads(node) - set(inputs))
    outputs = [tensor]
    return SiteCut(_model(before, [old], inputs, outputs), _model(after, new[::-1], inputs, outputs), tuple(inputs))


def cut_formula(before: onnx.ModelProto, after: onnx.ModelProto, tensor: str) -> SiteCut:
    """The operators of `before` that lead to `tensor`, and what stands for them in `after`, where several were replaced at once."""
    known = {_key(node) for node in before.graph.node}
    wanted, added = {tensor}, []
    for node in reversed(after.graph.node):
        if not wanted.isdisjoint(node.output) and _key(node) not in known:
            added.append(node)
            wanted.update(_reads(node))
    root = next(node for node in before.graph.node if tensor in node.output)
    written = {name for node in added for name in node.output}
    sources = {name for node in added for name in _reads(node)} - written - _constants(before) - _constants(after)
    left = _between(before.graph.node, sources, [root])
    inputs = tuple(dict.fromkeys((*_open(left, before), *_open(added[::-1], after))))
    return SiteCut(_model(before, left, inputs, [tensor]), _model(after, added[::-1], inputs, [tensor]), inputs)


def _key(node: onnx.NodeProto) -> bytes:
    """What a node computes from what: all but its name and remarks."""
    copy = type(node)()
    copy.CopyFrom(node)
    for field in ("name", "doc_string", "metadata_props"):
        copy.ClearField(field)
    return bytes(copy.SerializeToString(deterministic=True))


def _between(nodes: Iterable[onnx.NodeProto], sources: set[str], roots: Sequence[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """The roots and every node on a way from a source to one of them, in order."""
    everything = list(nodes)
    forward = set(sources)
    for node in everything:
        if not forward.isdisjoint(_reads(node)) and forward.isdisjoint(node.output):
            forward.update(node.output)
    wanted = {name for node in roots for name in _reads(node)}
    chosen = {id(node) for node in roots}
    for node in reversed(everything):
        reached = not sources.isdisjoint(node.output)
        if id(node) in chosen or (not reached and any(name in wanted and name in forward for name in node.output)):
            chosen.add(id(node))
            wanted.update(_reads(node))
    return [node for node in everything if id(node) in chosen]


def _reads(node: onnx.NodeProto) -> set[str]:
    names = {name for name in node.input if name}
    for body in bodies(node):
        inner = {name for one in body.node for name in _reads(one)} | {value.name for value in body.output}
        own = {name for one in body.node for name in one.output} | {t.name for t in body.initializer} | {v.name for v in body.input}
        names |= inner - own
    return names


def _constants(model: onnx.ModelProto) -> set[str]:
    return {tensor.name for tensor in model.graph.initializer}


def _open(nodes: Sequence[onnx.NodeProto], model: onnx.ModelProto) -> list[str]:
    """What the nodes read and neither they nor constants give."""
    given = {name for node in nodes for name in node.output} | _constants(model)
    return [name for node in nodes for name in sorted(_reads(node)) if name not in given]


def _model(source: onnx.ModelProto, nodes: Sequence[onnx.NodeProto], inputs: Iterable[str], outputs: Sequence[str]) -> onnx.ModelProto:
    model = type(source)(ir_version=source.ir_version, producer_name="autoglmc")
    model.opset_import.extend(source.opset_import)
    model.functions.extend(source.functions)
    model.graph.name = "site"
    model.graph.node.extend(nodes)
    used = {name for node in nodes for name in _reads(node)} | set(outputs)
    model.graph.initializer.extend(tensor for tensor in source.graph.initializer if tensor.name in used)
    types = {value.name: value.type for value in (*source.graph.input, *source.graph.value_info, *source.graph.output)}
    for part, names in ((model.graph.input, inputs), (model.graph.output, outputs)):
        for name in names:
            value = part.add()
            value.name = name
            if name in types:
                value.type.CopyFrom(types[name])
    inner = {name for node in nodes for name in node.output} - set(outputs)
    model.graph.value_info.extend(value for value in source.graph.value_info if value.name in inner)
    return model
