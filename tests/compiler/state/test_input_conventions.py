"""Inputs of decoders as exporters have them: what follows from the number of tokens is made, and steps equal those of a growing cache."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from growing_cache import check_tokens
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from placed_steps import farthest
from small_decoders import Decoder, decoder

from autoglmc.compiler.driver.entries.compile_entries import Asked, compile_entries
from autoglmc.compiler.errors import ModelError, UsageError
from autoglmc.compiler.inputs.followed import followed_value, follows
from autoglmc.compiler.state.request import StateRequest
from autoglmc.compiler.state.step_inputs import step_inputs
from autoglmc.compiler.state.ways import EXTENDED, PLACED
from autoglmc.passes.state.places import Cache

SPECS = st.builds(
    Decoder,
    mask=st.sampled_from(["ones", "seen", "added"]),
    whole=st.sampled_from(["int64", "int32"]),
    rows=st.sampled_from(["batch", "sequences"]),
    kept=st.sampled_from(["", "scalar", "vector"]),
    branches=st.booleans(),
    positions_input=st.booleans(),
)


@settings(max_examples=12)
@given(spec=SPECS, way=st.sampled_from([EXTENDED, PLACED]))
def test_steps_equal_those_of_a_growing_cache(spec: Decoder, way: str) -> None:
    assert farthest(decoder(spec), way) < 1e-4  # type: ignore[arg-type]


def test_a_bundle_makes_them_by_itself(tmp_path: Path) -> None:
    spec = Decoder(mask="added", rows="sequences", kept="scalar", branches=True)
    entries = {"prefill": Asked(shapes={}, tokens=8), "decode": Asked(shapes={}, tokens=1)}
    state = StateRequest((("past.*", "present.*"),), 64)
    result = compile_entries(decoder(spec), "x86_cpu", entries, state=state, output=tmp_path / "bundle")
    assert result.verified, result.verification
    check_tokens(result.bundle.session(), decoder(spec), spec.vocabulary)


def test_a_mask_that_is_multiplied_is_refused_with_what_it_was_taken_for() -> None:
    model = decoder(Decoder(mask="added"))
    nodes = [
        helper.make_node("Sub", ["one", "attention_mask"], ["closed"]),
        helper.make_node("Mul", ["closed", "lowest"], ["added"]),
    ]
    for node in model.graph.node:
        node.input[:] = ["added" if name == "attention_mask" else name for name in node.input]
    for node in reversed(nodes):
        model.graph.node.insert(0, node)
    model.graph.initializer.extend(onnx.numpy_helper.from_array(np.float32(value), name) for name, value in (("one", 1), ("lowest", -1e9)))
    with pytest.raises(UsageError, match="more than one dim may be that of the tokens: seq, total") as failure:
        farthest(model)
    assert "'attention_mask' is no mask that is only added to scores (Sub 'closed')" in failure.value.help


@pytest.mark.parametrize("dims", [[1, "seq", 1], [1, "seq", 32], ["batch", 1, "seq"]])
def test_a_mask_of_tokens_that_is_multiplied_is_given_by_the_caller(dims: list[str | int]) -> None:
    """It was filled with 0, which made all logits 0."""
    model = decoder(Decoder(mask="ones"))
    value = helper.make_tensor_value_info("pad_mask", TensorProto.FLOAT, dims)
    table = next(node for node in model.graph.node if node.op_type == "Gather" and "input_ids" in node.input)
    hidden, plain = table.output[0], "rows_of_table"
    table.output[0] = plain
    last = "turned" if dims[-1] == "seq" else "pad_mask"
    turn = [helper.make_node("Transpose", ["pad_mask"], ["turned"], perm=[0, 2, 1])] if last == "turned" else []
    place = list(model.graph.node).index(table) + 1
    for node in (helper.make_node("Mul", [plain, last], [hidden]), *reversed(turn)):
        model.graph.node.insert(place, node)
    model.graph.input.append(value)
    made = step_inputs(model, (Cache("past.0.k", "present.0.k"), Cache("past.0.v", "present.0.v")), {}, "model.onnx")
    assert "pad_mask" not in made.followed and "pad_mask" in made.axes and not made.added


@pytest.mark.parametrize(
    ("kind", "dims", "expected"),
    [
        (TensorProto.FLOAT, ["batch", "total"], [[1, 1, 1, 1, 1]]),
        (TensorProto.INT32, ["sequences", None], [[1, 1, 1, 1, 1]]),
        (TensorProto.BOOL, ["batch", "seq", "total"], [[[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]]),
        (TensorProto.FLOAT, ["batch", 1, 1, "total"], [[[[0, 0, 0, 0, 0]]]]),
        (TensorProto.BOOL, ["batch", 1, "seq", "read"], [[[[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1]]]]),
        (TensorProto.FLOAT16, ["batch", 1, "seq", "total"], [[[[0, 0, 0, 0, -65504], [0, 0, 0, 0, 0]]]]),
        (TensorProto.BFLOAT16, ["batch", 1, "seq", "total"], [[[[0, 0, 0, 0, -3.3895313892515355e38], [0, 0, 0, 0, 0]]]]),
    ],
)
def test_a_mask_by_its_dims_and_type(kind: int, dims: list[str | int], expected: object) -> None:
    value = helper.make_tensor_value_info("attention_mask", kind, dims)
    assert follows(value)
    made = followed_value(value, {"batch": 1, "seq": 2, "read": 6}, 3, 2)
    assert made.dtype == helper.tensor_dtype_to_np_dtype(kind) and np.array_equal(made, np.array(expected))


@pytest.mark.parametrize("name", ["start_pos", "past_length", "past_seq_len", "position"])
@pytest.mark.parametrize("dims", [[], [1]])
def test_a_number_says_where_a_step_begins(name: str, dims: list[int]) -> None:
    value = helper.make_tensor_value_info(name, TensorProto.INT32, dims)
    assert follows(value)
    made = followed_value(value, {}, 3, 2)
    assert made.dtype == np.int32 and made.shape == tuple(dims) and made.item() == 3


@pytest.mark.parametrize(
    ("name", "kind", "dims"),
    [("logits_to_keep", TensorProto.FLOAT, [1]), ("num_logits_to_keep", TensorProto.INT64, [2]), ("scores", TensorProto.FLOAT, [1, 1])],
)
def test_what_only_looks_like_one_is_given(name: str, kind: int, dims: list[int]) -> None:
    assert not follows(helper.make_tensor_value_info(name, kind, dims))


def test_a_batch_of_two_by_another_name_is_refused(tmp_path: Path) -> None:
    entries, state = {"decode": Asked(shapes={}, tokens=1)}, StateRequest((("past.*", "present.*"),), 16)
    with pytest.raises(UsageError, match="the batch must be 1"):
        compile_entries(decoder(Decoder(rows="sequences")), "x86_cpu", entries, state=state, shapes={"sequences": 2}, output=tmp_path / "b")


def test_a_range_over_all_tokens_of_a_run_is_refused_by_name() -> None:
    """Its scale is another one in every cut of a text into steps."""
    model = decoder(Decoder())
    table = next(node for node in model.graph.node if node.op_type == "Gather" and "input_ids" in node.input)
    hidden, table.output[0] = table.output[0], "rows_of_table"
    place = list(model.graph.node).index(table) + 1
    back = helper.make_node("DequantizeLinear", ["small", "step", "zero"], [hidden])
    model.graph.node.insert(place, back)
    model.graph.node.insert(place, helper.make_node("DynamicQuantizeLinear", ["rows_of_table"], ["small", "step", "zero"]))
    with pytest.raises(ModelError, match="how a text is cut into steps") as failure:
        farthest(model)
    assert "DynamicQuantizeLinear small" in str(failure.value) and "--precision int8" in failure.value.help
