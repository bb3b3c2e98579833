"""`autoglmc targets`: the targets that ship, or those of some files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from .line.options import FILE
from .line.output import Output, echo_json, output_options, screen_width

VERBOSE = "Print the file of each target too."
QUIET = "Print only the names."


@click.command("targets", short_help="List the stock targets.")
@click.argument("files", type=FILE, nargs=-1, metavar="[FILE]…")
@output_options(VERBOSE, QUIET)
def targets_command(files: Sequence[Path], out: Output) -> int:
    """List the stock targets, or those of FILE: name, full name, devices, how many of their numbers are guesses, and their calibrations:
    what was measured with which version of the runtime, when, and how good predictions are.
    """
    from dataclasses import asdict

    from ..hw.load_target import target_summaries

    found = [asdict(one) for one in target_summaries(files)]
    if out.as_json:
        echo_json({"targets": found})
    elif out.quiet:
        click.echo("\n".join(one["name"] for one in found))
    else:
        from ..report.targets import print_targets

        print_targets(found, screen_width(), out.verbose)
    return 0
