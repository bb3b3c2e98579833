"""`limits { latency <= 12 ms; … }`: what a plan must keep."""

from __future__ import annotations

from typing import Literal

from ...targets.model import Limit
from ..text.syntax import Statement
from ..words.properties import row
from ..words.property import Property
from ..words.reader import Reader
from ..words.schema import unknown
from .context import Context
from .numbers import binary_unit
from .parts import statements


def lower_limits(statement: Statement, context: Context) -> tuple[Limit, ...]:
    """`limits { latency <= 12 ms; memory peak <= 250 MiB; partitions npu <= 4; … }`"""
    limits = [_limit(item, context) for item in statements(statement, context)]
    return tuple(limit for limit in limits if limit is not None)


def _limit(item: Statement, context: Context) -> Limit | None:
    kind = item.head.text
    found = row("limits", kind)
    if found is None:
        unknown(item, "limits", "`limits`", context.report)
        return None
    reader = Reader(item, context.report)
    subject = _subject(reader, kind, found, context)
    if subject is None:
        return None
    comparison = reader.take_sign("<=", ">=", "<", ">")
    if comparison is None:
        reader.fail("a comparison, as in `latency <= 12 ms`")
        return None
    if subject == "" and found.words:
        return None
    number, sign = found.limited(subject), found.sign_of(subject)
    quantity = reader.take_number(number.dimension or found.dimension, number.zero)
    if found.dimension == "size":
        binary_unit(quantity, context)
    reader.end()
    if comparison[0] != sign[0]:
        context.report.error("HW0001", item.span, f"a limit on `{' '.join((kind, number.word)).strip()}` uses `{sign}`")
        return None
    if quantity is None or reader.failed:
        return None
    if quantity.value > number.most:
        help = "no more than all samples can change: write for example `accuracy top1 drop <= 1 %`"
        help = f"a cosine is at most 1: write `accuracy cosine >= {_share(quantity.value)}`" if subject == "cosine" else help
        context.report.error("HW0108", quantity.span, f"`{quantity.text}` can never be reached", help)
        return None
    return Limit(
        kind=kind, subject=subject, comparison=_sign(comparison), value=quantity.value, text=quantity.text, origin=item.head.span.origin
    )


def _subject(reader: Reader, kind: str, found: Property, context: Context) -> str | None:
    """The word between kind and comparison, "" if the kind has none or it was wrong and reported; None if it is missing."""
    if "device" in found.takes:
        broken = context.report.broken
        word = reader.take("word", "a device") if broken else reader.take_choice(context.devices, "a device", "HW0202")
        return word.text if word else ""
    if len(found.words) == 1 and (sign := reader.peek()) is not None and sign.kind == "sign":
        reader.fail(f"`{found.words[0]}`", f"write `{kind} {found.words[0]} {sign.text} …`")
        return None
    if not found.words:
        return ""
    first = dict(word.partition(" ")[::2] for word in found.words)
    word = reader.take_choice(first, f"a kind of `{kind}` limit ({', '.join(found.words)})")
    second = first[word.text] if word else ""
    if word and second and reader.take_word_if(second) is None:
        reader.fail(f"`{second}` after `{word.text}`", f"write `{kind} {word.text} {second} …`")
        return None
    return f"{word.text} {second}".strip() if word else ""


def _share(value: float) -> str:
    """What was probably meant: 99 read as per cent, else a usual limit."""
    return f"{value / 100:g}" if value <= 100 else "0.999"


def _sign(text: str) -> Literal["<=", ">=", "<", ">"]:
    match text:
        case "<=" | ">=" | "<" | ">":
            return text
    raise ValueError(text)
