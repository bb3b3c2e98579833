"""`autoglmc new-target`: a target to fill in."""

from __future__ import annotations

from pathlib import Path

import click

from .options import FILE, json_option
from .output import echo_json


@click.command("new-target")
@click.argument("name")
@click.option("-o", "--output", type=FILE, help="The file to write [default: NAME.hw].")
@json_option
def new_target_command(name: str, output: Path | None, as_json: bool) -> int:
    """Write a commented target to fill in.

    It holds no number: everything that only you know is a `?`, which `autoglmc check` reports until it is replaced.
    A file that is there is not overwritten.
    """
    from ..errors import UsageError
    from ..hw.skeleton import skeleton

    path = output or Path(f"{name}.hw")
    try:
        text = skeleton(name)
    except ValueError as problem:
        raise UsageError(str(problem)) from None
    try:
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"'{path}' exists, and is not overwritten", help="give another name, or -o FILE") from None
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"there is no folder '{path.parent}'") from None
    if as_json:
        echo_json({"file": str(path), "open": text.count("?")})
    else:
        click.echo(f"{path}: replace every `?`, then `autoglmc check {path}`")
    return 0
