"""Settings: every number of every stock target can be set, and means what the same number in the file means; what is refused and how."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from calibrated_targets import calibration, rate
from hypothesis import given as generated
from hypothesis import strategies as st
from what_if_machines import MEASURED, TARGET, write_target

from autoglmc.compiler.errors import UsageError
from autoglmc.compiler.hw.difference import differences
from autoglmc.compiler.hw.load_target import find_target, load_target, stock_targets
from autoglmc.compiler.what_if.all_numbers import all_numbers
from autoglmc.compiler.what_if.setting import Machine, Setting, applied, check_apart, machine_of, read_setting
from autoglmc.compiler.what_if.spread import si_value
from autoglmc.grammar.words.units import written


def stock(name: str) -> Machine:
    return machine_of(find_target(name), load_target(name))


@pytest.fixture
def board(tmp_path: Path) -> Machine:
    return machine_of(write_target(tmp_path), load_target(tmp_path / "board.hw"))


@pytest.mark.parametrize("name", stock_targets())
def test_the_present_value_changes_nothing(name: str) -> None:
    machine = stock(name)
    settings = [Setting(number.path, number.text, "") for number in machine.numbers if number.value is not None]
    assert not differences(machine.target, applied(machine, settings))


@pytest.mark.parametrize("name", stock_targets())
def test_every_number_can_be_set_alone_and_only_it_changes(name: str) -> None:
    """Half as much, or what stands beside it where the language refuses that."""
    machine, refused = stock(name), []
    before = {number.path: number.value for number in machine.numbers}
    for number in machine.numbers:
        if number.value is None or (number.whole and number.value < 2):
            continue
        text = written(number.value / 2, number.dimension)
        try:
            made = applied(machine, [Setting(number.path, text, f"--set {number.path}={text}")])
        except UsageError as problem:
            refused.append((number.path, problem.message))
            continue
        after = {one.path: one.value for one in all_numbers(made)}
        assert after[number.path] == pytest.approx(number.value / 2)
        moved = {path for path in before if before[path] != after[path]} - {number.path}
        assert moved <= {number.path.replace(".size", ".budget")}, "a budget that no file states is the size"
    assert all("HW0" in message for _, message in refused)
    assert len(refused) < len(machine.numbers) / 4


def test_every_fact_of_a_target_is_a_number_of_it() -> None:
    for name in stock_targets():
        machine = stock(name)
        assert {fact.path for fact in machine.target.facts} <= {number.path for number in machine.numbers}


def test_a_setting_is_the_number_in_the_file(tmp_path: Path, board: Machine) -> None:
    for path, old, new in (
        ("npu.dispatch", 'dispatch 30 us @proxy("a page")', "dispatch 70 us"),
        ("dram.budget", "budget 32 MiB @guess", "budget 12 MiB"),
        ("npu.idle_power", "active 2 W, idle 0.1 W @guess", "active 2 W, idle 0.7 W"),
        ("npu-cpu.copy_bandwidth", "else copy 5 GB/s @guess", "else copy 3 GB/s"),
        ("partitions.npu", "partitions npu <= 2", "partitions npu <= 1"),
        ("limits.latency", "latency <= 900 us", "latency <= 0.5 ms"),
    ):
        file = write_target(tmp_path, TARGET.replace(old, new), "other.hw")
        made = applied(board, [read_setting(f"{path}={' '.join(new.split()[-2:]) if '<= 1' not in new else '1'}", board)])
        expected = load_target(file)
        strip = {"facts": (), "digest": ""}
        assert not differences(dataclasses.replace(made, **strip), dataclasses.replace(expected, **strip)), path


def test_numbers_of_one_statement_are_set_together(board: Machine) -> None:
    made = applied(board, [read_setting("npu.active_power=5W", board), read_setting("npu.idle_power=0.5W", board)])
    assert (made.device("npu").active_power, made.device("npu").idle_power) == (5.0, 0.5)


@pytest.mark.parametrize(
    ("given", "said", "help"),
    [
        ("npu.dipatch=5us", "has no number 'npu.dipatch'", "did you mean 'npu.dispatch'"),
        ("nothing.here=5us", "has no number 'nothing.here'", "--list"),
        ("npu.max=5", "has no number 'npu.max'", "known: npu.peak.fp32"),
        ("npu.calibration.launch=5us", "device 'npu' of the target 'board' has no calibration", "calibrate"),
        ("npu.dispatch", "PATH=VALUE", "--list"),
        ("=5us", "PATH=VALUE", "--list"),
        ("npu.dispatch=5", "`5` has no unit", "150 us"),
        ("npu.dispatch=5MB", "`MB` is a unit of size", ""),
        ("npu.dispatch=5usec", "unknown unit `usec`", "did you mean `us`?"),
        ("npu.dispatch=-5us", "must be more than 0", ""),
        ("npu.dispatch=1e999us", "finite", ""),
        ("npu.dispatch=five", "is no number", "50us"),
        ("npu.dispatch=5us; } target evil {", "is no number", ""),
        ("npu.dispatch=" + "9" * 100 + "us", "is no number", ""),
        ("npu.sustained=140%", "at most 100 %", ""),
        ("dram.budget=1TiB", "larger than its size", ""),
        ("dram.page=3KiB", "not a power of two", ""),
        ("accuracy.cosine=2", "can never be reached", ""),
        ("memory.peak=1GiB", "allows more than the budget", ""),
    ],
)
def test_a_refusal_names_the_option(given: str, said: str, help: str, board: Machine) -> None:
    with pytest.raises(UsageError) as refused:
        applied(board, [read_setting(given, board)])
    assert said in refused.value.message and help in refused.value.help
    assert refused.value.where.startswith("--set ") and refused.value.exit_code == 2


def test_the_option_at_fault_is_named_among_several(board: Machine) -> None:
    with pytest.raises(UsageError) as refused:
        applied(board, [read_setting(text, board) for text in ("cpu.dispatch=4us", "npu.launch=4kg", "cpu.launch=2us")])
    assert refused.value.where == "--set npu.launch=4kg"


def test_a_number_is_set_once(board: Machine) -> None:
    with pytest.raises(UsageError, match="set twice"):
        check_apart([read_setting("npu.dispatch=5us", board), read_setting("device.npu.dispatch=6us", board)])


def test_a_path_of_several_numbers_is_refused(tmp_path: Path) -> None:
    text = TARGET.replace("memory dram", "memory npu")
    machine = machine_of(write_target(tmp_path, text), load_target(tmp_path / "board.hw"))
    twins = [*machine.numbers, dataclasses.replace(machine.numbers[0], path="device.npu.size")]
    with pytest.raises(UsageError, match="several numbers") as refused:
        read_setting("npu.size=1MiB", dataclasses.replace(machine, numbers=tuple(twins)))
    assert "memory.npu.size or device.npu.size" in refused.value.help


def test_remarks_of_the_language_reach_the_user(board: Machine) -> None:
    said: list[str] = []
    applied(board, [read_setting("dram.budget=16MB", board)], said.append)
    assert said and said[0].startswith("--set dram.budget=16MB: ") and "HW0107" in said[0]


def test_values_are_read_as_the_language_reads_them(board: Machine) -> None:
    for number in board.numbers:
        if number.text:
            assert si_value(number.text, number.dimension) == number.value


def test_a_number_that_a_calibration_replaces_is_not_set_in_vain(tmp_path: Path) -> None:
    block = """calibration @measured("a run") {
      version "onnxruntime 1.32.0"; holdout 82 % within 15 %, median 5 %, interval 18 %, models 41; dispatch 5 us; launch 1 us;
      rate MatMul 20 GFLOPS seen 0.01..2900 MOP n 231;
    }"""
    file = write_target(tmp_path, TARGET.replace("peak fp32 30 GFLOPS;", f"peak fp32 30 GFLOPS; {block}"))
    machine = machine_of(file, load_target(file))
    with pytest.raises(UsageError, match="calibration of the device") as refused:
        applied(machine, [read_setting("cpu.dispatch=9us", machine)])
    assert refused.value.help == "set cpu.calibration.dispatch"
    made = applied(machine, [read_setting("cpu.calibration.dispatch=9us", machine)])
    assert made.device("cpu").calibration.dispatch == pytest.approx(9e-6)  # type: ignore[union-attr]
    assert applied(machine, [read_setting("npu.dispatch=9us", machine)]).device("npu").dispatch == pytest.approx(9e-6)


BRIEF = sorted((Path(__file__).resolve().parents[3] / "examples" / "brief").glob("*[!d].hw"))


def measured(folder: Path, text: str = MEASURED) -> Machine:
    file = write_target(folder, text)
    return machine_of(file, load_target(file))


@pytest.fixture
def machines(tmp_path: Path) -> list[Machine]:
    files = [find_target(str(file)) for file in BRIEF if "as_stated" not in file.name]
    return [measured(tmp_path), *(machine_of(file, load_target(str(file))) for file in files)]


def of_calibrations(machine: Machine) -> list[Any]:
    return [number for number in machine.numbers if ".calibration." in number.path]


def test_the_present_values_of_calibrations_change_nothing(machines: list[Machine]) -> None:
    for machine in machines:
        stated = [number for number in of_calibrations(machine) if number.value is not None]
        assert stated or not any(device.calibration for device in machine.target.devices)
        for number in stated:
            assert si_value(number.text, number.dimension) == number.value
            made = applied(machine, [Setting(number.path, number.text, "")])
            assert {one.path: one.value for one in all_numbers(made)} == {one.path: one.value for one in machine.numbers}


def test_each_number_of_a_calibration_is_set_alone(machines: list[Machine]) -> None:
    """What it does not name stays: the other rates, their conditions and order, what was measured, the hold-out."""
    for machine in machines:
        before = {number.path: number.value for number in machine.numbers}
        for number in of_calibrations(machine):
            if number.value is None:
                continue
            text = written(number.value * (2 if number.whole else 0.5) or 1e-6, number.dimension)
            made = applied(machine, [Setting(number.path, text, f"--set {number.path}={text}")])
            after = {one.path: (one.value, one.condition) for one in all_numbers(made)}
            assert set(after) == set(before)
            assert after[number.path] == (si_value(text, number.dimension), number.condition)
            assert {path for path in before if after[path][0] != before[path]} == {number.path}
            [told] = differences(machine.target, made)
            assert told.section.startswith("calibration of ") and told.kind == "changed"
            assert not number.value or told.ratio == pytest.approx(si_value(text, number.dimension) / number.value)


def test_numbers_of_one_calibration_are_set_together(tmp_path: Path) -> None:
    machine = measured(tmp_path)
    words = """cpu.rate.MatMul.2=11GFLOPS cpu.rate.MatMul.1=7GFLOPS cpu.weights.beyond=3MiB cpu.weights=9GB/s npu.launch=2us
        cpu.calibration.launch=4us cpu.calibration.memory.working=100% cpu.holdout.interval=9% cpu.rate.Add=1GE/s"""
    made = applied(machine, [read_setting(word, machine) for word in words.split()]).device("cpu").calibration
    assert made is not None and made.holdout is not None and made.memory is not None
    assert [(one.operators, one.value, one.samples) for one in made.rates if "MatMul" in one.operators][:2] == [
        (("MatMul",), 7e9, 31), (("MatMul",), 11e9, 65),
    ]  # fmt: skip
    assert (made.weights_bandwidth, made.weights_beyond, made.launch) == (9e9, 3 * 2**20, 4e-6)
    assert (made.memory.weights, made.memory.working, made.holdout.interval, made.holdout.models) == (0.81, 1.0, 0.09, 41)
    assert made.note == "onnxruntime 1.32.0, 1 thread, 41 networks, 2026-11-27" and made.version == "onnxruntime 1.32.0"


@pytest.mark.parametrize(
    ("given", "said", "help"),
    [
        ("cpu.rate.MatMul=5GFLOPS", "'cpu.rate.MatMul' has 2 rates", "cpu.calibration.rate.MatMul.1 (9 GFLOPS where dim(A, 0) == 1)"),
        ("cpu.rate.MatMul.3=5GFLOPS", "has no number", "cpu.calibration.rate.MatMul.2"),
        ("cpu.rate.Relu=5GFLOPS", "counts elements", "MOP"),
        ("cpu.rate.Softmax=5us", "`us` is a unit of time", ""),
        ("cpu.rate.MatMul.2=99TFLOPS", "faster than the peak", "the peak is at least"),
        ("cpu.rate.Gelu=5GE/s", "has no number", "did you mean"),
        ("cpu.calibration.holdout.median=4%", "has no number", "holdout.interval"),
        ("cpu.calibration=4%", "has no number", ""),
        ("cpu.block.Conv.channels=2.5", "whole number", ""),
        ("cpu.memory.weights=-3%", "must be at least 0", ""),
    ],
)
def test_a_refusal_of_a_measured_number_says_what_can_be_set(given: str, said: str, help: str, tmp_path: Path) -> None:
    machine = measured(tmp_path)
    with pytest.raises(UsageError) as refused:
        applied(machine, [read_setting(given, machine)])
    assert said in refused.value.message and help in (refused.value.help or "")
    assert refused.value.where == f"--set {given}"


def test_a_rate_of_another_measure_is_no_value_for_it(tmp_path: Path) -> None:
    """Where no range of work gives it away."""
    machine = measured(tmp_path, MEASURED.replace("1.6 GE/s seen 0.1..2400 kE n 40", "1.6 GE/s"))
    with pytest.raises(UsageError, match="is a rate of elements, and 2 GB/s is a bandwidth"):
        applied(machine, [read_setting("cpu.rate.Add=2GB/s", machine)])


OPERATORS = ("Conv", "MatMul", "Gemm", "com.microsoft::FusedMatMul")
LINES = st.lists(
    st.tuples(st.lists(st.sampled_from(OPERATORS), min_size=1, max_size=3, unique=True), st.integers(1, 900)), min_size=1, max_size=6
)


@generated(LINES, st.data())
def test_setting_a_rate_changes_what_the_first_line_says_and_nothing_else(lines: list[tuple[list[str], int]], data: st.DataObject) -> None:
    from tempfile import TemporaryDirectory

    from autoglmc.compiler.calibrate.fit_write import calibration_text

    text = calibration_text(calibration(*(rate(*names, value=value * 1e7) for names, value in lines)))
    with TemporaryDirectory() as folder:
        machine = measured(Path(folder), TARGET.replace("peak fp32 30 GFLOPS;", f"peak fp32 30 GFLOPS; {text}"))
        chosen = data.draw(st.sampled_from(sorted({name for names, _ in lines for name in names})))
        made = applied(machine, [read_setting(f"cpu.rate.{chosen}=3.5GFLOPS", machine)]).device("cpu").calibration
    assert made is not None
    for name in {name for names, _ in lines for name in names}:
        first = next(one for one in made.rates if name in one.operators)
        assert first.value == (3.5e9 if name == chosen else next(value * 1e7 for names, value in lines if name in names))
