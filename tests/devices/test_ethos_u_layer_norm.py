"""LayerNormalization in integers: right on LiteRT's kernels within a bound, and on the NPU by Vela's report; so is a transformer block."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from half_nets import Net
from onnx import helper, numpy_helper

from autoglmc.compiler.devices.ethos_u.configuration import configuration
from autoglmc.compiler.devices.ethos_u.vela import run_vela
from autoglmc.compiler.devices.find_adapter import absence
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.precision.request import PrecisionRequest
from autoglmc.targets.stock import stock_path

U55 = ("vela", "5.2", "config", "u55-256", "system", "Ethos_U55_High_End_Embedded", "memory", "Shared_Sram")
U85 = ("vela", "5.2", "config", "u85-512", "system", "Ethos_U85_SYS_Flash_High", "memory", "Shared_Sram")
LACK = absence("ethos_u", U55)
pytestmark = pytest.mark.skipif(LACK is not None, reason=f"{LACK and LACK.reason}: {LACK and LACK.help}")
STEP, ROWS = 0.05, 48


def normalisation(length: int, result: tuple[float, int], weights: bool, dtype: str = "int8") -> onnx.ModelProto:
    """Of rows of that length, between grids; the operand's has a step of STEP. `result`: scale and zero point."""
    rng, kind = np.random.default_rng(length), helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    middle = 0 if dtype == "int8" else 128
    arrays = {
        "sx": np.float32(STEP), "zx": np.array(3 + middle, dtype), "sy": np.float32(result[0]), "zy": np.array(result[1] + middle, dtype),
        "scale": rng.normal(1, 0.3, length).astype(np.float32), "bias": rng.normal(0, 0.3, length).astype(np.float32),
    }  # fmt: skip
    if not weights:
        arrays |= {"scale": np.ones(length, np.float32), "bias": np.zeros(length, np.float32)}
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "sx", "zx"], ["x.float"]),
        helper.make_node("LayerNormalization", ["x.float", "scale", "bias"], ["y.float"], axis=-1),
        helper.make_node("QuantizeLinear", ["y.float", "sy", "zy"], ["y"]),
    ]
    ports = [helper.make_tensor_value_info(name, kind, [1, ROWS, length]) for name in "xy"]
    constants = [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], constants)
    return onnx.shape_inference.infer_shapes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))


def written(model: onnx.ModelProto) -> bytes:
    from autoglmc.compiler.devices.tflite.emit import write_tflite

    return write_tflite(model, integers_alone=True)


def on_litert(content: bytes, x: np.ndarray) -> np.ndarray:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    found: np.ndarray = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    return found


def normalised(x: np.ndarray, zero: int, model: onnx.ModelProto) -> np.ndarray:
    """In float64."""
    scale, bias = (numpy_helper.to_array(one).astype(np.float64) for one in model.graph.initializer if one.name in ("scale", "bias"))
    numbers = (x.astype(np.float64) - zero) * STEP
    centred = numbers - numbers.mean(-1, keepdims=True)
    made: np.ndarray = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * scale + bias
    return made


@pytest.mark.parametrize("weights", [True, False])
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("length", [16, 64, 384])
def test_the_result_is_within_its_bound(length: int, dtype: str, weights: bool) -> None:
    """One step from a deviation of three steps of the operand on, two from one on."""
    rng, middle = np.random.default_rng(0), 0 if dtype == "int8" else 128
    for deviation, most in ((60, 1), (25, 1), (10, 1), (5, 1), (3, 1), (2, 2), (1, 2)):
        centre = rng.normal(0, 20, (1, ROWS, 1))
        x = (np.clip(np.rint(rng.normal(centre, deviation, (1, ROWS, length))), -128, 127) + middle).astype(dtype)
        exact = normalised(x, 3 + middle, normalisation(length, (1.0, 0), weights, dtype))
        step = float(np.ptp(exact)) / 255
        zero = int(np.clip(np.rint(-128 - exact.min() / step), -128, 127))
        want = np.clip(np.rint(exact / step) + zero, -128, 127) + middle
        got = on_litert(written(normalisation(length, (step, zero), weights, dtype)), x)
        told = x.astype(np.float64).std(-1, keepdims=True) >= 0.9 * deviation
        off = np.where(told, np.abs(got - want), 0)
        assert off.max() <= most, (deviation, off.max())
        assert len(np.unique(got)) > 100, "it says something"


