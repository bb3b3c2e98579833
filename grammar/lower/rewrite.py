"""`rewrite Op -> rule …` lines: what they say, and whether they can be followed on this device."""

from __future__ import annotations

from ...targets.dtypes import DTYPES
from ...targets.formula import Expression
from ...targets.model import Device, RewriteLine
from ...targets.operators import key_of
from ...targets.origin import Origin
from ...targets.rule_spec import RuleFacts
from ...targets.support import lists
from ..text.diagnostics import Note, Span
from ..text.syntax import Arg, Statement
from ..words.names import suggestion
from ..words.reader import Reader
from .context import Context
from .expression import lower_condition
from .operators import check_operator

WORDS = ("tol", "keep")


def lower_rewrite(statement: Statement, context: Context) -> RewriteLine | None:
    """`rewrite Gelu -> relu_tanh tol 5e-4 keep fp32 ReduceMean where …`"""
    reader = Reader(statement, context.report)
    operator = reader.take("word", "an operator, as in `rewrite Gelu -> relu_tanh`")
    if operator is None or not check_operator(operator, context, in_range=False):
        return None
    if not reader.take_sign("->"):
        reader.fail("`->` and a rule")
        return None
    rule = reader.take("word", "the name of a rule, `native` or `decompose`")
    tolerance, keep = None, []
    while word := reader.take_word_if(*WORDS):
        if word.text == "tol":
            quantity = reader.take_number("plain number", provenance=True)
            tolerance = quantity.value if quantity else None
        else:
            keep += _keep(reader, context)
    reader.skip_provenance()
    reader.end()
    where: Expression | None = None
    if statement.where is not None:
        where = lower_condition(statement.where, context.scope(operator.text, operator.span), context.report)
    if statement.otherwise is not None:
        context.report.error("HW0001", statement.span, "the condition of a rewrite takes no `else`", "write a second `rewrite` line")
    if rule is None or reader.failed or (statement.where is not None and where is None):
        return None
    _check_rule(operator, rule, tolerance, statement, context)
    return RewriteLine(
        operator=operator.text, rule=rule.text, tolerance=tolerance, keep=tuple(keep), where=where, origin=statement.head.span.origin
    )


def _keep(reader: Reader, context: Context) -> list[tuple[str, str]]:
    """`keep fp32 ReduceMean, Sqrt`"""
    dtype = reader.take_choice(DTYPES, "a dtype", "HW0306")
    found: list[tuple[str, str]] = []
    while dtype is not None:
        name = reader.take("word", "an operator to keep in that dtype")
        if name is None:
            break
        if check_operator(name, context, in_range=False):
            found.append((dtype.text, name.text))
        if not reader.take_sign(","):
            break
    return found


def facts_named(rule: str, operator: str, context: Context) -> list[RuleFacts]:
    return [facts for facts in context.rules if facts.name == rule and operator in facts.matches]


def _check_rule(operator: Arg, rule: Arg, tolerance: float | None, statement: Statement, context: Context) -> None:
    """HW0101 for an unknown rule, HW0504 for a tolerance below the rule's error."""
    if rule.text == "native" or not context.rules:
        return
    if rule.text in context.own_rules and all(fact.name != rule.text for fact in context.rules):
        return  # the rule has a mistake, which is reported
    facts = facts_named(rule.text, operator.text, context)
    if facts:
        error = min(fact.error for fact in facts)
        if tolerance is None and error > 0:
            message = f"`{rule.text}` approximates `{operator.text}` within {error:g}, so without `tol` this line is never used"
            context.report.add("warning", "HW0512", rule.span, message, f"write `tol {_rounded_up(error)}` or larger")
        if tolerance is not None and tolerance < error:
            number = next(arg for before, arg in zip(statement.args, statement.args[1:], strict=False) if before.text == "tol")
            message = f"`tol {number.text}` is smaller than the error of `{rule.text}`, {error:g}"
            context.report.error("HW0504", number.span, message, f"allow at least {error:g}, or choose another rule")
        return
    fitting = sorted({fact.name for fact in context.rules if operator.text in fact.matches} | {"native"})
    known = {fact.name for fact in context.rules}
    what = f"the rule `{rule.text}` does not rewrite `{operator.text}`" if rule.text in known else f"unknown rule `{rule.text}`"
    help = suggestion(rule.text, fitting) or f"rules for `{operator.text}`: {', '.join(fitting)}"
    context.report.error("HW0101", rule.span, what, help)


