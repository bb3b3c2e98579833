"""`autoglmc targets`: the targets that ship."""

from __future__ import annotations

import click

from .line.output import Output, echo_json, output_options, screen_width

VERBOSE = "Print the file of each target too."
QUIET = "Print only the names."


@click.command("targets", short_help="List the stock targets.")
@output_options(VERBOSE, QUIET)
def targets_command(out: Output) -> int:
    """List the stock targets: name, full name, devices, and how many of their numbers are guesses."""
    from dataclasses import asdict

    from ..hw.load_target import target_summaries

    found = [asdict(one) for one in target_summaries()]
    if out.as_json:
        echo_json({"targets": found})
    elif out.quiet:
        click.echo("\n".join(one["name"] for one in found))
    else:
        from ..report.targets import print_targets

        print_targets(found, screen_width(), out.verbose)
    return 0
