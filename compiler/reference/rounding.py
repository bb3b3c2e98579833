"""What finite precision does to a number: the ways in which an evaluation may round every result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from .held import is_float

Rounding = Callable[[Any, str], Any]
"""From a float64 array and its declared dtype to the array, rounded; arrays of other dtypes are never given."""
HALF_MAX = 65504.0
HALF_BITS = 11
"""Of the significand of fp16, the hidden one included."""
Chains = Literal["", "sums", "deviations"]
"""Which sums are added up one term after the other, however long they are: none, those of products and reductions, or those under the root
of a normalisation as well. Kernels other than onnxruntime's chain some of them; which do is said where terms are (verify/terms.py)."""
UNIT = {"float64": 2.0**-53, "float16": 2.0**-11, "bfloat16": 2.0**-8}
"""Half the distance of 1 to the next number (unit roundoff) of a dtype; fp32 for all others."""
SINGLE = 2.0**-24
TIE, NEAR_ONE, SLOPE, LOW, DEEPEST = 64.0, 2.0, 0.3, 2.0, 8.0


def exact(value: Any, dtype: str) -> Any:
    """float64, whatever the model declares."""
    return value


def half(value: Any, dtype: str) -> Any:
    """Every number as fp16, but for its range: beyond 65504 only the significand is rounded. An output that overflows on a device is
    refused for that; what the others may be off by must not depend on it."""
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = value.astype(np.float16).astype(np.float64)
        large = np.abs(value) > HALF_MAX
        if large.any():
            significand, exponent = np.frexp(value[large])
            rounded[large] = np.ldexp(np.rint(significand * 2.0**HALF_BITS) / 2.0**HALF_BITS, exponent)
    return rounded


class noisy:
    """Random rounding (Monte Carlo arithmetic, Parker 1997): each result that its declared dtype cannot hold is off by its rounding error,
    up or down by chance. What that changes tells how ill-conditioned a model is, also where its own runtime rounds nothing.

    chained: which sums are added up one term after the other."""

    def __init__(self, seed: int, chained: Chains = "") -> None:
        self._random, self.chained = np.random.default_rng(seed), chained

    def __call__(self, value: Any, dtype: str) -> Any:
        if dtype == "float64" or not np.size(value):
            return value
        with np.errstate(over="ignore", invalid="ignore"):
            off = value - value.astype(np.float16 if dtype == "float16" else np.float32)
        return value + np.where(np.isfinite(off), off, 0.0) * self.signs(off.shape)

    def signs(self, shape: tuple[int, ...]) -> Any:
        """-1.0 or 1.0 by chance."""
        size = int(np.prod(shape))
        bits = np.unpackbits(np.frombuffer(self._random.bytes(size // 8 + 1), np.uint8), count=size).reshape(shape)
        return 2.0 * bits - 1.0

    def in_sums(self, value: Any, depth: int) -> Any:
        """Terms of sums of `depth` terms, each off by SLOPE sqrt(depth) unit roundoffs of fp32: what rounding every partial sum does to the
        sum, at least LOW, for weights that are folded and rounded again, at most DEEPEST where long sums are computed in blocks. Runtimes
        add up in fp32 also where the model says fp16.

        Of n terms t of either sign the k-th partial sum is about sqrt(k) times their root mean square, and rounding it adds an error of
        that times a unit roundoff u, by chance: n u rms(t) / sqrt(6) together, which is SLOPE sqrt(n) u sqrt(sum of t²) up to a third."""
        off = max(SLOPE * depth**0.5, LOW)
        return value * (1.0 + (off if self.chained else min(off, DEEPEST)) * SINGLE * self.signs(np.shape(value)))

    def of_sums(self, value: Any, depth: int) -> Any:
        """Sums of `depth` terms of one sign, added one after the other: each partial sum is as large as what was added so far, so that the
        sum is off by SLOPE sqrt(depth / 3) of its unit roundoffs, however many terms cancel each other's own. Where any kernel may have
        added up, without the third: a share of sqrt(n) u sum of |t|, the bound of N. J. Higham and T. Mary (A New Approach to Probabilistic
        Rounding Error Analysis, SIAM J. Sci. Comput. 41, 2019, theorem 2.4, lambda = 1), which judging by a multiple of it makes up for."""
        return value * (1.0 + SLOPE * (depth if self.chained else depth / 3) ** 0.5 * SINGLE * self.signs(np.shape(value)))

    def of_deviations(self, scale: Any, bias: Any, depth: int) -> tuple[Any, Any]:
        """What a normalisation multiplies by and adds, as the errors of its sums of `depth` terms change its result: the deviation is
        the root of a sum of squares, and the mean is taken to be as large as the deviation at most. Where blocks are added up, it is off by
        DEEPEST unit roundoffs at most: one term after the other, 65,536 squares are off by nearly as much as dividing by one less is."""
        off = SLOPE * depth**0.5
        off = (off if self.chained == "deviations" else min(off, DEEPEST)) * SINGLE
        change = off * np.abs(scale) * self.signs(np.shape(scale)) if np.shape(bias) == np.shape(scale) else 0.0
        return scale * (1.0 + off * self.signs(np.shape(scale))), None if bias is None else bias + change

    def after_sigmoid(self, value: Any, dtype: str) -> Any:
        """A sigmoid off by NEAR_ONE unit roundoffs of 1: runtimes compute it by rational functions whose error is as large everywhere, and
        end them where nothing of a result near 0 is left."""
        return value + NEAR_ONE * UNIT.get(dtype, SINGLE) * self.signs(np.shape(value))

    def before_steps(self, value: Any, dtype: str) -> Any:
        """What an operator is about to round to whole steps, off by TIE unit roundoffs of the largest number: of two right forms of a
        model one may see a number just above a tie, the other just below."""
        if not np.size(value):
            return value
        largest = np.max(np.abs(value), where=np.isfinite(value), initial=0.0)
        return value + TIE * UNIT.get(dtype, SINGLE) * largest * self.signs(value.shape)


def apply(rounding: Rounding, value: Any, dtype: str) -> Any:
    """A result, or each item of a sequence, rounded if it is a floating-point number."""
    if rounding is exact or value is None or not is_float(dtype):
        return value
    if isinstance(value, list):
        return [rounding(item, dtype) for item in value]
    return rounding(value, dtype)
