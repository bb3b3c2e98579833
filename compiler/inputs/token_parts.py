"""Arrays of tokens, cut and filled up to what one run takes."""

from __future__ import annotations

from typing import Any


def part_of(array: Any, axis: int | None, begin: int, end: int, size: int) -> Any:
    """Tokens of the array from `begin` to `end`, filled up to `size` with the last of them."""
    import numpy

    if axis is None:
        return array
    return numpy.take(array, [min(k, end - 1) for k in range(begin, begin + size)], axis=axis)


def first_of(array: Any, axis: int | None, tokens: int) -> Any:
    """The first tokens; the array where it has none."""
    return array if axis is None else array[(slice(None),) * axis + (slice(0, tokens),)]
