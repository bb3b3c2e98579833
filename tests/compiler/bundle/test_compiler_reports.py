"""What a compiler says of a segment is kept; that it crashed, or was ended, is not, and ends what it was asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_models import parse

from autoglmc.compiler.bundle.blobs import blob_cache, compiler_reports
from autoglmc.compiler.bundle.blobs.blob_cache import FAULT, REFUSED, SegmentRefused
from autoglmc.compiler.bundle.blobs.crash import CompilerCrashed, too_slow
from autoglmc.compiler.devices.adapter import CompilerReport

SEGMENT = parse("g (float[4] x) => (float[4] y) { y = Relu(x) }")


class Estimating:
    name, suffix = "estimating", ".bin"

    def cannot_compile(self) -> None:
        return None

    def versions(self) -> dict[str, str]:
        return {}

    def report(self, blob: Path) -> CompilerReport:
        return CompilerReport(seconds=1e-3, peak_bytes=64)

    def within(self, size: int) -> tuple[str, ...]:
        return ()


def asked(monkeypatch: pytest.MonkeyPatch, problem: Exception | None) -> CompilerReport | None:
    def build(*given: Any) -> None:
        if problem is not None:
            raise problem

    monkeypatch.setattr(compiler_reports, "build", build)
    return compiler_reports.compiler_report(Estimating(), ("words",), SEGMENT, ())  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_a_segment_whose_compiler_was_ended_is_asked_of_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CompilerCrashed, match="did not finish within 1 s"):
        asked(monkeypatch, too_slow("estimating", "estimating words", 1.0))
    found = asked(monkeypatch, None)
    assert found is not None and found.seconds == 1e-3


def test_a_refusal_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, SegmentRefused("it does not take it")) is None
    assert asked(monkeypatch, AssertionError("it is not asked again")) is None
    assert compiler_reports.compiler_refusal(Estimating(), ("words",), SEGMENT, ()) == "it does not take it"  # type: ignore[arg-type]
    assert compiler_reports.compiler_refusal(Estimating(), ("others",), SEGMENT, ()) == ""  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (-9, "the compiler of estimating was killed (SIGKILL)"),
        (-15, "the compiler of estimating was killed (SIGTERM)"),
        (-11, "the compiler of estimating crashed (SIGSEGV): bad blob"),
        (139, "the compiler of estimating crashed (SIGSEGV): bad blob"),
        (256 - 6, "the compiler of estimating crashed (SIGABRT): bad blob"),
        (1, "the compiler of estimating crashed (exit code 1): bad blob"),
        (0, "the compiler of estimating crashed (it wrote no file): bad blob"),
        (FAULT, "the compiler of estimating crashed: bad blob"),
        (REFUSED, "estimating does not compile s.onnx: one\nbad blob"),
    ],
)
def test_only_what_a_compiler_says_itself_is_a_refusal(code: int, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Done:
        returncode, stdout, stderr = code, "", "one\nbad blob\n"

    monkeypatch.setattr(blob_cache.subprocess, "run", lambda *given, **named: Done())
    with pytest.raises(SegmentRefused if code == REFUSED else CompilerCrashed) as caught:
        blob_cache.run_compiler(blob_cache.CHILD, "estimating", (), ("s.onnx", "s.bin"), tmp_path / "s.bin", "s.onnx")
    assert caught.value.message == says and caught.value.exit_code == 1
