"""Both sides of a rule as one list of scalar operations, evaluated at many points at once or carefully at one.

Shared sub-expressions (`let` names and equal formulas) are one operation, so that time is linear in what is written.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ...targets import formula as ex
from ...targets.dtypes import ROUNDOFF
from ...targets.rule_formula import INFIX, plain_name
from ...targets.rule_spec import RuleSpec
from .elementwise import ELEMENTWISE, Elementwise, Function

ROUNDING = ROUNDOFF["fp64"]


class NotElementwise(Exception):
    """The formula holds something that is no function of numbers alone; the argument is its name."""


@dataclass(slots=True)
class Tape:
    """Operation k writes value k; the first ones are the parameters."""

    parameters: tuple[str, ...]
    steps: list[tuple[Function | None, tuple[int, ...], float]] = field(default_factory=list)
    """(function, arguments, 0) or (None, (), constant); a parameter is (None, (), nan)."""
    match: int = 0
    emit: int = 0
    _known: dict[object, int] = field(default_factory=dict)

    def put(self, function: Function | None, arguments: tuple[int, ...], constant: float = 0.0) -> int:
        key = (function, arguments, constant)
        if key not in self._known:
            self._known[key] = len(self.steps)
            self.steps.append((function, arguments, constant))
        return self._known[key]

    @property
    def constants(self) -> list[float]:
        return [value for function, _, value in self.steps[len(self.parameters) :] if function is None and math.isfinite(value)]


def tape_of(spec: RuleSpec) -> Tape:
    """Raises NotElementwise where a side is not computed element by element by operators that are known here."""
    if len(spec.emit) != 1 or len(spec.match) != 1:
        raise NotElementwise("a rule with several outputs")
    tape = Tape(spec.parameters)
    names: dict[str, int] = {}
    for name in spec.parameters:
        names[name] = len(tape.steps)
        tape.steps.append((None, (), math.nan))
    tape.match = _put(tape, spec.match[0], names)
    for name, value in spec.let:
        names[name] = _put(tape, value, names)
    tape.emit = _put(tape, spec.emit[0], names)
    return tape


def _put(tape: Tape, expression: ex.Expression, names: Mapping[str, int]) -> int:
    match expression:
        case ex.Number(value=value):
            return tape.put(None, (), value)
        case ex.Name(name=name):
            return names[name]
        case ex.Unary(operand=operand):
            return tape.put(ELEMENTWISE["Neg"].function, (_put(tape, operand, names),))
        case ex.Binary(operator=operator, left=left, right=right):
            arguments = (_put(tape, left, names), _put(tape, right, names))
            return tape.put(ELEMENTWISE[INFIX[operator]].function, arguments)
        case ex.Call():
            return _call(tape, expression, names)
    raise NotElementwise("a list or a string")


def _call(tape: Tape, call: ex.Call, names: Mapping[str, int]) -> int:
    meaning, given = _meaning(call)
    numbers = {name for name, _ in meaning.attributes}
    if len(call.arguments) > meaning.most or len(call.arguments) < meaning.least or not given.keys() <= numbers:
        raise NotElementwise(call.function)
    arguments = [_put(tape, argument, names) for argument in call.arguments]
    missing = meaning.fill[len(arguments) - meaning.least :] if meaning.fill else ()
    arguments += [tape.put(None, (), value) for value in missing]
    for name, default in meaning.attributes:
        arguments.append(_put(tape, given[name], names) if name in given else tape.put(None, (), default))
    return tape.put(meaning.function, tuple(arguments))


def _meaning(call: ex.Call) -> tuple[Elementwise, Mapping[str, ex.Expression]]:
    """What the operator computes, and the attributes that are numbers."""
    words = {name: value.value for name, value in call.keywords if isinstance(value, ex.Text)}
    name = plain_name(call.function)
    if words.get("approximate") == "tanh":
        name += " tanh"
    meaning = ELEMENTWISE.get(name)
    if meaning is None or not words.items() <= (meaning.words or {}).items():
        raise NotElementwise(call.function)
    return meaning, {key: value for key, value in call.keywords if key not in words}


# --- many points at once


def evaluate(tape: Tape, points: Sequence[Sequence[float]]) -> tuple[list[float], list[float]]:
    """`match` and `emit` at every point (one list per parameter); infinite where it overflows, nan where it is not defined."""
    count = len(points[0]) if points else 1
    values: list[Sequence[float]] = list(points)
    for function, arguments, constant in tape.steps[len(values) :]:
        values.append([constant] * count if function is None else _column(function, [values[k] for k in arguments]))
    return list(values[tape.match]), list(values[tape.emit])


def _column(function: Function, arguments: list[Sequence[float]]) -> list[float]:
    try:
        return list(map(function, *arguments))
    except (ValueError, ArithmeticError):
        return [safe(function, row) for row in zip(*arguments, strict=True)]


def safe(function: Function, arguments: Sequence[float]) -> float:
    """nan outside the domain, an infinity on overflow."""
    try:
        return function(*arguments)
    except OverflowError:
        return _overflow(function, arguments)
    except (ValueError, ZeroDivisionError):
        return math.nan


def _overflow(function: Function, arguments: Sequence[float]) -> float:
    """The infinity of the right sign: functions that overflow are odd in the sign of their first argument, or never negative."""
    first = arguments[0]
    if function is ELEMENTWISE["Sinh"].function:
        return math.copysign(math.inf, first)
    if function is ELEMENTWISE["Pow"].function:
        return -math.inf if first < 0 and arguments[1] % 2 == 1 else math.inf
    if function in (ELEMENTWISE["Floor"].function, ELEMENTWISE["Ceil"].function, ELEMENTWISE["Round"].function):
        return first
    return math.inf


# --- carefully, at one point


@dataclass(frozen=True, slots=True)
class Careful:
    """`match` and `emit` at one point, how far rounding may have moved them, and what went wrong on the way."""

    match: float
    emit: float
    rounding: float
    trouble: str
    """Of `emit`: "", "overflow", or why it is not defined ("Sqrt of a negative number")."""


def evaluate_carefully(tape: Tape, point: Sequence[float], constants: float = ROUNDING) -> Careful:
    """First-order running error: each operation passes on what its arguments may be off by, and adds its own rounding. `constants`
    is the relative doubt in constants that are not exact in fp32."""
    values: list[float] = list(point)
    doubts: list[float] = [0.0] * len(values)
    troubles: list[str] = [""] * len(values)
    for function, arguments, constant in tape.steps[len(values) :]:
        if function is None:
            values.append(constant)
            doubts.append(0.0 if _exact(constant) else abs(constant) * constants)
            troubles.append("")
            continue
        taken = [values[k] for k in arguments]
        value = safe(function, taken)
        values.append(value)
        troubles.append(next((troubles[k] for k in arguments if troubles[k]), "") or _trouble(function, taken, value))
        doubts.append(_doubt(function, taken, [doubts[k] for k in arguments], value))
    return Careful(values[tape.match], values[tape.emit], doubts[tape.match] + doubts[tape.emit], troubles[tape.emit])


def _doubt(function: Function, taken: list[float], doubts: list[float], value: float) -> float:
    if not math.isfinite(value):
        return 0.0
    found = 4 * ROUNDING * abs(value)
    for k, doubt in enumerate(doubts):
        if doubt:
            moved = [safe(function, [*taken[:k], taken[k] + step, *taken[k + 1 :]]) for step in (doubt, -doubt)]
            found += max((abs(other - value) for other in moved if math.isfinite(other)), default=0.0)
    return found


def _exact(value: float) -> bool:
    return math.isinf(value) or narrow(value, "f") == value


def _trouble(function: Function, taken: list[float], value: float) -> str:
    if math.isfinite(value):
        return ""
    if math.isinf(value) or any(math.isinf(item) for item in taken):
        return "overflow" if math.isnan(value) or all(math.isfinite(item) for item in taken) else ""
    name = next((name for name, meaning in ELEMENTWISE.items() if meaning.function is function), "a function")
    if name in ("Div", "Reciprocal"):
        return "division by zero"
    return f"{name} of {', '.join(f'{item:g}' for item in taken)}"


# --- in a narrow dtype


def narrow(value: float, letter: str) -> float:
    """The nearest number of fp16 ("e") or fp32 ("f"); infinite beyond its range."""
    try:
        return float(struct.unpack(letter, struct.pack(letter, value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


def evaluate_narrow(tape: Tape, point: Sequence[float], letter: str) -> tuple[float, float]:
    """(`match` in float64, `emit` with every operation rounded to fp16 or fp32); a constant beyond the range is its largest."""
    exact: list[float] = list(point)
    values: list[float] = [narrow(value, letter) for value in point]
    for function, arguments, constant in tape.steps[len(values) :]:
        if function is None:
            exact.append(constant)
            values.append(narrow(constant, letter))
        else:
            exact.append(safe(function, [exact[k] for k in arguments]))
            values.append(narrow(safe(function, [values[k] for k in arguments]), letter))
    return exact[tape.match], values[tape.emit]
