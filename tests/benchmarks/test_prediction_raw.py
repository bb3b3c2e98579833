"""A measurement in parts: what is measured is kept, and goes on where it ended."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import prediction_raw
import pytest

from autoglmc.compiler.calibrate.measure_here import MeasuredHere, Subject
from autoglmc.compiler.calibrate.records import MeasuredSegment, Measurement


def subjects(count: int) -> list[Subject]:
    return [Subject(network=f"n{k}", case=f"n{k}", path=Path("none"), shapes={}) for k in range(count)]


def segment(one: Subject) -> MeasuredSegment:
    return MeasuredSegment(network=one.network, case=one.case, kernels=(), weight_bytes=0, latency=1.0, floor=0.0, unjoined={})


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    made: list[int] = []

    def measure(target: Any, device: Any, some: Sequence[Subject], environment: Any, tell: Any, **more: Any) -> MeasuredHere:
        made.append(len(some))
        found = Measurement(device="cpu", runtime="openvino 1", environment=environment, segments=tuple(map(segment, some)))
        return MeasuredHere(measurement=found, refused=(), memory=())

    monkeypatch.setattr(prediction_raw, "measure_here", measure)
    monkeypatch.setattr(prediction_raw, "KEPT", tmp_path)
    return made


def test_all_at_once_where_no_time_is_given(calls: list[int]) -> None:
    found = prediction_raw.measured("openvino", "networks", lambda: subjects(30))
    assert [s.case for s in found.segments] == [f"n{k}" for k in range(30)]
    assert calls == [30]


def test_parts_go_on_where_they_ended(calls: list[int], tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="of 30 models are measured"):
        prediction_raw.measured("openvino", "networks", lambda: subjects(30), minutes=-1.0)
    assert not (tmp_path / "openvino.networks.json").exists()
    found = prediction_raw.measured("openvino", "networks", lambda: subjects(30), minutes=1.0)
    assert [s.case for s in found.segments] == [f"n{k}" for k in range(30)]
    assert calls == [0, 12, 12, 6]
    prediction_raw.measured("openvino", "networks", lambda: subjects(30), minutes=1.0)
    assert calls == [0, 12, 12, 6], "kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"openvino.networks.{end}" for end in ("json", "refused")]


def test_what_was_measured_before_the_time_was_over_is_not_measured_again(calls: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(float(k) for k in range(1000))
    monkeypatch.setattr(prediction_raw.time, "monotonic", lambda: next(clock))
    with pytest.raises(SystemExit, match="12 of 30"):
        prediction_raw.measured("openvino", "networks", lambda: subjects(30), minutes=2.5 / 60)
    assert calls == [0, 12]
    with pytest.raises(SystemExit, match="24 of 30"):
        prediction_raw.measured("openvino", "networks", lambda: subjects(30), minutes=1.5 / 60)
    assert calls == [0, 12, 12]
