"""The screen of `autoglmc bench`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from ..quantities import count, size, time
from .layout import console, print_table, say
from .printable import printable
from .verified import emulated_cell, emulated_column, emulation_mark

if TYPE_CHECKING:
    from ..bench.record import BenchRecord, Times


def print_benched(record: BenchRecord, quiet: bool = False) -> None:
    """quiet: the median alone."""
    screen, mark = console(), emulation_mark(record.emulated)
    if quiet:
        screen.print(f"{time(record.seconds.p50)}{mark}")
        return
    say(screen, "machine", [printable(_machine(record.environment))])
    say(screen, "inputs", [f"{printable(record.inputs)}; {count(record.repeat, 'run')} timed after {count(1 + record.warmup, 'run')}"])
    rows = [
        (f"{one.segment} ({one.device})", one.runtime, *_numbers(one.seconds), *emulated_cell(record.emulated)) for one in record.segments
    ]
    print_table(screen, ("segment", "runtime"), ("best", "p50", "p90", "p99", *emulated_column(record.emulated)), rows)
    if record.handoffs:
        say(screen, "handoffs", [f"copies and conversions take {time(record.handoffs)} a run{mark}"])
    say(screen, "latency", [_latency(record.seconds) + mark, *_beside(record)])
    say(screen, "speed", [f"{record.frames_per_second:.1f} runs a second, one after the other{mark}"])
    cold = record.cold_start
    parts = f"loaded in {time(cold.load)}, first run {time(cold.first_run)}"
    say(screen, "cold", [f"{time(cold.total)} from start to first outputs: {parts}{mark}"])
    say(screen, "memory", [_memory(record) + mark])


def _machine(on: Mapping[str, str]) -> str:
    apart = ("processor", "cores", "system", "date", "python", "autoglmc")
    runtimes = ", ".join(f"{name} {version}" for name, version in on.items() if name not in apart)
    return f"{on['processor']}, {count(int(on['cores']), 'core')}, {on['system']}; {runtimes}"


def _numbers(seconds: Times) -> tuple[str, ...]:
    return tuple(time(value) for value in (seconds.best, seconds.p50, seconds.p90, seconds.p99))


def _latency(seconds: Times) -> str:
    return f"median {time(seconds.p50)} measured (best {time(seconds.best)}, p90 {time(seconds.p90)}, p99 {time(seconds.p99)})"


def _beside(record: BenchRecord) -> Iterator[str]:
    """The prediction, where what was measured is what was predicted."""
    if record.predicted is not None and not record.emulated:
        ratio = record.seconds.p50 / record.predicted
        yield f"{time(record.predicted)} predicted: the median is {ratio:.2f} times that"
    elif record.predicted is not None:
        yield f"{time(record.predicted)} predicted for the target, which did not run it"


def _memory(record: BenchRecord) -> str:
    found = record.memory
    if found is None:
        return "this system does not tell"
    return f"{size(found.private)} private, {size(found.mapped)} mapped from files; the process had {size(found.peak_resident)} at most"
