"""Everything that takes a path takes a ModelProto, gives the same, and leaves it as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from models import SHAPES, model_path
from onnx import numpy_helper
from small_models import RELU, parse, save

import autoglmc


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["bert_tiny", "lightnet"])
def test_the_bundle_of_a_model_in_memory_is_that_of_its_file(name: str, tmp_path: Path) -> None:
    model = onnx.load(model_path(name))
    before = model.SerializeToString()
    ours = autoglmc.compile(model, "a16", shapes=SHAPES[name], emulate=True, output=tmp_path / "ours")
    theirs = autoglmc.compile(model_path(name), "a16", shapes=SHAPES[name], emulate=True, output=tmp_path / "theirs")
    assert files(ours.folder) == files(theirs.folder)
    assert ours.verify(model, emulate=True) == theirs.verify(str(model_path(name)), emulate=True)
    assert autoglmc.verify(model, tmp_path / "theirs", emulate=True).verified
    assert model.SerializeToString() == before


def test_check_says_of_both_the_same() -> None:
    model = onnx.load(model_path("lightnet"))
    ours, theirs = autoglmc.check(model), autoglmc.check(model_path("lightnet"))
    assert ours.passed and theirs.passed and ours.model == f"<model {model.graph.name}>"
    assert [check.message.replace("model", "file") for check in ours.checks[:4]] == [check.message for check in theirs.checks[:4]]


def test_why_says_of_both_the_same() -> None:
    model = onnx.load(model_path("lightnet"))
    before = model.SerializeToString()
    ours = autoglmc.why(model, "tensor_g2", "Conv", shapes={"batch": 1})
    theirs = autoglmc.why(model_path("lightnet"), "tensor_g2", "Conv", shapes={"batch": 1})
    assert ours.nodes and ours.nodes == theirs.nodes and ours.operators == theirs.operators
    node = next(node.name for node in model.graph.node if node.op_type == "Identity" or node.op_type == "Constant")
    assert autoglmc.why(model, "tensor_g2", node, shapes={"batch": 1}).facts["asked"] == node
    assert model.SerializeToString() == before


def test_a_pass_is_verified_against_the_model_in_memory(tmp_path: Path) -> None:
    model = onnx.load(model_path("lightnet"))
    result = autoglmc.compile_model(model, "x86_cpu", shapes={"batch": 1}, verify_each=True, output=tmp_path / "b")
    assert len(result.checked) > 5 and any(checked.changed for checked in result.checked)


def test_messages_name_the_model_and_no_file_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = parse("g (float[n,4] x) => (float[n,4] y) { y = Relu(x) }")
    with pytest.raises(autoglmc.UsageError, match="dynamic dims without a size") as caught:
        autoglmc.compile(model, "x86_cpu", output="b")
    assert caught.value.where == "<model g>"
    with pytest.raises(autoglmc.UsageError, match="a model in memory has no folder"):
        autoglmc.compile(model, "x86_cpu", shapes={"n": 1})
    assert not list(tmp_path.iterdir())


def test_another_model_is_refused(tmp_path: Path) -> None:
    bundle = autoglmc.compile(parse(RELU), "x86_cpu", output=tmp_path / "b")
    with pytest.raises(autoglmc.VerifyError, match="compiled from another model") as caught:
        bundle.verify(parse(RELU.replace("Relu", "Neg")))
    assert caught.value.where == "<model g>" and "the path of that file" in caught.value.help
    assert bundle.verify(save(parse(RELU), tmp_path)).verified


def test_a_bundle_that_computes_something_else_is_found(tmp_path: Path) -> None:
    """With the hash made equal: the comparison itself must see it."""
    model = parse("g (float[4,64] x) => (float[4,64] y) { y = MatMul(x, w) }")
    values = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    model.graph.initializer.append(numpy_helper.from_array(values, "w"))
    autoglmc.compile(model, "x86_cpu", output=tmp_path / "b")
    other = onnx.ModelProto()
    other.CopyFrom(model)
    other.graph.initializer[0].raw_data = (values * 1.01).tobytes()
    text = (tmp_path / "b" / "manifest.json").read_text()
    hashes = [autoglmc.compile(one, "x86_cpu", output=tmp_path / f"c{k}").manifest.model.sha256 for k, one in enumerate((model, other))]
    (tmp_path / "b" / "manifest.json").write_text(text.replace(*hashes))
    report = autoglmc.verify(other, tmp_path / "b")
    assert not report.verified and "y" in report.reason
