"""A model as a Core ML package. It runs only on an Apple machine, so that it is written unverified."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..devices.coreml import ELSEWHERE, CoreMlAdapter, emit_package
from ..devices.onnx_node import Refused
from ..errors import ModelError, UserError

if TYPE_CHECKING:
    from .prepare import Prepared

WORDS = ("mlprogram", "ios", "16")
"""The oldest system that has MLPrograms as we write them: newer ones read it."""
WHOLE = frozenset({"DepthToSpace", "GridSample", "ScatterElements"})
"""Operators that stand for several, and are converted as they are, or refused by their own name: what they stand for is not converted."""
UNVERIFIED = ELSEWHERE.reason


def check_extra() -> None:
    """Raises UserError where coremltools is not installed."""
    if (lack := CoreMlAdapter(WORDS).cannot_compile()) is not None:
        raise UserError(f"an .mlpackage cannot be written: {lack.reason}", help=lack.help)


def write_core_ml(prepared: Prepared, folder: Path, where: str) -> None:
    """Raises ModelError naming the operator and node that is not converted."""
    try:
        emit_package(prepared.model, folder, WORDS, prepared.metadata)
    except Refused as problem:
        raise ModelError(f"the model cannot be converted to Core ML: {problem}", where=where) from None
    except ValueError as problem:
        raise ModelError(f"coremltools cannot write the model: {str(problem).strip()[:500]}", where=where) from None
