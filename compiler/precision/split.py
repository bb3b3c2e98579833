"""Which samples scales are made with, and which accuracy is measured on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from .calibration_data import CalibrationData

EVERY, FEWEST, MOST_HELD_OUT = 4, 8, 64
"""Of calibration data every fourth sample is held out to measure accuracy on, at most 64; none of fewer than eight."""


@dataclass(frozen=True, slots=True)
class Split:
    """Which of the samples are calibrated with, and which are held out."""

    samples: int
    calibrates: bool = True
    """Whether scales are made with any: else all samples are held out."""

    @property
    def holds_out(self) -> bool:
        """Whether accuracy is measured on other samples than scales are made with."""
        return not self.calibrates or self.samples >= FEWEST

    @property
    def calibrating(self) -> int:
        """How many scales are made with."""
        return sum(not self._out(k) for k in range(self.samples))

    def calibrated(self, data: CalibrationData) -> Iterator[Mapping[str, Any]]:
        return (sample for k, sample in enumerate(data.samples()) if not self._out(k))

    def judged(self, data: CalibrationData) -> Iterator[Mapping[str, Any]]:
        """Those held out; where there are too few samples, those that were calibrated with."""
        chosen = (sample for k, sample in enumerate(data.samples()) if self._out(k) or not self.holds_out)
        return islice(chosen, MOST_HELD_OUT)

    def _out(self, k: int) -> bool:
        return not self.calibrates or (self.holds_out and k % EVERY == EVERY - 1 and k < EVERY * MOST_HELD_OUT)
