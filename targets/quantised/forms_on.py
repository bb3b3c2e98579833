"""In which forms a device may run an operator, the preferred ones first.

An operator on floats may run in
- fp32 or fp16, where a `supports` block of that dtype lists it;
- a8w8 or a16w8, where a block of an integer dtype of that width lists it as it then is: `quantised`, activations in that dtype, constant
  weights in int8. Of the ways to scale, the most exact that the table allows: channels of a weight each before all of them
  alike, zero points where calibration puts them before symmetric ones;
- w8 or w4, where a `weights` line of the device is about it.

`supports all` lists every operator in fp32 and in the dtypes for which the device states a `peak`; blocks of integers beside it
say which ones in integers. Then a `keep` of the device leaves one
form at most, and what a `prefer` is about comes first, in the order of the lines; the rest follows, the most exact first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..dtypes import BITS, FLOATS, NARROW_INTEGERS
from ..model import Device
from ..operator_view import OperatorView
from ..operators import key_of
from ..precision import FORMS, NO_PRECISION, Form, FormName, Keep, Prefer, WeightFormat
from ..support import Yes, data_dtypes, environment_of, guard_holds, supports, takes_all
from .integers_on import integer_dtypes
from .kept import kept_line
from .views import in_float, in_form, weights_of

FLOAT_FORMS: tuple[FormName, ...] = ("fp32", "fp16")
WIDTHS: tuple[tuple[FormName, int], ...] = (("a16w8", 16), ("a8w8", 8))
"""By form of integers, the bits of its activations."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A form that a device may run an operator in."""

    form: Form
    most_loss: float | None = None
    """A line prefers it where its loss is at most this share; None where no line says so."""
    line: Prefer | Keep | None = None
    """What the target's `precision` says about it, if anything: for reports."""


def forms_on(device: Device, view: OperatorView) -> tuple[Form, ...]:
    """The forms in which the device may run the operator (as it stands in the float model), preferred ones first; () where it cannot.

    An operator that computes on no floats stays as it is, which counts as fp32."""
    return tuple(choice.form for choice in choices_on(device, view))


def choices_on(device: Device, view: OperatorView) -> tuple[Choice, ...]:
    """The same, each with the line of the target that is about it."""
    if not any(dtype in FLOATS for dtype in data_dtypes(view)):
        return (Choice(FORMS["fp32"]),) if isinstance(supports(device, view, NO_PRECISION), Yes) else ()
    possible = {form.name: form for form in _possible(replace(device, precision=NO_PRECISION), view)}
    name = key_of(view.domain, view.operator)
    keep = kept_line(device, name, environment_of(view, device))
    if keep is not None:
        return (Choice(possible[keep.form], None, keep),) if keep.form in possible else ()
    preferred: dict[FormName, Choice] = {}
    for line in device.precision.prefers:
        about = (not line.operators or name in line.operators) and line.form in possible and line.form not in preferred
        if about and guard_holds(device, view, line.where):
            preferred[line.form] = Choice(possible[line.form], line.most_loss, line)
    return (*preferred.values(), *(Choice(possible[form]) for form in FORMS if form in possible and form not in preferred))


def stored_forms(device: Device, view: OperatorView) -> tuple[Form, ...]:
    """The forms of all `weights` lines that are about the operator, in their order, beside activations in floats. The first of a width is
    how weights are rounded; the others hold weights that lie on such grids already."""
    widest = next((name for name in FLOAT_FORMS if _runs_in_float(device, view, name)), "")
    found = (_weight_only(device, view, line, widest) for line in device.weights if not line.activations)
    return tuple(dict.fromkeys(form for form in found if form is not None))


def _possible(device: Device, view: OperatorView) -> Iterator[Form]:
    """What its table and its `weights` lines allow; of several forms of a name the first that is allowed."""
    floats = [name for name in FLOAT_FORMS if _runs_in_float(device, view, name)]
    yield from (FORMS[name] for name in floats)
    for name, width in WIDTHS:
        form = next((form for form in _integer_forms(device, FORMS[name], width) if _runs_in_integers(device, view, form)), None)
        if form is not None:
            yield form
    seen: set[FormName] = set()
    for line in device.weights:
        found = _weight_only(device, view, line, floats[0] if floats else "")
        if found is not None and found.name not in seen:
            seen.add(found.name)
            yield found


def _runs_in_float(device: Device, view: OperatorView, dtype: FormName) -> bool:
    if takes_all(device) and dtype != "fp32" and all(peak.dtype != dtype for peak in device.peaks):
        return False
    answer = supports(device, in_float(view, dtype), NO_PRECISION)
    return isinstance(answer, Yes) and answer.compute_dtype == dtype


def _runs_in_integers(device: Device, view: OperatorView, form: Form) -> bool:
    return isinstance(supports(device, in_form(view, form), NO_PRECISION), Yes)


def _integer_forms(device: Device, usual: Form, width: int) -> Iterator[Form]:
    for dtype in integer_dtypes(device):
        if dtype in NARROW_INTEGERS and BITS[dtype] == width:
            for per_channel in (True, False):
                for symmetric in (False, True):
                    yield replace(usual, activations=dtype, per_channel=per_channel, symmetric=symmetric)


def _weight_only(device: Device, view: OperatorView, line: WeightFormat, widest: str) -> Form | None:
    """The form of a `weights` line; None where the line is not about the operator, or the device does not run it beside such weights.
    `widest` is the widest float it runs in, "" if none."""
    name = key_of(view.domain, view.operator)
    if not weights_of(view) or (line.operators and name not in line.operators):
        return None
    usual = FORMS["w4" if BITS[line.dtype] == 4 else "w8"]
    activations = line.activations or widest
    form = replace(usual, activations=activations, weights=line.dtype, block=line.block, per_channel=not line.block)
    if not line.activations:
        asked = in_float(view, widest) if widest else view
        return form if widest and guard_holds(device, asked, line.where) else None
    beside = replace(form, weights="int8", block=0, per_channel=True, accumulator="int32")
    runs = _runs_in_integers(device, view, beside) and guard_holds(device, in_form(view, beside), line.where)
    return replace(form, accumulator="int32") if runs else None
