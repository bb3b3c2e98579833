"""`limits { latency <= 12 ms; … }`: what a plan must keep."""

from __future__ import annotations

from typing import Literal

from ...targets.model import Limit
from ..text.syntax import Statement
from ..words.reader import Reader
from ..words.schema import unknown
from .context import Context
from .parts import binary_unit, statements

LIMITS: dict[str, tuple[str, tuple[str, ...]]] = {
    # kind: dimension, words that may stand before the comparison ("" for none)
    "latency": ("time", ("",)),
    "memory": ("size", ("peak",)),
    "power": ("power", ("avg", "peak")),
    "package": ("size", ("size",)),
    "accuracy": ("plain number", ("cosine",)),
    "error": ("plain number", ("abs", "rel")),
    "partitions": ("plain number", ()),
}


def lower_limits(statement: Statement, context: Context) -> tuple[Limit, ...]:
    """`limits { latency <= 12 ms; memory peak <= 250 MiB; partitions npu <= 4; … }`"""
    limits = [_limit(item, context) for item in statements(statement, context)]
    return tuple(limit for limit in limits if limit is not None)


def _limit(item: Statement, context: Context) -> Limit | None:
    kind = item.head.text
    if kind not in LIMITS:
        unknown(item, "limits", "`limits`", context.report)
        return None
    dimension, subjects = LIMITS[kind]
    reader = Reader(item, context.report)
    subject = ""
    if kind == "partitions":
        word = reader.take_choice(context.devices, "a device", "HW0202") if not context.report.broken else reader.take("word", "a device")
        subject = word.text if word else ""
    elif len(subjects) == 1 and subjects[0] and (sign := reader.peek()) is not None and sign.kind == "sign":
        reader.fail(f"`{subjects[0]}`", f"write `{kind} {subjects[0]} {sign.text} …`")
        return None
    elif subjects != ("",):
        word = reader.take_choice(subjects, f"a kind of `{kind}` limit ({', '.join(subjects)})")
        subject = word.text if word else ""
    comparison = reader.take_sign("<=", ">=", "<", ">")
    if comparison is None:
        reader.fail("a comparison, as in `latency <= 12 ms`")
        return None
    quantity = reader.take_number(dimension, zero=kind in ("partitions", "error"))
    if dimension == "size":
        binary_unit(quantity, context)
    reader.end()
    wanted = ">=" if kind == "accuracy" else "<="
    if comparison[0] != wanted[0]:
        context.report.error("HW0001", item.span, f"a limit on `{kind}` is written with `{wanted}`")
        return None
    if quantity is None or reader.failed:
        return None
    if kind == "accuracy" and quantity.value > 1:
        help = f"a cosine is at most 1: write `accuracy cosine >= {_share(quantity.value)}`"
        context.report.error("HW0108", quantity.span, f"`{quantity.text}` can never be reached", help)
        return None
    return Limit(
        kind=kind, subject=subject, comparison=_sign(comparison), value=quantity.value, text=quantity.text, origin=item.head.span.origin
    )


def _share(value: float) -> str:
    """What was probably meant: 99 read as per cent, else a usual limit."""
    return f"{value / 100:g}" if value <= 100 else "0.999"


def _sign(text: str) -> Literal["<=", ">=", "<", ">"]:
    match text:
        case "<=" | ">=" | "<" | ">":
            return text
    raise ValueError(text)
