"""Conditions and formulas of a .hw file as frozen trees, and what a condition says about one operator or one tensor.

Truth has three values: True, False and None (unknown), the last wherever a shape or a dtype that matters is not known.
`and`, `or`, `not` are Kleene's, so `False and unknown` is False.

    all_dims(X, W) <= 16384     every known dim of X and W obeys the comparison; unknown while one is unknown and none breaks it
    rank(inputs) <= 4           a variadic operand stands for all of its tensors
    const(B)                    also true where the optional operand B is left out (nothing there is computed)
    rank(B) == 1                false where B is left out: say `not present(B) or rank(B) == 1`
    attr.axis == -1             false where the attribute is neither given nor has a default
    all(attr.dilations) == 1    true for an attribute that is left out, like all_dims of no tensor
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .operator_view import AttributeValue, TensorView


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
Scalar = bool | int | float | str
Value = Scalar | tuple[Scalar, ...] | None


@dataclass(frozen=True, slots=True)
class Absent:
    """The value of a question about something that is not there; every comparison with it is false."""

    what: str


@dataclass(frozen=True, slots=True)
class Every:
    """Several labelled values of which a comparison must hold for each."""

    items: tuple[tuple[str, Scalar | None], ...]


Answer = Value | Absent | Every

COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
AXES: Mapping[int, str] = {0: "", 1: "W", 2: "HW", 3: "CHW", 4: "NCHW", 5: "NCDHW"}


def axis_letter(rank: int, axis: int) -> str:
    """Letter of an axis counted from the last (W, H, C, N; D between C and H at rank 5), or "dim 0" above rank 5."""
    return AXES[rank][axis] if rank in AXES else f"dim {axis}"


def axis_of_letter(rank: int, letter: str) -> int | None:
    """Position of that letter's axis in a tensor of this rank; None where the tensor has no such axis."""
    position = AXES.get(rank, "").find(letter)
    return position if position >= 0 else None


@dataclass(frozen=True, slots=True)
class Environment:
    """What a condition may ask: the tensors of an operator by schema name, its attributes, variables, the device."""

    tensors: Mapping[str, TensorView] = field(default_factory=dict)
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    variables: Mapping[str, Scalar | None] = field(default_factory=dict)
    native: Callable[[str], bool] | None = None

    def operand(self, name: str) -> tuple[TensorView, ...]:
        """The tensors of one operand: none if left out, several if variadic."""
        first = self.tensors.get(name)
        if first is None:
            return ()
        found = [first]
        while (more := self.tensors.get(f"{name}.{len(found)}")) is not None:
            found.append(more)
        return tuple(found)


def evaluate(expression: Expression, environment: Environment) -> Value:
    """The value of an expression; None is unknown (and for anything that is absent)."""
    answer = answer_of(expression, environment)
    if isinstance(answer, Absent):
        return None
    if isinstance(answer, Every):
        values = {value for _, value in answer.items}
        return values.pop() if len(values) == 1 else None
    return answer


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
            return _scalars(tuple(evaluate(item, environment) for item in items))
        case Call():
            return _call(expression, environment)
        case Unary():
            return _unary(expression, environment)
        case Binary():
            return _binary(expression, environment)
        case Among(value=value, options=options):
            return _any([_compare("==", answer_of(value, environment), answer_of(option, environment)) for option in options])
        case Between(value=value, low=low, high=high):
            asked = answer_of(value, environment)
            return _all([_compare(">=", asked, answer_of(low, environment)), _compare("<=", asked, answer_of(high, environment))])


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
        return _compare(expression.operator, answer_of(expression.left, environment), answer_of(expression.right, environment))
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


def _compare(operator: str, left: Answer, right: Answer) -> bool | None:
    """One comparison; a quantified side must obey it with each of its values."""
    if isinstance(left, Absent) or isinstance(right, Absent):
        return False
    if isinstance(left, Every):
        return _all([_compare(operator, value, right) for _, value in left.items])
    if isinstance(right, Every):
        return _all([_compare(operator, left, value) for _, value in right.items])
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
    return known.answer(call, environment)


def _tensors(call: Call, environment: Environment) -> list[tuple[str, TensorView]]:
    """(label, tensor) for each operand that the call names and that is there."""
    names = [argument.name for argument in call.arguments if isinstance(argument, Name)]
    return [(name, tensor) for name in names for tensor in environment.operand(name)]


def _ask(call: Call, environment: Environment, question: Callable[[TensorView], Scalar | None]) -> Answer:
    """The one value, or each of a variadic operand's values, or Absent."""
    first = call.arguments[0]
    name = first.name if isinstance(first, Name) else "?"
    tensors = environment.operand(name)
    if not tensors:
        return Absent(f"{name} is left out")
    if len(tensors) == 1:
        return question(tensors[0])
    return Every(tuple((tensor.name, question(tensor)) for tensor in tensors))


def _rank(tensor: TensorView) -> int | None:
    return None if tensor.shape is None else len(tensor.shape)


def _is_static(tensor: TensorView) -> bool:
    return tensor.shape is not None and None not in tensor.shape


def _const(call: Call, environment: Environment) -> Answer:
    return all(tensor.const for _, tensor in _tensors(call, environment))


def _present(call: Call, environment: Environment) -> Answer:
    first = call.arguments[0]
    if isinstance(first, Attribute):
        return first.name in environment.attributes
    return isinstance(first, Name) and bool(environment.operand(first.name))


def _count(call: Call, environment: Environment) -> Answer:
    return len(_tensors(call, environment))


def _all_dims(call: Call, environment: Environment) -> Answer:
    items: list[tuple[str, Scalar | None]] = []
    several = len(call.arguments) > 1
    for name, tensor in _tensors(call, environment):
        if tensor.shape is None:
            items.append((f"rank of {name}", None))
            continue
        for axis, dim in enumerate(tensor.shape):
            letter = axis_letter(len(tensor.shape), axis)
            items.append((f"{letter} of {name}" if several else letter, dim))
    return Every(tuple(items))


