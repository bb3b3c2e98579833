"""Which kernel computes which operator."""

from __future__ import annotations

from collections.abc import Mapping

from . import (
    activation,
    conversion,
    convolution,
    creation,
    elementwise,
    indexing,
    matrix,
    movement,
    normalisation,
    pooling,
    reduction,
    unary,
)
from .call import Kernel

_STANDARD = (
    activation,
    conversion,
    convolution,
    creation,
    elementwise,
    indexing,
    matrix,
    movement,
    normalisation,
    pooling,
    reduction,
    unary,
)
KERNELS: Mapping[tuple[str, str], Kernel] = {
    **{("", name): kernel for module in _STANDARD for name, kernel in module.KERNELS.items()},
    **{("ai.onnx.ml", name): kernel for name, kernel in indexing.ML_KERNELS.items()},
}
"""By domain ("" for ai.onnx) and op_type. Call them under np.errstate(all="ignore"): NaN and infinity are values like others."""
