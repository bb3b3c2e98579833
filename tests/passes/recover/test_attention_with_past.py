"""Operators that extend caches by themselves are what their parts compute, for one token and several, behind a past and behind none."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from decoder_forms import EXTENDING, SPEC
from onnx import TensorProto, helper

from autoglmc.compiler.load.load_model import load_model
from autoglmc.compiler.load.source import MemoryModel
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.graph.versions import NEWEST
from autoglmc.passes.recover.attention_with_past import WRITE_PAST
from autoglmc.passes.rule.apply import apply

EXTENDS = ("GroupQueryAttention", "MultiHeadAttention")


def sized(model: onnx.ModelProto, past: int, tokens: int) -> Graph:
    shapes = {value.name: [dim.dim_value or past for dim in value.type.tensor_type.shape.dim] for value in model.graph.input}
    graph = Graph(load_model(MemoryModel(model, "model"), {**shapes, "input_ids": (1, tokens)}).proto)
    for name in ("k", "v"):  # which onnx does not infer of com.microsoft's operators
        shape = [past + tokens if k == 2 else extent for k, extent in enumerate(shapes[f"past.{name}"])]
        graph.tensors.learn(helper.make_tensor_value_info(f"present.{name}", TensorProto.FLOAT, shape))
    return graph


def results(model: onnx.ModelProto, past: int, tokens: int) -> list[np.ndarray]:
    draw = np.random.default_rng(past)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    fed = {"input_ids": draw.integers(0, SPEC.vocabulary, (1, tokens))}
    for value in session.get_inputs()[1:]:
        fed[value.name] = draw.standard_normal([past if isinstance(n, str) else n for n in value.shape]).astype(np.float32)
    return [np.asarray(one) for one in session.run(["logits", "present.k", "present.v"], fed)]


@pytest.mark.parametrize(("past", "tokens"), [(7, 1), (7, 3), (0, 5)])
@pytest.mark.parametrize("operator", EXTENDING)
def test_the_parts_compute_the_same(operator: str, past: int, tokens: int) -> None:
    model = EXTENDING[operator]()
    graph = sized(model, past, tokens)
    assert [decision.taken for decision in apply(graph, [WRITE_PAST])] == [True]
    graph.sweep()
    written = graph.to_model()
    next(entry for entry in written.opset_import if not entry.domain).version = NEWEST
    assert not any(node.operator in EXTENDS or len(node.writes) > 1 for node in graph.nodes)
    for found, expected in zip(results(written, past, tokens), results(model, past, tokens), strict=True):
        assert np.allclose(found, expected, atol=1e-5)
