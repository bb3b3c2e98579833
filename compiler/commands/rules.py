"""`autoglmc rules`: every rule and what it promises."""

from __future__ import annotations

import click

from .options import json_option
from .output import echo_json


@click.command("rules")
@click.option("--target", metavar="FILE|NAME", help="List the rules of this target's own file too.")
@json_option
def rules_command(target: str | None, as_json: bool) -> int:
    """List the rewrite rules by the pass that applies them.

    \b
    exact          bit for bit the same
    reassociates   the same over the reals; floating point rounds differently
    within BOUND   off by at most BOUND over the reals, proved; only where a `rewrite` line of the target allows it
    """
    from ..pipeline.rules import list_rules

    described = None
    if target is not None:
        from ..hw.load_target import load_target

        described = load_target(target)
    rules = list_rules(described)
    if as_json:
        echo_json({"rules": rules})
        return 0
    width = max(len(rule["name"]) for rule in rules)
    for name in dict.fromkeys(name for rule in rules for name in rule["stages"]):
        click.echo(f"{name}:")
        for rule in rules:
            if rule["stages"][:1] == [name]:
                contract = f"within {rule['bound']:.4g}" if rule["contract"] == "bounded" else rule["contract"]
                click.echo(f"  {rule['name']:<{width}} {contract:<17} {rule['summary']}")
    return 0
