"""Inputs for a bundle of which nothing but names, dtypes and shapes is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..bundle.plan_records import ValueRecord
from ..devices.views import numpy_dtype


def zeros_for(inputs: Sequence[ValueRecord]) -> dict[str, Any]:
    """Zeros for every input of a bundle: right for indices and masks too."""
    import numpy as np

    return {one.name: np.zeros(one.shape or (), numpy_dtype(one.dtype)) for one in inputs}
