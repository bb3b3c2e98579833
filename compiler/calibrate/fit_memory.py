"""Private memory of bundles to a model of it: base + weights · W + working · (arena + working sets), by non-negative least squares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...targets.calibration import MemoryModel
from .fit_lines import HERE, rounded

LEAST = 6
"""Bundles: three numbers are fitted."""


@dataclass(frozen=True, slots=True)
class MeasuredMemory:
    """Of one bundle: bytes that the plan knows of, and private bytes of the process that ran it."""

    case: str
    weights: float
    working: float
    """Arena and working sets."""
    private: float


def fit_memory(measured: Sequence[MeasuredMemory]) -> MemoryModel | None:
    """Relative errors count, so that small bundles are not drowned by large ones. None for fewer than six bundles."""
    import numpy as np
    from scipy.optimize import nnls

    found = [one for one in measured if one.private > 0]
    if len(found) < LEAST:
        return None
    rows = np.array([[1.0, one.weights, one.working] for one in found]) / np.array([[one.private] for one in found])
    scale = np.maximum(np.abs(rows).max(axis=0), 1e-30)
    base, weights, working = nnls(rows / scale, np.ones(len(found)))[0] / scale
    whole = 2.0**16
    return MemoryModel(
        base=round(float(base) / whole) * whole, weights=rounded(float(weights), 2), working=rounded(float(working), 2), origin=HERE
    )


def predicted(model: MemoryModel, one: MeasuredMemory) -> float:
    return model.base + model.weights * one.weights + model.working * one.working
