"""Results print on one screen, and their fields say what the screens and the JSON say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from models import SHAPES, model_path
from small_models import save

import autoglmc

LONGEST_LINE, MOST_LINES = 400, 20


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> autoglmc.CompileResult:
    out = tmp_path_factory.mktemp("b") / "lightnet.tensor_g2"
    return autoglmc.compile_model(model_path("lightnet"), "tensor_g2", shapes={"batch": 1}, emulate=True, output=out)


def one_screen(text: str) -> str:
    lines = text.splitlines()
    assert text.startswith("<") and text.endswith(">") and len(lines) <= MOST_LINES and max(map(len, lines)) <= LONGEST_LINE
    return text


def test_a_compilation(result: autoglmc.CompileResult) -> None:
    text = one_screen(repr(result))
    assert "33 on npu, 20 on cpu, in 7 segments" in text and "predicted  1.68 ms" in text and "verified: 1 output" in text
    assert str(result.folder) in text
    skipped = one_screen(repr(replace(result, verification="nobody wanted it")))
    assert "not verified: nobody wanted it" in skipped
    assert result.bundle.manifest == result.manifest
    assert result.as_json()["latency"]["predicted"] == pytest.approx(result.graph().graph["seconds"])


def test_a_bundle_and_a_target(result: autoglmc.CompileResult) -> None:
    assert one_screen(repr(result.bundle)).endswith("tensor_g2, 7 segments on cpu, npu>")
    assert one_screen(repr(autoglmc.load_target("a16"))) == (
        "<Target 'a16': Apple A16 Bionic, iPhone 14 Pro; npu (coreml), gpu (coreml), cpu (ort)>"
    )


def test_a_verification(result: autoglmc.CompileResult) -> None:
    report = result.verification
    assert isinstance(report, autoglmc.VerifyReport)
    assert one_screen(repr(report)).startswith("<VerifyReport verified: 1 output on ")
    failed = replace(report, verified=False, reason="y has cosine 0.5; " * 100)
    assert one_screen(repr(failed)).startswith("<VerifyReport not verified: y has cosine 0.5")
    assert report.passed and not failed.passed and report.as_json()["outputs"][0]["name"] == "y"


def test_a_check(tmp_path: Path) -> None:
    passed = autoglmc.check(model_path("lightnet"))
    assert ": passed" in one_screen(repr(passed)) and passed.passed
    assert [check.name for check in passed.checks] == ["format", "versions", "structure", "weights", "forward"]
    failed = autoglmc.check(save(b"hello", tmp_path))
    assert ": failed\n  fail    format" in one_screen(repr(failed)) and not failed.passed
    assert failed.as_json()["checks"][0]["status"] == "fail"


@pytest.mark.parametrize(("name", "target"), [("bert_tiny", "a16"), ("bert_tiny", "tensor_g2")])
def test_why(name: str, target: str) -> None:
    report = autoglmc.why(model_path(name), target, shapes=SHAPES[name], tries=1)
    text = one_screen(repr(report))
    assert f"{report.device} of {target}" in text and report.groups
    assert sum(report.operators.values()) == report.facts["plan"]["operators"]
    facts = report.facts["groups"]
    assert [len(group.nodes) for group in report.groups] == [row["count"] for row in facts]
    assert [group.change is not None for group in report.groups] == [row["change"] is not None for row in facts]
    assert any(group.change is not None and group.change.text for group in report.groups)


def test_why_of_a_node() -> None:
    report = autoglmc.why(model_path("bert_tiny"), "a16", "Where", shapes=SHAPES["bert_tiny"])
    (node,) = report.nodes
    assert node.operator == "Where" and {device.device for device in node.devices} == {"npu", "gpu", "cpu"}
    assert [device.device for device in node.devices if device.here] == ["cpu"] and not node.devices[0].runs
    assert node.changes[0].text and "Where, npu" in one_screen(repr(report))


def test_errors_are_what_they_say() -> None:
    with pytest.raises(autoglmc.UserError) as caught:
        autoglmc.check("none.onnx")
    assert isinstance(caught.value, autoglmc.UsageError)
    assert caught.value.as_json() == {
        "kind": "usage", "exit_code": 2, "message": "no such file: none.onnx", "where": "", "help": "give the path of an .onnx file",
    }  # fmt: skip
    kinds = (autoglmc.ModelError, autoglmc.TargetError, autoglmc.Infeasible, autoglmc.BundleError, autoglmc.VerifyError, autoglmc.PassError)
    assert all(issubclass(kind, autoglmc.UserError) for kind in kinds)
