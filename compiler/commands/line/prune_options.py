"""The options of `autoglmc compile` that prune a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from .options import FILE


def prune_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds them to a command, as keyword arguments prune, prune_layers and save_pruned."""
    options = (
        click.option(
            "--prune",
            metavar="SHARE",
            help="Remove this share of the channels and heads of every layer, those of the smallest magnitude, before anything else: 50%; "
            "auto takes as much as the accuracy limit allows, by --calibration-data.",
        ),
        click.option("--prune-layer", "prune_layers", metavar="NAME=SHARE", multiple=True, help="Share of one layer; can be repeated."),
        click.option("--save-pruned", type=FILE, help="Write the pruned model as plain ONNX, too: FILE.onnx."),
    )
    for option in reversed(options):
        command = option(command)
    return command
