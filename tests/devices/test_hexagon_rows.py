"""Rows of tables on the Hexagon emulator, by indices from either end."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_models import save
from table_rows import npu_first, rows_of

from autoglmc.compiler.devices.find_adapter import absence
from autoglmc.compiler.driver.compile_model import compile_model

LACK = absence("qnn", ("htp", "soc", "57", "arch", "75"))
pytestmark = pytest.mark.skipif(LACK is not None, reason=f"{LACK and LACK.reason}: {LACK and LACK.help}")


@pytest.mark.parametrize("dtype", ["int64", "int32"])
@pytest.mark.parametrize("table", ["bytes", "floats"])
def test_rows_are_right_for_indices_from_either_end(table: str, dtype: str, tmp_path: Path) -> None:
    """At the first attempt: nothing was refused or computed wrong. Bytes took other rows, and int32 ended the run."""
    result = compile_model(save(rows_of(table, dtype), tmp_path), npu_first(), output=tmp_path / "out")
    assert {segment.device for segment in result.manifest.segments} == {"npu"}
    assert result.verified and not result.reasons
