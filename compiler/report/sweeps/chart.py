"""A curve in letters, for a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...quantities import time

HEIGHT, WIDEST, LABEL = 10, 72, 10
"""Lines of a chart, its columns at most, and those of the times on its left."""


def chart(
    values: Sequence[float], seconds: Sequence[float | None], texts: Sequence[str], marks: Sequence[float], geometric: bool, columns: int
) -> list[str]:
    """Seconds over values, from the least to the most of both; `marks` are values where something changes, as columns of ':'.

    [] where there are not two times to show, or the screen is too narrow."""
    known = [(value, second) for value, second in zip(values, seconds, strict=True) if second is not None]
    width = min(columns - LABEL - 2, WIDEST)
    if len(known) < 2 or width < 20:
        return []
    cells = [[" "] * width for _ in range(HEIGHT)]
    for mark in marks:
        for line in cells:
            line[_column(mark, values, geometric, width)] = ":"
    low, high = min(second for _, second in known), max(second for _, second in known)
    for value, second in known:
        share = (second - low) / (high - low) if high > low else 0.5
        cells[HEIGHT - 1 - round(share * (HEIGHT - 1))][_column(value, values, geometric, width)] = "*"
    labels = {0: time(high), HEIGHT - 1: time(low)} if high > low else {HEIGHT // 2: time(low)}
    lines = [f"{labels.get(number, ''):>{LABEL}} |{''.join(line)}".rstrip() for number, line in enumerate(cells)]
    gap = width - len(texts[0]) - len(texts[-1])
    return [*lines, f"{'':{LABEL}} +{'-' * width}", f"{'':{LABEL}}  {texts[0]}{' ' * max(gap, 1)}{texts[-1]}"]


def _column(value: float, values: Sequence[float], geometric: bool, width: int) -> int:
    first, last, here = values[0], values[-1], value
    if geometric:
        first, last, here = math.log(first), math.log(last), math.log(value)
    return min(width - 1, max(0, round((here - first) / (last - first) * (width - 1))))
