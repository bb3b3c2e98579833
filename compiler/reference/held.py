"""A tensor during an evaluation: its number in float64, and the dtype that the model declares for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

NARROW_FLOATS = ("bfloat16", "float8", "float4", "float6")
"""How the names of floating-point dtypes begin that numpy itself does not have."""


@dataclass(slots=True)
class Held:
    """A value: an array, a list of arrays for a sequence, None for an optional that is empty. Floats of any dtype are held as float64."""

    value: Any
    dtype: str
    """As numpy and ml_dtypes name it; of the elements, for a sequence."""
    own: Any = None
    """The same in its own dtype, where that was given: an input or a weight."""

    def in_own_dtype(self) -> Any:
        """What a runtime is fed: numbers rounded to the declared dtype. Kept, so that a weight is converted once."""
        if self.own is None:
            self.own = _each(self.value, lambda array: narrow(array, self.dtype))
        return self.own


def hold(value: Any) -> Held:
    """An array (or a list of arrays) in its own dtype."""
    if value is None:
        return Held(None, "")
    if isinstance(value, (list, tuple)):
        items = [np.asarray(item) for item in value]
        return Held([widen(item) for item in items], items[0].dtype.name if items else "float32", items)
    array = np.asarray(value)
    return Held(widen(array), name_of(array.dtype), array)


def name_of(dtype: Any) -> str:
    """ "object" for strings, whatever holds them."""
    return "object" if dtype.kind in "OUST" else str(dtype.name)


@cache
def is_float(dtype: str) -> bool:
    """Whether a declared dtype is held as float64."""
    return dtype.startswith(("float", *NARROW_FLOATS))


@cache
def dtype_of(name: str) -> Any:
    """numpy's dtype of that name, those of ml_dtypes included."""
    import ml_dtypes

    return np.dtype(getattr(ml_dtypes, name)) if hasattr(ml_dtypes, name) else np.dtype(name)


def widen(array: Any) -> Any:
    """float64 for floats, everything else as it is."""
    return array.astype(np.float64) if is_float(name_of(array.dtype)) else array


def narrow(value: Any, dtype: str) -> Any:
    """A float64 array in the declared dtype; others as they are."""
    if not dtype or not is_float(dtype) or value is None or value.dtype != np.float64:
        return value
    with np.errstate(over="ignore", invalid="ignore"):
        return value.astype(dtype_of(dtype))


def _each(value: Any, change: Any) -> Any:
    if isinstance(value, list):
        return [change(item) for item in value]
    return None if value is None else change(value)
