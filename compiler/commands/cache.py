"""`autoglmc cache`: what autoglmc keeps between runs, and removing it."""

from __future__ import annotations

import click

from .line.output import Output, echo_json, output_options

ACTIONS = ("show", "clear")


@click.command("cache", short_help="Show or clear what autoglmc keeps between runs.")
@click.argument("action", type=click.Choice(ACTIONS), default="show", metavar="[show|clear]")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@output_options()
def cache_command(action: str, names: tuple[str, ...], out: Output) -> int:
    """Show every cache: its folder, entries and bytes; or clear the caches of these names, all of them without a name.

    Nothing is lost but time: what is missing is computed again. The folders lie in $XDG_CACHE_HOME/autoglmc, or ~/.cache/autoglmc.
    """
    from ..cache.contents import clear, contents
    from ..report.cached import print_cached, print_cleared

    if action == "show" and names:
        raise click.UsageError(f"show takes no name, got {names[0]}")
    found = [one.as_json() for one in (clear(names) if action == "clear" else contents())]
    if out.as_json:
        echo_json({"removed" if action == "clear" else "caches": found})
    elif action == "clear":
        print_cleared(found)
    else:
        print_cached(found)
    return 0
