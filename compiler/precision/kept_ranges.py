"""What calibration data showed, kept between runs by model, data and method: ranges, so that the second target of a model is not
calibrated again, and losses."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from ...passes.precision.scales import Range
from ..cache.folders import RANGES
from ..cache.json_entries import keep_json, kept_json
from ..load.source import MemoryModel

if TYPE_CHECKING:
    import onnx

VERSION = "1"
"""Of how ranges are found: another one finds nothing that was kept before."""
LOSSES = "3"
"""Of how losses are measured."""


def key_of(model: onnx.ModelProto, data: str, method: str) -> str:
    """data: the digest of the samples."""
    digest = hashlib.sha256(f"{VERSION} {method} {data} ".encode())
    for piece in MemoryModel(model, "").serialised():
        digest.update(piece)
    return digest.hexdigest()


def key_of_file(sha256: str, data: str, method: str) -> str:
    """The same of a model that is as its file has it. sha256: of the file."""
    return hashlib.sha256(f"{VERSION} {method} {data} {sha256}".encode()).hexdigest()


def kept_ranges(key: str) -> dict[str, Range] | None:
    """None where there are none."""
    kept = kept_json(RANGES, key)
    with suppress(ValueError, TypeError, AttributeError):
        return {name: Range(float.fromhex(low), float.fromhex(high)) for name, (low, high) in kept.items()} if kept is not None else None
    return None


def keep_ranges(key: str, found: Mapping[str, Range]) -> None:
    """Where the cache cannot be written, they are found again the next time."""
    keep_json(RANGES, key, {name: (one.low.hex(), one.high.hex()) for name, one in found.items()})


def kept_losses(key: str) -> dict[str, float]:
    """By a name of the operators and their forms; nothing where none are kept."""
    kept = kept_json(RANGES, f"{key}.losses{LOSSES}")
    with suppress(ValueError, TypeError, AttributeError):
        return {name: float.fromhex(value) for name, value in (kept or {}).items()}
    return {}


def keep_losses(key: str, found: Mapping[str, float]) -> None:
    """Where the cache cannot be written, they are measured again the next time."""
    keep_json(RANGES, f"{key}.losses{LOSSES}", {name: value.hex() for name, value in found.items()})
