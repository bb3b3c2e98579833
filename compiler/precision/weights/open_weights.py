"""A model whose large weights are given with every run: a session copies none of them, and each can be another one for a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ....passes.graph.graph import Graph
from ...devices.cpu_session import open_session
from ...errors import ModelError, first_line
from ..plain_model import plain_model

LARGE = 1 << 12
"""Bytes of a large weight."""
NONE: Mapping[str, Any] = MappingProxyType({})


class OpenWeights:
    """Of a graph, on onnxruntime's CPU."""

    def __init__(self, graph: Graph, outputs: Sequence[str]) -> None:
        """outputs: tensors of the graph, whose values a run returns. Raises ModelError where onnxruntime refuses the model."""
        read = {name for node in graph.nodes for name in node.reads}
        names = [name for name in graph.constants if name in read and (graph.tensor(name).bytes or 0) >= LARGE]
        values = {name: graph.value(name) for name in names if graph.tensor(name).dtype == "fp32"}
        self.outputs = tuple(outputs)
        self._weights = {name: value for name, value in values.items() if value is not None}
        model = plain_model(graph, self._weights)
        results = {value.name for value in model.graph.output}
        model.graph.output.extend(graph.value_info(name) for name in outputs if name not in results)
        try:
            self._session = open_session(model.SerializeToString(), spin=False)
        except Exception as problem:  # onnxruntime's exceptions share no base class
            raise ModelError(f"the model does not run on onnxruntime: {first_line(problem)}") from None

    def run(self, sample: Mapping[str, Any], instead: Mapping[str, Any] = NONE) -> tuple[Any, ...]:
        """`instead`: weights in place of the model's. Raises ModelError where the model does not run on the sample."""
        try:
            return tuple(self._session.run(list(self.outputs), {**self._weights, **instead, **sample}))
        except Exception as problem:  # onnxruntime's exceptions share no base class
            raise ModelError(f"the model does not run on a calibration sample: {first_line(problem)}") from None
