"""Joins of what a runtime reports to the kernels that placement prices, the quality gate, and one real measurement."""

from __future__ import annotations

import pickle
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from fake_source import FakeSource
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from autoglmc.compiler.calibrate.grid.grid import grid
from autoglmc.compiler.calibrate.grid.kernel_model import KernelModel
from autoglmc.compiler.calibrate.grid.narrow import quantised_convolution, quantised_product
from autoglmc.compiler.calibrate.measure.clock import LEAST_RUNS, time_runs
from autoglmc.compiler.calibrate.measure.expanded import join_expanded
from autoglmc.compiler.calibrate.measure.gate import MOST_APART, judge_chunks, judge_profile
from autoglmc.compiler.calibrate.measure.join import Joined, Reported, join
from autoglmc.compiler.calibrate.measure.measure import RETRIES, Budget, Case, Passes, measure_cases
from autoglmc.compiler.calibrate.measure.ort_source import OrtSource, runs_in
from autoglmc.compiler.calibrate.measure.overhead import NONE, Overhead, of_model, refined
from autoglmc.compiler.calibrate.measure.private_memory import private_memory
from autoglmc.compiler.calibrate.measure.segment_kernels import Kernel, segment_kernels
from autoglmc.compiler.calibrate.measure.source import Profile, Runnable, quietest
from autoglmc.compiler.calibrate.measure.time_left import TimeLeft
from autoglmc.compiler.calibrate.raw_file import raw_bytes, read_raw
from autoglmc.compiler.calibrate.records import Measurement
from autoglmc.compiler.errors import BundleError, UsageError
from autoglmc.compiler.hw.load_target import load_target

TARGET = load_target("x86_cpu")
DEVICE = TARGET.device("cpu")
QUICK = Budget(0.0, 0.0)


def small_model(*more: str) -> onnx.ModelProto:
    """Conv -> Relu -> Mish -> `more`, names as exporters make them."""
    weight = numpy_helper.from_array(np.ones((8, 4, 3, 3), np.float32), "w")
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="/conv/Conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"], name="/act/Relu"),
        helper.make_node("Mish", ["r"], ["m0"], name="/mish/Mish"),
        *(helper.make_node(kind, [f"m{k}"], [f"m{k + 1}"], name=f"/{k}/{kind}") for k, kind in enumerate(more)),
    ]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", [1, 4, 8, 8]), (f"m{len(more)}", [1, 8, 8, 8]))]
    graph = helper.make_graph(nodes, "small", ends[:1], ends[1:], [weight])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return onnx.shape_inference.infer_shapes(made)


def kernels_of(model: onnx.ModelProto) -> tuple[Kernel, ...]:
    return segment_kernels(model, TARGET, DEVICE).kernels


def test_kernels_are_the_groups_of_the_target() -> None:
    conv, mish = kernels_of(small_model())
    assert (conv.name, conv.names) == ("/conv/Conv", {"/conv/Conv", "/act/Relu"})
    assert [view.operator for view in conv.views] == ["Conv", "Relu"]
    assert mish.compute_dtype == "fp32"


@pytest.mark.parametrize(
    "name",
    [
        "/conv/Conv", "/act/Relu", "/conv/Conv_nchwc", "fused /conv/Conv", "fused /act/Relu_nchwc", "/conv/Conv/ConvMulFusion/", "r",
        "c_nchwc", "/conv/Conv_token_12", "/conv/Conv/WithoutBiases", "InsertedPrecisionFreeCast_c_nchwc",
    ],
)  # fmt: skip
def test_a_renamed_operator_finds_its_kernel(name: str) -> None:
    kernels = kernels_of(small_model())
    joined = join(kernels, [Reported(name, 1e-3), Reported("ReorderOutput_token_3", 1e-3)])
    assert joined == Joined({0: 1e-3}, {"ReorderOutput_token_3": 1e-3})
    assert joined.missing == 0.5


