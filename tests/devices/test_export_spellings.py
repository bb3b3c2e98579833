"""Models as exporters write them, to .tflite and .aimodel: operators that stand for several, sequences, numbers of 64 bits; and how often a
file of LiteRT turns tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from run_tflite import apart, feeds_of, on_constants, run_onnx, run_tflite, transposes
from small_models import parse

from autoglmc.compiler.devices.core_ai.adapter import not_installed
from autoglmc.compiler.devices.find_adapter import absence
from autoglmc.compiler.errors import ModelError
from autoglmc.compiler.export.export import export_model
from autoglmc.compiler.export.prepare import prepare
from autoglmc.compiler.load.source import MemoryModel

LITERT, COREAI = absence("litert"), not_installed()
FORMATS = [
    pytest.param(suffix, marks=pytest.mark.skipif(lack is not None, reason=f"{lack and lack.reason}: {lack and lack.help}"))
    for suffix, lack in (("tflite", LITERT), ("aimodel", COREAI))
]
litert = pytest.mark.skipif(LITERT is not None, reason=f"{LITERT and LITERT.reason}: {LITERT and LITERT.help}")
SPELLINGS = {
    "Attention": "g (float[2,6,8] q, float[2,6,4] k, float[2,6,4] v) => (float[2,6,8] y)"
    " { y = Attention<q_num_heads=4, kv_num_heads=2, is_causal=1>(q, k, v) }",
    "RotaryEmbedding": "g (float[1,2,5,8] x, float[1,5,4] c, float[1,5,4] s) => (float[1,2,5,8] y) { y = RotaryEmbedding(x, c, s) }",
    "Einsum": 'g (float[1,6,5] x, float[3,5,4] w) => (float[1,6,3,4] y) { y = Einsum<equation="btc,ech->bteh">(x, w) }',
    "GridSample": "g (float[2,3,5,6] x, float[2,4,3,2] g) => (float[2,3,4,3] y)"
    ' { t = Tanh(g) y = GridSample<padding_mode="border">(x, t) }',
    "ScatterElements": "g (float[1,4,6] x) => (float[1,4,6] y) <int64[1] k = {2}, int64[3] s = {1, 4, 6}>"
    " { v, i = TopK(x, k) z = ConstantOfShape(s) y = ScatterElements<axis=-1>(z, i, v) }",
    "CastLike": "g (float[2,3] x) => (float[2,3] y) <int64 one = {1}> { o = CastLike(one, x) y = Add(x, o) }",
    "SplitToSequence": "g (float[2,6] x) => (float[2,3] y) <int64 n = {3}, int64 k = {0}, int64 l = {-1}>"
    " { s = SplitToSequence<axis=1>(x, n) a = SequenceAt(s, k) b = SequenceAt(s, l) y = Sub(a, b) }",
    "class and box of a score": "g (float[1,4,5] x, float[1,4,4] b) => (float[1,3,4] y, int64[1,3] c)"
    " <int64[1] k = {3}, int64 n = {5}, int64[2] f = {1, -1}, int64[1] last = {-1}, int64[3] wide = {1, 3, 4}>"
    " { r = Reshape(x, f) v, i = TopK(r, k) c = Mod(i, n) q = Div(i, n)"
    " u = Unsqueeze(q, last) e = Expand(u, wide) y = GatherElements<axis=1>(b, e) }",
    "end of a text": "g (int64[2,5] i) => (int64[2] y) { y = ArgMax<axis=-1, keepdims=0>(i) }",
}  # fmt: skip


def source(text: str) -> MemoryModel:
    return MemoryModel(parse(text, opset=23), "model")


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("name", SPELLINGS)
def test_what_exporters_write_is_written_and_right(name: str, suffix: str, tmp_path: Path) -> None:
    made = export_model(source(SPELLINGS[name]), tmp_path / f"m.{suffix}")
    assert made.parity is not None and all(one.relative < 1e-5 for one in made.parity.outputs)


@litert
def test_numbers_that_may_be_any_of_64_bits_are_not_divided(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"Div \(node y\): .* not known to be numbers of int32"):
        export_model(source("g (int64[4] x) => (int64[4] y) <int64 n = {3}> { y = Div(x, n) }"), tmp_path / "m.tflite")


@litert
def test_numbers_of_32_bits_are_not_divided_where_a_quotient_has_more(tmp_path: Path) -> None:
    text = "g (int32[2] x) => (int64[2] y) <int64 n = {%d}> { a = Cast<to=7>(x) y = Div(a, n) }"
    with pytest.raises(ModelError, match=r"Div \(node y\): .* not known to be numbers of int32"):
        export_model(source(text % -1), tmp_path / "m.tflite")
    assert export_model(source(text % -2), tmp_path / "m.tflite").parity is not None


@litert
def test_a_tensor_whose_shape_follows_from_what_is_refused_is_refused_by_name(tmp_path: Path) -> None:
    body = "s = SplitToSequence<axis=1>(x, i) a = SequenceAt(s, k) t = Transpose<perm=[0,2,3,1]>(a) y = Softmax(t)"
    with pytest.raises(ModelError, match="SplitToSequence"):
        export_model(
            source(f"g (float[1,4,3,3] x, int64[2] i) => (float[P,Q,R,S] y) <int64 k = {{0}}> {{ {body} }}"), tmp_path / "m.tflite"
        )


def attention_of_features() -> onnx.ModelProto:
    """Heads among the channels of a convolution's result, and back: as in MobileNetV4."""
    body = """c = Conv(x, w) q = Reshape(c, heads) t = Transpose<perm=[0,1,3,2]>(q) m = MatMul(t, q) p = Softmax(m) o = MatMul(p, t)
    u = Transpose<perm=[0,1,3,2]>(o) r = Reshape(u, image) y = Conv(r, w)"""
    text = "g (float[1,8,4,6] x, float[8,8,1,1] w) => (float[1,8,4,6] y) <int64[4] heads = {1,2,4,24}, int64[4] image = {1,8,4,6}>"
    return parse(f"{text} {{ {body} }}")


