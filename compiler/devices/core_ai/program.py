"""Segments as functions of a Core AI program, operator by operator.

int64 is int32 there, inputs and outputs included, as in Apple's own converters. Names stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...activity import TimeLimit, doing
from ..onnx_node import Converter, OnnxNode, Refused, opset_of
from .api import ENTRY, Builder, CoreValue, Port, Weights, authoring, build_graph, dtype_of, finished
from .attention import ATTENTION, MICROSOFT
from .elementwise import ELEMENTWISE
from .indices import INDICES
from .logic import LOGIC
from .movement import MOVEMENT
from .normalise import NORMALISATIONS
from .packed import PACKED
from .products import PRODUCTS
from .recurrent import RECURRENT
from .resize import RESIZE
from .spatial import SPATIAL

if TYPE_CHECKING:
    import onnx

CONVERTERS: Mapping[str, Converter] = {
    **ATTENTION, **ELEMENTWISE, **INDICES, **LOGIC, **MOVEMENT, **NORMALISATIONS, **PACKED, **PRODUCTS, **RECURRENT, **RESIZE, **SPATIAL,
}  # fmt: skip
"""By ONNX operator."""
NO_CONVERTER = "autoglmc does not convert this operator to Core AI"


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """An entry point of a program."""

    model: onnx.ModelProto
    """Weights inline, and all shapes known."""
    name: str = ENTRY
    states: Mapping[str, str] = field(default_factory=dict)
    """Of inputs that whoever runs the program keeps from run to run, the output that takes their place."""


def write_program(functions: Sequence[Function], write: Callable[[Any], object]) -> None:
    """Calls `write` with the program while it is alive. What functions have in common of constants is in it once.

    Raises Refused naming the operator and node that cannot be converted, and where there are several functions, the first of them."""
    names = ", ".join(function.name for function in functions)
    size = sum(len(tensor.raw_data) for function in functions for tensor in function.model.graph.initializer)
    with authoring() as module:
        weights = Weights()
        for function in functions:
            try:
                with doing(f"building the function {function.name} with coreai-core", size=size):
                    _build(function, module, weights)
            except Refused as problem:
                raise Refused(f"{function.name}: {problem}") if len(functions) > 1 else problem from None
        try:
            with doing(f"verifying the functions {names} with coreai-core", size=size):
                program = finished(module)
        except TimeLimit:
            raise
        except Exception as error:  # MLIRError, RuntimeError
            raise Refused(f"Core AI's verifier refuses the program: {_short(error)}") from error
        with doing(f"writing the functions {names} with coreai-core", size=size):
            write(program)


def without_converter(model: onnx.ModelProto) -> list[dict[str, str]]:
    """Every node of an operator that is not converted at all: operator, node and reason."""
    return [
        {"operator": node.op_type, "node": node.name or next(iter(node.output), ""), "reason": NO_CONVERTER}
        for node in model.graph.node
        if _converter(node) is None
    ]


def _converter(node: onnx.NodeProto) -> Converter | None:
    if node.domain == "com.microsoft":
        return MICROSOFT.get(node.op_type)
    return CONVERTERS.get(node.op_type) if node.domain in ("", "ai.onnx") else None


def _build(function: Function, module: Any, weights: Weights) -> None:
    from onnx import numpy_helper

    api, model = Builder(weights), function.model
    values: dict[str, Any] = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    ports = [_port(value) for value in model.graph.input if value.name not in values]

    def body(inputs: list[CoreValue]) -> Mapping[str, CoreValue]:
        values.update({port.name: value for port, value in zip(ports, inputs, strict=True)})
        for node in model.graph.node:
            _convert(node, values, opset_of(model), api)
        return {value.name: _output(value, values[value.name], api) for value in model.graph.output}

    build_graph(module, function.name, ports, function.states, body)


def _convert(proto: onnx.NodeProto, values: dict[str, Any], opset: int, api: Builder) -> None:
    node = OnnxNode(proto, tuple(values[name] if name else None for name in proto.input), opset, api)
    converter = _converter(proto)
    if converter is None:
        raise node.refuse(NO_CONVERTER)
    try:
        made = converter(node)
    except Refused:
        raise
    except Exception as error:  # coreai-core raises ValueError, TypeError, RuntimeError, MLIRError … for operands it refuses
        raise node.refuse(f"coreai-core says: {_short(error)}") from error
    results = made if isinstance(made, list) else [made]
    if len(results) != len(proto.output):
        raise node.refuse(f"{len(results)} of its {len(proto.output)} outputs are converted")
    values.update(zip(proto.output, results, strict=True))


def _port(value: onnx.ValueInfoProto) -> Port:
    """Raises Refused for a dtype that is not taken, or an unknown size."""
    dims = value.type.tensor_type.shape.dim
    try:
        dtype = dtype_of(value.type.tensor_type.elem_type)
    except ValueError as problem:
        raise Refused(f"the input {value.name}: {problem}") from None
    if not all(dim.HasField("dim_value") for dim in dims):
        raise Refused(f"the input {value.name}: its sizes are not all known")
    return Port(value.name, tuple(dim.dim_value for dim in dims), dtype)


def _output(value: onnx.ValueInfoProto, found: Any, api: Builder) -> CoreValue:
    """Raises Refused where a constant that is an output is not taken."""
    try:
        return api.value(found)
    except ValueError as problem:
        raise Refused(f"the output {value.name}: {problem}") from None


def _short(error: Exception) -> str:
    text = " ".join(str(error).split()).removeprefix("Verification failed: ").removeprefix("error: ").removeprefix("unknown: ")
    return text.partition(" note: ")[0][:500] or type(error).__name__
