"""What loading a segment adds to the process: an array of its own, a mapped file, and the report of a run."""

from __future__ import annotations

import gc
import mmap
from pathlib import Path

import numpy as np
import pytest
from slicing import bundle_of, cut
from small_models import parse

from autoglmc.compiler.run import resident
from autoglmc.compiler.run.give_back import give_back
from autoglmc.compiler.run.requests import run_bundle
from autoglmc.compiler.run.resident import STATUS, measure_resident

MIB = 1 << 20
needs_linux = pytest.mark.skipif(not STATUS.is_file(), reason=f"{STATUS} is Linux's")


@needs_linux
def test_own_and_mapped_pages_are_told_apart(tmp_path: Path) -> None:
    gc.collect()  # what tests before this one left is not freed meanwhile
    give_back()
    kept, added = measure_resident(lambda: np.ones(64 * MIB, np.uint8))
    assert added is not None and kept.nbytes == 64 * MIB
    assert 60 * MIB < added.own < 70 * MIB and abs(added.mapped) < 4 * MIB
    path = tmp_path / "weights"
    path.write_bytes(bytes(32 * MIB))

    def read() -> mmap.mmap:
        with path.open("rb") as stream:
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        assert sum(mapped[:: mmap.PAGESIZE]) == 0
        return mapped

    mapped, added = measure_resident(read)
    assert added is not None and len(mapped) == 32 * MIB
    assert 30 * MIB < added.mapped < 36 * MIB and abs(added.own) < 8 * MIB


def test_a_system_that_does_not_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resident, "STATUS", tmp_path / "none")
    assert measure_resident(lambda: 1) == (1, None)
    (tmp_path / "none").write_text("VmRSS:\t 5 kB\n")
    assert measure_resident(lambda: 2) == (2, None)


@needs_linux
def test_a_run_reports_each_segment(tmp_path: Path) -> None:
    bundle = bundle_of(cut(parse("g (float[8] x) => (float[8] y) { a = Neg(x) y = Neg(a) }"), ("npu", "cpu")), tmp_path / "b")
    result = run_bundle(bundle, {"x": np.ones(8, np.float32)})
    assert [(memory.segment, memory.runtime) for memory in result.resident] == [("0 (npu)", "ort"), ("1 (cpu)", "ort")]
    assert result.as_json()["resident"][1]["segment"] == "1 (cpu)"