def stack_of_channel_means() -> onnx.ModelProto:
    """Means over channels, which become channels: as in a cost volume."""
    means = " ".join(f"p{k} = Mul(c, s{k}) m{k} = ReduceMean<keepdims=0>(p{k}, one) u{k} = Unsqueeze(m{k}, one)" for k in range(3))
    scales = ", ".join(f"float s{k} = {{{k}.5}}" for k in range(3))
    text = f"g (float[1,8,4,6] x, float[8,8,1,1] w, float[2,3,1,1] v) => (float[1,2,4,6] y) <int64[1] one = {{1}}, {scales}>"
    return parse(f"{text} {{ c = Conv(x, w) {means} z = Concat<axis=1>(u0, u1, u2) y = Conv(z, v) }}")


def resized_by_cubics() -> onnx.ModelProto:
    body = 'c = Conv(x, w) r = Resize<mode="cubic">(c, , scales) y = Relu(r)'
    return parse(f"g (float[1,8,4,6] x, float[8,8,1,1] w) => (float[1,8,8,12] y) <float[4] scales = {{1, 1, 2, 2}}> {{ {body} }}")


def shuffled_pixels() -> onnx.ModelProto:
    body = 'c = Conv(x, w) y = DepthToSpace<blocksize=2, mode="CRD">(c)'
    return parse(f"g (float[1,8,4,6] x, float[12,8,1,1] w) => (float[1,3,8,12] y) {{ {body} }}")


def upsampled_channels() -> onnx.ModelProto:
    body = "y = ConvTranspose<group=8, strides=[2,2], pads=[1,1,1,1], kernel_shape=[4,4]>(x, w)"
    return parse(f"g (float[1,8,4,6] x, float[8,1,4,4] w) => (float[1,8,8,12] y) {{ {body} }}")


BORDERS = 2
"""An image comes in, a map of features goes out."""
OF_ATTENTION = 3
"""Its queries, its keys, and its result."""
TURNED = {
    attention_of_features: BORDERS + OF_ATTENTION,
    stack_of_channel_means: BORDERS,
    resized_by_cubics: BORDERS,
    shuffled_pixels: BORDERS,
    upsampled_channels: BORDERS,
}


@litert
@pytest.mark.parametrize("build", TURNED, ids=lambda build: build.__name__)
def test_nothing_is_turned_that_need_not_be(build: object) -> None:
    from autoglmc.compiler.devices.tflite.emit import write_tflite

    model = build()  # type: ignore[operator]
    rng = np.random.default_rng(0)
    for value in [value for value in model.graph.input if value.name != "x"]:
        shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        model.graph.initializer.append(onnx.numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32), value.name))
        model.graph.input.remove(value)
    data = write_tflite(prepare(MemoryModel(model, "model"), whole=()).model)
    feeds = feeds_of(model)
    assert apart(run_onnx(model, feeds, ["y"])[0], run_tflite(data, feeds, ["y"])[0]) < 1e-5
    assert transposes(data) <= TURNED[build] and not on_constants(data)  # type: ignore[index]
