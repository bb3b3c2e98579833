"""Advice about limits, typed in and compiled, over a few random pairs of a model and a target. `tools/try_advice.py` is the long run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from breadth import examples

TOOL = Path(__file__).resolve().parent.parent / "tools" / "try_advice.py"
PAIRS = examples(usual=4, wide=12)


def test_all_advice_works_and_none_that_one_limit_allows_is_missing() -> None:
    command = [sys.executable, str(TOOL), "--pairs", str(PAIRS), "--seed", "7", "--rungs", "8"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    counts = {words: int(number) for number, words in (line.split(maxsplit=1) for line in ran.stdout.splitlines() if line.startswith("  "))}
    assert counts["pairs"] == PAIRS and counts["with advice"] >= PAIRS // 2 and counts["changes of several limits"] >= 1
    assert counts["pairs where one limit would do"] >= PAIRS // 3
    assert counts["changes that fail"] == counts["of them without such advice"] == counts["changes that are not the smallest"] == 0


def test_the_hand_that_types_is_no_part_of_what_it_judges() -> None:
    script = (
        "from try_advice import edited, _beats\n"
        "text = 'target t {\\n  memory a { size 4 KiB; budget 1 KiB; shared cpu; }\\n  limits { power avg <= 1 W; latency < 3 ms; }\\n}'\n"
        "assert 'budget 2 KiB; shared' in edited(text, 'memory a { budget 2 KiB; }')\n"
        "assert 'latency <= 4 ms; }' in edited(text, 'latency <= 4 ms') and 'avg <= 1 W' in edited(text, 'latency <= 4 ms')\n"
        "assert 'memory b { budget 1 KiB; }' in edited(text, 'memory b { budget 1 KiB; }')\n"
        "assert _beats('latency <= 1 ms', 'latency <= 1100 us') and not _beats('latency <= 1 ms', 'latency <= 1.01 ms')\n"
        "assert _beats('fps >= 30', 'fps >= 20') and _beats('accuracy cosine >= 0.99', 'accuracy cosine >= 0.9')\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], cwd=TOOL.parent, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
