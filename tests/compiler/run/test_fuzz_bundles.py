"""Edited bundles are refused by name or give their answer: a short run of tools/fuzz_bundles.py. `make fuzz-bundles` is the long one."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).resolve().parents[3] / "tools" / "fuzz_bundles.py"


def test_an_edited_bundle_is_refused_by_name_or_gives_its_answer() -> None:
    """In a process of its own, since it forks."""
    done = subprocess.run([sys.executable, str(TOOL), "--runs", "100", "--seed", "5"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"runs 100: refused (\d+), equal (\d+), not trusted (\d+)", done.stdout)
    assert found is not None, done.stdout
    refused, equal, untrusted = map(int, found.groups())
    assert refused > 50 and equal > 5 and untrusted > 50
