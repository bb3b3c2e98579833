"""Bytes that a plan holds of one memory, term by term, so that a summary's sums add up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ...passes.place.segment import Segment
from ...targets.dtypes import DTYPE, packed_bytes


@dataclass(frozen=True, slots=True)
class Held:
    """Bytes that one inference holds of a memory at once."""

    weights: int = 0
    """Of the segments that read them from it, as their runtimes hold them (session_weights.py); copies that lie there in all runs."""
    working: int = 0
    """The most that the inner tensors of one segment take there, and weights on their way."""
    arena: int = 0
    """Where the host has its activations: the tensors between segments, in whole pages."""
    loading: int = 0
    """Weights that are there a second time while a bundle is loaded, as a runtime makes its own form of them (session_weights.py)."""
    runtime: int = 0
    """Of the runtimes themselves, where it was measured: `memory base …` of a calibration, which may be negative."""
    mapped: int = 0
    """Weights beyond those that may be resident: read where the bundle's file is mapped, whose pages the system takes back as it needs."""
    shared: int = 0
    """Of the weights, those that further sessions read in the same place."""

    @property
    def own(self) -> int:
        """Of the weights, those that every session has for itself."""
        return max(0, self.weights - self.shared)

    @property
    def while_loading(self) -> int:
        """The most at once while segments are loaded, one after the other; nothing is computed yet."""
        return max(0, self.runtime + self.weights + self.loading + self.arena)

    @property
    def total(self) -> int:
        return max(0, self.runtime + self.weights + self.working + self.arena)


def weight_bytes(segments: Iterable[Segment]) -> int:
    """Bytes of all constants in the dtypes they are stored in, each once however many segments read it; those of bodies too."""
    sizes: dict[str, int] = {}
    bodies = 0
    for segment in segments:
        bodies += sum(node.body_bytes for node in segment.part.nodes)
        for tensor in segment.constants:
            sizes[tensor.name] = packed_bytes(DTYPE.get(tensor.data_type, ""), tensor.dims) or 0
    return sum(sizes.values()) + bodies