@pytest.mark.parametrize("words", [U55, U85], ids=["u55", "u85"])
def test_all_of_it_is_on_the_npu(words: tuple[str, ...]) -> None:
    wanted = configuration(words)
    assert wanted is not None
    _, report = run_vela(written(normalisation(64, (0.03, 0), True)), wanted)
    assert report.on_cpu == () and report.npu_operators > 15


def test_rows_of_one_number_are_the_bias() -> None:
    model = normalisation(16, (0.02, 0), True)
    got = on_litert(written(model), np.full((1, ROWS, 16), 77, np.int8))
    bias = next(numpy_helper.to_array(one) for one in model.graph.initializer if one.name == "bias")
    assert np.abs(got - np.rint(bias / np.float32(0.02))).max() <= 1


WHY = "LayerNormalization takes many operators in integers: floats are faster and more exact"


def test_a_cpu_keeps_it_in_floats() -> None:
    from autoglmc.compiler.devices.tflite.emit import units_in_floats, write_tflite

    model = normalisation(64, (0.03, 0), True)
    assert list(units_in_floats(model).values()) == [WHY] and write_tflite(model) != written(model)


def block(length: int = 64, width: int = 64) -> onnx.ModelProto:
    """One of a transformer that norms first, with four heads."""
    net = Net(3)
    x = net.op("Add", "x", net.attention(net.layer_norm("x", width), length, width, 4))
    x = net.op("Add", x, net.linear(net.gelu(net.linear(net.layer_norm(x, width), width, 2 * width)), 2 * width, width))
    return net.model({"x": (1, length, width)}, y=x)


def beside_a_slow_core(folder: Path, name: str) -> Path:
    """A stock target whose core is no rival of the NPU: by its own numbers a core is faster at some products of activations."""
    text = stock_path(name).read_text()
    slow, count = re.subn(r"peak      (fp32|int8) \d+ (GOPS|GFLOPS) +@guess", r"peak      \1 0.1 \2 @guess", text)
    assert count == 2
    (folder / "board.hw").write_text(slow)
    return folder / "board.hw"


@pytest.mark.parametrize("name", ["ethos_u55_256", "ethos_u85_512"])
def test_a_whole_transformer_block_is_on_the_npu(name: str, tmp_path: Path) -> None:
    rng, path = np.random.default_rng(0), tmp_path / "block.onnx"
    onnx.save(block(), path)
    np.savez(tmp_path / "data.npz", x=rng.standard_normal((8, 64, 64), dtype=np.float32))
    asked = PrecisionRequest(precision="int8", data=str(tmp_path / "data.npz"))
    result = compile_model(path, beside_a_slow_core(tmp_path, name), output=tmp_path / "bundle", emulate=True, precision=asked)
    (npu,) = (segment for segment in result.manifest.segments if segment.device == "npu")
    kinds = [node.op_type for node in onnx.load(result.folder / npu.file).graph.node]
    assert kinds.count("LayerNormalization") == 2 and kinds.count("Softmax") == 1 and kinds.count("Gelu") == 1
    rest = {node.op_type for s in result.manifest.segments if s.device == "cpu" for node in onnx.load(result.folder / s.file).graph.node}
    assert rest <= {"QuantizeLinear", "DequantizeLinear"}
    assert npu.blob is not None
    report = json.loads((result.folder / npu.blob / "report.json").read_text())
    assert report["cpu_operators"] == [] and report["npu_operators"] > 60
    assert not isinstance(result.verification, str) and result.verification.verified
    assert report["peak_bytes"] < 512 << 10, "the smaller one's budget"
