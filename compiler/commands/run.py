"""`autoglmc run`: a bundle on given inputs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .line.limit_options import limit_options
from .line.options import FILE, emulate_option, entry_option, trust_option
from .line.output import Output, echo_json, output_options
from .line.resident_option import resident_option

if TYPE_CHECKING:
    from ..run.bundle import Bundle
    from ..run.result import RunResult

MOST = 10_000
"""Requests of one command: their outputs are all kept."""
PIPELINE = "Overlap consecutive requests across devices; also run them one after the other, compare bit for bit and report both times."
STEP_LIMIT = "Stop the run if one step of a request takes longer [default: no limit]."
TIMELINE = "Write when each step ran: .json (chrome://tracing, Perfetto), .html or .svg."
RECORD = "Write when each step ran to a JSON file (docs/run.schema.json), which `autoglmc report --record` draws."
VERBOSE = "Print the manifest's digest, whether the bundle is signed, and the memory of every segment."
QUIET = "Print only the time of the whole run."


@click.command("run", short_help="Run a bundle on given inputs.")
@click.argument("bundle", type=FILE)
@click.option("--input", "sources", required=True, multiple=True, type=FILE, help="An .npz file with one array per input. Repeatable.")
@click.option("-o", "--output", type=FILE, help="Where to write the outputs, an .npz file; of several requests, one file each: y.0.npz.")
@click.option(
    "--repeat", type=click.IntRange(1, 1_000_000), default=1, show_default=True, help="Runs of one request, whose times are reported."
)
@click.option("--requests", type=click.IntRange(1, MOST), help="Requests to run, cycling over the inputs [default: one per --input].")
@click.option("--pipeline", is_flag=True, help=PIPELINE)
@click.option("--step-limit", type=click.FloatRange(0, min_open=True), metavar="SECONDS", help=STEP_LIMIT)
@click.option("--timeline", type=FILE, help=TIMELINE)
@click.option("--record", type=FILE, help=RECORD)
@click.option("--recompile", is_flag=True, help="Compile segments on this machine instead of loading the compiled ones of the bundle.")
@resident_option()
@entry_option
@trust_option
@emulate_option
@limit_options
@output_options(VERBOSE, QUIET)
def run_command(
    bundle: Path,
    sources: tuple[Path, ...],
    output: Path | None,
    repeat: int,
    requests: int | None,
    pipeline: bool,
    step_limit: float | None,
    timeline: Path | None,
    record: Path | None,
    recompile: bool,
    resident: int | None,
    entry: str,
    trust: tuple[Path, ...],
    emulate: bool,
    out: Output,
) -> int:
    """Run a compiled BUNDLE on the arrays of an .npz file, and print the time of every step."""
    from ..errors import UsageError
    from ..output_file import check_file_place
    from ..report.draw_timeline import check_timeline_place
    from ..run.array_files import check_arrays_place, read_arrays
    from ..run.bundle import Bundle
    from ..run.check_inputs import not_finite
    from ..run.requests import run_bundle, run_requests

    if timeline is not None:
        check_timeline_place(timeline)
    if record is not None:
        check_file_place(record, "the record", (".json",), "--record")
    several = requests is not None or pipeline or step_limit is not None or len(sources) > 1
    if output is not None:
        for path in _places(output, (requests or len(sources)) if several else 1):
            check_arrays_place(path, sources)
    if several and repeat > 1:
        help = "use --requests N for N requests, with or without --pipeline and --step-limit"
        raise UsageError("--repeat times one request again and again; it goes with no option for several", help=help)
    inputs = [read_arrays(source) for source in sources]
    for note in not_finite(inputs):
        out.note(note)
    loaded = Bundle.load(bundle, trust=trust).entry(entry)
    options: dict[str, Any] = {"emulate": emulate, "recompile": recompile, "resident": resident}
    if several:
        count = requests or len(inputs)
        result = run_requests(loaded, inputs, requests=count, pipeline=pipeline, step_limit=step_limit, **options)
    else:
        result = run_bundle(loaded, inputs[0], repeat=repeat, **options)
    _write(result, output, timeline, out)
    if record is not None:
        _record(record, loaded, result, out)
    if out.as_json:
        echo_json(result.as_json())
    else:
        from ..report.ran import print_ran

        print_ran(result, out.verbose, out.quiet)
    return 0


def _places(output: Path, count: int) -> list[Path]:
    """A file for the outputs of each request."""
    return [output] if count == 1 else [output.with_name(f"{output.stem}.{number}{output.suffix}") for number in range(count)]


def _record(place: Path, bundle: Bundle, result: RunResult, out: Output) -> None:
    from msgspec import json

    from ..bench.run_record import record_of
    from ..output_file import write_file

    write_file(place, json.encode(record_of(bundle, result)))
    out.note(f"wrote {place}")


def _write(result: RunResult, output: Path | None, timeline: Path | None, out: Output) -> None:
    from ..report.draw_timeline import write_timeline
    from ..run.array_files import write_arrays

    if output is not None:
        for path, outputs in zip(_places(output, len(result.every)), result.every, strict=True):
            write_arrays(path, outputs)
        out.note(f"wrote {output}" if len(result.every) == 1 else f"wrote {len(result.every)} files beside {output}")
    if timeline is not None:
        drawn = {"one after the other": result.timeline}
        if result.pipelined is not None:
            drawn["pipelined"] = result.pipelined.timeline
        write_timeline(timeline, drawn)
        out.note(f"wrote {timeline}")
