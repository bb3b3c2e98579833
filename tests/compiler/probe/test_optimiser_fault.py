"""Bisection over the names of optimisers, and the process in which they are tried."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from small_models import RELU, parse, save

from autoglmc.compiler.devices.ort_settings import DEFAULT, OFF, OPTIMISERS, OrtSettings
from autoglmc.compiler.devices.try_settings import read_values, write_values
from autoglmc.compiler.probe.optimiser_fault import Tried, find_settings, told
from autoglmc.compiler.probe.settings_process import SettingsProcess
from autoglmc.compiler.probe.value_gap import Ceiling, ceiling, gap

WRONG, RIGHT = Tried("", 50.0), Tried("", 0.1)


class Runtime:
    """Right where all of the culprits are left out, or at a level that has none of them."""

    def __init__(self, culprits: set[str], right_at: tuple[str, ...] = ("off",), fault: Tried = WRONG) -> None:
        self.culprits, self.right_at, self.fault, self.tries = culprits, right_at, fault, 0

    def __call__(self, settings: OrtSettings) -> Tried:
        self.tries += 1
        right = settings.optimisation in self.right_at or self.culprits <= set(settings.optimizers_off)
        return RIGHT if right else self.fault


@pytest.mark.parametrize("name", OPTIMISERS)
def test_the_single_culprit_is_found(name: str) -> None:
    runtime = Runtime({name})
    assert find_settings(runtime, WRONG) == OrtSettings(optimizers_off=(name,))
    assert runtime.tries <= 10


@pytest.mark.parametrize("seed", range(40))
def test_up_to_three_are_found_together(seed: int) -> None:
    draw = random.Random(seed)
    culprits = set(draw.sample(OPTIMISERS, draw.randint(2, 3)))
    runtime = Runtime(culprits, fault=draw.choice([WRONG, Tried("does not load", 0.0)]))
    found = find_settings(runtime, runtime.fault)
    assert found is not None and set(found.optimizers_off) == culprits and found.optimisation == "all"
    assert list(found.optimizers_off) == [name for name in OPTIMISERS if name in culprits]


def test_more_are_a_level() -> None:
    many = set(OPTIMISERS[10:20])
    assert find_settings(Runtime(many, ("extended", "basic", "off")), WRONG) == OrtSettings("extended")
    assert find_settings(Runtime(many, ("basic", "off")), WRONG) == OrtSettings("basic")
    assert find_settings(Runtime({"not in the list"}), WRONG) == OFF
    assert find_settings(Runtime({"not in the list"}, ()), WRONG) is None


def test_a_spent_budget_finds_nothing() -> None:
    assert find_settings(lambda settings: None, WRONG) is None


def test_what_is_left_must_be_far_less() -> None:
    """Two roundings that differ blame nobody."""
    assert find_settings(lambda settings: Tried("", 0.9), Tried("", 1.1)) is None


def test_messages_lose_the_place_in_the_sources() -> None:
    message = (
        "[ONNXRuntimeError] : 1 : FAIL : Exception during initialization: /onnxruntime_src/onnxruntime/core/optimizer/relu_clip.cc:83 "
        "virtual onnxruntime::common::Status onnxruntime::FuseReluClip::Apply(onnxruntime::Graph&, const onnxruntime::logging::Logger&) "
        "const Unexpected data type for Clip 'min' input of 6\n"
    )
    assert told(message) == "Unexpected data type for Clip 'min' input of 6"
    assert told("[ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : Could not find an implementation") == "Could not find an implementation"
    assert told("it ended its process (SIGSEGV)") == "it ended its process (SIGSEGV)"


def test_the_process_answers_again_and_again(tmp_path: Path) -> None:
    path, x = save(parse(RELU), tmp_path), np.array([[-1, 0, 1, 2]], "f")
    with SettingsProcess() as process:
        for settings in (DEFAULT, OFF, OrtSettings("basic", ("FuseReluClip",))):
            ran = process.run(path, {"x": x}, settings)
            assert not ran.problem and ran.outputs["y"].tolist() == [[0, 0, 1, 2]]
        ran = process.run(path, {"x": x}, DEFAULT, OFF, timed=True)
        assert [len(seconds) for seconds in ran.seconds] == [len(ran.seconds[0])] * 2 and len(ran.seconds[0]) >= 7
        assert process.run(tmp_path / "none.onnx", {}, DEFAULT).problem


def test_a_crash_and_a_hang_are_answers(tmp_path: Path) -> None:
    crashes = parse("g (float[1,4] x) => (float[1,4] y) { y = Max(x, x) }")
    crashes.graph.node[0].input[1] = ""
    (tmp_path / "crash").mkdir()
    crash, fine, x = save(crashes, tmp_path / "crash"), save(parse(RELU), tmp_path), np.zeros((1, 4), "f")
    with SettingsProcess() as process:
        assert process.run(crash, {"x": x}, OFF).problem == "it ended its process (SIGSEGV)"
        assert not process.run(fine, {"x": x}, OFF).problem
    loop = "b (int64 i, bool c, float v) => (bool d, float w) { d = Identity(c) w = Sin(v) }"
    endless = save(parse(f"g (float x, bool t, int64 n) => (float y) {{ y = Loop(n, t, x) <body = {loop}> }}"), tmp_path, "endless.onnx")
    feeds = {"x": np.array(1, "f"), "t": np.array(True), "n": np.array(1 << 40)}
    with SettingsProcess(each=3.0) as process:
        assert process.run(endless, feeds, OFF).problem == "no answer within 3 s"
        assert not process.run(fine, {"x": x}, OFF).problem


def test_values_keep_their_dtypes(tmp_path: Path) -> None:
    import ml_dtypes

    names = ("float32", "float16", "int8", "uint64", "bool")
    values = {name: np.array([[0, 1]], name) for name in names}
    values |= {
        "bf16": np.array([1.5], ml_dtypes.bfloat16),
        "i4": np.array([1, -2, 3], ml_dtypes.int4),
        "text": np.array(["a", "bc"], object),
    }
    write_values(tmp_path / "v", values)
    for name, value in read_values(tmp_path / "v").items():
        assert value.dtype == values[name].dtype and value.tolist() == values[name].tolist()
    with pytest.raises(TypeError, match="s is not an array"):
        write_values(tmp_path / "v", {"s": [np.zeros(2)]})


def test_rounding_is_no_fault_and_a_wrong_number_is() -> None:
    y = np.random.default_rng(0).normal(size=1000).astype("f")
    allowed = Ceiling(share=0.01)
    assert gap({"y": y}, {"y": y}, allowed).score == 0
    assert gap({"y": y}, {"y": y + np.float32(1e-3)}, allowed).score < 1
    one = y.copy()
    one[7] += 0.5
    found = gap({"y": y, "z": y}, {"y": one, "z": y}, allowed)
    assert found.score > 10 and found.words.startswith("y off by 0.5, cosine 1.000")
    holed = y.copy()
    holed[3] = np.nan
    assert gap({"y": y}, {"y": holed}, allowed).score == np.inf
    assert gap({"y": holed}, {"y": holed}, allowed).score == 0
    assert gap({"y": y}, {"y": y[:10]}, allowed).score == np.inf


def test_integers_are_exact_unless_floats_made_them() -> None:
    x = "int64[4] x"
    exact, flips = (ceiling(parse(f"g ({i}) => (int64[4] y) {{ y = Abs(x) }}")) for i in (x, f"{x}, float[4] z"))
    a, b = np.arange(100), np.arange(100)
    b[5] = 77
    assert gap({"y": a}, {"y": b}, exact).score == np.inf
    assert gap({"y": a}, {"y": b}, flips).score < 1 < gap({"y": a}, {"y": a[::-1]}, flips).score


def test_quantised_models_may_fall_to_the_next_step() -> None:
    text = "g (float[4] x, float s, int8 z) => (float[4] y) { q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z) }"
    allowed = ceiling(parse(text))
    y = np.round(np.random.default_rng(0).normal(size=4000) / 0.1) * 0.1
    stepped = y.copy()
    stepped[::100] += 0.1
    assert gap({"y": y}, {"y": stepped}, allowed).score < 1
    assert gap({"y": y}, {"y": y * 1.1}, allowed).score > 1
