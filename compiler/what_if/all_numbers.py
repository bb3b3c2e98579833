"""Every number of a target that can be set: those of its blocks and limits, and those of calibrations."""

from __future__ import annotations

from ...targets.model import Target
from .calibration_numbers import calibration_numbers
from .number import Number, numbers_of


def all_numbers(target: Target) -> tuple[Number, ...]:
    """Memories, devices, links, limits; then the calibrations of the devices."""
    measured = (number for device in target.devices for number in calibration_numbers(device, target.facts))
    return (*numbers_of(target), *measured)
