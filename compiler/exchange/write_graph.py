"""Nodes, bodies, functions and the model of a gs.Graph as protobuf. Imports onnx_graphsurgeon: import this module inside functions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import onnx
import onnx_graphsurgeon as gs
from onnx import defs, helper

from ..errors import ModelError
from .kept import Kept, KeptNodes, told
from .surgeon import kept_of
from .write_parts import attribute_proto, body_proto, is_sparse, put, put_all, sparse_proto, tensor_proto, value_info

OPSET_OF_OTHERS = 1
"""Of a domain that nodes use and the graph does not import, as onnx_graphsurgeon's exporter has it."""


def write_model(graph: gs.Graph, kept: Kept | None) -> onnx.ModelProto:
    """Raises ModelError for what cannot be written."""
    model = onnx.ModelProto()
    source = kept.model if kept is not None else None
    if source is not None:
        for field in ("domain", "model_version", "doc_string"):
            if source.HasField(field):
                setattr(model, field, getattr(source, field))
        model.metadata_props.extend(source.metadata_props)
        model.configuration.extend(source.configuration)
    model.ir_version = graph.ir_version or (source.ir_version if source is not None else 0) or _ir_version(graph)
    for field in ("producer_name", "producer_version"):
        if (value := getattr(graph, field)) or (source is not None and source.HasField(field)):
            setattr(model, field, value)
    opsets = _opsets(graph)
    model.opset_import.extend(opsets)
    versions = {_plain(entry.domain): entry.version for entry in opsets}
    model.functions.extend(_function(function, kept, versions) for function in graph.functions)
    model.graph.CopyFrom(_Writer(versions).graph(graph, kept, frozenset(), main=True))
    return model


class _Writer:
    """versions: the opset of every domain, for the kinds of attributes that are empty lists."""

    def __init__(self, versions: Mapping[str, int]) -> None:
        self._versions = versions

    def graph(self, graph: gs.Graph, kept: Kept | None, outer: frozenset[str], main: bool = False) -> onnx.GraphProto:
        """outer: tensors that the graph sees from outside."""
        made = onnx.GraphProto()
        for field in ("name", "doc_string"):
            value = getattr(graph, field) or ""
            if value or (kept is not None and kept.graph.HasField(field)):
                setattr(made, field, value)
        tensors = _tensors(graph, outer)
        constants = _constants(graph, tensors, kept, outer)
        inside = outer.union(tensors, constants)
        made.node.extend(self.node(node, kept.nodes if kept is not None else None, inside) for node in graph.nodes)
        _write_values(made, graph, tensors, kept, inside, main)
        _write_constants(made, constants, kept, frozenset(tensors))
        if kept is not None:
            _restore_inputs(made, kept)
            made.metadata_props.extend(kept.graph.metadata_props)
            made.quantization_annotation.extend(a for a in kept.graph.quantization_annotation if a.tensor_name in inside)
        return made

    def node(self, node: gs.Node, kept: KeptNodes | None, outer: frozenset[str]) -> onnx.NodeProto:
        inputs, outputs = [tensor.name for tensor in node.inputs], [tensor.name for tensor in node.outputs]
        old = kept.find(node.name, outputs) if kept is not None else None
        made = onnx.NodeProto()
        if old is not None:
            for field in ("op_type", "name", "domain", "doc_string", "overload"):
                if old.HasField(field):
                    setattr(made, field, getattr(old, field))
            made.metadata_props.extend(old.metadata_props)
            made.device_configurations.extend(old.device_configurations)
        put(made, "op_type", node.op)
        put(made, "name", node.name or "")
        put(made, "domain", node.domain or "")
        put_all(made, "input", inputs)
        put_all(made, "output", outputs)
        before = {attribute.name: attribute for attribute in old.attribute} if old is not None else {}
        made.attribute.extend(self._attribute(node, name, value, before.get(name), outer) for name, value in node.attrs.items())
        return made

    def _attribute(
        self, node: gs.Node, name: str, value: Any, old: onnx.AttributeProto | None, outer: frozenset[str]
    ) -> onnx.AttributeProto:
        if isinstance(value, gs.Graph):
            return body_proto(name, self.graph(value, kept_of(value), outer), old)
        where = told(node.op, node.name, (tensor.name for tensor in node.outputs))
        return attribute_proto(name, value, old, where, self._kind(node, name))

    def _kind(self, node: gs.Node, name: str) -> int:
        """The kind that the operator's schema gives the attribute, 0 if it gives none."""
        domain = _plain(node.domain or "")
        try:
            declared: Any = defs.get_schema(node.op, self._versions.get(domain, 1), domain).attributes.get(name)
        except defs.SchemaError:
            return 0
        return 0 if declared is None else int(declared.type)


