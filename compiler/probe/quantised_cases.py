"""Probe cases for devices that compute in integers alone: each operator between its DequantizeLinears and its QuantizeLinear.

A case of floats is written in integers as a model of the user's would be (`passes/precision`), on the range of its values, and cut so that
integers go in and come out. Activations are of one dtype, weights int8, with one scale and with a scale for each channel.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...passes.graph.graph import Graph
from ...passes.graph.node import Node
from ...passes.place.quantised import quantised_units, view_of
from ...passes.precision.eligible import writable
from ...passes.precision.quantise import quantise
from ...passes.precision.scales import Range
from ...targets.precision import FORMS
from .case import Case
from .slice_model import run_on_cpu

if TYPE_CHECKING:
    import numpy
    import onnx

    Array = numpy.ndarray[Any, Any]

WIDE = "int16"
"""The dtype whose zero point is 0 wherever it is computed with."""
WAYS = {"one scale": False, "a scale a channel": True}


def quantised_cases(case: Case, dtype: str) -> Iterator[Case]:
    """The case with activations of an integer dtype; nothing where it has no such form, or onnxruntime does not run it."""
    found = [made for label, per_channel in WAYS.items() if (made := _quantised(case, dtype, label, per_channel)) is not None]
    if len(found) > 1 and found[0].model.graph.initializer == found[1].model.graph.initializer:
        found.pop()  # no operand has channels
    yield from found


def _quantised(case: Case, dtype: str, label: str, per_channel: bool) -> Case | None:
    graph = Graph(case.model)
    (node,) = graph.nodes
    form = replace(FORMS["a8w8"], activations=dtype, per_channel=per_channel, symmetric=dtype == WIDE)
    if not writable(graph, node, form):
        return None
    ranges = _ranges(case)
    quantise(graph, {node.writes[0]: form}, ranges)
    units = quantised_units(graph, graph.nodes)
    if len(units) != 1 or not units[0].whole:
        return None
    (unit,) = units
    inner = next(member for member in unit.members if member.kind == node.kind)
    view = view_of(graph, inner, unit, dtype)
    return _cut(case, graph, unit.members, f"{case.name}, {dtype}, {label}", view)


def _ranges(case: Case) -> dict[str, Range]:
    import onnx

    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in case.model.graph.initializer}
    values |= {**case.inputs, **run_on_cpu(case.model, case.inputs)}
    return {name: Range(float(value.min()), float(value.max())) for name, value in values.items() if value.dtype == "float32"}


def _cut(case: Case, graph: Graph, members: tuple[Node, ...], name: str, view: Any) -> Case | None:
    """The unit as a model, on the integers that reach it."""
    from onnx.utils import Extractor

    whole = graph.to_model()
    constants = {tensor.name for tensor in whole.graph.initializer}
    inner = {written for member in members for written in member.writes}
    reads = dict.fromkeys(read for member in members for read in member.reads if read not in constants | inner)
    results = [member.outputs[0] for member in members if member.kind == "QuantizeLinear"]
    try:
        fed = _fed(whole, list(reads), case.inputs)
        model = Extractor(whole).extract_model(list(reads), results)
        run_on_cpu(model, fed)
    except Exception:  # onnxruntime's own types: without its result there is nothing to compare with
        return None
    return Case(name=name, model=model, inputs=fed, view=view)


def _fed(model: onnx.ModelProto, names: list[str], inputs: Mapping[str, Array]) -> dict[str, Array]:
    """The integers that a model's own QuantizeLinears make of its inputs."""
    import onnx

    known = {value.name: value for value in (*model.graph.value_info, *model.graph.input)}
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    have = {value.name for value in model.graph.input}
    wide.graph.output.extend(known[name] for name in names if name not in have)
    made = run_on_cpu(wide, inputs)
    return {name: inputs[name] if name in have else made[name] for name in names}
