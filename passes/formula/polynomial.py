"""The normal form in which formulas and graphs are compared: sums of products over atoms, in any order and grouping.

    0.5·x·(1 + erf(x/√2))   is   { x: 0.5,  x·erf({ x: 0.7071… }): 0.5 }

An atom is a tensor, an unknown of a formula, a call of a function on a polynomial, or a sum that stands under a root
or a fraction. Exponents count halves, so that x² is (x, 4), 1/x is (x, -2) and √x is (x, 1).

Hashes of names are their own (crc32), not Python's, which change from run to run: sets of factors are then walked in the same order
in every run, and so is everything that is read off them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal
from zlib import crc32

MAX_TERMS = 48
MAX_FACTORS = 16
MAX_EXPONENT = 64
WHOLE = 2
"""Halves in one: the exponent of a plain factor."""


class TooLarge(Exception):
    """The expression has more terms or factors than any formula; it is not worth reading further."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A tensor of the graph."""

    tensor: str

    def __hash__(self) -> int:
        return crc32(self.tensor.encode())


@dataclass(frozen=True, slots=True)
class Unknown:
    """What a formula leaves open: any tensor (`var`), a constant tensor (`weight`), or a number (`scalar`)."""

    name: str
    kind: Literal["var", "weight", "scalar"]
    default: float | None = None
    """For a scalar: the value when its term is missing altogether."""

    def __hash__(self) -> int:
        return crc32(self.name.encode())


Parameter = float | tuple[int, ...] | Unknown


@dataclass(frozen=True, slots=True)
class Call:
    """A function of one tensor: Erf, Tanh, Sigmoid, Mean (parameters: axes), Clip (parameters: low, high)."""

    function: str
    parameters: tuple[Parameter, ...]
    argument: Polynomial

    def __hash__(self) -> int:
        return hash((crc32(self.function.encode()), self.parameters, self.argument))


@dataclass(frozen=True, slots=True)
class Whole:
    """A sum kept together because it stands under a root or a fraction."""

    inside: Polynomial


Atom = Leaf | Unknown | Call | Whole
Monomial = frozenset[tuple[Atom, int]]
UNIT: Monomial = frozenset()


@dataclass(frozen=True, slots=True)
class Content:
    """What a polynomial is made of, inside its calls and roots too."""

    functions: frozenset[str]
    """"Root" for a root or a fraction of a sum. Equal for a formula and all its spellings, since its unknowns stand for tensors and
    numbers."""
    tensors: frozenset[str]
    calls: int
    """How many calls stand one in another, at most."""


