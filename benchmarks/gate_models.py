"""Twelve quantised models as users make them: by onnxruntime.quantization, of a CNN, a ViT, a sentence encoder, an OCR and a decoder.

Static ones are calibrated on four inputs that autoglmc generates; shapes are bound first, as the NPU asks for. Scales from so little data
are worth nothing in accuracy, and all the same to a placement.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import onnx

ROOT = Path(__file__).resolve().parent.parent
CALIBRATED_ON = 4
Form = Callable[[Path, Path, Callable[[], Iterator[Mapping[str, Any]]]], None]


def _static(source: Path, result: Path, rows: Callable[[], Iterator[Mapping[str, Any]]], *, activations: str = "QUInt8",
            per_channel: bool = False, operators: bool = False) -> None:  # fmt: skip
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.rows = rows()

        def get_next(self) -> Mapping[str, Any] | None:
            return next(self.rows, None)

    wide = activations != "QUInt8"
    quantize_static(str(source), str(result), Reader(), quant_format=QuantFormat.QOperator if operators else QuantFormat.QDQ,
                    per_channel=per_channel, activation_type=QuantType[activations], weight_type=QuantType.QInt8,
                    extra_options={"UseQDQContribOps": True} if wide else {})  # fmt: skip


def _dynamic(source: Path, result: Path, rows: Callable[[], Iterator[Mapping[str, Any]]]) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(str(source), str(result), weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul", "Gemm"])


def _weight_only(source: Path, result: Path, rows: Callable[[], Iterator[Mapping[str, Any]]]) -> None:
    """DequantizeLinear of int8 weights, one scale for each output channel; activations stay floats."""
    model = onnx.load(source)
    _weights_in_integers(model)
    onnx.save(model, result)


def _blocks(source: Path, result: Path, rows: Callable[[], Iterator[Mapping[str, Any]]]) -> None:
    """MatMulNBits: weights of 4 bits in blocks of 32."""
    from networks.int4 import matmul_nbits

    onnx.save(matmul_nbits(onnx.load(source)), result)


def _weights_in_integers(model: onnx.ModelProto) -> None:
    import numpy as np
    from onnx import helper, numpy_helper

    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    made: list[onnx.NodeProto] = []
    for node in model.graph.node:
        tensor = weights.get(node.input[1]) if node.op_type in ("MatMul", "Gemm") else None
        if tensor is not None and len(tensor.dims) == 2:
            value, name = numpy_helper.to_array(tensor), tensor.name
            across = 0 if any(attribute.name == "transB" and attribute.i for attribute in node.attribute) else 1
            scale = (np.maximum(np.abs(value).max(axis=1 - across, keepdims=True), 1e-8) / 127).astype(np.float32)
            zero = np.zeros(scale.size, np.int8)
            parts = {f"{name}_q": np.rint(value / scale).astype(np.int8), f"{name}_s": scale.reshape(-1), f"{name}_z": zero}
            model.graph.initializer.extend(numpy_helper.from_array(array, part) for part, array in parts.items() if part not in weights)
            weights |= {tensor.name: tensor for tensor in model.graph.initializer}
            made.append(helper.make_node("DequantizeLinear", list(parts), [f"{node.name}_{name}_dq"], f"{node.name}_{name}", axis=across))
            node.input[1] = made[-1].output[0]
        made.append(node)
    read = {name for node in made for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in read]
    for field, values in (("node", made), ("initializer", kept)):
        copies = [type(value).FromString(value.SerializeToString()) for value in values]
        model.graph.ClearField(field)
        getattr(model.graph, field).extend(copies)


FORMS: Mapping[str, Form] = {
    "tensor": _static,
    "channel": partial(_static, per_channel=True),
    "a16w8": partial(_static, activations="QUInt16"),
    "operators": partial(_static, operators=True),
    "dynamic": _dynamic,
    "weights": _weight_only,
    "blocks": _blocks,
}
"""How a model is quantised."""


@dataclass(frozen=True, slots=True)
class Quantised:
    """One of the twelve."""

    name: str
    family: str
    source: str
    """A file of `FOLDERS`, or a network of MADE."""
    form: str
    shapes: Mapping[str, tuple[int, ...] | int]

    def make(self, folder: Path) -> Path:
        """Writes it into the folder; FileNotFoundError where its source is not on this machine."""
        return quantised(self.original(), self.form, self.shapes, folder / f"{self.name}.onnx")

    def original(self) -> onnx.ModelProto:
        """The float model that it is made of, its shapes open."""
        model = MADE[self.source]() if self.source in MADE else onnx.load(_found(self.source))
        tell_biases_apart(model)
        return model


FOLDERS = (ROOT / "tests" / "models", ROOT / ".cache" / "models", Path("/work/shared/models"))
_BERT = {"batch": 1, "seq": 32}
MODELS = (
    Quantised("cnn_tensor", "CNN", "lightnet.onnx", "tensor", {"batch": 1}),
    Quantised("cnn_channel", "CNN", "lightnet.onnx", "channel", {"batch": 1}),
    Quantised("cnn_operators", "CNN", "lightnet.onnx", "operators", {"batch": 1}),
    Quantised("vit_tensor", "ViT", "vit", "tensor", {}),
    Quantised("vit_a16w8", "ViT", "vit", "a16w8", {}),
    Quantised("encoder_channel", "encoder", "bert_tiny.onnx", "channel", _BERT),
    Quantised("encoder_dynamic", "encoder", "bert_tiny.onnx", "dynamic", _BERT),
    Quantised("encoder_weights", "encoder", "bert_tiny.onnx", "weights", _BERT),
    Quantised("ocr_tensor", "OCR", "ppocr2_cls.onnx", "tensor", {"x": (1, 3, 48, 192)}),
    Quantised("ocr_a16w8", "OCR", "ppocr2_cls.onnx", "a16w8", {"x": (1, 3, 48, 192)}),
    Quantised("decoder_tensor", "decoder", "glm_tiny.onnx", "tensor", {"batch": 1, "seq": 16}),
    Quantised("decoder_weights", "decoder", "glm_tiny.onnx", "weights", {"batch": 1, "seq": 16}),
)


_WORDS = {"batch": 1, "sequence": 16}
UNSEEN = (
    Quantised("yolo_tensor", "detector", "yolo", "tensor", {}),
    Quantised("shuffle_channel", "CNN", "shufflenet", "channel", {}),
    Quantised("blaze_operators", "detector", "blazeface", "operators", {}),
    Quantised("res2net_operators", "CNN", "res2net", "operators", {}),
    Quantised("xcit_a16w8", "ViT", "xcit", "a16w8", {}),
    Quantised("gmlp_tensor", "MLP", "gmlp", "tensor", {}),
    Quantised("gpt2_dynamic", "decoder", "gpt2", "dynamic", _WORDS),
    Quantised("llama_a16w8", "decoder", "llama", "a16w8", _WORDS),
    Quantised("llama_blocks", "decoder", "llama", "blocks", _WORDS),
)
"""Quantised networks that nothing was tuned on: the same forms, other operators (--unseen)."""


def _network(family: str, function: str, *sizes: int, **options: Any) -> Callable[[], onnx.ModelProto]:
    def make() -> onnx.ModelProto:
        from importlib import import_module

        made: onnx.ModelProto = getattr(import_module(f"networks.families.{family}"), function)(function, *sizes, **options)
        return made

    return make


MADE: Mapping[str, Callable[[], onnx.ModelProto]] = {
    "vit": _network("vision", "vit", 4, 96, 3, 64, 8, opset=14, fused=False),
    "yolo": _network("fresh_planes", "yolo_tiny", 96, 10),
    "shufflenet": _network("fresh_images", "shufflenet_v1", 64),
    "blazeface": _network("fresh_planes", "blazeface", 128),
    "res2net": _network("fresh_images", "res2net", 64),
    "xcit": _network("fresh_images", "xcit", 64, 64, 2),
    "gmlp": _network("fresh_images", "gmlp", 64, 64, 3),
    "gpt2": _network("decoders", "gpt2", 2, 64, 16, 200),
    "llama": _network("decoders", "llama", 2, 64, 4, 2, 160, 16, 200),
}
"""The ViT: four layers, GELU with Erf and attention in parts, as an exporter of opset 14 writes it."""


def tell_biases_apart(model: onnx.ModelProto) -> None:
    """Biases that were never trained are all zero: the quantiser makes one tensor of them, in bytes, which no runtime takes for a bias."""
    import numpy as np
    from onnx import numpy_helper

    random = np.random.default_rng(0)
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    zero = {name for name, v in values.items() if v.ndim == 1 and v.size > 1 and v.dtype == np.float32 and not v.any()}
    for k, node in enumerate(model.graph.node):
        for place, name in enumerate(node.input):
            if name in zero:
                array = (random.standard_normal(values[name].size) * 1e-2).astype(np.float32)
                model.graph.initializer.append(numpy_helper.from_array(array, f"{name}_{k}"))
                node.input[place] = f"{name}_{k}"


def _found(name: str) -> Path:
    for folder in FOLDERS:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(name)


def quantised(model: onnx.ModelProto, form: str, shapes: Mapping[str, tuple[int, ...] | int], result: Path) -> Path:
    """Bound, optimised by onnxruntime's basic level (the tool's documentation asks for that) and quantised."""
    import onnxruntime

    from autoglmc.compiler.inputs.generate_inputs import generate_inputs
    from autoglmc.compiler.load.bind_shapes import bind_shapes

    bind_shapes(model, dict(shapes))
    with tempfile.TemporaryDirectory() as work:
        bound, ready = Path(work) / "bound.onnx", Path(work) / "ready.onnx"
        onnx.save(model, bound)
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath, options.log_severity_level = str(ready), 3
        onnxruntime.InferenceSession(str(bound), options, providers=["CPUExecutionProvider"])
        given = onnx.load(ready)
        logging.disable(logging.WARNING)
        try:
            FORMS[form](ready, result, lambda: iter([generate_inputs(given, seed) for seed in range(CALIBRATED_ON)]))
        finally:
            logging.disable(logging.NOTSET)
    return result
