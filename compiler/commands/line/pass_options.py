"""The options of `autoglmc compile` that watch or steer its passes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from .complete import complete_passes, complete_rules
from .options import inputs_option


def pass_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds them to a command, as keyword arguments verify_each, inputs, print_after, own, stop_after, disable and timings."""
    options = (
        click.option("--verify-each", is_flag=True, help="Compare with the model after every pass; name the rule and site at fault."),
        inputs_option,
        click.option(
            "--print-after",
            multiple=True,
            metavar="PASS[:FILE]",
            help="Print the graph as ONNX text on stderr, or to FILE. Repeatable.",
            shell_complete=complete_passes,
        ),
        click.option(
            "--stop-after",
            metavar="PASS",
            shell_complete=complete_passes,
            help="Write the graph after PASS as ONNX to the file of -o [default: MODEL.PASS.onnx]; no bundle.",
        ),
        click.option(
            "--pass",
            "own",
            multiple=True,
            metavar="FILE.py:FUNCTION[@POINT]",
            help="Run your own pass, a function on an onnx_graphsurgeon.Graph, after the pass POINT [default: simplify]. Repeatable.",
        ),
        click.option(
            "--disable",
            multiple=True,
            metavar="RULE",
            help="Do not use a rule (see `autoglmc rules`). Repeatable.",
            shell_complete=complete_rules,
        ),
        click.option("--timings", is_flag=True, help="Show how long each stage took."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def pass_arguments(
    verify_each: bool,
    inputs: tuple[Path, ...],
    print_after: tuple[str, ...],
    own: tuple[str, ...],
    disable: tuple[str, ...],
    show: Callable[[str], None],
) -> dict[str, Any]:
    """What was asked for as arguments of `compile_model` and `stop_after`. Raises UsageError for a wrong word or file."""
    given: dict[str, Any] = {}
    if verify_each:
        given["verify_each"] = True
    if disable:
        given["disable"] = disable
    if print_after:
        from ...watch.print_graph import GraphPrinter, parse_places

        given["watchers"] = (GraphPrinter(parse_places(print_after), show),)
    if own:
        from ...surgery.load_passes import load_passes

        given["passes"] = load_passes(own)
    if inputs:
        from ...run.array_files import read_samples

        given["inputs"] = read_samples(inputs)
    return given
