"""The untouched model runs the same whether its weights are serialised or passed by address."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from models import NAMES, SHAPES, model_path
from onnx import TensorProto, numpy_helper
from small_models import parse

from autoglmc.compiler.inputs.generate_inputs import generate_inputs
from autoglmc.compiler.load.load_model import load_model
from autoglmc.compiler.reference.open_untouched import light_copy, open_untouched
from autoglmc.compiler.run.resident import measure_resident, status_bytes
from autoglmc.passes.mapped.mapped_tensor import refer

ADD = "g (float[64,64] x) => (float[64,64] y) { a = Add(x, w) y = Add(a, s) }"


def weighted() -> onnx.ModelProto:
    model = parse(ADD)
    large = np.arange(4096, dtype=np.float32).reshape(64, 64)
    model.graph.initializer.extend([numpy_helper.from_array(large, "w"), numpy_helper.from_array(np.ones(64, np.float32), "s")])
    return model


@pytest.mark.parametrize("optimised", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_real_models_give_the_same_bits(name: str, optimised: bool) -> None:
    model = onnx.load(model_path(name))
    inputs = generate_inputs(load_model(model_path(name), SHAPES[name]).proto, 1)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimised else levels.ORT_DISABLE_ALL
    whole = onnxruntime.InferenceSession(str(model_path(name)), options, providers=["CPUExecutionProvider"])
    opened = open_untouched(*light_copy(model), None, optimise=optimised)
    for ours, theirs in zip(opened.session.run(None, inputs), whole.run(None, inputs), strict=True):
        assert np.array_equal(ours, theirs, equal_nan=True)


def test_large_weights_are_left_out_and_the_model_stays() -> None:
    model = weighted()
    before = model.SerializeToString()
    copy, large = light_copy(model)
    assert [tensor.name for tensor in large] == ["w"] and copy.ByteSize() < 1000
    assert [tensor.name for tensor in copy.graph.initializer] == ["w", "s"]
    copy.graph.node[0].op_type = "Sub"
    assert model.SerializeToString() == before


def test_typed_fields_and_files_are_read_too(tmp_path: Path) -> None:
    """float_data instead of raw bytes, and a weight in another file, in one model."""
    model = weighted()
    values = np.arange(4096, dtype=np.float32)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.float_data.extend(values.tolist())
    model.graph.node[1].input[1] = "v"
    (tmp_path / "v.bin").write_bytes(values.tobytes())
    outside = model.graph.initializer.add(name="v", data_type=TensorProto.FLOAT, dims=[64, 64], data_location=TensorProto.EXTERNAL)
    outside.external_data.add(key="location", value="v.bin")
    opened = open_untouched(*light_copy(model), tmp_path)
    x = np.ones((64, 64), np.float32)
    assert np.array_equal(opened.session.run(None, {"x": x})[0], x + 2 * values.reshape(64, 64))


@pytest.mark.parametrize("kind", [TensorProto.BFLOAT16, TensorProto.FLOAT16, TensorProto.INT8, TensorProto.DOUBLE, TensorProto.INT4])
def test_weights_of_other_dtypes(kind: int) -> None:
    model = parse("g () => (float[64,64] y) { y = Cast <to = 1> (w) }")
    values = np.random.default_rng(0).integers(-8, 8, (64, 64)).astype(np.float32)
    model.graph.initializer.append(onnx.helper.make_tensor("w", kind, [64, 64], values.ravel()))
    model.opset_import[0].version, model.ir_version = 21, 10
    opened = open_untouched(*light_copy(model), None)
    assert np.array_equal(opened.session.run(None, {})[0], values)


def test_weights_are_read_where_they_lie(tmp_path: Path) -> None:
    """A session of a model whose weights stay in a file holds no copy of them."""
    if status_bytes() is None:
        pytest.skip("this system does not say what is private")
    size = 1 << 25
    (tmp_path / "data").write_bytes(bytes(size))
    model = parse(ADD)
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[size // 256, 64])
    refer(tensor, tmp_path / "data", 0, size)
    model.graph.initializer.append(tensor)
    model.graph.initializer.append(numpy_helper.from_array(np.ones(64, np.float32), "s"))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = size // 256
    open_untouched(*light_copy(weighted()), None)  # the runtime itself
    opened, added = measure_resident(lambda: open_untouched(*light_copy(model), None))
    assert added is not None and added.own < size // 4
    assert opened.session.run(None, {"x": np.ones((1, 64), np.float32)})[0].shape == (size // 256, 64)
