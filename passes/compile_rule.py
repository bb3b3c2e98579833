"""A target's `rule` block as a rewrite like the built-in ones: `match` finds, `emit` writes, `error` is the contract, `where` the guard.

`match` of one operator is found at a node of that kind. `match` of several is found in any order and grouping where pattern.py can read
it (arithmetic and smooth functions of one tensor), and otherwise operator by operator (match_tree.py). A rule is stated over the reals: it
stays away from integers. What it writes must have the dtype and shape of what it replaces; that is tried before it is offered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf

import numpy as np
from onnx import helper

from ..targets.expression import truth
from ..targets.formula import Binary, Call, Expression, Listing, Name, Unary, render
from ..targets.model import RuleSpec, Target
from ..targets.operator_view import FLOATS, AttributeValue
from ..targets.operators import versions_of
from ..targets.rule_formula import INFIX, emitted, integer_inputs, is_one_operator, names_in, number_of, plain_name, roots_of
from ..targets.support import environment_of
from .build import COMPUTED, Builder, Operand, largest
from .graph import ELEMENT, Graph, Node
from .match_tree import Matcher, literal
from .pattern import Formula, Value, call, clip, var
from .polynomial import Polynomial, TooLarge, polynomial
from .region import FUNCTIONS
from .rewrite import Bindings, Contract, Match, Replacement, Rewrite


def compile_rules(target: Target) -> tuple[Rewrite, ...]:
    """The rules of a target's files, in the order written."""
    return tuple(compile_rule(spec) for spec in target.rules)


def compile_rule(spec: RuleSpec) -> Rewrite:
    """The rewrite that a rule describes."""
    bound = spec.error or 0.0
    over = "all reals" if spec.over is None else f"{spec.over[0]:g}..{spec.over[1]:g}"
    kind = "reassociates" if spec.claim == "bounded" and not bound else spec.claim
    return Rewrite(
        name=spec.name,
        summary=f"{render(spec.match[0])} -> {_short(spec)} ({spec.origin})",
        operators=roots_of(spec.match[0]),
        emits=emitted(spec),
        contract=Contract(kind, bound, f"{over}, claimed at {spec.origin} and tried on numbers", spec.over),
        match=_finder(spec),
        unless=lambda graph, found: _against(spec, graph, found),
        build=lambda graph, found: Writer(spec, graph, found).replacement(),
    )


def _short(spec: RuleSpec, most: int = 120) -> str:
    text = ", ".join(render(formula) for formula in spec.emit)
    return text if len(text) <= most else f"{text[:most]}…"


def is_formula(spec: RuleSpec) -> bool:
    """Whether `match` is several operators, which have to be found before operators are asked for one by one."""
    return not is_one_operator(spec.match[0])


# --- finding


def _finder(spec: RuleSpec) -> Callable[[Graph, Node], Bindings | None]:
    formula = spec.match[0]
    attributes = attribute_parameters(spec)
    engine = None if is_one_operator(formula) or attributes else _engine(spec)

    def match(graph: Graph, node: Node) -> Bindings | None:
        if len(node.writes) > len(spec.emit):
            return None
        found = next(iter(Matcher(graph).at(formula, node, {})), None)
        if found is not None:
            return Bindings(node, _values(found))
        if engine is None:
            return None
        other = engine.find(graph, node)
        if not isinstance(other, Match):
            return None
        values = dict(other.found.values)
        return Bindings(node, {_outer(spec, name): value for name, value in values.items()})

    return match


def _values(found: Mapping[str, AttributeValue]) -> Mapping[str, Value]:
    return dict(found)  # type: ignore[arg-type]  # attribute parameters keep the attribute's own kind


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


def _inner(spec: RuleSpec, name: str) -> str:
    """pattern.py calls the tensor it searches for x; here that is the first parameter."""
    return "x" if name == spec.parameters[0] else f"_{name}"


def _outer(spec: RuleSpec, name: str) -> str:
    return spec.parameters[0] if name == "x" else name.removeprefix("_")


def _engine(spec: RuleSpec) -> Rewrite | None:
    """A rewrite with the formula as a pattern; None where pattern.py cannot read it."""
    try:
        pattern = _polynomial(spec.match[0], spec)
    except (_Unreadable, TooLarge):
        return None

    def nothing(graph: Graph, found: Bindings) -> Replacement:
        raise AssertionError("only finds")

    contract = Contract("reassociates")
    name, roots = spec.name, roots_of(spec.match[0])
    return Rewrite(name=name, summary="", operators=roots, emits=(), contract=contract, build=nothing, pattern=(pattern,))


class _Unreadable(Exception):
    """pattern.py has no form for this."""


def _polynomial(expression: Expression, spec: RuleSpec) -> Formula:
    number = number_of(expression)
    if number is not None:
        return polynomial(number)
    match expression:
        case Name(name=name):
            return var(_inner(spec, name))
        case Unary(operand=operand):
            return -_polynomial(operand, spec)
        case Binary(operator="^", left=left, right=right):
            exponent = number_of(right)
            if exponent is None or not exponent or abs(exponent) > 8 or 2 * exponent != round(2 * exponent):
                raise _Unreadable
            return _polynomial(left, spec) ** exponent
        case Binary(operator=operator, left=left, right=right):
            a, b = _polynomial(left, spec), _polynomial(right, spec)
            return a + b if operator == "+" else a - b if operator == "-" else a * b if operator == "*" else a / b
        case Call(keywords=()):
            return _function(plain_name(expression.function), expression, spec)
    raise _Unreadable