def _dim(call: Call, environment: Environment) -> Answer:
    name, axis = call.arguments[0], call.arguments[1]
    tensors = environment.operand(name.name) if isinstance(name, Name) else ()
    if not tensors:
        return Absent(f"{render(name)} is left out")
    shape = tensors[0].shape
    if shape is None:
        return None
    wanted = evaluate(axis, environment)
    position = axis_of_letter(len(shape), wanted) if isinstance(wanted, str) else wanted
    if not isinstance(position, int | float) or not -len(shape) <= position < len(shape):
        return Absent(f"{render(name)} has rank {len(shape)}")
    return shape[int(position)]


def _shape(call: Call, environment: Environment) -> Answer:
    tensors = _tensors(call, environment)
    if not tensors:
        return Absent(f"{render(call.arguments[0])} is left out")
    shape = tensors[0][1].shape
    return None if shape is None or None in shape else _scalars(shape)


def _same_shape(call: Call, environment: Environment) -> Answer:
    shapes = [tensor.shape for _, tensor in _tensors(call, environment)]
    known = [shape for shape in shapes if shape is not None]
    if len({len(shape) for shape in known}) > 1:
        return False
    for dims in zip(*known, strict=False):
        if len(set(dims) - {None}) > 1:
            return False
    return True if len(known) == len(shapes) and not any(None in shape for shape in known) else None


def _every_item(call: Call, environment: Environment) -> Answer:
    value = answer_of(call.arguments[0], environment)
    if isinstance(value, tuple):
        return Every(tuple((f"item {index}", item) for index, item in enumerate(value)))
    return Every(()) if isinstance(value, Absent) else value


def _item(call: Call, environment: Environment) -> Answer:
    values, index = answer_of(call.arguments[0], environment), evaluate(call.arguments[1], environment)
    if not isinstance(values, tuple) or not isinstance(index, int | float):
        return values if isinstance(values, Absent) else None
    if not -len(values) <= index < len(values):
        return Absent(f"{render(call.arguments[0])} has {len(values)} items")
    return values[int(index)]


def _length(call: Call, environment: Environment) -> Answer:
    values = answer_of(call.arguments[0], environment)
    return len(values) if isinstance(values, tuple) else (values if isinstance(values, Absent) else None)


def _native(call: Call, environment: Environment) -> Answer:
    operator = call.arguments[0]
    if environment.native is None or not isinstance(operator, Name):
        return None
    return environment.native(operator.name)


@dataclass(frozen=True, slots=True)
class Predicate:
    """A function that conditions may call; `takes` says what each argument is, the last may repeat if `repeats`."""

    takes: tuple[str, ...]
    """operand, operand-or-attribute, attribute, axis, number, operator"""
    answer: Callable[[Call, Environment], Answer]
    meaning: str
    repeats: bool = False


PREDICATES: Mapping[str, Predicate] = {
    "const": Predicate(("operand",), _const, "every operand named is a constant of the model, or left out", repeats=True),
    "present": Predicate(("operand-or-attribute",), _present, "the optional operand or attribute is given"),
    "rank": Predicate(("operand",), lambda c, e: _ask(c, e, _rank), "number of axes"),
    "dim": Predicate(("operand", "axis"), _dim, "extent of one axis: an index (negative from the last) or a letter N C D H W"),
    "all_dims": Predicate(("operand",), _all_dims, "all extents of the operands at once; a comparison must hold for each", repeats=True),
    "dtype": Predicate(("operand",), lambda c, e: _ask(c, e, lambda t: None if t.dtype == "unknown" else t.dtype), "element type"),
    "elements": Predicate(("operand",), lambda c, e: _ask(c, e, lambda t: t.elements), "number of elements"),
    "bytes": Predicate(("operand",), lambda c, e: _ask(c, e, lambda t: t.bytes), "packed size in bytes"),
    "shape": Predicate(("operand",), _shape, "the extents as a list, to compare with [1, 1]"),
    "static": Predicate(("operand",), lambda c, e: _ask(c, e, _is_static), "every extent is known"),
    "same_shape": Predicate(("operand",), _same_shape, "the operands have one shape", repeats=True),
    "all": Predicate(("attribute",), _every_item, "all items of a list attribute at once; true of one left out"),
    "item": Predicate(("attribute", "number"), _item, "one item of a list attribute, counted from 0"),
    "length": Predicate(("attribute",), _length, "number of items of a list attribute"),
    "count": Predicate(("operand",), _count, "number of tensors of a variadic operand"),
    "native": Predicate(("operator",), _native, "the device supports this operator in some form"),
}


def _scalars(values: tuple[object, ...]) -> tuple[Scalar, ...] | None:
    found = tuple(value for value in values if isinstance(value, bool | int | float | str))
    return found if len(found) == len(values) else None


def _as_truth(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _all(values: list[bool | None]) -> bool | None:
    return False if False in values else (None if None in values else True)


def _any(values: list[bool | None]) -> bool | None:
    return True if True in values else (None if None in values else False)


# --- text -----------------------------------------------------------------------------------------------------------

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


def _evidence(part: Expression, environment: Environment) -> list[str]:
    """The values of the questions a conjunct asks, each once, in order; of a quantified one only a value that breaks it."""
    if isinstance(part, Binary) and part.operator in COMPARISONS:
        right = answer_of(part.right, environment)
        left = answer_of(part.left, environment)
        if isinstance(left, Every) and not isinstance(right, Every):
            bad = [(label, value) for label, value in left.items if _compare(part.operator, value, right) is not True]
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
