"""Mistakes in what comes out, wherever they were made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .edit import FLOATS, Chain, Edit, Place
from .kind import Kind, Site

Wrong = Callable[[Chain, str, str, tuple[int, ...], float], object]


def _outputs(wrong: Wrong, strength: float = 0.0, least: int = 1) -> Callable[[Edit], Iterator[Site]]:
    """Outputs of floating-point numbers and known shape, of at least `least` elements in the last dim."""

    def find(view: Edit) -> Iterator[Site]:
        for name, place, k in view.output_places():
            shape = view.shape(name)
            if shape is None or not shape or shape[-1] < least or not np.prod(shape) or view.types.get(name, 0) not in FLOATS:
                continue

            def make(edit: Edit, s: float, place: Place = place, k: int = k, shape: tuple[int, ...] = shape) -> None:
                edit.after(place, k, lambda c, a, b: wrong(c, a, b, shape, s))

            yield Site(name, make, strength)

    return find


def _one(c: Chain, shape: tuple[int, ...], value: float, rest: float) -> str:
    array = np.full(shape, rest)
    array.reshape(-1)[array.size // 2] = value
    return c.const(array)


def _channel(shape: tuple[int, ...], first: int, last: int, value: float) -> Any:
    array = np.ones(shape[-1])
    array[first:last] = value
    return array


def _scores(shape: tuple[int, ...]) -> tuple[int, int]:
    """What may be class scores: all but the first four numbers of a row, or its second half."""
    return (4 if shape[-1] > 5 else shape[-1] // 2), shape[-1]


OUTPUTS = (
    Kind("output scaled", _outputs(lambda c, a, b, n, s: c.op("Add", a, c.op("Mul", a, c.const(s)), out=b), 1e-3)),
    Kind("output shifted", _outputs(lambda c, a, b, n, s: c.op("Add", a, c.const(s), out=b), 1e-3)),
    Kind("one element of the output shifted", _outputs(lambda c, a, b, n, s: c.op("Add", a, _one(c, n, s, 0.0), out=b), 1e-3)),
    Kind(
        "one channel of the output shifted",
        _outputs(lambda c, a, b, n, s: c.op("Add", a, c.const(_channel(n, -1, n[-1], s + 1) - 1), out=b), 1e-3, 2),
    ),
    Kind(
        "one channel of the output scaled",
        _outputs(
            lambda c, a, b, n, s: c.op("Add", a, c.op("Mul", a, c.const(_channel(n, n[-1] // 2, n[-1] // 2 + 1, s + 1) - 1)), out=b),
            1e-3,
            2,
        ),
    ),
    Kind("NaN in one element", _outputs(lambda c, a, b, n, s: c.op("Add", a, _one(c, n, np.nan, 0.0), out=b))),
    Kind("infinity in one element", _outputs(lambda c, a, b, n, s: c.op("Add", a, _one(c, n, np.inf, 0.0), out=b))),
    Kind("one element of the output zeroed", _outputs(lambda c, a, b, n, s: c.op("Mul", a, _one(c, n, 0.0, 1.0), out=b))),
    Kind("class scores zeroed", _outputs(lambda c, a, b, n, s: c.op("Mul", a, c.const(_channel(n, *_scores(n), 0.0)), out=b), 0.0, 2)),
    Kind("class scores halved", _outputs(lambda c, a, b, n, s: c.op("Mul", a, c.const(_channel(n, *_scores(n), 0.5)), out=b), 0.0, 2)),
    Kind(
        "output shifted along its last dim",
        _outputs(lambda c, a, b, n, s: c.op("Gather", a, c.ints(*range(1, n[-1]), 0), out=b, axis=-1), 0.0, 2),
    ),
)
"""The strength of a shift is in units of the output."""
