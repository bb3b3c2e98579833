"""A sweep: each point is the plan of a file with that number, break points part plans, whoever makes the rows."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from what_if_machines import SWEEP, TARGET, write_model, write_target

from autoglmc.compiler.errors import UsageError
from autoglmc.compiler.hw.load_target import find_target, load_target
from autoglmc.compiler.load.load_model import load_model
from autoglmc.compiler.plan.plan_model import PlannedModel, plan_model
from autoglmc.compiler.what_if.ask import Ask, Given, at_point, read_ask
from autoglmc.compiler.what_if.crew import Crew
from autoglmc.compiler.what_if.row import Row
from autoglmc.compiler.what_if.setting import machine_of
from autoglmc.compiler.what_if.spread import read_axis
from autoglmc.compiler.what_if.sweep import Maker, make_here, sweep
from autoglmc.compiler.what_if.task import Task, make_row

FREE = TARGET.replace("latency <= 900 us; ", "")


def ask(folder: Path, *sweeps: str, text: str = TARGET, models: int = 1) -> Ask:
    write_target(folder, text)
    names = tuple(write_model(folder, f"m{k}.onnx", 64 + 32 * k) for k in range(models))
    return read_ask(Given(models=names, targets=(str(folder / "board.hw"),), sweeps=sweeps), lambda text: None)


def test_each_point_is_the_plan_of_a_file_with_that_number(tmp_path: Path) -> None:
    """Also of points between the others, and where limits are broken: there no plan is returned, and the row says which."""
    made: list[Row] = []
    asked = ask(tmp_path, SWEEP)
    found = sweep(asked, Maker(make_here, keep=made.append))
    assert len({row.plan for row in found.rows}) > 1 and len(made) > len(found.rows)
    model = load_model
    for row in made:
        value = row.settings["device.npu.dispatch"]
        file = write_target(tmp_path, TARGET.replace("dispatch 30 us", f"dispatch {value!r} s"), "fresh.hw")
        planned = plan_model(model(Path(row.model)), load_target(file), 1.0, lambda name: nullcontext())
        if isinstance(planned, PlannedModel):
            expected = planned.predicted
            assert row.kept and not row.problem
        else:
            assert not row.kept and row.problem == planned.problem.message and planned.breaking is not None
            expected = planned.breaking.predicted
        assert (row.latency, row.energy, row.memory) == (expected.latency, expected.joules, expected.memory)
        assert {name: number for name, number in row.segments.items() if number} == dict(expected.pieces)


def test_break_points_part_plans(tmp_path: Path) -> None:
    asked = ask(tmp_path, SWEEP, text=TARGET.replace("900 us", "450 us"))
    found = sweep(asked, Maker(make_here))
    assert {one.low.row.plan != one.high.row.plan for one in found.breaks} == {True, False}, "a plan changes, and a limit"
    for gap in found.breaks:
        assert gap.low.value < gap.high.value <= gap.low.value * 1.0102
        for end in (gap.low, gap.high):
            again = make_row(at_point(gap.pair, ((asked.axes[0].path, end.text, end.value),)))
            assert again == end.row
        assert gap.low.row.identity != gap.high.row.identity
    ends = [row.identity for row in found.rows]
    changes = sum(a != b for a, b in itertools.pairwise(ends))
    assert len(found.breaks) >= changes


def test_a_grid_finds_breaks_on_each_of_its_lines(tmp_path: Path) -> None:
    asked = ask(tmp_path, SWEEP, "cpu.peak.fp32=20GFLOPS..40GFLOPS:2", text=FREE)
    found = sweep(asked, Maker(make_here))
    assert [row.settings["device.npu.dispatch"] for row in found.rows[:7]] == list(asked.axes[0].values)
    assert {row.settings["device.cpu.peak.fp32"] for row in found.rows[:7]} == {2e10}
    lines = {gap.others[0][1] for gap in found.breaks}
    assert lines == {"20 GFLOPS", "40 GFLOPS"}
    slow, fast = (next(gap.low.value for gap in found.breaks if gap.others[0][1] == line) for line in ("20 GFLOPS", "40 GFLOPS"))
    assert slow > fast, "the slower the CPU, the more the NPU's dispatch may cost"


def test_present_value_is_a_sweeps_point_like_any(tmp_path: Path) -> None:
    asked = ask(tmp_path, "npu.dispatch=30us..60us:2")
    (pair,) = asked.pairs
    at_present, _ = sweep(asked, Maker(make_here)).rows
    untouched = make_row(pair)
    assert (untouched.plan, untouched.latency, untouched.memory) == (at_present.plan, at_present.latency, at_present.memory)


def test_several_processes_give_the_same(tmp_path: Path) -> None:
    asked = ask(tmp_path, SWEEP, models=2)
    here = sweep(asked, Maker(make_here)).as_json()
    with Crew(2) as crew:
        assert sweep(asked, Maker(crew)).as_json() == here


def test_a_process_that_dies_costs_one_row(tmp_path: Path) -> None:
    asked = ask(tmp_path, SWEEP)
    tasks = list(asked.tasks())
    with Crew(1) as crew:
        made = crew(tasks)
        first = next(made)
        process = crew._workers[0]._process
        assert process is not None
        process.kill()
        rest = list(made)
    rows = dict([first, *rest])
    assert sorted(rows) == list(range(len(tasks)))
    errors = [row.error for row in rows.values() if row.error]
    assert len(errors) <= 1 and all("was killed by SIGKILL" in error for error in errors)


def test_a_failing_pair_is_a_row_with_its_error(tmp_path: Path) -> None:
    write_target(tmp_path)
    (tmp_path / "broken.hw").write_text("hw 1; target broken { }", encoding="utf-8")
    (tmp_path / "junk.onnx").write_bytes(b"junk")
    models = (write_model(tmp_path), tmp_path / "junk.onnx", tmp_path / "none.onnx")
    targets = (str(tmp_path / "board.hw"), str(tmp_path / "broken.hw"), "no_such", "x86_cpu")
    asked = read_ask(Given(models=models, targets=targets, sweeps=("npu.dispatch=1us..2us:2",)), lambda text: None)
    found = sweep(asked, Maker(make_here))
    assert len(found.rows) == 3 * 4 * 2
    good = [row for row in found.rows if not row.error]
    assert [(Path(row.model).name, row.target) for row in good] == [("model.onnx", "board")] * 2
    said = {(Path(row.model).name, row.target): row.error for row in found.rows if row.error}
    assert "no such file" in said["none.onnx", "board"] and "has no number" in said["model.onnx", "x86_cpu"]
    assert "there is no target 'no_such'" in said["model.onnx", "no_such"] and said["junk.onnx", "board"]


def test_sizes_go_to_the_models_that_have_them(tmp_path: Path) -> None:
    from small_models import DYNAMIC, parse, save

    write_target(tmp_path)
    models = (write_model(tmp_path), save(parse(DYNAMIC), tmp_path, "dynamic.onnx"))
    given = Given(models=models, targets=(str(tmp_path / "board.hw"),), sets=("cpu.dispatch=3us",), sizes=("batch=2,seq=3",))
    asked = read_ask(given, lambda text: None)
    rows = sweep(asked, Maker(make_here)).rows
    assert [(row.shapes, row.error) for row in rows] == [("", ""), ("batch=2,seq=3", "")]
    with pytest.raises(UsageError, match="no model has a dim or an input 'sequence'"):
        read_ask(Given(models=models, targets=given.targets, sets=given.sets, sizes=("sequence=3",)), lambda text: None)


def test_what_is_known_is_not_made_again(tmp_path: Path) -> None:
    asked = ask(tmp_path, SWEEP)
    kept: list[Row] = []
    first = sweep(asked, Maker(make_here, keep=kept.append))

    def none(tasks: Sequence[Task]) -> Iterator[tuple[int, Row]]:
        assert not tasks
        return iter(())

    again = sweep(asked, Maker(none, {row.key: row for row in kept}))
    assert again.rows == first.rows and again.breaks == first.breaks and not again.new


def test_rows_are_of_their_content(tmp_path: Path) -> None:
    """Another meaning of the target is another row, whatever number changed; another place, name or note of the same meaning is not."""
    from what_if_machines import MEASURED

    def key(text: str) -> Any:
        return ask(tmp_path, SWEEP, text=text).pairs[0].row.key

    machine = machine_of(write_target(tmp_path, MEASURED), load_target(tmp_path / "board.hw"))
    told = key(MEASURED)
    texts = [" ".join(filter(None, (number.text,))) for number in machine.numbers if number.value and "calibration" in number.path]
    for text in dict.fromkeys(texts):
        number, _, unit = text.partition(" ")
        assert key(re.sub(rf"(?<![\w.]){re.escape(text)}(?![\w.])", f"{float(number) * 0.75:g} {unit}".strip(), MEASURED)) != told, text
    assert key(TARGET) != told
    assert key(MEASURED.replace("41 networks", "42 networks").replace("hw 1;", "hw 1;\n// a remark")) == told
    write_model(tmp_path, "m0.onnx", 96)
    assert read_ask(ask_given(tmp_path), lambda text: None).pairs[0].row.key != told


def ask_given(folder: Path) -> Given:
    return Given(models=(folder / "m0.onnx",), targets=(str(folder / "board.hw"),), sweeps=(SWEEP,))


def test_rows_of_other_code_are_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ask(tmp_path, "npu.dispatch=1us..2us:2")
    first = sweep(asked, Maker(make_here))
    known = {row.key: row for row in first.rows}
    assert first.new == 2 and sweep(asked, Maker(make_here, known)).new == 0
    for module in ("ask", "task"):
        monkeypatch.setattr(f"autoglmc.compiler.what_if.{module}.code_version", lambda: "0.1.0+another")
    again = sweep(ask(tmp_path, "npu.dispatch=1us..2us:2"), Maker(make_here, known))
    assert again.new == 2 and not any(row.error for row in again.rows)
    assert make_row(asked.tasks()[0]).error.startswith("this process runs autoglmc 0.1.0+another")


def test_a_process_that_lives_on_reads_what_was_changed(tmp_path: Path) -> None:
    """As a worker of a cluster does: rows are those of the files as they are when they are asked for."""
    latencies = []
    for rate, rows in ((30, 64), (15, 64), (15, 128), (30, 64)):
        write_target(tmp_path, TARGET.replace("peak fp32 30", f"peak fp32 {rate}"))
        model = write_model(tmp_path, "m0.onnx", rows)
        given = Given(models=(model,), targets=(str(tmp_path / "board.hw"),), sets=("npu.dispatch=9ms",))
        [row] = sweep(read_ask(given, lambda text: None), Maker(make_here)).rows
        assert not row.error
        latencies.append(row.latency)
    assert len(set(latencies)) == 3 and latencies[0] == latencies[3]
    slow = TARGET.replace("peak fp32 30", "peak fp32 7")
    write_target(tmp_path, slow)
    asked = read_ask(given, lambda text: None).tasks()[0]
    write_target(tmp_path)
    assert "another one" in make_row(asked).error
    write_target(tmp_path, slow)
    assert not make_row(asked).error, "put right, it is planned"


def test_code_is_known_by_its_content(tmp_path: Path) -> None:
    """Any source of it: a cost model, a rule, a table; not the stock targets, of which a row has the digest."""
    from autoglmc.compiler.what_if.code_version import code_digest

    for name in ("compiler/a.py", "targets/work/b.py", "grammar/c.lark", "passes/std/d.hw", "targets/board.hw", "passes/e.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    told = code_digest(tmp_path)
    for name in ("compiler/a.py", "targets/work/b.py", "grammar/c.lark", "passes/std/d.hw", "passes/e.json"):
        (tmp_path / name).write_text("y")
        assert code_digest(tmp_path) != told
        (tmp_path / name).write_text("x")
    (tmp_path / "targets/board.hw").write_text("y")
    (tmp_path / "compiler" / "a.pyc").write_text("y")
    assert code_digest(tmp_path) == told


def test_one_pair_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    write_target(tmp_path)
    for models, targets in (((tmp_path / "none.onnx",), ("a16",)), ((write_model(tmp_path),), ("no_such",))):
        with pytest.raises(UsageError):
            read_ask(Given(models=models, targets=targets, sweeps=("cpu.dispatch=1us..2us",)), lambda text: None)


@pytest.mark.parametrize(
    ("given", "texts"),
    [
        ("npu.dispatch=20us..200us", ["20 us", "40 us", "200 us"]),
        ("npu.dispatch=20..200us:3", ["20 us", "110 us", "200 us"]),
        ("npu.dispatch=20us..200us step 50us", ["20 us", "70 us", "200 us"]),
        ("npu.dispatch=1us..1ms:4", ["1 us", "10 us", "1 ms"]),
        ("dram.page=4KiB..64KiB", ["4 KiB", "8 KiB", "64 KiB"]),
        ("partitions.npu=1..4", ["1", "2", "4"]),
        ("npu.sustained=10%..90%:3", ["10 %", "50 %", "90 %"]),
    ],
)
def test_values_of_a_range(given: str, texts: list[str], tmp_path: Path) -> None:
    write_target(tmp_path)
    machine = machine_of(find_target(tmp_path / "board.hw"), load_target(tmp_path / "board.hw"))
    axis = read_axis(given, machine)
    assert [*axis.texts[:2], axis.texts[-1]] == texts
    assert list(axis.values) == sorted(set(axis.values))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("npu.dispatch=20us", "is not a valid range"),
        ("npu.dispatch", "a sweep is PATH=A..B"),
        ("npu.dispatch=200us..20us", "nothing"),
        ("npu.dispatch=20us..20us", "nothing"),
        ("npu.dispatch=20us..5MB", "unit of size"),
        ("npu.dispatch=a..b", "no number"),
        ("npu.dispatch=1us..2us:1000000000", "at most 10,000"),
        ("npu.dispatch=1us..2us:" + "9" * 40, "no number of values"),
        ("npu.dispatch=1us..2us:1", "no number of values"),
        ("npu.dispatch=1us..1s step 1ns", "at most 10,000"),
        ("npu.dispatch=1us..1s step 0us", "no step"),
        ("npu.dispatch=1us..1s step 1MB", "no step"),
        ("npu.runtime=1..2", "has no number"),
        ("npu.sustained=10%..140%", "at most 100 %"),
    ],
)
def test_a_range_that_is_refused(given: str, said: str, tmp_path: Path) -> None:
    write_target(tmp_path)
    machine = machine_of(find_target(tmp_path / "board.hw"), load_target(tmp_path / "board.hw"))
    with pytest.raises(UsageError, match=said) as refused:
        read_axis(given, machine)
    assert given in refused.value.where


def test_a_grid_of_too_many_points_or_of_one_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="1,000,000 points"):
        ask(tmp_path, "npu.dispatch=1us..2us:1000", "cpu.dispatch=1us..2us:1000")
    with pytest.raises(UsageError, match="swept twice"):
        ask(tmp_path, "npu.dispatch=1us..2us", "device.npu.dispatch=1us..2us")
