"""--resident: how much of a bundle's weights its sessions may hold in private memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from .limit_options import Size

COMPILE = (
    "Let sessions of the bundle hold at most so much of its weights in private memory, such as 300MiB; the others are read from its file "
    "where that is mapped [default: what the runtimes take]."
)
RUN = "Refuse to load the bundle if its sessions would hold more of its weights in private memory [default: what it was compiled for]."


def resident_option(help: str = RUN) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A keyword argument `resident`: bytes, or None."""
    return click.option("--resident", type=Size(), metavar="SIZE", help=help)
