"""A runtime's own compiler that crashes ends the compilation: one message, nothing written but what reproduces it."""

from __future__ import annotations

import math
import pickle
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_models import parse, save
from stub_adapter import MODEL, target_with, use_stub

from autoglmc.compiler.activity import Limits, limited
from autoglmc.compiler.bundle.blobs.blob_cache import build
from autoglmc.compiler.bundle.blobs.crash import CompilerCrashed, crashed
from autoglmc.compiler.bundle.blobs.join_blob import fewest
from autoglmc.compiler.devices import find_adapter
from autoglmc.compiler.devices.find_adapter import adapter_for
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.driver.crash import explained
from autoglmc.compiler.driver.entries.compile_entries import Asked, compile_entries
from autoglmc.compiler.driver.search_budget import Meter, SearchBudget


def crash_of(folder: Path, *words: str, out: str = "bundle") -> CompilerCrashed:
    with pytest.raises(CompilerCrashed) as caught:
        compile_model(save(parse(MODEL), folder), target_with(*words), output=folder / out)
    assert not (folder / out).exists() and caught.value.exit_code == 1
    return caught.value


def seen_again(repro: Path) -> int:
    """The exit code of the command that README.md states."""
    lines = (repro / "README.md").read_text().splitlines()
    (command,) = [line.partition("`")[2].rstrip("`") for line in lines if line.startswith("- see it")]
    program, *arguments = shlex.split(command)
    assert program == "python"
    return subprocess.run([sys.executable, *arguments], capture_output=True).returncode


@pytest.fixture(autouse=True)
def stub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_stub(monkeypatch, tmp_path)


@pytest.mark.parametrize(
    ("words", "says", "named"),
    [
        (("crash", "Tanh"), "the compiler of stub crashed (SIGSEGV)", "Tanh"),
        (("both", "Exp", "Cos"), "the compiler of stub crashed (SIGSEGV)", "Cos"),
        (("bug", "Exp"), "the compiler of stub crashed: KeyError: 'a table has no such entry'", "Exp"),
    ],
)
def test_the_message_names_segment_and_operators(words: tuple[str, ...], says: str, named: str, tmp_path: Path) -> None:
    crash = crash_of(tmp_path, *words)
    assert crash.message.startswith(says) and crash.where == "segment 0 (npu), 5 operators: Sin (sin_1) to Sigmoid (sigmoid_5)"
    assert f"it crashes on {named} (" in crash.help and f"add to the device: deny {{ {named} where" in crash.help
    assert len(crash.deny) == 1 and crash.deny[0] in crash.help
    assert crash.repro == str(tmp_path / "bundle.repro") and crash.repro in crash.help
    assert pickle.loads(pickle.dumps(crash)).as_json() == crash.as_json()


def test_the_saved_segment_shows_it_again(tmp_path: Path) -> None:
    assert seen_again(Path(crash_of(tmp_path, "crash", "Tanh").repro)) == -11


def test_an_earlier_bundle_stays_and_a_foreign_folder_is_not_replaced(tmp_path: Path) -> None:
    path, out = save(parse(MODEL), tmp_path), tmp_path / "bundle"
    compile_model(path, target_with("fine"), output=out)
    before = (out / "manifest.json").read_bytes()
    (tmp_path / "bundle.repro").mkdir()
    (tmp_path / "bundle.repro" / "mine").touch()
    with pytest.raises(CompilerCrashed) as caught:
        compile_model(path, target_with("crash", "Tanh"), output=out)
    assert (out / "manifest.json").read_bytes() == before and caught.value.repro == ""
    assert [found.name for found in (tmp_path / "bundle.repro").iterdir()] == ["mine"]


def test_a_compiler_that_does_not_end_is_not_asked_again(tmp_path: Path) -> None:
    with limited(Limits(seconds=3)):
        crash = crash_of(tmp_path, "hang", "Sin")
    assert crash.message == "the compiler of stub did not finish within 3 s" and crash.ending == "too slow"
    assert "--time-limit" in crash.help and "deny" not in crash.help


def test_a_segment_that_cannot_be_taken_apart_is_still_told_of() -> None:
    """Nothing says what shape the first result has."""
    crash = crashed("stub", "stub crash Tanh", "SIGSEGV", "").on("segment 0 (npu)", lambda: parse(MODEL))
    assert explained(crash, Meter(SearchBudget()), lambda line: None).message == "the compiler of stub crashed (SIGSEGV)"
    assert crash.deny == () and crash.help == ""


