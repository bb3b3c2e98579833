"""The drawings in docs/ show the bundle that is compiled today, and the README's sentence about it is true."""

from __future__ import annotations

import re

import pytest
from doc_pages import ROOT
from golden import Golden

import autoglmc
from autoglmc.compiler.report.page.page_data import page_data
from autoglmc.compiler.report.page.render import render_svg


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> autoglmc.CompileResult:
    model, output = ROOT / "tests" / "models" / "lightnet.onnx", tmp_path_factory.mktemp("picture") / "bundle"
    return autoglmc.compile_model(model, "tensor_g2", shapes={"batch": 1}, output=output, verify=False)


def test_every_segment_and_every_crossing_is_drawn(result: autoglmc.CompileResult) -> None:
    manifest, text = result.bundle.manifest, render_svg(page_data(result.bundle), "partition")
    assert [int(k) for k in re.findall(r">segment (\d+),", text)] == [segment.index for segment in manifest.segments]
    assert text.count("<rect") == len(manifest.segments) == 7
    assert text.count("marker-end") == len(manifest.handoffs) == 6


def test_the_readme_says_what_the_picture_shows(result: autoglmc.CompileResult) -> None:
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert "in seven segments" in text and "six handoffs without a copy" in text
    assert {handoff.mode for handoff in autoglmc.Bundle.load(result.folder).manifest.handoffs} == {"zero_copy"}
    plan, host, greedy = (result.as_json()["latency"][key] for key in ("predicted", "all_host", "greedy"))
    assert "twice as fast as the CPU alone" in text and 1.95 < host / plan < 2.15
    assert "1.4 times as fast as giving the NPU all that it can run" in text and 1.35 < greedy / plan < 1.45


@pytest.mark.parametrize(("drawing", "file"), [("partition", "partition.svg"), ("timeline", "timeline.svg"), ("memory", "arena.svg")])
def test_the_drawings_are_up_to_date(drawing: str, file: str, result: autoglmc.CompileResult, golden: Golden) -> None:
    golden(ROOT / "docs" / file, render_svg(page_data(result.bundle), drawing))
