"""Running a session keeps no memory and adds little to the segments; benchmarks/session_overhead.py measures the same on real models."""

from __future__ import annotations

import time
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
    assert more < 1 << 20, more


def test_pipelined_runs_keep_no_memory(tmp_path: Path) -> None:
    session = bundle_of(cut(parse(CHAIN), ("npu", "cpu", "gpu")), tmp_path / "b").session()

    class Many:
        def run(self, inputs: dict[str, np.ndarray]) -> None:
            session.run_many([inputs] * 4, pipeline=True)

    kept, more = session_overhead.growth(Many(), X, 100)  # type: ignore[arg-type]
    assert kept < 16384, kept
    assert more < 2 << 20, more


def test_a_run_adds_little_to_its_segments(tmp_path: Path) -> None:
    """Three segments, inputs checked and copied, outputs copied, steps timed: some 20 us on an idle core, and the best of many runs."""
    session = bundle_of(cut(parse(CHAIN), ("npu", "cpu", "gpu")), tmp_path / "b").session()
    session.run(X)
    direct, best = session_overhead.bare(session), {"ours": 1.0, "bare": 1.0}
    assert direct is not None
    for _ in range(300):
        for name, call in (("ours", lambda: session.run(X)), ("bare", direct)):
            start = time.perf_counter()
            call()
            best[name] = min(best[name], time.perf_counter() - start)
    assert best["ours"] - best["bare"] < 100e-6, best
