"""The place of a statement of a target, and the provenance of its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Provenance = Literal["stated", "measured", "src", "vendor", "proxy", "guess"]


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """A place in a .hw file: 1-based line and column. Of what an option of the command line says: the option, and line 0."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        """`a16.hw:31`: the file's name without its folder, so that a manifest is the same on every machine."""
        name = self.file.replace(chr(92), "/").rsplit("/", 1)[-1]
        return f"{name}:{self.line}" if self.line else name


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One number of a target with its provenance, e.g. path "device.npu.dispatch", value 1.5e-4 (SI)."""

    path: str
    value: float
    text: str
    """The number as written, with its unit: "150 us"."""
    provenance: Provenance
    note: str
    origin: Origin
