"""`autoglmc why` of several entries: before compiling it says what compiling then does, and of a bundle what stands in its files."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import onnx
import pytest
from small_decoders import SPECS, decoder
from small_decoders import Decoder as Spec

from autoglmc.compiler import cli
from autoglmc.compiler.report.ways import way_lines

SIDE_BY_SIDE = """
hw 1;
include "snapdragon_8gen3.hw";
amend &snapdragon_8gen3.npu { dispatch 150 us @guess; launch 0.1 us @guess; }
amend &snapdragon_8gen3.link.npu.cpu { handoff 0.5 us @guess; }
amend &snapdragon_8gen3.cpu { peak fp32 20 GFLOPS @guess; }
"""
"""Many tokens are faster on the NPU, one is on the CPU."""
WITHOUT = 'hw 1;\ninclude "x86_cpu.hw";\namend &x86_cpu.cpu { deny { com.microsoft::GroupQueryAttention; Attention; RotaryEmbedding; } }\n'
CASES = {
    "one CPU": (Spec(), "x86_cpu", ("extended", "extended")),
    "a width that no operator extends": (Spec(width=12), "x86_cpu", ("appended", "appended")),
    "no such operator": (SPECS["sliding window"], WITHOUT, ("appended", "appended")),
    "NPU and CPU": (Spec(layers=2, heads=8, groups=4, width=16), SIDE_BY_SIDE, ("appended", "extended")),
}
ASKED = ["--state", "past.*=present.*", "--max-length", "64", "--bucket", "prefill=32", "--bucket", "decode"]
Screen = pytest.CaptureFixture[str]


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, Path, tuple[str, ...]]:
    """A model, a target, its bundle there, and the ways that its entries are written in."""
    (spec, target, ways), folder = CASES[request.param], tmp_path_factory.mktemp("why")
    onnx.save_model(decoder(spec), folder / "m.onnx")
    if "\n" in target:
        (folder / "board.hw").write_text(target)
        target = str(folder / "board.hw")
    line = [str(folder / "m.onnx"), "--target", target, *ASKED, "-o", str(folder / "b"), "-q", "--no-verify", "--allow-unverified"]
    assert cli.run(line) == 0
    return folder / "m.onnx", target, folder / "b", ways


def read(line: list[str], screen: Screen) -> dict[str, Any]:
    screen.readouterr()
    assert cli.run([*line, "--json"]) == 0
    return dict(json.loads(screen.readouterr().out))


def test_what_is_said_before_is_what_is_compiled(case: tuple[Path, str, Path, tuple[str, ...]], capsys: Screen) -> None:
    model, target, folder, ways = case
    before, after = read(["why", str(model), "--target", target, *ASKED], capsys), read(["why", str(folder)], capsys)
    assert list(before["entries"]) == list(after["entries"]) == ["prefill", "decode"]
    for (name, planned), way in zip(before["entries"].items(), ways, strict=True):
        made = after["entries"][name]
        assert [one["name"] for one in made["ways"] if one["taken"]] == [way]
        assert [{**one, "seconds": 0, "cost": 0} for one in planned["ways"]] == [{**one, "seconds": 0, "cost": 0} for one in made["ways"]]
        for mine, theirs in zip(planned["ways"], made["ways"], strict=True):
            assert mine["seconds"] == pytest.approx(theirs["seconds"]) and (mine["seconds"] is None) == bool(mine["reason"])
        assert planned["plan"]["latency"] == pytest.approx(made["latency"]) and planned["tokens"] == made["tokens"]
        taken = next(one for one in made["ways"] if one["taken"])
        assert all(one["seconds"] is None or one["seconds"] >= taken["seconds"] for one in made["ways"])


def test_every_operator_of_an_entry_is_found_where_it_lies(case: tuple[Path, str, Path, tuple[str, ...]], capsys: Screen) -> None:
    _, _, folder, _ = case
    manifest, facts = json.loads((folder / "manifest.json").read_text()), read(["why", str(folder)], capsys)
    for record, (name, one) in zip(manifest["entries"], facts["entries"].items(), strict=True):
        plan = record["plan"] or manifest
        nodes = {(s["device"], s["index"]): onnx.load(folder / s["file"], load_external_data=False).graph.node for s in plan["segments"]}
        counted = Counter({device: 0 for device, _ in nodes})
        for (device, _), found in nodes.items():
            counted[device] += len(found)
        assert {device: row["operators"] for device, row in one["devices"].items()} == counted
        kind = max(Counter(node.op_type for found in nodes.values() for node in found).items(), key=lambda pair: pair[1])[0]
        rows = [row for row in read(["why", str(folder), kind], capsys)["found"] if row["entry"] == name]
        expected = [(device, index, node.name) for (device, index), found in nodes.items() for node in found if node.op_type == kind]
        assert [(row["device"], row["segment"], row["name"]) for row in rows] == expected


def test_an_unknown_operator_of_a_bundle_is_refused(case: tuple[Path, str, Path, tuple[str, ...]], capsys: Screen) -> None:
    _, _, folder, _ = case
    assert cli.run(["why", str(folder), "Conv3DTransposed"]) == 2
    assert "no operator of the bundle is called 'Conv3DTransposed'" in capsys.readouterr().err


WAY: dict[str, Any] = {"taken": False, "seconds": None, "cost": None, "reason": ""}


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"seconds": 3e-6, "cost": 3e-6}, "rows that the session appends: 3.0 us predicted, 1.0 us more"),
        ({"seconds": 1e-6, "cost": 7.0}, "rows that the session appends: 1.0 us predicted, 1.0 us less, but no better by the objective"),
        ({"reason": "cpu has no room"}, "rows that the session appends: not planned: cpu has no room"),
    ],
)
def test_the_other_way_in_words(other: dict[str, Any], said: str) -> None:
    ways = [WAY | {"name": "extended", "taken": True, "seconds": 2e-6, "cost": 2e-6}, WAY | {"name": "appended"} | other]
    assert list(way_lines(ways)) == ["attention writes the new rows into the caches", said]


def test_a_state_that_is_replaced_says_why_it_is_copied(tmp_path: Path, capsys: Screen) -> None:
    model = Path(__file__).parents[2] / "models" / "gru_tiny.onnx"
    line = [str(model), "--target", "x86_cpu", "--shape", "steps=5", "--state", "h_in=h_out"]
    assert cli.run([*line, "-o", str(tmp_path / "b"), "-q"]) == 0
    (state,) = read(["why", str(tmp_path / "b")], capsys)["states"]
    assert state["copied"] == 24 and state["reason"] == "every run replaces all of it"
    capsys.readouterr()
    assert cli.run(["why", str(tmp_path / "b")]) == 0
    assert "24 B copied: every run replaces all of it" in capsys.readouterr().out
    assert list(read(["why", *line], capsys)["entries"]) == ["step"]


@pytest.mark.parametrize("words", [["--target", "x86_cpu"], ["--device", "cpu"], ["--state", "a=b"], ["--cache-dtype", "fp16"]])
def test_options_that_mean_nothing_for_a_bundle_are_refused(
    case: tuple[Path, str, Path, tuple[str, ...]], words: list[str], capsys: Screen
) -> None:
    assert cli.run(["why", str(case[2]), *words]) == 2
    assert f"{words[0]} is about a model that is planned anew" in capsys.readouterr().err
