"""Bundles whose states every run replaces: steps equal those of onnxruntime with its states fed back, whatever the model and the steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from models import model_path
from onnx import TensorProto, helper, numpy_helper

from autoglmc.compiler import cli
from autoglmc.compiler.driver.entries.compile_entries import Asked, compile_entries
from autoglmc.compiler.driver.entries.result import EntriesResult
from autoglmc.compiler.errors import UsageError, UserError, VerifyError
from autoglmc.compiler.run.decoder.caches import Caches
from autoglmc.compiler.run.decoder.recurrent import Recurrent
from autoglmc.compiler.state.request import StateRequest

PAIRS = StateRequest((("*_in", "*_out"),), None)
WIDTH = 6


def recurrent(kind: str) -> onnx.ModelProto:
    """x [1, steps, 4] through an LSTM, a GRU or sums by hand; in a body of If, its state is captured."""
    draw, gates = np.random.default_rng(3), {"LSTM": 4, "GRU": 3}.get(kind, 1)
    shapes = {"W": (1, gates * WIDTH, 4), "R": (1, gates * WIDTH, WIDTH)} if gates > 1 else {"W": (4, WIDTH)}
    weights = [numpy_helper.from_array(draw.standard_normal(shape).astype(np.float32), name) for name, shape in shapes.items()]
    states = ["h", "c"] if kind == "LSTM" else ["h"]
    if gates > 1:
        nodes = [helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0, 2])]
        before, after = ([f"{state}_{side}" for state in states] for side in ("in", "out"))
        nodes.append(helper.make_node(kind, ["t", "W", "R", "", "", *before], ["y", *after], hidden_size=WIDTH))
    else:
        weights += [numpy_helper.from_array(np.array([1]), "axes"), numpy_helper.from_array(np.float32(0.5), "half")]
        body = [
            helper.make_graph(
                [helper.make_node(operator, ["h_in", "half"], [f"faded_{operator}"])],
                operator,
                [],
                [helper.make_tensor_value_info(f"faded_{operator}", TensorProto.FLOAT, None)],
            )
            for operator in ("Mul", "Sub")
        ]
        nodes = [
            helper.make_node("MatMul", ["x", "W"], ["m"]),
            helper.make_node("ReduceSum", ["m", "axes"], ["s"]),
            helper.make_node("Greater", ["rate", "level"], ["fast"]),
            helper.make_node("If", ["fast"], ["faded"], then_branch=body[0], else_branch=body[1]),
            helper.make_node("Add", ["s", "faded"], ["h_out"]),
            helper.make_node("Tanh", ["h_out"], ["y"]),
        ]
        weights.append(numpy_helper.from_array(np.array(3), "level"))
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, "steps", 4])]
    inputs += [] if gates > 1 else [helper.make_tensor_value_info("rate", TensorProto.INT64, [])]
    shape = [1, 1, WIDTH]
    inputs += [helper.make_tensor_value_info(f"{s}_in", TensorProto.FLOAT, shape) for s in states]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["steps", 1, 1, WIDTH] if gates > 1 else shape)]
    outputs += [helper.make_tensor_value_info(f"{s}_out", TensorProto.FLOAT, shape) for s in states]
    graph = helper.make_graph(nodes, kind, inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def compiled(model: onnx.ModelProto, folder: Path, **options: Any) -> EntriesResult:
    entries = {name: Asked(shapes={"steps": steps}) for name, steps in (("short", 2), ("long", 5))}
    return compile_entries(model, "x86_cpu", entries, state=PAIRS, output=folder / "bundle", **options)


class FedBack:
    """onnxruntime on the model, its states fed back."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._session = onnxruntime.InferenceSession(model.SerializeToString())
        shape = (1, 1, WIDTH)
        self._states = {v.name: np.zeros(shape, np.float32) for v in self._session.get_inputs() if v.name.endswith("_in")}

    def step(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        names = [value.name for value in self._session.get_outputs()]
        got = dict(zip(names, self._session.run(None, {**inputs, **self._states}), strict=True))
        self._states = {name: got[name.replace("_in", "_out")] for name in self._states}
        return got


def steps_of(session: Recurrent, count: int, seed: int = 0) -> list[tuple[str, dict[str, np.ndarray]]]:
    draw, found = np.random.default_rng(seed), []
    for _ in range(count):
        entry = ("short", "long")[int(draw.integers(2))]
        given: dict[str, np.ndarray] = {"x": draw.standard_normal((1, 2 if entry == "short" else 5, 4)).astype(np.float32)}
        wanted = {value.name for value in session.sessions[entry].manifest.model.inputs}
        found.append((entry, {**given, "rate": np.array(draw.integers(8))} if "rate" in wanted else given))
    return found


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "If"])
def test_steps_equal_those_with_states_fed_back(kind: str, tmp_path: Path) -> None:
    model = recurrent(kind)
    result = compiled(model, tmp_path)
    assert result.verified, result.verification
    session, reference = result.bundle.session(), FedBack(model)
    for entry, given in steps_of(session, 12):
        expected = reference.step(given)
        assert np.allclose(session.step(entry, given)["y"], expected["y"], atol=1e-5)
    assert all(np.allclose(value, expected[name], atol=1e-5) for name, value in session.states().items())
    assert result.bundle.verify(model).verified


