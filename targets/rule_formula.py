"""What a rule's formulas show without a graph: its operators, its roots, the facts for checking lines."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from .formula import Binary, Call, Expression, Listing, Name, Number, Unary
from .operators import version_at, versions_of
from .rule_spec import RuleFacts, RuleSpec

INFIX = {"+": "Add", "-": "Sub", "*": "Mul", "/": "Div", "^": "Pow"}
SUMS, PRODUCTS = ("Add", "Sub", "Sum"), ("Mul", "Div", "Neg")


def names_in(expression: Expression) -> Iterator[str]:
    """Parameters and `let` names it uses."""
    match expression:
        case Name(name=name):
            yield name
        case Unary(operand=operand):
            yield from names_in(operand)
        case Binary(left=left, right=right):
            yield from names_in(left)
            yield from names_in(right)
        case Listing(items=items):
            for item in items:
                yield from names_in(item)
        case Call(arguments=arguments, keywords=keywords):
            for item in (*arguments, *(value for _, value in keywords)):
                yield from names_in(item)


def is_number(expression: Expression) -> bool:
    """Whether it is arithmetic on numbers alone, which is computed beforehand and leaves no operator."""
    match expression:
        case Number():
            return True
        case Unary(operand=operand):
            return is_number(operand)
        case Binary(left=left, right=right):
            return is_number(left) and is_number(right)
    return False


def plain_name(function: str) -> str:
    return function.removeprefix("ai.onnx::")


def operators_in(expression: Expression) -> Iterator[str]:
    """The operators it is written with."""
    if is_number(expression):
        return
    match expression:
        case Unary(operand=operand):
            yield "Neg"
            yield from operators_in(operand)
        case Binary(operator=operator, left=left, right=right):
            yield INFIX[operator]
            yield from operators_in(left)
            yield from operators_in(right)
        case Call(function=function, arguments=arguments):
            yield plain_name(function)
            for item in arguments:
                yield from operators_in(item)


def is_one_operator(expression: Expression) -> bool:
    """Whether `match` is a single operator on parameters and numbers, as against a formula of several."""
    if isinstance(expression, Binary):
        parts: tuple[Expression, ...] = (expression.left, expression.right)
    else:
        parts = expression.arguments if isinstance(expression, Call) else (expression.operand,) if isinstance(expression, Unary) else ()
    return bool(parts) and all(isinstance(part, Name | Listing) or is_number(part) for part in parts)


def roots_of(expression: Expression) -> tuple[str, ...]:
    """The kinds of node that can come last in what `match` fits."""
    match expression:
        case Call(function=function):
            return (plain_name(function),)
        case Unary():
            return ("Neg",) if is_one_operator(expression) else PRODUCTS
        case Binary(operator=operator):
            if is_one_operator(expression) or operator == "^":
                return (INFIX[operator],)
            return SUMS if operator in "+-" else PRODUCTS
    return ()


def emitted(spec: RuleSpec) -> tuple[str, ...]:
    """The operators that a rule writes; `let` names that nothing uses are not written."""
    lets = dict(spec.let)
    found: dict[str, None] = {}
    used = {name for formula in spec.emit for name in names_in(formula)}
    for name, value in reversed(spec.let):
        if name in used:
            used.update(names_in(value))
    for formula in (*(value for name, value in lets.items() if name in used), *spec.emit):
        found.update(dict.fromkeys(operators_in(formula)))
    return tuple(found)


def facts_of(spec: RuleSpec) -> RuleFacts:
    """What `rewrite` lines may know of a rule."""
    return RuleFacts(name=spec.name, matches=roots_of(spec.match[0]), emits=emitted(spec), error=spec.error or 0.0)


def number_of(expression: Expression) -> float | None:
    """The value of arithmetic on numbers; None for anything else, and where it has no finite value."""
    match expression:
        case Number(value=value):
            return value
        case Unary(operand=operand):
            inner = number_of(operand)
            return None if inner is None else -inner
        case Binary(operator=operator, left=left, right=right):
            a, b = number_of(left), number_of(right)
            return None if a is None or b is None else _computed(operator, a, b)
    return None


def _computed(operator: str, a: float, b: float) -> float | None:
    try:
        found = a + b if operator == "+" else a - b if operator == "-" else a * b if operator == "*" else a / b if operator == "/" else a**b
    except (ArithmeticError, ValueError):
        return None
    return found if isinstance(found, float) and abs(found) < float("inf") else None


def integer_inputs(function: str, opset: int = 1000) -> frozenset[int]:
    """Positions of an operator's inputs that are shapes, axes or indices: a list or number there is of int64."""
    version = version_at(plain_name(function), opset)
    if version is None:
        return frozenset()
    return frozenset(k for k, slot in zip(count(), version.inputs, strict=False) if "int64" in slot.dtypes and not slot.takes_floats)


def required_attributes(function: str) -> tuple[str, ...]:
    """Attributes that every node of the operator has, by its newest version."""
    versions = versions_of(plain_name(function))
    return tuple(name for name, kind in versions[-1].attributes.items() if kind.endswith("!")) if versions else ()


def attribute_kind(function: str, attribute: str) -> str:
    """ "int", "floats" …; "" where it is not known."""
    kinds = [version.attributes[attribute] for version in versions_of(plain_name(function)) if attribute in version.attributes]
    return kinds[-1].rstrip("!=") if kinds else ""


def input_counts(function: str) -> tuple[int, int]:
    """Fewest and most inputs, over all versions; any number for an operator that is not known."""
    fewest, most = [], []
    for version in versions_of(plain_name(function)):
        variadic = any(slot.option == "variadic" for slot in version.inputs)
        fewest.append(sum(not slot.option for slot in version.inputs))
        most.append(1 << 20 if variadic else len(version.inputs))
    return min(fewest, default=0), max(most, default=1 << 20)
