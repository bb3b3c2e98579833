"""What `autoglmc export` has written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .parity import Parity


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written."""

    path: Path
    format: str
    """tflite, onnx, mlpackage or aimodel."""
    layout: str
    """nchw, as in the model, or nhwc."""
    operators: int
    """Of the converted graph, in ONNX's operators."""
    source_operators: int
    bytes: int
    parity: Parity | None
    """None where it was not compared."""
    unverified: str
    """Why not; "" where it was."""
    notes: tuple[str, ...] = ()
    accuracy: tuple[Mapping[str, Any], ...] = ()
    """Of the outputs of a file that was quantised here, against the float model."""
    functions: Mapping[str, Any] = field(default_factory=dict)
    """Of a file with several functions, or with states: what each takes, by name (functions.py)."""

    @property
    def verified(self) -> bool:
        return not self.unverified

    def as_json(self) -> dict[str, Any]:
        facts = {name: getattr(self, name) for name in ("format", "layout", "operators", "source_operators", "bytes", "verified")}
        compared = None if self.parity is None else self.parity.as_json()
        return {
            "file": str(self.path),
            **facts,
            "parity": compared,
            "unverified": self.unverified,
            "notes": list(self.notes),
            "accuracy": list(self.accuracy),
            "functions": dict(self.functions),
        }