class Polynomial:
    """Immutable; `terms` maps a monomial to its coefficient, never zero. Arithmetic raises TooLarge beyond the limits."""

    __slots__ = ("_content", "_hash", "terms")

    def __init__(self, terms: Mapping[Monomial, float] | Iterable[tuple[Monomial, float]]) -> None:
        self.terms: Mapping[Monomial, float] = {m: c for m, c in dict(terms).items() if c != 0.0}
        if len(self.terms) > MAX_TERMS:
            raise TooLarge
        self._hash: int | None = None
        self._content: Content | None = None

    @property
    def content(self) -> Content:
        """Found once: what stands inside several atoms is not walked again. Written out, what a graph computes may be exponentially
        longer than the graph."""
        if self._content is None:
            self._content = _content(self)
        return self._content

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self.terms.items()))
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Polynomial) and hash(self) == hash(other) and self.terms == other.terms)

    def __repr__(self) -> str:
        return " + ".join(f"{c:g}·{sorted(map(repr, m))}" for m, c in self.terms.items()) or "0"

    def __add__(self, other: Polynomial | float) -> Polynomial:
        terms = dict(self.terms)
        for monomial, coefficient in polynomial(other).terms.items():
            terms[monomial] = terms.get(monomial, 0.0) + coefficient
        return Polynomial(terms)

    def __mul__(self, other: Polynomial | float) -> Polynomial:
        if not isinstance(other, Polynomial):
            return Polynomial({m: c * other for m, c in self.terms.items()})
        if len(self.terms) * len(other.terms) > 4 * MAX_TERMS:
            raise TooLarge
        terms: dict[Monomial, float] = {}
        for left, a in self.terms.items():
            for right, b in other.terms.items():
                monomial = _times(left, right)
                terms[monomial] = terms.get(monomial, 0.0) + a * b
        return Polynomial(terms)

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> Polynomial:
        return self * -1.0

    def __sub__(self, other: Polynomial | float) -> Polynomial:
        return self + polynomial(other) * -1.0

    def __rsub__(self, other: float) -> Polynomial:
        return -self + other

    def __truediv__(self, other: Polynomial | float) -> Polynomial:
        return self * polynomial(other).power(-WHOLE)

    def __rtruediv__(self, other: float) -> Polynomial:
        return self.power(-WHOLE) * other

    def __pow__(self, exponent: float) -> Polynomial:
        return self.power(round(exponent * WHOLE))

    def power(self, halves: int) -> Polynomial:
        """Raised to halves/2. A sum under a root or a fraction stays whole."""
        if len(self.terms) == 1:
            (monomial, coefficient), *_ = self.terms.items()
            if halves % WHOLE == 0:
                return Polynomial({_raised(monomial, halves // WHOLE): _power(coefficient, halves // WHOLE)})
            if coefficient > 0 and len(monomial) == 1 and (raised := _rooted(monomial, halves)) is not None:
                return Polynomial({raised: coefficient ** (halves / WHOLE)})
        if halves > 0 and halves % WHOLE == 0:
            result = self
            for _ in range(_bounded(halves) // WHOLE - 1):
                result = result * self
            return result
        whole: Atom = Whole(self)
        return Polynomial({frozenset({(whole, _bounded(halves))}): 1.0})

    def constant(self) -> float | None:
        """The number this is, None if it is not one."""
        if not self.terms:
            return 0.0
        return self.terms.get(UNIT) if len(self.terms) == 1 else None

    def single(self) -> tuple[Atom, float] | None:
        """(atom, coefficient) of a multiple of one atom, else None."""
        if len(self.terms) != 1:
            return None
        (monomial, coefficient), *_ = self.terms.items()
        if len(monomial) != 1:
            return None
        (found, exponent), *_ = monomial
        return (found, coefficient) if exponent == WHOLE else None


def polynomial(value: Polynomial | float) -> Polynomial:
    return value if isinstance(value, Polynomial) else Polynomial({UNIT: float(value)})


def atom(of: Atom) -> Polynomial:
    return Polynomial({frozenset({(of, WHOLE)}): 1.0})


def atoms(of: Polynomial) -> Iterator[Atom]:
    """Every atom, those inside calls and roots too, as often as it is written: for formulas, which are short."""
    for monomial in of.terms:
        for found, _ in monomial:
            yield found
            if (inner := inside(found)) is not None:
                yield from atoms(inner)


def inside(of: Atom) -> Polynomial | None:
    """What a call or a root is of."""
    return of.argument if isinstance(of, Call) else of.inside if isinstance(of, Whole) else None


def _content(of: Polynomial) -> Content:
    direct = {a for monomial in of.terms for a, _ in monomial}
    inner = [(isinstance(a, Call), p.content) for a in direct if (p := inside(a)) is not None]
    return Content(
        functions=frozenset().union(
            (a.function if isinstance(a, Call) else "Root" for a in direct if isinstance(a, Call | Whole)), *(c.functions for _, c in inner)
        ),
        tensors=frozenset().union((a.tensor for a in direct if isinstance(a, Leaf)), *(c.tensors for _, c in inner)),
        calls=max((is_call + c.calls for is_call, c in inner), default=0),
    )


def _times(left: Monomial, right: Monomial) -> Monomial:
    if not left or not right:
        return left or right
    exponents = dict(left)
    for found, exponent in right:
        exponents[found] = exponents.get(found, 0) + exponent
    if len(exponents) > MAX_FACTORS:
        raise TooLarge
    return frozenset((found, _bounded(e)) for found, e in exponents.items() if e)


def _raised(monomial: Monomial, exponent: int) -> Monomial:
    return frozenset((found, _bounded(e * exponent)) for found, e in monomial)


def _rooted(monomial: Monomial, halves: int) -> Monomial | None:
    """A single factor under a root: √(t⁻¹) = t^(-1/2) needs t ≥ 0, which the root demands; √(x²) is |x| and stays whole."""
    ((found, exponent),) = monomial
    if exponent % WHOLE or (exponent // WHOLE) % 2 == 0:
        return None
    return frozenset({(found, _bounded(exponent * halves // WHOLE))})


def _power(base: float, exponent: int) -> float:
    try:
        return float(base**exponent)
    except (OverflowError, ZeroDivisionError) as error:
        raise TooLarge from error


def _bounded(exponent: int) -> int:
    if abs(exponent) > MAX_EXPONENT:
        raise TooLarge
    return exponent
