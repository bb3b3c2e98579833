"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from .complete import complete_buckets, complete_targets

FILE = click.Path(path_type=Path)
TARGET = "A .hw file, or a stock target (see `autoglmc targets`)."
EFFORT = "How long the placement solver looks for a proof, and an arena for offsets that fit, as a multiple of the usual."


def target_option(required: bool = True, help: str = TARGET) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option("--target", required=required, metavar="FILE|NAME", help=help, shell_complete=complete_targets)


def effort_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--effort", type=click.FloatRange(0.01, 1000), default=1.0, show_default=True, help=EFFORT)(command)


def objective_option(command: Callable[..., Any]) -> Callable[..., Any]:
    text = (
        "What the plan is chosen for within the limits: latency (one request, one device after another), overlap (independent branches at "
        "once), throughput (time between pipelined requests), energy or memory."
    )
    kind = click.Choice(["latency", "overlap", "throughput", "energy", "memory"])
    return click.option("--objective", type=kind, default="latency", show_default=True, help=text)(command)


def shape_option(command: Callable[..., Any]) -> Callable[..., Any]:
    text = "Size of a dynamic dim: batch=1,seq=32 by name, x=1x3x48x320 for a whole input. Repeatable."
    return click.option("--shape", "shapes", multiple=True, metavar="NAME=SIZE", help=text)(command)


def bucket_option(command: Callable[..., Any]) -> Callable[..., Any]:
    text = "Sizes that the target's `shapes` block names: decode, or prefill=64 where it names several. --shape wins."
    return click.option("--bucket", metavar="NAME[=SIZE]", help=text, shell_complete=complete_buckets)(command)


def entry_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--entry", default="", metavar="NAME", help="Which entry, of a bundle that has several.")(command)


def inputs_option(command: Callable[..., Any]) -> Callable[..., Any]:
    text = "An .npz file with one array per input, or a folder of them, compared before generated ones. Repeatable."
    return click.option("--inputs", multiple=True, type=FILE, help=text)(command)


def expect_option(command: Callable[..., Any]) -> Callable[..., Any]:
    text = "An .npz file with what the model's source framework computes for the first of --inputs, one array per output; compared too."
    return click.option("--expect", type=FILE, help=text)(command)


def require_option(command: Callable[..., Any]) -> Callable[..., Any]:
    text = "Exit with 1 unless verified: all segments on their own runtimes, or all whose runtime is here."
    kind = click.Choice(["all", "here"])
    return click.option("--require-verified", "required", type=kind, help=text)(command)


def trust_option(command: Callable[..., Any]) -> Callable[..., Any]:
    text = "Refuse the bundle unless this public key (ed25519, PEM) signed it. Repeatable: one of them is enough."
    return click.option("--trust", multiple=True, metavar="KEY", type=FILE, help=text)(command)


def emulate_option(command: Callable[..., Any]) -> Callable[..., Any]:
    text = "Let the CPU stand in for runtimes that are not installed; the output says for which segments."
    return click.option("--emulate", is_flag=True, help=text)(command)
