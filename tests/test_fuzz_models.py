"""Mutated models through the command line, each in a process of its own under limits. `make fuzz-models` is the long run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from breadth import examples

TOOL = Path(__file__).resolve().parent.parent / "tools" / "fuzz_models.py"
COUNT = examples(usual=25, wide=60)


def test_mutated_models_break_no_promise(tmp_path: Path) -> None:
    command = [sys.executable, str(TOOL), "--count", str(COUNT), "--seed", "7", "--keep", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-1000:]
    assert re.search(rf"runs {COUNT}, broken promises 0, messages without a place 0", ran.stdout)


def test_the_judge_of_messages_can_say_no(tmp_path: Path) -> None:
    """What the fuzzer holds messages to is not met by any text."""
    script = (
        "import onnx, fuzz_models as f; from limited_trial import Trial\n"
        "m = onnx.parser.parse_model('<ir_version: 8, opset_import: [\"\": 17]> g (float[2] x) => (float[2] y) { y = Relu (x) }')\n"
        "t = lambda code, text, left=(): f.broken_promises(Trial(('compile',), code, '', text, 1.0, 9, '', left), m.SerializeToString())\n"
        "assert not t(1, \"error: Relu (writes 'y') is not run\")\n"
        "assert t(1, 'error: something went wrong') and t(3, 'error: Relu') and t(-11, '') and t(0, '', ('a file',))\n"
        "assert t(1, \"error: KeyError: 'y'\") and t(1, 'Traceback (most recent call last): y')\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], cwd=TOOL.parent, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
