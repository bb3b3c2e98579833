"""Settings: every number of every stock target can be set, and means what the same number in the file means; what is refused and how."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from what_if_machines import TARGET, write_target

from autoglmc.compiler.errors import UsageError
from autoglmc.compiler.hw.difference import differences
from autoglmc.compiler.hw.load_target import find_target, load_target, stock_targets
from autoglmc.compiler.what_if.number import numbers_of
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
        after = {one.path: one.value for one in numbers_of(made)}
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
        ("npu.calibration.launch=5us", "measured together", "calibrate again"),
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
    with pytest.raises(UsageError, match="calibration of the device"):
        applied(machine, [read_setting("cpu.dispatch=9us", machine)])
    assert applied(machine, [read_setting("npu.dispatch=9us", machine)]).device("npu").dispatch == pytest.approx(9e-6)
