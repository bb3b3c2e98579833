"""Edited bundles are refused by name or give their answer: a short run of tools/fuzz_bundles.py. `make fuzz-bundles` is the long one."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from breadth import examples

TOOL = Path(__file__).resolve().parents[3] / "tools" / "fuzz_bundles.py"
RUNS = examples(usual=50, wide=100)


def test_an_edited_bundle_is_refused_by_name_or_gives_its_answer() -> None:
    """In a process of its own, since it forks."""
    done = subprocess.run([sys.executable, str(TOOL), "--runs", str(RUNS), "--seed", "5"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(rf"runs {RUNS}: refused (\d+), equal (\d+), not trusted (\d+)", done.stdout)
    assert found is not None, done.stdout
    refused, equal, untrusted = map(int, found.groups())
    assert refused > RUNS // 2 and equal > RUNS // 20 and untrusted > RUNS // 2
