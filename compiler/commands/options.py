"""Arguments that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

FILE = click.Path(path_type=Path)


def shape_option(command: Callable[..., Any]) -> Callable[..., Any]:
    text = "Size of a dynamic dim: batch=1,seq=32 by name, x=1x3x48x320 for a whole input. Repeatable."
    return click.option("--shape", "shapes", multiple=True, metavar="NAME=SIZE", help=text)(command)


def bucket_option(command: Callable[..., Any]) -> Callable[..., Any]:
    text = "Sizes that the target's `shapes` block names: decode, or prefill=64 where it names several. --shape wins."
    return click.option("--bucket", metavar="NAME[=SIZE]", help=text)(command)


def inputs_option(command: Callable[..., Any]) -> Callable[..., Any]:
    text = "An .npz file with one array per input: compared besides generated ones."
    return click.option("--inputs", type=FILE, help=text)(command)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--json", "as_json", is_flag=True, help="Machine-readable result on stdout, errors too.")(command)


def emulate_option(command: Callable[..., Any]) -> Callable[..., Any]:
    text = "Run segments whose runtime is not installed on the CPU instead; the output says which."
    return click.option("--emulate", is_flag=True, help=text)(command)