def test_of_an_entry_the_segment_is_saved_beside_the_bundle(tmp_path: Path) -> None:
    model = save(parse(MODEL.replace("64", "N")), tmp_path)
    with pytest.raises(CompilerCrashed) as caught:
        compile_entries(model, target_with("crash", "Tanh"), {"one": Asked(shapes={"N": 4})}, output=tmp_path / "out")
    assert caught.value.repro == str(tmp_path / "out.repro") and not (tmp_path / "out").exists()
    assert (tmp_path / "out.repro" / "segment.onnx").is_file()


@pytest.mark.parametrize(("sizes", "at", "saved"), [("8", "", ["two"]), ("4+8", ", with one-00-npu before it", ["one", "two"])])
def test_of_segments_in_one_file_those_are_named_and_saved_that_crash(sizes: str, at: str, saved: list[str], tmp_path: Path) -> None:
    """Each of them is compiled alone before, which does not crash."""
    model = save(parse(MODEL.replace("64", "N")), tmp_path)
    entries = {name: Asked(shapes={"N": size}) for name, size in (("one", 4), ("two", 8), ("three", 16))}
    with pytest.raises(CompilerCrashed) as caught:
        compile_entries(model, target_with("joins", sizes), entries, output=tmp_path / "out", verify=False)
    crash = caught.value
    assert crash.message.startswith("the compiler of stub crashed (SIGSEGV): at ") and crash.runtime == f"stub joins {sizes}"
    assert crash.where == f"the function two-00-npu of stub.stub{at}"
    assert crash.repro == str(tmp_path / "out.repro") and crash.repro in crash.help and not (tmp_path / "out").exists()
    assert sorted(path.name for path in Path(crash.repro).glob("*.onnx")) == [f"{name}-00-npu.onnx" for name in saved]
    assert seen_again(Path(crash.repro)) == -11
    assert pickle.loads(pickle.dumps(crash)).as_json() == crash.as_json()


@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.frozensets(st.integers(0, n - 1), min_size=1, max_size=4))))
def test_what_crashes_together_is_found_in_few_asks(case: tuple[int, frozenset[int]]) -> None:
    (count, culprits), asked = case, []

    def crashes(some: Sequence[int]) -> bool:
        asked.append(some)
        return culprits <= set(some)

    found = fewest(count, crashes)
    assert culprits <= set(found) and found[-1] == max(culprits) and (len(found) == 1) == (len(culprits) == 1 or found == [0])
    assert len(asked) <= math.ceil(math.log2(count)) + 1


COMPILING = {
    "qnn": ("htp", "arch", "75", "soc", "57"),
    "openvino": ("cpu",),
    "iree": ("vulkan",),
    "coreml": ("mlprogram", "ios", ">=", "17"),
    "coreai": ("ios", ">=", "27"),
    "litert": (),
    "ethos_u": ("vela", "5.2", "config", "u55-256", "system", "Ethos_U55_High_End_Embedded", "memory", "Shared_Sram"),
}
"""Words of each runtime that compiles ahead of time."""
CRASHING = """
from autoglmc.compiler.devices import find_adapter
from autoglmc.compiler.devices.find_adapter import adapter_for
def crash(self, model, blob):
    import os, signal
    blob.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGSEGV)
type(adapter_for({name!r}, {words!r})).compile = crash
"""


@pytest.mark.parametrize("name", sorted(COMPILING))
def test_it_is_so_for_every_runtime(name: str, tmp_path: Path) -> None:
    """Its compiler is a child that ends itself; the runtime need not be here."""
    adapter = adapter_for(name, COMPILING[name])
    assert adapter is not None and adapter.suffix
    (tmp_path / "sitecustomize.py").write_text(CRASHING.format(name=name, words=COMPILING[name]))
    path, place = save(parse(MODEL), tmp_path), tmp_path / f"made{adapter.suffix}"
    with pytest.raises(CompilerCrashed, match=rf"the compiler of {name} crashed \(SIGSEGV\)") as caught:
        build(adapter, COMPILING[name], path, f"crash-{name}", place)
    assert caught.value.runtime == " ".join((name, *COMPILING[name])) and not place.exists()


def test_every_runtime_that_compiles_is_among_them() -> None:
    source = Path(find_adapter.__file__).read_text(encoding="utf-8")
    adapters = {name: adapter_for(name, COMPILING.get(name, ("x",))) for name in re.findall(r'runtime == "(\w+)"', source)}
    assert {name for name, adapter in adapters.items() if adapter is not None and adapter.suffix} == set(COMPILING)
