"""Bundles give what onnxruntime gives on the whole model, through one arena, and say what they could not do."""

from __future__ import annotations

import ctypes
import os
import pickle
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from breadth import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from slicing import ABSENT, bound, bundle_of, cut
from small_models import parse

from autoglmc.compiler.bundle.plan_records import Mode
from autoglmc.compiler.devices.adapter import Port
from autoglmc.compiler.devices.find_adapter import adapter_for
from autoglmc.compiler.errors import BundleError, UsageError, UserError
from autoglmc.compiler.run.bundle import Bundle
from autoglmc.compiler.run.requests import run_bundle
from autoglmc.compiler.run.session import Session

MODELS = Path(__file__).parents[2] / "models"
CHAIN = """g (float[4,6] x, int64[4,6] i) => (float[4,6] y, int64[4,6] k, bool[4,6] m) {
    a = Relu(x) j = Neg(i) b = Abs(a) k = Add(j, i) c = Add(a, b)
    m = Greater(c, x) d = Mul(c, x) e = Cast <to = 1> (j) f = Add(e, d) y = Neg(f) }"""
X = {"x": np.random.default_rng(0).standard_normal((4, 6)).astype(np.float32), "i": np.arange(24).reshape(4, 6)}


def whole(model: onnx.ModelProto, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return dict(zip([o.name for o in session.get_outputs()], session.run(None, inputs), strict=True))


@given(
    st.lists(st.sampled_from(["cpu", "npu", "gpu"]), min_size=1, max_size=5),
    st.lists(st.sampled_from(["zero_copy", "copy", "convert"]), min_size=1, max_size=3),
    st.sampled_from([1, 64]),
)
@settings(max_examples=examples(8, 30))
def test_any_slicing_gives_the_whole_model(
    tmp_path_factory: pytest.TempPathFactory, devices: list[str], modes: list[Mode], row_align: int
) -> None:
    model = parse(CHAIN)
    compiled = cut(model, tuple(devices), modes=tuple(modes), runtimes={"npu": ABSENT}, row_align=row_align)
    session = bundle_of(compiled, tmp_path_factory.mktemp("b") / "b").session(emulate=True, poison=True)
    expected = whole(model, X)
    for _ in range(2):
        got = session.run(X)
        assert got.keys() == expected.keys()
        for name, value in expected.items():
            np.testing.assert_array_equal(got[name], value)
            assert got[name].dtype == value.dtype
    assert session.emulated == tuple(f"{i} (npu)" for i, device in enumerate(devices) if device == "npu")


@pytest.fixture(scope="module")
def lightnet(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    model = bound(onnx.load_model(str(MODELS / "lightnet.onnx")))
    compiled = cut(model, ("npu", "cpu", "npu"), modes=("zero_copy", "copy"), runtimes={"npu": ABSENT}, row_align=64, align=4096)
    return bundle_of(compiled, tmp_path_factory.mktemp("lightnet") / "b")


def test_a_real_model(lightnet: Bundle) -> None:
    (value,) = lightnet.manifest.model.inputs
    x = np.random.default_rng(1).standard_normal(value.shape).astype(np.float32)
    got = lightnet.run({value.name: x}, emulate=True)
    for name, expected in whole(onnx.load_model(str(MODELS / "lightnet.onnx")), {value.name: x}).items():
        np.testing.assert_allclose(got[name], expected, atol=1e-4 * expected.std())
    assert got.emulated == ("0 (npu)", "2 (npu)")


def test_an_absent_device_is_refused_by_name(lightnet: Bundle) -> None:
    with pytest.raises(UserError) as failure:
        lightnet.session()
    assert "segments 0 (npu: runtime htp), 2 (npu: runtime htp) cannot run here" in str(failure.value)
    assert "--emulate" in str(failure.value)


def session_of(tmp_path: Path, text: str, devices: tuple[str, ...], modes: tuple[Mode, ...] = ("zero_copy",)) -> tuple[Bundle, Session]:
    bundle = bundle_of(cut(parse(text), devices, modes=modes), tmp_path / "b")
    return bundle, bundle.session(poison=True)


def test_a_handoff_is_read_where_it_was_written(tmp_path: Path) -> None:
    """Overwriting a tensor between its producer and its consumer changes the result: there is no second copy."""
    _, session = session_of(tmp_path, "g (float[8] x) => (float[8] y) { a = Neg(x) y = Neg(a) }", ("npu", "cpu"))
    x = np.arange(8, dtype=np.float32)

    def overwrite(tensor: str, device: str, value: np.ndarray) -> None:
        if tensor == "a":
            value[...] = 5

    np.testing.assert_array_equal(session.run({"x": x}, overwrite)["y"], np.full(8, -5.0))
    np.testing.assert_array_equal(session.run({"x": x})["y"], x)


def test_poison_shows_what_nobody_wrote_yet(tmp_path: Path) -> None:
    bundle, session = session_of(tmp_path, "g (float[8] x) => (float[8] y) { a = Neg(x) y = Max(a, x) }", ("npu", "cpu"))
    # x is still read with y, and nothing is known of Max in place, so y does not lie where x was
    slot = bundle.manifest.arena.slots[-1]
    assert slot.tensor == "y"
    there = np.frombuffer((ctypes.c_float * 8).from_address(session.base + slot.offset), np.float32)
    seen = []
    for _ in range(2):
        session.run({"x": np.ones(8, np.float32)}, lambda tensor, device, value: seen.append((tensor, bool(np.isnan(there).all()))))
    assert seen == [("a", True), ("y", False)] * 2


def test_outputs_lie_at_their_place_in_the_arena(tmp_path: Path) -> None:
    bundle, session = session_of(tmp_path, "g (float[8] x) => (float[8] y) { a = Neg(x) y = Neg(a) }", ("npu", "cpu"))
    result = session.run({"x": np.arange(8, dtype=np.float32)})["y"]
    slot = bundle.manifest.model.outputs[0].slot
    assert slot is not None
    address = session.base + bundle.manifest.arena.slots[slot].offset
    there = np.frombuffer((ctypes.c_float * 8).from_address(address), np.float32)
    np.testing.assert_array_equal(there, result)
    assert session.base % bundle.manifest.arena.align == 0
    assert result.ctypes.data != address  # results are the caller's


def test_a_segment_that_writes_elsewhere_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, session = session_of(tmp_path, "g (float[8] x) => (float[8] y) { a = Neg(x) y = Neg(a) }", ("npu", "cpu"))
    other = np.zeros(8, np.float32)
    session._segments[0]._binding.bind_output("a", "cpu", 0, np.float32, (8,), other.ctypes.data)  # type: ignore[attr-defined]
    with pytest.raises(BundleError, match=r"segment 0 \(npu\) did not write a to its place"):
        session.run({"x": np.ones(8, np.float32)})


def test_other_types_scalars_and_empty_tensors(tmp_path: Path) -> None:
    text = """g (float16[3] h, double s, bool[2] b, float[0,3] n) => (float16[3] ho, double so, bool[2] bo, float[0,3] no) {
        h1 = Neg(h) s1 = Neg(s) b1 = Not(b) n1 = Neg(n) ho = Neg(h1) so = Neg(s1) bo = Not(b1) no = Neg(n1) }"""
    _, session = session_of(tmp_path, text, ("npu", "cpu"))
    inputs = {"h": np.array([1, 2, 3], np.float16), "s": np.array(2.5), "b": np.array([True, False]), "n": np.zeros((0, 3), np.float32)}
    for name, value in session.run(inputs).items():
        np.testing.assert_array_equal(value, inputs[name[0]])
        assert value.dtype == inputs[name[0]].dtype


def test_unknown_shapes_pass_by_name(tmp_path: Path) -> None:
    bundle, session = session_of(tmp_path, "g (float[6] x) => (int64[1,n] z, int64[1,n] w) { z = NonZero(x) w = Neg(z) }", ("npu", "cpu"))
    assert [(v.tensor, v.reason) for v in bundle.manifest.arena.host_values] == [
        ("z", "its shape is known only at run time"), ("w", "its shape is known only at run time"),
    ]  # fmt: skip
    for x in (np.array([0, 1, 0, 2, 0, 3], np.float32), np.array([1, 0, 0, 0, 0, 0], np.float32)):  # the shape differs between runs
        result = session.run({"x": x})
        np.testing.assert_array_equal(result["z"], [np.flatnonzero(x)])
        np.testing.assert_array_equal(result["w"], [-np.flatnonzero(x)])
    assert session.copied == ()


def test_strings_and_sequences_are_copied_and_said_to_be(tmp_path: Path) -> None:
    text = """g (string[2] s, float[4,2] x) => (string[2] t, float[4,2] y) {
        r = Identity(s) q = SplitToSequence <axis = 0> (x) t = Identity(r) y = ConcatFromSequence <axis = 0> (q) }"""
    _, session = session_of(tmp_path, text, ("npu", "cpu"))
    x = np.arange(8, dtype=np.float32).reshape(4, 2)
    for _ in range(2):
        result = session.run({"s": np.array(["a", "b"], object), "x": x})
        assert list(result["t"]) == ["a", "b"]
        np.testing.assert_array_equal(result["y"], x)
    assert result.copied == session.copied == ("0 (npu)", "1 (cpu)")


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({}, "missing inputs x: fp32[4, 6], i: int64[4, 6]"),
        ({"x": X["x"]}, "missing input i: int64[4, 6]"),
        ({**X, "pixels": X["x"]}, "the model has no input 'pixels'"),
        ({**X, "x": X["x"].astype(np.float64)}, "input 'x' is float64[4, 6], the bundle takes float32[4, 6]"),
        ({**X, "x": X["x"][:2]}, "input 'x' is float32[2, 6], the bundle takes float32[4, 6]"),
    ],
)
def test_inputs_that_are_not_the_models(tmp_path: Path, inputs: dict[str, np.ndarray], says: str) -> None:
    bundle = bundle_of(cut(parse(CHAIN), ("cpu",)), tmp_path / "b")
    with pytest.raises(UserError) as failure:
        bundle.run(inputs)
    assert says in str(failure.value)


