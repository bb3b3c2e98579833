"""Results on disk: what is kept, what a second run skips, what an interrupted one leaves, and files that are none of ours."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoglmc.compiler.errors import UsageError, UserError
from autoglmc.compiler.what_if.columns import FIXED, rows_of, table_of
from autoglmc.compiler.what_if.results import Results
from autoglmc.compiler.what_if.row import Row

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
NAMES = st.sampled_from(("npu", "cpu", "dram", "memory peak", "device.npu.dispatch"))
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
COUNTS = st.dictionaries(NAMES, st.integers(0, 1 << 40), max_size=3)
ROWS = st.builds(
    Row, model=st.text(max_size=5), sha256=st.text(max_size=5), target=st.text(max_size=5), digest=st.text(max_size=5),
    version=st.just("0"), effort=NUMBERS, objective=st.just("latency"), shapes=st.text(max_size=5), latency=st.none() | NUMBERS,
    energy=st.none() | NUMBERS, memory=st.none() | st.integers(0, 1 << 50), handoffs=st.none() | st.integers(0, 9),
    settings=st.dictionaries(NAMES, NUMBERS, max_size=3), memories=COUNTS, segments=COUNTS, operators=COUNTS,
    margins=st.dictionaries(NAMES, NUMBERS, max_size=3), kept=st.none() | st.booleans(), plan=st.text(max_size=5),
    problem=st.text(max_size=5), error=st.text(max_size=5), half_width=st.none() | NUMBERS, outside=st.none() | NUMBERS,
    unproven=st.text(max_size=5),
)  # fmt: skip


def row(latency: float = 1.0, **settings: float) -> Row:
    return Row(
        model="m.onnx", sha256="ab", target="t", digest="cd", version="0", effort=1.0, objective="latency", shapes="",
        settings=settings, latency=latency, kept=True, plan="p",
    )  # fmt: skip


@given(st.lists(ROWS, max_size=5))
def test_rows_survive_the_way_to_a_table_and_back(rows: list[Row]) -> None:
    assert rows_of(table_of(rows, pa), pa, "x.parquet") == rows


def test_results_grow_and_keep_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "r.parquet"
    with Results(path) as results:
        results.add(row(a=2.0))
        results.add(row(a=1.0))
    before = path.read_bytes()
    with Results(path) as results:
        assert set(results.rows) == {row(a=1.0).key, row(a=2.0).key}
    assert path.read_bytes() == before, "nothing new, nothing written"
    with Results(path) as results:
        results.add(row(b=1.0))
        results.add(row(3.0, a=1.0))
    table = parquet.read_table(path)
    assert table.column_names[: len(FIXED)] == list(FIXED) and {"set.a", "set.b"} <= set(table.column_names)
    assert table["latency"].to_pylist() == [3.0, 1.0, 1.0] and table["set.a"].to_pylist() == [1.0, 2.0, None]
    assert os.listdir(tmp_path) == ["r.parquet"]


def test_the_order_of_rows_does_not_depend_on_who_was_first(tmp_path: Path) -> None:
    rows = [row(a=float(k)) for k in range(5)]
    for name, order in (("x", rows), ("y", rows[::-1])):
        with Results(tmp_path / f"{name}.parquet") as results:
            for one in order:
                results.add(one)
                results.flush()
    assert (tmp_path / "x.parquet").read_bytes() == (tmp_path / "y.parquet").read_bytes()


def test_an_interruption_keeps_what_was_done(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Results(tmp_path / "r.parquet") as results:
        results.add(row(a=1.0))
        raise KeyboardInterrupt
    assert parquet.read_table(tmp_path / "r.parquet").num_rows == 1 and os.listdir(tmp_path) == ["r.parquet"]


def test_parts_of_a_run_that_was_killed_are_taken_over(tmp_path: Path) -> None:
    killed = Results(tmp_path / "r.parquet")
    killed.add(row(a=1.0))
    killed.flush()
    killed.add(row(a=2.0))  # not written yet: lost
    os.close(killed._lock)  # as the system does
    (tmp_path / "r.parquet.parts" / ".000002.half").write_bytes(b"half-written")
    with Results(tmp_path / "r.parquet") as results:
        assert set(results.rows) == {row(a=1.0).key}
    assert parquet.read_table(tmp_path / "r.parquet").num_rows == 1 and os.listdir(tmp_path) == ["r.parquet"]


def test_a_file_is_written_by_one_command_at_a_time(tmp_path: Path) -> None:
    with Results(tmp_path / "r.parquet"), pytest.raises(UserError, match=r"another command is writing r\.parquet"):
        Results(tmp_path / "r.parquet")
    assert not os.listdir(tmp_path)


def _foreign(path: Path) -> None:
    parquet.write_table(pa.table({"a": [1]}), path)


def _without_latency(path: Path) -> None:
    parquet.write_table(table_of([row()], pa).drop_columns(["latency"]), path)


def _more(path: Path) -> None:
    parquet.write_table(table_of([row()], pa).append_column("colour", pa.array(["red"])), path)


def _other_type(path: Path) -> None:
    table = table_of([row()], pa)
    parquet.write_table(table.set_column(0, "model", pa.array([1])), path)


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda path: path.write_bytes(b"junk"), "cannot read"),
        (lambda path: path.write_bytes(b""), "cannot read"),
        (_foreign, "holds no results of what-if"),
        (_without_latency, "column 'latency' is missing, not double"),
        (_more, "column 'colour' is unknown"),
        (_other_type, "column 'model' is int64, not string"),
        (lambda path: path.mkdir(), "it is a folder"),
    ],
)
def test_a_file_that_is_not_of_results_stays_as_it_is(write: Any, said: str, tmp_path: Path) -> None:
    path = tmp_path / "r.parquet"
    write(path)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(UserError, match=said):
        Results(path)
    assert os.listdir(tmp_path) == ["r.parquet"] and (path.read_bytes() if path.is_file() else b"") == before


def test_a_place_that_cannot_be_is_refused(tmp_path: Path) -> None:
    for path, said in ((tmp_path / "r.csv", "written as .parquet"), (tmp_path / "no" / "r.parquet", "does not exist")):
        with pytest.raises(UsageError, match=said):
            Results(path)


def test_every_field_of_a_row_has_a_column() -> None:
    from autoglmc.compiler.what_if.columns import FAMILIES

    assert {field.name for field in dataclasses.fields(Row)} == set(FIXED) | {field for field, _ in FAMILIES.values()}
