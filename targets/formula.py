"""Conditions and formulas of a .hw file as frozen trees, and their text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")


@dataclass(frozen=True, slots=True)
class Number:
    """A literal in SI units; `text` is how it was written ("4 MiB")."""

    value: float
    text: str = field(compare=False)


@dataclass(frozen=True, slots=True)
class Text:
    """A quoted string, or a bare word that names a dtype, an attribute's value or an axis letter."""

    value: str


@dataclass(frozen=True, slots=True)
class Name:
    """An operand of the operator, a variable of the place (dtype, rank, opset …), or a parameter of a rule."""

    name: str


@dataclass(frozen=True, slots=True)
class Attribute:
    """attr.NAME of the operator."""

    name: str


@dataclass(frozen=True, slots=True)
class Listing:
    """[a, b, c]"""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A predicate `rank(X)` in conditions, an operator `Relu(x, axis = -1)` in rules."""

    function: str
    """The operator with its domain ("com.microsoft::Gelu") in rules."""
    arguments: tuple[Expression, ...]
    keywords: tuple[tuple[str, Expression], ...] = ()


@dataclass(frozen=True, slots=True)
class Unary:
    operator: str
    """"-" or "not"."""
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary:
    operator: str
    """and or == != < <= > >= + - * / ^"""
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Among:
    """value in { a, b }"""

    value: Expression
    options: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Between:
    """value in low..high, both inclusive."""

    value: Expression
    low: Expression
    high: Expression


Expression = Number | Text | Name | Attribute | Listing | Call | Unary | Binary | Among | Between

_LEVEL: Mapping[str, int] = {
    "or": 1, "and": 2, "not": 3, **dict.fromkeys(COMPARISONS, 4), "in": 4, "+": 5, "-": 5, "*": 6, "/": 6, "neg": 7, "^": 8,
}  # fmt: skip


def render(expression: Expression, level: int = 0) -> str:
    """The expression as it would be written, with no more brackets than needed."""
    text, own = _render(expression)
    return f"({text})" if own < level else text


def _render(expression: Expression) -> tuple[str, int]:
    match expression:
        case Number(text=text):
            return text, 9
        case Text(value=value):
            return (value if value.isidentifier() else f'"{value}"'), 9
        case Name(name=name):
            return name, 9
        case Attribute(name=name):
            return f"attr.{name}", 9
        case Listing(items=items):
            return f"[{', '.join(render(item) for item in items)}]", 9
        case Call(function=function, arguments=arguments, keywords=keywords):
            written = [render(argument) for argument in arguments] + [f"{key} = {render(value)}" for key, value in keywords]
            return f"{function}({', '.join(written)})", 9
        case Unary(operator="not", operand=operand):
            return f"not {render(operand, _LEVEL['not'])}", _LEVEL["not"]
        case Unary(operand=operand):
            return f"-{render(operand, _LEVEL['neg'])}", _LEVEL["neg"]
        case Binary(operator=operator, left=left, right=right):
            own = _LEVEL[operator]
            rightmost = operator == "^"
            return f"{render(left, own + rightmost)} {operator} {render(right, own + (not rightmost))}", own
        case Among(value=value, options=options):
            return f"{render(value, 5)} in {{{', '.join(render(option) for option in options)}}}", _LEVEL["in"]
        case Between(value=value, low=low, high=high):
            return f"{render(value, 5)} in {render(low, 5)}..{render(high, 5)}", _LEVEL["in"]


def conjuncts(expression: Expression) -> tuple[Expression, ...]:
    """The parts of an and-chain, left to right."""
    parts: list[Expression] = []
    rest = expression
    while isinstance(rest, Binary) and rest.operator == "and":
        parts.append(rest.right)
        rest = rest.left
    return (rest, *reversed(parts))
