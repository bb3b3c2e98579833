"""Numbers of a block as their rows describe them: read, kept by field, filled in where the file states none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..text.diagnostics import Span
from ..text.syntax import Item, Statement
from ..words.properties import PROPERTIES
from ..words.property import NumberField, Property
from ..words.reader import Quantity, Reader
from ..words.units import DECIMAL_BYTES, written
from .context import Context


def read_numbers(reader: Reader, row: Property, path: str, context: Context) -> dict[str, float]:
    """`dispatch 150 us`, `align row 64 B` or `power active 2 W, idle 0.1 W` by field, in SI; what was wrong is reported and left out.

    `path` is that of the block: "device.npu"."""
    found: dict[str, float] = {}
    while True:
        word = reader.take_choice(row.words, row.choice) if row.words else None
        if row.words and word is None:
            return found
        found |= read_number(reader, row, row.number(word.text if word else ""), path, context)
        if len(row.words) < 2 or not reader.take_sign(","):
            return found


def read_number(reader: Reader, row: Property, number: NumberField, path: str, context: Context) -> dict[str, float]:
    """The number that comes next, by its field; {} if it was wrong, and reported."""
    dimension = number.dimension or row.dimension
    quantity = reader.take_number(dimension, number.zero, negative=number.negative)
    if path.startswith("memory."):
        binary_unit(quantity, context)
    value = context.fact(f"{path}.{number.field}", quantity)
    if value is None:
        return {}
    if value > number.most:
        head = reader.statement.head
        context.report.error("HW0108", head.span, f"`{head.text}` is at most {written(number.most, dimension)}")
    return {number.field: value}


def binary_unit(quantity: Quantity | None, context: Context) -> None:
    """HW0107: a decimal unit on a memory; vendors write GB and mean GiB."""
    if quantity is None or quantity.unit not in DECIMAL_BYTES:
        return
    binary = quantity.unit[0].upper() + "iB"
    scale = 1024.0 ** (" KMGT".index(binary[0])) if binary[0] in "KMGT" else 1.0
    number = float(quantity.text.split()[0])
    message = f"`{quantity.text}` is {int(quantity.value):,} bytes; {number:g} {binary} would be {int(number * scale):,}"
    help = f"memory sizes are usually binary: write `{number:g} {binary}` if that is what you mean"
    context.report.add("warning", "HW0107", quantity.span, message, help)


def completed(block: str, numbers: Mapping[str, float]) -> dict[str, Any] | None:
    """Every number field of the block's record, defaults filled in and sizes as whole bytes; None if a required one is missing.

    Statements of a form of their own (a `peak` for each dtype) are left to their reader."""
    found: dict[str, Any] = {}
    for row in PROPERTIES[block].values():
        for number in () if row.keyed else row.numbers:
            if row.required and number.field not in numbers:
                return None
            value = numbers.get(number.field, number.default)
            value = found[value] if isinstance(value, str) else value
            found[number.field] = int(value) if value is not None and row.dimension == "size" else value
    return found


def report_missing(block: str, subject: str, body: tuple[Item, ...] | None, span: Span, context: Context) -> None:
    """HW0104 for every required statement that a block lacks. `subject`: "device `npu`"."""
    heads = {item.head.text for item in body or () if isinstance(item, Statement)}
    for name, row in PROPERTIES[block].items():
        if row.required and name not in heads:
            context.report.missing(span, f"{subject} has no `{name}`", row.required, name)
