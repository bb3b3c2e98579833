"""Profiles of a bundle's segments, joined to its operators: what measuring on the device itself would have given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ....targets.model import Device, Target
from ...bundle.manifest import Manifest
from ...bundle.plan_records import SegmentRecord
from ...errors import BundleError, first_line
from ...quantities import time
from ..measure.expanded import join_expanded
from ..measure.join import Joined, Reported, join
from ..measure.segment_kernels import SegmentKernels, segment_kernels
from ..records import MeasuredKernel, MeasuredSegment, Measurement
from .rows import LATENCY, MEMORY, ProfileError, ProfileFile, Row

MOST_FOREIGN, MOST_OFF, MOST_NOISE = 0.15, 0.15, 1.30
UNITS = (("milliseconds", 1e3), ("microseconds", 1e6), ("nanoseconds", 1e9))
UNIT_SLACK = 3.0
"""A sum this close to a thousand times the latency is in another unit."""
PROFILER = "profiler"
"""Key of the head: seconds that the profiler adds to each operator, "1.9 us" or "1.9e-6"."""
PROFILER_HELP = "state at the head of the CSV (--convert writes one) what the profiler adds to each operator: `# profiler: 1.9 us`"
WORST = 5


@dataclass(frozen=True, slots=True)
class Imported:
    """What a profile says of a bundle."""

    measurement: Measurement
    unjoined: Mapping[str, float]
    """Per case, the share of its time that belongs to no operator of the bundle."""
    memory_rows: int = 0
    """Rows of private memory, which nothing here uses."""


def import_profiles(files: Sequence[ProfileFile], folder: Path, manifest: Manifest, target: Target, device: Device) -> Imported:
    """Every model and segment of the profiles becomes one measured segment. Raises ProfileError where they cannot be believed."""
    records = {str(record.index): record for record in manifest.segments if record.device == device.name}
    if not records:
        raise ProfileError(f"the bundle has no segment on {device.name}", where=str(folder))
    segments, shares, known = [], {}, dict[str, SegmentKernels]()
    for file in files:
        for (model, index), rows in _grouped(file, records).items():
            record = records[index]
            kernels = known.setdefault(record.file, _kernels(folder / record.file, target, device))
            case = f"{model or folder.name} segment {record.index}" if len(records) > 1 else model or folder.name
            measured, share = _measured(file, rows, kernels, device, model or folder.name, case)
            segments.append(measured)
            shares[case] = share
    head = {key: value for file in files for key, value in file.head.items()}
    runtime = head.pop("runtime", device.runtime.adapter)
    found = Measurement(device=device.name, runtime=runtime, environment=head, segments=tuple(segments))
    return Imported(found, shares, sum(row.kind == MEMORY for file in files for row in file.rows))


def _grouped(file: ProfileFile, records: Mapping[str, SegmentRecord]) -> dict[tuple[str, str], list[Row]]:
    """Rows by model and segment; a row that states no segment is of the only one."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in file.rows:
        if row.kind != MEMORY:
            found.setdefault((row.model, _index(file, row, records)), []).append(row)
    return found


def _index(file: ProfileFile, row: Row, records: Mapping[str, SegmentRecord]) -> str:
    if row.segment in records:
        return row.segment
    if not row.segment and len(records) == 1:
        return next(iter(records))
    said = f"segment {row.segment} is none of the device's" if row.segment else "the segment is not stated"
    raise ProfileError(f"{said}: {', '.join(sorted(records))}", where=f"{file.name}:{row.line}")


def _kernels(path: Path, target: Target, device: Device) -> SegmentKernels:
    import onnx

    try:
        model = onnx.load_model(path, load_external_data=False)
    except Exception as problem:  # protobuf's own error types differ between its back ends
        raise BundleError(f"cannot read a segment's model: {first_line(problem)}", where=str(path)) from None
    return segment_kernels(model, target, device)


