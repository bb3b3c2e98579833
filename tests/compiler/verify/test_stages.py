"""The stages of a quantised model are judged as its bundle is: one that takes other steps of a grid is not wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from half_nets import NETS
from quantised_models import quantised_as

from autoglmc.compiler.driver.compile_model import compile_model


@pytest.mark.parametrize(("net", "form"), [("vit", "signed"), ("vit", "channel"), ("mixer", "signed"), ("resnet", "tensor")])
def test_stages_of_a_verified_bundle_are_verified(net: str, form: str, tmp_path: Path) -> None:
    report = compile_model(quantised_as(form, NETS[net](), tmp_path), "x86_cpu", output=tmp_path / "b").verification
    assert not isinstance(report, str) and report.verified, report
    assert [stage.stage for stage in report.stages if not stage.verified] == []
