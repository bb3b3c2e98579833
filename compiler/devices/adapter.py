"""What a runtime must offer to take part: load a segment, bind it to addresses, run it, and prove where it wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Port:
    """A segment's input or output; `address` is None for a value passed by name."""

    name: str
    dtype: str
    shape: tuple[int, ...] | None
    address: int | None


class LoadedSegment(Protocol):
    """A segment ready to run. Addresses are bound once; every run reads and writes there."""

    copies: bool
    """True where the runtime cannot be given addresses for this segment, so that its tensors are copied in and out."""

    def run(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """One run; `values` are the inputs without an address, what comes back are the outputs without one."""
        ...

    def misplaced(self) -> Sequence[str]:
        """After a run: outputs that the runtime did not write at their address; empty is the proof of no host-visible copy."""
        ...


class Adapter(Protocol):
    """One runtime. `missing` names what is not installed, "" where it can run."""

    name: str

    def missing(self) -> str: ...

    def load(self, path: Path, inputs: Sequence[Port], outputs: Sequence[Port]) -> LoadedSegment:
        """Raises BundleError where the runtime refuses the segment or its ports are not those of the file."""
        ...


def adapter_for(runtime: str) -> Adapter | None:
    """The adapter of a target's `runtime` word; None for a runtime this version has none for ("none" included)."""
    if runtime == "ort":
        from .ort import OrtAdapter

        return OrtAdapter()
    return None
