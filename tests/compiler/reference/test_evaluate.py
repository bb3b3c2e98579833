"""The float64 evaluation of whole models: right to rounding, cross-checked, and with the meaning that the declared dtypes give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import pytest
from models import NAMES, SHAPES, model_path
from onnx import helper, numpy_helper
from small_models import parse

from autoglmc.compiler.inputs.generate_inputs import generate_inputs
from autoglmc.compiler.load.load_model import load_model
from autoglmc.compiler.reference import evaluate as evaluating
from autoglmc.compiler.reference.evaluate import Evaluation, Evaluator
from autoglmc.compiler.reference.kernels.call import Call
from autoglmc.compiler.reference.own import Own
from autoglmc.compiler.reference.program import program_of
from autoglmc.compiler.reference.rounding import half, noisy

FAST = tuple(name for name in NAMES if name not in ("ppocr4_det", "onnx_seeded_resnet50"))


def evaluated(model: onnx.ModelProto, inputs: Mapping[str, Any], **options: Any) -> Evaluation:
    return Evaluator(program_of(model)).run(inputs, **options)


@pytest.mark.parametrize("name", FAST)
def test_real_models_are_what_they_are_in_fp32_up_to_rounding(name: str) -> None:
    """onnxruntime with its optimisations off computes the same, and no operator rests on one implementation."""
    path = model_path(name)
    inputs = generate_inputs(load_model(path, SHAPES[name]).proto, 1)
    evaluator = Evaluator(program_of(onnx.load(path)))
    exact = evaluator.run(inputs).values
    own, problem = Own(onnx.load(path), path.parent).run(inputs, ())
    assert problem == "" and own is not None
    assert not evaluator.check.faults and not evaluator.check.unchecked
    noise = evaluator.run(inputs, rounding=noisy(0)).values
    narrow = evaluator.run(inputs, rounding=half).values
    for output, value in exact.items():
        assert value.dtype == np.float64
        spread = value.std() or 1.0
        assert 0 < np.abs(own[output] - value).max() < 1e-3 * spread
        assert 0 < np.abs(noise[output] - value).max() < 1e-3 * spread
        assert np.abs(narrow[output] - value).max() > np.abs(noise[output] - value).max()


BODIES = {
    "if": "y = If(c) <then_branch = t () => (float[2] p) { p = Neg(x) }, else_branch = e () => (float[2] q) { q = Exp(x) }>",
    "loop": "n = Constant <value = int64 {3}> () t = Constant <value = bool {1}> () y, s = Loop(n, t, x)"
    " <body = b (int64 i, bool k, float[2] v) => (bool d, float[2] w, float[2] o) { d = Identity(k) w = Add(v, x) o = Neg(w) }>",
}


@pytest.mark.parametrize("flag", [True, False])
def test_branches_and_what_they_read_from_outside(flag: bool) -> None:
    model = parse(f"g (bool c, float[2] x) => (float[2] y) {{ {BODIES['if']} }}")
    x = np.array([1.0, 2.0], np.float32)
    found = evaluated(model, {"c": np.array(flag), "x": x})
    assert np.allclose(found.values["y"], -x if flag else np.exp(x.astype(float)), rtol=1e-15)
    assert ("y", "true" if flag else "false") in found.points


def test_loops_carry_and_collect() -> None:
    model = parse(f"g (float[2] x) => (float[2] y, float[3,2] s) {{ {BODIES['loop']} }}")
    found = evaluated(model, {"x": np.array([1.0, 2.0], np.float32)}).values
    assert found["y"].tolist() == [4.0, 8.0] and found["s"].tolist() == [[-2.0, -4.0], [-3.0, -6.0], [-4.0, -8.0]]


def test_scan_runs_backwards_and_along_another_axis() -> None:
    body = parse("b (float[2] a, float[2] v) => (float[2] z, float[2] o) { z = Add(a, v) o = Identity(z) }").graph
    node = helper.make_node(
        "Scan", ["a", "x"], ["y", "s"], body=body, num_scan_inputs=1, scan_input_axes=[1], scan_input_directions=[1], scan_output_axes=[1]
    )
    model = parse("g (float[2] a, float[2,3] x) => (float[2] y, float[2,3] s) { y = Identity(a) s = Identity(x) }")
    del model.graph.node[:]
    model.graph.node.append(node)
    inputs = {"a": np.zeros(2, np.float32), "x": np.arange(6, dtype=np.float32).reshape(2, 3)}
    found = evaluated(model, inputs).values
    own, problem = Own(model, None).run(inputs, ())
    assert not problem and own is not None
    assert all(np.array_equal(found[name], own[name]) for name in ("y", "s"))


def test_a_function_has_opsets_and_attributes_of_its_own() -> None:
    """Softmax of opset 11 flattens to two dims: over all but the first here, whatever the model imports."""
    node = helper.make_node("Softmax", ["a"], ["b"])
    axis = onnx.AttributeProto(name="axis", ref_attr_name="over", type=onnx.AttributeProto.INT)
    node.attribute.append(axis)
    function = helper.make_function("mine", "Flat", ["a"], ["b"], [node], [helper.make_opsetid("", 11)], ["over"])
    model = parse("g (float[2,2,2] x) => (float[2,2,2] y) { y = Identity(x) }")
    model.graph.node[0].CopyFrom(helper.make_node("Flat", ["x"], ["y"], domain="mine", over=1))
    model.opset_import.append(helper.make_opsetid("mine", 1))
    model.functions.append(function)
    x = np.random.default_rng(0).standard_normal((2, 2, 2)).astype(np.float32)
    found = evaluated(model, {"x": x}).values["y"]
    assert np.allclose(found.reshape(2, 4).sum(axis=1), 1.0, rtol=1e-12)


def test_a_fill_swallows_what_the_declared_dtype_swallows() -> None:
    """Scores behind a mask of -1e9: a row that is masked as a whole is the mean in fp32, and must be here."""
    model = parse("g (float[2,4] x, float[2,4] m) => (float[2,4] y) { s = Add(x, m) y = Softmax <axis = 1> (s) }")
    mask = np.array([[-1e9] * 4, [0, 0, -1e9, -1e9]], np.float32)
    found = evaluated(model, {"x": np.arange(8, dtype=np.float32).reshape(2, 4), "m": mask}).values["y"]
    assert found[0].tolist() == [0.25] * 4 and found[1, 2:].tolist() == [0.0, 0.0] and found[1, 0] != found[1, 1]


def test_half_precision_weights_are_widened_not_rounded_again() -> None:
    model = parse("g (float16[3] x) => (float16[3] y) { y = Mul(x, w) }")
    weight = np.array([0.1, 1.0 / 3, 2.7], np.float16)
    model.graph.initializer.append(numpy_helper.from_array(weight, "w"))
    x = np.array([1.1, 2.2, 3.3], np.float16)
    assert np.array_equal(evaluated(model, {"x": x}).values["y"], x.astype(float) * weight.astype(float))
    narrow = evaluated(model, {"x": x}, rounding=half).values["y"]
    assert np.array_equal(narrow, (x.astype(float) * weight.astype(float)).astype(np.float16))


def test_fp16_rounding_has_no_largest_number() -> None:
    """A model that overflows on a device is refused for that; what it may be off by elsewhere must not become infinite."""
    assert half(np.array([1e6, -3e5, 65504.0, 1e-9]), "float32").tolist() == [999936.0, -299008.0 - 1024.0, 65504.0, 0.0]


def test_random_rounding_leaves_what_the_dtype_holds() -> None:
    values = np.array([0.5, 1.0, -3.0, 0.1, 1e-3])
    found = noisy(3)(values, "float32")
    assert found[:3].tolist() == values[:3].tolist() and 0 < np.abs(found[3:] / values[3:] - 1).max() < 2.0**-23


def test_a_kernel_of_ours_that_is_wrong_is_overruled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that agree against one: onnxruntime's number is used, and the operator is told."""
    kernels = {**evaluating.KERNELS, ("", "Tanh"): lambda call: (np.tanh(call.inputs[0]) * 1.01,)}
    monkeypatch.setattr(evaluating, "KERNELS", kernels)
    evaluator = Evaluator(program_of(parse("g (float[3] x) => (float[3] y) { y = Tanh(x) }")))
    x = np.array([0.1, 0.5, 2.0], np.float32)
    assert np.allclose(evaluator.run({"x": x}).values["y"], np.tanh(x.astype(float)), rtol=1e-6)
    assert "the float64 kernel and onnxruntime differ" in evaluator.check.unchecked["y"] and not evaluator.check.faults


