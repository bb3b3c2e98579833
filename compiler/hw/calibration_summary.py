"""What a list of targets says of calibrations: with what, of how many networks, how good, and when."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...targets.model import Target

DATE = re.compile(r"(?<!\d)\d{4}-\d{2}-\d{2}(?!\d)")


@dataclass(frozen=True, slots=True)
class CalibrationSummary:
    """Of one device."""

    device: str
    version: str
    """The runtime it was measured with; "" where the file does not say."""
    networks: int | None
    """Held out to tell how good predictions are; None where the file does not say, as with the figures below."""
    within: tuple[tuple[float, float], ...]
    """(share of the predictions, error that they are within)."""
    median: float | None
    interval: float | None
    date: str
    """The last one in the note, 2026-11-26; "" without one."""
    note: str


def calibrations_of(target: Target) -> tuple[CalibrationSummary, ...]:
    """In the order of the devices; none for one without a calibration."""
    found = []
    for device in target.devices:
        if (one := device.calibration) is not None:
            held = one.holdout
            found.append(
                CalibrationSummary(
                    device=device.name,
                    version=one.version,
                    networks=held.models if held else None,
                    within=held.within if held else (),
                    median=held.median if held else None,
                    interval=held.interval if held else None,
                    date=next(reversed(DATE.findall(one.note)), ""),
                    note=one.note,
                )
            )
    return tuple(found)
