"""The stock targets: they load without a message, every number has a provenance, and what their sources say is in them."""

from __future__ import annotations

import pytest

from autoglmc.grammar import analyse_file, load_target
from autoglmc.passes.library import facts
from autoglmc.targets.model import replace_number
from autoglmc.targets.operator_view import OperatorView, TensorView
from autoglmc.targets.stock import stock_names, stock_path
from autoglmc.targets.support import No, Yes, link_zero_copy, lists, supports

NAMES = ("a16", "snapdragon_8gen3", "tensor_g2", "x86_cpu")


def test_the_four_are_there() -> None:
    assert set(NAMES) <= set(stock_names())
    with pytest.raises(KeyError):
        stock_path("a17")


@pytest.mark.parametrize("name", stock_names())
def test_loads_without_a_message(name: str) -> None:
    result = analyse_file(stock_path(name), facts())
    assert result.diagnostics == ()
    assert result.target is not None and result.target.name == name
    assert any(block.everything for block in result.target.host.supports)


@pytest.mark.parametrize("name", stock_names())
def test_every_number_has_its_provenance_and_can_be_replaced(name: str) -> None:
    target = load_target(stock_path(name))
    shapes = ("max_rank", "align", "length_multiple")
    loose = [fact.path for fact in target.facts if fact.provenance == "stated" and not fact.path.endswith(shapes)]
    assert loose == []
    for fact in target.facts:
        assert replace_number(target, fact.path, fact.value * 3 + 1) != target, fact.path
    physical = {"dispatch", "launch", "handoff", "bandwidth", "size", "budget"}
    assert physical <= {fact.path.rsplit(".", 1)[1] for fact in target.facts} | ({"handoff"} if len(target.devices) == 1 else set())


@pytest.mark.parametrize("name", stock_names())
def test_digest_is_stable(name: str) -> None:
    assert load_target(stock_path(name)).digest == load_target(stock_path(name)).digest


def test_a16_is_what_its_sources_say() -> None:
    target = load_target(stock_path("a16"))
    npu = target.device("npu")
    missing = "Pad Sin Cos Log Neg Abs Floor Ceil Where Expand Equal Less Greater Not Min Tile TopK GatherElements GatherND ScatterND"
    missing += " CumSum LSTM GRU QuantizeLinear DequantizeLinear HardSigmoid HardSwish LogSoftmax Einsum RMSNormalization Attention Flatten"
    missing += " LRN"
    assert [name for name in missing.split() if lists(npu, name)] == []
    assert lists(npu, "Gelu") and lists(npu, "LayerNormalization")
    assert len({rule.operator for block in npu.supports for rule in block.rules}) == 52
    operands = {"X": TensorView("x", "fp32", (1, 3, 4, 16384), False), "W": TensorView("w", "fp32", (20000, 3, 1, 1), True)}
    wide = OperatorView("c", "", "Conv", 13, {}, operands, {})
    answer = supports(npu, wide, target.precision)
    assert isinstance(answer, No) and answer.reason == "all_dims(X, W, Y) <= 16384 is false (N of W = 20000)"
    link = next(link for link in target.links if (link.source, link.destination) == ("npu", "cpu"))
    assert link_zero_copy(link, "fp16", (1, 4))[0] and not link_zero_copy(link, "fp32", (1, 4))[0]


def test_tensor_g2_has_no_gelu_and_takes_two_kinds_of_matmul() -> None:
    target = load_target(stock_path("tensor_g2"))
    npu = target.device("npu")
    lacking = "Gelu Erf LayerNormalization InstanceNormalization Where ConvTranspose ReduceSum"
    assert [name for name in lacking.split() if lists(npu, name)] == []
    assert target.confidence == "low"

    def matmul(a: tuple[int, ...], b: tuple[int, ...], const: bool) -> bool:
        tensors = {"A": TensorView("a", "fp32", a, False), "B": TensorView("b", "fp32", b, const)}
        out = {"Y": TensorView("y", "fp32", (*a[:-1], b[-1]), False)}
        return isinstance(supports(npu, OperatorView("m", "", "MatMul", 13, {}, tensors, out), target.precision), Yes)

    assert matmul((8, 4), (4, 5), True)
    assert not matmul((8, 4), (4, 5), False)
    assert matmul((2, 8, 4), (2, 4, 5), False)
    assert not matmul((2, 8, 4), (4, 5), True)


def test_snapdragon_refuses_what_htp_refuses() -> None:
    npu = load_target(stock_path("snapdragon_8gen3")).device("npu")
    assert [name for name in "Erf Loop Scan IsInf ReduceProd Einsum Det Celu".split() if lists(npu, name)] == []
    assert [name for name in "Gelu LayerNormalization RMSNormalization Softmax HardSwish CumSum".split() if not lists(npu, name)] == []
