"""What the `keep` lines of a `precision` block demand of an operator."""

from __future__ import annotations

from ..dtypes import FLOATS
from ..environment import Environment
from ..expression import truth
from ..model import Device
from ..precision import FORMS, Keep, Precision


def kept_line(device: Device, operator: str, environment: Environment) -> Keep | None:
    """The first `keep` of the device, or of its target, that applies to an operator ("Conv", "com.microsoft::Gelu")."""
    lines = (line for line in device.precision.keeps if operator in line.operators)
    return next((line for line in lines if line.where is None or truth(line.where, environment) is True), None)


def kept_dtypes(device: Device, operator: str, precision: Precision, environment: Environment) -> tuple[str, ...]:
    """The dtypes that they demand of it on floats; () where none does."""
    plain = operator.removeprefix("ai.onnx::")
    stated = [dtype for dtype, name, on in precision.keep if name.removeprefix("ai.onnx::") == plain and on in ("", device.name)]
    line = kept_line(device, plain, environment)
    return tuple(dict.fromkeys((*stated, *([line.form] if line is not None and line.form in FLOATS else ()))))


def kept_in_integers(device: Device, operator: str, environment: Environment) -> Keep | None:
    """The line that allows it between DequantizeLinear and QuantizeLinear alone, if one does."""
    line = kept_line(device, operator.removeprefix("ai.onnx::"), environment)
    return line if line is not None and FORMS[line.form].quantised else None
