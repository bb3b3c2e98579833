"""What a converter of segments sees of an ONNX operator: attributes, operands as values of the other format or constants, and the words of
its refusal."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .attributes import attribute_of

if TYPE_CHECKING:
    import numpy
    import onnx

    Array = numpy.ndarray[Any, Any]

Converter = Callable[["OnnxNode"], Any]
"""The value (or numpy constant) that an operator computes; a list of them where it has several outputs."""


class Refused(Exception):
    """An operator that is not converted, with its node's name and the reason."""


@dataclass(frozen=True, slots=True)
class OnnxNode:
    """One ONNX node to convert. `operands`: values of the other format, which have a shape, numpy arrays for constants, None for operands
    that are left out."""

    proto: onnx.NodeProto
    operands: tuple[Any, ...]
    opset: int
    api: Any
    """What makes operators of the other format."""

    @property
    def outputs(self) -> list[str]:
        return [name for name in self.proto.output if name]

    def refuse(self, why: str) -> Refused:
        """The exception to raise, with operator and node."""
        name = self.proto.name or next(iter(self.outputs), "")
        return Refused(f"{self.proto.op_type} (node {name}): {why}")

    def attribute(self, name: str, default: Any = None) -> Any:
        """As Python data, text as str."""
        return attribute_of(self.proto, name, default)

    def has(self, index: int) -> bool:
        """Whether the operand is given."""
        return index < len(self.operands) and self.operands[index] is not None

    def operand(self, index: int) -> Any:
        """Raises Refused where it is left out."""
        if not self.has(index):
            raise self.refuse(f"input {index} is missing")
        return self.operands[index]

    def is_constant(self, index: int) -> bool:
        import numpy

        return self.has(index) and isinstance(self.operands[index], numpy.ndarray)

    def constant(self, index: int) -> Array:
        """Raises Refused where the operand is computed."""
        if not self.is_constant(index):
            raise self.refuse(f"input {index} must be constant")
        found: Array = self.operands[index]
        return found

    def whole_numbers(self, index: int) -> list[int]:
        """The elements of a constant operand. Raises Refused where it is computed."""
        return [int(value) for value in self.constant(index).reshape(-1)]

    def shape(self, index: int) -> tuple[int, ...]:
        """Of an operand. Raises Refused where it is left out."""
        return shape_of(self.operand(index))


def shape_of(value: Any) -> tuple[int, ...]:
    """Of a value or a numpy array."""
    return tuple(int(dim) for dim in value.shape)


def axes_of(values: Iterable[int], rank: int) -> list[int]:
    """Counted from the front."""
    return [axis + rank if axis < 0 else axis for axis in values]


def opset_of(model: onnx.ModelProto) -> int:
    """The version of ONNX's own operators."""
    return next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 1)
