"""A device with several memories uses them: more of them is never slower, what does not fit is copied, and the plan is one."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from breadth import WIDE, long
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from onnx import helper, numpy_helper

from autoglmc.compiler.bundle.manifest import Manifest
from autoglmc.compiler.bundle.plan_records import MemoriesRecord, PlaceRecord
from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.driver.result import CompileResult
from autoglmc.compiler.errors import BundleError, Infeasible
from autoglmc.compiler.run.check.check_memories import check_memories, unreadable
from autoglmc.targets.model import Target

from ...memory_boards import board, random_net

KIB = 1024
SRAM = (0, 64, 128, 256, 512) if WIDE else (0, 64, 512)
"""KiB of a board."""
MODELS = Path(__file__).resolve().parents[2] / "models"
SHAPES: Mapping[str, Mapping[str, int]] = {
    "lightnet.onnx": {"batch": 1},
    "bert_tiny.onnx": {"batch": 1, "seq": 64},
    "glm_tiny.onnx": {"batch": 1, "seq": 32},
}


def compiled(model: onnx.ModelProto | Path, target: Target, folder: Path) -> CompileResult:
    shapes = SHAPES.get(model.name, {}) if isinstance(model, Path) else {}
    result = compile_model(model, target, output=folder / f"b{len(list(folder.iterdir()))}", shapes=shapes, verify=False, emulate=True)
    assert result.bundle.manifest == result.manifest  # loading checks the plan
    return result


def planned(result: CompileResult) -> list[MemoriesRecord]:
    return [segment.memories for segment in result.manifest.segments if segment.memories is not None]


def copied(result: CompileResult) -> Counter[str]:
    return Counter(copy.kind for memories in planned(result) for copy in memories.transfers)


def within_budgets(result: CompileResult) -> None:
    budgets = {memory.name: memory.budget for memory in result.work.target.memories}
    assert all(held.total <= budgets[name] for name, held in result.predicted.held.items())


def check_times(result: CompileResult) -> None:
    """The predicted time is that of the segments and the handoffs."""
    total = sum(s.predicted_seconds for s in result.manifest.segments) + sum(h.seconds for h in result.manifest.handoffs)
    assert result.predicted.latency == pytest.approx(total)


@pytest.mark.parametrize("model", long(list(SHAPES), ["bert_tiny.onnx", "glm_tiny.onnx"]))
def test_more_sram_is_never_slower_and_spills_stand_in_the_schedule(model: str, tmp_path: Path) -> None:
    times, copies = [], Counter[str]()
    for sram in SRAM:
        result = compiled(MODELS / model, board(sram), tmp_path)
        within_budgets(result)
        check_times(result)
        times.append(result.predicted.latency)
        copies += copied(result)
    assert all(after <= before * (1 + 1e-9) for before, after in pairwise(times)), times
    assert times[-1] < times[1] * 0.99
    assert copies["spill"] > 0


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), sizes=st.lists(st.sampled_from([2, 4, 8, 16, 32, 64, 128]), min_size=2, max_size=3, unique=True))
def test_more_sram_is_never_slower_on_random_nets(seed: int, sizes: list[int], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder, model = tmp_path_factory.mktemp("r"), random_net(seed)
    results = [compiled(model, board(sram), folder) for sram in (0, *sorted(sizes))]
    times = [result.predicted.latency for result in results]
    for result in results:
        within_budgets(result)
        check_times(result)
    assert all(after <= before * (1 + 1e-6) for before, after in pairwise(times)), times


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000), speeds=st.lists(st.sampled_from([0.1, 0.4, 1.0, 4.0, 16.0]), min_size=2, max_size=3, unique=True))
def test_more_bandwidth_is_never_slower(seed: int, speeds: list[float], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder, model = tmp_path_factory.mktemp("r"), random_net(seed)
    times = [compiled(model, board(16, fast=speed), folder).predicted.latency for speed in sorted(speeds)]
    assert all(after <= before * (1 + 1e-6) for before, after in pairwise(times)), times


def test_one_memory_has_nothing_to_choose(tmp_path: Path) -> None:
    result = compiled(random_net(1), board(0), tmp_path)
    assert not planned(result)
    assert result.work.placement is not None
    assert result.predicted.latency == result.work.placement.solution.price.total


def chain(rows: int, *widths: int, shifted: bool = False) -> onnx.ModelProto:
    """MatMuls by weights, one after the other. `shifted`: a constant as large as the tensor is subtracted behind each but the last."""
    nodes, constants, last = [], {}, len(widths) - 2
    for k, shape in enumerate(pairwise(widths)):
        more, name = shifted and k < last, f"a{k + 1}"
        constants[f"w{k}"] = np.full(shape, 0.01, np.float32)
        nodes.append(helper.make_node("MatMul", [f"a{k}" if k else "x", f"w{k}"], [f"m{k}" if more else name]))
        if more:
            constants[f"c{k}"] = np.full((rows, shape[1]), 0.01, np.float32)
            nodes.append(helper.make_node("Sub", [f"m{k}", f"c{k}"], [name]))
    ends = [helper.make_tensor_value_info(name, 1, [rows, width]) for name, width in (("x", widths[0]), (f"a{last + 1}", widths[-1]))]
    stored = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def places(result: CompileResult, tensor: str) -> list[PlaceRecord]:
    return [place for memories in planned(result) for place in memories.places if place.tensor == tensor]


def test_a_weight_that_fits_is_resident_and_read_at_the_speed_of_its_memory(tmp_path: Path) -> None:
    model = chain(64, 64, 256, 64)
    without, within = (compiled(model, board(sram, gops=1e6), tmp_path) for sram in (0, 512))
    assert [place.kind for place in places(within, "w0")] == ["resident"]
    weights, inner = 2 * 64 * 256 * 4, 2 * 64 * 256 * 4
    # the input and the result stay in DRAM, which is read beside SRAM and takes longer
    assert without.predicted.latency - within.predicted.latency == pytest.approx((weights + inner) / 0.5e9)
    assert within.predicted.held["sram"].weights == weights


def test_weights_that_do_not_all_fit_are_loaded_while_the_kernel_before_computes(tmp_path: Path) -> None:
    """SRAM holds some of them. DRAM has little to do during a MatMul, which is slow, and a Sub has nothing else to do."""
    model = chain(64, *[128] * 8, shifted=True)
    result, narrow = (compiled(model, board(sram, gops=5, dram=0.2), tmp_path) for sram in (1024, 160))
    assert copied(narrow)["load"] > 0
    for memories in planned(narrow):
        for copy in memories.transfers:
            if copy.kind == "load":
                (place,) = (p for p in memories.places if p.tensor == copy.tensor)
                assert (copy.when, place.kind, place.memory) == ("during", "streamed", "sram")
                assert place.first == copy.step < place.last
    assert result.predicted.latency <= narrow.predicted.latency


def test_memory_that_holds_weights_only_is_never_written_while_a_model_runs(tmp_path: Path) -> None:
    result = compiled(chain(64, *[128] * 8, shifted=True), board(160, gops=5, dram=0.2, holds="weights"), tmp_path)
    assert {place.kind for memories in planned(result) for place in memories.places if place.memory == "sram"} == {"resident"}
    assert not copied(result)


def test_memory_that_holds_activations_only_has_no_weights(tmp_path: Path) -> None:
    result = compiled(chain(64, *[128] * 4), board(300, holds="activations"), tmp_path)
    found = {(place.kind, place.memory) for memories in planned(result) for place in memories.places}
    assert ("working", "sram") in found and {kind for kind, _ in found} == {"working"}


def test_three_memories(tmp_path: Path) -> None:
    """Tightly coupled memory beside SRAM and DRAM: each level is used, and is never slower."""
    tcm = "memory tcm { size 16 KiB; bandwidth 32 GB/s; holds activations; shared npu; }"
    one, two = (compiled(MODELS / "bert_tiny.onnx", board(64, more=more), tmp_path) for more in ("", tcm))
    assert two.predicted.latency < one.predicted.latency
    assert {place.memory for memories in planned(two) for place in memories.places} == {"dram", "sram", "tcm"}


def test_quantised_operators_lie_in_their_integers(tmp_path: Path) -> None:
    from .test_memory_roles import convolutions

    result = compiled(convolutions(32, 16, quantised=True), board(64), tmp_path)
    inner = [place for memories in planned(result) for place in memories.places if place.memory == "sram" and place.kind == "working"]
    assert 32 * 16 * 16 in {place.bytes for place in inner}
    assert result.predicted.held["sram"].working <= 64 * KIB
    check_times(result)


def test_sram_that_is_the_cpus_own_memory_is_shared(tmp_path: Path) -> None:
    """The CPU's tensors and the NPU's weights fit together."""
    more = "memory tcm { size 96 KiB; bandwidth 8 GB/s; shared npu, cpu; }"
    for seed in range(3):
        within_budgets(compiled(random_net(seed, 12), board(0, more=more), tmp_path))


# What the check refuses


def broken_place(record: MemoriesRecord, number: int, **changes: object) -> MemoriesRecord:
    several = list(record.places)
    several[number] = structs.replace(several[number], **changes)
    return structs.replace(record, places=tuple(several))


def refusal(result: CompileResult, memories: MemoriesRecord) -> str:
    """What is said of the plan with another record for its only planned segment."""
    (index,) = (k for k, segment in enumerate(result.manifest.segments) if segment.memories is not None)
    segments = list(result.manifest.segments)
    segments[index] = structs.replace(segments[index], memories=memories)
    manifest: Manifest = structs.replace(result.manifest, segments=tuple(segments))
    try:
        check_memories(manifest, "b")
    except BundleError as error:
        return error.message
    return unreadable(segments[index], onnx.load(result.folder / segments[index].file, load_external_data=False))


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> CompileResult:
    return compiled(MODELS / "bert_tiny.onnx", board(64), tmp_path_factory.mktemp("bert"))


def test_each_transfer_is_needed(bert: CompileResult) -> None:
    (record,) = planned(bert)
    assert {copy.kind for copy in record.transfers} >= {"spill", "fill"}
    for k in range(len(record.transfers)):
        fewer = structs.replace(record, transfers=record.transfers[:k] + record.transfers[k + 1 :])
        assert refusal(bert, fewer), record.transfers[k]


def test_each_place_is_needed(bert: CompileResult) -> None:
    (record,) = planned(bert)
    for k, place in enumerate(record.places):
        assert refusal(bert, structs.replace(record, places=record.places[:k] + record.places[k + 1 :])), place


def test_a_place_must_last_until_its_last_reader(bert: CompileResult) -> None:
    (record,) = planned(bert)
    for k, place in enumerate(record.places):
        if place.first < place.last:
            elsewhere = any(other.tensor == place.tensor and other.memory != place.memory for other in record.places)
            assert elsewhere or refusal(bert, broken_place(record, k, last=place.last - 1)), place
            assert refusal(bert, broken_place(record, k, first=place.first + 1)), place


def test_places_are_apart_and_inside(bert: CompileResult) -> None:
    (record,) = planned(bert)
    k = next(k for k, place in enumerate(record.places) if place.memory == "sram")
    assert "64" in refusal(bert, broken_place(record, k, offset=record.places[k].offset + 1))
    assert "ends at" in refusal(bert, broken_place(record, k, offset=64 * KIB))
    assert "no budget" in refusal(bert, broken_place(record, k, memory="nowhere"))
    assert "kernels" in refusal(bert, broken_place(record, k, last=10_000))
    assert "not the bytes" in refusal(bert, broken_place(record, k, same=("x", "y")))
    here = [k for k, place in enumerate(record.places) if place.memory == "sram"]
    a, b = next((a, b) for a in here for b in here if a < b and record.places[a].last >= record.places[b].first)
    assert "overlap" in refusal(bert, broken_place(record, b, offset=record.places[a].offset))


def test_nothing_lies_on_a_resident_weight(tmp_path: Path) -> None:
    result = compiled(chain(16, 64, 256, 64), board(512, gops=1e6), tmp_path)
    (record,) = planned(result)
    kept = next(place for place in record.places if place.kind == "resident")
    k = next(k for k, place in enumerate(record.places) if place.memory == "sram" and place.kind == "working")
    assert "stays in 'sram' in all runs" in refusal(
        result, broken_place(record, k, offset=kept.offset, first=0, last=0)
    ) or "overlap" in refusal(result, broken_place(record, k, offset=kept.offset))


def test_two_processes_plan_alike(tmp_path: Path) -> None:
    code = """
