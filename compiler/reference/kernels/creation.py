"""Tensors made of a shape or a few numbers: ranges, fills, diagonals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .call import Call, Kernel, Value
from .conversion import DTYPES, converted


def constant_of_shape(call: Call) -> tuple[Value, ...]:
    """One element everywhere: fp32 0 unless the attribute says otherwise."""
    value = np.asarray(call.attributes.get("value", np.zeros(1))).ravel()
    kind = value.dtype.name
    value = value.astype(np.float64) if kind.startswith(("float", "bfloat")) else value
    return (np.full([int(n) for n in call.inputs[0]], value[0], value.dtype),)


def range_(call: Call) -> tuple[Value, ...]:
    """ceil((limit - start) / delta) numbers; computed as start + i · delta."""
    start, limit, delta = (np.asarray(v).ravel()[0] for v in call.inputs)
    count = max(int(np.ceil((float(limit) - float(start)) / float(delta))), 0)
    steps = np.arange(count, dtype=np.asarray(call.inputs[0]).dtype)
    return (start + steps * delta,)


def eye_like(call: Call) -> tuple[Value, ...]:
    x = np.asarray(call.inputs[0])
    name = DTYPES[int(call.attributes["dtype"])] if "dtype" in call.attributes else call.dtypes[0]
    return (converted(np.eye(x.shape[0], x.shape[1], k=int(call.attributes.get("k", 0))), name, True),)


KERNELS: Mapping[str, Kernel] = {"ConstantOfShape": constant_of_shape, "Range": range_, "EyeLike": eye_like}
