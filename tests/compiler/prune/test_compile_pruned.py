"""From a float model to a bundle of a smaller one: made, run, judged, measured; layers named, and what cannot be asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from msgspec import structs
from pruned_nets import Net, image_net, token_net
from small_models import save

from autoglmc.compiler import cli
from autoglmc.compiler.api.compile import compile as compile_api
from autoglmc.compiler.bundle.manifest import Manifest
from autoglmc.compiler.errors import Infeasible, UsageError
from autoglmc.compiler.precision.accuracy_check import AccuracyCheck
from autoglmc.compiler.prune import prune_model
from autoglmc.compiler.prune.choose_rates import choose_rates
from autoglmc.compiler.prune.request import prune_request
from autoglmc.compiler.run.bundle import Bundle


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def perceptron() -> onnx.ModelProto:
    """Of the 64 channels in the middle, the first 40 are next to nothing; of the 32 behind it, none."""
    net = Net(0)
    first = net.random.standard_normal((48, 64)).astype(np.float32)
    first[:, :40] *= 1e-3
    a = net.op("Relu", net.op("MatMul", "x", net._constant(first)))
    b = net.op("Relu", net.op("Gemm", a, net.weight(64, 32), net.weight(32)))
    return net.model(net.op("MatMul", b, net.weight(32, 10)), (1, 48))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save(perceptron(), tmp_path, "perceptron.onnx")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    np.savez(tmp_path / "samples.npz", x=np.random.default_rng(1).standard_normal((16, 48)).astype(np.float32))
    return tmp_path / "samples.npz"


def compiled(model: Path, folder: Path, **options: Any) -> Bundle:
    return compile_api(model, "x86_cpu", output=folder / "out", **options)


def test_channels_of_the_smallest_magnitude_go(model: Path, data: Path, tmp_path: Path) -> None:
    """The bundle is smaller, verified, faster by its prediction, and near the model as it was."""
    bundle = compiled(model, tmp_path, prune_layers={"MatMul_0": "62.5%"}, calibration_data=data, save_pruned=tmp_path / "p.onnx")
    pruning, manifest = bundle.manifest.pruning, bundle.manifest
    assert pruning is not None and manifest.precision is None and manifest.verification.verified
    (layer,) = pruning.structured
    assert (layer.layers, layer.kind, layer.before, layer.after) == (("MatMul_0",), "channels", 64, 24)
    assert pruning.seconds is not None and pruning.seconds[1] < pruning.seconds[0]
    weights = {tuple(tensor.dims) for tensor in onnx.load(tmp_path / "p.onnx").graph.initializer}
    assert (48, 24) in weights and (24, 32) in weights
    assert pruning.weight_bytes == (4 * (48 * 64 + 64 * 32 + 32 + 320), 4 * (48 * 24 + 24 * 32 + 32 + 320))
    (accuracy,) = pruning.accuracy
    assert (accuracy.samples, accuracy.held_out) == (4, True) and accuracy.least_cosine > 0.99999
    x = np.random.default_rng(2).standard_normal((1, 48)).astype(np.float32)
    whole = compiled(model, tmp_path / "whole").run({"x": x})
    name = next(iter(whole))
    np.testing.assert_allclose(bundle.run({"x": x})[name], whole[name], atol=0.02 * float(np.abs(whole[name]).max()))


def test_a_rate_is_of_every_layer_but_those_named(model: Path, tmp_path: Path) -> None:
    pruning = compiled(model, tmp_path, prune=0.5, prune_layers={"Gemm_2": "0%"}).manifest.pruning
    assert pruning is not None and [(row.layers, row.after) for row in pruning.structured] == [(("MatMul_0",), 32)]
    assert pruning.accuracy == () and pruning.samples == 0


def test_pruned_and_in_8_bits(model: Path, data: Path, tmp_path: Path) -> None:
    """Pruned first; how accurate that is is measured once, against the model as it was."""
    manifest = compiled(model, tmp_path, prune_layers={"MatMul_0": "62.5%"}, precision="int8", calibration_data=data).manifest
    assert manifest.pruning is not None and manifest.precision is not None and manifest.verification.verified
    assert manifest.precision.weight_bytes[0] == manifest.pruning.weight_bytes[1]
    assert manifest.precision.weight_bytes[1] < 0.35 * manifest.precision.weight_bytes[0]
    assert manifest.pruning.accuracy == manifest.precision.accuracy != ()
    (accuracy,) = manifest.pruning.accuracy
    assert 0.99 < accuracy.least_cosine < 1 - 1e-7


@pytest.mark.parametrize("made", [image_net(1, [0, 7, 6]), token_net(3, [2, 1])], ids=["image net", "token net"])
def test_whole_nets(made: onnx.ModelProto, tmp_path: Path) -> None:
    bundle = compiled(save(made, tmp_path), tmp_path, prune="50%")
    pruning = bundle.manifest.pruning
    assert bundle.manifest.verification.verified and pruning is not None
    assert pruning.weight_bytes[1] < 0.8 * pruning.weight_bytes[0]


def test_heads_are_called_heads(tmp_path: Path) -> None:
    pruning = compiled(save(token_net(3, [2]), tmp_path), tmp_path, prune="50%").manifest.pruning
    assert pruning is not None and "heads" in {row.kind for row in pruning.structured}


def test_the_screen_says_what_went(model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(model), "--target", "x86_cpu", "-o", str(tmp_path / "out"), "--prune", "50%", "--calibration-data", str(data)]
    assert cli.run(arguments) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "pruning structured, removed from the graph: 48 of 96 channels stay" in shown
    assert "unstructured: no single weights are set to zero" in shown
    assert "MatMul_0: 64 -> 32 channels" in shown and "smaller; predicted" in shown and "accuracy on 4 held-out samples" in shown


@pytest.mark.parametrize("worse", [0, 1, 2])
def test_rates_are_chosen_again_where_the_bundle_breaks_a_limit(
    worse: int, model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the first choices the held-out samples show less than they have; the one that is kept removes no more."""
    asked, measured = list[float](), AccuracyCheck.measured

    def pessimistic(check: AccuracyCheck, *words: Any) -> Manifest:
        found = measured(check, *words)
        low = structs.replace
        limits = tuple(low(one, value=0.5, margin=-0.4) if one.kind == "accuracy" else one for one in found.limits)
        return low(found, limits=limits) if len(asked) <= worse else found

    def watched(*words: Any) -> list[float]:
        asked.append(words[4])
        return choose_rates(*words)

    monkeypatch.setattr(AccuracyCheck, "measured", pessimistic)
    monkeypatch.setattr(prune_model, "choose_rates", watched)
    bundle = compiled(model, tmp_path, prune="auto", calibration_data=data, accuracy="cosine >= 0.9")
    assert len(asked) == worse + 1 and asked == sorted(asked) and len(set(asked)) == len(asked)
    assert [one.verdict for one in bundle.manifest.search] == ["over an error budget"] * worse + ["accepted"]
    assert all("rates that keep a cosine of" in one.change for one in bundle.manifest.search[1:])


