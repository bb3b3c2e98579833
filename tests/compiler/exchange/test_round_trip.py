"""model -> gs.Graph -> model: nothing is lost, whatever the model holds; what is edited changes that and nothing else."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest
from hypothesis import given, settings
from models import NAMES, SHAPES, model_path
from onnx import TensorProto, helper, numpy_helper
from random_graphs import models
from run_model import run
from small_models import parse

from autoglmc.compiler.exchange.from_gs import is_surgeon_graph, model_of
from autoglmc.compiler.exchange.surgeon import SurgeonGraph
from autoglmc.compiler.exchange.to_gs import surgeon_graph
from autoglmc.compiler.load.load_model import load_model
from autoglmc.compiler.pipeline.whole_model import graph_model
from autoglmc.passes.graph.graph import Graph

BODY = "then_w"


def note(model: onnx.ModelProto) -> onnx.ModelProto:
    """Doc strings and metadata wherever ONNX has a place for them."""
    graph = model.graph
    for k, item in enumerate((model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer)):
        item.doc_string = f"doc {k}"
        item.metadata_props.add(key=f"key {k}", value=f"value {k}")
    for node in graph.node:
        for attribute in node.attribute:
            attribute.doc_string = f"of {node.name}"
    model.domain, model.model_version, model.producer_name, model.producer_version = "org.test", 7, "me", "1.2"
    model.configuration.add(name="two devices", num_devices=2)
    return model


def rich() -> onnx.ModelProto:
    """A bit of everything: bodies two deep that read weights from outside, an omitted operand, symbolic and open dims, an input with a
    default, weights and types that nothing reads, every dtype that numpy lacks, texts, an empty list, a sparse weight, annotations."""
    model = parse(
        """g (float[batch,4] x, bool c, float[?,4] z) => (float[batch,4] y, float[?,4] u)
        <float[4] outer = {1, 2, 3, 4}, float[4] only_inside = {4, 3, 2, 1}, float[1] unread = {0}, float[4] default = {0, 0, 0, 0}>
        {
          a = Add(x, default)
          y = If(c) <
            then_branch = t () => (float[batch,4] p) <float[4] then_w = {1, 1, 1, 1}> {
              q = Mul(a, only_inside)
              p = If(c) < then_branch = tt () => (float[batch,4] r) { r = Add(q, then_w) },
                          else_branch = te () => (float[batch,4] s) { s = Mul(q, outer) } >
            },
            else_branch = e () => (float[batch,4] v) { v = Sub(a, outer) } >
          u = Clip(z, , outer0)
        }""",
        local=1,
    )
    graph = model.graph
    graph.initializer.append(numpy_helper.from_array(np.array(9.0, np.float32), "outer0"))
    for name in ("bfloat16", "float8_e4m3fnuz", "float8_e5m2", "int4", "uint4", "float4_e2m1fn"):
        dtype = getattr(ml_dtypes, name)
        graph.initializer.append(numpy_helper.from_array(np.array([0, 1, 1], dtype), name))
        graph.node.append(helper.make_node("Cast", [name], [f"{name}_wide"], to=TensorProto.FLOAT, name=f"widen_{name}"))
    graph.initializer.append(numpy_helper.from_array(np.array(["a", "ö"], object), "texts"))
    graph.node.append(helper.make_node("Identity", ["texts"], ["texts_again"]))
    empty = helper.make_node("Squeezed", ["x"], ["squeezed"], domain="local")
    empty.attribute.append(helper.make_attribute("axes", [], attr_type=onnx.AttributeProto.INTS))
    empty.attribute.append(helper.make_attribute("words", ["one", "zwölf"]))
    empty.attribute.append(helper.make_attribute("tensor", numpy_helper.from_array(np.ones(2, np.float16), "named")))
    graph.node.append(empty)
    values = helper.make_tensor("sparse", TensorProto.FLOAT, [1], [5.0])
    graph.sparse_initializer.append(helper.make_sparse_tensor(values, helper.make_tensor("", TensorProto.INT64, [1], [2]), [4]))
    graph.node.append(helper.make_node("Identity", ["sparse"], ["dense"]))
    graph.input.append(helper.make_tensor_value_info("default", TensorProto.FLOAT, [4]))
    graph.value_info.append(helper.make_tensor_value_info("a", TensorProto.FLOAT, ["batch", 4]))
    graph.value_info.append(helper.make_tensor_value_info("loose", TensorProto.FLOAT, None))
    graph.input[0].type.denotation = "IMAGE"
    graph.input[0].type.tensor_type.shape.dim[1].denotation = "DATA_CHANNEL"
    graph.quantization_annotation.add(tensor_name="a").quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="outer0")
    for k, node in enumerate(graph.node):
        node.name = node.name or f"n{k}"
    graph.node[0].device_configurations.add(configuration_id="two devices", pipeline_stage=1)
    return note(model)


def function_model() -> onnx.ModelProto:
    """A function whose node takes an attribute from the caller, with a default for another one."""
    model = onnx.parser.parse_model(
        """<ir_version: 10, opset_import: ["": 20, "local": 1]>
        g (float[1,4] x) => (float[1,4] y) { y = local.leaky <alpha = 0.25> (x) }
        <opset_import: ["": 20], domain: "local">
        leaky <alpha, beta: float = 0.5> (a) => (b) {
          c = LeakyRelu <alpha: float = @alpha> (a)
          d = Elu <alpha: float = @beta> (c)
          b = Neg(d)
        }"""
    )
    model.functions[0].doc_string = "a function"
    model.functions[0].metadata_props.add(key="of", value="the function")
    model.functions[0].node[0].doc_string = "inside"
    model.functions[0].value_info.append(helper.make_tensor_value_info("c", TensorProto.FLOAT, [1, 4]))
    return note(model)


@pytest.mark.parametrize("make", [rich, function_model])
def test_everything_comes_back_byte_for_byte(make: object) -> None:
    model = make()  # type: ignore[operator]
    before = model.SerializeToString(deterministic=True)
    graph = surgeon_graph(model)
    assert model_of(graph).SerializeToString(deterministic=True) == before
    assert model.SerializeToString(deterministic=True) == before, "the model itself is left alone"
    again = model_of(graph.copy())
    assert again.SerializeToString(deterministic=True) == before, "a copy remembers too"


@pytest.mark.parametrize("name", NAMES)
def test_the_test_models_come_back_as_they_were(name: str) -> None:
    model = onnx.load(model_path(name))
    assert model_of(surgeon_graph(model)) == model
    loaded = graph_model(Graph(load_model(model_path(name), SHAPES[name]).proto))
    assert model_of(surgeon_graph(loaded)) == loaded


@settings(max_examples=60)
@given(models())
def test_random_graphs_come_back_and_compute_the_same(model: onnx.ModelProto) -> None:
    note(model)
    graph = surgeon_graph(model)
    assert model_of(graph).SerializeToString(deterministic=True) == model.SerializeToString(deterministic=True)
    for tensor in graph.tensors().values():
        if isinstance(tensor, gs.Constant):
            assert tensor.values is not None  # from here on the weight is an array, not the model's protobuf
    touched = model_of(graph.toposort())
    feeds = {v.name: np.linspace(-2, 2, 2 * 3 * 8 * 8)[: np.prod(shape)].astype(np.float32).reshape(shape) for v, shape in inputs(model)}
    for expected, got in zip(run(model, feeds), run(touched, feeds), strict=True):
        np.testing.assert_array_equal(expected, got)
    assert named(touched) == named(model)
    assert [v.type for v in touched.graph.value_info] == [v.type for v in model.graph.value_info]


def inputs(model: onnx.ModelProto) -> list[tuple[onnx.ValueInfoProto, tuple[int, ...]]]:
    return [(v, tuple(d.dim_value for d in v.type.tensor_type.shape.dim)) for v in model.graph.input]


def named(model: onnx.ModelProto) -> list[object]:
    graph = model.graph
    items = (*sorted(graph.node, key=lambda n: n.name), *graph.input, *graph.output, *sorted(graph.initializer, key=lambda t: t.name))
    return [(item.name, item.doc_string, [(p.key, p.value) for p in item.metadata_props]) for item in (graph, *items)]


def test_an_edit_changes_what_it_edits_and_nothing_else() -> None:
    model = rich()
    graph = surgeon_graph(model)
    clip = next(node for node in graph.nodes if node.op == "Clip")
    clip.name, clip.attrs["extra"] = "renamed", [1, 2]
    clip.inputs[2].values = np.array(8.0, np.float32)
    branch = next(node for node in graph.nodes if node.op == "If").attrs["then_branch"]
    branch.nodes[0].op = "Add"
    after = model_of(graph)
    changed = next(node for node in after.graph.node if node.name == "renamed")
    before = next(node for node in model.graph.node if node.op_type == "Clip")
    assert changed.doc_string == before.doc_string and changed.metadata_props == before.metadata_props, "found by what it writes"
    changed.name = before.name
    del changed.attribute[:]
    weight = next(tensor for tensor in after.graph.initializer if tensor.name == "outer0")
    old = next(tensor for tensor in model.graph.initializer if tensor.name == "outer0")
    assert numpy_helper.to_array(weight) == 8 and (weight.doc_string, weight.metadata_props) == (old.doc_string, old.metadata_props)
    weight.CopyFrom(old)
    body = next(node for node in after.graph.node if node.op_type == "If").attribute[0].g
    assert body.node[0].op_type == "Add"
    body.node[0].op_type = "Mul"
    assert after == model


def test_weights_stay_in_the_graph_that_has_them() -> None:
    model = model_of(surgeon_graph(rich()))
    branch = next(node for node in model.graph.node if node.op_type == "If").attribute[0].g
    assert [tensor.name for tensor in branch.initializer] == ["then_w"]
    assert {"outer", "only_inside"} <= {tensor.name for tensor in model.graph.initializer}
    inner = branch.node[1].attribute
    assert not any(attribute.g.initializer for attribute in inner)


def test_what_goes_takes_its_metadata_along() -> None:
    graph = surgeon_graph(rich())
    graph.nodes = [node for node in graph.nodes if node.op != "Clip"]
    graph.outputs = graph.outputs[:1]
    model = model_of(graph)
    assert all(node.op_type != "Clip" for node in model.graph.node)
    assert "outer0" not in {tensor.name for tensor in model.graph.initializer}
    assert [a.tensor_name for a in model.graph.quantization_annotation] == ["a"]


def test_a_graph_built_by_hand() -> None:
    x = gs.Variable("x", np.float32, (1, 4))
    y = gs.Variable("y", ml_dtypes.bfloat16, (1, 4))
    node = gs.Node("Cast", "cast", {"to": ml_dtypes.bfloat16}, [x], [y])
    model = model_of(gs.Graph([node], [x], [y], opset=19))
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version == 19 and model.graph.node[0].attribute[0].i == TensorProto.BFLOAT16


NEW = (np.float16, np.int64, np.bool_, np.complex64, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fnuz, ml_dtypes.int4, ml_dtypes.uint4)


@pytest.mark.parametrize("dtype", NEW)
def test_new_weights_of_every_dtype(dtype: type) -> None:
    values = np.array([[0, 1, 1], [1, 0, 1]], dtype)
    y = gs.Variable("y", dtype, (2, 3))
    graph = gs.Graph([gs.Node("Identity", "i", {}, [gs.Constant("w", values)], [y])], [], [y], opset=21)
    written = model_of(graph).graph.initializer[0]
    assert written.data_type == helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    np.testing.assert_array_equal(numpy_helper.to_array(written), values)


def test_a_weight_that_is_to_be_written_as_bfloat16() -> None:
    y = gs.Variable("y", ml_dtypes.bfloat16, (2,))
    weight = gs.Constant("w", np.array([1.0, 2.0], np.float32), export_dtype=TensorProto.BFLOAT16)
    written = model_of(gs.Graph([gs.Node("Identity", "i", {}, [weight], [y])], [], [y], opset=21)).graph.initializer[0]
    assert written.data_type == TensorProto.BFLOAT16 and numpy_helper.to_array(written).tolist() == [1.0, 2.0]


def test_an_empty_list_has_the_kind_that_the_schema_says() -> None:
    x, y = gs.Variable("x", np.float32, (1, 4)), gs.Variable("y", np.float32, (1, 4))
    graph = gs.Graph([gs.Node("ReduceSum", "r", {"axes": []}, [x], [y])], [x], [y], opset=11)
    assert model_of(graph).graph.node[0].attribute[0].type == onnx.AttributeProto.INTS


def test_who_is_a_graph() -> None:
    model = parse("g (float[1] x) => (float[1] y) { y = Relu(x) }")
    assert isinstance(surgeon_graph(model), SurgeonGraph) and is_surgeon_graph(surgeon_graph(model))
    assert not is_surgeon_graph(model) and model_of(model) is model
