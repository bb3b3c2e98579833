"""Probes a runtime: which of these small models does it compile, and what does it compute?"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..activity import limits
from ..devices.adapter import Adapter
from ..devices.try_models import CRASHED
from ..own_python import PYTHON
from ..parent import ending

if TYPE_CHECKING:
    import numpy
    import onnx

    Array = numpy.ndarray[Any, Any]

EACH = 60.0
"""Seconds for one model before it counts as refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """message: the runtime's error, "" where it compiled (and ran) the model. outputs: of the run, None where it was only compiled.
    crashed: whether the error is no refusal, but the runtime or its compiler crashed or gave no answer."""

    message: str
    outputs: Mapping[str, Array] | None
    crashed: bool = False

    @property
    def accepted(self) -> bool:
        return not self.message


def try_models(
    adapter: Adapter, words: Sequence[str], models: Sequence[tuple[onnx.ModelProto, Mapping[str, Array] | None]], each: float | None = None
) -> list[ProbeResult]:
    """Compiles every model for the runtime and runs those with inputs, in a process of their own: a model that crashes or hangs the runtime
    ends that process, and another process goes on with the rest.

    Weights must be inline and all shapes known. `words`: of the target's `runtime` line; `each`: seconds per model, by default what the
    command allows, or EACH."""
    import numpy

    each = each or limits().seconds or EACH

    with tempfile.TemporaryDirectory(prefix="autoglmc-probe-") as work:
        folder = Path(work)
        for number, (model, inputs) in enumerate(models):
            (folder / f"{number}.onnx").write_bytes(model.SerializeToString())
            if inputs is not None:
                numpy.savez(folder / f"{number}.npz", **dict(inputs))  # type: ignore[arg-type]
        first = 0
        while first < len(models):
            first = _go_on(adapter.name, words, folder, first, len(models), each)
        return [_read(folder, number) for number in range(len(models))]


def _go_on(name: str, words: Sequence[str], folder: Path, first: int, count: int, each: float) -> int:
    """Runs the worker from model `first` on; the number to continue with."""
    command = [*PYTHON, "-m", "autoglmc.compiler.devices.try_models", name, str(folder), str(first), *words]
    with (folder / "log").open("wb") as log:
        worker = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            reached, since = first, time.monotonic()
            while worker.poll() is None and time.monotonic() - since < each:
                time.sleep(0.02)
                if (done := _reached(folder, reached)) > reached:
                    reached, since = done, time.monotonic()
        finally:
            worker.kill()
            worker.wait()
    reached = _reached(folder, reached)
    if reached < count:
        why = f"no answer within {each:g} s" if worker.returncode == -9 else f"the runtime ended its process ({ending(worker.returncode)})"
        (folder / f"{reached}{CRASHED}").touch()
        (folder / f"{reached}.txt").write_text(why, encoding="utf-8")
        reached += 1
    return reached


def _reached(folder: Path, number: int) -> int:
    while (folder / f"{number}.txt").is_file():
        number += 1
    return number


def _read(folder: Path, number: int) -> ProbeResult:
    import numpy

    message = (folder / f"{number}.txt").read_text(encoding="utf-8")
    found = folder / f"{number}.out.npz"
    outputs = dict(numpy.load(found)) if found.is_file() and not message else None
    return ProbeResult(message=message, outputs=outputs, crashed=(folder / f"{number}{CRASHED}").exists())
