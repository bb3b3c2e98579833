"""`rule name(x) { match … where …; let …; emit …; error abs 2.8e-4 over real; }` as plain data for `passes` to turn into a rewrite."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ...targets import formula as ex
from ...targets.rule_formula import INFIX, attribute_kind, input_counts, is_number, names_in, number_of, required_attributes
from ...targets.rule_spec import RuleSpec
from ..text.syntax import Arg, Formula, Rule, Statement
from ..words.names import suggestion
from ..words.reader import Quantity, Reader
from .context import Context
from .expression import OPERATOR_VARIABLES, Scope, lower_condition
from .operators import check_operator

CLAIMS = ("exact", "reassociates", "abs")
MOST_NAMES = 256
RESERVED = ("native", "decompose")


def lower_rules(rules: Mapping[str, Rule], context: Context) -> list[RuleSpec]:
    """Every rule that has no mistake; their error claims are not checked yet."""
    return [spec for rule in rules.values() if (spec := lower_rule(rule, context)) is not None]


def lower_rule(rule: Rule, context: Context) -> RuleSpec | None:
    """The rule; None where something in it was wrong, and reported."""
    report = context.report
    before = len(report.found)
    known = [parameter.text for parameter in rule.parameters]
    _check_shape(rule, context)
    match = [_mathematics(formula, known, context, matching=True) for formula in rule.match]
    let: list[tuple[str, ex.Expression]] = []
    for name, formula in rule.let:
        value = _mathematics(formula, known, context)
        if name.text in known:
            report.error("HW0102", name.span, f"`{name.text}` is already defined in this rule")
        known.append(name.text)
        if value is not None:
            let.append((name.text, value))
    emit = [_mathematics(formula, known, context) for formula in rule.emit]
    claim, error, over = _claim(rule, context)
    where = lower_condition(rule.where, _scope(rule, context), report) if rule.where is not None else None
    unbound = set(known[: len(rule.parameters)]) - {name for formula in match if formula is not None for name in names_in(formula)}
    if unbound and rule.match and all(formula is not None for formula in match):
        missing = next(parameter for parameter in rule.parameters if parameter.text in unbound)
        report.error("HW0402", missing.span, f"`{missing.text}` does not occur in `match`, so it has no value")
    if not rule.match or not rule.emit or any(found.severity == "error" for found in report.found[before:]):
        return None
    if match == emit:
        message = f"`{rule.name.text}` emits what it matches"
        report.add("warning", "HW0503", rule.name.span, message, "`emit` must replace it with other operators")
    return RuleSpec(
        name=rule.name.text,
        parameters=tuple(parameter.text for parameter in rule.parameters),
        match=tuple(formula for formula in match if formula is not None),
        let=tuple(let),
        emit=tuple(formula for formula in emit if formula is not None),
        error=error,
        origin=rule.name.span.origin,
        claim="bounded" if claim == "abs" else "exact" if claim == "exact" else "reassociates",
        over=over,
        where=where,
    )


def _check_shape(rule: Rule, context: Context) -> None:
    """What a rule must and may have, before any formula is read."""
    report, name = context.report, rule.name
    if not rule.match:
        report.missing(name.span, f"rule `{name.text}` has no `match`")
    if not rule.emit:
        report.missing(name.span, f"rule `{name.text}` has no `emit`")
    if name.text in RESERVED:
        report.error("HW0102", name.span, f"`{name.text}` is reserved in `rewrite` lines", "give the rule another name")
    elif any(facts.name == name.text for facts in context.rules):
        message = f"rule `{name.text}` replaces the built-in rule of the same name in this target"
        report.add("info", "HW0511", name.span, message, "rename it to keep both")
    if len(rule.let) > MOST_NAMES:
        message = f"rule `{name.text}` binds more than {MOST_NAMES} names"
        report.error("HW0004", rule.let[MOST_NAMES][0].span, message, "split it into rules that build on one another")
    for again in rule.match[1:]:
        report.error("HW0402", again.span, "a rule has exactly one `match`", "write one rule for each formula")
    for parameter in rule.parameters:
        if [other.text for other in rule.parameters].count(parameter.text) > 1:
            report.error("HW0102", parameter.span, f"`{parameter.text}` is already defined in this rule")
            break
    if rule.match and rule.match[0].kind in ("name", "number", "string", "list"):
        message = f"`match {rule.match[0].span.text}` would match anything"
        report.error("HW0402", rule.match[0].span, message, "write an operator, as in `match Gelu(x)`")
    if rule.match and rule.match[0].kind != "call" and len(rule.emit) > 1:
        report.error("HW0402", rule.emit[1].span, "a formula has one output", "several `emit` lines are for the outputs of one operator")


def _scope(rule: Rule, context: Context) -> Scope:
    """What the condition may ask: about the operator at the root of `match`."""
    root = rule.match[0] if rule.match else None
    if root is not None and root.kind == "call":
        return context.scope(root.text)
    if root is not None and root.kind == "binary" and root.text in INFIX:
        return context.scope(INFIX[root.text])
    return Scope(f"rule `{rule.name.text}`", OPERATOR_VARIABLES)


def _claim(rule: Rule, context: Context) -> tuple[str, float | None, tuple[float, float] | None]:
    """`error abs 2.8e-4 over real;`, `error abs 1e-3 over -8..8;`, `error exact;`, `error reassociates;` (as without any)"""
    claim, error, over = "reassociates", None, None
    first: Statement | None = None
    for statement in rule.statements:
        if statement.head.text != "error":
            help = suggestion(statement.head.text, ("error", "match", "emit", "let"))
            context.report.error("HW0101", statement.head.span, f"unknown property `{statement.head.text}` in a rule", help)
            continue
        if first is not None:
            context.report.error("HW0103", statement.head.span, "`error` is set twice")
            continue
        first = statement
        reader = Reader(statement, context.report)
        kind = reader.take_choice(CLAIMS, "a kind of error")
        if kind is not None:
            claim = kind.text
        if kind is not None and kind.text == "abs":
            quantity = reader.take_number("plain number", zero=True)
            error = quantity.value if quantity else None
            over = _range(reader, context)
        reader.end()
        if statement.where is not None:
            context.report.error("HW0001", statement.where.span, "an error claim takes no condition", "write it after `match`")
    return claim, error, over


def _range(reader: Reader, context: Context) -> tuple[float, float] | None:
    """`over real` or `over -8..8`; all reals if it is not stated."""
    if not reader.take_word_if("over") or reader.take_word_if("real"):
        return None
    low = _number(reader)
    if low is None or not reader.take_sign(".."):
        reader.fail("`real` or a range such as `-8..8`")
        return None
    high = _number(reader)
    if high is None:
        reader.fail("the upper end of the range")
        return None
    if not -math.inf < low < high < math.inf:
        context.report.error("HW0108", reader.statement.span, f"{low:g}..{high:g} is not a valid range")
        return None
    return low, high


def _number(reader: Reader) -> float | None:
    minus = reader.take_sign("-")
    arg = reader.peek()
    if arg is None or arg.kind != "number":
        return None
    found: Quantity | None = reader.take_number("plain number", zero=True, provenance=False)
    return None if found is None else -found.value if minus else found.value


def _mathematics(formula: Formula, known: list[str], context: Context, matching: bool = False) -> ex.Expression | None:
    """A formula over the rule's names; a call is an operator."""
    parts = [_mathematics(part, known, context, matching) for part in formula.parts if part.kind not in ("keyword", "unit")]
    found = tuple(part for part in parts if part is not None)
    if len(found) != len(parts):
        return None
    lowered = _lowered(formula, found, known, context, matching)
    if lowered is not None and is_number(lowered) and number_of(lowered) is None:
        context.report.error("HW0108", formula.span, f"`{formula.span.text}` has no finite value")
        return None
    return lowered


