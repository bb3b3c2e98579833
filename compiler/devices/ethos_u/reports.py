"""What Vela says of a compilation: its two tables and its warnings."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

WARNING = re.compile(r"^Warning \(supported operators\) operator: (?P<code>\w+), ofm: '(?P<name>.*)'$", re.MULTILINE)
REASON = re.compile(r"^Reason: (?P<why>.*)$", re.MULTILINE)
MOST = 4
"""Operators that a message names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VelaReport:
    """Of one file. Cycles are Vela's estimates."""

    cycles: int
    """Of one inference."""
    clock: float
    """Hz."""
    peak_bytes: int
    """Of the memory where activations lie, inputs and outputs included."""
    npu_operators: int
    operators: tuple[tuple[str, int], ...] = ()
    """(the tensor that it writes, cycles), of each operator on the NPU in the order in which they run. They may overlap: their sum is not
    `cycles`."""
    on_cpu: tuple[str, ...] = ()
    """ "QUANTIZE (x.transposed): why", of each operator that is left to the CPU."""

    @property
    def seconds(self) -> float:
        return self.cycles / self.clock

    def as_json(self) -> dict[str, object]:
        return {
            "cycles": self.cycles,
            "clock_hz": self.clock,
            "seconds": self.seconds,
            "peak_bytes": self.peak_bytes,
            "npu_operators": self.npu_operators,
            "operators": [list(each) for each in self.operators],
            "cpu_operators": list(self.on_cpu),
        }


def report_from_json(text: bytes) -> VelaReport:
    """What `as_json` gave. Raises ValueError for any other text."""
    try:
        found = json.loads(text)
        return VelaReport(
            cycles=int(found["cycles"]),
            clock=float(found["clock_hz"]),
            peak_bytes=int(found["peak_bytes"]),
            npu_operators=int(found["npu_operators"]),
            operators=tuple((str(name), int(cycles)) for name, cycles in found["operators"]),
            on_cpu=tuple(map(str, found["cpu_operators"])),
        )
    except (KeyError, TypeError) as problem:
        raise ValueError(f"it is no report of Vela ({type(problem).__name__}: {problem})") from None


def read_reports(folder: Path, output: str) -> VelaReport:
    """`folder`: where Vela wrote; `output`: what it printed. Raises ValueError where a table is missing, or is not the one of Vela 5.2."""
    try:
        layers = _rows(next(folder.glob("*_per-layer.csv")))
        targets = [(row["Target"], row["Original Operator"], row["Name"]) for row in layers]
        timed = tuple((row["Name"], int(float(row["Op Cycles"]))) for row in layers if row["Target"] == "NPU")
        why = _reasons(output)
        left = tuple(f"{code.upper()} ({name}){why.get(name, '')}" for target, code, name in targets if target != "NPU")
        if len(left) == len(targets):
            return VelaReport(cycles=0, clock=1.0, peak_bytes=0, npu_operators=0, on_cpu=left)  # Vela writes no summary then
        (summary,) = _rows(next(folder.glob("*_summary_*.csv")))
        area = summary["feature_map_storage_area"].lower().replace("-", "_").replace(" ", "_")
        return VelaReport(
            cycles=int(float(summary["cycles_total"])),
            clock=float(summary["core_clock"]),
            peak_bytes=round(float(summary[f"{area}_memory_used"]) * 1024),
            npu_operators=len(targets) - len(left),
            operators=timed,
            on_cpu=left,
        )
    except (StopIteration, KeyError, ValueError) as problem:
        raise ValueError(f"Vela's reports are not those of version 5.2 ({type(problem).__name__}: {problem})") from None


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _reasons(output: str) -> Mapping[str, str]:
    """Vela's first reason, by the name of the operator's output."""
    found = {}
    for warning in WARNING.finditer(output):
        reason = REASON.search(output, warning.end())
        found[warning["name"]] = f": {reason['why'].strip()}" if reason is not None else ""
    return found


def refusal_of(report: VelaReport) -> str:
    """Why a segment is not taken, as half a sentence; "" where all of it runs on the NPU."""
    if not report.on_cpu:
        return ""
    more = f" and {len(report.on_cpu) - MOST} more" if len(report.on_cpu) > MOST else ""
    return f"Vela leaves {len(report.on_cpu)} of {len(report.on_cpu) + report.npu_operators} operators to the CPU: " + (
        "; ".join(report.on_cpu[:MOST]) + more
    )
