"""The questions that conditions may ask of an operator: `rank(X)`, `const(W)`, `all_dims(X, Y)` …"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .environment import Absent, Answer, Environment, Every, Scalar, Value, axis_letter, axis_of_letter
from .formula import Attribute, Call, Expression, Name, render
from .operator_view import TensorView
from .quantised import questions

Ask = Callable[[Expression, Environment], Answer]
"""How to evaluate an argument: `expression.answer_of`."""


def plain(answer: Answer) -> Value:
    """One value of an answer; None for what is absent, unknown or not the same for all."""
    if isinstance(answer, Absent):
        return None
    if isinstance(answer, Every):
        values = {value for _, value in answer.items}
        return values.pop() if len(values) == 1 else None
    return answer


def scalars(values: tuple[object, ...]) -> tuple[Scalar, ...] | None:
    """The values if all are plain ones."""
    found = tuple(value for value in values if isinstance(value, bool | int | float | str))
    return found if len(found) == len(values) else None


def _tensors(call: Call, environment: Environment) -> list[tuple[str, TensorView]]:
    """(label, tensor) for each operand that the call names and that is there."""
    names = [argument.name for argument in call.arguments if isinstance(argument, Name)]
    return [(name, tensor) for name in names for tensor in environment.operand(name)]


def _about(call: Call, environment: Environment, question: Callable[[TensorView], Scalar | None]) -> Answer:
    """The one value, or each of a variadic operand's values, or Absent."""
    first = call.arguments[0]
    name = first.name if isinstance(first, Name) else "?"
    tensors = environment.operand(name)
    if not tensors:
        return Absent(f"{name} is left out")
    if len(tensors) == 1:
        return question(tensors[0])
    return Every(tuple((tensor.name, question(tensor)) for tensor in tensors))


def _quantised(question: Callable[[TensorView], Answer]) -> Callable[[Call, Environment, Ask], Answer]:
    """A question about how an operand is quantised; of a variadic one, of each of its tensors."""

    def answer(call: Call, environment: Environment, ask: Ask) -> Answer:
        tensors = _tensors(call, environment)
        if not tensors:
            return Absent(f"{render(call.arguments[0])} is left out")
        if len(tensors) == 1:
            return question(tensors[0][1])
        return Every(tuple((tensor.name, scalar(question(tensor))) for _, tensor in tensors))

    return answer


def scalar(answer: Answer) -> Scalar | None:
    """The one plain value of an answer."""
    value = plain(answer)
    return None if isinstance(value, tuple) else value


def _rank(tensor: TensorView) -> int | None:
    return None if tensor.shape is None else len(tensor.shape)


def _is_static(tensor: TensorView) -> bool:
    return tensor.shape is not None and None not in tensor.shape


def _const(call: Call, environment: Environment, ask: Ask) -> Answer:
    return all(tensor.const for _, tensor in _tensors(call, environment))


def _present(call: Call, environment: Environment, ask: Ask) -> Answer:
    first = call.arguments[0]
    if isinstance(first, Attribute):
        return first.name in environment.attributes
    return isinstance(first, Name) and bool(environment.operand(first.name))


def _count(call: Call, environment: Environment, ask: Ask) -> Answer:
    return len(_tensors(call, environment))


def _all_dims(call: Call, environment: Environment, ask: Ask) -> Answer:
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


def _dim(call: Call, environment: Environment, ask: Ask) -> Answer:
    name, axis = call.arguments[0], call.arguments[1]
    tensors = environment.operand(name.name) if isinstance(name, Name) else ()
    if not tensors:
        return Absent(f"{render(name)} is left out")
    shape = tensors[0].shape
    if shape is None:
        return None
    wanted = plain(ask(axis, environment))
    position = axis_of_letter(len(shape), wanted) if isinstance(wanted, str) else wanted
    if not isinstance(position, int | float) or not -len(shape) <= position < len(shape):
        return Absent(f"{render(name)} has rank {len(shape)}")
    return shape[int(position)]


def _remainder(call: Call, environment: Environment, ask: Ask) -> Answer:
    extent, divisor = _dim(call, environment, ask), plain(ask(call.arguments[2], environment))
    if isinstance(extent, Absent):
        return extent
    known = isinstance(extent, int) and isinstance(divisor, int | float) and divisor >= 1
    return extent % int(divisor) if known else None  # type: ignore[operator, arg-type]


def _shape(call: Call, environment: Environment, ask: Ask) -> Answer:
    tensors = _tensors(call, environment)
    if not tensors:
        return Absent(f"{render(call.arguments[0])} is left out")
    shape = tensors[0][1].shape
    return None if shape is None or None in shape else scalars(shape)


def _same_shape(call: Call, environment: Environment, ask: Ask) -> Answer:
    shapes = [tensor.shape for _, tensor in _tensors(call, environment)]
    known = [shape for shape in shapes if shape is not None]
    if len({len(shape) for shape in known}) > 1:
        return False
    for dims in zip(*known, strict=False):
        if len(set(dims) - {None}) > 1:
            return False
    return True if len(known) == len(shapes) and not any(None in shape for shape in known) else None


