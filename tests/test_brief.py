"""The figures of the product's brief, each held by a target of examples/brief."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.driver.result import CompileResult
from autoglmc.compiler.errors import UserError
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.grammar import analyse_file
from autoglmc.grammar.rule_facts import rule_facts
from autoglmc.targets.calibrated_cost import kernel_time
from autoglmc.targets.calibration import Calibration
from autoglmc.targets.operator_view import OperatorView, TensorView

ROOT = Path(__file__).parents[1]
BRIEF = ROOT / "examples" / "brief"
RESNET = ROOT / ".cache" / "models" / "onnx_seeded_resnet50.onnx"
SILERO = ROOT / ".cache" / "models" / "silero_vad_16k_op15.onnx"
BERT = ROOT / "tests" / "models" / "bert_tiny.onnx"
LATENCY = {"a16_measured": 42e-3, "tensor_g2_measured": 68e-3}
PEAKS = {"a16_as_stated": ("195.3 GFLOPS", "70 GFLOPS"), "tensor_g2_as_stated": ("121.7 GFLOPS", "50 GFLOPS")}
MEMORY = {256: 261, 512: 530, 1024: 1105}
POWER = {12.5: 12.3, 18.0: 17.1, 25.0: 27.4}


def calibration(name: str, device: str) -> Calibration:
    found = load_target(BRIEF / f"{name}.hw").device(device).calibration
    assert found is not None
    return found


def there(path: Path) -> Path:
    if not path.is_file():
        pytest.skip(f"{path.name} is not here: python benchmarks/fetch_models.py")
    return path


@pytest.mark.parametrize("name", LATENCY)
def test_resnet50_takes_as_long_as_it_was_measured(name: str, tmp_path: Path) -> None:
    result = compile_model(there(RESNET), load_target(BRIEF / f"{name}.hw"), output=tmp_path / "b", verify=False)
    predicted = result.as_json()["latency"]["predicted"]
    assert predicted == pytest.approx(LATENCY[name], rel=0.005)
    used = {device["name"] for device in result.as_json()["devices"] if device["segments"]}
    assert used == {"npu"}, "the figure is of the accelerator"


@pytest.mark.parametrize("name", LATENCY)
def test_the_work_of_resnet50_takes_nearly_all_of_that(name: str) -> None:
    """8.2 GFLOP of convolutions, whatever model is at hand."""
    target = load_target(BRIEF / f"{name}.hw")
    x, w, y = (
        TensorView(n, "fp16", shape, n == "w")
        for n, shape in (("x", (1, 1000, 41, 100)), ("w", (1000, 1000, 1, 1)), ("y", (1, 1000, 41, 100)))
    )
    conv = OperatorView(
        name="c", domain="", operator="Conv", opset=18, attributes={"group": 1}, inputs={"X": x, "W": w}, outputs={"Y": y}
    )  # fmt: skip
    seconds = kernel_time(target, target.device("npu"), (conv,), "fp16").seconds
    assert 0.96 * LATENCY[name] < seconds < LATENCY[name]


@pytest.mark.parametrize("name", PEAKS)
def test_the_stated_peaks_cannot_be(name: str) -> None:
    result = analyse_file(BRIEF / f"{name}.hw", rule_facts())
    (error,) = [one for one in result.diagnostics if one.severity == "error"]
    rate, peak = PEAKS[name]
    assert result.target is None and error.code == "HW0701"
    assert f"at {rate} would be faster than the peak of `npu`, {peak}" in error.message and "that cannot be" in error.message
    assert f"the peak is at least {rate}" in error.help


def test_every_other_file_is_without_error() -> None:
    for path in BRIEF.glob("*.hw"):
        found = [one.code for one in analyse_file(path, rule_facts()).diagnostics]
        assert path.stem in PEAKS or set(found) <= {"HW0704", "HW0706", "HW0708"}, (path.name, found)


def test_memory_is_predicted_as_it_was_measured() -> None:
    """By least squares over the brief's three pairs, all that is held counted alike."""
    model = calibration("memory_and_power", "cpu").memory
    assert model is not None and model.weights == model.working
    alpha, beta = np.polyfit(list(MEMORY), list(MEMORY.values()), 1)
    assert model.weights == pytest.approx(alpha, rel=1e-3) and model.base / 1e6 == pytest.approx(beta, abs=0.1)
    for predicted, measured in MEMORY.items():
        assert model.base / 1e6 + model.weights * predicted == pytest.approx(measured, rel=0.025)


def test_power_is_predicted_as_it_was_measured() -> None:
    """By least squares of the logarithms, what was predicted as the share of the largest."""
    model = calibration("memory_and_power", "cpu").power
    assert model is not None
    shares = {predicted / max(POWER): measured for predicted, measured in POWER.items()}
    exponent, full = np.polyfit(np.log(list(shares)), np.log(list(shares.values())), 1)
    assert (model.exponent, model.full) == (pytest.approx(exponent, rel=5e-3), pytest.approx(np.exp(full), rel=5e-3))
    for share, measured in shares.items():
        assert model.full * share**model.exponent == pytest.approx(measured, rel=0.065)


def limits_of(result: CompileResult) -> dict[str, tuple[float, float, bool]]:
    """By kind: value, limit, whether it is unproven."""
    return {
        one.kind: (one.value or 0.0, one.limit, bool(one.unproven)) for one in result.manifest.limits if one.kind in ("latency", "memory")
    }


@pytest.mark.parametrize(
    ("name", "model", "shapes", "unproven"),
    [
        ("captions", BERT, {"batch": 1, "seq": 32}, True),
        ("earbuds", BERT, {"batch": 1, "seq": 32}, False),
        ("earbuds", SILERO, {"batch": 1, "sequence": 512}, False),
    ],
)
def test_a_budget_that_is_kept(name: str, model: Path, shapes: dict[str, int], unproven: bool, tmp_path: Path) -> None:
    """Unproven where the time rests on a rate of one measured network."""
    target = load_target(BRIEF / f"{name}.hw")
    found = limits_of(compile_model(there(model), target, output=tmp_path / "b", shapes=shapes, verify=False))
    budget = {"captions": (0.2, 80e6), "earbuds": (0.3, 45e6)}[name]
    assert (found["latency"][1], found["memory"][1]) == budget
    assert all(value <= limit for value, limit, _ in found.values())
    assert found["latency"][2] is unproven


def test_a_budget_that_is_broken(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"memory peak: predicted 107\.\d+ MiB, and the target allows <= 80e6 B"):
        compile_model(there(RESNET), load_target(BRIEF / "captions.hw"), output=tmp_path / "b", verify=False)
