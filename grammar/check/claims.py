"""HW0508 to HW0510: a rule's error claim, tried on numbers when the file is read."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...targets.model import Device
from ...targets.rule_spec import RuleSpec
from ...targets.support import device_dtypes
from ..lower.context import Context
from ..text.diagnostics import Note, Span
from ..text.syntax import Rule
from .claim_search import Counterexample, first_overflow, judge
from .rule_tape import NotElementwise, Tape, tape_of

FULL_SHARE = 16
"""Up to so many rules in a file each gets the whole work of a search; more of them share it."""
LEAST_SHARE = 0.02
"""With less, narrow dtypes are not tried: so many rules are no person's file."""


def check_claims(rules: Sequence[tuple[Rule, RuleSpec]], devices: Sequence[Device], context: Context) -> None:
    """Tests the claim of every rule. Time is bounded for the file as a whole."""
    dtypes = {dtype for device in devices for dtype in device_dtypes(device)}
    share = min(1.0, FULL_SHARE / max(1, len(rules)))
    for rule, spec in rules:
        try:
            tape = tape_of(spec)
        except NotElementwise as found:
            message = f"the claim of `{spec.name}` is checked when a model is compiled, not here: {found} is not elementwise"
            context.report.add("info", "HW0510", rule.name.span, message)
            continue
        if _holds(rule, spec, tape, share, context) and share > LEAST_SHARE:
            _check_range(rule, spec, tape, [dtype for dtype in ("fp16", "fp32") if dtype == "fp32" or dtype in dtypes], context)


def _holds(rule: Rule, spec: RuleSpec, tape: Tape, share: float, context: Context) -> bool:
    verdict = judge(spec, tape, share)
    span = claim_span(rule)
    if verdict.worst is not None:
        silent = all(statement.head.text != "error" for statement in rule.statements)
        _refuse(verdict.worst, verdict.grows, spec, span, silent, context)
    elif not verdict.points:
        message = f"the claim of `{spec.name}` cannot be checked: `match` and `emit` are never both defined"
        context.report.error("HW0508", span, message, "look for divisions by zero and roots of negative numbers")
    return verdict.worst is None and verdict.points > 0


def _refuse(worst: Counterexample, grows: bool, spec: RuleSpec, span: Span, silent: bool, context: Context) -> None:
    at = ", ".join(f"{name} = {_short(x)}" for name, x in zip(spec.parameters[:6], worst.point, strict=False)) or "no input"
    claimed = f"{spec.error:g} is claimed" if spec.error is not None else f"`{spec.claim}` is claimed"
    if silent:
        claimed = "without `error` a rule must be exact over the reals"
    if math.isinf(worst.error):
        message = f"`emit` of `{spec.name}` is not defined at {at}: {worst.why}; `match` is {worst.match:.6g} there"
        context.report.error("HW0508", span, message, "claim it `over` a range without such points, or fix the formula")
        return
    message = f"`{spec.name}` is off by {worst.error:.4g} at {at}, and {claimed}"
    note = Note(f"there `match` is {worst.match:.9g} and `emit` is {worst.emit:.9g}")
    help = f"the largest error found is {worst.error:.4g}: claim at least `error abs {_above(worst.error)}`, or fix the formula"
    if worst.error > max(1.0, 0.1 * abs(worst.match)) and (not grows or all(abs(x) <= 1 for x in worst.point)):
        help = "this is too large for an approximation: fix the formula"
    elif grows:
        help = "the difference grows with the input: claim it over a range, as in `error abs … over -8..8`, or fix the formula"
    context.report.error("HW0508", span, message, help, (note,))


def _check_range(rule: Rule, spec: RuleSpec, tape: Tape, dtypes: Sequence[str], context: Context) -> None:
    """HW0509 for the narrowest dtype that overflows; the others in its notes."""
    found = [(dtype, first) for dtype in dtypes if (first := first_overflow(tape, dtype, spec.over)) is not None]
    messages = [f"in {dtype} `emit` of `{spec.name}` is {value:g} at {spec.parameters[0]} = {_short(x)}" for dtype, (x, value) in found]
    if messages:
        help = "clamp what grows (squares, exponentials) before it overflows, or keep large inputs away"
        message = f"{messages[0]}, where `match` is finite"
        context.report.add("warning", "HW0509", rule.name.span, message, help, tuple(map(Note, messages[1:])))


def claim_span(rule: Rule) -> Span:
    """The number or word that claims; the rule's name if it claims nothing."""
    for statement in rule.statements:
        if statement.head.text == "error":
            numbers = [arg.span for arg in statement.args if arg.kind == "number"]
            return (numbers or [arg.span for arg in statement.args] or [statement.head.span])[0]
    return rule.name.span


def _short(x: float) -> str:
    """As few digits as say which float it is, six if that is close."""
    text = f"{x:.6g}"
    return text if float(text) == x or abs(x) > 1e-3 else repr(x)


def _above(error: float) -> str:
    """Three digits, rounded up."""
    if error <= 0:
        return "0"
    unit = 10.0 ** (math.floor(math.log10(error)) - 2)
    return f"{math.ceil(error / unit) * unit:.3g}" if unit > 0 else repr(error)
