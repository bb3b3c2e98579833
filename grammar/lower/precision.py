"""`precision { … }` of a target or a device: which dtypes are computed in, which forms are preferred, and which operators keep one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ...targets.dtypes import BITS, DTYPES, FLOATS, NARROW_INTEGERS, OTHER_NAMES
from ...targets.model import Device
from ...targets.origin import Origin
from ...targets.precision import FORMS, OTHER_FORM_NAMES, Form, FormName, Keep, Precision, Prefer
from ..text.syntax import Arg, Statement
from ..words.names import suggestion, suggestion_or_list
from ..words.properties import row
from ..words.reader import Reader
from ..words.schema import unknown
from .context import Context
from .line_condition import condition_of_line, without_loss
from .operators import check_operator

OF_THE_TARGET = ("default", "compute")
"""Statements that only the `precision` of the target itself may hold."""


@dataclass(slots=True)
class _Lines:
    """What has been read of the block so far."""

    context: Context
    device: str
    """The device whose block it is, or the table's; "" for the target's."""
    default: str | None = None
    compute: list[tuple[str, str]] = field(default_factory=list)
    keep: list[tuple[str, str, str]] = field(default_factory=list)
    prefers: list[Prefer] = field(default_factory=list)
    keeps: list[Keep] = field(default_factory=list)


def lower_precision(statement: Statement, context: Context, device: str = "") -> Precision:
    """`precision { default fp16; compute fp16 for fp32; prefer a8w8 where loss <= 0.1 %; keep fp32 Softmax; }`; `device` is the name of
    the device or table that holds it, "" where the target does."""
    lines = _Lines(context, device)
    Reader(statement, context.report).end()
    if statement.body is None:
        help = "write for example `precision { prefer a8w8 where loss <= 0.1 %; }`"
        context.report.error("HW0001", statement.head.span, "`precision` needs a block", help)
    for item in statement.body or ():
        if not isinstance(item, Statement):
            context.report.error("HW0101", item.span, "a `rule` must be outside the target")
        elif row("precision", item.head.text) is None:
            unknown(item, "precision", "`precision`", context.report)
        elif device and item.head.text in OF_THE_TARGET:
            message = f"`{item.head.text}` is about all devices, and this is the `precision` of `{device}`"
            context.report.error("HW0101", item.head.span, message, "write it into the `precision` of the target")
        else:
            _statement(item, lines)
    return Precision(
        default=lines.default,
        compute=tuple(lines.compute),
        keep=tuple(lines.keep),
        prefers=tuple(lines.prefers),
        keeps=tuple(lines.keeps),
    )


def over(device: Device, target: Precision) -> Device:
    """The device with what its target's `precision` says of it, behind what its own says."""
    prefers = tuple(line for line in target.prefers if line.device in ("", device.name))
    keeps = tuple(line for line in target.keeps if line.device in ("", device.name))
    if not prefers and not keeps:
        return device
    own = device.precision
    return replace(device, precision=replace(own, prefers=(*own.prefers, *prefers), keeps=(*own.keeps, *keeps)))


def place(origin: Origin) -> str:
    """The name under which the span of a line of `precision` or `weights` is kept."""
    return f"line {origin.file}:{origin.line}:{origin.column}"


def _statement(item: Statement, lines: _Lines) -> None:
    context = lines.context
    reader = Reader(item, context.report)
    context.spans[place(item.head.span.origin)] = item.span
    match item.head.text:
        case "default":
            dtype = reader.take_choice(DTYPES, "a dtype", "HW0306")
            if dtype is not None:
                lines.default = dtype.text
                context.spans[f"precision.default {dtype.text}"] = item.span
        case "compute":
            _compute(item, reader, lines)
        case "prefer":
            _prefer(item, reader, lines)
        case _:
            _keep(item, reader, lines)
    if item.body is not None:
        context.report.error("HW0001", item.head.span, f"`{item.head.text}` takes no block")
    if item.where is not None and item.head.text in OF_THE_TARGET:
        context.report.error("HW0001", item.where.span, f"`{item.head.text}` takes no condition", "`prefer` and `keep` take one")
    if item.otherwise is not None:
        context.report.error("HW0001", item.span, f"the condition of `{item.head.text}` takes no `else`", "write a second line")


def _compute(item: Statement, reader: Reader, lines: _Lines) -> None:
    into = reader.take_choice(DTYPES, "a dtype", "HW0306")
    if into is None:
        return
    if reader.take_word_if("for") is None:
        reader.fail("`for` and the dtype of the operands, as in `compute fp16 for fp32`")
    elif operand := reader.take_choice(DTYPES, "a dtype", "HW0306"):
        lines.compute.append((into.text, operand.text))
        lines.context.spans[f"precision.compute {into.text} for {operand.text}"] = item.span
        reader.end()


