"""`rule name(x) { match …; let …; emit …; error abs 2.8e-4 over real; }` as plain data for `passes` to turn into a rewrite."""

from __future__ import annotations

from ..targets import formula as ex
from ..targets.model import RuleSpec
from .context import Context
from .lower_operators import check_operator
from .names import suggestion
from .reader import Reader
from .syntax import Arg, Formula, Rule


def lower_rule(rule: Rule, context: Context) -> RuleSpec | None:
    """The rule; None where something in it was wrong, and reported."""
    report = context.report
    before = len(report.found)
    known = [parameter.text for parameter in rule.parameters]
    if len(rule.match) < 1:
        report.missing(rule.name.span, f"rule `{rule.name.text}` has no `match`")
    if len(rule.emit) < 1:
        report.missing(rule.name.span, f"rule `{rule.name.text}` has no `emit`")
    match = [_mathematics(formula, known, context) for formula in rule.match]
    let: list[tuple[str, ex.Expression]] = []
    for name, formula in rule.let:
        value = _mathematics(formula, known, context)
        known.append(name.text)
        if value is not None:
            let.append((name.text, value))
    emit = [_mathematics(formula, known, context) for formula in rule.emit]
    error = _error(rule, context)
    if any(found.severity == "error" for found in report.found[before:]):
        return None
    return RuleSpec(
        name=rule.name.text,
        parameters=tuple(parameter.text for parameter in rule.parameters),
        match=tuple(formula for formula in match if formula is not None),
        let=tuple(let),
        emit=tuple(formula for formula in emit if formula is not None),
        error=error,
        origin=rule.name.span.origin,
    )


def _error(rule: Rule, context: Context) -> float | None:
    """`error abs 2.8e-4 over real;`"""
    error: float | None = None
    for statement in rule.statements:
        if statement.head.text != "error":
            context.report.error("HW0101", statement.head.span, f"unknown property `{statement.head.text}` in a rule")
            continue
        reader = Reader(statement, context.report)
        if reader.take_choice(("abs",), "a kind of error"):
            quantity = reader.take_number("plain number", zero=True)
            error = quantity.value if quantity else None
            if reader.take_word_if("over"):
                reader.take_choice(("real",), "a domain")
        reader.end()
    return error


def _mathematics(formula: Formula, known: list[str], context: Context) -> ex.Expression | None:
    """A formula over the rule's names; a call is an operator."""
    parts = [_mathematics(part, known, context) for part in formula.parts if part.kind not in ("keyword", "unit")]
    found = tuple(part for part in parts if part is not None)
    if len(found) != len(parts):
        return None
    match formula.kind:
        case "number" if not formula.parts:
            return ex.Number(float(formula.text), formula.text)
        case "string":
            return ex.Text(formula.text)
        case "name":
            if formula.text in known:
                return ex.Name(formula.text)
            help = suggestion(formula.text, known) or f"known here: {', '.join(known)}"
            context.report.error("HW0402", formula.span, f"`{formula.text}` is neither a parameter nor bound by `let`", help)
            return None
        case "signed":
            return ex.Unary("-", found[0])
        case "list":
            return ex.Listing(found)
        case "binary" if formula.text in "+-*/^":
            return ex.Binary(formula.text, *found)
        case "call":
            return _operator(formula, found, known, context)
    context.report.error("HW0402", formula.span, f"`{formula.span.text}` does not belong into a formula of a rule")
    return None


def _operator(formula: Formula, arguments: tuple[ex.Expression, ...], known: list[str], context: Context) -> ex.Expression | None:
    name = Arg("word", formula.text, type(formula.span)(formula.span.source, formula.span.start, formula.span.start + len(formula.text)))
    if not check_operator(name, context, in_range=False):
        return None
    keywords: list[tuple[str, ex.Expression]] = []
    allowed = context.scope(formula.text).attributes
    for part in formula.parts:
        if part.kind != "keyword":
            continue
        if allowed is not None and part.text not in allowed:
            context.report.error("HW0403", part.span, f"`{formula.text}` has no attribute `{part.text}`", suggestion(part.text, allowed))
            continue
        value = _mathematics(part.parts[0], known, context)
        if value is not None:
            keywords.append((part.text, value))
    return ex.Call(formula.text, arguments, tuple(keywords))