def test_a_file_whose_ports_are_not_listed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(parse("g (float[8] x) => (float[8] y) { y = Neg(x) }").SerializeToString())
    adapter = adapter_for("ort")
    assert adapter is not None and adapter_for("htp") is None
    with pytest.raises(BundleError, match=r"m.onnx has the inputs \['x'\], the manifest lists \['z'\]"):
        adapter.load(tmp_path / "m.onnx", None, [Port("z", "fp32", (8,), 64)], [Port("y", "fp32", (8,), 128)])
    (tmp_path / "m.onnx").write_bytes(b"nonsense")
    with pytest.raises(BundleError, match=r"onnxruntime cannot run m.onnx"):
        adapter.load(tmp_path / "m.onnx", None, [], [])


def test_repeated_runs_are_timed_step_by_step(lightnet: Bundle) -> None:
    (value,) = lightnet.manifest.model.inputs
    start = time.perf_counter()
    result = run_bundle(lightnet, {value.name: np.zeros(value.shape, np.float32)}, repeat=3, emulate=True)
    assert len(result.seconds) == 3 and 0 < sum(result.seconds) < time.perf_counter() - start
    assert result.repeat == 3 and 0 < result.best <= result.median <= max(result.seconds)
    assert all(0 < step.best <= step.median for step in result.steps) and len(result.steps) == len(lightnet.manifest.schedule)
    assert [(s.what, s.device, s.runtime) for s in result.steps if s.what.startswith("run")] == [
        ("run 0", "npu", "ort for htp"), ("run 1", "cpu", "ort"), ("run 2", "npu", "ort for htp"),
    ]  # fmt: skip
    copies = [step for step in result.steps if step.what.startswith("copy ")]
    assert {(step.device, step.runtime) for step in copies} <= {("npu -> cpu", "host"), ("cpu -> npu", "host")} and copies
    shown = result.as_json()
    assert shown["emulated"] == ["0 (npu)", "2 (npu)"] and shown["outputs"]["y"]["dtype"] == "float32"


def test_a_bundle_stays_loaded_between_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until a run fails by something else than its inputs; a copy and a forked process load it for themselves."""
    bundle, made = bundle_of(cut(parse("g (float[4] x) => (float[4] y) { y = Relu(x) }"), ("cpu",)), tmp_path / "b"), []
    begin = Session.__init__
    monkeypatch.setattr(Session, "__init__", lambda self, *given, **options: (made.append(1), begin(self, *given, **options))[1])
    x = {"x": np.array([-1, 0, 1, 2], np.float32)}
    for _ in range(3):
        assert bundle.run(x)["y"].tolist() == [0, 0, 1, 2]
    with pytest.raises(UsageError):
        bundle.run({})
    bundle.run(x)
    assert len(made) == 1
    pickle.loads(pickle.dumps(bundle)).run(x)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    bundle.run(x)
    assert len(made) == 3
    with monkeypatch.context() as broken, pytest.raises(ZeroDivisionError):
        broken.setattr(Session, "run", lambda self, *given, **options: 1 / 0)
        bundle.run(x)
    assert bundle.run(x)["y"].tolist() == [0, 0, 1, 2] and len(made) == 4
