"""Operators as Core AI's, against onnxruntime and ONNX's own cases. The judge is the interpreter that Apple ships with coreai-core, on this
machine's CPU: it shares no code with what is tested. What it cannot show is what Apple's devices make of a program."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import numpy_helper
from operator_cases import collect, same
from operator_texts import CASES, PACKED_CASES, feed_of, model_of, packed_model
from window_models import CHANNELS, FEW, PADDING, PAIR, RULES, SIZES, convolution, pool, resize, transposed_convolution

from autoglmc.compiler.devices.find_adapter import absence

LACK = absence("coreai", ("ios", ">=", "27"))
pytestmark = pytest.mark.skipif(LACK is not None, reason=f"{LACK and LACK.reason}: {LACK and LACK.help}")
CLOSE = 2e-5
WHOLE = (np.float32, np.int32, np.int64, np.bool_)
WIDE = bool(os.environ.get("AUTOGLMC_WIDE"))
MOST, LEAST_RIGHT = (10**6, 500) if WIDE else (3, 220)
"""Of ONNX's cases of an operator, and how many of all are converted at least: fewer would say that something is refused that was not."""
MORE = [
    *(("float[3,4] x", f"z = {op}(x)") for op in ("Selu", "Celu", "ThresholdedRelu")),
    ("float[3,4] x", "s = Sigmoid(x) z = Asin(s)"), ("float[3,4] x", "s = Sigmoid(x) z = Acos(s)"),
    ("float[3,4] x", "z = Asinh(x)"), ("float[3,4] x", "s = Exp(x) t = Add(s, half) u = Add(t, half) z = Acosh(u)"),
    ("float[3,4] x", "z = Celu <alpha = 2.5> (x)"), ("float[3,4] x", "z = LeakyRelu <alpha = 1.5> (x)"),
    ("float[3,4] x", "z = LpNormalization <p = 1> (x)"), ("float[2,5,6] x", "z = Trilu(x)"),
    ("float[2,5,6] x", "z = Trilu <upper = 0> (x)"),
    ("float[3,9] x", "z = Slice(x, minus, least, last, minus)"), ("float[3,9] x", "k = Cast <to = 6> (x) z = Cast <to = 1> (k)"),
    ("float[3,9] x", "k = Cast <to = 9> (x) z = Cast <to = 1> (k)"), ("float[3,4] x", "v, i = TopK(x, two) z = Cast <to = 1> (i)"),
    ("float[4,2,5] x, float[1,12,5] cw, float[1,12,3] cr, float[1,24] cb", "y, h, z = LSTM <hidden_size = 3> (x, cw, cr, cb)"),
    ("float[4,2,5] x, float[2,12,5] cw, float[2,12,3] cr, float[2,24] cb, float[2,2,3] h0, float[2,2,3] c0",
     'z, h, c = LSTM <hidden_size = 3, direction = "bidirectional"> (x, cw, cr, cb, , h0, c0)'),
    *(("float[4,2,5] x, float[1,9,5] cw, float[1,9,3] cr, float[1,18] cb, float[1,2,3] h0",
       f"{results} = GRU <hidden_size = 3, linear_before_reset = {way}> (x, cw, cr, cb, , h0)")
      for results, way in (("y, z", 0), ("z", 1))),
    ("float[4,2,5] x, float[2,3,5] cw, float[2,3,3] cr, float[2,6] cb",
     'z, h = RNN <hidden_size = 3, direction = "bidirectional"> (x, cw, cr, cb)'),
    ("float[3,4] x", "k = Cast <to = 7> (x) z = OneHot <axis = 0> (k, depth, off_on)"),
    ("float[3,4] x", "t = Mul(x, ten) k = Cast <to = 7> (t) q = Div(k, minus) r = Div(k, three_whole) s = Add(q, r) z = Cast <to = 1> (s)"),
    ("float[3,9] x", "z = Pad(x, crop)"), ("float[3,9] x", 'z = Pad <mode = "reflect"> (x, crop)'),
]  # fmt: skip


@pytest.mark.parametrize(("inputs", "body"), [*CASES, *MORE], ids=[f"{body} on {inputs}" for inputs, body in [*CASES, *MORE]])
def test_converted_operators_compute_what_onnxruntime_does(inputs: str, body: str) -> None:
    from run_core_ai import run_core_ai

    model = model_of(inputs, body)
    feed = feed_of(model)
    (expected,) = onnxruntime.InferenceSession(model.SerializeToString()).run(["z"], feed)
    np.testing.assert_allclose(run_core_ai(model, feed)["z"], expected, rtol=CLOSE, atol=CLOSE)


