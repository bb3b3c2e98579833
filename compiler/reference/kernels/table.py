"""Which kernel computes which operator."""

from __future__ import annotations

from collections.abc import Mapping

from . import (
    activation,
    attention,
    conversion,
    convolution,
    creation,
    detection,
    elementwise,
    indexing,
    loss,
    matrix,
    movement,
    normalisation,
    pooling,
    recurrent,
    reduction,
    resize,
    sampling,
    sequence,
    signal,
)
from .call import Kernel
from .quantised import integer, linear

_STANDARD = (
    activation, attention, conversion, convolution, creation, detection, elementwise, indexing, integer, linear, loss, matrix, movement,
    normalisation, pooling, recurrent, reduction, resize, sampling, sequence, signal,
)  # fmt: skip
KERNELS: Mapping[tuple[str, str], Kernel] = {
    **{("", name): kernel for module in _STANDARD for name, kernel in module.KERNELS.items()},
    **{("ai.onnx.ml", name): kernel for name, kernel in indexing.ML_KERNELS.items()},
}
"""By domain ("" for ai.onnx) and op_type. Call them under np.errstate(all="ignore"): NaN and infinity are values like others."""
