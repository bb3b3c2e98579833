"""Images that real networks react to: blobs, rows of dark strokes like print, and noise.

Noise alone saturates or averages out, and a text or object detector answers "nothing there" with numbers so small that rounding
decides them: comparing two of those proves nothing. Values are in the usual normalised range, about -2 to 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

GRID = 4
"""Cells a side of the coarse pattern."""
NOISE, BLOB = 0.3, 0.5
ROWS = 3
PAPER, INK = 1.0, -2.0
SMALLEST = 16
"""Pixels a side below which there is no room for strokes."""


def coarse_noise(shape: tuple[int, ...], axes: int, scale: float, rng: np.random.Generator) -> npt.NDArray[Any]:
    """`scale` times a normal pattern of GRID cells along each of the last `axes` axes, stretched to `shape`, plus noise."""
    import numpy as np

    first = len(shape) - axes
    cells = shape[:first] + tuple(min(GRID, dim) for dim in shape[first:])
    values = scale * rng.standard_normal(cells)
    for axis in range(first, len(shape)):
        values = np.take(values, np.arange(shape[axis]) * cells[axis] // max(shape[axis], 1), axis=axis)
    return np.asarray(values + NOISE * rng.standard_normal(shape))


def image(shape: tuple[int, ...], rng: np.random.Generator) -> npt.NDArray[Any]:
    """A batch of channels-first images [..., H, W]: blobs and noise, and rows of strokes where there is room."""
    values = coarse_noise(shape, 2, BLOB, rng)
    height, width = shape[-2:]
    if min(height, width) >= SMALLEST:
        for _ in range(ROWS):
            _print_row(values, rng)
    return values


def _print_row(values: npt.NDArray[Any], rng: np.random.Generator) -> None:
    """One row of print, in place: glyphs of random square dots, a blank column strip after each, on light paper."""
    import numpy as np

    height, width = values.shape[-2:]
    tall = min(int(rng.integers(max(height // 20, 6), max(height // 10, 8))), height)
    top, left = int(rng.integers(0, height - tall + 1)), int(rng.integers(0, width // 4 + 1))
    wide = min(int(rng.integers(width // 3, max(width * 3 // 4, width // 3 + 1))), width - left)
    dot = max(tall // 8, 1)
    dots = rng.random((tall // dot + 1, wide // dot + 1)) < 0.5
    ink = dots.repeat(dot, axis=0).repeat(dot, axis=1)[:tall, :wide]
    glyph = max(tall * 2 // 3, 2)
    ink[:, np.arange(wide) % glyph < max(glyph // 4, 1)] = False
    spot = values[..., top : top + tall, left : left + wide]
    spot += np.where(ink, INK, PAPER) - spot.mean()
