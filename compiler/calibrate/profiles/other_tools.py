"""What other tools write, as a profile: onnxruntime's profiler, OpenVINO's counters, AI Hub, Core ML, QNN's profile viewer."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from .rows import COLUMNS, LATENCY, MEMORY, ProfileError, ProfileFile, Row, parse_profile, with_latency

OPENVINO = "layerName;execStatus;layerType;execType;realTime (ms);cpuTime (ms)"
QNN_OPERATOR = re.compile(r"(.+):OpId_\d+ \(cycles\)$")
QNN_TOTAL = ("Accelerator (execute) time", "QNN accelerator (execute) time")
QNN_COLUMNS = ("Message", "Time", "Unit of Measurement", "Event Identifier")
KNOWN = "the CSV of docs/calibration.md, a profile of onnxruntime, OpenVINO's counters, AI Hub, Core ML or QNN's profile viewer"
NEEDS_LATENCY = "state what one run takes without the profiler: --latency 8.1ms"
MOST_CELL = 20_000


def profile_of(text: str, name: str, model: str = "", latency: float | None = None) -> ProfileFile:
    """Any of the known forms. `model`: what its rows are said to be of; `latency`: seconds of one run, where the form does not say.

    Raises ProfileError for another form, or for numbers that are no times."""
    try:
        return _profile_of(text, name, model, latency)
    except ProfileError as problem:
        if problem.where:
            raise
        raise ProfileError(problem.message, where=name, help=problem.help) from None


def _profile_of(text: str, name: str, model: str, latency: float | None) -> ProfileFile:
    start = text.lstrip()[:1]
    if start in ("{", "["):
        return _as_profile(_from_json(text, name, latency), name, model, latency)
    first = next((line for line in text.splitlines() if line.strip() and not line.startswith("#")), "")
    if first.rstrip(";").strip() == OPENVINO:
        return _as_profile(_openvino(text, name), name, model, latency)
    if all(title in first for title in QNN_COLUMNS):
        return _as_profile(_qnn(text, name), name, model, latency)
    if "," not in first or first.split(",")[0].strip() not in COLUMNS:
        raise ProfileError(_unknown(first), where=name)
    found = parse_profile(text, name)
    return found if latency is None else with_latency(found, latency)


def _unknown(first: str) -> str:
    """What is wrong with a file whose first line is none that is known: a spreadsheet may separate cells otherwise."""
    if not first:
        return "the file is empty"
    for mark, told in ((";", "';'"), ("\t", "tabs")):
        if first.split(mark)[0].strip().strip('"') in COLUMNS and mark in first:
            return f"the cells are separated by {told}: separate them by ',', with '.' in numbers"
    return f"the form of the profile is not known: {KNOWN}"


Found = tuple[str, str, str, float, float, float, int]
"""Operator, kind, attributes, calls, tenth percentile, median, runs."""


def _as_profile(found: tuple[str, Iterable[Found]], name: str, model: str, latency: float | None) -> ProfileFile:
    runtime, given = found
    rows = list(given)
    if latency is not None:
        rows = [row for row in rows if row[1] != LATENCY] + [("", LATENCY, "", 1.0, latency, latency, 1)]
    made = tuple(
        Row(
            line=number, model=model, segment="", operator=operator, kind=kind, inputs="", outputs="", attributes=attributes, dtype="",
            calls=calls, seconds_p10=low, seconds_median=middle, runs=runs,
        )
        for number, (operator, kind, attributes, calls, low, middle, runs) in enumerate(rows, 1)
    )  # fmt: skip
    if not any(row.kind not in (LATENCY, MEMORY) for row in made):
        raise ProfileError("the profile has no operators", where=name)
    return ProfileFile(name, {"runtime": runtime, "converted from": name}, made)


def _from_json(text: str, name: str, latency: float | None) -> tuple[str, Iterable[Found]]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise ProfileError(f"not JSON: {str(problem)[:200]}", where=name) from None
    try:
        if isinstance(data, list) and any(isinstance(one, Mapping) and one.get("cat") == "Node" for one in data):
            return "onnxruntime", list(_onnxruntime(data))
        if isinstance(data, Mapping) and "execution_detail" in data:
            return "AI Hub", list(_ai_hub(data))
        weighted = list(_core_ml(data))
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as problem:
        raise ProfileError(f"the profile lacks a field, or has one of another kind: {str(problem)[:200]}", where=name) from None
    if not weighted:
        raise ProfileError(f"the form of the profile is not known: {KNOWN}", where=name)
    if latency is None:
        raise ProfileError("Core ML states relative weights of operators, and no seconds", where=name, help=NEEDS_LATENCY)
    return "Core ML", _shared(weighted, latency, "a weight of Core ML, no time of its own")


def _onnxruntime(events: Sequence[Mapping[str, Any]]) -> Iterator[Found]:
    """Microseconds of every operator in every run but the first, which prepares."""
    from ..measure.ort_source import runs_in

    runs = runs_in([event for event in events if isinstance(event, Mapping)])
    kept = [_summed((one.name, one.kind, _time(one.seconds)) for one in run) for run in (runs[1:] or runs)]
    names = dict.fromkeys(name for run in kept for name in run)
    for name in names:
        times = sorted(run[name][1] for run in kept if name in run)
        kind, calls = next((run[name][0], run[name][2]) for run in kept if name in run)
        yield name, kind, "", calls, times[len(times) // 10], median(times), len(times)


def _summed(reported: Iterable[tuple[str, str, float]]) -> dict[str, tuple[str, float, float]]:
    """(kind, seconds, calls) by name."""
    found: dict[str, tuple[str, float, float]] = {}
    for name, kind, seconds in reported:
        _, before, calls = found.get(name, ("", 0.0, 0.0))
        found[name] = (kind, before + seconds, calls + 1)
    return found


def _ai_hub(data: Mapping[str, Any]) -> Iterator[Found]:
    """Microseconds, or cycles that are scaled to the time of the whole run."""
    summary = data.get("execution_summary", {})
    whole = _time(float(summary["estimated_inference_time"]) * 1e-6) if "estimated_inference_time" in summary else None
    times = sorted(_time(float(one) * 1e-6) for one in summary.get("all_inference_times", ()) or ())
    detail = [(str(one.get("name", "")), str(one.get("type", "")), one) for one in data["execution_detail"]]
    if any(one.get("execution_time") for _, _, one in detail):
        for name, kind, one in detail:
            seconds = _time(float(one.get("execution_time") or 0.0) * 1e-6)
            yield name, kind, "", 1.0, seconds, seconds, max(len(times), 1)
    elif whole is not None:
        cycles = [(name, kind, _time(float(one.get("execution_cycles") or 0.0))) for name, kind, one in detail]
        yield from _shared(cycles, whole, "scaled from cycles")
    if whole is not None:
        low = times[len(times) // 10] if times else whole
        yield "", LATENCY, "", 1.0, low, max(low, median(times) if times else whole), max(len(times), 1)
    peak = summary.get("estimated_inference_peak_memory")
    if isinstance(peak, int):
        yield "", MEMORY, f"private={peak}", 1.0, 0.0, 0.0, 1


def _core_ml(data: Any) -> Iterator[tuple[str, str, float]]:
    """Operators with a weight, wherever they stand: MLComputePlan as Core ML Tools and Xcode's performance reports write it."""
    left, seen = [data], 0
    while left and seen < 1_000_000:
        one = left.pop()
        seen += 1
        if isinstance(one, Mapping):
            weight = next((one[key] for key in ("weight", "cost", "estimatedCost") if isinstance(one.get(key), int | float)), None)
            name = next((one[key] for key in ("name", "operation", "outputName", "path") if isinstance(one.get(key), str)), None)
            if weight is not None and name:
                kind = next((str(one[key]) for key in ("type", "operatorName", "kind") if isinstance(one.get(key), str)), "")
                yield name, kind, _time(float(weight))
            left.extend(value for value in reversed(list(one.values())) if isinstance(value, Mapping | list))
        elif isinstance(one, list):
            left.extend(reversed(one))


