"""onnxruntime sessions on the CPU: for segments, for reference runs, for folding constants."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from .ort_settings import DEFAULT, OFF, OrtSettings

if TYPE_CHECKING:
    import onnxruntime

NO_WEIGHTS: Mapping[str, onnxruntime.OrtValue] = MappingProxyType({})
FLOAT_ACTIVATIONS = ("session.qdq_matmulnbits_accuracy_level", "1")
"""Of a MatMul whose weights of 4 bits are dequantised in the model: by default onnxruntime also rounds what it is multiplied with to 8."""
DISABLE_PACKING, SAVE_PACKED = "session.disable_prepacking", "session.save_external_prepacked_constant_initializers"
WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"


def open_session(
    model: Path | bytes,
    *,
    optimise: bool = True,
    settings: OrtSettings = DEFAULT,
    spin: bool = True,
    threads: int = 0,
    weights_folder: Path | None = None,
    weights: Mapping[str, onnxruntime.OrtValue] = NO_WEIGHTS,
    executed: Path | None = None,
    packed: bool = False,
    profile: Path | None = None,
) -> onnxruntime.InferenceSession:
    """A session that prints nothing below a fatal error. Raises what onnxruntime raises; its exceptions share no base class.

    optimise: with onnxruntime's graph optimisations, as far as `settings` leave them on. spin: its threads busy-wait for work for a while.
    threads: 0 for as many as cores. weights_folder: where the external weights of a serialised model are. weights: external weights by
    name, read where they lie: keep them as long as the session. executed: where to write the graph that it executes, large weights beside
    it; packed: and beside them the forms that kernels want (packed_weights.py). profile: how the file begins that its profiler writes at
    the end (`session.end_profiling()` names it).
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    options.enable_mem_pattern = False  # or the second run takes one block for all tensors, beside those of the first run that are kept
    options.add_session_config_entry(*FLOAT_ACTIVATIONS)
    options.graph_optimization_level = _level(settings if optimise else OFF)
    if not spin:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if weights_folder is not None:
        options.add_session_config_entry(WEIGHTS_FOLDER, os.fspath(weights_folder))
    if executed is not None:
        options.optimized_model_filepath = str(executed)
        options.add_session_config_entry("session.optimized_model_external_initializers_file_name", f"{executed.stem}.bin")
        options.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", "256")
        # it is not run
        options.add_session_config_entry(SAVE_PACKED if packed else DISABLE_PACKING, "1")
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    if weights:
        options.add_external_initializers(list(weights), list(weights.values()))
    return onnxruntime.InferenceSession(
        model if isinstance(model, bytes) else str(model),
        options,
        providers=["CPUExecutionProvider"],
        disabled_optimizers=settings.optimizers_off,
    )


def _level(settings: OrtSettings) -> onnxruntime.GraphOptimizationLevel:
    from onnxruntime import GraphOptimizationLevel as Level

    levels = {"all": Level.ORT_ENABLE_ALL, "extended": Level.ORT_ENABLE_EXTENDED, "basic": Level.ORT_ENABLE_BASIC}
    return levels.get(settings.optimisation, Level.ORT_DISABLE_ALL)