def _tensors(graph: gs.Graph, outer: frozenset[str]) -> dict[str, gs.Tensor]:
    """The graph's own tensors by name. Raises ModelError where a weight shares its name with another tensor, or two nodes write one."""
    found: dict[str, gs.Tensor] = {}
    written: dict[str, gs.Tensor] = {}
    own = {tensor.name for node in graph.nodes for tensor in node.outputs} | {tensor.name for tensor in graph.inputs}
    attached = (tensor for node in graph.nodes for tensor in (*node.inputs, *node.outputs))
    for tensor in (*graph.inputs, *attached, *graph.outputs):
        if not isinstance(tensor.name, str):
            raise ModelError(f"a tensor of the gs.Graph has the name {tensor.name!r}, which is not a string")
        other = found.setdefault(tensor.name, tensor)
        if other is not tensor and tensor.name and (isinstance(tensor, gs.Constant) or isinstance(other, gs.Constant)):
            raise ModelError(f"two tensors of the gs.Graph are named '{tensor.name}', and one is a weight", help="rename one of them")
        if tensor.inputs:
            written.setdefault(tensor.name, tensor)
    found.update(written)
    return {name: tensor for name, tensor in found.items() if name and (name in own or name not in outer)}


def _constants(graph: gs.Graph, tensors: Mapping[str, gs.Tensor], kept: Kept | None, outer: frozenset[str]) -> dict[str, gs.Constant]:
    """The weights to write in this graph: those its nodes read, and those of its model that only bodies read."""
    found = {name: tensor for name, tensor in tensors.items() if isinstance(tensor, gs.Constant)}
    if kept is None:
        return found
    names = {*kept.constants, *(tensor.values.name for tensor in kept.graph.sparse_initializer)} - outer
    for body in graph.subgraphs(recursive=True):
        for tensor in (tensor for node in body.nodes for tensor in node.inputs):
            if isinstance(tensor, gs.Constant) and tensor.name in names:
                found.setdefault(tensor.name, tensor)
    return found


def _write_constants(made: onnx.GraphProto, constants: Mapping[str, gs.Constant], kept: Kept | None, tensors: frozenset[str]) -> None:
    """In the order of the model, new ones behind; what nothing read in the model stays."""
    before = kept.constants if kept is not None else {}
    order = dict.fromkeys((*before, *constants))
    for name in order:
        if name in constants and not is_sparse(constants[name]):
            made.initializer.append(tensor_proto(constants[name], before.get(name)))
        elif kept is not None and name not in kept.used and name not in tensors:
            made.initializer.append(before[name])
    made.sparse_initializer.extend(sparse_proto(tensor) for tensor in constants.values() if is_sparse(tensor))


def _write_values(
    made: onnx.GraphProto, graph: gs.Graph, tensors: Mapping[str, gs.Tensor], kept: Kept | None, inside: frozenset[str], main: bool
) -> None:
    def info(tensor: gs.Tensor, part: Sequence[onnx.ValueInfoProto]) -> onnx.ValueInfoProto:
        old = next((value for value in part if value.name == tensor.name), None)
        return value_info(tensor, kept.values.get(tensor.name, ()) if kept is not None else (), old)

    for field, borders in (("input", graph.inputs), ("output", graph.outputs)):
        for tensor in borders:
            if main and tensor.dtype is None:
                raise ModelError(f"graph {field} '{tensor.name}' has no dtype", help=f"set it: graph.{field}s[…].dtype = numpy.float32")
            getattr(made, field).append(info(tensor, getattr(kept.graph, field) if kept is not None else ()))
    done = {tensor.name for tensor in (*graph.inputs, *graph.outputs)}
    stated = {value.name: value for value in kept.graph.value_info} if kept is not None else {}
    inner = {name: t for name, t in tensors.items() if isinstance(t, gs.Variable) and name not in done and t.dtype is not None}
    for name in dict.fromkeys((*stated, *inner)):
        if name in inner or (name in stated and name in tensors):
            made.value_info.append(value_info(tensors[name], kept.values.get(name, ()) if kept is not None else (), stated.get(name)))
        elif kept is not None and (name in inside or name not in kept.used):
            made.value_info.append(stated[name])


