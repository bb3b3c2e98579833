"""Why a condition does not hold: the failing conjunct, with the values that decided."""

from __future__ import annotations

from .environment import Absent, Environment, Every, Value
from .expression import answer_of, compare, truth
from .formula import COMPARISONS, Among, Attribute, Between, Binary, Call, Expression, Name, Unary, conjuncts, render


def explain(expression: Expression, environment: Environment) -> str:
    """The first conjunct that is false (or else the first that is unknown), with the values that decided:
    "all_dims(X) <= 16384 is false (W = 20000)". "" when the condition holds."""
    verdicts = [(part, truth(part, environment)) for part in conjuncts(expression)]
    for wanted, words in ((False, "is false"), (None, "cannot be decided")):
        for part, verdict in verdicts:
            if verdict is wanted:
                found = _evidence(part, environment)
                return f"{render(part)} {words}" + (f" ({', '.join(found)})" if found else "")
    return ""


def witness(expression: Expression, environment: Environment) -> str:
    """The values of everything a condition asks, each once: "rank(X) = 4, const(W) = yes"."""
    return ", ".join(dict.fromkeys(_state(leaf, environment) for part in conjuncts(expression) for leaf in _questions(part)))


def _evidence(part: Expression, environment: Environment) -> list[str]:
    """The values of the questions a conjunct asks, each once, in order; of a quantified one only a value that breaks it."""
    if isinstance(part, Binary) and part.operator in COMPARISONS:
        right = answer_of(part.right, environment)
        left = answer_of(part.left, environment)
        if isinstance(left, Every) and not isinstance(right, Every):
            bad = [(label, value) for label, value in left.items if compare(part.operator, value, right) is not True]
            bad.sort(key=lambda item: item[1] is None)
            return [f"{label} = {_show(value)}" for label, value in bad[:1]]
    found: dict[str, None] = {}
    for leaf in _questions(part):
        found[_state(leaf, environment)] = None
    return list(found)


def _questions(part: Expression) -> list[Expression]:
    match part:
        case Attribute() | Call():
            return [part]
        case Unary(operand=operand):
            return _questions(operand)
        case Binary(left=left, right=right):
            return _questions(left) + _questions(right)
        case Among(value=value):
            return _questions(value)
        case Between(value=value, low=low, high=high):
            return _questions(value) + _questions(low) + _questions(high)
        case Name():
            return [part]
        case _:
            return []


def _state(leaf: Expression, environment: Environment) -> str:
    answer = answer_of(leaf, environment)
    if isinstance(leaf, Call) and leaf.function == "const" and answer is False:
        varying = [argument for argument in leaf.arguments if answer_of(Call("const", (argument,)), environment) is False]
        return ", ".join(f"const({render(argument)}) = no" for argument in varying)
    if isinstance(answer, Absent):
        return answer.what
    if isinstance(answer, Every):
        return ", ".join(f"{label} = {_show(value)}" for label, value in answer.items[:4])
    return f"{render(leaf)} = {_show(answer)}"


def _show(value: Value) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return f"[{', '.join(_show(item) for item in value)}]"
    return str(value)
