"""What a .tflite file is made of: tensors and operators, in the words of its schema."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]


class Refused(ValueError):
    """What is not converted: the reason, and once it is known the operator and node."""


@dataclass(frozen=True, slots=True)
class Scales:
    """How an integer tensor stands for numbers: `scale[c] · (value - zero[c])` along `axis`; one entry for the whole tensor."""

    scale: tuple[float, ...]
    zero: tuple[int, ...]
    axis: int = 0


@dataclass(eq=False, slots=True)
class Tensor:
    """`dtype` as numpy names it; `data` of a constant, in the order of `shape`."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    data: Array | None = None
    scales: Scales | None = None

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass(eq=False, slots=True)
class Operator:
    """`code` and `options` as the schema names them."""

    code: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    options: Mapping[str, Any]
