"""The untouched model, run by onnxruntime with its graph optimisations off: they are rewrites too, and may share our mistakes.

With them on the same model gives the same up to rounding: how far the two are apart is the model's own rounding.
Any tensor of the model can be fetched besides its outputs. Nothing here knows how the bundle was made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..activity import TimeLimit, doing
from ..devices.interruption import halting, new_run_options
from ..devices.ort_values import run_session
from ..errors import ModelError
from ..load.fold.constant_nodes import RANDOM
from ..load.map_model import light_model
from ..load.node_names import name_nodes_apart
from ..load.runtime_gap import explain_refusal
from ..load.source import MemoryModel, Source
from ..load.weights import size_with_data
from ..reference.open_untouched import light_copy, open_untouched
from ..reference.oracle import UNTOUCHED

if TYPE_CHECKING:
    import onnx

PASSES_SHAPES_ONLY = frozenset({"Shape", "Size"})
"""With every dim bound, these depend on no value."""


def read_graph(source: Source) -> onnx.ModelProto:
    """The model without its large weights, which are declared as external, not to be changed. Raises ModelError for a file that is not an
    ONNX model."""
    if isinstance(source, MemoryModel):
        return source.proto
    try:
        return light_model(source.resolve())
    except Exception as error:  # protobuf's own error types differ between its back ends
        raise ModelError(f"not an ONNX model: {error}", where=str(source)) from None


class Reference:
    """`source`: where external weights lie, and a name for messages. `tensors` are fetched besides the outputs; those the model does not
    have are left out of `tensors`."""

    def __init__(self, source: Source | None, model: onnx.ModelProto, tensors: Iterable[str] = (), *, optimised: bool = False) -> None:
        self._where = "" if source is None else str(source)
        copy, weights = light_copy(model)
        name_nodes_apart(copy.graph)
        made = {name for node in copy.graph.node for name in node.output if name}
        weighed = {tensor.name for tensor in model.graph.initializer}
        self.inputs = tuple(value.name for value in copy.graph.input if value.name not in weighed)
        self.outputs = tuple(value.name for value in copy.graph.output)
        self.tensors = tuple(name for name in dict.fromkeys(tensors) if name in made and name not in self.outputs)
        for name in self.tensors:
            copy.graph.output.add().name = name  # onnxruntime infers the type
        folder = source.resolve().parent if isinstance(source, Path) else None
        self._size, self._options = size_with_data(model), new_run_options()
        try:
            with doing("loading the model into onnxruntime", size=self._size):
                self._opened = open_untouched(copy, weights, folder, optimise=optimised)
        except TimeLimit:
            raise
        except Exception as error:  # onnxruntime's and protobuf's exceptions share no base class
            problem = explain_refusal(str(error)[:1000], copy)
            raise ModelError(f"onnxruntime cannot run the model: {problem}", where=self._where, help=UNTOUCHED) from error

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Outputs and `tensors` by name. Raises ModelError where onnxruntime fails on these inputs."""
        names = [*self.outputs, *self.tensors]
        try:
            with doing("running the model", size=self._size, halt=halting(self._options)):
                return dict(zip(names, run_session(self._opened.session, names, inputs, self._options), strict=True))
        except TimeLimit:
            raise
        except Exception as error:
            message = f"onnxruntime cannot run the model on these inputs: {str(error)[:1000]}"
            raise ModelError(message, where=self._where, help=UNTOUCHED) from error


def random_tensors(graph: onnx.GraphProto) -> dict[str, str]:
    """Tensors of the main graph that are drawn at random, and the operator that drew them: two runs of the model itself differ there."""
    inside = [t for t in graph.initializer if t.data_type == t.BOOL and t.data_location != t.EXTERNAL]
    never = {t.name for t in inside if not any((*t.int32_data, *t.raw_data))}
    drawn: dict[str, str] = {}
    for node in graph.node:
        source = _draws(node, never) or next((drawn[name] for name in sorted(_reads(node)) if name in drawn), "")
        if source:
            drawn.update(dict.fromkeys(node.output, source))
    drawn.pop("", None)
    return drawn


def _draws(node: onnx.NodeProto, never: set[str]) -> str:
    """The operator that draws in this node or its bodies; a Dropout draws if its training input may be true."""
    if node.op_type in RANDOM:
        return node.op_type
    if node.op_type == "Dropout" and len(node.input) > 2 and node.input[2] and node.input[2] not in never:
        return "Dropout in training mode"
    bodies = [body for attribute in node.attribute for body in (attribute.g, *attribute.graphs)]
    return next((found for body in bodies for inner in body.node if (found := _draws(inner, never))), "")


def fixed_outputs(graph: onnx.GraphProto) -> frozenset[str]:
    """Outputs that no input value reaches, so that they may well be the same for every input: constants and shapes."""
    weights = {tensor.name for tensor in graph.initializer}
    reached = {value.name for value in graph.input if value.name not in weights}
    for node in graph.node:  # in topological order, or onnxruntime would not have loaded it
        if node.op_type in RANDOM or (node.op_type not in PASSES_SHAPES_ONLY and not reached.isdisjoint(_reads(node))):
            reached.update(node.output)
    return frozenset(value.name for value in graph.output if value.name not in reached)


def _reads(node: onnx.NodeProto) -> set[str]:
    """What a node reads, bodies included (a name of a body that hides an outer one only makes the answer more careful)."""
    names = set(node.input)
    for attribute in node.attribute:
        for body in (attribute.g, *attribute.graphs):
            names.update(*(_reads(inner) for inner in body.node), (value.name for value in body.output))
    return names
