"""What torch.onnx.export(dynamo=True, optimize=False) writes in place of a constant, a Cast and a Split, as just those."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from small_models import parse

from autoglmc.compiler.load.load_model import load_model
from autoglmc.compiler.load.source import MemoryModel

BODY = "y = If(c) <then_branch = t () => (float[2] p) { p = CastLike(i, x) }, else_branch = e () => (float[2] q) { q = Neg(x) }>"
SPLITS = {
    "lengths": "<int64[3] n = {1, 3, 2}, int64 k = {1}, int64 l = {-1}>",
    "one length": "<int64 n = {4}, int64 k = {0}, int64 l = {1}>",
    "read twice": "<int64[2] n = {2, 4}, int64 k = {1}, int64 l = {1}>",
}


def loaded(model: onnx.ModelProto) -> onnx.ModelProto:
    return load_model(MemoryModel(model, "model")).proto


def run(model: onnx.ModelProto, feeds: dict[str, Any]) -> list[Any]:
    return list(onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feeds))


def kinds(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def test_a_constant_in_the_dtype_of_a_tensor_is_a_constant() -> None:
    model = parse("g (float[3] x) => (float[3] y) <int64 one = {1}> { o = CastLike(one, x) y = Add(x, o) }")
    made = loaded(model)
    assert kinds(made) == ["Add"]
    x = np.array([1.0, -2.0, 0.5], np.float32)
    assert np.array_equal(run(made, {"x": x})[0], x + 1)


def test_what_is_computed_is_cast_whatever_reads_it() -> None:
    made = loaded(parse("g (float[3] x, int64[3] i) => (int64[3] y) { y = CastLike(x, i) }"))
    assert kinds(made) == ["Cast"]
    assert run(made, {"x": np.array([1.5, -2.5, 0.0], np.float32)} | {v.name: np.zeros(3, np.int64) for v in made.graph.input[1:]})[
        0
    ].tolist() == [1, -2, 0]


def test_a_body_knows_the_dtype_of_what_it_captures() -> None:
    made = loaded(parse(f"g (bool c, float[2] x, int64[2] i) => (float[2] y) {{ {BODY} }}"))
    branches = [attribute.g for node in made.graph.node for attribute in node.attribute]
    assert "CastLike" not in {node.op_type for branch in branches for node in branch.node}


@pytest.mark.parametrize("name", SPLITS)
def test_parts_of_a_sequence_are_those_of_a_split(name: str) -> None:
    body = "s = SplitToSequence<axis=1>(x, n) a = SequenceAt(s, k) b = SequenceAt(s, l) p = Neg(a) q = Exp(b)"
    model = parse(f"g (float[2,6] x) => (float[2,M] p, float[2,N] q) {SPLITS[name]} {{ {body} }}")
    made = loaded(model)
    assert kinds(made).count("Split") == 1 and not {"SequenceAt", "SplitToSequence"} & set(kinds(made))
    x = np.random.default_rng(0).standard_normal((2, 6)).astype(np.float32)
    for want, got in zip(run(model, {"x": x}), run(made, {"x": x}), strict=True):
        assert np.array_equal(want, got)
    assert all(dim.HasField("dim_value") for value in made.graph.output for dim in value.type.tensor_type.shape.dim)


@pytest.mark.parametrize(
    "body",
    ["s = SplitToSequence<axis=1>(x, n) y = SequenceAt(s, i)", "s = SplitToSequence<axis=1>(x, n) y = ConcatFromSequence<axis=0>(s)"],
    ids=["a place that is computed", "another reader"],
)
def test_other_sequences_stay(body: str) -> None:
    made = loaded(parse(f"g (float[2,6] x, int64 i) => (float[P,3] y) <int64[2] n = {{3, 3}}> {{ {body} }}"))
    assert "SplitToSequence" in kinds(made)


@pytest.mark.parametrize("made", ["t = Relu(x) s_part_0 = Exp(t)", "s_part_0 = Exp(x)", "s_part_0, s_lengths = Split<num_outputs=2>(x)"])
def test_parts_take_no_name_that_the_model_has(made: str) -> None:
    text = f"s = SplitToSequence<axis=0>(x, n) o = SequenceAt(s, k) {made} y = Add(o, s_part_0)"
    model = parse(f"g (float[2,6] x) => (float[A,6] y) <int64[2] n = {{1, 1}}, int64 k = {{0}}> {{ {text} }}")
    x = {"x": np.random.default_rng(0).standard_normal((2, 6)).astype(np.float32)}
    assert "Split" in kinds(got := loaded(model))
    assert np.array_equal(run(model, x)[0], run(got, x)[0])


def test_lengths_take_no_name_that_the_model_has() -> None:
    text = "s = SplitToSequence<axis=0>(x, n) o = SequenceAt(s, k) y = Add(o, s_lengths)"
    model = parse(
        f"g (float[2,3] x) => (float[1,3] y) <int64[2] n = {{1, 1}}, int64 k = {{0}}, float[3] s_lengths = {{1, 2, 3}}> {{ {text} }}"
    )
    x = {"x": np.random.default_rng(0).standard_normal((2, 3)).astype(np.float32)}
    assert np.array_equal(run(model, x)[0], run(loaded(model), x)[0])


def test_an_axis_that_onnxruntime_drops_is_not_kept() -> None:
    """With one length for all parts, and keepdims = 0; with a list of lengths it keeps the axis, as the standard has it."""
    text = "s = SplitToSequence<axis=1, keepdims=0>(x, n) y = SequenceAt(s, k)"
    x = {"x": np.random.default_rng(0).standard_normal((2, 3)).astype(np.float32)}
    for lengths, shape in (("int64 n = {1}", [2]), ("int64[3] n = {1, 1, 1}", [2, 1])):
        model = parse(f"g (float[2,3] x) => (float{shape} y) <{lengths}, int64 k = {{1}}> {{ {text} }}")
        want, got = run(model, x)[0], run(loaded(model), x)[0]
        assert list(want.shape) == shape and np.array_equal(want, got)
