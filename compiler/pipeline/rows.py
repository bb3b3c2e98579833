"""What a graph is brought into before its activations become integers."""

from __future__ import annotations

from ...passes.stages import in_rows
from .work import Work


def products_in_rows(work: Work, without: frozenset[str] = frozenset()) -> None:
    """Where onnxruntime's CPU is the only runtime: a product and the sum of its bias as one Gemm on rows, which it has a kernel of integers
    for. Other runtimes have their own forms."""
    if all(device.runtime.adapter == "ort" for device in work.target.devices):
        in_rows(work.graph, without)
