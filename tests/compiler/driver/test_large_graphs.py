"""Compiling takes work in proportion to the graph, however it is large. Calls are counted, not seconds."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from breadth import covering
from counted import calls_of
from large_graphs import LARGE, chain

from autoglmc.compiler.driver.compile_model import compile_model

SIZES = 160, 240, 320
A_NODE, LINEAR = 9_000, 1.25
"""Calls a node, at most; how much more a node may cost than those before it (the logarithm of sorting is in there)."""


def compile_calls(model: onnx.ModelProto, folder: Path, target: str) -> int:
    onnx.save(model, folder / "model.onnx")
    return calls_of(lambda: compile_model(folder / "model.onnx", target, output=folder / "bundle", verify=False))


@pytest.mark.parametrize(("kind", "target"), covering(list(LARGE), ["a16", "tensor_g2"]))
def test_each_node_costs_the_same(kind: str, target: str, tmp_path: Path) -> None:
    compile_calls(chain(8), tmp_path, target)  # what is imported and cached on first use is not a cost per node
    least, middle, most = (compile_calls(LARGE[kind](size), tmp_path, target) for size in SIZES)
    assert most <= A_NODE * SIZES[-1]
    assert most - middle <= LINEAR * (middle - least)
