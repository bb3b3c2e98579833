"""An operand left out of a list ends the process of onnxruntime: it is refused before the runtime sees it."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from small_models import parse, save

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.errors import ModelError
from autoglmc.compiler.load.operands import check_operands
from autoglmc.compiler.verify.check_model import check_model


def left_out(operator: str, opset: int = 14) -> onnx.ModelProto:
    model = parse("g (float[3,4] x) => (float[3,4] y) { y = Max(x, x) }", opset=opset)
    model.graph.node[0].op_type = operator
    model.graph.node[0].input[1] = ""
    return model


@pytest.mark.parametrize("operator", ["Max", "Min", "Sum", "Mean", "Concat"])
def test_an_operand_left_out_of_a_list_is_refused(operator: str) -> None:
    with pytest.raises(ModelError) as caught:
        check_operands(left_out(operator), "m.onnx")
    assert caught.value.message.startswith(f"input 1 of {operator} (writes 'y') has no name; {operator} takes a list")


def test_inside_a_function_and_a_body_too() -> None:
    inner = "z () => (float[3,4] a) { a = Max(x, x) }"
    model = parse(f"g (float[3,4] x, bool c) => (float[3,4] y) {{ y = If(c) <then_branch = {inner}, else_branch = {inner}> }}")
    check_operands(model, "")
    model.graph.node[0].attribute[1].g.node[0].input[0] = ""
    with pytest.raises(ModelError, match="input 0 of Max"):
        check_operands(model, "")


def test_optional_operands_may_be_left_out() -> None:
    check_operands(parse("g (float[3,4] x, float m) => (float[3,4] y) { y = Clip(x, , m) }"), "")


def test_commands_say_so_and_live(tmp_path: Path) -> None:
    path = save(left_out("Max"), tmp_path)
    with pytest.raises(ModelError, match="input 1 of Max"):
        compile_model(path, "x86_cpu")
    found = {result.name: result for result in check_model(path)}
    assert found["structure"].status == "fail" and "input 1 of Max" in found["structure"].message
    assert found["forward"].status == "skipped"
