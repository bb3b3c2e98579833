"""How far the grids of operands and results may lie apart in LiteRT's integer kernels.

A kernel multiplies whole numbers, or sums of products, by the quotient of the scales of what it reads and of what it writes: by a whole
number and a shift. Where the quotient is too large for that it overflows, does not load, or ends the process; far below 1 it is right.
Found of LiteRT 2.3.0 with scales times powers of two from 2^-40 to 2^40 (tests/devices/test_tflite_grids.py goes that way again).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..records import Operator, Tensor

WIDE = "int16"
MOST = 128.0
"""Steps of the result's grid to one of an operand, or of a product. XNNPACK takes less than 2^8, and LiteRT's own kernels of sums end the
process at 2^14. At 128, two steps of an operand are all that 8 bits of the result can show."""
ROOM = 2.0**30
"""A whole number times the quotient: of 32 bits, a sign and one for rounding."""
STEEPEST = 16.0
"""Scale of what HARD_SWISH reads, whose kernel has numbers between -3 and 3 on a grid of its own, 2^15 steps to 3."""
CURVED = (2.0**-40, 1.0)
"""Scales of what LOGISTIC and TANH read in 16 bits."""
SECTIONS, BENT = 512.0, 0.1
"""LiteRT's tables of 16 bits have 512 sections with straight lines between. GELU's second derivative is at most 2/sqrt(2 pi), at 0: a line
over a section of length h is off by an eighth of that times h^2, at most, and by more where results meet the end of their grid."""
EXPONENTS = 12.0
"""Distance of the largest and the smallest number that SOFTMAX may read in 16 bits. Its table of exponentials ends at e^-10: what it takes
for more adds up, to 3 % of a row of 512 (979 steps)."""
EQUAL_DTYPES = ("ADD", "BATCH_MATMUL", "CONCATENATION", "MAXIMUM", "MINIMUM", "MUL", "SUB")


def beyond(operator: Operator) -> str:
    """Why LiteRT's kernel does not compute an operator on integers that stand for numbers; "" where it does."""
    given = [one for one in operator.inputs if one is not None and one.scales is not None]
    if not given or operator.outputs[0].scales is None:
        return ""
    dtypes = sorted({one.dtype for one in given})
    if operator.code in EQUAL_DTYPES and len(dtypes) > 1:
        return f"LiteRT's {operator.code} does not mix {' and '.join(dtypes)}"
    check = LIMITS.get(operator.code)
    return "" if check is None else check(operator, given, operator.outputs[0])


Check = Callable[["Operator", Sequence["Tensor"], "Tensor"], str]
"""Of an operator, its operands in integers, a bias behind two others, and its result."""


def _of_each(operator: Operator, given: Sequence[Tensor], made: Tensor) -> str:
    return _below(max(map(_step, given)) / _step(made), MOST, operator)


def _of_product(operator: Operator, given: Sequence[Tensor], made: Tensor) -> str:
    quotient = _step(given[0]) * _step(given[1]) / _step(made)
    both = _largest(given[0]) * _largest(given[1])
    if operator.code == "MUL":
        return _below(quotient, min(MOST, ROOM / both), operator)
    return _below(quotient, 1.0 if operator.code == "BATCH_MATMUL" and given[0].dtype == WIDE else MOST, operator)


def _of_number(operator: Operator, given: Sequence[Tensor], made: Tensor) -> str:
    factor = max(1.0, abs(operator.options.get("alpha", 1.0)))
    return _below(_step(given[0]) / _step(made), ROOM / (_largest(given[0]) * factor), operator)


def _of_change(operator: Operator, given: Sequence[Tensor], made: Tensor) -> str:
    (first,) = given
    assert made.scales is not None
    if first.dtype == WIDE and made.dtype == "uint8" and any(made.scales.zero):
        return f"LiteRT's QUANTIZE of {WIDE} makes no {made.dtype} with a zero point"
    return _of_number(operator, given, made)


def _of_curve(operator: Operator, given: Sequence[Tensor], made: Tensor) -> str:
    low, high = CURVED
    step = _step(given[0])
    if given[0].dtype != WIDE or low <= step <= high:
        return ""
    return f"steps of {step:.3g} are not what LiteRT's {operator.code} of {WIDE} reads"


def _of_bend(operator: Operator, given: Sequence[Tensor], made: Tensor) -> str:
    step = _step(given[0])
    return _of_each(operator, given, made) if step <= STEEPEST else f"steps of {step:.3g} are too coarse for LiteRT's {operator.code}"


def _of_table(operator: Operator, given: Sequence[Tensor], made: Tensor) -> str:
    before, after = _step(given[0]), _step(made)
    if given[0].dtype != WIDE or (before <= after and BENT * (before * 2**16 / SECTIONS) ** 2 <= after):
        return ""
    return f"LiteRT's {operator.code} of {WIDE} has a table that is too coarse for steps of {before:.3g} to {after:.3g}"


def _of_exponentials(operator: Operator, given: Sequence[Tensor], made: Tensor) -> str:
    apart = _step(given[0]) * 2**16
    if given[0].dtype != WIDE or apart <= EXPONENTS:
        return ""
    return f"LiteRT's SOFTMAX of {WIDE} is wrong where numbers are up to {apart:.3g} apart, more than {EXPONENTS:g}"


def _below(quotient: float, most: float, operator: Operator) -> str:
    if quotient < most:
        return ""
    return f"LiteRT's {operator.code} takes less than {most:.3g} steps of the result to one of what it reads, and there are {quotient:.3g}"


def _step(tensor: Tensor) -> float:
    assert tensor.scales is not None
    return max(tensor.scales.scale)


def _largest(tensor: Tensor) -> float:
    """Of the whole numbers less the zero point, or a bound."""
    import numpy

    assert tensor.scales is not None
    if tensor.data is None:
        return float(2 ** numpy.iinfo(tensor.dtype).bits)
    return max(float(numpy.abs(tensor.data.astype(numpy.float64) - tensor.scales.zero[0]).max(initial=0)), 1.0)


LIMITS: Mapping[str, Check] = {
    "ADD": _of_each,
    "BATCH_MATMUL": _of_product,
    "CONV_2D": _of_product,
    "DEPTHWISE_CONV_2D": _of_product,
    "FULLY_CONNECTED": _of_product,
    "GELU": _of_table,
    "HARD_SWISH": _of_bend,
    "LEAKY_RELU": _of_number,
    "LOGISTIC": _of_curve,
    "MEAN": _of_number,
    "MUL": _of_product,
    "QUANTIZE": _of_change,
    "SOFTMAX": _of_exponentials,
    "SUB": _of_each,
    "TANH": _of_curve,
    "TRANSPOSE_CONV": _of_product,
}
