"""Rows of tables on a device that takes no index from the end: counted from the start there, and as they are elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_models import save
from table_rows import npu_first, rows_of

from autoglmc.compiler.driver.compile_model import compile_model

WRAPS = {("bytes", "int64"), ("bytes", "int32"), ("floats", "int32")}
"""What Hexagon does not take as it is (docs/devices.md)."""


@pytest.mark.parametrize("dtype", ["int64", "int32"])
@pytest.mark.parametrize("table", ["bytes", "floats"])
def test_rows_are_counted_from_the_start_where_the_device_asks(table: str, dtype: str, tmp_path: Path) -> None:
    """Bytes as a unit between their grids; the bundle is right for indices of either sign."""
    result = compile_model(save(rows_of(table, dtype), tmp_path), npu_first(), output=tmp_path / "out", verify=True, emulate=True)
    assert {segment.device for segment in result.manifest.segments} == {"npu"}
    assert not isinstance(result.verification, str) and result.verification.verified
    kinds = {node.kind for cut in result.work.segments for node in cut.part.nodes}
    assert ({"Less", "Add", "Where"} <= kinds) == ((table, dtype) in WRAPS)
    assert ("QuantizeLinear" in kinds) == (table == "bytes")


@pytest.mark.parametrize("table", ["bytes", "floats"])
def test_a_cpu_takes_indices_as_they_are(table: str, tmp_path: Path) -> None:
    result = compile_model(save(rows_of(table, "int64"), tmp_path), "x86_cpu", output=tmp_path / "out", verify=True)
    assert not {"Less", "Where"} & {node.kind for cut in result.work.segments for node in cut.part.nodes}
