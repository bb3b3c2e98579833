"""A node of a graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import onnx

from ...targets.dtypes import DTYPE, packed_bytes
from ...targets.operator_view import AttributeValue
from .schema import plain

RANDOM = frozenset({"Bernoulli", "Dropout", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"})
"""Operators whose result is, or may be, drawn at random: two of them are never the same."""


@dataclass(slots=True, eq=False)
class Node:
    """One operator. Inputs and outputs are tensor names, "" for an omitted one; `attributes` holds the protobufs by name."""

    operator: str
    domain: str
    name: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, onnx.AttributeProto] = field(default_factory=dict)
    proto: onnx.NodeProto | None = None
    """The node as the model had it; doc string and metadata come from here. None for a node a pass made."""
    captures: tuple[str, ...] = ()
    """Names from outside that the node's bodies (If, Loop, Scan) read."""
    live: bool = True

    @property
    def kind(self) -> str:
        """`Conv`, or `domain::Op` outside ai.onnx."""
        return f"{self.domain}::{self.operator}" if self.domain else self.operator

    @property
    def reads(self) -> list[str]:
        """Every tensor the node depends on, bodies included, each once, in order."""
        if len(self.inputs) == 1 and self.inputs[0] and not self.captures:
            return [self.inputs[0]]  # most nodes of a long chain
        return list(dict.fromkeys(name for name in (*self.inputs, *self.captures) if name))

    @property
    def writes(self) -> list[str]:
        return list(self.outputs) if all(self.outputs) else [name for name in self.outputs if name]

    def copy(self) -> Node:
        """A node of its own over the same protobufs."""
        inputs, outputs, attributes = list(self.inputs), list(self.outputs), dict(self.attributes)
        return Node(self.operator, self.domain, self.name, inputs, outputs, attributes, self.proto, self.captures, self.live)

    def attribute(self, name: str) -> AttributeValue | None:
        """The attribute as written on the node (no schema default), None if absent or not a plain value."""
        found = self.attributes.get(name)
        return None if found is None else plain(found)

    def bodies(self) -> Iterator[onnx.GraphProto]:
        for attribute in self.attributes.values():
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield attribute.g
            yield from attribute.graphs

    @property
    def body_bytes(self) -> int:
        """Bytes of the constants that its bodies hold themselves, at any depth, in the dtypes they are stored in."""
        return sum(_constant_bytes(body) for body in self.bodies())

    def to_proto(self) -> onnx.NodeProto:
        """The node as protobuf; doc string, overload, metadata and device configurations come from the node the model had."""
        proto = onnx.NodeProto()
        if self.proto is not None:
            proto.doc_string, proto.overload = self.proto.doc_string, self.proto.overload
            proto.metadata_props.extend(self.proto.metadata_props)
            proto.device_configurations.extend(self.proto.device_configurations)
        proto.op_type, proto.domain, proto.name = self.operator, self.domain, self.name
        proto.input.extend(self.inputs)
        proto.output.extend(self.outputs)
        proto.attribute.extend(self.attributes.values())
        return proto


def node_of(proto: onnx.NodeProto) -> Node:
    """The node that a protobuf describes; its attributes are kept, not copied."""
    node = without_captures(proto)
    node.captures = tuple(dict.fromkeys(name for body in node.bodies() for name in free_names(body)))
    return node


def without_captures(proto: onnx.NodeProto) -> Node:
    """As node_of, but nobody looked into its bodies: for whoever goes through nested bodies anyway."""
    attributes = {a.name: a for a in proto.attribute}
    domain = "" if proto.domain == "ai.onnx" else proto.domain
    return Node(proto.op_type, domain, proto.name, list(proto.input), list(proto.output), attributes, proto)


def free_names(body: onnx.GraphProto) -> list[str]:
    """Names that a body reads and does not define, in order, some of them several times."""
    defined = {v.name for v in body.input} | {t.name for t in body.initializer}
    free: list[str] = []
    for proto in body.node:
        free.extend(name for name in proto.input if name and name not in defined)
        for inner in _bodies_of(proto):
            free.extend(name for name in dict.fromkeys(free_names(inner)) if name not in defined)
        defined.update(proto.output)
    free.extend(v.name for v in body.output if v.name not in defined)
    return free


def _bodies_of(proto: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for attribute in proto.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def operators_in(bodies: Iterable[onnx.GraphProto]) -> Iterator[str]:
    """Kinds of all operators in bodies, at any depth."""
    for body in bodies:
        for proto in body.node:
            node = without_captures(proto)
            yield node.kind
            yield from operators_in(node.bodies())


def _constant_bytes(graph: onnx.GraphProto) -> int:
    total = sum(_stored(tensor) for tensor in graph.initializer)
    for attribute in (attribute for node in graph.node for attribute in node.attribute):
        total += _stored(attribute.t) if attribute.type == onnx.AttributeProto.TENSOR else 0
        total += sum(_constant_bytes(body) for body in (attribute.g, *attribute.graphs) if body.node or body.initializer)
    return total


def _stored(tensor: onnx.TensorProto) -> int:
    return packed_bytes(DTYPE.get(tensor.data_type, ""), tensor.dims) or 0
