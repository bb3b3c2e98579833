"""What each input is meant for, so that it can be varied in ways that the model knows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from ..load.bind_shapes import real_inputs
from .generate_inputs import CHANNELS, LENGTH, MASK, POSITION, RATE
from .operands import Fit, fits_of
from .points import Sight
from .trace_uses import Use, uses_of

if TYPE_CHECKING:
    import numpy as np
    import onnx


class Role(Enum):
    """How an input can be varied."""

    MASK = "lets pass where it is one"
    ADDITIVE = "a mask that is added: 0 lets pass, a large negative number closes"
    FLAG = "one bool"
    CONTROL = "one integer, or a length: what it means is not known"
    INDEX = "integers that index a table"
    POSITION = "positions"
    INTEGER = "other integers"
    IMAGE = "channels-first images"
    REAL = "other numbers"
    SHAPING = "integers that are part of a shape, which is not known"
    OTHER = "strings, sequences, complex numbers, empty tensors, declared shapes"


@dataclass(frozen=True, slots=True)
class Part:
    """One input."""

    name: str
    role: Role
    shape: tuple[int, ...]
    dtype: np.dtype[Any] | None
    fit: Fit | None = None
    """What it may hold, where what it is an operand of says so."""
    settled: bool = False
    """Whether there is only one array that it may be: a shape that is declared, or nothing at all."""
    special: tuple[int, ...] = ()
    """Numbers that the model compares it with, and their neighbours."""


def parts_of(model: onnx.ModelProto, sight: Sight, shapes: Mapping[str, tuple[int, ...]]) -> tuple[Part, ...]:
    """Every input that must be fed, in the model's order."""
    fits, uses = fits_of(sight.flow), uses_of(sight.flow)
    parts = (_part(value, shapes.get(value.name), fits.get(value.name), uses[value.name]) for value in real_inputs(model.graph))
    shaping = sight.depends.shaping
    loose = (Role.CONTROL, Role.INTEGER)
    return tuple(replace(part, role=Role.SHAPING) if part.name in shaping and part.role in loose else part for part in parts)


def _part(value: onnx.ValueInfoProto, shape: tuple[int, ...] | None, fit: Fit | None, use: Use) -> Part:
    from onnx import TensorProto, helper

    tensor = value.type.tensor_type
    if shape is None:
        shape = tuple(dim.dim_value for dim in tensor.shape.dim)
    if not value.type.HasField("tensor_type") or tensor.elem_type == TensorProto.STRING or not math.prod(shape):
        return Part(value.name, Role.OTHER, shape, None, settled=value.type.HasField("tensor_type") and not math.prod(shape))
    dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    exact = fit is not None and fit.exact is not None and len(fit.exact) == math.prod(shape)
    if dtype.kind == "c" or (exact and dtype.kind != "b"):
        role = Role.OTHER
    elif dtype.kind == "b":
        role = Role.FLAG if math.prod(shape) == 1 else Role.MASK
    elif dtype.kind in "iu" or tensor.elem_type in (TensorProto.INT4, TensorProto.UINT4):
        role = _of_integers(value.name, shape, fit, use)
    else:
        role = _of_reals(value.name, shape, use)
    whole = [int(number) for number in sorted(use.compared) if math.isfinite(number)]
    special = tuple(dict.fromkeys([*whole, *(n + step for step in (1, -1) for n in whole if n + step >= 0)]))
    return Part(value.name, role, shape, dtype, fit, exact and dtype.kind != "b", special)


def _of_integers(name: str, shape: tuple[int, ...], fit: Fit | None, use: Use) -> Role:
    if MASK.search(name):
        return Role.MASK
    if POSITION.search(name) and shape:
        return Role.POSITION
    if fit is not None and fit.exact is None:
        return Role.INDEX
    if RATE.search(name) or math.prod(shape) == 1 or LENGTH.search(name):
        return Role.CONTROL
    return Role.MASK if use.chooses and use.compared <= {0, 1} else Role.INTEGER


def _of_reals(name: str, shape: tuple[int, ...], use: Use) -> Role:
    if use.added_to_scores:
        return Role.ADDITIVE
    if MASK.search(name):
        return Role.MASK
    return Role.IMAGE if len(shape) == 4 and shape[1] in CHANNELS else Role.REAL
