"""`autoglmc bench`: how fast a bundle is on this machine, and what it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .line.limit_options import limit_options
from .line.options import FILE, emulate_option, entry_option, trust_option
from .line.output import Output, output_options

RECORD = "Write the measurement to a JSON file (docs/bench.schema.json), which may come from any machine."
RECOMPILE = "Compile segments on this machine instead of loading the compiled ones of the bundle."
INPUT = "An .npz file with one array per input [default: zeros]."


@click.command("bench", short_help="Time a bundle on this machine.")
@click.argument("bundle", type=FILE)
@click.option("--input", "source", type=FILE, help=INPUT)
@click.option("--warmup", type=click.IntRange(0, 100_000), default=5, show_default=True, help="Runs after the first that are not timed.")
@click.option("--repeat", type=click.IntRange(1, 1_000_000), default=50, show_default=True, help="Runs that are timed.")
@click.option("--record", type=FILE, help=RECORD)
@click.option("--recompile", is_flag=True, help=RECOMPILE)
@entry_option
@trust_option
@emulate_option
@limit_options
@output_options(quiet="Print only the median of the whole run.")
def bench_command(
    bundle: Path,
    source: Path | None,
    warmup: int,
    repeat: int,
    record: Path | None,
    recompile: bool,
    entry: str,
    trust: tuple[Path, ...],
    emulate: bool,
    out: Output,
) -> int:
    """Time a compiled BUNDLE in a process of its own: cold start, frames per second, the times of its runs and segments, memory.

    One request runs after the other. What was predicted stands beside.
    """
    from msgspec import json

    from ..bench.bench import bench
    from ..output_file import check_file_place, write_file
    from ..run.array_files import read_arrays

    if record is not None:
        check_file_place(record, "the measurement", (".json",), "--record")
    inputs = None if source is None else read_arrays(source)
    named = "zeros" if source is None else source.name
    options: dict[str, Any] = {"emulate": emulate, "recompile": recompile, "trust": trust, "entry": entry}
    found, notes = bench(bundle, inputs, named=named, warmup=warmup, repeat=repeat, **options)
    for note in notes:
        out.note(note)
    if record is not None:
        write_file(record, json.format(json.encode(found), indent=2))
        out.note(f"wrote {record}")
    if out.as_json:
        click.echo(json.encode(found).decode())
    else:
        from ..report.benched import print_benched

        print_benched(found, out.quiet)
    return 0
