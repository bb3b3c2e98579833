"""Running a session keeps no memory; what it adds to its segments is measured by benchmarks/session_overhead.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import session_overhead
from slicing import bundle_of, cut
from small_models import parse

CHAIN = "g (float[64,64] x) => (float[64,64] y) { a = Neg(x) b = Abs(a) y = Neg(b) }"
X = {"x": np.ones((64, 64), np.float32)}


def test_runs_keep_no_memory(tmp_path: Path) -> None:
    session = bundle_of(cut(parse(CHAIN), ("npu", "cpu", "gpu"), modes=("zero_copy", "copy")), tmp_path / "b").session()
    kept, more = session_overhead.growth(session, X, 500)
    assert kept < 4096, kept  # 16 KiB of output, once, would already show
    assert more < 4 << 20, more  # one output kept a run would be 8 MiB; the process of all tests moves by 2 MiB by itself


def test_pipelined_runs_keep_no_memory(tmp_path: Path) -> None:
    session = bundle_of(cut(parse(CHAIN), ("npu", "cpu", "gpu")), tmp_path / "b").session()

    class Many:
        def run(self, inputs: dict[str, np.ndarray]) -> None:
            session.run_many([inputs] * 4, pipeline=True)

    kept, more = session_overhead.growth(Many(), X, 100)  # type: ignore[arg-type]
    assert kept < 16384, kept
    assert more < 2 << 20, more
