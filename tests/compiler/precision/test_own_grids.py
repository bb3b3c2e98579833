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

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.driver.entries.compile_entries import Asked, compile_entries
from autoglmc.compiler.driver.entries.result import EntriesResult
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.precision.plain_model import plain_model
from autoglmc.compiler.precision.request import request_of
from autoglmc.compiler.precision.weights.own_grids import OwnGrids, own_grids
from autoglmc.compiler.state.request import StateRequest
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.precision.block_rounding import BlockRounding
from autoglmc.passes.precision.quantise import quantise
from autoglmc.passes.precision.weight_forms import grids_on
from autoglmc.targets.precision import FormName

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
    "half of the bias": ("y = Gemm<beta=0.5, alpha=-0.5, transB=1>(x, w, b)", True),
}


def computed(model: onnx.ModelProto, sample: dict[str, np.ndarray]) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")  # or onnxruntime rounds x to 8 bits
    return np.asarray(onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, sample)[0])


def product(name: str, values: np.ndarray) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """With these weights, [K, N], and what it is run on."""
    text, turned = PRODUCTS[name]
    (rows, columns), draw = values.shape, np.random.default_rng(0)
    read = f"{rows},8" if name == "turned operand" else f"8,{rows}"
    model = parse(f"g (float[{read}] x) => (float[8,{columns}] y) {{ {text} }}", opset=21, ir=10)
    arrays = {"w": values.T.copy() if turned else values, "b": draw.standard_normal(columns).astype(np.float32)}
    model.graph.initializer.extend(numpy_helper.from_array(array, key) for key, array in arrays.items() if key in text)
    return onnx.shape_inference.infer_shapes(model), {"x": draw.standard_normal([int(n) for n in read.split(",")]).astype(np.float32)}


def found_in(graph: Graph, width: FormName) -> OwnGrids:
    target = load_target("x86_cpu")
    return own_grids(graph, lambda node: grids_on(graph, target, node), (width,))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("block", [16, 128])
@pytest.mark.parametrize("name", PRODUCTS)
def test_every_product_is_the_same_function(name: str, kind: Kind, block: int) -> None:
    """Of rows that no block divides, too."""
    values = on_grids(np.random.default_rng(0), 2 * block, 48, block, kind)[: 2 * block - 5]
    model, sample = product(name, values)
    graph = Graph(model)
    found = found_in(graph, "w4")
    assert {form.block for form in found.forms.values()} == {block} and found.change < 1e-6
    quantise(graph, found.forms, {}, BlockRounding({}, found.made))
    assert any(node.kind == "DequantizeLinear" for node in graph.nodes)
    before, after = (computed(each, sample) for each in (model, plain_model(graph)))
    np.testing.assert_allclose(after, before, rtol=0, atol=2e-5 * np.abs(before).max())


@pytest.mark.parametrize("name", PRODUCTS)
def test_every_product_is_multiplied_as_it_is_stored(name: str, tmp_path: Path) -> None:
    model, sample = product(name, on_grids(np.random.default_rng(0), 64, 48, 32, "offsets"))
    made = compile_model(model, "x86_cpu", output=tmp_path / "b", precision=request_of("int4", None))
    (segment,) = (tmp_path / "b" / "segments").glob("*.onnx")
    assert made.verified and [node.op_type for node in onnx.load(segment).graph.node].count("MatMulNBits") == 1
    before, after = computed(model, sample), made.bundle.run(sample)["y"]
    np.testing.assert_allclose(after, before, rtol=0, atol=2e-5 * np.abs(before).max())


ANEW: dict[str, tuple[int, int, str, str]] = {
    "64 levels": (32, 64, "in 5 to 8 bits before, too many levels for 4", "in 8 bits or fewer before: they keep"),
    "blocks of 8": (8, 16, "in 4 bits before, in blocks shorter than the device reads", "in blocks shorter than the device reads"),
    "no levels": (0, 0, "", ""),
}
"""Elements of a block, levels, and what --precision int4 and int8 say."""


@pytest.mark.parametrize("precision", ["int4", "int8"])
@pytest.mark.parametrize("name", ANEW)
def test_it_says_what_is_rounded_anew_and_why(name: str, precision: str, tmp_path: Path) -> None:
    block, levels, *said = ANEW[name]
    draw = np.random.default_rng(0)
    first = on_grids(draw, 64, 64, block, "zero points", levels) if block else draw.standard_normal((64, 64)).astype(np.float32)
    model = parse("g (float[8,64] x) => (float[8,48] y) { a = MatMul(x, w) b = Tanh(a) y = MatMul(b, head) }", opset=21, ir=10)
    head = draw.standard_normal((64, 48)).astype(np.float32)
    model.graph.initializer.extend(numpy_helper.from_array(array, key) for key, array in (("w", first), ("head", head)))
    request = request_of(precision, None)
    made = compile_model(onnx.shape_inference.infer_shapes(model), "x86_cpu", output=tmp_path / "b", precision=request)
    notes, wanted = " ".join(made.notes), said[precision == "int8"]
    assert made.verified and wanted in notes and (" before" in notes) == bool(wanted), notes


