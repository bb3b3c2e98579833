"""What the planner asks of a buffer."""

from __future__ import annotations

from typing import Protocol


class Buffer(Protocol):
    """A slot of the manifest answers it."""

    @property
    def name(self) -> str: ...
    @property
    def bytes(self) -> int:
        """Allocated, padding included."""
        ...

    @property
    def align(self) -> int: ...
    @property
    def lifetime(self) -> tuple[int, int]:
        """First and last step, both inclusive."""
        ...
