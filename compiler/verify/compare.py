"""How far two arrays are apart: largest absolute and relative difference, cosine, the difference over the spread of the expected, and where
the worst element is. What that means is judge.py's business."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy

    Array = numpy.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Worst:
    """The element of a tensor that is furthest from what is allowed there."""

    inputs: str
    """On which input set: "seed 0"."""
    index: tuple[int, ...]
    expected: str
    got: str
    """Both as numbers to six digits, or as they are."""

    def __str__(self) -> str:
        where = f" at [{','.join(map(str, self.index))}]" if self.index else ""
        return f"{where} on {self.inputs} (expected {self.expected}, got {self.got})".lstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorDifference:
    """How far a tensor is from the reference, the worst over all pairs compared; equal NaNs and equal infinities count as no difference."""

    name: str
    """Of the tensor."""
    max_abs: float
    """Largest absolute difference of an element."""
    max_rel: float
    """Largest difference over the expected value, of elements of at least 1e-3 of the largest one: elsewhere a ratio says nothing."""
    cosine: float
    """Smallest of all pairs; 1 for two arrays of zeros."""
    max_abs_over_std: float
    """Over the standard deviation of the expected values of the same pair (of all pairs together where that is 0)."""
    mismatched: int
    """Elements where only one side is NaN or infinite, or integers, booleans or strings that differ; all of them where shapes differ."""
    elements: int
    """How many were compared, over all pairs."""
    rounding: float = 0.0
    """The largest change of an element when the untouched model is rounded as its own dtypes (or an fp16 device) round it."""
    rounding_over_std: float = 0.0
    """And over the standard deviation."""
    excess: float = 0.0
    """The difference of `worst` over what is allowed there; 1e9 for what no rounding explains."""
    worst: Worst | None = None
    """The element furthest from what is allowed; None where nothing differs."""
    fault: str = ""
    """Why the difference is too large, a sentence; "" where it is not."""

    @property
    def mismatch(self) -> str:
        """What `mismatched` says, in words."""
        kinds = "NaN or infinite on one side only, unequal integers or strings, or another shape"
        return f"{self.mismatched} of {self.elements} elements do not match ({kinds})"


def difference(name: str, pairs: Sequence[tuple[Any, Any]]) -> TensorDifference:
    """Compare (expected, got) pairs, at least one. Sequences are compared item by item."""
    import numpy

    flat = [pair for expected, got in pairs for pair in items(expected, got)]
    fallback = _spread([numpy.asarray(e, float).ravel() for e, _ in flat if numeric(e)])
    found = [_one(name, expected, got, fallback) for expected, got in flat]
    return TensorDifference(
        name=name,
        max_abs=max((d.max_abs for d in found), default=0.0),
        max_rel=max((d.max_rel for d in found), default=0.0),
        cosine=min((d.cosine for d in found), default=1.0),
        max_abs_over_std=max((d.max_abs_over_std for d in found), default=0.0),
        mismatched=sum(d.mismatched for d in found),
        elements=sum(d.elements for d in found),
    )


def _spread(arrays: Sequence[Array]) -> float:
    """Of all finite numbers together the standard deviation, else the largest, else 1. Sums array by array: all of them as one would be the
    largest array of a verification."""
    import numpy

    kept = [_where(array, numpy.isfinite(array)) for array in arrays]
    number = sum(array.size for array in kept)
    if not number:
        return 1.0
    mean = sum(float(array.sum()) for array in kept) / number
    deviation = float(numpy.sqrt(sum(float(((array - mean) ** 2).sum()) for array in kept) / number))
    return deviation or max(float(numpy.abs(array).max()) for array in kept if array.size) or 1.0


def _where(array: Array, chosen: Array) -> Array:
    """The elements that are chosen: the array itself where all of them are."""
    return array if chosen.all() else array[chosen]


def same(first: Any, second: Any) -> bool:
    """Whether two values are bit for bit the same, NaN equal to NaN."""
    import numpy

    if isinstance(first, (list, tuple)):
        return isinstance(second, (list, tuple)) and len(first) == len(second) and all(map(same, first, second))
    a, b = numpy.asarray(first), numpy.asarray(second)
    return a.shape == b.shape and bool(numpy.array_equal(a, b, equal_nan=a.dtype.kind == "f"))


def items(expected: Any, got: Any) -> list[tuple[Any, Any]]:
    """The pair, or the pairs of two sequences of equal length."""
    if isinstance(expected, (list, tuple)) and isinstance(got, (list, tuple)) and len(expected) == len(got):
        return list(zip(expected, got, strict=True))
    return [(expected, got)]


def numeric(value: Any) -> bool:
    """Whether it is an array of numbers or booleans, of any dtype."""
    import numpy

    return not isinstance(value, (list, tuple)) and numpy.asarray(value).dtype.kind in "fiubV"


def is_real(value: Any) -> bool:
    """Whether it is an array of floating-point numbers: those of ml_dtypes are of kind V, as its integers of 4 bits are."""
    import numpy

    dtype = numpy.asarray(value).dtype
    return dtype.kind == "f" or (dtype.kind == "V" and "float" in dtype.name)


def _one(name: str, expected: Any, got: Any, fallback: float) -> TensorDifference:
    import numpy

    a, b = numpy.asarray(expected), numpy.asarray(got)
    if a.shape != b.shape or not numeric(expected) or not numeric(got):
        equal = a.shape == b.shape and same(expected, got)
        return _differs(name, 0 if equal else max(a.size, 1), a.size)
    exact = not is_real(a)
    x, y = (side.astype(numpy.float64, copy=False).ravel() for side in (a, b))
    both = numpy.isfinite(x) & numpy.isfinite(y)
    alike = both | (x == y) | (numpy.isnan(x) & numpy.isnan(y))
    mismatched = int((~alike).sum()) + (int((x[both] != y[both]).sum()) if exact else 0)
    x, y = _where(x, both), _where(y, both)
    if not x.size:
        return _differs(name, mismatched, a.size)
    gap, size = numpy.abs(x - y), numpy.abs(x)
    large = size >= 1e-3 * size.max()
    relative = gap[large & (size > 0)] / size[large & (size > 0)]
    top = float(gap.max())
    return TensorDifference(
        name=name,
        max_abs=top,
        max_rel=float(relative.max()) if relative.size else top / fallback,
        cosine=cosine_of(x, y),
        max_abs_over_std=top / (float(x.std()) or fallback),
        mismatched=mismatched,
        elements=a.size,
    )


def _differs(name: str, mismatched: int, elements: int) -> TensorDifference:
    cosine = 0.0 if mismatched else 1.0
    return TensorDifference(
        name=name, max_abs=0.0, max_rel=0.0, cosine=cosine, max_abs_over_std=0.0, mismatched=mismatched, elements=elements
    )


def cosine_of(x: Array, y: Array) -> float:
    """Of two flat arrays of finite numbers; scaled first, so that no square overflows."""
    import numpy

    a, b = float(numpy.abs(x).max()), float(numpy.abs(y).max())
    if a == 0 or b == 0:
        return 1.0 if a == b else 0.0
    x, y = x / a, y / b
    return min(float(x @ y / numpy.sqrt((x @ x) * (y @ y))), 1.0)
