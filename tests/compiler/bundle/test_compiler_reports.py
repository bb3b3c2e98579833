"""What a compiler says of a segment is kept; that it was ended from outside is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_models import parse

from autoglmc.compiler.bundle.blobs import blob_cache, compiler_reports
from autoglmc.compiler.bundle.blobs.blob_cache import SegmentRefused, Unfinished
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
    assert asked(monkeypatch, Unfinished("it did not compile within 1 s")) is None
    found = asked(monkeypatch, None)
    assert found is not None and found.seconds == 1e-3


def test_a_refusal_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, SegmentRefused("it does not take it")) is None
    assert asked(monkeypatch, AssertionError("it is not asked again")) is None
    assert compiler_reports.compiler_refusal(Estimating(), ("words",), SEGMENT, ()) == "it does not take it"  # type: ignore[arg-type]
    assert compiler_reports.compiler_refusal(Estimating(), ("others",), SEGMENT, ()) == ""  # type: ignore[arg-type]


@pytest.mark.parametrize(("code", "kind"), [(-9, Unfinished), (-15, Unfinished), (-11, SegmentRefused), (1, SegmentRefused)])
def test_a_crash_is_a_refusal_and_a_kill_is_none(code: int, kind: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Done:
        returncode, stdout, stderr = code, "", ""

    monkeypatch.setattr(blob_cache.subprocess, "run", lambda *given, **named: Done())
    with pytest.raises(SegmentRefused) as caught:
        blob_cache._run("estimating", (), tmp_path / "s.onnx", tmp_path / "s.bin")
    assert type(caught.value) is kind
