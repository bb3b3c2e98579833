"""The screen of `autoglmc run`: outputs, times of every step, memory, and how requests overlapped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from ..quantities import count, percent, size, time
from .confidence import interval
from .gantt import columns_within, gantt
from .layout import LABEL, console, print_table, say, short
from .printable import printable
from .verified import emulated_cell, emulated_column, emulation_mark, print_judged

if TYPE_CHECKING:
    from ..run.result import Pipelined, RunResult, StepTimes

MOST_LOADED = 8
"""Segments whose memory is listed; the rest is counted."""
WIDE = 100
"""Columns from which on a step's name and its device stand side by side."""


def print_ran(result: RunResult, verbose: bool = False, quiet: bool = False) -> None:
    """verbose: the memory of every segment; quiet: the time of the whole alone."""
    screen = console()
    if not quiet:
        _print_origin(screen, result, verbose)
        print_judged(screen, result.as_json(), "compiled")
        _print_steps(screen, result, len(result.resident) if verbose else MOST_LOADED)
    mark = emulation_mark(result.emulated)
    say(screen, "total", [f"{count(result.repeat, 'run')}: best {time(result.best)}, median {time(result.median)}{mark}"])
    if not quiet:
        say(screen, "predicted", list(_predicted(result)))
        _print_timelines(screen, result)


def _predicted(result: RunResult) -> Iterator[str]:
    """Beside the times, where devices were measured and none is emulated."""
    found = result.confidence
    if found is None or result.emulated:
        return
    facts = {"half_width": found.half_width}
    if found.half_width is None:
        why = "without an interval" if found.calibrated else f"{percent(found.outside)} of it is outside what was measured"
        yield f"{time(found.latency)}, {why}"
    else:
        off = result.median / found.latency - 1
        where = "within" if abs(off) <= found.half_width else "outside of"
        side = "above" if off > 0 else "below"
        yield f"{time(found.latency)}{interval(facts)}: the median is {abs(off) * 100:.0f} % {side} it, {where} the interval"


def _print_origin(screen: Console, result: RunResult, verbose: bool) -> None:
    """Whose bundle it is, as far as that was asked."""
    if verbose:
        signed = (
            f"signed, checked with {result.trusted}"
            if result.trusted
            else "signed, not checked (--trust)"
            if result.signed
            else "not signed"
        )
        say(screen, "manifest", [f"sha256 {result.digest}", printable(signed)])
    if result.notes:
        say(screen, "note", [printable(note) for note in result.notes], style="yellow")


def _print_steps(screen: Console, result: RunResult, most: int) -> None:
    mark = emulation_mark(result.emulated)
    say(screen, "outputs", [f"{short(name)}  {_describe(value)}{mark}" for name, value in result.outputs.items()])
    wide = screen.width >= WIDE
    numbers = ("bound", "copied", "best", "median", *emulated_column(result.emulated))
    rows = [(*_names(step, wide), *_numbers(step), *emulated_cell(result.emulated)) for step in result.steps]
    print_table(screen, ("step", "where") if wide else ("step",), numbers, rows)
    if result.zero_copy:
        say(screen, "handoffs", [f"{count(result.zero_copy, 'tensor')} without a copy: both sides have the same address (checked)"])
    resident = [f"segment {m.segment} by {m.runtime}: {_signed(m.own)} private, {_signed(m.mapped)} mapped" for m in result.resident]
    more = [f"and {len(resident) - most} more (-v)"] if len(resident) > most else []
    if resident:
        say(screen, "loading", [*resident[:most], *more])


def _names(step: StepTimes, wide: bool) -> tuple[str | Text, ...]:
    """The step and where it runs, in two cells or one below the other."""
    name, where = printable(short(step.what)), f"{step.device}: {step.runtime}, {step.hardware}"
    return (name, where) if wide else (Text(name).append(f"\n  {printable(where)}", style="dim"),)


def _numbers(step: StepTimes) -> tuple[str, ...]:
    return size(step.bound) if step.bound else "-", size(step.copied) if step.copied else "-", time(step.best), time(step.median)


def _signed(amount: int) -> str:
    return f"-{size(-amount)}" if amount < 0 else size(amount)


def _print_timelines(screen: Console, result: RunResult) -> None:
    """Where there is more than one step to see: a picture, and what overlapping brought."""
    overlapped, room = result.pipelined, screen.width - LABEL
    if len(result.timeline.spans) > 1:
        say(screen, "timeline", gantt(result.timeline, columns_within(result.timeline, room)))
    if overlapped is not None:
        say(screen, "pipelined", gantt(overlapped.timeline, columns_within(overlapped.timeline, room)))
        say(screen, "", _overlap(overlapped))


def _overlap(overlapped: Pipelined) -> Iterator[str]:
    busy = ", ".join(f"{name} {seconds / overlapped.timeline.wall:.0%}" for name, seconds in overlapped.timeline.busy().items())
    before, now = time(overlapped.sequential_seconds), time(overlapped.seconds)
    yield f"{count(overlapped.requests, 'request')}: {before} one after the other, {now} pipelined ({overlapped.speedup:.2f}x), same bits"
    yield f"busy: {busy}; on average {overlapped.timeline.at_once:.2f} at once"
    fit = "" if overlapped.fit is None else f"; the target's limits leave room for {overlapped.fit}"
    again = f"; weights resident once in each: segment {', '.join(overlapped.loaded_again)}" if overlapped.loaded_again else ""
    yield f"{count(overlapped.generations, 'generation')} of the arena, {size(overlapped.arena_bytes)}{fit}{again}"


def _describe(value: Any) -> str:
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if isinstance(value, list):
        return f"sequence of {len(value)}"
    named = "string" if str(dtype) == "object" else dtype
    return f"{named}{list(shape)}" if shape is not None else type(value).__name__
