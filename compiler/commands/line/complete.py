"""What a shell completes: targets, their devices and size buckets, rules, passes. File names are the shell's own.

A function here is called between two keystrokes: it imports what it needs, when it is called.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from ....targets.model import Target


def complete_targets(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Stock targets; .hw files and folders where none begins so."""
    from ....targets.stock import stock_names

    return [CompletionItem(incomplete, type="file"), *_matching(stock_names(), incomplete)]


def complete_devices(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Of the target given before it on the line."""
    return list(_matching((device.name for target in _targets(context) for device in target.devices), incomplete))


def complete_buckets(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Of the target given before it on the line."""
    return list(_matching((bucket.name for target in _targets(context) for bucket in target.shapes), incomplete))


def complete_settings(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Paths of the numbers of the target given before it on the line, up to the `=`."""
    from ...what_if.all_numbers import all_numbers

    numbers = [number for target in _targets(context) for number in all_numbers(target)]
    return list(_matching((f"{name}=" for n in numbers for name in (n.short, n.path)), incomplete)) if "=" not in incomplete else []


def complete_rules(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Every rule, those of the given target's file too."""
    from ...pipeline.rules import list_rules

    return list(_matching((rule["name"] for target in [*_targets(context), None][:1] for rule in list_rules(target)), incomplete))


def complete_passes(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Every pass, in order."""
    from ...pipeline.table import PIPELINE

    return list(_matching((row.name for row in PIPELINE), incomplete))


def _matching(names: Iterable[str], incomplete: str) -> Iterator[CompletionItem]:
    yield from (CompletionItem(name) for name in dict.fromkeys(names) if name.startswith(incomplete))


def _targets(context: click.Context) -> Iterator[Target]:
    """The one that the line names so far; none where it cannot be read: a completion has no place for an error."""
    given: Any = context.params.get("target")
    if given:
        given = str(given).split(",")[0]  # `what-if` takes several
        from ....grammar import HwError
        from ...errors import UserError
        from ...hw.load_target import load_target

        try:
            yield load_target(given)
        except (HwError, UserError):
            return
