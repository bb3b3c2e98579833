"""A tensor between segments: name, dtype, shape."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...targets.dtypes import BITS

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor that crosses a segment boundary, in the model's own dtype."""

    name: str
    dtype: str
    """A key of `targets.operator_view.BITS`, or "string", "sequence", "optional", "unknown"."""
    shape: tuple[int, ...] | None
    """None when a dim is not known before the run: such a tensor cannot live in the arena."""

    @property
    def bytes(self) -> int | None:
        """Packed size; None where the tensor has none that is known."""
        if self.shape is None or self.dtype not in BITS:
            return None
        return (math.prod(self.shape) * BITS[self.dtype] + 7) // 8
