"""The sides of operators that trial inputs should reach: of a Clip below, inside, above; of an If and a Where true and false; and so on.

compiler/reference/reached.py says in the same words which a run reached. A side that no input can reach, as far as constants and the
ranges of operators' results decide that, is not listed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .ranges import ANY, Range, ranges, unbounded
from .steps import MERGE, Branch, Flow, Step, flow_of
from .trace_values import Dependence

if TYPE_CHECKING:
    import onnx

PIECES = frozenset({"Relu", "LeakyRelu", "PRelu", "Elu", "Selu", "Celu", "ThresholdedRelu"})
CONDITIONS = frozenset({"If", "Where"})


@dataclass(frozen=True, slots=True)
class Point:
    """One side of one node."""

    path: str
    """The node's first output, after those of the nodes in whose bodies it stands: "if_out/y"."""
    side: str
    node: str
    """Operator and name, as messages show them: "Clip 'relu6_4'"."""
    sentence: str
    """What it means that no run reached it."""
    inputs: frozenset[str]
    """The graph's inputs that decide it."""
    within: tuple[Branch, ...] = ()
    """The branches of Ifs in which the node stands."""

    @property
    def key(self) -> tuple[str, str]:
        return self.path, self.side


@dataclass(frozen=True, slots=True)
class Sight:
    """What is known of a graph's tensors."""

    flow: Flow
    depends: Dependence
    ranges: dict[str, Range]

    def range(self, step: Step, index: int) -> Range:
        return self.ranges.get(step.inputs[index], ANY)


def sight_of(model: onnx.ModelProto, shapes: Mapping[str, tuple[int, ...]] | None = None) -> Sight:
    """Traces a model with its bodies. shapes: of inputs that the model leaves open."""
    flow = flow_of(model, shapes)
    known = ranges(flow, model.graph)
    return Sight(flow, Dependence(flow, known), known)


def possible_points(model: onnx.ModelProto) -> tuple[Point, ...]:
    """Every side that some input may reach, in the order of the nodes; bodies and local functions included."""
    return points_of(sight_of(model))


def points_of(sight: Sight) -> tuple[Point, ...]:
    """The same, of a model that was traced already. Nodes that no input's values reach have none."""
    found: dict[tuple[str, str], Point] = {}
    closed: set[Branch] = set()
    for step in sight.flow.steps:
        rule = RULES.get(step.operator)
        if rule is None or step.operator == MERGE or not step.inputs or closed.intersection(step.within):
            continue
        deciding = step.inputs[:1] if step.operator in CONDITIONS else step.inputs
        inputs = frozenset[str]().union(*(sight.depends.of(name) for name in deciding))
        sides = dict(rule(sight, step))
        if step.operator == "If":
            closed.update((step.path, side) for side in _impossible(sight, step))
        for side, sentence in sides.items() if inputs else ():
            node = f"{step.operator} '{step.node.name or step.path}'"
            found.setdefault((step.path, side), Point(step.path, side, node, f"{node} {sentence}", inputs, step.within))
    return tuple(found.values())


Sides = Iterator[tuple[str, str]]


def _impossible(sight: Sight, step: Step) -> list[str]:
    low, high = sight.range(step, 0)
    return [side for side, ruled_out in (("true", low == high == 0), ("false", low > 0 or high < 0)) if ruled_out]


def _if(sight: Sight, step: Step) -> Sides:
    for side, word in (("true", "then"), ("false", "else")):
        if side not in _impossible(sight, step):
            yield side, f"never took its {word} branch"


def _where(sight: Sight, step: Step) -> Sides:
    for side in ("true", "false"):
        if side not in _impossible(sight, step):
            yield side, f"never had a {side} condition"


def _between(x: Range, low: float, high: float, words: Sequence[str]) -> Sides:
    """Sides of a value against bounds, each at most infinite; words: minimum, maximum as told."""
    if x[0] < low:
        yield "below", f"was never below {words[0]}"
    if x[1] >= low and x[0] <= high and low < high:
        yield "inside", f"was never between {words[0]} and {words[1]}"
    if x[1] > high:
        yield "above", f"was never above {words[1]}"


def _clip(sight: Sight, step: Step) -> Sides:
    low, high = (_bound(sight, step, index, name, sign) for index, name, sign in ((1, "min", -1), (2, "max", 1)))
    words = [f"its {name} {bound:g}" for name, bound in (("minimum", low), ("maximum", high))]
    yield from _between(sight.range(step, 0), low, high, words)


def _bound(sight: Sight, step: Step, index: int, name: str, sign: int) -> float:
    """The bound where it is one number, infinite where there is none; NaN, against which every comparison fails, where it is computed."""
    if index >= len(step.inputs) or not step.inputs[index]:
        return unbounded(step.attribute(name, sign * math.inf))
    low, high = sight.range(step, index)
    return low if low == high else math.nan


def _hard_sigmoid(sight: Sight, step: Step) -> Sides:
    alpha, beta = step.attribute("alpha", 0.2), step.attribute("beta", 0.5)
    if alpha:
        ends = [alpha * end + beta for end in sight.range(step, 0)]
        low, high = sorted((-beta / alpha, (1 - beta) / alpha))
        words = [f"{low:.6g}" if alpha > 0 else f"{high:.6g}", f"{high:.6g}" if alpha > 0 else f"{low:.6g}"]
        yield from _between((min(ends), max(ends)), 0, 1, words)


def _hard_swish(sight: Sight, step: Step) -> Sides:
    yield from _between(sight.range(step, 0), -3, 3, ("-3", "3"))


def _piece(sight: Sight, step: Step) -> Sides:
    bound = step.attribute("alpha", 1.0) if step.operator == "ThresholdedRelu" else 0.0
    low, high = sight.range(step, 0)
    if low < bound:
        yield "below", f"was never below {bound:g}"
    if high > bound:
        yield "above", f"was never above {bound:g}"


def _extreme(sight: Sight, step: Step) -> Sides:
    """Of Max and Min of two where one is a constant, as a Clip is often written."""
    constant = [name in sight.flow.constants for name in step.inputs]
    if len(constant) != 2 or constant[0] == constant[1]:
        return
    (a, b), (c, d) = (sight.range(step, index) for index in (0, 1))
    first, second = (b > c, d > a) if step.operator == "Max" else (a < d, c < b)
    low, high = (c, d) if constant[1] else (a, b)
    if math.isinf(low) and low == high:
        return
    bound = f"its constant {low:g}" if low == high else "its constant"
    relation = ("above", "below") if (step.operator == "Max") == constant[1] else ("below", "above")
    if first:
        yield "first", f"was never {relation[0]} {bound}"
    if second:
        yield "second", f"was never {relation[1]} {bound}"


RULES: dict[str, Callable[[Sight, Step], Sides]] = {
    "Clip": _clip, "HardSigmoid": _hard_sigmoid, "HardSwish": _hard_swish, "If": _if, "Where": _where,
    "Max": _extreme, "Min": _extreme, **dict.fromkeys(PIECES, _piece),
}  # fmt: skip
