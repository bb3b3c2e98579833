"""Measurements stand beside the prediction as their records have them, and only those of the same bundle."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from page_bundles import MODELS

from autoglmc.compiler import cli
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.report.page.measured import read_measured
from autoglmc.compiler.report.page.page_data import Beside, page_data
from autoglmc.compiler.report.page.render import render_page
from autoglmc.compiler.run.bundle import Bundle

DOCS = Path(__file__).parents[4] / "docs"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with two devices, and two records of it."""
    place = tmp_path_factory.mktemp("measured")
    compile_model(MODELS / "lightnet.onnx", "tensor_g2", shapes={"batch": 1}, output=place / "b", verify=False)
    np.savez(place / "x.npz", pixel_values=np.ones((1, 3, 96, 96), np.float32))
    asked = [str(place / "b"), "--input", str(place / "x.npz"), "--emulate", "--quiet"]
    assert cli.run(["run", *asked, "--requests", "5", "--pipeline", "--record", str(place / "run.json")]) == 0
    assert cli.run(["bench", *asked, "--warmup", "1", "--repeat", "5", "--record", str(place / "bench.json")]) == 0
    return place


def record(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text(encoding="utf-8"))


def shown(folder: Path, *names: str) -> Any:
    bundle = Bundle.load(folder / "b")
    return page_data(bundle, Beside(measured=tuple((name, read_measured(folder / name, bundle)) for name in names)))


def test_a_record_has_its_schema(folder: Path) -> None:
    for name in ("run", "bench"):
        schema = json.loads((DOCS / f"{name}.schema.json").read_text(encoding="utf-8"))
        Draft202012Validator(schema).validate(record(folder, f"{name}.json"))


def test_steps_are_those_of_the_record(folder: Path) -> None:
    """Of one request, moved to begin at 0; of pipelined ones all."""
    written, data = record(folder, "run.json"), shown(folder, "run.json")
    (one,) = data["measured"]
    alone, together = one["lines"]
    number = alone["spans"][0]["request"]
    mine = [span for span in written["spans"] if span[0] == number]
    for line, spans in ((alone, mine), (together, written["pipelined"])):
        start = min(begin for _, _, begin, _ in spans)
        expected = [(request, step, begin - start, end - start) for request, step, begin, end in spans]
        assert [(s["request"], s["step"], s["begin"], s["end"]) for s in line["spans"]] == expected
        assert line["seconds"] == max(end for *_, end in spans) - start
    lasts = sorted(max(s[3] for s in spans) - min(s[2] for s in spans) for spans in by_request(written["spans"])[1:])
    assert one["seconds"] == statistics.median(lasts) and alone["seconds"] == lasts[(len(lasts) - 1) // 2]


def by_request(spans: list[list[float]]) -> list[list[list[float]]]:
    return [[span for span in spans if span[0] == number] for number in sorted({span[0] for span in spans})]


def test_medians_are_those_of_the_record(folder: Path) -> None:
    written, data = record(folder, "bench.json"), shown(folder, "bench.json")
    (one,) = data["measured"]
    assert one["record"] == written and one["seconds"] == written["seconds"]["p50"]
    assert one["segments"] == {str(each["segment"]): each["seconds"]["p50"] for each in written["segments"]}
    (line,) = one["lines"]
    runs = [span for span in line["spans"] if span["kind"] == "run"]
    assert [span["end"] - span["begin"] for span in runs] == pytest.approx([one["segments"][str(span["segment"])] for span in runs])


def test_the_page_says_where_the_cpu_stood_in(folder: Path) -> None:
    text = render_page(shown(folder, "run.json", "bench.json"))
    assert text.count("say nothing about tensor_g2") == 2 and "times what is predicted" not in text
    assert "Nothing here was measured" not in text
    assert "Nothing here was measured" in render_page(shown(folder))


def test_the_command_takes_records(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    line = ["report", str(folder / "b"), "-o", str(page), "--quiet"]
    assert cli.run([*line, "--record", str(folder / "run.json"), "--record", str(folder / "bench.json")]) == 0
    assert page.read_text(encoding="utf-8") == render_page(shown(folder, "run.json", "bench.json"))


def edited(folder: Path, place: Path, name: str, **changes: Any) -> Path:
    place.write_text(json.dumps({**record(folder, name), **changes}), encoding="utf-8")
    return place


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("run.json", {"bundle": "0" * 64}, "another bundle"),
        ("bench.json", {"bundle": "0" * 64}, "another bundle"),
        ("run.json", {"format": 9}, "format 9"),
        ("run.json", {"spans": []}, "no request"),
        ("run.json", {"spans": [[0, 10_000, 0.0, 1.0]]}, "a step that the bundle has not"),
        ("run.json", {"spans": "many"}, "no record of a measurement"),
        ("bench.json", {"more": 1}, "no record of a measurement"),
    ],
)
def test_what_is_no_record_of_the_bundle_is_refused(
    name: str, changes: Any, said: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = edited(folder, tmp_path / "record.json", name, **changes)
    assert cli.run(["report", str(folder / "b"), "-o", str(tmp_path / "p.html"), "--record", str(file)]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "p.html").exists()


def test_hostile_words_of_a_record_are_text(folder: Path, tmp_path: Path) -> None:
    hostile = "</script><img src=x onerror='window.hurt=1'>"
    file = edited(folder, tmp_path / "record.json", "run.json", environment={"processor": hostile, "date": hostile}, emulated=[hostile])
    bundle = Bundle.load(folder / "b")
    text = render_page(page_data(bundle, Beside(measured=((f"{hostile}.json", read_measured(file, bundle)),))))
    assert "<img" not in text and text.count("</script>") == 6
