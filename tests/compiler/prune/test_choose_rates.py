"""Rates under an accuracy limit: kept on what was measured, by the layers that lose least for what they save."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pruned_nets import Net
from small_models import save

from autoglmc.compiler.api.compile import compile as compile_api
from autoglmc.compiler.prune.choose_rates import within
from autoglmc.compiler.prune.sensitivity import LADDER, Judge
from autoglmc.compiler.run.bundle import Bundle

LOSSES = st.lists(st.floats(0, 0.5), min_size=4, max_size=4).map(lambda one: dict(zip(LADDER, sorted(one), strict=True)))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def compiled(model: Path, folder: Path, **options: Any) -> Bundle:
    return compile_api(model, "x86_cpu", output=folder / "out", **options)


def uneven() -> onnx.ModelProto:
    """Two layers of 64 channels: of the first, three quarters are nearly nothing, of the second all count."""
    net = Net(0)
    first = net.random.standard_normal((48, 64)).astype(np.float32)
    first[:, 16:] *= 1e-3
    a = net.op("Relu", net.op("MatMul", "x", net._constant(first)))
    b = net.op("Tanh", net.op("Gemm", a, net.weight(64, 64), net.weight(64)))
    return net.model(net.op("MatMul", b, net.weight(64, 32)), (1, 48))


def samples() -> list[dict[str, np.ndarray]]:
    generator = np.random.default_rng(1)
    return [{"x": generator.standard_normal((1, 48)).astype(np.float32)} for _ in range(24)]


def test_layers_that_lose_nothing_go_first(tmp_path: Path) -> None:
    pruning = compiled(save(uneven(), tmp_path), tmp_path, prune="auto", calibration_data=samples()).manifest.pruning
    assert pruning is not None and pruning.samples == 18
    after = {row.layers: row.after for row in pruning.structured}
    assert after[("MatMul_0",)] == 16
    assert pruning.accuracy[0].cosine > 0.98 and pruning.accuracy[0].held_out


def test_losses_are_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(uneven(), tmp_path)
    first = compiled(path, tmp_path, prune="auto", calibration_data=samples()).manifest.pruning
    monkeypatch.setattr(Judge, "loss", None)
    assert compiled(path, tmp_path, prune="auto", calibration_data=samples()).manifest.pruning == first


def test_a_given_rate_is_kept(tmp_path: Path) -> None:
    options = {"prune": "auto", "prune_layers": {"MatMul_0": "25%", "Gemm_2": "0%"}, "calibration_data": samples()}
    pruning = compiled(save(uneven(), tmp_path), tmp_path, **options).manifest.pruning
    assert pruning is not None and [(row.layers, row.after) for row in pruning.structured] == [(("MatMul_0",), 48)]


@given(st.lists(LOSSES, min_size=1, max_size=6), st.floats(0.01, 1))
def test_losses_add_up_to_no_more(losses: list[dict[float, float]], most: float) -> None:
    worth = [{rate: rate * (k + 1) for rate in one} for k, one in enumerate(losses)]
    rates = within(most, losses, worth, {})
    assert sum(one.get(rate, 0.0) ** 2 for one, rate in zip(losses, rates, strict=True)) <= most**2 * (1 + 1e-9)
    free = [one for one in zip(losses, rates, strict=True) if max(one[0].values()) == 0.0]
    assert all(rate == max(LADDER) for _, rate in free)


def test_no_worse_than_one_rate_for_all(tmp_path: Path) -> None:
    """Whatever one rate is accurate enough for all layers, the choice saves as much."""
    path, data = save(uneven(), tmp_path), samples()
    chosen = compiled(path, tmp_path, prune="auto", calibration_data=data).manifest.pruning
    assert chosen is not None
    for rate in LADDER:
        alike = compiled(path, tmp_path, prune=rate, calibration_data=data).manifest.pruning
        assert alike is not None
        assert alike.accuracy[0].cosine < 0.985 or alike.weight_bytes[1] >= chosen.weight_bytes[1]
