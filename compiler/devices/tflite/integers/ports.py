"""Inputs and outputs of a file that have another sign than what the file computes with: uint8 beside int8, uint16 beside int16."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..records import Operator, Tensor
from .grids import SHIFTS, port_scales

if TYPE_CHECKING:
    from ..program import Program
    from ..records import Scales

BYTE, BETWEEN = "uint8", "int32"
"""QUANTIZE changes the sign of bytes. Of 16 bits it takes none without a sign: they go through 32."""


def from_port(program: Program, port: Tensor, dtype: str, scales: Scales, fresh: Callable[[str], str]) -> Tensor:
    """An input as it is computed with, on the same grid; fresh: names of tensors."""
    return _turned(program, port, f"{port.name}.{dtype}", dtype, scales, -SHIFTS[port.dtype], fresh)


def to_port(program: Program, tensor: Tensor, name: str, dtype: str, fresh: Callable[[str], str]) -> Tensor:
    """An output as the model has it."""
    assert tensor.scales is not None
    return _turned(program, tensor, f"{name}.{dtype}", dtype, port_scales(tensor.scales, dtype), SHIFTS[dtype], fresh)


def _turned(program: Program, x: Tensor, name: str, dtype: str, scales: Scales, by: int, fresh: Callable[[str], str]) -> Tensor:
    import numpy

    if BYTE in (x.dtype, dtype):
        return program.emit("QUANTIZE", [x], x.shape, fresh(name), dtype, scales)
    plain = _cast(program, x, Tensor(fresh(f"{name}.plain"), x.shape, BETWEEN))
    shift = program.constant(numpy.array(by, BETWEEN), fresh(f"{name}.shift"))
    shifted = program.emit("ADD", [plain, shift], x.shape, fresh(f"{name}.shifted"))
    return _cast(program, shifted, Tensor(fresh(name), x.shape, dtype, None, scales))


def _cast(program: Program, x: Tensor, made: Tensor) -> Tensor:
    """The whole numbers, whatever they stand for."""
    from ai_edge_litert import schema_py_generated as schema

    from ..file import TYPES

    before, after = (getattr(schema.TensorType, TYPES[tensor.dtype]) for tensor in (x, made))
    program.operators.append(Operator("CAST", (x,), (made,), {"inDataType": before, "outDataType": after}))
    return made
