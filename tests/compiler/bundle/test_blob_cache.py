"""Bundles come out the same whatever state the cache of compiled files is in, and one note says where it cannot be used."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from small_models import parse, save
from stub_adapter import MODEL, StubAdapter, target_with, use_stub

from autoglmc.compiler.bundle.blobs import blob_cache
from autoglmc.compiler.bundle.blobs.blob_cache import converters_digest
from autoglmc.compiler.cache.folders import cache_folder
from autoglmc.compiler.cache.whole import DIGESTS, MADE
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.driver.result import CompileResult
from autoglmc.compiler.run.bundle import Bundle

NOT_KEPT = "what was compiled ahead of time is not kept for the next run"


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], CompileResult]:
    """Compiles one model for a stub of a runtime into a folder of that name, without verifying it."""
    use_stub(monkeypatch, tmp_path)
    path = save(parse(MODEL), tmp_path)
    return lambda name: compile_model(path, target_with("fine"), output=tmp_path / name, verify=False)


def blob_of(result: CompileResult) -> bytes:
    name = result.manifest.segments[0].blob
    assert name is not None
    Bundle.load(result.folder)
    return (result.folder / name).read_bytes()


@pytest.mark.parametrize(
    "fault",
    [
        lambda entry: (entry / MADE).write_bytes((entry / MADE).read_bytes()[:-7]),
        lambda entry: (entry / MADE).write_bytes(b"\xff" + (entry / MADE).read_bytes()[1:]),
        lambda entry: (entry / MADE).write_bytes(b""),
        lambda entry: (entry / MADE).unlink(),
        lambda entry: (entry / DIGESTS).unlink(),
        lambda entry: (entry.rename(entry.with_name("other")), entry.write_bytes(b"a file")),
        lambda entry: (entry.rename(entry.with_name("other")), entry.symlink_to("other")),
    ],
)
def test_a_damaged_entry_is_made_again(compiled: Callable[[str], CompileResult], fault: Callable[[Path], object]) -> None:
    first = blob_of(compiled("one"))
    (entry,) = cache_folder("blobs").iterdir()
    fault(entry)
    result = compiled("two")
    assert blob_of(result) == first and not [note for note in result.notes if NOT_KEPT in note]
    made = (entry / MADE).stat().st_ino
    assert blob_of(compiled("three")) == first and (entry / MADE).stat().st_ino == made, "and used from then on"


@pytest.mark.parametrize("home", ["a file in its way", "others can write it", "no home"])
def test_without_a_cache_all_is_well_and_one_note_says_so(
    compiled: Callable[[str], CompileResult], home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = blob_of(compiled("one"))
    folder = cache_folder("blobs")
    if home == "a file in its way":
        folder.rename(folder.with_name("aside"))
        folder.write_text("x")
    elif home == "others can write it":
        folder.chmod(0o777)
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", "relative")
        monkeypatch.setattr(Path, "home", staticmethod(_no_home))
    result = compiled("two")
    assert blob_of(result) == first
    (note,) = [note for note in result.notes if NOT_KEPT in note]
    says = {"a file in its way": "exists", "others can write it": "chmod go-w", "no home": "this user has no home"}[home]
    assert says in note


def _no_home() -> Path:
    raise RuntimeError("no home")


TWICE = """
import sys; sys.path.insert(0, {tests!r})
import pytest, pathlib
from stub_adapter import target_with, use_stub
from autoglmc.compiler.driver.compile_model import compile_model
use_stub(pytest.MonkeyPatch(), pathlib.Path({folder!r}))
compile_model({model!r}, target_with("fine"), output=sys.argv[1], verify=False)
"""


def test_two_processes_at_once_are_both_right(compiled: Callable[[str], CompileResult], tmp_path: Path) -> None:
    code = TWICE.format(tests=str(Path(__file__).parents[2]), folder=str(tmp_path), model=str(tmp_path / "model.onnx"))
    outs = [tmp_path / str(k) for k in range(2)]
    children = [subprocess.Popen([sys.executable, "-c", code, str(out)], env=os.environ) for out in outs]
    assert [child.wait(timeout=120) for child in children] == [0, 0]
    assert len({(out / "manifest.json").read_bytes() for out in outs}) == 1
    assert blob_of(compiled("after")) == (outs[0] / "segments" / "00-npu.stub").read_bytes()
    assert len(list(cache_folder("blobs").iterdir())) == 1


def test_a_changed_converter_makes_other_files(tmp_path: Path) -> None:
    """Its sources are part of the key: what an older one wrote is not used."""
    converters_digest.cache_clear()
    seen = {converters_digest(tmp_path)}
    for name, text in (("emit.py", "a = 1"), ("emit.py", "a = 2"), ("deep/emit.py", "a = 2"), ("deep/other.py", "")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        converters_digest.cache_clear()
        seen.add(converters_digest(tmp_path))
    assert len(seen) == 5
    (tmp_path / "notes.txt").write_text("a = 3")
    converters_digest.cache_clear()
    assert converters_digest(tmp_path) in seen


def test_the_key_of_a_compiled_file_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    adapter, model = StubAdapter(()), onnx.ModelProto(ir_version=8)
    before = blob_cache.blob_key(model, adapter, ())
    monkeypatch.setattr(blob_cache, "converters_digest", lambda: "another")
    assert blob_cache.blob_key(model, adapter, ()) != before
