"""The stock targets: they load without a message, every number has a provenance, and what their sources say is in them."""

from __future__ import annotations

import pytest
from replace_number import replace_number

from autoglmc.grammar import HwError, analyse_file, analyse_text, load_target, render
from autoglmc.passes.library import facts
from autoglmc.targets.cost import home_memory, weights_memory
from autoglmc.targets.operator_view import OperatorView, TensorView
from autoglmc.targets.precision import Form
from autoglmc.targets.quantised.forms_on import forms_on
from autoglmc.targets.stock import FOLDER, stock_names, stock_path
from autoglmc.targets.support import No, Yes, link_zero_copy, lists, supports

NAMES = (
    "a16", "a16_ios27", "android_cpu", "ethos_u55_256", "ethos_u85_512", "snapdragon_8gen2", "snapdragon_8gen3", "tensor_g2",
    "tensor_g2_litert", "workstation", "x86_cpu",
)  # fmt: skip
TABLES = (
    "coreai", "coreml_mlprogram", "coreml_neuralnetwork", "ethos_u55", "ethos_u85", "iree_vulkan", "litert_builtin", "nnapi", "ort_cpu",
    "qnn_htp",
)  # fmt: skip
WITH_TABLE = """hw 1;
include "std/{table}.hw";
target t {{
  onnx opset 13..23;
  memory dram {{ size 1 GiB; bandwidth 10 GB/s; shared npu, cpu; }}
  device npu : any {{ runtime none; inherit {table}; peak fp32 1 TFLOPS; peak fp16 1 TFLOPS; dispatch 5 us; launch 1 us; }}
  device cpu : any {{ runtime ort; peak fp32 1 TFLOPS; dispatch 5 us; launch 1 us; supports all; }}
  link npu <-> cpu {{ zero_copy; handoff 5 us; }}
}}
"""


def test_these_are_there_and_tables_are_no_targets() -> None:
    assert stock_names() == NAMES
    assert tuple(sorted(path.stem for path in (FOLDER / "std").glob("*.hw"))) == TABLES
    with pytest.raises(KeyError):
        stock_path("a17")


@pytest.mark.parametrize("name", stock_names())
def test_loads_without_a_message(name: str) -> None:
    result = analyse_file(stock_path(name), facts())
    assert result.diagnostics == ()
    assert result.target is not None and result.target.name == name
    assert any(block.everything for block in result.target.host.supports)
    assert result.target.confidence in ("low", "medium", "high")


@pytest.mark.parametrize("table", TABLES)
def test_a_table_is_right_by_itself_and_in_a_device(table: str) -> None:
    alone = analyse_file(FOLDER / "std" / f"{table}.hw", facts())
    assert (alone.target, alone.diagnostics, [name.text for name in alone.tables]) == (None, (), [table])
    with pytest.raises(HwError, match=f"the file holds the table `{table}` and no target"):
        load_target(FOLDER / "std" / f"{table}.hw")
    result = analyse_text(WITH_TABLE.format(table=table), "t.hw", facts())
    unneeded_peak = "HW0513"  # the device around the table states peaks for all tables
    assert [render(found) for found in result.diagnostics if found.code != unneeded_peak] == []
    assert result.target is not None
    rules = [rule for block in result.target.device("npu").supports for rule in block.rules]
    assert {rule.origin.file.rsplit("/")[-1] for rule in rules} == {f"{table}.hw"}


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


def test_the_a16_of_ios_27_is_the_same_machine_by_another_way() -> None:
    """No number of its own; what its table claims has a converter."""
    from autoglmc.compiler.devices.core_ai.program import CONVERTERS, MICROSOFT

    older, newer = load_target(stock_path("a16")), load_target(stock_path("a16_ios27"))
    assert {(fact.path, fact.value) for fact in newer.facts} <= {(fact.path, fact.value) for fact in older.facts}
    for name in ("npu", "gpu"):
        device = newer.device(name)
        assert (device.runtime.adapter, device.runtime.words) == ("coreai", ("ios", ">=", "27"))
        assert {rule.operator for block in device.supports for rule in block.rules} <= {*CONVERTERS, *MICROSOFT}


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


def test_snapdragon_8gen2_is_the_8gen3_but_for_what_it_says() -> None:
    older, newer = load_target(stock_path("snapdragon_8gen2")), load_target(stock_path("snapdragon_8gen3"))
    assert older.device("npu").runtime.words == ("htp", "soc", "43", "arch", "73")
    assert newer.device("npu").runtime.words == ("htp", "soc", "57", "arch", "75")
    assert (older.memories[0].bandwidth, newer.memories[0].bandwidth) == (67.2e9, 76.8e9)
    for device in ("npu", "gpu", "cpu"):
        assert older.device(device).supports == newer.device(device).supports
        assert older.device(device).peaks != newer.device(device).peaks
    assert older.links == newer.links


def test_workstation_runs_all_four_on_the_same_pages() -> None:
    target = load_target(stock_path("workstation"))
    assert [device.runtime.adapter for device in target.devices] == ["qnn", "iree", "litert", "ort"]
    assert len(target.memories) == 1 and all(link.zero_copy for link in target.links)
    aligned = {(link.source, link.destination): (link.align, link.length_multiple) for link in target.links}
    assert aligned == {
        ("npu", "cpu"): (4, 1), ("gpu", "cpu"): (4096, 4096), ("npu", "gpu"): (4096, 4096),
        ("xnn", "cpu"): (64, 1), ("npu", "xnn"): (64, 1), ("gpu", "xnn"): (4096, 4096),
    }  # fmt: skip
    assert {fact.provenance for fact in target.facts if fact.path.startswith("device.npu") and "rank" not in fact.path} == {"guess"}


