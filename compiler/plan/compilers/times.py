"""Segments whose runtime's compiler estimates what they take: its cycles and its memory stand for ours.

What is predicted of the plan, and what its limits are held against, is the compiler's; and so are, operator by operator, the prices that
the placement is chosen by (`rounds.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ....passes.place.placed import Placement
from ....passes.place.segment import Segment
from ....targets.cost import home_memory
from ....targets.model import Runtime, Target
from ...bundle.blobs.compiler_reports import compiler_refusal, compiler_report
from ...bundle.blobs.crash import CompilerCrashed
from ...devices.adapter import Budgeted, CompilerReport, Reporting
from ...devices.find_adapter import adapter_for
from ...quantities import count
from ..segment_times import SegmentTime
from ..segments import Compiled

LEAST = 1024
"""Bytes that a compiler is given as its limit, to get the smallest plan that it can make."""
QUANTISING = frozenset({"QuantizeLinear", "DequantizeLinear"})


def reported(compiled: Compiled, target: Target, arena: int, compares: bool = False) -> tuple[Compiled, tuple[CompilerReport | None, ...]]:
    """A report of each segment; None where its runtime's compiler makes none, or is not here. The compiled model with the
    options of those compilers: without a size of memory where the budget suffices, else with what the `arena` (bytes) leaves of it.
    compares: whether plans are only compared: one whose arena alone is more than the budget breaks it, whatever lies inside of segments, so
    that no compiler is asked a second time by how much."""
    runtimes = dict(compiled.runtimes)
    reports: list[CompilerReport | None] = [None] * len(compiled.segments)
    for device in dict.fromkeys(segment.device for segment in compiled.segments):
        mine = [k for k, segment in enumerate(compiled.segments) if segment.device == device]
        segments = [compiled.segments[k] for k in mine]
        budget, least = home_memory(target, device).budget, min(border_bytes(segment) for segment in segments)
        full = compares and arena > budget and home_memory(target, device).name == home_memory(target, target.host.name).name
        asked = _Asked(target.device(device).runtime, segments, budget - arena)
        runtimes[device], made = asked.of(None) if full else asked.within(budget - arena + least)
        for k, report in zip(mine, made, strict=True):
            reports[k] = report
    return replace(compiled, runtimes=runtimes), tuple(reports)


_Made = tuple[Runtime, list[CompilerReport | None]]
"""A runtime's line, and what its compiler says of each segment by it."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """room: bytes for what lies inside of segments, beside the arena."""

    runtime: Runtime
    segments: Sequence[Segment]
    room: int

    def within(self, size: int) -> _Made:
        """Without a size where that fits, else with `size`. A compiler that exceeds the smallest size exceeds no less of any other: where
        that does not fit nothing does, and its answer serves for every budget. It is asked first where segments are not
        expected to fit."""
        tight = max(segment.internal_peak for segment in self.segments) > self.room
        if tight and not self.fits(least := self.of(LEAST)):
            return least
        if self.fits(free := self.of(None)):
            return free
        if not tight and not self.fits(least := self.of(LEAST)):
            return least
        return self.of(size)

    def of(self, size: int | None) -> _Made:
        runtime = _within(self.runtime, size)
        return runtime, [_report(segment, runtime) for segment in self.segments]

    def fits(self, made: _Made) -> bool:
        reports = zip(made[1], self.segments, strict=True)
        return max((held_by(report, segment).internal_peak for report, segment in reports if report is not None), default=0) <= self.room


def _within(runtime: Runtime, size: int | None) -> Runtime:
    adapter = None if size is None or size <= 0 else adapter_for(runtime.adapter, runtime.words)
    if size is None or not isinstance(adapter, Budgeted) or adapter.cannot_compile() is not None:
        return runtime
    return replace(runtime, words=adapter.within(size))


