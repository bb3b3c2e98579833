"""`calibration @measured("…") { … }` of a device: what was measured of it, line by line.

Every number is a fact whose provenance is the block's, unless its line has a note of its own, which then is that of the whole line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ...targets.calibration import Block, Calibration, Holdout, MemoryModel, PowerModel, Rate
from ...targets.origin import Provenance
from ..text.syntax import Arg, Statement
from ..words.properties import PROPERTIES, row
from ..words.property import Property
from ..words.reader import Reader
from ..words.schema import unknown
from .context import Context
from .measured_line import Line, line_note
from .measured_memory import lower_memory
from .measured_rates import lower_blocks, lower_rate


@dataclass(slots=True)
class Lines:
    """What has been read of the block so far, and how its numbers become facts."""

    path: str
    """ "device.npu.calibration"."""
    context: Context
    noted: tuple[Provenance, str]
    """Provenance and note of the block."""
    version: str = ""
    scalars: dict[str, float] = field(default_factory=dict)
    rates: list[Rate] = field(default_factory=list)
    named: Counter[str] = field(default_factory=Counter)
    """By the first operator of a rate, how many lines begin with it."""
    blocks: list[Block] = field(default_factory=list)
    rounded: set[tuple[str, str]] = field(default_factory=set)
    """(operator, axis) of the blocks."""
    holdout: Holdout | None = None
    memory: MemoryModel | None = None
    power: PowerModel | None = None


def lower_calibration(statement: Statement, device: str, context: Context) -> Calibration | None:
    """The calibration; None where it has no block."""
    notes = line_note(statement, context)
    Reader(statement, context.report, tuple(arg for arg in statement.args if arg.kind != "provenance")).end()
    if statement.where is not None:
        context.report.error("HW0001", statement.where.span, "`calibration` takes no condition", "each `rate` may have one")
    if statement.body is None:
        context.report.error("HW0001", statement.head.span, "`calibration` needs a block, as in `calibration { rate Conv 65 GFLOPS; }`")
        return None
    lines = Lines(f"device.{device}.calibration", context, notes or ("stated", ""))
    context.spans[lines.path] = statement.head.span
    for item in statement.body:
        if not isinstance(item, Statement):
            context.report.error("HW0101", item.span, "a `rule` must be outside the target")
        elif (found := row("calibration", item.head.text)) is None:
            unknown(item, "calibration", f"the calibration of `{device}`", context.report)
        else:
            _statement(item, found, lines)
    return Calibration(
        note=lines.noted[1],
        version=lines.version,
        launch=lines.scalars.get("launch"),
        dispatch=lines.scalars.get("dispatch"),
        weights_bandwidth=lines.scalars.get("weights"),
        weights_beyond=lines.scalars.get("beyond", 0.0),
        activations_bandwidth=lines.scalars.get("activations"),
        blocks=tuple(lines.blocks),
        rates=tuple(lines.rates),
        holdout=lines.holdout,
        memory=lines.memory,
        power=lines.power,
        origin=statement.head.span.origin,
    )


def _statement(item: Statement, found: Property, lines: Lines) -> None:
    context, name = lines.context, item.head.text
    args: tuple[Arg, ...] = tuple(arg for arg in item.args if arg.kind != "provenance")
    reader = Reader(item, context.report, args)
    line = Line(item, found, reader, context, lines.path, line_note(item, context) or lines.noted)
    _READERS[name](line, lines)
    reader.end()
    if item.body is not None:
        context.report.error("HW0001", item.head.span, f"`{name}` takes no block")
    if item.where is not None and name != "rate":
        context.report.error("HW0001", item.where.span, f"`{name}` takes no condition", "only `rate` takes one")
    if item.otherwise is not None:
        context.report.error("HW0001", item.span, "the condition of a `rate` takes no `else`")


def _version(line: Line, lines: Lines) -> None:
    text = line.reader.take("string", 'a runtime and its version in quotes: `version "onnxruntime 1.32.0";`')
    lines.version = text.text if text else ""


def _scalar(line: Line, lines: Lines) -> None:
    """`launch 1 us;`, `dispatch 5 us;`, `activations 80 GB/s;`"""
    value = line.number(line.row.number())
    lines.scalars |= {line.statement.head.text: value} if value is not None else {}


def _weights(line: Line, lines: Lines) -> None:
    """`weights 23 GB/s;` or `weights 23 GB/s beyond 24 MiB;`"""
    _scalar(line, lines)
    if not line.reader.failed and line.reader.take_word_if("beyond"):
        value = line.number(line.row.number("beyond"), "weights.beyond")
        lines.scalars |= {"beyond": value} if value is not None else {}


def _holdout(line: Line, lines: Lines) -> None:
    """`holdout 82 % within 15 %, median 5 %, interval 18 %, models 41;`"""
    within: list[tuple[float, float]] = []
    figures: dict[str, float] = {}
    line.path += ".holdout"
    while True:
        arg = line.reader.peek()
        if arg is not None and arg.kind == "number":
            share = line.number(line.row.number(), f"share.{len(within) + 1}")
            if share is None or line.reader.take_word_if("within") is None:
                line.reader.fail("`within` and an error, as in `82 % within 15 %`")
                return
            error = line.number(line.row.number("within"), f"within.{len(within) + 1}")
            within += [(share, error)] if error is not None else []
        elif not _figure(line, figures):
            return
        if not line.reader.take_sign(","):
            break
    models = figures.get("models")
    lines.holdout = Holdout(
        within=tuple(within),
        median=figures.get("median"),
        interval=figures.get("interval"),
        models=None if models is None else int(models),
        origin=line.statement.head.span.origin,
    )


def _figure(line: Line, figures: dict[str, float]) -> bool:
    """`median 5 %` into `figures`; False if it was wrong, and reported."""
    known = tuple(word for word in line.row.words if word != "within")
    word = line.reader.take_choice(known, "a figure of `holdout`")
    if word is None or not line.once(word, figures):
        return False
    number = line.row.number(word.text)
    value = line.whole(number) if word.text == "models" else line.number(number)
    figures |= {word.text: value} if value is not None else {}
    return value is not None


def _parts(line: Line) -> dict[str, float] | None:
    """Every `word number` of a statement that needs all of them: `full 27 W, exponent 0.83`."""
    found: dict[str, float] = {}
    line.path += f".{line.statement.head.text}"
    while word := line.reader.take_choice(line.row.words, line.row.choice):
        value = line.number(line.row.number(word.text)) if line.once(word, found) else None
        if value is None:
            return None
        found[word.text] = value
        if not line.reader.take_sign(","):
            break
    line.needs(line.row.words, found)
    return None if line.reader.failed else found


def _memory(line: Line, lines: Lines) -> None:
    lines.memory = lower_memory(line) or lines.memory


def _power(line: Line, lines: Lines) -> None:
    found = _parts(line)
    if found is not None:
        lines.power = PowerModel(**found, origin=line.statement.head.span.origin)


def _rate(line: Line, lines: Lines) -> None:
    lines.rates += lower_rate(line, lines.named)


def _block(line: Line, lines: Lines) -> None:
    lines.blocks += lower_blocks(line, lines.rounded)


_READERS: Mapping[str, Callable[[Line, Lines], None]] = {
    "version": _version, "holdout": _holdout, "launch": _scalar, "dispatch": _scalar, "weights": _weights,
    "activations": _scalar, "block": _block, "rate": _rate, "memory": _memory, "power": _power,
}  # fmt: skip
assert set(_READERS) == set(PROPERTIES["calibration"])
