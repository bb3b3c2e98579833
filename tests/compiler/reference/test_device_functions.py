"""What devices that compute in fp16 add to rounding: in functions, and most in those that are fused to a product."""

from __future__ import annotations

import numpy as np
import pytest
from small_models import parse

from autoglmc.compiler.reference.evaluate import Evaluator
from autoglmc.compiler.reference.program import program_of
from autoglmc.compiler.reference.rounding import exact as exact_rounding
from autoglmc.compiler.reference.rounding import half

X = np.random.default_rng(0).standard_normal((64, 32)).astype(np.float16)
W = "float[32,32] w = {" + ",".join(f"{value:.4f}" for value in np.random.default_rng(1).standard_normal(1024) * 0.2) + "}"


def error(body: str, x: np.ndarray = X) -> tuple[float, float]:
    """(root mean square of what the fp16 evaluation is off by, largest number)."""
    model = parse(f"g (float[64,32] x) => (float[64,32] y) <{W}> {{ {body} }}", opset=20)
    evaluator = Evaluator(program_of(model))
    exact, halved = (evaluator.run({"x": x}, rounding=way).values["y"] for way in (exact_rounding, half))
    return float(np.sqrt(((exact - halved) ** 2).mean())), float(np.abs(exact).max())


@pytest.mark.parametrize(
    ("body", "low", "high"),
    [
        ("y = MatMul(x, w)", 1e-5, 2e-4),
        ("y = Add(x, x)", 0.0, 0.0),
        ("y = Sigmoid(x)", 1e-4, 4e-4),
        ("p = MatMul(x, w) y = Sigmoid(p)", 1.5e-3, 3e-3),
        ("p = MatMul(x, w) b = Add(p, p) y = Tanh(b)", 3e-3, 6e-3),
        ("y = Tanh(x)", 2e-5, 2e-4),
        ("p = MatMul(x, w) n = Abs(p) y = Sigmoid(n)", 1e-4, 4e-4),
        ("y = Softmax(x)", 1e-5, 1e-3),
    ],
)
def test_an_operator_is_off_as_much_as_on_a_device(body: str, low: float, high: float) -> None:
    off, largest = error(body)
    assert low <= off / largest <= high


def test_the_same_model_is_off_the_same_way() -> None:
    assert error("y = Gelu(x)") == error("y = Gelu(x)")


def test_what_is_not_finite_stays() -> None:
    x = np.where(np.indices(X.shape).sum(axis=0) == 0, np.inf, X)
    model = parse("g (float[64,32] x) => (float[64,32] y) { y = HardSwish(x) }")
    halved = Evaluator(program_of(model)).run({"x": x}, rounding=half).values["y"]
    assert halved[0, 0] == np.inf and np.isfinite(halved).sum() == X.size - 1
