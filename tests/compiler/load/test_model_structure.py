from __future__ import annotations

import onnx
import pytest
from small_models import RELU, parse

from autoglmc.compiler.errors import ModelError
from autoglmc.compiler.load.structure import check_structure, run_checker


def refuse(model: onnx.ModelProto) -> str:
    with pytest.raises(ModelError) as caught:
        check_structure(model, "m.onnx")
    assert caught.value.where == "m.onnx"
    return caught.value.message


def test_a_sound_graph_passes_and_is_not_touched() -> None:
    model = parse(RELU)
    before = model.SerializeToString()
    assert check_structure(model, "") is False
    assert model.SerializeToString() == before


def test_a_cycle_is_printed_with_its_nodes() -> None:
    model = parse("g (float[4] x) => (float[4] y) { a = Add(x, c) b = Relu(a) c = Neg(b) y = Exp(c) }")
    message = refuse(model)
    assert message == "the graph has a cycle: Add (writes 'a') -> Relu (writes 'b') -> Neg (writes 'c') -> Add (writes 'a')"


def test_a_node_that_reads_itself_is_a_cycle() -> None:
    assert "cycle: Add 'loop' -> Add 'loop'" in refuse(parse("g (float[4] x) => (float[4] y) { [loop] y = Add(x, y) }"))


def test_a_long_cycle_is_shortened() -> None:
    chain = " ".join(f"t{i} = Relu(t{(i - 1) % 500})" for i in range(500))
    message = refuse(parse(f"g (float[4] x) => (float[4] t0) {{ {chain} }}"))
    assert "more" in message and len(message) < 400


def test_unsorted_nodes_are_sorted_and_the_sort_is_stable() -> None:
    model = parse("g (float[4] x) => (float[4] y) { y = Add(b, c) c = Neg(x) b = Relu(a) a = Exp(x) }")
    assert check_structure(model, "") is True
    assert [node.op_type for node in model.graph.node] == ["Neg", "Exp", "Relu", "Add"]
    onnx.checker.check_model(model)


def test_a_deep_chain_in_reverse_order_is_sorted_without_recursion() -> None:
    chain = " ".join(f"t{i} = Relu(t{i - 1})" for i in range(5000, 0, -1))
    model = parse(f"g (float[4] t0) => (float[4] t5000) {{ {chain} }}")
    assert check_structure(model, "")
    assert [node.output[0] for node in model.graph.node] == [f"t{i}" for i in range(1, 5001)]


def test_names_written_twice_are_named_with_both_writers() -> None:
    assert refuse(parse("g (float[4] x) => (float[4] y) { y = Relu(x) y = Neg(x) }")) == (
        "tensor 'y' is written twice: by Relu (writes 'y') and by Neg (writes 'y')"
    )
    assert "the graph's input" in refuse(parse("g (float[4] x) => (float[4] x) { x = Relu(x) }"))


def test_reads_of_nothing_are_named() -> None:
    assert "reads tensor 'lost'" in refuse(parse("g (float[4] x) => (float[4] y) { y = Add(x, lost) }"))
    assert "output 'z' is produced by nothing" in refuse(parse("g (float[4] x) => (float[4] z) { y = Relu(x) }"))


def test_a_body_sees_outer_names_and_its_own() -> None:
    text = """g (bool c, float[4] x) => (float[4] y) {
        a = Relu(x)
        y = If (c) <then_branch = t () => (float[4] u) { b = Neg(a) u = Exp(b) }, else_branch = e () => (float[4] v) { v = Identity(x) }>
    }"""
    assert check_structure(parse(text), "") is False
    assert "reads tensor 'nowhere'" in refuse(parse(text.replace("Neg(a)", "Neg(nowhere)")))


def test_an_outer_tensor_that_only_a_body_reads_orders_the_nodes() -> None:
    text = """g (bool c, float[4] x) => (float[4] y) {
        y = If (c) <then_branch = t () => (float[4] u) { u = Neg(a) }, else_branch = e () => (float[4] v) { v = Identity(x) }>
        a = Relu(x)
    }"""
    model = parse(text)
    assert check_structure(model, "")
    assert [node.op_type for node in model.graph.node] == ["Relu", "If"]


def test_impossible_dims_are_refused() -> None:
    model = parse(RELU)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = -7
    assert "impossible shape" in refuse(model)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2**50
    assert "impossible shape" in refuse(model)


def test_the_checker_speaks_in_one_sentence() -> None:
    model = parse(RELU)
    model.graph.node[0].op_type = "NoSuchOperator"
    with pytest.raises(ModelError) as caught:
        run_checker(model.SerializeToString(), "m.onnx")
    assert "NoSuchOperator" in caught.value.message and "\n" not in caught.value.message