def test_a_fault_of_onnxruntime_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    model = parse("g (float[3] x) => (float[3] y) { y = Tanh(x) }")
    evaluator = Evaluator(program_of(model))
    right = evaluator.check.runtime

    def wrong(step: Any, operands: Any) -> Any:
        (result,) = right(step, operands)
        result.value = result.value * 1.5
        return [result]

    evaluator.check.runtime = wrong  # type: ignore[assignment]
    x = np.array([0.1, 0.5, 2.0], np.float32)
    assert np.allclose(evaluator.run({"x": x}).values["y"], np.tanh(x.astype(float)), rtol=1e-15)
    (said,) = evaluator.check.faults.values()
    assert said == "onnxruntime's Tanh is 1.44604 at [2], not 0.964028" and not evaluator.check.unchecked


def test_an_operator_that_nobody_else_has_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def doubled(call: Call) -> tuple[Any, ...]:
        return (2.0 * call.inputs[0],)

    monkeypatch.setattr(evaluating, "KERNELS", {**evaluating.KERNELS, ("mine", "Twice"): doubled})
    model = parse("g (float[3] x) => (float[3] y) { y = Neg(x) }")
    model.graph.node[0].op_type, model.graph.node[0].domain = "Twice", "mine"
    model.opset_import.append(helper.make_opsetid("mine", 1))
    evaluator = Evaluator(program_of(model))
    assert evaluator.run({"x": np.ones(3, np.float32)}).values["y"].tolist() == [2.0] * 3
    assert evaluator.check.unchecked["y"].startswith("onnxruntime does not run it alone")


