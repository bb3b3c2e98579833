"""The untouched model in its own dtypes: onnxruntime's kernels in the order of the file, all optimisations off unless asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx

from ..devices.ort_values import run_session
from ..load.node_names import name_nodes_apart
from .open_untouched import light_copy, open_untouched


class Own:
    """Sessions of a model; a further one where other tensors are wanted than its outputs."""

    def __init__(self, model: onnx.ModelProto, folder: Path | None, *, optimise: bool = False) -> None:
        self._copy, self._weights = light_copy(model)
        name_nodes_apart(self._copy.graph)
        self._folder, self._optimise = folder, optimise
        self._outputs = [value.name for value in model.graph.output]
        self._sessions: dict[tuple[str, ...], Any] = {}
        self.refused = ""
        try:
            self._session(())
        except Exception as problem:  # onnxruntime's exceptions share no base class
            self.refused = str(problem)[:1000]

    def run(self, inputs: Mapping[str, Any], tensors: Sequence[str]) -> tuple[Mapping[str, Any] | None, str]:
        """Outputs and tensors by name, or why onnxruntime does not give them."""
        if self.refused:
            return None, self.refused
        names = [*self._outputs, *tensors]
        try:
            session = self._session(tuple(tensors))
            taken = {value.name for value in session.get_inputs()}
            fed = {name: value for name, value in inputs.items() if name in taken}
            return dict(zip(names, run_session(session, names, fed), strict=True)), ""
        except Exception as problem:
            return None, str(problem)[:1000]

    def _session(self, tensors: tuple[str, ...]) -> Any:
        if tensors not in self._sessions:
            copy = onnx.ModelProto()
            copy.CopyFrom(self._copy)
            for name in tensors:
                copy.graph.output.add().name = name  # onnxruntime infers the type
            self._sessions[tensors] = open_untouched(copy, self._weights, self._folder, optimise=self._optimise)
        return self._sessions[tensors].session
