"""Activations in parts are as near to their values as onnxruntime's own operators everywhere, in relation to the value too: where a
result is small, an error that is small beside 1 may be many times as large as it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from run_model import emitted, infer, run
from small_models import parse

from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.library import named
from autoglmc.passes.rule.apply import apply

Values = np.ndarray
SIZE = 8192
ULP = 2.0**-23
SELU = (1.0507009873554805, 1.6732632423543772)
"""Gamma and alpha of the standard."""
FUNCTIONS: dict[str, tuple[str, Callable[[Values], Values]]] = {
    "vector_softplus": ("Softplus(x)", lambda x: np.logaddexp(x, 0)),
    "vector_mish": ("Mish(x)", lambda x: x * np.tanh(np.logaddexp(x, 0))),
    "vector_elu": ("Elu(x)", lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)))),
    "vector_selu": ("Selu(x)", lambda x: SELU[0] * np.where(x > 0, x, SELU[1] * np.expm1(np.minimum(x, 0)))),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("ends", [(-16.0, -4.0), (-4.0, -1e-3), (1e-3, 30.0)], ids=str)
def test_they_are_no_further_from_their_values_than_the_operator(name: str, ends: tuple[float, float]) -> None:
    call, exact = FUNCTIONS[name]
    model = infer(parse(f"g (float[{SIZE}] x) => (float[{SIZE}] y) {{ y = {call} }}", opset=22, ir=10))
    graph = Graph(model)
    assert any(decision.taken for decision in apply(graph, (named(name),)))
    x = np.linspace(*ends, SIZE).astype(np.float32)
    value = exact(x.astype(np.float64))
    own, parts = (np.max(np.abs(run(one, {"x": x})[0] - value) / np.abs(value)) for one in (model, emitted(graph)))
    assert parts <= 1.5 * own + 4 * ULP