def test_sequences_and_optionals_pass() -> None:
    model = parse("g (float[2] x) => (float[2] y) { s = SequenceConstruct(x, x) i = Constant <value = int64 {1}> () y = SequenceAt(s, i) }")
    assert evaluated(model, {"x": np.array([1.0, 2.0], np.float32)}).values["y"].tolist() == [1.0, 2.0]


@pytest.mark.parametrize("name", ["bert_tiny", "glm_tiny", "lightnet", "loop", "if"])
@pytest.mark.parametrize("seed", [1, 2])
def test_nodes_in_any_order_compute_the_same(name: str, seed: int) -> None:
    """A file whose nodes are not sorted is one that the compiler takes; the reference must as well, bodies included."""
    if name in BODIES:
        model = parse(f"g (bool c, float[2] x) => (float[2] y) {{ u = Abs(x) {BODIES[name].replace('x)', 'u)')} }}")
        inputs = {"c": np.array(True), "x": np.array([0.5, 2.0], np.float32)}
    else:
        model, inputs = onnx.load(model_path(name)), generate_inputs(load_model(model_path(name), SHAPES[name]).proto, 1)
    ordered = evaluated(model, inputs).values
    dice = np.random.default_rng(seed)
    for graph in [model.graph, *(a.g for node in model.graph.node for a in node.attribute if a.HasField("g"))]:
        nodes = [graph.node[k] for k in dice.permutation(len(graph.node))]
        mixed = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
        del graph.node[:]
        graph.node.extend(mixed)
    for output, value in evaluated(model, inputs).values.items():
        np.testing.assert_array_equal(value, ordered[output])
