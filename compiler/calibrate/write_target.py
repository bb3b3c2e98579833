"""The file of a calibrated target, beside the target's own or anywhere else."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

from ...targets.calibration import Calibration
from ...targets.model import Target
from ...targets.operators import versions_of
from ...targets.stock import stock_names
from ..errors import UsageError
from .fit import Fitted
from .fit_write import write_calibration

CONTRIB = "::"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_uncalibrated(target: Target, device: str) -> None:
    """Raises UsageError where the target states what was measured of the device: its rates are not fitted on top of others."""
    if target.device(device).calibration is not None:
        raise UsageError(f"{target.name} states what was measured of {device} already", help="calibrate the target that it extends")


def target_text(fitted: Fitted, target: Target, device: str, name: str, given: str, place: Path) -> str:
    """`given`: the target as the user named it, a stock target or a file; `place`: the folder that the new file lies in. Raises UsageError
    where the device is calibrated already."""
    check_uncalibrated(target, device)
    included = f"{given}.hw" if given in stock_names() else os.path.relpath(Path(given).resolve(), place.resolve()).replace(os.sep, "/")
    known = replace(fitted, calibration=_writable(fitted.calibration, target))
    return write_calibration(known, target, name, device=device, include=included)


def _writable(calibration: Calibration, target: Target) -> Calibration:
    """Without operators that the language does not know, or that are newer than the target's opsets: no model for it has them."""
    rates = (replace(rate, operators=tuple(name for name in rate.operators if _known(name, target))) for rate in calibration.rates)
    return replace(calibration, rates=tuple(rate for rate in rates if rate.operators))


def _known(name: str, target: Target) -> bool:
    return CONTRIB in name or any(version.since <= target.opset[1] for version in versions_of(name))
