"""The graph that passes edit: nodes joined by tensor names over the model's own protobufs.

Everything a pass does not touch goes out as it came in: attributes, doc strings, metadata, functions and types stay the
protobuf objects they were. A replacement keeps the names of the tensors it computes, so graph outputs, subgraph captures
and the names a person knows from the exporter never change.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np
import onnx
from onnx import helper

from ...targets.operator_view import AttributeValue, OperatorView, TensorView
from .constant_cone import carried
from .links import Links
from .node import Node, free_names, node_of
from .schema import schema
from .tensors import Tensors
from .versions import newest
from .view import operator_view
from .write_model import inferred_types, write_model


class Graph:
    """A mutable graph. `nodes` is always in topological order; `tensors` is what is known of them by name."""

    def __init__(self, model: onnx.ModelProto) -> None:
        """Takes over `model` (which must not be used afterwards); its nodes must be in topological order."""
        self.model = model
        self.opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 1)
        self.newest = newest(model, self.opset)
        """The newest opset whose operators may stand beside the model's own; the emitted segment declares the newest in it."""
        self.inputs = [v.name for v in model.graph.input if v.name not in {t.name for t in model.graph.initializer}]
        self.outputs = [v.name for v in model.graph.output]
        self._results = set(self.outputs)
        self.tensors = Tensors(model.graph)
        self._links = Links()
        self._splices: dict[int, list[Node]] = {}
        self._order: list[Node] = []
        self._taken = {*self.constants, *self.inputs}
        self._counter = 0
        for proto in model.graph.node:
            self.add(node_of(proto))
        self._lift_constants()

    def copy(self) -> tuple[Graph, Mapping[int, Node]]:
        """A graph of its own nodes over the same protobufs (which nothing edits in place), and its node for every live one of this
        graph, by `id`. New names go on as they would here, so that equal edits give equal graphs."""
        twin = copy.copy(self)
        mine = {id(node): node.copy() for node in self.nodes}
        twin._order = list(mine.values())
        twin._links = self._links.copy(mine)
        twin._splices = {}
        twin.tensors = self.tensors.copy()
        twin._taken, twin._results = set(self._taken), set(self._results)
        return twin, mine

    def enter(self, body: onnx.GraphProto) -> Graph:
        """A graph of a body (a copy of it) that sees what the body captures from this one; neither takes names of the other."""
        model = onnx.ModelProto(ir_version=self.model.ir_version)
        model.opset_import.extend(self.model.opset_import)
        model.functions.extend(self.model.functions)
        model.graph.CopyFrom(body)
        inner = Graph(model)
        inner.tensors.of_body = True
        inner.newest = self.newest
        for name in free_names(body):
            inner.tensors.capture(name, self.tensors)
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
        return self._links.producer(tensor)

    def users(self, tensor: str) -> list[Node]:
        """The nodes that read the tensor (in their bodies too), in the order they were added."""
        return self._links.readers(tensor)

    def uses(self, tensor: str) -> int:
        """How many nodes read it, one more if it is a graph output."""
        return self._links.count(tensor) + (tensor in self._results)

    @property
    def constants(self) -> Mapping[str, onnx.TensorProto]:
        """Initializers by name, also those that nothing reads any more."""
        return self.tensors.constants

    def tensor(self, name: str) -> TensorView:
        """Dtype, shape and constness of a tensor; dtype "unknown" where inference did not reach."""
        return self.tensors.view(name)

    def value(self, tensor: str) -> np.ndarray | None:
        """The value of a constant tensor (do not write to it), None if it is not constant."""
        return self.tensors.value(tensor)

    def scalar(self, tensor: str) -> float | None:
        """The value of a constant with exactly one element, as float; None otherwise."""
        return self.tensors.scalar(tensor)

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
        """What predicates, cost and support questions see of the node; an operand that is a constant in another form is one."""
        made = carried(self._links, self.tensors, self._results)
        return operator_view(node, self.tensors, self.opset, self.version(node), made, self.producer)

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
        self.tensors.add_constant(name, value)
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

    def add(self, node: Node) -> None:
        """Puts a node after all others."""
        self._order.append(self._adopt(node))

    def replace(self, old: Node, new: Sequence[Node], outputs: Mapping[str, str] | None = None) -> tuple[Node, ...]:
        """Put `new` (in topological order, possibly empty) where `old` stands. `outputs` says which tensor of `new` takes over
        which output of `old` ({"old tensor": "new tensor"}); the new tensor is renamed to the old name, which keeps its type.
        A new name that no node of `new` writes (an input passed through) gets an Identity. Interior nodes left without users
        are removed by `sweep`. Returns the nodes that now stand there."""
        renames = {fresh: kept for kept, fresh in (outputs or {}).items()}
        written, nodes = {name for node in new for name in node.outputs}, list(new)
        for kept, fresh in (outputs or {}).items():
            if fresh not in written:
                nodes.append(self.node("Identity", [fresh], outputs=[kept]))
        self._links.remove(old)
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
                if name in self.constants and not self.uses(name):
                    self.tensors.forget_constant(name)
            for name in node.writes:
                if self.producer(name) is None:
                    self.tensors.forget_type(name)

    def remove(self, node: Node) -> None:
        """Takes out a node whose outputs nothing reads."""
        self._links.remove(node)
        node.live = False

    def sweep(self, candidates: Iterable[Node] | None = None) -> int:
        """Removes nodes without users, and then what fed only them; returns how many went. Constants without users go at export."""
        pending = deque(reversed(self.nodes) if candidates is None else candidates)
        removed = 0
        while pending:
            node = pending.popleft() if candidates is None else pending.pop()
            if not node.live or any(self.uses(name) for name in node.writes):
                continue
            feeders = [p for p in map(self.producer, node.reads) if p is not None]
            self.remove(node)
            removed += 1
            pending.extend(feeders)
        return removed

    def set_input(self, node: Node, index: int, tensor: str) -> None:
        """Lets the node read another tensor at one input."""
        old, node.inputs[index] = node.inputs[index], tensor
        self._links.change_read(node, old, tensor)

    def set_inputs(self, node: Node, tensors: Sequence[str]) -> None:
        """Lets the node read other tensors."""
        self._links.drop_reads(node)
        node.inputs = list(tensors)
        self._links.add_reads(node)

    def is_output(self, tensor: str) -> bool:
        """Whether it is an output of the graph."""
        return tensor in self._results

    def reserve(self, names: Iterable[str]) -> None:
        """Names that `fresh` is not to give, since bodies use them."""
        self._taken.update(names)

    def give_attributes(self, node: Node, attributes: Mapping[str, onnx.AttributeProto]) -> None:
        """Puts attributes in place of those of the same names, bodies among them: what the node captures follows."""
        self._links.drop_reads(node)
        node.attributes = {**node.attributes, **attributes}
        node.captures = tuple(dict.fromkeys(name for body in node.bodies() for name in free_names(body)))
        self._links.add_reads(node)

    def rename(self, tensor: str, name: str) -> None:
        """Gives a tensor that a node writes the name of a tensor that nothing writes (any more); its readers follow. A tensor that
        bodies read, or that is a graph output, cannot be renamed: ValueError."""
        producer = self.producer(tensor)
        if producer is None or self.producer(name) or tensor in self._results or any(tensor in u.captures for u in self.users(tensor)):
            raise ValueError(f"{tensor} cannot be renamed to {name}")
        for user in self.users(tensor):
            self.set_inputs(user, [name if read == tensor else read for read in user.inputs])
        producer.outputs = [name if written == tensor else written for written in producer.outputs]
        self._links.rename(tensor, name)

    def infer(self, nodes: Sequence[Node]) -> None:
        """Infers dtype and shape of the outputs of `nodes` that have none yet, by ONNX shape inference on just these nodes."""
        wanted = [name for node in nodes for name in node.writes if self.tensor(name).shape is None or self.tensor(name).dtype == "unknown"]
        if not wanted:
            return
        for value in inferred_types(self.model, self.newest, nodes, self.tensors, wanted):
            self.tensors.learn(value)

    # ---- writing -------------------------------------------------------------------------------------------------

    def value_info(self, tensor: str) -> onnx.ValueInfoProto:
        """The tensor's type as the model or inference gave it (empty type if unknown), with the model's doc string and metadata."""
        return self.tensors.value_info(tensor)

    def to_model(self, opened: Collection[str] = ()) -> onnx.ModelProto:
        """The graph as it is now: the original's metadata, functions, inputs and used constants; those `opened` are inputs, not copied."""
        return write_model(self.model, self.nodes, self.tensors, self.inputs, self.outputs, opened)

    def _adopt(self, node: Node) -> Node:
        self._links.add(node)
        self._taken.update(node.outputs)
        self._taken.add(node.name)
        return node

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
            if node.kind == "Constant" and "value" in node.attributes and not self.is_output(node.outputs[0]):
                self.tensors.take_constant(node.outputs[0], node.attributes["value"].t)
                self.remove(node)
