"""Grids that LiteRT's integer kernels write whatever is asked for."""

from __future__ import annotations

from ..records import Scales

FIXED = {
    ("LOGISTIC", "int8"): Scales((1 / 256,), (-128,)),
    ("SOFTMAX", "int8"): Scales((1 / 256,), (-128,)),
    ("TANH", "int8"): Scales((1 / 128,), (0,)),
    ("LOGISTIC", "int16"): Scales((1 / 32768,), (0,)),
    ("SOFTMAX", "int16"): Scales((1 / 32768,), (0,)),
    ("TANH", "int16"): Scales((1 / 32768,), (0,)),
}
"""By operator and dtype; checked by LiteRT's kernels when a model is loaded (tflite/kernels/activations.cc of google-ai-edge/LiteRT)."""
KEEPING = frozenset({
    "DEPTH_TO_SPACE", "GATHER", "GATHER_ND", "MAX_POOL_2D", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "SPACE_TO_DEPTH",
})  # fmt: skip
"""Operators whose result is on the grid of their operand."""
BETWEEN = "RESIZE_BILINEAR"
"""Of those, what computes numbers that its operand does not have, and rounds them there."""
FINER = 0.51
"""A grid may be finer than the kernel's by this factor. A number rounded to steps of f and then of s ends at most (f/s + 1)/2 steps of s
from where it lay, and one rounded to s alone at most 1/2. For s > f/2 the two are less than 2 apart: the same integer or neighbours."""


def too_fine(wanted: Scales, fixed: Scales) -> bool:
    return wanted.scale[0] < FINER * fixed.scale[0]
