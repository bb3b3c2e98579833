"""What a condition of a .hw file says about one operator or one tensor (the trees themselves: formula.py).

Truth has three values: True, False and None (unknown), the last wherever a shape or a dtype that matters is not known.
`and`, `or`, `not` are Kleene's, so `False and unknown` is False.

    all_dims(X, W) <= 16384     every known dim of X and W obeys the comparison; unknown while one is unknown and none breaks it
    rank(inputs) <= 4           a variadic operand stands for all of its tensors
    const(B)                    also true where the optional operand B is left out (nothing there is computed)
    rank(B) == 1                false where B is left out: write `not present(B) or rank(B) == 1`
    attr.axis == -1             false where the attribute is neither given nor has a default
    all(attr.dilations) == 1    true for an attribute that is left out, like all_dims of no tensor
"""

from __future__ import annotations

from .environment import Absent, Answer, Environment, Every, Value
from .formula import COMPARISONS, Among, Attribute, Between, Binary, Call, Expression, Listing, Name, Number, Text, Unary
from .predicates import PREDICATES, plain, scalars


def evaluate(expression: Expression, environment: Environment) -> Value:
    """The value of an expression; None is unknown (and for anything that is absent)."""
    return plain(answer_of(expression, environment))


def truth(expression: Expression, environment: Environment) -> bool | None:
    """The value of a condition: True, False, or None while it cannot be decided."""
    answer = answer_of(expression, environment)
    if isinstance(answer, Every):
        return _all([_as_truth(value) for _, value in answer.items])
    if isinstance(answer, Absent):
        return False
    return _as_truth(answer)


def answer_of(expression: Expression, environment: Environment) -> Answer:
    """Like `evaluate`, with absence and quantified values kept apart; for `explain`."""
    match expression:
        case Number(value=value) | Text(value=value):
            return value
        case Name(name=name):
            return environment.variables[name] if name in environment.variables else name
        case Attribute(name=name):
            return environment.attributes.get(name, Absent(f"attr.{name} is not given"))
        case Listing(items=items):
            return scalars(tuple(evaluate(item, environment) for item in items))
        case Call():
            return _call(expression, environment)
        case Unary():
            return _unary(expression, environment)
        case Binary():
            return _binary(expression, environment)
        case Among(value=value, options=options):
            return _any([compare("==", answer_of(value, environment), answer_of(option, environment)) for option in options])
        case Between(value=value, low=low, high=high):
            asked = answer_of(value, environment)
            return _all([compare(">=", asked, answer_of(low, environment)), compare("<=", asked, answer_of(high, environment))])


def _unary(expression: Unary, environment: Environment) -> Answer:
    if expression.operator == "not":
        known = truth(expression.operand, environment)
        return None if known is None else not known
    value = evaluate(expression.operand, environment)
    return -value if isinstance(value, int | float) else None


def _binary(expression: Binary, environment: Environment) -> Answer:
    if expression.operator == "and":
        return _all([truth(expression.left, environment), truth(expression.right, environment)])
    if expression.operator == "or":
        return _any([truth(expression.left, environment), truth(expression.right, environment)])
    if expression.operator in COMPARISONS:
        return compare(expression.operator, answer_of(expression.left, environment), answer_of(expression.right, environment))
    return _arithmetic(expression.operator, evaluate(expression.left, environment), evaluate(expression.right, environment))


def _arithmetic(operator: str, left: Value, right: Value) -> float | int | None:
    if not isinstance(left, int | float) or not isinstance(right, int | float):
        return None
    try:
        match operator:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return left * right
            case "/":
                return left / right
            case _:
                power = float(left) ** float(right)
                return power if isinstance(power, float) else None
    except (ZeroDivisionError, OverflowError):
        return None


def compare(operator: str, left: Answer, right: Answer) -> bool | None:
    """One comparison; a quantified side must obey it with each of its values."""
    if isinstance(left, Absent) or isinstance(right, Absent):
        return False
    if isinstance(left, Every):
        return _all([compare(operator, value, right) for _, value in left.items])
    if isinstance(right, Every):
        return _all([compare(operator, left, value) for _, value in right.items])
    if left is None or right is None:
        return None
    if operator in ("==", "!="):
        return (left == right) is (operator == "==")
    if not isinstance(left, int | float) or not isinstance(right, int | float):
        return None
    return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[operator]


def _call(call: Call, environment: Environment) -> Answer:
    known = PREDICATES.get(call.function)
    if known is None:
        raise KeyError(f"unknown predicate {call.function}")
    return known.answer(call, environment, answer_of)


def _as_truth(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _all(values: list[bool | None]) -> bool | None:
    return False if False in values else (None if None in values else True)


def _any(values: list[bool | None]) -> bool | None:
    return True if True in values else (None if None in values else False)
