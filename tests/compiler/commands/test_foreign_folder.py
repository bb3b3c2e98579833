"""Nothing is imported from the folder in which a command runs: no process that it starts takes a file there for a library."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from models import model_path

ROOT = Path(__file__).resolve().parents[3]
LIBRARIES = (
    "autoglmc", "coreai", "ctypes", "dataclasses", "ethosu", "functools", "iree", "json", "jinja2", "math", "ml_dtypes", "msgspec",
    "numpy", "onnx", "onnxruntime", "openvino", "pathlib", "pickle", "platform", "queue", "random", "resource", "select", "signal",
    "struct", "tempfile", "threading",
)  # fmt: skip
COMMAND = Path(sys.executable).with_name("autoglmc")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model between files that are called like libraries."""
    made = tmp_path_factory.mktemp("work")
    shutil.copy(model_path("bert_tiny"), made / "model.onnx")
    for number, name in enumerate(LIBRARIES):
        text = f"open({str(made / 'imported')!r}, 'a').write({name!r} + ' ')\nraise ImportError('not a library')\n"
        place = made / f"{name}.py" if number % 2 else made / name / "__init__.py"
        place.parent.mkdir(exist_ok=True)
        place.write_text(text)
    return made


@pytest.mark.parametrize(
    "words",
    [
        ["compile", "model.onnx", "--target", "x86_cpu", "--shape", "batch=1", "--shape", "seq=8", "-o", "bundle"],
        ["bench", "bundle", "--repeat", "3"],
        ["what-if", "model.onnx", "--target", "x86_cpu", "--shape", "batch=1", "--shape", "seq=8", "--sweep", "cpu.dispatch=1us..9us"],
        ["check", "model.onnx"],
    ],
    ids=lambda words: words[0],
)
def test_a_command_runs_beside_files_that_are_called_like_libraries(folder: Path, words: list[str]) -> None:
    fresh = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}  # what is kept asks no process
    done = subprocess.run([str(COMMAND), *words], cwd=folder, env=fresh, capture_output=True, text=True, timeout=120)
    taken = folder / "imported"
    assert not taken.exists(), f"imported from the current folder: {taken.read_text()}"
    assert done.returncode == 0, done.stderr


def test_every_process_of_ours_is_started_in_the_one_way() -> None:
    starting = re.compile(r"sys\.executable|multiprocessing|os\.exec|runpy")
    found = [path for path in (ROOT / "compiler").rglob("*.py") if starting.search(path.read_text("utf-8"))]
    assert found == [ROOT / "compiler" / "own_python.py"]
