"""The kind of an operator: what a runtime computes by other code, whatever its size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoglmc.targets.operator_view import AttributeValue, OperatorView, TensorView
from autoglmc.targets.work.kind import kind_name, of_kinds

Shape = tuple[int | None, ...]


def view(
    operator: str, attributes: Mapping[str, AttributeValue] | None = None, dtype: str = "fp32", result: Shape = (), **shapes: Shape
) -> OperatorView:
    inputs = {name: TensorView(name, dtype, shape, name == "W") for name, shape in shapes.items()}
    return OperatorView("n", "", operator, 21, attributes or {}, inputs, {"Y": TensorView("Y", dtype, result, False)})


BOTH: Mapping[str, AttributeValue] = {"direction": "bidirectional"}
CASES = [
    (view("Conv", X=(1, 8, 20), W=(64, 8, 3)), "Conv 1-D"),
    (view("Conv", X=(1, 8, 20, 20), W=(16, 8, 3, 3)), "Conv 2-D"),
    (view("Conv", X=(1, 8, 4, 20, 20), W=(64, 8, 3, 3, 3)), "Conv 3-D"),
    (view("Conv", {"group": 8}, X=(1, 8, 20), W=(8, 1, 3)), "Conv 1-D depthwise"),
    (view("Conv", {"group": 42}, X=(1, 42, 20, 20), W=(42, 1, 3, 3)), "Conv 2-D depthwise ragged"),
    (view("Conv", {"group": 2, "dilations": (1, 2)}, X=(1, 8, 20, 20), W=(16, 16, 3, 3)), "Conv 2-D grouped dilated"),
    (view("Conv", {"group": 2}, X=(1, 48, 20, 20), W=(48, 24, 3, 3)), "Conv 2-D grouped ragged"),
    (view("Conv", X=(1, 8, 20), W=(16, 8, 3)), "Conv 1-D thin"),
    (view("Conv", result=(1, 16, 2, 2), X=(1, 8, 4, 4), W=(16, 8, 3, 3)), "Conv 2-D small"),
    (view("Conv", {"dilations": (1, 1)}, "int8", X=(1, 8, 20, 20), W=(16, 8, 3, 3)), "Conv 2-D int8"),
    (view("ConvTranspose", X=(1, 8, 20), W=(8, 16, 4)), "ConvTranspose 1-D thin"),
    (view("MaxPool", X=(1, 8, 4, 20, 20)), "MaxPool 3-D"),
    (view("LSTM", X=(30, 1, 16), W=(1, 64, 16)), "LSTM"),
    (view("LSTM", X=(30, 4, 16), W=(1, 64, 16)), "LSTM batch"),
    (view("LSTM", {"layout": 1}, X=(1, 30, 16), W=(1, 64, 16)), "LSTM"),
    (view("GRU", BOTH, X=(30, 4, 16), W=(2, 48, 16)), "GRU both-ways batch"),
    (view("Softmax", {"axis": 1}, result=(1, 8, 20), X=(1, 8, 20)), "Softmax across"),
    (view("Softmax", {"axis": 2}, result=(1, 8, 20), X=(1, 8, 20)), "Softmax"),
    (view("ReduceMean", result=(1, 1, 20), X=(1, 8, 20), axes=(1,)), "ReduceMean across"),
    (view("ReduceMean", result=(1, 8, 1), X=(1, 8, 20), axes=(1,)), "ReduceMean"),
    (view("LayerNormalization", {"axis": -1}, X=(1, 4096, 16)), "LayerNormalization short"),
    (view("LayerNormalization", {"axis": -1}, X=(1, 4096, 256)), "LayerNormalization"),
    (view("Resize", {"mode": "linear"}, X=(1, 8, 20, 20)), "Resize linear"),
    (view("Add", A=(1, 8), B=(1, 8)), "Add"),
    (view("Add", dtype="fp16", A=(1, 8), B=(1, 8)), "Add fp16"),
    (view("Sigmoid", X=()), "Sigmoid"),
]


@pytest.mark.parametrize(("op", "kind"), CASES, ids=[kind for _, kind in CASES])
def test_the_kind_is_said_in_few_words(op: OperatorView, kind: str) -> None:
    assert kind_name(op) == kind
    assert of_kinds(op, ("Foo", kind)) is None


@pytest.mark.parametrize("op", [op for op, _ in CASES if "W" in op.inputs], ids=[kind for op, kind in CASES if "W" in op.inputs])
@given(factor=st.integers(2, 9))
def test_a_longer_signal_is_of_the_same_kind(op: OperatorView, factor: int) -> None:
    """As is a larger image, and a longer sequence."""
    steps = {"LSTM": 1 if op.attributes.get("layout") == 1 else 0, "GRU": 0}.get(op.operator)
    given = op.inputs["X"].shape or ()
    longer = tuple((d or 1) * factor if axis == steps or (steps is None and axis > 1) else d for axis, d in enumerate(given))
    assert kind_name(replace(op, inputs={**op.inputs, "X": replace(op.inputs["X"], shape=longer)})) == kind_name(op)


@given(st.sampled_from([op for op, _ in CASES]), st.lists(st.none() | st.integers(0, 3), max_size=6).map(tuple))
def test_any_shape_has_a_kind(op: OperatorView, shape: Shape) -> None:
    """Unknown, empty and missing extents, too."""
    for name in op.inputs:
        assert kind_name(replace(op, inputs={**op.inputs, name: replace(op.inputs[name], shape=shape)})).startswith(op.operator)
    assert kind_name(replace(op, inputs={})).startswith(op.operator)


def test_what_is_outside_says_how_it_is_beside_what_was_measured() -> None:
    op = view("Conv", X=(1, 8, 4, 20, 20), W=(64, 8, 3, 3, 3))
    assert of_kinds(op, ("Conv 1-D", "Conv 2-D dilated", "ConvTranspose 3-D")) == (
        "Conv of a kind that was not measured", "3-D, measured 1-D, 2-D dilated",
    )  # fmt: skip
    assert of_kinds(op, ("MatMul",)) == ("the rate for Conv is that of other operators", "")
