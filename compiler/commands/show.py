"""`autoglmc show`: a target with everything it inherits in place."""

from __future__ import annotations

import click

from .options import json_option
from .output import echo_json


@click.command("show")
@click.argument("target", metavar="FILE|NAME")
@json_option
def show_command(target: str, as_json: bool) -> int:
    """Show every value of a target after include, extends, amend and delete, with the file and line that says it.

    What is printed is itself a valid .hw file without includes, and means the same.
    """
    from ...grammar.show import show_text
    from ..hw.load_target import resolved_target
    from ..hw.show_target import target_json

    machine, resolved = resolved_target(target)
    if as_json:
        echo_json(target_json(machine))
    else:
        click.echo(show_text(resolved), nl=False)
    return 0
