"""`autoglmc show`: a target with everything it inherits in place."""

from __future__ import annotations

import click

from .line.complete import complete_targets
from .line.output import Output, echo_json, output_options


@click.command("show", short_help="Print a target with its includes resolved.")
@click.argument("target", metavar="FILE|NAME", shell_complete=complete_targets)
@output_options()
def show_command(target: str, out: Output) -> int:
    """Print a target after include, extends, amend and delete, every value with the file and line it comes from.

    The text is itself a valid .hw file without includes, with the same meaning.
    """
    from ...grammar.show import show_text
    from ..hw.load_target import resolved_target
    from ..hw.show_target import target_json

    machine, resolved = resolved_target(target)
    if out.as_json:
        echo_json(target_json(machine))
    else:
        click.echo(show_text(resolved), nl=False)
    return 0
