"""Peaks that are missing for what a device computes in (HW0104), and lines that can have no effect (HW0512)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...targets.dtypes import FLOATS, NARROW_INTEGERS
from ...targets.formula import COMPARISONS, Between, Binary, Call, Expression, Number, conjuncts, render
from ...targets.model import Device, OperatorRule
from ...targets.operators import operator_names
from ...targets.support import ALL_DOMAINS, device_dtypes, lists, takes_all
from ..lower.context import Context
from ..lower.operators import ALL
from ..text.diagnostics import Note, Span
from ..text.syntax import Statement


def check_effect(devices: Sequence[Device], context: Context) -> None:
    """Every check of this file over what was read whole."""
    wrong = context.report.broken or any(found.severity == "error" for found in context.report.found)
    for device in devices:
        body = [item for item in context.devices[device.name].body or () if isinstance(item, Statement)]
        if not _faulty(body, context):  # else what is missing or doubled may be what was misread
            _peaks(device, body, context)
            _beside_all(body, context)
            _listed_twice(body, context)
        _shapes(device, body, context)
        if not wrong:  # else what is missing may be a line with a mistake
            _kernels(device, body, context)


def _faulty(body: Iterable[Statement], context: Context) -> bool:
    """Whether an error stands in the device's own statements."""
    errors = [found.span for found in context.report.found if found.severity == "error"]
    return bool(errors) and any(
        item.span.source is span.source and item.span.start <= span.start <= item.span.end for item in body for span in errors
    )


def _peaks(device: Device, body: Iterable[Statement], context: Context) -> None:
    """HW0104: a dtype of `supports` without its peak would be costed at the rate of another.

    The integer blocks of tables are left out: a chip may inherit them without quantised models in mind, at its slowest rate."""
    stated = {peak.dtype for peak in device.peaks}
    lacking = [dtype for dtype in device_dtypes(device) if dtype in FLOATS and dtype not in stated and not takes_all(device)]
    own = [item for item in body if item.head.text == "supports" and not context.in_table(item.head.span)]
    narrow = [word for item in own for word in item.words if word in NARROW_INTEGERS]
    if narrow and not stated & NARROW_INTEGERS:
        lacking.append(narrow[0])
    for dtype in lacking:
        message = f"`{device.name}` supports {dtype} but has no peak for it"
        help = f"write for example `peak {dtype} 4 TOPS @guess`; without it, {dtype} would cost the same as {', '.join(sorted(stated))}"
        context.report.missing(context.devices[device.name].args[0].span, message, help, "peak")


def _warn(span: Span, message: str, help: str, context: Context, note: Note | None = None) -> None:
    context.report.add("warning", "HW0512", span, message, help, (note,) if note else ())


def _beside_all(body: Iterable[Statement], context: Context) -> None:
    """A block of operators beside `supports all`, which has them already; operators of other domains it does not have, and blocks of
    integers say which ones it computes in integers between DequantizeLinear and QuantizeLinear."""
    blocks = [item for item in body if item.head.text == "supports"]
    everything = next((item for item in blocks if item.words[:1] == ("all",)), None)
    if everything is None:
        return
    for block in blocks:
        heads = [line.head for line in block.body or () if isinstance(line, Statement)]
        known = bool(heads) and all(head.text.rpartition("::")[0] in ALL_DOMAINS for head in heads)
        if block is not everything and known and not NARROW_INTEGERS.issuperset(block.words):
            message, note = "this block adds nothing to `supports all`", Note("`supports all` is here", everything.head.span)
            _warn(block.head.span, message, "remove one of the two; list what it does not run in `deny { … }`", context, note)


def _listed_twice(body: Iterable[Statement], context: Context) -> None:
    """An operator that one block lists without a condition and then again."""
    for block in body:
        if block.head.text != "supports":
            continue
        plain: dict[tuple[str, str], Span] = {}
        lines = [line for line in block.body or () if isinstance(line, Statement) and line.head.text != "inherit"]
        everything = next((line.head.span for line in lines if line.head.text == ALL), None)
        for line in lines:
            if everything is not None and line.head.text != ALL and line.head.text.removeprefix("ai.onnx::") in operator_names():
                message, help = f"`{line.head.text}` is in `all` already", "remove one of the two; exceptions go into `deny { … }`"
                _warn(line.head.span, message, help, context, Note("`all` is here", everything))
                continue
            for name in (line.head, *(arg for arg in line.args if arg.kind == "word")):
                first = plain.get((name.text, name.span.source.name))
                if first is not None:
                    message = f"`{name.text}` is already supported without a condition"
                    _warn(name.span, message, "lines for one operator are alternatives: remove one", context, Note("here", first))
                elif line.where is None:
                    plain[name.text, name.span.source.name] = name.span


def _shapes(device: Device, body: Iterable[Statement], context: Context) -> None:
    """HW0505: a condition that asks for more than `max rank` lets in."""
    if device.max_rank is None:
        return
    spans = {
        name.span.origin: line.where.span
        for block in body
        for line in (block.body or () if block.head.text == "supports" else ())
        if isinstance(line, Statement) and line.where is not None and not context.in_table(line.head.span)
        for name in (line.head, *(arg for arg in line.args if arg.kind == "word"))
    }
    for rule in (rule for block in device.supports for rule in block.rules if rule.where is not None):
        part = next((part for part in conjuncts(rule.where) if _beyond(part, device.max_rank)), None) if rule.where else None
        if part is not None and rule.origin in spans:
            message = f"this condition can never hold: `{render(part)}`, and `{device.name}` takes at most rank {device.max_rank}"
            context.report.error("HW0505", spans[rule.origin], message, "raise `max rank`, or require less")


def _beyond(part: Expression, most: int) -> bool:
    """Whether a conjunct asks for a rank above `most`, or for a dim that only such a rank has."""
    match part:
        case Binary(operator="==" | ">=" | ">" as sign, left=Call(function="rank"), right=Number(value=number)):
            return number >= most if sign == ">" else number > most
        case Between(value=Call(function="rank"), low=Number(value=number)):
            return number > most
        case Binary(operator=operator, left=Call(function="dim", arguments=(_, Number(value=axis)))) if operator in COMPARISONS:
            return axis >= most
    return False


def _kernels(device: Device, body: Iterable[Statement], context: Context) -> None:
    """A kernel of an operator that the device lacks. Tables serve many devices, and inherited lines those that deny: both are left out."""
    for block in body:
        for line in block.body or () if block.head.text == "kernel" else ():
            if not isinstance(line, Statement) or context.in_table(line.head.span):
                continue
            for name in (line.head, *(arg for arg in line.args if arg.kind == "word")):
                if not lists(device, name.text.removeprefix("ai.onnx::")) and not _denied(device, name.text):
                    help = "add it to `supports`, or leave it out of the kernel"
                    _warn(name.span, f"`{device.name}` does not support `{name.text}`, so this kernel never runs with it", help, context)


def _denied(device: Device, name: str) -> bool:
    return any(_is(rule, name) for rule in device.denies)


def _is(rule: OperatorRule, name: str) -> bool:
    domain, _, operator = name.rpartition("::")
    return rule.where is None and rule.operator == operator and (rule.domain or "ai.onnx") == (domain or "ai.onnx")
