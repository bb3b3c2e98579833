"""Constants of a graph that is being written in other formats: equal ones are one."""

from __future__ import annotations

import hashlib

import numpy as np
from onnx import helper

from ...targets.dtypes import BITS, ELEMENT
from ..graph.graph import Graph
from .scales import Steps, quantised
from .weights import Weight


class Constants:
    """Of one graph."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._names: dict[tuple[object, ...], str] = {}

    def array(self, value: np.ndarray, hint: str, dtype: str = "") -> str:
        """The name of the constant. dtype: of what is stored, where numpy has no such dtype."""
        key = (hashlib.sha256(value.tobytes()).digest(), value.shape, value.dtype.str, dtype)
        if key not in self._names:
            self._names[key] = self._packed(value, hint, dtype) if dtype and BITS[dtype] < 8 else self._graph.constant(value, hint)
        return self._names[key]

    def half(self, tensor: str) -> str:
        """A constant of fp32 in fp16, saturated."""
        value = self._graph.value(tensor)
        assert value is not None
        largest = np.finfo(np.float16).max
        finite = np.where(np.isfinite(value), np.clip(value, -largest, largest), value)
        return self.array(finite.astype(np.float16), f"{tensor}_fp16")

    def activation(self, tensor: str, steps: Steps) -> str:
        """A constant of fp32 in the steps of the activations beside it."""
        value = self._graph.value(tensor)
        assert value is not None
        return self.array(quantised(value, steps.scale, steps.zero, steps.dtype), f"{tensor}_q", steps.dtype)

    def grid(self, steps: Steps) -> tuple[str, str]:
        """Scale and zero point of activations."""
        scale = self.array(np.array(steps.scale, np.float32), "scale")
        return scale, self.array(quantised(np.zeros(()), 1.0, steps.zero, steps.dtype), "zero", steps.dtype)

    def weight(self, tensor: str, weight: Weight) -> tuple[str, str, str]:
        """What is stored, its scale and its zero point."""
        stored = self.array(weight.stored, f"{tensor}_q", weight.dtype)
        none = np.zeros(weight.scale.shape, np.int32 if weight.dtype == "int32" else np.int8)
        zero = none if weight.zero is None else weight.zero
        return stored, self.array(weight.scale, f"{tensor}_scale"), self.array(zero, f"{tensor}_zero", weight.dtype)

    def _packed(self, value: np.ndarray, hint: str, dtype: str) -> str:
        name = self._graph.fresh(hint)
        flat = np.append(value.reshape(-1), np.zeros(value.size % 2, value.dtype)).view(np.uint8) & 15
        tensor = helper.make_tensor(name, ELEMENT[dtype], value.shape, (flat[::2] | (flat[1::2] << 4)).tobytes(), raw=True)
        self._graph.tensors.take_constant(name, tensor)
        return name
