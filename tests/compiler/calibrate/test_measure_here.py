"""What may be measured on this machine: no emulator, no other processor, no runtime that is not here; and models that are there."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from small_models import DYNAMIC, RELU, parse, save

from autoglmc.compiler.calibrate.case_names import case_names
from autoglmc.compiler.calibrate.fit import NothingMeasured
from autoglmc.compiler.calibrate.measure.measure import Refused
from autoglmc.compiler.calibrate.measure.ort_source import OrtSource
from autoglmc.compiler.calibrate.measure_here import Subject, measure_here, source_of
from autoglmc.compiler.calibrate.records import Measurement
from autoglmc.compiler.commands.calibrate import _fit
from autoglmc.compiler.errors import UsageError, UserError
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.load.shapes_by_model import shapes_by_model
from autoglmc.targets.model import Device


def cpu(kind: str) -> Device:
    return replace(load_target("x86_cpu").device("cpu"), kind=kind)


@pytest.mark.parametrize("kind", ["arm64", "cortex_m55", "ARMv8"])
def test_another_processor_is_not_this_one(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    with pytest.raises(UserError, match=f"it is a processor of kind {kind}, and this machine is x86_64"):
        source_of(cpu(kind))


@pytest.mark.parametrize(
    ("kind", "machine"), [("x86", "x86_64"), ("x86", "AMD64"), ("arm64", "aarch64"), ("mine", "x86_64"), ("x86", "riscv64")]
)
def test_the_same_family_or_one_that_nobody_knows_is_measured(kind: str, machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert isinstance(source_of(cpu(kind)), OrtSource)


@pytest.mark.parametrize(("target", "device", "why"), [
    ("workstation", "npu", "what runs it on this machine is an emulator, and its times are not the device's"),
    ("workstation", "gpu", "nothing times the operators of runtime iree"),
    ("a16", "npu", "nothing times the operators of runtime coreml"),
])  # fmt: skip
def test_what_has_no_clock_here_is_refused_with_the_reason(target: str, device: str, why: str) -> None:
    with pytest.raises(UserError, match=f"{device} cannot be measured here: {why}"):
        source_of(load_target(target).device(device))


def test_a_model_that_is_not_there_is_told_before_anything_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autoglmc.compiler.calibrate.measure_here.measure_overhead", _never)
    target = load_target("x86_cpu")
    missing = Subject(network="m", case="m", path=tmp_path / "m.onnx", shapes={})
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    with pytest.raises(UsageError, match=r"m\.onnx is not a file"):
        measure_here(target, target.device("cpu"), [missing], {}, lambda _: None)


def test_where_nothing_was_measured_the_refusals_are_told() -> None:
    def nothing(*_: object) -> None:
        raise NothingMeasured("nothing was measured")

    empty = Measurement(device="cpu", runtime="", environment={}, segments=())
    with pytest.raises(UserError, match=r"nothing was measured \(m: it has no size\)"):
        _fit(nothing, empty, load_target("x86_cpu"), [Refused("m", "it has no size")])


def _never(*_: object) -> Callable[[], None]:
    raise AssertionError("it was measured")


@pytest.mark.parametrize(("models", "names"), [
    (["a/resnet.onnx", "b/bert.onnx"], ("resnet", "bert")),
    (["bert/model.onnx", "vit/model.onnx"], ("bert/model", "vit/model")),
    (["x/onnx/model.onnx", "y/onnx/model.onnx", "z.onnx"], ("x/onnx/model", "y/onnx/model", "z")),
])  # fmt: skip
def test_models_that_exporters_call_alike_are_told_apart(models: list[str], names: tuple[str, ...], tmp_path: Path) -> None:
    assert case_names([tmp_path / model for model in models]) == names


def test_a_size_goes_to_the_models_that_have_it(tmp_path: Path) -> None:
    dynamic, fixed = save(parse(DYNAMIC), tmp_path, "dynamic.onnx"), save(parse(RELU), tmp_path, "fixed.onnx")
    assert shapes_by_model([dynamic, fixed], ["batch=2,seq=3"]) == {dynamic: {"batch": 2, "seq": 3}, fixed: {}}
    with pytest.raises(UsageError, match="no model has a dim or an input 'sequence'"):
        shapes_by_model([dynamic, fixed], ["sequence=3"])
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    assert shapes_by_model([broken, fixed], ["sequence=3"]) == {broken: {"sequence": 3}, fixed: {}}