def _prefer(item: Statement, reader: Reader, lines: _Lines) -> None:
    """`prefer a8w8 Conv, MatMul on npu where loss <= 0.1 % and …`"""
    form = _form(reader, tuple(FORMS))
    first = reader.peek()
    operators = operators_of(reader, lines.context) if form is not None and first is not None and _names_operator(first) else []
    on = _device(reader, lines)
    reader.skip_provenance()
    reader.end()
    ok, most_loss, rest = without_loss(item.where, lines.context.report)
    fine, where = condition_of_line(item, rest, operators, lines.context)
    if form is None or reader.failed or not ok or not fine:
        return
    lines.prefers.append(
        Prefer(
            form=_named(form.text),
            operators=_plain(operators),
            device=on,
            most_loss=most_loss,
            where=where,
            origin=item.head.span.origin,
        )
    )


def _keep(item: Statement, reader: Reader, lines: _Lines) -> None:
    """`keep fp32 Softmax, LayerNormalization on cpu where …`; in the target's block, any float dtype."""
    context = lines.context
    form = _form(reader, (*FORMS, *(() if lines.device else sorted(FLOATS))))
    if form is None:
        return
    operators = operators_of(reader, context)
    on = _device(reader, lines)
    reader.skip_provenance()
    reader.end()
    fine, where = condition_of_line(item, item.where, operators, context, "`keep` takes no `loss`: say with `prefer` what a loss allows")
    if not operators or reader.failed or not fine:
        return
    named = form.text in FORMS or form.text in OTHER_FORM_NAMES
    if not lines.device and form.text in FLOATS and (where is None or not named):
        kept = [(form.text, name.text, on) for name in operators]
        context.spans |= {f"precision.keep {' '.join(one)}": item.span for one in kept}
        lines.keep += kept
    if named:
        origin = item.head.span.origin
        lines.keeps.append(Keep(form=_named(form.text), operators=_plain(operators), device=on, where=where, origin=origin))


def _form(reader: Reader, known: Sequence[str]) -> Arg | None:
    arg = reader.take("word", f"a form ({', '.join(FORMS)})")
    if arg is None or arg.text in known or arg.text in OTHER_FORM_NAMES:
        return arg
    reader.failed = True
    reader.report.error("HW0306", arg.span, f"unknown form `{arg.text}`", _form_meant(arg.text))
    return None


def _form_meant(word: str) -> str:
    """Help: the form of a dtype by whatever name, else all."""
    dtype = OTHER_NAMES.get(word.lower(), word)
    narrow = f"int{BITS[dtype]}" if dtype in NARROW_INTEGERS else dtype
    form = narrow if narrow in FORMS else OTHER_FORM_NAMES.get(narrow)
    return f"did you mean `{form}`?" if form else suggestion(word, FORMS) or f"known here: {', '.join(FORMS)}"


def _named(word: str) -> FormName:
    form: Form | None = next((form for name, form in FORMS.items() if name == word), None)
    return OTHER_FORM_NAMES[word] if form is None else form.name


def _names_operator(arg: Arg) -> bool:
    return arg.kind == "word" and arg.text != "on"


def operators_of(reader: Reader, context: Context) -> list[Arg]:
    """`Conv, MatMul`: those that are operators; the others are reported."""
    names: list[Arg] = []
    while name := reader.take("word", "an operator"):
        if check_operator(name, context, in_range=False):
            names.append(name)
        else:
            reader.failed = True
        if not reader.take_sign(","):
            break
    return names


def _plain(operators: Sequence[Arg]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.text.removeprefix("ai.onnx::") for name in operators))


def _device(reader: Reader, lines: _Lines) -> str:
    """The device after `on`; "" without one."""
    word = reader.take_word_if("on")
    on = reader.take("word", "the name of a device after `on`") if word else None
    if on is None or word is None:
        return ""
    context = lines.context
    if lines.device:
        message = f"`on {on.text}` in the `precision` of `{lines.device}`, which is about no other device"
        context.report.error("HW0001", word.span.to(on.span), message, "leave it out, or write the line into the target's `precision`")
    elif on.text not in context.devices and not context.report.broken:
        context.report.error("HW0202", on.span, f"no device `{on.text}`", suggestion_or_list(on.text, context.devices))
    return on.text
