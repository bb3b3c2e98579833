"""HW0512 to HW0514 about `prefer`, `keep` and `weights`: lines that apply to nothing, that an earlier line hides, that contradict one
another, and those that count only where forms are chosen.

Said of lines of the target's own files, as for other statements; a table serves many devices.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ...targets.dtypes import BITS, FLOATS, NARROW_INTEGERS
from ...targets.model import Device, Target
from ...targets.origin import Origin
from ...targets.precision import FORMS, FormName, Keep, Prefer, WeightFormat
from ...targets.quantised.views import WEIGHTS
from ...targets.support import device_dtypes, lists
from ..lower.context import Context
from ..lower.precision import place
from ..text.diagnostics import Note, Severity

Message = tuple[Severity, str, Origin, str, str, Origin | None]
"""(severity, code, place, message, help, place of another line)"""
Found = Iterator[Message]
Line = Prefer | Keep | WeightFormat
GIVE_DATA = "compile with `--calibration-data …`"
MOST_COMPARED = 64
"""Earlier lines of a kind that a line is compared with, so that a long block takes no longer than it is."""


def check_forms(target: Target, context: Context) -> None:
    """Reports each line once, though one of the target's `precision` is about several devices."""
    if context.report.broken or any(found.severity == "error" for found in context.report.found):
        return
    for limit in target.limits:
        if limit.kind == "accuracy" and limit.subject != "cosine":
            message = f"`accuracy {limit.subject}` is measured on calibration samples alone"
            context.report.add("info", "HW0514", context.spans[f"limits.accuracy.{limit.subject}"], message, GIVE_DATA)
    said: Counter[Origin] = Counter()
    about: Counter[Origin] = Counter()
    for one in target.devices:
        lines: tuple[Line, ...] = (*one.precision.prefers, *one.precision.keeps, *one.weights)
        about.update(line.origin for line in lines)
    for device in target.devices:
        first: dict[Origin, Message] = {}
        for found in (*_device(device), *_choice_alone(device)):
            first.setdefault(found[2], found)
        for severity, code, origin, message, help, other in first.values():
            said[origin] += 1
            span = context.spans.get(place(origin))
            if span is None or context.in_table(span) or said[origin] < about[origin]:
                continue  # what it lacks on one device it may have on another
            note = (Note("the other line is here", context.spans.get(place(other))),) if other is not None else ()
            context.report.add(severity, code, span, message, help, note)


def _device(device: Device) -> Found:
    for line in device.precision.prefers:
        yield from _preferred(line, device)
    for kept in device.precision.keeps:
        yield from _kept(kept, device)
    for stored in device.weights:
        yield from _stored(stored, device)
    for lines in (device.precision.prefers, device.precision.keeps, device.weights):
        yield from _hidden(lines)


def _preferred(line: Prefer, device: Device) -> Found:
    text = f"`prefer {line.form}`"
    names = [name for name in line.operators if _runs(device, line.form, name)]
    if not (names if line.operators else _runs(device, line.form, "")):
        yield "warning", "HW0513", line.origin, f"{text} has no effect: {_lack(device, line.form, line.operators)}", _help(line.form), None
        return
    for keep in device.precision.keeps:
        if keep.where is None and keep.form != line.form and line.operators and set(names) <= set(keep.operators):
            message = f"{text} has no effect: {_listed(names)} {'is' if len(names) == 1 else 'are'} kept in {keep.form}"
            yield "warning", "HW0512", line.origin, message, "`keep` is stronger than `prefer`: remove one of the two", keep.origin
            return


def _kept(line: Keep, device: Device) -> Found:
    if line.form in FLOATS and not any(lists(device, name) for name in line.operators):
        message = f"`keep {line.form} {line.operators[0]}` has no effect: `{device.name}` does not run {_listed(line.operators)}"
        yield "warning", "HW0513", line.origin, message, "leave it out", None
    elif line.form not in FLOATS and not any(_runs(device, line.form, name) for name in line.operators):
        message = f"`keep {line.form}` leaves {_listed(line.operators)} to other devices: {_lack(device, line.form, line.operators)}"
        yield "warning", "HW0512", line.origin, message, "if that is meant, write it as `deny { … }`", None


def _stored(line: WeightFormat, device: Device) -> Found:
    for name in line.operators:
        if name not in WEIGHTS and "::" not in name:
            message = f"`{name}` has no weights that could be stored in {line.dtype}"
            help = f"operators with weights: {', '.join(known for known in WEIGHTS if '::' not in known)}"
            yield "warning", "HW0513", line.origin, message, help, None
            return
    missing = [name for name in line.operators if not lists(device, name)]
    if line.operators and len(missing) == len(line.operators):
        message = f"`weights {line.dtype}` has no effect: `{device.name}` does not run {_listed(missing)}"
        yield "warning", "HW0513", line.origin, message, "add it to `supports`, or leave the line out", None
    elif line.activations and not _computes_in(device, line.activations):
        message = f"`weights {line.dtype} for {line.activations}` has no effect: `{device.name}` computes nothing in {line.activations}"
        yield "warning", "HW0513", line.origin, message, f"write `supports {line.activations} {{ … }}`, or leave the line out", None