def _measured(
    file: ProfileFile, rows: Sequence[Row], kernels: SegmentKernels, device: Device, network: str, case: str
) -> tuple[MeasuredSegment, float]:
    latencies = [row for row in rows if row.kind == LATENCY]
    if len(latencies) > 1:
        raise ProfileError(f"{case} has two LATENCY rows", where=f"{file.name}:{latencies[1].line}", help="one for each model and segment")
    if not latencies:
        raise ProfileError(
            f"{case} has no LATENCY row: what one run takes without the profiler", where=f"{file.name}:{rows[0].line}",
            help="operators under a profiler are slower than without; add the row, or --latency TIME",
        )  # fmt: skip
    whole, operators = latencies[0], [row for row in rows if row.kind != LATENCY]
    extra = _profiler(file)
    _check_times(file, case, operators, whole, extra, device)
    reported = [Reported(row.operator, max(0.0, row.seconds_p10 - extra * row.calls), row.calls, kind=row.kind) for row in operators]
    joined = join_expanded(kernels.kernels, join(kernels.kernels, reported))
    _check_foreign(file, case, operators, joined)
    noise = whole.seconds_median / whole.seconds_p10 - 1 if whole.seconds_p10 else 0.0
    measured = MeasuredSegment(
        network=network, case=case, kernels=tuple(_times(kernels, joined)), weight_bytes=kernels.weight_bytes, latency=whole.seconds_p10,
        floor=noise, unjoined=joined.unjoined,
    )  # fmt: skip
    return measured, joined.missing


def _times(kernels: SegmentKernels, joined: Joined) -> Iterator[MeasuredKernel]:
    for number, kernel in enumerate(kernels.kernels):
        seconds = joined.seconds.get(number)
        yield MeasuredKernel(name=kernel.name, views=kernel.views, compute_dtype=kernel.compute_dtype, seconds=seconds)


def _profiler(file: ProfileFile) -> float:
    text = file.head.get(PROFILER, "0").lower().replace(" ", "")
    unit = next((factor for ending, factor in (("us", 1e-6), ("ms", 1e-3), ("s", 1.0)) if text.endswith(ending)), 1.0)
    try:
        seconds = float(text.rstrip("ums")) * unit
    except ValueError:
        raise ProfileError(f"`# profiler: {text[:40]}` is no time", where=file.name, help="as in `# profiler: 1.9 us`") from None
    if not 0 <= seconds < 1e-3:
        raise ProfileError(f"`# profiler: {text[:40]}`: between 0 and 1 ms an operator", where=file.name)
    return seconds


def _check_times(file: ProfileFile, case: str, operators: Sequence[Row], whole: Row, extra: float, device: Device) -> None:
    """Raises ProfileError for another unit, for noise, for operators that do not add up."""
    low, middle = sum(row.seconds_p10 for row in operators), sum(row.seconds_median for row in operators)
    where, latency = f"{file.name}:{operators[0].line if operators else whole.line}", whole.seconds_p10
    if not operators or not low or not latency:
        raise ProfileError(f"{case} has no operators with a time, or none of the whole run", where=where)
    _check_unit(low, latency, where, f"{file.name}:{whole.line}")
    for text, ratio, line in (("operators", middle / low, where), ("runs", whole.seconds_median / latency, f"{file.name}:{whole.line}")):
        if ratio > MOST_NOISE:
            raise ProfileError(f"{case}: the median of its {text} is {ratio - 1:.0%} above the fastest tenth: too noisy", where=line)
    calls = sum(row.calls for row in operators)
    net = low - extra * calls
    if net / latency - 1 > MOST_OFF or latency - net - device.launch * calls - device.dispatch > MOST_OFF * latency:
        raise ProfileError(
            f"{case}: operators sum to {time(net)}, a run takes {time(latency)}: {net / latency - 1:+.0%}, above {MOST_OFF:.0%}",
            where=where,
            help=PROFILER_HELP if net > latency else "",
        )


def _check_unit(operators: float, latency: float, where: str, whole: str) -> None:
    for unit, factor in UNITS:
        for what, ratio, line in (("operators are", operators / latency, where), ("LATENCY row is", latency / operators, whole)):
            if factor / UNIT_SLACK <= ratio <= factor * UNIT_SLACK:
                raise ProfileError(
                    f"the {what} in {unit}, it seems: operators sum to {operators:.4g} s, a run takes {latency:.4g} s",
                    where=line,
                    help="the columns seconds_p10 and seconds_median are in seconds",
                )


def _check_foreign(file: ProfileFile, case: str, operators: Sequence[Row], joined: Joined) -> None:
    if joined.missing <= MOST_FOREIGN:
        return
    worst = sorted(joined.unjoined, key=lambda name: -joined.unjoined[name])[:WORST]
    line = next((row.line for row in operators if row.operator == worst[0]), operators[0].line)
    raise ProfileError(
        f"{joined.missing:.0%} of the time of {case} is of operators that the bundle does not have, above {MOST_FOREIGN:.0%}: "
        f"{', '.join(name[:60] for name in worst)}",
        where=f"{file.name}:{line}", help="profile the bundle's own segment file",
    )  # fmt: skip
