"""Operators that quantise by the range of all tokens of a run: what a step computes depends on which others it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ModelError
from ..load.structure import all_graphs

if TYPE_CHECKING:
    import onnx

BY_RANGE = frozenset({"DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM"})
HELP = "export it in floats, and write its weights in fewer bits here: --precision int8, or int4"


def check_ranges(model: onnx.ModelProto, where: str) -> None:
    """Raises ModelError for a model with such an operator: a text in pieces has other logits than the whole, and rows that a run is filled
    up with count."""
    nodes = (node for graph in all_graphs(model.graph) for node in graph.node)
    found = next((node for node in nodes if node.op_type in BY_RANGE), None)
    if found is None:
        return
    what = "it quantises by the range of all tokens of a run, so that what a step computes depends on how a text is cut into steps"
    raise ModelError(what, where=f"{where}, {found.op_type} {found.name or found.output[0]}", help=HELP)
