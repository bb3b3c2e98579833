"""A page that was given its model says of every operator what `autoglmc why` says; one that was not says that it does not know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page_bundles import MODELS, gelu, products

from autoglmc.compiler import cli
from autoglmc.compiler.report.page.page_data import page_data
from autoglmc.compiler.report.page.render import render_page
from autoglmc.compiler.run.bundle import Bundle

TARGETS = ("tensor_g2", "a16")


@pytest.fixture(scope="module", params=TARGETS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A model, compiled with --report; the name of its target."""
    model = tmp_path_factory.mktemp("explained") / "gelu.onnx"
    model.write_bytes(gelu().SerializeToString())
    line = [str(model), "--target", request.param, "--no-verify", "--allow-unverified", "--report", "--quiet"]
    assert cli.run(line) == 0
    return model, request.param


def data_of(page: Path) -> Any:
    text = page.read_text(encoding="utf-8")
    start = text.index('id="page-data">') + len('id="page-data">')
    return json.loads(text[start : text.index("</script>", start)])


def bundle_of(made: tuple[Path, str]) -> Path:
    return made[0].with_suffix(f".{made[1]}")


def page_of(made: tuple[Path, str]) -> Path:
    return bundle_of(made).with_name(f"gelu.{made[1]}.html")


def test_every_operator_is_explained_where_it_runs(made: tuple[Path, str]) -> None:
    data = data_of(page_of(made))
    why, manifest = data["why"], data["manifest"]
    assert why["elsewhere"] == 0 and len(why["operators"]) == len(data["operators"])
    for operator, row in zip(data["operators"], why["operators"], strict=True):
        assert row is not None
        subject = why["subjects"][row[0]]
        here = [one["device"] for one in subject["devices"] if one["here"]]
        assert here == [manifest["segments"][operator[0]]["device"]] == [subject["runs_on"]]
        assert all(one["say"] for one in subject["devices"])


def test_operators_take_what_their_segment_takes(made: tuple[Path, str]) -> None:
    """Each placed operator once, whatever it was rewritten to; a dispatch is no operator's."""
    data = data_of(page_of(made))
    taken: dict[int, dict[str, float]] = {}
    for operator, row in zip(data["operators"], data["why"]["operators"], strict=True):
        taken.setdefault(operator[0], {})[row[2]] = row[1]
    for segment in data["manifest"]["segments"]:
        assert sum(taken[segment["index"]].values()) <= segment["predicted_seconds"] * (1 + 1e-9)
    assert data["why"]["latency"] == pytest.approx(data["predicted"]["seconds"])


