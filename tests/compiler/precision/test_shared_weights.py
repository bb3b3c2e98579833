"""Weights of several entries in fewer bits: written once, each token that of onnxruntime on the saved model, caches where they are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from growing_cache import GrowingCache
from onnx import numpy_helper
from small_decoders import Decoder as Spec
from small_decoders import decoder

from autoglmc.compiler import cli
from autoglmc.compiler.driver.entries.compile_entries import Asked, compile_entries
from autoglmc.compiler.driver.entries.result import EntriesResult
from autoglmc.compiler.errors import UsageError
from autoglmc.compiler.load.weights import model_sha256
from autoglmc.compiler.precision.request import request_of
from autoglmc.compiler.state.request import StateRequest

SPEC = Spec(layers=2, width=16, vocabulary=256)
STATE = StateRequest((("past.*", "present.*"),), 64)
STEPS = {"prefill": Asked(shapes={}, tokens=8), "decode": Asked(shapes={}, tokens=1)}
PROMPT, COUNT = [3, 14, 15, 9, 26, 5, 8, 9, 7, 9], 20


def compiled(folder: Path, precision: str, entries: dict[str, Asked] = STEPS) -> EntriesResult:
    request = request_of(precision, None, save=folder / "saved.onnx")
    return compile_entries(decoder(SPEC), "x86_cpu", entries, state=STATE, precision=request, output=folder / "bundle")


@dataclass(frozen=True)
class Made:
    precision: str
    result: EntriesResult
    saved: Path


@pytest.fixture(scope="module", params=["int4", "int8"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp(request.param)
    return Made(request.param, compiled(folder, request.param), folder / "saved.onnx")


def greedy(model: onnx.ModelProto) -> list[int]:
    return GrowingCache(model, fuse=False).greedy(PROMPT, COUNT)[0]


def test_tokens_are_those_of_the_saved_model(made: Made) -> None:
    session = made.result.bundle.session()
    assert made.result.verified and list(session.generate(PROMPT, max_tokens=COUNT)) == greedy(onnx.load(made.saved))
    assert all(len(addresses) == 1 for addresses in session.addresses().values())
    assert not any(state.copied for state in made.result.manifest.states)


def test_shuffled_scales_give_other_tokens(made: Made) -> None:
    """The control of the comparison above."""
    model = onnx.load(made.saved)
    for tensor in model.graph.initializer:
        if "scale" in tensor.name:
            values = numpy_helper.to_array(tensor)
            shuffled = np.random.default_rng(0).permutation(values.reshape(-1)).reshape(values.shape)
            tensor.CopyFrom(numpy_helper.from_array(shuffled, tensor.name))
    assert greedy(model) != greedy(onnx.load(made.saved))


def test_weights_are_there_once(made: Made, tmp_path: Path) -> None:
    alone = compiled(tmp_path, made.precision, {"decode": STEPS["decode"]})
    both, one = (result.manifest.files["segments/weights.bin"].size for result in (made.result, alone))
    assert both <= 1.01 * one


def test_the_manifest_says_how(made: Made) -> None:
    manifest = made.result.manifest
    record = manifest.precision
    assert record is not None and manifest.model.sha256 == model_sha256(made.saved) != record.source_sha256
    assert record.weight_bytes[1] < record.weight_bytes[0] / (4 if made.precision == "int4" else 3)
    assert "logits" in record.forms["w8"] and any(name.startswith("gather") for name in record.forms["w8"])
    layers = record.forms["w4"] if made.precision == "int4" else record.forms["w8"]
    assert sum(name.startswith("matmul") for name in layers) == 4 * SPEC.layers


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--precision", "fp16"], "--precision fp16 and several entries exclude each other"),
        (["--precision", "int8", "--calibration-data", "d.npz"], "--precision int8 with calibration data and several entries"),
        (["--precision", "int4", "--save-quantized", "q.txt"], "q.txt"),
    ],
)
def test_what_cannot_be_asked_for(options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    onnx.save(decoder(SPEC), tmp_path / "m.onnx")
    words = ["--state", "past.*=present.*", "--max-length", "64", "--bucket", "prefill=8", "--bucket", "decode"]
    assert cli.run([str(tmp_path / "m.onnx"), "--target", "x86_cpu", *words, *options]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "m.x86_cpu").exists()


def test_a_quantised_model_is_refused(made: Made, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="quantised already"):
        compile_entries(made.saved, "x86_cpu", STEPS, state=STATE, precision=request_of("int4", None), output=tmp_path / "b")


def texts(folder: Path, tokens: int) -> str:
    for k in range(4):
        np.savez(folder / f"{k}.npz", input_ids=np.random.default_rng(k).integers(0, SPEC.vocabulary, (1, tokens)))
    return str(folder)


def test_positions_that_the_caller_gives_are_given_with_samples_too(tmp_path: Path) -> None:
    """The samples are tokens alone; what measures the bundle completes them as a caller would."""
    (tmp_path / "data").mkdir()
    request = request_of("int4", texts(tmp_path / "data", 6))
    model, state = decoder(replace(SPEC, positions_input=True, ordered=True)), replace(STATE, given=("position_ids",))
    made = compile_entries(model, "x86_cpu", STEPS, state=state, precision=request, output=tmp_path / "bundle")
    record = made.manifest.precision
    assert record is not None and [one.output for one in record.accuracy] == ["logits"]


def test_texts_that_no_cache_holds_are_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    request = request_of("int4", texts(tmp_path / "data", 65))
    with pytest.raises(UsageError, match="a calibration sample has 65 tokens, and the caches hold 64"):
        compile_entries(decoder(SPEC), "x86_cpu", STEPS, state=STATE, precision=request, output=tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()
