"""Limits against predictions: each kind, both sides of the line, and budgets per memory."""

from __future__ import annotations

import dataclasses

import pytest
from make_target import HERE, make_cpu, make_device, make_link, make_target

from autoglmc.compiler.errors import Infeasible, TargetError
from autoglmc.compiler.plan.held import Held
from autoglmc.compiler.plan.limits import check_limits, loading_notes
from autoglmc.compiler.plan.predict import Draw, Predictions
from autoglmc.compiler.quantities import amount
from autoglmc.targets.model import Limit, Target

MIB = 1 << 20
FOUND = Predictions(
    latency=2e-3,
    draws=(Draw("npu", 2.5e-3, 0.5e-3), Draw("cpu", 0.0, 1e-3)),
    peak_watts=3.5,
    without_power=(),
    held={"dram": Held(3 * MIB, MIB, MIB)},
    pieces={"npu": 2, "cpu": 1},
)


def machine(*limits: Limit, budget: int = 8 * MIB) -> Target:
    return make_target([make_device("npu", ["Relu"]), make_cpu()], [make_link("npu", "cpu")], budget=budget, limits=limits)


def limit(kind: str, comparison: str, value: float, subject: str = "") -> Limit:
    return Limit(kind=kind, subject=subject, comparison=comparison, value=value, text=f"{value:g}", origin=HERE)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "subject", "value"),
    [
        ("latency", "", 2e-3),
        ("memory", "peak", 5 * MIB),
        ("power", "avg", 2.0),
        ("power", "peak", 3.5),
        ("energy", "", 4e-3),
        ("partitions", "npu", 2),
    ],
)
def test_a_limit_holds_at_its_value_and_not_below(kind: str, subject: str, value: float) -> None:
    found = check_limits(machine(limit(kind, "<=", value, subject)), FOUND)
    assert found[-1].value == pytest.approx(value)
    assert found[-1].margin == pytest.approx(0)
    with pytest.raises(Infeasible) as failure:
        check_limits(machine(limit(kind, "<=", value * 0.9, subject)), FOUND)
    assert failure.value.demand == pytest.approx(value)
    assert amount(kind, value) in str(failure.value)


def test_a_budget_is_a_limit_of_its_memory() -> None:
    with pytest.raises(Infeasible, match="budget dram: predicted 5 MiB, and the target allows <= 4 MiB") as failure:
        check_limits(machine(budget=4 * MIB), FOUND)
    assert failure.value.help == ""  # advice is what was tried: driver/advise.py


def test_a_load_that_may_exceed_a_budget_is_a_note() -> None:
    """Weights of 3 MiB, of which 2 may be there twice, and an arena of 1: while loading 6, running 5."""
    loading = dataclasses.replace(FOUND, held={"dram": Held(3 * MIB, MIB, MIB, 2 * MIB)})
    assert (loading.memory, loading.load_peak) == (5 * MIB, 6 * MIB)
    assert loading_notes(machine(budget=6 * MIB), loading) == ()
    (note,) = loading_notes(machine(budget=6 * MIB - 1), loading)
    assert note.startswith("while the bundle is loaded, dram may hold 6 MiB of its budget of ")
    check_limits(machine(budget=5 * MIB), loading)


def test_all_broken_limits_are_told_at_once() -> None:
    with pytest.raises(Infeasible) as failure:
        check_limits(
            machine(limit("memory", "<", 5 * MIB, "peak"), limit("partitions", "<=", 1, "npu"), limit("latency", "<=", 1e-3)), FOUND
        )
    assert [part.split(":")[0] for part in failure.value.message.split("; ")] == ["latency", "memory peak", "partitions npu"]
    assert failure.value.resource == "latency"


def test_every_memory_in_use_has_its_own_budget() -> None:
    target = machine()
    sram = dataclasses.replace(target.memories[0], name="sram", budget=MIB)
    target = dataclasses.replace(target, memories=(*target.memories, sram))
    records = check_limits(target, dataclasses.replace(FOUND, held={"dram": Held(MIB), "sram": Held(arena=MIB)}))
    assert [record.subject for record in records] == ["dram", "sram"]
    with pytest.raises(Infeasible, match="budget sram"):
        check_limits(target, dataclasses.replace(FOUND, held={"dram": Held(MIB), "sram": Held(1, MIB)}))


@pytest.mark.parametrize(("kind", "subject"), [("error", "abs"), ("package", "size")])
def test_measured_limits_wait_for_the_bundle(kind: str, subject: str) -> None:
    record = check_limits(machine(limit(kind, "<=", 1e-2, subject)), FOUND)[-1]
    assert (record.basis, record.value, record.margin) == ("measured", None, None)


@pytest.mark.parametrize(("kind", "subject"), [("power", "avg"), ("power", "peak"), ("energy", "")])
def test_a_limit_on_power_or_energy_needs_power_of_every_device_in_use(kind: str, subject: str) -> None:
    with pytest.raises(TargetError, match="npu, which states no power"):
        check_limits(machine(limit(kind, "<=", 1.0, subject)), dataclasses.replace(FOUND, without_power=("npu",)))


@pytest.mark.parametrize("kind", ["fps"])
def test_a_limit_from_below_holds_at_its_value_and_not_above(kind: str) -> None:
    assert check_limits(machine(limit(kind, ">=", 500)), FOUND)[-1].margin == pytest.approx(0)
    with pytest.raises(Infeasible, match="fps: predicted 500, and the target allows >= 510"):
        check_limits(machine(limit(kind, ">=", 510)), FOUND)
