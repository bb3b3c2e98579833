"""What plans are chosen for, on real models: each objective's plan is the best in it, and a front holds no plan that another one beats."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from autoglmc.compiler.driver.compile_model import compile_model
from autoglmc.compiler.driver.pareto import pareto_front, quantities_of
from autoglmc.compiler.driver.result import CompileResult
from autoglmc.compiler.errors import Infeasible, TargetError, UsageError
from autoglmc.compiler.hw.load_target import load_target

MODELS = Path(__file__).parents[2] / "models"
SHAPES = {"bert_tiny": {"batch": 1, "seq": 16}, "lightnet": {"batch": 1}}
CHEAP_NPU = """
hw 1;
include "a16.hw";
target cheap extends a16 { }
amend &cheap.npu { power active 0.2 W, idle 0.01 W; }
"""


def chosen(folder: Path, name: str, target: object, objective: str) -> CompileResult:
    out = folder / f"{name}.{objective}"
    return compile_model(MODELS / f"{name}.onnx", target, shapes=SHAPES[name], output=out, verify=False, objective=objective)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["bert_tiny", "lightnet"])
def test_each_objective_is_served_best_by_its_own_plan(name: str, tmp_path: Path) -> None:
    (tmp_path / "cheap.hw").write_text(CHEAP_NPU)
    target = load_target(tmp_path / "cheap.hw")
    results = {o: chosen(tmp_path, name, target, o) for o in ("latency", "energy", "memory", "overlap", "throughput")}
    predicted = {o: result.predicted for o, result in results.items()}
    assert all(predicted["latency"].latency <= p.latency * (1 + 1e-4) for p in predicted.values())
    joules = {o: p.joules or 0.0 for o, p in predicted.items()}
    assert all(joules["energy"] <= j * (1 + 1e-4) for j in joules.values())
    for objective, result in results.items():
        facts = result.as_json()["objective"]
        assert facts["name"] == objective and 0 < facts["lower_bound"] <= facts["value"] * (1 + 1e-9)
    assert results["energy"].as_json()["objective"]["value"] == pytest.approx(joules["energy"], rel=1e-6)
    at_once = results["overlap"].as_json()["objective"]["value"]
    assert at_once <= results["latency"].as_json()["latency"]["placed"] * (1 + 1e-9)  # both as operators are placed
    assert results["throughput"].as_json()["objective"]["value"] <= at_once * (1 + 1e-9)
    if name == "bert_tiny":
        assert predicted["energy"].latency > predicted["latency"].latency, "the limits are no test where one plan is best in all"


def test_a_front_goes_down_in_one_quantity_as_it_goes_up_in_the_other(tmp_path: Path) -> None:
    (tmp_path / "cheap.hw").write_text(CHEAP_NPU)
    found, points = pareto_front(MODELS / "bert_tiny.onnx", tmp_path / "cheap.hw", ("latency", "energy"), shapes=SHAPES["bert_tiny"])
    rows = found.as_json()["points"]
    assert len(rows) == len(points) >= 2
    for faster, thriftier in pairwise(rows):
        assert faster["latency"] < thriftier["latency"] and faster["energy"] > thriftier["energy"]
    least = chosen(tmp_path, "bert_tiny", load_target(tmp_path / "cheap.hw"), "energy").predicted
    assert rows[-1]["energy"] == pytest.approx(least.joules, rel=0.011)
    out = tmp_path / "second"
    made = compile_model(
        MODELS / "bert_tiny.onnx", tmp_path / "cheap.hw", shapes=SHAPES["bert_tiny"], output=out, verify=False, plan=points[1].placement
    )
    assert made.predicted.joules == pytest.approx(rows[1]["energy"]) and made.predicted.latency == pytest.approx(rows[1]["latency"])


def test_a_front_within_limits_that_no_plan_keeps(tmp_path: Path) -> None:
    (tmp_path / "tight.hw").write_text('hw 1; include "a16.hw"; target tight extends a16 { limits { latency <= 1 us; } }')
    with pytest.raises(Infeasible, match="latency"):
        pareto_front(MODELS / "lightnet.onnx", tmp_path / "tight.hw", ("latency", "memory"), shapes=SHAPES["lightnet"])


@pytest.mark.parametrize("text", ["latency", "latency,latency", "latency,accuracy", "", "latency;memory"])
def test_what_is_no_list_of_quantities_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--pareto"):
        quantities_of(text)


def test_energy_needs_the_power_of_every_device(tmp_path: Path) -> None:
    (tmp_path / "silent.hw").write_text('hw 1; include "a16.hw"; target silent extends a16 { } delete &silent.npu.power;')
    with pytest.raises(TargetError, match="npu states no power"):
        chosen(tmp_path, "lightnet", tmp_path / "silent.hw", "energy")
    with pytest.raises(UsageError, match="no objective 'speed'"):
        chosen(tmp_path, "lightnet", "a16", "speed")


def test_a_front_has_the_plan_that_a_limit_on_memory_would_force(tmp_path: Path) -> None:
    """The placement knows of memory what is there in any order; its least is not the least once the arena is planned."""
    found, points = pareto_front(MODELS / "lightnet.onnx", "a16", ("latency", "memory"), shapes=SHAPES["lightnet"])
    assert len(points) >= 2
    least = found.rows[-1]["memory"]
    (tmp_path / "tight.hw").write_text(f'hw 1; include "a16.hw"; target tight extends a16 {{ limits {{ memory peak <= {least - 1} B; }} }}')
    with pytest.raises(Infeasible, match="memory"):
        chosen(tmp_path, "lightnet", load_target(tmp_path / "tight.hw"), "latency")