def operator(name: str, dtype: str, quantised: bool = False, **attributes: int | tuple[int, ...]) -> OperatorView:
    tensor = TensorView("x", dtype, (1, 8, 16, 16), False)
    operands = {"A": tensor, "B": tensor} if name == "Add" else {"X": tensor, "input": tensor, "data": tensor}
    return OperatorView("n", "", name, 17, attributes, operands, {"Y": tensor}, quantised=quantised)


def test_ethos_computes_on_integers_alone() -> None:
    target = load_target(stock_path("ethos_u55_256"))
    npu = target.device("npu")
    for name, dtypes in (
        ("Add", "int8, uint8, int16"),
        ("Conv", "int8, uint8, int16"),
        ("MaxPool", "int8, uint8, int16"),
        ("Gelu", "int8, uint8"),
    ):
        answer = supports(npu, operator(name, "fp32"), target.precision)
        assert isinstance(answer, No) and answer.reason == f"`{name}` of fp32: npu's table lists it for {dtypes} only"
    missing = [name for name in "PRelu Exp Erf Pow Sqrt Gather Where".split() if lists(npu, name)]
    assert missing == []
    plain = supports(npu, operator("Add", "int8"), target.precision)
    assert isinstance(plain, No) and plain.reason == "quantised is false (quantised = no)"
    assert isinstance(supports(npu, operator("Add", "int8", quantised=True), target.precision), Yes)


def test_the_u85_runs_all_that_the_u55_does_and_products_of_16_bits() -> None:
    older, newer = (load_target(stock_path(name)).device("npu") for name in ("ethos_u55_256", "ethos_u85_512"))
    listed = [{(dtype, r.operator) for b in npu.supports for r in b.rules for dtype in b.dtypes} for npu in (older, newer)]
    assert listed[0] < listed[1]
    assert newer.runtime.words[3] == "u85-512" and newer.peaks[0].rate == 2 * older.peaks[0].rate


def test_ethos_keeps_weights_in_flash_and_tensors_in_sram() -> None:
    target = load_target(stock_path("ethos_u55_256"))
    for device in ("npu", "cpu"):
        assert home_memory(target, device).name == "sram"
        assert weights_memory(target, device).name == "flash"


def weighted(name: str, **inputs: tuple[int, ...]) -> OperatorView:
    """An operator of a float model whose operands but the first are constant."""
    tensors = {label: TensorView(label, "fp32", shape, k > 0) for k, (label, shape) in enumerate(inputs.items())}
    return OperatorView("n", "", name, 17, {}, tensors, {"Y": TensorView("y", "fp32", (1, 8, 14, 14), False)})


CONV = weighted("Conv", X=(1, 8, 16, 16), W=(8, 8, 3, 3), B=(8,))
MATMUL = weighted("MatMul", A=(1, 8), B=(8, 32))
SOFTMAX = weighted("Softmax", input=(1, 8))


@pytest.mark.parametrize(
    ("name", "conv", "matmul", "softmax"),
    [
        ("snapdragon_8gen3", "fp16 a16w8 a8w8 w4", "fp16 a16w8 a8w8 w4", "fp16 a16w8 a8w8"),
        ("tensor_g2", "fp16 a8w8", "fp16 a8w8", "fp16"),
        ("ethos_u55_256", "a16w8 a8w8", "a16w8 a8w8", "a16w8 a8w8"),
        ("a16", "fp16 w8", "fp16 w8", "fp16"),
    ],
)
def test_forms_of_each_npu(name: str, conv: str, matmul: str, softmax: str) -> None:
    npu = load_target(stock_path(name)).device("npu")
    found = [" ".join(form.name for form in forms_on(npu, one)) for one in (CONV, MATMUL, SOFTMAX)]
    assert found == [conv, matmul, softmax]


def test_forms_are_scaled_as_each_npu_asks() -> None:
    def form(name: str, one: OperatorView, wanted: str) -> Form:
        return next(form for form in forms_on(load_target(stock_path(name)).device("npu"), one) if form.name == wanted)

    htp, tpu, ethos = form("snapdragon_8gen3", CONV, "a8w8"), form("tensor_g2", CONV, "a8w8"), form("ethos_u55_256", CONV, "a8w8")
    assert [(f.activations, f.per_channel, f.symmetric) for f in (htp, tpu, ethos)] == [
        ("uint8", True, False), ("uint8", True, False), ("int8", True, False),
    ]  # fmt: skip
    assert form("snapdragon_8gen3", CONV, "a16w8").activations == "uint16" and form("ethos_u55_256", CONV, "a16w8").activations == "int16"
    assert not form("tensor_g2", MATMUL, "a8w8").per_channel and form("ethos_u55_256", MATMUL, "a8w8").per_channel
    blocks = [(f.block, f.per_channel, f.activations) for f in (form("snapdragon_8gen3", one, "w4") for one in (MATMUL, CONV))]
    assert blocks == [(32, False, "uint16"), (0, True, "uint16")]


def test_the_host_reads_stored_weights() -> None:
    host = load_target(stock_path("x86_cpu")).host
    found = {form.name: form for form in forms_on(host, MATMUL)}
    assert list(found) == ["fp32", "a8w8", "w8", "w4"] and (found["w4"].block, found["w8"].block) == (32, 0)
    assert [form.name for form in forms_on(host, CONV)] == ["fp32", "a8w8", "w8"]
