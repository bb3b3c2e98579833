"""Ranges kept between runs, by model, data and method: the second target of a model is not calibrated again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

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


def key_of(model: onnx.ModelProto, data: str, method: str) -> str:
    """data: the digest of the samples."""
    digest = hashlib.sha256(f"{VERSION} {method} {data} ".encode())
    for piece in MemoryModel(model, "").serialised():
        digest.update(piece)
    return digest.hexdigest()


def kept_ranges(key: str) -> dict[str, Range] | None:
    """None where there are none."""
    with suppress(UserError, ValueError, TypeError, KeyError, AttributeError):
        data = kept_bytes(cache_folder(RANGES.name) / key)
        if data is not None:
            return {name: Range(float.fromhex(low), float.fromhex(high)) for name, (low, high) in json.loads(data).items()}
    return None


def keep_ranges(key: str, found: Mapping[str, Range]) -> None:
    """Where the cache cannot be written, they are found again the next time."""
    with suppress(UserError, OSError):
        folder: Path = cache_folder(RANGES.name)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        text = json.dumps({name: (one.low.hex(), one.high.hex()) for name, one in found.items()})
        if keep_bytes(folder / key, text.encode()):
            keep_below(folder, RANGES.limit)
