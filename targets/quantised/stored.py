"""Weights that a device reads in the integers in which a model has them: `weights int8 Conv, MatMul;`."""

from __future__ import annotations

from ..model import Device
from ..operator_view import OperatorView
from ..operators import key_of
from ..precision import WeightFormat
from ..support import guard_holds
from .scales import Scales, middle
from .views import WEIGHTS


def reads_stored(device: Device, view: OperatorView, operand: str, dtype: str, scales: Scales) -> WeightFormat | None:
    """The line by which the device runs the operator on floats beside this operand as it is stored: in integers of `dtype`, on the grid of
    `scales`. None where no line is about it. `view`: the operator with the operand dequantised."""
    name = key_of(view.domain, view.operator)
    if operand not in WEIGHTS.get(name, ()):
        return None
    lines = (line for line in device.weights if not line.activations and line.dtype == dtype and line.block == scales.block)
    return next((line for line in lines if _about(device, view, line, name, scales)), None)


def _about(device: Device, view: OperatorView, line: WeightFormat, name: str, scales: Scales) -> bool:
    if line.operators and name not in line.operators:
        return False
    if line.symmetric and scales.zero_points != (middle(line.dtype),):
        return False
    return guard_holds(device, view, line.where)