def _every_item(call: Call, environment: Environment, ask: Ask) -> Answer:
    value = ask(call.arguments[0], environment)
    if isinstance(value, tuple):
        return Every(tuple((f"item {index}", item) for index, item in enumerate(value)))
    return Every(()) if isinstance(value, Absent) else value


def _item(call: Call, environment: Environment, ask: Ask) -> Answer:
    values, index = ask(call.arguments[0], environment), plain(ask(call.arguments[1], environment))
    if not isinstance(values, tuple) or not isinstance(index, int | float):
        return values if isinstance(values, Absent) else None
    if not -len(values) <= index < len(values):
        return Absent(f"{render(call.arguments[0])} has {len(values)} items")
    return values[int(index)]


def _length(call: Call, environment: Environment, ask: Ask) -> Answer:
    values = ask(call.arguments[0], environment)
    return len(values) if isinstance(values, tuple) else (values if isinstance(values, Absent) else None)


def _native(call: Call, environment: Environment, ask: Ask) -> Answer:
    operator = call.arguments[0]
    if environment.native is None or not isinstance(operator, Name):
        return None
    return environment.native(operator.name)


@dataclass(frozen=True, slots=True)
class Predicate:
    """A function that conditions may call; `takes` says what each argument is, the last may repeat if `repeats`."""

    takes: tuple[str, ...]
    """operand, operand-or-attribute, attribute, axis, number, operator"""
    answer: Callable[[Call, Environment, Ask], Answer]
    meaning: str
    repeats: bool = False


PREDICATES: Mapping[str, Predicate] = {
    "const": Predicate(
        ("operand",),
        _const,
        "every operand named is a constant of the model (DequantizeLinear, Cast or Transpose of one counts), or absent",
        repeats=True,
    ),
    "present": Predicate(("operand-or-attribute",), _present, "the optional operand or attribute is given"),
    "rank": Predicate(("operand",), lambda c, e, _: _about(c, e, _rank), "number of axes"),
    "dim": Predicate(("operand", "axis"), _dim, "extent of one axis: an index (negative from the last) or a letter N C D H W"),
    "remainder": Predicate(
        ("operand", "axis", "number"), _remainder, "extent of one axis modulo a number: `remainder(W, 0, 4) == 0` is a multiple of 4"
    ),
    "all_dims": Predicate(("operand",), _all_dims, "all extents of the operands at once; a comparison must hold for each", repeats=True),
    "dtype": Predicate(("operand",), lambda c, e, _: _about(c, e, lambda t: None if t.dtype == "unknown" else t.dtype), "element type"),
    "nonnegative": Predicate(
        ("operand",),
        lambda c, e, _: _about(c, e, lambda t: t.nonnegative),
        "the graph shows that no element of an operand of integers is below 0: indices that do not count from the end",
    ),
    "elements": Predicate(("operand",), lambda c, e, _: _about(c, e, lambda t: t.elements), "number of elements"),
    "bytes": Predicate(("operand",), lambda c, e, _: _about(c, e, lambda t: t.bytes), "packed size in bytes"),
    "shape": Predicate(("operand",), _shape, "the extents as a list, to compare with [1, 1]"),
    "static": Predicate(("operand",), lambda c, e, _: _about(c, e, _is_static), "every extent is known"),
    "same_shape": Predicate(("operand",), _same_shape, "the operands have the same shape", repeats=True),
    "all": Predicate(("attribute",), _every_item, "all items of a list attribute at once; true if the attribute is absent"),
    "item": Predicate(("attribute", "number"), _item, "one item of a list attribute, counted from 0"),
    "length": Predicate(("attribute",), _length, "number of items of a list attribute"),
    "count": Predicate(("operand",), _count, "number of tensors of a variadic operand"),
    "per_tensor": Predicate(("operand",), _quantised(questions.per_tensor), "a quantised operand has one scale"),
    "per_channel": Predicate(
        ("operand",), _quantised(questions.per_channel), "each index of one axis of a quantised operand has its scale"
    ),
    "channel_axis": Predicate(("operand",), _quantised(questions.channel_axis), "that axis, counted from 0"),
    "block": Predicate(("operand",), _quantised(questions.block), "elements that share a scale, where an operand is quantised in blocks"),
    "symmetric": Predicate(("operand",), _quantised(questions.symmetric), "its zero points are 0 (128 of uint8, 8 of uint4)"),
    "zero_point": Predicate(("operand",), _quantised(questions.zero_point), "its zero point; a comparison must hold for each there is"),
    "scale": Predicate(("operand",), _quantised(questions.scale), "its scale; a comparison must hold for each there is"),
    "native": Predicate(("operator",), _native, "the device supports this operator in some form"),
}
