"""`autoglmc rules`: every rule and what it promises."""

from __future__ import annotations

from typing import Any

import click

from .line.options import target_option
from .line.output import Output, echo_json, echo_wrapped, output_options, screen_width

WIDE = 110
"""Columns from which on a rule is one line."""
VERBOSE = "Print the operators each rule starts from and writes, and the families it belongs to."
QUIET = "Print only the names."


@click.command("rules", short_help="List the rewrite rules.")
@target_option(required=False, help="List the rules of this target's own file too.")
@output_options(VERBOSE, QUIET)
def rules_command(target: str | None, out: Output) -> int:
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
    if out.as_json:
        echo_json({"rules": rules})
        return 0
    if out.quiet:
        click.echo("\n".join(rule["name"] for rule in rules))
        return 0
    width = max(len(rule["name"]) for rule in rules)
    for name in dict.fromkeys(name for rule in rules for name in rule["stages"]):
        click.echo(f"{name}:")
        for rule in rules:
            if rule["stages"][:1] == [name]:
                _print_rule(rule, width, out.verbose)
    return 0


def _print_rule(rule: dict[str, Any], width: int, verbose: bool) -> None:
    """On one line, or on a narrow screen its formula below."""
    contract = f"within {rule['bound']:.4g}" if rule["contract"] == "bounded" else rule["contract"]
    head = f"  {rule['name']:<{width}} {contract:<17}"
    if 0 < screen_width() < WIDE:
        echo_wrapped(head.rstrip(), 6)
        echo_wrapped(f"      {rule['summary']}", 8)
    else:
        echo_wrapped(f"{head} {rule['summary']}", width + 22)
    if verbose:
        for what in ("operators", "emits", "families"):
            if rule.get(what):
                echo_wrapped(f"      {what}: {', '.join(rule[what])}", 8)