def test_reset_and_fork_have_states_of_their_own(tmp_path: Path) -> None:
    session = compiled(recurrent("GRU"), tmp_path, verify=False).bundle.session()
    steps = steps_of(session, 6)
    first = [session.step(*step)["y"] for step in steps[:3]]
    branch = session.fork()
    rest = [session.step(*step)["y"] for step in steps[3:]]
    assert all(np.array_equal(branch.step(*step)["y"], y) for step, y in zip(steps[3:], rest, strict=True))
    session.reset()
    assert all(np.array_equal(session.step(*step)["y"], y) for step, y in zip(steps[:3], first, strict=True))


def test_a_state_that_is_lost_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Caches, "settle", lambda self, rows: None)
    with pytest.raises(VerifyError, match=r"the bundle differs from the model: step1\.y has"):
        compiled(recurrent("GRU"), tmp_path)


def test_wrong_steps_are_refused_and_change_nothing(tmp_path: Path) -> None:
    bundle = compiled(recurrent("GRU"), tmp_path, verify=False).bundle
    session = bundle.session()
    ((entry, given),) = steps_of(session, 1)
    before = session.step(entry, given)["y"]
    state = session.states()["h_out"]
    three = {"x": np.zeros((1, 3, 4), np.float32)}
    for name, inputs in (("medium", given), (entry, {}), (entry, three), (entry, {**given, "h_in": state})):
        with pytest.raises(UsageError):
            session.step(name, inputs)
    assert np.array_equal(session.states()["h_out"], state) and not np.array_equal(session.step(entry, given)["y"], before)
    with pytest.raises(UsageError, match="which one"):
        bundle.run(given)


@pytest.mark.parametrize(
    ("patterns", "shape", "said"),
    [
        ((("x", "y"),), {"steps": 2}, r"the state 'x' is \[1, 2, 4\] and goes out as 'y', \[2, 1, 1, 6\]|another rank"),
        ((("x", "h_out"),), {"steps": 2}, "the state 'x' is"),
        ((("x", "h_out"),), {}, "the state 'x' has a dim without a size: steps"),
        ((("z", "h_out"),), {"steps": 2}, "no input is called 'z'"),
    ],
)
def test_what_is_no_state_is_named(tmp_path: Path, patterns: tuple[tuple[str, str], ...], shape: dict[str, int], said: str) -> None:
    entries = {"step": Asked(shapes=shape)}
    with pytest.raises(UserError, match=said) as failure:
        compile_entries(recurrent("GRU"), "x86_cpu", entries, state=StateRequest(patterns, None), output=tmp_path / "b")
    assert failure.value.help


def test_a_cache_that_grows_needs_its_length(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from small_decoders import decoder

    onnx.save_model(decoder(), tmp_path / "m.onnx")
    command = ["compile", str(tmp_path / "m.onnx"), "--target", "x86_cpu", "--state", "past.*=present.*", "--shape", "batch=1,seq=1"]
    assert cli.run(command) == 2
    said = capsys.readouterr().err
    assert "the state 'past.0.k' has a dim without a size: past" in said and "--max-length TOKENS" in said


def test_speech_is_heard_piece_by_piece(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """silero's voice detector: 12 If, an LSTM, a sampling rate."""
    file = model_path("silero_vad_16k_op15")
    command = ["compile", str(file), "--target", "x86_cpu", "--shape", "batch=1,sequence=512", "--state", "state=stateN"]
    assert cli.run([*command, "-o", str(tmp_path / "b"), "--quiet", "--no-verify", "--allow-unverified"]) == 0
    import autoglmc

    bundle = autoglmc.Bundle.load(tmp_path / "b")
    session, whole = bundle.session(), onnxruntime.InferenceSession(str(file))
    state, draw = np.zeros((2, 1, 128), np.float32), np.random.default_rng(0)
    for _ in range(20):
        given = {"input": draw.standard_normal((1, 512)).astype(np.float32) * 0.1, "sr": np.array(16000)}
        expected, state = whole.run(["output", "stateN"], {**given, "state": state})
        assert np.allclose(session.step("step", given)["output"], expected, atol=1e-5)
    assert np.allclose(session.states()["stateN"], state, atol=1e-4)
