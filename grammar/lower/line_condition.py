"""The condition of a line about forms: `where loss <= 0.1 % and rank(X) == 4`. The part about loss is a number, the rest a condition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...targets.formula import Expression
from ..text.syntax import Arg, Formula, Statement
from ..words.reader import Report, exactly
from .context import Context
from .expression import OPERATOR_VARIABLES, Scope, lower_condition
from .operators import about_all

LOSS = "loss"
_WRITE = "write `where loss <= 0.1 %`, and what else must hold behind `and`"
ANY = Scope("a line about every operator", OPERATOR_VARIABLES)


def without_loss(formula: Formula | None, report: Report) -> tuple[bool, float | None, Formula | None]:
    """(whether nothing about loss is wrong, the largest loss as a share or None, the rest of the condition or None)"""
    parts = list(_conjuncts(formula)) if formula is not None else []
    about = [part for part in parts if part.kind == "binary" and part.parts[0].kind == "name" and part.parts[0].text == LOSS]
    rest = [part for part in parts if part not in about]
    stray = next((name for part in rest for name in _names(part) if name.text == LOSS), None)
    if stray is not None:
        report.error("HW0402", stray.span, "`loss` stands as one comparison of its own in a condition", _WRITE)
        return False, None, None
    if len(about) > 1:
        report.error("HW0402", about[1].span, "the largest loss is stated twice", "keep the smaller one")
        return False, None, None
    share = _share(about[0], report) if about else None
    if about and share is None:
        return False, None, None
    return True, share, _joined(rest)


def condition_of_line(
    item: Statement, formula: Formula | None, operators: Sequence[Arg], context: Context, no_loss: str = ""
) -> tuple[bool, Expression | None]:
    """(whether nothing is wrong, the condition or None); `no_loss`: help where the line may not ask about loss at all."""
    if formula is None:
        return True, None
    stray = next((name for name in _names(formula) if name.text == LOSS), None)
    if stray is not None and no_loss:
        context.report.error("HW0402", stray.span, f"`{item.head.text}` does not depend on `loss`", no_loss)
        return False, None
    if not operators:
        asks = next((part for part in _parts(formula) if part.kind in ("call", "attribute")), None)
        if asks is not None:
            help = f"name the operators: `{' '.join((item.head.text, *item.words[:1]))} Conv where …`"
            context.report.error("HW0402", asks.span, f"`{asks.span.text}` asks about one operator, and this line is about all", help)
            return False, None
        where = lower_condition(formula, ANY, context.report)
        return where is not None, where
    before = len(context.report.found)
    found = [lower_condition(formula, context.scope(name.text, name.span), context.report) for name in operators]
    if len(operators) > 1 and None in found:
        about_all(before, context)
    return None not in found, found[0]


def _share(part: Formula, report: Report) -> float | None:
    """0.001 of `loss <= 0.1 %`."""
    number = part.parts[1]
    if part.text not in ("<=", "<") or number.kind != "number":
        report.error("HW0402", part.span, f"`{part.span.text}` sets no largest loss", _WRITE)
        return None
    unit = number.parts[0].text if number.parts else ""
    if unit != "%":
        what = f"`{unit}` is no unit of a loss" if unit else f"`{number.text}` has no unit; a loss is a share"
        report.error("HW0106", number.span, what, f"write for example `{LOSS} <= 0.1 %`")
        return None
    value = exactly(number.text, 0.01)
    if not 0 < value <= 1:
        report.error("HW0108", number.span, "a largest loss is more than 0 % and at most 100 %")
        return None
    return value


def _conjuncts(formula: Formula) -> Iterator[Formula]:
    if formula.kind == "binary" and formula.text == "and":
        for part in formula.parts:
            yield from _conjuncts(part)
    else:
        yield formula


def _joined(parts: Sequence[Formula]) -> Formula | None:
    if not parts:
        return None
    whole = parts[0]
    for part in parts[1:]:
        whole = Formula("binary", "and", (whole, part), whole.span.to(part.span))
    return whole


def _parts(formula: Formula) -> Iterator[Formula]:
    yield formula
    for part in formula.parts:
        yield from _parts(part)


def _names(formula: Formula) -> Iterator[Formula]:
    return (part for part in _parts(formula) if part.kind == "name")
