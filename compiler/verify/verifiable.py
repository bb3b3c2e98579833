"""What verification needs of a bundle: its manifest, and a session to run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from ..bundle.manifest import Manifest


class Runnable(Protocol):
    """A loaded bundle."""

    emulated: tuple[str, ...]
    narrow: tuple[str, ...]
    native: tuple[str, ...]

    def run(self, inputs: Mapping[str, Any], observe: Callable[[str, str, Any], None] | None = None) -> Mapping[str, Any]:
        """Outputs by name; `observe` is called with (tensor, device, value) for every tensor that a step writes."""
        ...


class Verifiable(Protocol):
    """A bundle."""

    @property
    def manifest(self) -> Manifest: ...

    def session(self, *, emulate: bool = False, poison: bool = False) -> Runnable: ...
