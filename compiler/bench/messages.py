"""What is asked of the process in which a bundle is measured, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .record import Memory, SegmentTimes


@dataclass(frozen=True, slots=True)
class Request:
    """What to run, and how often."""

    bundle: Path
    inputs: dict[str, Any] | None
    """None for zeros."""
    warmup: int
    repeat: int
    emulate: bool
    recompile: bool
    trust: tuple[Path, ...]
    parent: int
    entry: str = ""
    """Of a bundle that has several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Seconds and bytes."""

    load: float
    first_run: float
    seconds: tuple[float, ...]
    segments: tuple[SegmentTimes, ...]
    handoffs: float
    memory: Memory | None
    emulated: tuple[str, ...]
    notes: tuple[str, ...]
