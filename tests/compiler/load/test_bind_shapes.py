from __future__ import annotations

from typing import Any

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_models import DYNAMIC, RELU, parse

from autoglmc.compiler.errors import UsageError
from autoglmc.compiler.load.bind_shapes import bind_shapes, parse_shapes, unbound_dims


def shape(value: onnx.ValueInfoProto) -> list[int | str]:
    return [dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?" for dim in value.type.tensor_type.shape.dim]


def refuse(model: onnx.ModelProto, shapes: Any) -> UsageError:
    with pytest.raises(UsageError) as caught:
        bind_shapes(model, shapes)
    return caught.value


def test_both_spellings_and_repeats() -> None:
    words = ["batch=1,seq=32", "x=1x3x48x320", " z = 7 "]
    assert parse_shapes(words) == {"batch": 1, "seq": 32, "x": (1, 3, 48, 320), "z": 7}
    assert parse_shapes(["gpu_0/data=0=2x3"]) == {"gpu_0/data=0": (2, 3)}
    assert parse_shapes(["a=1", "a=1"]) == {"a": 1}


@pytest.mark.parametrize(
    "word", ["", "x", "x=", "=3", "x=1x", "x=-1", "x=0", "x=1x0", "x=1.5", "x=1,,y=2", "x=9999999999", "x=²", "a=1,a=2"]
)
def test_what_cannot_be_read_is_quoted(word: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_shapes([word])
    assert "--shape" in caught.value.message


@given(st.dictionaries(st.from_regex(r"[a-z_./]{1,8}", fullmatch=True), st.lists(st.integers(1, 4096), min_size=2, max_size=5), max_size=4))
def test_what_is_written_is_what_is_read(shapes: dict[str, list[int]]) -> None:
    word = ",".join(f"{name}={'x'.join(map(str, dims))}" for name, dims in shapes.items())
    assert parse_shapes([word] if word else []) == {name: tuple(dims) for name, dims in shapes.items()}


def test_a_name_is_bound_wherever_it_occurs() -> None:
    model = parse(DYNAMIC)
    assert unbound_dims(model) == ("batch", "seq")
    bind_shapes(model, {"batch": 2})
    assert unbound_dims(model) == ("seq",)
    assert [shape(value) for value in (*model.graph.input, *model.graph.output)] == [[2, 4], [2, "seq"], [2, 4], [2, "seq"]]


def test_a_full_shape_binds_the_names_in_it_everywhere() -> None:
    model = parse(DYNAMIC)
    bind_shapes(model, {"z": (3, 9)})
    assert [shape(value) for value in (*model.graph.input, *model.graph.output)] == [[3, 4], [3, 9], [3, 4], [3, 9]]
    assert unbound_dims(model) == ()


def test_dims_without_a_name_are_named_by_input_and_position() -> None:
    model = parse(RELU)
    dims = model.graph.input[0].type.tensor_type.shape.dim
    dims[0].Clear()
    dims[1].dim_value = -1
    bind_shapes(model, {})
    assert unbound_dims(model) == ("input x dim 0", "input x dim 1")
    bind_shapes(model, {"x": (5, 6)})
    assert unbound_dims(model) == ()


def test_question_marks_are_no_names() -> None:
    model = parse(RELU)
    for dim in model.graph.input[0].type.tensor_type.shape.dim:
        dim.dim_param = "?"
    bind_shapes(model, {"x": (2, 3)})
    assert shape(model.graph.input[0]) == [2, 3]


def test_an_unknown_name_lists_what_there_is() -> None:
    error = refuse(parse(DYNAMIC), {"bach": 1})
    assert "bach=1" in error.message and "did you mean 'batch'?" in error.help and "z [batch, seq]" in error.help


def test_conflicts_are_refused() -> None:
    assert "two sizes, 1 and 2" in refuse(parse(DYNAMIC), {"x": (1, 4), "z": (2, 8)}).message
    assert "two sizes" in refuse(parse(DYNAMIC), {"batch": 1, "x": (2, 4)}).message
    assert "fixed shape [1, 4]" in refuse(parse(RELU), {"x": (2, 4)}).message
    assert "has 2 dims, not 3" in refuse(parse(RELU), {"x": (1, 4, 1)}).message
    assert "is one dim" in refuse(parse(DYNAMIC), {"batch": (1, 2)}).message


def test_a_fixed_shape_may_be_repeated_and_a_rank_one_input_needs_one_number() -> None:
    bind_shapes(parse(RELU), {"x": (1, 4)})
    model = parse("g (float[n] x) => (float[n] y) { y = Relu(x) }")
    bind_shapes(model, {"x": 6})
    assert shape(model.graph.output[0]) == [6]
