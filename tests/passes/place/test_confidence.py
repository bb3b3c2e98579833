"""How far measurements support a plan: the interval of the hold-out, widened by what no measurement covers."""

from __future__ import annotations

import tempfile
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from breadth import examples
from calibrated_targets import ORIGIN, calibration, rate
from hypothesis import given, settings
from hypothesis import strategies as st
from make_target import make_cpu, make_device, make_link, make_target
from small_models import parse, save
from synthetic_measurements import view

from autoglmc.compiler.load.load_model import load_model
from autoglmc.compiler.plan.confidence import confidence_of, with_doubts
from autoglmc.compiler.plan.limits import check_limits
from autoglmc.compiler.plan.plan_model import PlannedModel, plan_model
from autoglmc.targets.calibrated_cost import LONGER, SLACK, outside
from autoglmc.targets.calibration import Calibration, Measure, Range
from autoglmc.targets.model import Limit, Target

OPERATORS = ("Relu", "Sigmoid", "Tanh", "Exp", "Abs")
EXTENTS = (1 << 10, 1 << 14, 1 << 18)


def chain(operators: list[tuple[str, int]]) -> str:
    """Chains of one operator each, so that nothing is fused or merged; every chain on a tensor of its own size."""
    inputs = ", ".join(f"float[{extent}] x{k}" for k, (_, extent) in enumerate(operators))
    outputs = ", ".join(f"float[{extent}] y{k}" for k, (_, extent) in enumerate(operators))
    return f"g ({inputs}) => ({outputs}) {{ {' '.join(f'y{k} = {name}(x{k})' for k, (name, _) in enumerate(operators))} }}"


def host(measured: Calibration | None, *limits: Limit) -> Target:
    return make_target([replace(make_cpu(), calibration=measured)], [], limits=limits)


def plan(graph: str, target: Target) -> PlannedModel:
    with tempfile.TemporaryDirectory() as folder:
        loaded = load_model(save(parse(graph), Path(folder)))
    found = plan_model(loaded, target, 1.0, lambda _: nullcontext())
    assert isinstance(found, PlannedModel), found
    return found


def latency(limit: float, kind: str = "latency") -> Limit:
    comparison = ">=" if kind == "fps" else "<="
    return Limit(kind=kind, subject="", comparison=comparison, value=limit, text=f"{limit:g}", origin=ORIGIN)  # type: ignore[arg-type]


@given(
    st.lists(st.tuples(st.sampled_from(OPERATORS), st.sampled_from(EXTENTS)), min_size=1, max_size=12),
    st.sets(st.sampled_from(OPERATORS)),
    st.sampled_from(EXTENTS),
    st.floats(1e8, 1e11),
)
@settings(max_examples=examples(30, 100))
def test_what_no_line_covers_is_counted(operators: list[tuple[str, int]], lines: set[str], largest: int, speed: float) -> None:
    """Held against a sum by hand: an element function of n floats moves 8 n bytes in a roofline, and n elements in a line."""
    seen = Range(1.0, float(largest))
    measured = calibration(*(rate(name, value=speed, measure="elements", seen=seen) for name in sorted(lines)), launch=2e-6)
    target = host(measured)
    found = plan(chain(operators), target).confidence
    assert found is not None
    inside = [n <= 2 * largest and name in lines for name, n in operators]
    covered = sum(n / speed + 2e-6 for (_, n), good in zip(operators, inside, strict=True) if good)
    beyond = sum(n / speed + 2e-6 for (name, n), good in zip(operators, inside, strict=True) if not good and name in lines)
    device = target.devices[0]
    roofline = (plan(chain([(name, n)]), host(None)).predicted.latency for name, n in operators if name not in lines)
    rest = sum(alone - device.dispatch - device.launch + 2e-6 for alone in roofline)
    assert found.latency == pytest.approx(covered + beyond + rest + device.dispatch)
    assert found.outside == pytest.approx((beyond + rest) / found.latency, abs=1e-9)
    assert found.calibrated == (found.outside <= 0.1)
    causes = {(name, name in lines) for name, n in operators if name not in lines or n > 2 * largest}
    assert len(found.uncovered) == len(causes), "one reason for each, whatever the sizes"
    if found.calibrated:
        assert found.half_width == pytest.approx(0.18 * (1 - found.outside) + found.outside)
    else:
        assert found.half_width is None


def test_a_plan_on_devices_that_nobody_measured_has_no_interval() -> None:
    assert plan(chain([("Relu", 1024)]), host(None)).confidence is None


def test_time_on_a_device_that_was_not_measured_and_handoffs_are_outside() -> None:
    npu = make_device("npu", ["Relu"], peak=1e15, dispatch=0.0, launch=0.0)
    slow = calibration(rate("Relu", value=1e3, measure="elements"), rate("Tanh", value=1e12, measure="elements"))
    target = make_target([npu, replace(make_cpu(), calibration=slow)], [make_link("npu", "cpu")])
    planned = plan("g (float[1024] x) => (float[1024] y) { t = Relu(x) y = Tanh(t) }", target)
    found = planned.confidence
    assert found is not None
    assert {one.device for one in found.uncovered} >= {"npu"}
    npus = sum(s.seconds for s in planned.compiled.segments if s.device == "npu")
    handed = sum(handoff.seconds for handoff in planned.compiled.handoffs)
    assert sum(one.seconds for one in found.uncovered) == pytest.approx(npus + handed)


