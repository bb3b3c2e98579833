"""A decoder whose weights were in 4 bits before it was exported: --precision int4 loses nothing, whatever their levels are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from grids import Kind, on_grids
from growing_cache import GrowingCache
from onnx import numpy_helper
from small_decoders import Decoder as Spec
from small_decoders import decoder
from small_models import parse

from autoglmc.compiler.driver.entries.compile_entries import Asked, compile_entries
from autoglmc.compiler.driver.entries.result import EntriesResult
from autoglmc.compiler.precision.plain_model import plain_model
from autoglmc.compiler.precision.request import request_of
from autoglmc.compiler.precision.weights.own_grids import own_grids
from autoglmc.compiler.state.request import StateRequest
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.precision.block_rounding import BlockRounding
from autoglmc.passes.precision.quantise import quantise
from autoglmc.targets.precision import FORMS

SPEC = Spec(layers=1, width=16, vocabulary=15)
"""Its table of embeddings and its head are so small that they stay in floats."""
STATE = StateRequest((("past.*", "present.*"),), 64)
STEPS = {"prefill": Asked(shapes={}, tokens=8), "decode": Asked(shapes={}, tokens=1)}
PROMPT, COUNT = [3, 14, 1, 5, 9, 2, 6, 5, 3, 5], 20
NEAR = 1e-5
"""Of the largest logit; weights that are rounded anew move them a hundred times as far."""
KINDS: tuple[Kind, ...] = ("symmetric", "zero points", "offsets")


def once_in_4_bits(kind: Kind, but: int = -1) -> onnx.ModelProto:
    """The decoder with such weights in all of its products but one."""
    model, draw = decoder(SPEC), np.random.default_rng(1)
    read = [node.input[1] for node in model.graph.node if node.op_type == "MatMul"]
    tensors = [tensor for tensor in model.graph.initializer if tensor.name in read]
    for k, tensor in enumerate(tensors):
        if k != but:
            rows, columns = tensor.dims
            values = on_grids(draw, rows, columns, 32, kind) / 4
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float32), tensor.name))
    return model


def compiled(folder: Path, model: onnx.ModelProto) -> EntriesResult:
    request = request_of("int4", None, save=folder / "saved.onnx")
    return compile_entries(model, "x86_cpu", STEPS, state=STATE, precision=request, output=folder / "bundle")


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_lost(kind: Kind, tmp_path: Path) -> None:
    model = once_in_4_bits(kind)
    result = compiled(tmp_path, model)
    record = result.manifest.precision
    assert result.verified and record is not None and record.weight_bytes[1] < record.weight_bytes[0] / 2
    session, growing = result.bundle.session(), GrowingCache(model)
    expected, apart = growing.greedy(PROMPT, COUNT)
    assert apart > 1e-4 and list(session.generate(PROMPT, max_tokens=COUNT)) == expected
    growing.reset()
    session.reset()
    own, other = growing.step(PROMPT), session.step("prefill", {"input_ids": np.array([PROMPT])})["logits"][0]
    assert np.abs(own - other).max() < NEAR * np.abs(own).max()
    assert any("weights of all 4 products were in 4 bits before" in note for note in result.notes), result.notes


@pytest.mark.parametrize("kind", KINDS)
def test_the_saved_model_computes_the_same(kind: Kind, tmp_path: Path) -> None:
    model = once_in_4_bits(kind)
    compiled(tmp_path, model)
    saved = onnx.load(tmp_path / "saved.onnx")
    onnx.checker.check_model(saved, full_check=True)
    own, other = (GrowingCache(each, fuse=False) for each in (model, saved))
    for tokens in (PROMPT, [1], [2]):
        expected, got = own.step(tokens), other.step(tokens)
        assert np.abs(expected - got).max() < NEAR * np.abs(expected).max()


def test_others_are_rounded_and_the_note_counts_them(tmp_path: Path) -> None:
    model = once_in_4_bits("offsets", but=0)
    result = compiled(tmp_path, model)
    own, other = GrowingCache(model).step(PROMPT), result.bundle.session().step("prefill", {"input_ids": np.array([PROMPT])})["logits"][0]
    assert np.abs(own - other).max() > 10 * NEAR * np.abs(own).max()
    assert result.verified and any("3 of 4 products" in note for note in result.notes), result.notes


PRODUCTS = {
    "MatMul": ("y = MatMul(x, w)", False),
    "Gemm": ("y = Gemm(x, w, b)", False),
    "turned Gemm": ("y = Gemm<transB=1>(x, w, b)", True),
    "turned operand": ("y = Gemm<transA=1>(x, w, b)", False),
    "scaled": ("y = Gemm<alpha=2.0>(x, w, b)", False),
    "half of the bias": ("y = Gemm<beta=0.5>(x, w, b)", False),
}
TAKEN = {"MatMul", "Gemm", "turned Gemm", "half of the bias"}


def computed(model: onnx.ModelProto, sample: dict[str, np.ndarray]) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")  # or onnxruntime rounds x to 8 bits
    return np.asarray(onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, sample)[0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PRODUCTS)
def test_every_product_is_the_same_function_or_not_taken(name: str, kind: Kind) -> None:
    text, turned = PRODUCTS[name]
    draw = np.random.default_rng(0)
    values = on_grids(draw, 64, 48, 32, kind)
    read = "64,8" if name == "turned operand" else "8,64"
    model = parse(f"g (float[{read}] x) => (float[8,48] y) {{ {text} }}", opset=21, ir=10)
    arrays = {"w": values.T.copy() if turned else values, "b": draw.standard_normal(48).astype(np.float32)}
    model.graph.initializer.extend(numpy_helper.from_array(array, key) for key, array in arrays.items() if key in text)
    model = onnx.shape_inference.infer_shapes(model)
    sample = {"x": draw.standard_normal([int(n) for n in read.split(",")]).astype(np.float32)}
    graph, form = Graph(model), FORMS["w4"]
    found = own_grids(graph, {"y": form})
    assert bool(found.products) == (name in TAKEN)
    if found.products:
        assert found.change < 1e-6
        quantise(graph, {"y": form}, {}, BlockRounding({}, found.made))
        assert any(node.kind == "DequantizeLinear" for node in graph.nodes)
        before, after = (computed(each, sample) for each in (model, plain_model(graph)))
        np.testing.assert_allclose(after, before, rtol=0, atol=2e-5 * np.abs(before).max())
