"""Ranges are those of the tensors, whatever groups they are looked at in; histograms cut off what is rare."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
import pytest
from small_models import parse

from autoglmc.compiler.errors import ModelError
from autoglmc.compiler.precision import ranges as module
from autoglmc.compiler.precision.ranges import Method, float_tensors, ranges_of
from autoglmc.passes.graph.graph import Graph
from autoglmc.passes.precision.scales import Range

NET = "g (float[1,512] x, int64[1] i) => (float[1,512] y) { a = Mul(x, x)  b = Sub(a, x)  c = Cast<to=7>(b)  d = Neg(b)  y = Add(d, a) }"


def graph(text: str = NET) -> Graph:
    return Graph(onnx.shape_inference.infer_shapes(parse(text)))


def samples(number: int, outlier: float = 0.0) -> list[dict[str, np.ndarray]]:
    made = [{"x": np.random.default_rng(k).standard_normal((1, 512)).astype(np.float32), "i": np.zeros(1, np.int64)} for k in range(number)]
    if outlier:
        made[-1]["x"][0, 0] = outlier
    return made


def exact(data: list[dict[str, np.ndarray]]) -> dict[str, Range]:
    x = np.concatenate([one["x"] for one in data])
    a = x * x
    values = {"x": x, "a": a, "b": a - x, "d": -(a - x), "y": -(a - x) + a}
    return {name: Range(float(value.min()), float(value.max())) for name, value in values.items()}


def test_min_and_max() -> None:
    assert float_tensors(graph()) == ("x", "a", "b", "d", "y")
    assert ranges_of(graph(), lambda: samples(5)) == exact(samples(5))


@pytest.mark.parametrize("method", ["minmax", "percentile", "entropy"])
def test_groups_change_nothing(method: Method, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ranges_of(graph(), lambda: samples(4), method)
    monkeypatch.setattr(module, "GROUP_BYTES", 3000)  # one tensor of 2,048 bytes
    seen: list[int] = []
    original = module._Runner.__call__

    def counted(self: module._Runner, sample: dict[str, np.ndarray], number: int) -> dict[str, np.ndarray]:
        found = original(self, sample, number)
        seen.append(sum(array.nbytes for array in found.values()))
        return found

    monkeypatch.setattr(module._Runner, "__call__", counted)
    assert ranges_of(graph(), lambda: samples(4), method) == whole
    assert max(seen) <= 3000


def test_samples_are_read_one_at_a_time() -> None:
    """A generator is asked for the next sample when the one before was looked at."""
    alive = 0

    def stream() -> Iterator[dict[str, np.ndarray]]:
        nonlocal alive
        for sample in samples(6):
            alive += 1
            yield sample

    assert ranges_of(graph(), stream) == exact(samples(6))
    assert alive == 6


@pytest.mark.parametrize("method", ["percentile", "entropy"])
def test_what_is_rare_is_cut_off(method: Method) -> None:
    data = samples(400, outlier=1000.0)
    found, whole = ranges_of(graph(), lambda: data, method)["x"], exact(data)["x"]
    assert whole.high == 1000.0 and found.high < 200.0 and found.low >= whole.low


def test_a_first_sample_of_nearly_nothing_costs_no_memory() -> None:
    """onnxruntime's collector alone would make bins of the first sample's width up to the last sample's values: 1e34 of them."""
    data = [{"x": np.full((1, 512), value, np.float32), "i": np.zeros(1, np.int64)} for value in (1e-30, 1e3)]
    assert ranges_of(graph(), lambda: data, "percentile")["x"].high >= 999.0


def test_a_model_that_computes_nan_is_refused() -> None:
    text = "g (float[1,2] x) => (float[1,2] y) { y = Log(x) }"
    with pytest.raises(ModelError, match="computes NaN in y on calibration sample 2"):
        ranges_of(graph(text), lambda: [{"x": np.ones((1, 2), np.float32)}, {"x": -np.ones((1, 2), np.float32)}])


def test_a_model_that_does_not_run_on_the_data_is_refused() -> None:
    text = "g (float[n] x, int64[1] s) => (float[m] y) { y = Reshape(x, s) }"
    with pytest.raises(ModelError, match="does not run on calibration sample 1"):
        ranges_of(graph(text), lambda: [{"x": np.ones(3, np.float32), "s": np.array([2], np.int64)}])
