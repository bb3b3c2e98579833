"""Tensors and operators of a .tflite file while it is built, in the words of its schema."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .accepted import why_not

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


@dataclass(slots=True)
class Program:
    """One graph, in the order in which it runs."""

    operators: list[Operator] = field(default_factory=list)
    constants: dict[tuple[Any, ...], Tensor] = field(default_factory=dict)

    def constant(self, array: Array, name: str, scales: Scales | None = None) -> Tensor:
        """A constant; equal ones are one tensor."""
        import hashlib

        import numpy

        array = numpy.ascontiguousarray(array).reshape(array.shape)
        key = (array.dtype.name, array.shape, scales, hashlib.sha256(array.tobytes()).digest())
        if key not in self.constants:
            self.constants[key] = Tensor(name, tuple(array.shape), array.dtype.name, array, scales)
        return self.constants[key]

    def emit(
        self,
        code: str,
        inputs: Sequence[Tensor | None],
        shape: Iterable[int],
        name: str,
        dtype: str | None = None,
        scales: Scales | None = None,
        **options: Any,
    ) -> Tensor:
        """An operator of one output, of the first input's dtype unless it is said. Raises Refused where LiteRT has no kernel for these
        operands."""
        given = next(tensor for tensor in inputs if tensor is not None)
        made = Tensor(name, tuple(int(size) for size in shape), dtype or given.dtype, None, scales)
        self.add(Operator(code, tuple(inputs), (made,), options))
        return made

    def add(self, operator: Operator) -> None:
        """Raises Refused where LiteRT has no kernel for these operands."""
        if why := why_not(operator):
            raise Refused(why)
        self.operators.append(operator)

    def sweep(self, outputs: Iterable[Tensor]) -> None:
        """Removes operators that nothing reads."""
        wanted = {id(tensor) for tensor in outputs}
        kept = []
        for operator in reversed(self.operators):
            if any(id(tensor) in wanted for tensor in operator.outputs):
                wanted.update(id(tensor) for tensor in operator.inputs if tensor is not None)
                kept.append(operator)
        self.operators = kept[::-1]
