"""What a runtime's own compiler estimates of a segment, kept by content: segment, options and versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...activity import doing
from ...cache.folders import REPORTS
from ...cache.json_entries import keep_json, kept_json
from ...devices.adapter import Adapter, CompilerReport, Reporting
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
        keep_json(REPORTS, key, kept)
    return CompilerReport(seconds=float.fromhex(kept["seconds"]), peak_bytes=int(kept["peak_bytes"])) if kept else None


def _kept(key: str) -> dict[str, str] | None:
    """Nothing is in it where the compiler did not take the segment; None where it was not asked before."""
    found = kept_json(REPORTS, key)
    if found is None or set(found) not in (set(), {"seconds", "peak_bytes"}):
        return None
    return {name: str(value) for name, value in found.items()}
