"""A tensor must hold as many elements as its shape says, in the field for its type: every type, every field."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from autoglmc.compiler.errors import ModelError
from autoglmc.compiler.load.load_model import load_model
from autoglmc.compiler.load.tensor_data import ALL_FIELDS, packed_bits
from autoglmc.compiler.load.weights import check_weights

KINDS = sorted(set(TensorProto.DataType.values()) - {TensorProto.UNDEFINED})
NAMES = [TensorProto.DataType.Name(kind) for kind in KINDS]
SHAPE = [3, 4]


def model(tensor: TensorProto, place: str = "initializer") -> onnx.ModelProto:
    """With the tensor as an initializer, in a Constant, in a body or in a function."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    constant = helper.make_node("Constant", [], ["c"], value=tensor)
    nodes = [helper.make_node("Neg", ["x"], ["y"])]
    functions = []
    if place == "Constant":
        nodes.append(constant)
    elif place == "body":
        body = helper.make_graph([helper.make_node("Neg", ["x"], ["p"])], "b", [], [helper.make_empty_tensor_value_info("p")], [tensor])
        nodes = [helper.make_node("If", ["yes"], ["y"], then_branch=body, else_branch=body)]
    elif place == "function":
        imports = [helper.make_opsetid("", 21)]
        functions = [helper.make_function("own", "f", ["a"], ["b"], [helper.make_node("Neg", ["a"], ["b"]), constant], imports)]
        nodes = [helper.make_node("f", ["x"], ["y"], domain="own")]
    yes = helper.make_tensor("yes", TensorProto.BOOL, [], [1])
    graph = helper.make_graph(nodes, "g", [x], [y], [yes, *([tensor] if place == "initializer" else [])])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("own", 1)], functions=functions)


def typed(kind: int) -> TensorProto:
    """Of 3 x 4 elements in the field for its type, as onnx writes it."""
    values = [b"a"] * 12 if kind == TensorProto.STRING else [1] * 12
    return helper.make_tensor("t", kind, SHAPE, values)


def filled(tensor: TensorProto) -> str:
    (name,) = (name for name in ALL_FIELDS if len(getattr(tensor, name)))
    return name


def refuse(tensor: TensorProto, place: str = "initializer") -> str:
    with pytest.raises(ModelError, match="'t'") as caught:
        check_weights(model(tensor, place), Path("m.onnx"))
    return caught.value.message


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_what_onnx_writes_passes(kind: int) -> None:
    assert check_weights(model(typed(kind)), Path("m.onnx")) == ()


@pytest.mark.parametrize("place", ["initializer", "Constant", "body", "function"])
@pytest.mark.parametrize("more", [1, -1, 1000], ids=["one more", "one less", "many more"])
@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_another_number_of_elements_is_refused(kind: int, more: int, place: str) -> None:
    tensor = typed(kind)
    field = getattr(tensor, filled(tensor))
    if more > 0:
        field.extend([field[0]] * more)
    else:
        del field[-1]
    assert f"elements in {filled(tensor)}, its shape [3, 4] needs" in refuse(tensor, place)


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_data_in_the_field_of_another_type_is_refused(kind: int) -> None:
    own = filled(typed(kind))
    for other in set(ALL_FIELDS) - {own}:
        tensor = TensorProto(name="t", data_type=kind, dims=SHAPE)
        getattr(tensor, other).extend([b"a" if other == "string_data" else 1] * 12)
        assert f"has its data in {other} in place of {own}" in refuse(tensor)


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_raw_data_of_another_size_or_beside_a_field_is_refused(kind: int) -> None:
    tensor = TensorProto(name="t", data_type=kind, dims=SHAPE)
    size = (12 * packed_bits(tensor) + 7) // 8
    tensor.raw_data = bytes(size + 1)
    assert ("has raw data" if kind == TensorProto.STRING else f"needs {size}") in refuse(tensor)
    if kind != TensorProto.STRING:
        tensor.raw_data = bytes(size)
        assert check_weights(model(tensor), Path("m.onnx")) == ()
        tensor.MergeFrom(TensorProto(**{filled(typed(kind)): [1]}))
        assert "data twice" in refuse(tensor)


def test_a_reference_outside_of_a_function_is_refused(tmp_path: Path) -> None:
    tensor = helper.make_tensor("t", TensorProto.FLOAT, SHAPE, [1] * 12)
    made = model(tensor)
    made.graph.node[0].CopyFrom(helper.make_node("LeakyRelu", ["x"], ["y"], name="leaky"))
    made.graph.node[0].attribute.append(onnx.AttributeProto(name="alpha", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT))
    path = tmp_path / "m.onnx"
    path.write_bytes(made.SerializeToString())
    with pytest.raises(ModelError, match=r"attribute 'alpha' of LeakyRelu 'leaky' refers to 'slope'"):
        load_model(path)
