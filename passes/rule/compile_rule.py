"""A target's `rule` block as a rewrite like the built-in ones: `match` finds, `emit` writes, `error` is the contract, `where` the guard.

`match` of one operator is found at a node of that kind. `match` of several is found in any order and grouping where pattern.py can read
it (arithmetic and smooth functions of one tensor), and otherwise operator by operator (match_tree.py). A rule is stated over the reals: it
stays away from integers. What it writes must have the dtype and shape of what it replaces; that is tried before it is offered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf

from ...targets.dtypes import FLOATS
from ...targets.expression import truth
from ...targets.formula import Binary, Call, Expression, Name, Unary, render
from ...targets.operator_view import AttributeValue
from ...targets.rule_formula import emitted, is_one_operator, number_of, plain_name, roots_of
from ...targets.rule_spec import RuleSpec
from ...targets.support import environment_of
from ..formula.pattern import Formula, Value, call, clip, var
from ..formula.polynomial import Polynomial, TooLarge, polynomial
from ..formula.region import FUNCTIONS
from ..graph.graph import Graph
from ..graph.node import Node
from .build import COMPUTED, Builder
from .match_tree import Matcher
from .rewrite import Bindings, Contract, Match, Rewrite
from .write_rule import Writer, attribute_parameters


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
        contract=Contract(kind, bound, f"{over}, claimed at {spec.origin} and checked on sample values", spec.over),
        match=_finder(spec),
        unless=lambda graph, found: _against(spec, graph, found),
        build=lambda b, found: Writer(spec, b, found).results(),
        once=True,
    )


def _short(spec: RuleSpec, most: int = 120) -> str:
    text = ", ".join(render(formula) for formula in spec.emit)
    return text if len(text) <= most else f"{text[:most]}…"


def is_formula(spec: RuleSpec) -> bool:
    """Whether `match` is several operators, which have to be found before operators are placed one by one."""
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

    def only_finds(b: Builder, found: Bindings) -> str:
        raise AssertionError("compile_rule writes what this finds")

    contract = Contract("reassociates")
    name, roots = spec.name, roots_of(spec.match[0])
    return Rewrite(name=name, summary="", operators=roots, emits=(), contract=contract, build=only_finds, pattern=(pattern,))


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


# --- conditions


def _against(spec: RuleSpec, graph: Graph, found: Bindings) -> str | None:
    root = found.root
    dtype = graph.tensor(root.outputs[0]).dtype
    if dtype not in COMPUTED:
        return f"the rule holds over the reals, and the node computes in {dtype}"
    if spec.where is not None and truth(spec.where, environment_of(graph.view(root))) is not True:
        return f"its condition does not hold: {render(spec.where)}"
    for parameter in sorted(set(spec.parameters) - attribute_parameters(spec)):
        other = graph.tensor(found[parameter]).dtype
        if other in FLOATS and other != dtype:
            return f"{parameter} is {other}, the result {dtype}"
    b = Builder.at(graph, root)
    writer = Writer(spec, b, found)
    results = writer.results()
    try:
        return writer.beyond or _unlike(b, results, root)
    finally:
        graph.discard(b.nodes)


def _unlike(b: Builder, results: Sequence[str], root: Node) -> str | None:
    """How what would be written differs in dtype or shape from what is there; None if it does not."""
    graph, known = b.graph, all(not node.domain for node in b.nodes)  # operators of other domains have no shape inference
    graph.infer(b.nodes)
    for old, name in zip(root.outputs, results, strict=False):
        if not old:
            continue
        there, ours = graph.tensor(old), graph.tensor(name)
        if ours.dtype not in (there.dtype, "unknown"):
            return f"it would produce {ours.dtype}, and {root.kind} produces {there.dtype}"
        if there.shape is not None and ours.shape is None and known:
            return "its replacement does not accept operands of these shapes"
        if there.shape is not None and ours.shape != there.shape and known:
            return f"it would produce shape {_extents(ours.shape)}, and {root.kind} produces {_extents(there.shape)}"
    return None


def _extents(shape: tuple[int | None, ...] | None) -> str:
    return "an unknown shape" if shape is None else f"[{', '.join('?' if extent is None else str(extent) for extent in shape)}]"
