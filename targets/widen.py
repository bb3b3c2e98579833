"""The smallest change to a condition that lets one operator through: a limit moved to the value at hand, else the conjunct left out."""

from __future__ import annotations

from .environment import Absent, Answer, Environment, Every, Scalar
from .expression import answer_of, truth
from .formula import Among, Between, Binary, Expression, Number, Text, conjuncts


def widen(where: Expression, environment: Environment) -> tuple[Expression | None, int]:
    """The condition made true of what `environment` shows, and how many conjuncts had to change. None: nothing is left of it."""
    kept: list[Expression] = []
    changed = 0
    for part in conjuncts(where):
        if truth(part, environment) is True:
            kept.append(part)
            continue
        changed += 1
        wider = _wider(part, environment)
        if wider is not None and truth(wider, environment) is True:
            kept.append(wider)
    whole: Expression | None = None
    for part in kept:
        whole = part if whole is None else Binary("and", whole, part)
    return whole, changed


def _wider(part: Expression, environment: Environment) -> Expression | None:
    """The conjunct with its limit moved; None where it has no limit that could be (`const(W)`)."""
    match part:
        case Binary(operator="or", left=left, right=right):
            for first, second in ((right, left), (left, right)):
                wider = _wider(first, environment)
                if wider is not None and truth(wider, environment) is True:
                    return Binary("or", *((second, wider) if first is right else (wider, second)))
            return None
        case Binary(operator="and"):
            return widen(part, environment)[0]
        case Binary(operator="==", left=left, right=Number() | Text() as right):
            return _among(left, (right,), environment)
        case Binary(operator="<=" | "<", left=left, right=Number()):
            return _limit("<=", left, max(_numbers(left, environment), default=None))
        case Binary(operator=">=" | ">", left=left, right=Number()):
            return _limit(">=", left, min(_numbers(left, environment), default=None))
        case Between(value=value, low=Number() as low, high=Number() as high):
            seen = _numbers(value, environment)
            if not seen:
                return None
            return Between(value, _number(min(low.value, *seen)), _number(max(high.value, *seen)))
        case Among(value=value, options=options):
            return _among(value, options, environment)
        case _:
            return None


def _among(value: Expression, options: tuple[Expression, ...], environment: Environment) -> Expression | None:
    """One more of the values that are allowed."""
    more = [_literal(item) for item in _values(answer_of(value, environment)) if item is not None]
    allowed = tuple(dict.fromkeys((*options, *more)))
    if all(isinstance(option, Number) for option in allowed):
        allowed = tuple(sorted(allowed, key=lambda option: option.value if isinstance(option, Number) else 0.0))
    return Among(value, allowed) if more else None


def _limit(operator: str, left: Expression, value: float | None) -> Expression | None:
    return None if value is None else Binary(operator, left, _number(value))


def _numbers(expression: Expression, environment: Environment) -> list[float]:
    values = _values(answer_of(expression, environment))
    return [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]


def _values(answer: Answer) -> list[Scalar | None]:
    if isinstance(answer, Every):
        return [value for _, value in answer.items]
    return [] if isinstance(answer, Absent | tuple) or answer is None else [answer]


def _literal(value: Scalar) -> Expression:
    return Text(value) if isinstance(value, str) else _number(float(value))


def _number(value: float) -> Number:
    return Number(value, f"{value:.17g}")
