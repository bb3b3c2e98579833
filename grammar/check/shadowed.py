"""HW0703: a line of a calibration that an earlier one of the same block keeps from ever being reached."""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Mapping, Sequence

from ...targets.calibration import Rate
from ...targets.formula import COMPARISONS, Binary, Expression, Unary, conjuncts, render
from ...targets.origin import Origin
from ..lower.context import Context
from ..lower.contradiction import contradiction
from ..text.diagnostics import Note, Span
from ..text.syntax import Arg

MOST_COMPARED = 16
"""Earlier conditions of one operator that a line is compared with; equal ones are found among all."""
_OPPOSITE = {"==": "!=", "!=": "==", "<=": ">", ">": "<=", ">=": "<", "<": ">="}
assert set(_OPPOSITE) == set(COMPARISONS)


def check_shadowed(rates: Sequence[Rate], names: Mapping[Origin, Sequence[Arg]], context: Context) -> None:
    """`names`: the operators of each line as written. A line of a file that changes another may hide lines of that: it is meant to."""
    equal: dict[tuple[str, str], Rate] = {}
    before: dict[str, list[Rate]] = {}
    blocks = _Blocks()
    for rate in rates:
        hidden: dict[str, Rate] = {}
        for operator in rate.operators:
            text = "" if rate.where is None else render(rate.where)
            first = equal.get((operator, "")) or equal.get((operator, text)) or _implied(rate, before.get(operator, ()))
            equal.setdefault((operator, text), rate)
            kept = before.setdefault(operator, [])
            kept += [rate] if len(kept) < MOST_COMPARED else []
            if first is not None and blocks.one(names[first.origin][0].span, names[rate.origin][0].span):
                hidden[operator] = first
        _report(rate, hidden, names, context)


def _implied(rate: Rate, earlier: Sequence[Rate]) -> Rate | None:
    """An earlier line whose every conjunct holds wherever this one does."""
    if rate.where is None:
        return None
    own = {render(part) for part in conjuncts(rate.where)}
    for other in earlier:
        parts = conjuncts(other.where) if other.where is not None else ()
        if all(render(part) in own or contradiction(Binary("and", rate.where, _not(part))) for part in parts):
            return other
    return None


def _not(part: Expression) -> Expression:
    """What else a conjunct may be. A comparison with what is absent is false, and so is its opposite; where the line holds it is not."""
    if isinstance(part, Binary) and part.operator in _OPPOSITE:
        return Binary(_OPPOSITE[part.operator], part.left, part.right)
    return part.operand if isinstance(part, Unary) and part.operator == "not" else Unary("not", part)


class _Blocks:
    """Where the word `calibration` stands: between two lines of one block it does not."""

    def __init__(self) -> None:
        self._places: dict[str, list[int]] = {}

    def one(self, first: Span, second: Span) -> bool:
        """Whether both lines are of one block, in that order."""
        if first.source is not second.source or first.start > second.start:
            return False
        text = first.source.text
        if (places := self._places.get(first.source.name)) is None:
            places = self._places[first.source.name] = [found.start() for found in re.finditer("calibration", text)]
        return bisect(places, first.start) == bisect(places, second.start)


def _report(rate: Rate, hidden: Mapping[str, Rate], written: Mapping[Origin, Sequence[Arg]], context: Context) -> None:
    """A line that is reached for some of its operators is left alone: a general one lists what special ones took before it."""
    if len(hidden) < len(rate.operators):
        return
    names, first = written[rate.origin], next(iter(hidden.values()))
    note = Note("the earlier line is here", written[first.origin][0].span)
    message, help = "this line is never reached: an earlier one applies wherever it would", "put special lines before general ones"
    context.report.add(
        "warning", "HW0703", names[0].span.to(names[-1].span), message, f"the first line that applies counts: {help}", (note,)
    )
