"""HW0513: what a file states and no plan, prediction or check depends on: a slip, or a hope for what the planner does not do. Either way
its author should know.

Said exactly where it holds; a statement that matters for some models is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...targets.cost import home_memory, weights_memory
from ...targets.dtypes import FLOATS
from ...targets.model import Device, Target
from ...targets.support import device_dtypes, lists
from ...targets.work.traffic import PLACEABLE
from ..lower.context import Context
from ..text.diagnostics import Span
from ..text.syntax import Statement

Found = Iterator[tuple[Span | None, str, str]]
"""(where, message, help) of each statement; no place where the file does not state it."""


def check_unused(target: Target, context: Context) -> None:
    """Reports each statement once. Says nothing of a target with errors: what is unused may be what was misread."""
    if context.report.broken or any(found.severity == "error" for found in context.report.found):
        return
    found = [*_memories(target, context), *_precision(target, context)]
    for device in target.devices:
        found += [*_peaks(device, context), *_rows(device, target, context), *_layout(device, target, context)]
        found += _kept_in_rewrites(device, context)
    for span, message, help in found:
        if span is not None and not context.in_table(span):
            context.report.add("warning", "HW0513", span, message, help)


def _memories(target: Target, context: Context) -> Found:
    """A memory too small for any tensor that could lie there, and pages of a memory that nothing is allocated in."""
    homes = {device.name: home_memory(target, device.name).name for device in target.devices}
    stores = {device.name: weights_memory(target, device.name).name for device in target.devices}
    for memory in target.memories:
        if memory.budget < PLACEABLE and memory.name not in (*homes.values(), *stores.values()):
            message = (
                f"memory `{memory.name}` has no effect: tensors of less than {PLACEABLE} B stay in the memory that a device has by default"
            )
            yield context.spans.get(f"memory.{memory.name}"), message, "state the budget that a model may use, or leave it out"
        elif memory.name != homes[target.host.name]:
            message = f"`page` of `{memory.name}` has no effect: tensors that cross devices lie in `{homes[target.host.name]}`"
            yield context.spans.get(f"memory.{memory.name}.page"), message, "leave it out"


def _peaks(device: Device, context: Context) -> Found:
    """A rate of a dtype that the device computes nothing in, and that stands in for no other."""
    if any(block.everything for block in device.supports):
        return
    computed = set(device_dtypes(device))
    stated = {peak.dtype: peak.rate for peak in device.peaks}
    slowest = min(stated, key=lambda dtype: stated[dtype]) if computed - set(stated) else ""
    for dtype in stated:
        if dtype not in computed and dtype != slowest:
            message = f"`peak {dtype}` has no effect: `{device.name}` supports {', '.join(sorted(computed))}"
            yield (
                context.spans.get(f"device.{device.name}.peak.{dtype}"),
                message,
                f"write `supports {dtype} {{ … }}`, or leave the peak out",
            )


def _rows(device: Device, target: Target, context: Context) -> Found:
    if not any(device.name in (link.source, link.destination) for link in target.links):
        message = f"`align row` of `{device.name}` has no effect: no link leads to it, and only tensors that cross devices are padded"
        yield context.spans.get(f"device.{device.name}.row_align"), message, "leave it out"


def _layout(device: Device, target: Target, context: Context) -> Found:
    """The host holds what comes in and goes out, in the model's order."""
    if device.layout != "nchw" and device.name == target.host.name:
        statements = (item for item in context.devices[device.name].body or () if isinstance(item, Statement))
        span = next((item.span for item in statements if item.head.text == "layout"), None)
        message = f"`layout {device.layout}` of the host `{device.name}` has no effect: inputs and outputs are in the model's order"
        yield span, message, "leave it out"


def _precision(target: Target, context: Context) -> Found:
    """A choice of dtype where no device has one."""
    precision = target.precision
    tables = [device for device in target.devices if not any(block.everything for block in device.supports)]
    choices = [set(device_dtypes(device)) & FLOATS for device in tables]
    wanted = [("default", precision.default, f"default {precision.default}")] if precision.default else []
    wanted += [("compute", into, f"compute {into} for {operand}") for into, operand in precision.compute]
    for kind, dtype, text in wanted:
        if not any(len(floats) > 1 and (dtype in floats or kind == "default") for floats in choices):
            message = f"`{text}` has no effect: no table of a device leaves a choice between {dtype} and another float dtype"
            yield context.spans.get(f"precision.{text}"), message, "leave it out"
    for dtype, operator, on in precision.keep:
        if not any(lists(device, operator.removeprefix("ai.onnx::")) for device in target.devices if on in ("", device.name)):
            message = f"`keep {dtype} {operator}` has no effect: {f'`{on}` does not run' if on else 'no device runs'} `{operator}`"
            yield context.spans.get(f"precision.keep {dtype} {operator} {on}"), message, "leave it out"


def _kept_in_rewrites(device: Device, context: Context) -> Found:
    """A `rewrite … keep fp32 ReduceMean` on a device that has no such table: the line never applies."""
    lines = [item for item in context.devices[device.name].body or () if isinstance(item, Statement) and item.head.text == "rewrite"]
    spans = {item.head.span.origin: item.span for item in lines}
    everything = any(block.everything for block in device.supports)
    for line in device.rewrites:
        for dtype, operator in line.keep:
            if not everything and not _in_table(device, dtype, operator):
                message = f"this line never applies: it keeps `{operator}` in {dtype}, and `{device.name}` does not list it for {dtype}"
                yield spans.get(line.origin), message, f"write `supports {dtype} {{ {operator}; }}`, or leave the `keep` out"


def _in_table(device: Device, dtype: str, operator: str) -> bool:
    domain, _, name = operator.removeprefix("ai.onnx::").rpartition("::")
    blocks = [block for block in device.supports if dtype in block.dtypes]
    return any(rule.operator == name and (rule.domain or "") in (domain, domain or "ai.onnx") for block in blocks for rule in block.rules)
