"""Formulas, and how one is found in what a graph computes.

A formula is written as mathematics:  0.5 * x * (1 + erf(x / sqrt(2))).  Both sides are brought to the same normal form
(polynomial.py), so order, grouping and distribution of sums and products, `x/2` for `0.5·x`, `x·x` for `x²` make no
difference. What is left is to pair terms and to read off what the formula leaves open.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from math import inf, isfinite

from .polynomial import Atom, Call, Leaf, Monomial, Parameter, Polynomial, Unknown, Whole, atom, atoms
from .region import mask

MAX_STEPS = 4000
SUMS, PRODUCTS = ("Add", "Sub", "Sum"), ("Mul", "Div", "Neg")
"""Operators that can be the last one of a formula that is a sum, or a product."""
Value = float | str | tuple[int, ...]
Formula = Polynomial
Terms = tuple[tuple[Monomial, float], ...]
Factors = tuple[tuple[Atom, int], ...]


def var(name: str) -> Formula:
    """Any tensor."""
    return atom(Unknown(name, "var"))


def weight(name: str) -> Formula:
    """A constant tensor with more than one value."""
    return atom(Unknown(name, "weight"))


def scalar(name: str, default: float | None = None) -> Formula:
    """A number to be read off; with a default, its term may be missing."""
    return atom(Unknown(name, "scalar", default))


def call(function: str, argument: Formula, *parameters: Parameter) -> Formula:
    return atom(Call(function, tuple(parameters), argument))


def erf(argument: Formula) -> Formula:
    return call("Erf", argument)


def tanh(argument: Formula) -> Formula:
    return call("Tanh", argument)


def sigmoid(argument: Formula) -> Formula:
    return call("Sigmoid", argument)


def mean(argument: Formula) -> Formula:
    """The mean over the axes that every mean of the formula shares, kept as axes of extent 1."""
    return call("Mean", argument, Unknown("axes", "scalar"))


def clip(argument: Formula, low: float, high: float) -> Formula:
    """min(max(argument, low), high), scaled so that a finite range has length 1: one form for clip(x+3, 0, 6)/6 and clip(x/6+1/2, 0, 1)."""
    if low == 0.0 and high == inf and (factor := _leading(argument)) != 1.0:
        return call("Clip", argument * (1.0 / factor), 0.0, inf) * factor
    if not (isfinite(low) and isfinite(high)) or high <= low:
        return call("Clip", argument, float(low), float(high))
    span = high - low
    return call("Clip", argument * (1.0 / span), low / span, high / span) * span


def _leading(argument: Formula) -> float:
    """A positive factor that relu lets through: that of a single term, 1 otherwise."""
    coefficients = list(argument.terms.values())
    return abs(coefficients[0]) if len(coefficients) == 1 and isfinite(coefficients[0]) else 1.0


@dataclass(frozen=True, slots=True)
class Term:
    """One term of a formula: known factors, and the unknown numbers among its factors."""

    coefficient: float
    factors: tuple[tuple[Atom, int], ...]
    numbers: tuple[Unknown, ...]
    optional: Unknown | None
    """The number that is zero where the term is missing."""


@dataclass(slots=True)
class Pairing:
    """One attempt to read a polynomial as a formula. `tolerance` is relative, on every coefficient."""

    tolerance: float
    is_weight: frozenset[str] = frozenset()
    """Tensors that count as constant."""
    steps: int = field(default=0)

    def pair(self, formula: Formula, found: Polynomial, known: Mapping[str, Value]) -> Iterator[dict[str, Value]]:
        """Every consistent reading, as values of the unknowns; bounded by MAX_STEPS in all."""
        wanted, least = _terms_of(formula)
        if least <= len(found.terms) <= len(wanted):
            yield from self._terms(wanted, tuple(found.terms.items()), dict(known))

    def _terms(self, wanted: tuple[Term, ...], left: Terms, known: dict[str, Value]) -> Iterator[dict[str, Value]]:
        if not wanted:
            if not left:
                yield known
            return
        term, rest = wanted[0], wanted[1:]
        for index, (monomial, amount) in enumerate(left):
            if len(monomial) == len(term.factors):
                for bound in self._monomial(term, monomial, amount, known):
                    yield from self._terms(rest, left[:index] + left[index + 1 :], bound)
        if term.optional is not None:
            without = _bind(known, term.optional.name, 0.0, self.tolerance)
            if without is not None:
                yield from self._terms(rest, left, without)

    def _monomial(self, term: Term, found: Monomial, amount: float, known: dict[str, Value]) -> Iterator[dict[str, Value]]:
        self.steps += 1
        if self.steps > MAX_STEPS:
            return
        for bound in self._factors(term.factors, tuple(found), known):
            value, free = amount / term.coefficient, None
            for number in term.numbers:
                held = bound.get(number.name)
                if held is None:
                    free = number.name
                elif isinstance(held, float) and held:
                    value /= held
            if free is not None:
                yield {**bound, free: value}
            elif self._close(value, 1.0):
                yield bound

    def _factors(self, wanted: Factors, left: Factors, known: dict[str, Value]) -> Iterator[dict[str, Value]]:
        if not wanted:
            yield known
            return
        (first, exponent), rest = wanted[0], wanted[1:]
        for index, (other, power) in enumerate(left):
            if power != exponent:
                continue
            for bound in self._atom(first, other, known):
                yield from self._factors(rest, left[:index] + left[index + 1 :], bound)

    def _atom(self, wanted: Atom, found: Atom, known: dict[str, Value]) -> Iterator[dict[str, Value]]:
        self.steps += 1
        if self.steps > MAX_STEPS:
            return
        if isinstance(wanted, Unknown):
            if isinstance(found, Leaf) and (found.tensor in self.is_weight) == (wanted.kind == "weight"):
                bound = _bind(known, wanted.name, found.tensor, self.tolerance)
                if bound is not None:
                    yield bound
        elif isinstance(wanted, Call):
            if isinstance(found, Call) and found.function == wanted.function and len(found.parameters) == len(wanted.parameters):
                bound = self._parameters(wanted.parameters, found.parameters, known)
                if bound is not None:
                    yield from self.pair(wanted.argument, found.argument, bound)
        elif isinstance(wanted, Whole) and isinstance(found, Whole):
            yield from self.pair(wanted.inside, found.inside, known)

    def _parameters(self, wanted: tuple[Parameter, ...], found: tuple[Parameter, ...], known: dict[str, Value]) -> dict[str, Value] | None:
        bound: dict[str, Value] | None = known
        for ours, theirs in zip(wanted, found, strict=True):
            if bound is None or isinstance(theirs, Unknown):
                return None
            if isinstance(ours, Unknown):
                bound = _bind(bound, ours.name, theirs, self.tolerance)
            elif isinstance(ours, tuple) or isinstance(theirs, tuple):
                bound = bound if ours == theirs else None
            elif not self._close(theirs, ours):
                return None
        return bound

    def _close(self, value: float, wanted: float) -> bool:
        return value == wanted or abs(value - wanted) <= self.tolerance * max(abs(wanted), 1e-3)


def _bind(known: Mapping[str, Value], name: str, value: Value, tolerance: float) -> dict[str, Value] | None:
    held = known.get(name)
    if held is None:
        return {**known, name: value}
    if isinstance(held, float) and isinstance(value, float):
        return dict(known) if abs(held - value) <= tolerance * abs(held) else None
    return dict(known) if held == value else None


@lru_cache(maxsize=512)
def _terms_of(formula: Formula) -> tuple[tuple[Term, ...], int]:
    """The terms, those that say most first and those that may be missing last; and how many must be there."""
    terms = [_term(monomial, coefficient) for monomial, coefficient in formula.terms.items()]
    terms.sort(key=lambda t: (t.optional is not None, -sum(1 + isinstance(a, Call | Whole) for a, _ in t.factors)))
    return tuple(terms), sum(t.optional is None for t in terms)


def _term(monomial: Monomial, coefficient: float) -> Term:
    numbers = tuple(a for a, _ in monomial if isinstance(a, Unknown) and a.kind == "scalar")
    factors = tuple((a, e) for a, e in monomial if not (isinstance(a, Unknown) and a.kind == "scalar"))
    return Term(coefficient, factors, numbers, next((n for n in numbers if n.default == 0.0), None))


@dataclass(frozen=True, slots=True)
class Outline:
    """What can be said of a formula's spellings without looking at a graph."""

    functions: tuple[frozenset[str], ...]
    """For each spelling, what the graph must contain for it to be there ("Root" for a root or a fraction of a sum)."""
    common: frozenset[str]
    masks: tuple[int, ...]
    """`functions` as bits of region.BIT."""
    calls: int
    """How many calls stand one in another, at most."""
    once: bool
    """Whether some spelling writes x only once (x² counts once)."""
    weights: bool
    """Whether there are unknown constants of many values."""
    others: bool
    """Whether there are unknown tensors besides x."""


@lru_cache(maxsize=512)
def outline(spellings: tuple[Formula, ...]) -> Outline:
    found = [list(atoms(formula)) for formula in spellings]
    unknowns = [[a for a in each if isinstance(a, Unknown)] for each in found]
    needs = tuple(formula.content.functions for formula in spellings)
    return Outline(
        functions=needs,
        masks=tuple(map(mask, needs)),
        calls=max((formula.content.calls for formula in spellings), default=0),
        common=frozenset.intersection(*needs) if needs else frozenset(),
        once=any(sum(a.name == "x" for a in each) == 1 for each in unknowns),
        weights=any(a.kind == "weight" for each in unknowns for a in each),
        others=any(a.kind == "var" and a.name != "x" for each in unknowns for a in each),
    )
