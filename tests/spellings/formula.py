"""A formula spelled at random as a graph, so that a rule's pattern is its own test input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np
from hypothesis import strategies as st

from autoglmc.passes.formula.pattern import Formula
from autoglmc.passes.formula.polynomial import UNIT, WHOLE, Atom, Call, Monomial, Polynomial, Unknown, Whole

from .sketch import Sketch


@dataclass
class Speller:
    """Writes nodes that compute a formula of the tensor x, choosing order, grouping, distribution and operators by the sketch's draw."""

    sketch: Sketch
    x: str
    shape: tuple[int, ...]
    axes: tuple[int, ...]
    """Counted from the last; what every mean of the formula is over."""
    values: Mapping[str, Any]
    """Numbers for scalars, arrays for weights, by name."""
    hard: bool = True
    """Whether a clipped line may be a HardSigmoid."""
    weights: dict[str, str] = field(default_factory=dict)

    @property
    def draw(self) -> Callable[..., Any]:
        return self.sketch.draw

    @property
    def dtype(self) -> str:
        return self.sketch.dtype

    def pick(self, *options: Any) -> Any:
        return self.sketch.pick(*options)

    def flip(self) -> bool:
        return self.sketch.flip()

    def op(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Now and then through a node that computes nothing."""
        name = self.sketch.op(operator, *inputs, **attributes)
        return self.sketch.through(name) if self.draw(st.integers(0, 9)) == 0 else name

    def number(self, value: float) -> str:
        ranks = (0, 1, len(self.shape)) if self.shape else (0,)
        return self.constant(np.full((1,) * self.pick(*ranks), value, self.dtype))

    def constant(self, array: np.ndarray) -> str:
        name = self.sketch.constant(array)
        return self.sketch.op("Identity", name) if array.dtype.kind == "f" and self.draw(st.integers(0, 4)) == 0 else name

    def formula(self, polynomial: Polynomial) -> str:
        """A sum: some terms share a factor, which may be taken out."""
        terms = [(self.numbers(monomial, c)) for monomial, c in polynomial.terms.items()]
        terms = [(m, c) for m, c in terms if c != 0.0]
        return self.sum(terms)

    def numbers(self, monomial: Monomial, coefficient: float) -> tuple[Monomial, float]:
        """Scalars of the formula become part of the coefficient."""
        for atom, exponent in monomial:
            if isinstance(atom, Unknown) and atom.kind == "scalar":
                coefficient *= self.values[atom.name] ** (exponent / WHOLE)
        return frozenset((a, e) for a, e in monomial if not (isinstance(a, Unknown) and a.kind == "scalar")), coefficient

    def sum(self, terms: list[tuple[Monomial, float]]) -> str:
        terms = list(self.draw(st.permutations(terms)))
        shared = self.shared(terms)
        if shared is not None and self.draw(st.integers(0, 3)):
            inside = [(_without(m, shared), c) for m, c in terms if shared in m]
            outside = [(m, c) for m, c in terms if shared not in m]
            scale = 1.0 if self.flip() else inside[0][1]
            product = self.times(self.sum([(m, c / scale) for m, c in inside]), self.factor(*shared), scale)
            return self.add(product, self.sum(outside)) if outside else product
        parts = [(self.product(m), c) for m, c in terms]
        result, coefficient = parts[0]
        result = self.scaled(result, coefficient)
        for part, c in parts[1:]:
            if part and c < 0 and self.flip():
                result = self.op("Sub", result, self.scaled(part, -c))
            else:
                result = self.add(result, self.scaled(part, c))
        return result

    def shared(self, terms: list[tuple[Monomial, float]]) -> tuple[Atom, int] | None:
        counts: dict[tuple[Atom, int], int] = {}
        for monomial, _ in terms:
            for pair in sorted(monomial, key=repr):
                counts[pair] = counts.get(pair, 0) + 1
        several = [pair for pair, count in counts.items() if count > 1]
        return self.pick(*several) if several else None

    def product(self, monomial: Monomial) -> str:
        """Factors in any grouping; "" for the empty product."""
        factors = list(self.draw(st.permutations(sorted(monomial, key=repr))))
        parts = [self.factor(atom, exponent) for atom, exponent in factors]
        while len(parts) > 1:
            index = self.draw(st.integers(0, len(parts) - 2))
            parts[index : index + 2] = [self.op("Mul", *self.order(parts[index], parts[index + 1]))]
        return parts[0] if parts else ""

    def order(self, left: str, right: str) -> tuple[str, str]:
        return (right, left) if self.flip() else (left, right)

    def add(self, left: str, right: str) -> str:
        return self.op(self.pick("Add", "Add", "Sum"), *self.order(left, right))

    def scaled(self, tensor: str, coefficient: float) -> str:
        if not tensor:
            return self.number(coefficient)
        if coefficient == 1.0:
            return tensor
        if coefficient == -1.0 and self.flip():
            return self.op("Neg", tensor)
        if self.flip() and (self.dtype != "float16" or (1 / coefficient).is_integer()):
            return self.op("Div", tensor, self.number(1 / coefficient))
        return self.op("Mul", *self.order(tensor, self.number(coefficient)))

    def times(self, left: str, right: str, coefficient: float) -> str:
        if self.flip():
            return self.scaled(self.op("Mul", *self.order(left, right)), coefficient)
        return self.op("Mul", *self.order(self.scaled(left, coefficient), right))

    def factor(self, atom: Atom, exponent: int) -> str:
        if isinstance(atom, Whole):
            return self.root(self.formula(atom.inside), exponent)
        base = self.atom(atom)
        if exponent == WHOLE:
            return base
        if exponent == -1:
            return self.root(base, exponent)
        whole = exponent // WHOLE
        if self.flip():
            return self.op("Pow", base, self.constant(np.array(whole, self.dtype)))
        result = base
        for _ in range(whole - 1):
            result = self.op("Mul", *self.order(result, base))
        return result

    def root(self, tensor: str, exponent: int) -> str:
        assert exponent == -1, "the formulas tested divide by a square root"
        match self.pick("reciprocal", "divide", "power", "inside"):
            case "power":
                return self.op("Pow", tensor, self.constant(np.array(-0.5, self.dtype)))
            case "divide":
                return self.op("Div", self.number(1.0), self.op("Sqrt", tensor))
            case "inside":
                return self.op("Sqrt", self.op("Reciprocal", tensor))
        return self.op("Reciprocal", self.op("Sqrt", tensor))

    def atom(self, atom: Atom) -> str:
        if isinstance(atom, Unknown):
            return self.x if atom.kind == "var" else self.weight(atom.name)
        assert isinstance(atom, Call)
        if atom.function == "Mean":
            return self.mean(atom.argument)
        if atom.function == "Clip":
            return self.clip(atom)
        return self.op(atom.function, self.formula(atom.argument))

    def weight(self, name: str) -> str:
        """The one constant of that name."""
        if name not in self.weights:
            self.weights[name] = self.sketch.constant(np.asarray(self.values[name], self.dtype))
        return self.weights[name]

    def mean(self, argument: Polynomial) -> str:
        axes = np.array([a if self.flip() else a + len(self.shape) for a in self.axes], np.int64)
        if (square := self.squared(argument)) and self.flip():
            total = self.op("ReduceSumSquare", square, self.constant(axes), keepdims=1)
            return self.op("Div", total, self.number(float(np.prod([self.shape[a] for a in self.axes]))))
        tensor = self.formula(argument)
        if self.flip():
            return self.op("ReduceMean", tensor, self.constant(axes), keepdims=1)
        count = int(np.prod([self.shape[a] for a in self.axes]))
        kept = tuple(1 if k - len(self.shape) in self.axes else d for k, d in enumerate(self.shape))
        if self.sketch.dynamic or self.flip():
            total = self.op("ReduceSum", tensor, self.constant(axes), keepdims=1)
        else:
            dropped = self.op("ReduceSum", tensor, self.constant(axes), keepdims=0)
            total = self.op("Reshape", dropped, self.constant(np.array(kept, np.int64)))
        return self.op("Div", total, self.number(float(count)))

    def squared(self, argument: Polynomial) -> str:
        """x where the argument is its square."""
        (monomial, coefficient), *more = argument.terms.items()
        (found, exponent), *others = monomial
        plain = not more and not others and coefficient == 1.0 and exponent == 2 * WHOLE and isinstance(found, Unknown)
        return self.x if plain else ""

    def clip(self, atom: Call) -> str:
        """s·clip(p/s…) for a random scale; by Clip, by Relu and Min, by Max and Min, by HardSigmoid."""
        low, high = (float(p) for p in atom.parameters)
        if not isfinite(low):
            return self.op("Min", *self.order(self.formula(atom.argument), self.number(high)))
        if not isfinite(high):
            tensor = self.formula(atom.argument)
            return self.op("Relu", tensor) if self.flip() else self.op("Max", *self.order(tensor, self.number(low)))
        scale = self.pick(1.0, 6.0, 4.0)
        linear = dict(self.numbers(m, c) for m, c in atom.argument.terms.items() if m != UNIT)
        if self.hard and self.draw(st.integers(0, 3)) == 0 and low == 0.0 and high == 1.0 and UNIT in atom.argument.terms:
            (slope,) = linear.values()
            return self.op("HardSigmoid", self.x, alpha=slope, beta=atom.argument.terms[UNIT])
        tensor = self.formula(atom.argument * scale)
        match self.pick("clip", "relu", "max"):
            case "clip":
                bounds = [self.constant(np.array(v * scale, self.dtype)) for v in (low, high)]
                tensor = self.op("Clip", tensor, *bounds)
            case "relu" if low == 0.0:
                tensor = self.op("Min", *self.order(self.op("Relu", tensor), self.number(high * scale)))
            case _:
                tensor = self.op("Max", *self.order(tensor, self.number(low * scale)))
                tensor = self.op("Min", *self.order(tensor, self.number(high * scale)))
        return self.scaled(tensor, 1 / scale)


def _without(monomial: Monomial, pair: tuple[Atom, int]) -> Monomial:
    return frozenset(item for item in monomial if item != pair)


def spell(sketch: Sketch, formulas: tuple[Formula, ...], layout: str = "any", hard: bool = True) -> str:
    """The tensor that computes one of the formulas of a new input.

    layout: no means and no weights ("any"); no means, weights along the last axis ("weights"); means over the last axes, and weights along
    them ("last"); over all axes but the first two, with weights along the second ("channels"); or over any one axis, where `gain` makes a
    sum of the mean ("one").
    """
    low, high = {"any": (0, 5), "weights": (1, 5), "channels": (3, 5)}.get(layout, (2, 5))
    shape = sketch.shape(low, high, 1 if layout == "any" else 2, 3)
    rank = len(shape)
    axes = (-1,) if layout == "weights" else tuple(range(2 - rank if layout == "channels" else -sketch.integer(1, max(rank - 1, 1)), 0))
    axes = (sketch.integer(-rank, -1),) if layout == "one" else axes
    free = [k for k in range(rank) if layout == "any" or (k - rank not in axes and (layout != "channels" or k == 0))]
    values = numbers(sketch, shape, axes, layout)
    speller = Speller(sketch, sketch.input(shape, free=free), shape, axes, values, hard)
    return speller.formula(sketch.pick(*formulas))


def numbers(sketch: Sketch, shape: tuple[int, ...], axes: tuple[int, ...], layout: str) -> Mapping[str, Any]:
    """Values for the scalars and weights of all rules' formulas."""
    seed = np.random.default_rng(sketch.integer(0, 99))
    extents = [shape[1], *[1] * (len(shape) - 2)] if layout == "channels" else [shape[a] for a in axes if shape]
    return {
        "epsilon": sketch.pick(1e-3, 1e-5),
        "gain": shape[axes[0]] ** -0.5 if layout == "one" else sketch.pick(1.0, 1.0, 0.75),
        "shift": sketch.pick(0.0, 0.0, 0.25),
        "alpha": sketch.pick(1.0, 1.702, 0.5),
        "scale": seed.uniform(0.5, 1.5, extents),
        "bias": seed.uniform(-1, 1, extents),
        "slope": seed.uniform(0.1, 0.5, extents),
        "negated": seed.uniform(-0.5, -0.1, extents),
    }