def test_further_names_join_where_the_first_does_not() -> None:
    kernels = kernels_of(small_model())
    assert join(kernels, [Reported("Subgraph_7", 1.0, others=("nothing", "/mish/Mish"))]).seconds == {1: 1.0}


def test_what_was_fused_is_shared_by_the_time_that_the_target_states() -> None:
    kernels = kernels_of(small_model("Abs"))
    stated = [kernel.stated for kernel in kernels]
    found = join(kernels, [Reported("Subgraph_7", 1.0, others=("/act/Relu", "/conv/Conv", "/0/Abs"))]).seconds
    assert found == pytest.approx({0: stated[0] / (stated[0] + stated[2]), 2: stated[2] / (stated[0] + stated[2])})


def test_what_has_no_name_belongs_to_what_is_nearest() -> None:
    kernels = kernels_of(small_model())
    reported = [Reported("MVN_3", 1.0, near=("input", "/mish/Mish", "/conv/Conv")), Reported("/conv/Conv", 2.0, near=("/mish/Mish",))]
    assert join(kernels, reported) == Joined({1: 1.0, 0: 2.0}, {})


NAMES = st.one_of(st.text(max_size=40), st.sampled_from(["/conv/Conv", "/act/Relu", "/mish/Mish", "r", "fused /conv/Conv"]))


@given(st.lists(st.tuples(NAMES, st.floats(0, 1), st.lists(NAMES, max_size=3), st.lists(NAMES, max_size=3)), max_size=20))
def test_no_time_is_lost_whatever_the_names(reported: Sequence[tuple[str, float, list[str], list[str]]]) -> None:
    kernels = KERNELS
    rows = [Reported(name, seconds, others=tuple(others), near=tuple(near)) for name, seconds, others, near in reported]
    joined = join_expanded(kernels, join(kernels, rows))
    total = sum(joined.seconds.values()) + sum(joined.unjoined.values())
    assert total == pytest.approx(sum(row.seconds for row in rows))


KERNELS = kernels_of(small_model())


def test_an_inlined_function_is_the_operator_s_time() -> None:
    kernels = kernels_of(small_model("Mish"))
    inlined = [Reported(f"{kind}_{7 + k}", seconds) for k, (kind, seconds) in enumerate([("Softplus", 1.0), ("Tanh", 2.0), ("Mul", 4.0)])]
    again = [Reported(f"{kind}_{17 + k}", seconds) for k, (kind, seconds) in enumerate([("Softplus", 8.0), ("Tanh", 16.0), ("Mul", 32.0)])]
    joined = join_expanded(kernels, join(kernels, [Reported("/conv/Conv", 0.5), *again, *inlined]))
    assert joined == Joined({0: 0.5, 1: 7.0, 2: 56.0}, {})
    one = join_expanded(kernels, join(kernels, inlined))
    assert not one.seconds and len(one.unjoined) == 3, "one expansion for two operators: nobody can say whose"


def test_operators_inside_a_body_are_part_of_their_operator() -> None:
    def event(name: str, ts: int, dur: int) -> dict[str, object]:
        return {"cat": "Node", "name": f"{name}_kernel_time", "ts": ts, "dur": dur, "args": {"op_name": name}}

    whole = [{"cat": "Session", "name": "model_run", "ts": ts, "dur": 90} for ts in (0, 100)]
    events = [event("If", 10, 50), event("Mul", 20, 5), event("Add", 30, 30), event("Relu", 60, 3), event("Relu", 110, 4), *whole]
    assert [[one.name for one in run] for run in runs_in(events)] == [["If", "Relu"], ["Relu"]]


def test_quiet_runs_are_averaged_by_name() -> None:
    runs = [[Reported("a", 1e-6), Reported("a", 2e-6)], [Reported("a", 9e-6)], [Reported("a", 4e-6), Reported("b", 1e-6)]]
    found = quietest(runs, 0.67)
    assert {one.name: (round(one.seconds * 1e6, 3), one.calls) for one in found.reported} == {"a": (3.5, 1.5), "b": (0.5, 0.5)}
    assert found.runs == 2


