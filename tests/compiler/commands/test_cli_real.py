"""The commands as a user types them, on a real model: compile, run, verify, check, and what they print for wrong files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import model_path
from small_models import RELU, parse, save

from autoglmc.compiler import cli
from autoglmc.compiler.bundle.manifest import FORMAT

Screen = pytest.CaptureFixture[str]
SHAPE = ["--shape", "batch=1,seq=32"]
IDS = {name: np.arange(32, dtype=np.int64)[None] % 2 for name in ("input_ids", "attention_mask", "token_type_ids")}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """bert_tiny for the a16, with segments of two devices."""
    out = tmp_path_factory.mktemp("real") / "bert.a16"
    assert cli.run([str(model_path("bert_tiny")), "--target", "a16", *SHAPE, "--emulate", "-o", str(out)]) == 0
    return out


def arrays(folder: Path, **changed: Any) -> str:
    path = folder / "in.npz"
    np.savez(path, **{name: value for name, value in {**IDS, **changed}.items() if value is not None})
    return str(path)


def test_compile_tells_its_progress_on_stderr_and_the_result_on_stdout(tmp_path: Path, capsys: Screen) -> None:
    model = shutil.copy(model_path("bert_tiny"), tmp_path / "bert.onnx")
    assert cli.run([str(model), "--target", "a16", *SHAPE, "--emulate"]) == 0
    shown = capsys.readouterr()
    assert (tmp_path / "bert.a16" / "manifest.json").is_file(), "beside the model, named after model and target"
    assert [line for line in shown.err.splitlines() if line in ("load", "recover", "place-operators", "plan")] != []
    for word in ("npu (ane)", "handoffs", "latency", "arena", "limits", "rewrites", "guesses", "verified"):
        assert word in shown.out
    assert len(shown.out.splitlines()) <= 40, "one screen"


def test_the_output_is_saved_and_is_what_the_model_computes(bundle: Path, tmp_path: Path, capsys: Screen) -> None:
    import onnxruntime

    assert cli.run(["run", str(bundle), "--input", arrays(tmp_path), "-o", str(tmp_path / "y.npz"), "--emulate", "--repeat", "2"]) == 0
    assert "2 runs: best" in capsys.readouterr().out
    (expected,) = onnxruntime.InferenceSession(str(model_path("bert_tiny"))).run(None, IDS)
    np.testing.assert_allclose(np.load(tmp_path / "y.npz")["out"], expected, atol=1e-4)


@pytest.mark.parametrize("width", [40, 80, 200])
def test_every_line_of_an_emulated_run_says_so(
    width: int, bundle: Path, tmp_path: Path, capsys: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    for arguments in (["run", str(bundle), "--input", arrays(tmp_path)], ["verify", str(model_path("bert_tiny")), str(bundle)]):
        assert cli.run([*arguments, "--emulate"]) == 0
        shown = capsys.readouterr().out
        assert "emulated" in shown and "1 (npu)" in shown


JSON: dict[str, Callable[[Path, Path], list[str]]] = {
    "compile": lambda b, f: [str(model_path("bert_tiny")), "--target", "a16", *SHAPE, "--emulate", "-o", str(f / "b")],
    "run": lambda b, f: ["run", str(b), "--input", arrays(f), "--emulate"],
    "run with -o": lambda b, f: ["run", str(b), "--input", arrays(f), "--emulate", "-o", str(f / "y.npz")],
    "verify": lambda b, f: ["verify", str(model_path("bert_tiny")), str(b), "--emulate"],
    "check": lambda b, f: ["check", str(model_path("bert_tiny"))],
    "targets": lambda b, f: ["targets"],
    "no such model": lambda b, f: ["no.onnx", "--target", "a16"],
    "no such target": lambda b, f: [str(model_path("bert_tiny")), "--target", "a17"],
    "no shape": lambda b, f: [str(model_path("bert_tiny")), "--target", "a16"],
    "no bundle": lambda b, f: ["run", str(f), "--input", arrays(f)],
    "no --emulate": lambda b, f: ["run", str(b), "--input", arrays(f)],
    "a broken target": lambda b, f: ["check", str(save(b"hw 1; target t { nonsense; }", f, "t.hw"))],
}


@pytest.mark.parametrize("name", JSON)
def test_json_is_valid_and_alone_on_stdout(name: str, bundle: Path, tmp_path: Path, capsys: Screen) -> None:
    code = cli.run([*JSON[name](bundle, tmp_path), "--json"])
    shown = capsys.readouterr()

    def refuse(word: str) -> float:
        raise AssertionError(f"{word} is no JSON number")

    facts = json.loads(shown.out, parse_constant=refuse)
    assert ("error" in facts) == (code != 0)
    if code:
        assert facts["error"]["exit_code"] == code and "Traceback" not in shown.err


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"input_ids": None, "inputids": IDS["input_ids"]}, "the model has no input 'inputids'\n  help: did you mean 'input_ids'?"),
        ({"input_ids": None}, "missing input input_ids: int64[1, 32]"),
        ({"input_ids": np.ones((1, 32), np.float32)}, "help: convert it: array.astype('int64')"),
        ({"input_ids": np.ones((1, 8), np.int64)}, "'input_ids' is int64[1, 8], the bundle takes int64[1, 32]"),
    ],
)
def test_arrays_that_do_not_fit(changed: dict[str, Any], words: str, bundle: Path, tmp_path: Path, capsys: Screen) -> None:
    assert cli.run(["run", str(bundle), "--input", arrays(tmp_path, **changed), "--emulate"]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "it is not an .npz file"),
        (b"hello", "it is not an .npz file"),
        (b"\x93NUMPY\x01\x00v\x00", "one array without a name"),
        (b"PK\x03\x04" + bytes(60), "not an .npz file of plain arrays"),
        (None, "no such file"),
    ],
)
def test_files_that_hold_no_arrays(data: bytes | None, words: str, bundle: Path, tmp_path: Path, capsys: Screen) -> None:
    path = tmp_path / "in.npz"
    if data is not None:
        path.write_bytes(data)
    assert cli.run(["run", str(bundle), "--input", str(path), "--emulate"]) == 2
    assert words in capsys.readouterr().err


def test_a_device_that_is_not_here_is_refused_without_emulate(bundle: Path, tmp_path: Path, capsys: Screen) -> None:
    assert cli.run(["run", str(bundle), "--input", arrays(tmp_path)]) == 1
    assert "segment 1 (npu: runtime coreml) cannot run here" in (shown := capsys.readouterr().err) and "--emulate" in shown


def _damage(**fields: Any) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        manifest = json.loads((folder / "manifest.json").read_text())
        for path, value in fields.items():
            *steps, last = path.split("__")
            place: Any = manifest
            for step in steps:
                place = place[int(step) if step.isdigit() else step]
            place[last] = value
        (folder / "manifest.json").write_text(json.dumps(manifest))

    return damage


def _flip(folder: Path) -> None:
    data = bytearray((folder / "segments" / "weights.bin").read_bytes())
    data[1000] ^= 1
    (folder / "segments" / "weights.bin").write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_flip, "segments/weights.bin has sha256"),
        (lambda folder: (folder / "segments" / "weights.bin").unlink(), "segments/weights.bin is missing"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "the manifest is not JSON"),
        (lambda folder: (folder / "manifest.json").write_text('{"a":' + "[" * 100_000), "the manifest is not JSON: nested too deeply"),
        (_damage(tool__format=FORMAT + 1), f"this version reads format {FORMAT}: compile again\n"),
        (_damage(arena__slots__1__offset=-64), "arena.slots[1].offset"),
        (_damage(arena__slots__1__offset=1 << 40), "after the arena's"),
        (_damage(arena__total=1 << 62), "arena.total is 4611686018427387904, the highest slot ends at"),
        (_damage(segments__0__file="../../../etc/passwd"), "segments[0].file"),
    ],
)
def test_a_damaged_bundle_is_refused(damage: Callable[[Path], None], words: str, bundle: Path, tmp_path: Path, capsys: Screen) -> None:
    copy = Path(shutil.copytree(bundle, tmp_path / "copy"))
    damage(copy)
    assert cli.run(["run", str(copy), "--input", arrays(tmp_path), "--emulate"]) == 1
    shown = capsys.readouterr().err
    assert words in shown and len(shown.splitlines()) <= 3


def test_a_bundle_with_the_wrong_model_or_none(bundle: Path, tmp_path: Path, capsys: Screen) -> None:
    assert cli.run(["verify", str(model_path("lightnet")), str(bundle), "--emulate"]) == 1
    assert "compiled from another model" in capsys.readouterr().err
    assert cli.run(["verify", str(bundle), str(model_path("bert_tiny")), "--emulate"]) == 1
    assert "a bundle is a folder, this is a file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "given", "saved"),
    [
        ("g (string[2] x) => (string[2] y) { y = Identity(x) }", np.array(["a", "bc"]), {"y": ["a", "bc"]}),
        ("g (float[2] x) => (seq(float[2]) y) { n = Neg(x) y = SequenceConstruct(x, n) }", np.array([1, 2], np.float32), None),
    ],
)
def test_strings_and_sequences_are_saved(
    text: str, given: np.ndarray, saved: dict[str, list[str]] | None, tmp_path: Path, capsys: Screen
) -> None:
    model = save(parse(text), tmp_path)
    assert cli.run([str(model), "--target", "x86_cpu", "-o", str(tmp_path / "b")]) == 0
    np.savez(tmp_path / "x.npz", x=given)
    assert cli.run(["run", str(tmp_path / "b"), "--input", str(tmp_path / "x.npz"), "-o", str(tmp_path / "y.npz")]) == 0
    found = {name: value.tolist() for name, value in np.load(tmp_path / "y.npz").items()}
    assert found == (saved or {"y.0": [1, 2], "y.1": [-1, -2]})


def test_places_that_cannot_be_written(tmp_path: Path, capsys: Screen) -> None:
    model = str(model_path("lightnet"))
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat").write_text("cat")
    for out, words in (("photos", "not an autoglmc bundle"), ("photos/cat", "a file where the bundle should go")):
        assert cli.run([model, "--target", "x86_cpu", "-o", str(tmp_path / out)]) == 1
        assert words in capsys.readouterr().err
    assert cli.run([model, "--target", "x86_cpu", "-o", str(tmp_path / "photos" / "cat" / "b")]) == 1
    assert "a file where a folder should be" in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*")] == ["photos", "cat"]


def test_a_target_by_name_with_suffix_or_path(tmp_path: Path, capsys: Screen) -> None:
    from autoglmc.targets.stock import stock_path

    model = str(save(parse("g (float[2] x) => (float[2] y) { y = Relu(x) }"), tmp_path))
    copied = shutil.copy(stock_path("x86_cpu"), tmp_path / "mine.hw")
    for number, target in enumerate(("x86_cpu", "x86_cpu.hw", str(copied))):
        assert cli.run([model, "--target", target, "-o", str(tmp_path / f"b{number}")]) == 0
    manifests = [(tmp_path / f"b{number}" / "manifest.json").read_bytes() for number in range(3)]
    assert manifests[0] == manifests[1] and json.loads(manifests[2])["target"]["name"] == "x86_cpu"


def test_a_target_with_several_errors_lists_them_all(tmp_path: Path, capsys: Screen) -> None:
    text = """hw 1;
