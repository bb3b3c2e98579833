"""What a calibration came to, as plain data for screens and programs: seconds, shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...targets.formula import render
from .fit import Fitted
from .fit_holdout import interval, median_error, share_within
from .fit_memory import MeasuredMemory, predicted
from .measure.measure import Refused
from .residuals import Operator, by_network, cliffs, without_line


def as_json(fitted: Fitted, refused: Sequence[Refused], memory: Sequence[MeasuredMemory], path: Path | None) -> dict[str, Any]:
    """`path`: the file that was written, None where there is none."""
    calibration, model = fitted.calibration, fitted.calibration.memory
    return {
        "file": None if path is None else str(path),
        "failures": list(fitted.failures),
        "notes": list(fitted.notes),
        "measured": calibration.note,
        "numbers": calibration.numbers,
        "launch": calibration.launch,
        "dispatch": calibration.dispatch,
        "weights": {"bandwidth": calibration.weights_bandwidth, "beyond": calibration.weights_beyond},
        "activations": calibration.activations_bandwidth,
        "blocks": [{"operators": list(block.operators), "axis": block.axis, "multiple": block.multiple} for block in calibration.blocks],
        "holdout": {
            "predictions": len(fitted.held),
            "within": {f"{error:g}": share_within(fitted.held, error) for error in (0.10, 0.15, 0.20)},
            "median": median_error(fitted.held),
            "interval": interval(fitted.held),
            "refused": sum(one.refused for one in fitted.held) / len(fitted.held) if fitted.held else None,
        },
        "networks": [asdict(row) | {"error": row.error} for row in by_network(fitted)],
        "lines": [
            {
                "operators": list(rate.operators), "rate": rate.value, "measure": rate.measure, "samples": rate.samples,
                "spread": rate.spread, "where": "" if rate.where is None else render(rate.where),
            }
            for rate in calibration.rates
        ],
        "without_line": list(without_line(fitted)),
        "cliffs": [_cliff(one) for one in cliffs(fitted)],
        "refused": [asdict(one) for one in refused],
        "memory": [_memory(one) | {"predicted": None if model is None else predicted(model, one)} for one in memory],
    }  # fmt: skip


def _memory(one: MeasuredMemory) -> dict[str, Any]:
    inside = max((moment.live for moment in one.needs.moments), default=0)
    return {
        "case": one.case, "weights": one.weights, "working": inside + one.arena, "loaded": one.loaded, "private": one.private,
    }  # fmt: skip


def _cliff(one: Operator) -> dict[str, Any]:
    return asdict(one) | {"times": one.measured / one.predicted if one.predicted else None}
