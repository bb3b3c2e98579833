"""On random graphs: what is called reached was reached, what can be reached is listed, and reached and missed make up what is possible."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import parse
from untouched import NodeByNode

from autoglmc.compiler.inputs.trials import Trials

Sides = set[tuple[str, str]]
UNARY = {
    "Relu": lambda x: np.maximum(x, 0), "Neg": np.negative, "Abs": np.abs, "Tanh": np.tanh, "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}  # fmt: skip
NUMBERS = st.sampled_from([-60.0, -3.0, -1.0, 0.0, 0.5, 1.0, 6.0, 90.0])


@dataclass
class Program:
    """Statements, each (operator, result, operands and numbers); a branch is a Program."""

    statements: list[tuple[str, str, list[Any]]] = field(default_factory=list)

    def text(self) -> str:
        return " ".join(_text(*statement) for statement in self.statements)

    def run(self, values: dict[str, Any], sides: Sides, path: str = "") -> dict[str, Any]:
        """Every tensor; `sides` gains what was reached, told by definitions of its own."""
        values = dict(values)
        for operator, result, words in self.statements:
            values[result] = _run(operator, path + result, words, values, sides)
        return values


def _text(operator: str, result: str, words: list[Any]) -> str:
    x = words[0]
    if operator == "Clip":
        low, high = (f"{result}{mark} = Constant<value_float={number}>()" for mark, number in zip("lh", words[1:], strict=True))
        return f"{low} {high} {result} = Clip({x}, {result}l, {result}h)"
    if operator == "Where":
        condition = f"{result}k = Constant<value_float={words[2]}>() {result}c = Greater({x}, {result}k)"
        return f"{condition} {result} = Where({result}c, {x}, {words[1]})"
    if operator == "Max":
        return f"{result}k = Constant<value_float={words[1]}>() {result} = Max({x}, {result}k)"
    if operator == "If":
        then, other = words[2], words[3]
        return (
            f"{result}k = Constant<value_float={words[1]}>() "
            f"{result}m = ReduceMean<keepdims=0>({x}) {result}c = Greater({result}m, {result}k) "
            f"{result} = If({result}c) <then_branch = t () => (float[4] {result}_t) {{ {then.text()} {result}_t = Identity({words[4]}) }}, "
            f"else_branch = e () => (float[4] {result}_e) {{ {other.text()} {result}_e = Identity({words[5]}) }}>"
        )
    return f"{result} = {operator}({', '.join(words)})"


def _run(operator: str, result: str, words: list[Any], values: dict[str, Any], sides: Sides) -> Any:
    x = values[words[0]]
    if operator == "Clip":
        low, high = np.float32(words[1]), np.float32(words[2])
        sides |= {(result, s) for s, n in (("below", x < low), ("above", x > high), ("inside", (x >= low) & (x <= high))) if n.any()}
        return np.clip(x, low, high)
    if operator == "HardSwish":
        sides |= {(result, s) for s, n in (("below", x < -3), ("above", x > 3), ("inside", abs(x) <= 3)) if n.any()}
        return x * np.clip(x / np.float32(6) + np.float32(0.5), 0, 1)
    if operator == "Where":
        taken = x > np.float32(words[2])
        sides |= {(result, s) for s, n in (("true", taken), ("false", ~taken)) if n.any()}
        return np.where(taken, x, values[words[1]])
    if operator == "Max":
        bound = np.float32(words[1])
        sides |= {(result, s) for s, n in (("first", x > bound), ("second", x < bound)) if n.any()}
        return np.maximum(x, bound)
    if operator == "If":
        taken = x.mean(dtype=np.float32) > np.float32(words[1])
        sides.add((result, "true" if taken else "false"))
        return words[2 if taken else 3].run(values, sides, f"{result}/")[words[4 if taken else 5]]
    if operator == "Relu":
        sides |= {(result, s) for s, n in (("below", x < 0), ("above", x > 0)) if n.any()}
    return x + values[words[1]] if operator == "Add" else UNARY[operator](x)


@st.composite
def programs(draw: st.DrawFn, known: tuple[str, ...] = ("x", "z"), mark: str = "t", depth: int = 2) -> tuple[Program, str]:
    """A program, and the name of its last tensor."""
    program, names = Program(), list(known)
    for number in range(draw(st.integers(1, 5 if depth == 2 else 2))):
        result, one = f"{mark}{number}", st.sampled_from(names)
        kinds = [*UNARY, "Clip", "Clip", "HardSwish", "Where", "Max", "Add", *(["If", "If"] if depth else [])]
        operator = draw(st.sampled_from(kinds))
        words: list[Any] = [draw(one)]
        if operator == "Clip":
            words += sorted([draw(NUMBERS), draw(NUMBERS)])
        elif operator == "Where":
            words += [draw(one), draw(NUMBERS)]
        elif operator == "Max":
            words += [draw(NUMBERS)]
        elif operator == "Add":
            words += [draw(one)]
        elif operator == "If":
            then, last = draw(programs(tuple(names), f"{result}a", depth - 1))
            other, end = draw(programs(tuple(names), f"{result}b", depth - 1))
            words += [draw(NUMBERS), then, other, last, end]
        program.statements.append((operator, result, words))
        names.append(result)
    return program, names[-1]


@settings(max_examples=60, deadline=None)
@given(programs(), st.integers(0, 2**32 - 1))
def test_reached_and_missed_are_what_is_possible(drawn: tuple[Program, str], seed: int) -> None:
    program, last = drawn
    model = parse(f"g (float[4] x, float[4] z) => (float[4] y) {{ {program.text()} y = Identity({last}) }}", opset=17)
    trials = Trials(model, NodeByNode(model), {}, ["x", "z"])
    sets, coverage = trials.sets(), trials.coverage
    possible = {point.key for point in coverage.possible}
    reached, missed = ({point.key for point in points} for points in (coverage.reached, coverage.missed))
    assert not reached & missed and reached | missed == possible

    found: Sides = set()
    for trial in sets:
        program.run(dict(trial.values), found)
    assert found & possible == reached
    rng, free = np.random.default_rng(seed), Sides()
    for scale in (0.1, 1, 5, 50, 1000):
        program.run({name: (scale * rng.standard_normal(4)).astype(np.float32) for name in ("x", "z")}, free)
    told = coverage.not_exercised
    assert len(told) <= 51 and bool(missed) <= bool(told)
    assert {key for key in free | found if key not in possible} <= _settled(program, found | free)


def _settled(program: Program, found: Sides) -> Sides:
    """Sides of nodes that can take one only, which are listed nowhere."""
    sides: Sides = set()
    for tensor, side in found:
        others = {other for name, other in found if name == tensor}
        sides |= {(tensor, side)} if others == {side} else set()
    return sides
