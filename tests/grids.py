"""Matrices whose elements lie on grids of 16 levels in blocks, as those of checkpoints in 4 bits do that are exported in floats."""

from __future__ import annotations

from typing import Literal

import numpy as np

Kind = Literal["symmetric", "zero points", "offsets"]
"""Where 0 is: the level in the middle, another level, or between two (GGUF's Q4_K)."""


def on_grids(draw: np.random.Generator, rows: int, columns: int, block: int, kind: Kind, levels: int = 16) -> np.ndarray:
    """fp32 [rows, columns], blocks along the rows; scales as a checkpoint has them, in fp16."""
    stored = draw.integers(0, levels, (rows // block, block, columns))
    scale = np.abs(draw.standard_normal((rows // block, 1, columns)) * 0.1 + 0.2).astype(np.float16).astype(np.float32) / 8
    match kind:
        case "symmetric":
            zero = np.full_like(scale, 8)
        case "zero points":
            zero = draw.integers(0, 16, scale.shape).astype(np.float32)
        case "offsets":
            zero = np.zeros_like(scale)
    lowest = (draw.uniform(-11.7, -3.3, scale.shape) * scale).astype(np.float16).astype(np.float32) if kind == "offsets" else 0
    return ((stored - zero) * scale + lowest).astype(np.float32).reshape(rows, columns)