def _function(name: str, expression: Call, spec: RuleSpec) -> Polynomial:
    first, *others = (_polynomial(argument, spec) for argument in expression.arguments)
    if not others:
        match name:
            case "Relu":
                return clip(first, 0.0, inf)
            case "Neg":
                return -first
            case "Sqrt":
                return first**0.5
            case "Reciprocal":
                return 1.0 / first
            case "HardSigmoid":
                return clip(first * 0.2 + 0.5, 0.0, 1.0)
            case _ if name in FUNCTIONS:
                return call(name, first)
    elif name in ("Add", "Sub", "Mul", "Div"):
        other = others[0]
        return first + other if name == "Add" else first - other if name == "Sub" else first * other if name == "Mul" else first / other
    elif name == "Clip" and all(other.constant() is not None for other in others):
        bounds = [other.constant() or 0.0 for other in others]
        return clip(first, bounds[0], bounds[1] if len(bounds) > 1 else inf)
    raise _Unreadable


# --- what speaks against it


def _against(spec: RuleSpec, graph: Graph, found: Bindings) -> str | None:
    root = found.root
    dtype = graph.tensor(root.outputs[0]).dtype
    if dtype not in COMPUTED:
        return f"the rule is stated over the reals, and the node computes {dtype}"
    if spec.where is not None and truth(spec.where, environment_of(graph.view(root))) is not True:
        return f"its condition does not hold: {render(spec.where)}"
    for parameter in sorted(set(spec.parameters) - attribute_parameters(spec)):
        other = graph.tensor(found[parameter]).dtype
        if other in FLOATS and other != dtype:
            return f"{parameter} is {other}, the result {dtype}"
    writer = Writer(spec, graph, found)
    replacement = writer.replacement()
    try:
        return writer.beyond or _unlike(graph, replacement, root)
    finally:
        graph.discard(replacement.nodes)


def _unlike(graph: Graph, new: Replacement, root: Node) -> str | None:
    """How what would be written differs in dtype or shape from what is there; None if it does not."""
    graph.infer(new.nodes)
    for old, name in new.outputs.items():
        there, ours = graph.tensor(old), graph.tensor(name)
        if ours.dtype not in (there.dtype, "unknown"):
            return f"it would give {ours.dtype}, {root.kind} gives {there.dtype}"
        if there.shape is not None and ours.shape is None and plain_domain(new):
            return "what it would write does not fit operands of these shapes"
        if there.shape is not None and ours.shape != there.shape and plain_domain(new):
            return f"it would give {_extents(ours.shape)}, {root.kind} gives {_extents(there.shape)}"
    return None


def plain_domain(new: Replacement) -> bool:
    """Whether shapes can be inferred: operators of other domains have no inference."""
    return all(not node.domain for node in new.nodes)


def _extents(shape: tuple[int | None, ...] | None) -> str:
    return "an unknown shape" if shape is None else f"[{', '.join('?' if extent is None else str(extent) for extent in shape)}]"


# --- writing


class Writer:
    """Writes `emit`: each sub-expression and each `let` name once, numbers reckoned with beforehand."""

    def __init__(self, spec: RuleSpec, graph: Graph, found: Bindings, dtype: str = "") -> None:
        """`dtype` is that of the root's first output unless given."""
        self.spec, self.graph, self.found = spec, graph, found
        dtype = dtype or graph.tensor(found.root.outputs[0]).dtype
        self.builder = Builder(graph, dtype if dtype in COMPUTED else "fp32", found.root.outputs[0])
        self.beyond: str | None = None
        """The first constant that the dtype cannot hold."""
        self._attributes = attribute_parameters(spec)
        self._names: dict[str, Operand] = {}
        self._known: dict[Expression, Operand] = {}

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

    def replacement(self) -> Replacement:
        self._bind()
        used = _used(self.spec)
        for name, expression in self.spec.let:
            if name in used:
                self._names[name] = self._write(expression)
        results = [self._write(formula, k) for k, formula in enumerate(self.spec.emit)]
        root = self.found.root
        outputs = {}
        for old, result in zip(root.outputs, results, strict=False):
            if old:
                outputs[old] = self._tensor(result)
        return Replacement(tuple(self.builder.nodes), outputs)

    def _write(self, expression: Expression, output: int = 0) -> Operand:
        if isinstance(expression, Name):
            return self._names[expression.name]
        if expression not in self._known:
            number = number_of(expression)
            self._known[expression] = self._new(expression) if number is None else number
        return self._known[expression]

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
        node = self.graph.node(operator, names, domain=domain, hint=f"{self.builder.hint}_{operator.lower()}")
        node.attributes.update({key: helper.make_attribute(key, value) for key, value in sorted(attributes.items())})
        self.builder.nodes.append(node)
        return node.outputs[0]

    def _tensor(self, item: Operand) -> str:
        if isinstance(item, str):
            return item
        dtype = self.builder.dtype
        held = np.array(item, helper.tensor_dtype_to_np_dtype(ELEMENT[dtype])) if abs(item) <= largest(dtype) else None
        if (held is None or (item and not held)) and self.beyond is None:
            self.beyond = f"the constant {item:g} is beyond {dtype}"
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
