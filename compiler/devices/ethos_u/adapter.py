"""Arm's Ethos-U NPUs: segments compiled by Arm's Vela, and run here by LiteRT's kernels of the same integer operators.

The compiled form is a folder: `npu.tflite` for the device, the integer file `cpu.tflite` that it was made of, and `report.json` with
Vela's estimates. The NPU is not here: what runs is cpu.tflite, which has the same integer operators; a remark says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...errors import BundleError
from ..adapter import Absent, CompilerReport, LoadedSegment, Needs, Port, Rebindable
from ..litert.adapter import LiteRtAdapter
from ..litert.bound import ALIGN
from .configuration import IN_SRAM, INSTALL, Configuration, configuration, rounded_arena
from .reports import refusal_of, report_from_json
from .vela import run_vela

NPU, CPU, REPORT = "npu.tflite", "cpu.tflite", "report.json"


class EthosUAdapter:
    """`runtime ethos_u vela 5.2 config u55-256 system Ethos_U55_High_End_Embedded memory Shared_Sram`."""

    name = "ethos_u"
    needs = Needs(align=ALIGN)
    suffix = ".ethos_u"
    narrow = ""
    in_place = "LiteRT's integer kernels"

    def __init__(self, words: tuple[str, ...]) -> None:
        self._words, self._wanted, self._litert = words, configuration(words), LiteRtAdapter()

    def missing(self) -> Absent | None:
        """The NPU is never here; with both extras its segments are run by LiteRT."""
        return self.cannot_compile()

    def cannot_compile(self) -> Absent | None:
        from importlib.metadata import PackageNotFoundError, version

        if self._wanted is None:
            return Absent(f"`runtime ethos_u {' '.join(self._words)}` lacks `vela … config … system … memory …`")
        try:
            found = version("ethos-u-vela")
        except PackageNotFoundError:
            return Absent("Arm's compiler Vela (ethos-u-vela) is not installed", INSTALL)
        if found.split(".")[:2] != self._wanted.release.split("."):
            return Absent(f"Vela {found} is installed, and the target is written for {self._wanted.release}", INSTALL)
        return self._litert.missing()

    def versions(self) -> Mapping[str, str]:
        from importlib.metadata import version

        wanted = self._configured()
        about = {"config": wanted.config, "system": wanted.system, "memory": wanted.memory}
        return {"ethos_u_vela": version("ethos-u-vela"), **self._litert.versions(), **about}

    def compile(self, model: Path, blob: Path) -> None:
        """Raises ValueError naming what LiteRT's integers or the NPU do not take."""
        import onnx

        wanted = self._configured()
        content = self._litert.written(onnx.load_model(model), integers_alone=True)
        made, report = run_vela(content, wanted)
        if why := refusal_of(report):
            raise ValueError(why)
        blob.mkdir()
        (blob / CPU).write_bytes(content)
        (blob / NPU).write_bytes(made)
        (blob / REPORT).write_text(json.dumps(report.as_json(), indent=1) + "\n", encoding="utf-8")

    def within(self, size: int) -> tuple[str, ...]:
        """As they are where activations do not lie in the memory that Vela can be given a size of."""
        wanted = self._configured()
        return replace(wanted, arena=rounded_arena(size)).words() if wanted.memory in IN_SRAM else self._words

    def report(self, blob: Path) -> CompilerReport:
        """What Vela estimated of a segment when it compiled it."""
        try:
            found = report_from_json((blob / REPORT).read_bytes())
        except (OSError, ValueError) as problem:
            raise BundleError(f"{blob.name} has no {REPORT} of Vela: {problem}", where=str(blob), help="compile the model again") from None
        operators = tuple((name, cycles / found.clock) for name, cycles in found.operators)
        return CompilerReport(seconds=found.seconds, peak_bytes=found.peak_bytes, operators=operators)

    def load(self, path: Path, blob: Path | None, inputs: Sequence[Port], outputs: Sequence[Port]) -> LoadedSegment:
        assert blob is not None
        if not (blob / CPU).is_file():
            raise BundleError(f"{blob.name} has no {CPU}", where=str(path), help="compile the model again")
        return _StandIn(path, self._litert.load(path, blob / CPU, inputs, outputs), self._configured().core)

    def _configured(self) -> Configuration:
        if self._wanted is None:  # a manifest was edited: the language refuses such a line
            raise BundleError(f"`runtime ethos_u {' '.join(self._words)}` is no configuration of Vela", help="compile the model again")
        return self._wanted


class _StandIn:
    """A segment on LiteRT, in place of the NPU."""

    def __init__(self, path: Path, segment: LoadedSegment, core: str) -> None:
        self._path, self._segment, self.not_run = path, segment, core
        self.copies, self.device = segment.copies, f"{core} (LiteRT's integer kernels in its place)"
        why = getattr(segment, "remarks", ())
        self.remarks = (f"{path.stem} was compiled for the {core} and ran on LiteRT's integer kernels: the NPU itself was not run", *why)

    def again(self, inputs: Sequence[Port], outputs: Sequence[Port]) -> LoadedSegment:
        """Raises BundleError where LiteRT's interpreter runs it, which has one set of tensors."""
        if not isinstance(self._segment, Rebindable):
            raise BundleError(f"{self._path.name} cannot be bound again", where=str(self._path))
        return _StandIn(self._path, self._segment.again(inputs, outputs), self.not_run)

    def run(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._segment.run(values)

    def misplaced(self) -> Sequence[str]:
        return self._segment.misplaced()
