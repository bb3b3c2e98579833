"""What verification needs of a bundle: its manifest, and a session to run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from ..bundle.manifest import Manifest


class Runnable(Protocol):
    """A loaded bundle."""

    devices: tuple[str, ...]
    """What really computed each segment, in its runtime's words."""
    absent: Mapping[int, str]
    """Why the runtime of a segment is not here, by index; the CPU stands in for it."""
    emulated: tuple[str, ...]
    narrow: tuple[str, ...]
    native: tuple[str, ...]
    not_run: Mapping[int, str]
    """The devices, by index of the segment, in whose place other kernels computed what was compiled for them."""

    def run(self, inputs: Mapping[str, Any], observe: Callable[[str, str, Any], None] | None = None) -> Mapping[str, Any]:
        """Outputs by name; `observe` is called with (tensor, device, value) for every tensor that a step writes."""
        ...


class Verifiable(Protocol):
    """A bundle."""

    @property
    def manifest(self) -> Manifest: ...

    def session(self, *, emulate: bool = False, poison: bool = False, resident: int | None = None) -> Runnable: ...
