"""Which dtypes LiteRT's kernels take, as `tools/probe_litert_kernels.py` found them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .program import Operator


def why_not(operator: Operator) -> str:
    """Half a sentence; "" where there is a kernel."""
    return ""
