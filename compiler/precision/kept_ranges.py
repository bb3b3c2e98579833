"""What calibration data showed, kept between runs by model, data and method: ranges, so that the second target of a model is not
calibrated again, and losses."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...passes.precision.scales import Range
from ..cache.entries import keep_below
from ..cache.folders import RANGES, cache_folder
from ..cache.whole import keep_bytes, kept_bytes
from ..errors import UserError
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


def kept_ranges(key: str) -> dict[str, Range] | None:
    """None where there are none."""
    kept = _kept(key)
    with suppress(ValueError, TypeError, AttributeError):
        return {name: Range(float.fromhex(low), float.fromhex(high)) for name, (low, high) in kept.items()} if kept is not None else None
    return None


def keep_ranges(key: str, found: Mapping[str, Range]) -> None:
    """Where the cache cannot be written, they are found again the next time."""
    _keep(key, {name: (one.low.hex(), one.high.hex()) for name, one in found.items()})


def kept_losses(key: str) -> dict[str, float]:
    """By a name of the operators and their forms; nothing where none are kept."""
    kept = _kept(f"{key}.losses{LOSSES}")
    with suppress(ValueError, TypeError, AttributeError):
        return {name: float.fromhex(value) for name, value in (kept or {}).items()}
    return {}


def keep_losses(key: str, found: Mapping[str, float]) -> None:
    """Where the cache cannot be written, they are measured again the next time."""
    _keep(f"{key}.losses{LOSSES}", {name: value.hex() for name, value in found.items()})


def _kept(name: str) -> dict[str, Any] | None:
    with suppress(UserError, ValueError):
        data = kept_bytes(cache_folder(RANGES.name) / name)
        found = None if data is None else json.loads(data)
        return found if isinstance(found, dict) else None
    return None


def _keep(name: str, found: Mapping[str, Any]) -> None:
    with suppress(UserError, OSError):
        folder: Path = cache_folder(RANGES.name)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if keep_bytes(folder / name, json.dumps(found).encode()):
            keep_below(folder, RANGES.limit)
