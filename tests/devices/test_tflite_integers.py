"""Operators in integers on LiteRT, against onnxruntime without optimisations: the same integers, or neighbours."""

from __future__ import annotations

from pathlib import Path

import half_nets
import numpy as np
import onnx
import pytest
import quantised_models
from integer_cases import CASES, integers_for, model_of
from integer_units import UnitDistance, distances, reference
from run_tflite import feeds_of, operators_of, prepared, run_tflite
from small_models import parse

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed: pip install 'autoglmc[litert]'")

from autoglmc.compiler.devices.tflite.emit import refusals, units_in_floats, write_tflite

SEEDS = range(2)
TWO_STEPS = frozenset({"Tanh", "Softmax", "Softmax of channels"})
"""In int16: LiteRT interpolates in tables."""
ALONE_IN_FLOATS = frozenset({("HardSwish", "int16")})
ROUNDED_ONCE = frozenset({"Conv", "Gemm", "MatMul", "Add"})
TIES = 1e-3
"""Share of elements that lie so near a tie that fp32, in which onnxruntime sums, decides it otherwise; measured: at most 5e-4."""


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
@pytest.mark.parametrize("name", CASES)
def test_single_operators(name: str, dtype: str) -> None:
    case = CASES[name]
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        model = model_of(case, dtype, rng, per_channel=seed % 2 == 0)
        feeds = integers_for(model, rng)
        want = reference(model, feeds, ["y"])["y"].astype(np.int64)
        assert bool(units_in_floats(model)) == ((name, dtype) in ALONE_IN_FLOATS)
        data = write_tflite(model)
        (got,) = run_tflite(data, feeds, ["y"])
        most = (0 if case.exact else 1) if dtype != "int16" else 2 if name in TWO_STEPS else 1
        assert np.abs(want - got.astype(np.int64)).max() <= most
        assert len(np.unique(got)) > 1, "the case says nothing"


NETS = {
    "a mobile block": (quantised_models.convolutions, "tensor", 1.0), "resnet": (half_nets.NETS["resnet"], "channel", 1.0),
    "yolo": (half_nets.NETS["yolo"], "signed", 1.0), "vit": (half_nets.NETS["vit"], "channel", 0.85),
    "convnext": (half_nets.NETS["convnext"], "tensor", 0.9), "unet": (half_nets.NETS["unet"], "channel", 0.7),
    "mixer": (half_nets.NETS["mixer"], "signed", 0.9),
}  # fmt: skip
"""The network, how onnxruntime's tool quantises it, and the share of its units that is computed in integers at least."""


@pytest.mark.parametrize("name", NETS)
def test_networks_operator_by_operator(name: str, tmp_path: Path) -> None:
    make, form, share = NETS[name]
    model = prepared(onnx.load(quantised_models.quantised_as(form, make(), tmp_path)))
    found = distances(model, feeds_of(model))
    assert max(one.steps for one in found) <= 1
    assert max((one.share for one in found if ROUNDED_ONCE.issuperset(one.operators) and not _of_two(one)), default=0) <= TIES
    assert sum(not one.in_floats for one in found) >= share * len(found)
    assert all(bool(one.why_in_floats) == one.in_floats for one in found)


def _of_two(one: UnitDistance) -> bool:
    """A product of two computed tensors, which has no kernel of XNNPACK."""
    return "BATCH_MATMUL" in one.codes


def test_a_whole_file_is_integers_between_two_borders(tmp_path: Path) -> None:
    path = quantised_models.quantised_as("channel", quantised_models.convolutions(), tmp_path)
    codes = {name for name, _ in operators_of(write_tflite(prepared(onnx.load(path)))).elements()}
    counts = operators_of(write_tflite(prepared(onnx.load(path))))
    assert codes == {
        "ADD", "AVERAGE_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "DEQUANTIZE", "FULLY_CONNECTED", "MEAN", "MUL", "PAD", "QUANTIZE",
        "RESHAPE", "TRANSPOSE",
    }  # fmt: skip
    assert counts["QUANTIZE", 1] == counts["DEQUANTIZE", 2] == 1


def test_plain_arithmetic_on_quantised_integers_is_refused_by_name() -> None:
    text = """g (int8[4] q) => (float[4] z) <float s = {0.5}, int8 o = {0}> { a = Abs(q)  b = DequantizeLinear(q, s, o)
              c = Cast<to=1>(a)  z = Add(b, c) }"""
    (found,) = (one for one in refusals(onnx.shape_inference.infer_shapes(parse(text))) if one.operator == "Abs")
    assert "q is quantised" in found.reason
