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
from .microsoft import attention as contrib_attention
from .microsoft import fused
from .microsoft import quantised as contrib_quantised
from .quantised import integer, linear

_STANDARD = (
    activation, attention, conversion, convolution, creation, detection, elementwise, indexing, integer, linear, loss, matrix, movement,
    normalisation, pooling, recurrent, reduction, resize, sampling, sequence, signal,
)  # fmt: skip
_MICROSOFT = (contrib_attention, contrib_quantised, fused)
KERNELS: Mapping[tuple[str, str], Kernel] = {
    **{("", name): kernel for module in _STANDARD for name, kernel in module.KERNELS.items()},
    **{("com.microsoft", name): kernel for module in _MICROSOFT for name, kernel in module.KERNELS.items()},
    **{("ai.onnx.ml", name): kernel for name, kernel in indexing.ML_KERNELS.items()},
}
"""By domain ("" for ai.onnx) and op_type.

A kernel raises NotImplementedError for a form of the operator that it does not know, ValueError or IndexError for operands that do not
fit. Call it under np.errstate(all="ignore"): NaN and infinity are values like others.
"""
