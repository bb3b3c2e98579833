"""Conditions written from values: an operator of exactly these shapes and attributes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .formula import Attribute, Binary, Call, Expression, Listing, Name, Number, Text


def exact_condition(shapes: Iterable[tuple[str, Sequence[int]]], attributes: Iterable[tuple[str, object]]) -> Expression | None:
    """Holds for operators whose operands (by schema name) have these shapes and whose attributes these values; an attribute whose value
    cannot be written as a condition (floats, tensors, graphs) is left out. None where nothing is left."""
    parts: list[Expression] = [Binary("==", Call("shape", (Name(name),)), Listing(tuple(map(number, shape)))) for name, shape in shapes]
    parts += [Binary("==", Attribute(name), value) for name, given in attributes if (value := literal(given)) is not None]
    return conjunction(parts)


def conjunction(parts: Iterable[Expression]) -> Expression | None:
    """All of them; None for none."""
    whole: Expression | None = None
    for part in parts:
        whole = part if whole is None else Binary("and", whole, part)
    return whole


def literal(value: Any) -> Expression | None:
    """An attribute's value as a condition spells it; None for what it cannot."""
    match value:
        case str():
            return Text(value)
        case int() | float():
            return number(value)
        case [*items] if items and all(isinstance(item, int) for item in items):
            return Listing(tuple(number(item) for item in items))
    return None


def number(value: float) -> Number:
    return Number(value, f"{value:g}" if isinstance(value, float) else str(value))
