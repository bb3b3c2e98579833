"""What a gs.Graph cannot carry is refused by name, on the way in and on the way out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_graphsurgeon.ir.tensor import SparseValues
from small_models import parse

from autoglmc.compiler.errors import ModelError
from autoglmc.compiler.exchange.from_gs import model_of
from autoglmc.compiler.exchange.refuse import KINDS
from autoglmc.compiler.exchange.to_gs import surgeon_graph

Kind = onnx.AttributeProto


def relu() -> onnx.ModelProto:
    model = parse("g (float[1,4] x) => (float[1,4] y) { y = Relu(x) }")
    model.graph.node[0].name = "n"
    return model


def typed(kind: onnx.TypeProto, part: str = "value_info") -> onnx.ModelProto:
    model = relu()
    getattr(model.graph, part).append(helper.make_value_info("odd", kind))
    return model


def attributed(**fields: object) -> onnx.ModelProto:
    model = relu()
    model.graph.node[0].attribute.append(onnx.AttributeProto(name="odd", **fields))
    return model


FLOAT = helper.make_tensor_type_proto(TensorProto.FLOAT, [1])
SPARSE = helper.make_sparse_tensor(helper.make_tensor("s", 1, [1], [1.0]), helper.make_tensor("", 7, [1], [0]), [4])
TENSOR = numpy_helper.from_array(np.zeros(1, np.float32), "t")


def sequence_in_a_body() -> onnx.ModelProto:
    model = parse(
        """g (bool c, float[1] x) => (float[1] y) {
          y = If(c) <then_branch = t () => (float[1] a) { a = Neg(x) }, else_branch = e () => (float[1] b) { b = Abs(x) }>
        }"""
    )
    model.graph.node[0].attribute[1].g.value_info.append(helper.make_value_info("odd", helper.make_sequence_type_proto(FLOAT)))
    return model


def shadowed() -> onnx.ModelProto:
    model = sequence_in_a_body()
    body = model.graph.node[0].attribute[1].g
    del body.value_info[:]
    body.initializer.append(numpy_helper.from_array(np.zeros(1, np.float32), "x"))
    return model


def external() -> onnx.ModelProto:
    model = relu()
    weight = model.graph.initializer.add(name="odd", data_type=1, dims=[4], data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value="weights.bin")
    return model


def training() -> onnx.ModelProto:
    model = relu()
    model.training_info.add()
    return model


def overloaded(of: str) -> onnx.ModelProto:
    model = relu()
    if of == "node":
        model.graph.node[0].overload = "odd"
    else:
        model.functions.add(name="f", domain="local", overload="odd")
    return model


def undefined() -> onnx.ModelProto:
    model = relu()
    model.graph.initializer.add(name="odd", dims=[1])
    return model


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: typed(helper.make_sequence_type_proto(FLOAT)), "'odd' has type sequence; a gs.Graph holds tensors only"),
        (lambda: typed(helper.make_sequence_type_proto(FLOAT), "input"), "'odd' has type sequence; a gs.Graph holds tensors only"),
        (lambda: typed(helper.make_optional_type_proto(FLOAT), "output"), "'odd' has type optional; a gs.Graph holds tensors only"),
        (lambda: typed(helper.make_map_type_proto(7, FLOAT)), "'odd' has type map; a gs.Graph holds tensors only"),
        (lambda: typed(helper.make_sparse_tensor_type_proto(1, [4])), "'odd' has type sparse_tensor; a gs.Graph holds tensors only"),
        (sequence_in_a_body, "'odd' has type sequence; a gs.Graph holds tensors only"),
        (lambda: attributed(type=Kind.TYPE_PROTO, tp=FLOAT), "attribute 'odd' of Relu 'n' has type TYPE_PROTO"),
        (lambda: attributed(type=Kind.TYPE_PROTOS, type_protos=[FLOAT]), "attribute 'odd' of Relu 'n' has type TYPE_PROTOS"),
        (lambda: attributed(type=Kind.SPARSE_TENSOR, sparse_tensor=SPARSE), "attribute 'odd' of Relu 'n' has type SPARSE_TENSOR"),
        (lambda: attributed(type=Kind.SPARSE_TENSORS, sparse_tensors=[SPARSE]), "attribute 'odd' of Relu 'n' has type SPARSE_TENSORS"),
        (lambda: attributed(type=Kind.TENSORS, tensors=[TENSOR]), "attribute 'odd' of Relu 'n' has type TENSORS"),
        (lambda: attributed(type=Kind.GRAPHS, graphs=[relu().graph]), "attribute 'odd' of Relu 'n' has type GRAPHS"),
        (lambda: attributed(f=1.0), "attribute 'odd' of Relu 'n' has type UNDEFINED"),
        (lambda: attributed(type=Kind.STRING, s=b"\xff\xfe"), "attribute 'odd' of Relu 'n' is not UTF-8 text"),
        (lambda: attributed(type=Kind.STRINGS, strings=[b"a", b"\xff"]), "attribute 'odd' of Relu 'n' is not UTF-8 text"),
        (lambda: attributed(type=Kind.TENSOR, t=external().graph.initializer[0]), "attribute 'odd' of Relu 'n' lie in another file"),
        (external, "the values of initializer 'odd' lie in another file"),
        (undefined, "initializer 'odd' has the unknown dtype 0"),
        (shadowed, "initializer 'x' of the body 'e' has the name of a tensor outside"),
        (training, "the model holds training information (training_info)"),
        (lambda: overloaded("node"), "Relu 'n' calls the overload 'odd' of a function"),
        (lambda: overloaded("function"), "function local::f has the overload 'odd'"),
    ],
)  # fmt: skip
def test_on_the_way_in(make: Callable[[], onnx.ModelProto], message: str) -> None:
    with pytest.raises(ModelError) as caught:
        surgeon_graph(make())
    assert message in caught.value.message and caught.value.help


def test_every_kind_of_attribute_is_carried_or_refused() -> None:
    """A kind that a newer ONNX adds is refused until somebody has looked at it."""
    for name, number in Kind.AttributeType.items():
        if number not in KINDS:
            with pytest.raises(ModelError, match=f"'odd' of Relu 'n' has type {name}"):
                surgeon_graph(attributed(type=number))


def hand_made(edit: Callable[[gs.Graph], object]) -> gs.Graph:
    graph = surgeon_graph(relu())
    edit(graph)
    return graph


def put_weight(graph: gs.Graph, name: str) -> None:
    graph.nodes[0].inputs.append(gs.Constant(name, np.zeros(4, np.float32)))


def put_inner(graph: gs.Graph, **fields: object) -> None:
    middle = gs.Variable("odd", **fields)  # type: ignore[arg-type]
    graph.nodes[0].outputs = [middle]
    graph.nodes.append(gs.Node("Neg", "neg", {}, [middle], graph.outputs))


def put_external(graph: gs.Graph) -> None:
    from onnx_graphsurgeon.ir.tensor import LazyValues

    graph.nodes[0].inputs.append(gs.Constant("odd", LazyValues(external().graph.initializer[0])))


def put_opset(graph: gs.Graph) -> None:
    graph.opset = 20


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda g: put_inner(g, dtype=np.float32, type="sequence_type"), "'odd' has type sequence; a gs.Graph holds tensors only"),
        (lambda g: put_inner(g, dtype=np.float32, type="optional_type"), "'odd' has type optional; a gs.Graph holds tensors only"),
        (lambda g: put_inner(g, dtype=np.dtype("datetime64[s]")), "tensor 'odd' has the dtype datetime64[s], which ONNX does not have"),
        (lambda g: setattr(g.outputs[0], "dtype", None), "graph output 'y' has no dtype"),
        (lambda g: setattr(g.inputs[0], "dtype", None), "graph input 'x' has no dtype"),
        (lambda g: put_weight(g, "x"), "two tensors of the gs.Graph are named 'x', and one is a weight"),
        (put_external, "the values of weight 'odd' lie in another file"),
        (put_opset, "the gs.Graph has the opset 20, its import_domains say 18"),
        (lambda g: g.nodes[0].attrs.update(odd=object()), "attribute 'odd' of Relu 'n' has a value that ONNX has no type for (object)"),
        (lambda g: g.nodes[0].attrs.update(odd=[]), "attribute 'odd' of Relu 'n' is an empty list: of floats, integers or strings?"),
        (lambda g: g.nodes[0].attrs.update(odd=gs.Variable("v")), "attribute 'odd' of Relu 'n' is the tensor 'v', which has no value"),
        (lambda g: setattr(g.outputs[0], "name", 7), "a tensor of the gs.Graph has the name 7, which is not a string"),
    ],
)  # fmt: skip
def test_on_the_way_out(edit: Callable[[gs.Graph], object], message: str) -> None:
    with pytest.raises(ModelError) as caught:
        model_of(hand_made(edit))
    assert message in caught.value.message


def test_a_sparse_weight_stays_sparse_until_somebody_looks() -> None:
    model = relu()
    model.graph.sparse_initializer.append(SPARSE)
    model.graph.node.append(helper.make_node("Identity", ["s"], ["again"]))
    graph = surgeon_graph(model)
    weight = graph.tensors()["s"]
    assert isinstance(weight._values, SparseValues) and model_of(graph) == model
    weight.name = "renamed"
    assert model_of(graph).graph.sparse_initializer[0].values.name == "renamed"


def test_nothing_is_said_on_the_screen(capfd: pytest.CaptureFixture[str]) -> None:
    """onnx_graphsurgeon warns about dtypes that numpy does not have; they are carried."""
    surgeon_graph(parse("g (bfloat16[1] x) => (bfloat16[1] y) { y = Identity(x) }"))
    shown = capfd.readouterr()
    assert shown.out + shown.err == ""
