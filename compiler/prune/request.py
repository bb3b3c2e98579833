"""What a user asks of pruning."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ..errors import UsageError
from ..precision.request import Data

Rate = float | Literal["auto"]
_PERCENT = re.compile(r"\s*(\d{1,3}(?:\.\d{1,6})?)\s*%\s*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneRequest:
    """One of a compilation."""

    rate: Rate = 0.0
    """Share of its channels and heads that each layer loses; "auto": as much as calibration data allows."""
    layers: Mapping[str, float] = field(default_factory=dict)
    """Shares of single layers, by name."""
    data: Data | None = None
    save: Path | None = None
    """Where to write the pruned model."""


def prune_request(
    rate: str | float | None, layers: Iterable[str] | Mapping[str, str | float], data: Data | None, save: Path | None = None
) -> PruneRequest | None:
    """None where nothing is asked for. Layers: `NAME=30%`, or shares by name. Raises UsageError for what is no share, and for `auto`
    without data."""
    shares = {name: _share(value, f"--prune-layer {name}") for name, value in _pairs(layers)}
    if rate is None and not shares:
        if save is not None:
            raise UsageError("--save-pruned needs --prune or --prune-layer")
        return None
    if rate == "auto":
        if data is None:
            help = "--calibration-data FOLDER, FILE.npz or SCRIPT.py:FUNCTION: inputs as the model will meet them"
            raise UsageError("--prune auto needs calibration data: what each layer loses is measured on it", help=help)
        return PruneRequest(rate="auto", layers=shares, data=data, save=save)
    return PruneRequest(rate=0.0 if rate is None else _share(rate, "--prune"), layers=shares, data=data, save=save)


def precision_beside(request: PruneRequest | None, precision: str | None) -> str | None:
    """Calibration data without --precision asks for a choice of forms, but not beside pruning, which it is good for alone."""
    return "fp32" if request is not None and precision is None else precision


def _pairs(layers: Iterable[str] | Mapping[str, str | float]) -> Iterable[tuple[str, str | float]]:
    if isinstance(layers, Mapping):
        yield from layers.items()
        return
    for words in layers:
        name, equals, value = words.rpartition("=")
        if not equals or not name:
            raise UsageError(f"--prune-layer '{words}' is not NAME=SHARE", help="for example --prune-layer conv1=30%")
        yield name, value


def _share(value: str | float, option: str) -> float:
    """From `50%`, or 0.5 in Python."""
    found: float | None = None
    if isinstance(value, str):
        match = _PERCENT.fullmatch(value)
        found = float(match[1]) / 100 if match else None
    elif isinstance(value, (int, float)):
        found = float(value)
    if found is None:
        raise UsageError(f"{option}: '{value}' is not a share", help="a percentage such as 50%, or auto for --prune")
    if not 0 <= found < 1:
        raise UsageError(f"{option}: {value} is not between 0% and 100%: a layer keeps at least one channel", help="for example 50%")
    return found