@pytest.mark.parametrize(("inputs", "constants", "body"), PACKED_CASES, ids=[f"{body} {constants}" for _, constants, body in PACKED_CASES])
def test_constants_of_8_bits_stay_so_and_of_4_are_refused(inputs: str, constants: str, body: str) -> None:
    from onnx.reference import ReferenceEvaluator
    from run_core_ai import run_core_ai

    from autoglmc.compiler.devices.onnx_node import Refused

    model = packed_model(inputs, constants, body)
    feed = feed_of(model)
    if "int4" in constants:
        with pytest.raises(Refused, match=r"DequantizeLinear \(node w\): u?int4 is not converted"):
            run_core_ai(model, feed)
        return
    (expected,) = ReferenceEvaluator(model).run(["z"], feed)
    np.testing.assert_allclose(run_core_ai(model, feed)["z"], expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def frozen(model: onnx.ModelProto, inputs: tuple[Any, ...]) -> onnx.ModelProto:
    """All inputs but the first are constants: axes, sizes and weights, which is what they are in networks."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    for value, array in list(zip(model.graph.input, inputs, strict=True))[1:]:
        made.graph.initializer.append(numpy_helper.from_array(array, value.name))
    del made.graph.input[1:]
    return onnx.shape_inference.infer_shapes(made, data_prop=True)


def test_the_standards_cases_are_right_or_refused_by_name() -> None:
    from run_core_ai import run_core_ai

    from autoglmc.compiler.devices.core_ai.program import CONVERTERS
    from autoglmc.compiler.devices.onnx_node import Refused

    right, wrong, seen, asked = 0, [], set[str](), Counter[str]()
    for case in collect():
        kinds = {node.op_type for node in case.model.graph.node if node.domain == ""}
        arrays = [value for value in (*case.inputs, *case.outputs) if isinstance(value, np.ndarray)]
        plain = len(arrays) == len(case.inputs) + len(case.outputs) and all(a.dtype.type in WHOLE for a in arrays)
        if not plain or not kinds or not kinds <= set(CONVERTERS) or case.name.endswith("_expanded"):
            continue
        asked[case.operators] += 1
        if asked[case.operators] > MOST:
            continue
        try:
            made = run_core_ai(frozen(case.model, case.inputs), dict(list(case.feeds.items())[:1]))
        except Refused as refusal:
            wrong += [] if str(refusal).startswith((*kinds, "the input", "the output")) else [f"{case.name}: {refusal}"]
            continue
        difference = same(case.outputs, [made[value.name] for value in case.model.graph.output], case)
        right, seen = right + (not difference), seen | (set() if difference else kinds)
        wrong += [f"{case.name}: {difference}"] if difference else []
    assert not wrong
    assert right >= LEAST_RIGHT, right
    covered = {node.op_type for inputs, body in [*CASES, *MORE] for node in model_of(inputs, body).graph.node} | {"DequantizeLinear"}
    assert set(CONVERTERS) <= seen | covered, "every converter is seen to be right somewhere"


SOME = settings(FEW, max_examples=15)


def hold(model: onnx.ModelProto) -> None:
    """The same numbers."""
    from run_core_ai import run_core_ai

    rng = np.random.default_rng(4)
    (value,) = model.graph.input
    feed = {value.name: rng.standard_normal([dim.dim_value for dim in value.type.tensor_type.shape.dim]).astype(np.float32)}
    assume(all(dim.dim_value > 0 for dim in model.graph.output[0].type.tensor_type.shape.dim))
    try:
        (want,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, feed)
    except Exception:
        assume(False)
    assume(want.shape == tuple(dim.dim_value for dim in model.graph.output[0].type.tensor_type.shape.dim))  # ceil_mode: ONNX infers more
    (got,) = run_core_ai(model, feed).values()
    np.testing.assert_allclose(got, want, rtol=CLOSE, atol=CLOSE)


@SOME
@given(SIZES, PAIR, PAIR, PAIR, PADDING, CHANNELS, st.integers(1, 2))
def test_convolutions(size: Any, kernel: Any, strides: Any, dilations: Any, padding: Any, channels: Any, batch: int) -> None:
    hold(convolution(size, kernel, strides, dilations, padding, channels, batch))


@SOME
@given(SIZES, PAIR, PAIR, st.lists(st.integers(0, 2), min_size=4, max_size=4), st.sampled_from([1, 2]), PAIR)
def test_transposed_convolutions(size: Any, kernel: Any, strides: Any, pads: Any, group: int, extra: Any) -> None:
    hold(transposed_convolution(size, kernel, strides, pads, group, extra))


@SOME
@given(st.sampled_from(["MaxPool", "AveragePool"]), SIZES, PAIR, PAIR, PADDING, st.booleans(), st.booleans())
def test_pools(kind: str, size: Any, kernel: Any, strides: Any, padding: Any, ceil: bool, counted: bool) -> None:
    hold(pool(kind, size, kernel, strides, padding, ceil, counted))


@SOME
@given(
    SIZES, SIZES, st.sampled_from(RULES), st.sampled_from(["nearest", "linear", "cubic"]), st.sampled_from(["floor", "round_prefer_floor"])
)
def test_resizes(size: Any, target: Any, rule: str, mode: str, rounding: str) -> None:
    hold(resize(size, target, rule, mode, rounding))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, np.int64])
def test_indices_of_few_bits_name_no_place_beyond_them(dtype: Any) -> None:
    """By the standard, which onnxruntime lacks for 8 bits."""
    from onnx.reference import ReferenceEvaluator
    from run_core_ai import run_core_ai

    model = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["":18]> g ({np.dtype(dtype).name}[2,3] i) => (float[2,3,300] z)'
        " <int64 depth = {300}, float[2] off_on = {0, 1}> { z = OneHot(i, depth, off_on) }"
    )
    feed = {"i": np.array([[0, 1, 5], [44, 100, 127]], dtype)}
    (expected,) = ReferenceEvaluator(model).run(["z"], feed)
    assert np.array_equal(run_core_ai(model, feed)["z"], expected)
