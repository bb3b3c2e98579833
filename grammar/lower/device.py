"""`device npu : ane { … }`: numbers, limits of shape, power, operator tables."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...targets.environment import AXES
from ...targets.model import Device, KernelChain, OperatorRule, Peak, RewriteLine, Runtime, SupportBlock
from ..text.syntax import Statement
from ..words.reader import Reader
from ..words.schema import unknown
from .context import Context
from .expression import DTYPES
from .operators import lower_deny, lower_kernel, lower_supports
from .rewrite import check_rewrites, lower_rewrite
from .runtime import lower_runtime

LETTERS = tuple(AXES[5])


@dataclass(slots=True)
class _Parts:
    """What the statements of a device have said so far."""

    runtime: Runtime | None = None
    peaks: list[Peak] = field(default_factory=list)
    numbers: dict[str, float] = field(default_factory=dict)
    max_dims: dict[str, int] = field(default_factory=dict)
    static_shapes: bool = False
    supports: list[SupportBlock] = field(default_factory=list)
    denies: list[OperatorRule] = field(default_factory=list)
    kernels: list[KernelChain] = field(default_factory=list)
    rewrites: list[RewriteLine] = field(default_factory=list)


def lower_device(statement: Statement, context: Context) -> Device | None:
    """The device; None where something it must have is missing or wrong, and reported."""
    reader = Reader(statement, context.report)
    name = reader.take("word", "a name")
    kind = reader.take("word", "a kind after `:`") if reader.take_sign(":") else None
    reader.end()
    if name is None:
        return None
    if reader.failed:
        context.report.assumed.update(_REQUIRED)  # it may not have been meant for a device
    if statement.body is None:
        context.report.error("HW0001", name.span, f"device `{name.text}` needs a block")
        return None
    parts = _Parts()
    before = len(context.report.found)
    for item in statement.body:
        if isinstance(item, Statement):
            _property(item, name.text, parts, context)
        else:
            context.report.error("HW0101", item.span, "a `rule` stands outside the target")
    device = _build(statement, name.text, kind.text if kind else name.text, parts, context)
    if device is not None:
        lines = [item for item in statement.body if isinstance(item, Statement) and item.head.text == "rewrite"]
        whole = not any(found.severity == "error" for found in context.report.found[before:])
        check_rewrites(device, lines, context, whole)
    return device


def check_table(name: str, statement: Statement, context: Context) -> None:
    """Says what is wrong in a table that no device inherits; the others are checked where they are."""
    parts = _Parts()
    for item in statement.body or ():
        if isinstance(item, Statement):
            _property(item, name, parts, context)


def _build(statement: Statement, name: str, kind: str, parts: _Parts, context: Context) -> Device | None:
    heads = {item.head.text for item in statement.body or () if isinstance(item, Statement)}
    span = statement.args[0].span
    for needed, help in _REQUIRED.items():
        if needed not in heads:
            context.report.missing(span, f"device `{name}` has no `{needed}`", help, needed)
    numbers = parts.numbers
    if not {"dispatch", "launch"} <= numbers.keys() or not parts.peaks or not parts.supports:
        return None
    rank = numbers.get("max_rank")
    return Device(
        name=name,
        kind=kind,
        runtime=parts.runtime or Runtime(adapter="none", words=()),
        peaks=tuple(parts.peaks),
        sustained=numbers.get("sustained", 1.0),
        dispatch=numbers["dispatch"],
        launch=numbers["launch"],
        row_align=int(numbers.get("row_align", 1)),
        max_rank=None if rank is None else int(rank),
        max_dims=tuple(parts.max_dims.items()),
        static_shapes=parts.static_shapes,
        active_power=numbers.get("active_power"),
        idle_power=numbers.get("idle_power"),
        supports=tuple(parts.supports),
        denies=tuple(parts.denies),
        kernels=tuple(parts.kernels),
        rewrites=tuple(parts.rewrites),
        origin=span.origin,
    )


_NO_DEFAULT = "there is no silent default; write the number, or mark it `@guess`"
_REQUIRED = {
    "peak": _NO_DEFAULT,
    "dispatch": _NO_DEFAULT,
    "launch": _NO_DEFAULT,
    "supports": "list what it runs: `supports fp16 { Conv; }`, or `supports all;`",
}


def _property(item: Statement, device: str, parts: _Parts, context: Context) -> None:
    """One statement of a device into `parts`."""
    reader = Reader(item, context.report)
    path = f"device.{device}"
    match item.head.text:
        case "runtime":
            parts.runtime = lower_runtime(item, context)
            _block_free(item, context)
            return
        case "supports":
            block = lower_supports(item, context, (device,))
            parts.supports += [block] if block else []
            return
        case "deny":
            parts.denies += lower_deny(item, context)
            return
        case "kernel":
            parts.kernels += lower_kernel(item, context)
            return
        case "rewrite":
            line = lower_rewrite(item, context)
            parts.rewrites += [line] if line else []
            return
        case "peak":
            _peak(reader, path, parts, context)
        case "sustained":
            _number(reader, "share", "sustained", path, parts, context)
            if parts.numbers.get("sustained", 1.0) > 1.0:
                context.report.error("HW0108", item.head.span, "`sustained` is a share of the peak: at most 100 %")
        case "dispatch" | "launch":
            _number(reader, "time", item.head.text, path, parts, context)
        case "align":
            if reader.take_choice(("row",), "a kind of alignment"):
                _number(reader, "size", "row_align", path, parts, context)
        case "max":
            _largest(reader, path, parts, context)
        case "static_shapes":
            answer = reader.take_choice(("yes", "no"), "an answer")
            parts.static_shapes = answer is not None and answer.text == "yes"
        case "power":
            _power(reader, path, parts, context)
        case _:
            unknown(item, "device", f"device `{device}`", context.report)
            return
    _plain(item, reader, context)


def _plain(item: Statement, reader: Reader, context: Context) -> None:
    """A property that has neither a block nor a condition, read to its end."""
    reader.end()
    _block_free(item, context)


def _block_free(item: Statement, context: Context) -> None:
    if item.body is not None:
        context.report.error("HW0001", item.head.span, f"`{item.head.text}` has no block")
    if item.where is not None:
        context.report.error("HW0001", item.where.span, f"`{item.head.text}` has no condition")


def _number(reader: Reader, dimension: str, name: str, path: str, parts: _Parts, context: Context, zero: bool = False) -> None:
    value = context.fact(f"{path}.{name}", reader.take_number(dimension, zero))
    if value is not None:
        parts.numbers[name] = value


def _peak(reader: Reader, path: str, parts: _Parts, context: Context) -> None:
    arg = reader.peek()
    if arg is not None and arg.kind == "number":
        reader.failed = True
        help = "write for example `peak fp16 17 TOPS`"
        context.report.error("HW0110", arg.span, "`peak` does not say of which dtype", help)
        return
    dtype = reader.take_choice(DTYPES, "a dtype", "HW0306")
    if dtype is None:
        return
    value = context.fact(f"{path}.peak.{dtype.text}", reader.take_number("rate of operations"))
    if value is not None:
        parts.peaks.append(Peak(dtype=dtype.text, rate=value))


def _largest(reader: Reader, path: str, parts: _Parts, context: Context) -> None:
    """`max rank 5` or `max dim N 65536, C 65536`"""
    what = reader.take_choice(("rank", "dim"), "a limit")
    if what is None:
        return
    if what.text == "rank":
        quantity = reader.take_number("plain number")
        if quantity and _whole(quantity.value, reader, context):
            parts.numbers["max_rank"] = quantity.value
        return
    while True:
        letter = reader.take_choice(LETTERS, "an axis")
        quantity = reader.take_number("plain number") if letter else None
        if letter is None or quantity is None:
            return
        if _whole(quantity.value, reader, context):
            parts.max_dims[letter.text] = int(quantity.value)
        if not reader.take_sign(","):
            return


def _whole(value: float, reader: Reader, context: Context) -> bool:
    if value == int(value):
        return True
    context.report.error("HW0108", reader.statement.head.span, f"`{reader.statement.head.text}` is a whole number, not {value:g}")
    return False


def _power(reader: Reader, path: str, parts: _Parts, context: Context) -> None:
    """`power active 2 W @guess, idle 0.1 W @guess`"""
    while True:
        state = reader.take_choice(("active", "idle"), "a state")
        if state is None:
            return
        _number(reader, "power", f"{state.text}_power", path, parts, context, zero=state.text == "idle")
        if not reader.take_sign(","):
            return
