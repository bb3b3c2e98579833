"""What a runtime's own compiler estimates of a segment, kept by content: segment, options and versions."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..activity import doing
from ..cache.entries import keep_below
from ..cache.folders import REPORTS, cache_folder
from ..cache.whole import keep_bytes, kept_bytes
from ..devices.adapter import Adapter, CompilerReport, Reporting
from ..errors import UserError
from .blob_cache import blob_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx


def compiler_report(adapter: Adapter, words: Sequence[str], model: onnx.ModelProto) -> CompilerReport | None:
    """None where the adapter's compiler makes no estimates, is not here, or does not take the segment. The weights are in the model."""
    if not isinstance(adapter, Reporting) or adapter.cannot_compile() is not None:
        return None
    key = blob_key(model, adapter, words)
    kept = _kept(key)
    if kept is None:
        with doing(f"asking {adapter.name}'s compiler for its estimates", size=model.ByteSize()):
            found = adapter.report(model)
        kept = {} if found is None else {"seconds": found.seconds.hex(), "peak_bytes": str(found.peak_bytes)}
        _keep(key, kept)
    return CompilerReport(seconds=float.fromhex(kept["seconds"]), peak_bytes=int(kept["peak_bytes"])) if kept else None


def _kept(key: str) -> dict[str, str] | None:
    """Nothing is in it where the compiler did not take the segment; None where it was not asked before."""
    with suppress(UserError, ValueError, TypeError):
        data = kept_bytes(cache_folder(REPORTS.name) / key)
        found = None if data is None else json.loads(data)
        if isinstance(found, dict) and set(found) in (set(), {"seconds", "peak_bytes"}):
            return {name: str(value) for name, value in found.items()}
    return None


def _keep(key: str, found: dict[str, str]) -> None:
    with suppress(UserError, OSError):
        folder: Path = cache_folder(REPORTS.name)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if keep_bytes(folder / key, json.dumps(found).encode()):
            keep_below(folder, REPORTS.limit)
