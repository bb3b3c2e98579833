"""HW07xx: a calibration that cannot be, that contradicts its device, or that says less than it seems to.

Every check is linear in the number of lines; which line hides another is decided against a bounded number of earlier ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ...targets.calibrated_cost import FEWEST
from ...targets.calibration import Calibration, Rate
from ...targets.cost import FREE, measures_of
from ...targets.model import Device, Memory
from ...targets.origin import Origin
from ...targets.precision import Precision
from ..lower.context import Context
from ..lower.operators import split_name
from ..text.diagnostics import Note, Span
from ..text.syntax import Arg, Statement
from ..words.calibration_properties import AXES
from .measured_peak import check_peak
from .shadowed import check_shadowed

NARROW = 4.0
"""Times that the largest work measured should be above the smallest: below that a rate is not told from a constant."""
USUAL_CACHE = 64 << 20
"""Bytes that a last-level cache may hold, where a target states no memory smaller than its main one and no `weights … beyond`."""
MOST_NAMED = 12
_ROUNDED = frozenset({"Conv", "FusedConv", "ConvTranspose", "QLinearConv", "ConvInteger"})


@dataclass(frozen=True, slots=True)
class Written:
    """A `rate` or `block` line as the file has it."""

    statement: Statement

    @property
    def names(self) -> tuple[Arg, ...]:
        """Its operators."""
        args = self.statement.args
        end = next((index for index, arg in enumerate(args) if arg.kind == "number"), len(args))
        return tuple(arg for arg in args[:end] if arg.kind == "word" and arg.text not in AXES)

    @property
    def number(self) -> Span:
        """The rate with its unit."""
        args = self.statement.args
        at = next(index for index, arg in enumerate(args) if arg.kind == "number")
        return args[at].span.to(args[at + 1].span)

    def after(self, word: str) -> Span:
        """`seen 0.01..29 MOP`, up to the next word of the line."""
        args = self.statement.args
        at = next(index for index, arg in enumerate(args) if arg.text == word)
        end = at + 1
        while end < len(args) and (args[end].kind == "number" or args[end].text == ".."):
            end += 1
        return args[at].span.to(args[min(end, len(args) - 1) if word == "seen" else end - 1].span)


def check_calibrations(devices: Sequence[Device], memories: Sequence[Memory], precision: Precision, context: Context) -> None:
    """Reports what is wrong with the calibrations of a target, once every line of it could be read."""
    if any(found.severity == "error" for found in context.report.found):
        return
    for device in devices:
        if device.calibration is None:
            continue
        block = next(
            item for item in context.devices[device.name].body or () if isinstance(item, Statement) and item.head.text == "calibration"
        )
        lines = {item.head.span.origin: Written(item) for item in block.body or () if isinstance(item, Statement)}
        shared = [memory for memory in memories if device.name in memory.shared]
        _rates(device, device.calibration, lines, shared, precision, context)
        if not context.report.broken and not any(found.severity == "error" for found in context.report.found):
            _whole(device, device.calibration, lines, block.head.span, context)


def _rates(
    device: Device,
    calibration: Calibration,
    lines: Mapping[Origin, Written],
    memories: Sequence[Memory],
    precision: Precision,
    context: Context,
) -> None:
    cached = _cached(calibration, memories)
    for rate in calibration.rates:
        line = lines[rate.origin]
        if _unit(rate, line, context) and rate.measure == "operations":
            check_peak(device, rate, line.number, precision, context)
        _bandwidth(rate, line, memories, cached, context)
        _measured(rate, line, context)
    check_shadowed(calibration.rates, {origin: line.names for origin, line in lines.items()}, context)


def _unit(rate: Rate, line: Written, context: Context) -> bool:
    """HW0705; whether the unit is right."""
    wrong = [name for name in rate.operators if rate.measure not in measures_of(*split_name(name))]
    if not wrong:
        return True
    known = measures_of(*split_name(wrong[0]))
    what = {"operations": "computes", "elements": "is a function of elements", "bytes": "only moves bytes"}
    kind = next(measure for measure in ("operations", "elements", "bytes") if measure in known)
    names = ", ".join(f"`{name}`" for name in wrong[:MOST_NAMED])
    message = f"{names} {what[kind] if len(wrong) == 1 else _PLURAL[kind]}: `{line.number.text}` counts {rate.measure}"
    context.report.error("HW0705", line.number, message, f"write its rate in {_UNITS[kind]}")
    return False


_PLURAL = {"operations": "compute", "elements": "are functions of elements", "bytes": "only move bytes"}
_UNITS = {"operations": "FLOPS", "elements": "elements a second, for example `1.6 GE/s`", "bytes": "bytes a second, for example `34 GB/s`"}


def _cached(calibration: Calibration, memories: Sequence[Memory]) -> float:
    """Bytes that a cache of the device may hold, as far as the file says."""
    home = _home(memories)
    stated = [float(memory.size) for memory in memories if home is not None and memory.name != home.name and memory.size < home.size]
    return max([*stated, calibration.weights_beyond]) or USUAL_CACHE


def _home(memories: Sequence[Memory]) -> Memory | None:
    return max((m for m in memories if "activations" in m.holds), key=lambda memory: (memory.budget, memory.name), default=None)


def _bandwidth(rate: Rate, line: Written, memories: Sequence[Memory], cached: float, context: Context) -> None:
    """HW0702."""
    home = _home(memories)
    if rate.measure != "bytes" or rate.seen is None or home is None or rate.value <= home.bandwidth or rate.seen.high <= cached:
        return
    given = f"`{home.name}` delivers {home.bandwidth / 1e9:g} GB/s"
    message = f"{given}, less than `{line.number.text}`, and no cache holds the largest work seen"
    note = Note("its bandwidth is here", context.spans.get(f"memory.{home.name}.bandwidth"))
    help = f"correct the bandwidth of `{home.name}`, or check what was counted: bytes read and bytes written, once each"
    context.report.add("warning", "HW0702", line.number, message, help, (note,))


def _measured(rate: Rate, line: Written, context: Context) -> None:
    """HW0704 and HW0707."""
    if rate.samples is not None and rate.samples < FEWEST:
        message = f"this rate rests on {rate.samples} measured operator{'s' if rate.samples > 1 else ''}"
        context.report.add("warning", "HW0704", line.after("n"), message, f"measure at least {FEWEST}, or leave the line to a broader one")
    if rate.seen is not None and 0 < rate.seen.low and rate.seen.high < NARROW * rate.seen.low:
        message = f"measured over a factor of {rate.seen.high / rate.seen.low:.2g} in size"
        help = f"measure smaller and larger operators (a factor of {NARROW:g} at least): other sizes count as outside"
        context.report.add("info", "HW0707", line.after("seen"), message, help)


def _whole(device: Device, calibration: Calibration, lines: Mapping[Origin, Written], head: Span, context: Context) -> None:
    """What only shows in a calibration without mistakes: what it lacks, and lines without effect."""
    if calibration.rates:
        _lacking(device, calibration, head, context)
        if calibration.holdout is None or calibration.holdout.interval is None:
            help = "`autoglmc calibrate` writes it: `holdout … interval 18 %;`"
            message = f"the calibration of `{device.name}` states no `interval`, so predictions have none"
            context.report.add("info", "HW0708", head, message, help)
    for span, message, help in _without_effect(calibration, lines):
        context.report.add("warning", "HW0513", span, message, help)


def _lacking(device: Device, calibration: Calibration, head: Span, context: Context) -> None:
    """HW0706 of a device with a table of its own; one of `supports all` has every operator there is."""
    if any(block.everything for block in device.supports):
        return
    known = {name for rate in calibration.rates for name in rate.operators}
    names = (f"{rule.domain}::{rule.operator}" if rule.domain else rule.operator for block in device.supports for rule in block.rules)
    lacking = [name for name in dict.fromkeys(names) if name not in known and name not in FREE]
    if lacking:
        more = f" and {len(lacking) - MOST_NAMED} more" if len(lacking) > MOST_NAMED else ""
        message = f"no rate for {', '.join(f'`{name}`' for name in lacking[:MOST_NAMED])}{more} of `{device.name}`"
        context.report.add("info", "HW0706", head, message, "they cost what the roofline says, and count as not measured")


def _without_effect(calibration: Calibration, lines: Mapping[Origin, Written]) -> Iterable[tuple[Span, str, str]]:
    for rate in calibration.rates:
        if all(name in FREE for name in rate.operators):
            message = f"this rate has no effect: `{rate.operators[0]}` moves no bytes and costs nothing"
            yield lines[rate.origin].statement.span, message, "leave it out"
    counted = {name for rate in calibration.rates if rate.measure == "operations" for name in rate.operators}
    for block in calibration.blocks:
        span = lines[block.origin].statement.span
        if block.axis != "channels" or not _ROUNDED.intersection(block.operators):
            yield span, "this block has no effect: only `channels` of convolutions are rounded up", "leave it out"
        elif block.multiple == 1 or not counted.intersection(block.operators):
            why = "1 divides everything" if block.multiple == 1 else "no rate of its operators is in operations"
            yield span, f"this block has no effect: {why}", "leave it out"
    if calibration.holdout is not None and not calibration.rates:
        yield lines[calibration.holdout.origin].statement.span, "`holdout` has no effect: there is no rate to predict with", "leave it out"
