"""Reads what a tensor computes from another one, as the polynomial that formulas are compared with."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, prod

from ...targets.dtypes import FLOATS
from ..graph.graph import Graph
from ..graph.node import Node
from .pattern import call, clip
from .polynomial import WHOLE, Call, Leaf, Polynomial, TooLarge, atom, polynomial
from .region import ARITHMETIC, CLIPS, FUNCTIONS, MAX_NODES, READ, REDUCTIONS, Reader

MAX_KEPT = 256
"""Candidates whose readings are kept; roots near each other share them."""
Shape = tuple[int | None, ...]


class Unreadable(Exception):
    """The tensor is not built from arithmetic on the candidate alone."""


class Unfinished(Exception):
    """More nodes lie behind the tensor than are read for one root."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a tensor computes."""

    result: Polynomial
    constants: frozenset[str]
    """Constants read as one number although they have several elements or a rank."""


class Readings:
    """For one sweep over a graph: what tensors compute from a candidate for x. What was read for one root is not read again for the
    roots before it. Edits at the root, or at roots after it, leave what lies behind it as it is."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self._by_candidate: dict[tuple[str, bool, bool], Reading] = {}

    def find(self, tensor: str, candidate: str, weights: bool, others: bool) -> Found | None:
        """What `tensor` computes from `candidate`; None if it is no formula of it. With `weights`, constants of many values are leaves
        too; with `others`, any tensor."""
        key = (candidate, weights, others)
        if key not in self._by_candidate:
            if len(self._by_candidate) >= MAX_KEPT:
                del self._by_candidate[next(iter(self._by_candidate))]
            self._by_candidate[key] = Reading(self.reader, candidate, weights, others)
        return self._by_candidate[key].read(tensor)


class Reading:
    """All that is read from one candidate."""

    def __init__(self, reader: Reader, candidate: str, weights: bool, others: bool) -> None:
        self.reader, self.graph, self.candidate, self.weights, self.others = reader, reader.graph, candidate, weights, others
        self._memo: dict[tuple[str, Shape | None], Found | None] = {}
        self._deep: set[tuple[str, Shape | None]] = set()
        """What more than MAX_NODES nodes lie behind. A root with so many is walked back twice as far, so that the next ones are known."""
        self._constants: frozenset[str] = frozenset()
        self._nodes = 0

    def read(self, tensor: str) -> Found | None:
        """What the tensor computes; None if it is no formula, or one that is too large."""
        self._nodes, self._constants = 0, frozenset()
        try:
            result = self.of(tensor, None)
        except (Unreadable, Unfinished):
            return None
        return Found(result, self._constants) if self._nodes <= MAX_NODES else None

    def of(self, tensor: str, restored: Shape | None) -> Polynomial:
        """`restored` is the shape a Reshape gives back to a reduction that dropped its axes; only statistics may stand under it.
        Raises Unreadable or Unfinished."""
        key = (self.reader.resolve(tensor), restored)
        if key not in self._memo:
            if key in self._deep:
                raise Unfinished
            self._memo[key] = self._found(*key)
        found = self._memo[key]
        if found is None:
            raise Unreadable
        self._constants |= found.constants
        return found.result

    def _found(self, tensor: str, restored: Shape | None) -> Found | None:
        """None where it cannot be read; raises Unfinished where that is not known yet."""
        before, self._constants = self._constants, frozenset()
        nodes = self._nodes
        try:
            result = self._read(tensor, restored)
            content = result.content
            fits = content.calls <= self.reader.calls and self.reader.part_of_one(content.functions)
            return Found(result, self._constants) if fits else None
        except (Unreadable, TooLarge):
            return None
        except Unfinished:
            if self._nodes - nodes > MAX_NODES:
                self._deep.add((tensor, restored))
            raise
        finally:
            self._constants = before

    def _read(self, tensor: str, restored: Shape | None) -> Polynomial:
        if tensor == self.candidate:
            return self._leaf(tensor, restored)
        if self.reader.is_constant(tensor):
            return self._constant(tensor, restored)
        node = self.graph.producer(tensor)
        if node is None or node.domain or node.operator not in READ:
            if not self.others:
                raise Unreadable
            return self._leaf(tensor, restored)
        self._nodes += 1
        if self._nodes > 2 * MAX_NODES:
            raise Unfinished
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
            self._constants |= {tensor}
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
        argument = self.of(node.inputs[0], None)
        if node.operator in ("ReduceL2", "ReduceSumSquare"):
            argument = argument * argument
        found = call("Mean", argument, axes)
        if node.operator == "ReduceMean":
            return found
        extents = [source.shape[axis] for axis in axes]
        if any(extent is None for extent in extents):
            raise Unreadable
        total = found * float(prod(extent for extent in extents if extent is not None))
        return total.power(1) if node.operator == "ReduceL2" else total

    def _restored(self, node: Node, restored: Shape | None) -> Polynomial:
        """Reshape, Expand and Unsqueeze of statistics: they only give back the axes that a reduction dropped."""
        shape = self.graph.tensor(node.outputs[0]).shape
        if shape is None or (restored is not None and shape != restored):
            raise Unreadable
        return self.of(node.inputs[0], shape)


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