target bad {
  onnx opset 13..21;
  memory dram { size 6 GiB; bandwidth 51.2 GBs; shared cpu, gpuu; }
  device cpu : arm64 { runtime ort; peak fp32 120 GFLOPS; launch 1 us; suports all; }
}
"""
    path = save(text.encode(), tmp_path, "bad.hw")
    for line in ([str(model_path("lightnet")), "--target", str(path)], ["check", str(path)]):
        assert cli.run(line) == 1
        shown = capsys.readouterr().err
        for words in ("unknown unit `GBs`", "no device `gpuu`", "has no `dispatch`", "did you mean `supports`?"):
            assert shown.count(words) == 1


@pytest.mark.parametrize("more", [["--repeat", "50"], ["--requests", "9"], ["--requests", "4", "--pipeline"], ["--input", "also.npz"]])
def test_inputs_that_are_not_finite_are_told_once(
    more: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    model = save(parse(RELU), tmp_path)
    assert cli.run([str(model), "--target", "x86_cpu", "--no-verify", "--allow-unverified", "-q", "-o", "b"]) == 0
    np.savez("x.npz", x=np.array([[np.nan, np.inf, 1, np.nan]], np.float32))
    np.savez("also.npz", x=np.array([[np.nan, 1, 1, 1]], np.float32))
    capsys.readouterr()
    assert cli.run(["run", "b", "--input", "x.npz", *more]) == 0
    files = "4 values that are NaN or infinite, in 2 of 2 files" if "also.npz" in more else "3 values that are NaN or infinite"
    told = [line for line in capsys.readouterr().err.splitlines() if "NaN" in line]
    assert told == [f"input 'x' holds {files}"]
    assert cli.run(["run", "b", "--input", "x.npz", "-q", *more]) == 0 and capsys.readouterr().err == ""
