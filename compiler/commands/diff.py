"""`autoglmc diff`: what differs in meaning between two targets."""

from __future__ import annotations

import click

from .options import json_option
from .output import echo_json


@click.command("diff")
@click.argument("old", metavar="FILE|NAME")
@click.argument("new", metavar="FILE|NAME")
@json_option
def diff_command(old: str, new: str, as_json: bool) -> int:
    """Say what differs in meaning between two targets: operators, conditions, numbers, links, memories, limits, rewrites.

    Layout, order, comments, provenance and the targets' names make no difference. Exit code 0: the same; 1: different.
    """
    from ..hw.difference import differences
    from ..hw.load_target import resolved_target
    from ..hw.show_target import difference_json, difference_lines

    found = differences(resolved_target(old)[0], resolved_target(new)[0])
    if as_json:
        echo_json({"old": old, "new": new, "differences": difference_json(found)})
    else:
        for line in difference_lines(found):
            click.echo(line)
        if not found:
            click.echo(f"{old} and {new} mean the same")
    return int(bool(found))
