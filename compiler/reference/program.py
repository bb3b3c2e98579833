"""A graph made ready for evaluation: its operators in order with parsed attributes and bodies, and when each tensor is read last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import onnx
from onnx import numpy_helper

from ...passes.mapped.mapped_tensor import array_of

if TYPE_CHECKING:
    from collections.abc import Iterable

Functions = Mapping[tuple[str, str, str], onnx.FunctionProto]
"""A model's own functions by domain, name and overload."""


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One operator of a graph."""

    node: onnx.NodeProto
    path: str
    """Its first output's name, below those of the operators whose bodies it is in: names it in reports."""
    domain: str
    version: int
    imports: Mapping[str, int]
    attributes: Mapping[str, Any]
    resolved: tuple[onnx.AttributeProto, ...]
    """The attributes as protos, those that refer to a function's attribute replaced by its value."""
    bodies: Mapping[str, Program]
    function: Program | None
    """What it does, where it is a function of the model."""
    frees: tuple[str, ...]
    """Tensors of its graph that nobody reads after it."""

    @property
    def operator(self) -> str:
        return self.node.op_type


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """A graph, a body or a function."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    weights: Mapping[str, Any]
    """Arrays in their own dtype."""
    steps: tuple[Step, ...]
    reads: frozenset[str] = field(default=frozenset())
    """Everything that its operators read, bodies included: what of it is not its own it takes from outside."""


def program_of(model: onnx.ModelProto, mapped: Mapping[str, Any] | None = None) -> Program:
    """The main graph. mapped: values of its initializers that are in no proto; other external weights must have been loaded."""
    return _graph(model.graph, _imports(model.opset_import), _functions(model), "", mapped or {})


def program_with(model: onnx.ModelProto, nodes: Sequence[onnx.NodeProto], program: Program) -> Program:
    """The main graph of a model with other nodes; `program`: of the model as it is, whose weights both have."""
    imports, functions = _imports(model.opset_import), _functions(model)
    return _program(nodes, program.inputs, program.outputs, program.weights, imports, functions, "", {})


def _functions(model: onnx.ModelProto) -> Functions:
    return {(f.domain, f.name, f.overload): f for f in model.functions}


def _imports(opsets: Iterable[onnx.OperatorSetIdProto]) -> dict[str, int]:
    return {"" if entry.domain == "ai.onnx" else entry.domain: entry.version for entry in opsets}


def _graph(
    graph: onnx.GraphProto, imports: Mapping[str, int], functions: Functions, path: str, mapped: Mapping[str, Any] = MappingProxyType({})
) -> Program:
    weights = {t.name: mapped[t.name] if t.name in mapped else array_of(t) for t in graph.initializer}
    weights |= {sparse.values.name: _dense(sparse) for sparse in graph.sparse_initializer}
    inputs = tuple(value.name for value in graph.input)
    outputs = tuple(value.name for value in graph.output)
    return _program(graph.node, inputs, outputs, weights, imports, functions, path, {})


def _dense(sparse: onnx.SparseTensorProto) -> Any:
    import numpy as np

    values, indices = numpy_helper.to_array(sparse.values), numpy_helper.to_array(sparse.indices)
    dense = np.zeros(tuple(sparse.dims), values.dtype)
    if indices.ndim == 1:
        dense.reshape(-1)[indices] = values
    else:
        dense[tuple(indices.T)] = values
    return dense


def _program(
    nodes: Sequence[onnx.NodeProto],
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    weights: Mapping[str, Any],
    imports: Mapping[str, int],
    functions: Functions,
    path: str,
    given: Mapping[str, onnx.AttributeProto],
) -> Program:
    """given: the attributes of the call, where this is a function's body."""
    steps = _in_order([_step(node, imports, functions, path, given) for node in nodes])
    reads = [{*step.node.input, *_inside(step)} - {""} for step in steps]
    last = {name: k for k, names in enumerate(reads) for name in names}
    for k, step in enumerate(steps):
        for name in step.node.output:
            last.setdefault(name, k)
    kept = {*outputs, *weights}
    own = {*inputs, *(name for step in steps for name in step.node.output if name)} - kept
    frees: list[list[str]] = [[] for _ in steps]
    for name, k in last.items():
        if name in own:
            frees[k].append(name)
    done = tuple(_with_frees(step, tuple(names)) for step, names in zip(steps, frees, strict=True))
    return Program(inputs, outputs, weights, done, frozenset().union(*reads, outputs))


