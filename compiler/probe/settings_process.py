"""onnxruntime's CPU in a process of its own, asked about models under one setting after the other: a crash or a hang is an answer too."""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from ..activity import limits
from ..devices.ort_settings import OrtSettings
from ..devices.try_settings import read_values, write_values
from ..own_python import PYTHON
from ..parent import ending

EACH = 60.0
"""Seconds for loading a model and running it once."""
TIMED = 0.5
"""Seconds over which runs are timed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """problem: "" where the model was loaded and ran. seconds: of the timed runs, for each of the settings."""

    problem: str
    outputs: Mapping[str, Any] = field(default_factory=dict)
    seconds: tuple[tuple[float, ...], ...] = ()


class SettingsProcess:
    """Use it in `with`. The process begins at the first question, and anew after one that ended it."""

    def __init__(self, each: float | None = None) -> None:
        """each: seconds for a question; by default what the command allows, or EACH."""
        self._each = each or limits().seconds or EACH
        self._folder = tempfile.TemporaryDirectory(prefix="autoglmc-settings-")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> SettingsProcess:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end()
        self._folder.cleanup()

    def run(self, model: Path, feeds: Mapping[str, Any], *settings: OrtSettings, timed: bool = False) -> Ran:
        """Outputs under the first of the `settings`; `timed`: with the times under each, run in turn.

        Raises TypeError for feeds that are no arrays."""
        folder = Path(self._folder.name)
        given, saved = folder / "feeds", folder / "outputs"
        write_values(given, feeds)
        job = {
            "model": str(model.resolve()),
            "feeds": str(given),
            "save": str(saved),
            "settings": [(one.optimisation, one.optimizers_off) for one in settings],
            "seconds": TIMED if timed else 0,
        }
        answer = self._ask(json.dumps(job).encode() + b"\n")
        if isinstance(answer, str):
            return Ran(problem=answer)
        outputs = {} if answer["problem"] else read_values(saved)
        return Ran(problem=answer["problem"], outputs=outputs, seconds=tuple(map(tuple, answer["seconds"])))

    def _ask(self, line: bytes) -> dict[str, Any] | str:
        """The answer; or what became of the process, which is ended then."""
        process = self._process = self._process or _started()
        assert process.stdin is not None and process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(line)
            process.stdin.flush()
        if not select.select([process.stdout], [], [], self._each)[0]:
            self._end()
            return f"no answer within {self._each:g} s"
        said = process.stdout.readline()
        if said.endswith(b"\n"):
            return dict(json.loads(said))
        process.wait()
        self._end()
        return f"it ended its process ({ending(process.returncode)})"

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def _started() -> subprocess.Popen[bytes]:
    command: Sequence[str] = (*PYTHON, "-m", "autoglmc.compiler.devices.try_settings")
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
