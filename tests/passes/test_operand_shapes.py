"""No rule takes an operand for what its shape or value is not: every rule, on patterns whose operands have any shape that broadcasts.

A rule may decline; where one fires, the result has the values, shape and dtype of before, in onnxruntime with its optimisations off.
"""

from __future__ import annotations

import os

import numpy as np
import onnx
import onnxruntime
import pytest
from breadth import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from run_model import emitted, run
from spellings.operands import OPERANDS
from spellings.sketch import Sketch

from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.library import every_rule
from autoglmc.passes.rule.apply import apply
from autoglmc.passes.rule.rewrite import Rewrite

EXAMPLES = settings.default.max_examples if os.environ.get("AUTOGLMC_RANDOM") else examples(usual=60, wide=150)
ROUNDINGS = 64 * float(np.finfo(np.float32).eps)
REFUSED = onnxruntime.capi.onnxruntime_pybind11_state
Arrays = dict[str, np.ndarray]


@st.composite
def patterns(draw: st.DrawFn, name: str) -> onnx.ModelProto:
    sketch = Sketch(draw, "float32", draw(st.sampled_from((18, 24) if name != "attention_operator" else (24,))), static=True)
    return sketch.model([OPERANDS[name](sketch)])


def feeds(model: onnx.ModelProto, seed: int) -> Arrays:
    """Of either sign, neighbours apart, so that no mean and no deviation is near 0."""
    generator, result = np.random.default_rng(seed), {}
    for value in model.graph.input:
        shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        sign = 1 - 2 * (np.indices(shape).sum(axis=0) % 2)
        result[value.name] = np.asarray(sign * generator.uniform(0.3, 3.0, shape), np.float32)
    return result


def values(model: onnx.ModelProto, fed: Arrays) -> np.ndarray | None:
    """None where onnxruntime refuses the model."""
    try:
        with np.errstate(all="ignore"):
            return run(model, fed)[0]
    except (REFUSED.Fail, REFUSED.InvalidArgument, REFUSED.InvalidGraph, REFUSED.RuntimeException, REFUSED.NotImplemented):
        return None


def check_rule(rule: Rewrite, model: onnx.ModelProto, fed: Arrays, before: np.ndarray) -> bool:
    """Whether the rule fires; AssertionError where it changes the result."""
    graph = Graph(onnx.ModelProto.FromString(model.SerializeToString()))
    if not any(decision.taken for decision in apply(graph, [rule])):
        return False
    said = f"{rule.name}\n{onnx.printer.to_text(model.graph)}"
    try:
        after = run(emitted(graph), fed)[0]
    except REFUSED.NotImplemented:
        return True  # written for other devices
    except Exception as problem:
        raise AssertionError(f"{problem}\n{said}") from None
    assert after.dtype == before.dtype and after.shape == before.shape, said
    np.testing.assert_array_equal(np.isnan(after), np.isnan(before), err_msg=said)
    finite = np.isfinite(before)
    np.testing.assert_array_equal(after[~finite], before[~finite], err_msg=said)
    scale = max(1.0, float(np.abs(before[finite]).max(initial=0.0)))
    bound = rule.contract.absolute * scale + ROUNDINGS * scale
    np.testing.assert_allclose(after[finite], before[finite], rtol=0, atol=bound, err_msg=said)
    return True


CORRECTING = frozenset({"keep_closed_rows"})
"""Rules that change what onnxruntime's own kernel gets wrong: it cannot judge them (tests/passes/tune/test_closed_rows.py does)."""


@pytest.mark.parametrize("name", OPERANDS)
def test_no_rule_misreads_an_operand(name: str) -> None:
    fired: set[str] = set()

    @settings(max_examples=EXAMPLES)
    @given(patterns(name))
    def check(model: onnx.ModelProto) -> None:
        fed = feeds(model, 1)
        before = values(model, fed)
        if before is not None:
            rules = [rule for rule in every_rule() if rule.name not in CORRECTING]
            fired.update(rule.name for rule in rules if check_rule(rule, model, fed, before))

    check()
    assert fired, "no rule was tried"
