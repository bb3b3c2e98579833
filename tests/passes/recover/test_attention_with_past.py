"""Operators that extend caches by themselves are what their parts compute, for one token and several, behind a past and behind none."""

from __future__ import annotations

from typing import Any

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


def operator_of(model: onnx.ModelProto) -> onnx.NodeProto:
    return next(node for node in model.graph.node if len(node.output) == 3)


def given(model: onnx.ModelProto, operand: int, value: np.ndarray | None, shape: tuple[int, ...] = (), kind: int = 0) -> onnx.ModelProto:
    """The operand is a constant, or an input."""
    node = operator_of(model)
    node.input.extend([""] * (operand + 1 - len(node.input)))
    node.input[operand] = "given"
    if value is None:
        model.graph.input.append(helper.make_tensor_value_info("given", kind, shape))
    else:
        model.graph.initializer.append(onnx.numpy_helper.from_array(value, "given"))
    return model


def decided(model: onnx.ModelProto, past: int = 7, tokens: int = 3) -> tuple[bool, str]:
    (decision,) = apply(sized(model, past, tokens), [WRITE_PAST])
    return decision.taken, decision.reason


def integers(*values: int, dtype: Any = np.int32) -> np.ndarray:
    return np.array(values, dtype)


def drawn(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


GROUPED, MANY, STANDARD = "GroupQueryAttention", "MultiHeadAttention", "Attention"


@pytest.mark.parametrize("lengths", [integers(9), integers(9).reshape(1, 1)])
def test_lengths_that_are_those_of_a_full_cache_are_taken(lengths: np.ndarray) -> None:
    assert decided(given(EXTENDING[GROUPED](), 5, lengths))[0]


@pytest.mark.parametrize("lengths", [None, integers(5), integers(10), integers(9, 9), integers(9, 5)])
def test_lengths_that_are_others_or_not_known_are_refused(lengths: np.ndarray | None) -> None:
    taken, reason = decided(given(EXTENDING[GROUPED](), 5, lengths, (1,), TensorProto.INT32))
    assert not taken and "how many are filled is not known: 'given'" in reason


def without(operator: str, operand: int) -> onnx.ModelProto:
    model = EXTENDING[operator]()
    operator_of(model).input[operand] = ""
    return model


def tabled(rows: int) -> onnx.ModelProto:
    return given(EXTENDING[GROUPED](), 8, np.ones((rows, SPEC.width // 2), np.float32))


def newer(model: onnx.ModelProto) -> onnx.ModelProto:
    """In an opset whose Attention has the operand."""
    next(entry for entry in model.opset_import if not entry.domain).version = 24
    return model


def with_attribute(operator: str, **values: float) -> onnx.ModelProto:
    model = EXTENDING[operator]()
    operator_of(model).attribute.extend(helper.make_attribute(name, value) for name, value in values.items())
    return model


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (lambda: without(GROUPED, 8), "rotates by tables that it does not have"),
        (lambda: tabled(9), "'given' has 9 rows, and it turns by row 9"),
        (
            lambda: given(EXTENDING[GROUPED](), 9, integers(7, 8, dtype=np.int64).reshape(1, 2)),
            "another number of positions than of tokens",
        ),
        (lambda: given(EXTENDING[GROUPED](), 9, None, (1, 3), TensorProto.INT64), "what it turns by is computed: 'given'"),
        (lambda: given(EXTENDING[GROUPED](), 10, drawn(1, 1, 3, 9)), "does not have a column for each row of the cache"),
        (lambda: given(EXTENDING[GROUPED](), 12, drawn(1)), "(number 12) has no form of its own here"),
        (lambda: given(EXTENDING[MANY](), 4, integers(*[1] * 10).reshape(1, 10)), "(number 4) has no form of its own here"),
        (lambda: given(EXTENDING[MANY](), 8, integers(7)), "(number 8) has no form of its own here"),
        (lambda: given(EXTENDING[MANY](), 1, drawn(1, SPEC.heads, 3, SPEC.width)), "its bias is added to heads that are apart already"),
        (lambda: without(MANY, 2), "not as many rows as its queries, or not known apart: ''"),
        (lambda: given(EXTENDING[STANDARD](), 1, drawn(1, 5, SPEC.groups * SPEC.width)), "not as many rows as its queries"),
        (lambda: given(EXTENDING[STANDARD](), 3, drawn(3, 9)), "does not have a column for each row of the cache"),
        (lambda: given(newer(EXTENDING[STANDARD]()), 6, integers(10, dtype=np.int64)), "(number 6) has no form of its own here"),
        (lambda: with_attribute(STANDARD, softmax_precision=1), "its attribute softmax_precision has no form of its own here"),
        (lambda: with_attribute(GROUPED, past_present_share_buffer=1), "past_present_share_buffer has no form of its own here"),
    ],
)
def test_what_would_be_left_out_is_refused(model: Any, said: str) -> None:
    taken, reason = decided(model())
    assert not taken and said in reason


@pytest.mark.parametrize(("past", "taken"), [(7, True), (0, False)])
def test_positions_apart_are_taken_behind_a_past_alone(past: int, taken: bool) -> None:
    """onnxruntime reads the first one of a prompt's."""
    assert decided(given(EXTENDING[GROUPED](), 9, integers(1, 3, 5, dtype=np.int64).reshape(1, 3)), past)[0] is taken


@pytest.mark.parametrize("past", [7, 0])
@pytest.mark.parametrize(
    "changed",
    [
        lambda past: with_attribute(GROUPED, softcap=0.5),
        lambda past: with_attribute(GROUPED, causal=0),
        lambda past: with_attribute(MANY, unidirectional=1, mask_filter_value=-0.5),
        lambda past: with_attribute(STANDARD, is_causal=1),
        lambda past: given(EXTENDING[GROUPED](), 10, drawn(1, 1, 3, past + 3)),
        lambda past: given(EXTENDING[GROUPED](), 9, np.arange(3)[None] + past + 1),
    ],
)
def test_the_parts_compute_what_operands_and_attributes_say(changed: Any, past: int) -> None:
    model = changed(past)
    graph = sized(model, past, 3)
    assert [decision.taken for decision in apply(graph, [WRITE_PAST])] == [True]
    graph.sweep()
    written = graph.to_model()
    next(entry for entry in written.opset_import if not entry.domain).version = NEWEST
    for found, expected in zip(results(written, past, 3), results(model, past, 3), strict=True):
        assert np.allclose(found, expected, atol=1e-5)
