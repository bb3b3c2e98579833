"""The judge of benchmarks/prediction.py: splits, shares, coverage, bootstrap. It shares no code with what fits, and prices through the
language: a calibration is written as a file, read back, and every kernel is asked as placement asks it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autoglmc.compiler.calibrate.fit import Fitted, fit
from autoglmc.compiler.calibrate.records import MeasuredSegment, Measurement
from autoglmc.compiler.calibrate.write_target import target_text
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.targets.calibrated_cost import kernel_time, runs_once
from autoglmc.targets.cost import weights_read
from autoglmc.targets.model import Target

MOST_OUTSIDE = 0.10


@dataclass(frozen=True, slots=True)
class Prediction:
    """Of a network that the fit had not seen."""

    network: str
    case: str
    measured: float
    predicted: float
    outside: float
    half: float | None
    """Half the width of its stated interval, as a share of the prediction; None where it is refused, or there is none."""

    @property
    def error(self) -> float:
        return abs(self.predicted / self.measured - 1)

    @property
    def covered(self) -> bool:
        assert self.half is not None
        return abs(self.measured - self.predicted) <= self.half * self.predicted


def halves(networks: Sequence[str], count: int, training: float = 0.6, seed: int = 41) -> list[frozenset[str]]:
    """Networks to train on, split by split."""
    names = np.array(sorted(set(networks)))
    generator = np.random.default_rng(seed)
    return [frozenset(generator.permutation(names)[: round(training * len(names))].tolist()) for _ in range(count)]


def trained(measurement: Measurement, networks: frozenset[str], with_holdout: bool = True) -> Fitted:
    """A fit to the kernels of the grid and to these networks, as `autoglmc calibrate` does it."""
    kept = tuple(s for s in measurement.segments if s.single or s.network in networks)
    only = Measurement(device=measurement.device, runtime=measurement.runtime, environment=measurement.environment, segments=kept)
    return fit(only, _bare(measurement), with_holdout=with_holdout)


TARGET: dict[str, Target] = {}


def _bare(measurement: Measurement) -> Target:
    return TARGET[measurement.runtime.split()[0]]


def through_the_language(fitted: Fitted, given: str, target: Target) -> Target:
    """The calibrated target as a user gets it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "calibrated.hw"
        if given.endswith(".hw"):  # a file includes only what is beside it
            given = shutil.copy(given, folder)
        path.write_text(target_text(fitted, target, "cpu", "judged", given, path.parent), encoding="utf-8")
        return load_target(path)


def predict(target: Target, segment: MeasuredSegment) -> Prediction:
    """By the target's rates alone: dispatch, launches and kernels."""
    device = target.device("cpu")
    assert device.calibration is not None and segment.latency is not None
    weights = weights_read(view for kernel in segment.kernels for view in kernel.views)
    total = beyond = 0.0
    for kernel in segment.kernels:
        one = kernel_time(target, device, kernel.views, kernel.compute_dtype, weights)
        seconds = one.seconds + (0.0 if all(map(runs_once, kernel.views)) else device.kernel_launch)
        total, beyond = total + seconds, beyond + (seconds if one.outside else 0.0)
    total += device.segment_dispatch
    outside = beyond / total
    stated = device.calibration.holdout.interval if device.calibration.holdout else None
    half = None if stated is None or outside > MOST_OUTSIDE else stated * (1 - outside) + outside
    return Prediction(segment.network, segment.case, segment.latency, total, outside, half)


def bootstrap(found: Sequence[Prediction], error: float, draws: int = 2000) -> tuple[float, float]:
    """90 % interval of the share within an error, networks drawn with replacement."""
    networks = sorted({one.network for one in found})
    hits = {name: [one.error <= error for one in found if one.network == name] for name in networks}
    sums, counts = (np.array([f(hits[name]) for name in networks], float) for f in (sum, len))
    picks = np.random.default_rng(7).integers(0, len(networks), (draws, len(networks)))
    low, high = np.quantile(sums[picks].sum(axis=1) / counts[picks].sum(axis=1), (0.05, 0.95))
    return float(low), float(high)
