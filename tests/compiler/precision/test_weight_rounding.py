"""`--weights-method gptq`: weights of 4 bits in blocks that lose less, through a whole compilation; and what it cannot be asked with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import numpy_helper
from small_models import parse, save

from autoglmc.compiler.api.compile import compile as compile_api
from autoglmc.compiler.errors import UsageError

WIDTH = 128


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    text = f"g (float[4,{WIDTH}] x) => (float[4,{WIDTH}] y) {{ a = MatMul(x, w) b = Relu(a) y = MatMul(b, v) }}"
    made, rng = parse(text, opset=21, ir=10), np.random.default_rng(0)
    arrays = {name: (rng.standard_normal((WIDTH, WIDTH)) / 11).astype(np.float32) for name in "wv"}
    made.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in arrays.items())
    return save(made, tmp_path)


def samples(count: int = 32) -> list[dict[str, np.ndarray]]:
    """Channels depend on each other, as those of activations do."""
    rng = np.random.default_rng(1)
    mix = rng.standard_normal((WIDTH // 8, WIDTH))
    return [{"x": (rng.standard_normal((4, WIDTH // 8)) @ mix / 4).astype(np.float32)} for _ in range(count)]


def in_4_bits(folder: Path) -> Path:
    """onnxruntime's CPU, which prefers 4 bits."""
    place = folder / "narrow.hw"
    place.write_text('hw 1;\ninclude "x86_cpu.hw";\ntarget narrow extends x86_cpu { device cpu { precision { prefer w4 MatMul; } } }\n')
    return place


def test_it_loses_less(model: Path, tmp_path: Path) -> None:
    cosines = {}
    for method in ("rtn", "gptq"):
        options: dict[str, Any] = {
            "precision": "auto",
            "calibration_data": samples(),
            "accuracy": "cosine >= 0.9",
            "weights_method": method,
        }
        bundle = compile_api(model, in_4_bits(tmp_path), output=tmp_path / method, **options)
        precision = bundle.manifest.precision
        assert precision is not None and len(precision.forms["w4"]) == 2 and precision.accuracy[0].held_out
        cosines[method] = precision.accuracy[0].cosine
    assert 1 - cosines["gptq"] < 0.5 * (1 - cosines["rtn"]), cosines


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights_method": "gptq"}, "--weights-method needs --precision or --calibration-data"),
        ({"weights_method": "gptp", "calibration_data": "DATA"}, "'gptp' is not a way to round weights\n  help: did you mean 'gptq'?"),
        ({"weights_method": "gptq", "precision": "int8", "calibration_data": "DATA"}, "which --precision int4 and auto write"),
        ({"weights_method": "gptq", "precision": "fp16"}, "which --precision int4 and auto write"),
    ],
)
def test_what_cannot_be_asked_for(options: dict[str, Any], message: str, model: Path, tmp_path: Path) -> None:
    if "calibration_data" in options:
        options = {**options, "calibration_data": samples()}
    with pytest.raises(UsageError) as raised:
        compile_api(model, "x86_cpu", output=tmp_path / "b", **options)
    assert message in str(raised.value)