def test_where_no_rate_keeps_the_limit_nothing_is_written(model: Path, data: Path, tmp_path: Path) -> None:
    """Rates that were stated are not chosen again."""
    with pytest.raises(Infeasible, match="without the channels that --prune removes"):
        compiled(model, tmp_path, prune="80%", calibration_data=data, accuracy="cosine >= 0.9999999")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prune": "120%"}, "--prune: 120% is not between 0% and 100%"),
        ({"prune": 1.0}, "--prune: 1.0 is not between 0% and 100%"),
        ({"prune": float("nan")}, "--prune: nan is not between"),
        ({"prune": "half"}, "--prune: 'half' is not a share"),
        ({"prune": "auto"}, "--prune auto needs calibration data"),
        ({"save_pruned": "p.onnx"}, "--save-pruned needs --prune"),
        ({"prune_layers": {"MatMul_2": "30%"}}, "the model has no layer 'MatMul_2' with weights\n  help: did you mean 'MatMul_"),
        ({"prune_layers": {"MatMul_4": "30%"}}, "no channel of the layer 'MatMul_4' can be removed: 't4_0' is an output of the model"),
        ({"prune_layers": {"MatMul_0": "-30%"}}, "--prune-layer MatMul_0: '-30%' is not a share"),
        ({"prune": "50%", "expect": {"t4_0": np.zeros(10)}, "inputs": {"x": np.zeros(48)}}, "--expect asks for what the source"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_for(options: dict[str, Any], message: str, model: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        compiled(model, tmp_path, **options)
    assert message in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_a_model_in_integers_is_refused(tmp_path: Path) -> None:
    net = Net(0)
    scale, zero = net._constant(np.array(0.1, np.float32)), net._constant(np.array(0, np.int8))
    x = net.op("DequantizeLinear", net.op("QuantizeLinear", "x", scale, zero), scale, zero)
    path = save(net.model(net.op("MatMul", net.op("MatMul", x, net.weight(8, 8)), net.weight(8, 4)), (1, 8)), tmp_path)
    with pytest.raises(UsageError, match="the model is quantised already: QuantizeLinear"):
        compiled(path, tmp_path, prune="50%")


def test_a_model_in_halves(tmp_path: Path) -> None:
    net = Net(0)
    x = net.op("Cast", "x", to=onnx.TensorProto.FLOAT16)
    first, second = (net._constant((net.random.standard_normal(shape) / 8).astype(np.float16)) for shape in ((48, 64), (64, 8)))
    y = net.op("Cast", net.op("MatMul", net.op("Relu", net.op("MatMul", x, first)), second), to=onnx.TensorProto.FLOAT)
    data = [{"x": net.random.standard_normal((1, 48)).astype(np.float32)} for _ in range(8)]
    manifest = compiled(save(net.model(y, (1, 48)), tmp_path), tmp_path, prune="50%", calibration_data=data).manifest
    assert manifest.verification.verified and manifest.pruning is not None
    assert manifest.pruning.weight_bytes == (2 * 56 * 64, 2 * 56 * 32)


def test_a_layer_is_written_as_a_pair() -> None:
    assert prune_request(None, ["a=b=30%"], None) == prune_request(None, {"a=b": 0.3}, None)
    with pytest.raises(UsageError, match="is not NAME=SHARE"):
        prune_request(None, ["a"], None)


def test_a_model_without_channels_to_remove(tmp_path: Path) -> None:
    net = Net(0)
    path = save(net.model(net.op("MatMul", "x", net.weight(8, 4)), (1, 8)), tmp_path)
    with pytest.raises(UsageError, match="nothing of the model can be pruned: of the channels of its first layer, 't0_0' is an output"):
        compiled(path, tmp_path, prune="50%")
