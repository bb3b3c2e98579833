"""`autoglmc targets`: what ships."""

from __future__ import annotations

import click

from .options import json_option
from .output import echo_json


@click.command("targets")
@json_option
def targets_command(as_json: bool) -> int:
    """List the stock targets: name, full name, devices, and how many of its numbers are guesses."""
    from dataclasses import asdict

    from ..hw.load_target import target_summaries

    found = target_summaries()
    if as_json:
        echo_json({"targets": [asdict(one) for one in found]})
        return 0
    names, devices = max(len(one.name) for one in found), max(len(", ".join(one.devices)) for one in found)
    titles = max(len(one.title) for one in found)
    for one in found:
        trust = f"{one.guesses} of {one.numbers} numbers guessed{f', confidence {one.confidence}' if one.confidence else ''}"
        click.echo(f"{one.name:<{names}}  {one.title:<{titles}}  {', '.join(one.devices):<{devices}}  {trust}")
    return 0