import sys, pathlib
sys.path.insert(0, sys.argv[1])
from autoglmc.compiler.driver.compile_model import compile_model
from tests.memory_boards import board, random_net
result = compile_model(random_net(7, 14), board(16), output=pathlib.Path(sys.argv[2]), verify=False, emulate=True)
"""
    root = Path(__file__).resolve().parents[3]
    found = []
    for seed in ("1", "2"):
        arguments = [sys.executable, "-c", code, str(root), str(tmp_path / seed)]
        subprocess.run(arguments, check=True, env={"PYTHONHASHSEED": seed, "PATH": "/usr/bin:/bin"})
        found.append(json.loads((tmp_path / seed / "manifest.json").read_text()))
    assert found[0] == found[1]
    assert any(segment["memories"] and segment["memories"]["places"] for segment in found[0]["segments"])


def test_tensors_that_do_not_fit_together_lie_in_a_slower_memory(tmp_path: Path) -> None:
    """Two of 64 KiB in 112 KiB beside an arena of 32 KiB."""
    target, net = board(0), chain(64, 64, 256, 256, 64)
    small = dataclasses.replace(target.memories[0], name="main", budget=112 * KIB, holds=("activations",))
    flash = dataclasses.replace(target.memories[0], name="flash", holds=("weights",))
    slow = dataclasses.replace(small, name="psram", budget=80 * KIB, bandwidth=0.1e9, shared=("npu",))
    with pytest.raises(Infeasible, match="memory main"):
        compiled(net, dataclasses.replace(target, memories=(small, flash)), tmp_path)
    result = compiled(net, dataclasses.replace(target, memories=(small, flash, slow)), tmp_path)
    within_budgets(result)
    assert {place.memory for memories in planned(result) for place in memories.places} == {"main", "psram"}


def test_what_a_reshape_makes_a_result_of_lies_where_the_result_lies(tmp_path: Path) -> None:
    """It is a tensor between kernels without a place of its own: a result has none where it stays in the device's own memory."""
    nodes = [
        helper.make_node("Softmax", ["x"], ["s"]),
        helper.make_node("Sigmoid", ["s"], ["g"]),
        helper.make_node("Reshape", ["g", "flat"], ["y"]),
        helper.make_node("Relu", ["y"], ["z"]),
    ]
    values = [helper.make_tensor_value_info(n, 1, shape) for n, shape in (("x", [1, 2304]), ("y", [48, 48]), ("z", [48, 48]))]
    flat = numpy_helper.from_array(np.array([48, 48]), "flat")
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], [flat])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    for sram in (2, 9, 10, 64):
        result = compiled(model, board(sram, fast=0.6), tmp_path)
        fed = np.linspace(-1, 1, 2304, dtype=np.float32).reshape(1, 2304)
        outputs = result.bundle.session(emulate=True).run({"x": fed})
        assert np.array_equal(np.asarray(outputs["z"]), np.asarray(outputs["y"]))
