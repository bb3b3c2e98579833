"""Operators that few devices have: taken where a device has them and the plan is cheaper, else the parts stay as they were."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from make_target import make_cpu, make_device, make_link, make_target
from run_model import feeds, infer, run
from small_models import parse

from autoglmc.compiler.pipeline.bodies import place_operators
from autoglmc.compiler.pipeline.recover_whole import _wanted, recover_whole
from autoglmc.compiler.pipeline.take_cheaper import Predicted
from autoglmc.compiler.pipeline.tune_segments import rules_of
from autoglmc.compiler.pipeline.work import Work
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.library import OFFER, SUBSTITUTE
from autoglmc.targets.model import Target

TEXT = """g (float[1,4,64,32] q, float[1,4,64,32] k, float[1,4,64,32] v) => (float[1,4,64,32] y) <float c = {0.25}> {
    t = Transpose<perm=[0,1,3,2]>(k) a = MatMul(q, t) s = Mul(a, c) p = Softmax<axis=-1>(s) y = MatMul(p, v) }"""
PARTS = ("Transpose", "MatMul", "Mul", "Softmax")


def work(target: Target, disable: frozenset[str] = frozenset()) -> Work:
    graph = Graph(infer(parse(TEXT, opset=21, ir=10)))
    return Work(graph, target, SUBSTITUTE, {}, 1.0, source_operators={}, without=disable)


def kinds(done: Work) -> list[str]:
    return [node.kind for node in done.graph.nodes]


def target(*operators: str, launch: float = 1e-6) -> Target:
    npu = make_device("npu", operators, launch=launch)
    return make_target([make_cpu(peak=1e9), npu], [make_link("cpu", "npu")])


def test_a_device_that_has_the_operator_gets_it() -> None:
    done = work(target("Attention", *PARTS))
    recover_whole(done)
    assert kinds(done) == ["Attention"] and done.recovered == {"Attention": 1}
    assert [decision.taken for decision in done.decisions if decision.rule == "recover_attention"] == [True]
    before = infer(parse(TEXT, opset=21, ir=10))
    fed = feeds(before, 1)
    model = done.graph.to_model()
    model.opset_import[0].version = 23
    np.testing.assert_allclose(run(model, fed)[0], run(before, fed)[0], rtol=1e-5, atol=1e-5)


def test_no_device_has_it_so_nothing_is_touched() -> None:
    done = work(target(*PARTS))
    assert not any(_wanted(rule, done) for rule in OFFER)
    recover_whole(done)
    assert kinds(done) == [node.op_type for node in parse(TEXT, opset=21, ir=10).graph.node] and not done.decisions


def test_it_can_be_disabled() -> None:
    done = work(target("Attention", *PARTS), frozenset({"recover_attention"}))
    recover_whole(done)
    assert "Attention" not in kinds(done)


def test_a_plan_that_is_no_cheaper_with_it_keeps_the_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the operator's own device is not worth the way to it: both plans are then the parts, and a tie leaves the model alone."""
    told = lambda work: Predicted(1e-3 + ("Attention" in kinds(work)) * 1e-4, True)  # noqa: E731
    monkeypatch.setattr("autoglmc.compiler.pipeline.recover_whole.predicted_in_memories", told)
    done = work(target("Attention", *PARTS))
    recover_whole(done)
    assert "Attention" not in kinds(done)
    (decision,) = done.decisions
    assert not decision.taken and "predicted time of the model: 1.1 ms with it, 1 ms without" in decision.reason


def test_a_model_that_cannot_be_placed_with_it_keeps_the_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    told = lambda work: None if "Attention" in kinds(work) else Predicted(1e-3, True)  # noqa: E731
    monkeypatch.setattr("autoglmc.compiler.pipeline.recover_whole.predicted_in_memories", told)
    done = work(target("Attention", *PARTS))
    recover_whole(done)
    assert "Attention" not in kinds(done) and "no valid placement" in done.decisions[0].reason


def test_the_plan_never_costs_more_than_with_the_parts() -> None:
    from autoglmc.compiler.pipeline.bodies import ask_devices

    for launch in (1e-7, 1e-5, 1e-3, 1.0):
        totals = []
        for disable in (frozenset[str](), frozenset({"recover_attention"})):
            done = work(target("Attention", *PARTS, launch=launch), disable)
            for step in (recover_whole, ask_devices, place_operators):
                step(done)
            assert done.placement is not None
            totals.append(done.placement.solution.price.total)
        assert totals[0] <= totals[1]


@pytest.mark.parametrize(("operators", "there"), [(None, True), (("Attention", "Reshape"), True), (PARTS, False)])
def test_onnxruntimes_segments_get_it_if_the_target_lists_it(operators: tuple[str, ...] | None, there: bool) -> None:
    from autoglmc.passes.rule.apply import apply

    made = make_target([make_device("cpu", operators, adapter="ort")], [])
    graph = Graph(onnx.ModelProto.FromString(infer(parse(TEXT, opset=21, ir=10)).SerializeToString()))
    apply(graph, rules_of(made.devices[0], made.precision))
    assert ("Attention" in [node.kind for node in graph.nodes]) == there
