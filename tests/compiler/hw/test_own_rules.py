"""A rule of the target's own file through the whole compiler: chosen, reported with its claim, verified, disabled, listed."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from rule_texts import MY_GELU
from small_models import parse

from autoglmc.compiler.cli import run
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.errors import TargetError
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.hw.try_rules import try_rules
from autoglmc.compiler.pipeline.rules import library_of
from autoglmc.targets.model import Target

BERT = Path(__file__).parents[2] / "models" / "bert_tiny.onnx"
TARGET = """hw 1;
target box {
  name "Box";
  onnx opset 13..21;
  memory dram { size 6 GiB; budget 2 GiB; bandwidth 50 GB/s; page 4 KiB; shared npu, cpu; }
  device npu : tpu {
    runtime none;
    peak fp32 10 TOPS @guess;
    dispatch 10 us @guess;
    launch 1 us @guess;
    supports fp32 { Conv, Relu, Tanh, Mul, Add, Sub, MatMul, Softmax, LayerNormalization, Reshape, Transpose, Gemm, Atan; }
    LINES
  }
  device cpu : arm { runtime ort; peak fp32 1 GFLOPS; dispatch 5 us; launch 1 us; supports all; }
  link npu <-> cpu { via shared; zero_copy; handoff 3 us; }
}
"""


@pytest.fixture
def box(tmp_path: Path) -> Path:
    return written(tmp_path, "rewrite Gelu -> my_gelu tol 5e-4;", MY_GELU)


def written(folder: Path, lines: str, rules: str) -> Path:
    path = folder / "box.hw"
    path.write_text(TARGET.replace("LINES", lines) + rules, "utf-8")
    return path


def test_bert_with_a_rule_of_its_targets_file(box: Path, tmp_path: Path) -> None:
    result = compile_model(BERT, box, shapes={"batch": 1, "seq": 16}, output=tmp_path / "out", emulate=True, verify_each=True)
    manifest = json.loads((result.folder / "manifest.json").read_text())
    bounds = manifest["errors"]["bounds"]
    assert bounds and {(bound["rule"], bound["bound"]) for bound in bounds} == {("my_gelu", 2.8e-4)}
    assert all("claimed at box.hw:" in bound["over"] for bound in bounds)
    assert not isinstance(result.verification, str)


def test_without_the_rule_the_operator_goes_elsewhere(box: Path, tmp_path: Path) -> None:
    result = compile_model(BERT, box, shapes={"batch": 1, "seq": 16}, output=tmp_path / "out", verify=False, disable=("my_gelu",))
    assert "my_gelu" not in {site.implementation.rule for site in result.work.sites}


def test_the_command_line(box: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(BERT), "--target", str(box), "--shape", "batch=1,seq=16", "-o", str(tmp_path / "out"), "--emulate"]
    assert run([*arguments, "--print-after", f"realise-placement:{tmp_path / 'graph.txt'}"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "my_gelu x" in shown and "each within 0.00028 (claimed at box.hw:" in shown
    assert " = Gelu" not in (tmp_path / "graph.txt").read_text()
    assert run(["rules", "--target", str(box), "--json"]) == 0
    rules = {rule["name"]: rule for rule in json.loads(capsys.readouterr().out)["rules"]}
    assert (rules["my_gelu"]["contract"], rules["my_gelu"]["bound"]) == ("bounded", 2.8e-4)
    assert rules["my_gelu"]["operators"] == ["Gelu"] and rules["my_gelu"]["stages"] == ["realise-placement"]
    assert run([*arguments, "--disable", "my_gulu"]) == 2
    assert "did you mean 'my_gelu'" in capsys.readouterr().err


def test_a_files_rule_takes_the_place_of_a_built_in_one(tmp_path: Path) -> None:
    target = load_target(written(tmp_path, "rewrite Gelu -> relu_tanh tol 5e-4;", MY_GELU.replace("my_gelu", "relu_tanh")))
    library = library_of(target)
    (rule,) = library.family("relu_tanh")
    assert rule.contract.absolute == 2.8e-4 and "box.hw" in rule.summary
    assert [one.name for one in library.every].count("relu_tanh") == 1
    assert "relu_tanh" not in {one.name for one in library.family("gelu")}


def test_an_exact_rule_belongs_to_decompose(tmp_path: Path) -> None:
    target = load_target(written(tmp_path, "", "rule mine(x) { match Abs(x); emit Relu(x) + Relu(-1 * x); error exact; }"))
    assert library_of(target).family("decompose")[0].name == "mine"
    assert library_of(target).substitutes[0].name == "mine"


FORMULA = """rule half_circle(x) {
  match Sin(x) * x;
  emit  x * Atan(x);
  error abs 6 over -3..3;
}
"""


def small(path: Path) -> Path:
    text = "g (float[8,8] x) => (float[8,8] y) { a = Relu(x) s = Sin(a) m = Mul(s, a) y = Tanh(m) }"
    onnx.save(parse(text, opset=20, ir=9), path)
    return path


def test_a_rule_of_several_operators(tmp_path: Path) -> None:
    """Found before operators are placed, where a line of a device asks for it; its tolerance counts."""
    model = small(tmp_path / "m.onnx")
    loose = written(tmp_path, "rewrite Mul -> half_circle tol 7;", FORMULA)
    result = compile_model(model, loose, output=tmp_path / "out", verify=False, verify_each=True)
    (site,) = result.work.sites
    assert (site.implementation.rule, site.contract, site.range) == ("half_circle", "bounded", (-3.0, 3.0))
    assert sorted(node.kind for part in result.work.parts for node in part.nodes) == ["Atan", "Mul", "Relu", "Tanh"]
    manifest = json.loads((result.folder / "manifest.json").read_text())
    assert manifest["errors"]["bounds"][0]["over"].startswith("-3..3")
    for options, lines in (({"disable": ("half_circle",)}, "rewrite Mul -> half_circle tol 7;"), ({}, "")):
        target = written(tmp_path, lines, FORMULA)
        result = compile_model(model, target, output=tmp_path / "other", verify=False, **options)
        assert not result.work.sites


TRUE = "rule rows(x, a) { match Softmax(x, axis = a); emit Exp(LogSoftmax(x, axis = a)); }"
FALSE = "rule rows(x, a) { match Softmax(x, axis = a); emit Exp(LogSoftmax(x)); }"


def checked(folder: Path, rule: str) -> Target:
    return load_target(written(folder, "", rule))


def test_tensor_rules_are_tried_when_a_model_is_compiled(tmp_path: Path) -> None:
    assert try_rules(checked(tmp_path, TRUE)) == ()
    assert try_rules(checked(tmp_path, "rule gemm(x, w, b) { match MatMul(x, w) + b; emit Gemm(x, w, b); }")) == ()
    with pytest.raises(TargetError, match=r"rule rows is off by .* and claims 'reassociates'"):
        try_rules(checked(tmp_path, FALSE))
    with pytest.raises(TargetError, match="rule same is off by"):
        try_rules(checked(tmp_path, "rule same(x) { match Softmax(x); emit x; error abs 0.5; }"))
    with pytest.raises(TargetError, match="rows"):
        compile_model(small(tmp_path / "m.onnx"), written(tmp_path, "", FALSE), output=tmp_path / "out")
    (note,) = try_rules(checked(tmp_path, "rule top(x, k) { match TopK(x, k); emit TopK(x, k), k; }"))
    assert "was not tried" in note
