"""Writes a rule's formulas as nodes: every name and every equal part once, arithmetic on numbers done beforehand, constants in the
dtype of the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from onnx import helper

from ...targets.dtypes import ELEMENT
from ...targets.formula import Binary, Call, Expression, Listing, Name, Unary
from ...targets.operator_view import AttributeValue
from ...targets.operators import versions_of
from ...targets.rule_formula import INFIX, integer_inputs, names_in, number_of, plain_name
from ...targets.rule_spec import RuleSpec
from .build import Builder, Operand, largest
from .match_tree import literal
from .rewrite import Bindings


def attribute_parameters(spec: RuleSpec) -> frozenset[str]:
    """Parameters that stand for an attribute's value, not for a tensor."""
    found: set[str] = set()

    def walk(expression: Expression) -> None:
        match expression:
            case Call(arguments=arguments, keywords=keywords):
                found.update(value.name for _, value in keywords if isinstance(value, Name))
                for item in arguments:
                    walk(item)
            case Unary(operand=operand):
                walk(operand)
            case Binary(left=left, right=right):
                walk(left)
                walk(right)

    walk(spec.match[0])
    return frozenset(found)


class Writer:
    """Writes a rule's formulas into a builder: each sub-expression and each `let` name once."""

    def __init__(self, spec: RuleSpec, builder: Builder, found: Bindings) -> None:
        self.spec, self.builder, self.found = spec, builder, found
        self.graph = builder.graph
        self.beyond: str | None = None
        """The first constant that the dtype cannot hold."""
        self._attributes = attribute_parameters(spec)
        self._names: dict[str, Operand] = {}
        self._written: dict[object, str] = {}
        """Outputs by what computes them: equal parts are written once."""

    def formula(self, expression: Expression, outputs: int) -> list[str]:
        """The nodes of one formula, `outputs` results of its last operator."""
        self._bind()
        results = [self._tensor(self._write(expression))]
        root = self.builder.nodes[-1]
        root.outputs.extend(self.graph.fresh(self.builder.hint) for _ in range(outputs - 1))
        return results + root.outputs[1:]

    def _bind(self) -> None:
        for name in self.spec.parameters:
            value = self.found.values[name]
            if name not in self._attributes:
                self._names[name] = self.found[name]
            elif isinstance(value, float | int):
                self._names[name] = float(value)

    def results(self) -> tuple[str, ...]:
        """`emit`, one tensor for each output of the root."""
        self._bind()
        used = _used(self.spec)
        for name, expression in self.spec.let:
            if name in used:
                self._names[name] = self._write(expression)
        results = [self._write(formula) for formula in self.spec.emit]
        return tuple(self._tensor(result) for result in results)

    def _write(self, expression: Expression) -> Operand:
        if isinstance(expression, Name):
            return self._names[expression.name]
        number = number_of(expression)
        return self._new(expression) if number is None else number

    def _new(self, expression: Expression) -> Operand:
        match expression:
            case Unary(operand=operand):
                value = self._write(operand)
                return -value if isinstance(value, float) else self._node("Neg", [value], {})
            case Binary(operator=operator, left=left, right=right):
                return self._node(INFIX[operator], [self._write(left), self._write(right)], {})
            case Call(function=function, arguments=arguments, keywords=keywords):
                integers = integer_inputs(function, self.graph.newest)
                given = [
                    self._integers(argument) if k in integers and literal(argument) is not None else self._write(argument)
                    for k, argument in enumerate(arguments)
                ]
                return self._node(plain_name(function), given, self._values(function, keywords))
            case Listing():
                values = literal(expression)
                return self.builder.array(np.array(values, np.float64))
        raise TypeError(f"not in a formula of a rule: {expression}")

    def _integers(self, argument: Expression) -> str:
        value = literal(argument)
        if isinstance(value, tuple):
            return self.builder.integers([int(x) for x in value])
        assert isinstance(value, float | int)
        return self.graph.constant(np.array(int(value), np.int64), self.builder.hint)

    def _node(self, kind: str, inputs: Sequence[Operand], attributes: Mapping[str, AttributeValue]) -> str:
        domain, _, operator = kind.rpartition("::")
        names = [self._tensor(item) for item in inputs]
        key = (kind, tuple(names), tuple(sorted(attributes.items())))
        if key in self._written:
            return self._written[key]
        node = self.graph.node(operator, names, domain=domain, hint=f"{self.builder.hint}_{operator.lower()}")
        node.attributes.update({key: helper.make_attribute(key, value) for key, value in sorted(attributes.items())})
        self.builder.nodes.append(node)
        self._written[key] = node.outputs[0]
        return node.outputs[0]

    def _tensor(self, item: Operand) -> str:
        if isinstance(item, str):
            return item
        dtype = self.builder.dtype
        held = np.array(item, helper.tensor_dtype_to_np_dtype(ELEMENT[dtype])) if abs(item) <= largest(dtype) else None
        if (held is None or (item and not held)) and self.beyond is None:
            self.beyond = f"the constant {item:g} is out of range for {dtype}"
        return self.builder.number(item)

    def _values(self, function: str, keywords: Sequence[tuple[str, Expression]]) -> dict[str, AttributeValue]:
        """The attributes, in the kind the operator's schema wants."""
        versions = versions_of(plain_name(function))
        kinds = versions[-1].attributes if versions else {}
        found: dict[str, AttributeValue] = {}
        for name, expression in keywords:
            value = self.found.values[expression.name] if isinstance(expression, Name) else literal(expression)
            assert value is not None, "the language has checked it"
            found[name] = _as_kind(kinds.get(name, "").rstrip("!="), value)
        return found


def _as_kind(kind: str, value: AttributeValue) -> AttributeValue:
    if isinstance(value, tuple):
        return tuple(int(x) for x in value) if kind == "ints" else value
    if kind == "float":
        return float(value)
    return int(value) if isinstance(value, float) and value == int(value) and kind != "floats" else value


def _used(spec: RuleSpec) -> frozenset[str]:
    """`let` names that the result needs."""
    used = {name for formula in spec.emit for name in names_in(formula)}
    for name, value in reversed(spec.let):
        if name in used:
            used.update(names_in(value))
    return frozenset(used)
