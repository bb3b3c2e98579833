"""Kernels of com.microsoft against onnxruntime, which alone defines these operators: its fp32 kernels, optimisations off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from kernel_cases import widen
from onnx import helper
from small_models import parse

from autoglmc.compiler.load.infer_types import infer_types
from autoglmc.compiler.reference.kernels.call import Call
from autoglmc.compiler.reference.kernels.table import KERNELS

RNG = np.random.default_rng(7)


def real(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def bytes_(*shape: int, dtype: Any = np.uint8) -> np.ndarray:
    limits = np.iinfo(dtype)
    return RNG.integers(limits.min, limits.max + 1, shape).astype(dtype)


def scale(*shape: int) -> np.ndarray:
    return RNG.uniform(0.01, 0.05, shape).astype(np.float32)


def model_of(operator: str, inputs: list[Any], attributes: Mapping[str, Any], outputs: int, opset: int = 17) -> onnx.ModelProto:
    names = ["" if value is None else f"i{i}" for i, value in enumerate(inputs)]
    node = helper.make_node(operator, names, [f"o{i}" for i in range(outputs)], domain="com.microsoft", **attributes)
    given = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for n, v in zip(names, inputs, strict=True) if n
    ]
    graph = helper.make_graph([node], "g", given, [onnx.ValueInfoProto(name=f"o{i}") for i in range(outputs)])
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def expected(operator: str, inputs: list[Any], attributes: Mapping[str, Any], outputs: int) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    model = model_of(operator, inputs, attributes, outputs)
    names = ["" if value is None else f"i{i}" for i, value in enumerate(inputs)]
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return list(session.run(None, {n: v for n, v in zip(names, inputs, strict=True) if n}))


def computed(operator: str, inputs: list[Any], attributes: Mapping[str, Any], outputs: int) -> tuple[Any, ...]:
    dtypes = tuple("" if value is None else value.dtype.name for value in inputs)
    call = Call(
        operator=operator, domain="com.microsoft", version=1, attributes=attributes, inputs=tuple(widen(v) for v in inputs),
        dtypes=dtypes, outputs=outputs,
    )  # fmt: skip
    with np.errstate(all="ignore"):
        return KERNELS["com.microsoft", operator](call)


def q(*shape: int, dtype: Any = np.uint8) -> list[np.ndarray]:
    """A quantised tensor with its scale and zero point."""
    return [bytes_(*shape, dtype=dtype), scale(), bytes_(dtype=dtype)]


def cached(batch: int, past: int, time: int, **extra: Any) -> tuple[list[Any], dict[str, Any]]:
    """A GroupQueryAttention of 4 heads over 2 with rotation."""
    total = past + time
    cache = [real(batch, 2, past, 16), real(batch, 2, past, 16)] if past else [None, None]
    lengths = np.full(batch, total - 1, np.int32)
    inputs = [real(batch, time, 64), real(batch, time, 32), real(batch, time, 32), *cache, lengths, np.array(total, np.int32)]
    return [*inputs, real(32, 8), real(32, 8)], {"num_heads": 4, "kv_num_heads": 2, "do_rotary": 1, **extra}


MASK = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], np.int32)
POOL = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
CASES: dict[str, tuple[str, list[Any], dict[str, Any], int]] = {
    "Gelu": ("Gelu", [real(3, 40)], {}, 1),
    "BiasGelu": ("BiasGelu", [real(3, 40), real(40)], {}, 1),
    "FastGelu": ("FastGelu", [real(3, 40)], {}, 1),
    "FastGelu with bias": ("FastGelu", [real(3, 40), real(40)], {}, 1),
    "QuickGelu": ("QuickGelu", [real(3, 40)], {}, 1),
    "QuickGelu alpha": ("QuickGelu", [real(3, 40)], {"alpha": 1.0}, 1),
    "FusedConv": ("FusedConv", [real(1, 4, 9, 9), real(6, 4, 3, 3), real(6)], {"activation": "Relu"}, 1),
    "FusedConv leaky": (
        "FusedConv",
        [real(1, 4, 9, 9), real(6, 2, 3, 3)],
        {"activation": "LeakyRelu", "activation_params": [0.1], "group": 2},
        1,
    ),
    "FusedConv sum": ("FusedConv", [real(1, 4, 9, 9), real(6, 4, 3, 3), real(6), real(1, 6, 7, 7)], {"activation": "Relu"}, 1),
    "FusedConv clip": (
        "FusedConv",
        [real(1, 4, 9, 9), real(6, 4, 3, 3), real(6)],
        {"activation": "Clip", "activation_params": [0.0, 6.0]},
        1,
    ),
    "FusedGemm": ("FusedGemm", [real(4, 5), real(6, 5), real(6)], {"activation": "Tanh", "transB": 1, "alpha": 0.5}, 1),
    "FusedMatMul": ("FusedMatMul", [real(2, 5, 4), real(2, 6, 5)], {"alpha": 0.3, "transA": 1, "transB": 1}, 1),
    "FusedMatMul batch": ("FusedMatMul", [real(4, 2, 5), real(5, 2, 6)], {"transBatchA": 1, "transBatchB": 1}, 1),
    "FusedMatMul batch both": (
        "FusedMatMul",
        [real(5, 3, 2, 4), real(6, 3, 2, 5)],
        {"transBatchA": 1, "transBatchB": 1, "transA": 1, "transB": 1},
        1,
    ),
    "SkipLayerNormalization": ("SkipLayerNormalization", [real(2, 3, 8), real(2, 3, 8), real(8), real(8), real(8)], {"epsilon": 1e-5}, 1),
    "SkipLayerNormalization sum": ("SkipLayerNormalization", [real(2, 3, 8), real(2, 3, 8), real(8), real(8)], {}, 4),
    "SkipSimplified": ("SkipSimplifiedLayerNormalization", [real(2, 3, 8), real(2, 3, 8), real(8)], {"epsilon": 1e-6}, 4),
    "EmbedLayerNormalization": (
        "EmbedLayerNormalization",
        [bytes_(2, 5).astype(np.int32) % 9, MASK % 2, real(9, 8), real(6, 8), real(2, 8), real(8), real(8), MASK],
        {"epsilon": 1e-5},
        2,
    ),
    "NhwcMaxPool": ("NhwcMaxPool", [bytes_(1, 9, 9, 4)], POOL, 1),
    "Inverse": ("Inverse", [real(2, 4, 4)], {}, 1),
    "Attention": ("Attention", [real(2, 5, 12), real(12, 24), real(24)], {"num_heads": 2}, 1),
    "Attention mask": ("Attention", [real(2, 5, 12), real(12, 24), real(24), MASK], {"num_heads": 2}, 1),
    "Attention lengths": ("Attention", [real(2, 5, 12), real(12, 24), real(24), np.array([3, 5], np.int32)], {"num_heads": 2}, 1),
    "Attention starts": ("Attention", [real(2, 5, 12), real(12, 24), real(24), np.array([4, 5, 1, 2], np.int32)], {"num_heads": 2}, 1),
    "Attention causal": ("Attention", [real(2, 5, 12), real(12, 24), real(24), MASK], {"num_heads": 2, "unidirectional": 1}, 1),
    "Attention past": (
        "Attention",
        [real(2, 5, 12), real(12, 24), real(24), None, real(2, 2, 2, 3, 4)],
        {"num_heads": 2, "unidirectional": 1},
        2,
    ),
    "Attention bias": (
        "Attention",
        [real(2, 5, 12), real(12, 24), real(24), MASK, None, real(1, 2, 5, 5)],
        {"num_heads": 2, "scale": 0.3},
        1,
    ),
    "Attention sizes": ("Attention", [real(2, 5, 12), real(12, 28), real(28)], {"num_heads": 2, "qkv_hidden_sizes": [8, 8, 12]}, 1),
    "MultiHeadAttention": ("MultiHeadAttention", [real(2, 5, 8), real(2, 7, 8), real(2, 7, 8)], {"num_heads": 2}, 1),
    "MultiHeadAttention bias": ("MultiHeadAttention", [real(2, 5, 8), real(2, 5, 8), real(2, 5, 8), real(24), MASK], {"num_heads": 2}, 1),
    "MultiHeadAttention causal": ("MultiHeadAttention", [real(2, 5, 8)] * 3, {"num_heads": 2, "unidirectional": 1}, 1),
    "MultiHeadAttention past": (
        "MultiHeadAttention",
        [real(2, 5, 8), real(2, 5, 8), real(2, 5, 8), None, None, real(1, 1, 5, 8), real(2, 2, 3, 4), real(2, 2, 3, 4)],
        {"num_heads": 2},
        3,
    ),
    "RotaryEmbedding": ("RotaryEmbedding", [real(2, 5, 16), np.array([3]), real(20, 4), real(20, 4)], {}, 1),
    "RotaryEmbedding table": (
        "RotaryEmbedding",
        [real(2, 5, 16), np.tile(np.arange(5), (2, 1)), real(20, 4), real(20, 4)],
        {"interleaved": 1},
        1,
    ),
    "RotaryEmbedding heads": ("RotaryEmbedding", [real(2, 2, 5, 8), np.array([0]), real(20, 4), real(20, 4)], {}, 1),
    "GroupQueryAttention": ("GroupQueryAttention", *cached(2, 0, 5), 3),
    "GroupQueryAttention past": ("GroupQueryAttention", *cached(2, 6, 1), 3),
    "GroupQueryAttention window": ("GroupQueryAttention", *cached(2, 0, 7, local_window_size=3), 3),
    "GroupQueryAttention softcap": ("GroupQueryAttention", *cached(2, 0, 7, softcap=2.0, rotary_interleaved=1), 3),
    "GroupQueryAttention smooth": ("GroupQueryAttention", *cached(1, 0, 7, smooth_softmax=1), 3),
    "QLinearAdd": ("QLinearAdd", [*q(2, 9), *q(2, 9), scale(), bytes_()], {}, 1),
    "QLinearAdd signed": ("QLinearAdd", [*q(2, 9, dtype=np.int8), *q(1, 9, dtype=np.int8), scale(), bytes_(dtype=np.int8)], {}, 1),
    "QLinearMul": ("QLinearMul", [*q(2, 9), *q(9), scale(), bytes_()], {}, 1),
    "QLinearSigmoid": ("QLinearSigmoid", [*q(2, 99), scale(), bytes_()], {}, 1),
    "QLinearLeakyRelu": ("QLinearLeakyRelu", [*q(2, 99), scale(), bytes_()], {"alpha": 0.1}, 1),
    "QLinearAveragePool": ("QLinearAveragePool", [*q(1, 3, 9, 9), scale(), bytes_()], POOL, 1),
    "QLinearAveragePool last": (
        "QLinearAveragePool",
        [*q(1, 9, 9, 3), scale(), bytes_()],
        {**POOL, "channels_last": 1, "count_include_pad": 1},
        1,
    ),
    "QLinearGlobalAveragePool": ("QLinearGlobalAveragePool", [*q(1, 3, 9, 9), scale(), bytes_()], {}, 1),
    "QLinearGlobalAveragePool last": ("QLinearGlobalAveragePool", [*q(1, 9, 9, 3), scale(), bytes_()], {"channels_last": 1}, 1),
    "QLinearConcat": ("QLinearConcat", [scale(), bytes_(), *q(2, 3), *q(2, 4)], {"axis": 1}, 1),
    "QLinearWhere": ("QLinearWhere", [bytes_(2, 9) > 99, *q(2, 9), *q(2, 9), scale(), bytes_()], {}, 1),
    "QLinearSoftmax": ("QLinearSoftmax", [*q(2, 3, 9), np.float32(1 / 256), np.uint8(0)], {"opset": 13, "axis": -1}, 1),
    "QGemm": ("QGemm", [*q(4, 5), *q(6, 5), bytes_(6).astype(np.int32), scale(), bytes_()], {"transB": 1}, 1),
    "QGemm float": ("QGemm", [*q(4, 5), *q(5, 6)], {"alpha": 0.5}, 1),
    "QGemm columns": ("QGemm", [*q(4, 5), bytes_(5, 6), scale(6), bytes_(6)], {}, 1),
    "MatMulIntegerToFloat": ("MatMulIntegerToFloat", [bytes_(4, 5), bytes_(5, 6), scale(), scale(6), bytes_(), bytes_(6), real(6)], {}, 1),
    "DynamicQuantizeMatMul": ("DynamicQuantizeMatMul", [real(4, 5), bytes_(5, 6), scale(6), bytes_(6), real(6)], {}, 1),
    "MatMulNBits": ("MatMulNBits", [real(3, 40), bytes_(6, 3, 8), scale(6, 3)], {"K": 40, "N": 6, "bits": 4, "block_size": 16}, 1),
    "MatMulNBits zeros": (
        "MatMulNBits",
        [real(3, 40), bytes_(6, 3, 8), scale(6, 3), bytes_(6, 2)],
        {"K": 40, "N": 6, "bits": 4, "block_size": 16},
        1,
    ),
    "MatMulNBits 8": (
        "MatMulNBits",
        [real(3, 40), bytes_(6, 3, 16), scale(6, 3), bytes_(6, 3)],
        {"K": 40, "N": 6, "bits": 8, "block_size": 16},
        1,
    ),
    "GatherBlockQuantized": (
        "GatherBlockQuantized",
        [bytes_(5, 20), np.array([[0, 4], [2, -1]]), scale(5, 3)],
        {"bits": 4, "block_size": 16},
        1,
    ),
    "GatherBlockQuantized zeros": (
        "GatherBlockQuantized",
        [bytes_(5, 20), np.array([3]), scale(5, 3), bytes_(5, 2)],
        {"bits": 4, "block_size": 16, "gather_axis": 0, "quantize_axis": 1},
        1,
    ),
    "GatherBlockQuantized 8": (
        "GatherBlockQuantized",
        [bytes_(5, 40), np.array([3, 0]), scale(5, 3), bytes_(5, 3)],
        {"bits": 8, "block_size": 16, "gather_axis": 0, "quantize_axis": 1},
        1,
    ),
    "GatherBlockQuantized 8 middle": ("GatherBlockQuantized", [bytes_(5, 40), np.array(3), scale(5, 3)], {"bits": 8, "block_size": 16}, 1),
    "QuantizeLinear": ("QuantizeLinear", [real(3, 40), scale(40), bytes_(40).astype(np.uint16)], {"axis": 1}, 1),
    "DequantizeLinear": ("DequantizeLinear", [bytes_(3, 40).astype(np.int16), scale(), np.int16(3)], {}, 1),
}


def arrays(inputs: list[Any]) -> list[Any]:
    return [None if value is None else np.asarray(value) for value in inputs]


@pytest.mark.parametrize("name", CASES)
def test_as_onnxruntime(name: str) -> None:
    operator, inputs, attributes, outputs = CASES[name]
    want = expected(operator, arrays(inputs), attributes, outputs)
    got = computed(operator, arrays(inputs), attributes, outputs)
    compared = 0
    for wanted, found in zip(want, got, strict=False):
        if found is None or (operator.startswith("Skip") and compared and wanted.shape != found.shape):
            continue
        compared += 1
        assert found.shape == wanted.shape
        if wanted.dtype.kind == "f":
            assert found.dtype == np.float64
            np.testing.assert_allclose(found, wanted, rtol=2e-4, atol=2e-5 * max(1.0, float(np.abs(wanted).max(initial=0))))
        else:
            assert found.dtype == wanted.dtype
            # onnxruntime's integer kernels go by tables and fixed points: a result beside a half may fall on either side.
            assert np.abs(found.astype(int) - wanted.astype(int)).max(initial=0) <= 1
            assert (found != wanted).mean() < 0.05
    assert compared


PACKED = frozenset({"MultiHeadAttention", "GroupQueryAttention", "Attention"})
"""Where keys and values come packed with the queries, or as a cache does, the result is left untyped."""


@pytest.mark.parametrize("name", CASES)
def test_dtype_and_shape_are_inferred(name: str) -> None:
    """Of the first result always, of the others where anything is said of them."""
    operator, inputs, attributes, outputs = CASES[name]
    inputs = arrays(inputs)
    wanted = expected(operator, inputs, attributes, outputs)
    model = model_of(operator, inputs, attributes, outputs, opset=18)
    nodes = list(model.graph.node)
    graph = infer_types(model).graph
    assert list(graph.node) == nodes and len(graph.input) == sum(value is not None for value in inputs)
    found = {value.name: value.type.tensor_type for value in (*graph.output, *graph.value_info)}
    assert found["o0"].elem_type or operator in PACKED or {"transBatchA", "transBatchB"} & set(attributes)
    for index, value in enumerate(wanted):
        kind = found.get(f"o{index}")
        if kind is not None and kind.elem_type:
            assert helper.tensor_dtype_to_np_dtype(kind.elem_type) == value.dtype
            assert [dim.dim_value for dim in kind.shape.dim] == list(value.shape)


def test_most_results_of_attention_are_inferred() -> None:
    """Only packed operands are left alone."""
    known = []
    for name, (operator, inputs, attributes, outputs) in CASES.items():
        if operator in PACKED:
            graph = infer_types(model_of(operator, arrays(inputs), attributes, outputs, opset=18)).graph
            known.append((name, bool(graph.output[0].type.tensor_type.elem_type)))
    assert sum(typed for _, typed in known) >= 0.7 * len(known), known


def test_inference_goes_on_behind_such_operators() -> None:
    """A standard operator between two of them, one in a chain of another's results."""
    text = """g (uint8[1,4,8,8] a, uint8[1,4,8,8] b) => (float[c,d] y) <float s = {0.02}, uint8 z = {128}, int64[1] axes = {1}> {
        c = com.microsoft.QLinearAdd(a, s, z, b, s, z, s, z)
        d = com.microsoft.QLinearConcat<axis=1>(s, z, c, s, z, a, s, z)
        e = com.microsoft.QLinearGlobalAveragePool(d, s, z, s, z)  f = Flatten(e)  y = com.microsoft.DequantizeLinear(f, s, z) }"""
    graph = infer_types(parse(text, opset=18, ir=8, **{"com.microsoft": 1})).graph
    (y,) = graph.output
    assert y.type.tensor_type.elem_type == onnx.TensorProto.FLOAT and [dim.dim_value for dim in y.type.tensor_type.shape.dim] == [1, 8]
    assert [node.op_type for node in graph.node][2] == "QLinearGlobalAveragePool"


def test_every_kernel_is_compared() -> None:
    have = {name for domain, name in KERNELS if domain == "com.microsoft"}
    assert have - {"TransposeMatMul", "QLinearConv", "QLinearReduceMean"} == {operator for operator, *_ in CASES.values()}


def test_what_a_kernel_does_not_know_is_said() -> None:
    inputs, attributes = cached(1, 0, 3)
    with pytest.raises(NotImplementedError, match="windowed cache"):
        computed("GroupQueryAttention", arrays(inputs), {**attributes, "sliding_window_cache": 1}, 3)
