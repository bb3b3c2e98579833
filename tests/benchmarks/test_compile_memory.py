"""A compilation and its verification never hold a copy of the whole model: a small sister of `benchmarks/compile_memory.py --layers 24`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from compile_memory import peak
from made_decoder import Size, write_decoder

MIB = 1 << 20
SIZE = Size(layers=3, hidden=1024, inner=2816, vocabulary=16000, heads=8, groups=8)
"""272 MiB: more than what a reference may pack (256 MiB), and than all processes hold without weights."""
BESIDE = 520 * MIB
"""Measured: 419 MiB, a copy of a stage included, of which models from 512 MiB on have none; 2,571 with weights in memory (LARGE of
passes/mapped as large as they are)."""
COMMAND = (sys.executable, "-c", "import sys; from autoglmc.compiler.cli import main; sys.exit(main())", "compile")


def test_a_decoder_is_compiled_and_verified_in_its_size_and_little_more(tmp_path: Path) -> None:
    model = write_decoder(tmp_path, SIZE)
    size = (tmp_path / "model.data").stat().st_size
    most, code = peak([*COMMAND, str(model), "--target", "x86_cpu", "-o", str(tmp_path / "bundle"), "--quiet"])
    if not most:
        pytest.skip("this system does not say what is private")
    assert code == 0 and most < size + BESIDE, f"{most / MIB:.0f} MiB, the model has {size / MIB:.0f}"