def _report(segment: Segment, runtime: Runtime) -> CompilerReport | None:
    adapter = adapter_for(runtime.adapter, runtime.words)
    if adapter is None or not isinstance(adapter, Reporting):
        return None
    try:
        return compiler_report(adapter, runtime.words, segment.without_weights(), segment.constants)
    except CompilerCrashed as crash:
        raise on_segment(crash, segment) from None


def on_segment(crash: CompilerCrashed, segment: Segment) -> CompilerCrashed:
    return crash.on(_described(segment), lambda: segment.model)


def _described(segment: Segment) -> str:
    """ "segment 1 (npu), 24 operators: Conv (conv1) to Add (y)"."""
    nodes = [node for node in segment.part.nodes if node.operator not in QUANTISING] or segment.part.nodes
    ends = dict.fromkeys(f"{node.operator} ({node.name or node.outputs[0]})" for node in (nodes[0], nodes[-1]))
    return f"segment {segment.index} ({segment.device}), {count(len(segment.part.nodes), 'operator')}: {' to '.join(ends)}"


def refusal_of(segment: Segment, runtime: Runtime) -> str:
    """Why the runtime's compiler, asked of it before, does not take a segment; "" where that is not known."""
    adapter = adapter_for(runtime.adapter, runtime.words)
    assert adapter is not None, "it was asked"
    return compiler_refusal(adapter, runtime.words, segment.without_weights(), segment.constants)


def border_bytes(segment: Segment) -> int:
    """Of its inputs and outputs."""
    return sum(segment.graph.tensor(name).bytes or 0 for name in {*segment.inputs, *segment.outputs})


def reporting_devices(target: Target) -> tuple[int, ...]:
    """Numbers of the devices whose compilers estimate segments, and are here."""
    found: list[int] = []
    for number, device in enumerate(target.devices):
        adapter = adapter_for(device.runtime.adapter, device.runtime.words)
        if isinstance(adapter, Reporting) and adapter.cannot_compile() is None:
            found.append(number)
    return tuple(found)


def operator_prices(placement: Placement, reports: Sequence[CompilerReport | None]) -> dict[tuple[int, int], float]:
    """Seconds by node and device, by number, of every segment that has a report: those of a segment sum to what its report says.
    `reports`: of the placement's pieces."""
    question = placement.question
    found: dict[tuple[int, int], float] = {}
    for piece, report in zip(placement.solution.price.pieces, reports, strict=True):
        if report is not None:
            members = sorted(k for unit in piece.units for k in question.units[unit])
            writer = {name: k for k in members for name in question.nodes[k].writes}
            found.update({(k, piece.device): seconds for k, seconds in shared_out(report, members, writer).items()})
    return found


def shared_out(report: CompilerReport, members: Sequence[int], writer: Mapping[str, int]) -> dict[int, float]:
    """Seconds of a segment by the numbers of its nodes; `writer`: the number by the tensor that a node writes. What the compiler names
    after no tensor of the model comes before what it is made for: it counts for the next operator that has a name, at the end for the
    last one."""
    found = dict.fromkeys(members, 0.0)
    waiting, last = 0.0, members[-1]
    for name, seconds in report.operators:
        waiting += seconds
        number = _writer_of(name, writer)
        if number is not None:
            found[number] += waiting
            waiting, last = 0.0, number
    found[last] += waiting
    total = sum(found.values())
    return {k: seconds * report.seconds / total if total else report.seconds / len(members) for k, seconds in found.items()}


def _writer_of(name: str, writer: Mapping[str, int]) -> int | None:
    """Of a tensor of the model, or of one that was made for it: "x", "x.transposed", "x.1"."""
    while name not in writer and "." in name:
        name = name.rpartition(".")[0]
    return writer.get(name)


def timed_by(report: CompilerReport | None, time: SegmentTime) -> SegmentTime:
    return time if report is None else replace(time, compiled=report.seconds)


def held_by(report: CompilerReport | None, segment: Segment) -> Segment:
    """The compiler counts inputs and outputs, which lie in the arena."""
    if report is None:
        return segment
    return replace(segment, internal_peak=max(report.peak_bytes - border_bytes(segment), 0))