def _restore_inputs(made: onnx.GraphProto, kept: Kept) -> None:
    """Inputs with a default value, which onnx_graphsurgeon takes for weights, at their places."""
    given = {value.name for value in made.input}
    weights = {tensor.name for tensor in made.initializer} | {tensor.values.name for tensor in made.sparse_initializer}
    inputs = list(made.input)
    for index, value in enumerate(kept.graph.input):
        if value.name in weights and value.name not in given:
            inputs.insert(index, value)
    put_all(made, "input", [type(value).FromString(value.SerializeToString()) for value in inputs])


def _function(function: gs.Function, kept: Kept | None, versions: Mapping[str, int]) -> onnx.FunctionProto:
    old = kept.functions.get((function.domain, function.name)) if kept is not None else None
    made = onnx.FunctionProto()
    made.name, made.domain = function.name, function.domain
    if old is not None and old.HasField("overload"):
        made.overload = old.overload
    if function.doc_string or (old is not None and old.HasField("doc_string")):
        made.doc_string = function.doc_string
    made.input.extend(tensor.name for tensor in function.inputs)
    made.output.extend(tensor.name for tensor in function.outputs)
    opsets = _opsets(function)
    made.opset_import.extend(opsets)
    writer = _Writer({**versions, **{_plain(entry.domain): entry.version for entry in opsets}})
    tensors = _tensors(function, frozenset())
    before = KeptNodes(tuple(old.node)) if old is not None else None
    made.node.extend(_constant_nodes(tensors))
    made.node.extend(writer.node(node, before, frozenset(tensors)) for node in function.nodes)
    stated = {attribute.name: attribute for attribute in old.attribute_proto} if old is not None else {}
    for name, value in function.attrs.items():
        if value is None:
            made.attribute.append(name)
        else:
            made.attribute_proto.append(attribute_proto(name, value, stated.get(name), f"function {function.name}", 0))
    if old is not None:
        made.value_info.extend(value for value in old.value_info if value.name in tensors)
        made.metadata_props.extend(old.metadata_props)
    return made


def _constant_nodes(tensors: Mapping[str, gs.Tensor]) -> Iterator[onnx.NodeProto]:
    """A function has no weights: what became constant in it is written by a node."""
    for name, tensor in tensors.items():
        if isinstance(tensor, gs.Constant):
            yield helper.make_node("Constant", [], [name], value=tensor_proto(tensor))


def _opsets(graph: gs.Graph) -> list[onnx.OperatorSetIdProto]:
    """What the graph imports, and the other domains its nodes use. Raises ModelError where opset and imports disagree."""
    entries: list[onnx.OperatorSetIdProto] = list(graph.import_domains or [helper.make_opsetid("", graph.opset)])
    main = next((entry.version for entry in entries if entry.domain in ("", "ai.onnx")), graph.opset)
    if graph.opset is not None and main != graph.opset:
        message = f"the gs.Graph has the opset {graph.opset}, its import_domains say {main}"
        raise ModelError(message, help="change both, or neither")
    known = {entry.domain for entry in entries}
    used: Iterable[gs.Node] = (node for part in (graph, *graph.subgraphs(recursive=True)) for node in part.nodes)
    others = dict.fromkeys(node.domain for node in used if _plain(node.domain or "") and node.domain not in known)
    return [*entries, *(helper.make_opsetid(domain, OPSET_OF_OTHERS) for domain in others)]


def _plain(domain: str) -> str:
    return "" if domain == "ai.onnx" else domain


def _ir_version(graph: gs.Graph) -> int:
    return int(helper.find_min_ir_version_for(_opsets(graph), ignore_unknown=True))
