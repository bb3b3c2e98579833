"""Reads what a graph computes round one node, as the polynomial that formulas are compared with.

Everything here is bounded: a reading looks at no more than MAX_NODES nodes, however deep or wide the graph.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf, prod

import numpy as np

from ..targets.operator_view import FLOATS
from .graph import Graph, Node
from .pattern import call, clip
from .polynomial import WHOLE, Call, Leaf, Polynomial, TooLarge, atom, polynomial

MAX_NODES = 48
MAX_UNIFORM = 1 << 16
"""Constants up to this many elements are looked at for being one value throughout."""
THROUGH = frozenset({"Identity", "Cast", "Dropout"})
RESHAPING = frozenset({"Reshape", "Expand", "Unsqueeze"})
FUNCTIONS = frozenset({"Erf", "Tanh", "Sigmoid"})
CLIPS = frozenset({"Clip", "Relu", "HardSigmoid", "Max", "Min"})
ARITHMETIC = frozenset({"Add", "Sub", "Mul", "Div", "Neg", "Sum", "Pow", "Sqrt", "Reciprocal"})
REDUCTIONS = frozenset({"ReduceMean", "ReduceSum"})
READ = ARITHMETIC | FUNCTIONS | CLIPS | REDUCTIONS | RESHAPING | THROUGH
FUNCTION_OF = {
    **{name: name for name in FUNCTIONS},
    **{name: "Clip" for name in CLIPS},
    **{name: "Mean" for name in REDUCTIONS},
    **{name: "Root" for name in ("Sqrt", "Pow", "Reciprocal", "Div")},
}  # fmt: skip
Shape = tuple[int | None, ...]


class Unreadable(Exception):
    """The tensor is not built from arithmetic on the candidates alone."""


@dataclass(frozen=True, slots=True)
class Region:
    """What lies behind a node, as far as formulas can look: functions met and how often each tensor is read there."""

    functions: frozenset[str]
    reads: dict[str, int]
    """Non-constant tensors in breadth-first order, with the number of times the region reads them."""
    chain: tuple[str, ...]
    """Tensors on the way back from the node while each operator has one operand that is not constant."""


class Reader:
    """Remembers, for one graph, which constants are one number; safe across edits since names are never reused."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._numbers: dict[str, float | None] = {}

    def resolve(self, tensor: str) -> str:
        """The tensor behind Identity, a Cast to the dtype it has, and inference Dropout."""
        for _ in range(MAX_NODES):
            node = self.graph.producer(tensor)
            if node is None or not self._passes(node):
                break
            tensor = node.inputs[0]
        return tensor

    def number(self, tensor: str) -> float | None:
        """The value of a constant that is one finite number throughout, else None. `tensor` must be resolved."""
        if tensor not in self._numbers:
            self._numbers[tensor] = self._number(tensor)
        return self._numbers[tensor]

    def is_constant(self, tensor: str) -> bool:
        return tensor in self.graph.constants

    def region(self, node: Node) -> Region:
        """The nodes behind `node`, breadth first, through operators that formulas can contain."""
        found: set[str] = set()
        reads: dict[str, int] = {}
        chain: list[str] = []
        queue = [node]
        for current in queue:
            if current.operator not in READ or current.domain:
                continue
            if (function := FUNCTION_OF.get(current.operator)) is not None:
                found.add(function)
            tensors = [t for t in map(self.resolve, operands(current)) if t not in self.graph.constants]
            if len(tensors) == 1 and len(queue) == len(chain) + 1:
                chain += tensors
            for tensor in tensors:
                reads[tensor] = reads.get(tensor, 0) + 1
                producer = self.graph.producer(tensor)
                if reads[tensor] == 1 and producer is not None and len(queue) < MAX_NODES:
                    queue.append(producer)
        return Region(frozenset(found), reads, tuple(chain))

    def read(self, tensor: str, stop: frozenset[str], weights: bool, others: bool) -> Reading:
        """What `tensor` computes from the tensors in `stop`. With `weights`, constants of many values are leaves too; with
        `others`, any tensor. Raises Unreadable or TooLarge."""
        reading = Reading(self, stop, weights, others)
        reading.result = reading.of(tensor, None)
        return reading

    def _passes(self, node: Node) -> bool:
        if node.domain or node.operator not in THROUGH:
            return False
        if node.operator == "Cast":
            return self.graph.tensor(node.inputs[0]).dtype == self.graph.tensor(node.outputs[0]).dtype != "unknown"
        return node.operator == "Identity" or not_training(self.graph, node)

    def _number(self, tensor: str) -> float | None:
        view = self.graph.tensor(tensor)
        if not view.const or view.dtype not in FLOATS or not view.elements or view.elements > MAX_UNIFORM:
            return None
        array = self.graph.value(tensor)
        if array is None:
            return None
        first = array.reshape(-1)[0]
        if array.size > 1 and not (array.reshape(-1)[-1] == first and bool(np.all(array == first))):
            return None
        return None if np.isnan(first) else float(first)


