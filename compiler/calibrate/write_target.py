"""The file of a calibrated target, beside the target's own or anywhere else."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ...targets.calibration import Calibration
from ...targets.model import Target
from ...targets.operators import versions_of
from ...targets.stock import FOLDER
from ..errors import UsageError
from ..hw.load_target import find_target, text_errors
from .fit import Fitted
from .fit_write import write_calibration, write_frame

CONTRIB = "::"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_uncalibrated(target: Target, device: str) -> None:
    """Raises UsageError where the target states what was measured of the device: its rates are not fitted on top of others."""
    if target.device(device).calibration is not None:
        raise UsageError(f"{target.name} states what was measured of {device} already", help="calibrate the target that it extends")


def check_frame(target: Target, name: str, given: str, path: Path) -> None:
    """Raises UsageError where no target can stand in the file, whatever is measured: `given` includes that file, say."""
    for why in text_errors(write_frame(target, name, target.devices[0].name, _included(given, path.parent)), path):
        raise UsageError(f"cannot write {path}: {why}", help="name another file with -o, or another target with --name")


def contradictions(text: str, path: Path) -> Iterator[str]:
    """Why what was fitted cannot stand in the target: rates above the peak that it states, say."""
    return (f"the target contradicts what was measured: {why}" for why in text_errors(text, path))


def target_text(fitted: Fitted, target: Target, device: str, name: str, given: str, place: Path) -> str:
    """`given`: the target as the user named it, a stock target or a file; `place`: the folder that the new file lies in. Raises UsageError
    where the device is calibrated already."""
    check_uncalibrated(target, device)
    known = replace(fitted, calibration=_writable(fitted.calibration, target))
    return write_calibration(known, target, name, device=device, include=_included(given, place))


def _included(given: str, place: Path) -> str:
    """A stock target by its name, a file by its path from the new one."""
    path = find_target(given).resolve()
    return path.name if path.parent == FOLDER else os.path.relpath(path, place.resolve()).replace(os.sep, "/")


def _writable(calibration: Calibration, target: Target) -> Calibration:
    """Without operators that the language does not know, or that are newer than the target's opsets: no model for it has them."""
    rates = (replace(rate, operators=tuple(name for name in rate.operators if _known(name, target))) for rate in calibration.rates)
    return replace(calibration, rates=tuple(rate for rate in rates if rate.operators))


def _known(name: str, target: Target) -> bool:
    return CONTRIB in name or any(version.since <= target.opset[1] for version in versions_of(name))
