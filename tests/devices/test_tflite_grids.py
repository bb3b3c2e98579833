"""Grids that no calibration would choose: in integers LiteRT is within a step of onnxruntime, or the unit is left in floats, with a reason.

LiteRT's kernels overflow, do not load, or end the process where grids lie too far apart: what is not refused before shows here as a wrong
number or a crash of the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from integer_cases import CASES, Case, integers_for, model_of
from integer_units import reference
from onnx import helper, numpy_helper
from run_tflite import run_tflite
from small_models import parse

pytest.importorskip("ai_edge_litert", reason="LiteRT is not installed: pip install 'autoglmc[litert]'")

from autoglmc.compiler.devices.tflite.emit import units_in_floats, write_tflite
from autoglmc.compiler.devices.tflite.records import Refused

Array = np.ndarray[Any, Any]
TWO_STEPS = frozenset({"Gelu", "Softmax", "Softmax of channels", "Tanh"})
"""In int16: LiteRT interpolates in tables."""
Change = Callable[[onnx.ModelProto, np.random.Generator], None]


def changed(model: onnx.ModelProto, **constants: Callable[[Array], Array]) -> None:
    """Constants by name, with _ for the dot."""
    for tensor in model.graph.initializer:
        if (change := constants.get(tensor.name.replace(".", "_"))) is not None:
            tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor)), tensor.name))


def times(exponent: int) -> Callable[[Array], Array]:
    return lambda scale: (scale.astype(np.float64) * 2.0**exponent).astype(np.float32)


def power_of_two(scale: Array) -> Array:
    return (2.0 ** np.round(np.log2(scale.astype(np.float64)))).astype(np.float32)


def _zero(name: str, high: bool) -> Change:
    """The zero point at an end of its dtype."""
    return lambda model, rng: changed(
        model, **{name: lambda zero: np.full_like(zero, (np.iinfo(zero.dtype).max if high else np.iinfo(zero.dtype).min))}
    )


def _other_dtype(port: str, dtype: str) -> Change:
    """An operand, or the result, of another dtype than the rest."""

    def change(model: onnx.ModelProto, rng: np.random.Generator) -> None:
        for value in (*model.graph.input, *model.graph.output):
            if value.name == port:
                value.type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        middle = 0 if np.iinfo(dtype).min else 2 ** (np.iinfo(dtype).bits - 1)
        changed(model, **{f"{port}_zero": lambda zero: np.full(zero.shape, middle, dtype)})

    return change


def _unsigned_weights(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    changed(model, w=lambda w: (w.astype(np.int64) + 128).astype(np.uint8), w_zero=lambda zero: np.full(zero.shape, 128, np.uint8))


def _other_axis(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    """A scale for each index of another axis of the weights."""
    for node in model.graph.node:
        if node.output[0] == "w.float":
            shape = next(tuple(tensor.dims) for tensor in model.graph.initializer if tensor.name == "w")
            axis = (node.attribute[0].i + 1) % len(shape)
            node.attribute[0].i = axis - len(shape)
            changed(
                model,
                w_scale=lambda _, count=shape[axis]: rng.uniform(0.002, 0.02, count).astype(np.float32),
                w_zero=lambda _, count=shape[axis]: np.zeros(count, np.int8),
            )


def _largest_bias(model: onnx.ModelProto, rng: np.random.Generator) -> None:
    changed(model, b=lambda b: np.resize(np.array([2**31 - 1, -(2**31)], np.int32), b.shape))


CHANGES: Mapping[str, Change] = {
    "x at the low end": _zero("x0_zero", False),
    "x at the high end": _zero("x0_zero", True),
    "y at the low end": _zero("y_zero", False),
    "y at the high end": _zero("y_zero", True),
    "x uint8": _other_dtype("x0", "uint8"),
    "x int16": _other_dtype("x0", "int16"),
    "x uint16": _other_dtype("x0", "uint16"),
    "x1 int16": _other_dtype("x1", "int16"),
    "y uint8": _other_dtype("y", "uint8"),
    "y int16": _other_dtype("y", "int16"),
    "y uint16": _other_dtype("y", "uint16"),
    "uint8 weights": _unsigned_weights,
    "weights with zero points": lambda model, rng: changed(model, w_zero=lambda z: rng.integers(-128, 128, z.shape).astype(np.int8)),
    "weights by another axis": _other_axis,
    "a bias with another scale": lambda model, rng: changed(model, b_scale=lambda s: s * np.float32(3.7)),
    "a bias as large as can be": _largest_bias,
}


def agrees(model: onnx.ModelProto, most: int) -> None:
    """Whole, as a file would be that somebody exports."""
    feeds = integers_for(model, np.random.default_rng(7))
    want = reference(model, feeds, ["y"])["y"]
    try:
        (got,) = run_tflite(write_tflite(model), feeds, ["y"])
    except Refused as refused:
        assert "(node " in str(refused)
        return
    assert got.dtype == want.dtype
    assert np.abs(want.astype(np.int64) - got.astype(np.int64)).max(initial=0) <= most
    assert all(units_in_floats(model).values())


def most_steps(name: str, dtypes: set[str]) -> int:
    return 2 if name in TWO_STEPS and dtypes & {"int16", "uint16"} else 1


@given(st.sampled_from(sorted(CASES)), st.sampled_from(sorted(CHANGES)), st.sampled_from(["int8", "uint8", "int16"]), st.integers(0, 3))
@settings(max_examples=250)
def test_unusual_quantisations(name: str, change: str, dtype: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    model = model_of(CASES[name], dtype, rng, per_channel=seed % 2 == 0)
    CHANGES[change](model, rng)
    agrees(model, most_steps(name, {dtype, change.rpartition(" ")[2]}))


@given(
    st.sampled_from(sorted(CASES)),
    st.sampled_from(["x0.scale", "x1.scale", "y.scale", "w.scale"]),
    st.integers(-40, 40),
    st.sampled_from(["int8", "int16"]),
    st.booleans(),
)
@settings(max_examples=350)
def test_grids_that_lie_far_apart(name: str, scale: str, exponent: int, dtype: str, round_scales: bool) -> None:
    model = model_of(CASES[name], dtype, np.random.default_rng(3))
    with_it = {"b.scale"} if scale in ("x0.scale", "w.scale") else set()
    with_it |= {"y.scale"} if CASES[name].same_grid and scale == "x0.scale" else set()
    changed(model, **{each.replace(".", "_"): times(exponent) for each in {scale, *with_it}})
    if round_scales:
        changed(model, x0_scale=power_of_two, x1_scale=power_of_two, y_scale=power_of_two)
    agrees(model, most_steps(name, {dtype}))


@pytest.mark.parametrize(("size", "out"), [(9, 18), (9, 27), (100, 333), (300, 400), (50, 40)])
@pytest.mark.parametrize("rule", ["half_pixel", "align_corners", "asymmetric"])
def test_what_a_kernel_rounds_along_an_axis_does_not_add_up(rule: str, size: int, out: int) -> None:
    """LiteRT's kernel of 16 bits is off by up to 14 % of the range there."""
    sizes = np.array([1, 2, out, 7], np.int64)
    attributes = {"mode": "linear", "coordinate_transformation_mode": rule}
    case = Case("Resize", [(1, 2, size, 7)], attributes, {}, {3: sizes}, same_grid=True)
    for dtype in ("int8", "int16"):
        agrees(model_of(case, dtype, np.random.default_rng(0)), 1)


@pytest.mark.parametrize("span", [4.0, 12.0, 20.0, 200.0])
def test_a_softmax_of_16_bits_is_right_where_its_numbers_are_far_apart(span: float) -> None:
    """LiteRT's kernel is off by 979 steps in a row of 512."""
    model = model_of(Case("Softmax", [(3, 512)], {"axis": -1}, unit=(1 / 256, -128)), "int16", np.random.default_rng(0))
    changed(model, x0_scale=lambda _: np.array(span / 65536, np.float32))
    agrees(model, 2)
    assert bool(units_in_floats(model)) == (span > 12)


def test_a_grid_that_is_none_is_refused_by_name() -> None:
    text = """g (int8[4] q) => (int8[4] y) <float s = {0.5}, float t = {%s}, int8 o = {0}> {
              a = DequantizeLinear(q, s, o)  b = Relu(a)  y = QuantizeLinear(b, t, o) }"""
    for scale in ("0.0", "1e-38", "-1.0"):
        with pytest.raises(Refused, match=r"QuantizeLinear \(node .*: a scale of .* is not converted"):
            write_tflite(onnx.shape_inference.infer_shapes(parse(text % scale)))
