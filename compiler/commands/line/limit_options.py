"""--time-limit and --memory-limit: what a command that runs models may take."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import click

from ...activity import Limits, limited

TIME = (
    "End what takes longer: one run of the model or of the bundle, or loading it [default: 60, and 60 more per GB of the model; "
    "300 for the evaluation in float64]."
)
MEMORY = "End what holds more memory, such as 8GiB; mapped weights do not count [default: 80 % of what is free]."
POWERS = ("", "K", "M", "G", "T")


LARGEST = 1 << 62
"""Bytes."""


class Size(click.ParamType):  # type: ignore[type-arg]  # generic only in newer releases
    """Bytes: 500MB, 1.5GiB; 8G is 8GiB."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMGT]?)(iB|B)?", str(value).strip(), re.IGNORECASE)
        if found is None or not float(found[1]):
            self.fail(f"{value!r} is not a size: write it like 500MB or 8GiB", param, ctx)
        base = 1000 if (found[3] or "").upper() == "B" else 1024
        size = float(found[1]) * base ** POWERS.index(found[2].upper())
        if size >= LARGEST:
            self.fail(f"{found[0][:20]} is more than any machine has", param, ctx)
        return int(size)


def limit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds both; they hold for what the command calls."""

    @functools.wraps(command)
    def called(*arguments: Any, time_limit: float | None, memory_limit: int | None, **named: Any) -> Any:
        with limited(Limits(time_limit, memory_limit)):
            return command(*arguments, **named)

    made = click.option("--memory-limit", type=Size(), metavar="SIZE", help=MEMORY)(called)
    kind = click.FloatRange(0, min_open=True, max=1e9)
    return click.option("--time-limit", type=kind, metavar="SECONDS", help=TIME)(made)
