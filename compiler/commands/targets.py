"""`autoglmc targets`: what ships."""

from __future__ import annotations

import click

from .options import json_option
from .output import echo_json


@click.command("targets")
@json_option
def targets_command(as_json: bool) -> int:
    """List the stock targets."""
    from ..target_files import stock_targets

    names = stock_targets()
    if as_json:
        echo_json({"targets": list(names)})
    else:
        for name in names:
            click.echo(name)
    return 0
