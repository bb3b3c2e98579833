"""Limits that no mixture of forms keeps: those that contradict each other are named, and each change that is reported is enough."""

from __future__ import annotations

from pathlib import Path

import pytest
from form_nets import network, network_copy, ranges, samples

from autoglmc.compiler.errors import Infeasible
from autoglmc.compiler.hw.load_target import load_target
from autoglmc.compiler.precision.choose import MeasuredChoice, choose, least_cosine
from autoglmc.passes.graph.graph import Graph

STOCK = Path(__file__).parents[3] / "targets" / "x86_cpu.hw"


def chosen(folder: Path, limits: str, seed: int = 0, objective: str = "latency") -> MeasuredChoice:
    """For onnxruntime's CPU under the limits, of a net of 32 channels."""
    text = STOCK.read_text().rstrip()
    assert text.endswith("}")
    path = folder / "limited.hw"
    path.write_text(f"{text[:-1]}  limits {{ {limits} }}\n}}\n")
    (folder / "std").mkdir(exist_ok=True)
    (folder / "std" / "ort_cpu.hw").write_text((STOCK.parent / "std" / "ort_cpu.hw").read_text())
    model, target = network(seed, 32), load_target(path)
    found = ranges(network_copy(model), seed)
    return choose(Graph(network_copy(model)), target, ((), {}), found, samples(seed), f"limits {seed}", least_cosine(target), objective)


LIMITS = {"latency": "latency <= 0.03 ms;", "package": "package size <= 12 KiB;"}


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("cosine", [0.99999, 0.999])
def test_each_change_that_is_told_is_enough(tmp_path: Path, limit: str, cosine: float) -> None:
    limits = {limit: LIMITS[limit], "accuracy": f"accuracy cosine >= {cosine};"}
    with pytest.raises(Infeasible) as raised:
        chosen(tmp_path, " ".join(limits.values()))
    assert "no choice of devices and precisions" in raised.value.message and f"`{limit}" in raised.value.message
    assert raised.value.relaxations
    for change in raised.value.relaxations:
        text = change.strip("`")
        again = {**limits, text.split()[0]: f"{text};"}
        found = chosen(tmp_path, " ".join(again.values()))
        assert found.cosine >= found.least, change


def test_a_limit_on_the_package_makes_weights_smaller(tmp_path: Path) -> None:
    """What floats would not keep; the fastest choice would."""
    free, small = chosen(tmp_path, "accuracy cosine >= 0.99;"), chosen(tmp_path, "accuracy cosine >= 0.99; package size <= 20 KiB;")
    assert small.cosine >= 0.99 and free.cosine >= 0.99
    assert all(one.chosen != "fp32" for one in small.units if "c1" in one.operators)


@pytest.mark.parametrize("objective", ["latency", "energy", "memory", "throughput"])
def test_a_choice_is_the_best_for_its_objective(tmp_path: Path, objective: str) -> None:
    """None that was found for another objective is better, and all keep the limit; on one device energy is time."""
    found = {name: chosen(tmp_path, "accuracy cosine >= 0.99;", objective=name) for name in (objective, "latency", "memory")}
    assert all(one.cosine >= 0.99 for one in found.values())
    if objective != "memory":
        assert found[objective].forms == found["latency"].forms
    narrow = {name: sum(unit.chosen in ("a8w8", "w8", "w4") for unit in one.units) for name, one in found.items()}
    assert narrow["memory"] >= max(narrow.values())