def _openvino(text: str, name: str) -> tuple[str, Iterable[Found]]:
    """Milliseconds; what was not executed has none."""
    found: list[Found] = []
    for line, cells in _cells(text, name, ";"):
        if len(cells) < 6 or cells[1] != "EXECUTED" or cells[0] in ("Total", ""):
            continue
        seconds = _time(_float(cells[4], name, line) * 1e-3)
        found.append((cells[0], cells[2], "", 1.0, seconds, seconds, 1))
    return "OpenVINO", found


def _qnn(text: str, name: str) -> tuple[str, Iterable[Found]]:
    """Operators have cycles only, and overlap: they are scaled to the accelerator's time of one execution."""
    rows = _cells(text, name, ",")
    titles = [title.strip() for title in next(rows)[1]]
    place = {title: titles.index(title) for title in QNN_COLUMNS}
    cycles: dict[str, list[float]] = {}
    times: dict[str, list[float]] = {}
    for line, cells in rows:
        if len(cells) <= max(place.values()):
            continue
        what, unit = cells[place["Event Identifier"]].strip(), cells[place["Unit of Measurement"]].strip().upper()
        match = QNN_OPERATOR.match(what)
        if match and unit == "CYCLES":
            cycles.setdefault(match[1], []).append(_float(cells[place["Time"]], name, line))
        elif what in QNN_TOTAL and unit in ("US", "MICROSEC"):
            times.setdefault(what, []).append(_time(_float(cells[place["Time"]], name, line) * 1e-6))
    whole = next((sorted(times[title]) for title in QNN_TOTAL if title in times), None)
    if whole is None:
        raise ProfileError("the profile has cycles, and no `Accelerator (execute) time` to scale them to", where=name)
    shared = _shared([(key, "", median(values)) for key, values in cycles.items()], median(whole), "scaled from cycles")
    return "QNN", [*shared, ("", LATENCY, "", 1.0, whole[len(whole) // 10], median(whole), len(whole))]


def _shared(weights: Sequence[tuple[str, str, float]], seconds: float, how: str) -> list[Found]:
    total = sum(weight for _, _, weight in weights)
    if total <= 0:
        raise ProfileError("the operators of the profile have no times, cycles or weights")
    return [(name, kind, how, 1.0, seconds * weight / total, seconds * weight / total, 1) for name, kind, weight in weights]


def _cells(text: str, name: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(MOST_CELL)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as problem:
        raise ProfileError(f"not a CSV file: {problem}", where=f"{name}:{reader.line_num}") from None


def _float(text: str, name: str, line: int) -> float:
    try:
        return float(text)
    except ValueError:
        raise ProfileError(f"{text[:40]!r} is not a number", where=f"{name}:{line}") from None


def _time(value: float) -> float:
    """Raises ProfileError for what no clock shows."""
    if not math.isfinite(value) or value < 0:
        raise ProfileError(f"the profile has a time, or a weight, of {value:g}")
    return value
