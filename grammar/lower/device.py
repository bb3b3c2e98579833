"""`device npu : ane { … }`: numbers, limits of shape, power, operator tables."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...targets.calibration import Calibration
from ...targets.dtypes import DTYPES
from ...targets.environment import AXES
from ...targets.model import Device, KernelChain, OperatorRule, Peak, RewriteLine, Runtime, SupportBlock
from ...targets.precision import NO_PRECISION, Precision, WeightFormat
from ..text.syntax import Statement
from ..words.properties import PROPERTIES, row
from ..words.property import Property
from ..words.reader import Reader
from ..words.schema import unknown
from .calibration import lower_calibration
from .context import Context
from .numbers import completed, read_numbers, report_missing
from .operators import lower_deny, lower_kernel, lower_supports
from .precision import lower_precision
from .rewrite import check_rewrites, lower_rewrite
from .runtime import lower_runtime
from .weights import lower_weights

LETTERS = tuple(AXES[5])


@dataclass(slots=True)
class _Parts:
    """What has been read of a device so far."""

    runtime: Runtime | None = None
    peaks: list[Peak] = field(default_factory=list)
    numbers: dict[str, float] = field(default_factory=dict)
    max_rank: int | None = None
    max_dims: dict[str, int] = field(default_factory=dict)
    static_shapes: bool = False
    layout: str = "nchw"
    supports: list[SupportBlock] = field(default_factory=list)
    denies: list[OperatorRule] = field(default_factory=list)
    kernels: list[KernelChain] = field(default_factory=list)
    rewrites: list[RewriteLine] = field(default_factory=list)
    calibration: Calibration | None = None
    precision: Precision = NO_PRECISION
    weights: list[WeightFormat] = field(default_factory=list)


def lower_device(statement: Statement, context: Context) -> Device | None:
    """The device; None where something it must have is missing or wrong, and reported."""
    reader = Reader(statement, context.report)
    name = reader.take("word", "a name")
    kind = reader.take("word", "a kind after `:`") if reader.take_sign(":") else None
    reader.end()
    if name is None:
        return None
    if reader.failed:
        context.report.assumed.update(
            name for name, row in PROPERTIES["device"].items() if row.required
        )  # it may not have been meant for a device
    if statement.body is None:
        context.report.error("HW0001", name.span, f"device `{name.text}` needs a block")
        return None
    parts = _Parts()
    before = len(context.report.found)
    for item in statement.body:
        if isinstance(item, Statement):
            _property(item, name.text, parts, context)
        else:
            context.report.error("HW0101", item.span, "a `rule` must be outside the target")
    device = _build(statement, name.text, kind.text if kind else name.text, parts, context)
    if device is not None:
        lines = [item for item in statement.body if isinstance(item, Statement) and item.head.text == "rewrite"]
        whole = not any(found.severity == "error" for found in context.report.found[before:])
        check_rewrites(device, lines, context, whole)
    return device


def check_table(name: str, statement: Statement, context: Context) -> None:
    """Reports the mistakes in a table that no device inherits; the others are checked where they are inherited."""
    parts = _Parts()
    for item in statement.body or ():
        if isinstance(item, Statement):
            _property(item, name, parts, context)


def _build(statement: Statement, name: str, kind: str, parts: _Parts, context: Context) -> Device | None:
    span = statement.args[0].span
    report_missing("device", f"device `{name}`", statement.body, span, context)
    fields = completed("device", parts.numbers)
    if fields is None or not parts.peaks or not parts.supports:
        return None
    return Device(
        name=name,
        kind=kind,
        runtime=parts.runtime or Runtime(adapter="none", words=()),
        peaks=tuple(parts.peaks),
        max_rank=parts.max_rank,
        max_dims=tuple(parts.max_dims.items()),
        static_shapes=parts.static_shapes,
        layout=parts.layout,
        supports=tuple(parts.supports),
        denies=tuple(parts.denies),
        kernels=tuple(parts.kernels),
        rewrites=tuple(parts.rewrites),
        calibration=parts.calibration,
        precision=parts.precision,
        weights=tuple(parts.weights),
        origin=span.origin,
        **fields,
    )


def _property(item: Statement, device: str, parts: _Parts, context: Context) -> None:
    """One statement of a device into `parts`."""
    found = row("device", item.head.text)
    if found is None:
        unknown(item, "device", f"device `{device}`", context.report)
        return
    match item.head.text:
        case "runtime":
            parts.runtime = lower_runtime(item, context)
            _block_free(item, context)
        case "supports":
            block = lower_supports(item, context, (device,))
            parts.supports += [block] if block else []
        case "deny":
            parts.denies += lower_deny(item, context)
        case "kernel":
            parts.kernels += lower_kernel(item, context)
        case "rewrite":
            line = lower_rewrite(item, context)
            parts.rewrites += [line] if line else []
        case "calibration":
            parts.calibration = lower_calibration(item, device, context)
        case "precision":
            parts.precision = lower_precision(item, context, device)
        case "weights":
            stored = lower_weights(item, found, context)
            parts.weights += [stored] if stored else []
        case _:
            _plain(item, found, f"device.{device}", parts, context)


def _plain(item: Statement, found: Property, path: str, parts: _Parts, context: Context) -> None:
    """A property that has neither a block nor a condition."""
    reader = Reader(item, context.report)
    match item.head.text:
        case "peak":
            _peak(reader, found, path, parts, context)
        case "max":
            _largest(reader, found, parts, context)
        case "static_shapes":
            answer = reader.take_choice(found.words, found.choice)
            parts.static_shapes = answer is not None and answer.text == "yes"
        case "layout":
            order = reader.take_choice(found.words, found.choice)
            parts.layout = order.text if order is not None else parts.layout
        case _ if found.numbers:
            parts.numbers |= read_numbers(reader, found, path, context)
    reader.end()
    _block_free(item, context)


def _block_free(item: Statement, context: Context) -> None:
    if item.body is not None:
        context.report.error("HW0001", item.head.span, f"`{item.head.text}` takes no block")
    if item.where is not None:
        context.report.error("HW0001", item.where.span, f"`{item.head.text}` takes no condition")


def _peak(reader: Reader, found: Property, path: str, parts: _Parts, context: Context) -> None:
    arg = reader.peek()
    if arg is not None and arg.kind == "number":
        reader.failed = True
        help = "write for example `peak fp16 17 TOPS`"
        context.report.error("HW0110", arg.span, "`peak` needs a dtype before its rate", help)
        return
    dtype = reader.take_choice(DTYPES, "a dtype", "HW0306")
    if dtype is None:
        return
    value = context.fact(f"{path}.peak.{dtype.text}", reader.take_number(found.dimension))
    if value is not None:
        parts.peaks.append(Peak(dtype=dtype.text, rate=value))


def _largest(reader: Reader, found: Property, parts: _Parts, context: Context) -> None:
    """`max rank 5` or `max dim N 65536, C 65536`; one source will do for all extents."""
    what = reader.take_choice(found.words, found.choice)
    if what is None:
        return
    sources: list[str] = []
    if what.text == "rank":
        quantity = reader.take_number(found.dimension)
        if quantity and _whole(quantity.value, reader, context):
            parts.max_rank = int(quantity.value)
            sources.append(quantity.provenance)
    while what.text != "rank":
        letter = reader.take_choice(LETTERS, "an axis")
        quantity = reader.take_number(found.dimension) if letter else None
        if letter is None or quantity is None:
            return
        if _whole(quantity.value, reader, context):
            parts.max_dims[letter.text] = int(quantity.value)
            sources.append(quantity.provenance)
        if not reader.take_sign(","):
            break
    if sources and set(sources) == {"stated"} and not context.in_table(what.span):
        context.unsourced.append((f"max {what.text}", reader.statement.span))


def _whole(value: float, reader: Reader, context: Context) -> bool:
    if value == int(value):
        return True
    context.report.error("HW0108", reader.statement.head.span, f"`{reader.statement.head.text}` must be a whole number, not {value:g}")
    return False
