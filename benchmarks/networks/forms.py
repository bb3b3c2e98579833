"""The fp32, fp16, int8 and int4 forms of some networks: what the benchmark of their order predicts and measures.

    python benchmarks/networks/forms.py [NAME ...]

prints how long each takes on onnxruntime and, where it is installed, OpenVINO (processor time of one thread, 10th percentile;
passes over the forms of a network alternate), and how far each is from fp32. Peers have no say here: the order is only measured.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import onnx

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from networks import Network, networks
from networks.int4 import dequantized, matmul_nbits
from networks.run import bound, inputs_of

CALIBRATED_ON = 4
"""Inputs whose extremes give the scales of a static int8 form."""
CONVOLUTIONAL = ("resnet18_224", "resnet50_192", "mobilenet_v2_224", "efficientnet_b0_224", "regnet_x_224", "unet_128")
TRANSFORMERS = (
    "vit_tiny_224",
    "vit_small_160",
    "bert_small_128",
    "gpt2_64",
    "llama_48",
    "llama_step_128",
    "whisper_tiny_300",
    "convnext_192",
)


def half(model: onnx.ModelProto) -> onnx.ModelProto:
    """Weights and arithmetic in fp16; inputs and outputs stay what they are."""
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    made = OnnxModel(convert_float_to_float16(onnx.shape_inference.infer_shapes(model), keep_io_types=True))
    made.topological_sort()
    return made.model


def static_int8(model: onnx.ModelProto) -> onnx.ModelProto:
    """QuantizeLinear and DequantizeLinear around Conv, MatMul and Gemm: weights int8 per output channel, activations uint8."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Inputs(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.rows: Iterator[Mapping[str, Any]] = iter([inputs_of(model, seed) for seed in range(CALIBRATED_ON)])

        def get_next(self) -> Mapping[str, Any] | None:
            return next(self.rows, None)

    return _written(partial(quantize_static, calibration_data_reader=Inputs(), quant_format=QuantFormat.QDQ, per_channel=True,
                            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                            op_types_to_quantize=["Conv", "MatMul", "Gemm", "Add"]), model)  # fmt: skip


def dynamic_int8(model: onnx.ModelProto) -> onnx.ModelProto:
    """MatMul as MatMulInteger, its input quantised while it runs."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    return _written(partial(quantize_dynamic, per_channel=True, weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul"]), model)


def _written(quantise: Callable[..., None], model: onnx.ModelProto) -> onnx.ModelProto:
    """What a function from a file to a file makes of the model. Its shapes are inferred first, as quantisers ask for."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder) / "source.onnx", Path(folder) / "result.onnx"
        onnx.save(onnx.shape_inference.infer_shapes(model), source)
        quantise(str(source), str(result))
        return onnx.load(result)


MAKERS: Mapping[str, Callable[[onnx.ModelProto], onnx.ModelProto]] = {
    "fp32": lambda model: model, "fp16": half, "int8": static_int8, "int8_dynamic": dynamic_int8, "int4": matmul_nbits,
    "int4_dq": dequantized,
}  # fmt: skip
FEW = ("fp32", "fp16", "int8", "int4_dq")
"""Forms of a network that has no MatMul to speak of."""


def forms(network: Network) -> dict[str, Network]:
    """A network's forms by name, each a network of its own at the same sizes (and on the same side of a split)."""
    names = FEW if network.name in CONVOLUTIONAL else tuple(MAKERS)
    return {
        name: Network(name=f"{network.name}.{name}", network=network.network, family=network.family, make=partial(_made, network, name))
        for name in names
    }


def _made(network: Network, form: str) -> onnx.ModelProto:
    return MAKERS[form](bound(network))


def with_forms() -> tuple[Network, ...]:
    """The networks that are made in all forms."""
    known = {network.name: network for network in networks()}
    return tuple(known[name] for name in (*CONVOLUTIONAL, *TRANSFORMERS))


if __name__ == "__main__":
    from networks.order import main

    main(sys.argv[1:])
