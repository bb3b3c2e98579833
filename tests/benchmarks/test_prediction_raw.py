"""A measurement in passes: those that are done are kept, and it goes on where it ended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import prediction_raw
import pytest

from autoglmc.compiler.calibrate.records import MeasuredSegment

NOTHING = prediction_raw.Prepared((), (), (), "code")


class Source:
    runtime = "openvino 1"


@dataclass
class Passes:
    """Counts them in a file, as it is pickled between two runs."""

    counted: Path
    done: int = 0

    def run(self, source: Any) -> None:
        self.done += 1
        with self.counted.open("a") as file:
            file.write(f"{self.done}\n")

    def settled(self) -> tuple[tuple[MeasuredSegment, ...], tuple[Any, ...]]:
        one = MeasuredSegment(network="n", case="n", kernels=(), weight_bytes=0, latency=float(self.done), floor=0.0, unjoined={})
        return (one,), ()


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    path = tmp_path / "passes"
    path.touch()
    (tmp_path / "kept").mkdir()
    monkeypatch.setattr(prediction_raw, "KEPT", tmp_path / "kept")
    monkeypatch.setattr(prediction_raw, "prepared", lambda runtime, what, subjects: NOTHING)
    monkeypatch.setattr(prediction_raw, "begun_passes", lambda runtime, cases, kernels: Passes(path))
    monkeypatch.setattr(prediction_raw, "source_of", lambda device: Source())
    return path


def passes_of(counted: Path) -> list[int]:
    return [int(line) for line in counted.read_text().split()]


EVERY = list(range(1, prediction_raw.PASSES + 1))


def test_all_at_once_where_no_time_is_given(counted: Path) -> None:
    found = prediction_raw.measured("openvino", "networks", list)
    assert [s.latency for s in found.segments] == [float(prediction_raw.PASSES)] and passes_of(counted) == EVERY
    prediction_raw.measured("openvino", "networks", list)
    assert passes_of(counted) == EVERY, "kept"


def test_passes_go_on_where_they_ended(counted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(float(k) for k in range(1000))
    monkeypatch.setattr(prediction_raw.time, "monotonic", lambda: next(clock))
    with pytest.raises(SystemExit, match=f"of {prediction_raw.PASSES} passes are done"):
        prediction_raw.measured("openvino", "networks", list, minutes=3.5 / 60)
    done = len(passes_of(counted))
    assert 0 < done < prediction_raw.PASSES and not (prediction_raw.KEPT / "openvino.networks.json").exists()
    prediction_raw.measured("openvino", "networks", list, minutes=1000.0)
    assert passes_of(counted) == EVERY
    kept = sorted(path.name for path in prediction_raw.KEPT.iterdir())
    assert kept == [f"openvino.networks.{end}" for end in ("done", "json", "refused")]


def test_measured_anew_where_asked(counted: Path) -> None:
    for _ in range(2):
        prediction_raw.measured("openvino", "networks", list, again=True)
    assert passes_of(counted) == EVERY * 2
