"""onnxruntime on the CPU computes what the model says, whatever its optimisers make of it."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from small_models import parse

from autoglmc.compiler.devices.cpu_session import open_session


@pytest.mark.parametrize("kind", [onnx.TensorProto.INT4, onnx.TensorProto.UINT4])
@pytest.mark.parametrize("rows", [1, 5])
def test_weights_of_four_bits_are_multiplied_with_floats(kind: int, rows: int) -> None:
    """By default onnxruntime 1.32 rounds the other operand to 8 bits as well: 4e-3 of the result's spread."""
    random = np.random.default_rng(0)
    text = f"g (float[{rows},64] x) => (float[{rows},128] y) {{ d = DequantizeLinear <axis = 0, block_size = 32> (w, s) y = MatMul(x, d) }}"
    model = parse(text, opset=21, ir=10)
    steps = random.integers(0, 8, (64, 128))
    scales = (0.01 + random.random((2, 128))).astype(np.float32)
    model.graph.initializer.append(onnx.helper.make_tensor("w", kind, steps.shape, steps.reshape(-1).tolist()))
    model.graph.initializer.append(onnx.numpy_helper.from_array(scales, "s"))
    x = random.standard_normal((rows, 64)).astype(np.float32)
    expected = x.astype(np.float64) @ (steps * np.repeat(scales, 32, 0).astype(np.float64))
    (got,) = open_session(model.SerializeToString()).run(["y"], {"x": x})
    assert np.abs(got - expected).max() < 1e-5 * expected.std()
