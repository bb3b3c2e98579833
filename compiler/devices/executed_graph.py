"""The graph that onnxruntime's CPU executes in place of the one it is given: after its optimisers, in its own file."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from .cpu_session import open_session
from .ort_settings import OrtSettings

if TYPE_CHECKING:
    import onnx


def executed_graph(model: Path | bytes, settings: OrtSettings) -> onnx.ModelProto:
    """Without the weights above a few hundred bytes. Raises what onnxruntime raises."""
    import onnx

    with tempfile.TemporaryDirectory(prefix="autoglmc-") as folder:
        path = Path(folder) / "executed.onnx"
        with contextlib.suppress(OSError, NotImplementedError):  # the weights beside it are read by nobody
            path.with_suffix(".bin").symlink_to(os.devnull)
        open_session(model, settings=settings, threads=1, executed=path)
        return onnx.load_model(path, load_external_data=False)
