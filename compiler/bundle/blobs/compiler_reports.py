"""What a runtime's own compiler estimates of a segment, kept by content: segment, options and versions.

A segment is compiled for that as it is for the bundle, and what is made stays in the cache of compiled segments: whoever writes the bundle
finds it there.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....passes.mapped.mapped_tensor import inlined
from ...cache.folders import REPORTS
from ...cache.json_entries import keep_json, kept_json
from ...devices.adapter import Adapter, CompilerReport, Reporting
from .blob_cache import SegmentRefused, blob_key, build

if TYPE_CHECKING:
    import onnx

FORM, REFUSED = "3", "refused"
"""Of the entries: what an earlier version kept is not read."""


def compiler_report(
    adapter: Adapter, words: Sequence[str], model: onnx.ModelProto, weights: Iterable[onnx.TensorProto]
) -> CompilerReport | None:
    """None where the adapter's compiler makes no estimates, is not here, or does not take the segment. `weights`: initializers that are not
    in the model. Raises CompilerCrashed where it gives no answer; nothing is kept then."""
    if not isinstance(adapter, Reporting) or adapter.cannot_compile() is not None:
        return None
    weights = tuple(weights)
    key = blob_key(model, adapter, words, weights)
    name = f"{FORM}-{key}"
    kept = _kept(name)
    if kept is None:
        whole = _with(model, weights)
        with tempfile.TemporaryDirectory(prefix="autoglmc-report-") as work:
            try:
                kept = _as_kept(adapter.report(_compiled(adapter, words, whole, key, Path(work))))
            except SegmentRefused as problem:
                kept = {REFUSED: problem.message}
        keep_json(REPORTS, name, kept)
    return None if REFUSED in kept else _report(kept)


def compiler_refusal(adapter: Adapter, words: Sequence[str], model: onnx.ModelProto, weights: Iterable[onnx.TensorProto]) -> str:
    """Why the compiler did not take a segment that it was asked about; "" where that is not known."""
    kept = _kept(f"{FORM}-{blob_key(model, adapter, words, weights)}") or {}
    return str(kept.get(REFUSED, ""))


def _with(model: onnx.ModelProto, weights: Iterable[onnx.TensorProto]) -> onnx.ModelProto:
    whole = type(model)()
    whole.CopyFrom(model)
    whole.graph.initializer.extend(map(inlined, weights))
    return whole


def _compiled(adapter: Adapter, words: Sequence[str], model: onnx.ModelProto, key: str, folder: Path) -> Path:
    """Raises as `build`."""
    path = folder / "segment.onnx"
    path.write_bytes(model.SerializeToString(deterministic=True))
    blob = path.with_suffix(adapter.suffix)
    build(adapter, words, path, key, blob)
    return blob


def _as_kept(found: CompilerReport) -> dict[str, Any]:
    operators = [[name, seconds.hex()] for name, seconds in found.operators]
    return {"seconds": found.seconds.hex(), "peak_bytes": str(found.peak_bytes), "operators": operators}


def _kept(name: str) -> dict[str, Any] | None:
    """It has the reason alone where the compiler did not take the segment; None where it was not asked before."""
    found = kept_json(REPORTS, name)
    return None if found is None or set(found) not in ({REFUSED}, {"seconds", "peak_bytes", "operators"}) else found


def _report(kept: dict[str, Any]) -> CompilerReport:
    operators = tuple((str(name), float.fromhex(seconds)) for name, seconds in kept["operators"])
    return CompilerReport(seconds=float.fromhex(kept["seconds"]), peak_bytes=int(kept["peak_bytes"]), operators=operators)