def test_it_says_what_why_says(made: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    """The verdicts of one kind of operator, with their prices; and the change that is smallest."""
    model, target = made
    why = data_of(page_of(made))["why"]
    capsys.readouterr()
    assert cli.run(["why", str(model), "Gelu", "--target", target, "--json"]) == 0
    asked = json.loads(capsys.readouterr().out)
    assert why["device"] == asked["device"]
    shown = [one for one in why["subjects"] if one["operator"] == "Gelu"]
    assert len(shown) == len(asked["subjects"])
    for mine, theirs in zip(shown, asked["subjects"], strict=True):
        assert [{k: v for k, v in one.items() if k != "say"} for one in mine["devices"]] == theirs["devices"]
        fits = [one for one in theirs["changes"] if not one["refusal"]]
        assert mine["changes"][-1:] == fits[:1]


def test_lines_of_the_target_are_quoted(made: tuple[Path, str]) -> None:
    why = data_of(page_of(made))["why"]
    places = {place for place in why["lines"] if f" {place}" in json.dumps([one["devices"] for one in why["subjects"]])}
    assert places and all(":" in place and text for place, text in why["lines"].items())


def test_the_model_can_be_given_later(made: tuple[Path, str], tmp_path: Path) -> None:
    page = tmp_path / "later.html"
    assert cli.run(["report", str(bundle_of(made)), "--model", str(made[0]), "-o", str(page), "--quiet"]) == 0
    later, first = data_of(page), data_of(page_of(made))
    assert later["why"] == first["why"] and later["plan"] is None and first["plan"] is not None


def test_a_page_of_the_bundle_alone_says_what_it_lacks(made: tuple[Path, str]) -> None:
    data = page_data(Bundle.load(bundle_of(made)))
    text = render_page(data)
    assert data["why"] is None and data["plan"] is None
    assert "made from the bundle alone" in text


def test_another_model_or_target_is_refused(made: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.onnx"
    model = gelu()
    model.producer_name = "another"
    other.write_bytes(model.SerializeToString())
    place = ["-o", str(tmp_path / "page.html")]
    assert cli.run(["report", str(bundle_of(made)), "--model", str(other), *place]) == 2
    assert "compiled from another model" in capsys.readouterr().err
    assert cli.run(["report", str(bundle_of(made)), "--model", str(made[0]), "--target", "x86_cpu", *place]) == 2
    assert "other numbers or rules" in capsys.readouterr().err
    assert cli.run(["report", str(bundle_of(made)), "--target", "x86_cpu", *place]) == 2
    assert not (tmp_path / "page.html").exists()


def test_compile_refuses_a_place_before_it_compiles(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "gelu.onnx"
    model.write_bytes(gelu().SerializeToString())
    line = [str(model), "--target", "x86_cpu", "--no-verify"]
    assert cli.run([*line, "--report", str(tmp_path / "page.txt")]) == 2
    assert "--report" in capsys.readouterr().err
    for option in (["--pareto", "latency,memory"], ["--stop-after", "simplify"]):
        assert cli.run([*line, *option, "--report", str(tmp_path / "page.html")]) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gelu.onnx"]


def test_a_quantised_model_is_explained_where_it_was_saved(tmp_path: Path) -> None:
    """The saved file has the sizes that were bound; without one the page is without what devices say, and has the rest."""
    model, samples = tmp_path / "net.onnx", tmp_path / "samples.npz"
    net = products()
    net.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "rows"
    model.write_bytes(net.SerializeToString())
    np.savez(samples, x=np.random.default_rng(1).standard_normal((16, 64)).astype(np.float32))
    line = [str(model), "--target", "x86_cpu", "--shape", "rows=1", "--calibration-data", str(samples), "--allow-unverified", "--quiet"]
    for name, option in (("alone", []), ("saved", ["--save-quantized", str(tmp_path / "q.onnx")])):
        assert cli.run([*line, *option, "-o", str(tmp_path / name), "--report"]) == 0
    alone, saved = (data_of(tmp_path / f"{name}.html") for name in ("alone", "saved"))
    assert alone["why"] is None and alone["plan"] == saved["plan"] is not None
    assert saved["why"]["elsewhere"] == 0 and None not in saved["why"]["operators"]
    assert saved["manifest"]["precision"]["units"]
    page = tmp_path / "later.html"
    assert cli.run(["report", str(tmp_path / "saved"), "--model", str(tmp_path / "q.onnx"), "-o", str(page), "--quiet"]) == 0
    assert data_of(page)["why"] == saved["why"]


def test_a_bundle_with_caches_is_not_explained_from_its_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, folder = MODELS / "decoder_tiny.onnx", tmp_path / "decoder"
    asked = ["--state", "past.*=present.*", "--bucket", "prefill=8", "--bucket", "decode", "--max-length", "32"]
    line = [str(model), "--target", "x86_cpu", *asked, "-o", str(folder), "--no-verify", "--allow-unverified", "--quiet"]
    assert cli.run(line) == 0
    assert cli.run([*line, "--report", str(tmp_path / "page.html")]) == 2
    assert "--report and several entries exclude each other" in capsys.readouterr().err
    assert cli.run(["report", str(folder), "--model", str(model), "-o", str(tmp_path / "page.html")]) == 2
    assert "keeps caches" in capsys.readouterr().err