BYTES = {"blocks of 32": 32, "blocks of 16": 16, "channels": 0}


def in_bytes(draw: np.random.Generator, rows: int, columns: int, block: int, zeros: bool) -> np.ndarray:
    """As GGUF's Q8_0 has them: the largest of a block is 127 steps of fp16 from 0; with zero points from 0 to 255."""
    block = block or rows
    stored = draw.integers(0 if zeros else -127, 256 if zeros else 128, (rows // block, block, columns))
    stored[:, 0], stored[:, 1] = (0, 255) if zeros else (127, stored[:, 1])
    scale = (np.abs(draw.standard_normal((rows // block, 1, columns))) + 0.2).astype(np.float16).astype(np.float32)
    return ((stored - (draw.integers(60, 200, scale.shape) if zeros else 0)) * scale).astype(np.float32).reshape(rows, columns)


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("name", BYTES)
def test_weights_of_8_bits_are_kept_bit_for_bit(name: str, zeros: bool) -> None:
    values = in_bytes(np.random.default_rng(3), 96, 24, BYTES[name], zeros)
    graph = Graph(product("MatMul", values)[0])
    found = found_in(graph, "w8")
    assert {form.block for form in found.forms.values()} == {BYTES[name]} and found.change == 0.0
    quantise(graph, found.forms, {}, BlockRounding({}, found.made))
    model = plain_model(graph)
    onnx.checker.check_model(model, full_check=True)
    read = {"x": np.eye(8, 96, dtype=np.float32)}
    np.testing.assert_array_equal(computed(model, read), values[:8])


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("name", BYTES)
def test_rows_of_a_table_are_kept_bit_for_bit(name: str, zeros: bool, tmp_path: Path) -> None:
    values = in_bytes(np.random.default_rng(3), 96, 24, BYTES[name], zeros).T.copy()
    model = parse("g (int64[2,3] i) => (float[2,3,96] y) { y = Gather<axis=0>(w, i) }", opset=21, ir=10)
    model.graph.initializer.append(numpy_helper.from_array(values, "w"))
    made = compile_model(onnx.shape_inference.infer_shapes(model), "x86_cpu", output=tmp_path / "b", precision=request_of("int8", None))
    places = np.array([[0, 5, 23], [7, 7, 1]])
    assert made.verified and made.manifest.precision is not None and made.manifest.precision.weight_bytes[1] < values.nbytes * 0.4
    np.testing.assert_array_equal(made.bundle.run({"i": places})["y"], values[places])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", ["int4", "int8"])
def test_what_embedding_and_head_share_is_kept_for_both(precision: str, kind: Kind, tmp_path: Path) -> None:
    """And what two products share is stored once."""
    draw = np.random.default_rng(2)
    table, layer = on_grids(draw, 64, 96, 32, kind).T.copy(), on_grids(draw, 64, 64, 32, kind) / 8
    body = "r = Gather<axis=0>(t, i) a = MatMul(r, w) b = Tanh(a) c = MatMul(b, w) y = Gemm<transB=1>(c, t)"
    model = parse(f"g (int64[8] i) => (float[8,96] y) {{ {body} }}", opset=21, ir=10)
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(one, np.float32), key) for key, one in (("t", table), ("w", layer)))
    model, sample = onnx.shape_inference.infer_shapes(model), {"i": np.array([0, 5, 95, 7, 7, 1, 2, 3])}
    made = compile_model(model, "x86_cpu", output=tmp_path / "b", precision=request_of(precision, None))
    before, after = computed(model, sample), made.bundle.run(sample)["y"]
    assert np.abs(after - before).max() < 1e-5 * np.abs(before).max()
    (stored, kept), once = made.manifest.precision.weight_bytes if made.manifest.precision else (0, 0), table.size + layer.size
    scales = once / 32 * 4 * {"symmetric": 1, "zero points": 1.25, "offsets": 2}[kind]
    assert stored == 4 * once and kept < {"int4": 1.5, "int8": 1.0}[precision] * once + 1.6 * scales + 400