class Reading:
    """One reading of one tensor."""

    def __init__(self, reader: Reader, stop: frozenset[str], weights: bool, others: bool) -> None:
        self.reader, self.graph, self.stop, self.weights, self.others = reader, reader.graph, stop, weights, others
        self.constants: set[str] = set()
        """Constants read as one number although they have several elements or a rank."""
        self.result = polynomial(0.0)
        self._memo: dict[tuple[str, Shape | None], Polynomial] = {}
        self._nodes = 0

    def of(self, tensor: str, restored: Shape | None) -> Polynomial:
        """`restored` is the shape a Reshape gives back to a reduction that dropped its axes; only statistics may stand under it."""
        tensor = self.reader.resolve(tensor)
        key = (tensor, restored)
        if key not in self._memo:
            self._memo[key] = self._read(tensor, restored)
        return self._memo[key]

    def _read(self, tensor: str, restored: Shape | None) -> Polynomial:
        if tensor in self.stop:
            return self._leaf(tensor, restored)
        if tensor in self.graph.constants:
            return self._constant(tensor, restored)
        node = self.graph.producer(tensor)
        if node is None or node.domain or node.operator not in READ:
            if not self.others:
                raise Unreadable
            return self._leaf(tensor, restored)
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise TooLarge
        if node.operator in ARITHMETIC:
            return self._arithmetic(node, restored)
        if node.operator in FUNCTIONS:
            return call(node.operator, self.of(node.inputs[0], restored))
        if node.operator in CLIPS:
            return self._clip(node, restored)
        if node.operator in REDUCTIONS:
            return self._mean(node, restored)
        return self._restored(node, restored)

    def _leaf(self, tensor: str, restored: Shape | None) -> Polynomial:
        if restored is not None:
            raise Unreadable
        return atom(Leaf(tensor))

    def _constant(self, tensor: str, restored: Shape | None) -> Polynomial:
        number = self.reader.number(tensor)
        if number is None:
            if not self.weights or self.graph.tensor(tensor).dtype not in FLOATS:
                raise Unreadable
            return self._leaf(tensor, restored)
        if self.graph.tensor(tensor).shape != ():
            self.constants.add(tensor)
        return polynomial(number)

    def _arithmetic(self, node: Node, restored: Shape | None) -> Polynomial:
        left = self.of(node.inputs[0], restored)
        match node.operator:
            case "Neg":
                return -left
            case "Sqrt":
                return left.power(1)
            case "Reciprocal":
                return left.power(-WHOLE)
            case "Sum":
                for name in node.inputs[1:]:
                    left = left + self.of(name, restored)
                return left
        right = self.of(node.inputs[1], restored)
        match node.operator:
            case "Add":
                return left + right
            case "Sub":
                return left - right
            case "Mul":
                return left * right
            case "Div":
                return left * right.power(-WHOLE)
        exponent = right.constant()
        if exponent is None or exponent == 0.0 or abs(exponent) > 8 or exponent * WHOLE != round(exponent * WHOLE):
            raise Unreadable
        return left.power(round(exponent * WHOLE))

    def _clip(self, node: Node, restored: Shape | None) -> Polynomial:
        if node.operator in ("Max", "Min"):
            return self._extreme(node, restored)
        argument = self.of(node.inputs[0], restored)
        if node.operator == "Relu":
            return clip(argument, 0.0, inf)
        if node.operator == "HardSigmoid":
            alpha, beta = self.graph.attribute(node, "alpha"), self.graph.attribute(node, "beta")
            if not isinstance(alpha, float) or not isinstance(beta, float):
                raise Unreadable
            return clip(argument * alpha + beta, 0.0, 1.0)
        low, high = (self._bound(node, index, name) for index, name in ((1, "min"), (2, "max")))
        return self._clipped(argument, -inf if low is None else low, inf if high is None else high)

    def _extreme(self, node: Node, restored: Shape | None) -> Polynomial:
        """Max or Min of a tensor and a number."""
        operands = [self.of(name, restored) for name in node.inputs]
        if len(operands) != 2:
            raise Unreadable
        if operands[0].constant() is not None:
            operands.reverse()
        number = operands[1].constant()
        if number is None or operands[0].constant() is not None:
            raise Unreadable
        low, high = (number, inf) if node.operator == "Max" else (-inf, number)
        return self._clipped(operands[0], low, high)

    def _clipped(self, argument: Polynomial, low: float, high: float) -> Polynomial:
        """Clip of a Clip is one Clip where the ranges overlap: min(relu(t), 6) = clip(t, 0, 6)."""
        inner = argument.single()
        if inner is not None and inner[1] == 1.0 and isinstance(inner[0], Call) and inner[0].function == "Clip":
            lower, upper = (p if isinstance(p, float) else 0.0 for p in inner[0].parameters)
            if max(low, lower) < min(high, upper):
                return clip(inner[0].argument, max(low, lower), min(high, upper))
        return clip(argument, low, high)

    def _bound(self, node: Node, index: int, name: str) -> float | None:
        if len(node.inputs) > index and node.inputs[index]:
            number = self.reader.number(self.reader.resolve(node.inputs[index]))
            if number is None:
                raise Unreadable
            return number
        value = node.attribute(name)
        return float(value) if isinstance(value, int | float) else None

    def _mean(self, node: Node, restored: Shape | None) -> Polynomial:
        source = self.graph.tensor(node.inputs[0])
        axes = reduced_axes(self.graph, node)
        if axes is None or source.shape is None:
            raise Unreadable
        if not self.graph.attribute(node, "keepdims"):
            kept = tuple(1 if k - len(source.shape) in axes else d for k, d in enumerate(source.shape))
            if restored is None or len(restored) != len(kept) or any(a != b or a is None for a, b in zip(restored, kept, strict=True)):
                raise Unreadable
        elif restored is not None:
            raise Unreadable
        found = call("Mean", self.of(node.inputs[0], None), axes)
        if node.operator == "ReduceMean":
            return found
        extents = [source.shape[axis] for axis in axes]
        if any(extent is None for extent in extents):
            raise Unreadable
        return found * float(prod(extent for extent in extents if extent is not None))

    def _restored(self, node: Node, restored: Shape | None) -> Polynomial:
        """Reshape, Expand and Unsqueeze of statistics: they only give back the axes that a reduction dropped."""
        shape = self.graph.tensor(node.outputs[0]).shape
        if shape is None or (restored is not None and shape != restored):
            raise Unreadable
        return self.of(node.inputs[0], shape)


