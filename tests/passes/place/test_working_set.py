"""What quantised units take: weights as they are stored, where they are stored; tensors between operators as the device has them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.driver.result import CompileResult
from autoglmc.compiler.errors import Infeasible
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.grammar import analyse_text
from autoglmc.targets.model import Target

K, N = 96, 320
"""A layer's sizes: its weight is 30 KiB as int8 and 120 KiB as fp32."""


class Sketch:
    """A quantised model, operator by operator: constants and nodes with fresh names."""

    def __init__(self, dtype: type = np.int8) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.dice, self.dtype = np.random.default_rng(5), dtype

    def constant(self, value: np.ndarray) -> str:
        self.constants.append(numpy_helper.from_array(value, f"c{len(self.constants)}"))
        return self.constants[-1].name

    def call(self, operator: str, *inputs: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [f"t{len(self.nodes)}"], **attributes))
        return self.nodes[-1].output[0]

    def scale(self, value: float = 0.05) -> tuple[str, str]:
        return self.constant(np.float32(value)), self.constant(self.dtype(0))

    def quantise(self, x: str) -> str:
        return self.call("QuantizeLinear", x, *self.scale())

    def dequantise(self, x: str) -> str:
        return self.call("DequantizeLinear", x, *self.scale())

    def weight(self, *shape: int) -> str:
        return self.dequantise(self.constant(self.dice.integers(-90, 90, shape).astype(self.dtype)))

    def bias(self, size: int) -> str:
        value = self.constant(self.dice.integers(-900, 900, size).astype(np.int32))
        return self.call("DequantizeLinear", value, self.constant(np.float32(0.0025)), self.constant(np.int32(0)))

    def model(self, output: str, x: tuple[int, ...], y: tuple[int, ...]) -> onnx.ModelProto:
        self.nodes.append(helper.make_node("Identity", [output], ["y"]))
        ends = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, s) for n, s in (("x", x), ("y", y))]
        graph = helper.make_graph(self.nodes, "g", ends[:1], ends[1:], self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def gemm(s: Sketch, x: str) -> str:
    return s.call("Gemm", x, s.weight(K, N), s.bias(N))


def gemm_transposed(s: Sketch, x: str) -> str:
    return s.call("Gemm", x, s.weight(N, K), s.bias(N), transB=1)


def matmul(s: Sketch, x: str) -> str:
    return s.call("MatMul", x, s.weight(K, N))


def matmul_of_transposed(s: Sketch, x: str) -> str:
    """As exporters of torch write a Linear."""
    return s.call("MatMul", x, s.call("Transpose", s.weight(N, K), perm=[1, 0]))


def matmul_relu(s: Sketch, x: str) -> str:
    return s.call("Relu", matmul(s, x))


def quantised(body: Callable[[Sketch, str], str]) -> onnx.ModelProto:
    s = Sketch()
    x = s.dequantise(s.quantise("x"))
    return s.model(s.dequantise(s.quantise(body(s, x))), (1, K), (1, N))


LAYERS = (gemm, gemm_transposed, matmul, matmul_of_transposed, matmul_relu)
TABLES = ("int8 { Gemm, MatMul, Relu, Transpose; } supports fp32 { QuantizeLinear, DequantizeLinear; }", "all;")


def microcontroller(supports: str, sram: str = "16 KiB", runtime: str = "none", runs: str = "cpu") -> Target:
    text = f"""hw 1;
    target t {{
      onnx opset 13..21;
      memory sram {{ size {sram}; bandwidth 1 GB/s; holds activations; shared {runs}; }}
      memory flash {{ size 1 MiB; bandwidth 0.2 GB/s; holds weights; shared {runs}; }}
      device cpu : m {{ runtime {runtime}; peak int8 1 GOPS; peak fp32 0.1 GOPS; dispatch 1 us; launch 1 us; supports {supports} }}
    }}"""
    found = analyse_text(text, "t.hw")
    assert found.target is not None, found
    return found.target


def compiled(model: onnx.ModelProto, target: Target, folder: Path) -> CompileResult:
    onnx.save(model, folder / "m.onnx")
    return compile_model(folder / "m.onnx", target, output=folder / "bundle", verify=False)


def stored(model: onnx.ModelProto) -> int:
    return sum(numpy_helper.to_array(tensor).nbytes for tensor in model.graph.initializer)


@pytest.mark.parametrize("supports", TABLES)
@pytest.mark.parametrize("layer", LAYERS)
def test_a_weight_counts_as_it_is_stored_where_it_is_stored(layer: Callable[[Sketch, str], str], supports: str, tmp_path: Path) -> None:
    """Fits 16 KiB of SRAM, where its weight would take 30 KiB of integers or 120 KiB of floats."""
    model = quantised(layer)
    found = compiled(model, microcontroller(supports), tmp_path).predicted
    assert found.held["flash"].total <= stored(model)
    assert found.held["flash"].total >= K * N
    assert found.held["sram"].weights == 0
    assert found.held["sram"].total <= 16 * (K + N)


@pytest.mark.parametrize("layer", LAYERS)
def test_a_flash_too_small_for_what_is_stored_is_refused(layer: Callable[[Sketch, str], str], tmp_path: Path) -> None:
    target = microcontroller("all;")
    small = tuple(dataclasses.replace(m, budget=K * N - 1) if m.name == "flash" else m for m in target.memories)
    with pytest.raises(Infeasible) as failure:
        compiled(quantised(layer), dataclasses.replace(target, memories=small), tmp_path)
    assert failure.value.resource == "budget flash"
    assert K * N <= failure.value.demand <= stored(quantised(layer))


def test_an_npu_of_integers_takes_what_fits_it(tmp_path: Path) -> None:
    """196 KB of weights in 6 MiB of flash, beside 512 KiB of SRAM that 786 KB of floats would not fit."""
    s = Sketch()
    x = s.dequantise(s.quantise("x"))
    y = s.call("Gemm", x, s.weight(256, 768), s.bias(768))
    found = compiled(s.model(s.dequantise(s.quantise(y)), (1, 256), (1, 768)), load_target("ethos_u55_256"), tmp_path).predicted
    assert 196_608 <= found.held["flash"].total < 196_608 + 4096
    assert found.held["sram"].total < 16 * 1024


def test_onnxruntime_decodes_a_weight_that_no_quantised_unit_reads(tmp_path: Path) -> None:
    """DequantizeLinear -> MatMul without QuantizeLinear: onnxruntime writes the floats into memory."""
    s = Sketch()
    model = s.model(s.call("MatMul", "x", s.weight(K, N)), (1, K), (1, N))
    decoded = compiled(model, microcontroller("all;", "1 MiB", "ort"), tmp_path).predicted
    assert 2 * 4 * K * N >= decoded.held["sram"].own >= 4 * K * N, "and what was left of computing it"
    streamed = compiled(model, microcontroller("all;", "16 KiB"), tmp_path).predicted
    assert streamed.held["sram"].total <= 16 * (K + N)


def test_weights_inside_a_body_are_weights(tmp_path: Path) -> None:
    then = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["a"])], "then", [], [helper.make_tensor_value_info("a", 1, [1, N])],
        [numpy_helper.from_array(np.ones((K, N), np.float32), "w")],
    )  # fmt: skip
    value = numpy_helper.from_array(np.ones((K, N), np.float32))
    other = helper.make_graph(
        [helper.make_node("Constant", [], ["v"], value=value), helper.make_node("MatMul", ["x", "v"], ["b"])],
        "other", [], [helper.make_tensor_value_info("b", 1, [1, N])],
    )  # fmt: skip
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["s"], keepdims=0),
        helper.make_node("Cast", ["s"], ["c"], to=onnx.TensorProto.BOOL),
        helper.make_node("If", ["c"], ["y"], then_branch=then, else_branch=other),
    ]
    ends = [helper.make_tensor_value_info(n, 1, s) for n, s in (("x", (1, K)), ("y", (1, N)))]
    model = helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:]), opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    assert compiled(model, microcontroller("all;", "1 MiB"), tmp_path).predicted.held["flash"].total >= 2 * 4 * K * N


