"""Runs one graph optimizer on one ONNX file, in a process of its own: they patch each other's libraries, and some take gigabytes.

    python benchmarks/peers.py TOOL INPUT.onnx OUTPUT.onnx

Needs the extra `bench` (pip install -e .[bench]). Every tool gets a model whose dims are bound already, and its own defaults.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping


def onnxsim(source: str, result: str) -> None:
    import onnx
    from onnxsim import simplify

    model, checked = simplify(onnx.load(source))
    if not checked:
        raise RuntimeError("onnxsim says that its result is not equal to the model")
    onnx.save(model, result)


def onnxslim(source: str, result: str) -> None:
    import onnx
    from onnxslim import slim

    onnx.save(slim(onnx.load(source)), result)


def onnxscript(source: str, result: str) -> None:
    import onnx
    from onnxscript import optimizer, rewriter

    onnx.save(rewriter.rewrite(optimizer.optimize(onnx.load(source))), result)


def ort_extended(source: str, result: str) -> None:
    _offline(source, result, "ORT_ENABLE_EXTENDED")


def ort_all(source: str, result: str) -> None:
    _offline(source, result, "ORT_ENABLE_ALL")


def _offline(source: str, result: str, level: str) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = result
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def transformers(source: str, result: str) -> None:
    """As a BERT: the model type that has every fusion for encoders; other types only differ in their attention. Its own fusions alone
    (level 0): the runtime's come at load, and asking for them here would need torch."""
    import onnx
    from onnxruntime.transformers.optimizer import optimize_model

    operators = {node.op_type for node in onnx.load(source).graph.node}
    if "Softmax" not in operators or "MatMul" not in operators:
        raise RuntimeError("does not apply: the model has no attention")
    optimize_model(source, model_type="bert", use_gpu=False, opt_level=0).save_model_to_file(result)


PEERS: Mapping[str, Callable[[str, str], None]] = {
    "onnxsim": onnxsim,
    "onnxslim": onnxslim,
    "onnxscript": onnxscript,
    "ort-extended": ort_extended,
    "ort-all": ort_all,
    "transformers": transformers,
}


if __name__ == "__main__":
    tool, model, output = sys.argv[1:]
    PEERS[tool](model, output)
