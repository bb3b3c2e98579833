"""Every converter of compiler/devices/mil against onnxruntime, on MIL evaluated by tests/mil_reference.py in fp32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from operator_texts import CASES, PACKED_CASES, feed_of, model_of, packed_model

from autoglmc.compiler.devices.find_adapter import adapter_for

ADAPTER = adapter_for("coreml", ("mlprogram", "ios", ">=", "17"))
LACK = ADAPTER and ADAPTER.cannot_compile()
pytestmark = pytest.mark.skipif(LACK is not None, reason=f"{LACK and LACK.reason}: {LACK and LACK.help}")
Array = np.ndarray[Any, Any]


@pytest.mark.parametrize(("inputs", "body"), CASES, ids=[f"{body} on {inputs}" for inputs, body in CASES])
def test_converted_operators_compute_what_onnxruntime_does(inputs: str, body: str) -> None:
    import coremltools
    from mil_reference import run_program

    from autoglmc.compiler.devices.mil.program import build_program

    model = model_of(inputs, body)
    feed = feed_of(model)
    (expected,) = onnxruntime.InferenceSession(model.SerializeToString()).run(["z"], feed)
    built = build_program(model, coremltools.target.iOS17)
    got = run_program(built.program, feed)["z"]
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=2e-5, atol=2e-5)


def test_every_converter_has_a_case() -> None:
    from autoglmc.compiler.devices.mil.packed import PACKED
    from autoglmc.compiler.devices.mil.program import CONVERTERS

    covered = {node.op_type for inputs, body in CASES for node in model_of(inputs, body).graph.node}
    elsewhere = {"And", "Equal", "GreaterOrEqual", "GroupNormalization", "Less", "LessOrEqual", "Not", "Or", "Swish", "Xor"} | PACKED.keys()
    assert CONVERTERS.keys() - covered == elsewhere


@pytest.mark.parametrize(("inputs", "constants", "body"), PACKED_CASES, ids=[f"{body} {constants}" for _, constants, body in PACKED_CASES])
def test_constants_of_few_bits_stay_so(inputs: str, constants: str, body: str) -> None:
    """They are in the program in their bits, and it computes what onnx's own reference does."""
    import coremltools
    from mil_reference import run_program
    from onnx.reference import ReferenceEvaluator

    from autoglmc.compiler.devices.mil.program import build_program

    model = packed_model(inputs, constants, body)
    feed = feed_of(model)
    (expected,) = ReferenceEvaluator(model).run(["z"], feed)
    program = build_program(model, coremltools.target.iOS18).program
    np.testing.assert_allclose(run_program(program, feed)["z"], expected, rtol=1e-4, atol=1e-4)
    kinds = [op.op_type for op in program.functions["main"].operations]
    assert any(kind.startswith("constexpr_") for kind in kinds) == ("int32" not in constants)
    assert not any(kind == "matmul" and "Gemm" in body and "transA" not in body for kind in kinds)


def test_blocks_need_ios_18_and_say_so() -> None:
    import coremltools

    from autoglmc.compiler.devices.mil.program import build_program
    from autoglmc.compiler.devices.onnx_node import Refused

    model = packed_model(*PACKED_CASES[8])
    with pytest.raises(Refused, match=r"DequantizeLinear .*iOS18"):
        build_program(model, coremltools.target.iOS17)


def test_integers_that_vary_are_refused() -> None:
    import coremltools

    from autoglmc.compiler.devices.mil.program import build_program
    from autoglmc.compiler.devices.onnx_node import Refused

    model = packed_model("int32[2,4] x", "float cps", "z = DequantizeLinear(x, cps)")
    with pytest.raises(Refused, match=r"DequantizeLinear .*input 0 must be constant"):
        build_program(model, coremltools.target.iOS17)


def test_a_package_holds_the_bytes_as_they_are(tmp_path: Path) -> None:
    """Read back from disk: one byte a weight, and what the package computes beside the model."""
    from mil_reference import run_package
    from onnx.reference import ReferenceEvaluator

    body = "w = DequantizeLinear(cw, cps) y = MatMul(x, w) z = Relu(y)"
    model = packed_model("float[2,256] x", "int8[256,512] cw, float[512] cps", body)
    onnx.save_model(model, tmp_path / "segment.onnx")
    assert ADAPTER is not None
    ADAPTER.compile(tmp_path / "segment.onnx", tmp_path / "segment.mlpackage")
    stored = (tmp_path / "segment.mlpackage" / "Data" / "com.apple.CoreML" / "weights" / "weight.bin").stat().st_size
    assert 256 * 512 < stored < 1.1 * 256 * 512
    feed = feed_of(model)
    (expected,) = ReferenceEvaluator(model).run(["z"], feed)
    got = run_package(tmp_path / "segment.mlpackage", feed)["z"]
    assert np.abs(got - expected).max() < 3e-3 * expected.std()
