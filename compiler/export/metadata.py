"""What a .tflite file says about itself: entries of its metadata, each a JSON text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .parity import Parity
    from .prepare import Prepared

ABOUT, PROPS = "autoglmc.export", "onnx.metadata_props"


def file_metadata(prepared: Prepared, layout: str, parity: Parity | None, quantised: Mapping[str, Any]) -> Mapping[str, str]:
    """The model's own entries under one key, as an app may have keys of its own; its hash, the layout, the parity and what quantising it
    came to under another."""
    about = {"source_sha256": prepared.sha256, "layout": layout, "parity": None if parity is None else parity.as_json(), **quantised}
    found = {ABOUT: json.dumps(about, ensure_ascii=False)}
    return found | ({PROPS: json.dumps(dict(prepared.metadata), ensure_ascii=False)} if prepared.metadata else {})
