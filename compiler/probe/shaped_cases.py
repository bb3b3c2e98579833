"""Probe cases with the shapes that networks have: ranks 1 to 5, dtypes, operands that are weights and operands that are not.

An operand is written "1x32x48x48" (fp32, fed), "32x1x3x3*" (a weight), "i64:2x8", "bool:1x8" or "f16:8"; "" is absent, "[]" a scalar;
a list is a weight of int64. Values are drawn anew for every case, from its text, within (0.1, 1) for functions not defined elsewhere.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...targets.dtypes import NUMPY, OTHER_NAMES
from ...targets.operators import version_at
from .case import NEWEST, OLDEST, Case, make_case
from .shapes import SHAPED

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]

POSITIVE = frozenset({"Log", "Sqrt", "Reciprocal", "Asin", "Acos", "Pow", "ReduceLogSum", "BatchNormalization", "Div", "Mod"})


def shaped_cases(operators: frozenset[str]) -> Iterator[Case]:
    """The cases of these operators, in the order of SHAPED."""
    for operator, operands, attributes in SHAPED:
        if operator in operators and (case := _case(operator, operands, attributes)):
            yield case


def _case(operator: str, operands: Sequence[str | Sequence[int]], attributes: Mapping[str, Any]) -> Case | None:
    import numpy
    import onnx

    domain, _, kind = operator.rpartition("::")
    name = f"{operator}({', '.join(str(o) for o in operands)}{''.join(f', {k} = {v}' for k, v in attributes.items())})"
    draw = numpy.random.default_rng(zlib.crc32(name.encode()))
    values = [_value(operand, kind, draw) for operand in operands]
    constants = frozenset(k for k, o in enumerate(operands) if not isinstance(o, str) or o.endswith("*"))
    names = [f"x{k}" if value is not None else "" for k, value in enumerate(values)]
    results = ["y"] if kind != "Split" else [f"y{k}" for k in range(int(attributes.get("num_outputs", 2)))]
    node = onnx.helper.make_node(kind, names, results, name="n", domain=domain, **attributes)
    version = version_at(operator, NEWEST)
    opset = 1 if domain else max(OLDEST, version.since if version else OLDEST)
    return make_case(name, node, values, constants, opset)


def _value(operand: str | Sequence[int], operator: str, draw: numpy.random.Generator) -> Array | None:
    import numpy

    if not isinstance(operand, str):
        return numpy.asarray(operand, numpy.int64)
    if not operand:
        return None
    kind, _, text = operand.rstrip("*").rpartition(":")
    shape = () if text == "[]" else tuple(map(int, text.split("x")))
    if kind == "bool":
        return draw.random(shape) < 0.5
    if kind in ("i64", "i32", "u8"):
        return draw.integers(0, 4, shape).astype(NUMPY[OTHER_NAMES[kind or "f32"]])
    values = draw.uniform(0.1, 1.0, shape) if operator in POSITIVE else draw.standard_normal(shape)
    return values.astype(NUMPY[OTHER_NAMES[kind or "f32"]])