def operands(node: Node) -> Iterable[str]:
    """The inputs that carry data rather than shapes, axes or bounds."""
    if node.operator in ARITHMETIC or node.operator in ("Max", "Min"):
        return node.inputs
    return node.inputs[:1]


def reduced_axes(graph: Graph, node: Node) -> tuple[int, ...] | None:
    """The axes of a reduction, counted from the last (all negative, ascending); None where they are not known."""
    shape = graph.tensor(node.inputs[0]).shape
    if shape is None:
        return None
    given = node.attribute("axes")
    if given is None and len(node.inputs) > 1 and node.inputs[1]:
        value = graph.value(node.inputs[1])
        if value is None:
            return None
        given = tuple(int(axis) for axis in value.reshape(-1))
    if not given:
        return None if graph.attribute(node, "noop_with_empty_axes") else tuple(range(-len(shape), 0))
    if not isinstance(given, tuple):
        return None
    return tuple(sorted({int(axis) % len(shape) - len(shape) for axis in given}))


def not_training(graph: Graph, node: Node) -> bool:
    """Whether a Dropout passes its input through: no training_mode input, or one that is constantly false."""
    if node.operator != "Dropout":
        return False
    if any(graph.uses(name) for name in node.writes[1:]):
        return False
    if len(node.inputs) < 3 or not node.inputs[2]:
        return True
    value = graph.value(node.inputs[2])
    return value is not None and not bool(value.reshape(-1)[0])
