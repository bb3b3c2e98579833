"""What a quantised operator costs is a matter of what it computes: the same between DequantizeLinears and a QuantizeLinear as with its
quantisation in its name, on a device that computes in integers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make_target import HERE, make_cpu, make_target
from onnx import TensorProto, helper, numpy_helper
from run_model import infer

from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.place.place_operators import ask
from autoglmc.passes.place.quantised import either_sign
from autoglmc.passes.place.unit_time import unit_time
from autoglmc.targets.model import Device, OperatorRule, SupportBlock
from autoglmc.targets.operators import operator_names

MICROSOFT = "com.microsoft"


@dataclass(frozen=True)
class Case:
    """One operator on quantised operands: `x` of shape `first`, and what else it reads."""

    operator: str
    spelled: str
    """With its quantisation in its name."""
    first: tuple[int, ...]
    weight: tuple[int, ...] | None = None
    second: tuple[int, ...] | None = None
    bias: int = 0
    out: tuple[int, ...] = ()
    attributes: dict[str, object] = field(default_factory=dict)

    @property
    def domain(self) -> str:
        return "" if self.spelled in ("QLinearConv", "QLinearMatMul") else MICROSOFT


def convolution(n: int, c: int, o: int, size: int, kernel: int, bias: bool) -> Case:
    end = size - kernel + 1
    return Case("Conv", "QLinearConv", (n, c, size, size), (o, c, kernel, kernel), bias=o * bias, out=(n, o, end, end))


CASES: tuple[Callable[[int, int, int], Case], ...] = (
    lambda a, b, c: convolution(a, b, c, 9, 3, True),
    lambda a, b, c: convolution(1, b, c, 5 + a, 1, False),
    lambda a, b, c: Case("MatMul", "QLinearMatMul", (a, b), (b, c), out=(a, c)),
    lambda a, b, c: Case("Gemm", "QGemm", (a, b), (b, c), bias=c, out=(a, c)),
    lambda a, b, c: Case("Add", "QLinearAdd", (a, b, c), second=(a, b, c), out=(a, b, c)),
    lambda a, b, c: Case("Mul", "QLinearMul", (a, b, c), second=(b, 1), out=(a, b, c)),
    lambda a, b, c: Case("Sigmoid", "QLinearSigmoid", (a, b, c), out=(a, b, c)),
    lambda a, b, c: Case("LeakyRelu", "QLinearLeakyRelu", (a, b, c), out=(a, b, c)),
    lambda a, b, c: Case("GlobalAveragePool", "QLinearGlobalAveragePool", (a, b, c, c), out=(a, b, 1, 1)),
)


class Written:
    """A model of the case in one of the two spellings, with integers at its border."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.inputs = [helper.make_tensor_value_info("x", TensorProto.UINT8, case.first)]
        self.constants = {"s": np.float32(0.05), "z": np.uint8(3), "ws": np.float32(0.01), "wz": np.int8(0), "bs": np.float32(0.0005)}
        self.constants["bz"] = np.int32(0)
        self.operands = [("x", "s", "z")]
        if case.second is not None:
            self.inputs.append(helper.make_tensor_value_info("v", TensorProto.UINT8, case.second))
            self.operands.append(("v", "s", "z"))
        if case.weight is not None:
            self.constants["w"] = np.ones(case.weight, np.int8)
            self.operands.append(("w", "ws", "wz"))
        if case.bias:
            self.constants["b"] = np.ones(case.bias, np.int32)

    def between(self) -> onnx.ModelProto:
        """DequantizeLinears, the operator, QuantizeLinear."""
        reads = [*self.operands, *([("b", "bs", "bz")] if self.case.bias else [])]
        nodes = [helper.make_node("DequantizeLinear", list(three), [f"{three[0]}_f"]) for three in reads]
        nodes += [helper.make_node(self.case.operator, [f"{three[0]}_f" for three in reads], ["y_f"], **self.case.attributes)]
        return self._model([*nodes, helper.make_node("QuantizeLinear", ["y_f", "s", "z"], ["y"])])

    def named(self) -> onnx.ModelProto:
        """The one operator."""
        case, names = self.case, [name for three in self.operands for name in three]
        bias = ["b"] if case.bias else []
        inputs = [*names, *bias, "s", "z"] if case.operator == "Gemm" else [*names, "s", "z", *bias]
        attributes = {**case.attributes, **({"channels_last": 0} if case.operator == "GlobalAveragePool" else {})}
        return self._model([helper.make_node(case.spelled, inputs, ["y"], domain=case.domain, **attributes)])

    def _model(self, nodes: list[onnx.NodeProto]) -> onnx.ModelProto:
        output = [helper.make_tensor_value_info("y", TensorProto.UINT8, self.case.out)]
        weights = [numpy_helper.from_array(np.asarray(array), name) for name, array in self.constants.items()]
        opsets = [helper.make_opsetid("", 18), helper.make_opsetid(MICROSOFT, 1)]
        graph = helper.make_graph(nodes, "case", self.inputs, output, weights)
        return infer(helper.make_model(graph, opset_imports=opsets, ir_version=10))


def in_bytes() -> Device:
    """A CPU that computes anything, and bytes at four times the rate."""
    cpu = make_cpu()
    return replace(cpu, peaks=(*cpu.peaks, replace(cpu.peaks[0], dtype="int8", rate=4 * cpu.peaks[0].rate)))


def seconds(model: onnx.ModelProto, device: Device) -> float:
    asked = ask(Graph(model), make_target([device], []), (), {})
    found = unit_time(asked, range(len(asked.nodes)), 0)
    assert found is not None, [str(answer) for row in asked.answers for answer in row]
    return found.seconds


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(CASES), st.integers(1, 40), st.integers(1, 70), st.integers(1, 90))
def test_a_quantised_operator_costs_the_same_in_either_spelling(make: Callable[[int, int, int], Case], a: int, b: int, c: int) -> None:
    written = Written(make(a, b, c))
    assert seconds(written.named(), in_bytes()) == pytest.approx(seconds(written.between(), in_bytes()), rel=1e-9)


def test_in_integers_it_costs_less_than_in_floats() -> None:
    """Or the property above says nothing."""
    model = Written(convolution(1, 64, 64, 33, 3, True)).between()
    cpu = make_cpu()
    assert seconds(model, in_bytes()) < seconds(model, cpu) / 3


def all_in(*dtypes: str) -> Device:
    """A runtime that computes everything in these dtypes, block by block, as `supports int8 { all; }` is read."""
    cpu = in_bytes()
    rules = tuple(OperatorRule(domain=d, operator=o, where=None, origin=HERE) for d, o in map(_split, operator_names()))
    blocks = tuple(SupportBlock(dtypes=(dtype,), everything=False, rules=rules, origin=HERE) for dtype in dtypes)
    return replace(cpu, supports=blocks)


def _split(name: str) -> tuple[str, str]:
    domain, _, operator = name.rpartition("::")
    return domain, operator


def test_a_runtime_of_int8_computes_uint8_in_integers_too() -> None:
    model = Written(convolution(1, 64, 64, 33, 3, True)).between()
    assert seconds(model, all_in("fp32", "int8")) == pytest.approx(seconds(model, in_bytes()))


def test_a_table_of_single_operators_means_the_sign_it_says() -> None:
    rule = OperatorRule(domain="", operator="Conv", where=None, origin=HERE)
    device = replace(in_bytes(), supports=(SupportBlock(dtypes=("int8",), everything=False, rules=(rule,), origin=HERE),))
    assert either_sign(device) is device
