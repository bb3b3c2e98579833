"""Operators in every form: a valid model, near the float one, whatever their attributes and constants."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from small_models import parse

from autoglmc.compiler.precision.plain_model import plain_model
from autoglmc.compiler.precision.ranges import ranges_of
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.precision.eligible import kept_forms
from autoglmc.passes.precision.quantise import quantise
from autoglmc.targets.precision import FORMS, FormName

X, IMAGE = (1, 4, 40), (1, 4, 8, 8)
NETS: dict[str, tuple[str, tuple[int, ...], dict[str, tuple[int, ...]]]] = {
    "MatMul": ("y = MatMul(x, w)", X, {"w": (40, 12)}),
    "MatMul of rank 3": ("y = MatMul(x, w)", X, {"w": (1, 40, 12)}),
    "MatMul with a vector": ("y = MatMul(x, w)", X, {"w": (40,)}),
    "MatMul of a constant on the left": ("y = MatMul(w, x)", X, {"w": (6, 4)}),
    "MatMul of two activations": ("t = Transpose<perm=[0,2,1]>(x)  y = MatMul(x, t)", X, {}),
    "Gemm": ("r = Reshape(x, rows)  y = Gemm(r, w, b)", X, {"w": (40, 12), "b": (12,)}),
    "Gemm, transposed": ("r = Reshape(x, rows)  y = Gemm<transB=1>(r, w, b)", X, {"w": (12, 40), "b": (12,)}),
    "Gemm, scaled": ("r = Reshape(x, rows)  y = Gemm<alpha=0.5, beta=2.0>(r, w, b)", X, {"w": (40, 12), "b": (12,)}),
    "Gemm with a bias of rows": ("r = Reshape(x, rows)  y = Gemm(r, w, b)", X, {"w": (40, 12), "b": (4, 12)}),
    "Conv": ("y = Conv(x, w, b)", IMAGE, {"w": (6, 4, 3, 3), "b": (6,)}),
    "Conv, depthwise": ("y = Conv<group=4>(x, w)", IMAGE, {"w": (4, 1, 3, 3)}),
    "ConvTranspose": ("y = ConvTranspose(x, w, b)", IMAGE, {"w": (4, 6, 3, 3), "b": (6,)}),
    "ConvTranspose, grouped": ("y = ConvTranspose<group=2>(x, w, b)", IMAGE, {"w": (4, 3, 3, 3), "b": (6,)}),
    "LayerNormalization": ("y = LayerNormalization<axis=-1>(x, w, b)", X, {"w": (40,), "b": (40,)}),
    "Softmax": ("y = Softmax(x)", X, {}),
    "Sigmoid and Tanh": ("s = Sigmoid(x)  t = Tanh(x)  y = Mul(s, t)", X, {}),
    "the same operand twice": ("y = Mul(x, x)", X, {}),
    "Clip with open ends": (
        "c = Conv(x, w)  d = Clip(c, low)  e = Clip(d, , high)  y = Conv(e, v)", IMAGE, {"w": (4, 4, 1, 1), "v": (4, 4, 1, 1)},
    ),
    "Split": ("a, b = Split<axis=1, num_outputs=2>(x)  y = Add(a, b)", X, {}),
    "Resize": ("y = Resize<mode=\"linear\">(x, , scales)", IMAGE, {}),
    "Pad": ("y = Pad(x, pads)", IMAGE, {}),
    "MaxPool with indices": ("m, i = MaxPool<kernel_shape=[2,2]>(x)  j = Cast<to=1>(i)  k = Mul(j, zero)  y = Add(m, k)", IMAGE, {}),
    "an output that is read inside": ("y = Relu(x)  z = Neg(y)", X, {}),
    "weights of zeros": ("y = MatMul(x, zeros)", X, {}),
}  # fmt: skip
FIXED = {
    "rows": np.array([4, 40], np.int64), "low": np.float32(-0.5), "high": np.float32(0.7), "scales": np.array([1, 1, 2, 2], np.float32),
    "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64), "zero": np.float32(0), "zeros": np.zeros((40, 12), np.float32),
}  # fmt: skip
OFF: dict[FormName, float] = {"a8w8": 0.05, "a16w8": 0.02, "w8": 0.02, "w4": 0.25, "fp16": 0.005}
"""Of the largest number of the output."""


def net(name: str) -> tuple[onnx.ModelProto, np.ndarray]:
    text, shape, weights = NETS[name]
    outputs = "float[] y, float[] z" if " z =" in f" {text}" else "float[] y"
    model = parse(f"g (float{list(shape)} x) => ({outputs}) {{ {text} }}")
    generator = np.random.default_rng(0)
    arrays = {key: generator.standard_normal(size).astype(np.float32) for key, size in weights.items()}
    arrays |= {key: value for key, value in FIXED.items() if any(key in node.input for node in model.graph.node)}
    model.graph.initializer.extend(onnx.numpy_helper.from_array(np.asarray(array), key) for key, array in arrays.items())
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    return onnx.shape_inference.infer_shapes(model, strict_mode=True), generator.standard_normal(shape).astype(np.float32)


def run(model: onnx.ModelProto, x: np.ndarray) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    return list(onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, {"x": x}))


@pytest.mark.parametrize("form", OFF)
@pytest.mark.parametrize("name", NETS)
def test_an_operator_in_a_form(name: str, form: FormName) -> None:
    model, x = net(name)
    exact, names = run(model, x), [value.name for value in model.graph.output]
    graph = Graph(model)
    ranges = ranges_of(graph, lambda: [{"x": x}])
    wanted = {node.writes[0]: FORMS[form] for node in graph.nodes}
    if FORMS[form].quantised or (form in ("w8", "w4", "fp16") and name in ("MatMul", "Gemm, transposed")):
        assert kept_forms(graph, wanted, ranges)
    written = plain_model(quantise(graph, wanted, ranges))
    onnx.checker.check_model(written, full_check=True)
    assert [value.name for value in written.graph.output] == names
    for got, want in zip(run(written, x), exact, strict=True):
        assert got.shape == want.shape and got.dtype == want.dtype
        assert np.abs(got - want).max() <= OFF[form] * max(float(np.abs(want).max()), 1e-6)


@pytest.mark.parametrize("form", ["w8", "a8w8", "fp16"])
def test_rows_of_a_table(form: FormName) -> None:
    """Each row has a scale of its own in w8: a row of small numbers keeps them."""
    model = parse("g (int64[1,5] ids) => (float[1,5,16] y) { y = Gather(table, ids) }")
    table = (np.random.default_rng(0).standard_normal((9, 16)) * np.logspace(-4, 2, 9)[:, None]).astype(np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(table, "table"))
    graph = Graph(onnx.shape_inference.infer_shapes(model))
    written = plain_model(quantise(graph, {"y": FORMS[form]}, {}))
    onnx.checker.check_model(written, full_check=True)
    got = onnxruntime.InferenceSession(written.SerializeToString()).run(None, {"ids": np.array([[0, 2, 4, 6, 8]])})[0][0]
    if form == "w8":
        assert (np.abs(got - table[::2]).max(1) <= np.abs(table[::2]).max(1) / 254 * 1.01).all()


def test_blocks_at_the_end_of_a_weight_are_shorter() -> None:
    model, _ = net("MatMul")  # 40 rows: a block of 32 and one of 8
    graph = Graph(model)
    assert set(kept_forms(graph, {"y": FORMS["w4"]}, {})) == {"y"}
    written = plain_model(quantise(graph, {"y": FORMS["w4"]}, {}))
    scales = {tensor.name: list(tensor.dims) for tensor in written.graph.initializer}
    assert [2, 12] in scales.values() and written.opset_import[0].version == 21


@pytest.mark.parametrize("low", [-np.inf, float(np.finfo(np.float32).min), -1e9, -1e4])
def test_a_mask_leaves_scores_their_steps(low: float) -> None:
    """Scores, a mask that is added to them, Softmax: masked places stay 0, the others keep their probabilities."""
    model = parse("g (float[1,4,6] x, float[1,1,6] mask) => (float[1,4,6] y) { s = Add(x, mask)  y = Softmax(s) }")
    x = np.random.default_rng(0).standard_normal((1, 4, 6)).astype(np.float32)
    mask = np.array([[[0, 0, 0, 0, low, low]]], np.float32)
    graph = Graph(onnx.shape_inference.infer_shapes(model))
    ranges = ranges_of(graph, lambda: [{"x": x, "mask": mask}])
    written = plain_model(quantise(graph, {name: FORMS["a16w8"] for name in ("s", "y")}, ranges))
    (got,) = onnxruntime.InferenceSession(written.SerializeToString()).run(None, {"x": x, "mask": mask})
    e = np.exp(x[..., :4])
    assert (got[..., 4:] == 0).all()
    assert np.abs(got[..., :4] - e / e.sum(-1, keepdims=True)).max() < 0.01
