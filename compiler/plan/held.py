"""Bytes that a plan holds of one memory, term by term, so that a summary's sums add up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ...passes.place.segment import Segment
from ...targets.dtypes import DTYPE, packed_bytes
from ..bundle.weights import LARGE


@dataclass(frozen=True, slots=True)
class Held:
    """Bytes that one inference holds of a memory at once."""

    weights: int = 0
    """Of the segments that read them from it, as they are stored; copies that lie there in all runs."""
    working: int = 0
    """The most that the inner tensors of one segment take there, and weights on their way."""
    arena: int = 0
    """Where the host has its activations: the tensors between segments, in whole pages."""
    loading: int = 0
    """Weights that are there a second time while a bundle is loaded: those of the largest segment, as its runtime makes its own form of
    them. Measured with onnxruntime, 0.1 to 1.0 times (benchmarks/load_memory.py)."""
    runtime: int = 0
    """Of the runtimes themselves, where it was measured: `memory base …` of a calibration, which may be negative."""
    mapped: int = 0
    """Weights beyond those that may be resident: read where the bundle's file is mapped, whose pages the system takes back as it needs."""

    @property
    def while_loading(self) -> int:
        """The most at once while segments are loaded, one after the other; nothing is computed yet."""
        return max(0, self.runtime + self.weights + self.loading + self.arena)

    @property
    def total(self) -> int:
        return max(0, self.runtime + self.weights + self.working + self.arena)


TABLES = frozenset({"Gather", "GatherElements", "GatherND"})
"""Operators that read their first operand as a file has it."""


def packable(segments: Iterable[Segment]) -> list[int]:
    """Bytes of the weights of which a session may hold a form of its own, once for each segment: all but small ones and tables."""
    found = []
    for segment in segments:
        read = {name for node in segment.part.nodes for k, name in enumerate(node.reads) if k or node.operator not in TABLES}
        sizes = (packed_bytes(DTYPE.get(one.data_type, ""), one.dims) or 0 for one in segment.constants if one.name in read)
        found += [size for size in sizes if size >= LARGE]
    return found


def weight_bytes(segments: Iterable[Segment]) -> int:
    """Bytes of all constants in the dtypes they are stored in, each once however many segments read it; those of bodies too."""
    sizes: dict[str, int] = {}
    bodies = 0
    for segment in segments:
        bodies += sum(node.body_bytes for node in segment.part.nodes)
        for tensor in segment.constants:
            sizes[tensor.name] = packed_bytes(DTYPE.get(tensor.data_type, ""), tensor.dims) or 0
    return sum(sizes.values()) + bodies
