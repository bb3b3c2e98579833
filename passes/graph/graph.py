"""The graph that passes edit: nodes joined by tensor names over the model's own protobufs.

Everything a pass does not touch goes out as it came in: attributes, doc strings, metadata, functions and types stay the
protobuf objects they were. A replacement keeps the names of the tensors it computes, so graph outputs, subgraph captures
and the names a person knows from the exporter never change.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ...targets.dtypes import DTYPE
from ...targets.operator_view import AttributeValue, OperatorView, TensorView
from .node import Node, _node, _operators_in, free_names
from .schema import operand_names, schema
from .versions import newest


class Graph:
    """A mutable graph. `nodes` is always in topological order; `constants` are initializers by name."""

    def __init__(self, model: onnx.ModelProto) -> None:
        """Takes over `model` (which must not be used afterwards); its nodes must be in topological order."""
        self.model = model
        self.opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 1)
        self.newest = newest(model, self.opset)
        """The newest opset whose operators may stand beside the model's own; the emitted segment declares the newest in it."""
        self.inputs = [v.name for v in model.graph.input if v.name not in {t.name for t in model.graph.initializer}]
        self.outputs = [v.name for v in model.graph.output]
        self._results = set(self.outputs)
        self.constants: dict[str, onnx.TensorProto] = {t.name: t for t in model.graph.initializer}
        self._types: dict[str, onnx.TypeProto] = {}
        self._views: dict[str, TensorView] = {}
        self._arrays: dict[str, np.ndarray] = {}
        self._producer: dict[str, Node] = {}
        self._users: dict[str, dict[int, Node]] = {}
        self._splices: dict[int, list[Node]] = {}
        self._order: list[Node] = []
        self._taken: set[str] = set(self.constants) | set(self.inputs)
        self._counter = 0
        for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
            self._types[value.name] = value.type
        self._notes = {v.name: v for v in model.graph.value_info if v.doc_string or v.metadata_props}
        """Tensors with a doc string or metadata."""
        for proto in model.graph.node:
            self._order.append(self._adopt(_node(proto)))
        self._lift_constants()

    def copy(self) -> tuple[Graph, Mapping[int, Node]]:
        """A graph of its own nodes over the same protobufs (which nothing edits in place), and its node for every live one of this
        graph, by `id`. New names go on as they would here, so that equal edits give equal graphs."""
        twin = copy.copy(self)
        mine = {id(node): copy.copy(node) for node in self.nodes}
        for node in mine.values():
            node.inputs, node.outputs, node.attributes = list(node.inputs), list(node.outputs), dict(node.attributes)
        twin._order = list(mine.values())
        twin._producer = {name: mine[id(node)] for name, node in self._producer.items()}
        twin._users = {name: {id(mine[key]): mine[key] for key in users} for name, users in self._users.items()}
        twin._splices = {}
        for name in ("constants", "_types", "_views", "_arrays", "_taken", "_results"):
            setattr(twin, name, copy.copy(getattr(self, name)))
        return twin, mine

    def enter(self, body: onnx.GraphProto) -> Graph:
        """A graph of a body (a copy of it) that sees what the body captures from this one; neither takes names of the other."""
        model = onnx.ModelProto(ir_version=self.model.ir_version)
        model.opset_import.extend(self.model.opset_import)
        model.functions.extend(self.model.functions)
        model.graph.CopyFrom(body)
        inner = Graph(model)
        inner.newest = self.newest
        for name in free_names(body):
            if name in self.constants:
                inner.constants[name] = self.constants[name]
            elif name in self._types:
                inner._types[name] = self._types[name]
        self._taken |= inner._taken
        inner._taken = self._taken
        inner.infer(inner.nodes)
        return inner

    # ---- reading -------------------------------------------------------------------------------------------------

    @property
    def nodes(self) -> Sequence[Node]:
        """Live nodes in topological order. The sequence is a snapshot: editing the graph does not change it."""
        if self._splices or any(not node.live for node in self._order):
            self._order = [new for node in self._order for new in self._expand(node) if new.live]
            self._splices.clear()
        return tuple(self._order)

    def producer(self, tensor: str) -> Node | None:
        """The node that writes the tensor; None for an input, a constant or an unknown name."""
        return self._producer.get(tensor)

    def users(self, tensor: str) -> list[Node]:
        """The nodes that read the tensor (in their bodies too), in the order they were added."""
        return list(self._users.get(tensor, {}).values())

    def uses(self, tensor: str) -> int:
        """How many nodes read it, one more if it is a graph output."""
        return len(self._users.get(tensor, {})) + (tensor in self._results)

    def tensor(self, name: str) -> TensorView:
        """Dtype, shape and constness of a tensor; dtype "unknown" where inference did not reach."""
        found = self._views.get(name)
        if found is None:
            found = self._views[name] = self._view_of(name)
        return found

    def value(self, tensor: str) -> np.ndarray | None:
        """The value of a constant tensor (do not write to it), None if it is not constant."""
        if tensor in self._arrays:
            return self._arrays[tensor]
        if tensor not in self.constants:
            return None
        array = self._arrays[tensor] = numpy_helper.to_array(self.constants[tensor])
        return array

    def scalar(self, tensor: str) -> float | None:
        """The value of a constant with exactly one element, as float; None otherwise."""
        view = self.tensor(tensor)
        if not view.const or view.elements != 1 or view.dtype in ("string", "unknown"):
            return None
        array = self.value(tensor)
        return None if array is None or np.iscomplexobj(array) else float(array.reshape(()))

    def version(self, node: Node) -> int:
        """The opset (of its domain) in whose terms the node is written."""
        if not node.domain:
            return self.newest if node.proto is None else self.opset
        return next((o.version for o in self.model.opset_import if o.domain == node.domain), 1)

    def attribute(self, node: Node, name: str) -> AttributeValue | None:
        """The attribute, or the schema's default at this graph's opset."""
        if name in node.attributes:
            return node.attribute(name)
        return schema(node.operator, node.domain, self.version(node)).defaults.get(name)

    def view(self, node: Node) -> OperatorView:
        """What predicates, cost and support questions see of the node."""
        facts = schema(node.operator, node.domain, self.version(node))
        given = {name: node.attribute(name) for name in node.attributes}
        attributes = {**facts.defaults, **{name: value for name, value in given.items() if value is not None}}
        inputs = zip(operand_names(facts.inputs, facts.variadic_input, len(node.inputs)), node.inputs, strict=True)
        outputs = zip(operand_names(facts.outputs, facts.variadic_output, len(node.outputs)), node.outputs, strict=True)
        bodies = list(node.bodies())
        return OperatorView(
            name=node.name,
            domain=node.domain,
            operator=node.operator,
            opset=self.opset,
            attributes=attributes,
            inputs={label: self.tensor(name) for label, name in inputs if name},
            outputs={label: self.tensor(name) for label, name in outputs if name},
            has_body=bool(bodies),
            functions=frozenset(_operators_in(bodies)),
        )

    # ---- editing -------------------------------------------------------------------------------------------------

    def fresh(self, hint: str) -> str:
        """A name no tensor and no node of this graph has or had."""
        while True:
            self._counter += 1
            name = f"{hint}_{self._counter}"
            if name not in self._taken:
                self._taken.add(name)
                return name

    def constant(self, value: np.ndarray, hint: str = "constant") -> str:
        """Adds an initializer and returns its name."""
        name = self.fresh(hint)
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value) if value.ndim else value, name)
        self._arrays[name] = value
        return name

    def node(
        self,
        operator: str,
        inputs: Sequence[str],
        *,
        outputs: Sequence[str] | int = 1,
        domain: str = "",
        hint: str = "",
        **attributes: AttributeValue,
    ) -> Node:
        """A new node that is not in the graph yet: give it to `replace`. Output names are fresh unless given."""
        base = hint or operator.lower()
        if domain and all(entry.domain != domain for entry in self.model.opset_import):
            self.model.opset_import.add(domain=domain, version=1)
        names = [self.fresh(base) for _ in range(outputs)] if isinstance(outputs, int) else list(outputs)
        protos = {key: helper.make_attribute(key, value) for key, value in sorted(attributes.items())}
        return Node(operator, domain, self.fresh(base), list(inputs), names, protos)

    def replace(self, old: Node, new: Sequence[Node], outputs: Mapping[str, str] | None = None) -> tuple[Node, ...]:
        """Put `new` (in topological order, possibly empty) where `old` stands. `outputs` says which tensor of `new` takes over
        which output of `old` ({"old tensor": "new tensor"}); the new tensor is renamed to the old name, which keeps its type.
        A new name that no node of `new` writes (an input passed through) gets an Identity. Interior nodes left without users
        are removed by `sweep`. Returns the nodes that now stand there."""
        renames = {fresh: kept for kept, fresh in (outputs or {}).items()}
        written = {name for node in new for name in node.outputs}
        nodes = list(new)
        for kept, fresh in (outputs or {}).items():
            if fresh not in written:
                nodes.append(self.node("Identity", [fresh], outputs=[kept]))
        self._detach(old)
        for node in nodes:
            node.inputs = [renames.get(n, n) if n in written else n for n in node.inputs]
            node.outputs = [renames.get(n, n) for n in node.outputs]
            self._adopt(node)
        self._splices.setdefault(id(old), []).extend(nodes)
        old.live = False
        self.infer(nodes)
        return tuple(nodes)

    def discard(self, nodes: Sequence[Node]) -> None:
        """Forgets nodes that were proposed and not taken: the constants made for them, and what inference found."""
        for node in nodes:
            for name in node.reads:
                if name in self.constants and not self._users.get(name) and name not in self._results:
                    del self.constants[name]
                    self._arrays.pop(name, None)
                    self._views.pop(name, None)
            for name in node.writes:
                if name not in self._producer:
                    self._types.pop(name, None)
                    self._views.pop(name, None)

    def remove(self, node: Node) -> None:
        """Takes out a node whose outputs nothing reads."""
        self._detach(node)
        node.live = False

    def sweep(self, candidates: Iterable[Node] | None = None) -> int:
        """Removes nodes without users, and then what fed only them; returns how many went. Constants without users go at export."""
        pending = list(reversed(self.nodes)) if candidates is None else list(candidates)
        removed = 0
        while pending:
            node = pending.pop(0) if candidates is None else pending.pop()
            if not node.live or any(self.uses(name) for name in node.writes):
                continue
            feeders = [p for p in (self._producer.get(name) for name in node.reads) if p is not None]
            self.remove(node)
            removed += 1
            pending.extend(feeders)
        return removed

    def set_input(self, node: Node, index: int, tensor: str) -> None:
        """Lets the node read another tensor at one input."""
        for name in node.reads:
            self._users[name].pop(id(node), None)
        node.inputs[index] = tensor
        for name in node.reads:
            self._users.setdefault(name, {})[id(node)] = node

    def reserve(self, names: Iterable[str]) -> None:
        """Names that `fresh` is not to give, since bodies use them."""
        self._taken.update(names)

    def give_attributes(self, node: Node, attributes: Mapping[str, onnx.AttributeProto]) -> None:
        """Puts attributes in place of those of the same names, bodies among them: what the node captures follows."""
        for name in node.reads:
            self._users[name].pop(id(node), None)
        node.attributes = {**node.attributes, **attributes}
        node.captures = tuple(dict.fromkeys(name for body in node.bodies() for name in free_names(body)))
        for name in node.reads:
            self._users.setdefault(name, {})[id(node)] = node

    def rename(self, tensor: str, name: str) -> None:
        """Gives a tensor that a node writes the name of a tensor that nothing writes (any more); its readers follow. A tensor that
        bodies read, or that is a graph output, cannot be renamed: ValueError."""
        producer = self._producer.get(tensor)
        if producer is None or name in self._producer or tensor in self._results or any(tensor in u.captures for u in self.users(tensor)):
            raise ValueError(f"{tensor} cannot be renamed to {name}")
        for user in self.users(tensor):
            for index, read in enumerate(user.inputs):
                if read == tensor:
                    self.set_input(user, index, name)
        producer.outputs = [name if written == tensor else written for written in producer.outputs]
        self._producer[name] = self._producer.pop(tensor)

    def infer(self, nodes: Sequence[Node]) -> None:
        """Finds dtype and shape of what `nodes` write, where not known yet, by ONNX shape inference over just these nodes."""
        wanted = [name for node in nodes for name in node.writes if self.tensor(name).shape is None or self.tensor(name).dtype == "unknown"]
        if not wanted:
            return
        inferred = onnx.shape_inference.infer_shapes(self._fragment(nodes, wanted), data_prop=True)
        for value in (*inferred.graph.value_info, *inferred.graph.output):
            if value.type.WhichOneof("value") and value.name in wanted:
                self._types[value.name] = value.type
                self._views.pop(value.name, None)

    # ---- writing -------------------------------------------------------------------------------------------------

    def node_proto(self, node: Node) -> onnx.NodeProto:
        """The node as protobuf; doc string, overload, metadata and device configurations come from the node the model had."""
        proto = onnx.NodeProto()
        if node.proto is not None:
            proto.doc_string, proto.overload = node.proto.doc_string, node.proto.overload
            proto.metadata_props.extend(node.proto.metadata_props)
            proto.device_configurations.extend(node.proto.device_configurations)
        proto.op_type, proto.domain, proto.name = node.operator, node.domain, node.name
        proto.input.extend(node.inputs)
        proto.output.extend(node.outputs)
        proto.attribute.extend(node.attributes.values())
        return proto

    def value_info(self, tensor: str) -> onnx.ValueInfoProto:
        """The tensor's type as the model or inference gave it (empty type if unknown), with the model's doc string and metadata."""
        info = onnx.ValueInfoProto(name=tensor)
        if (note := self._notes.get(tensor)) is not None:
            info.doc_string = note.doc_string
            info.metadata_props.extend(note.metadata_props)
        if tensor in self._types:
            info.type.CopyFrom(self._types[tensor])
        elif tensor in self.constants:
            info.type.tensor_type.elem_type = self.constants[tensor].data_type
            info.type.tensor_type.shape.SetInParent()
            for dim in self.constants[tensor].dims:
                info.type.tensor_type.shape.dim.add().dim_value = dim
        return info

    def to_model(self) -> onnx.ModelProto:
        """A model of the graph as it is now: the original's metadata, functions and inputs, only constants that are used."""
        model = onnx.ModelProto()
        for name in ("ir_version", "producer_name", "producer_version", "domain", "model_version", "doc_string"):
            setattr(model, name, getattr(self.model, name))
        model.opset_import.extend(self.model.opset_import)
        model.functions.extend(self.model.functions)
        model.metadata_props.extend(self.model.metadata_props)
        model.configuration.extend(self.model.configuration)
        graph, source = model.graph, self.model.graph
        graph.name, graph.doc_string = source.name, source.doc_string
        graph.metadata_props.extend(source.metadata_props)
        graph.input.extend(v for v in source.input if v.name in self.inputs)
        graph.output.extend(source.output)
        nodes = self.nodes
        graph.node.extend(self.node_proto(node) for node in nodes)
        used = dict.fromkeys([*(name for node in nodes for name in node.reads), *self.outputs])
        graph.initializer.extend(self.constants[name] for name in used if name in self.constants)
        kept = {name for node in nodes for name in node.writes} - set(self.outputs)
        graph.value_info.extend(self.value_info(name) for name in self._types if name in kept)
        known = kept | used.keys() | set(self.outputs)
        graph.quantization_annotation.extend(a for a in source.quantization_annotation if a.tensor_name in known)
        return model

    def text(self) -> str:
        """The ONNX text form (onnx.parser syntax), for golden tests and people."""
        return onnx.printer.to_text(self.to_model())

    # ---- inside --------------------------------------------------------------------------------------------------

    def _adopt(self, node: Node) -> Node:
        for name in node.writes:
            self._producer[name] = node
        for name in node.reads:
            self._users.setdefault(name, {})[id(node)] = node
        self._taken.update(node.outputs)
        self._taken.add(node.name)
        return node

    def _detach(self, node: Node) -> None:
        for name in node.reads:
            self._users.get(name, {}).pop(id(node), None)
        for name in node.writes:
            if self._producer.get(name) is node:
                del self._producer[name]

    def _expand(self, node: Node) -> Iterator[Node]:
        """The node, or what replaced it (which may itself have been replaced), in order; not recursive: chains can be long."""
        stack = [node]
        while stack:
            item = stack.pop()
            yield item
            stack.extend(reversed(self._splices.get(id(item), [])))

    def _lift_constants(self) -> None:
        """`Constant` nodes become initializers, so that every rule sees one kind of constant."""
        for node in self._order:
            value = node.attributes.get("value")
            if node.operator == "Constant" and not node.domain and value is not None and node.outputs[0] not in self.outputs:
                tensor = onnx.TensorProto()
                tensor.CopyFrom(value.t)
                tensor.name = node.outputs[0]
                self.constants[tensor.name] = tensor
                self.remove(node)

    def _view_of(self, name: str) -> TensorView:
        constant = self.constants.get(name)
        if constant is not None:
            return TensorView(name, DTYPE.get(constant.data_type, "unknown"), tuple(constant.dims), True)
        kind = self._types.get(name)
        if kind is None or not kind.WhichOneof("value"):
            return TensorView(name, "unknown", None, False)
        if not kind.HasField("tensor_type"):
            return TensorView(name, (kind.WhichOneof("value") or "unknown").removesuffix("_type"), None, False)
        tensor = kind.tensor_type
        shape = tuple(d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim) if tensor.HasField("shape") else None
        return TensorView(name, DTYPE.get(tensor.elem_type, "unknown"), shape, False)

    def _fragment(self, nodes: Sequence[Node], wanted: Sequence[str]) -> onnx.ModelProto:
        model = onnx.ModelProto(ir_version=max(self.model.ir_version, 8))
        for entry in self.model.opset_import:
            version = self.newest if entry.domain in ("", "ai.onnx") else entry.version
            model.opset_import.append(helper.make_opsetid(entry.domain, version))
        model.functions.extend(self.model.functions)
        written = {name for node in nodes for name in node.writes}
        model.graph.node.extend(self.node_proto(node) for node in nodes)
        for name in dict.fromkeys(name for node in nodes for name in node.reads if name not in written):
            constant = self.constants.get(name)
            if constant is not None and int(np.prod(constant.dims, dtype=np.int64)) <= 64:
                model.graph.initializer.append(constant)
            else:
                model.graph.input.append(self.value_info(name))
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted)
        return model
