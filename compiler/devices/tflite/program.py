"""The operators of a .tflite file while it is built, in the order in which they run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .accepted import why_not
from .records import Operator, Refused, Scales, Tensor

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]


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
