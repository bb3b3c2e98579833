"""Verified means judged on its own runtime: where one is not here the CPU judges in its place, and every answer says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from make_target import make_cpu, make_device, make_link, make_target
from msgspec import structs
from slicing import ABSENT, ORT, bundle_of, cut, facts
from small_models import RELU, parse, save

import autoglmc
from autoglmc.compiler import cli
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.emit import emit
from autoglmc.compiler.errors import BundleError, UsageError, VerifyError
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.compiler.verify.report import VerifyReport
from autoglmc.compiler.verify.required import unmet
from autoglmc.targets.model import Runtime, Target

Screen = pytest.CaptureFixture[str]
CHAIN = "g (float[4] x) => (float[4] y) { a = Relu(x) b = Neg(a) y = Tanh(b) }"
ABSENCE = "runtime htp is not here: this version has no adapter for it"


def bundle(folder: Path, runtime: Runtime = ABSENT, text: str = CHAIN, truth: str = CHAIN) -> tuple[Path, Bundle]:
    """A bundle of `text` whose middle segment is on a runtime of its own, and the file of the model `truth`."""
    data = parse(truth).SerializeToString()
    (folder / "m.onnx").write_bytes(data)
    compiled = cut(parse(text), ("cpu", "npu", "cpu"), modes=("copy",), runtimes={"npu": runtime})
    return folder / "m.onnx", bundle_of(compiled, folder / "b", facts(data))


def planned_for() -> Target:
    return make_target([make_device("npu", ["Relu"], dispatch=0.0), make_cpu(peak=1e3)], [make_link("npu", "cpu", handoff=1e-9)])


def test_a_segment_whose_runtime_is_not_here_is_judged_on_the_cpu_and_not_verified(tmp_path: Path) -> None:
    model, made = bundle(tmp_path)
    report = made.verify(model)
    assert not report.verified and report.agrees and not report.faults
    assert report.reasons == (f"segment 1 (npu): {ABSENCE}; it was judged on the CPU in its place",)
    assert report.reason.startswith(report.reasons[0]) and "against a float64 reference, within 1.5 times" in report.reason
    assert [(one.index, one.device, one.judged, one.reason) for one in report.segments] == [
        (0, "cpu", "on its runtime", ""),
        (1, "npu", "on the CPU in its place", ABSENCE),
        (2, "cpu", "on its runtime", ""),
    ]
    assert [one.runtime for one in report.segments] == ["ort on CPU"] * 3
    assert unmet(report, "all") == report.reasons and unmet(report, "here") == unmet(report, None) == ()


def test_emulate_is_enough_to_be_verified_but_not_on_all_runtimes(tmp_path: Path) -> None:
    model, made = bundle(tmp_path)
    report = made.verify(model, emulate=True)
    assert report.verified and report.reasons == () and report.segments == made.verify(model).segments
    with pytest.raises(VerifyError, match=r"not verified as required \(all\): segment 1 \(npu\): runtime htp is not here") as failure:
        made.verify(model, emulate=True, require_verified="all")
    assert "here" in failure.value.help
    assert made.verify(model, require_verified="here").agrees


def test_where_every_runtime_is_here_all_is_met(tmp_path: Path) -> None:
    model, made = bundle(tmp_path, ORT)
    report = autoglmc.verify(model, made, require_verified="all")
    assert report.verified and {one.judged for one in report.segments} == {"on its runtime"}


def test_what_is_wrong_on_the_stand_in_meets_nothing(tmp_path: Path) -> None:
    model, made = bundle(tmp_path, text=CHAIN.replace("Neg", "Abs"))
    report = made.verify(model)
    assert not report.verified and not report.agrees and report.faults == report.reasons[:2]
    assert report.reasons[2:] == (f"segment 1 (npu): {ABSENCE}; it was judged on the CPU in its place",)
    assert unmet(report, "here") == report.faults and unmet(report, "all") == report.reasons
    with pytest.raises(VerifyError, match="y has cosine -1"):
        made.verify(model, require_verified="here")


def test_segments_of_one_reason_share_a_sentence(tmp_path: Path) -> None:
    data = parse(CHAIN).SerializeToString()
    (tmp_path / "m.onnx").write_bytes(data)
    compiled = cut(parse(CHAIN), ("npu", "cpu", "npu"), modes=("copy",), runtimes={"npu": ABSENT})
    (reason,) = bundle_of(compiled, tmp_path / "b", facts(data)).verify(tmp_path / "m.onnx").reasons
    assert reason == f"segments 0 (npu), 2 (npu): {ABSENCE}; they were judged on the CPU in their place"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ([], 4),
        (["--emulate"], 0),
        (["--require-verified", "here"], 0),
        (["--require-verified", "all"], 1),
        (["--emulate", "--require-verified", "all"], 1),
    ],
)
def test_the_exit_code_of_verify(options: list[str], code: int, tmp_path: Path, capsys: Screen) -> None:
    model, made = bundle(tmp_path)
    assert cli.run(["verify", str(model), str(made.folder), *options]) == code
    shown = capsys.readouterr()
    assert ("NOT verified" in shown.out) == ("--emulate" not in options)
    assert ("not verified as required (all)" in shown.err) == (code == 1)
    assert cli.run(["verify", str(model), str(made.folder), *options, "--json"]) == code
    found = json.loads(capsys.readouterr().out)
    assert found["verified"] == ("--emulate" in options) and bool(found["reasons"]) != found["verified"]
    assert bool(found["missing"]) == (code == 1) and found["segments"][1]["judged"] == "on the CPU in its place"


@pytest.mark.parametrize("options", [[], ["--emulate"], ["--require-verified", "here"]])
def test_a_wrong_bundle_ends_with_1_whatever_is_here(options: list[str], tmp_path: Path, capsys: Screen) -> None:
    model, made = bundle(tmp_path, text=CHAIN.replace("Neg", "Abs"))
    assert cli.run(["verify", str(model), str(made.folder), *options]) == 1
    assert "y has cosine -1" in capsys.readouterr().out


def compiled(folder: Path, monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
    """The exit code of `autoglmc compile` for a target with an NPU that is only planned for."""
    monkeypatch.setattr("autoglmc.compiler.commands.compile.read_target", lambda *_: planned_for())
    return cli.run([str(save(parse(RELU), folder)), "--target", "box", "-o", str(folder / "b"), *options, "--json"])


@pytest.mark.parametrize(
    ("options", "code", "judged"),
    [
        ([], 4, "on the CPU in its place"),
        (["--allow-unverified"], 0, "on the CPU in its place"),
        (["--emulate"], 0, "on the CPU in its place"),
        (["--require-verified", "here"], 0, "on the CPU in its place"),
        (["--no-verify"], 4, "not judged"),
        (["--no-verify", "--emulate"], 4, "not judged"),
        (["--no-verify", "--allow-unverified"], 0, "not judged"),
    ],
)
def test_the_exit_code_of_compile(
    options: list[str], code: int, judged: str, tmp_path: Path, capsys: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert compiled(tmp_path, monkeypatch, *options) == code
    facts = json.loads(capsys.readouterr().out)
    assert facts["verified"] == (options == ["--emulate"]) and bool(facts["reasons"]) != facts["verified"]
    assert [one["judged"] for one in facts["segments"]] == [judged] and facts["segments"][0]["reason"]
    assert Bundle.load(tmp_path / "b").manifest.segments[0].device == "npu"


@pytest.mark.parametrize("options", [[], ["--emulate"]])
def test_what_is_not_verified_on_all_as_required_is_not_written(
    options: list[str], tmp_path: Path, capsys: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert compiled(tmp_path, monkeypatch, "--require-verified", "all", *options) == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["kind"] == "verify" and "segment 0 (npu): plan only" in error["message"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx"], "nothing half-written"


def test_an_older_bundle_stays_where_a_new_one_is_refused(tmp_path: Path, capsys: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    assert compiled(tmp_path, monkeypatch, "--emulate") == 0
    before = (tmp_path / "b" / "manifest.json").read_bytes()
    assert compiled(tmp_path, monkeypatch, "--require-verified", "all") == 1
    assert (tmp_path / "b" / "manifest.json").read_bytes() == before


@pytest.mark.parametrize("extra", ["--no-verify", "--allow-unverified"])
def test_options_that_contradict_a_requirement(extra: str, tmp_path: Path, capsys: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    assert compiled(tmp_path, monkeypatch, "--require-verified", "here", extra) == 2
    assert json.loads(capsys.readouterr().out)["error"]["kind"] == "usage"


def test_a_requirement_of_another_word(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="require_verified is 'all' or 'here', not 'some'"):
        compile_model(save(parse(RELU), tmp_path), planned_for(), output=tmp_path / "b", require_verified="some")


def test_a_compilation_says_what_it_is_verified_on(tmp_path: Path) -> None:
    options: dict[str, Any] = {"model": save(parse(RELU), tmp_path), "target": planned_for(), "output": tmp_path / "b"}
    absent, unseen = compile_model(**options), compile_model(**options, verify=False)
    assert not absent.verified and isinstance(absent.verification, VerifyReport) and absent.reasons == absent.verification.reasons
    assert absent.segments == absent.verification.segments
    assert not unseen.verified and unseen.reasons == (unseen.verification,) and "not asked for" in unseen.reasons[0]
    assert [structs.asdict(one) for one in unseen.segments] == unseen.as_json()["segments"]
    emulated = compile_model(**options, emulate=True)
    assert emulated.verified and emulated.reasons == ()


def test_a_bundle_that_is_wrong_is_refused_where_its_runtime_is_not_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = emit.externalised

    def other(model: onnx.ModelProto, *arguments: Any) -> onnx.ModelProto:
        written: onnx.ModelProto = real(model, *arguments)
        for node in written.graph.node:
            node.op_type = node.op_type.replace("Relu", "Abs")
        return written

    monkeypatch.setattr(emit, "externalised", other)
    with pytest.raises(VerifyError, match="the bundle differs from the model: y has cosine"):
        compile_model(save(parse(RELU), tmp_path), planned_for(), output=tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_the_bundle_keeps_what_it_was_judged_on(tmp_path: Path) -> None:
    options: dict[str, Any] = {"model": save(parse(RELU), tmp_path), "target": planned_for(), "output": tmp_path / "b"}
    for more in ({}, {"emulate": True}, {"verify": False}):
        result = compile_model(**options, **more)
        record = Bundle.load(tmp_path / "b").manifest.verification
        assert (record.verified, record.reasons, record.segments) == (result.verified, result.reasons, result.segments)
        if isinstance(result.verification, VerifyReport):
            assert record == result.verification.verification()
            assert record.inputs == ("seed 0", "seed 1", *record.inputs[2:]) and record.exercised == 1.0
    assert record.inputs == () and not record.verified and record.exercised == 0.0


def test_a_record_of_other_segments_is_refused(tmp_path: Path) -> None:
    _, made = bundle(tmp_path)
    path = made.folder / "manifest.json"
    manifest = json.loads(path.read_text("utf-8"))
    del manifest["verification"]["segments"][0]
    path.write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(BundleError, match=r"verification\.segments are not those of the bundle"):
        Bundle.load(made.folder)


def test_every_screen_of_a_bundle_says_first_that_it_is_not_verified(
    tmp_path: Path, capsys: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autoglmc.compiler.commands.compile.read_target", lambda *_: planned_for())
    model, folder = str(save(parse(RELU), tmp_path)), str(tmp_path / "b")
    np.savez(tmp_path / "x.npz", x=np.ones((1, 4), np.float32))
    assert cli.run([model, "--target", "box", "-o", folder]) == 4
    assert capsys.readouterr().out.startswith("judged    NOT verified: segment 0 (npu): plan only")
    assert cli.run(["run", folder, "--input", str(tmp_path / "x.npz"), "--emulate"]) == 0
    assert capsys.readouterr().out.startswith("compiled  NOT verified: segment 0 (npu): plan only")
    assert cli.run(["verify", model, folder]) == 4
    assert capsys.readouterr().out.startswith("judged    segment 0 (npu): plan only")
    assert "NOT verified" in repr(Bundle.load(folder))
