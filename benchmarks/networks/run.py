"""A network at its sizes, inputs for it, and its run in onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx

from .network import Network


def sizes_of(network: Network) -> dict[str, int | tuple[int, ...]]:
    """What binds its open dims, as `compile_model(shapes=...)` takes it."""
    from autoglmc.compiler.load.bind_shapes import parse_shapes

    return parse_shapes(network.shapes)


def bound(network: Network) -> onnx.ModelProto:
    """The model with every input at the network's sizes."""
    from autoglmc.compiler.load.bind_shapes import bind_shapes

    model = network.model()
    bind_shapes(model, sizes_of(network))
    return model


def inputs_of(model: onnx.ModelProto, seed: int = 0) -> dict[str, Any]:
    """Plausible inputs, as autoglmc generates them."""
    from autoglmc.compiler.inputs.generate_inputs import generate_inputs

    return generate_inputs(model, seed)


def session(model: onnx.ModelProto) -> Any:
    """onnxruntime on one thread of the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def outputs_of(model: onnx.ModelProto, inputs: Mapping[str, Any], runner: Any) -> dict[str, Any]:
    """Outputs by name. runner: the model's session."""
    values = runner.run(None, dict(inputs))
    return dict(zip([value.name for value in model.graph.output], values, strict=True))
