"""Weights of what stays in floats, in 8 bits: as many as the accuracy allows, and no operator leaves its device for them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from run_model import infer
from small_models import parse, save

from autoglmc.compiler.api.compile import compile as compile_api
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.inputs.trials import Trials
from autoglmc.compiler.precision import narrow_within as narrowing
from autoglmc.compiler.precision.narrow_within import narrow_within
from autoglmc.compiler.precision.ranges import ranges_of
from autoglmc.compiler.verify import verify as verifying
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.precision.narrow_weights import narrow_weights
from autoglmc.targets.precision import Form

CELLS = {"LSTM": 4, "GRU": 3, "RNN": 1}
HIDDEN = 32


def recurrent(cell: str) -> onnx.ModelProto:
    random, gates = np.random.default_rng(0), CELLS[cell]
    model = parse(
        f"g (float[6,1,{HIDDEN}] x) => (float[6,1,1,{HIDDEN}] y) {{ a = MatMul(x, m) y = {cell}<hidden_size = {HIDDEN}>(a, w, r, b) }}",
        opset=21,
        ir=10,
    )
    shapes = {"w": (1, gates * HIDDEN, HIDDEN), "r": (1, gates * HIDDEN, HIDDEN), "b": (1, 2 * gates * HIDDEN), "m": (HIDDEN, HIDDEN)}
    arrays = {name: (random.standard_normal(shape) / 6).astype(np.float32) for name, shape in shapes.items()}
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in arrays.items())
    return infer(model)


def samples(count: int = 16) -> list[dict[str, np.ndarray]]:
    random = np.random.default_rng(1)
    return [{"x": random.standard_normal((6, 1, HIDDEN)).astype(np.float32)} for _ in range(count)]


@pytest.mark.parametrize("precision", ["auto", "int8"])
@pytest.mark.parametrize("cell", sorted(CELLS))
def test_recurrent_weights_are_stored_in_8_bits(cell: str, precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model = save(recurrent(cell), tmp_path)
    given: list[str] = []

    class Seen(Trials):
        def __init__(self, *words: Any) -> None:
            given.extend(label for label, _ in words[-1])
            super().__init__(*words)

    monkeypatch.setattr(verifying, "Trials", Seen)
    bundle = compile_api(model, "x86_cpu", output=tmp_path / "b", precision=precision, calibration_data=samples())
    found = bundle.manifest.precision
    assert found is not None and bundle.manifest.verification.verified
    before, after = found.weight_bytes
    assert after < 0.35 * before and "w8" in found.forms
    assert found.accuracy[0].cosine > (0.99 if precision == "auto" else 0.999)
    assert "calibration sample 4" in given, "verified on the four that are held out"


def test_a_device_that_cannot_read_them_keeps_floats() -> None:
    """Its fp32 Conv would have to leave the NPU."""
    model = parse("g (float[1,16,8,8] x) => (float[1,16,8,8] y) { a = Conv<pads=[1,1,1,1]>(x, w) y = Relu(a) }", opset=21, ir=10)
    weight = np.random.default_rng(0).standard_normal((16, 16, 3, 3)).astype(np.float32)
    model.graph.initializer.append(numpy_helper.from_array(weight, "w"))
    graph = Graph(infer(model))
    assert list(narrow_weights(graph, load_target("x86_cpu"), {})) == ["a"]
    phone = load_target("snapdragon_8gen3")
    assert not narrow_weights(graph, phone, {})
    for device in phone.devices:  # where it was placed decides
        assert list(narrow_weights(graph, phone, {}, {"a": device.name})) == (["a"] if device is phone.host else [])


CHAIN = "g (float[8,64] x) => (float[8,64] y) { a = MatMul(x, w0) b = Relu(a) c = MatMul(b, w1) d = Relu(c) e = MatMul(d, w2) y = Relu(e) }"


@pytest.mark.parametrize("bad", [(), ("a",), ("c", "e"), ("a", "c", "e")])
def test_those_that_lose_too_much_stay(bad: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    model, random = parse(CHAIN, opset=21, ir=10), np.random.default_rng(0)
    model.graph.initializer.extend(numpy_helper.from_array(random.standard_normal((64, 64)).astype(np.float32), f"w{k}") for k in range(3))
    graph = Graph(infer(model))
    given = [{"x": random.standard_normal((8, 64)).astype(np.float32)} for _ in range(4)]

    class Strict:
        def cosine(self, forms: Mapping[str, Form]) -> float:
            return 0.5 if set(bad) & set(forms) else 1.0

    monkeypatch.setattr(narrowing, "judge_of", lambda *words: Strict())
    found = narrow_within(graph, load_target("x86_cpu"), {}, ranges_of(graph, lambda: given), given, 0.99)
    assert set(found) == {"a", "c", "e"} - set(bad)
