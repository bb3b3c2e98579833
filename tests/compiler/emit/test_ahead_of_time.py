"""Files compiled ahead of time: kept by content, hashed in the bundle, and never half a bundle when the work is killed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_models import parse, save
from stub_adapter import MODEL, target_with, use_stub

from autoglmc.compiler.cache.contents import clear
from autoglmc.compiler.cache.folders import cache_folder
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.errors import BundleError, UserError
from autoglmc.compiler.run.bundle import Bundle


def made(folder: Path) -> dict[str, int]:
    """Files by name; one that is written again is another file."""
    return {path.name: path.stat().st_ino for path in cache_folder("blobs").iterdir()}


def test_an_unchanged_segment_is_compiled_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_stub(monkeypatch, tmp_path)
    path = save(parse(MODEL), tmp_path)
    first = compile_model(path, target_with("fine"), output=tmp_path / "one")
    before = made(tmp_path)
    second = compile_model(path, target_with("fine"), output=tmp_path / "two")
    assert len(before) == 1 and made(tmp_path) == before
    blob = first.manifest.segments[0].blob
    assert blob is not None and (first.folder / blob).read_bytes() == (second.folder / blob).read_bytes()
    compile_model(save(parse(MODEL.replace("Sin", "Cos")), tmp_path, "other.onnx"), target_with("fine"), output=tmp_path / "three")
    assert len(made(tmp_path)) == 2


def test_a_changed_byte_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_stub(monkeypatch, tmp_path)
    result = compile_model(save(parse(MODEL), tmp_path), target_with("fine"), output=tmp_path / "bundle")
    name = result.manifest.segments[0].blob
    assert name is not None
    data = bytearray((result.folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (result.folder / name).write_bytes(data)
    with pytest.raises(BundleError, match=f"{name} has sha256"):
        Bundle.load(result.folder)


def test_a_blob_stands_beside_no_other_segment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Swapped in the manifest, swapped on disk with the hashes, or beside a changed segment, changed weights or other options."""
    use_stub(monkeypatch, tmp_path)
    made = [
        compile_model(save(parse(MODEL.replace("Sin", kind)), tmp_path), target_with("fine"), output=tmp_path / kind)
        for kind in ("Sin", "Cos")
    ]
    folder, other = made[0].folder, made[1].folder
    text, name = (folder / "manifest.json").read_text(), made[0].manifest.segments[0].blob
    assert name is not None and made[0].manifest.files[name].compiled_from != made[1].manifest.files[name].compiled_from
    elsewhere = json.loads((other / "manifest.json").read_text())
    foreign = elsewhere["files"]
    segment = made[0].manifest.segments[0].file

    def changed(change: Callable[[Any], None]) -> None:
        data = json.loads(text)
        change(data)
        (folder / "manifest.json").write_text(json.dumps(data))

    shutil.copyfile(other / name, folder / name)
    changed(lambda m: m["files"].update({name: foreign[name]}))
    with pytest.raises(BundleError, match=f"{name} was not compiled from {segment} and its weights for this runtime"):
        Bundle.load(folder)
    shutil.copyfile(other / segment, folder / segment)
    whole = {name: foreign[name], segment: foreign[segment]}
    changed(lambda m: (m["files"].update(whole), m.update(segments=elsewhere["segments"])))
    Bundle.load(folder)  # both of the other bundle: another bundle, as only a signature could tell
    (folder / "segments" / "weights.bin").write_bytes(b"1")
    digest = hashlib.sha256(b"1").hexdigest()
    weights = {"sha256": digest, "size": 1, "compiled_from": None}
    changed(lambda m: m["files"].update({**whole, "segments/weights.bin": weights}))
    with pytest.raises(BundleError, match="was not compiled from"):
        Bundle.load(folder)


def test_no_run_compiles_unless_that_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A bundle without the file of a runtime that is here, as one that was made elsewhere: hostile input, if it comes from anywhere."""
    use_stub(monkeypatch, tmp_path)
    result = compile_model(save(parse(MODEL), tmp_path), target_with("fine"), output=tmp_path / "bundle")
    data = json.loads((result.folder / "manifest.json").read_text())
    del data["files"][data["segments"][0]["blob"]]
    data["segments"][0] |= {"blob": None, "runtime": {**data["segments"][0]["runtime"], "versions": {}}}
    (result.folder / "manifest.json").write_text(json.dumps(data))
    clear()
    bundle = Bundle.load(result.folder)
    with pytest.raises(
        UserError, match=r"segment 0 \(npu: runtime stub\) cannot run here: the bundle has no file compiled for it"
    ) as failure:
        bundle.session()
    assert "--recompile" in failure.value.help and "--emulate" in failure.value.help
    assert (bundle.session(emulate=True).emulated == ("0 (npu)",) and not cache_folder("blobs").exists()) or not made(tmp_path)
    assert bundle.session(recompile=True).native
    assert made(tmp_path)


def test_what_a_killed_compiler_left_goes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_stub(monkeypatch, tmp_path)
    cache_folder("blobs").mkdir(parents=True)
    old, young = cache_folder("blobs") / ".new-old", cache_folder("blobs") / ".new-young"
    for folder in (old, young):
        (folder / "half").mkdir(parents=True)
    os.utime(old, (0, 0))
    compile_model(save(parse(MODEL), tmp_path), target_with("fine"), output=tmp_path / "bundle")
    assert not old.exists() and young.exists()


KILLED = """
import sys; sys.path.insert(0, {tests!r})
import pytest, pathlib
from stub_adapter import target_with, use_stub
from autoglmc.compiler.driver.compile_model import compile_model
use_stub(pytest.MonkeyPatch(), pathlib.Path({folder!r}))
def tell(message):
    print(message, flush=True)
compile_model({model!r}, target_with("fine"), output={out!r}, progress=tell)
"""


def test_killed_while_a_segment_is_compiled_the_old_bundle_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_stub(monkeypatch, tmp_path)
    out = tmp_path / "bundle"
    compile_model(save(parse(MODEL), tmp_path), target_with("fine"), output=out)
    before = (out / "manifest.json").read_bytes()
    other = save(parse(MODEL.replace("Sin", "Cos")), tmp_path, "other.onnx")
    tests = Path(__file__).parents[2]
    code = KILLED.format(tests=str(tests), folder=str(tmp_path), model=str(other), out=str(out))
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert child.stdout is not None
    lines = iter(child.stdout.readline, "")
    reached = next((line for line in lines if line.startswith("compile ")), None)
    assert reached is not None, "the compilation ahead of time was not reached"
    child.send_signal(signal.SIGKILL)
    child.wait()
    time.sleep(0.1)
    assert (out / "manifest.json").read_bytes() == before
    Bundle.load(out)
    compile_model(other, target_with("fine"), output=out)
    assert (out / "manifest.json").read_bytes() != before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".autoglmc")], "leftovers are removed by the next run"
