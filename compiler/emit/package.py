"""What a bundle takes on disk, for the target's `package size`: every byte of its folder, compiled segments and the manifest too."""

from __future__ import annotations

from pathlib import Path

from msgspec import structs

from ..bundle.manifest import MANIFEST, SEGMENTS, Manifest
from ..bundle.manifest_json import from_json, to_json
from ..bundle.weights import WEIGHTS
from ..errors import BundleError, ModelError

PACKAGE = "package"


def write_manifest(folder: Path, manifest: Manifest) -> Manifest:
    """Writes manifest.json into the folder that holds all other files of the bundle. Returns what it says: the manifest with its limits on
    the package's size answered, where the target has any. Raises ModelError where no reader would take it: more tensors, steps or
    dims than a manifest can have."""
    others = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path != folder / MANIFEST)
    manifest, text = weighed(manifest, others)
    try:
        from_json(text, MANIFEST)
    except BundleError as problem:
        what = f"the model does not fit into a bundle: {problem.message}"
        raise ModelError(what, help="compile it in parts: fewer inputs, outputs or operators, or tensors of fewer dims") from None
    (folder / MANIFEST).write_text(text, encoding="utf-8", newline="\n")
    return manifest


def weighed(manifest: Manifest, others: int) -> tuple[Manifest, str]:
    """The manifest with the bytes of the whole bundle in its package limits, and its text. `others`: bytes of all other files.

    The number counts the text that it stands in. A text too short for it is filled up with line feeds, which is still JSON."""
    if not any(limit.kind == PACKAGE for limit in manifest.limits):
        return manifest, to_json(manifest)
    total = others
    while True:
        found = _answered(manifest, total)
        text = to_json(found)
        missing = total - others - len(text.encode())
        if missing >= 0:
            return found, text + "\n" * missing
        total -= missing


def _answered(manifest: Manifest, total: int) -> Manifest:
    limits = tuple(
        structs.replace(
            limit,
            basis="measured",
            value=float(total),
            margin=limit.limit - total if limit.comparison.startswith("<") else total - limit.limit,
        )
        if limit.kind == PACKAGE
        else limit
        for limit in manifest.limits
    )
    return structs.replace(manifest, limits=limits)


def parts(manifest: Manifest) -> dict[str, int]:
    """Bytes of the bundle by what they are, which add up to the whole: weights, segments, compiled, manifest."""
    answered = [limit.value for limit in manifest.limits if limit.kind == PACKAGE and limit.value is not None]
    files = {name: record.stored for name, record in manifest.files.items()}
    models = {segment.file for segment in manifest.segments}
    found = {"weights": 0, "segments": 0, "compiled": 0}
    for name, size in files.items():
        found["segments" if name in models else "weights" if name == f"{SEGMENTS}/{WEIGHTS}" else "compiled"] += size
    whole = int(answered[0]) if answered else sum(files.values()) + len(to_json(manifest).encode())
    return {**found, "manifest": whole - sum(files.values())}
