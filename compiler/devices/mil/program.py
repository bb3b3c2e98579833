"""A segment as a MIL program, operator by operator.

int64 is int32 there, inputs and outputs included: Core ML has no wider integers. Names that MIL cannot spell are changed; `Ports` tells.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..onnx_node import Converter, OnnxNode, Refused, opset_of, shape_of
from .elementwise import ELEMENTWISE
from .movement import MOVEMENT
from .node import as_constant
from .packed import PACKED, packed_constant
from .products import PRODUCTS
from .spatial import SPATIAL

if TYPE_CHECKING:
    import onnx

CONVERTERS: Mapping[str, Converter] = {**ELEMENTWISE, **MOVEMENT, **PACKED, **PRODUCTS, **SPATIAL}
MOST_RANK = 5
PORT_TYPES = {1: "fp32", 10: "fp16", 6: "int32", 7: "int32"}
"""TensorProto.DataType of an input or output -> MIL's type."""
Ports = Mapping[str, str]
"""Tensor name in the segment -> name in the program."""


@dataclass(frozen=True, slots=True)
class Built:
    """A MIL program and the names of its inputs and outputs."""

    program: Any
    inputs: Ports
    outputs: Ports


def build_program(model: onnx.ModelProto, opset: Any) -> Built:
    """`model` has its weights inline and all shapes known; `opset` is coremltools' deployment target. Raises Refused naming the
    operator and node that cannot be converted."""
    from coremltools.converters.mil import Builder as mb
    from coremltools.converters.mil.mil import Function, Program

    weights = _weights(model.graph)
    given = [value for value in model.graph.input if value.name not in weights]
    names = _spelled([value.name for value in (*given, *model.graph.output)])
    inputs = {value.name: names[value.name] for value in given}
    outputs = {value.name: _output_name(value.name, inputs, names) for value in model.graph.output}
    function = Function({inputs[value.name]: _placeholder(value, mb) for value in given}, opset_version=opset)
    with function:
        values = {**weights, **{name: function.inputs[spelled] for name, spelled in inputs.items()}}
        for node in model.graph.node:
            _convert(node, values, opset_of(model), mb)
        function.set_outputs([_named(mb, values[value.name], outputs[value.name], value) for value in model.graph.output])
    program = Program()
    program.add_function("main", function)
    return Built(program, inputs, outputs)


def _convert(proto: onnx.NodeProto, values: dict[str, Any], opset: int, mb: Any) -> None:
    node = OnnxNode(proto, tuple(values[name] if name else None for name in proto.input), opset, mb)
    converter = CONVERTERS.get(proto.op_type) if proto.domain in ("", "ai.onnx") else None
    if converter is None:
        raise node.refuse("autoglmc does not convert this operator")
    try:
        made = converter(node)
    except Refused:
        raise
    except Exception as error:  # coremltools raises ValueError, TypeError, AssertionError, NotImplementedError … for operands it refuses
        raise node.refuse(f"coremltools says: {str(error).strip()[:500] or type(error).__name__}") from error
    results = made if isinstance(made, list) else [made]
    if len(results) != len(proto.output):
        raise node.refuse(f"{len(results)} of its {len(proto.output)} outputs are converted")
    for name, result in zip(proto.output, results, strict=True):
        if len(shape_of(result)) > MOST_RANK:
            raise node.refuse(f"{name} has rank {len(shape_of(result))}, Core ML goes to {MOST_RANK}")
        values[name] = result


def _weights(graph: onnx.GraphProto) -> dict[str, Any]:
    """Constants by name. Raises Refused for a dtype that MIL lacks."""
    from onnx import numpy_helper

    found = {}
    for tensor in graph.initializer:
        readers = [node for node in graph.node if tensor.name in node.input]
        array = numpy_helper.to_array(tensor)
        packed = packed_constant(array) if all(node.op_type in PACKED for node in readers) else None
        try:
            found[tensor.name] = as_constant(array) if packed is None else packed
        except ValueError as error:
            reader = next(iter(readers), None)
            who = f"{reader.op_type} (node {reader.name or reader.output[0]}): " if reader is not None else ""
            raise Refused(f"{who}{tensor.name}: {error}") from None
    return found


def _placeholder(value: onnx.ValueInfoProto, mb: Any) -> Any:
    from coremltools.converters.mil.mil import types

    shape = tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
    kind = PORT_TYPES.get(value.type.tensor_type.elem_type)
    if kind is None or not shape or 0 in shape or len(shape) > MOST_RANK:
        raise Refused(f"the input {value.name}: Core ML takes non-empty fp32, fp16 and int32 tensors of rank 1 to {MOST_RANK}")
    return mb.placeholder(shape=shape, dtype=getattr(types, kind))


def _named(mb: Any, result: Any, name: str, value: onnx.ValueInfoProto) -> Any:
    """The result under its name, in the dtype of the segment's output."""
    kind = PORT_TYPES.get(value.type.tensor_type.elem_type)
    if kind is None or not shape_of(result):
        raise Refused(f"the output {value.name}: Core ML returns fp32, fp16 and int32 tensors, no scalars")
    return mb.identity(x=result, name=name)


def _spelled(names: Iterable[str]) -> dict[str, str]:
    """Identifiers, kept where they are one already; no two alike."""
    taken: dict[str, str] = {}
    names = list(dict.fromkeys(names))
    free = {name for name in names if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII)}
    for name in names:
        spelled = name
        if name not in free:
            stem = re.sub(r"\W", "_", name, flags=re.ASCII)
            stem = stem if not stem[:1].isdigit() else f"_{stem}"
            spelled = next(s for s in (stem, *(f"{stem}_{k}" for k in range(2, len(names) + 2))) if s not in free)
            free.add(spelled)
        taken[name] = spelled
    return taken


def _output_name(name: str, inputs: Ports, names: Ports) -> str:
    """An input that is passed on as an output needs another name there."""
    return f"{names[name]}_out" if name in inputs else names[name]
