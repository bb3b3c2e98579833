"""The file of a calibrated target: it includes the target as it is, and adds what was measured of one device."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

from ...targets.calibration import Calibration
from ...targets.model import Target
from ...targets.operators import versions_of
from ...targets.stock import stock_names
from .fit_write import calibration_text

CONTRIB = "::"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def target_text(calibration: Calibration, target: Target, device: str, name: str, given: str, place: Path) -> str:
    """`given`: the target as the user named it, a stock target or a file; `place`: the folder that the new file lies in."""
    included = f"{given}.hw" if given in stock_names() else os.path.relpath(Path(given).resolve(), place.resolve()).replace(os.sep, "/")
    whole = f"{target.name}_{name}"
    again = f"delete &{whole}.{device}.calibration;\n" if target.device(device).calibration is not None else ""
    return (
        f'hw 1;\n\ninclude "{included}";\n\n// Written by `autoglmc calibrate`: {target.name} as it is, with what was measured of {device}.\n\n'
        f"target {whole} extends {target.name} {{}}\n{again}amend &{whole}.{device} {{\n{calibration_text(_writable(calibration, target), 2)}}}\n"
    )


def _writable(calibration: Calibration, target: Target) -> Calibration:
    """Without operators that the language does not know, or that are newer than the target's opsets: no model for it has them."""
    rates = (replace(rate, operators=tuple(name for name in rate.operators if _known(name, target))) for rate in calibration.rates)
    return replace(calibration, rates=tuple(rate for rate in rates if rate.operators))


def _known(name: str, target: Target) -> bool:
    return CONTRIB in name or any(version.since <= target.opset[1] for version in versions_of(name))
