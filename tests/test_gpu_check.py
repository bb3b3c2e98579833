"""tools/gpu_check: what it refuses, and its verdict on outputs. That it runs bundles on Vulkan is tried by hand (docs/devices.md)."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "tools" / "gpu_check.sh"


def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gpu_check", ROOT / "tools" / "gpu_check.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ran(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(SCRIPT), *arguments], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin", **environment})


def test_without_a_command_it_says_what_there_is(tmp_path: Path) -> None:
    done = ran("", str(tmp_path))
    assert done.returncode == 2
    assert "gather" in done.stdout and "run" in done.stdout


def test_run_without_cases_says_how_to_make_them(tmp_path: Path) -> None:
    done = ran("run", str(tmp_path))
    assert done.returncode == 2
    assert done.stderr == f"gpu_check: {tmp_path} holds no cases: tools/gpu_check.sh gather makes them\n"


def test_a_python_without_numpy_is_named(tmp_path: Path) -> None:
    (tmp_path / "cases").mkdir()
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    bare.chmod(0o755)
    done = ran("run", str(tmp_path), PYTHON=str(bare))
    assert done.returncode == 2
    assert f"gpu_check: {bare} has no numpy and onnx; PYTHON=… names another" in done.stderr


@pytest.mark.parametrize(("off", "right"), [(0.0, True), (0.019, True), (0.021, False), (np.nan, False), (np.inf, False)])
def test_one_element_decides(tmp_path: Path, off: float, right: bool) -> None:
    expected = np.tile(np.array([-1.0, 1.0], np.float32), 500)
    np.savez(tmp_path / "y.npz", y=expected, z=np.zeros(3, np.float32))
    found = expected.copy()
    found[7] += off
    verdict = tool()._verdict(tmp_path / "y.npz", {"y": found, "z": np.zeros(3, np.float32)})
    assert (verdict == "right") == right
    assert right or verdict.startswith("WRONG: y is ")
