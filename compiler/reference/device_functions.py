"""What the function units of devices that compute in fp16 do to a result, besides rounding it.

Measured on the Hexagon emulator (onnxruntime-qnn 2.7.0, soc 57 arch 75, 2026-11) against float64, 33 operators alone at three scales of
inputs and 33 pairs: products, sums and norms are rounded to fp16 and no more. The root mean square of the error of a Sigmoid is 2.4e-4
of the largest number (fp16: 1.1e-4), of Gelu, HardSwish, Elu, Resize 2 to 5 times that of fp16, of a Softmax 6 to 10 times, of a Div
1.8 times. A Sigmoid behind a product is fused to it and comes in steps of 2^-7 (2.2e-3), a Tanh in steps of 2^-6 (4.1e-3).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

UNIT = 2.0**-11
"""Unit roundoff of fp16."""
ACTIVATIONS = ("Sigmoid", "HardSigmoid", "HardSwish", "Swish", "Elu", "Selu", "Celu", "Softplus", "Mish", "QuickGelu")
TABLES = frozenset((*ACTIVATIONS, "Erf", "Gelu", "FastGelu", "BiasGelu", "Sin", "Cos", "Resize", "Upsample"))
"""Off by a part of the largest number of the result, however small an element is."""
QUOTIENTS = frozenset({"Softmax", "LogSoftmax", "Div", "Reciprocal"})
"""Off by a part of each number."""
STEPS = {"Sigmoid": 2.0**-7, "Tanh": 2.0**-6, "Swish": 2.0**-7, "QuickGelu": 2.0**-7}
"""Width of the steps in which they come behind a product, of the largest number there is (1), or of the result's where that is larger."""
PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
KEPT = frozenset(
    {"Add", "Sub", "BatchNormalization", "Mul", "Div", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Identity", "Cast"}
)
"""Operators behind a product that are taken into it (a bias, a scale), or move what it gives."""


class DeviceFunctions:
    """Of one run: draws the same errors for the same model."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(0)
        self._behind: set[str] = set()

    def applied(self, operator: str, inputs: Sequence[str], outputs: Sequence[str], values: Sequence[Any]) -> list[Any]:
        """The results of an operator; what is no float64 array stays. Called for every operator in order."""
        fused = any(name in self._behind for name in inputs)
        if operator in PRODUCTS or (operator in KEPT and fused):
            self._behind.update(outputs)
        reach = self._reach(operator, fused)
        return [self._off(value, *reach) for value in values] if reach is not None else list(values)

    def _reach(self, operator: str, fused: bool) -> tuple[float, float, bool] | None:
        """(part, of at least, of the largest number instead of each)."""
        if fused and operator in STEPS:
            return STEPS[operator] / 2, 1.0, True
        if operator in TABLES:
            return UNIT, 0.0, True
        return (2 * UNIT, 0.0, False) if operator in QUOTIENTS else None

    def _off(self, value: Any, part: float, least: float, largest: bool) -> Any:
        if not isinstance(value, np.ndarray) or value.dtype != np.float64 or not value.size:
            return value
        size = np.abs(value)
        if largest:
            size = np.max(size, where=np.isfinite(size), initial=least)
        with np.errstate(all="ignore"):
            return np.where(np.isfinite(value), value + part * size * self._random.uniform(-1.0, 1.0, value.shape), value)
