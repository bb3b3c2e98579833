"""A runtime for tests that fails on command: onnxruntime underneath, one fault in one run of one segment."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from autoglmc.compiler.devices import find_adapter as adapters
from autoglmc.compiler.devices.adapter import LoadedSegment, Port
from autoglmc.compiler.devices.ort import OrtAdapter
from autoglmc.compiler.devices.views import view_at
from autoglmc.targets.model import Runtime

STUB = Runtime(adapter="stub", words=())


class Fault:
    """What goes wrong: raise, hang, deaf (hangs and cannot be told to stop), part (writes half), silent (writes nothing), nameless."""

    def __init__(self, kind: str, run: int = 0) -> None:
        self.kind, self.run, self.runs = kind, run, 0
        self.release = threading.Event()

    def install(self, patch: pytest.MonkeyPatch) -> Fault:
        real = adapters.adapter_for
        for place in ("devices.find_adapter", "run.choose_adapters"):
            patch.setattr(
                f"autoglmc.compiler.{place}.adapter_for", lambda name, words=(): _Stub(self) if name == "stub" else real(name, words)
            )
        return self


class _Stub(OrtAdapter):
    name = "stub"

    def __init__(self, fault: Fault) -> None:
        super().__init__()
        self._fault = fault

    def load(self, path: Path, blob: Path | None, inputs: Sequence[Port], outputs: Sequence[Port]) -> LoadedSegment:
        kind = _Deaf if self._fault.kind == "deaf" else _Halted
        return kind(super().load(path, blob, inputs, outputs), outputs, self._fault)


class _Deaf:
    copies, device = False, "stub"

    def __init__(self, real: Any, outputs: Sequence[Port], fault: Fault) -> None:
        self._real, self._outputs, self._fault = real, outputs, fault

    def run(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        fault, now = self._fault, self._fault.runs
        fault.runs += 1
        if now < fault.run:
            return self._real.run(values)
        if fault.kind == "raise":
            raise OSError("the device is gone")
        if fault.kind in ("hang", "deaf"):
            fault.release.wait()
            return {}
        kept = [(port, view_at(port).copy()) for port in self._outputs if port.address is not None]
        made = self._real.run(values)
        for port, before in kept:
            half = 0 if fault.kind == "silent" else before.size // 2
            if fault.kind in ("silent", "part"):
                view_at(port).reshape(-1)[half:] = before.reshape(-1)[half:]
        return {} if fault.kind == "nameless" else made

    def misplaced(self) -> Sequence[str]:
        return ()


class _Halted(_Deaf):
    def halt(self, stop: bool) -> None:
        if stop:
            self._fault.release.set()
