"""Options that contradict each other where a bundle has entries: one sentence, exit code 2, and nothing is written."""

from __future__ import annotations

from pathlib import Path

import numpy
import onnx
import pytest
from small_agents import LINKS, Agent
from small_decoders import Decoder, decoder

from autoglmc.compiler import cli

STATES = ["--state", "past.*=present.*", "--max-length", "32"]
STEP = ["alone.onnx", "--target", "x86_cpu", *STATES, "--bucket", "prefill=8", "--bucket", "decode"]
JOINED = ["vision.onnx", "embed.onnx", "decoder.onnx", *STEP[1:], "--given", "position_ids"]
JOINED += [word for link in LINKS for word in ("--link", link)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("options")
    for name, model in {**Agent().models(), "alone": decoder(Decoder())}.items():
        onnx.save_model(model, place / f"{name}.onnx")
    numpy.savez(place / "x.npz", x=numpy.zeros(1))
    return place


@pytest.mark.parametrize(
    ("line", "more", "said"),
    [
        (STEP, ["--shape", "seq=4"], "leave out --shape seq: --bucket says how many tokens a run takes"),
        (STEP, ["--shape", "past=3"], "leave out --shape past: --max-length says how many tokens the caches hold"),
        (STEP, ["--inputs", "x.npz"], "--inputs is for a model as it stands"),
        (STEP, ["--prune", "50%"], "--prune and several entries exclude each other"),
        (STEP, ["--precision", "fp16"], "--precision fp16 and several entries exclude each other"),
        (STEP, ["--pareto", "latency,memory"], "--pareto and several entries exclude each other"),
        (STEP, ["--resident", "1KiB"], "cannot be kept"),
        (STEP, ["--compress", "--resident", "1MiB"], "exclude each other"),
        (STEP, ["--link", "a.b=c.d"], "--link joins several models, and there is one"),
        (STEP, ["--bucket", "decode"], "this entry is there already"),
        (JOINED, ["--precision", "int4"], "--precision and several entries exclude each other"),
        (JOINED, ["--no-fallback"], "--no-fallback and several entries exclude each other"),
        (JOINED, ["--given", "input_ids"], "no input of that name follows from the number of tokens"),
        (JOINED, ["--report", "r.html"], "--report and several entries exclude each other"),
    ],
)
def test_one_sentence_and_nothing_written(
    folder: Path, line: list[str], more: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    before = sorted(folder.iterdir())
    assert cli.run([*line, *more, "-o", "out", "--no-verify", "--quiet"]) in (1, 2)
    told = capsys.readouterr()
    assert said in told.err and "Traceback" not in told.err and told.out == ""
    assert told.err.count("error:") == 1 and sorted(folder.iterdir()) == before
