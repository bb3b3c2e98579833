"""One evaluation of one operator: what a kernel of the float64 reference is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Value = Any
"""A numpy array; a list of arrays for a sequence; None for an optional operand that is absent."""
Steps = Callable[[Value], Value]
"""From numbers in steps of a grid to what is kept of them; no whole numbers where steps are to be left out."""


def nearest(steps: Value) -> Value:
    """Models hold numbers and scales in fp32 at most: a quotient within its rounding of a half is meant to be one, so it is rounded so."""
    return np.rint(steps.astype(np.float32))


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """An operator with its values.

    Numbers of every floating-point dtype of the model (fp32, fp16, bfloat16, fp8, fp64) arrive as float64; integers, booleans and strings
    as they are. `dtypes` says what the model declares them to be, where a kernel's meaning depends on that.
    """

    operator: str
    """Its op_type: "Conv"."""
    domain: str
    """"" for ai.onnx."""
    version: int
    """The opset of that domain that the model imports (not the version of the operator's schema)."""
    attributes: Mapping[str, Any]
    """Those the node states: int, float, str, list of those, or a numpy array for a tensor. Defaults are the kernel's business."""
    inputs: tuple[Value, ...]
    """One for each operand that the node lists, in order; None for an empty name. Kernels must not write into them."""
    dtypes: tuple[str, ...]
    """The declared dtype of each input, as numpy names it ("float16", "int64", "bfloat16"); "" for an absent one."""
    outputs: int
    """How many results the node lists."""
    steps: Steps | None = None
    """How what is quantised becomes whole steps; None for the nearest ones, halves to even."""

    def input(self, index: int) -> Value:
        """That operand; None where it is absent."""
        return self.inputs[index] if index < len(self.inputs) else None


Kernel = Callable[[Call], tuple[Value, ...]]
"""Returns at least `outputs` results (more are ignored; None for one it does not compute): float64 for numbers of floating-point dtypes."""
