"""HW0701: a rate above what the device can compute in the dtypes that the line is about."""

from __future__ import annotations

from ...targets.calibration import Rate
from ...targets.dtypes import FLOATS, NARROW_INTEGERS
from ...targets.formula import Among, Binary, Call, Expression, Name, Text, conjuncts
from ...targets.model import Device, Peak
from ...targets.precision import Precision
from ..lower.context import Context
from ..text.diagnostics import Note, Span
from ..words.units import written

_OF_INTEGERS = frozenset({"QLinearConv", "ConvInteger", "QLinearMatMul", "MatMulInteger"})


def check_peak(device: Device, rate: Rate, span: Span, precision: Precision, context: Context) -> None:
    """`span`: the rate with its unit. A line that does not ask for a dtype may hold in any, so the highest peak counts."""
    peak = max(_peaks(device, rate, precision), key=lambda peak: peak.rate, default=None)
    if peak is None or rate.value <= peak.rate:
        return
    place = context.spans.get(f"device.{device.name}.peak.{peak.dtype}")
    stated = place.text if place is not None else written(peak.rate, "rate of operations")
    names = ", ".join(f"`{name}`" for name in rate.operators[:4])
    message = f"{names} at {span.text} would be faster than the peak of `{device.name}`, {stated} in {peak.dtype}: that cannot be"
    help = f"if the rate was measured, the peak is at least {span.text}; else check its unit, and that the work was counted as here "
    help += "(a multiply-add is two operations)"
    note = Note("the peak is here", place)
    context.report.error("HW0701", span, message, help, (note,))


def _peaks(device: Device, rate: Rate, precision: Precision) -> list[Peak]:
    """The peaks that may bound the line; all where it is about any dtype, none where it is about one that has no peak."""
    asked = {dtype for part in conjuncts(rate.where) for dtype in _asked(part)} if rate.where is not None else set()
    asked |= NARROW_INTEGERS if _OF_INTEGERS.issuperset(rate.operators) else set()
    narrowed = {into for into, operand in precision.compute if operand in asked} | ({precision.default} if asked & FLOATS else set())
    found = [
        peak
        for peak in device.peaks
        if peak.dtype in asked | narrowed or peak.dtype.removeprefix("u") in {dtype.removeprefix("u") for dtype in asked}
    ]
    return found if asked else list(device.peaks)


def _asked(part: Expression) -> set[str]:
    """The dtypes that a conjunct lets in; none where it is not about them."""
    match part:
        case Binary(operator="==", left=Call(function="dtype"), right=Text(value=dtype)):
            return {dtype}
        case Among(value=Call(function="dtype"), options=options):
            return {option.value for option in options if isinstance(option, Text)}
        case Name(name="quantised"):
            return set(NARROW_INTEGERS)
    return set()