@given(st.lists(st.floats(1e-6, 1.0), min_size=3, max_size=9))
def test_chunks_are_believed_where_three_of_the_fastest_agree(chunks: list[float]) -> None:
    """One in four may be faster than those."""
    ranked = sorted(chunks)
    triples = [ranked[k : k + 3] for k in range(len(ranked) - 2) if k <= len(ranked) // 4]
    agreeing = [three for three in triples if three[2] / three[0] - 1 <= MOST_APART]
    judged = judge_chunks(chunks)
    assert bool(judged.fault) == (not agreeing)
    assert judged.seconds == (agreeing or triples)[0][1]


def test_one_lucky_pass_condemns_no_model_and_two_do() -> None:
    slow = [2.11e-3, 2.12e-3, 2.12e-3, 2.15e-3]
    assert judge_chunks([1.86e-3, *slow, 2.21e-3]).seconds == 2.12e-3
    assert judge_chunks([1.86e-3, 1.2e-3, *slow]).fault
    assert judge_chunks([1.86e-3, *slow[:2]]).fault, "of three passes none may be left out"


def test_a_model_of_tiny_operators_has_a_profiler_s_time_of_its_own() -> None:
    """One that writes down many operands takes longer; not as long as a pass that was disturbed."""
    overhead = Overhead(1e-6, 0.2e-6, 1.5e-6)
    seen = Profile((Reported("a", 92e-6, calls=29),), 10)
    assert judge_profile(seen, 50e-6, overhead) == "" and 1.6e-6 < of_model(overhead, seen, 50e-6).profiler < 1.8e-6
    assert judge_profile(Profile((Reported("a", 160e-6, calls=29),), 10), 50e-6, overhead)
    large = Profile((Reported("a", 92e-3, calls=29),), 10)
    assert of_model(overhead, large, 80e-3) == overhead and judge_profile(large, 50e-3, overhead)
    assert of_model(overhead, Profile((), 1), 50e-6) == overhead


def test_a_profile_must_sum_to_the_latency() -> None:
    overhead = Overhead(1e-6, 0.2e-6, 5e-6)
    profile = Profile((Reported("a", 1.1e-3, calls=100),), 10)
    assert judge_profile(profile, 1.02e-3, overhead) == ""
    assert "+25%" in judge_profile(profile, 0.82e-3, overhead)
    assert "-25%" in judge_profile(profile, 1.37e-3, overhead)


def test_what_the_profiler_takes_is_refined_by_small_models() -> None:
    chain = Overhead(1e-6, 0.0, 0.0)
    seen = [(Profile((Reported("a", 100e-6 + extra * 50, calls=50),), 10), 100e-6) for extra in (1.8e-6, 1.9e-6, 2.0e-6)]
    assert refined(chain, seen).profiler == pytest.approx(1.9e-6)
    assert refined(chain, seen[:2]) == chain, "two models are too few"
    assert refined(chain, [(Profile((Reported("a", 1.0, calls=50),), 10), 1e-4)] * 3).profiler == 3e-6, "no more than is believable"


def _cases(folder: Path) -> tuple[Case, ...]:
    path = folder / "small.onnx"
    onnx.save_model(small_model(), path)
    return (Case(network="small", case="small", path=path),)


def test_noise_is_measured_again_then_refused_with_its_numbers(tmp_path: Path) -> None:
    source = FakeSource([1e-3, 2e-3, 3e-3, 4e-3], lambda model: [Reported("/conv/Conv", 1e-3)])
    told: list[str] = []
    made, refused = measure_cases(_cases(tmp_path), TARGET, DEVICE, source, NONE, QUICK, told.append)
    assert not made
    assert source.timed == QUICK.passes + RETRIES == 6
    assert refused[0].case == "small"
    assert "repeated passes differ by 100%" in refused[0].why
    assert sum("measured again" in line for line in told) == RETRIES


def test_progress_says_how_long_it_still_takes(tmp_path: Path) -> None:
    """Once a pass is done; work that is done again is added."""
    source = FakeSource([1e-3, 2e-3, 3e-3, 4e-3], lambda model: [Reported("/conv/Conv", 1e-3)])
    told: list[str] = []
    left = TimeLeft()
    left.plan("models", sum(QUICK.planned(number) for number in range(QUICK.passes)))
    measure_cases(_cases(tmp_path), TARGET, DEVICE, source, NONE, QUICK, told.append, left)
    assert "left" not in told[0] and all(re.search(r", about \d+ s left$", line) for line in told[1:])
    assert left.seconds == pytest.approx(0.0, abs=1e-6)


def test_a_profile_that_does_not_add_up_is_refused(tmp_path: Path) -> None:
    source = FakeSource([1e-3], lambda model: [Reported("/conv/Conv", 2e-3)])
    made, refused = measure_cases(_cases(tmp_path), TARGET, DEVICE, source, NONE, QUICK, lambda line: None)
    assert not made and "+100%" in refused[0].why


@pytest.mark.parametrize("single", [True, False])
def test_a_change_of_layout_counts_in_networks_alone(single: bool, tmp_path: Path) -> None:
    reported = [Reported("/conv/Conv", 0.8e-3), Reported("c_acdb_abcd", 0.2e-3, kind="Reorder", near=("/conv/Conv",))]
    cases = [replace(case, single=single) for case in _cases(tmp_path)]
    (made,), _ = measure_cases(cases, TARGET, DEVICE, FakeSource([1e-3], lambda model: reported), NONE, QUICK, lambda line: None)
    assert made.kernels[0].seconds == pytest.approx(0.8e-3 if single else 1e-3)
    assert made.latency == pytest.approx(made.kernels[0].seconds) and not made.unjoined


def test_seconds_are_without_the_profiler(tmp_path: Path) -> None:
    source = FakeSource([1e-3], lambda model: [Reported("/conv/Conv", 0.81e-3), Reported("/mish/Mish", 0.21e-3)])
    made, refused = measure_cases(_cases(tmp_path), TARGET, DEVICE, source, Overhead(10e-6, 0.0, 0.0), QUICK, lambda line: None)
    assert not refused
    assert [kernel.seconds for kernel in made[0].kernels] == pytest.approx([0.8e-3, 0.2e-3])
    assert made[0].latency == 1e-3 and made[0].floor == 0.0 and made[0].weight_bytes == 8 * 4 * 9 * 4


def test_one_real_measurement_joins_all_kernels(tmp_path: Path) -> None:
    source = OrtSource()
    cases = _cases(tmp_path)
    loose = Budget(latency=0.005, profile=0.005)
    made, refused = measure_cases(cases, TARGET, DEVICE, source, Overhead(1e-6, 0.2e-6, 25e-6), loose, lambda line: None)
    if refused:  # on a busy machine the gate may rightly refuse; it says why
        assert "differ" in refused[0].why or "sum to" in refused[0].why
        return
    assert made[0].latency is not None and made[0].latency > 0
    assert all(kernel.seconds is not None for kernel in made[0].kernels)
    assert all("Reorder" in name for name in made[0].unjoined)


def test_the_grid_s_kernels_are_named_once_and_priced() -> None:
    kernels = grid()
    assert len({kernel.name for kernel in kernels}) == len(kernels) > 300
    for kernel in kernels[:: max(1, len(kernels) // 25)]:
        model = onnx.ModelProto()
        model.CopyFrom(kernel.model)
        assert kernels_of(model), kernel.name


@pytest.mark.parametrize("kernel", [quantised_convolution(16, 8, 3, 8, 1, 1), quantised_product(4, 32, 8)], ids=lambda kernel: kernel.name)
def test_what_is_quantised_is_one_kernel_in_integers(kernel: KernelModel) -> None:
    """uint8 between int8 weights, as onnxruntime's quantiser writes it: the target states a peak for int8 only."""
    model = onnx.ModelProto()
    model.CopyFrom(kernel.model)
    (only,) = kernels_of(model)
    assert only.compute_dtype == "uint8" and only.views[0].quantised
    assert only.names == {node.name for node in kernel.model.graph.node}


def test_every_kernel_of_the_grid_runs(tmp_path: Path) -> None:
    from autoglmc.compiler.calibrate.measure.ports import ports_of

    for kernel in grid()[::17]:
        onnx.save_model(kernel.model, tmp_path / "k.onnx")
        OrtSource().latency(Runnable(tmp_path / "k.onnx", ports_of(kernel.model), 1), 0.0)


def test_a_raw_file_gives_the_measurement_back(tmp_path: Path) -> None:
    source = FakeSource([1e-3], lambda model: [Reported("/conv/Conv", 1e-3)])
    made, _ = measure_cases(_cases(tmp_path), TARGET, DEVICE, source, NONE, QUICK, lambda line: None)
    whole = Measurement(device="cpu", runtime="fake 1.0", environment={"threads": "1"}, segments=made)
    (tmp_path / "raw.json").write_bytes(raw_bytes(whole))
    assert read_raw(tmp_path / "raw.json") == whole


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"autoglmc_measurement": 9}', "\0", "[" * 100_000])
def test_another_file_is_no_measurement(text: str, tmp_path: Path) -> None:
    (tmp_path / "raw.json").write_text(text)
    with pytest.raises(UsageError):
        read_raw(tmp_path / "raw.json")


@pytest.mark.parametrize(("seconds", "most"), [(60.0, 5), (1.0, 12), (0.01, 2 + LEAST_RUNS)])
def test_a_slow_model_is_run_few_times(seconds: float, most: int) -> None:
    """A minute a run: three runs say what ninety would, in an hour and a half less."""
    now, runs = 0, 0

    def run() -> None:
        nonlocal now, runs
        now, runs = now + int(seconds * 1e9), runs + 1

    found = time_runs(run, 0.1, lambda: now)
    assert found.seconds == pytest.approx(seconds) and 3 <= found.runs <= runs <= most


def test_a_bundle_that_takes_too_long_has_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autoglmc.compiler.calibrate.measure.private_memory.LIMIT", 0.001)
    with pytest.raises(BundleError, match="its memory cannot be measured"):
        private_memory(tmp_path)


def test_passes_go_on_in_another_process(tmp_path: Path) -> None:
    """What is pickled holds no addresses: of the memory that a run reads and writes there is a new one."""
    passes = Passes.over(_cases(tmp_path), TARGET, DEVICE)
    again = pickle.loads(pickle.dumps(passes))
    for before, after in zip(passes.jobs, again.jobs, strict=True):
        assert after.case == before.case and after.model.path == before.model.path
        for port, memory in zip(after.model.ports.inputs, after.model.ports.memory, strict=False):
            assert port.address == memory.ctypes.data
        assert {p.address for p in after.model.ports.inputs}.isdisjoint(p.address for p in before.model.ports.inputs)


@given(st.floats(0.6, 1.8), st.floats(1e-4, 1e-2))
def test_a_machine_that_changes_its_speed_between_two_passes(drift: float, seconds: float) -> None:
    """Operators are timed in one pass, the run in another: their shares stay, and their sum is the run's."""
    profile = Profile((Reported("a", 0.7 * seconds * drift), Reported("b", 0.3 * seconds * drift)), 10, beside=seconds * drift)
    assert judge_profile(profile.at(seconds), seconds, NONE) == ""
    assert [one.seconds / seconds for one in profile.at(seconds).reported] == pytest.approx([0.7, 0.3])


def test_a_profile_that_disagrees_with_the_run_beside_it_is_refused() -> None:
    profile = Profile((Reported("a", 1.4e-3),), 10, beside=1e-3)
    assert "+40%" in judge_profile(profile.at(0.8e-3), 0.8e-3, NONE)
    assert profile.at(1e-4) == profile and profile.at(0.0) == profile
