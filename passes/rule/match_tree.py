"""Finds a rule's `match` in a graph operator by operator: every call is a node of that kind with those attributes, sums and products in
either order. Grouping counts here; pattern.py is the engine for which it does not.

An attribute that `match` does not mention must have its default, for another value is other mathematics. A parameter in an
attribute's place takes whatever value the node has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ...targets.formula import Binary, Call, Expression, Listing, Name, Number, Text, Unary
from ...targets.operator_view import AttributeValue
from ...targets.rule_formula import INFIX, number_of, plain_name
from ..graph.graph import Graph
from ..graph.node import Node
from ..graph.schema import schema

MAX_ELEMENTS = 16
"""A constant of more elements is not looked at for being one number."""
MAX_STEPS = 2000
TOLERANCE = 1e-6
Found = Mapping[str, AttributeValue]


class Matcher:
    """One attempt at one root; bounded by MAX_STEPS."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.steps = graph, 0

    def at(self, expression: Expression, node: Node, known: Found) -> Iterator[Found]:
        """Every way in which the node is the root of the formula."""
        self.steps += 1
        if self.steps > MAX_STEPS:
            return
        match expression:
            case Unary(operand=operand):
                if node.kind == "Neg":
                    yield from self._inputs((operand,), node.inputs, known)
            case Binary(operator=operator, left=left, right=right):
                if node.kind != INFIX[operator]:
                    return
                yield from self._inputs((left, right), node.inputs, known)
                if operator in "+*":
                    yield from self._inputs((right, left), node.inputs, known)
            case Call(function=function, arguments=arguments, keywords=keywords):
                bound = self._attributes(keywords, node, known) if node.kind == plain_name(function) else None
                if bound is not None:
                    yield from self._inputs(arguments, node.inputs, bound)

    def _inputs(self, wanted: Sequence[Expression], inputs: Sequence[str], known: Found) -> Iterator[Found]:
        given = list(inputs)
        while given and not given[-1]:
            given.pop()
        if len(given) == len(wanted):
            yield from self._each(tuple(zip(wanted, given, strict=True)), known)

    def _each(self, pairs: tuple[tuple[Expression, str], ...], known: Found) -> Iterator[Found]:
        if not pairs:
            yield known
            return
        for bound in self._tensor(*pairs[0], known):
            yield from self._each(pairs[1:], bound)

    def _tensor(self, wanted: Expression, tensor: str, known: Found) -> Iterator[Found]:
        if not tensor:
            return
        if isinstance(wanted, Name):
            if known.get(wanted.name, tensor) == tensor:
                yield {**known, wanted.name: tensor}
            return
        number = number_of(wanted)
        if number is not None or isinstance(wanted, Listing):
            if self._is_constant(tensor, [number] if number is not None else _numbers(wanted)):
                yield known
            return
        producer = self.graph.producer(tensor)
        if producer is not None and producer.outputs[0] == tensor:
            yield from self.at(wanted, producer, known)

    def _is_constant(self, tensor: str, wanted: Sequence[float | None]) -> bool:
        """Whether the tensor is constantly the one number throughout, or the list."""
        view = self.graph.tensor(tensor)
        if not view.const or view.elements is None or view.elements > MAX_ELEMENTS:
            return False
        value = self.graph.value(tensor)
        if value is None or value.dtype.kind not in "fiub":
            return False
        flat = value.astype(np.float64).reshape(-1)
        if len(wanted) == 1:
            return len(flat) > 0 and all(_close(float(x), wanted[0]) for x in flat)
        return len(flat) == len(wanted) and all(_close(float(x), y) for x, y in zip(flat, wanted, strict=True))

    def _attributes(self, keywords: Sequence[tuple[str, Expression]], node: Node, known: Found) -> Found | None:
        bound = dict(known)
        given = dict(keywords)
        for name, wanted in keywords:
            value = self.graph.attribute(node, name)
            if value is None:
                return None
            if isinstance(wanted, Name):
                if wanted.name in bound and bound[wanted.name] != value:
                    return None
                bound[wanted.name] = value
            elif not _equal(value, wanted):
                return None
        defaults = schema(node.operator, node.domain, self.graph.version(node)).defaults
        for name in node.attributes:
            if name not in given and node.attribute(name) != defaults.get(name):
                return None
        return bound


def _numbers(listing: Expression) -> list[float | None]:
    return [number_of(item) for item in listing.items] if isinstance(listing, Listing) else []


def _close(value: float, wanted: float | None) -> bool:
    return wanted is not None and (value == wanted or abs(value - wanted) <= TOLERANCE * abs(wanted))


def _equal(value: AttributeValue, wanted: Expression) -> bool:
    if isinstance(value, tuple):
        numbers = _numbers(wanted)
        if isinstance(wanted, Listing) and len(numbers) == len(value):
            return all(isinstance(x, int | float) and _close(float(x), y) for x, y in zip(value, numbers, strict=True))
        return False
    if isinstance(value, str):
        return isinstance(wanted, Text) and wanted.value == value
    return _close(float(value), number_of(wanted))


def literal(expression: Expression) -> AttributeValue | None:
    """An attribute's value as written: a number, a text, a list of numbers or texts; None for anything else."""
    if isinstance(expression, Number | Unary | Binary):
        return number_of(expression)
    if isinstance(expression, Text):
        return expression.value
    if isinstance(expression, Listing):
        texts = tuple(item.value for item in expression.items if isinstance(item, Text))
        if texts and len(texts) == len(expression.items):
            return texts
        numbers = tuple(number for number in _numbers(expression) if number is not None)
        return numbers if len(numbers) == len(expression.items) else None
    return None
