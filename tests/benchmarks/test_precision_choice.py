"""The choice of forms on whole models: never worse than one form for all, and what the placement then predicts."""

from __future__ import annotations

from pathlib import Path

import pytest
from breadth import covering, long
from precision_choice import TARGETS, in_one_form, rows, simplified, stated

from autoglmc.compiler.hw.load_target import load_target
from autoglmc.passes.place.place_operators import state
from autoglmc.passes.place.solve_placement import place

MODELS = Path(__file__).parents[1] / "models"


@pytest.mark.parametrize("most", [0.003, 0.1])
@pytest.mark.parametrize(("model", "target"), covering(["lightnet", "bert_tiny"], TARGETS))
def test_no_form_for_all_is_faster_within_the_same_limit(model: str, target: str, most: float) -> None:
    """And the placement of what is written is within a tenth of what the choice counted on."""
    ((text, right),) = rows([MODELS / f"{model}.onnx"], [target], most)
    assert right, text


@pytest.mark.parametrize("target", long(TARGETS, TARGETS[2:]))
def test_floats_cost_what_they_cost_without_a_choice(target: str) -> None:
    work = simplified(MODELS / "glm_tiny.onnx", load_target(target))
    found = stated(work)
    plain = place(state(found.question.asked))
    assert plain is not None
    assert in_one_form(found, 10.0)["fp32"] == pytest.approx(plain.solution.price.total, rel=0.001)
