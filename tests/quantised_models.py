"""Small real networks quantised by onnxruntime's own tool, as users do it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from small_models import parse, save

CONVOLUTIONS = """g (float[1,3,24,24] x) => (float[1,10] y) <int64[2] axes = {2, 3}> {
    a = Conv<pads=[1,1,1,1], strides=[2,2]>(x, w0, b0)  b = Relu(a)
    c = Conv<pads=[1,1,1,1], group=8>(b, w1, b1)  d = Relu(c)
    e = Conv(d, w2, b2)  f = Add(b, e)  h = AveragePool<kernel_shape=[2,2], strides=[2,2]>(f)  k = Mul(h, h)
    l = ReduceMean<keepdims=0>(k, axes)  y = Gemm<transB=1>(l, w3, b3) }"""
WEIGHTS = {"w0": (8, 3, 3, 3), "b0": (8,), "w1": (8, 1, 3, 3), "b1": (8,), "w2": (8, 8, 1, 1), "b2": (8,), "w3": (10, 8), "b3": (10,)}


def convolutions() -> onnx.ModelProto:
    """A residual block of a mobile network, before quantisation."""
    model, generator = parse(CONVOLUTIONS), np.random.default_rng(0)
    arrays = {name: (generator.standard_normal(shape) * 0.3).astype(np.float32) for name, shape in WEIGHTS.items()}
    model.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in arrays.items())
    return model


class Samples(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    """Two calibration samples of normal numbers for every input."""

    def __init__(self, model: onnx.ModelProto) -> None:
        generator = np.random.default_rng(0)
        shapes = {value.name: [dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim] for value in model.graph.input}
        self._left = [{name: generator.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()} for _ in range(2)]

    def get_next(self) -> dict[str, np.ndarray] | None:
        return self._left.pop() if self._left else None


FORMS = ("tensor", "channel", "signed", "a16w8", "operators", "dynamic")
"""Ways of onnxruntime's quantiser: QDQ with a scale a tensor or a channel, signed, of 16 bits (com.microsoft's Q/DQ),
operators that have their quantisation in their name, and activations that are quantised on the run."""


def quantise(model: onnx.ModelProto, folder: Path, *, per_channel: bool, signed: bool = False, optimised: bool = True) -> Path:
    """The model in QDQ form, with onnxruntime's basic optimisations first, as the tool's documentation asks, or as it is."""
    kind = QuantType.QInt8 if signed else QuantType.QUInt8
    return _static(
        _made_ready(model, folder, optimised), folder, quant_format=QuantFormat.QDQ, per_channel=per_channel, activation_type=kind
    )


def quantised_as(form: str, model: onnx.ModelProto, folder: Path) -> Path:
    """The model in one of FORMS."""
    ready = _made_ready(model, folder, True)
    if form == "dynamic":
        quantize_dynamic(str(ready), str(folder / "quantised.onnx"), weight_type=QuantType.QInt8)
        return folder / "quantised.onnx"
    if form == "a16w8":
        return _static(ready, folder, activation_type=QuantType.QUInt16, extra_options={"UseQDQContribOps": True})
    kind = QuantType.QInt8 if form == "signed" else QuantType.QUInt8
    written = QuantFormat.QOperator if form == "operators" else QuantFormat.QDQ
    return _static(ready, folder, quant_format=written, per_channel=form == "channel", activation_type=kind)


def _made_ready(model: onnx.ModelProto, folder: Path, optimised: bool) -> Path:
    source, ready = save(model, folder, "source.onnx"), folder / "ready.onnx"
    options = onnxruntime.SessionOptions()
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_BASIC if optimised else levels.ORT_DISABLE_ALL
    options.optimized_model_filepath = str(ready)
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
    return ready


def _static(ready: Path, folder: Path, **options: Any) -> Path:
    done = folder / "quantised.onnx"
    logging.disable(logging.WARNING)
    try:
        quantize_static(str(ready), str(done), Samples(onnx.load(ready)), weight_type=QuantType.QInt8, **options)
    finally:
        logging.disable(logging.NOTSET)
    return done
