"""Edited bundles are refused by name or give their answer: a short run of tools/fuzz_bundles.py. `make fuzz-bundles` is the long one."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]


def tool() -> Any:
    spec = importlib.util.spec_from_file_location("fuzz_bundles", ROOT / "tools" / "fuzz_bundles.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def test_an_edited_bundle_is_refused_by_name_or_gives_its_answer() -> None:
    outcome = tool().fuzz(100, seed=5)
    assert outcome.broken == []
    assert outcome.refused > 50 and outcome.equal > 5 and outcome.untrusted > 50
