"""A row that a mask closes as a whole, in front of onnxruntime's Attention: what the standard says of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from run_model import emitted, infer, run
from small_models import parse, save

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.rule.apply import apply
from autoglmc.passes.tune.closed_rows import KEEP_ROWS

KINDS = {"float": np.float32, "float16": np.float16}
NUMBERS = {"inf": -np.inf, "zero": 0.0, "one": 1.0, "mild": -1e4}
TEXT = """g (KIND[1,2,3,4] q, KIND[1,2,5,4] k, KIND[1,2,5,4] v, MASK) => (KIND[1,2,3,4] y)
    <int64[4] s = {1,1,3,5}>
    { STEPS y = Attention<scale=0.5>(q, k, v, m) }"""
CONDITION = "bool[3,5] open"
"""The first row open, the second closed, the third open in part."""
OPEN = np.array([[1, 1, 1, 1, 1], [0, 0, 0, 0, 0], [0, 1, 0, 1, 1]], bool)
TOUCHED = [
    ("m = Where(open, zero, low)", CONDITION, "mean"),
    ("w = Where(open, zero, low) m = Expand(w, s)", CONDITION, "mean"),
    ("c = Cast<to=TO>(open) n = Sub(one, c) m = Mul(n, low)", CONDITION, "mean"),
    ("m = Where(open, zero, inf)", CONDITION, "nan"),
    ("", "KIND[3,5] m", "mean"),
    ("", "KIND[3,5] m", "nan"),
]
LEFT = [("m = Where(open, zero, mild)", CONDITION), ("c = Cast<to=TO>(open) n = Sub(one, c) m = Mul(n, mild)", CONDITION)]


def model_of(steps: str, mask: str, kind: str) -> onnx.ModelProto:
    dtype = KINDS[kind]
    text = TEXT.replace("STEPS", steps).replace("MASK", mask).replace("KIND", kind)
    model = parse(text.replace("=TO", "=10" if kind == "float16" else "=1"), opset=23, ir=10)
    for name, number in {"low": np.finfo(dtype).min, **NUMBERS}.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(number, dtype), name))
    return infer(model)


def fed(model: onnx.ModelProto, closed: str) -> dict[str, np.ndarray]:
    random, result = np.random.default_rng(0), {}
    for value in model.graph.input:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        result[value.name] = random.standard_normal(shape).astype(dtype)
        if value.name == "open":
            result["open"] = OPEN
        elif value.name == "m":
            result["m"] = np.where(OPEN, 0, -np.inf if closed == "nan" else np.finfo(dtype).min).astype(dtype)
    return result


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("steps", "mask", "closed"), TOUCHED)
def test_a_closed_row_is_what_the_standard_says(steps: str, mask: str, closed: str, kind: str) -> None:
    model = model_of(steps, mask, kind)
    graph = Graph(onnx.ModelProto.FromString(model.SerializeToString()))
    assert [decision.taken for decision in apply(graph, [KEEP_ROWS])] == [True]
    inputs = fed(model, closed)
    (before,), (after,) = run(model, inputs), run(emitted(graph), inputs)
    assert not before[:, :, 1].any(), "onnxruntime gives 0 here: where it no longer does, the rule can go"
    np.testing.assert_array_equal(after[:, :, [0, 2]], before[:, :, [0, 2]])
    wanted = inputs["v"].astype(np.float64).mean(axis=2) if closed == "mean" else np.full((1, 2, 4), np.nan)
    np.testing.assert_allclose(after[:, :, 1], wanted, rtol=2e-3 if kind == "float16" else 1e-5, atol=1e-3 if kind == "float16" else 1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("steps", "mask"), LEFT)
def test_a_fill_that_onnxruntime_adds_is_left_alone(steps: str, mask: str, kind: str) -> None:
    assert not apply(Graph(model_of(steps, mask, kind)), [KEEP_ROWS])


@pytest.mark.parametrize("fill", ["-3.4028234663852886e38", "-inf"])
def test_layers_share_one_mask_and_keep_the_fused_operator(fill: str, tmp_path: Path) -> None:
    """Padded at the start under a causal mask: rows of padding tokens are closed as a whole."""
    layer = """t{n} = Transpose<perm=[0,1,3,2]>(x{n}) a{n} = MatMul(x{n}, t{n}) e{n} = Add(a{n}, m) p{n} = Softmax<axis=-1>(e{n})
        z{n} = MatMul(p{n}, x{n}) """
    causal = ",".join(str(int(k <= row)) for row in range(5) for k in range(5))
    layers = "x0 = Identity(x) " + layer.replace("{n}", "0") + "x1 = Tanh(z0) " + layer.replace("{n}", "1")
    text = f"""g (float[1,2,5,8] x, bool[1,1,1,5] keep) => (float[1,2,5,8] y) <bool[1,1,5,5] causal = {{{causal}}}, float zero = {{0}},
        float low = {{{fill}}}> {{ open = And(keep, causal) m = Where(open, zero, low) {layers} y = Identity(z1) }}"""
    result = compile_model(save(parse(text), tmp_path), "x86_cpu", output=tmp_path / "bundle")
    assert result.verified
    made = onnx.load_model(result.folder / result.manifest.segments[0].file, load_external_data=False)
    kinds = [node.op_type for node in made.graph.node]
    assert kinds.count("Attention") == 2 and kinds.count("Equal") == 1
    keep = np.array([[[[False, False, True, True, True]]]])
    x = np.random.default_rng(1).standard_normal((1, 2, 5, 8)).astype(np.float32)
    y = Bundle.load(result.folder).run({"x": x, "keep": keep})["y"]
    scores = np.where(keep & np.tril(np.ones((5, 5), bool)), 0.0, float(fill))
    for _ in range(2):
        with np.errstate(invalid="ignore"):  # in float64 a fill leaves nothing of a score either
            total = x.astype(np.float64) @ x.astype(np.float64).transpose(0, 1, 3, 2) + scores
            weights = np.exp(total - total.max(axis=-1, keepdims=True))
            z = weights / weights.sum(axis=-1, keepdims=True) @ x
        x = np.tanh(z)
    assert np.isnan(y[:, :, :2]).all() if fill == "-inf" else np.isfinite(y).all()
    np.testing.assert_allclose(y, z, rtol=1e-4, atol=1e-5)
