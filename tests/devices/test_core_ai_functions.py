"""Several functions of one .aimodel, with weights once and caches as states: on Apple's interpreter, against onnxruntime with a cache that
grows; what cannot be written so is refused by name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from msgspec import structs
from run_core_ai import run_core_ai
from small_models import parse, save

from autoglmc.compiler import cli
from autoglmc.compiler.bundle.entries import views
from autoglmc.compiler.devices.core_ai import attention
from autoglmc.compiler.devices.core_ai.adapter import not_installed
from autoglmc.compiler.devices.core_ai.run import Interpreted
from autoglmc.compiler.devices.onnx_node import Refused
from autoglmc.compiler.driver.entries.compile_entries import Asked, compile_entries
from autoglmc.compiler.errors import BundleError, VerifyError
from autoglmc.compiler.export.export import export_model
from autoglmc.compiler.export.functions import Entries, Wanted
from autoglmc.compiler.load import weights
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.compiler.run.check.check_files import check_files
from autoglmc.compiler.state.request import state_request

LACK = not_installed()
pytestmark = pytest.mark.skipif(LACK is not None, reason=f"{LACK and LACK.reason}: {LACK and LACK.help}")
DECODER = Path(__file__).parents[1] / "models" / "decoder_tiny.onnx"
LENGTH, PREFILL = 64, 16
WORDS = ["--state", "past.*=present.*", "--bucket", f"prefill={PREFILL}", "--bucket", "decode", "--max-length", str(LENGTH)]
STEPS = Entries(wanted={"prefill": Wanted(tokens=PREFILL), "decode": Wanted(tokens=1)}, state=state_request(["past.*=present.*"], LENGTH))
Screen = pytest.CaptureFixture[str]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def asset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Exported in a process of its own."""
    out = tmp_path_factory.mktemp("asset") / "decoder.aimodel"
    program = "from autoglmc.compiler.cli import main; main()"
    command = [sys.executable, "-c", program, "export", str(DECODER), "-o", str(out), *WORDS, "--quiet"]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONHASHSEED": "7"}, capture_output=True)
    return out


def test_functions_have_the_caches_as_states_and_the_weights_once(asset: Path) -> None:
    from coreai.authoring import AIModelAsset

    about = AIModelAsset.load(asset).summary()
    caches = [f"past.{layer}.{which}" for layer in (0, 1) for which in "kv"]
    assert about is not None and about.function_names == ["prefill", "decode"]
    for name in about.function_names:
        assert [state for state, _ in about.function_states(name)] == caches
        assert [given for given, _ in about.function_inputs(name)] == ["input_ids", "cache_length"]
        assert [output for output, _ in about.function_outputs(name)] == ["logits"]
    program, weights = (asset / "main.mlirb").read_bytes(), onnx.load(DECODER).graph.initializer
    large = [onnx.numpy_helper.to_array(tensor).tobytes() for tensor in weights if np.prod(tensor.dims) > 256]
    assert large and all(program.count(data) <= 1 for data in large) and any(program.count(data) for data in large)


