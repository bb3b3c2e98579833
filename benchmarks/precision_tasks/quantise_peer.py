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

Batches = list[dict[str, np.ndarray]]
BLOCK = 32


def prepared(source: Path, folder: Path, fuse: bool = True) -> Path:
    """Constants folded, constant branches taken, shapes inferred; with the fusions that quantisers want."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    path = folder / "prepared.onnx"
    quant_pre_process(str(source), str(path), skip_symbolic_shape=True)
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

        with tempfile.TemporaryDirectory() as folder:
            quantize_static(
                prepared(source, Path(folder)), output, _reader(batches), quant_format=QuantFormat.QDQ, per_channel=True,
                activation_type=QuantType.QUInt16 if sixteen else QuantType.QUInt8, weight_type=QuantType.QInt8,
                calibrate_method=getattr(CalibrationMethod, method),
            )  # fmt: skip

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

    with tempfile.TemporaryDirectory() as folder:
        quantize_dynamic(prepared(source, Path(folder)), output, per_channel=True, weight_type=QuantType.QInt8)


def _int4(source: Path, batches: Batches, output: Path) -> None:
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    with tempfile.TemporaryDirectory() as folder:
        quantiser = MatMulNBitsQuantizer(onnx.load(prepared(source, Path(folder))), block_size=BLOCK, is_symmetric=False)
        quantiser.process()
        quantiser.model.save_model_to_file(str(output))


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


def _aimet(source: Path, batches: Batches, output: Path) -> None:
    from aimet_onnx import QuantizationSimModel

    with tempfile.TemporaryDirectory() as folder:
        model = onnx.load(prepared(source, Path(folder), fuse=False))
        simulated = QuantizationSimModel(
            model, param_type="int8", activation_type="int8", quant_scheme="tf_enhanced", config_file="default", path=folder
        )
        simulated.compute_encodings(batches)
        onnx.save(simulated.to_onnx_qdq(prequantize_constants=True), output)


TOOLS: Mapping[str, Callable[[Path, Batches, Path], None]] = {
    "ort-static-minmax": _static("MinMax"),
    "ort-static-entropy": _static("Entropy"),
    "ort-static-percentile": _static("Percentile"),
    "ort-static-a16w8": _static("MinMax", sixteen=True),
    "ort-dynamic": _dynamic,
    "ort-int4": _int4,
    "ort-fp16": _fp16,
    "nncf": _nncf(fuse=False),
    "nncf-fused": _nncf(fuse=True),
    "aimet": _aimet,
}


if __name__ == "__main__":
    tool, model, data, result = sys.argv[1:]
    TOOLS[tool](Path(model), [dict(np.load(path)) for path in sorted(Path(data).glob("*.npz"))], Path(result))
