"""Arithmetic operators in terms of fewer: what a small device has is Add, Mul, Relu, Clip and perhaps Reciprocal or Sqrt."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, isfinite

import numpy as np

from ..graph.graph import Graph
from ..graph.node import Node
from ..rule.build import COMPUTED, SWALLOWS, Builder, largest
from ..rule.rewrite import Bindings, Build, Contract, Rewrite

EXACT, REASSOCIATES = Contract("exact"), Contract("reassociates")


def match(graph: Graph, node: Node) -> Bindings | None:
    """Any such node on floats."""
    return Bindings(node, {}) if graph.tensor(node.inputs[0]).dtype in COMPUTED else None


def match_binary(graph: Graph, node: Node) -> Bindings | None:
    return match(graph, node) if len(node.inputs) == 2 else None


def match_finite(graph: Graph, node: Node) -> Bindings | None:
    """Two operands, neither a constant with a number that swallows the other (or an infinity: ∞ - ∞ has no value)."""
    values = [graph.value(name) for name in node.inputs]
    finite = all(value is None or bool((np.abs(value.astype(np.float64)) <= SWALLOWS).all()) for value in values)
    return match_binary(graph, node) if finite else None


def match_power(*exponents: float) -> Callable[[Graph, Node], Bindings | None]:
    def found(graph: Graph, node: Node) -> Bindings | None:
        exponent = graph.scalar(node.inputs[1])
        shape = graph.tensor(node.inputs[1]).shape or ()
        fits = exponent in exponents and len(shape) <= len(graph.tensor(node.inputs[0]).shape or ())
        return Bindings(node, {"exponent": float(exponent)}) if fits and exponent is not None and match(graph, node) else None

    return found


def match_constant_divisor(graph: Graph, node: Node) -> Bindings | None:
    """A divisor whose reciprocals are all finite and normal in the dtype."""
    value, dtype = graph.value(node.inputs[1]), graph.tensor(node.inputs[0]).dtype
    if value is None or not match(graph, node):
        return None
    magnitude = np.abs(value.astype(np.float64))
    inside = bool((magnitude > 1 / largest(dtype)).all() and (magnitude < largest(dtype) / 16).all())
    return Bindings(node, {}) if inside else None


def match_one_number(graph: Graph, node: Node) -> Bindings | None:
    """Max or Min of a tensor and a constant finite number (Clip's own bounds are finite)."""
    if len(node.inputs) != 2 or not match(graph, node):
        return None
    for index, name in enumerate(node.inputs):
        value = graph.scalar(name)
        view, other = graph.tensor(name), graph.tensor(node.inputs[1 - index])
        if value is not None and isfinite(value) and other.shape is not None and len(view.shape or ()) <= len(other.shape):
            return Bindings(node, {"x": node.inputs[1 - index], "bound": value})
    return None


def negation(b: Builder, found: Bindings) -> str:
    return b.mul(found.root.inputs[0], -1.0)


def magnitude(b: Builder, found: Bindings) -> str:
    x = found.root.inputs[0]
    return b.add(b.op("Relu", x), b.op("Relu", b.mul(x, -1.0)))


def total(b: Builder, found: Bindings) -> str:
    result, *rest = found.root.inputs
    for name in rest:
        result = b.add(result, name)
    return result if rest else b.op("Identity", result)


def power(b: Builder, found: Bindings) -> str:
    x = found.root.inputs[0]
    square = b.mul(x, x)
    return square if found.number("exponent") == 2.0 else b.mul(square, x)


def square_root(b: Builder, found: Bindings) -> str:
    root = b.op("Sqrt", found.root.inputs[0])
    return root if found.number("exponent") > 0 else b.op("Reciprocal", root)


def root_power(b: Builder, found: Bindings) -> str:
    return b.op("Pow", found.root.inputs[0], 0.5)


def difference(b: Builder, found: Bindings) -> str:
    left, right = found.root.inputs
    value = b.graph.value(right)
    return b.add(left, b.mul(right, -1.0) if value is None else b.array(-value))


def by_constant(b: Builder, found: Bindings) -> str:
    left, right = found.root.inputs
    value = b.graph.value(right)
    assert value is not None
    return b.mul(left, b.array(np.divide(1.0, value.astype(np.float64))))


def quotient(b: Builder, found: Bindings) -> str:
    left, right = found.root.inputs
    return b.mul(left, b.op("Reciprocal", right))


def reciprocal(b: Builder, found: Bindings) -> str:
    return b.op("Div", 1.0, found.root.inputs[0])


def extreme(b: Builder, found: Bindings) -> str:
    left, right = found.root.inputs
    if found.root.operator == "Max":
        return b.add(left, b.op("Relu", b.sub(right, left)))
    return b.sub(left, b.op("Relu", b.sub(left, right)))


def extreme_clip(b: Builder, found: Bindings) -> str:
    low, high = (found.number("bound"), "") if found.root.operator == "Max" else ("", found.number("bound"))
    return b.op("Clip", found["x"], low, *([] if high == "" else [high]))


def clip_bounds(graph: Graph, node: Node) -> Bindings | None:
    """Constant bounds that are not crossed; an absent one is infinite on its own side."""
    if not match(graph, node):
        return None
    bounds = {}
    for index, (name, open_end) in enumerate((("min", -inf), ("max", inf)), start=1):
        value: object = node.attribute(name)
        if len(node.inputs) > index and node.inputs[index]:
            value = graph.scalar(node.inputs[index])
            if value is None:
                return None
        bounds[name] = float(value) if isinstance(value, float | int) else open_end
    return Bindings(node, bounds) if bounds["min"] <= bounds["max"] and bounds["min"] < inf and bounds["max"] > -inf else None


def clip_is_relu(graph: Graph, node: Node) -> Bindings | None:
    found = clip_bounds(graph, node)
    if found is None or found.number("min") != 0.0:
        return None
    return found if found.number("max") >= largest(graph.tensor(node.inputs[0]).dtype) else None


def clip_finite(graph: Graph, node: Node) -> Bindings | None:
    found = clip_bounds(graph, node)
    return found if found and max(abs(found.number(name)) for name in ("min", "max")) <= SWALLOWS else None


def relu(b: Builder, found: Bindings) -> str:
    return b.op("Relu", found.root.inputs[0])


def two_relus(b: Builder, found: Bindings) -> str:
    """low + relu(x - low) - relu(x - high)."""
    x = found.root.inputs[0]
    low, high = found.number("min"), found.number("max")
    rise = b.op("Relu", b.add(x, -low) if low else x)
    rise = b.sub(rise, b.op("Relu", b.add(x, -high)))
    return b.add(rise, low) if low else rise


def max_and_min(b: Builder, found: Bindings) -> str:
    result = found.root.inputs[0]
    result = b.op("Max", result, found.number("min")) if isfinite(found.number("min")) else result
    result = b.op("Min", result, found.number("max")) if isfinite(found.number("max")) else result
    return result if b.nodes else b.op("Identity", result)


def _rule(
    name: str,
    summary: str,
    operators: tuple[str, ...],
    emits: tuple[str, ...],
    build: Build,
    contract: Contract,
    match: Callable[[Graph, Node], Bindings | None] = match,
) -> Rewrite:
    return Rewrite(name=name, summary=summary, operators=operators, emits=emits, build=build, contract=contract, match=match)


CLIP_SPAN = Contract("reassociates", over="x whose rounding at the bounds' magnitude is acceptable")
ARITHMETIC = (
    _rule("neg_mul", "-x -> (-1)·x", ("Neg",), ("Mul",), negation, EXACT),
    _rule("abs_relu", "|x| -> relu(x) + relu(-x)", ("Abs",), ("Relu", "Mul", "Add"), magnitude, EXACT),
    _rule("sum_add", "Sum(a, b, …) -> a + b + …", ("Sum",), ("Add", "Identity"), total, REASSOCIATES),
    _rule("pow_mul", "x², x³ -> x·x, x·x·x", ("Pow",), ("Mul",), power, REASSOCIATES, match_power(2.0, 3.0)),
    _rule("pow_sqrt", "x^(±1/2) -> √x, 1/√x", ("Pow",), ("Sqrt", "Reciprocal"), square_root, REASSOCIATES, match_power(0.5, -0.5)),
    _rule("sqrt_pow", "√x -> x^(1/2)", ("Sqrt",), ("Pow",), root_power, REASSOCIATES),
    _rule("sub_add", "a - b -> a + (-1)·b", ("Sub",), ("Add", "Mul"), difference, EXACT, match_binary),
    _rule("div_mul", "x/c -> x·(1/c)", ("Div",), ("Mul",), by_constant, REASSOCIATES, match_constant_divisor),
    _rule("div_reciprocal", "a/b -> a·Reciprocal(b)", ("Div",), ("Mul", "Reciprocal"), quotient, REASSOCIATES, match_binary),
    _rule("reciprocal_div", "Reciprocal(x) -> 1/x", ("Reciprocal",), ("Div",), reciprocal, EXACT),
    _rule("extreme_clip", "max(x, c), min(x, c) -> Clip(x)", ("Max", "Min"), ("Clip",), extreme_clip, EXACT, match_one_number),
    _rule("extreme_relu", "max(a, b) -> a + relu(b - a)", ("Max", "Min"), ("Add", "Sub", "Relu"), extreme, REASSOCIATES, match_finite),
    _rule("clip_relu", "Clip(x, 0, ∞) -> Relu(x)", ("Clip",), ("Relu",), relu, EXACT, clip_is_relu),
    _rule("clip_minmax", "Clip(x, l, h) -> min(max(x, l), h)", ("Clip",), ("Max", "Min", "Identity"), max_and_min, EXACT, clip_bounds),
    _rule("clip_relus", "Clip(x, l, h) -> l + relu(x-l) - relu(x-h)", ("Clip",), ("Relu", "Add", "Sub"), two_relus, CLIP_SPAN, clip_finite),
)