def test_another_process_writes_the_same_bytes_and_says_what_it_compared(asset: Path, tmp_path: Path, capsys: Screen) -> None:
    again = tmp_path / "again.aimodel"
    assert cli.run(["export", str(DECODER), "-o", str(again), *WORDS, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert contents(again) == contents(asset)
    assert facts["verified"] and {one["name"] for one in facts["parity"]["outputs"]} >= {"logits", "present.0.k", "present.1.v"}
    assert all(one["relative"] < 1e-6 for one in facts["parity"]["outputs"])
    about = json.loads(json.loads(contents(asset)["metadata.json"])["creatorDefinedMetadata"]["autoglmc.export"])
    assert about["functions"] == facts["functions"] and about["parity"] == facts["parity"]
    assert about["functions"]["prefill"]["tokens"] == PREFILL and about["functions"]["decode"]["max_length"] == LENGTH
    assert about["functions"]["decode"]["states"]["past.0.k"] == "present.0.k"


def test_weights_that_stay_in_their_file_until_then_are_in_it(asset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "LARGE", 256)
    onnx.save(onnx.load(DECODER), tmp_path / "m.onnx", save_as_external_data=True, size_threshold=256, location="m.data")
    assert cli.run(["export", str(tmp_path / "m.onnx"), "-o", str(tmp_path / "m.aimodel"), *WORDS, "--quiet"]) == 0
    assert contents(tmp_path / "m.aimodel")["main.mlirb"] == contents(asset)["main.mlirb"]


def grown(path: Path, prompt: np.ndarray[Any, Any], steps: int) -> Iterator[tuple[Any, dict[str, Any], dict[str, Any]]]:
    """Greedy, by onnxruntime on the export, whose caches grow: tokens of a step, its outputs, and the caches behind it."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    pasts = {i.name: i.shape for i in session.get_inputs() if i.name.startswith("past")}
    caches = {name: np.zeros((1, shape[1], 0, shape[3]), np.float32) for name, shape in pasts.items()}
    tokens = prompt
    for _ in range(steps):
        total = next(iter(caches.values())).shape[2] + tokens.shape[1]
        feeds = {"input_ids": tokens, **caches}
        for given in session.get_inputs():
            if "mask" in given.name:
                feeds[given.name] = np.ones((1, total), np.int64)
            elif "position" in given.name:
                feeds[given.name] = np.arange(total - tokens.shape[1], total)[None]
        found = dict(zip(names, session.run(None, feeds), strict=True))
        caches = {name: found[name.replace("past", "present")] for name in pasts}
        yield tokens, found, caches
        tokens = found["logits"][:, -1:].argmax(-1)


def test_greedy_tokens_are_those_of_onnxruntime_with_a_cache_that_grows(asset: Path) -> None:
    interpreted, states, limit = Interpreted(asset), dict[str, Any](), 2e-6
    length, chosen = 0, []
    for tokens, found, caches in grown(DECODER, np.random.default_rng(0).integers(0, 32, (1, PREFILL - 6)), 12):
        if not states:  # NaN everywhere: what lies behind the last token must not matter
            states = {past: np.full((1, cache.shape[1], LENGTH, cache.shape[3]), np.nan, np.float32) for past, cache in caches.items()}
        entry, count = ("prefill", PREFILL) if length == 0 else ("decode", 1)
        given = {"input_ids": np.resize(tokens, (1, count)).astype(np.int32), "cache_length": np.array([length], np.int32)}
        got, states = interpreted.step(given, states, entry)
        logits, length = got["logits"][:, : tokens.shape[1]], length + tokens.shape[1]
        assert np.abs(logits - found["logits"]).max() < limit
        assert all(np.abs(states[past][:, :, :length] - cache).max() < limit for past, cache in caches.items())
        chosen.append((int(logits[0, -1].argmax()), int(found["logits"][0, -1].argmax())))
    assert len(chosen) == 12 and all(mine == theirs for mine, theirs in chosen)


@pytest.mark.parametrize(("heads", "groups", "tokens", "options"), [
    (4, 4, 3, {}), (4, 2, 1, {"local_window_size": 3}), (6, 2, 4, {"softcap": 2.0, "scale": 0.5}), (2, 1, 2, {"local_window_size": 1}),
])  # fmt: skip
def test_attention_over_a_cache_is_onnxruntimes(heads: int, groups: int, tokens: int, options: Mapping[str, Any]) -> None:
    width, rows, before = 8, 12, 5
    rng = np.random.default_rng(heads)
    shapes = {"q": (1, tokens, heads * width), "k": (1, tokens, groups * width), "v": (1, tokens, groups * width)}
    shapes |= {"pk": (1, groups, rows, width), "pv": (1, groups, rows, width)}
    f32, i32 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT32
    inputs = [onnx.helper.make_tensor_value_info(name, f32, shape) for name, shape in shapes.items()]
    inputs += [onnx.helper.make_tensor_value_info(name, i32, [1]) for name in ("last", "total")]
    outputs = [onnx.helper.make_tensor_value_info(name, f32, shapes[of]) for name, of in (("y", "q"), ("nk", "pk"), ("nv", "pv"))]
    names = [value.name for value in inputs]
    settings = {"num_heads": heads, "kv_num_heads": groups, **options}
    node = onnx.helper.make_node("GroupQueryAttention", names, ["y", "nk", "nv"], domain="com.microsoft", **settings)
    opsets = [onnx.helper.make_opsetid("", 21), onnx.helper.make_opsetid("com.microsoft", 1)]
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", inputs, outputs), opset_imports=opsets, ir_version=10)
    feeds: dict[str, Any] = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    feeds |= {"last": np.array([before + tokens - 1], np.int32), "total": np.array([before + tokens], np.int32)}
    theirs = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feeds)
    feeds["pk"][:, :, before + tokens :] = feeds["pv"][:, :, before + tokens :] = np.nan
    mine = run_core_ai(model, feeds)
    np.testing.assert_allclose(mine["y"], theirs[0], atol=2e-6)
    for name, expected in (("nk", theirs[1]), ("nv", theirs[2])):
        np.testing.assert_array_equal(mine[name][:, :, : before + tokens], expected[:, :, : before + tokens])
    node.attribute.append(onnx.helper.make_attribute("do_rotary", 1))
    del model.graph.node[:]
    model.graph.node.append(node)
    with pytest.raises(Refused, match="the attribute do_rotary: only attention over the caches of --state is converted"):
        run_core_ai(model, feeds)


RECURRENT = """g (float[1,n,3] x, float[1,3] h) => (float[1,n,3] y, float[1,3] next) <float[3,3] w = {1,0,2,0,1,0,1,1,0}> {
  axes = Constant<value_ints = [1]>()
  s = ReduceMean<keepdims = 0>(x, axes) p = MatMul(h, w) t = Add(s, p) next = Tanh(t)
  wide = Unsqueeze(next, axes) y = Add(x, wide)
}"""


def test_states_of_one_shape_are_replaced_by_every_run(tmp_path: Path, capsys: Screen) -> None:
    out = tmp_path / "m.aimodel"
    words = ["--state", "h=next", "--bucket", "short:n=2", "--bucket", "long:n=5"]
    assert cli.run(["export", str(save(parse(RECURRENT), tmp_path)), "-o", str(out), *words]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "short: " in said and "1 state, replaced as a whole by every run: h" in said and "long: y" in said
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    loaded, kept, state = Interpreted(out), {"h": np.zeros((1, 3), np.float32)}, np.zeros((1, 3), np.float32)
    for name, count in (("short", 2), ("long", 5), ("short", 2)):
        x = np.random.default_rng(count).standard_normal((1, count, 3)).astype(np.float32)
        y, state = session.run(["y", "next"], {"x": x, "h": state})
        found, kept = loaded.step({"x": x}, kept, name)
        np.testing.assert_allclose(found["y"], y, atol=1e-6)
        np.testing.assert_allclose(kept["h"], state, atol=1e-6)


def test_a_cache_that_is_written_at_another_row_is_not_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = attention._with_rows

    def wrong(node: Any, cache: Any, begin: Any, new: Any) -> Any:
        return right(node, cache, node.api.value(np.array([3], np.int32)), new)

    monkeypatch.setattr(attention, "_with_rows", wrong)
    with pytest.raises(VerifyError, match="the converted model differs: "):
        export_model(DECODER, tmp_path / "m.aimodel", entries=STEPS)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "words", "code", "says"),
    [
        ("m.tflite", WORDS, 2, "--bucket and --state are for .aimodel files"),
        ("m.aimodel", WORDS[:2] + WORDS[-2:], 2, "--state needs the steps that are to be taken"),
        ("m.aimodel", ["--bucket", "small"], 2, "--bucket small names no sizes"),
        ("m.aimodel", ["--bucket", "a:seq=2", "--bucket", "a:seq=2"], 2, "this entry is there already"),
        ("m.aimodel", ["--state", "past.*=present.*"], 2, "the state 'past.0.k' has a dim without a size"),
        ("m.aimodel", [*WORDS, "--inputs", "x.npz"], 2, "--inputs fit one of them at most"),
        ("m.aimodel", [*WORDS[:-1], "8"], 2, "the entry 'prefill' takes 16 tokens at once, and the caches hold 8"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_written(
    name: str, words: list[str], code: int, says: str, tmp_path: Path, capsys: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("x.npz", input_ids=np.zeros((1, 2), np.int64))
    assert cli.run(["export", str(DECODER), "-o", str(tmp_path / name), *words]) == code
    assert says in " ".join(capsys.readouterr().err.split())
    assert [path.name for path in tmp_path.iterdir()] == ["x.npz"]


def test_a_state_of_a_dtype_that_core_ai_lacks_is_named(tmp_path: Path, capsys: Screen) -> None:
    path = save(parse("g (float[2] x, double[2] h) => (float[2] y, double[2] n) { y = Neg(x) n = Identity(h) }"), tmp_path)
    assert cli.run(["export", str(path), "-o", str(tmp_path / "m.aimodel"), "--state", "h=n"]) == 1
    assert "the input h: double is not converted" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


PHONE = """hw 1;
include "std/coreai.hw";
include "std/ort_cpu.hw";
target phone {
  onnx opset 13..21;
  memory dram { size 4 GiB; budget 1 GiB; bandwidth 5 GB/s; page 16 KiB; shared npu, cpu; }
  device npu : ane {
    runtime coreai ios >= 27;
    peak fp16 10 TFLOPS; peak fp32 10 TFLOPS; dispatch 0.01 us; launch 0.01 us;
    inherit coreai;
    supports fp32 { inherit coreai; }
  }
  device cpu : arm64 { runtime ort; inherit ort_cpu; peak fp32 1 GFLOPS; dispatch 1 us; launch 1 us; }
  link npu <-> cpu { via shared; zero_copy; handoff 0.01 us; copy 2 GB/s; }
}
"""
"""Caches lie where both devices reach them: those of `a16_ios27` are copied for the Neural Engine unless they are fp16."""


def phone_bundle(folder: Path, verify: bool = True) -> Bundle:
    folder.mkdir()
    (folder / "phone.hw").write_text(PHONE)
    entries = {name: Asked(shapes={}, tokens=wanted.tokens) for name, wanted in STEPS.wanted.items()}
    made = compile_entries(DECODER, folder / "phone.hw", entries, state=STEPS.state, output=folder / "b", verify=verify)
    assert made.verified == verify
    return Bundle.load(folder / "b")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return phone_bundle(tmp_path_factory.mktemp("bundle") / "first")


def on_the_npu(bundle: Bundle) -> dict[str, onnx.ModelProto]:
    segments = [segment for view in views(bundle.manifest) for segment in view.segments if segment.device == "npu"]
    assert {segment.blob for segment in segments} == {"segments/coreai.aimodel"}
    return {Path(segment.file).stem: onnx.load_model(bundle.folder / segment.file) for segment in segments}


def test_segments_of_all_entries_are_functions_of_one_file_with_caches_as_states(bundle: Bundle) -> None:
    from coreai.authoring import AIModelAsset

    segments, about = on_the_npu(bundle), AIModelAsset.load(bundle.folder / "segments" / "coreai.aimodel").summary()
    assert about is not None and sorted(about.function_names) == sorted(segments)
    assert {name.partition("-")[0] for name in segments} == {"prefill", "decode"}
    kept = {state for name in segments for state, _ in about.function_states(name)}
    assert kept == {state.past for state in bundle.manifest.states} and not any(state.copied for state in bundle.manifest.states)
    program = (bundle.folder / "segments" / "coreai.aimodel" / "main.mlirb").read_bytes()
    shared = {tensor.name: onnx.numpy_helper.to_array(tensor) for model in segments.values() for tensor in model.graph.initializer}
    assert any(array.size > 256 for array in shared.values())
    assert all(program.count(array.tobytes()) <= 1 for array in shared.values() if array.size > 256)


def test_a_bundles_greedy_tokens_are_those_of_a_cache_that_grows(bundle: Bundle) -> None:
    session = bundle.session()
    for tokens, found, caches in grown(DECODER, np.random.default_rng(3).integers(0, 32, (1, PREFILL + 3)), 8):
        session.poison()
        logits = session.step("decode" if tokens.shape[1] == 1 else "prefill", {"input_ids": tokens})["logits"]
        np.testing.assert_allclose(logits, found["logits"], atol=3e-6)
        assert logits[0, -1].argmax() == found["logits"][0, -1].argmax()
        for name, cache in session.filled().items():
            np.testing.assert_allclose(cache, caches[name.replace("present", "past")], atol=3e-6)


def test_a_bundle_compiled_again_has_the_same_bytes_and_a_foreign_file_in_it_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    again = phone_bundle(tmp_path / "second", verify=False)
    first, second = (contents(one.folder / "segments" / "coreai.aimodel") for one in (bundle, again))
    assert first == second
    program = again.folder / "segments" / "coreai.aimodel" / "main.mlirb"
    data = bytearray(program.read_bytes())
    data[len(data) // 2] ^= 1
    program.write_bytes(data)
    with pytest.raises(BundleError, match=r"main\.mlirb has sha256"):
        Bundle.load(again.folder)
    name = "segments/coreai.aimodel/main.mlirb"
    files = {**again.manifest.files, name: structs.replace(bundle.manifest.files[name], compiled_from="0" * 64)}
    program.write_bytes(first["main.mlirb"])
    with pytest.raises(BundleError, match="was not compiled from segments/"):
        check_files(again.folder, structs.replace(again.manifest, files=files))
