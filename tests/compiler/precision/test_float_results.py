"""Products whose result floats read: onnxruntime computes them in integers and writes floats, so nothing is rounded in between."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper
from small_models import parse, save

from autoglmc.compiler.api.compile import compile as compile_api
from autoglmc.targets.precision import FORMS

WIDTH = 64
BLOCK = """g (float[1,16,64] x) => (float[1,16,64] y) {
    a = MatMul(x, w0)  b = Add(a, b0)  c = Gelu(b)  d = MatMul(c, w1)  e = Add(d, b1)  f = Add(e, x)  y = LayerNormalization(f, g0, g1) }"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def feed_forward(seed: int, outlier: float) -> onnx.ModelProto:
    """Of a transformer; one column of its second product is far larger than the others, as in real ones."""
    model, random = parse(BLOCK, opset=21, ir=10), np.random.default_rng(seed)
    weights = {name: random.standard_normal((WIDTH, WIDTH)) / 8 for name in ("w0", "w1")}
    weights["w1"][:, 3] *= outlier
    rows = {name: random.standard_normal(WIDTH) / 8 for name in ("b0", "b1", "g1")} | {"g0": np.ones(WIDTH)}
    rows["g0"][3] = 0.05
    model.graph.initializer.extend(numpy_helper.from_array(v.astype(np.float32), k) for k, v in {**weights, **rows}.items())
    return model


def samples(seed: int) -> list[dict[str, np.ndarray]]:
    random = np.random.default_rng(seed + 100)
    return [{"x": random.standard_normal((1, 16, WIDTH)).astype(np.float32)} for _ in range(16)]


@pytest.mark.parametrize("outlier", [1.0, 30.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_residual_is_not_rounded(seed: int, outlier: float, tmp_path: Path) -> None:
    model, saved = save(feed_forward(seed, outlier), tmp_path), tmp_path / "q.onnx"
    bundle = compile_api(model, "x86_cpu", output=tmp_path / "b", precision="int8", calibration_data=samples(seed), save_quantized=saved)
    precision = bundle.manifest.precision
    assert precision is not None and bundle.manifest.verification.verified
    assert precision.accuracy[0].least_cosine > 0.998, "the sum in front of the normalisation is in floats"
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "executed.onnx")
    for file in (saved, bundle.folder / bundle.manifest.segments[0].file):
        onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        kinds = [node.op_type for node in onnx.load(tmp_path / "executed.onnx", load_external_data=False).graph.node]
        assert kinds.count("QGemm") == 2 and not {"MatMul", "Gemm", "FusedGemm"} & set(kinds), "both products in integers"


def test_where_integers_are_read_they_are_written() -> None:
    """A form says where results may stay floats; on other devices none may."""
    assert not any(form.float_results for form in FORMS.values())
