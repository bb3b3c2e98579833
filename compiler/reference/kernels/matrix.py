"""Matrix products, Einstein sums, determinants."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .call import Call, Kernel, Value
from .operands import number


def matmul(call: Call) -> tuple[Value, ...]:
    return (np.asarray(np.matmul(call.inputs[0], call.inputs[1])),)


def gemm(call: Call) -> tuple[Value, ...]:
    """alpha · A' B' + beta · C; without the product's weight where it is 1, so that integers stay integers."""
    a, b, c = call.inputs[0], call.inputs[1], call.input(2)
    a = a.T if call.attributes.get("transA", 0) else a
    b = b.T if call.attributes.get("transB", 0) else b
    y = _scaled(np.matmul(a, b), number(call, "alpha", 1.0))
    return (y if c is None else y + _scaled(c, number(call, "beta", 1.0)),)


def _scaled(x: Value, factor: float) -> Value:
    return x if factor == 1 else (x * factor).astype(x.dtype)


def einsum(call: Call) -> tuple[Value, ...]:
    equation = "".join(call.attributes["equation"].split())
    return (np.asarray(np.einsum(equation, *call.inputs, optimize=True)),)


def determinant(call: Call) -> tuple[Value, ...]:
    return (np.asarray(np.linalg.det(call.inputs[0])),)


KERNELS: Mapping[str, Kernel] = {"MatMul": matmul, "Gemm": gemm, "Einsum": einsum, "Det": determinant}
