"""LiteRT's interpreter, which has memory of its own: what runs where its C interface cannot be bound. Inputs and outputs are copied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import BundleError
from ..adapter import Port
from ..views import view_at
from .bound import NOTHING, addressed


class CopyingSegment:
    """Not Rebindable: an interpreter has one set of tensors."""

    copies = True

    def __init__(self, path: Path, blob: Path, inputs: Sequence[Port], outputs: Sequence[Port], threads: int, why: str) -> None:
        """Raises BundleError where the ports are not the model's, ValueError or RuntimeError for a file that the interpreter refuses."""
        from ai_edge_litert.interpreter import Interpreter

        self._path, self.device = path, "LiteRT CPU"
        self.remarks = (f"LiteRT copies the inputs and outputs of {path.stem}: {why}",)
        self._interpreter = Interpreter(model_path=str(blob), num_threads=threads)
        self._interpreter.allocate_tensors()
        self._inputs = self._matched("inputs", inputs, self._interpreter.get_input_details())
        self._outputs = self._matched("outputs", outputs, self._interpreter.get_output_details())

    def _matched(self, what: str, ports: Sequence[Port], details: Sequence[Mapping[str, Any]]) -> list[tuple[Any, int]]:
        """Each port's own memory, and the interpreter's tensor for it."""
        index = {str(one["name"]): int(one["index"]) for one in details}
        addressed(self._path, what, ports, list(index))
        return [(view_at(port), index[port.name]) for port in ports]

    def run(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            for view, index in self._inputs:
                self._interpreter.set_tensor(index, view)
            self._interpreter.invoke()
            for view, index in self._outputs:
                view[...] = self._interpreter.tensor(index)()
        except (RuntimeError, ValueError) as error:
            raise BundleError(f"LiteRT cannot run {self._path.name}: {str(error).strip()[:1000]}", where=str(self._path)) from error
        return NOTHING

    def misplaced(self) -> Sequence[str]:
        return ()  # it has no addresses of ours to report: marks.py is the proof
