"""`--sweep npu.dispatch=20us..200us`: the values of a number from one end to the other."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal

from ...grammar.words.reader import exactly
from ...grammar.words.units import DIMENSIONS
from ..errors import UsageError
from .find_number import find_number
from .number import Number
from .setting import Machine, Setting, applied, quantity_text

STEPS, MOST = 10, 10_000
"""Values of a sweep by default, and of all sweeps together at most."""
GEOMETRIC = 10.0
"""Ends that are further apart than so many times are filled evenly on a logarithmic scale."""
DIGITS = 6
"""Significant digits of a value between the ends."""
FORM = re.compile(r"(?P<low>.+?)\.\.(?P<high>[^:]+?)(?:\s*:\s*(?P<count>\S+)|\s+step\s+(?P<step>.+))?\s*")
EXAMPLE = "for example --sweep npu.dispatch=20us..200us, 20us..200us:19 or '20us..200us step 20us'"


@dataclass(frozen=True, slots=True)
class Axis:
    """The values of one number, smallest first."""

    path: str
    dimension: str
    texts: tuple[str, ...]
    """With their unit: "20 us", "40 us" …"""
    values: tuple[float, ...]
    """SI."""
    geometric: bool
    """Whether they are apart by a factor rather than a difference."""
    option: str
    """As it was given."""
    unit: str = ""
    whole: bool = False
    halves: bool = True
    """Whether there are values between two of them."""

    def setting(self, text: str) -> Setting:
        return Setting(self.path, text, self.option)

    def middle(self, low: float, high: float) -> tuple[float, str] | None:
        """A value between two, and its text; None where there is none that differs from both."""
        if not self.halves:
            return None
        text = _text(math.sqrt(low * high) if self.geometric else (low + high) / 2, self.unit, self.dimension, self.whole)
        value = si_value(text, self.dimension)
        return (value, text) if low < value < high else None


def read_axis(given: str, machine: Machine) -> Axis:
    """PATH=A..B[:STEPS] or `PATH=A..B step C`. Raises UsageError for another form, for ends that the language refuses or between which
    nothing lies, and for too many values."""
    option = f"--sweep {given}"
    word, sign, spread = given.partition("=")
    if not sign or not word.strip():
        raise UsageError("a sweep is PATH=A..B, PATH=A..B:STEPS or 'PATH=A..B step C'", where=option, help=EXAMPLE)
    number = find_number(word.strip(), machine.numbers, option, machine.target.name)
    found = FORM.fullmatch(spread)
    if found is None:
        raise UsageError(f"'{spread}' is not a valid range", where=option, help=EXAMPLE)
    low, high = quantity_text(found["low"], option), quantity_text(found["high"], option)
    if " " in high and " " not in low:  # 20..200us
        low = f"{low} {high.rpartition(' ')[2]}"
    for end in (low, high):
        applied(machine, [Setting(number.path, end, option)])
    first, last = si_value(low, number.dimension), si_value(high, number.dimension)
    if first >= last:
        raise UsageError(f"from {low} to {high} there is nothing: the second end is to be the larger one", where=option)
    return _axis(number, low, high, found["count"], found["step"], option)


def check_size(axes: Sequence[Axis]) -> None:
    """Raises UsageError for one number on two axes, or more points than may be asked for."""
    if len({axis.path for axis in axes}) < len(axes):
        raise UsageError(f"'{axes[0].path}' is swept twice", where=axes[-1].option, help="two sweeps are a grid of two numbers")
    points = math.prod(len(axis.texts) for axis in axes)
    if points > MOST:
        raise UsageError(f"{points:,} points; at most {MOST:,} in one command", where=" ".join(axis.option for axis in axes))


def _axis(number: Number, low: str, high: str, count: str | None, step: str | None, option: str) -> Axis:
    first, last = si_value(low, number.dimension), si_value(high, number.dimension)
    unit = low.rpartition(" ")[2] if " " in low else ""
    geometric = step is None and first > 0 and last / first > GEOMETRIC * (1 + 1e-9)
    if number.doubling:
        between, geometric = list(_doubled(first, last)), True
    elif step is not None:
        between = list(_stepped(first, last, _step(step, unit, number.dimension, option), option))
    else:
        between = _even(first, last, _count(count, option), geometric)
    whole = number.whole
    texts = (low, *(_text(value, unit, number.dimension, whole) for value in between), high)
    values = dict.fromkeys(si_value(text, number.dimension) for text in texts)
    kept = dict(zip((si_value(text, number.dimension) for text in texts), texts, strict=True))
    return Axis(
        number.path, number.dimension, tuple(kept[value] for value in values), tuple(values), geometric, option, unit, whole,
        not number.doubling,
    )  # fmt: skip


def _count(count: str | None, option: str) -> int:
    if count is None:
        return STEPS
    if not count.isdecimal() or len(count) > 12 or int(count) < 2:
        raise UsageError(f"'{count}' is no number of values: a whole number from 2", where=option, help=EXAMPLE)
    if int(count) > MOST:
        raise UsageError(f"{int(count):,} values; at most {MOST:,} in one command", where=option)
    return int(count)


def _step(step: str, unit: str, dimension: str, option: str) -> float:
    text = quantity_text(step, option)
    known = DIMENSIONS[dimension]
    own = text.rpartition(" ")[2] if " " in text else unit
    if known and own not in known:
        raise UsageError(f"'{step.strip()}' is no step: it needs a unit of {dimension}", where=option, help=EXAMPLE)
    value = exactly(text.split()[0], known.get(own, 1.0))
    if not 0 < value < math.inf:
        raise UsageError(f"'{step.strip()}' is no step: more than 0", where=option, help=EXAMPLE)
    return value


def _stepped(first: float, last: float, step: float, option: str) -> Iterator[float]:
    count = (last - first) / step
    if count > MOST:
        raise UsageError(f"{count:,.0f} values; at most {MOST:,} in one command", where=option)
    yield from (first + k * step for k in range(1, math.ceil(count - 1e-9)))


def _even(first: float, last: float, count: int, geometric: bool) -> list[float]:
    """The values between the ends."""
    shares = [k / (count - 1) for k in range(1, count - 1)]
    return [first * (last / first) ** share if geometric else first + share * (last - first) for share in shares]


def _doubled(first: float, last: float) -> Iterator[float]:
    while (first := first * 2) < last:
        yield first


def _text(value: float, unit: str, dimension: str, whole: bool) -> str:
    """The value in the unit, in few digits; in whole bytes (or segments) where only those mean something."""
    scale = DIMENSIONS[dimension].get(unit, 1.0)
    if whole and dimension != "size":
        return f"{round(value)}"
    number = Context(prec=DIGITS).plus(Decimal(repr(value)) / Decimal(repr(scale))).normalize()
    return f"{number:f} {unit}".strip()


def si_value(text: str, dimension: str) -> float:
    """Of a number and a unit of that dimension."""
    number, _, unit = text.partition(" ")
    return exactly(number, DIMENSIONS[dimension].get(unit, 1.0))