def _hidden(lines: Sequence[Prefer] | Sequence[Keep] | Sequence[WeightFormat]) -> Found:
    """A line that an earlier one, without a condition or with the same, keeps from being reached; of one file, which no other amends."""
    before: list[Line] = []
    for line in lines:
        first = next((first for first in before if first.origin.file == line.origin.file and _covers(first, line)), None)
        if first is not None:
            message = "this line is never reached: an earlier one applies wherever it would"
            help = "the first line that applies counts: put those for some operators, or with a condition, first"
            yield "warning", "HW0512", line.origin, message, help, first.origin
        elif len(before) < MOST_COMPARED:
            before.append(line)


def _covers(first: Line, line: Line) -> bool:
    """Whether the earlier line is about all that the later one is about."""
    if first.where is not None and first.where != line.where:
        return False
    if not isinstance(first, Keep) and _form(first) != _form(line):
        return False
    if isinstance(first, WeightFormat) and isinstance(line, WeightFormat) and _beside(first) != _beside(line):
        return False
    return not first.operators or (bool(line.operators) and set(line.operators) <= set(first.operators))


def _beside(line: WeightFormat) -> tuple[str, int]:
    """Blocks of another size hold other weights that lie on such grids already, beside floats."""
    return line.activations, 0 if line.activations else line.block


def _form(line: Line) -> FormName:
    return ("w4" if BITS[line.dtype] == 4 else "w8") if isinstance(line, WeightFormat) else line.form


def _choice_alone(device: Device) -> Found:
    """What only the choice of forms uses: it is said, so that nobody takes every plan to keep to it."""
    chosen = "counts only where forms are chosen"
    for stored in (line for line in device.weights if line.activations):
        yield "info", "HW0514", stored.origin, f"`weights {stored.dtype}` {chosen}", GIVE_DATA, None
    for kept in device.precision.keeps:
        if kept.form in ("w8", "w4"):
            yield "info", "HW0514", kept.origin, f"`keep {kept.form}` {chosen}", GIVE_DATA, None


# --- what a device runs in a form, whatever the conditions say


def _runs(device: Device, form: FormName, operator: str) -> bool:
    """Whether some line lists the operator, or any if "", in that form."""
    if form in ("w8", "w4"):
        about = [line for line in device.weights if _form(line) == form]
        return any((not operator and not line.operators) or _has(line, operator, device) for line in about)
    dtypes = [dtype for dtype in (device_dtypes(device) or ()) if _of_form(dtype, form)]
    if any(block.everything for block in device.supports):
        rated = any(_of_form(peak.dtype, form) for peak in device.peaks)
        return (form == "fp32" or rated) and (not operator or lists(device, operator))
    return bool(dtypes) and (not operator or any(_in_block(device, dtype, operator) for dtype in dtypes))


def _has(line: WeightFormat, operator: str, device: Device) -> bool:
    names = line.operators or tuple(WEIGHTS)
    return any(lists(device, name) for name in names) if not operator else operator in names and lists(device, operator)


def _of_form(dtype: str, form: FormName) -> bool:
    width = BITS.get(FORMS[form].activations)
    return dtype == form if form in FLOATS else dtype in NARROW_INTEGERS and BITS[dtype] == width


def _computes_in(device: Device, dtype: str) -> bool:
    return dtype in device_dtypes(device) or any(block.everything for block in device.supports)


def _in_block(device: Device, dtype: str, operator: str) -> bool:
    domain, _, name = operator.rpartition("::")
    blocks = [block for block in device.supports if dtype in block.dtypes]
    return any(rule.operator == name and (rule.domain or "") in (domain, domain or "ai.onnx") for block in blocks for rule in block.rules)


def _lack(device: Device, form: FormName, operators: Sequence[str]) -> str:
    return f"`{device.name}` {f'does not run {_listed(operators)}' if operators else 'runs no operator'} in {form}"


def _help(form: FormName) -> str:
    if form in ("w8", "w4"):
        return f"write `weights {FORMS[form].weights};` in the device, or leave the line out"
    dtype = FORMS[form].activations
    return f"write `supports {dtype} {{ … }}` in the device, or leave the line out"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names[:4]) + (" …" if len(names) > 4 else "")
