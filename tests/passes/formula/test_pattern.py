"""The normal form of formulas, and the pairing of a formula with what was read."""

from __future__ import annotations

from math import inf, sqrt

import pytest
from counted import at_most
from hypothesis import given
from hypothesis import strategies as st

from autoglmc.passes.formula.pattern import Formula, Pairing, call, clip, erf, mean, outline, scalar, sigmoid, tanh, var, weight
from autoglmc.passes.formula.polynomial import MAX_TERMS, Leaf, Polynomial, TooLarge, atom, polynomial

x, t, w = var("x"), atom(Leaf("t")), atom(Leaf("w"))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (x * (x + 1), x**2 + x),
        (2 * x / 4, x * 0.5),
        ((x + 1) * (x - 1), x**2 - 1),
        (-(x - 1), 1 - x),
        (1 / (1 / x), x),
        ((x**-1) ** 0.5, x**-0.5),
        ((x + 1) ** -0.5 * (x + 1) ** -0.5, (x + 1) ** -1),
        (erf(x / 2) * x, x * erf(0.5 * x)),
        (clip(x + 3, 0, 6) / 6, clip(x / 6 + 0.5, 0, 1)),
        (clip(3 * x, 0, inf), 3 * clip(x, 0, inf)),
        (x - x, polynomial(0.0)),
    ],
)
def test_equal_formulas_have_one_form(left: Formula, right: Formula) -> None:
    assert left == right
    assert hash(left) == hash(right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((x**2) ** 0.5, x),
        (clip(-1 * x, 0, inf), -1 * clip(x, 0, inf)),
        (erf(x), tanh(x)),
        ((x + 1) ** 0.5, x**0.5 + 1),
        (clip(x, 0, 1), clip(x, 0, 2)),
        (mean(x**2), mean(x) ** 2),
    ],
)
def test_different_formulas_stay_apart(left: Formula, right: Formula) -> None:
    assert left != right


def readings(formula: Formula, found: Polynomial, tolerance: float = 1e-5) -> list[dict[str, object]]:
    return list(Pairing(tolerance, frozenset({"w"})).pair(formula, found, {"x": "t"}))


def test_unknowns_are_read_off() -> None:
    formula = scalar("gain") * x * weight("scale") + scalar("shift", 0.0)
    assert readings(formula, 3 * t * w + 2) == [{"x": "t", "scale": "w", "gain": 3.0, "shift": 2.0}]
    assert readings(formula, 3 * t * w) == [{"x": "t", "scale": "w", "gain": 3.0, "shift": 0.0}]
    assert not readings(formula, 3 * t), "the weight is missing"
    assert not readings(formula, 3 * t * w + t), "a term is left over"
    assert not readings(formula, 3 * t * atom(Leaf("other"))), "not a constant"


def test_a_number_that_occurs_twice_must_agree() -> None:
    formula = scalar("a") * x + scalar("a") * sigmoid(x)
    assert readings(formula, 2 * t + 2 * sigmoid(t)) == [{"x": "t", "a": 2.0}]
    assert not readings(formula, 2 * t + 3 * sigmoid(t))


def test_every_mean_is_over_the_same_axes() -> None:
    formula = x - mean(x) + mean(x**2)
    same, other = call("Mean", t, (-1,)), call("Mean", t, (-2,))
    square = call("Mean", t**2, (-1,))
    assert readings(formula, t - same + square) == [{"x": "t", "axes": (-1,)}]
    assert not readings(formula, t - other + square)


@given(st.floats(-0.1, 0.1))
def test_coefficients_agree_within_the_tolerance(off: float) -> None:
    found = 0.5 * t * (1 + erf(t * (1 + off) / sqrt(2)))
    assert bool(readings(0.5 * x * (1 + erf(x / sqrt(2))), found, 1e-2)) == (abs((1 + off) - 1) <= 1e-2)


def test_an_outline_says_what_a_graph_must_have() -> None:
    about = outline((x * sigmoid(x), x * sigmoid(x) * (x + 1) ** -0.5 * weight("w")))
    assert about.common == {"Sigmoid"}
    assert about.functions[1] == {"Sigmoid", "Root"}
    assert about.weights and not about.others and not about.once


def test_what_is_too_large_for_a_formula_is_refused() -> None:
    total = polynomial(0.0)
    with pytest.raises(TooLarge):
        for k in range(MAX_TERMS + 1):
            total = total + atom(Leaf(f"t{k}"))
    with pytest.raises(TooLarge):
        (t + w + 1) ** 32


def test_pairing_many_equal_looking_factors_ends() -> None:
    """Twelve interchangeable factors have 12! orders; the pairing gives up long before."""
    formula, found = 2 * x, 3 * t
    for k in range(12):
        formula, found = formula * erf(var(f"y{k}")), found * erf(atom(Leaf(f"v{k}")))
    with at_most(500_000):
        assert not readings(formula, found)
