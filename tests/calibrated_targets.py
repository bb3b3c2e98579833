"""Targets with a calibration made in Python, for tests of what reads one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from autoglmc.compiler.hw.load_target import load_target
from autoglmc.targets.calibration import Calibration, Holdout, Measure, Rate
from autoglmc.targets.model import Device, Target
from autoglmc.targets.origin import Origin

ORIGIN = Origin("measured.hw", 1, 1)


def rate(*operators: str, value: float, measure: Measure = "operations", **more: Any) -> Rate:
    given = {"seen": None, "inner": None, "samples": 20, "spread": None, "where": None, "origin": ORIGIN} | more
    return Rate(operators=operators, value=value, measure=measure, **given)


def calibration(*rates: Rate, interval: float | None = 0.18, **more: Any) -> Calibration:
    given: dict[str, Any] = {
        "note": "a clock", "version": "", "launch": None, "dispatch": None, "weights_bandwidth": None, "weights_beyond": 0.0, "blocks": (),
        "holdout": Holdout(within=(), median=None, interval=interval, models=None, origin=ORIGIN), "memory": None, "power": None,
    }  # fmt: skip
    return Calibration(rates=rates, origin=ORIGIN, **given | more)


def calibrated(name: str, **by_device: Calibration) -> Target:
    """A stock target with calibrations of some devices."""
    target = load_target(name)
    return replace(target, devices=tuple(_with(device, by_device.get(device.name)) for device in target.devices))


def _with(device: Device, measured: Calibration | None) -> Device:
    return device if measured is None else replace(device, calibration=measured)
