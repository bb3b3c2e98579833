"""python quantise_peer.py TOOL MODEL FOLDER OUTPUT: what one peer makes of a model, calibrated with FOLDER's .npz files (one run each).

Of the model's preparations each peer gets the strongest that a careful user has: onnxruntime's shape inference and constant folding
(quant_pre_process), then its own fusions of GELU and LayerNormalization, which keep them whole when Q/DQ come in."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.version_converter

Batches = list[dict[str, np.ndarray]]
BLOCK = 32
PER_CHANNEL = 13
"""The opset since which DequantizeLinear has an axis."""


def prepared(source: Path, folder: Path, fuse: bool = True, keep_matmul: bool = False, opset: int = PER_CHANNEL) -> Path:
    """Constants folded, constant branches taken, shapes inferred; with the fusions that quantisers want. `keep_matmul`: onnxruntime's
    optimiser, which joins MatMul and Add into a Gemm that weight-only and dynamic quantisers leave alone, only where branches need it.
    `opset`: lift the model to at least that one first."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    path = folder / "prepared.onnx"
    model = onnx.load(source)
    if model.opset_import[0].version < opset:
        source = folder / "lifted.onnx"
        onnx.save(onnx.version_converter.convert_version(model, opset), source)
    branches = any(node.op_type == "If" for node in model.graph.node)
    quant_pre_process(str(source), str(path), skip_symbolic_shape=True, skip_optimization=keep_matmul and not branches)
    if fuse:
        from onnxruntime.transformers.fusion_fastgelu import FusionFastGelu
        from onnxruntime.transformers.fusion_gelu import FusionGelu
        from onnxruntime.transformers.fusion_layernorm import FusionLayerNormalization
        from onnxruntime.transformers.onnx_model import OnnxModel

        model = OnnxModel(onnx.load(path))
        for fusion in (FusionGelu, FusionFastGelu, FusionLayerNormalization):
            fusion(model).apply()
        model.prune_graph()
        path = folder / "fused.onnx"
        onnx.save(_with_domains(model.model), path)
    return path


def _with_domains(model: onnx.ModelProto) -> onnx.ModelProto:
    held = {o.domain for o in model.opset_import}
    for domain in sorted({node.domain for node in model.graph.node} - held - {""}):
        model.opset_import.append(onnx.helper.make_opsetid(domain, 1))
    return model


def _static(method: str, sixteen: bool = False) -> Callable[[Path, Batches, Path], None]:
    def quantise(source: Path, batches: Batches, output: Path) -> None:
        from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

        def attempt(path: Path, **extra: bool) -> None:
            quantize_static(
                path, output, _reader(batches), quant_format=QuantFormat.QDQ, per_channel=True, weight_type=QuantType.QInt8,
                activation_type=QuantType.QUInt16 if sixteen else QuantType.QUInt8, calibrate_method=getattr(CalibrationMethod, method),
                extra_options=extra,
            )  # fmt: skip

        with tempfile.TemporaryDirectory() as folder:
            path = prepared(source, Path(folder), opset=17 if sixteen else PER_CHANNEL)
            try:
                attempt(path)
            except ValueError:  # onnxruntime 1.32 compares the scales of a whole array where a channel's bias is small (magika)
                attempt(path, QDQDisableWeightAdjustForInt32Bias=True)

    return quantise


def _reader(batches: Batches) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self._left: Iterator[dict[str, np.ndarray]] = iter(batches)

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self._left, None)

    return Reader()


def _dynamic(source: Path, batches: Batches, output: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    def attempt(keep_matmul: bool) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = prepared(source, Path(folder), fuse=False, keep_matmul=keep_matmul)
            quantize_dynamic(path, output, per_channel=True, weight_type=QuantType.QInt8)

    try:
        attempt(keep_matmul=True)
    except ValueError:  # weights that are no initializers before the optimiser folded them (PP-OCRv4)
        attempt(keep_matmul=False)


def _int4(*kinds: str) -> Callable[[Path, Batches, Path], None]:
    def quantise(source: Path, batches: Batches, output: Path) -> None:
        from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

        with tempfile.TemporaryDirectory() as folder:
            lifted = 21 if "Gather" in kinds else PER_CHANNEL  # the quantiser of Gather writes opset 21 over operators as they are
            model = onnx.load(prepared(source, Path(folder), keep_matmul=True, opset=lifted))
        quantiser = MatMulNBitsQuantizer(model, block_size=BLOCK, is_symmetric=False, op_types_to_quantize=kinds)
        quantiser.process()
        quantiser.model.save_model_to_file(str(output))

    return quantise


def _fp16(source: Path, batches: Batches, output: Path) -> None:
    from onnxruntime.transformers.float16 import convert_float_to_float16

    with tempfile.TemporaryDirectory() as folder:
        onnx.save(convert_float_to_float16(onnx.load(prepared(source, Path(folder), fuse=False)), keep_io_types=True), output)


def _nncf(fuse: bool) -> Callable[[Path, Batches, Path], None]:
    def quantise(source: Path, batches: Batches, output: Path) -> None:
        import nncf

        with tempfile.TemporaryDirectory() as folder:
            model = onnx.load(prepared(source, Path(folder), fuse))
        attention = {"Softmax", "MatMul"} <= {node.op_type for node in model.graph.node}
        kind = {"model_type": nncf.ModelType.TRANSFORMER} if attention else {}
        found = nncf.quantize(model, nncf.Dataset(batches), subset_size=len(batches), preset=nncf.QuantizationPreset.MIXED, **kind)
        _folded(found, output)

    return quantise


def _folded(model: onnx.ModelProto, output: Path) -> None:
    """With weights stored as integers: onnxruntime's constant folding computes their QuantizeLinear and leaves DequantizeLinear."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(output)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _aimet(fuse: bool, scheme: str) -> Callable[[Path, Batches, Path], None]:
    def quantise(source: Path, batches: Batches, output: Path) -> None:
        from aimet_onnx import QuantizationSimModel

        with tempfile.TemporaryDirectory() as folder:
            model = onnx.load(prepared(source, Path(folder), fuse))
            simulated = QuantizationSimModel(model, param_type="int8", activation_type="int8", quant_scheme=scheme, path=folder)
            simulated.compute_encodings(batches)
            onnx.save(simulated.to_onnx_qdq(prequantize_constants=True), output)

    return quantise


TOOLS: Mapping[str, Callable[[Path, Batches, Path], None]] = {
    "ort-static-minmax": _static("MinMax"),
    "ort-static-entropy": _static("Entropy"),
    "ort-static-percentile": _static("Percentile"),
    "ort-static-a16w8": _static("MinMax", sixteen=True),
    "ort-dynamic": _dynamic,
    "ort-int4": _int4("MatMul"),
    "ort-int4-gather": _int4("MatMul", "Gather"),
    "ort-fp16": _fp16,
    "nncf": _nncf(fuse=False),
    "nncf-fused": _nncf(fuse=True),
    "aimet": _aimet(fuse=False, scheme="tf_enhanced"),
    "aimet-fused": _aimet(fuse=True, scheme="min_max"),
}


if __name__ == "__main__":
    tool, model, data, result = sys.argv[1:]
    TOOLS[tool](Path(model), [dict(np.load(path)) for path in sorted(Path(data).glob("*.npz"))], Path(result))