@settings(max_examples=40)
@given(
    widths=st.lists(st.integers(1, 40), min_size=2, max_size=6),
    relus=st.lists(st.booleans(), min_size=6, max_size=6),
    shared=st.booleans(),
)
def test_no_chain_of_layers_holds_more_than_its_integers(
    widths: list[int], relus: list[bool], shared: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Between operators: at most the two largest neighbours at a byte an element, and what another branch keeps."""
    s = Sketch()
    current = first = s.quantise("x")
    for (before, after), relu in zip(pairwise(widths), relus, strict=False):
        y = s.call("MatMul", s.dequantise(current), s.weight(before, after))
        current = s.quantise(s.call("Relu", y) if relu else y)
    kept = 0
    if shared and widths[0] == widths[-1]:
        kept = widths[0]
        current = s.quantise(s.call("Add", s.dequantise(current), s.dequantise(first)))
    model = s.model(s.dequantise(current), (1, widths[0]), (1, widths[-1]))
    found = compiled(model, microcontroller("all;"), tmp_path_factory.mktemp("chain")).predicted
    sizes = [size for width, relu in zip(widths[1:], relus, strict=False) for size in [width] * (1 + relu)]
    most = max(a + b for a, b in pairwise([widths[0], *sizes])) + kept
    assert found.held["sram"].working <= max(most, 4 * widths[-1] + kept)
    assert found.held["flash"].total <= stored(model)
