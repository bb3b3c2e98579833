"""What verification needs of a bundle: its manifest, and a session to run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from ..bundle.manifest import Manifest


class Ran(Protocol):
    """What is known of a bundle that was loaded."""

    @property
    def devices(self) -> tuple[str, ...]:
        """What really computed each segment, in its runtime's words."""
        ...

    @property
    def absent(self) -> Mapping[int, str]:
        """Why the runtime of a segment is not here, by index; the CPU stands in for it."""
        ...

    @property
    def emulated(self) -> tuple[str, ...]: ...

    @property
    def narrow(self) -> tuple[str, ...]: ...

    @property
    def native(self) -> tuple[str, ...]: ...

    @property
    def not_run(self) -> Mapping[int, str]:
        """The devices, by index of the segment, in whose place other kernels computed what was compiled for them."""
        ...


class Runnable(Ran, Protocol):
    """A loaded bundle."""

    def run(self, inputs: Mapping[str, Any], observe: Callable[[str, str, Any], None] | None = None) -> Mapping[str, Any]:
        """Outputs by name; `observe` is called with (tensor, device, value) for every tensor that a step writes."""
        ...


class Verifiable(Protocol):
    """A bundle."""

    @property
    def manifest(self) -> Manifest: ...

    def session(self, *, emulate: bool = False, poison: bool = False, resident: int | None = None) -> Runnable: ...
