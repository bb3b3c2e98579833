"""Text that is not UTF-8, in any field of any message: one sentence that names the field."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from autoglmc.compiler import cli
from autoglmc.compiler.errors import ModelError
from autoglmc.compiler.load.check_strings import check_strings
from autoglmc.compiler.load.load_model import load_model

MARK, BROKEN = "QQQQQQQQ", b"QQQ\xfbQQQQ"


def rich() -> onnx.ModelProto:
    """A model with every kind of message."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, "n"], doc_string="d") for name in "xy")
    body = helper.make_graph([helper.make_node("Neg", ["x"], ["p"], "neg")], "b", [], [helper.make_empty_tensor_value_info("p")])
    table = helper.make_tensor("strings", TensorProto.STRING, [2], [b"a", b"b"])
    nodes = [
        helper.make_node("If", ["yes"], ["y"], "if", doc_string="d", then_branch=body, else_branch=body),
        helper.make_node("Resize", ["x", "", "s"], ["r"], "resize", mode="nearest"),
        helper.make_node("Constant", [], ["c"], value_strings=["a", "b"]),
        helper.make_node("Constant", [], ["c2"], value=table),
    ]
    yes = helper.make_tensor("yes", TensorProto.BOOL, [], [1])
    far = TensorProto(name="far", data_type=1, dims=[1], data_location=TensorProto.EXTERNAL)
    far.external_data.add(key="location", value="w.bin")
    graph = helper.make_graph(nodes, "g", [x], [y], [yes, table, far], doc_string="d", value_info=[y])
    function = helper.make_function(
        "own", "f", ["a"], ["b"], [helper.make_node("Neg", ["a"], ["b"])], [helper.make_opsetid("", 21)], ["at"]
    )
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("own", 1)]
    model = helper.make_model(graph, opset_imports=imports, functions=[function], producer_name="p", doc_string="d")
    model.metadata_props.add(key="k", value="v")
    model.graph.quantization_annotation.add(tensor_name="t").quant_parameter_tensor_names.add(key="k", value="v")
    return model


def places(message: Any, path: str = "") -> Iterator[tuple[str, Any, Any, int | None]]:
    """(place, message, field, index) of every text that is set, declared as text or as bytes."""
    for field, value in message.ListFields():
        repeated = not isinstance(value, str | bytes | int | float) and not hasattr(value, "ListFields")
        if field.type == field.TYPE_STRING or field.name in ("s", "strings", "string_data"):
            yield from ((f"{path}{field.name}", message, field, k) for k in (range(len(value)) if repeated else (None,)))
        elif field.message_type is not None:
            inner = enumerate(value) if repeated else [(None, value)]
            for k, item in inner:
                yield from places(item, f"{path}{field.name}" + (f"[{k}]." if k is not None else "."))


PLACES = [place for place, *_ in places(rich())]


def broken(number: int) -> onnx.ModelProto:
    model = rich()
    _, message, field, index = list(places(model))[number]
    mark: Any = MARK if field.type == field.TYPE_STRING else MARK.encode()
    if index is None:
        setattr(message, field.name, mark)
    else:
        getattr(message, field.name)[index] = mark
    data = model.SerializeToString()
    assert data.count(MARK.encode()) == 1
    return onnx.ModelProto.FromString(data.replace(MARK.encode(), BROKEN))


def test_the_model_is_rich_and_whole() -> None:
    assert len(PLACES) > 60 and len({place.rpartition(".")[2] for place in PLACES}) >= 15
    check_strings(rich(), "m")


@pytest.mark.parametrize("number", range(len(PLACES)), ids=[f"{k} {place}" for k, place in enumerate(PLACES)])
def test_every_field_that_is_not_utf8_is_named(number: int) -> None:
    with pytest.raises(ModelError) as caught:
        check_strings(broken(number), "m")
    assert PLACES[number] in caught.value.message and r"\xfb" in caught.value.message


@pytest.mark.parametrize("number", range(0, len(PLACES), 5))
def test_a_file_of_such_a_model_is_refused_with_one_message(number: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(broken(number).SerializeToString())
    with pytest.raises(ModelError, match="not valid UTF-8"):
        load_model(path)
    assert cli.run([str(path), "--target", "x86_cpu", "-o", str(tmp_path / "out")]) == 1
    assert capsys.readouterr().err.count("error: ") == 1


def test_attributes_of_other_domains_may_be_binary() -> None:
    model = rich()
    model.graph.node.append(helper.make_node("EPContext", ["x"], ["e"], domain="com.microsoft", ep_cache_context=b"\xff\xfe"))
    check_strings(model, "m")
