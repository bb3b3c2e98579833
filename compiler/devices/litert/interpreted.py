"""A .tflite file on LiteRT's interpreter, by names: how an app runs it. Inputs and outputs are copied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...activity import doing
from ..silence import silenced

STDERR = 2


class Interpreted:
    """The only signature of a file, with XNNPACK's kernels on one thread.

    Raises ValueError or RuntimeError for bytes that LiteRT refuses, or fails on."""

    def __init__(self, content: bytes) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._size = len(content)
        with silenced(STDERR), doing("loading the .tflite file into LiteRT", size=self._size):
            self._interpreter = Interpreter(model_content=content, num_threads=1)
            self._interpreter.allocate_tensors()
            (key,) = self._interpreter.get_signature_list()
            self._runner = self._interpreter.get_signature_runner(key)
        self.inputs = tuple(self._interpreter.get_signature_list()[key]["inputs"])

    def run(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs by name. `values` may have more than the inputs."""
        with doing("running the .tflite file", size=self._size):
            return dict(self._runner(**{name: values[name] for name in self.inputs}))
