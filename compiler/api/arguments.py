"""Arguments that Python callers give in other forms than the command line can."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from typing import Any

from ...targets.model import Target
from ..errors import UsageError
from ..inputs.samples import Given
from ..load.bind_shapes import LARGEST, Shapes

SIZES = f"a size is a whole number from 1 to {LARGEST}, or a tuple of them for a whole input"


def sizes_of(shapes: Mapping[str, Any] | None) -> Shapes:
    """Shapes as the compiler takes them. Raises UsageError for what is no mapping from names to sizes."""
    if shapes is None:
        return {}
    if not isinstance(shapes, Mapping):
        raise UsageError(f"shapes is a mapping from names to sizes, not {type(shapes).__name__}", help='for example shapes={"batch": 1}')
    return {name: _size(name, given) for name, given in shapes.items()}


def arrays_of(arrays: Mapping[str, Any] | None, argument: str = "inputs") -> Mapping[str, Any] | None:
    """Raises UsageError for what is no mapping from names of inputs (or outputs) to arrays."""
    if arrays is None or isinstance(arrays, Mapping):
        return arrays
    names = "input" if argument == "inputs" else "output"
    raise UsageError(f"{argument} is a mapping from {names} names to arrays, not {type(arrays).__name__}")


def given_of(inputs: Given | None) -> Given | None:
    """Arrays by input name, or several sets of them with a label each. Raises UsageError for anything else."""
    if inputs is None or isinstance(inputs, Mapping):
        return inputs
    pairs = list(inputs) if isinstance(inputs, Iterable) and not isinstance(inputs, str) else []
    fits = all(isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[1], Mapping) for pair in pairs)
    if pairs and fits:
        return pairs
    raise UsageError(f"inputs is a mapping from input names to arrays, or (label, mapping) pairs, not {type(inputs).__name__}")


def names_of(names: Iterable[str]) -> tuple[str, ...]:
    """Several names, or a single one."""
    return (names,) if isinstance(names, str) else tuple(names)


def effort_of(effort: float) -> float:
    """Raises UsageError for what is no positive number."""
    if isinstance(effort, (int, float)) and math.isfinite(effort) and effort > 0:
        return effort
    raise UsageError(f"effort is a positive number, not {effort!r}", help="1.0 is the default")


def _size(name: str, given: Any) -> int | tuple[int, ...]:
    several = isinstance(given, (tuple, list))
    try:
        sizes = tuple(dim.__index__() for dim in (given if several else (given,)))
    except AttributeError:
        sizes = ()
    if not isinstance(name, str) or not sizes or min(sizes) < 1 or max(sizes) > LARGEST:
        raise UsageError(f"shapes[{name!r}] is {given!r}", help=SIZES)
    return sizes if several else sizes[0]


def target_of(target: Any) -> str | Target:
    """Raises UsageError for anything but a path, the name of a stock target, or a Target."""
    if isinstance(target, Target):
        return target
    if isinstance(target, str | os.PathLike) and isinstance(path := os.fspath(target), str):
        return path
    raise UsageError(f"a target is a path, the name of a stock target or a Target, not {type(target).__name__}", help='for example "a16"')