@pytest.mark.parametrize("interval", [None, 0.0, 0.18, 0.5])
@pytest.mark.parametrize("room", [1.01, 1.1, 1.17, 1.19, 1.6])
@pytest.mark.parametrize("kind", ["latency", "fps"])
def test_a_limit_is_proven_where_the_whole_interval_keeps_it(interval: float | None, room: float, kind: str) -> None:
    measured = calibration(rate("Relu", value=1e6, measure="elements"), interval=interval)
    graph = chain([("Relu", 1 << 14)])
    seconds = plan(graph, host(measured)).predicted.latency
    bound = seconds * room if kind == "latency" else 1 / (seconds * room)
    planned = plan(graph, host(measured, latency(bound, kind)))
    record = next(one for one in planned.limits if one.kind == kind)
    kept = interval is not None and room >= 1 + interval
    assert (record.unproven == "") == kept
    if interval is None:
        assert record.unproven == "the calibration states no interval"


def test_limits_of_space_rest_on_no_clock() -> None:
    target = host(calibration(), latency(1.0))
    planned = plan(chain([("Relu", 1024)]), target)
    doubts = {limit.kind: limit.unproven for limit in planned.limits}
    assert doubts["latency"].startswith("the target is not calibrated for this model: ")
    assert doubts["budget"] == ""


def test_without_measurements_limits_are_as_they_were() -> None:
    target = host(None, latency(1.0))
    planned = plan(chain([("Relu", 1024)]), target)
    limits = check_limits(target, planned.predicted)
    assert with_doubts(limits, None) == limits
    assert confidence_of(target, planned.times, 0.0, planned.predicted.latency) is None


def test_a_screen_says_it() -> None:
    """The words of the screen, from the same records that the manifest holds."""
    from msgspec import to_builtins

    from autoglmc.compiler.report.confidence import confidence_lines, interval

    found = plan(chain([("Relu", 1 << 18), ("Tanh", 64)]), host(calibration(rate("Relu", value=1e7, measure="elements")))).confidence
    facts = to_builtins(found)
    assert interval(facts) == " ±18 %"
    first, second = confidence_lines(facts)
    said = "90 % of models are within the interval (calibrated, cpu: a clock); less than 0.1 % of the latency is outside what was measured"
    assert first == said
    assert second == "outside: less than 0.1 % on cpu: no rate for Tanh ('tanh_2')"


def test_a_kind_that_was_not_measured_is_outside_whatever_its_size() -> None:
    """The line names the operator, and lists what keeps to its rate: another kind, and an operator that only shares the number, do not."""
    across = rate("Relu", "Tanh", "Exp", value=1e9, measure="elements", seen=Range(1.0, 1e9), kinds=("Relu", "Exp fp16"))
    found = plan(chain([("Relu", 5000), ("Tanh", 5000), ("Exp", 5000)]), host(calibration(across))).confidence
    assert found is not None
    assert {(one.reason, one.detail) for one in found.uncovered} == {
        ("the rate for Tanh is that of other operators", ""),
        ("Exp of a kind that was not measured", "plain, measured fp16"),
    }


@given(st.sampled_from(["operations", "elements", "bytes"]), st.floats(-6.0, 6.0))
def test_operations_may_be_many_times_more_than_measured_and_nothing_else(measure: Measure, power: float) -> None:
    """A loop that goes on for longer keeps its rate; more elements or bytes leave a cache, and less of anything is another regime."""
    relu, amount = view("Relu", {"X": ((64,), False)}, ("Y", (64,))), 1e6 * 2.0**power
    line = rate("Relu", value=1e9, measure=measure, seen=Range(1e6, 1e6))
    most = LONGER if measure == "operations" else SLACK
    found = outside(line, relu, amount)
    assert (found is None) == (1e6 / SLACK <= amount <= most * 1e6)
    assert found is None or ("larger" if amount > 1e6 else "smaller") in found.reason
    assert LONGER > 4 * SLACK


def test_kernels_of_one_reason_are_one_line_whatever_their_sizes() -> None:
    """Largest share first, each with the operator that has most of it."""
    from msgspec import to_builtins

    from autoglmc.compiler.report.confidence import confidence_lines

    small = Range(1.0, 100.0)
    measured = calibration(
        rate("Relu", value=1e9, measure="elements", seen=small, inner=Range(1, 1 << 20)),
        rate("Exp", value=1e9, measure="bytes", inner=Range(2.0, 8.0)),
        rate("Abs", value=1e9, measure="elements", samples=1),
    )
    sizes = [("Relu", 5000), ("Relu", 1_000_000), ("Relu", 4000), ("Exp", 9000), ("Exp", 7000), ("Abs", 10_000), ("Tanh", 64)]
    found = plan(chain(sizes), host(measured)).confidence
    assert found is not None
    seconds = [one.seconds for one in found.uncovered]
    assert seconds == sorted(seconds, reverse=True) and [one.operators for one in found.uncovered] == [3, 2, 1, 1]
    assert found.uncovered[0].example == "relu_2"
    lines = list(confidence_lines(to_builtins(found)))[1:]
    assert [line.partition(" on cpu: ")[2] for line in lines[:3]] == [
        "Relu larger than any measured (3 places, most in 'relu_2': 1 ME, measured 1 E..100 E)",
        "Exp with a longer inner extent than any measured (2 places, most in 'exp_4': 9000, measured 2..8)",
        "the rate for Abs rests on 1 measured operator ('abs_6')",
    ]
    assert lines[3].endswith(" %: 1 more reason")