def _in_order(steps: list[Step]) -> list[Step]:
    """The steps, writers before readers: as in the file where they are so there, which not every exporter sees to."""
    writer = {name: k for k, step in enumerate(steps) for name in step.node.output if name}
    needs = [{writer[name] for name in {*step.node.input, *_from_outside(step)} if name in writer} for step in steps]
    if all(before < k for k, found in enumerate(needs) for before in found):
        return steps
    return [steps[k] for k in TopologicalSorter(dict(enumerate(needs))).static_order()]


def _from_outside(step: Step) -> set[str]:
    """What its bodies read that they do not define."""
    found = set[str]()
    for body in step.bodies.values():
        own = {*body.inputs, *body.weights, *(name for inner in body.steps for name in inner.node.output)}
        found |= {name for inner in body.steps for name in {*inner.node.input, *_from_outside(inner)}} - own
        found |= {*body.outputs} - own
    return found - {""}


def _with_frees(step: Step, frees: tuple[str, ...]) -> Step:
    from dataclasses import replace

    return replace(step, frees=frees)


def _inside(step: Step) -> set[str]:
    return {name for body in step.bodies.values() for name in body.reads}


def _step(
    node: onnx.NodeProto, imports: Mapping[str, int], functions: Functions, path: str, given: Mapping[str, onnx.AttributeProto]
) -> Step:
    domain = "" if node.domain == "ai.onnx" else node.domain
    here = path + next((name for name in node.output if name), node.name or node.op_type)
    protos = _resolved(node, given)
    bodies = {a.name: _graph(a.g, imports, functions, f"{here}/") for a in protos if a.type == a.GRAPH}
    called = functions.get((node.domain, node.op_type, node.overload))
    return Step(
        node=node,
        path=here,
        domain=domain,
        version=imports.get(domain, 1),
        imports=imports,
        attributes={a.name: _plain(a) for a in protos if a.type not in (a.GRAPH, a.GRAPHS)},
        resolved=tuple(protos),
        bodies=bodies,
        function=None if called is None else _function(called, protos, functions, f"{here}/"),
        frees=(),
    )


def _resolved(node: onnx.NodeProto, given: Mapping[str, onnx.AttributeProto]) -> list[onnx.AttributeProto]:
    """The node's attributes; those that refer to one of the function around it, with the value that the call gives."""
    found = []
    for attribute in node.attribute:
        if not attribute.ref_attr_name:
            found.append(attribute)
        elif attribute.ref_attr_name in given:
            value = onnx.AttributeProto()
            value.CopyFrom(given[attribute.ref_attr_name])
            value.name = attribute.name
            found.append(value)
    return found


def _function(called: onnx.FunctionProto, given: Sequence[onnx.AttributeProto], functions: Functions, path: str) -> Program:
    values = {a.name: a for a in called.attribute_proto} | {a.name: a for a in given}
    imports = _imports(called.opset_import)
    return _program(called.node, tuple(called.input), tuple(called.output), {}, imports, functions, path, values)


def _plain(attribute: onnx.AttributeProto) -> Any:
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    if isinstance(value, onnx.SparseTensorProto):
        return _dense(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if attribute.type in (attribute.INTS, attribute.FLOATS, attribute.STRINGS):
        return [item.decode("utf-8", "replace") if isinstance(item, bytes) else item for item in value]
    return value
