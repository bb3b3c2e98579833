"""HW0507: operators that the target file speaks of and that nevertheless always end on the host.

Nearly every target leaves most of ONNX to its host, and saying so for each operator would be noise. A `rewrite` line in the target file
itself shows that its author wants the operator elsewhere; lines of included files do not count, since they serve many targets. An operator
that the file denies is on the host on purpose. `rewrite Op -> native` that cannot work is HW0502, an error, and comes instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...targets.model import Device
from ...targets.support import lists
from ..lower.context import Context
from ..lower.rewrite import facts_named, reachable
from ..text.diagnostics import Source
from ..text.syntax import Arg, Statement


def check_routes(devices: Sequence[Device], source: Source, context: Context) -> None:
    """Reports each operator once, where the file first speaks of it. Says nothing of a target with errors, or without a second device."""
    host = next((d for d in devices if d.name == "cpu"), None) or next((d for d in devices if d.runtime.adapter == "ort"), None)
    others = [device for device in devices if device is not host]
    wrong = any(found.severity == "error" for found in context.report.found)
    if wrong or host is None or not others or not context.rules or len(devices) < len(context.devices):
        return
    seen = {name for device in others for name in _denied(context.devices[device.name], source)}
    for device in others:
        for operator in _named(context.devices[device.name], source):
            if operator.text in seen or any(_runs(other, operator.text, context) for other in others):
                continue
            seen.add(operator.text)
            help = "support it on another device, or write a `rewrite` line to operators that another device supports"
            context.report.add("info", "HW0507", operator.span, f"`{operator.text}` always runs on `{host.name}`", help)


def _named(device: Statement, source: Source) -> Iterator[Arg]:
    """Operators of the device's `rewrite` lines that stand in this source."""
    for item in device.body or ():
        if isinstance(item, Statement) and item.head.text == "rewrite":
            yield from (arg for arg in item.args[:1] if arg.kind == "word" and arg.span.source == source)


def _denied(device: Statement, source: Source) -> Iterator[str]:
    """Operators that an unguarded `deny` of this source names."""
    for item in device.body or ():
        if not isinstance(item, Statement) or item.head.text != "deny":
            continue
        lines = [line for line in item.body if isinstance(line, Statement)] if item.body is not None else [item]
        for line in (line for line in lines if line.where is None):
            names = (line.head, *line.args) if line is not item else line.args
            yield from (arg.text for arg in names if arg.kind == "word" and arg.span.source == source)


def _runs(device: Device, operator: str, context: Context) -> bool:
    """Whether some form of the operator runs there, as it is or as what a line or an exact rule makes of it."""
    if lists(device, operator) or reachable(device, operator, context, frozenset()):
        return True
    for line in device.rewrites:
        if line.operator != operator or line.rule == "native":
            continue
        forms = [fact.emits for fact in facts_named(line.rule, operator, context)]
        if any(all(reachable(device, name, context, frozenset({operator})) for name in form) for form in forms):
            return True
    return False
