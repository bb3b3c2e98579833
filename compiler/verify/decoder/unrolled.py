"""Several steps of a model with states as one model without: what one step leaves is what the next one reads, and the first reads zeros."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...load.bind_shapes import real_inputs

if TYPE_CHECKING:
    import numpy
    import onnx

    from ...bundle.plan_records import ValueRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One of the steps."""

    entry: str
    inputs: tuple[ValueRecord, ...]
    outputs: tuple[ValueRecord, ...]
    """Those of the entry, states among them."""


def in_step(k: int, name: str) -> str:
    """A tensor of step k, in the model of all steps."""
    return f"step{k}.{name}"


def controls(step: Step) -> frozenset[str]:
    """Inputs that all steps share: single whole numbers, such as a sampling rate."""
    return frozenset(value.name for value in step.inputs if value.shape == () and _whole(value.dtype))


def _whole(dtype: str) -> bool:
    from ...devices.views import numpy_dtype

    return numpy_dtype(dtype).kind in "iub"


def unrolled(model: onnx.ModelProto, states: Mapping[str, str], steps: Sequence[Step]) -> onnx.ModelProto:
    """states: outputs by the input that they become. Outputs are those of every step, and the states that the last one leaves."""
    from onnx import numpy_helper

    source, made = model.graph, type(model)()
    made.ir_version = model.ir_version
    made.opset_import.extend(model.opset_import)
    made.functions.extend(model.functions)
    made.graph.name = source.name
    made.graph.initializer.extend(source.initializer)
    made.graph.sparse_initializer.extend(source.sparse_initializer)
    weights = {tensor.name for tensor in source.initializer} | {tensor.values.name for tensor in source.sparse_initializer}
    values = {value.name: value for value in (*real_inputs(source), *source.output)}
    for value in (value for value in steps[0].inputs if value.name in states):
        made.graph.initializer.append(numpy_helper.from_array(_zeros(value), in_step(-1, states[value.name])))
    for k, step in enumerate(steps):
        shared = weights | controls(step)
        named = _naming(k, shared, states)
        made.graph.node.extend(_renamed(node, named) for node in source.node)
        for value in step.inputs:
            if value.name not in states and (k == 0 or value.name not in shared):
                made.graph.input.append(_typed(values[value.name], value, named))
        for value in step.outputs:
            if k == len(steps) - 1 or value.name not in states.values():
                made.graph.output.append(_typed(values[value.name], value, named))
    return made


def _naming(k: int, shared: frozenset[str] | set[str], states: Mapping[str, str]) -> Callable[[str], str]:
    def named(name: str) -> str:
        if name in states:
            return in_step(k - 1, states[name])
        return name if not name or name in shared else in_step(k, name)

    return named


def _zeros(value: ValueRecord) -> numpy.ndarray[Any, Any]:
    import numpy

    from ...devices.views import numpy_dtype

    return numpy.zeros(value.shape or (), numpy_dtype(value.dtype))


def _typed(value: onnx.ValueInfoProto, record: ValueRecord, named: Callable[[str], str]) -> onnx.ValueInfoProto:
    """With the shape that the entry has."""
    made = type(value)()
    made.name = named(value.name)
    made.type.tensor_type.elem_type = value.type.tensor_type.elem_type
    made.type.tensor_type.shape.SetInParent()
    for extent in record.shape or ():
        made.type.tensor_type.shape.dim.add().dim_value = extent
    return made


def _renamed(node: onnx.NodeProto, named: Callable[[str], str]) -> onnx.NodeProto:
    made = type(node)()
    made.CopyFrom(node)
    made.name = named(node.name)
    made.input[:] = map(named, node.input)
    made.output[:] = map(named, node.output)
    for attribute in made.attribute:
        for body in (attribute.g, *attribute.graphs) if attribute.HasField("g") or attribute.graphs else ():
            _rename_body(body, named)
    return made


def _rename_body(body: onnx.GraphProto, named: Callable[[str], str]) -> None:
    """What a body captures has the names of outside; its own tensors are renamed alike, so that they hide none of those."""
    nodes = [_renamed(node, named) for node in body.node]
    del body.node[:], body.value_info[:]
    body.node.extend(nodes)
    for item in (*body.input, *body.output, *body.initializer):
        item.name = named(item.name)
