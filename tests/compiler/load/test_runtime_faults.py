"""The standard's own cases that onnxruntime's kernels get wrong: a matter of rounding, drawn at random, or refused by name."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from operator_cases import Case, collect, same
from small_models import parse, save

from autoglmc.compiler.devices.cpu_session import open_session
from autoglmc.compiler.errors import ModelError
from autoglmc.compiler.load.load_model import load_model
from autoglmc.compiler.load.runtime_faults import check_runtime_faults
from autoglmc.compiler.verify.reference import random_tensors

ROUNDED = {
    "attention_4d_causal_fp16": 3e-3,
    **dict.fromkeys(("dft_opset19", "dft_axis_opset19", "dft_inverse_opset19", "dft_rfft_opset19", "dft_irfft_opset19"), 5e-6),
    **dict.fromkeys(("dft", "dft_axis", "dft_inverse", "dft_rfft", "dft_irfft", "stft", "stft_with_window"), 5e-6),
}
"""Cases whose tolerance is relative where the right number is 0: how far off they are, over the output's standard deviation."""
DRAWN = ("training_dropout", "training_dropout_mask", "training_dropout_default", "training_dropout_default_mask")
REFUSED = {
    "attention_4d_with_past_and_present_qk_matmul_bias_3d_mask_causal": "(qk_matmul_output_mode 2) hold the lowest number",
    "attention_4d_with_past_and_present_qk_matmul_bias_4d_mask_causal": "(qk_matmul_output_mode 2) hold the lowest number",
    "maxunpool_export_with_output_shape": "with output_shape it takes the indices for those of the larger output",
    "resize_downsample_scales_linear_align_corners": "align_corners with the scale 0.6 on 2 elements; it takes 1 for 1.2, which ONNX keeps",
    "resize_downsample_scales_cubic_align_corners": "align_corners with the scale 0.8 on 4 elements; it takes 3 for 3.2, which ONNX keeps",
}
WRONG = (*ROUNDED, *DRAWN, *REFUSED)


@cache
def cases() -> dict[str, Case]:
    return {case.name.removeprefix("test_"): case for case in collect()}


def computed(case: Case) -> list[Any]:
    return list(open_session(case.model.SerializeToString(), optimise=False).run(None, dict(case.feeds)))


@pytest.mark.parametrize("name", WRONG)
def test_onnxruntime_is_still_wrong_about_the_case(name: str) -> None:
    """One that it gets right is to be taken off the list, and its refusal out of the code."""
    assert same(cases()[name].outputs, computed(cases()[name]), cases()[name])


@pytest.mark.parametrize("name", ROUNDED)
def test_these_are_rounding(name: str) -> None:
    case = cases()[name]
    for want, got in zip(case.outputs, computed(case), strict=True):
        assert np.abs(want.astype(float) - got.astype(float)).max() <= ROUNDED[name] * want.astype(float).std()


def refused(model: onnx.ModelProto) -> bool:
    try:
        check_runtime_faults(onnx.shape_inference.infer_shapes(model), "m.onnx")
    except ModelError:
        return True
    return False


def test_no_case_is_refused_that_onnxruntime_gets_right() -> None:
    found = {name for name, case in cases().items() if refused(case.model)}
    assert found == {name for name in REFUSED if not name.startswith("resize")}  # their scales are known only at run time


@pytest.mark.parametrize("name", DRAWN)
def test_these_are_drawn_at_random(name: str) -> None:
    assert random_tensors(cases()[name].model.graph)


def constant(case: Case, *names: str) -> onnx.ModelProto:
    """With those inputs as constants: which scale or size is right is not known where it comes at run time."""
    model = onnx.ModelProto.FromString(case.model.SerializeToString())
    for value in [value for value in model.graph.input if value.name in names]:
        model.graph.input.remove(value)
        model.graph.initializer.append(numpy_helper.from_array(case.feeds[value.name], value.name))
    return model


@pytest.mark.parametrize("name", REFUSED)
def test_these_are_refused_by_name(name: str, tmp_path: Path) -> None:
    model = constant(cases()[name], "scales", "output_shape")
    with pytest.raises(ModelError) as caught:
        load_model(save(model, tmp_path))
    assert caught.value.message.startswith("onnxruntime's CPU computes ") and REFUSED[name] in caught.value.message
    assert caught.value.help


def agrees(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> bool:
    """onnxruntime with onnx's reference implementation."""
    ours = open_session(model.SerializeToString(), optimise=False).run(None, feeds)
    with np.errstate(all="ignore"):
        theirs = ReferenceEvaluator(model).run(None, feeds)
    return all(a.shape == b.shape and np.allclose(a, b, atol=1e-3) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("mode", ["linear", "cubic"])
@pytest.mark.parametrize("length", [4, 5])
@pytest.mark.parametrize("scale", [0.5, 0.6, 0.8, 1.3, 1.5, 2.0])
def test_resize_is_refused_where_it_is_wrong_and_nowhere_else(scale: float, length: int, mode: str) -> None:
    made = int(np.floor(length * scale))
    given = [numpy_helper.from_array(np.array([1, 1, scale, scale], "f"), "s")]
    node = helper.make_node("Resize", ["X", "", "s"], ["Y"], mode=mode, coordinate_transformation_mode="align_corners")
    ports = [helper.make_tensor_value_info(name, 1, [1, 1, n, n]) for name, n in (("X", length), ("Y", made))]
    graph = helper.make_graph([node], "g", ports[:1], ports[1:], given)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    feeds = {"X": np.random.default_rng(0).normal(size=(1, 1, length, length)).astype("f")}
    assert refused(model) == (not agrees(model, feeds))


@pytest.mark.parametrize("mask", ["", "bool", "float"])
@pytest.mark.parametrize("causal", [0, 1])
@pytest.mark.parametrize("mode", [0, 1, 2, 3])
def test_attention_too(mode: int, causal: int, mask: str) -> None:
    rng = np.random.default_rng(0)
    kinds = {"Q": "float[1,2,4,8]", "K": "float[1,2,4,8]", "V": "float[1,2,4,8]", **({"M": f"{mask}[4,4]"} if mask else {})}
    inputs = ", ".join(f"{kind} {name}" for name, kind in kinds.items())
    call = f"Attention <is_causal = {causal}, qk_matmul_output_mode = {mode}> ({', '.join(kinds)})"
    model = parse(f"g ({inputs}) => (float[1,2,4,8] Y, float[1,2,4,4] S) {{ Y, k, v, S = {call} }}", opset=23, ir=10)
    model.graph.node[0].output[1] = model.graph.node[0].output[2] = ""
    feeds = {name: rng.normal(size=(1, 2, 4, 8)).astype("f") for name in "QKV"}
    if mask:
        feeds["M"] = np.tril(np.ones((4, 4), bool)) if mask == "bool" else rng.normal(size=(4, 4)).astype("f")
    assert refused(model) == (not agrees(model, feeds))


def test_max_unpool_without_another_size_is_taken() -> None:
    call = "MaxUnpool <kernel_shape = [2,2], strides = [2,2]> (x, i, s)"
    text = f"g (float[1,1,2,2] x, int64[1,1,2,2] i) => (float[1,1,4,4] y) SHAPE {{ y = {call} }}"
    same_size = parse(text.replace("SHAPE", "<int64[4] s = {1, 1, 4, 4}>"))
    assert not refused(same_size)
    assert refused(parse(text.replace("SHAPE", "<int64[4] s = {1, 1, 5, 5}>").replace("float[1,1,4,4]", "float[1,1,5,5]")))