def _rounded_up(error: float) -> str:
    """The error with one digit, not below it."""
    digit, _, exponent = f"{error:.0e}".partition("e")
    up = float(f"{digit}e{exponent}") < error
    return f"{int(digit) + up}e{int(exponent)}"


def check_rewrites(device: Device, statements: list[Statement], context: Context, whole: bool) -> None:
    """HW0501, HW0502 (only of a `whole` device, read without an error), HW0503 over the lines of one device, in their order."""
    spans = {statement.head.span.origin: statement.head.span for statement in statements}
    settled: dict[str, RewriteLine] = {}
    for line in device.rewrites:
        span = spans.get(line.origin)
        if span is None:
            continue
        before = settled.get(line.operator)
        same_layer = before is not None and before.origin.file == line.origin.file
        if before is not None and same_layer and line.where is None and (before.rule != "native" or line.rule == "native"):
            note = (Note(f"`{before.rule}` always applies here", spans.get(before.origin)),)
            message = f"this line for `{line.operator}` is never reached"
            context.report.add("warning", "HW0501", span, message, "lines are tried in order: put those with a `where` first", note)
        if line.where is None:
            settled.setdefault(line.operator, line)
        if whole and not context.report.broken and line.where is None and (lacking := _lacking(device, line, context)):
            help = "add it to `supports`, or add `where native(…)` to the line"
            context.report.error("HW0502", span, f"`{line.rule}` needs `{lacking}`, which {device.name} does not support", help)
    _check_cycle(device, spans, context)


GLUE = frozenset({"Cast", "Identity", "Reshape", "Transpose"})
"""Operators that rules name because some operands need them; not missed where a device has none."""


def _lacking(device: Device, line: RewriteLine, context: Context) -> str:
    """An operator of the result that the device neither has nor can have by an exact rule; "" if none is missing."""
    if line.rule == "native":
        return "" if lists(device, line.operator) or _denied_elsewhere(device, line) else line.operator
    routes = _routes(line.rule, line.operator, context)
    missing = [[name for name in emits if not reachable(device, name, context, frozenset({line.operator}))] for emits in routes]
    return min(missing, key=len)[0] if missing and all(missing) else ""


def _denied_elsewhere(device: Device, line: RewriteLine) -> bool:
    """A file that denies what it inherits cannot fix the inherited line, which is then merely never taken."""
    return any(
        rule.where is None and key_of(rule.domain, rule.operator) == line.operator and rule.origin.file != line.origin.file
        for rule in device.denies
    )


def _routes(rule: str, operator: str, context: Context) -> list[tuple[str, ...]]:
    """What each form of the rule leaves behind. The facts of `decompose` are a union over its forms: ask the forms."""
    if rule == "decompose":
        family = {name for fact in facts_named("decompose", operator, context) for name in fact.emits}  # Gelu's has no form by Sigmoid
        exact = [fact for fact in context.rules if operator in fact.matches and fact.error == 0 and fact.name != "decompose"]
        forms = [fact.emits for fact in exact if family.issuperset(fact.emits)]
        if forms:
            return forms
    return [fact.emits for fact in facts_named(rule, operator, context)]


def reachable(device: Device, operator: str, context: Context, above: frozenset[str]) -> bool:
    if lists(device, operator) or operator in GLUE:
        return True
    if operator in above:
        return False
    deeper = above | {operator}
    return any(all(reachable(device, name, context, deeper) for name in emits) for emits in _routes("decompose", operator, context))


def _check_cycle(device: Device, spans: dict[Origin, Span], context: Context) -> None:
    """HW0503: unguarded lines that by way of another operator lead back to the first (a MatMul reshaped into MatMuls is fine)."""
    edges: dict[str, set[str]] = {}
    for line in device.rewrites:
        if line.where is None and line.rule != "native":
            edges.setdefault(line.operator, set()).update(
                name for facts in facts_named(line.rule, line.operator, context) for name in facts.emits if name != line.operator
            )
    for line in device.rewrites:
        seen: list[str] = []
        todo = [line.operator] if line.where is None else []
        while todo:
            for following in sorted(edges.get(todo.pop(), ())):
                if following not in seen:
                    seen.append(following)
                    todo.append(following)
        if line.operator in seen and line.origin in spans:
            message = f"rewriting `{line.operator}` may lead back to `{line.operator}`"
            context.report.add("warning", "HW0503", spans[line.origin], message, "remove one of the lines, or add a `where`")
