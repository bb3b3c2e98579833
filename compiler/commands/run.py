"""`autoglmc run`: a bundle on given inputs."""

from __future__ import annotations

from pathlib import Path

import click

from .options import FILE, emulate_option, json_option
from .output import echo_json, stage


@click.command("run")
@click.argument("bundle", type=FILE)
@click.option("--input", "source", required=True, type=FILE, help="An .npz file with one array per input.")
@click.option("-o", "--output", type=FILE, help="Where to write the outputs, an .npz file.")
@click.option("--repeat", type=click.IntRange(1, 1_000_000), default=1, show_default=True, help="Run that often and report times.")
@click.option("--recompile", is_flag=True, help="Compile segments for this machine instead of loading what the bundle has compiled.")
@emulate_option
@json_option
def run_command(bundle: Path, source: Path, output: Path | None, repeat: int, recompile: bool, emulate: bool, as_json: bool) -> int:
    """Run a compiled BUNDLE."""
    from ..array_files import read_arrays, write_arrays
    from ..run import run_bundle

    result = run_bundle(bundle, read_arrays(source), repeat=repeat, emulate=emulate, recompile=recompile)
    if output is not None:
        write_arrays(output, result.outputs)
        stage(f"wrote {output}")
    if as_json:
        echo_json(result.as_json())
    else:
        from ..report.terminal import print_run

        print_run(result)
    return 0
