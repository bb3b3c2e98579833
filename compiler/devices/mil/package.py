"""A MIL program as an .mlpackage folder whose bytes depend on nothing but the program.

coremltools gives the items of a package random identifiers and a map in any order; here identifiers come from the items' paths.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .program import Built

AUTHOR = "com.apple.CoreML"
ITEMS = (("model.mlmodel", "CoreML Model Specification"), ("weights", "CoreML Model Weights"))
PORTS = "autoglmc.ports"
"""User-defined metadata: JSON, names in the segment -> names in the package, where they differ."""


def write_package(built: Built, folder: Path, target: Any, own: Mapping[str, str]) -> None:
    """`own`: user-defined metadata. Computes in fp16, with inputs and outputs in the segment's own dtypes (int64 as int32)."""
    import coremltools

    model = coremltools.convert(
        built.program,
        source="milinternal",
        convert_to="mlprogram",
        compute_precision=coremltools.precision.FLOAT16,
        minimum_deployment_target=target,
        skip_model_load=True,
    )
    spec = model.get_spec()
    _check_ports(spec, built)
    metadata = spec.description.metadata.userDefined
    for name in [name for name in metadata if name.endswith("conversion_date")]:
        del metadata[name]
    for name, text in own.items():
        metadata[name] = text
    renamed = {a: b for a, b in {**built.inputs, **built.outputs}.items() if a != b}
    if renamed:
        metadata[PORTS] = json.dumps(renamed, sort_keys=True)
    data = folder / "Data" / AUTHOR
    data.mkdir(parents=True)
    (data / "model.mlmodel").write_bytes(spec.SerializeToString(deterministic=True))
    weights = Path(model.weights_dir)
    if weights.is_dir() and any(weights.iterdir()):
        shutil.copytree(weights, data / "weights")
    (folder / "Manifest.json").write_text(json.dumps(_manifest(data), indent=4, sort_keys=True) + "\n", encoding="utf-8", newline="\n")


def _check_ports(spec: Any, built: Built) -> None:
    """coremltools may rename; raises ValueError where it did."""
    for what, wanted, found in (
        ("inputs", built.inputs, [feature.name for feature in spec.description.input]),
        ("outputs", built.outputs, [feature.name for feature in spec.description.output]),
    ):
        if sorted(found) != sorted(wanted.values()):
            raise ValueError(f"coremltools wrote the {what} {sorted(found)}, not {sorted(wanted.values())}")


def _manifest(data: Path) -> Mapping[str, Any]:
    entries = {}
    for name, description in ITEMS:
        if (data / name).exists():
            path = f"{AUTHOR}/{name}"
            entries[_identifier(path)] = {"author": AUTHOR, "description": description, "name": name, "path": path}
    root = _identifier(f"{AUTHOR}/model.mlmodel")
    return {"fileFormatVersion": "1.0.0", "itemInfoEntries": entries, "rootModelIdentifier": root}


def _identifier(path: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, path)).upper()
