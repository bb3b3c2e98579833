"""Random models on random machines: every plan is complete, legal, acyclic and computes what the model computes."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from random import Random

import onnx
import pytest
from breadth import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import draw_assignment, models, targets

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.place import objectives
from autoglmc.targets.model import Target
from autoglmc.targets.support import Yes, supports


@settings(max_examples=examples(usual=40, wide=60))
@given(models(), targets())
def test_a_random_model_compiles_to_a_legal_and_equal_bundle(model: onnx.ModelProto, target: Target) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(model, path)
        # compile verifies (and validates the arena plan); a difference raises
        result = compile_model(path, target, emulate=True)
        question = result.work.placement.question
        parts = result.work.parts
        assert sorted(k for unit in question.units for k in unit) == list(range(len(question.nodes)))
        placed = [id(node) for part in parts for node in part.nodes]
        assert len(placed) == len(set(placed))
        assert set(placed) == {id(node) for node in result.work.graph.nodes}
        check_order(result.work.segments, set(result.work.graph.inputs))
        for cut in result.work.segments:
            onnx.checker.check_model(cut.model)
            check_supported(cut.model, cut.part.device, target)


@settings(max_examples=examples(usual=40, wide=60))
@given(models(), targets(), st.randoms(use_true_random=False))
def test_any_legal_assignment_can_be_realised_cut_planned_and_run(model: onnx.ModelProto, target: Target, random: Random) -> None:
    """Not only the plans a solver likes: devices drawn at random, so that segments are many and tangled."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder) / "model.onnx"
        onnx.save(model, path)
        patch.setattr(objectives, "solve", partial(draw_assignment, random))
        result = compile_model(path, target, emulate=True)
        check_order(result.work.segments, set(result.work.graph.inputs))


def check_order(cuts, known: set[str]) -> None:  # type: ignore[no-untyped-def]
    """Each segment reads only what was there before it: the segments are acyclic in the order they run."""
    for cut in cuts:
        assert set(cut.inputs) <= known
        known |= set(cut.outputs)


def check_supported(model: onnx.ModelProto, device: str, target: Target) -> None:
    """Nothing in a segment is outside its device's table, whatever rewrites were taken."""
    graph = Graph(onnx.shape_inference.infer_shapes(model))
    for node in graph.nodes:
        assert isinstance(supports(target.device(device), graph.view(node), target.precision), Yes), f"{node.kind} on {device}"
