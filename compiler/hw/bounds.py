"""The numbers of a target that a plan must keep: its limits and the budgets of its memories; what each may be changed to, and how that is
written."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

from ...grammar.words.properties import PROPERTIES
from ...grammar.words.property import NumberField, Property
from ...grammar.words.reader import exactly
from ...grammar.words.units import DIMENSIONS
from ...targets.model import Limit, Target
from ..quantities import amount

UNLIMITED = 1e6
"""Times a limit, where it is tried what would be if it were not there."""
ANY_BYTES = 2.0**40
"""At least so many bytes, as a million times 1 B is less than most models hold."""
NEAR, FAR = 1e-3, 0.1
"""What a number written may be beyond what is needed: a share of it, and a share of the way there from what the target says."""
MOST_DIGITS = 17
"""No two doubles read alike with so many."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit of a target, or a memory's budget (kind "budget", and the memory's name as subject)."""

    kind: str
    subject: str
    most: bool
    """Whether the value is the most that is allowed, else the least."""
    value: float
    """SI."""

    @property
    def key(self) -> tuple[str, str]:
        """Kind and subject, which a LimitRecord has too."""
        return self.kind, self.subject

    @property
    def row(self) -> Property:
        return PROPERTIES["memory"]["budget"] if self.kind == "budget" else PROPERTIES["limits"][self.kind]

    @property
    def number(self) -> NumberField:
        return self.row.limited(self.subject)

    @property
    def unlimited(self) -> float:
        """A value that nothing breaks; what a memory holds is in its size, which stays."""
        far = UNLIMITED * max(abs(self.value), ANY_BYTES / UNLIMITED if self.row.dimension == "size" else 1.0)
        return far if self.most else -far

    def beyond(self, value: float) -> bool:
        """Whether a value is looser than what the target says."""
        return value > self.value if self.most else value < self.value

    def below(self, value: float, wobble: float = 0.0) -> float:
        """The next value that is tighter: one byte (or `wobble`, a share of the bytes), or less than a prediction can tell."""
        step = max(1.0, wobble * value) if self.row.dimension == "size" else 1e-6 * abs(value)
        return value - step if self.most else value + step

    def looser(self, value: float, share: float) -> float:
        """A value that is looser by that share of it."""
        return value + share * abs(value) * (1 if self.most else -1)

    def factor(self, value: float) -> float:
        """How far a value is from what the target says: 2 is twice, and half where the least is stated. A share is taken of what it lacks
        of its most: a cosine of 0.98 for 0.99 is twice."""
        wanted, new = self.value, value
        top = self.number.most
        if not self.most and math.isfinite(top):
            wanted, new = top - self.value, top - value
        elif not self.most:
            wanted, new = value, self.value
        return new / wanted if wanted > 0 else math.inf

    def far_of(self, value: float) -> tuple[float, float]:
        """The same, and what of this bound is further where the factor says nothing, as for a limit of 0."""
        return self.factor(value), abs(value - self.value)

    def at(self, target: Target, value: float) -> Target:
        """The target with another value here. A budget is never more than the memory's size."""
        if self.kind == "budget":
            memories = (replace(m, budget=min(int(value), m.size)) if m.name == self.subject else m for m in target.memories)
            return replace(target, memories=tuple(memories))
        return replace(target, limits=tuple(self._at(limit, value) if _key(limit) == self.key else limit for limit in target.limits))

    def _at(self, limit: Limit, value: float) -> Limit:
        return replace(limit, value=value, comparison="<=" if self.most else ">=", text=amount(self.kind, value))

    def spellings(self, value: float) -> Iterator[tuple[float, str]]:
        """Ways to write a value that holds `value`, with fewest digits first: what is then allowed (SI), and "latency <= 12 ms"."""
        unit, scale = self._unit(value)
        slack = min(NEAR * abs(value), FAR * abs(value - self.value)) or 1e-9 * abs(value)
        exact = Decimal(repr(value)) / Decimal(repr(scale))
        for digits in range(3, MOST_DIGITS + 1):
            number = _plain(exact, digits, ROUND_CEILING if self.most else ROUND_FLOOR)
            allowed = exactly(number, scale)
            if abs(allowed - value) <= slack or digits == MOST_DIGITS:
                yield allowed, self._statement(f"{number} {unit}".strip())

    def _unit(self, value: float) -> tuple[str, float]:
        """The unit that messages use for this kind, and its size in SI."""
        units = DIMENSIONS[self.number.dimension or self.row.dimension]
        if self.row.dimension == "size" and value < 1024:
            return "B", 1.0
        word = amount(self.kind, value).rpartition(" ")[2]
        return (word, units[word]) if word in units else next(iter(units.items()), ("", 1.0))

    def _statement(self, number: str) -> str:
        if self.kind == "budget":
            return f"budget {number}"
        return " ".join(filter(None, (self.kind, self.subject, "<=" if self.most else ">=", number)))

    def shown(self, statement: str) -> str:
        """A statement as a message names it: a limit as it is, a budget in its memory."""
        return f"memory {self.subject} {{ {statement}; }}" if self.kind == "budget" else statement

    @property
    def block(self) -> str:
        """The head of the block that its statement belongs to."""
        return f"memory {self.subject}" if self.kind == "budget" else "limits"


def bounds_of(target: Target) -> tuple[Bound, ...]:
    """Every limit, and every budget that its memory's size leaves room to raise."""
    budgets = [Bound("budget", m.name, True, float(m.budget)) for m in target.memories if m.budget < m.size]
    return (*budgets, *(Bound(limit.kind, limit.subject, limit.comparison.startswith("<"), limit.value) for limit in target.limits))


def permitted(target: Target) -> bool:
    """Whether a file could say the bounds of a target: HW0301, HW0302 and HW0108, for a target that was made without a file."""
    working = [memory.budget for memory in target.memories if "activations" in memory.holds]
    peaks = [limit.value for limit in target.limits if limit.kind == "memory"]
    fit = all(memory.budget <= memory.size for memory in target.memories) and (not working or max(peaks, default=0.0) <= max(working))
    return fit and all(_sayable(limit) for limit in target.limits)


def _sayable(limit: Limit) -> bool:
    number = PROPERTIES["limits"][limit.kind].limited(limit.subject)
    return limit.value <= number.most and (limit.value > 0 or (limit.value == 0 and number.zero))


def _key(limit: Limit) -> tuple[str, str]:
    return limit.kind, limit.subject


def _plain(number: Decimal, digits: int, rounding: str) -> str:
    """So many significant digits, rounded to the side asked for; an exponent only where zeros would be many."""
    short = Context(prec=digits, rounding=rounding).plus(number).normalize()
    return f"{short:f}" if not short or abs(short) >= Decimal("1e-5") else f"{short:e}"
