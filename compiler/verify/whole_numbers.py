"""Outputs that are no real numbers: integers, booleans and strings must be equal, but where rounding decides between two of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .compare import Worst

MOST = 0.05
"""Share of the elements that may differ, whatever rounding was measured."""


def whole_fault(name: str, samples: Sequence[tuple[str, Any, Any, tuple[Any, ...]]]) -> tuple[str, Worst | None]:
    """Why whole numbers are wrong ("" where they are not), and the first element that differs. samples: (input set, expected, got,
    roundings). An element may differ by as much as it does when the untouched model is rounded in another way; beside these, as many
    elements as twice those that rounding changed."""
    wrong = [_wrong(expected, got) for _, expected, got, _ in samples]
    if not any(mask.any() for mask in wrong):
        return "", None
    flips = [_flips(expected, roundings) for _, expected, _, roundings in samples]
    moved = max(sum(int(one.sum()) for one in ways) for ways in _ways(flips)) if any(flips) else 0
    total, elements = sum(int(mask.sum()) for mask in wrong), sum(mask.size for mask in wrong)
    step = max((_steps(expected, one) for _, expected, _, roundings in samples for one in roundings), default=0.0)
    k = next(k for k, mask in enumerate(wrong) if mask.any())
    worst = _worst(samples[k], wrong[k])
    unexplained = sum(int((mask & ~_any(ways, mask)).sum()) for mask, ways in zip(wrong, flips, strict=True))
    far = max(_steps(expected, got) for _, expected, got, _ in samples)
    if unexplained <= 2 * moved and total <= max(MOST * elements, 2 * moved) and far <= max(2 * step, 1.0 if moved else 0.0):
        return "", worst
    besides = f"; rounding changes {moved} of them, by up to {step:g}" if moved else ""
    return f"{name}: {total} of {elements} elements do not match (whole numbers or strings that differ), first {worst}{besides}", worst


def _wrong(expected: Any, got: Any) -> Any:
    a, b = np.asarray(expected), np.asarray(got)
    if a.dtype.kind in "OUST" or b.dtype.kind in "OUST":
        return np.asarray(a.astype(str) != b.astype(str))
    return np.asarray(a != b)


def _flips(expected: Any, roundings: tuple[Any, ...]) -> list[Any]:
    return [_wrong(expected, one) for one in roundings if np.shape(one) == np.shape(expected)]


def _ways(flips: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Per way of rounding, the masks of all samples."""
    return [[ways[k] for ways in flips if k < len(ways)] for k in range(max((len(ways) for ways in flips), default=0))]


def _any(ways: Sequence[Any], like: Any) -> Any:
    return np.any(ways, axis=0) if ways else np.zeros(like.shape, bool)


def _steps(expected: Any, other: Any) -> float:
    """The largest distance of two whole numbers; infinite for what has no distance."""
    a, b = np.asarray(expected), np.asarray(other)
    if a.shape != b.shape:
        return np.inf
    if a.dtype.kind not in "iubV":
        return np.inf if _wrong(a, b).any() else 0.0
    return float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max()) if a.size else 0.0


def _worst(sample: tuple[str, Any, Any, tuple[Any, ...]], wrong: Any) -> Worst:
    inputs, expected, got, _ = sample
    index = tuple(int(k) for k in np.unravel_index(int(np.argmax(wrong)), wrong.shape))
    return Worst(inputs=inputs, index=index, expected=str(np.asarray(expected)[index]), got=str(np.asarray(got)[index]))
