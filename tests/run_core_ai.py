"""A model as a Core AI asset, on Apple's interpreter."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from autoglmc.compiler.devices.core_ai.adapter import narrowed
from autoglmc.compiler.devices.core_ai.asset import write_asset
from autoglmc.compiler.devices.core_ai.program import Function
from autoglmc.compiler.devices.core_ai.run import Interpreted


def run_core_ai(model: onnx.ModelProto, feeds: Mapping[str, Any]) -> dict[str, Any]:
    """Outputs in the model's dtypes. Raises Refused where it is not converted."""
    with tempfile.TemporaryDirectory() as folder:
        asset = Path(folder) / "m.aimodel"
        write_asset([Function(model=model)], asset, {})
        found = Interpreted(asset).run({name: narrowed(np.asarray(value)) for name, value in feeds.items()})
    kinds = {value.name: onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type) for value in model.graph.output}
    return {name: found[name].astype(kind) for name, kind in kinds.items()}
