"""Operators that onnxruntime alone has in the standard's domain are taken as the standard's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.errors import ModelError
from autoglmc.compiler.load.load_model import load_model
from autoglmc.compiler.load.source import MemoryModel


def normed(opset: int, outputs: int = 1) -> onnx.ModelProto:
    """As onnxruntime-genai's model builder writes it (opset 21), and exports that its optimiser went through (14)."""
    names = ["y", "inverse"][:outputs]
    nodes = [helper.make_node("SimplifiedLayerNormalization", ["x", "scale"], names, name="norm", axis=-1, epsilon=1e-5, stash_type=1)]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3, 8 if name != "inverse" else 1]) for name in ("x", *names)]
    scale = numpy_helper.from_array(np.random.default_rng(0).uniform(0.5, 2, 8).astype(np.float32), "scale")
    graph = helper.make_graph(nodes, "normed", values[:1], values[1:], [scale])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


@pytest.mark.parametrize("opset", [14, 18, 21, 23])
def test_the_standards_operator_takes_its_place(opset: int, tmp_path: Path) -> None:
    loaded = load_model(MemoryModel(normed(opset), "normed"))
    assert [node.op_type for node in loaded.proto.graph.node] == ["RMSNormalization"]
    assert "1 SimplifiedLayerNormalization of onnxruntime became the standard's RMSNormalization" in loaded.notes
    assert compile_model(normed(opset), "x86_cpu", output=tmp_path / "bundle").verified


def test_statistics_that_the_standard_does_not_give_are_refused() -> None:
    with pytest.raises(ModelError, match="No Op registered for SimplifiedLayerNormalization"):
        load_model(MemoryModel(normed(21, outputs=2), "normed"))
