"""`autoglmc diff`: what differs in meaning between two targets."""

from __future__ import annotations

import click

from .line.complete import complete_targets
from .line.output import Output, echo_json, echo_wrapped, output_options

QUIET = "Print nothing; the exit code is the answer."


@click.command("diff", short_help="Compare the meaning of two targets.")
@click.argument("old", metavar="FILE|NAME", shell_complete=complete_targets)
@click.argument("new", metavar="FILE|NAME", shell_complete=complete_targets)
@output_options(quiet=QUIET)
def diff_command(old: str, new: str, out: Output) -> int:
    """Compare the meaning of two targets: operators, conditions, numbers, links, memories, limits, rewrites.

    Layout, order, comments, provenance and the targets' names make no difference. Exit code 0: the same; 1: different.
    """
    from ..hw.difference import differences
    from ..hw.load_target import resolved_target
    from ..hw.show_target import difference_json, difference_lines

    found = differences(resolved_target(old)[0], resolved_target(new)[0])
    if out.as_json:
        echo_json({"old": old, "new": new, "differences": difference_json(found)})
    elif not out.quiet:
        for line in difference_lines(found):
            echo_wrapped(line, len(line) - len(line.lstrip()) + 4)
        if not found:
            click.echo(f"{old} and {new} mean the same")
    return int(bool(found))
