"""`why` of several models and of a deploy file, on the command line and in Python: each entry as it is compiled; and in which way of
writing a step an operator is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import pytest
from small_agents import LINKS, Agent
from small_decoders import Decoder as Spec
from small_decoders import decoder

import autoglmc
from autoglmc.compiler import cli
from autoglmc.compiler.report.ways import asked_line

FILES = ("vision.onnx", "embed.onnx", "decoder.onnx")
OPTIONS = ["--state", "past.*=present.*", "--max-length", "32", "--given", "position_ids", "--bucket", "prefill=16", "--bucket", "decode"]
DEPLOY = """hw 1;
deploy agent {
  target "snapdragon_8gen3";
  model  vision "vision.onnx";
  model  embed "embed.onnx";
  model  decoder "decoder.onnx";
  link   vision "features" -> decoder "inputs_embeds" rows image;
  link   embed "inputs_embeds" -> decoder "inputs_embeds";
  state  "past.*" = "present.*" max 32;
  given  "position_ids";
  shapes { prefill: seq 16; decode: seq 1; }
}
"""
Screen = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("why")
    for name, model in Agent().models().items():
        onnx.save_model(model, place / f"{name}.onnx")
    onnx.save_model(decoder(Spec()), place / "alone.onnx")
    (place / "agent.hw").write_text(DEPLOY)
    return place


def line(folder: Path, *words: str, target: str = "snapdragon_8gen3") -> list[str]:
    links = [word for link in LINKS for word in ("--link", link)]
    return ["why", *(str(folder / name) for name in FILES), *words, "--target", target, *OPTIONS, *links]


def read(words: list[str], screen: Screen) -> dict[str, Any]:
    screen.readouterr()
    assert cli.run([*words, "--json"]) == 0
    return dict(json.loads(screen.readouterr().out))


def test_every_entry_is_planned_as_it_is_compiled(folder: Path, capsys: Screen) -> None:
    """On the command line, from a deploy file and in Python alike."""
    before = read([*line(folder, target="x86_cpu"), "--tries", "0"], capsys)
    assert cli.run([*line(folder, target="x86_cpu")[1:], "-q", "--no-verify", "--allow-unverified", "-o", str(folder / "b")]) == 0
    after = read(["why", str(folder / "b")], capsys)
    assert list(before["entries"]) == list(after["entries"]) == ["prefill", "decode", "vision", "embed-prefill", "embed-decode"]
    for name, planned in before["entries"].items():
        made = after["entries"][name]
        assert planned["plan"]["latency"] == pytest.approx(made["latency"]) and planned["model_name"] == made["model"], name
        assert planned["plan"]["on"] == {device: one["operators"] for device, one in made["devices"].items()}, name


def test_a_deploy_file_and_python_say_the_same(folder: Path, capsys: Screen) -> None:
    said = read([*line(folder), "--tries", "0"], capsys)
    assert read(["why", "--deploy", str(folder / "agent.hw"), "--tries", "0"], capsys)["entries"].keys() == said["entries"].keys()
    models = {Path(name).stem: folder / name for name in FILES}
    step: dict[str, Any] = {"states": "past.*=present.*", "max_length": 32, "given": "position_ids"}
    report = autoglmc.why(models, "snapdragon_8gen3", **step, buckets={"prefill": 16, "decode": 1}, links=LINKS, tries=0)
    deployed = autoglmc.why(deploy=folder / "agent.hw", tries=0)
    for one in (report, deployed):
        assert {name: dict(entry.operators) for name, entry in one.entries.items()} == {
            name: entry["plan"]["on"] for name, entry in said["entries"].items()
        }
    assert report.entries["decode"].tokens == 1 and [way.name for way in report.entries["decode"].ways] == ["extended", "appended"]
    assert "5 entries" in repr(report)


def test_python_compiles_what_it_explains(folder: Path) -> None:
    bundle = autoglmc.compile(deploy=folder / "agent.hw", verify=False, output=folder / "deployed")
    assert [entry.name for entry in bundle.manifest.entries][:2] == ["prefill", "decode"]
    one = autoglmc.compile(folder / "alone.onnx", "x86_cpu", states="past.*=present.*", max_length=16, buckets=["decode"], verify=False)
    assert [entry.tokens for entry in one.manifest.entries] == [1]


def test_an_operator_of_one_model_is_shown_where_it_is(folder: Path, capsys: Screen) -> None:
    facts = read(line(folder, "Tanh"), capsys)
    assert list(facts["entries"]) == ["vision"] and facts["without"] == ["prefill", "decode", "embed-prefill", "embed-decode"]
    assert cli.run(line(folder, "Conv3D")) == 2
    assert "called 'Conv3D'" in capsys.readouterr().err


def test_an_operator_of_one_way_says_which(folder: Path, capsys: Screen) -> None:
    words = ["--target", "snapdragon_8gen3", "--state", "past.*=present.*", "--max-length", "32", "--bucket", "decode"]
    for operator, way in (("Softmax", "appended"), ("GroupQueryAttention", "extended")):
        (one,) = read(["why", str(folder / "alone.onnx"), operator, *words], capsys)["entries"].values()
        assert one["asked_in"] == [way] == [one["shown"]] and one["subjects"]
    (both,) = read(["why", str(folder / "alone.onnx"), "RotaryEmbedding", *words], capsys)["entries"].values()
    assert set(both["asked_in"]) == {"extended", "appended"} and not asked_line(both["ways"], both["shown"], both["asked_in"])


WAY: dict[str, Any] = {"taken": False, "seconds": 1.0, "cost": 1.0, "reason": ""}
WAYS = [WAY | {"name": "extended", "taken": True}, WAY | {"name": "appended"}]


def test_the_way_of_an_operator_in_words() -> None:
    assert asked_line(WAYS, "extended", ["extended", "appended"]) == ""
    there = "there where attention writes new rows itself, as it is here; not where the session appends new rows"
    assert asked_line(WAYS, "extended", ["extended"]) == there
    assert "which is not taken here" in asked_line(WAYS, "appended", ["appended"])
    refused = [WAYS[0], WAYS[1] | {"seconds": None, "reason": "no room"}]
    assert asked_line(refused, "extended", ["extended"]) == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["alone.onnx", "A", "B", "--target", "x86_cpu"], "'B' is one word too many"),
        (["alone.onnx", "--target", "x86_cpu", "--link", "a.b=c.d"], "--link joins several models, and there is one"),
        (["--deploy", "agent.hw", "--target", "x86_cpu"], "--target and --deploy exclude each other"),
        (["--target", "x86_cpu"], "Missing argument"),
    ],
)
def test_words_that_mean_nothing_are_refused(
    folder: Path, words: list[str], said: str, capsys: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert cli.run(["why", *words]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "no model is given"),
        ({"model": "alone.onnx"}, "no target is given"),
        ({"model": "alone.onnx", "deploy": "agent.hw"}, "model and deploy exclude each other"),
        ({"model": {"a b": "alone.onnx"}, "target": "x86_cpu"}, "'a b' cannot name a model"),
        ({"model": "alone.onnx", "target": "x86_cpu", "buckets": {"decode": "one"}}, "buckets['decode'] is 'one'"),
        ({"model": "alone.onnx", "target": "x86_cpu", "buckets": 5}, "buckets are texts, not 5"),
        ({"model": "alone.onnx", "target": "x86_cpu", "states": [3]}, "states are texts, not [3]"),
        ({"model": "alone.onnx", "target": "x86_cpu", "max_length": 8}, "--max-length needs --state"),
        ({"model": "alone.onnx", "target": "x86_cpu", "states": "a=b", "max_length": 1}, "from 2 to 16,777,216, not 1"),
        ({"model": "alone.onnx", "target": "x86_cpu", "states": "a=b", "max_length": 2**40}, "from 2 to 16,777,216, not 1099511627776"),
        ({"deploy": 5}, "deploy is the path of a .hw file, not 5"),
        ({"model": "alone.onnx", "target": "x86_cpu", "states": "a=b", "cache_dtype": "fp8"}, "cache_dtype is 'fp16' or None"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(folder: Path, given: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(autoglmc.UsageError) as raised:
        autoglmc.why(**given)
    assert said in str(raised.value)
