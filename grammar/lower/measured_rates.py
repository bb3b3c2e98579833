"""`rate …;` and `block …;` of a calibration: which operators, how fast, under which condition, and what of it was measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ...targets.calibration import Block, Measure, Range, Rate
from ...targets.formula import Expression
from ..text.diagnostics import Span
from ..text.syntax import Arg
from ..words.calibration_properties import AXES
from ..words.property import NumberField
from ..words.reader import Quantity, exactly
from ..words.units import BYTES, COUNTS, ELEMENT_RATES, ELEMENTS, OPERATIONS, RATES, units_of
from .measured_line import MOST_COUNTED, Line
from .operators import about_all, check_operator, operator_condition

_COUNTED: Mapping[Measure, Mapping[str, float]] = {"operations": COUNTS, "elements": ELEMENTS, "bytes": BYTES}
_A_SECOND: Mapping[Measure, Mapping[str, float]] = {"operations": OPERATIONS, "elements": ELEMENT_RATES, "bytes": RATES}


def lower_rate(line: Line, named: Counter[str]) -> list[Rate]:
    """The rate; [] if something in it was wrong, and reported. `named`: how many lines before begin with an operator."""
    operators = _operators(line)
    if not operators:
        return []
    name = operators[0].text.removeprefix("ai.onnx::")
    named[name] += 1
    line.path += f".rate.{name}{f'.{named[name]}' if named[name] > 1 else ''}"
    before = len(line.context.report.found)
    quantity = line.quantity(line.row.number())
    if quantity is None:
        return []
    measure = _measure(quantity.unit, _A_SECOND)
    line.keep(quantity, "value")
    found = _measured(line, measure)
    where, fits = _condition(line, operators)
    if found is None or not fits or any(one.severity == "error" for one in line.context.report.found[before:]):
        return []
    return [
        Rate(
            operators=_names(operators),
            value=quantity.value,
            measure=measure,
            where=where,
            origin=line.statement.head.span.origin,
            **found,
        )
    ]


def _operators(line: Line) -> list[Arg]:
    """`Gelu, com.microsoft::BiasGelu`; [] if one was wrong, and reported."""
    found: list[Arg] = []
    fine = True
    while name := line.reader.take("word", "an operator"):
        fine = check_operator(name, line.context, in_range=False) and fine  # one line serves operators of many opsets
        found.append(name)
        if not line.reader.take_sign(","):
            break
    line.reader.failed = line.reader.failed or not fine
    return [] if line.reader.failed else found


def _names(operators: Sequence[Arg]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(operator.text.removeprefix("ai.onnx::") for operator in operators))


def _measure(unit: str, units: Mapping[Measure, Mapping[str, float]]) -> Measure:
    return next(measure for measure, known in units.items() if unit in known)


def _condition(line: Line, operators: Sequence[Arg]) -> tuple[Expression | None, bool]:
    """(the condition, whether every operator of the line has what it asks about)"""
    before = len(line.context.report.found)
    found = [operator_condition(line.statement, name, line.context) for name in operators]
    if len(operators) > 1 and not all(fits for fits, _ in found):
        about_all(before, line.context)
    return found[0][1], all(fits for fits, _ in found)


# --- seen 0.01..29 MOP inner 9..9 n 231 within 22 %


def _measured(line: Line, measure: Measure) -> dict[str, Any] | None:
    """The fields of a Rate that say what was measured; None if something was wrong, and reported."""
    found: dict[str, Any] = {"seen": None, "inner": None, "kinds": None, "samples": None, "spread": None}
    stated: set[str] = set()
    while line.reader.peek() is not None:
        word = line.reader.take_choice(line.row.words, line.row.choice)
        if word is None or not line.once(word, stated):
            return None
        stated.add(word.text)
        if word.text == "of":
            found["kinds"] = _kinds(line)
            if found["kinds"] is None:
                return None
            continue
        number = line.row.number(word.text)
        match word.text:
            case "seen" | "inner":
                found[number.field] = _range(line, number, measure)
            case "n":
                found[number.field] = line.whole(number)
            case _:
                found[number.field] = line.number(number)
        if found[number.field] is None:
            return None
    return found


def _kinds(line: Line) -> tuple[str, ...] | None:
    """`"Conv 2-D, Conv 2-D dilated"`: kinds of operators, in quotes."""
    text = line.reader.take("string", 'kinds of operators in quotes, as in `of "Conv 2-D, Conv 2-D dilated"`')
    return None if text is None else tuple(dict.fromkeys(filter(None, (kind.strip() for kind in text.text.split(",")))))


def _range(line: Line, number: NumberField, measure: Measure) -> Range | None:
    """`0.01..29 MOP`, `..29 MOP` or `8..576`; the unit is that of both."""
    first = line.reader.peek()
    low = line.reader.take("number", _RANGE[number.field]) if line.reader.take_sign("..") is None else None
    if line.reader.failed or (low is not None and line.reader.take_sign("..") is None):
        line.reader.fail(_RANGE[number.field])
        return None
    high = line.quantity(number)
    if high is None or first is None:
        return None
    span = first.span.to(high.span)
    if number.field == "seen" and _measure(high.unit, _COUNTED) != measure:
        _other_measure(line, high, measure)
        return None
    scale = units_of(number.dimension).get(high.unit, 1.0)
    least = exactly(low.text, scale) if low is not None else 0.0
    if least > high.value or (number.field == "inner" and not _extents(least, high.value)):
        _no_range(line, span, number)
        return None
    if low is not None:
        text = f"{low.text} {high.unit}".strip()
        line.keep(Quantity(least, text, high.unit, "stated", "", low.span), f"{number.field}.low")
    line.keep(high, f"{number.field}.high")
    return Range(least, high.value)


_RANGE = {"seen": "a range of work, as in `seen 0.01..29 MOP` or `seen ..29 MOP`", "inner": "a range of extents, as in `inner 8..576`"}


def _extents(low: float, high: float) -> bool:
    return low == int(low) and high == int(high) and high <= MOST_COUNTED


def _no_range(line: Line, span: Span, number: NumberField) -> None:
    line.reader.failed = True
    help = "the smaller number comes first" + (", and extents are whole numbers" if number.field == "inner" else "")
    line.context.report.error("HW0108", span, f"`{span.text}` is not a valid range for `{number.word}`", help)


def _other_measure(line: Line, high: Quantity, measure: Measure) -> None:
    line.reader.failed = True
    counted = _measure(high.unit, _COUNTED)
    help = f"write for example `{_EXAMPLES[measure]}`"
    message = f"`{high.unit}` counts {counted}, and the rate of this line is of {measure}"
    line.context.report.error("HW0106", high.span, message, help)


_EXAMPLES: Mapping[Measure, str] = {"operations": "seen 0.01..29 MOP", "elements": "seen 10..2400 kE", "bytes": "seen 0.1..4300 kB"}


# --- block Conv channels 16


def lower_blocks(line: Line, rounded: set[tuple[str, str]]) -> list[Block]:
    """The block, of the operators that no earlier line gives one on that axis; [] if nothing is left or something was wrong.

    `rounded`: those (operator, axis), to which the line adds its own."""
    operators = _operators(line)
    axis = line.reader.take_choice(AXES, line.row.choice) if operators else None
    if axis is None:
        return []
    line.path += f".block.{operators[0].text.removeprefix('ai.onnx::')}"
    multiple = line.whole(line.row.number(axis.text))
    if multiple is None:
        return []
    names = tuple(name for name in _names(operators) if (name, axis.text) not in rounded)
    rounded.update((name, axis.text) for name in names)
    known = next(one for one in AXES if one == axis.text)
    return [Block(operators=names, axis=known, multiple=multiple, origin=line.statement.head.span.origin)] if names else []