def _lowered(
    formula: Formula, found: tuple[ex.Expression, ...], known: list[str], context: Context, matching: bool
) -> ex.Expression | None:
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
            return _operator(formula, found, known, context, matching)
    context.report.error("HW0402", formula.span, f"`{formula.span.text}` is not allowed in a rule formula")
    return None


def _operator(
    formula: Formula, arguments: tuple[ex.Expression, ...], known: list[str], context: Context, matching: bool
) -> ex.Expression | None:
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
        value = _mathematics(part.parts[0], known, context, matching)
        if value is not None and _of_kind(value, attribute_kind(formula.text, part.text)):
            keywords.append((part.text, value))
        elif value is not None:
            wanted = KINDS[attribute_kind(formula.text, part.text)]
            context.report.error("HW0403", part.parts[0].span, f"`{part.text}` of `{formula.text}` must be {wanted}")
            keywords.append((part.text, value))
    missing = [attribute for attribute in required_attributes(formula.text) if attribute not in dict(keywords)]
    if missing:
        example = f"`{missing[0]} = …`; a parameter in its place matches any value" if matching else f"`{missing[0]} = …`"
        context.report.error("HW0403", formula.span, f"`{formula.text}` requires the attribute `{missing[0]}`", f"write {example}")
        return None
    return _arity(formula, arguments, tuple(keywords), context)


KINDS = {
    "int": "a whole number", "ints": "a list of whole numbers, as in `[1, 2]`", "float": "a number", "floats": "a list of numbers",
    "string": "a string in quotes", "strings": "a list of strings",
}  # fmt: skip


def _of_kind(value: ex.Expression, kind: str) -> bool:
    """Whether an attribute of that kind can have the value; a name is a parameter, whose value comes from the node."""
    if isinstance(value, ex.Name) or kind not in KINDS:
        return isinstance(value, ex.Name) or not kind
    if kind.endswith("s"):
        return isinstance(value, ex.Listing) and all(_of_kind(item, kind[:-1]) for item in value.items if not isinstance(item, ex.Name))
    if kind == "string":
        return isinstance(value, ex.Text)
    number = number_of(value)
    return number is not None and (kind == "float" or number == round(number))


def _arity(
    formula: Formula, arguments: tuple[ex.Expression, ...], keywords: tuple[tuple[str, ex.Expression], ...], context: Context
) -> ex.Expression | None:
    """HW0403 for more or fewer inputs than the operator has."""
    least, most = input_counts(formula.text)
    if least <= len(arguments) <= most:
        return ex.Call(formula.text, arguments, keywords)
    takes = f"{least}" if least == most else f"{least} or more" if most > 1000 else f"{least} to {most}"
    message = f"`{formula.text}` takes {takes} input{'s' if takes != '1' else ''}, {len(arguments)} given"
    context.report.error("HW0403", formula.span, message)
    return None
