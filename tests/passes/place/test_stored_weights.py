"""A device that reads weights as they are stored takes the DequantizeLinear of a weight with its reader, and for nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make_target import HERE, make_cpu, make_device, make_link, make_target
from onnx import TensorProto, helper
from run_model import infer
from small_models import save

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.place.candidates import Implementation
from autoglmc.passes.place.device_kernels import device_kernels, priced, weights_of_kernels
from autoglmc.passes.place.place_operators import ask
from autoglmc.passes.place.unit_time import unit_time
from autoglmc.targets.cost import weight_bytes
from autoglmc.targets.model import Device, Target
from autoglmc.targets.precision import WeightFormat

KINDS = {"int8": TensorProto.INT8, "uint8": TensorProto.UINT8, "int4": TensorProto.INT4}
SHAPES = {"Conv": ((1, 4, 6, 6), (8, 4, 3, 3), 0), "MatMul": ((2, 32), (32, 16), 1), "Gemm": ((2, 32), (32, 16), 1)}


def model(operator: str, dtype: str, block: int, zero: int) -> onnx.ModelProto:
    """One operator whose weight is stored in `dtype`: a scale a channel, or in blocks along the first axis. zero: its zero points."""
    given, shape, channel = SHAPES[operator]
    extent = (shape[0] // block, *shape[1:]) if block else (shape[channel],)
    steps = np.random.default_rng(0).integers(0, 8, shape)
    attributes = {"axis": 0, "block_size": block} if block else {"axis": channel}
    nodes = [helper.make_node("DequantizeLinear", ["w", "s", "z"], ["d"], **attributes), helper.make_node(operator, ["x", "d"], ["y"])]
    count = int(np.prod(extent))
    constants = [
        helper.make_tensor("w", KINDS[dtype], shape, steps.reshape(-1).tolist()),
        helper.make_tensor("s", TensorProto.FLOAT, extent, [0.1] * count),
        helper.make_tensor("z", KINDS[dtype], extent, [zero] * count),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "g", [value("x", 1, given)], [value("y", 1, None)], constants)
    return infer(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10))


def npu(*lines: WeightFormat, taken: str = "", kernels: Sequence[Sequence[str]] = ()) -> Device:
    """`taken`: a dtype of which it runs a DequantizeLinear by itself."""
    device = make_device("npu", list(SHAPES), peak=1e12, dispatch=1e-9, kernels=kernels)
    alone = make_device("npu", ["DequantizeLinear"], dtypes=["fp32", taken]).supports if taken else ()
    return replace(device, supports=(*device.supports, *alone), weights=lines)


def line(
    dtype: str, block: int = 0, symmetric: bool = False, operators: tuple[str, ...] = (), activations: str = "", widened: bool = False
) -> WeightFormat:
    return WeightFormat(
        dtype=dtype, block=block, symmetric=symmetric, activations=activations, operators=operators, widened=widened, where=None,
        origin=HERE,
    )  # fmt: skip


def target(device: Device) -> Target:
    return make_target([device, make_cpu(peak=1e4, dispatch=1e-3)], [make_link("npu", "cpu", handoff=1e-9)])


formats = st.builds(
    line,
    st.sampled_from(sorted(KINDS)),
    st.sampled_from([0, 16]),
    st.booleans(),
    st.sampled_from([(), ("Conv",), ("MatMul", "Gemm")]),
    st.sampled_from(["", "uint16"]),
    st.booleans(),
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(SHAPES)), st.sampled_from(sorted(KINDS)), st.booleans(), st.integers(0, 1), st.lists(formats, max_size=3))
def test_it_is_taken_where_a_line_is_about_it_and_nowhere_else(
    operator: str, dtype: str, blocks: bool, zero: int, lines: list[WeightFormat]
) -> None:
    block = 16 if blocks and operator != "Conv" else 0
    graph = Graph(model(operator, dtype, block, zero))
    asked = ask(graph, target(npu(*lines)), (), {})
    stored, reader = (answers[0] for answers in asked.answers)
    middle = 128 if dtype == "uint8" else 0
    about = any(
        one.dtype == dtype and one.block == block and not one.activations and (not one.operators or operator in one.operators)
        and (not one.symmetric or zero == middle)
        for one in lines
    )  # fmt: skip
    assert isinstance(stored, Implementation) == about and isinstance(reader, Implementation) == about
    if isinstance(stored, Implementation):
        assert stored.launches == 0 and stored.seconds == 0.0


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(sorted(SHAPES)), st.sampled_from(sorted(KINDS)), st.booleans(), st.lists(formats, max_size=3), st.booleans())
def test_placement_counts_what_the_plan_prices(operator: str, dtype: str, blocks: bool, lines: list[WeightFormat], chained: bool) -> None:
    """On a device that also takes every DequantizeLinear by itself, in a kernel with its reader or not."""
    device = npu(*lines, taken=dtype, kernels=[["DequantizeLinear", "MatMul|Gemm"]] if chained else ())
    machine = target(device)
    graph = Graph(model(operator, dtype, 16 if blocks and operator != "Conv" else 0, 0))
    asked = ask(graph, machine, (), {})
    counted = unit_time(asked, range(len(asked.nodes)), 0)
    kernels = device_kernels(graph, graph.nodes, machine, device)
    assert counted is not None
    assert counted.seconds == pytest.approx(sum(one.seconds for one in priced(kernels, machine, device, weights_of_kernels(kernels))))


@pytest.mark.parametrize("widened", [False, True])
@pytest.mark.parametrize("taken", [False, True])
def test_its_reader_is_priced_by_what_a_run_reads(widened: bool, taken: bool) -> None:
    """`taken`: by itself, the device would run the DequantizeLinear in every run."""
    device = npu(line("int4", 16, widened=widened), taken="int4" if taken else "")
    asked = ask(Graph(model("MatMul", "int4", 16, 0)), target(device), (), {})
    stored, reader = (answers[0] for answers in asked.answers)
    assert isinstance(stored, Implementation) and isinstance(reader, Implementation)
    assert stored.carried == (not taken or not widened)
    assert (reader.view is None) == widened
    if reader.view is not None:
        assert reader.view.inputs["B"].dtype == "int4" and weight_bytes((reader.view,), "fp32") == 32 * 16 / 2


@pytest.mark.parametrize("lines", [(), (line("int8"),)])
def test_the_bundle_keeps_bytes_where_they_are_read(lines: tuple[WeightFormat, ...], tmp_path: Path) -> None:
    """Without the line the weight becomes floats, which the device takes."""
    made = save(model("MatMul", "int8", 0, 0), tmp_path)
    result = compile_model(made, target(npu(*lines)), output=tmp_path / "out", emulate=True)
    assert [segment.device for segment in result.manifest.segments] == ["npu"] and result.verified is not None
    segment = onnx.load_model(tmp_path / "out" / result.manifest.segments[0].file, load_external_data=False)
    kinds = {tensor.data_type for tensor in segment.graph.initializer if np.prod(tensor.dims) == 32 * 16}
    assert kinds == {TensorProto.INT8 if lines else TensorProto.FLOAT}
    assert result.manifest.segments[0].kernels and sum(map(len, result.manifest.segments[0].kernels)) >= 1
