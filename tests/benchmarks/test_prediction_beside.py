"""Predictions of two runtimes on the models that both measured."""

from __future__ import annotations

import prediction_beside as beside
import pytest
from prediction_judge import Prediction

from autoglmc.compiler.calibrate.records import MeasuredSegment, Measurement


def measurement(*cases: str, single: tuple[str, ...] = ()) -> Measurement:
    def segment(case: str) -> MeasuredSegment:
        alone = case in single
        return MeasuredSegment(network=case, case=case, kernels=(), weight_bytes=0, latency=1.0, floor=0.0, unjoined={}, single=alone)

    return Measurement(device="cpu", runtime="r 1", environment={}, segments=tuple(map(segment, (*cases, *single))))


def prediction(network: str, error: float) -> Prediction:
    return Prediction(network, network, 1.0, 1.0 + error, 0.0, None)


def test_models_that_only_one_measured_whole_are_left_out_and_kernels_stay() -> None:
    one, other = beside.in_both(measurement("a", "b segment 0", "c", single=("k",)), measurement("c", "b", "a", single=("l",)))
    assert [s.case for s in one.segments] == ["a", "c", "k"]
    assert [s.case for s in other.segments] == ["c", "a", "l"]


@pytest.mark.parametrize(("errors", "status"), [((0.05, 0.05, 0.3), 0), ((0.05, 0.3, 0.3), 1)])
def test_more_than_five_points_below_fails(errors: tuple[float, ...], status: int, capsys: pytest.CaptureFixture[str]) -> None:
    one = [prediction(f"n{number}", error) for number, error in enumerate(errors)]
    other = [prediction(f"n{number}", error) for number, error in enumerate((0.05, 0.05, 0.3))]
    assert beside.beside(["litert", "ort"], [one, other], [0.1]) == status
    assert "3 models of 3 networks" in capsys.readouterr().out


def test_equal_predictions_are_apart_by_nothing() -> None:
    made = [prediction(f"n{number}", error) for number, error in enumerate((0.01, 0.12, 0.5))]
    assert beside.compared(made, made, [0.1, 0.2]) == {0.1: (0.0, 0.0, 0.0), 0.2: (0.0, 0.0, 0.0)}
